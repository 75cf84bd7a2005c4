/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/intern.h"
#include "weir/panic.h"

#define SLOTS_FIRST 64
#define SLOTS_SMALL 1024
#define GROWTH      4 /* few steps, since the arena has few regions for what is large */

/* A large table is no smaller than one slot for so many bytes of the arena, of which the body is
 * most. A body of ten resources has a metric in each 330 bytes, one of one resource in 3,000 and
 * never comes here. */
#define BYTES_A_SLOT 512

static uint32_t next_size(const struct weir_intern *intern, const struct weir_arena *arena)
{
    uint32_t slots = intern->slots;
    if (slots < SLOTS_SMALL) {
        return slots == 0 ? SLOTS_FIRST : slots * GROWTH;
    }
    size_t suggested = weir_arena_size(arena) / BYTES_A_SLOT;
    do {
        slots *= 2;
    } while (slots < suggested);
    return slots;
}

static void place(struct weir_intern *intern, uint64_t hash, void *item)
{
    uint32_t mask = intern->slots - 1;
    uint32_t at = (uint32_t)hash & mask;
    while (intern->table[at].item != NULL) {
        at = (at + 1) & mask;
    }
    intern->table[at] = (struct weir_intern_slot){hash, item};
}

static enum weir_status grow(struct weir_intern *intern, struct weir_arena *arena)
{
    WEIR_ASSERT(intern->slots < UINT32_C(1) << 29);
    uint32_t slots = next_size(intern, arena);
    size_t bytes = slots * sizeof(struct weir_intern_slot);
    struct weir_intern_slot *table =
        weir_arena_alloc(arena, bytes, _Alignof(struct weir_intern_slot));
    if (table == NULL) {
        return WEIR_EFULL;
    }
    memset(table, 0, bytes);
    struct weir_intern grown = {table, slots, intern->count};
    for (uint32_t i = 0; i < intern->slots; i++) {
        if (intern->table[i].item != NULL) {
            place(&grown, intern->table[i].hash, intern->table[i].item);
        }
    }
    *intern = grown;
    return WEIR_OK;
}

enum weir_status weir_intern_add(struct weir_intern *intern, struct weir_arena *arena,
                                 uint64_t hash, void *item)
{
    WEIR_ASSERT(item != NULL);
    if (intern->count * 2 >= intern->slots) {
        WEIR_TRY(grow(intern, arena));
    }
    place(intern, hash, item);
    intern->count++;
    return WEIR_OK;
}
