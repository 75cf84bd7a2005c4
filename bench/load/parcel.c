/* SPDX-License-Identifier: Apache-2.0 */
#include "load/parcel.h"
#include "weir/crc32.h"
#include "weir/mem.h"
#include "weir/panic.h"

enum {
    GZIP_HEADER = 10,
    STORED_HEADER = 5, /* last block, stored; size; its complement */
    GZIP_TRAILER = 8,
    BODY_MAX = 1 << 30
};

static const char no_id[] = "00000000-0000-4000-8000-000000000000";

_Static_assert(sizeof no_id == WEIR_BODY_ID_SIZE + 1, "an id's size");

enum weir_status weir_load_maker_init(struct weir_load_maker *maker,
                                      const struct weir_traffic *traffic,
                                      const struct weir_body_shape *shape)
{
    struct weir_deflater *deflater = NULL;
    if (shape->gzip_level > 0) {
        WEIR_TRY(weir_deflater_new(shape->gzip_level, &deflater));
    }
    *maker = (struct weir_load_maker){
        .traffic = traffic,
        .shape = *shape,
        .deflater = deflater,
        .json = weir_buf_grow_init(BODY_MAX),
        .more = weir_buf_grow_init(BODY_MAX),
    };
    maker->shape.gzip_level = 0; /* the traffic's; compressing is done here */
    return WEIR_OK;
}

void weir_load_maker_done(struct weir_load_maker *maker)
{
    weir_deflater_free(maker->deflater);
    weir_buf_done(&maker->json);
    weir_buf_done(&maker->more);
    *maker = (struct weir_load_maker){0};
}

/* Appends the records of `more`, a body of its own, to those of `json`. */
static enum weir_status join(struct weir_buf *json, struct weir_bytes more)
{
    static const char key[] = "\"records\":[";
    const uint8_t *at = memmem(more.data, more.size, key, sizeof key - 1);
    WEIR_ASSERT(at != NULL);
    WEIR_ASSERT(json->size > 2 && memcmp(json->data + json->size - 2, "]}", 2) == 0);
    json->size -= 2;
    weir_buf_put_byte(json, ',');
    weir_buf_put(json, weir_bytes_from(more, (size_t)(at + sizeof key - 1 - more.data)));
    return json->failed ? WEIR_ENOMEM : WEIR_OK;
}

enum weir_status weir_load_parcel_json(struct weir_load_maker *maker,
                                       struct weir_load_parcel *parcel, struct weir_bytes *ret)
{
    maker->json.size = 0;
    parcel->points = 0;
    parcel->record_bytes = 0;
    WEIR_ASSERT(parcel->ranges > 0 && parcel->ranges <= WEIR_LOAD_RANGES_MAX);
    for (uint32_t i = 0; i < parcel->ranges; i++) {
        const struct weir_load_range *range = &parcel->range[i];
        struct weir_buf *into = i == 0 ? &maker->json : &maker->more;
        struct weir_body body = {.first = range->first, .points = range->count};
        into->size = 0;
        WEIR_TRY(weir_body_build(maker->traffic, &maker->shape, no_id, &body, into));
        if (i == 0) {
            parcel->id_at = body.id_offset;
        } else {
            WEIR_TRY(join(&maker->json, weir_buf_view(&maker->more)));
        }
        parcel->points += range->count;
        parcel->record_bytes += body.record_bytes;
    }
    parcel->stream = parcel->range[0].stream;
    parcel->json_bytes = maker->json.size;
    *ret = weir_buf_view(&maker->json);
    return WEIR_OK;
}

static void put_u16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put_u32(uint8_t *at, uint32_t value)
{
    put_u16(at, value);
    put_u16(at + 2, value >> 16);
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The member of which `rest` (a member, too) becomes the end: its header, the head in a stored
 * block that is not the last, rest's blocks, and the trailer but for the CRC. */
static void frame(struct weir_load_parcel *parcel, const uint8_t *head, struct weir_bytes rest)
{
    static const uint8_t header[GZIP_HEADER] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    uint8_t *at = parcel->data;
    uint32_t size = (uint32_t)parcel->head_size;
    memcpy(at, header, sizeof header);
    at[GZIP_HEADER] = 0;
    put_u16(at + GZIP_HEADER + 1, size);
    put_u16(at + GZIP_HEADER + 3, ~size);
    memcpy(at + parcel->head_at, head, size);
    memcpy(at + parcel->head_at + size, rest.data + GZIP_HEADER, rest.size - GZIP_HEADER);
    const uint8_t *trailer = rest.data + rest.size - GZIP_TRAILER;
    uint32_t rest_size = get_u32(trailer + 4);
    parcel->rest_crc = get_u32(trailer);
    parcel->over_rest = weir_load_crc_shift(rest_size);
    put_u32(at + parcel->size - 4, rest_size + size);
}

static enum weir_status build_gzip(struct weir_load_maker *maker, struct weir_load_parcel *parcel,
                                   struct weir_bytes json)
{
    size_t head_size = parcel->id_at + WEIR_BODY_ID_SIZE;
    struct weir_bytes rest = weir_bytes_from(json, head_size);
    size_t bound = weir_gzip_bound(maker->deflater, rest.size);
    WEIR_ASSERT(head_size < UINT16_MAX);
    maker->more.size = 0;
    uint8_t *small = weir_buf_reserve(&maker->more, bound);
    size_t size;
    if (small == NULL) {
        return WEIR_ENOMEM;
    }
    WEIR_TRY(weir_gzip_deflate(maker->deflater, rest, small, bound, &size));
    WEIR_ASSERT(size > GZIP_HEADER + GZIP_TRAILER);
    WEIR_ASSERT(small[3] == 0); /* no name, no comment: the header is as short as can be */
    size_t whole = STORED_HEADER + head_size + size;
    uint8_t *data = weir_mem_resize(parcel->data, whole, 1);
    if (data == NULL) {
        return WEIR_ENOMEM;
    }
    parcel->data = data;
    parcel->size = whole;
    parcel->head_at = GZIP_HEADER + STORED_HEADER;
    parcel->head_size = head_size;
    parcel->id_at += parcel->head_at;
    frame(parcel, json.data, weir_bytes_of(small, size));
    return WEIR_OK;
}

enum weir_status weir_load_parcel_build(struct weir_load_maker *maker,
                                        struct weir_load_parcel *parcel)
{
    struct weir_bytes json;
    WEIR_TRY(weir_load_parcel_json(maker, parcel, &json));
    if (maker->deflater != NULL) {
        WEIR_TRY(build_gzip(maker, parcel, json));
    } else {
        uint8_t *data = weir_mem_resize(parcel->data, json.size, 1);
        if (data == NULL) {
            return WEIR_ENOMEM;
        }
        memcpy(data, json.data, json.size);
        parcel->data = data;
        parcel->size = json.size;
        parcel->head_size = 0;
    }
    weir_load_parcel_name(parcel, no_id);
    return WEIR_OK;
}

void weir_load_parcel_name(struct weir_load_parcel *parcel, const char *id)
{
    memcpy(parcel->data + parcel->id_at, id, WEIR_BODY_ID_SIZE);
    if (parcel->head_size > 0) {
        uint8_t *head = parcel->data + parcel->head_at;
        uint32_t crc = weir_crc32(weir_bytes_of(head, parcel->head_size));
        put_u32(parcel->data + parcel->size - GZIP_TRAILER,
                weir_load_crc_join(&parcel->over_rest, crc, parcel->rest_crc));
    }
}

void weir_load_parcel_done(struct weir_load_parcel *parcel)
{
    weir_mem_free(parcel->data);
    *parcel = (struct weir_load_parcel){0};
}
