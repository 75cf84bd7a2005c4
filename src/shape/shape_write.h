/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SHAPE_WRITE_H
#define WEIR_SHAPE_WRITE_H

#include "shape_state.h"

/* Protobuf through a bare pointer, where there is room: every message is measured first. All field
 * numbers are below 16, so that each tag is one byte. */
enum { WEIR_SHAPE_WRITE_FIXED64 = 9 };

static inline uint8_t *weir_shape_write_raw(uint8_t *at, struct weir_bytes bytes)
{
    if (bytes.size > 0) {
        memcpy(at, bytes.data, bytes.size);
    }
    return at + bytes.size;
}

/* Tag and length. */
static inline uint8_t *weir_shape_write_begin(uint8_t *at, uint32_t number, size_t size)
{
    *at++ = (uint8_t)(number << 3 | WEIR_PB_BYTES);
    return weir_pbw_put_varint(at, size);
}

static inline uint8_t *weir_shape_write_bytes(uint8_t *at, uint32_t number, struct weir_bytes bytes)
{
    return weir_shape_write_raw(weir_shape_write_begin(at, number, bytes.size), bytes);
}

static inline uint8_t *weir_shape_write_fixed64(uint8_t *at, uint32_t number, uint64_t bits)
{
    *at++ = (uint8_t)(number << 3 | WEIR_PB_FIXED64);
    memcpy(at, &bits, sizeof(bits)); /* little-endian, as the wire is */
    return at + sizeof(bits);
}

static inline size_t weir_shape_write_fixed64_size(uint64_t bits)
{
    return bits == 0 ? 0 : WEIR_SHAPE_WRITE_FIXED64;
}

static inline uint8_t *weir_shape_write_fixed64_unless_zero(uint8_t *at, uint32_t number,
                                                            uint64_t bits)
{
    return bits == 0 ? at : weir_shape_write_fixed64(at, number, bits);
}

static inline size_t weir_shape_write_flags_size(uint64_t flags)
{
    return flags == 0 ? 0 : 1 + weir_pbw_varint_size(flags);
}

static inline uint8_t *weir_shape_write_flags(uint8_t *at, uint32_t number, uint64_t flags)
{
    if (flags == 0) {
        return at;
    }
    *at++ = (uint8_t)(number << 3 | WEIR_PB_VARINT);
    return weir_pbw_put_varint(at, flags);
}

#endif
