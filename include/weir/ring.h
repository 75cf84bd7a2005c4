/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_RING_H
#define WEIR_RING_H

#include "weir/status.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * Bounded ring of pointers for many producers and one consumer, with credit apart from position.
 *
 *   head (consumer writes)        tail (producers claim)
 *     v                             v
 *   [ . . . | item item item item | . . . . . ]   slots = power of two, an empty slot is NULL
 *
 *   I1  0 <= tail - head <= slots
 *   I2  a non-NULL slot in [head, tail) belongs to the consumer, every other slot to the producers
 *   I3  free credits + credits out + (tail - head) = slots
 *
 * A producer first reserves credits, for as many items as it will push; that may fail and costs
 * nothing to undo. A push with a credit cannot fail and never waits: a claimed slot is empty
 * because the credit that pays for it came back only after the consumer had emptied a slot. So a
 * request takes credit in every ring it will enter, and only then publishes: all or nothing,
 * without locks.
 *
 * A consumer that finds the slot at head still NULL although tail has moved has met a producer
 * between claim and store; it stops there and comes back.
 */
struct weir_ring;

/* Makes a ring of `slots` (a power of two, 2..2^20). WEIR_ENOMEM or WEIR_EINVAL, *ret untouched. */
WEIR_MUST_USE enum weir_status weir_ring_new(uint32_t slots, struct weir_ring **ret);

/* Frees the ring; it must be empty and no credit out (asserted). NULL is nothing. */
void weir_ring_free(struct weir_ring *ring);

/* Takes `count` credits: WEIR_OK or WEIR_EFULL with nothing taken. Lock-free; any thread. */
WEIR_MUST_USE enum weir_status weir_ring_reserve(struct weir_ring *ring, uint32_t count);

/* Gives back `count` credits that will not be used. Any thread. */
void weir_ring_cancel(struct weir_ring *ring, uint32_t count);

/* Pushes one item (not NULL), spending one credit. Wait-free; any thread. */
void weir_ring_push(struct weir_ring *ring, void *item);

/* Asks the memory for where the next push would go, for who will push into many rings and waits for
 * none of them. What it looks at itself is the ring's first line, which is all that reserve and the
 * rest of push touch; at touches the second, and pop both: it gives the credit back. Any thread.
 * tidy: allow header-functions -- a push in two steps */
void weir_ring_ask(const struct weir_ring *ring);

/* Takes the oldest item, or NULL when there is none yet. The consumer only. */
void *weir_ring_pop(struct weir_ring *ring);

/* The slot of the `index`-th oldest item (0 = next to pop), or NULL when that is not published yet.
 * The consumer only; it may replace the item there by another non-NULL one until it pops it. */
void **weir_ring_at(struct weir_ring *ring, uint32_t index);

/* Items claimed and not yet popped. Exact for the consumer when producers are
 * quiet; else a hint. */
uint32_t weir_ring_count(const struct weir_ring *ring);

#endif
