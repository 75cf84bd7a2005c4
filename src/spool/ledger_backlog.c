/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oldest record that waits for a destination, and what happens when it turns out damaged.
 *
 *   cursor ─► segment 3 [ . . . . ] ─► 4 [ . w . w ] ─► 5 [ w ]     w: owed and not live
 *                nobody waits: skipped      ▲ the next
 *
 * A cursor moves forward as records are taken, and back to one that was KEPT and lies before it
 * (ledger_records.c, I2), so a look does not begin at the first segment each time.
 *
 *   I1  what is returned is live, with a ticket for this destination alone
 *   I2  a destination with a share gets WEIR_BACKLOG_LETTER for its oldest when a commit came on
 *       top of it, until what waits is no more than the share; so does everything owed to names
 *       that are not configured. What was in memory when the process ended waits after a start,
 *       and that alone is no reason
 *   I3  a number is counted as lost once, restarts included
 *
 * Threads: the backlog's, with the ledger's mutex. No memory: WEIR_ENOMEM, nothing changed.
 */
#include "ledger_internal.h"

/* The first record at or behind the cursor that waits. One does. */
static struct weir_ledger_position first_waiting(const struct weir_ledger *ledger, uint32_t slot)
{
    struct weir_ledger_position at = ledger->cursors[slot];
    WEIR_ASSERT(at.segment != NULL);
    for (;; at = (struct weir_ledger_position){at.segment->next, 0}) {
        WEIR_ASSERT(at.segment != NULL);
        const struct weir_ledger_bits *bits = &at.segment->slots[slot];
        if (bits->waiting == 0) {
            continue;
        }
        uint64_t mask = UINT64_MAX << (at.index % 64);
        for (uint32_t word = at.index / 64; word < at.segment->capacity / 64; word++) {
            uint64_t waits = bits->words[2 * word] & ~bits->words[2 * word + 1] & mask;
            if (waits != 0) {
                at.index = word * 64 + (uint32_t)__builtin_ctzll(waits);
                return at;
            }
            mask = UINT64_MAX;
        }
    }
}

static void fill_place(struct weir_ledger *ledger, const struct weir_ticket *ticket,
                       bool is_over_share, struct weir_backlog_place *place)
{
    const struct weir_ledger_entry *entry = &ticket->segment->entries[ticket->index];
    const struct weir_ticket_destination *to = &ticket->destinations[0];
    bool is_gone = weir_slots_is_gone(&ledger->slots, to->slot);
    uint64_t begin = (uint64_t)entry->offset_64 * WEIR_FRAME_RECORD_ALIGN;
    uint64_t end = begin + (uint64_t)entry->extent_64 * WEIR_FRAME_RECORD_ALIGN;
    uint64_t page = WEIR_DISK_BLOCK;
    bool is_letter = is_gone || is_over_share;
    *place = (struct weir_backlog_place){
        .destination = is_gone ? WEIR_BACKLOG_GONE : to->slot,
        .kind = is_letter ? WEIR_BACKLOG_LETTER : WEIR_BACKLOG_DELIVER,
        .reason = is_gone         ? "destination_removed"
                  : is_over_share ? "spool_share"
                                  : NULL,
        .size = (end + page - 1) / page * page - begin / page * page,
        .segment = ticket->segment->facts.number,
        .offset = begin,
        .index = ticket->index,
        .lsn = ticket->lsn,
    };
    memcpy(place->name, ledger->slots.names[to->slot], sizeof place->name);
    const struct weir_ledger_progress *progress = to->progress;
    if (progress != NULL) {
        place->used_ns = progress->used_ns;
        place->first_wall_ns = progress->first_wall_ns;
        place->settled = progress->spans;
        place->settled_count = progress->count;
        place->settled_total = progress->total;
    }
}

bool weir_ledger_is_over_share(const struct weir_ledger *ledger, uint32_t slot)
{
    return ledger->slots.shares[slot] > 0 &&
           ledger->backlog_bytes[slot] > ledger->slots.shares[slot];
}

static enum weir_status next(struct weir_ledger *ledger, uint32_t slot,
                             struct weir_backlog_place *ret)
{
    if (ledger->backlog_records[slot] == 0) {
        return WEIR_EEND;
    }
    struct weir_ticket *ticket = weir_ledger_ticket_make(ledger, 1);
    if (ticket == NULL) {
        return WEIR_ENOMEM;
    }
    if (!weir_ledger_is_over_share(ledger, slot)) {
        ledger->over &= ~(UINT64_C(1) << slot);
    }
    bool is_over_share = (ledger->over >> slot & 1) != 0;
    struct weir_ledger_position at = first_waiting(ledger, slot);
    ledger->cursors[slot] = at;
    weir_ledger_records_set_live(ledger, at, slot, true);
    ticket->segment = at.segment;
    ticket->index = at.index;
    ticket->lsn = weir_ledger_lsn_at(at);
    ticket->open = 1;
    ticket->count = 1;
    ticket->destinations[0] = (struct weir_ticket_destination){
        .slot = slot,
        .progress = weir_ledger_progress_pull(&ledger->progress, ticket->lsn, slot),
    };
    weir_ledger_ticket_link(ledger, ticket);
    fill_place(ledger, ticket, is_over_share, ret);
    ret->ticket = ticket;
    return WEIR_OK;
}

/* One slot after the other, so that none whose letters are refused stands before the rest. */
static enum weir_status next_gone(struct weir_ledger *ledger, struct weir_backlog_place *ret)
{
    enum weir_status status = WEIR_EEND;
    for (uint32_t i = 0; i <= WEIR_BACKLOG_GONE && status == WEIR_EEND; i++) {
        uint32_t slot = (ledger->gone_turn + i) % (WEIR_BACKLOG_GONE + 1);
        if (weir_slots_is_gone(&ledger->slots, slot)) {
            status = next(ledger, slot, ret);
        }
        if (status == WEIR_OK) {
            ledger->gone_turn = (slot + 1) % (WEIR_BACKLOG_GONE + 1);
        }
    }
    return status;
}

enum weir_status weir_ledger_next(struct weir_ledger *ledger, uint32_t destination,
                                  struct weir_backlog_place *ret)
{
    WEIR_ASSERT(destination <= WEIR_SPOOL_LETTER);
    pthread_mutex_lock(&ledger->mutex);
    enum weir_status status = WEIR_EEND;
    if (destination == WEIR_BACKLOG_GONE) {
        status = next_gone(ledger, ret);
    } else if (destination == WEIR_SPOOL_LETTER ||
               weir_slots_is_open(&ledger->slots, destination)) {
        status = next(ledger, destination, ret);
    }
    pthread_mutex_unlock(&ledger->mutex);
    return status;
}

bool weir_ledger_lose(struct weir_ledger *ledger, struct weir_ticket *ticket)
{
    struct weir_ledger_told told = {NULL, NULL, NULL};
    pthread_mutex_lock(&ledger->mutex);
    WEIR_ASSERT(ticket->count == 1);
    struct weir_ledger_position at = {ticket->segment, ticket->index};
    bool is_new = weir_ledger_note_lost(ledger, ticket->lsn, at.segment);
    weir_ledger_records_set_live(ledger, at, ticket->destinations[0].slot, false);
    for (uint32_t slot = 0; slot < WEIR_LEDGER_SLOTS; slot++) {
        if (weir_ledger_records_is_owed(at, slot) && !weir_ledger_records_is_live(at, slot)) {
            (void)weir_ledger_records_settle(ledger, at, slot);
            weir_ledger_progress_free(
                &ledger->progress, weir_ledger_progress_pull(&ledger->progress, ticket->lsn, slot));
        }
    }
    weir_ledger_ticket_end(ledger, ticket, &ticket->destinations[0], WEIR_SETTLED, &told);
    pthread_mutex_unlock(&ledger->mutex);
    weir_ledger_tell(told);
    return is_new;
}
