/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections by source, in one table that all loops share.
 *
 *   slot   [ mark of the source, 40 bits | connections, 24 bits ]      one 64-bit atomic
 *   table  power of two, at least four slots a connection; a source lives in one of the WINDOW
 *          slots from its hash on; a slot whose count is 0 is free for anybody, whatever its mark
 *
 * Invariants
 *   I1  A ticket is a slot's number, and a slot keeps its mark while its count is not 0; so leaving
 *       is one subtraction.
 *   I2  The sum of all counts is the number of connections that entered and have not left, but for
 *       those let in uncounted.
 *
 * What is not exact, on purpose: loops that meet a source's first connections in the same moment,
 * while slots before theirs in the window become free, may each take a slot of its own, and that
 * source has its limit once for each until they are empty. And a source whose window is full of
 * others is not counted: with a quarter of the slots in use at most that hardly happens, and the
 * hash is keyed, so nobody can aim at it. connections_max bounds them all in any case.
 *
 * Each atomic is relaxed: a slot is a number and publishes nothing else. Any thread.
 */
#include "weir/sources.h"

#include "weir/hash.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdatomic.h>

#define WINDOW        16u
#define SLOTS_MIN     64u
#define SLOTS_MAX     (1u << 22)
#define COUNT_BITS    24
#define COUNT_MASK    ((UINT64_C(1) << COUNT_BITS) - 1)
#define TICKET_NONE   UINT32_MAX
#define IPV6_BYTES    8
#define ADDRESS_BYTES 16

struct weir_sources {
    uint32_t limit;
    uint32_t mask; /* slots - 1 */
    _Atomic uint64_t slots[];
};

enum weir_status weir_sources_new(uint32_t limit, uint32_t connections_max,
                                  struct weir_sources **ret)
{
    WEIR_ASSERT(limit > 0);
    uint32_t slots = SLOTS_MIN;
    while (slots < SLOTS_MAX && slots / 4 < connections_max) {
        slots *= 2;
    }
    struct weir_sources *sources =
        weir_mem_zalloc(1, sizeof *sources + slots * sizeof sources->slots[0]);
    if (sources == NULL) {
        return WEIR_ENOMEM;
    }
    sources->limit = limit < COUNT_MASK ? limit : (uint32_t)COUNT_MASK;
    sources->mask = slots - 1;
    *ret = sources;
    return WEIR_OK;
}

void weir_sources_free(struct weir_sources *sources)
{
    weir_mem_free(sources);
}

static uint64_t hash_of(const struct weir_netaddr *source)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool ipv4 = memcmp(source->ip, mapped, sizeof mapped) == 0;
    return weir_hash(weir_bytes_of(source->ip, ipv4 ? ADDRESS_BYTES : IPV6_BYTES));
}

/* The slot that has the source already, else the first free one of its window, else TICKET_NONE;
 * *ret_seen is what it held. */
static uint32_t find(struct weir_sources *sources, uint64_t hash, uint64_t *ret_seen)
{
    uint32_t free_slot = TICKET_NONE;
    for (uint32_t i = 0; i < WINDOW; i++) {
        uint32_t slot = ((uint32_t)hash + i) & sources->mask;
        /* Relaxed: a number; the exchange in weir_sources_enter checks it. */
        uint64_t seen = atomic_load_explicit(&sources->slots[slot], memory_order_relaxed);
        if ((seen & COUNT_MASK) != 0 && ((seen ^ hash) & ~COUNT_MASK) == 0) {
            *ret_seen = seen;
            return slot;
        }
        if ((seen & COUNT_MASK) == 0 && free_slot == TICKET_NONE) {
            *ret_seen = seen;
            free_slot = slot;
        }
    }
    return free_slot;
}

bool weir_sources_enter(struct weir_sources *sources, const struct weir_netaddr *source,
                        uint32_t *ret_ticket)
{
    *ret_ticket = TICKET_NONE;
    if (!source->known) {
        return true;
    }
    uint64_t hash = hash_of(source);
    for (;;) {
        uint64_t seen = 0;
        uint32_t slot = find(sources, hash, &seen);
        if (slot == TICKET_NONE) {
            return true;
        }
        uint64_t count = seen & COUNT_MASK;
        if (count >= sources->limit) {
            return false;
        }
        uint64_t next = (hash & ~COUNT_MASK) | (count + 1);
        /* Relaxed: only the number matters. */
        if (atomic_compare_exchange_strong_explicit(&sources->slots[slot], &seen, next,
                                                    memory_order_relaxed, memory_order_relaxed)) {
            *ret_ticket = slot;
            return true;
        }
    }
}

void weir_sources_leave(struct weir_sources *sources, uint32_t ticket)
{
    if (ticket == TICKET_NONE) {
        return;
    }
    /* Relaxed: only the number matters. */
    uint64_t seen = atomic_fetch_sub_explicit(&sources->slots[ticket], 1, memory_order_relaxed);
    WEIR_ASSERT((seen & COUNT_MASK) != 0);
}
