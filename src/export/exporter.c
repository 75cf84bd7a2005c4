/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exporter from outside: made, started, drained, asked, freed. The main thread's side of it.
 *
 *   new ──► start ──► drain ──► free        new ──► free        start fails ──► free
 *
 *   exporter ─► threads[K]        bell, inbox, transport, coders, scratch
 *            ─► destinations[D]   batchers, queue, state, credit; d belongs to threads[d mod K]
 *            ─► pools             batches, parcels and manifests, shared by all threads
 *
 *   I1  destinations and threads are arrays that never move: handles into them are good until free
 *   I2  the threads run only between start and the end of drain (or of a failed start); else all
 *       is the main thread's
 *   I3  draining is set once, after the deadline
 *
 * Everything that can fail for lack of memory is made in new and start, so a thread in its turns
 * allocates nothing of its own once pools and regions are warm. Status is read relaxed from
 * atomics that owners store each turn.
 */
#include "exporter_internal.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <poll.h>

enum {
    THREADS_MAX = 64,
    BATCHES_IDLE = 256,
    MANIFESTS_IDLE = 32,
    PARCELS_IDLE = 1024,
    JSON_BATCH_MIN = 65536
};

static enum weir_status thread_init(struct weir_exporter *exporter, uint32_t index)
{
    struct weir_exporter_thread *thread = &exporter->threads[index];
    thread->exporter = exporter;
    thread->index = index;
    WEIR_TRY(weir_wake_open(&thread->bell));
    WEIR_TRY(weir_ring_new(WEIR_EXPORT_INBOX_SLOTS, &thread->inbox));
    return weir_coding_init(&thread->coders, &exporter->options);
}

static void thread_done(struct weir_exporter *exporter, uint32_t index)
{
    struct weir_exporter_thread *thread = &exporter->threads[index];
    WEIR_ASSERT(thread->handle == NULL);
    if (thread->transport.free != NULL) {
        thread->transport.free(thread->transport.self);
    }
    weir_region_give(exporter->options.regions, &thread->scratch);
    weir_coding_done(&thread->coders);
    weir_ring_free(thread->inbox);
    WEIR_ASSERT(thread->letters == NULL);
    (void)pthread_mutex_destroy(&thread->letters_lock);
    weir_wake_close(&thread->bell);
}

static bool is_json(const struct weir_destination_options *options)
{
    return options->type != WEIR_DESTINATION_OTLP_HTTP ||
           options->protocol == WEIR_PROTOCOL_HTTP_JSON;
}

/* A batch that is written as JSON grows several times over, and the room to encode it with it; so
 * it is kept to what leaves the destination's part of the memory for two of them. */
static struct weir_buffer_hints hints_of(const struct weir_export_destination *destination)
{
    struct weir_buffer_hints hints = destination->options->buffer;
    size_t fits = destination->credit.limit / 2;
    size_t grown = weir_otlp_http_scratch(destination, hints.size);
    if (is_json(destination->options) && grown > fits) {
        size_t smaller = (size_t)((double)hints.size * ((double)fits / (double)grown));
        hints.size = smaller < JSON_BATCH_MIN ? JSON_BATCH_MIN : smaller;
    }
    return hints;
}

static enum weir_status batchers_new(struct weir_export_destination *destination,
                                     const struct weir_buffer_hints *hints)
{
    const struct weir_exporter *exporter = destination->exporter;
    bool is_shaped = destination->options->shape != NULL;
    const struct weir_batcher_options options = {
        .hints = *hints,
        .batches = exporter->batches,
        .regions = exporter->options.regions,
        .budget = is_shaped ? weir_shaping_budget(destination)
                            : weir_credit_budget(exporter->options.queued),
        .manifests = exporter->manifests.pool == NULL ? NULL : &exporter->manifests,
        .destination = destination->index,
    };
    for (int i = 0; i < WEIR_EXPORT_GATHERINGS; i++) {
        WEIR_TRY(weir_batcher_new(&options, &destination->gathering[i].batcher));
    }
    return WEIR_OK;
}

static enum weir_status destination_init(struct weir_exporter *exporter, uint32_t index)
{
    struct weir_export_destination *destination = &exporter->destinations[index];
    const struct weir_exporter_options *all = &exporter->options;
    const struct weir_destination_options *options = &all->destinations[index];
    bool is_http = options->type == WEIR_DESTINATION_OTLP_HTTP;
    destination->exporter = exporter;
    destination->index = index;
    destination->options = options;
    destination->owner = &exporter->threads[index % all->threads];
    destination->reason = "";
    destination->auth.is_ready = true;
    destination->auth.wake_ns = INT64_MAX;
    destination->out.fd = -1;
    atomic_init(&destination->published.reason, "");
    atomic_init(&destination->published.window_remaining_ns, -1);
    weir_credit_init(&destination->credit, all->export_bytes / all->destination_count);
    struct weir_buffer_hints hints = hints_of(destination);
    size_t most = weir_otlp_http_bound(destination, hints.size);
    destination->batch_charge = weir_region_capacity(most);
    size_t scratch = weir_otlp_http_scratch(destination, hints.size);
    if (!is_json(options) && scratch > exporter->scratch_keep) {
        exporter->scratch_keep = scratch;
    }
    weir_destination_init(&destination->machine, &options->retry, options->hold_on_outage,
                          is_http ? WEIR_EXPORT_IN_FLIGHT_MAX : 1);
    WEIR_TRY(batchers_new(destination, &hints));
    WEIR_TRY(weir_shaping_init(destination, &hints));
    if (is_http) {
        WEIR_TRY(weir_otlp_http_target(destination));
        return weir_auth_init(destination);
    }
    const char *path = options->type == WEIR_DESTINATION_FILE ? options->path : NULL;
    return weir_file_out_open(&destination->out, path);
}

static void destination_done(struct weir_export_destination *destination)
{
    for (int i = 0; i < WEIR_EXPORT_GATHERINGS; i++) {
        weir_batcher_free(destination->gathering[i].batcher);
    }
    weir_shape_free(destination->shape);
    weir_file_out_close(&destination->out);
    weir_auth_done(destination);
    weir_mem_free(destination->headers);
    if (destination->exporter != NULL) {
        weir_credit_done(&destination->credit);
    }
}

static enum weir_status pools_new(struct weir_exporter *exporter)
{
    WEIR_TRY(weir_pool_new(weir_batch_size(), BATCHES_IDLE, weir_batch_done, &exporter->batches));
    WEIR_TRY(
        weir_pool_new(sizeof(struct weir_export_parcel), PARCELS_IDLE, NULL, &exporter->parcels));
    exporter->manifests.settler = exporter->options.settler;
    if (exporter->options.settler.settle == NULL) {
        return WEIR_OK;
    }
    return weir_pool_new(weir_manifest_size(), MANIFESTS_IDLE, weir_manifest_done,
                         &exporter->manifests.pool);
}

/* Fills in what new has zeroed. */
static enum weir_status init(struct weir_exporter *exporter)
{
    const struct weir_exporter_options *options = &exporter->options;
    exporter->threads = weir_mem_zalloc(options->threads, sizeof(*exporter->threads));
    for (uint32_t i = 0; exporter->threads != NULL && i < options->threads; i++) {
        exporter->threads[i].bell.fd = -1;
        int made = pthread_mutex_init(&exporter->threads[i].letters_lock, NULL);
        WEIR_ASSERT(made == 0); /* with default attributes it cannot fail */
    }
    size_t size = options->destination_count * sizeof(*exporter->destinations);
    exporter->destinations = weir_mem_aligned(64, size);
    if (exporter->threads == NULL || exporter->destinations == NULL) {
        return WEIR_ENOMEM;
    }
    memset(exporter->destinations, 0, size);
    exporter->scratch_keep = 1;
    WEIR_TRY(weir_wake_open(&exporter->ready));
    WEIR_TRY(pools_new(exporter));
    for (uint32_t i = 0; i < options->threads; i++) {
        WEIR_TRY(thread_init(exporter, i));
    }
    for (uint32_t i = 0; i < options->destination_count; i++) {
        WEIR_TRY(destination_init(exporter, i));
    }
    return WEIR_OK;
}

enum weir_status weir_exporter_new(const struct weir_exporter_options *options,
                                   struct weir_exporter **ret)
{
    WEIR_ASSERT(options->threads > 0);
    WEIR_ASSERT(options->threads <= THREADS_MAX);
    WEIR_ASSERT(options->destination_count > 0);
    WEIR_ASSERT(options->destination_count <= WEIR_DESTINATIONS_MAX);
    struct weir_exporter *exporter = weir_mem_zalloc(1, sizeof(*exporter));
    if (exporter == NULL) {
        return WEIR_ENOMEM;
    }
    exporter->options = *options;
    exporter->ready.fd = -1;
    atomic_init(&exporter->open_destinations, options->destination_count);
    enum weir_status status = init(exporter);
    if (status != WEIR_OK) {
        weir_exporter_free(exporter);
        return status;
    }
    *ret = exporter;
    return WEIR_OK;
}

void weir_exporter_free(struct weir_exporter *exporter)
{
    if (exporter == NULL) {
        return;
    }
    for (uint32_t i = 0; exporter->destinations != NULL && i < exporter->options.destination_count;
         i++) {
        destination_done(&exporter->destinations[i]);
    }
    for (uint32_t i = 0; exporter->threads != NULL && i < exporter->options.threads; i++) {
        thread_done(exporter, i);
    }
    weir_pool_free(exporter->parcels);
    weir_pool_free(exporter->batches);
    weir_pool_free(exporter->manifests.pool); /* asserts that every one of them was settled */
    weir_wake_close(&exporter->ready);
    weir_mem_free(exporter->destinations);
    weir_mem_free(exporter->threads);
    weir_mem_free(exporter);
}

struct weir_wake *weir_exporter_wake(struct weir_exporter *exporter, uint32_t destination)
{
    WEIR_ASSERT(destination < exporter->options.destination_count);
    return &exporter->destinations[destination].owner->bell;
}

static enum weir_status start_thread(struct weir_exporter_thread *thread)
{
    const struct weir_exporter_options *options = &thread->exporter->options;
    WEIR_TRY(options->transport == NULL
                 ? weir_transport_curl(&thread->transport)
                 : options->transport(options->transport_argument, &thread->transport));
    return weir_thread_start(WEIR_ROLE_EXPORTER, "weir-export", weir_exporter_thread_run, thread,
                             &thread->handle);
}

static void join_all(struct weir_exporter *exporter)
{
    for (uint32_t i = 0; i < exporter->options.threads; i++) {
        weir_thread_join(exporter->threads[i].handle);
        exporter->threads[i].handle = NULL;
    }
}

/* Waits until `count` threads have prepared themselves, or said why not. */
static enum weir_status wait_until_ready(struct weir_exporter *exporter, uint32_t count)
{
    struct pollfd bell = {.fd = exporter->ready.fd, .events = POLLIN};
    for (;;) {
        weir_wake_silence(&exporter->ready);
        /* acquire: pairs with the release in weir_exporter_thread_run */
        if (atomic_load_explicit(&exporter->threads_ready, memory_order_acquire) == count) {
            /* relaxed: ordered by threads_ready */
            return (enum weir_status)atomic_load_explicit(&exporter->start_status,
                                                          memory_order_relaxed);
        }
        (void)poll(&bell, 1, -1);
    }
}

enum weir_status weir_exporter_start(struct weir_exporter *exporter, struct weir_router *router)
{
    exporter->router = router;
    enum weir_status status = WEIR_OK;
    uint32_t started = 0;
    while (started < exporter->options.threads && status == WEIR_OK) {
        status = start_thread(&exporter->threads[started]);
        started += status == WEIR_OK;
    }
    enum weir_status prepared = wait_until_ready(exporter, started);
    status = status == WEIR_OK ? prepared : status;
    if (status != WEIR_OK) {
        /* relaxed: nothing hangs on it but the threads' end; the bells follow */
        atomic_store_explicit(&exporter->abandoned, true, memory_order_relaxed);
        for (uint32_t i = 0; i < started; i++) {
            weir_wake_ring(&exporter->threads[i].bell);
        }
        join_all(exporter);
    }
    return status;
}

static void ring_all(struct weir_exporter *exporter)
{
    for (uint32_t i = 0; i < exporter->options.threads; i++) {
        weir_wake_ring(&exporter->threads[i].bell);
    }
}

void weir_exporter_hurry(struct weir_exporter *exporter)
{
    /* relaxed: nothing hangs on it but when batches are closed; the bells follow */
    atomic_store_explicit(&exporter->hurrying, true, memory_order_relaxed);
    ring_all(exporter);
}

void weir_exporter_drain(struct weir_exporter *exporter, int64_t deadline_ns,
                         uint64_t *ret_points_left)
{
    /* relaxed: published by the next store */
    atomic_store_explicit(&exporter->deadline_ns, deadline_ns, memory_order_relaxed);
    /* release: pairs with is_draining and is_over */
    atomic_store_explicit(&exporter->draining, true, memory_order_release);
    ring_all(exporter);
    join_all(exporter);
    /* relaxed: the threads have been joined */
    *ret_points_left = atomic_load_explicit(&exporter->points_left, memory_order_relaxed);
}

struct weir_destination_status weir_exporter_status(const struct weir_exporter *exporter,
                                                    uint32_t destination)
{
    WEIR_ASSERT(destination < exporter->options.destination_count);
    const struct weir_export_published *from = &exporter->destinations[destination].published;
    struct weir_destination_status status = {
        /* relaxed, all of them: an impression */
        .state =
            (enum weir_destination_state)atomic_load_explicit(&from->state, memory_order_relaxed),
        .waiting_batches = atomic_load_explicit(&from->waiting, memory_order_relaxed),
        .in_flight = atomic_load_explicit(&from->in_flight, memory_order_relaxed),
        .memory_bytes = weir_credit_used(&exporter->destinations[destination].credit),
        .points_delivered = atomic_load_explicit(&from->delivered, memory_order_relaxed),
        .points_lost = atomic_load_explicit(&from->lost, memory_order_relaxed),
        .window_remaining_ns =
            atomic_load_explicit(&from->window_remaining_ns, memory_order_relaxed),
        .last_success_wall_ns =
            atomic_load_explicit(&from->last_success_wall_ns, memory_order_relaxed),
    };
    struct weir_bytes reason =
        weir_bytes_str(atomic_load_explicit(&from->reason, memory_order_relaxed));
    size_t size = reason.size < sizeof(status.reason) ? reason.size : sizeof(status.reason) - 1;
    memcpy(status.reason, reason.data, size);
    return status;
}
