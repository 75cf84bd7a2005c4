/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destinations that come and go while the spool runs.
 *
 *   open ─► slot in the ledger ─► roster_next, roster_changes ─► returns ─► jobs with its bit
 *                                        │                                        │
 *                                        └── acquire, before each commit ◄── lane ┘
 *                                            renamed = slots that the active segment's roster
 *                                                      names otherwise, or not at all
 *
 *   I1  a job with a slot's bit comes to the lane after the open that gave it its name, so the lane
 *       has seen that name when it writes the job: roster_changes is released before the open
 *       returns, and whoever decided the job had the slot from that
 *   I2  a record is never written with the bit of a slot in `renamed` (lane_write.c): the segment
 *       is sealed first. A commit that owes nothing to a renamed slot goes where it would have gone
 *   I3  a name that comes back to its slot changes nothing, so nothing is sealed for it
 *
 * Threads: any, one after another (slots_lock); the lane takes the lock when something has changed,
 * for a copy of 4 KiB. Full: WEIR_EFULL, nothing has changed.
 */
#include "spool_internal.h"
#include <string.h>

void weir_spool_slots_init(struct weir_spool *spool, const struct weir_spool_options *options)
{
    struct weir_frame_segment *roster = &spool->roster_next;
    weir_slots_init(&spool->slots, options->destinations, options->destination_count);
    roster->version = spool->version;
    if (options->destination_count > 0) {
        weir_slots_roster(&spool->slots, options->destination_count - 1, roster);
    }
    spool->lane.roster = *roster;
}

static bool is_named(const struct weir_frame_segment *roster, uint32_t slot, const char *name)
{
    return slot < roster->name_count &&
           strncmp(roster->names[slot], name, sizeof roster->names[slot]) == 0;
}

/* The roster names the slot so. */
static void change_roster(struct weir_spool *spool, uint32_t slot, const char *name)
{
    if (spool->durability != WEIR_DURABILITY_DISK || is_named(&spool->roster_next, slot, name)) {
        return; /* I3 */
    }
    weir_ledger_roster(spool->ledger, slot, &spool->roster_next);
    /* release: pairs with the acquire in weir_spool_roster_follow */
    atomic_fetch_add_explicit(&spool->roster_changes, 1, memory_order_release);
}

enum weir_status weir_spool_destination_open(struct weir_spool *spool,
                                             const struct weir_spool_destination *destination,
                                             uint32_t *ret_slot)
{
    spool_lock(&spool->slots_lock);
    enum weir_status status = spool->ledger != NULL
                                  ? weir_ledger_slot_open(spool->ledger, destination, ret_slot)
                                  : weir_slots_open(&spool->slots, destination, ret_slot);
    if (status == WEIR_OK) {
        change_roster(spool, *ret_slot, destination->name);
    }
    spool_unlock(&spool->slots_lock);
    return status;
}

bool weir_spool_destination_name(struct weir_spool *spool, uint32_t slot, char *ret)
{
    spool_lock(&spool->slots_lock);
    bool is_there = spool->ledger != NULL ? weir_ledger_slot_name(spool->ledger, slot, ret)
                                          : weir_slots_name(&spool->slots, slot, ret);
    spool_unlock(&spool->slots_lock);
    return is_there;
}

void weir_spool_destination_remove(struct weir_spool *spool, uint32_t slot)
{
    spool_lock(&spool->slots_lock);
    if (spool->ledger != NULL) {
        weir_ledger_slot_remove(spool->ledger, slot);
    } else {
        weir_slots_remove(&spool->slots, slot);
    }
    spool_unlock(&spool->slots_lock);
}

enum weir_status weir_spool_destination_free(struct weir_spool *spool, uint32_t slot)
{
    enum weir_status status = WEIR_OK;
    spool_lock(&spool->slots_lock);
    if (spool->ledger != NULL) {
        status = weir_ledger_slot_free(spool->ledger, slot);
    } else {
        weir_slots_free(&spool->slots, slot);
    }
    spool_unlock(&spool->slots_lock);
    return status;
}

void weir_spool_roster_follow(struct weir_spool *spool)
{
    struct weir_spool_lane *lane = &spool->lane;
    /* acquire: pairs with the release in change_roster */
    uint64_t changes = atomic_load_explicit(&spool->roster_changes, memory_order_acquire);
    if (changes == lane->roster_seen) {
        return;
    }
    spool_lock(&spool->slots_lock);
    lane->roster = spool->roster_next; /* of this change, or a later one */
    spool_unlock(&spool->slots_lock);
    lane->roster_seen = changes;
    lane->renamed = 0;
    for (uint32_t slot = 0; slot < lane->roster.name_count && spool->active_account != NULL;
         slot++) {
        bool same = is_named(&spool->active.header, slot, lane->roster.names[slot]);
        lane->renamed |= (uint64_t)!same << slot;
    }
}
