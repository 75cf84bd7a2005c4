/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes of the release log, applied at start to the records that the scan has found.
 *
 *   DONE       owed no more, each record of the range that is here
 *   PART       a span of the record's progress, in the table
 *   ATTEMPTED  the window that is used, the same
 *   LOST       owed to nobody
 *   DURABLE    remembered by epoch, for the next snapshot
 *
 * The log's frames were checked, but it is a file: nothing in a note is believed that does not fit
 * (a span beyond its total, a time below 0), and a record or a name that is not here is skipped:
 * its segment was released. So is PART and ATTEMPTED of what is not owed. Before anything is live;
 * the ledger's mutex is taken all the same.
 */
#include "ledger_internal.h"

static void forget(struct weir_ledger *ledger, struct weir_ledger_position at, uint32_t slot)
{
    if (weir_ledger_records_settle(ledger, at, slot)) {
        weir_ledger_progress_free(
            &ledger->progress,
            weir_ledger_progress_pull(&ledger->progress, weir_ledger_lsn_at(at), slot));
    }
}

static void replay_done(struct weir_ledger *ledger, const struct weir_note *note, uint32_t slot)
{
    uint64_t last = note->last == 0 ? note->lsn : note->last;
    uint32_t below = weir_ledger_records_below(ledger, note->lsn);
    uint32_t back = WEIR_LEDGER_OVERLAP - 1;
    uint32_t from = below == UINT32_MAX || below < back ? 0 : below - back;
    for (uint32_t i = from; i < ledger->by_lsn_count && ledger->by_lsn[i]->first_lsn <= last; i++) {
        struct weir_ledger_segment *segment = ledger->by_lsn[i];
        struct weir_ledger_position at = {segment, weir_ledger_records_from(segment, note->lsn)};
        for (; at.index < segment->count && weir_ledger_lsn_at(at) <= last; at.index++) {
            forget(ledger, at, slot);
        }
    }
}

/* The record's progress for the note, in the table. NULL: not owed, or no memory (then it is sent
 * whole). */
static struct weir_ledger_progress *progress_for(struct weir_ledger *ledger,
                                                 const struct weir_note *note, uint32_t slot)
{
    struct weir_ledger_position at;
    if (!weir_ledger_records_find(ledger, note->lsn, &at) ||
        !weir_ledger_records_is_owed(at, slot)) {
        return NULL;
    }
    struct weir_ledger_progress *progress =
        weir_ledger_progress_pull(&ledger->progress, note->lsn, slot);
    if (progress == NULL) {
        progress = weir_ledger_progress_new(&ledger->progress, note->lsn, slot);
    }
    if (progress != NULL) {
        weir_ledger_progress_put(&ledger->progress, progress);
    }
    return progress;
}

static void replay_part(struct weir_ledger *ledger, const struct weir_note *note, uint32_t slot)
{
    if (note->begin >= note->end || note->end > note->total) {
        return;
    }
    struct weir_ledger_progress *progress = progress_for(ledger, note, slot);
    if (progress != NULL) {
        (void)weir_ledger_progress_add(&ledger->progress, progress, note->begin, note->end,
                                       note->total);
    }
}

static void replay_attempted(struct weir_ledger *ledger, const struct weir_note *note,
                             uint32_t slot)
{
    struct weir_ledger_progress *progress =
        note->used_ns >= 0 ? progress_for(ledger, note, slot) : NULL;
    if (progress != NULL) {
        progress->used_ns = note->used_ns;
        progress->first_wall_ns = note->used_ns > 0 ? note->wall_ns : 0;
        progress->attempted = note->total;
    }
}

static void replay_lost(struct weir_ledger *ledger, uint64_t lsn)
{
    struct weir_ledger_position at;
    (void)weir_ledger_remember_lost(ledger, lsn);
    if (!weir_ledger_records_find(ledger, lsn, &at)) {
        return;
    }
    for (uint32_t slot = 0; slot < WEIR_LEDGER_SLOTS; slot++) {
        forget(ledger, at, slot);
    }
}

static void replay(struct weir_ledger *ledger, const struct weir_note *note)
{
    uint32_t slot = 0;
    bool is_known = weir_slots_find(&ledger->slots, note->name, &slot);
    switch (note->kind) {
    case WEIR_NOTE_DONE:
        if (is_known) {
            replay_done(ledger, note, slot);
        } else {
            weir_ledger_nameless_done(ledger, note);
        }
        break;
    case WEIR_NOTE_PART:
        if (is_known) {
            replay_part(ledger, note, slot);
        }
        break;
    case WEIR_NOTE_ATTEMPTED:
        if (is_known) {
            replay_attempted(ledger, note, slot);
        }
        break;
    case WEIR_NOTE_LOST: replay_lost(ledger, note->lsn); break;
    case WEIR_NOTE_DURABLE: weir_ledger_durable(ledger, note->lsn); break;
    case WEIR_NOTE_SEGMENT:
    case WEIR_NOTE_ID: break; /* not the ledger's */
    }
}

void weir_ledger_replay(struct weir_ledger *ledger, const struct weir_note *note)
{
    pthread_mutex_lock(&ledger->mutex);
    replay(ledger, note);
    pthread_mutex_unlock(&ledger->mutex);
}

uint64_t weir_ledger_repeats(struct weir_ledger *ledger)
{
    uint64_t points = 0;
    pthread_mutex_lock(&ledger->mutex);
    for (uint32_t chain = 0; chain < ledger->progress.chain_count; chain++) {
        const struct weir_ledger_progress *progress = ledger->progress.chains[chain];
        for (; progress != NULL; progress = progress->next) {
            points += progress->attempted;
        }
    }
    pthread_mutex_unlock(&ledger->mutex);
    return points;
}
