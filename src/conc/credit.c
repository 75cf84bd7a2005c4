/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/credit.h"
#include "weir/panic.h"
#include <stdatomic.h>

/* All orders are relaxed. A budget guards no data: whoever takes from it makes its own memory
 * visible by other means (a ring, a queue); the counter only has to add up, and every change is one
 * atomic step. */

void weir_credit_init(struct weir_credit *credit, size_t limit)
{
    atomic_init(&credit->used, 0);
    atomic_init(&credit->used_max, 0);
    credit->limit = limit;
}

void weir_credit_done(const struct weir_credit *credit)
{
    WEIR_ASSERT(weir_credit_used(credit) == 0);
}

static void note_most(struct weir_credit *credit, size_t used)
{
    size_t most = atomic_load_explicit(&credit->used_max, memory_order_relaxed);
    while (used > most &&
           !atomic_compare_exchange_weak_explicit(&credit->used_max, &most, used,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

bool weir_credit_take(struct weir_credit *credit, size_t bytes)
{
    size_t used = atomic_load_explicit(&credit->used, memory_order_relaxed);
    do {
        /* `used` may be past the limit (weir_credit_force): compare before subtracting */
        if (used > credit->limit || bytes > credit->limit - used) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&credit->used, &used, used + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    note_most(credit, used + bytes);
    return true;
}

void weir_credit_force(struct weir_credit *credit, size_t bytes)
{
    size_t before = atomic_fetch_add_explicit(&credit->used, bytes, memory_order_relaxed);
    WEIR_ASSERT(before <= SIZE_MAX - bytes);
    note_most(credit, before + bytes);
}

void weir_credit_give(struct weir_credit *credit, size_t bytes)
{
    size_t before = atomic_fetch_sub_explicit(&credit->used, bytes, memory_order_relaxed);
    WEIR_ASSERT(before >= bytes);
}

size_t weir_credit_used(const struct weir_credit *credit)
{
    return atomic_load_explicit(&credit->used, memory_order_relaxed);
}

size_t weir_credit_used_max(const struct weir_credit *credit)
{
    return atomic_load_explicit(&credit->used_max, memory_order_relaxed);
}

static bool budget_take(void *self, size_t bytes)
{
    return weir_credit_take(self, bytes);
}

static void budget_give(void *self, size_t bytes)
{
    weir_credit_give(self, bytes);
}

struct weir_arena_budget weir_credit_budget(struct weir_credit *credit)
{
    return (struct weir_arena_budget){budget_take, budget_give, credit};
}
