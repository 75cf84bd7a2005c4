/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies: which points share a record, base64, the envelope, gzip.
 *
 *   points ─► cut where the shape says so, and where the resource changes ─► scratch (one record)
 *          ─► base64 straight into the body ─► compressed into `out`, or the body is `out`
 *
 * Memory: one record's scratch, and the plain body when it is to be compressed. Compressors are
 * made anew for each body: next to what compressing takes that is nothing.
 */
#include "body_internal.h"
#include "weir/base64.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include "weir/panic.h"

#define BODY_MAX    ((size_t)1 << 30)
#define LATENESS_MS 73211 /* from a minute's end to when Firehose sends it */

/* The parts of a body, taken one by one. */
struct cut {
    const struct weir_traffic *traffic;
    const struct weir_body_shape *shape;
    uint64_t next;
    uint32_t left;
    uint32_t index; /* of the next record */
    uint8_t *scratch;
};

static enum weir_status cut_begin(struct cut *cut, uint64_t first, uint32_t count)
{
    WEIR_ASSERT(cut->shape->points_per_record > 0);
    uint32_t most = count < cut->shape->points_per_record ? count : cut->shape->points_per_record;
    cut->next = first;
    cut->left = count;
    cut->index = 0;
    cut->scratch = weir_mem_alloc(((size_t)most + 1) * WEIR_BODY_POINT_MAX);
    return cut->scratch == NULL ? WEIR_ENOMEM : WEIR_OK;
}

static struct weir_bytes cut_next(struct cut *cut)
{
    enum weir_body_format format = cut->shape->format;
    if (format == WEIR_BODY_MIXED) {
        format = (enum weir_body_format)(cut->index % WEIR_BODY_MIXED);
    }
    uint32_t count = weir_traffic_run(cut->traffic, cut->next);
    count = count < cut->left ? count : cut->left;
    count = count < cut->shape->points_per_record ? count : cut->shape->points_per_record;
    uint64_t first = cut->next;
    cut->next += count;
    cut->left -= count;
    cut->index++;
    if (format == WEIR_BODY_JSON) {
        return weir_body_json_record(cut->traffic, first, count, cut->scratch);
    }
    return weir_body_otlp_record(cut->traffic, format == WEIR_BODY_OTLP07, first, count,
                                 cut->scratch);
}

size_t weir_body_record_bytes(const struct weir_traffic *traffic,
                              const struct weir_body_shape *shape, uint64_t first, uint32_t count)
{
    struct cut cut = {.traffic = traffic, .shape = shape};
    enum weir_status status = cut_begin(&cut, first, count);
    WEIR_ASSERT(status == WEIR_OK);
    size_t size = 0;
    while (cut.left > 0) {
        size += cut_next(&cut).size;
    }
    weir_mem_free(cut.scratch);
    return size;
}

static void put_record(struct weir_buf *out, struct weir_bytes record)
{
    size_t size = weir_base64_encoded_size(record.size);
    weir_buf_put(out, WEIR_BYTES("{\"data\":\""));
    uint8_t *at = weir_buf_reserve(out, size);
    if (at != NULL) {
        weir_base64_encode(record, at);
        out->size += size;
    }
    weir_buf_put(out, WEIR_BYTES("\"}"));
}

/* The plain body. */
static enum weir_status put_body(struct cut *cut, const char *request_id, struct weir_body *body,
                                 struct weir_buf *out)
{
    struct weir_traffic_point point;
    WEIR_ASSERT(strlen(request_id) == WEIR_BODY_ID_SIZE);
    weir_traffic_point(cut->traffic, body->first, &point);
    size_t start = out->size;
    weir_buf_put(out, WEIR_BYTES("{\"requestId\":\""));
    body->id_offset = out->size - start;
    weir_buf_printf(out, "%s\",\"timestamp\":%lld,\"records\":[", request_id,
                    (long long)(point.start_ms + 60000 + LATENESS_MS));
    WEIR_TRY(cut_begin(cut, body->first, body->points));
    while (cut->left > 0) {
        struct weir_bytes record = cut_next(cut);
        body->record_bytes += record.size;
        put_record(out, record);
        if (cut->left > 0) {
            weir_buf_put_byte(out, ',');
        }
    }
    weir_mem_free(cut->scratch);
    weir_buf_put(out, WEIR_BYTES("]}"));
    body->json_bytes = out->size - start;
    return out->failed ? WEIR_ENOMEM : WEIR_OK;
}

static enum weir_status compress(int level, struct weir_bytes plain, struct weir_buf *out)
{
    struct weir_deflater *deflater = NULL;
    WEIR_TRY(weir_deflater_new(level, &deflater));
    size_t size = weir_gzip_bound(deflater, plain.size);
    uint8_t *at = weir_buf_reserve(out, size);
    enum weir_status status = WEIR_ENOMEM;
    if (at != NULL) {
        status = weir_gzip_deflate(deflater, plain, at, size, &size);
        out->size += status == WEIR_OK ? size : 0;
    }
    weir_deflater_free(deflater);
    return status;
}

enum weir_status weir_body_build(const struct weir_traffic *traffic,
                                 const struct weir_body_shape *shape, const char *request_id,
                                 struct weir_body *body, struct weir_buf *out)
{
    WEIR_ASSERT(body->points > 0);
    struct cut cut = {.traffic = traffic, .shape = shape};
    struct weir_body made = {.first = body->first, .points = body->points};
    enum weir_status status = WEIR_OK;
    if (shape->gzip_level == 0) {
        status = put_body(&cut, request_id, &made, out);
    } else {
        struct weir_buf plain = weir_buf_grow_init(BODY_MAX);
        status = put_body(&cut, request_id, &made, &plain);
        if (status == WEIR_OK) {
            status = compress(shape->gzip_level, weir_buf_view(&plain), out);
        }
        weir_buf_done(&plain);
    }
    if (status == WEIR_OK) {
        *body = made;
    }
    return status;
}
