/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_DECODE_BODIES_H
#define WEIR_TEST_DECODE_BODIES_H

/* Firehose bodies of records that a test made, and gzip around them. */
#include "weir/base64.h"
#include "weir/buf.h"
#include "weir/gzip.h"
#include "weir/panic.h"

/* Record number `index` of a body, as base64; it is freed. */
static inline void bodies_record(struct weir_buf *body, unsigned index, struct weir_buf *record)
{
    size_t size = weir_base64_encoded_size(record->size);
    weir_buf_printf(body, "%s{\"data\":\"", index > 0 ? "," : "");
    weir_base64_encode(weir_buf_view(record), weir_buf_reserve(body, size));
    body->size += size;
    weir_buf_printf(body, "\"}");
    weir_buf_done(record);
}

static inline void bodies_end(struct weir_buf *body)
{
    weir_buf_printf(body, "]}");
    WEIR_ASSERT(!body->failed);
}

static inline struct weir_buf bodies_gzip(struct weir_bytes plain)
{
    struct weir_deflater *deflater = NULL;
    struct weir_buf packed = weir_buf_grow_init(1 << 24);
    enum weir_status status = weir_deflater_new(6, &deflater);
    WEIR_ASSERT(status == WEIR_OK);
    size_t bound = weir_gzip_bound(deflater, plain.size);
    uint8_t *room = weir_buf_reserve(&packed, bound);
    status = weir_gzip_deflate(deflater, plain, room, bound, &packed.size);
    WEIR_ASSERT(status == WEIR_OK);
    weir_deflater_free(deflater);
    return packed;
}

#endif
