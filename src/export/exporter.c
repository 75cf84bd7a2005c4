/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exporter from outside: made, started, drained, freed. The main thread's side of it.
 *
 *   new ──► start ──► drain ──► free        new ──► free        start fails ──► free
 *
 *   exporter ─► threads[K]        bell, inbox, transport, coders, scratch
 *            ─► destinations[62]  slots (slots.c); slot d belongs to threads[d mod K]
 *            ─► pools             batches, parcels and manifests, shared by all threads
 *
 *   I1  destinations and threads are arrays that never move: handles into them are good until free
 *   I2  the threads run only between start and the end of drain (or of a failed start); else all
 *       is the main thread's
 *   I3  draining is set once, after the deadline, and after the last open or close of a slot
 *
 * Everything that can fail for lack of memory is made in new and start, or where a destination is
 * opened (slots.c), so a thread in its turns allocates nothing of its own once pools and regions
 * are warm; but for a compressor of a level that only a destination has which was opened later.
 */
#include "exporter_internal.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <poll.h>

enum { THREADS_MAX = 64, BATCHES_IDLE = 256, MANIFESTS_IDLE = 32, PARCELS_IDLE = 1024 };

static enum weir_status thread_init(struct weir_exporter *exporter, uint32_t index)
{
    struct weir_exporter_thread *thread = &exporter->threads[index];
    thread->exporter = exporter;
    thread->index = index;
    WEIR_TRY(weir_wake_open(&thread->bell));
    WEIR_TRY(weir_ring_new(WEIR_EXPORT_INBOX_SLOTS, &thread->inbox));
    for (uint32_t i = 0; i < exporter->options.destination_count; i++) {
        if (exporter->options.destinations[i].name != NULL) {
            WEIR_TRY(weir_coding_need(&thread->coders, &exporter->options.destinations[i]));
        }
    }
    return WEIR_OK;
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

/* All slots, FREE. */
static enum weir_status slots_new(struct weir_exporter *exporter)
{
    size_t size = WEIR_DESTINATIONS_MAX * sizeof(*exporter->destinations);
    exporter->destinations = weir_mem_aligned(64, size);
    if (exporter->destinations == NULL) {
        return WEIR_ENOMEM;
    }
    memset(exporter->destinations, 0, size);
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        struct weir_export_destination *destination = &exporter->destinations[i];
        destination->exporter = exporter;
        destination->index = i;
        destination->owner = &exporter->threads[i % exporter->options.threads];
        atomic_init(&destination->slot, WEIR_EXPORT_SLOT_FREE);
        atomic_init(&destination->close_deadline_ns, INT64_MAX);
        atomic_init(&destination->published.reason, "");
        atomic_init(&destination->published.window_remaining_ns, -1);
        weir_credit_init(&destination->credit, 0);
    }
    return WEIR_OK;
}

static enum weir_status open_first(struct weir_exporter *exporter)
{
    const struct weir_exporter_options *options = &exporter->options;
    uint32_t named = 0;
    for (uint32_t i = 0; i < options->destination_count; i++) {
        named += options->destinations[i].name != NULL;
    }
    exporter->even_part = options->export_bytes / (named > 0 ? named : 1);
    for (uint32_t i = 0; i < options->destination_count; i++) {
        if (options->destinations[i].name != NULL) {
            WEIR_TRY(weir_exporter_open(exporter, i, &options->destinations[i]));
        }
    }
    return WEIR_OK;
}

/* Fills in what new has zeroed. */
static enum weir_status init(struct weir_exporter *exporter)
{
    const struct weir_exporter_options *options = &exporter->options;
    exporter->threads = weir_mem_zalloc(options->threads, sizeof(*exporter->threads));
    if (exporter->threads == NULL) {
        return WEIR_ENOMEM;
    }
    for (uint32_t i = 0; i < options->threads; i++) {
        exporter->threads[i].bell.fd = -1;
        int made = pthread_mutex_init(&exporter->threads[i].letters_lock, NULL);
        WEIR_ASSERT(made == 0); /* with default attributes it cannot fail */
    }
    WEIR_TRY(slots_new(exporter));
    atomic_init(&exporter->scratch_keep, 1);
    WEIR_TRY(weir_wake_open(&exporter->ready));
    WEIR_TRY(pools_new(exporter));
    for (uint32_t i = 0; i < options->threads; i++) {
        WEIR_TRY(thread_init(exporter, i));
    }
    return open_first(exporter);
}

enum weir_status weir_exporter_new(const struct weir_exporter_options *options,
                                   struct weir_exporter **ret)
{
    WEIR_ASSERT(options->threads > 0);
    WEIR_ASSERT(options->threads <= THREADS_MAX);
    WEIR_ASSERT(options->destination_count <= WEIR_DESTINATIONS_MAX);
    struct weir_exporter *exporter = weir_mem_zalloc(1, sizeof(*exporter));
    if (exporter == NULL) {
        return WEIR_ENOMEM;
    }
    exporter->options = *options;
    exporter->ready.fd = -1;
    enum weir_status status = init(exporter);
    exporter->options.destinations = NULL; /* the caller's, from now on slot by slot */
    if (status != WEIR_OK) {
        weir_exporter_free(exporter);
        return status;
    }
    *ret = exporter;
    return WEIR_OK;
}

static void slots_free(struct weir_exporter *exporter)
{
    for (uint32_t i = 0; exporter->destinations != NULL && i < WEIR_DESTINATIONS_MAX; i++) {
        struct weir_export_destination *destination = &exporter->destinations[i];
        weir_slot_unmake(destination); /* of a FREE one nothing is left */
        weir_credit_done(&destination->credit);
        weir_mem_free(destination->name);
    }
    weir_mem_free(exporter->destinations);
}

void weir_exporter_free(struct weir_exporter *exporter)
{
    if (exporter == NULL) {
        return;
    }
    slots_free(exporter);
    for (uint32_t i = 0; exporter->threads != NULL && i < exporter->options.threads; i++) {
        thread_done(exporter, i);
    }
    weir_pool_free(exporter->parcels);
    weir_pool_free(exporter->batches);
    weir_pool_free(exporter->manifests.pool); /* asserts that every one of them was settled */
    weir_wake_close(&exporter->ready);
    weir_mem_free(exporter->threads);
    weir_mem_free(exporter);
}

struct weir_wake *weir_exporter_wake(struct weir_exporter *exporter, uint32_t slot)
{
    WEIR_ASSERT(slot < WEIR_DESTINATIONS_MAX);
    return &exporter->destinations[slot].owner->bell;
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
    /* release: pairs with weir_exporter_is_draining */
    atomic_store_explicit(&exporter->draining, true, memory_order_release);
    ring_all(exporter);
    join_all(exporter);
    /* relaxed: the threads have been joined */
    *ret_points_left = atomic_load_explicit(&exporter->points_left, memory_order_relaxed);
}
