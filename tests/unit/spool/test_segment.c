/* SPDX-License-Identifier: Apache-2.0 */
#include "segment_rig.h"

static void check_files(int segments, int spares)
{
    struct listing listing = listing_of();
    assert_int_equal(listing.segments, segments);
    assert_int_equal(listing.spares, spares);
    assert_int_equal(listing.others, 0);
}

static void check_free(uint64_t expected)
{
    assert_int_equal(weir_segments_free_bytes(rig.segments), expected);
}

static uint8_t *read_name(const char *name, size_t size)
{
    uint8_t *bytes = weir_mem_zalloc(size, 1);
    int file = rig.real.ops->open(rig.real.self, name, WEIR_DISK_WRITE);
    size_t got = 0;
    assert_true(file >= 0);
    assert_int_equal(weir_disk_read(&rig.real, file, bytes, size, 0, &got), WEIR_OK);
    assert_int_equal(got, size);
    rig.real.ops->close(rig.real.self, file);
    return bytes;
}

static void test_a_new_file_where_nothing_was_prepared(void **state)
{
    (void)state;
    begin_with(LIMIT, 16);
    forget_calls();
    struct weir_segment segment;
    assert_int_equal(take(100, &segment), WEIR_OK);
    assert_string_equal(rig.log, "oadwo"); /* its name is durable, its header not yet */
    assert_true(segment.header.number == 16);
    assert_true(segment.header.size == USUAL);
    assert_true(segment.position == WEIR_FRAME_SEGMENT_HEADER);
    assert_false(segment.tainted);
    uint8_t *bytes = read_name("0000000000000010.segment", USUAL);
    struct weir_frame_segment header;
    assert_int_equal(weir_frame_segment_read(weir_bytes_of(bytes, USUAL), &header), WEIR_OK);
    assert_memory_equal(&header, &segment.header, sizeof header);
    assert_int_equal(header.name_count, 1);
    assert_string_equal(header.names[0], "main");
    assert_true(header.created_wall_ns == 99);
    weir_mem_free(bytes);
    check_files(1, 0);
    check_free(LIMIT - USUAL);
    weir_segments_seal(rig.segments, &segment, false);
    assert_int_equal(segment.file, -1);
    check_free(LIMIT - USUAL);
}

static void test_spares_are_made_ahead_and_taken(void **state)
{
    (void)state;
    begin_with(LIMIT, 1);
    assert_false(weir_segments_prepare(rig.segments, false)); /* nobody will want one */
    check_files(0, 0);
    assert_true(prepare() >= 3);
    check_files(0, 1);
    check_free(LIMIT);
    assert_false(weir_segments_prepare(rig.segments, true));
    uint8_t *bytes = read_name("0000000000000001.spare", USUAL);
    for (size_t i = WEIR_FRAME_SEGMENT_HEADER; i < USUAL; i++) {
        assert_int_equal(bytes[i], 0);
    }
    weir_mem_free(bytes);
    forget_calls();
    struct weir_segment segment;
    assert_int_equal(take(1, &segment), WEIR_OK);
    assert_string_equal(rig.log, "ordwo");
    assert_true(segment.header.number == 2);
    check_files(1, 0);
    check_free(LIMIT - USUAL);
    weir_segments_seal(rig.segments, &segment, false);
}

/* As long as segments come back, no zero is written. */
static void test_two_that_were_released_are_kept(void **state)
{
    (void)state;
    begin_with(LIMIT, 1);
    struct weir_segment segments[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(take(1, &segments[i]), WEIR_OK);
        weir_segments_seal(rig.segments, &segments[i], false);
    }
    for (int i = 0; i < 3; i++) {
        weir_segments_release(rig.segments, &segments[i].header, false);
    }
    check_files(0, 2);
    check_free(LIMIT);
    forget_calls();
    prepare();
    assert_string_equal(rig.log, "d");
}

static void test_one_spare_under_a_small_limit(void **state)
{
    (void)state;
    begin_with(4 * USUAL, 1);
    prepare();
    check_files(0, 1);
}

static void test_released_ones_are_recycled_with_another_salt(void **state)
{
    (void)state;
    begin_with(4 * USUAL, 1);
    struct weir_segment first;
    struct weir_segment second;
    assert_int_equal(take(1, &first), WEIR_OK);
    weir_segments_seal(rig.segments, &first, false);
    forget_calls();
    weir_segments_release(rig.segments, &first.header, false);
    assert_string_equal(rig.log, "r");
    check_files(0, 1);
    check_free(4 * USUAL);
    forget_calls();
    prepare();
    assert_string_equal(rig.log, "d"); /* nothing to be zeroed */
    assert_int_equal(take(1, &second), WEIR_OK);
    assert_true(second.header.number > first.header.number);
    assert_true(second.header.salt != first.header.salt);
    check_files(1, 0);
    weir_segments_seal(rig.segments, &second, false);
}

static void test_what_is_not_recycled(void **state)
{
    (void)state;
    begin_with(4 * USUAL, 1);
    struct weir_segment segment;
    for (int cut = 0; cut < 2; cut++) { /* cut, and tainted */
        assert_int_equal(take(1, &segment), WEIR_OK);
        segment.position += 4096;
        weir_segments_seal(rig.segments, &segment, cut == 1);
        check_free(4 * USUAL - (cut == 1 ? 12288 : USUAL));
        weir_segments_release(rig.segments, &segment.header, true);
        check_files(0, 0);
        check_free(4 * USUAL);
    }
    assert_int_equal(take(USUAL, &segment), WEIR_OK); /* larger than usual by its header */
    assert_true(segment.header.size == USUAL + WEIR_FRAME_SEGMENT_HEADER);
    weir_segments_seal(rig.segments, &segment, false);
    weir_segments_release(rig.segments, &segment.header, false);
    check_files(0, 0);
    check_free(4 * USUAL);
    prepare();
    struct weir_segment other;
    assert_int_equal(take(1, &segment), WEIR_OK);
    assert_int_equal(take(1, &other), WEIR_OK);
    weir_segments_seal(rig.segments, &segment, false);
    weir_segments_seal(rig.segments, &other, false);
    weir_segments_release(rig.segments, &segment.header, false);
    weir_segments_release(rig.segments, &other.header, false); /* one more than is wanted */
    check_files(0, 1);
    check_free(4 * USUAL);
}

static void test_an_oversized_commit_has_its_own_file(void **state)
{
    (void)state;
    begin_with(LIMIT, 1);
    prepare();
    struct weir_segment segment;
    assert_int_equal(take(3 * USUAL + 1, &segment), WEIR_OK);
    assert_true(segment.header.size == 3 * USUAL + 4096 + 8192);
    check_files(1, 1);
    check_free(LIMIT - segment.header.size);
    weir_segments_seal(rig.segments, &segment, false);
    /* spares give way */
    assert_int_equal(take(LIMIT - segment.header.size - 8192, &segment), WEIR_OK);
    check_files(2, 0);
    check_free(0);
    weir_segments_seal(rig.segments, &segment, false);
    assert_int_equal(take(1, &segment), WEIR_EFULL);
}

static void test_the_limit_is_kept(void **state)
{
    (void)state;
    uint64_t limit = 3 * USUAL + 20480 + 1000;
    begin_with(limit, 1);
    struct weir_segment segment;
    for (int i = 0; i < 3; i++) {
        prepare();
        assert_true(listing_of().bytes <= limit);
        assert_int_equal(take(1, &segment), WEIR_OK);
        assert_true(segment.header.size == USUAL);
        weir_segments_seal(rig.segments, &segment, false);
    }
    prepare();
    check_files(3, 0);
    struct weir_segment before = segment;
    assert_int_equal(take(12289, &segment), WEIR_EFULL);
    assert_int_equal(take(UINT64_MAX, &segment), WEIR_EFULL);
    assert_int_equal(take(UINT64_MAX - 12288, &segment), WEIR_EFULL);
    assert_memory_equal(&before, &segment, sizeof before);
    assert_int_equal(take(12288, &segment), WEIR_OK); /* the rest, smaller than usual */
    assert_true(segment.header.size == 20480);
    weir_segments_seal(rig.segments, &segment, false);
    assert_true(listing_of().bytes <= limit);
    assert_int_equal(take(0, &segment), WEIR_EFULL);
    weir_segments_release(rig.segments, &segment.header, false);
    check_files(3, 0);
}

static void test_a_start_adopts_and_takes_stock(void **state)
{
    (void)state;
    begin_with(LIMIT, 1);
    prepare();
    struct weir_segment segment;
    assert_int_equal(take(1, &segment), WEIR_OK);
    weir_segments_seal(rig.segments, &segment, false);
    begin_with(LIMIT, 4);
    weir_segments_adopt(rig.segments, USUAL);
    check_free(LIMIT - USUAL);
    prepare();
    forget_calls();
    assert_int_equal(take(1, &segment), WEIR_OK);
    assert_string_equal(rig.log, "ordwo");
    assert_true(segment.header.number == 5);
    weir_segments_seal(rig.segments, &segment, false);
    /* a lower limit: what was there stays, spares go */
    prepare();
    begin_with(2 * USUAL, 9);
    weir_segments_adopt(rig.segments, USUAL);
    weir_segments_adopt(rig.segments, USUAL);
    prepare();
    check_files(2, 0);
    check_free(0);
    weir_segments_adopt(rig.segments, USUAL);
    check_free(0);
}

static void test_spares_of_no_use_go_at_start(void **state)
{
    (void)state;
    static const char *names[] = {"000000000000000a.spare", "000000000000000b.spare",
                                  "00000000000000AC.spare", "0000000000000c.spare",
                                  "000000000000000d.spare"};
    for (int i = 0; i < 5; i++) {
        int file = rig.real.ops->open(rig.real.self, names[i], WEIR_DISK_CREATE);
        assert_int_equal(rig.real.ops->truncate(rig.real.self, file, i < 1 ? 4096 : USUAL), 0);
        rig.real.ops->close(rig.real.self, file);
    }
    begin_with(4 * USUAL, 1);
    struct listing listing = listing_of();
    assert_int_equal(listing.spares, 2); /* one kept, one that is none of ours by its capitals */
    assert_int_equal(listing.others, 1);
    forget_calls();
    prepare();
    assert_string_equal(rig.log, "dowsows"); /* nothing said that it was clean */
}

/* After a crash in the middle of zeroing, and after the last step. */
static void test_a_clean_spare_is_known_at_start(void **state)
{
    (void)state;
    begin_with(4 * USUAL, 1);
    assert_true(weir_segments_prepare(rig.segments, true));
    assert_true(weir_segments_prepare(rig.segments, true)); /* made, zeroed, not marked */
    begin_with(4 * USUAL, 1);
    forget_calls();
    prepare();
    assert_string_equal(rig.log, "owsows");
    begin_with(4 * USUAL, 1);
    forget_calls();
    prepare();
    assert_string_equal(rig.log, "");
    struct weir_segment segment;
    assert_int_equal(take(1, &segment), WEIR_OK);
    assert_true(segment.header.number == 2); /* beyond the spare's */
    weir_segments_seal(rig.segments, &segment, false);
}

static void test_without_a_seed_salts_differ(void **state)
{
    (void)state;
    uint64_t salts[2];
    for (int i = 0; i < 2; i++) {
        struct weir_segments_options options = {
            .disk = &rig.disk, .limit = LIMIT, .segment_bytes = USUAL, .version = 2};
        struct weir_segment segment;
        assert_int_equal(weir_segments_new(&options, 7 + (uint64_t)i, &rig.segments), WEIR_OK);
        assert_int_equal(take(1, &segment), WEIR_OK);
        salts[i] = segment.header.salt;
        weir_segments_seal(rig.segments, &segment, false);
        weir_segments_free(rig.segments);
        rig.segments = NULL;
    }
    assert_true(salts[0] != salts[1]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_new_file_where_nothing_was_prepared),
        TEST(test_spares_are_made_ahead_and_taken),
        TEST(test_two_that_were_released_are_kept),
        TEST(test_one_spare_under_a_small_limit),
        TEST(test_released_ones_are_recycled_with_another_salt),
        TEST(test_what_is_not_recycled),
        TEST(test_an_oversized_commit_has_its_own_file),
        TEST(test_the_limit_is_kept),
        TEST(test_a_start_adopts_and_takes_stock),
        TEST(test_spares_of_no_use_go_at_start),
        TEST(test_a_clean_spare_is_known_at_start),
        TEST(test_without_a_seed_salts_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
