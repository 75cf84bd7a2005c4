/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "letter_fixture.h"
#include "weir/pb.h"
#include "weir/split.h"
#include <stdatomic.h>

enum { MANY = 8 };

static void test_a_letter_is_a_line(void **state)
{
    (void)state;
    struct contents all;
    size_t at = 0;
    open_box(1 << 20, false, 0);
    assert_int_equal(send_one(WEIR_LETTER_RECORD, WEIR_BYTES("{}\n")), WEIR_OK);
    look(&all);
    assert_int_equal(all.count, 1);
    assert_string_equal(all.names[0], "weir-dead-letter-2025-11-22T00-14-44Z-0001.ndjson");
    struct weir_letter_line line = take_line(&all, &at);
    support_assert_bytes(line.data, WEIR_BYTES("{}\n"));
    support_assert_bytes(line.destination, WEIR_BYTES("backend"));
    assert_false(line.whole_body);
    assert_int_equal(at, all.size);
    assert_int_equal(weir_letterbox_look(box).bytes, all.size);
    assert_int_equal(weir_letterbox_look(box).lines, 1);
    weir_mem_free(all.data);
    weir_letterbox_close(box);
}

static void test_many_letters_take_one_sync(void **state)
{
    (void)state;
    struct sent sent[MANY];
    open_box(1 << 20, false, 0);
    assert_int_equal(send_one(WEIR_LETTER_RECORD, of_size(10)), WEIR_OK);
    simdisk_set_fault(sim, (struct simdisk_fault){.at = 0});
    for (int i = 0; i < MANY; i++) {
        put(&sent[i], WEIR_LETTER_RECORD, of_size(10));
    }
    weir_letterbox_step(box);
    assert_int_equal(sim->calls, MANY + 1);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(sent[i].status, WEIR_OK);
        assert_int_equal(sent[i].calls, 1);
    }
    weir_letterbox_close(box);
}

static void test_a_body_is_cut_anywhere(void **state)
{
    (void)state;
    struct contents all;
    size_t at = 0;
    size_t bytes = 0;
    open_box(16 << 20, false, 0);
    assert_int_equal(send_one(WEIR_LETTER_BODY, of_size(2 * WEIR_LETTER_DATA_MAX + 1)), WEIR_OK);
    look(&all);
    assert_int_equal(all.lines, 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct weir_letter_line line = take_line(&all, &at);
        assert_int_equal(line.part, i);
        assert_int_equal(line.parts, 3);
        assert_true(line.whole_body);
        bytes += line.data.size;
    }
    assert_int_equal(bytes, 2 * WEIR_LETTER_DATA_MAX + 1);
    weir_mem_free(all.data);
    weir_letterbox_close(box);
}

static void put_field(struct weir_buf *out, uint8_t tag, struct weir_bytes content)
{
    uint64_t size = content.size;
    weir_buf_put_byte(out, tag);
    while (size >= 0x80) {
        weir_buf_put_byte(out, (uint8_t)(size | 0x80));
        size >>= 7;
    }
    weir_buf_put_byte(out, (uint8_t)size);
    weir_buf_put(out, content);
}

/* A request of `points` gauge points, each with a string of `size` bytes. */
static struct weir_buf make_request(int points, size_t size)
{
    struct weir_buf layers[7];
    for (int i = 0; i < 7; i++) {
        layers[i] = weir_buf_grow_init((size_t)16 << 20);
    }
    for (int i = 0; i < points; i++) { /* attribute: key, then its point, then the gauge */
        layers[0].size = 0;
        layers[1].size = 0;
        put_field(&layers[0], 0x0a, of_size(size));
        put_field(&layers[1], 0x3a, weir_buf_view(&layers[0]));
        put_field(&layers[2], 0x0a, weir_buf_view(&layers[1]));
    }
    put_field(&layers[3], 0x2a, weir_buf_view(&layers[2])); /* metric.gauge */
    put_field(&layers[4], 0x12, weir_buf_view(&layers[3])); /* scope.metrics */
    put_field(&layers[5], 0x12, weir_buf_view(&layers[4])); /* resource.scopes */
    put_field(&layers[6], 0x0a, weir_buf_view(&layers[5]));
    for (int i = 0; i < 6; i++) {
        weir_buf_done(&layers[i]);
    }
    assert_false(layers[6].failed);
    return layers[6];
}

static void test_otlp_is_cut_at_points(void **state)
{
    (void)state;
    struct contents all;
    size_t at = 0;
    size_t points = 0;
    struct weir_buf request = make_request(100, 30000);
    open_box(16 << 20, false, 0);
    assert_int_equal(send_one(WEIR_LETTER_OTLP, weir_buf_view(&request)), WEIR_OK);
    look(&all);
    assert_true(all.lines >= 3);
    while (at < all.size) {
        size_t count = 0;
        struct weir_letter_line line = take_line(&all, &at);
        assert_int_equal(line.parts, 1);
        assert_true(line.data.size <= WEIR_LETTER_DATA_MAX);
        struct weir_cursor cursor = weir_cursor_of(line.data);
        uint64_t length = weir_pb_varint(&cursor);
        assert_int_equal(length, weir_cursor_left(&cursor));
        assert_int_equal(weir_split_count(weir_cursor_take(&cursor, length), &count), WEIR_OK);
        points += count;
    }
    assert_int_equal(points, 100);
    weir_mem_free(all.data);
    weir_buf_done(&request);
    weir_letterbox_close(box);
}

static void test_a_point_too_large_for_a_line_comes_in_parts(void **state)
{
    (void)state;
    struct weir_buf request = make_request(1, 2500000);
    open_box(16 << 20, false, 0);
    assert_int_equal(send_one(WEIR_LETTER_OTLP, weir_buf_view(&request)), WEIR_OK);
    assert_int_equal(lines_on_disk(), 3);
    weir_buf_done(&request);
    weir_letterbox_close(box);
}

static void test_reject_says_full_and_writes_nothing(void **state)
{
    (void)state;
    open_box(4000, false, 0);
    assert_int_equal(send_one(WEIR_LETTER_RECORD, of_size(1000)), WEIR_OK);
    assert_false(weir_letterbox_look(box).full);
    assert_int_equal(send_one(WEIR_LETTER_RECORD, of_size(2000)), WEIR_EFULL);
    assert_true(weir_letterbox_look(box).full);
    assert_int_equal(lines_on_disk(), 1);
    assert_int_equal(send_one(WEIR_LETTER_RECORD, of_size(10)), WEIR_OK); /* there is room for it */
    assert_true(weir_letterbox_look(box).full);
    assert_true(weir_letterbox_look(box).bytes <= 4000);
    struct contents all;
    look(&all);
    for (uint32_t i = 0; i < all.count; i++) {
        assert_int_equal(disk.ops->remove(disk.self, all.names[i]), 0);
    }
    weir_mem_free(all.data);
    weir_letterbox_step(box); /* somebody has made room: it sees that by itself */
    assert_false(weir_letterbox_look(box).full);
    assert_int_equal(send_one(WEIR_LETTER_RECORD, of_size(2000)), WEIR_OK);
    assert_int_equal(lines_on_disk(), 1);
    weir_letterbox_close(box);
}

static void test_evict_takes_the_oldest(void **state)
{
    (void)state;
    open_box(10000, true, 3000);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(send_one(WEIR_LETTER_RECORD, of_size(1000)), WEIR_OK);
        assert_true(weir_letterbox_look(box).bytes <= 10000);
        assert_true(simdisk_bytes(sim, ".ndjson") <= 10000);
    }
    struct weir_letterbox_stat stat = weir_letterbox_look(box);
    assert_true(stat.evicted_files > 5);
    assert_false(stat.full);
    struct contents all;
    look(&all);
    assert_string_not_equal(all.names[0], "weir-dead-letter-2025-11-22T00-14-44Z-0001.ndjson");
    weir_mem_free(all.data);
    assert_int_equal(send_one(WEIR_LETTER_RECORD, of_size(20000)), WEIR_OK); /* alone */
    assert_int_equal(lines_on_disk(), 1);
    weir_letterbox_close(box);
}

static void test_evict_within_one_step_keeps_what_was_promised(void **state)
{
    (void)state;
    struct sent sent[MANY];
    open_box(5000, true, 64 << 10);
    for (int i = 0; i < MANY; i++) {
        put(&sent[i], WEIR_LETTER_RECORD, of_size(1000));
    }
    weir_letterbox_step(box);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(sent[i].status, WEIR_OK); /* each was durable when it was said */
        assert_int_equal(sent[i].calls, 1);
    }
    assert_true(simdisk_bytes(sim, ".ndjson") <= 5000);
    weir_letterbox_close(box);
}

static void test_files_rotate_and_are_counted_at_a_start(void **state)
{
    (void)state;
    struct contents all;
    open_box(1 << 20, false, 3000);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(send_one(WEIR_LETTER_RECORD, of_size(1000)), WEIR_OK);
    }
    uint64_t bytes = weir_letterbox_look(box).bytes;
    weir_letterbox_close(box);
    weir_disk_close(&disk);
    disk = simdisk_disk(sim);
    int other = disk.ops->open(disk.self, "notes.txt", WEIR_DISK_CREATE);
    (void)disk.ops->close(disk.self, other);
    look(&all);
    assert_int_equal(all.count, 4 + 1);
    weir_mem_free(all.data);
    open_box(1 << 20, false, 3000);
    assert_int_equal(weir_letterbox_look(box).bytes, bytes);
    assert_int_equal(send_one(WEIR_LETTER_RECORD, of_size(1)), WEIR_OK); /* never an old file */
    look(&all);
    assert_int_equal(all.count, 6);
    weir_mem_free(all.data);
    weir_letterbox_close(box);
}

static void test_only_one_may_have_it(void **state)
{
    (void)state;
    struct weir_letterbox_options options = {.disk = disk, .limit = 1000};
    struct weir_letterbox *second = NULL;
    open_box(1 << 20, false, 0);
    assert_int_equal(weir_letterbox_open(&options, &second), WEIR_EEXIST);
    assert_null(second);
    weir_letterbox_close(box);
    weir_letterbox_close(NULL);
}

static _Atomic int threaded;

static void on_thread_done(struct weir_letter *letter, enum weir_status status)
{
    (void)letter;
    assert_int_equal(status, WEIR_OK);
    atomic_fetch_add_explicit(&threaded, 1, memory_order_relaxed); /* joined before it is read */
}

static void test_its_thread_writes_what_waits_before_it_ends(void **state)
{
    (void)state;
    static struct sent sent[MANY];
    open_box(1 << 20, false, 0);
    assert_int_equal(weir_letterbox_start(box), WEIR_OK);
    for (int i = 0; i < MANY; i++) {
        sent[i] = (struct sent){.letter = {.kind = WEIR_LETTER_RECORD,
                                           .destination = "",
                                           .reason = "x",
                                           .done = on_thread_done}};
        weir_letterbox_put(box, &sent[i].letter);
    }
    weir_letterbox_close(box);
    assert_int_equal(atomic_load_explicit(&threaded, memory_order_relaxed), MANY);
    assert_int_equal(lines_on_disk(), MANY);
}

#define TEST(name_) cmocka_unit_test_setup_teardown((name_), set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_letter_is_a_line),
        TEST(test_many_letters_take_one_sync),
        TEST(test_a_body_is_cut_anywhere),
        TEST(test_otlp_is_cut_at_points),
        TEST(test_a_point_too_large_for_a_line_comes_in_parts),
        TEST(test_reject_says_full_and_writes_nothing),
        TEST(test_evict_takes_the_oldest),
        TEST(test_evict_within_one_step_keeps_what_was_promised),
        TEST(test_files_rotate_and_are_counted_at_a_start),
        TEST(test_only_one_may_have_it),
        TEST(test_its_thread_writes_what_waits_before_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
