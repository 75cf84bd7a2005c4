/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_REGION_H
#define WEIR_REGION_H

#include "weir/status.h"
#include <stddef.h>
#include <stdint.h>

/*
 * Large blocks of memory (a body, an arena's chunk, an encoded batch), kept for the next user.
 *
 * Sizes are rounded up to a multiple of 4 KiB, and then to a class: four classes to each doubling
 * from 16 KiB to 512 MiB, so beyond that at most a fifth of a region is slack. A freed region goes
 * into its class's row of slots, from where the next request for that class takes it; no allocator
 * call is made while rows have what is asked for. Below 1 MiB several are made at once: pages that
 * nobody has written to.
 *
 *   class 64 KiB  [ ptr | 0 | ptr | 0 ]      a slot is one atomic pointer:
 *   class 80 KiB  [ 0 | 0 | 0 | 0 ]          take = exchange with NULL,
 *                                            give = compare-and-swap from NULL. No list, so no ABA.
 *
 * Idle bytes never pass `idle_limit`: what would is given back at once. Beyond it they are kept
 * while they and the bytes in use together stay under the warm total, which only a new region could
 * pass, and that first takes idle ones' place. So a cache that works on little keeps all of it
 * warm, and one that works on much keeps little beside. Of what is given back below 1 MiB the
 * addresses stay, without memory, so that a peak that was there before is no allocation again, only
 * its pages are cleared anew. Lock-free; any thread may free what another took. In sanitizer builds
 * idle regions are poisoned.
 *
 * tidy: allow header-functions -- a cache's life, its two uses, and what gauges and tests ask
 */
struct weir_regions;

struct weir_region {
    uint8_t *data;   /* aligned to 4 KiB; contents undefined */
    size_t capacity; /* the class's size, at least what was asked for */
};

#define WEIR_REGION_SIZE_MAX ((size_t)512 << 20)

/* Makes an empty cache that may hold `idle_limit` idle bytes. WEIR_ENOMEM.
 * (weir_regions_* is about the cache: tidy: allow header-prefix -- the plural says so.) */
WEIR_MUST_USE enum weir_status weir_regions_new(size_t idle_limit, struct weir_regions **ret);

/* Sets the warm total (bytes; 0 at first: none). Before any region was taken (asserted), and before
 * any other thread knows the cache.
 * (tidy: allow header-prefix -- the plural, as above) */
void weir_regions_keep_warm(struct weir_regions *regions, size_t total);

/* Gives every idle region back. All regions must have been freed (asserted). NULL is nothing.
 * (tidy: allow header-prefix -- the plural, as above) */
void weir_regions_free(struct weir_regions *regions);

/* A region of at least `size` bytes (1..WEIR_REGION_SIZE_MAX). WEIR_ENOMEM, once the addresses that
 * were kept have been given back and that did not help; WEIR_ELIMIT above the maximum. */
WEIR_MUST_USE enum weir_status weir_region_take(struct weir_regions *regions, size_t size,
                                                struct weir_region *ret);

/* Gives a region back. A zeroed struct is nothing. The struct is zeroed. */
void weir_region_give(struct weir_regions *regions, struct weir_region *region);

/* The capacity that a region for `size` would have, to be charged before it is taken. */
size_t weir_region_capacity(size_t size);

/* Bytes now idle in the cache (without those that have no memory behind them), and bytes now out
 * with users. Relaxed reads.
 * (tidy: allow header-prefix -- the plural, as above) */
size_t weir_regions_idle(const struct weir_regions *regions);
size_t weir_regions_taken(const struct weir_regions *regions);

/* Asserts the cache's invariants, for tests. Only while no other thread uses it.
 * (tidy: allow header-prefix -- the plural, as above) */
void weir_regions_validate(const struct weir_regions *regions);

#endif
