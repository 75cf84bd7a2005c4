/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring: see weir/ring.h for the picture and I1 to I3.
 *
 * Head and tail are free-running 32-bit counts; slot = count & mask; they wrap together, and since
 * slots is at most 2^20 their difference is never ambiguous. What producers write has a cache line,
 * and what the consumer writes another; the mask, which is only read, is in both. A request of a
 * thousand namespaces goes through a thousand rings, each long out of every cache: what counts
 * there is how many lines a push or a pop has to wait for.
 *
 *                     producer                                        consumer
 *   reserve   credits -= n       (acquire)  ◄── C ──   pop   slot = NULL      (relaxed)
 *   push      t = tail++         (acq_rel)                   head++           (relaxed)
 *             slot[t] = item     (release)  ── S ──►         credits += 1     (release)
 *                                                      at    slot, head + i   (acquire)
 *
 * Why a claimed slot is empty, also on machines that reorder. Let a producer claim position t >=
 * slots. Every claim up to t was paid by a reserve of its own, before it in its thread; tail++ is
 * acq_rel and the tail is only ever changed by such steps, so all those reserves happen before this
 * claim. Take the last of them in the order of changes to `credits`: up to it at least t + 1
 * credits were spent for good, there were `slots` at the start, and the count was never negative,
 * so at least t + 1 - slots pops had given theirs back before it. Changes to `credits` are all
 * read-modify-writes, so each of those releases is acquired by that reserve (edge C). The pop of
 * position t - slots is among them, since one consumer pops in order, and its slot = NULL is
 * sequenced before its release. So slot = NULL happens before slot[t] = item. A relaxed tail++
 * would not do: the producer that was paid by the late pop need not be the one that gets the late
 * slot.
 *
 * Why a popped item is whole: edge S, from the store of the item to the load that finds it not
 * NULL.
 *
 * A slot is a plain pointer accessed by the compilers' atomic builtins, not an _Atomic one, because
 * a published slot belongs to the consumer alone, who may change it in place (weir_ring_at).
 *
 * Threads: reserve, cancel, push and count from any; pop and at from the one consumer. Full:
 * reserve says WEIR_EFULL. Slow consumer: the same, later. A producer that dies between claim and
 * store would stop the ring; ours do not die alone. Deliberately no blocking and no wake-up: that
 * is weir/wake.h.
 */
#include "weir/ring.h"
#include "ring_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

enum { CACHE_LINE = 64, SLOTS_MIN = 2, SLOTS_MAX = 1 << 20 };

struct weir_ring {
    _Alignas(CACHE_LINE) _Atomic uint32_t credits; /* free ones; the consumer gives them back */
    _Atomic uint32_t tail;                         /* the next position to claim */
    uint32_t mask;
    _Alignas(CACHE_LINE) _Atomic uint32_t head; /* the next position to pop; the consumer writes */
    uint32_t own_mask;                          /* the consumer's */
    _Alignas(CACHE_LINE) void *slots[];
};
_Static_assert(offsetof(struct weir_ring, head) == CACHE_LINE, "as weir/ring.h says");

/* The slots' three accesses. Builtins, for what the essay says of slots. */

/* Edge S, pairs with publish_slot. */
static void *read_slot(void *const *slot)
{
    /* tidy: allow atomics -- acquire, on a plain pointer */
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

/* Edge S, pairs with read_slot. */
static void publish_slot(void **slot, void *item)
{
    /* tidy: allow atomics -- release, on a plain pointer */
    __atomic_store_n(slot, item, __ATOMIC_RELEASE);
}

/* Published to the slot's next producer by the release on credits that follows (edge C). */
static void clear_slot(void **slot)
{
    /* tidy: allow atomics -- relaxed, on a plain pointer */
    __atomic_store_n(slot, NULL, __ATOMIC_RELAXED);
}

enum weir_status weir_ring_new(uint32_t slots, struct weir_ring **ret)
{
    if (slots < SLOTS_MIN || slots > SLOTS_MAX || (slots & (slots - 1)) != 0) {
        return WEIR_EINVAL;
    }
    size_t size = sizeof(struct weir_ring) + (size_t)slots * sizeof(void *);
    struct weir_ring *ring = weir_mem_aligned(CACHE_LINE, size);
    if (ring == NULL) {
        return WEIR_ENOMEM;
    }
    memset(ring, 0, size);
    atomic_init(&ring->credits, slots);
    atomic_init(&ring->tail, 0);
    atomic_init(&ring->head, 0);
    ring->mask = slots - 1;
    ring->own_mask = slots - 1;
    *ret = ring;
    return WEIR_OK;
}

void weir_ring_free(struct weir_ring *ring)
{
    if (ring == NULL) {
        return;
    }
    weir_ring_validate(ring, 0);
    WEIR_ASSERT(weir_ring_count(ring) == 0);
    weir_mem_free(ring);
}

enum weir_status weir_ring_reserve(struct weir_ring *ring, uint32_t count)
{
    /* relaxed: the swap below is what counts */
    uint32_t credits = atomic_load_explicit(&ring->credits, memory_order_relaxed);
    do {
        if (count > credits) {
            return WEIR_EFULL;
        }
        /* acquire: edge C, pairs with the release in weir_ring_pop */
    } while (!atomic_compare_exchange_weak_explicit(&ring->credits, &credits, credits - count,
                                                    memory_order_acquire, memory_order_relaxed));
    return WEIR_OK;
}

void weir_ring_cancel(struct weir_ring *ring, uint32_t count)
{
    /* relaxed: no slot was touched; as a read-modify-write it does not break edge C of pops before
     * it */
    uint32_t before = atomic_fetch_add_explicit(&ring->credits, count, memory_order_relaxed);
    WEIR_ASSERT(before <= ring->mask + 1 - count);
}

void weir_ring_push(struct weir_ring *ring, void *item)
{
    WEIR_ASSERT(item != NULL);
    /* acq_rel: pairs with itself in the other producers (see the essay) */
    uint32_t tail = atomic_fetch_add_explicit(&ring->tail, 1, memory_order_acq_rel);
    void **slot = &ring->slots[tail & ring->mask];
    WEIR_DCHECK(read_slot(slot) == NULL);
    publish_slot(slot, item);
}

void weir_ring_ask(const struct weir_ring *ring)
{
    /* relaxed: a guess; others may push meanwhile */
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    __builtin_prefetch(&ring->slots[tail & ring->mask], 1);
}

void **weir_ring_at(struct weir_ring *ring, uint32_t index)
{
    if (index > ring->own_mask) {
        return NULL;
    }
    /* relaxed: only this thread writes head */
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    void **slot = &ring->slots[(head + index) & ring->own_mask];
    return read_slot(slot) == NULL ? NULL : slot;
}

void *weir_ring_pop(struct weir_ring *ring)
{
    void **slot = weir_ring_at(ring, 0);
    if (slot == NULL) {
        return NULL;
    }
    void *item = *slot;
    clear_slot(slot);
    /* relaxed, both: only this thread writes head, others read it as a hint */
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    atomic_store_explicit(&ring->head, head + 1, memory_order_relaxed);
    /* release: edge C, pairs with the acquire in weir_ring_reserve */
    uint32_t before = atomic_fetch_add_explicit(&ring->credits, 1, memory_order_release);
    WEIR_ASSERT(before <= ring->own_mask);
    return item;
}

uint32_t weir_ring_count(const struct weir_ring *ring)
{
    /* relaxed: a hint. Head first: tail only grows, so the difference is not negative; it may be
     * too large when both moved in between. */
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t count = atomic_load_explicit(&ring->tail, memory_order_relaxed) - head;
    return count > ring->mask + 1 ? ring->mask + 1 : count;
}

void weir_ring_validate(const struct weir_ring *ring, uint32_t credits_out)
{
    uint32_t slots = ring->mask + 1;
    WEIR_ASSERT(ring->own_mask == ring->mask);
    /* acquire: sees what the last producer left */
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t credits = atomic_load_explicit(&ring->credits, memory_order_acquire);
    WEIR_ASSERT(tail - head <= slots);
    WEIR_ASSERT(credits <= slots);
    WEIR_ASSERT(credits + credits_out + (tail - head) == slots);
    for (uint32_t i = 0; i < slots; i++) {
        const void *item = read_slot(&ring->slots[(head + i) & ring->mask]);
        WEIR_ASSERT((item != NULL) == (i < tail - head));
    }
}
