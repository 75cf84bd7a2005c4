/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "support.h"
#include "weir/crc32c.h"
#include "weir/frame.h"
#include "weir/mem.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

enum { PAGE = 4096 };

static struct weir_frame_segment segment_of(unsigned version)
{
    struct weir_frame_segment segment = {.version = version,
                                         .number = 7,
                                         .salt = UINT64_C(0x1122334455667788),
                                         .size = 8 << 20,
                                         .created_wall_ns = INT64_C(1700000000000000000),
                                         .name_count = 2,
                                         .names = {"main", "archive"}};
    return segment;
}

static struct weir_frame_record record_of(uint64_t payload_size)
{
    return (struct weir_frame_record){
        .lsn = UINT64_C(3) << 40 | 9,
        .durable = UINT64_C(3) << 40 | 8,
        .commit_index = 1,
        .commit_count = 2,
        .flags = WEIR_FRAME_GZIP,
        .owed = WEIR_OWED_LETTER | 3,
        .received_wall_ns = INT64_C(1700000000123456789),
        .points = 1234,
        .content_crc = UINT32_C(0xCAFEBABE),
        .content_size = UINT64_C(5) << 32,
        .request_id = WEIR_BYTES("ed4acda5-034f-9f42-bba1-f29aea6d7d8f"),
        .stream = WEIR_BYTES("arn:aws:firehose:eu-west-1:123456789012:deliverystream/metrics"),
        .key_name = WEIR_BYTES("primary"),
        .attributes = WEIR_BYTES("{\"commonAttributes\":{}}"),
        .payload_size = payload_size,
    };
}

/* A record's header in memory of exactly its size. */
static struct guard write_record(const struct weir_frame_segment *segment,
                                 const struct weir_frame_record *record, struct weir_bytes payload)
{
    static uint8_t out[WEIR_FRAME_HEADER_MAX];
    size_t size = weir_frame_record_header(segment, record);
    assert_in_range(size, WEIR_FRAME_HEADER_MIN, sizeof out);
    assert_int_equal(size % (segment->version < 3 ? 8 : WEIR_FRAME_RECORD_ALIGN), 0);
    memset(out, 0xEE, sizeof out);
    weir_frame_record_write(segment, record, payload, out);
    if (size < sizeof out) {
        assert_int_equal(out[size], 0xEE);
    }
    return guard_copy(weir_bytes_of(out, size));
}

static enum weir_status read_record(const struct weir_frame_segment *segment,
                                    struct weir_bytes bytes, struct weir_frame_record *ret)
{
    size_t size = 0;
    return weir_frame_record_read(segment, bytes, ret, &size);
}

static void assert_same(const struct weir_frame_record *a, const struct weir_frame_record *b)
{
    assert_true(a->lsn == b->lsn);
    assert_true(a->durable == b->durable);
    assert_int_equal(a->commit_index, b->commit_index);
    assert_int_equal(a->commit_count, b->commit_count);
    assert_int_equal(a->flags, b->flags);
    assert_true(a->owed == b->owed);
    assert_true(a->received_wall_ns == b->received_wall_ns);
    assert_int_equal(a->points, b->points);
    assert_int_equal(a->content_crc, b->content_crc);
    assert_true(a->content_size == b->content_size);
    assert_true(a->payload_size == b->payload_size);
    support_assert_bytes(a->request_id, b->request_id);
    support_assert_bytes(a->stream, b->stream);
    support_assert_bytes(a->attributes, b->attributes);
}

static void test_a_segment_header_comes_back(void **state)
{
    (void)state;
    uint8_t out[WEIR_FRAME_SEGMENT_HEADER];
    for (unsigned version = WEIR_FRAME_VERSION_MIN; version <= WEIR_FRAME_VERSION; version++) {
        struct weir_frame_segment segment = segment_of(version);
        segment.name_count = WEIR_FRAME_NAMES_MAX;
        for (int i = 0; i < WEIR_FRAME_NAMES_MAX; i++) {
            memset(segment.names[i], 'a' + i % 26, 64);
            segment.names[i][64] = '\0';
        }
        weir_frame_segment_write(&segment, out);
        struct weir_frame_segment got;
        memset(&got, 0xEE, sizeof got);
        assert_int_equal(weir_frame_segment_read(weir_bytes_of(out, sizeof out), &got), WEIR_OK);
        assert_int_equal(got.version, version);
        assert_true(got.number == 7);
        assert_true(got.salt == segment.salt);
        assert_true(got.size == segment.size);
        assert_true(got.created_wall_ns == segment.created_wall_ns);
        assert_int_equal(got.name_count, WEIR_FRAME_NAMES_MAX);
        assert_memory_equal(got.names, segment.names, sizeof got.names);
        assert_false(got.mended);
    }
}

static void test_each_bit_of_a_segment_header_has_a_second(void **state)
{
    (void)state;
    uint8_t out[WEIR_FRAME_SEGMENT_HEADER];
    struct weir_frame_segment segment = segment_of(2);
    weir_frame_segment_write(&segment, out);
    struct weir_frame_segment got;
    for (size_t bit = 0; bit < sizeof out * 8; bit++) {
        out[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(weir_frame_segment_read(weir_bytes_of(out, sizeof out), &got), WEIR_OK);
        assert_true(got.mended);
        assert_true(got.salt == segment.salt);
        assert_int_equal(got.name_count, 2);
        out[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t bit = 0; bit < (size_t)PAGE * 8; bit += 7) { /* the same bit of both */
        out[bit / 8] ^= (uint8_t)(1U << bit % 8);
        out[PAGE + bit / 8] ^= (uint8_t)(1U << bit % 8);
        memset(&got, 0xEE, sizeof got);
        assert_int_equal(weir_frame_segment_read(weir_bytes_of(out, sizeof out), &got),
                         WEIR_EMALFORMED);
        assert_int_equal(got.version, 0xEEEEEEEE);
        out[bit / 8] ^= (uint8_t)(1U << bit % 8);
        out[PAGE + bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void test_no_segment_header(void **state)
{
    (void)state;
    uint8_t out[WEIR_FRAME_SEGMENT_HEADER] = {0};
    struct weir_frame_segment got;
    assert_int_equal(weir_frame_segment_read(weir_bytes_of(out, sizeof out), &got),
                     WEIR_EMALFORMED);
    assert_int_equal(weir_frame_segment_read((struct weir_bytes){NULL, 0}, &got), WEIR_EMALFORMED);
    struct weir_frame_segment segment = segment_of(1);
    weir_frame_segment_write(&segment, out);
    struct guard guard = guard_copy(weir_bytes_of(out, sizeof out - 1));
    assert_int_equal(weir_frame_segment_read(guard_view(&guard), &got), WEIR_EMALFORMED);
    guard_free(&guard);
    static const uint64_t bad_sizes[] = {0, 4096, 8192, 8193, 12289, UINT64_MAX};
    for (size_t i = 0; i < sizeof bad_sizes / sizeof bad_sizes[0]; i++) {
        segment.size = bad_sizes[i];
        weir_frame_segment_write(&segment, out);
        assert_int_equal(weir_frame_segment_read(weir_bytes_of(out, sizeof out), &got),
                         WEIR_EMALFORMED);
    }
}

/* What a later release wrote: its version is certain by the first checksum alone. */
static void test_a_later_version_is_told_from_damage(void **state)
{
    (void)state;
    uint8_t out[WEIR_FRAME_SEGMENT_HEADER];
    struct weir_frame_segment segment = segment_of(2);
    weir_frame_segment_write(&segment, out);
    out[8] = out[PAGE + 8] = WEIR_FRAME_VERSION + 1;
    struct weir_frame_segment got = {.version = 77};
    assert_int_equal(weir_frame_segment_read(weir_bytes_of(out, sizeof out), &got),
                     WEIR_EMALFORMED);
    assert_int_equal(got.version, 77);
    uint32_t crc = weir_crc32c(0, weir_bytes_of(out, 12));
    for (size_t i = 0; i < 4; i++) {
        out[12 + i] = out[PAGE + 12 + i] = (uint8_t)(crc >> 8 * i);
    }
    assert_int_equal(weir_frame_segment_read(weir_bytes_of(out, sizeof out), &got),
                     WEIR_EUNSUPPORTED);
    assert_int_equal(got.version, WEIR_FRAME_VERSION + 1);
    got.version = 77;
    memset(out + PAGE, 0xFF, PAGE);
    assert_int_equal(weir_frame_segment_read(weir_bytes_of(out, sizeof out), &got),
                     WEIR_EUNSUPPORTED);
    assert_int_equal(got.version, WEIR_FRAME_VERSION + 1);
}

/* A recycled file whose new header came half to the disk. */
static void test_of_two_lives_the_later_counts(void **state)
{
    (void)state;
    uint8_t old[WEIR_FRAME_SEGMENT_HEADER];
    uint8_t out[WEIR_FRAME_SEGMENT_HEADER];
    struct weir_frame_segment segment = segment_of(2);
    weir_frame_segment_write(&segment, old);
    segment.number = 8;
    segment.salt = 99;
    for (size_t torn = 0; torn <= sizeof out; torn += 512) {
        weir_frame_segment_write(&segment, out);
        memcpy(out, old, torn);
        struct weir_frame_segment got;
        enum weir_status status = weir_frame_segment_read(weir_bytes_of(out, sizeof out), &got);
        assert_int_equal(status, WEIR_OK);
        /* the second page's number and salt are in its first sector */
        assert_true(got.number == (torn <= PAGE ? 8 : 7));
        assert_true(got.salt == (got.number == 8 ? 99 : UINT64_C(0x1122334455667788)));
        assert_true(got.mended ==
                    (torn > 0 && torn <= PAGE)); /* what follows is the same in both */
    }
}

static void check_comes_back(unsigned version, size_t payload_size)
{
    struct weir_frame_segment segment = segment_of(version);
    uint8_t *body = weir_mem_alloc(payload_size);
    memset(body, 0x5A, payload_size);
    struct weir_bytes payload = weir_bytes_of(body, payload_size);
    struct weir_frame_record record = record_of(payload_size);
    struct guard guard = write_record(&segment, &record, payload);
    struct weir_frame_record got;
    size_t size = 0;
    assert_int_equal(weir_frame_record_read(&segment, guard_view(&guard), &got, &size), WEIR_OK);
    assert_int_equal(size, guard.size);
    assert_same(&got, &record);
    support_assert_bytes(got.key_name, version == 1 ? WEIR_BYTES("") : record.key_name);
    size_t chunks = version == 1 ? 1 : (payload_size + WEIR_FRAME_CHUNK - 1) / WEIR_FRAME_CHUNK;
    assert_int_equal(got.checksums.size, 4 * chunks);
    assert_true(weir_frame_payload_is_whole(&segment, &got, payload));
    if (payload_size > 0) {
        body[payload_size - 1] ^= 1;
        assert_false(weir_frame_payload_is_whole(&segment, &got, payload));
        body[payload_size - 1] ^= 1;
        body[0] ^= 0x80;
        assert_false(weir_frame_payload_is_whole(&segment, &got, payload));
        payload.size--;
        assert_false(weir_frame_payload_is_whole(&segment, &got, payload));
    }
    guard_free(&guard);
    weir_mem_free(body);
}

static void test_a_record_comes_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,
                                   1,
                                   63,
                                   64,
                                   100000,
                                   WEIR_FRAME_CHUNK - 1,
                                   WEIR_FRAME_CHUNK,
                                   WEIR_FRAME_CHUNK + 1,
                                   3 * WEIR_FRAME_CHUNK};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check_comes_back(1, sizes[i]);
        check_comes_back(2, sizes[i]);
        check_comes_back(3, sizes[i]);
    }
}

static void test_strings_at_their_limits(void **state)
{
    (void)state;
    static uint8_t text[WEIR_FRAME_HEADER_MAX + 1];
    memset(text, 'x', sizeof text);
    struct weir_frame_segment segment = segment_of(2);
    struct weir_frame_record record = record_of(0);
    struct weir_frame_record got;
    record.stream = record.key_name = (struct weir_bytes){NULL, 0};
    record.request_id = weir_bytes_of(text, WEIR_FRAME_STRING_MAX);
    record.attributes =
        weir_bytes_of(text, WEIR_FRAME_HEADER_MAX - WEIR_FRAME_HEADER_MIN - record.request_id.size);
    struct guard guard = write_record(&segment, &record, (struct weir_bytes){NULL, 0});
    assert_int_equal(guard.size, WEIR_FRAME_HEADER_MAX);
    assert_int_equal(read_record(&segment, guard_view(&guard), &got), WEIR_OK);
    assert_same(&got, &record);
    guard_free(&guard);
    record.attributes.size++;
    assert_int_equal(weir_frame_record_header(&segment, &record), 0);
    record.attributes = weir_bytes_of(text, SIZE_MAX);
    assert_int_equal(weir_frame_record_header(&segment, &record), 0);
    struct weir_bytes *limited[] = {&record.request_id, &record.stream, &record.key_name};
    for (size_t i = 0; i < 3; i++) {
        record = record_of(0);
        *limited[i] = weir_bytes_of(text, WEIR_FRAME_STRING_MAX);
        assert_int_not_equal(weir_frame_record_header(&segment, &record), 0);
        limited[i]->size++;
        assert_int_equal(weir_frame_record_header(&segment, &record), 0);
        limited[i]->size = SIZE_MAX;
        assert_int_equal(weir_frame_record_header(&segment, &record), 0);
    }
    record = record_of(UINT64_MAX);
    assert_int_equal(weir_frame_record_header(&segment, &record), 0);
}

static void test_extents_do_not_wrap(void **state)
{
    (void)state;
    assert_true(weir_frame_record_extent(96, 0) == 128);
    assert_true(weir_frame_record_extent(96, 32) == 128);
    assert_true(weir_frame_record_extent(96, 33) == 192);
    assert_true(weir_frame_record_extent(128, 0) == 128);
    for (uint64_t below = 0; below < 400; below++) {
        uint64_t extent = weir_frame_record_extent(96, UINT64_MAX - below);
        assert_true(extent > UINT64_MAX - 400);
        assert_true(extent % 64 == 0);
    }
}

static void test_each_flipped_bit_of_a_record_is_seen(void **state)
{
    (void)state;
    for (unsigned version = 1; version <= 2; version++) {
        struct weir_frame_segment segment = segment_of(version);
        struct weir_frame_record record = record_of(3);
        struct guard guard = write_record(&segment, &record, WEIR_BYTES("abc"));
        for (size_t bit = 0; bit < guard.size * 8; bit++) {
            struct weir_frame_record got = {.lsn = 77};
            guard.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_int_not_equal(read_record(&segment, guard_view(&guard), &got), WEIR_OK);
            assert_true(got.lsn == 77);
            guard.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        guard_free(&guard);
    }
}

static void test_a_cut_header_asks_for_more(void **state)
{
    (void)state;
    struct weir_frame_segment segment = segment_of(2);
    struct weir_frame_record record = record_of(3);
    struct guard whole = write_record(&segment, &record, WEIR_BYTES("abc"));
    for (size_t size = 0; size < whole.size; size++) {
        struct guard cut = guard_copy(weir_bytes_of(whole.data, size));
        struct weir_frame_record got;
        size_t wanted = 0;
        assert_int_equal(weir_frame_record_read(&segment, guard_view(&cut), &got, &wanted),
                         WEIR_EAGAIN);
        assert_int_equal(wanted, size < WEIR_FRAME_HEADER_MIN ? 96 : whole.size);
        guard_free(&cut);
    }
    guard_free(&whole);
}

static void test_another_salt_or_version_reads_nothing(void **state)
{
    (void)state;
    struct weir_frame_segment segment = segment_of(2);
    struct weir_frame_record record = record_of(3);
    struct weir_frame_record got;
    struct guard guard = write_record(&segment, &record, WEIR_BYTES("abc"));
    for (unsigned bit = 0; bit < 64; bit++) {
        struct weir_frame_segment other = segment;
        other.salt ^= UINT64_C(1) << bit;
        assert_int_equal(read_record(&other, guard_view(&guard), &got), WEIR_EMALFORMED);
    }
    for (uint64_t size = 0; size <= WEIR_FRAME_SEGMENT_HEADER; size += 4096) {
        struct weir_frame_segment cut = segment;
        cut.size = size; /* no room for any */
        assert_int_equal(read_record(&cut, guard_view(&guard), &got), WEIR_EMALFORMED);
    }
    segment.version = 1;
    assert_int_equal(read_record(&segment, guard_view(&guard), &got), WEIR_EMALFORMED);
    guard_free(&guard);
}

/* Headers with a right checksum around values that no writer of ours makes. */
static void set_and_seal(struct guard *guard, uint64_t salt, size_t offset, uint64_t value,
                         size_t size)
{
    for (size_t i = 0; i < size; i++) {
        guard->data[offset + i] = (uint8_t)(value >> 8 * i);
    }
    uint8_t bytes[8];
    for (size_t i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(salt >> 8 * i);
    }
    memset(guard->data + 4, 0, 4);
    uint32_t crc = weir_crc32c(weir_crc32c(0, weir_bytes_of(bytes, 8)), guard_view(guard));
    for (size_t i = 0; i < 4; i++) {
        guard->data[4 + i] = (uint8_t)(crc >> 8 * i);
    }
}

static void test_good_checksums_around_nonsense(void **state)
{
    (void)state;
    static const struct {
        size_t offset, size;
        uint64_t value;
    } cases[] = {
        {8, 4, 0},        {8, 4, 88},          {8, 4, 100},         {8, 4, UINT32_MAX},
        {12, 4, 2},       {12, 4, UINT32_MAX}, {16, 8, 0},          {24, 8, UINT64_MAX},
        {32, 4, 2},       {36, 4, 0},          {72, 8, UINT64_MAX}, {72, 8, 8 << 20},
        {72, 8, 3 << 20}, {72, 8, 0},          {80, 4, UINT32_MAX}, {80, 4, 65537},
        {80, 4, 0},       {84, 4, UINT32_MAX}, {84, 4, 0},          {88, 4, UINT32_MAX},
        {88, 4, 0},       {92, 4, UINT32_MAX}, {92, 4, 16},
    };
    struct weir_frame_segment segment = segment_of(2);
    struct weir_frame_record record = record_of(3);
    struct weir_frame_record got;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct guard guard = write_record(&segment, &record, WEIR_BYTES("abc"));
        set_and_seal(&guard, segment.salt, 60, record.content_crc, 4);
        assert_int_equal(read_record(&segment, guard_view(&guard), &got), WEIR_OK);
        set_and_seal(&guard, segment.salt, cases[i].offset, cases[i].value, cases[i].size);
        assert_int_not_equal(read_record(&segment, guard_view(&guard), &got), WEIR_OK);
        guard_free(&guard);
    }
}

static void test_padding_is_zero(void **state)
{
    (void)state;
    struct weir_frame_segment segment = segment_of(1);
    struct weir_frame_record record = record_of(3);
    struct weir_frame_record got;
    record.attributes = WEIR_BYTES("x");
    struct guard guard = write_record(&segment, &record, WEIR_BYTES("abc"));
    size_t used = WEIR_FRAME_HEADER_MIN + 4 + record.request_id.size + record.stream.size + 1;
    assert_true(used < guard.size); /* else there is none to look at */
    set_and_seal(&guard, segment.salt, guard.size - 1, 1, 1);
    assert_int_equal(read_record(&segment, guard_view(&guard), &got), WEIR_EMALFORMED);
    set_and_seal(&guard, segment.salt, guard.size - 1, 0, 1);
    assert_int_equal(read_record(&segment, guard_view(&guard), &got), WEIR_OK);
    set_and_seal(&guard, segment.salt, 92, 1, 4); /* version 1 has no key name */
    assert_int_equal(read_record(&segment, guard_view(&guard), &got), WEIR_EMALFORMED);
    guard_free(&guard);
}

/* The bytes themselves, so that a change of the format is a change of this test. */
static void test_the_bytes_of_version_2(void **state)
{
    (void)state;
    struct weir_frame_segment segment = segment_of(2);
    struct weir_frame_record record = record_of(3);
    record.request_id = WEIR_BYTES("id");
    record.stream = WEIR_BYTES("st");
    record.key_name = WEIR_BYTES("k");
    record.attributes = WEIR_BYTES("{}");
    struct guard guard = write_record(&segment, &record, WEIR_BYTES("abc"));
    struct support_blob expected = support_hex("13 61 67 52  00 00 00 00  70 00 00 00  01 00 00 00"
                                               "09 00 00 00 00 03 00 00  08 00 00 00 00 03 00 00"
                                               "01 00 00 00  02 00 00 00  03 00 00 00 00 00 00 80"
                                               "15 cd 85 3d fe 9c 97 17  d2 04 00 00  be ba fe ca"
                                               "00 00 00 00 05 00 00 00  03 00 00 00 00 00 00 00"
                                               "02 00 00 00 02 00 00 00 02 00 00 00 01 00 00 00"
                                               "00 00 00 00 69 64 73 74 6b 7b 7d 00 00 00 00 00");
    assert_int_equal(expected.size, guard.size);
    memcpy(expected.data + 4, guard.data + 4, 4); /* checksums: the other tests' */
    memcpy(expected.data + 96, guard.data + 96, 4);
    support_assert_bytes(guard_view(&guard), support_view(&expected));
    support_free(&expected);
    guard_free(&guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_segment_header_comes_back),
        cmocka_unit_test(test_each_bit_of_a_segment_header_has_a_second),
        cmocka_unit_test(test_no_segment_header),
        cmocka_unit_test(test_a_later_version_is_told_from_damage),
        cmocka_unit_test(test_of_two_lives_the_later_counts),
        cmocka_unit_test(test_a_record_comes_back),
        cmocka_unit_test(test_strings_at_their_limits),
        cmocka_unit_test(test_extents_do_not_wrap),
        cmocka_unit_test(test_each_flipped_bit_of_a_record_is_seen),
        cmocka_unit_test(test_a_cut_header_asks_for_more),
        cmocka_unit_test(test_another_salt_or_version_reads_nothing),
        cmocka_unit_test(test_good_checksums_around_nonsense),
        cmocka_unit_test(test_padding_is_zero),
        cmocka_unit_test(test_the_bytes_of_version_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
