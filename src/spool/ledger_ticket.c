/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tickets: records that have points in memory, and what becomes of those.
 *
 *   ticket ─► destinations  [ slot 0: 900 points left ][ slot 2: ended ][ slot 63: all of it ]
 *                                 │
 *                                 └─► progress: settled [0 400), 30 s of the window used
 *
 *   made by    weir_ledger_ticket_new (for all live destinations), weir_ledger_next (for one)
 *   linked by  weir_ledger_commit, weir_ledger_next
 *   ends       with its last destination: back to the pool
 *
 * States of a ticket's destination:
 *
 *   open ──all its points settled──► ended: the record is not owed to it any more
 *    └─────some of them kept───────► ended: the record waits for it, its progress in the table
 *
 *   open -> ended         end_destination, from weir_ledger_settle_manifest, weir_ledger_settle,
 *                         weir_ledger_lose
 *
 *   I1  an ended destination is not touched again; a ticket with none open is gone
 *   I2  points = how many are with batches; a part settled twice or out of bounds is our bug
 *   I3  a destination whose points are partly kept stays live until its last batch is back: else
 *       the backlog would send again what is still on its way
 *
 * Threads: any, with the ledger's mutex; jobs are told after it is free. Full: when memory is out,
 * progress is forgotten (repeats, never loss). Deliberately has no time of its own.
 */
#include "ledger_internal.h"
#include "weir/mem.h"

/* -- making -------------------------------------------------------------------------------- */

void weir_ledger_ticket_done(void *ticket)
{
    struct weir_ticket *own = ticket;
    if (own->destinations != own->few) { /* NULL: was never taken */
        weir_mem_free(own->destinations);
    }
}

/* Room for so many; they are then undefined. */
static enum weir_status reserve_destinations(struct weir_ticket *ticket, uint32_t count)
{
    if (ticket->destinations == NULL) {
        ticket->destinations = ticket->few;
        ticket->capacity = WEIR_LEDGER_DESTINATIONS_FEW;
    }
    if (count <= ticket->capacity) {
        return WEIR_OK;
    }
    struct weir_ticket_destination *old =
        ticket->destinations == ticket->few ? NULL : ticket->destinations;
    struct weir_ticket_destination *larger = weir_mem_resize(old, count, sizeof *larger);
    if (larger == NULL) {
        return WEIR_ENOMEM;
    }
    ticket->destinations = larger;
    ticket->capacity = count;
    return WEIR_OK;
}

struct weir_ticket *weir_ledger_ticket_make(struct weir_ledger *ledger, uint32_t destinations)
{
    struct weir_ticket *ticket = weir_pool_take(ledger->tickets);
    if (ticket == NULL) {
        return NULL;
    }
    if (reserve_destinations(ticket, destinations) != WEIR_OK) {
        weir_pool_give(ledger->tickets, ticket);
        return NULL;
    }
    *ticket =
        (struct weir_ticket){.destinations = ticket->destinations, .capacity = ticket->capacity};
    return ticket;
}

enum weir_status weir_ledger_ticket_new(struct weir_ledger *ledger, struct weir_spool_job *job)
{
    WEIR_ASSERT((job->live & ~job->owed) == 0);
    job->ticket = NULL;
    if (job->live == 0) {
        return WEIR_OK;
    }
    uint32_t count = (uint32_t)__builtin_popcountll(job->live);
    struct weir_ticket *ticket = weir_ledger_ticket_make(ledger, count);
    if (ticket == NULL) {
        return WEIR_ENOMEM;
    }
    for (uint64_t left = job->live; left != 0; left &= left - 1) {
        uint32_t slot = (uint32_t)__builtin_ctzll(left);
        uint32_t points = slot == WEIR_LEDGER_LETTER ? 0 : job->live_points[slot];
        WEIR_ASSERT(points <= job->points);
        ticket->destinations[ticket->count++] =
            (struct weir_ticket_destination){.slot = slot, .points = points};
    }
    ticket->open = count;
    ticket->total = job->points;
    job->ticket = ticket;
    return WEIR_OK;
}

void weir_ledger_ticket_drop(struct weir_ledger *ledger, struct weir_spool_job *job)
{
    if (job->ticket != NULL) {
        weir_pool_give(ledger->tickets, job->ticket);
        job->ticket = NULL;
    }
}

void weir_ledger_ticket_link(struct weir_ledger *ledger, struct weir_ticket *ticket)
{
    ticket->previous = ledger->ticket_last;
    ticket->next = NULL;
    *(ledger->ticket_last == NULL ? &ledger->ticket_first : &ledger->ticket_last->next) = ticket;
    ledger->ticket_last = ticket;
    for (uint32_t i = 0; i < ticket->count; i++) {
        ledger->open_tickets[ticket->destinations[i].slot]++;
    }
}

const struct weir_ledger_segment *weir_ledger_segment_of(const struct weir_ticket *ticket)
{
    return ticket->segment;
}

/* -- ending -------------------------------------------------------------------------------- */

static void finish(struct weir_ledger *ledger, struct weir_ticket *ticket,
                   struct weir_ledger_told *told)
{
    struct weir_spool_job **list = ticket->kept ? &told->closed : &told->ok;
    while (ticket->jobs != NULL) {
        struct weir_spool_job *job = ticket->jobs;
        ticket->jobs = job->next_waiting;
        job->next_waiting = *list;
        *list = job;
        ledger->waiting_jobs--;
    }
    if (ticket->kept && ticket->segment == NULL) {
        uint64_t *failed = &ledger->failed[ledger->failed_at++ % WEIR_LEDGER_FAILED_MAX];
        ledger->failed_floor = *failed > ledger->failed_floor ? *failed : ledger->failed_floor;
        *failed = ticket->lsn;
    }
    *(ticket->previous == NULL ? &ledger->ticket_first : &ticket->previous->next) = ticket->next;
    *(ticket->next == NULL ? &ledger->ticket_last : &ticket->next->previous) = ticket->previous;
    weir_pool_give(ledger->tickets, ticket);
}

static void end_progress(struct weir_ledger *ledger, struct weir_ticket_destination *destination,
                         bool is_worth)
{
    struct weir_ledger_progress *progress = destination->progress;
    destination->progress = NULL;
    if (progress != NULL && is_worth && !weir_ledger_progress_is_empty(progress)) {
        weir_ledger_progress_put(&ledger->progress, progress);
    } else {
        weir_ledger_progress_free(&ledger->progress, progress);
    }
}

void weir_ledger_ticket_end(struct weir_ledger *ledger, struct weir_ticket *ticket,
                            struct weir_ticket_destination *destination,
                            enum weir_settlement settlement, struct weir_ledger_told *told)
{
    WEIR_ASSERT(!destination->ended);
    WEIR_ASSERT(ticket->open > 0);
    bool is_kept = settlement == WEIR_KEPT;
    struct weir_ledger_position at = {ticket->segment, ticket->index};
    if (ticket->segment != NULL && is_kept) {
        weir_ledger_records_set_live(ledger, at, destination->slot, false);
    } else if (ticket->segment != NULL) {
        if (weir_ledger_records_settle(ledger, at, destination->slot)) {
            weir_ledger_note_done(ledger, at, destination->slot);
        }
    }
    end_progress(ledger, destination, is_kept);
    destination->ended = true;
    ledger->open_tickets[destination->slot]--;
    ticket->kept = ticket->kept || is_kept;
    if (--ticket->open == 0) {
        finish(ledger, ticket, told);
    }
}

/* -- parts --------------------------------------------------------------------------------- */

/* WEIR_BACKLOG_GONE is for a ticket that weir_ledger_next made of a slot that was GONE then, and
 * may be anything by now. */
static struct weir_ticket_destination *destination_of(struct weir_ticket *ticket, uint32_t slot)
{
    if (slot == WEIR_BACKLOG_GONE) {
        WEIR_ASSERT(ticket->count == 1);
        return &ticket->destinations[0];
    }
    for (uint32_t i = 0; i < ticket->count; i++) {
        if (ticket->destinations[i].slot == slot) {
            return &ticket->destinations[i];
        }
    }
    WEIR_UNREACHABLE();
}

/* The destination's progress, made when there is none. NULL: no release log, or no memory. */
static struct weir_ledger_progress *progress_of(struct weir_ledger *ledger,
                                                const struct weir_ticket *ticket,
                                                struct weir_ticket_destination *destination)
{
    if (destination->progress == NULL && ledger->has_notes) {
        destination->progress =
            weir_ledger_progress_new(&ledger->progress, ticket->lsn, destination->slot);
    }
    return destination->progress;
}

static void settle_part(struct weir_ledger *ledger, uint32_t slot, const struct weir_part *part,
                        enum weir_settlement settlement, struct weir_ledger_told *told)
{
    struct weir_ticket *ticket = part->ticket;
    struct weir_ticket_destination *destination = destination_of(ticket, slot);
    WEIR_ASSERT(!destination->ended);
    WEIR_ASSERT(part->begin < part->end);
    WEIR_ASSERT(part->end <= ticket->total);
    WEIR_ASSERT(part->end - part->begin <= destination->points);
    const struct weir_ledger_progress *before = destination->progress;
    WEIR_ASSERT(before == NULL || before->total != ticket->total ||
                !weir_ledger_progress_overlaps(before, part->begin, part->end));
    destination->points -= part->end - part->begin;
    destination->kept = destination->kept || settlement == WEIR_KEPT;
    if (destination->points == 0 && !destination->kept) {
        weir_ledger_ticket_end(ledger, ticket, destination, WEIR_SETTLED, told);
        return;
    }
    if (settlement == WEIR_SETTLED) {
        struct weir_ledger_progress *progress = progress_of(ledger, ticket, destination);
        if (progress != NULL) {
            (void)weir_ledger_progress_add(&ledger->progress, progress, part->begin, part->end,
                                           ticket->total);
        }
        weir_ledger_note_part(ledger, ticket, slot, (struct weir_span){part->begin, part->end});
    }
    if (destination->points == 0) {
        weir_ledger_ticket_end(ledger, ticket, destination, WEIR_KEPT, told);
    }
}

void weir_ledger_settle_manifest(struct weir_ledger *ledger, const struct weir_manifest *manifest,
                                 enum weir_settlement settlement)
{
    struct weir_ledger_told told = {NULL, NULL, NULL};
    pthread_mutex_lock(&ledger->mutex);
    for (uint32_t i = 0; i < manifest->count; i++) {
        settle_part(ledger, manifest->destination, &manifest->parts[i], settlement, &told);
    }
    pthread_mutex_unlock(&ledger->mutex);
    weir_ledger_tell(told);
}

void weir_ledger_settle(struct weir_ledger *ledger, struct weir_ticket *ticket,
                        uint32_t destination, enum weir_settlement settlement)
{
    struct weir_ledger_told told = {NULL, NULL, NULL};
    pthread_mutex_lock(&ledger->mutex);
    weir_ledger_ticket_end(ledger, ticket, destination_of(ticket, destination), settlement, &told);
    pthread_mutex_unlock(&ledger->mutex);
    weir_ledger_tell(told);
}

/* Of parts of one record in several batches the one that has used most counts, until a window is
 * opened anew. A first attempt was when the window began to be used. */
static void attempt(struct weir_ledger *ledger, struct weir_ticket *ticket,
                    struct weir_ticket_destination *destination, int64_t used_ns)
{
    WEIR_ASSERT(!destination->ended);
    if (used_ns <= 0 && destination->progress == NULL) {
        return;
    }
    struct weir_ledger_progress *progress = progress_of(ledger, ticket, destination);
    if (progress == NULL || (used_ns > 0 && used_ns <= progress->used_ns) ||
        (used_ns <= 0 && progress->used_ns == 0)) {
        return;
    }
    if (progress->first_wall_ns == 0) {
        progress->first_wall_ns =
            ledger->wall_ns > used_ns ? ledger->wall_ns - used_ns : ledger->wall_ns;
    }
    progress->used_ns = used_ns > 0 ? used_ns : 0;
    progress->attempted = used_ns > 0 ? destination->points : progress->attempted;
    progress->first_wall_ns = used_ns > 0 ? progress->first_wall_ns : 0;
    weir_ledger_note_attempted(ledger, ticket, progress);
}

void weir_ledger_attempted(struct weir_ledger *ledger, const struct weir_manifest *manifest,
                           int64_t used_ns, struct weir_buf *out)
{
    pthread_mutex_lock(&ledger->mutex);
    ledger->copy = out;
    for (uint32_t i = 0; ledger->has_notes && i < manifest->count; i++) {
        struct weir_ticket *ticket = manifest->parts[i].ticket;
        attempt(ledger, ticket, destination_of(ticket, manifest->destination), used_ns);
    }
    ledger->copy = NULL;
    pthread_mutex_unlock(&ledger->mutex);
}

void weir_ledger_expect(struct weir_ledger *ledger, struct weir_ticket *ticket,
                        uint32_t destination, uint32_t points, uint32_t total)
{
    WEIR_ASSERT(points <= total);
    pthread_mutex_lock(&ledger->mutex);
    struct weir_ticket_destination *at = destination_of(ticket, destination);
    WEIR_ASSERT(!at->ended);
    WEIR_ASSERT(at->points == 0);
    at->points = points;
    ticket->total = total;
    if (at->progress != NULL && at->progress->total != total) {
        at->progress->count = 0;
        at->progress->total = total;
    }
    pthread_mutex_unlock(&ledger->mutex);
}
