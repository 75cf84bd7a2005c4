/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_INTERN_H
#define WEIR_INTERN_H

#include "weir/arena.h"

/*
 * A hash table for the life of one request: open addressing in the request's arena, hashes in,
 * items out. What "equal" means is the caller's: it looks at every item of the same hash.
 *
 *   for (item = weir_intern_first(&table, hash, &at); item != NULL;
 *        item = weir_intern_next(&table, hash, &at)) { ... }
 *
 *   I1  slots is 0 or a power of two, and at least twice `count`
 *   I2  items are never taken out; growing leaves the old slots behind in the arena
 *
 * A table grows fourfold while it is small, so that a small request has a small one, and then at
 * once to what a body of the arena's size may need, so that few large ones are filled in vain.
 *
 * The hashes come from weir_hash_quick, which is keyed, so nobody outside can make them collide.
 * One thread.
 */
struct weir_intern_slot {
    uint64_t hash;
    void *item; /* NULL: free */
};

struct weir_intern {
    struct weir_intern_slot *table;
    uint32_t slots;
    uint32_t count;
};

/* The next item of this hash after the one that weir_intern_first or _next gave; NULL when there is
 * none. `*at` carries the position between the calls. */
static inline void *weir_intern_next(const struct weir_intern *intern, uint64_t hash, uint32_t *at)
{
    uint32_t mask = intern->slots - 1;
    for (;;) {
        const struct weir_intern_slot *slot = &intern->table[*at & mask];
        (*at)++;
        if (slot->item == NULL || slot->hash == hash) {
            return slot->item;
        }
    }
}

/* The first item of this hash; NULL when there is none. */
static inline void *weir_intern_first(const struct weir_intern *intern, uint64_t hash, uint32_t *at)
{
    if (intern->slots == 0) {
        return NULL;
    }
    *at = (uint32_t)hash & (intern->slots - 1);
    return weir_intern_next(intern, hash, at);
}

/* Where the first item of this hash would stand, for who looks several up; NULL when the table is
 * empty. What is there may be another one, or none. */
static inline const struct weir_intern_slot *weir_intern_slot_of(const struct weir_intern *intern,
                                                                 uint64_t hash)
{
    return intern->slots == 0 ? NULL : &intern->table[(uint32_t)hash & (intern->slots - 1)];
}

/* Adds an item (not NULL), equal ones too. WEIR_EFULL when the arena is full: nothing added. */
WEIR_MUST_USE enum weir_status weir_intern_add(struct weir_intern *intern, struct weir_arena *arena,
                                               uint64_t hash, void *item);

/* The same for who has looked for it, without looking for its slot again: `at` is what
 * weir_intern_first or _next left with NULL, 0 before the first, and nothing was added since. */
WEIR_MUST_USE static inline enum weir_status weir_intern_add_at(struct weir_intern *intern,
                                                                struct weir_arena *arena,
                                                                uint32_t at, uint64_t hash,
                                                                void *item)
{
    if (intern->count * 2 >= intern->slots) {
        return weir_intern_add(intern, arena, hash, item);
    }
    intern->table[(at - 1) & (intern->slots - 1)] = (struct weir_intern_slot){hash, item};
    intern->count++;
    return WEIR_OK;
}

#endif
