/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is who: slots, and what a slot meant when a segment began.
 *
 *   slots      0 alpha OPEN | 1 beta GONE | 2 delta OPEN (was gamma's) | 3 FREE ...       now
 *   segment 7  names ─► [ alpha | beta | gamma ]  ◄─ names  segment 8     sealed
 *   segment 9  names ─► [ alpha | beta | delta ]                          open
 *
 * A segment's records on disk say "slot 2" by the segment's own roster, and go on saying it after
 * the slot is another's. So a note about segment 7 speaks of gamma, as a start will read it: a
 * snapshot that said delta would bring all of gamma's records back.
 *
 *   I1  a slot becomes FREE when no record of any segment is owed to it and no ticket has it open.
 *       Nothing in memory speaks of its name then but segments' names
 *   I2  what gets a slot's bit after that is in a segment whose names have the slot's new name: the
 *       lane does not write a record into a segment whose roster has another (lane_write.c)
 *   I3  within a segment's names each name stands once: within the slots it does, and a roster is
 *       a copy of them
 *
 * A crash at any point: what is read then is rosters and notes, and both speak of names. A record
 * owed to gamma is gamma's or, when nobody is called so, GONE; at worst it is delivered or lettered
 * once more, when the note that it was settled was not durable.
 *
 * Threads: any, with the ledger's mutex. Deliberately nothing of it is kept on disk.
 */
#include "ledger_internal.h"
#include "weir/mem.h"

/* -- slots --------------------------------------------------------------------------------- */

/* What is owed waits, or is live; and what is live has a ticket. */
static bool is_owed_nothing(const struct weir_ledger *ledger, uint32_t slot)
{
    return ledger->backlog_records[slot] == 0 && ledger->open_tickets[slot] == 0;
}

/* I1. */
static void set_free(struct weir_ledger *ledger, uint32_t slot)
{
    weir_slots_free(&ledger->slots, slot);
    weir_ledger_progress_purge(&ledger->progress, slot);
    ledger->over &= ~(UINT64_C(1) << slot);
}

/* Names that were found in rosters alone: nobody else frees them. */
static void free_found(struct weir_ledger *ledger)
{
    for (uint64_t left = ledger->slots.found; left != 0; left &= left - 1) {
        uint32_t slot = (uint32_t)__builtin_ctzll(left);
        if (is_owed_nothing(ledger, slot)) {
            set_free(ledger, slot);
        }
    }
}

enum weir_status weir_ledger_slot_open(struct weir_ledger *ledger,
                                       const struct weir_spool_destination *destination,
                                       uint32_t *ret_slot)
{
    pthread_mutex_lock(&ledger->mutex);
    enum weir_status status = weir_slots_open(&ledger->slots, destination, ret_slot);
    if (status == WEIR_EFULL) {
        free_found(ledger);
        status = weir_slots_open(&ledger->slots, destination, ret_slot);
    }
    pthread_mutex_unlock(&ledger->mutex);
    return status;
}

bool weir_ledger_slot_name(struct weir_ledger *ledger, uint32_t slot, char *ret)
{
    pthread_mutex_lock(&ledger->mutex);
    bool is_there = weir_slots_name(&ledger->slots, slot, ret);
    pthread_mutex_unlock(&ledger->mutex);
    return is_there;
}

void weir_ledger_slot_remove(struct weir_ledger *ledger, uint32_t slot)
{
    pthread_mutex_lock(&ledger->mutex);
    weir_slots_remove(&ledger->slots, slot);
    ledger->over &= ~(UINT64_C(1) << slot);
    pthread_mutex_unlock(&ledger->mutex);
}

enum weir_status weir_ledger_slot_free(struct weir_ledger *ledger, uint32_t slot)
{
    enum weir_status status = WEIR_EAGAIN;
    pthread_mutex_lock(&ledger->mutex);
    if (is_owed_nothing(ledger, slot)) {
        set_free(ledger, slot);
        status = WEIR_OK;
    }
    pthread_mutex_unlock(&ledger->mutex);
    return status;
}

void weir_ledger_roster(struct weir_ledger *ledger, uint32_t slot,
                        struct weir_frame_segment *roster)
{
    pthread_mutex_lock(&ledger->mutex);
    weir_slots_roster(&ledger->slots, slot, roster);
    pthread_mutex_unlock(&ledger->mutex);
}

uint64_t weir_ledger_mask(struct weir_ledger *ledger, const struct weir_frame_segment *roster,
                          uint64_t lsn, uint64_t owed)
{
    pthread_mutex_lock(&ledger->mutex);
    uint64_t mask = owed & WEIR_OWED_LETTER;
    for (uint64_t left = owed & ~WEIR_OWED_LETTER; left != 0; left &= left - 1) {
        uint32_t bit = (uint32_t)__builtin_ctzll(left);
        const char *name = bit < roster->name_count ? roster->names[bit] : "";
        uint32_t slot = weir_slots_found(&ledger->slots, name);
        mask |= UINT64_C(1) << slot;
        if (slot == WEIR_BACKLOG_GONE) {
            weir_ledger_nameless_add(&ledger->nameless, name, lsn);
        }
    }
    pthread_mutex_unlock(&ledger->mutex);
    return mask;
}

/* -- names of a segment's slots ------------------------------------------------------------ */

static const char *name_for(const struct weir_ledger *ledger,
                            const struct weir_frame_segment *header, uint32_t slot)
{
    if (header->name_count == 0) {
        return ledger->slots.names[slot];
    }
    return slot < header->name_count ? header->names[slot] : "";
}

static bool is_same(const struct weir_ledger *ledger, const struct weir_frame_segment *header,
                    const struct weir_ledger_names *names)
{
    bool same = true;
    for (uint32_t slot = 0; slot < WEIR_SLOTS_NAMED && same; slot++) {
        same = strncmp(names->of[slot], name_for(ledger, header, slot), WEIR_SLOTS_NAME) == 0;
    }
    return same;
}

enum weir_status weir_ledger_names_take(struct weir_ledger *ledger,
                                        const struct weir_frame_segment *header,
                                        struct weir_ledger_names **ret)
{
    struct weir_ledger_names *names = ledger->last != NULL ? ledger->last->names : NULL;
    if (names == NULL || !is_same(ledger, header, names)) {
        names = weir_mem_zalloc(1, sizeof *names);
        if (names == NULL) {
            return WEIR_ENOMEM;
        }
        for (uint32_t slot = 0; slot < WEIR_SLOTS_NAMED; slot++) {
            const char *name = name_for(ledger, header, slot);
            memcpy(names->of[slot], name, strnlen(name, WEIR_SLOTS_NAME - 1));
        }
    }
    names->refs++;
    *ret = names;
    return WEIR_OK;
}

void weir_ledger_names_give(struct weir_ledger_names *names)
{
    if (names != NULL && --names->refs == 0) {
        weir_mem_free(names);
    }
}
