/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exporter's slots from outside: a destination's machine is made, handed over, told to close,
 * freed.
 *
 *   control thread                         owner                       control thread
 *   open: makes the machine                news: runs it               options are the caller's
 *     OPEN ──told, bell──────────────────► turns                       again; may open anew
 *   close: how, deadline
 *     CLOSING ──told, bell───────────────► gives up, waits, frees it
 *                                            FREE ──closed──────────────►
 *
 * Edges:
 *   FREE -> OPEN      weir_exporter_open
 *   OPEN -> CLOSING   weir_exporter_close
 *   CLOSING -> FREE   weir_closing_finish (closing.c)
 *
 *   I1  slots are an array that never moves; what a slot has beside its machine (bell, credit,
 *       counts) lives as long as the exporter, so anybody may ask at any time
 *   I2  a machine is the control thread's while its slot is FREE, from OPEN on its owner's. The
 *       slot's state is stored with release by whoever gives it away, and read with acquire by
 *       whoever takes it; what encoders read of it came to them with a parcel
 *   I3  while the slot is FREE all of the machine is zero, and no parcel, letter or request that
 *       points into it exists
 *   I4  what can fail is made before the slot is OPEN; a failure leaves it FREE, as it was
 *   I5  there is one control thread at a time, and none once a drain has begun
 *
 * The inbox carries parcels only: a slot's news are a bit in its owner's `told`, so they cannot be
 * refused and take no room.
 *
 * Not done: a slot never changes its thread; options are never exchanged in a machine that runs
 * (WEIR_CLOSE_SWAP, then another one): each of them is read in a dozen places.
 */
#include "exporter_internal.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/panic.h"

enum { JSON_BATCH_MIN = 65536 };

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

/* What memory its encoded batches may take, and what a full one takes. */
static void set_memory(struct weir_export_destination *destination, struct weir_buffer_hints *ret)
{
    struct weir_exporter *exporter = destination->exporter;
    const struct weir_destination_options *options = destination->options;
    size_t part = options->export_bytes > 0 ? options->export_bytes : exporter->even_part;
    destination->credit.limit = part; /* nobody takes of it yet */
    /* relaxed: a number for whoever asks */
    atomic_store_explicit(&destination->part, part, memory_order_relaxed);
    *ret = hints_of(destination);
    size_t most = weir_otlp_http_bound(destination, ret->size);
    destination->batch_charge = weir_region_capacity(most);
    size_t scratch = weir_otlp_http_scratch(destination, ret->size);
    /* relaxed, both: a size, which one thread at a time makes larger */
    if (!is_json(options) &&
        scratch > atomic_load_explicit(&exporter->scratch_keep, memory_order_relaxed)) {
        atomic_store_explicit(&exporter->scratch_keep, scratch, memory_order_relaxed);
    }
}

static enum weir_status make(struct weir_export_destination *destination,
                             const struct weir_destination_options *options)
{
    bool is_http = options->type == WEIR_DESTINATION_OTLP_HTTP;
    struct weir_buffer_hints hints;
    destination->options = options;
    destination->reason = "";
    destination->auth.is_ready = true;
    destination->auth.wake_ns = INT64_MAX;
    destination->out.fd = -1;
    set_memory(destination, &hints);
    weir_destination_init(&destination->machine, &options->retry, options->hold_on_outage,
                          is_http ? WEIR_EXPORT_IN_FLIGHT_MAX : 1);
    WEIR_TRY(batchers_new(destination, &hints));
    WEIR_TRY(weir_shaping_init(destination, &hints));
    if (is_http) {
        WEIR_TRY(weir_otlp_http_target(destination));
        return weir_auth_init(destination);
    }
    const char *path = options->type == WEIR_DESTINATION_FILE ? options->path : NULL;
    WEIR_TRY(weir_file_out_open(&destination->out, path));
    destination->out.is_torn = destination->is_torn;
    return WEIR_OK;
}

void weir_slot_unmake(struct weir_export_destination *destination)
{
    if (destination->options == NULL) {
        return;
    }
    for (int i = 0; i < WEIR_EXPORT_GATHERINGS; i++) {
        weir_batcher_free(destination->gathering[i].batcher);
    }
    weir_shape_free(destination->shape);
    if (destination->out.fd >= 0) {
        destination->is_torn = destination->out.is_torn || destination->out.left.size > 0;
    }
    weir_file_out_close(&destination->out);
    weir_auth_done(destination);
    weir_mem_free(destination->headers);
    size_t kept = offsetof(struct weir_export_destination, options);
    memset((uint8_t *)destination + kept, 0, sizeof(*destination) - kept);
}

struct weir_export_destination *weir_slot_next(const struct weir_exporter_thread *thread,
                                               const struct weir_export_destination *previous)
{
    uint64_t rest = thread->running;
    if (previous != NULL) {
        rest &= ~UINT64_C(0) << (previous->index + 1); /* the last slot is 61 */
    }
    return rest == 0 ? NULL : &thread->exporter->destinations[__builtin_ctzll(rest)];
}

/* Gives a slot its name, and counts that begin anew if it is another than it had last. */
static void take_name(struct weir_export_destination *destination, char *name)
{
    struct weir_export_published *published = &destination->published;
    bool is_same = destination->name != NULL && strcmp(destination->name, name) == 0;
    weir_mem_free(destination->name);
    destination->name = name;
    if (!is_same) {
        /* relaxed, all of them: an impression */
        atomic_store_explicit(&published->delivered, 0, memory_order_relaxed);
        atomic_store_explicit(&published->lost, 0, memory_order_relaxed);
        atomic_store_explicit(&published->last_success_wall_ns, 0, memory_order_relaxed);
    }
}

/* Lets the owner know that there is news of a slot. */
static void tell(const struct weir_export_destination *destination)
{
    /* release: pairs with the acquire in weir_closing_news */
    atomic_fetch_or_explicit(&destination->owner->told, UINT64_C(1) << destination->index,
                             memory_order_release);
    weir_wake_ring(&destination->owner->bell);
}

enum weir_status weir_exporter_open(struct weir_exporter *exporter, uint32_t slot,
                                    const struct weir_destination_options *options)
{
    WEIR_ASSERT(slot < WEIR_DESTINATIONS_MAX);
    WEIR_ASSERT(options->name != NULL);
    WEIR_ASSERT(weir_exporter_state(exporter, slot) == WEIR_EXPORT_SLOT_FREE);
    struct weir_export_destination *destination = &exporter->destinations[slot];
    char *name = weir_mem_text(options->name, strlen(options->name));
    enum weir_status status = name == NULL ? WEIR_ENOMEM : make(destination, options);
    if (status != WEIR_OK) {
        weir_slot_unmake(destination);
        weir_mem_free(name);
        return status;
    }
    take_name(destination, name);
    if (options->is_insecure) {
        weir_log(WEIR_LOG_WARN, "certificates are not verified",
                 WEIR_LOG_STR("destination", options->name));
    }
    /* relaxed, both: what follows gives them away */
    atomic_store_explicit(&destination->close_deadline_ns, INT64_MAX, memory_order_relaxed);
    atomic_fetch_add_explicit(&exporter->open_destinations, 1, memory_order_relaxed);
    /* release: pairs with the acquire in weir_closing_news */
    atomic_store_explicit(&destination->slot, WEIR_EXPORT_SLOT_OPEN, memory_order_release);
    tell(destination);
    return WEIR_OK;
}

void weir_exporter_close(struct weir_exporter *exporter, uint32_t slot, enum weir_export_close how,
                         int64_t deadline_ns)
{
    WEIR_ASSERT(slot < WEIR_DESTINATIONS_MAX);
    struct weir_export_destination *destination = &exporter->destinations[slot];
    enum weir_export_slot is = weir_exporter_state(exporter, slot);
    /* relaxed: only this thread sets it */
    int64_t before_ns = atomic_load_explicit(&destination->close_deadline_ns, memory_order_relaxed);
    if (is == WEIR_EXPORT_SLOT_FREE ||
        (is == WEIR_EXPORT_SLOT_CLOSING && deadline_ns >= before_ns)) {
        return;
    }
    /* relaxed: a time; the owner looks at it with each turn */
    atomic_store_explicit(&destination->close_deadline_ns, deadline_ns, memory_order_relaxed);
    if (is == WEIR_EXPORT_SLOT_OPEN) {
        /* relaxed: given away by the next; release: pairs with the acquire in weir_closing_news */
        atomic_store_explicit(&destination->how, (int)how, memory_order_relaxed);
        atomic_store_explicit(&destination->slot, WEIR_EXPORT_SLOT_CLOSING, memory_order_release);
    }
    tell(destination);
}

void weir_exporter_resize(struct weir_exporter *exporter, uint32_t slot, size_t export_bytes)
{
    WEIR_ASSERT(slot < WEIR_DESTINATIONS_MAX);
    /* relaxed: a number; its partner is may_close (gather.c) */
    atomic_store_explicit(&exporter->destinations[slot].part, export_bytes, memory_order_relaxed);
}

enum weir_export_slot weir_exporter_state(const struct weir_exporter *exporter, uint32_t slot)
{
    WEIR_ASSERT(slot < WEIR_DESTINATIONS_MAX);
    /* acquire: pairs with the release in weir_closing_finish, so a FREE slot's machine is gone */
    return (enum weir_export_slot)atomic_load_explicit(&exporter->destinations[slot].slot,
                                                       memory_order_acquire);
}

struct weir_destination_status weir_exporter_status(const struct weir_exporter *exporter,
                                                    uint32_t slot)
{
    WEIR_ASSERT(slot < WEIR_DESTINATIONS_MAX);
    const struct weir_export_destination *destination = &exporter->destinations[slot];
    const struct weir_export_published *from = &destination->published;
    struct weir_destination_status status = {
        /* relaxed, all of them: an impression */
        .slot =
            (enum weir_export_slot)atomic_load_explicit(&destination->slot, memory_order_relaxed),
        .state =
            (enum weir_destination_state)atomic_load_explicit(&from->state, memory_order_relaxed),
        .waiting_batches = atomic_load_explicit(&from->waiting, memory_order_relaxed),
        .in_flight = atomic_load_explicit(&from->in_flight, memory_order_relaxed),
        .memory_bytes = weir_credit_used(&destination->credit),
        .memory_limit = atomic_load_explicit(&destination->part, memory_order_relaxed),
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
