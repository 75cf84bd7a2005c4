/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_POOL_H
#define WEIR_POOL_H

#include "weir/status.h"
#include <stddef.h>
#include <stdint.h>

/*
 * A cache of equal small objects (arenas, batches, requests): a row of atomic slots as in
 * weir/region.h. An object comes back with the bytes it was given with, so what it owns inside
 * (grown arrays) survives and is reused. New ones are made several at a time, so that a peak is few
 * allocations. Lock-free; any thread may give what another took.
 */
struct weir_pool;

/* Makes a pool of objects of `size` bytes that keeps up to `idle_max` of them (1..65536). `done`,
 * if not NULL, is called on an object before its memory is freed; it may be one that nobody ever
 * took, all zero. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_pool_new(size_t size, uint32_t idle_max, void (*done)(void *),
                                             struct weir_pool **ret);

/* Frees all idle objects; none may be out (asserted). NULL is nothing. */
void weir_pool_free(struct weir_pool *pool);

/* A zeroed new object, or an idle one as it was given. NULL when memory is out. */
void *weir_pool_take(struct weir_pool *pool) __attribute__((warn_unused_result));

/* Gives an object back. NULL is nothing. */
void weir_pool_give(struct weir_pool *pool, void *object);

/* Objects that wait in the pool now, those that were made ahead too. Relaxed. */
uint32_t weir_pool_idle(const struct weir_pool *pool);

/* Objects out with users now, and the most there ever were. Relaxed. */
uint32_t weir_pool_taken(const struct weir_pool *pool);
uint32_t weir_pool_taken_max(const struct weir_pool *pool);

#endif
