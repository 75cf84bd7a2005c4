/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the rings to encoded batches: the drainer's half of an exporter thread.
 *
 *   owner of d                              any exporter thread            owner of d
 *   rings ─take─► batcher ─close─► parcel ─inbox─► encode, compress ─inbox─► early ─► machine
 *          (export credit allows)  numbered                                  in order again
 *
 * Encoding is spread over all threads because it is the work (copying 3 MiB, deflating it);
 * sending stays with the owner, because it is waiting: one thread's multi handle waits for
 * hundreds of requests as cheaply as for one, the destination's connections stay in one place, and
 * state, queue and windows need no lock.
 *
 *   I1  a parcel that is out to be encoded is in exactly one inbox or in one encoder's hands, and
 *       counted in `encoding`
 *   I2  at most ENCODING_MAX parcels of a destination are out, and FLUSHED_MAX more, so an inbox
 *       always has room (asserted)
 *   I3  the machine gets parcels in the order in which they were closed, however long each took to
 *       encode
 *   I4  credit.used = the charges of the destination's parcels; a batch is charged before it is
 *       closed, at the most that it can become, and the charge falls to what it is once it is
 *       encoded
 *   I5  what is in one batch has used as much of its retry window. There are two open batches of
 *       it: with one, live data and what a restart brings back would close each other's with every
 *       turn of the rings
 *
 * Memory: the open batch, the rings, and the few small runs that were taken ahead hold arenas,
 * which the queued budget pays for; all three are compacted. Closing needs export credit. Without
 * it nothing is taken from the rings: they fill, and the reservation answers for it (503). One
 * batch is always allowed, also when it is larger than the whole credit, so a small limit slows
 * down and does not stop.
 *
 * Orders of memory: inbox pushes release, pops acquire (weir/ring.h), so a parcel passes between
 * threads whole. `load` is a hint.
 *
 * Out of memory while adding: the open batch is closed early, which frees something soon; out of
 * memory while encoding: the job goes to the back of the encoder's own inbox. Nothing is dropped
 * for lack of memory.
 */
#include "exporter_internal.h"
#include "weir/clock.h"
#include "weir/panic.h"
#include <stdatomic.h>

enum { RUNS_PER_TURN = 512, JOBS_PER_TURN = 4 };

#define MEMORY_WAIT_NS (20 * WEIR_NS_PER_MS)

/* Whether one more batch may be closed now. */
static bool may_close(const struct weir_export_destination *destination)
{
    size_t used = weir_credit_used(&destination->credit);
    if (used == 0) {
        return true;
    }
    return destination->encoding < WEIR_EXPORT_ENCODING_MAX &&
           destination->machine.waiting.count + destination->lettering < WEIR_EXPORT_WAITING_MAX &&
           /* relaxed: a number; weir_exporter_resize is its partner */
           used + destination->batch_charge <=
               atomic_load_explicit(&destination->part, memory_order_relaxed);
}

/* The thread with the fewest jobs, the owner first. */
static struct weir_exporter_thread *choose_encoder(struct weir_exporter_thread *owner)
{
    struct weir_exporter *exporter = owner->exporter;
    struct weir_exporter_thread *best = owner;
    /* relaxed: hints */
    uint32_t least = atomic_load_explicit(&owner->load, memory_order_relaxed);
    for (uint32_t i = 0; i < exporter->options.threads && least > 0; i++) {
        struct weir_exporter_thread *thread = &exporter->threads[i];
        uint32_t load = atomic_load_explicit(&thread->load, memory_order_relaxed);
        if (load < least) {
            least = load;
            best = thread;
        }
    }
    return best;
}

/* Puts a parcel into a thread's inbox; the caller rings. */
static void push(struct weir_exporter_thread *thread, struct weir_export_parcel *parcel)
{
    enum weir_status status = weir_ring_reserve(thread->inbox, 1);
    WEIR_ASSERT(status == WEIR_OK);
    weir_ring_push(thread->inbox, parcel);
}

/* The most that a batch of `bytes` will be charged. */
static size_t charge_for(const struct weir_export_destination *destination, size_t bytes)
{
    return weir_region_capacity(weir_otlp_http_bound(destination, bytes));
}

bool weir_gather_close(struct weir_export_destination *destination,
                       struct weir_export_gathering *open, enum weir_buffer_trigger trigger)
{
    struct weir_export_parcel *parcel = weir_pool_take(destination->exporter->parcels);
    if (parcel == NULL) {
        destination->is_short_of_memory = true;
        return false;
    }
    struct weir_batch *batch = weir_batcher_close(open->batcher, trigger);
    if (batch == NULL) {
        weir_pool_give(destination->exporter->parcels, parcel);
        return true;
    }
    *parcel = (struct weir_export_parcel){.to = destination,
                                          .batch = batch,
                                          .info = weir_batch_info(batch),
                                          .manifest = weir_batch_manifest(batch),
                                          .point_ns = open->point_ns,
                                          .loss = open->reason};
    open->point_ns = 0;
    parcel->is_unfit = open == &destination->gathering[WEIR_EXPORT_UNFIT];
    weir_destination_number(&destination->machine, &parcel->base);
    parcel->base.retry.used_ns = parcel->info.used_ns;
    parcel->noted_used_ns = parcel->info.used_ns;
    parcel->identity_bytes = parcel->info.bytes;
    parcel->charge =
        charge_for(destination, parcel->info.bytes) + weir_parcel_manifest_bytes(parcel);
    weir_credit_force(&destination->credit, parcel->charge);
    destination->encoding++;
    weir_metrics_observe(destination->series.batch_bytes, (double)parcel->info.bytes);
    weir_metrics_add(destination->series.trigger[parcel->info.trigger], 1);
    struct weir_exporter_thread *encoder = choose_encoder(destination->owner);
    /* relaxed: a hint */
    atomic_fetch_add_explicit(&encoder->load, 1, memory_order_relaxed);
    push(encoder, parcel);
    weir_wake_ring(&encoder->bell);
    return true;
}

/* Closes what is open, both of it. */
static void flush(struct weir_export_destination *destination)
{
    for (int i = 0; i < WEIR_EXPORT_GATHERINGS; i++) {
        (void)weir_gather_close(destination, &destination->gathering[i], WEIR_BUFFER_FLUSH);
    }
}

/* Notes the age of a run that goes into the open batch. */
static void note_points(struct weir_export_gathering *open, const struct weir_run *run)
{
    if (run->newest_ns > 0 && (open->point_ns == 0 || run->newest_ns < open->point_ns)) {
        open->point_ns = run->newest_ns;
    }
}

static int64_t used_ns(const struct weir_run *run)
{
    return run->origin == NULL ? 0 : run->origin->used_ns;
}

/* Where the pending run is gathered. */
static struct weir_export_gathering *place_of(struct weir_export_destination *destination)
{
    bool is_used = used_ns(destination->pending) > 0;
    return &destination->gathering[is_used ? WEIR_EXPORT_USED : WEIR_EXPORT_FRESH];
}

/* Whether the pending run must not share a batch with what is open: what was attempted before a
 * restart has only the rest of its window, and that must not become the window of others. */
static bool is_apart(const struct weir_export_destination *destination,
                     const struct weir_export_gathering *open)
{
    return weir_batcher_open_bytes(open->batcher) > 0 &&
           used_ns(destination->pending) != open->used_ns;
}

/* Adds the pending run, or as much of it as fits. Returns what stopped it, or WEIR_OK. */
static enum weir_status add_pending(struct weir_export_destination *destination,
                                    struct weir_export_gathering *open, int64_t now_ns)
{
    note_points(open, destination->pending);
    open->used_ns = used_ns(destination->pending);
    if (destination->shape != NULL) {
        return weir_shaping_add(destination, open, now_ns);
    }
    enum weir_status status =
        weir_batcher_add(open->batcher, destination->pending, &destination->pending_offset, now_ns);
    if (status == WEIR_OK) {
        destination->pending = NULL;
        destination->pending_offset = 0;
    }
    return status;
}

/* Takes runs from the rings: those of a few points several at a time, so that their memory is asked
 * for together. One that is larger is worth its wait, and ends it. */
static void take_some(struct weir_export_destination *destination, int64_t now_ns)
{
    struct weir_router *router = destination->exporter->router;
    uint32_t count = 0;
    bool is_small = true;
    while (count < WEIR_BATCHER_TOGETHER && is_small) {
        struct weir_run *run = weir_router_take(router, destination->index);
        if (run == NULL) {
            break;
        }
        destination->taken[count++] = run;
        is_small = run->count <= WEIR_BATCHER_FEW;
    }
    destination->taken_at = 0;
    destination->taken_count = count;
    if (count > 0) {
        weir_router_drained(router, destination->index, now_ns);
    }
    const struct weir_batcher *batcher = destination->gathering[WEIR_EXPORT_FRESH].batcher;
    if (count > 1 && batcher != NULL) { /* what is left for a FREE slot is given up, not added */
        weir_batcher_ask(batcher, destination->taken, count);
    }
}

/* The run to add next, if there is one. */
static bool take_pending(struct weir_export_destination *destination, int64_t now_ns)
{
    if (destination->pending == NULL && destination->taken_at == destination->taken_count &&
        !destination->keeps_rings) {
        take_some(destination, now_ns);
    }
    if (destination->pending == NULL && destination->taken_at < destination->taken_count) {
        destination->pending = destination->taken[destination->taken_at++];
        destination->pending_offset = 0;
    }
    destination->rings_empty = destination->pending == NULL;
    return destination->pending != NULL;
}

/* One run from the rings into its batcher, or one batch out of it. False when there is nothing
 * (more) to do. */
static bool step(struct weir_export_destination *destination, int64_t now_ns)
{
    for (int i = 0; i < WEIR_EXPORT_GATHERINGS; i++) {
        struct weir_export_gathering *open = &destination->gathering[i];
        enum weir_buffer_trigger due = weir_batcher_due(open->batcher, now_ns);
        if (due != WEIR_BUFFER_NOT_DUE) {
            return weir_gather_close(destination, open, due);
        }
    }
    if (!take_pending(destination, now_ns)) {
        return false;
    }
    struct weir_export_gathering *open = place_of(destination);
    if (is_apart(destination, open)) {
        return weir_gather_close(destination, open, WEIR_BUFFER_FLUSH);
    }
    enum weir_status status = add_pending(destination, open, now_ns);
    if (status == WEIR_OK) {
        return true;
    }
    if (status == WEIR_EFULL) {
        return weir_gather_close(destination, open, WEIR_BUFFER_NOT_DUE);
    }
    destination->is_short_of_memory = true;
    flush(destination);
    return false;
}

void weir_gather_turn(struct weir_export_destination *destination, int64_t now_ns)
{
    destination->is_short_of_memory = false;
    destination->rings_empty = false;
    for (int i = 0; may_close(destination); i++) {
        if (i == RUNS_PER_TURN) {
            destination->owner->has_more = true; /* the others have their turn first */
            return;
        }
        if (!step(destination, now_ns)) {
            break;
        }
    }
    /* relaxed, both: rung after they were set; a late look costs one turn */
    const struct weir_exporter *exporter = destination->exporter;
    bool at_once = destination->is_closing ||
                   atomic_load_explicit(&exporter->draining, memory_order_relaxed) ||
                   atomic_load_explicit(&exporter->hurrying, memory_order_relaxed);
    if (at_once && destination->rings_empty && may_close(destination)) {
        flush(destination);
    }
}

/* Those that were taken ahead may wait as long as those in the rings, each in another arena. */
static size_t compact_taken(struct weir_export_destination *destination)
{
    size_t copied = 0;
    for (uint32_t i = destination->taken_at; i < destination->taken_count; i++) {
        struct weir_run *run = destination->taken[i];
        destination->taken[i] = weir_router_compact_taken(destination->exporter->router, run);
        copied += destination->taken[i] == run ? 0 : destination->taken[i]->bytes;
    }
    return copied;
}

void weir_gather_compact(struct weir_export_destination *destination)
{
    size_t copied = weir_router_compact(destination->exporter->router, destination->index);
    copied += compact_taken(destination);
    for (int i = 0; i < WEIR_EXPORT_GATHERINGS; i++) {
        copied += weir_batcher_compact(destination->gathering[i].batcher);
    }
    if (copied > 0) {
        weir_metrics_add(destination->series.copies, copied);
    }
}

int64_t weir_gather_wakeup_ns(const struct weir_export_destination *destination, int64_t now_ns)
{
    if (destination->is_short_of_memory) {
        return now_ns + MEMORY_WAIT_NS;
    }
    if (!may_close(destination)) {
        return INT64_MAX;
    }
    /* The rings were left for lack of credit; a batch that ended in this turn gave some back. */
    if (!destination->rings_empty) {
        return now_ns;
    }
    int64_t first_ns = INT64_MAX;
    for (int i = 0; i < WEIR_EXPORT_GATHERINGS; i++) {
        int64_t deadline_ns = weir_batcher_deadline_ns(destination->gathering[i].batcher);
        first_ns = deadline_ns < first_ns ? deadline_ns : first_ns;
    }
    return first_ns;
}

bool weir_gather_is_empty(const struct weir_export_destination *destination)
{
    for (int i = 0; i < WEIR_EXPORT_GATHERINGS; i++) {
        if (weir_batcher_open_bytes(destination->gathering[i].batcher) > 0) {
            return false;
        }
    }
    return destination->pending == NULL && destination->taken_at == destination->taken_count;
}

/* Whether a destination's time is over, or the drain's. */
static bool is_over(const struct weir_export_destination *destination, int64_t now_ns)
{
    const struct weir_exporter *exporter = destination->exporter;
    /* relaxed, both: a time, which is acted on only here; the drain's was set before it began */
    return now_ns >= atomic_load_explicit(&destination->close_deadline_ns, memory_order_relaxed) ||
           (weir_exporter_is_draining(exporter) &&
            now_ns >= atomic_load_explicit(&exporter->deadline_ns, memory_order_relaxed));
}

static void encode(struct weir_exporter_thread *thread, struct weir_export_parcel *parcel,
                   int64_t now_ns)
{
    parcel->status = weir_otlp_http_encode(thread, parcel);
    if (parcel->status == WEIR_ENOMEM && !is_over(parcel->to, now_ns)) {
        push(thread, parcel); /* no ringing: a moment later is soon enough */
        thread->is_short_of_memory = true;
        return;
    }
    /* relaxed: a hint */
    atomic_fetch_sub_explicit(&thread->load, 1, memory_order_relaxed);
    parcel->is_back = true;
    struct weir_exporter_thread *owner = parcel->to->owner; /* it may be gone once pushed */
    push(owner, parcel);
    weir_wake_ring(&owner->bell);
}

/* Puts an encoded parcel among those that wait for their elders. */
static void insert_early(struct weir_export_destination *destination, struct weir_parcel *parcel)
{
    struct weir_parcel **place = &destination->early;
    while (*place != NULL && (*place)->order < parcel->order) {
        place = &(*place)->next;
    }
    parcel->next = *place;
    *place = parcel;
}

/* Gives the machine what is in order now. */
static void release_early(struct weir_export_destination *destination)
{
    while (destination->early != NULL && destination->early->order == destination->next_order) {
        struct weir_parcel *first = destination->early;
        struct weir_export_parcel *parcel = (struct weir_export_parcel *)first;
        destination->early = first->next;
        destination->next_order++;
        if (parcel->status == WEIR_OK && parcel->is_unfit) {
            weir_loss_begin(parcel, parcel->loss, "");
        } else if (parcel->status == WEIR_OK) {
            weir_destination_add(&destination->machine, first);
        } else if (parcel->status == WEIR_ENOMEM) { /* at a deadline only */
            weir_loss_shutdown(parcel);
            weir_parcel_keep(parcel);
        } else {
            weir_loss_begin(parcel, WEIR_DEADLETTER_MALFORMED, "");
        }
    }
}

static void take_back(struct weir_export_parcel *parcel)
{
    struct weir_export_destination *destination = parcel->to;
    WEIR_ASSERT(destination->encoding > 0);
    destination->encoding--;
    weir_parcel_recharge(parcel);
    insert_early(destination, &parcel->base);
    release_early(destination);
}

void weir_gather_inbox(struct weir_exporter_thread *thread, int64_t now_ns)
{
    thread->is_short_of_memory = false;
    uint32_t present = weir_ring_count(thread->inbox); /* no job twice in a turn */
    int jobs = 0;
    for (uint32_t i = 0; i < present; i++) {
        if (jobs == JOBS_PER_TURN) {
            thread->has_more = true;
            return;
        }
        struct weir_export_parcel *parcel = weir_ring_pop(thread->inbox);
        if (parcel == NULL) {
            return;
        }
        if (parcel->is_back) {
            take_back(parcel);
        } else {
            encode(thread, parcel, now_ns);
            jobs++;
        }
    }
}

void weir_gather_settle(const struct weir_export_destination *destination,
                        const struct weir_run *run, uint32_t offset,
                        enum weir_settlement settlement)
{
    const struct weir_settler *settler = &destination->exporter->options.settler;
    if (settler->settle == NULL || run->origin == NULL || run->origin->ticket == NULL ||
        offset == run->count) {
        return;
    }
    struct weir_part part = {run->origin->ticket, run->first + offset, run->first + run->count};
    struct weir_manifest manifest = {.count = 0};
    weir_manifest_open(&manifest, destination->index);
    manifest.parts = &part;
    manifest.count = 1;
    settler->settle(settler->self, &manifest, settlement);
}

static void copy_text(char *to, size_t size, struct weir_bytes from)
{
    size_t kept = from.size < size - 1 ? from.size : size - 1;
    if (kept > 0) {
        memcpy(to, from.data, kept);
    }
    to[kept] = '\0';
}

/* What is in no batch yet is counted together, under the name of the first of it. */
void weir_gather_discard_unbatched(struct weir_export_destination *destination)
{
    struct weir_export_parcel rest = {.to = destination};
    while (take_pending(destination, 0)) { /* nobody need wait for this */
        const struct weir_run *run = destination->pending;
        struct weir_arena *arena = run->arena;
        if (rest.info.requests++ == 0 && run->origin != NULL) {
            copy_text(rest.info.request_id, sizeof(rest.info.request_id), run->origin->request_id);
            copy_text(rest.info.stream, sizeof(rest.info.stream), run->origin->stream);
        }
        rest.info.points += run->count - destination->pending_offset;
        weir_gather_settle(destination, run, destination->pending_offset, WEIR_KEPT);
        destination->pending = NULL;
        weir_arena_unref(arena, run->bytes);
    }
    weir_loss_shutdown(&rest);
}

static void discard_open(struct weir_export_destination *destination,
                         const struct weir_export_gathering *open)
{
    struct weir_batch *batch = weir_batcher_close(open->batcher, WEIR_BUFFER_FLUSH);
    if (batch != NULL) {
        const struct weir_export_parcel parcel = {.to = destination,
                                                  .info = weir_batch_info(batch)};
        weir_loss_shutdown(&parcel);
        weir_batch_release(batch, destination->exporter->batches); /* settles it as kept */
    }
}

void weir_gather_discard(struct weir_export_destination *destination)
{
    weir_gather_discard_unbatched(destination);
    for (int i = 0; i < WEIR_EXPORT_GATHERINGS; i++) {
        discard_open(destination, &destination->gathering[i]);
    }
    struct weir_parcel *waiting;
    while ((waiting = weir_destination_remove(&destination->machine)) != NULL) {
        weir_loss_shutdown((struct weir_export_parcel *)waiting);
        weir_parcel_keep((struct weir_export_parcel *)waiting);
    }
}
