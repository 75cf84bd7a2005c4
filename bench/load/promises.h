/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_PROMISES_H
#define WEIR_LOAD_PROMISES_H

#include "weir/buf.h"

/*
 * What the load generator says of the points it sent: how often each range of numbers was answered
 * 200 (accepted), and how often a request of it never had an answer that tells (unsure). The sink
 * compares that with what arrived.
 *
 *   add (in any order, overlaps add up in the sink) ─► print: sorted, neighbours that say the same
 *   are one ─► {"ranges":[[first,count,accepted,unsure],...]}
 *
 * One thread at a time.
 */
struct weir_load_promise {
    uint64_t first;
    uint64_t count;
    uint32_t accepted;
    uint32_t unsure;
};

struct weir_load_promises {
    struct weir_load_promise *all;
    size_t count;
    size_t capacity;
};

/* Adds one; nothing when neither accepted nor unsure. WEIR_ENOMEM. A zeroed struct is empty. */
WEIR_MUST_USE enum weir_status weir_load_promises_add(struct weir_load_promises *promises,
                                                      struct weir_load_promise promise);

/* Adds all of `other`. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_load_promises_merge(struct weir_load_promises *promises,
                                                        const struct weir_load_promises *other);

/* Arrivals that are promised for certain: the sum of count x accepted. */
uint64_t weir_load_promises_points(const struct weir_load_promises *promises);

/* Sorts them, and appends the request's body for the sink. */
void weir_load_promises_print(struct weir_load_promises *promises, struct weir_buf *out);

/* Gives the memory back. */
void weir_load_promises_done(struct weir_load_promises *promises);

#endif
