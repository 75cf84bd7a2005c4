/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_BOOKED_H
#define WEIR_BENCH_BOOKED_H

#include "weir/bytes.h"
#include "weir/status.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * What a receiver has of each numbered point, and the comparison with what a sender was promised.
 *
 *   count[slot]   how often it came with a batch that was booked, saturating at 65,535
 *   again[slot]   of these, how often it came again after an answer for it had been lost: a
 *                 repetition that nobody could avoid
 *   refused[slot] how often it was refused for good (partial success, 400): not booked, and not
 *                 to be sent again, so that its absence is the receiver's own doing
 *
 * A slot is a point's number; or, where points come in parts (a Summary as gauges), the number
 * times WEIR_BOOKED_PARTS and the part's place. A point has come as often as the part of it that
 * came least, is missing when a part is, and duplicated when a part is.
 *
 *   verdict of a point that was accepted `a` times, and perhaps `u` times more (its sender never
 *   had an answer), and arrived r times, l of them after a lost answer, and was refused f times:
 *       r - l < a       refused where r - l + f >= a, else missing
 *       r > a + u + l   duplicated
 *       else            exactly as promised
 *
 * (With a above 1 a repetition must not stand in for a copy that was lost. The price: one lost
 * answer whose batch was never sent again, but another copy of the point was, looks like a loss.)
 *
 * Booking a batch is all or nothing and is done by one thread at a time (the sink's lock).
 */
struct weir_booked_counts {
    uint64_t points;   /* booked, repetitions among them, whole; and what is wrong */
    uint64_t distinct; /* numbers that came at all, whole */
    uint64_t repeated; /* came again after a lost answer, whole */
    uint64_t wrong;    /* of no number of this world, or not the bytes that belong to it */
    uint64_t refused;  /* refused for good, in whole or in part, a point each time */
};

enum { WEIR_BOOKED_PARTS = 8 };

/* Which parts a point has: bits below WEIR_BOOKED_PARTS, one at least. Asked under the caller's
 * lock, of numbers that were booked or refused and of those below them. */
struct weir_booked_parts {
    unsigned (*of)(const void *argument, uint64_t number);
    const void *argument;
};

/* What a sender says of the numbers [first, first + count). */
struct weir_booked_range {
    uint64_t first;
    uint64_t count;
    uint32_t accepted; /* times answered 200 */
    uint32_t unsure;   /* times sent without ever having an answer */
};

enum { WEIR_BOOKED_EXAMPLES_MAX = 20 };

struct weir_booked_verdict {
    uint64_t expected;   /* arrivals that the sender was promised */
    uint64_t missing;    /* points that came less often */
    uint64_t refused;    /* points that came less often, because they were refused for good */
    uint64_t duplicated; /* points that came more often */
    uint64_t repeated;
    uint64_t wrong;
    uint64_t unpromised; /* arrivals of points that no range names */
    uint32_t examples;   /* numbers of points that are missing, duplicated or unpromised */
    uint64_t example[WEIR_BOOKED_EXAMPLES_MAX];
};

struct weir_booked;

/* Empty accounts for numbers below `limit` (address space is reserved, memory used as needed), of
 * points that come whole, or in `parts` (NULL: whole). WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status
weir_booked_new(uint64_t limit, const struct weir_booked_parts *parts, struct weir_booked **ret);
/* NULL is nothing. */
void weir_booked_free(struct weir_booked *booked);

/* Books one arrival of a slot (UINT64_MAX, or above the limit: wrong). `answer_is_lost`: the
 * sender will not know, so that the next arrival of this slot is a repetition. Returns which
 * arrival of the slot it was, from 1 (0: wrong). */
uint32_t weir_booked_add(struct weir_booked *booked, uint64_t slot, bool answer_is_lost);

/* Books that the answer to the arrival `ordinal` of a slot was lost after all: whoever waited for
 * it had gone. The next arrival, or the one that came since, is a repetition. */
void weir_booked_lose(struct weir_booked *booked, uint64_t slot, uint32_t ordinal);

/* Books that a slot was refused for good. One that is unknown is no more than counted. */
void weir_booked_refuse(struct weir_booked *booked, uint64_t slot);

/* Totals so far. */
struct weir_booked_counts weir_booked_counts(const struct weir_booked *booked);

/* Compares with what the sender says; ranges may overlap, which adds them up. O(numbers
 * that came). WEIR_ENOMEM; WEIR_EINVAL for a range that passes the last 64-bit number. */
WEIR_MUST_USE enum weir_status weir_booked_verdict(const struct weir_booked *booked,
                                                   const struct weir_booked_range *ranges,
                                                   size_t count, struct weir_booked_verdict *ret);

#endif
