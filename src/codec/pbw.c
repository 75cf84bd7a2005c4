/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/pbw.h"

void weir_pbw_varint(struct weir_buf *buf, uint64_t value)
{
    size_t size = weir_pbw_varint_size(value);
    uint8_t *at = weir_buf_reserve(buf, size);
    if (at == NULL) {
        return;
    }
    (void)weir_pbw_put_varint(at, value);
    buf->size += size;
}

static void put_tag(struct weir_buf *buf, uint32_t number, enum weir_pb_type type)
{
    weir_pbw_varint(buf, (uint64_t)number << 3 | (uint64_t)type);
}

void weir_pbw_begin(struct weir_buf *buf, uint32_t number, size_t size)
{
    put_tag(buf, number, WEIR_PB_BYTES);
    weir_pbw_varint(buf, size);
}

void weir_pbw_bytes(struct weir_buf *buf, uint32_t number, struct weir_bytes bytes)
{
    weir_pbw_begin(buf, number, bytes.size);
    weir_buf_put(buf, bytes);
}

void weir_pbw_uint(struct weir_buf *buf, uint32_t number, uint64_t value)
{
    put_tag(buf, number, WEIR_PB_VARINT);
    weir_pbw_varint(buf, value);
}

void weir_pbw_fixed64(struct weir_buf *buf, uint32_t number, uint64_t bits)
{
    put_tag(buf, number, WEIR_PB_FIXED64);
    uint8_t *at = weir_buf_reserve(buf, 8);
    if (at == NULL) {
        return;
    }
    for (unsigned i = 0; i < 8; i++) {
        at[i] = (uint8_t)(bits >> (8 * i));
    }
    buf->size += 8;
}

void weir_pbw_double(struct weir_buf *buf, uint32_t number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    weir_pbw_fixed64(buf, number, bits);
}
