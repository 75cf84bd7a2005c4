/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SPOOL_SLOTS_H
#define WEIR_SPOOL_SLOTS_H

#include "weir/backlog.h"
#include "weir/bytes.h"
#include "weir/frame.h"
#include "weir/spool.h"

/*
 * Which destination has which slot: the bit of its name in `owed`, for as long as it is owed
 * anything.
 *
 *   FREE ──open──► OPEN ──remove──► GONE ──free──► FREE
 *                    ▲                │ ▲
 *                    └──────open──────┘ └── found: a name of a roster that nobody configured
 *
 *   0 .. 61   named
 *   62        GONE for ever: names that were found when no slot was left for them; itself unnamed
 *   63        the dead letter; in no state, unnamed
 *
 *   I1  a name stands in one slot at most, FREE ones included: they keep theirs until another name
 *       takes the slot, and a name that comes back gets its old slot while that is so
 *   I2  no slot below a named one is without a name
 *
 * A table and nothing more: whoever has it has the lock.
 */
enum { WEIR_SLOTS_NAMED = 62, WEIR_SLOTS = 64, WEIR_SLOTS_NAME = 65 };

struct weir_slots {
    char names[WEIR_SLOTS][WEIR_SLOTS_NAME];
    uint64_t shares[WEIR_SLOTS];
    uint64_t open, gone; /* by slot; in neither: FREE */
    uint64_t found;      /* GONE since the start, so that nobody knows to free them */
};

/* The first `count` (at most 62) are OPEN. */
void weir_slots_init(struct weir_slots *slots, const struct weir_spool_destination *destinations,
                     uint32_t count);

/* The slot, not FREE, that has this name. "" is the dead letter's. False: none. */
bool weir_slots_find(const struct weir_slots *slots, struct weir_bytes name, uint32_t *ret_slot);

/* OPEN, with this share: the slot that has the name, or else a FREE one. WEIR_EFULL; WEIR_EINVAL: a
 * name must have 1 to 64 bytes. */
WEIR_MUST_USE enum weir_status weir_slots_open(struct weir_slots *slots,
                                               const struct weir_spool_destination *destination,
                                               uint32_t *ret_slot);

/* A name of a roster: its slot, or one that is GONE from now on; 62 where none is left. */
uint32_t weir_slots_found(struct weir_slots *slots, const char *name);

/* Copies the name of a slot below 62 that is not FREE; false: it is. */
bool weir_slots_name(const struct weir_slots *slots, uint32_t slot, char *ret);

/* OPEN or GONE, then GONE; GONE, then FREE. */
void weir_slots_remove(struct weir_slots *slots, uint32_t slot);
void weir_slots_free(struct weir_slots *slots, uint32_t slot);

/* The names of slots 0 to `slot`, and of those that the roster has already. */
void weir_slots_roster(const struct weir_slots *slots, uint32_t slot,
                       struct weir_frame_segment *roster);

static inline bool weir_slots_is_open(const struct weir_slots *slots, uint32_t slot)
{
    return (slots->open >> slot & 1) != 0;
}

static inline bool weir_slots_is_gone(const struct weir_slots *slots, uint32_t slot)
{
    return (slots->gone >> slot & 1) != 0;
}

#endif
