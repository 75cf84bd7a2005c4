/* SPDX-License-Identifier: Apache-2.0 */
#include "slots.h"
#include "weir/panic.h"
#include <string.h>

static uint64_t bit(uint32_t slot)
{
    return UINT64_C(1) << slot;
}

static void set_name(struct weir_slots *slots, uint32_t slot, const char *name)
{
    size_t size = strnlen(name, WEIR_SLOTS_NAME - 1);
    memset(slots->names[slot], 0, WEIR_SLOTS_NAME);
    memcpy(slots->names[slot], name, size);
}

void weir_slots_init(struct weir_slots *slots, const struct weir_spool_destination *destinations,
                     uint32_t count)
{
    WEIR_ASSERT(count <= WEIR_SLOTS_NAMED);
    *slots = (struct weir_slots){.gone = bit(WEIR_BACKLOG_GONE)};
    for (uint32_t i = 0; i < count; i++) {
        set_name(slots, i, destinations[i].name);
        slots->shares[i] = destinations[i].share;
        slots->open |= bit(i);
    }
}

/* FREE ones too. */
static bool find(const struct weir_slots *slots, struct weir_bytes name, uint32_t *ret_slot)
{
    for (uint32_t slot = 0; slot < WEIR_SLOTS_NAMED; slot++) {
        if (weir_bytes_eq(weir_bytes_str(slots->names[slot]), name)) {
            *ret_slot = slot;
            return true;
        }
    }
    return false;
}

bool weir_slots_find(const struct weir_slots *slots, struct weir_bytes name, uint32_t *ret_slot)
{
    uint32_t slot = WEIR_SPOOL_LETTER;
    if (name.size > 0 &&
        (!find(slots, name, &slot) || ((slots->open | slots->gone) & bit(slot)) == 0)) {
        return false;
    }
    *ret_slot = slot;
    return true;
}

bool weir_slots_name(const struct weir_slots *slots, uint32_t slot, char *ret)
{
    bool is_there = slot < WEIR_SLOTS_NAMED && ((slots->open | slots->gone) & bit(slot)) != 0;
    if (is_there) {
        memcpy(ret, slots->names[slot], WEIR_SLOTS_NAME);
    }
    return is_there;
}

/* A FREE slot for a name that stands nowhere; its former name goes. False: none. */
static bool take(struct weir_slots *slots, const char *name, uint32_t *ret_slot)
{
    uint64_t taken = slots->open | slots->gone;
    uint32_t slot = 0;
    while (slot < WEIR_SLOTS_NAMED && (taken & bit(slot)) != 0) {
        slot++;
    }
    if (slot == WEIR_SLOTS_NAMED) {
        return false;
    }
    set_name(slots, slot, name);
    *ret_slot = slot;
    return true;
}

enum weir_status weir_slots_open(struct weir_slots *slots,
                                 const struct weir_spool_destination *destination,
                                 uint32_t *ret_slot)
{
    struct weir_bytes name = weir_bytes_str(destination->name);
    uint32_t slot = 0;
    if (name.size == 0 || name.size >= WEIR_SLOTS_NAME) {
        return WEIR_EINVAL;
    }
    if (!find(slots, name, &slot) && !take(slots, destination->name, &slot)) {
        return WEIR_EFULL;
    }
    slots->shares[slot] = destination->share;
    slots->open |= bit(slot);
    slots->gone &= ~bit(slot);
    slots->found &= ~bit(slot);
    *ret_slot = slot;
    return WEIR_OK;
}

uint32_t weir_slots_found(struct weir_slots *slots, const char *name)
{
    uint32_t slot = WEIR_BACKLOG_GONE;
    if (name[0] == '\0') {
        return slot;
    }
    if (find(slots, weir_bytes_str(name), &slot)) {
        return slot;
    }
    if (!take(slots, name, &slot)) {
        return WEIR_BACKLOG_GONE;
    }
    slots->gone |= bit(slot);
    slots->found |= bit(slot);
    return slot;
}

void weir_slots_remove(struct weir_slots *slots, uint32_t slot)
{
    WEIR_ASSERT(slot < WEIR_SLOTS_NAMED);
    WEIR_ASSERT(((slots->open | slots->gone) & bit(slot)) != 0);
    slots->open &= ~bit(slot);
    slots->gone |= bit(slot);
    slots->shares[slot] = 0;
}

void weir_slots_free(struct weir_slots *slots, uint32_t slot)
{
    WEIR_ASSERT(slot < WEIR_SLOTS_NAMED);
    WEIR_ASSERT(weir_slots_is_gone(slots, slot));
    slots->gone &= ~bit(slot);
    slots->found &= ~bit(slot);
}

void weir_slots_roster(const struct weir_slots *slots, uint32_t slot,
                       struct weir_frame_segment *roster)
{
    _Static_assert(sizeof roster->names == (size_t)WEIR_SLOTS_NAMED * WEIR_SLOTS_NAME, "the same");
    WEIR_ASSERT(slot < WEIR_SLOTS_NAMED);
    uint32_t count = roster->name_count > slot + 1 ? roster->name_count : slot + 1;
    memcpy(roster->names, slots->names, (size_t)count * WEIR_SLOTS_NAME);
    roster->name_count = count;
}
