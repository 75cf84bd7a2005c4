/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DECODE_COLLECT_NAMED_H
#define WEIR_DECODE_COLLECT_NAMED_H

#include "collect_quick.h"
#include "weir/hash.h"

/*
 * A namespace as it is looked up: beside the text its last bytes, and zeros before them where it
 * is shorter, so that names of any length are compared and hashed in one way. For collect.c alone.
 */
struct named {
    struct weir_bytes text;
    uint64_t hash; /* of the text */
    weir_bytes_lanes end[WEIR_COLLECT_ROOM / sizeof(weir_bytes_lanes)];
};

#define EIGHT_TIMES(text) text text text text text text text text

/* Which of the last bytes are a name's, by its size. */
static const uint8_t end_masks[2 * WEIR_COLLECT_ROOM] =
    EIGHT_TIMES("\0\0\0\0") EIGHT_TIMES("\xFF\xFF\xFF\xFF");

/* A name whose last WEIR_COLLECT_ROOM bytes are at `end`, with whatever stands before it where it
 * is shorter. Hashed as weir_hash_quick does, under its `key` (weir/hash.h). */
static inline struct named named_of(const uint64_t *key, struct weir_bytes name, const uint8_t *end)
{
    const uint8_t *mask =
        end_masks + (name.size < WEIR_COLLECT_ROOM ? name.size : WEIR_COLLECT_ROOM);
    weir_bytes_lanes a = weir_bytes_lanes_of(end) & weir_bytes_lanes_of(mask);
    weir_bytes_lanes b = weir_bytes_lanes_of(end + 16) & weir_bytes_lanes_of(mask + 16);
    uint64_t pieces =
        weir_hash_fold(a[0] ^ key[4], a[1] ^ key[5]) ^ weir_hash_fold(b[0] ^ key[6], b[1] ^ key[7]);
    uint64_t hash = weir_hash_fold(key[0] ^ pieces ^ key[2], key[3] ^ name.size);
    if (name.size > WEIR_COLLECT_ROOM) {
        hash = weir_hash_mix(hash, weir_hash_quick(name));
    }
    return (struct named){name, hash, {a, b}};
}

/* A name up to whose end WEIR_COLLECT_ROOM bytes can be read. */
static inline struct named named_of_roomy(const uint64_t *key, struct weir_bytes name)
{
    return named_of(key, name, name.data + name.size - WEIR_COLLECT_ROOM);
}

/* Any name. */
static inline struct named named_of_any(const uint64_t *key, struct weir_bytes name)
{
    uint8_t end[WEIR_COLLECT_ROOM] = {0};
    size_t size = name.size < sizeof(end) ? name.size : sizeof(end);
    if (size > 0) {
        memcpy(end + sizeof(end) - size, name.data + name.size - size, size);
    }
    return named_of(key, name, end);
}

/* Equal in size and bytes. */
static inline bool is_same_name(const struct named *a, const struct named *b)
{
    weir_bytes_lanes differ = (a->end[0] ^ b->end[0]) | (a->end[1] ^ b->end[1]);
    return a->text.size == b->text.size && (differ[0] | differ[1]) == 0 &&
           (a->text.size <= WEIR_COLLECT_ROOM || weir_bytes_eq(a->text, b->text));
}

#endif
