/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's notes: what changes becomes bytes for the release log, and comes back from there.
 *
 *   settle ─► run [12 .. 19] of a slot ─┐
 *   part, attempted, lost, ids ─────────┴─► notes ──take──► keeper ─► log
 *
 *   DONE notes of records that follow each other are one note: the usual case, everything delivered
 *   in order, costs some thirty bytes a second and destination. A run lives in one segment and
 *   covers neighbours with consecutive numbers alone, so it covers nothing that it should not.
 *
 * Generations: notes made between two takes have one. A segment remembers the last one in which it
 * was noted; what is durable is known by generation.
 *
 *   generation ──take──► taken_generation ──noted(true)──► durable_generation
 *
 * States of the notes:
 *
 *   whole ──more than notes_limit, noted(false)──► broken ──snapshot──► whole
 *
 *   whole -> broken      put, weir_ledger_noted
 *   broken -> whole      weir_ledger_snapshot
 *
 *   I1  broken: nothing waits, nothing new is kept, durable_generation does not move
 *   I2  a snapshot and the notes after it rebuild the state at any later time
 *   I3  a DONE range covers no number but those of the entries it was made of: a void entry's, or a
 *       damaged record's, may live in another segment
 *   I4  a note about a record that is not here changes nothing
 *   I5  a note about a record has the name that its slot has in the record's segment, whoever has
 *       the slot now
 *
 * Threads: any, with the ledger's mutex; take, noted and snapshot are the keeper's. A snapshot is
 * made under the mutex: O(records), some milliseconds for a million. Deliberately forgets the
 * oldest of more than WEIR_LEDGER_LOST_MAX lost numbers: they would be counted again at the next
 * start.
 */
#include "ledger_internal.h"

static void drop_waiting(struct weir_ledger *ledger)
{
    ledger->notes.size = 0;
    ledger->notes.failed = false;
    memset(ledger->runs, 0, sizeof ledger->runs);
}

static void break_off(struct weir_ledger *ledger)
{
    ledger->broken = true;
    drop_waiting(ledger);
}

static void put(struct weir_ledger *ledger, const struct weir_note *note)
{
    if (!ledger->has_notes || ledger->broken) {
        return;
    }
    weir_notes_put(&ledger->notes, note);
    if (ledger->notes.failed) {
        break_off(ledger);
    }
}

/* Of a slot that is owed something still: nobody else can have had it since. */
static struct weir_bytes name_of(const struct weir_ledger *ledger, uint32_t slot)
{
    return weir_bytes_str(ledger->slots.names[slot]); /* the letter's is empty */
}

/* -- out ----------------------------------------------------------------------------------- */

static struct weir_note run_note(uint32_t slot, const struct weir_ledger_run *run)
{
    return (struct weir_note){
        .kind = WEIR_NOTE_DONE,
        .lsn = run->first_lsn,
        .last = run->last_lsn == run->first_lsn ? 0 : run->last_lsn,
        .name = weir_bytes_str(weir_ledger_name_in(run->segment, slot)),
    };
}

static void flush_run(struct weir_ledger *ledger, uint32_t slot)
{
    struct weir_ledger_run *run = &ledger->runs[slot];
    if (run->segment != NULL) {
        struct weir_note note = run_note(slot, run);
        put(ledger, &note);
        run->segment = NULL;
    }
}

/* Adds a record to the run where it is the next one. */
static bool extend(struct weir_ledger_run *run, struct weir_ledger_position at)
{
    uint64_t lsn = weir_ledger_lsn_at(at);
    if (run->segment != at.segment || run->last_index + 1 != at.index || run->last_lsn + 1 != lsn) {
        return false;
    }
    run->last_index = at.index;
    run->last_lsn = lsn;
    return true;
}

static struct weir_ledger_run run_begin(struct weir_ledger_position at)
{
    uint64_t lsn = weir_ledger_lsn_at(at);
    return (struct weir_ledger_run){at.segment, at.index, lsn, lsn};
}

void weir_ledger_note_done(struct weir_ledger *ledger, struct weir_ledger_position at,
                           uint32_t slot)
{
    at.segment->generation = ledger->generation;
    if (!ledger->has_notes || ledger->broken || !weir_ledger_is_named_in(at.segment, slot)) {
        return;
    }
    if (!extend(&ledger->runs[slot], at)) {
        flush_run(ledger, slot);
        ledger->runs[slot] =
            ledger->broken ? (struct weir_ledger_run){NULL, 0, 0, 0} : run_begin(at);
    }
}

void weir_ledger_note_part(struct weir_ledger *ledger, const struct weir_ticket *ticket,
                           uint32_t slot, struct weir_span span)
{
    if (ticket->segment == NULL || !weir_ledger_is_named_in(ticket->segment, slot)) {
        return;
    }
    put(ledger, &(struct weir_note){
                    .kind = WEIR_NOTE_PART,
                    .lsn = ticket->lsn,
                    .name = name_of(ledger, slot),
                    .begin = span.begin,
                    .end = span.end,
                    .total = ticket->total,
                });
}

static void put_attempted(struct weir_ledger *ledger, struct weir_buf *out,
                          const struct weir_ledger_progress *progress)
{
    weir_notes_put(out, &(struct weir_note){
                            .kind = WEIR_NOTE_ATTEMPTED,
                            .lsn = progress->lsn,
                            .name = name_of(ledger, progress->slot),
                            .used_ns = progress->used_ns,
                            .wall_ns = progress->first_wall_ns,
                            .total = progress->attempted,
                        });
}

void weir_ledger_note_attempted(struct weir_ledger *ledger, const struct weir_ticket *ticket,
                                const struct weir_ledger_progress *progress)
{
    if (ticket->segment == NULL || ledger->broken || !ledger->has_notes ||
        !weir_ledger_is_named_in(ticket->segment, progress->slot)) {
        return;
    }
    if (ledger->copy != NULL) {
        put_attempted(ledger, ledger->copy, progress);
    }
    put_attempted(ledger, &ledger->notes, progress);
    if (ledger->notes.failed) {
        break_off(ledger);
    }
}

static bool is_lost(const struct weir_ledger *ledger, uint64_t lsn)
{
    for (uint32_t i = 0; i < ledger->lost_count; i++) {
        if (ledger->lost[i] == lsn) {
            return true;
        }
    }
    return false;
}

bool weir_ledger_remember_lost(struct weir_ledger *ledger, uint64_t lsn)
{
    if (is_lost(ledger, lsn)) {
        return false;
    }
    ledger->lost[ledger->lost_at++ % WEIR_LEDGER_LOST_MAX] = lsn;
    if (ledger->lost_count < WEIR_LEDGER_LOST_MAX) {
        ledger->lost_count++;
    }
    return true;
}

bool weir_ledger_note_lost(struct weir_ledger *ledger, uint64_t lsn,
                           struct weir_ledger_segment *segment)
{
    if (segment != NULL) {
        segment->generation = ledger->generation;
    }
    bool is_new = weir_ledger_remember_lost(ledger, lsn);
    put(ledger, &(struct weir_note){.kind = WEIR_NOTE_LOST, .lsn = lsn});
    return is_new;
}

void weir_ledger_note(struct weir_ledger *ledger, const struct weir_note *note)
{
    pthread_mutex_lock(&ledger->mutex);
    if (note->kind == WEIR_NOTE_LOST) {
        (void)weir_ledger_note_lost(ledger, note->lsn, NULL);
    } else {
        put(ledger, note);
    }
    pthread_mutex_unlock(&ledger->mutex);
}

bool weir_ledger_is_lost(struct weir_ledger *ledger, uint64_t lsn)
{
    pthread_mutex_lock(&ledger->mutex);
    bool answer = is_lost(ledger, lsn);
    pthread_mutex_unlock(&ledger->mutex);
    return answer;
}

/* -- durable numbers ----------------------------------------------------------------------- */

static uint64_t epoch_of(uint64_t lsn)
{
    return lsn >> WEIR_LEDGER_EPOCH_SHIFT;
}

void weir_ledger_durable(struct weir_ledger *ledger, uint64_t lsn)
{
    uint32_t at = ledger->durable_count;
    while (at > 0 && epoch_of(ledger->durable[at - 1]) > epoch_of(lsn)) {
        at--;
    }
    ledger->durable_changed = true;
    if (at > 0 && epoch_of(ledger->durable[at - 1]) == epoch_of(lsn)) {
        uint64_t *highest = &ledger->durable[at - 1];
        *highest = lsn > *highest ? lsn : *highest;
        return;
    }
    if (ledger->durable_count == WEIR_LEDGER_EPOCHS_MAX) {
        if (at == 0) {
            return; /* older than all that are kept */
        }
        memmove(ledger->durable, ledger->durable + 1,
                (WEIR_LEDGER_EPOCHS_MAX - 1) * sizeof ledger->durable[0]);
        ledger->durable_count--;
        at--;
    }
    memmove(ledger->durable + at + 1, ledger->durable + at,
            (ledger->durable_count - at) * sizeof ledger->durable[0]);
    ledger->durable[at] = lsn;
    ledger->durable_count++;
}

/* -- the keeper's -------------------------------------------------------------------------- */

void weir_ledger_take(struct weir_ledger *ledger, struct weir_buf *ret)
{
    pthread_mutex_lock(&ledger->mutex);
    WEIR_ASSERT(!ledger->taken);
    for (uint32_t slot = 0; slot < WEIR_LEDGER_SLOTS; slot++) {
        flush_run(ledger, slot);
    }
    if (ledger->durable_changed && ledger->durable_count > 0) {
        put(ledger, &(struct weir_note){.kind = WEIR_NOTE_DURABLE,
                                        .lsn = ledger->durable[ledger->durable_count - 1]});
        ledger->durable_changed = false;
    }
    struct weir_buf empty = *ret;
    empty.size = 0;
    empty.failed = false;
    empty.limit = ledger->notes_limit;
    *ret = ledger->notes;
    ledger->notes = empty;
    ledger->taken = true;
    ledger->taken_generation = ledger->broken ? ledger->durable_generation : ledger->generation++;
    pthread_mutex_unlock(&ledger->mutex);
}

void weir_ledger_noted(struct weir_ledger *ledger, bool durable)
{
    pthread_mutex_lock(&ledger->mutex);
    WEIR_ASSERT(ledger->taken);
    ledger->taken = false;
    if (durable) {
        ledger->durable_generation = ledger->taken_generation;
    } else {
        break_off(ledger);
    }
    pthread_mutex_unlock(&ledger->mutex);
}

bool weir_ledger_wants_snapshot(struct weir_ledger *ledger)
{
    pthread_mutex_lock(&ledger->mutex);
    bool broken = ledger->broken;
    pthread_mutex_unlock(&ledger->mutex);
    return broken;
}

/* Whether a snapshot says of a record that it is settled for a slot. A void entry is a copy on the
 * disk of a record of a later segment. When that one is gone, this one would be owed after a start;
 * while the other is still being written (its number is above lsn_max) nothing is settled. */
static bool is_settled(struct weir_ledger *ledger, struct weir_ledger_position at, uint32_t slot)
{
    if (!at.segment->entries[at.index].is_void) {
        return !weir_ledger_records_is_owed(at, slot);
    }
    uint64_t lsn = weir_ledger_lsn_at(at);
    struct weir_ledger_position other;
    return lsn <= ledger->lsn_max && !weir_ledger_records_find(ledger, lsn, &other);
}

static void snapshot_slot(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                          uint32_t slot, struct weir_buf *out)
{
    struct weir_ledger_run run = {NULL, 0, 0, 0};
    for (uint32_t index = 0; index < segment->count; index++) {
        struct weir_ledger_position at = {segment, index};
        if (!is_settled(ledger, at, slot)) {
            continue; /* a gap in the indices ends a run */
        }
        if (!extend(&run, at)) {
            if (run.segment != NULL) {
                struct weir_note note = run_note(slot, &run);
                weir_notes_put(out, &note);
            }
            run = run_begin(at);
        }
    }
    if (run.segment != NULL) {
        struct weir_note note = run_note(slot, &run);
        weir_notes_put(out, &note);
    }
}

static void snapshot_progress(struct weir_ledger *ledger,
                              const struct weir_ledger_progress *progress, struct weir_buf *out)
{
    if (progress == NULL || progress->slot == WEIR_BACKLOG_GONE) {
        return;
    }
    for (uint32_t i = 0; i < progress->count; i++) {
        weir_notes_put(out, &(struct weir_note){
                                .kind = WEIR_NOTE_PART,
                                .lsn = progress->lsn,
                                .name = name_of(ledger, progress->slot),
                                .begin = progress->spans[i].begin,
                                .end = progress->spans[i].end,
                                .total = progress->total,
                            });
    }
    if (progress->used_ns > 0 || progress->attempted > 0) {
        put_attempted(ledger, out, progress);
    }
}

static void snapshot_all_progress(struct weir_ledger *ledger, struct weir_buf *out)
{
    for (uint32_t i = 0; i < ledger->progress.chain_count; i++) {
        for (const struct weir_ledger_progress *at = ledger->progress.chains[i]; at != NULL;
             at = at->next) {
            snapshot_progress(ledger, at, out);
        }
    }
    for (const struct weir_ticket *at = ledger->ticket_first; at != NULL; at = at->next) {
        for (uint32_t i = 0; i < at->count; i++) {
            snapshot_progress(ledger, at->destinations[i].progress, out);
        }
    }
}

void weir_ledger_snapshot(struct weir_ledger *ledger, struct weir_buf *out)
{
    pthread_mutex_lock(&ledger->mutex);
    WEIR_ASSERT(!ledger->taken);
    for (struct weir_ledger_segment *at = ledger->first; at != NULL; at = at->next) {
        for (uint32_t slot = 0; slot < WEIR_LEDGER_SLOTS; slot++) {
            if (at->slots[slot].words != NULL && weir_ledger_is_named_in(at, slot)) {
                snapshot_slot(ledger, at, slot, out);
            }
        }
    }
    snapshot_all_progress(ledger, out);
    for (uint32_t i = 0; i < ledger->lost_count; i++) {
        uint32_t at = ledger->lost_at - ledger->lost_count + i; /* the first noted first */
        weir_notes_put(out, &(struct weir_note){.kind = WEIR_NOTE_LOST,
                                                .lsn = ledger->lost[at % WEIR_LEDGER_LOST_MAX]});
    }
    for (uint32_t i = 0; i < ledger->durable_count; i++) {
        weir_notes_put(out,
                       &(struct weir_note){.kind = WEIR_NOTE_DURABLE, .lsn = ledger->durable[i]});
    }
    drop_waiting(ledger);
    ledger->broken = false;
    ledger->durable_changed = false;
    ledger->taken = true;
    ledger->taken_generation = ledger->generation++;
    pthread_mutex_unlock(&ledger->mutex);
}
