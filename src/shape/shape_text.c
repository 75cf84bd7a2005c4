/* SPDX-License-Identifier: Apache-2.0 */
#include "shape_text.h"
#include "weir/panic.h"
#include <inttypes.h>
#include <stdio.h>

uint8_t *weir_shape_text_room(struct weir_shape_walk *walk, size_t size)
{
    struct weir_shape *shape = walk->shape;
    if (size > WEIR_SHAPE_SCRATCH - shape->scratch_used) {
        return weir_arena_alloc(walk->arena, size, 1);
    }
    uint8_t *room = shape->scratch + shape->scratch_used;
    shape->scratch_used += size;
    return room;
}

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

struct weir_bytes weir_shape_text_cut(struct weir_bytes text, size_t size_max)
{
    if (text.size <= size_max) {
        return text;
    }
    size_t size = size_max;
    while (size > 0 && is_tail(text.data[size])) {
        size--;
    }
    return weir_bytes_of(text.data, size);
}

static bool is_lower(uint8_t byte)
{
    return byte >= 'a' && byte <= 'z';
}

static bool is_upper(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

uint8_t *weir_shape_text_mend(uint8_t *at, struct weir_bytes text, const char *others)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (is_tail(byte)) {
            continue; /* its character has its _ already */
        }
        bool stays = is_lower(byte) || is_upper(byte) || is_digit(byte) ||
                     (byte != 0 && strchr(others, byte) != NULL);
        *at++ = stays ? byte : '_';
    }
    return at;
}

void weir_shape_text_lower(uint8_t *at, const uint8_t *end)
{
    for (; at < end; at++) {
        if (is_upper(*at)) {
            *at = (uint8_t)(*at - 'A' + 'a');
        }
    }
}

/* A byte of a key as Dynatrace has it; 0: none, its character has its _ already. */
static uint8_t key_byte(uint8_t byte)
{
    if (is_lower(byte) || is_digit(byte) || byte == '_' || byte == '.' || byte == '-') {
        return byte;
    }
    if (is_upper(byte)) {
        return (uint8_t)(byte - 'A' + 'a');
    }
    return is_tail(byte) ? 0 : '_';
}

void weir_shape_text_table(struct weir_shape *shape)
{
    for (unsigned i = 0; i < 256; i++) {
        shape->key_bytes[i] = key_byte((uint8_t)i);
    }
}

bool weir_shape_text_key(struct weir_shape_walk *walk, struct weir_bytes key,
                         struct weir_bytes *ret)
{
    const uint8_t *table = walk->shape->key_bytes;
    uint8_t *room = weir_shape_text_room(walk, key.size + 1);
    if (room == NULL) {
        return false;
    }
    uint8_t *at = room + 1;
    bool stays = true;
    for (size_t i = 0; i < key.size; i++) {
        uint8_t byte = table[key.data[i]];
        stays &= byte == key.data[i];
        *at = byte;
        at += byte != 0;
    }
    bool begins_well = at > room + 1 && (is_lower(room[1]) || room[1] == '_');
    if (stays && begins_well) {
        *ret = key;
        return true;
    }
    room[0] = '_';
    const uint8_t *begin = begins_well ? room + 1 : room;
    *ret = weir_bytes_of(begin, (size_t)(at - begin));
    return true;
}

size_t weir_shape_text_percent(uint64_t quantile, char ret[WEIR_SHAPE_TEXT_PERCENT])
{
    const double places = 1e10;
    const double value = weir_pb_double(quantile);
    int size;
    if (value >= 0 && value <= 1) {
        uint64_t scaled = (uint64_t)(value * 100 * places + 0.5);
        size = snprintf(ret, WEIR_SHAPE_TEXT_PERCENT, "%" PRIu64 ".%010" PRIu64,
                        scaled / UINT64_C(10000000000), scaled % UINT64_C(10000000000));
        while (ret[size - 1] == '0') {
            size--;
        }
        size -= ret[size - 1] == '.';
    } else { /* none that OTLP allows: told apart all the same */
        size = snprintf(ret, WEIR_SHAPE_TEXT_PERCENT, "%.17g", value * 100);
    }
    WEIR_ASSERT(size > 0 && size < WEIR_SHAPE_TEXT_PERCENT);
    return (size_t)size;
}
