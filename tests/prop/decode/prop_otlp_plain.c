/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quick walk through OTLP is the plain one, only quicker:
 *
 *   - what AWS's layout is, the quick way takes by itself
 *   - a point that it accepts, the plain check accepts, with the same name and time, whichever byte
 *     of it is changed to whatever
 *   - whole messages give the same runs, or the same reason, however they are damaged
 *   - nobody reads past the end
 */
#include "../../../src/decode/otlp_aws.h"
#include "../../unit/decode/both_ways.h"
#include "../../unit/decode/synthetic.h"
#include "guard.h"
#include "support.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A value of so many characters, for lengths of one, two and three bytes. */
static char long_value[40000];

/* Points of plain ASCII, and with a dimension whose lengths need two bytes now and then. */
static struct synthetic_point ascii_point(struct weir_rand *rand)
{
    struct synthetic_point point = synthetic_random(rand);
    point.name = "AWS/EC2";
    for (unsigned i = 0; i < point.dimension_count; i++) {
        point.dimensions[i].value = "i-0123456789abcdef0";
    }
    if (point.dimension_count > 0 && weir_rand_below(rand, 2) == 0) {
        size_t size = (size_t)weir_rand_below(rand, 300);
        point.dimensions[0].value = long_value + sizeof(long_value) - 1 - size;
    }
    return point;
}

static void check_point(struct weir_bytes data, bool is_10)
{
    struct weir_otlp_point quick;
    struct weir_otlp_point plain;
    struct weir_cwpoint labels;
    if (weir_otlp_aws_point(data, &quick)) {
        assert_true(weir_otlp_point_check(WEIR_OTLP_SUMMARY_POINT, data, &plain));
        assert_false(plain.has_labels);
        support_assert_bytes(quick.name, plain.name);
        support_assert_bytes(quick.data, plain.data);
        assert_true(quick.time_ns == plain.time_ns);
    }
    if (!is_10 && weir_otlp_aws_labels(data, &labels)) {
        assert_true(weir_otlp_point_check(WEIR_OTLP_SUMMARY_POINT, data, &plain));
        assert_true(plain.has_labels);
        assert_true(plain.time_ns == (labels.time_ns <= INT64_MAX ? (int64_t)labels.time_ns : 0));
    }
}

static void test_aws_layout_is_taken(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(1);
    for (unsigned round = 0; round < 500; round++) {
        struct synthetic_message data;
        struct weir_otlp_point point;
        struct weir_cwpoint labels;
        bool is_07 = round % 2 == 0;
        struct synthetic_point made = ascii_point(&rand);
        synthetic_clear(&data);
        synthetic_data(&data.buf, &made, is_07);
        struct guard guard = guard_copy(weir_buf_view(&data.buf));
        assert_true(is_07 ? weir_otlp_aws_labels(guard_view(&guard), &labels)
                          : weir_otlp_aws_point(guard_view(&guard), &point));
        support_assert_bytes(is_07 ? labels.name : point.name, WEIR_BYTES("AWS/EC2"));
        guard_free(&guard);
    }
}

/* Each byte becomes each value, and the point each shorter one. */
static void test_any_byte_of_a_point(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(2);
    for (unsigned round = 0; round < 6; round++) {
        struct synthetic_message data;
        bool is_07 = round % 2 == 0;
        struct synthetic_point made = round < 4 ? ascii_point(&rand) : synthetic_random(&rand);
        synthetic_clear(&data);
        synthetic_data(&data.buf, &made, is_07);
        struct guard guard = guard_copy(weir_buf_view(&data.buf));
        for (size_t at = 0; at < guard.size; at++) {
            uint8_t was = guard.data[at];
            for (unsigned value = 0; value < 256; value++) {
                guard.data[at] = (uint8_t)value;
                check_point(guard_view(&guard), !is_07);
            }
            guard.data[at] = was;
            check_point(weir_bytes_of(guard.data + at, guard.size - at), !is_07);
        }
        for (size_t size = 0; size < guard.size; size++) {
            struct guard cut = guard_copy(weir_bytes_of(guard.data, size));
            check_point(guard_view(&cut), !is_07);
            guard_free(&cut);
        }
        guard_free(&guard);
    }
}

/* Messages of several points under some resources, in both versions. */
static void build(struct weir_buf *out, struct weir_rand *rand, unsigned points)
{
    for (unsigned i = 0; i < points; i++) {
        struct weir_buf one = weir_buf_grow_init(1 << 20);
        struct synthetic_point point =
            weir_rand_below(rand, 4) == 0 ? synthetic_random(rand) : ascii_point(rand);
        synthetic_otlp(&one, &point, weir_rand_below(rand, 3) == 0);
        struct weir_cursor cursor = weir_cursor_of(weir_buf_view(&one));
        (void)weir_pb_varint(&cursor);
        weir_buf_put(out, weir_bytes_of(cursor.position, weir_cursor_left(&cursor)));
        weir_buf_done(&one);
    }
    assert_false(out->failed);
}

static void damage(struct weir_buf *message, struct weir_rand *rand)
{
    static const uint8_t likely[] = {0x00, 0x01, 0x0A, 0x12, 0x1A, 0x22, 0x2A, 0x32,
                                     0x3A, 0x5A, 0x7F, 0x80, 0x81, 0xC3, 0xFF, 0x4A};
    for (uint64_t changes = weir_rand_below(rand, 4); changes > 0; changes--) {
        size_t at = (size_t)weir_rand_below(rand, message->size);
        message->data[at] = weir_rand_below(rand, 2) == 0
                                ? likely[weir_rand_below(rand, sizeof(likely))]
                                : (uint8_t)weir_rand_below(rand, 256);
    }
    if (weir_rand_below(rand, 8) == 0) {
        message->size = (size_t)weir_rand_below(rand, message->size + 1);
    }
}

/* A field of every length; its length as two bytes, also where it takes another number of them. */
static void test_only_two_bytes_of_length(void **state)
{
    (void)state;
    static uint8_t message[sizeof(long_value) + 3];
    for (size_t size = 0; size < 0x8000; size++) {
        struct weir_bytes content = {NULL, 0};
        message[0] = 0x0A;
        message[1] = (uint8_t)(size | 0x80);
        message[2] = (uint8_t)(size >> 7);
        bool taken = weir_otlp_aws_only(weir_bytes_of(message, size + 3), 0x0A, &content);
        assert_int_equal(taken, size >= 0x80 && size < 0x4000);
        assert_int_equal(content.size, taken ? size : 0);
        assert_false(weir_otlp_aws_only(weir_bytes_of(message, size < 3 ? size : 2), 0x0A, NULL));
    }
}

static void test_whole_messages(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(3);
    unsigned good = 0;
    for (unsigned round = 0; round < 3000; round++) {
        struct weir_buf message = weir_buf_grow_init(1 << 20);
        build(&message, &rand, 1 + (unsigned)weir_rand_below(&rand, 4));
        damage(&message, &rand);
        struct guard guard = guard_copy(weir_buf_view(&message));
        struct both_ways both = both_ways_decode(guard_view(&guard));
        assert_true(both.same);
        good += both.good;
        guard_free(&guard);
        weir_buf_done(&message);
    }
    assert_in_range(good, 300, 2990);
}

/* A point with one dimension of that value, whose list has lost its last `cut` bytes; all lengths
 * around the list are right, those in it are not. */
static struct guard one_dimension(size_t value, size_t cut)
{
    struct weir_buf data = weir_buf_grow_init(1 << 20);
    struct weir_buf any = weir_buf_grow_init(1 << 20);
    struct weir_buf pair = weir_buf_grow_init(1 << 20);
    struct weir_buf list = weir_buf_grow_init(1 << 20);
    weir_pbw_bytes(&any, 1, weir_bytes_of(long_value, value));
    weir_pbw_bytes(&pair, 1, WEIR_BYTES("QueueName"));
    weir_pbw_bytes(&pair, 2, weir_buf_view(&any));
    weir_pbw_bytes(&list, 1, weir_buf_view(&pair));
    any.size = 0;
    assert_true(cut <= list.size);
    weir_pbw_bytes(&any, 6, weir_bytes_of(list.data, list.size - cut));
    pair.size = 0;
    weir_pbw_bytes(&pair, 1, WEIR_BYTES("Dimensions"));
    weir_pbw_bytes(&pair, 2, weir_buf_view(&any));
    synthetic_attribute(&data, 7, "Namespace", WEIR_BYTES("AWS/SQS"));
    synthetic_attribute(&data, 7, "MetricName", WEIR_BYTES("Age"));
    weir_pbw_bytes(&data, 7, weir_buf_view(&pair));
    assert_false(data.failed);
    struct guard guard = guard_copy(weir_buf_view(&data));
    weir_buf_done(&data);
    weir_buf_done(&any);
    weir_buf_done(&pair);
    weir_buf_done(&list);
    return guard;
}

/* Values whose lengths take one byte, two and three; beyond the sweep's bound too. */
static void test_all_lengths(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof(long_value) - 1; size += size < 300 ? 1 : 97) {
        struct guard guard = one_dimension(size, 0);
        struct weir_otlp_point point;
        assert_int_equal(weir_otlp_aws_point(guard_view(&guard), &point), size < 1920);
        assert_true(weir_otlp_point_check(WEIR_OTLP_SUMMARY_POINT, guard_view(&guard), &point));
        check_point(guard_view(&guard), true);
        guard_free(&guard);
    }
}

/* A dimension that says it goes on behind the end of its list, which is the end of the point. */
static void test_a_dimension_beyond_its_list(void **state)
{
    (void)state;
    for (size_t value = 0; value < 300; value += 7) {
        for (size_t cut = 1; cut < value + 17; cut++) {
            struct guard guard = one_dimension(value, cut);
            struct weir_otlp_point point;
            assert_false(weir_otlp_aws_point(guard_view(&guard), &point));
            guard_free(&guard);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aws_layout_is_taken),
        cmocka_unit_test(test_any_byte_of_a_point),
        cmocka_unit_test(test_only_two_bytes_of_length),
        cmocka_unit_test(test_whole_messages),
        cmocka_unit_test(test_all_lengths),
        cmocka_unit_test(test_a_dimension_beyond_its_list),
    };
    memset(long_value, 'v', sizeof(long_value) - 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
