/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BASE_ROW_INTERNAL_H
#define WEIR_BASE_ROW_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A row of idle things, which pools and the cache of regions share: atomic slots, with a hint where
 * the last change was.
 *
 *   slots [ 0 | idle | idle | idle | 0 | 0 | 0 ]
 *                             ^ hint
 *
 * Take looks from the hint downwards and exchanges a slot that is not NULL with NULL; put looks
 * from the hint upwards and swaps NULL for its thing. Used by one thread this is a stack, O(1) and
 * warm in the cache; with several threads the hint is only a place to begin, and a search is at
 * worst the length of the row. A list with a head pointer would be shorter to search but has the
 * ABA problem. Any thread.
 */
struct weir_row {
    _Atomic(void *) *slots;
    uint32_t count;
    _Atomic uint32_t hint;
    _Atomic uint32_t idle; /* at least what is in slots */
};

/* Something idle, now the caller's, or NULL: none was seen. */
static inline void *weir_row_take(struct weir_row *row)
{
    /* Relaxed, as all but the exchange: hint and counter order nothing. */
    if (atomic_load_explicit(&row->idle, memory_order_relaxed) == 0) { /* spares the search */
        return NULL;
    }
    uint32_t at = atomic_load_explicit(&row->hint, memory_order_relaxed);
    for (uint32_t i = 0; i < row->count; i++) {
        _Atomic(void *) *slot = &row->slots[at];
        if (atomic_load_explicit(slot, memory_order_relaxed) != NULL) { /* only worth a try */
            /* acquire: pairs with the release in weir_row_put, so that the taker sees the thing as
             * its last user left it */
            void *thing = atomic_exchange_explicit(slot, NULL, memory_order_acquire);
            if (thing != NULL) {
                atomic_store_explicit(&row->hint, at, memory_order_relaxed);
                atomic_fetch_sub_explicit(&row->idle, 1, memory_order_relaxed);
                return thing;
            }
        }
        at = at == 0 ? row->count - 1 : at - 1;
    }
    return NULL;
}

/* True: it is the row's. False: the row is full, and it is still the caller's. */
static inline bool weir_row_put(struct weir_row *row, void *thing)
{
    /* Relaxed: the counter only bounds the search; the slots carry the thing. */
    if (atomic_fetch_add_explicit(&row->idle, 1, memory_order_relaxed) < row->count) {
        uint32_t at = atomic_load_explicit(&row->hint, memory_order_relaxed); /* a hint */
        for (uint32_t i = 0; i < row->count; i++) {
            void *empty = NULL;
            /* release: pairs with the acquire in weir_row_take; a failed swap learns nothing */
            if (atomic_load_explicit(&row->slots[at], memory_order_relaxed) == NULL &&
                atomic_compare_exchange_strong_explicit(
                    &row->slots[at], &empty, thing, memory_order_release, memory_order_relaxed)) {
                atomic_store_explicit(&row->hint, at, memory_order_relaxed);
                return true;
            }
            at = at + 1 == row->count ? 0 : at + 1;
        }
    }
    atomic_fetch_sub_explicit(&row->idle, 1, memory_order_relaxed);
    return false;
}

#endif
