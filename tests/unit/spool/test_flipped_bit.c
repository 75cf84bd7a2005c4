/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small sealed segment: every bit of it is flipped in turn, and read as recovery would read it.
 *
 *   [ header | header ][ record 1 record 2 pad ][ record 3 pad ][ record of an earlier life .. ]
 *   0        4096      8192                     12288           16384
 *
 * Each flip is noticed, whichever byte it is in, and costs the one record it is in or none. The
 * dead record must never be found; flips there are nobody's business.
 */
#include "support.h"
#include "weir/frame.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

enum { RECORDS = 3, DEAD_AT = 16384, SIZE = 20480 };

struct image {
    _Alignas(64) uint8_t bytes[SIZE];
    struct weir_frame_segment segment;
    size_t begin[RECORDS], end[RECORDS]; /* of a record, its padding included */
};

struct found {
    bool whole[RECORDS];
    bool noticed; /* anything at all is not as it was written */
    size_t used;  /* bytes that records account for */
};

static size_t put_record(struct image *image, size_t offset, uint64_t lsn,
                         const struct weir_frame_segment *segment)
{
    static const uint8_t body[200] = {0x1F, 0x8B, 8, 0, 1, 2, 3};
    size_t payload_size = 150 + (size_t)lsn * 9;
    struct weir_frame_record record = {.lsn = lsn,
                                       .durable = lsn - 1,
                                       .commit_count = 1,
                                       .flags = WEIR_FRAME_GZIP,
                                       .owed = 1,
                                       .points = 2,
                                       .request_id = WEIR_BYTES("5a1b"),
                                       .stream = WEIR_BYTES("arn:aws:firehose:x"),
                                       .key_name = WEIR_BYTES("k"),
                                       .payload_size = payload_size};
    size_t header = weir_frame_record_header(segment, &record);
    struct weir_bytes payload = weir_bytes_of(body, payload_size);
    weir_frame_record_write(segment, &record, payload, image->bytes + offset);
    memcpy(image->bytes + offset + header, body, payload_size);
    return offset + (size_t)weir_frame_record_extent(header, payload_size);
}

static void make_image(struct image *image, unsigned version)
{
    *image = (struct image){.segment = {.version = version,
                                        .number = 3,
                                        .salt = UINT64_C(0xA5A5F00DBAADCAFE),
                                        .size = SIZE,
                                        .name_count = 1,
                                        .names = {"main"}}};
    static const size_t commits[RECORDS] = {8192, 0, 12288};
    weir_frame_segment_write(&image->segment, image->bytes);
    for (size_t i = 0; i < RECORDS; i++) {
        image->begin[i] = commits[i] != 0 ? commits[i] : image->end[i - 1];
        image->end[i] = put_record(image, image->begin[i], i + 1, &image->segment);
    }
    struct weir_frame_segment earlier = image->segment;
    earlier.salt ^= 1;
    put_record(image, DEAD_AT, 4, &earlier);
}

static bool is_zero(const uint8_t *data, size_t size)
{
    static const uint8_t zeros[WEIR_FRAME_RECORD_ALIGN];
    return memcmp(data, zeros, size) == 0;
}

/* The rule of docs/formats/spool.md: at a record, on behind it; else at the next 64th byte. */
static void scan(const struct image *image, const struct weir_frame_segment *segment,
                 struct found *ret)
{
    size_t offset = WEIR_FRAME_SEGMENT_HEADER;
    while (offset < SIZE) {
        struct weir_bytes rest = weir_bytes_of(image->bytes + offset, SIZE - offset);
        struct weir_frame_record record;
        size_t header = 0;
        if (weir_frame_record_read(segment, rest, &record, &header) != WEIR_OK) {
            bool is_padding = is_zero(rest.data, WEIR_FRAME_RECORD_ALIGN);
            ret->noticed = ret->noticed || (offset < DEAD_AT && !is_padding);
            offset += WEIR_FRAME_RECORD_ALIGN;
            continue;
        }
        assert_in_range(record.lsn, 1, RECORDS); /* the dead one is none */
        struct weir_bytes payload = weir_bytes_of(rest.data + header, (size_t)record.payload_size);
        size_t extent = (size_t)weir_frame_record_extent(header, record.payload_size);
        size_t used = header + payload.size;
        ret->whole[record.lsn - 1] = weir_frame_payload_is_whole(segment, &record, payload);
        ret->noticed = ret->noticed || !ret->whole[record.lsn - 1] ||
                       !is_zero(rest.data + used, extent - used);
        ret->used += extent;
        offset += extent;
    }
}

static void check_flip(struct image *image, size_t bit, struct weir_frame_segment *segment)
{
    size_t byte = bit / 8;
    struct found found = {0};
    image->bytes[byte] ^= (uint8_t)(1U << bit % 8);
    if (byte < WEIR_FRAME_SEGMENT_HEADER) {
        struct weir_bytes bytes = weir_bytes_of(image->bytes, SIZE);
        assert_int_equal(weir_frame_segment_read(bytes, segment), WEIR_OK);
        assert_true(segment->salt == image->segment.salt);
        found.noticed = segment->mended;
    }
    if (byte >= WEIR_FRAME_SEGMENT_HEADER || bit % 64 == 0) {
        scan(image, segment, &found);
    } else {
        found.whole[0] = found.whole[1] = found.whole[2] = true; /* the same segment as before */
    }
    image->bytes[byte] ^= (uint8_t)(1U << bit % 8);
    assert_true(found.noticed == (byte < DEAD_AT));
    for (size_t i = 0; i < RECORDS; i++) {
        bool hit = byte >= image->begin[i] && byte < image->end[i];
        assert_true(found.whole[i] || hit);
    }
}

/* Flips bits from byte `begin` on; behind the records, where nothing is, one of each byte. */
static void check_version(unsigned version, size_t begin)
{
    struct image image;
    make_image(&image, version);
    struct weir_frame_segment segment;
    struct weir_bytes bytes = weir_bytes_of(image.bytes, SIZE);
    assert_int_equal(weir_frame_segment_read(bytes, &segment), WEIR_OK);
    struct found found = {0};
    scan(&image, &segment, &found);
    assert_false(found.noticed);
    assert_true(found.whole[0] && found.whole[1] && found.whole[2]);
    assert_int_equal(found.used, image.end[1] - 8192 + image.end[2] - 12288);
    for (size_t bit = begin * 8; bit < (size_t)SIZE * 8; bit += bit < (size_t)DEAD_AT * 8 ? 1 : 9) {
        check_flip(&image, bit, &segment);
    }
}

static void test_each_bit_of_version_1(void **state)
{
    (void)state;
    check_version(1, WEIR_FRAME_SEGMENT_HEADER); /* its segment header is version 2's */
}

static void test_each_bit_of_version_2(void **state)
{
    (void)state;
    check_version(2, 0);
}

static void test_each_bit_of_version_3(void **state)
{
    (void)state;
    check_version(3, WEIR_FRAME_SEGMENT_HEADER); /* its segment header is version 2's */
}

/* A bit of a record's header costs that record, whatever the bit; of its payload, too. */
static void test_a_hit_record_is_not_believed(void **state)
{
    (void)state;
    struct image image;
    make_image(&image, 2);
    for (size_t byte = image.begin[1]; byte < image.begin[1] + 150; byte++) {
        struct found found = {0};
        image.bytes[byte] ^= 0x10;
        scan(&image, &image.segment, &found);
        image.bytes[byte] ^= 0x10;
        assert_false(found.whole[1]);
        assert_true(found.whole[0] && found.whole[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_bit_of_version_1),
        cmocka_unit_test(test_each_bit_of_version_2),
        cmocka_unit_test(test_each_bit_of_version_3),
        cmocka_unit_test(test_a_hit_record_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
