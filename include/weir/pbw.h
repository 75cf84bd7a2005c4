/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PBW_H
#define WEIR_PBW_H

#include "weir/buf.h"
#include "weir/pb.h"

/*
 * Writing protobuf's wire format into a buffer (weir/buf.h) whose sticky error stands for all
 * writes. Sizes of nested messages are computed beforehand with the _size functions; nothing is
 * shifted afterwards. Pure.
 */

/* Bytes of `value` as a varint (1..10). */
static inline size_t weir_pbw_varint_size(uint64_t value)
{
    return value < 0x80 ? 1 : ((size_t)(63 - __builtin_clzll(value)) * 9 + 73) / 64;
}

/* Bytes of a length-delimited field: tag, length, content of `size` bytes. */
static inline size_t weir_pbw_bytes_size(uint32_t number, size_t size)
{
    return weir_pbw_varint_size((uint64_t)number << 3) + weir_pbw_varint_size(size) + size;
}

/* Writes `value` as a varint at `at`, where there is room for it, and returns what comes after. */
static inline uint8_t *weir_pbw_put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* A bare varint. */
void weir_pbw_varint(struct weir_buf *buf, uint64_t value);

/* Tag and length of a message whose content the caller writes next. */
void weir_pbw_begin(struct weir_buf *buf, uint32_t number, size_t size);

/* Whole fields. Zero values are written too: leaving them out (proto3) is the caller's choice. */
void weir_pbw_bytes(struct weir_buf *buf, uint32_t number, struct weir_bytes bytes);
void weir_pbw_uint(struct weir_buf *buf, uint32_t number, uint64_t value);
void weir_pbw_fixed64(struct weir_buf *buf, uint32_t number, uint64_t bits);
void weir_pbw_double(struct weir_buf *buf, uint32_t number, double value);

#endif
