/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CREDIT_H
#define WEIR_CREDIT_H

#include "weir/arena.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A shared budget of bytes: taken before the work, given back exactly once after it. Never waits.
 *
 *   I1  used <= limit, except for what weir_credit_force took
 *   I2  everything taken is given back (asserted by weir_credit_done)
 *
 * The struct is in its owner's memory; its counters are on their own cache line.
 */
struct weir_credit {
    _Alignas(64) _Atomic size_t used;
    _Atomic size_t used_max;
    size_t limit;
};

/* Sets the budget's size. Before any thread uses it. */
void weir_credit_init(struct weir_credit *credit, size_t limit);

/* Asserts that everything was given back. After the last thread has used it. */
void weir_credit_done(const struct weir_credit *credit);

/* Takes `bytes`: true, or false with nothing taken. Lock-free; any thread. */
__attribute__((warn_unused_result)) bool weir_credit_take(struct weir_credit *credit, size_t bytes);

/* Takes `bytes` even past the limit, for memory that exists already and must be accounted. Any
 * thread. */
void weir_credit_force(struct weir_credit *credit, size_t bytes);

/* Gives `bytes` back; giving more than is used is our bug (asserted). Any thread. */
void weir_credit_give(struct weir_credit *credit, size_t bytes);

/* Bytes taken now, and the most there ever were. Relaxed. */
size_t weir_credit_used(const struct weir_credit *credit);
size_t weir_credit_used_max(const struct weir_credit *credit);

/* This credit as what pays for an arena (weir/arena.h). The credit must outlive the arena. */
struct weir_arena_budget weir_credit_budget(struct weir_credit *credit);

#endif
