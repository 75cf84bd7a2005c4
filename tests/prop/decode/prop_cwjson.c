/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quick reader of CloudWatch JSON against the plain one:
 *
 *   - a line as AWS writes it is taken by the quick one, and both read the same
 *   - a line with any damage, or written in any other way, is left to the plain one, or read the
 *     same by both
 *   - a record decodes to the same points, whichever reads its lines
 *   - what is no metric stays as it is, though points are written over the lines around it
 */
#include "../../unit/decode/cwjson_twins.h"
#include "../../unit/decode/fixture.h"
#include "../../unit/decode/synthetic.h"
#include "support.h"
#include "weir/cwjson.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ROUNDS = 3000, LINES = 200 };

#define NAMES                                                                                      \
    "{\"metric_stream_name\":\"S\",\"account_id\":\"1\",\"region\":\"r\",\"namespace\":\"N\","     \
    "\"metric_name\":\"M\",\"dimensions\":"
#define TIME ",\"timestamp\":1700000000000,\"value\":{"
#define FOUR "\"max\":2.5,\"min\":-1,\"sum\":3e2,\"count\":2.0"
#define UNIT "},\"unit\":\"Count\"}"
#define DIMS "{\"a\":\"1\",\"b\":\"2\"}"

/* One line without its line feed. */
static struct weir_buf random_line(struct weir_rand *rand)
{
    struct weir_buf line = weir_buf_grow_init(1 << 16);
    struct synthetic_point point = synthetic_random(rand);
    synthetic_json(&line, &point);
    assert_false(line.failed);
    line.size--;
    return line;
}

static bool is_ascii(struct weir_bytes text)
{
    uint8_t bits = 0;
    for (size_t i = 0; i < text.size; i++) {
        bits |= text.data[i];
    }
    return bits < 0x80;
}

static void test_usual_lines_are_taken(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct weir_buf line = random_line(&rand);
        assert_int_equal(twins_check(weir_buf_view(&line)), is_ascii(weir_buf_view(&line)));
        weir_buf_done(&line);
    }
    assert_true(twins_check(WEIR_BYTES(NAMES DIMS TIME FOUR UNIT)));
    assert_true(twins_check(WEIR_BYTES(NAMES "{}" TIME FOUR ",\"p99.9\":1,\"p5\":-0.0" UNIT)));
    assert_true(twins_check(WEIR_BYTES(NAMES "{}" TIME FOUR ",\"TM(1%:2%)\":1E-3" UNIT)));
    assert_true(twins_check(WEIR_BYTES(
        NAMES "{}" TIME "\"count\":1,\"sum\":0.1234567890123456789,\"min\":0,\"max\":1" UNIT)));
}

static void test_unusual_lines_are_left(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "{}",
        NAMES,
        NAMES DIMS TIME FOUR,
        NAMES DIMS TIME FOUR "}}",
        NAMES DIMS TIME FOUR UNIT " ",
        NAMES DIMS TIME FOUR UNIT "x",
        " " NAMES DIMS TIME FOUR UNIT,
        NAMES " {}" TIME FOUR UNIT,
        NAMES "{\"a\":1}" TIME FOUR UNIT,
        NAMES "{\"a\":\"1\",}" TIME FOUR UNIT,
        NAMES "{\"a\":\"1\",\"a\":\"2\"}" TIME FOUR UNIT,
        NAMES "{\"a\":\"\\u0041\"}" TIME FOUR UNIT,
        NAMES "{\"a\":\"\xc3\xa9\"}" TIME FOUR UNIT,
        NAMES "{\"a\":\"\x1f\"}" TIME FOUR UNIT,
        NAMES "{\"a\":\"\xff\"}" TIME FOUR UNIT,
        NAMES DIMS TIME FOUR ",\"max\":1" UNIT,
        NAMES DIMS TIME FOUR ",\"p99\":1,\"p99.0\":1" UNIT,
        NAMES DIMS TIME FOUR ",\"x\":1,\"x\":1" UNIT,
        NAMES DIMS TIME FOUR ",\"x\":1e999" UNIT,
        NAMES DIMS TIME FOUR ",\"x\":\"1\"" UNIT,
        NAMES DIMS TIME FOUR ",\"x\":01" UNIT,
        NAMES DIMS TIME FOUR ",\"x\":1-1" UNIT,
        NAMES DIMS TIME FOUR ",\"x\":1." UNIT,
        NAMES DIMS TIME FOUR "," UNIT,
        NAMES DIMS TIME UNIT,
        NAMES DIMS TIME "\"max\":2,\"min\":1,\"sum\":3,\"count\":-1" UNIT,
        NAMES DIMS TIME "\"max\":2,\"min\":1,\"sum\":3" UNIT,
        NAMES DIMS ",\"timestamp\":170000000000,\"value\":{" FOUR UNIT,
        NAMES DIMS ",\"timestamp\":0700000000000,\"value\":{" FOUR UNIT,
        NAMES DIMS ",\"timestamp\":9000000000001,\"value\":{" FOUR UNIT,
        NAMES DIMS ",\"timestamp\":1700000000000.5,\"value\":{" FOUR UNIT,
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_false(twins_check(weir_bytes_str(lines[i])));
    }
}

/* Cut anywhere, a byte put in, taken out or changed: the two agree, or the quick one leaves it. */
static void test_mutated_lines(void **state)
{
    (void)state;
    static const uint8_t often[] = "\"\\{}[]:,.0123456789eE+- \t\n\r\x1f\x7f\x80\xff";
    struct weir_rand rand = support_rand(2);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct weir_buf line = random_line(&rand);
        for (uint64_t changes = weir_rand_below(&rand, 3) + 1; changes > 0; changes--) {
            size_t place = (size_t)weir_rand_below(&rand, line.size);
            uint8_t byte = often[weir_rand_below(&rand, sizeof(often) - 1)];
            switch (weir_rand_below(&rand, 8)) {
            case 0: line.size = place + 1; break;
            case 1:
                line.size--;
                memmove(line.data + place, line.data + place + 1, line.size - place);
                break;
            case 2:
                weir_buf_put_byte(&line, byte);
                memmove(line.data + place + 1, line.data + place, line.size - place - 1);
                line.data[place] = byte;
                break;
            case 3: line.data[place] ^= (uint8_t)(1U << weir_rand_below(&rand, 8)); break;
            default: line.data[place] = byte; break;
            }
            line.size += line.size == 0 ? 1 : 0;
        }
        const uint8_t *feed = memchr(line.data, '\n', line.size);
        twins_check(
            weir_bytes_of(line.data, feed == NULL ? line.size : (size_t)(feed - line.data)));
        weir_buf_done(&line);
    }
}

/* A space before each line is nothing in JSON, and not what AWS writes. */
static void put_lines(struct weir_buf *record, struct weir_rand *rand, bool usual)
{
    for (unsigned i = 0; i < LINES; i++) {
        struct weir_buf line = random_line(rand);
        if (!usual) {
            weir_buf_put_byte(record, ' ');
        }
        weir_buf_put(record, weir_buf_view(&line));
        weir_buf_put_byte(record, '\n');
        weir_buf_done(&line);
    }
    assert_false(record->failed);
}

#define ANY(rand, texts) texts[weir_rand_below(rand, sizeof(texts) / sizeof((texts)[0]))]

/* Lines that have much in common, in all combinations: what was remembered of one of them must not
 * be taken for another's. */
static void put_similar_lines(struct weir_buf *record, struct weir_rand *rand, bool usual)
{
    static const char *const streams[] = {"S", "SS"};
    static const char *const accounts[] = {"1", "22", "2"};
    static const char *const names[] = {"N", "NN", "a-namespace-of-more-than-sixteen-bytes"};
    static const char *const metrics[] = {"M", "MM", "N", "HTTPCode_Target_3XX_Count"};
    static const char *const units[] = {"Count", "Bytes", "None", ""};
    static const char *const times[] = {"1700000000000", "1700000060000", "1700000000001"};
    static const char *const numbers[] = {
        "0.0",        "1.0",        "9.0",    "10.0",   "99999.0",    "123456.0",
        "0",          "-0.0",       "1.00",   "1.5",    "1.25",       "0.1",
        "1e3",        "12e1",       "0.1e-7", "999999", "12345678.5", "24.583333333333332",
        "0.12345678", "0.123456789"};
    static char value[600];
    memset(value, 'v', sizeof(value));
    for (unsigned i = 0; i < LINES * 10; i++) {
        size_t long_or_not = weir_rand_below(rand, 8) == 0 ? sizeof(value) : 40;
        weir_buf_printf(record,
                        "%s{\"metric_stream_name\":\"%s\",\"account_id\":\"%s\",\"region\":\"r\","
                        "\"namespace\":\"%s\",\"metric_name\":\"%s\",\"dimensions\":{",
                        usual ? "" : " ", ANY(rand, streams), ANY(rand, accounts), ANY(rand, names),
                        ANY(rand, metrics));
        for (uint64_t d = weir_rand_below(rand, 4); d > 0; d--) {
            weir_buf_printf(record, "\"d%d\":\"%.*s\"%s", (int)d,
                            (int)weir_rand_below(rand, long_or_not), value, d > 1 ? "," : "");
        }
        weir_buf_printf(record, "},\"timestamp\":%s,\"value\":{\"max\":%s,\"min\":%s,",
                        ANY(rand, times), ANY(rand, numbers), ANY(rand, numbers));
        weir_buf_printf(record, "\"sum\":%s,\"count\":%s},\"unit\":\"%s\"}\n", ANY(rand, numbers),
                        ANY(rand, numbers), ANY(rand, units));
    }
    assert_false(record->failed);
}

static void check_records(void (*put)(struct weir_buf *, struct weir_rand *, bool),
                          struct weir_rand start)
{
    struct fixture fixture[2];
    struct weir_runs runs[2];
    for (unsigned i = 0; i < 2; i++) {
        struct weir_buf record = weir_buf_grow_init(1 << 22);
        struct weir_rand rand = start;
        put(&record, &rand, i == 0);
        fixture_open(&fixture[i]);
        weir_cwjson_decode(fixture[i].collect, (struct weir_cwjson_context){{NULL, 0}, {NULL, 0}},
                           fixture_copy(&fixture[i], weir_buf_view(&record)), 0);
        assert_int_equal(weir_collect_finish(fixture[i].collect, &runs[i]), WEIR_OK);
        weir_buf_done(&record);
    }
    assert_int_equal(runs[0].points, runs[1].points);
    assert_true(runs[0].points >= LINES);
    assert_int_equal(runs[0].count, runs[1].count);
    for (uint32_t i = 0; i < runs[0].points; i++) { /* all runs' points are one array */
        const struct weir_point *a = &runs[0].runs[0].points[i];
        const struct weir_point *b = &runs[1].runs[0].points[i];
        support_assert_bytes(weir_bytes_of(a->data, a->size), weir_bytes_of(b->data, b->size));
        assert_true(a->metric->hash == b->metric->hash);
    }
    fixture_close(&fixture[0]);
    fixture_close(&fixture[1]);
}

static void test_records_decode_to_the_same(void **state)
{
    (void)state;
    check_records(put_lines, support_rand(3));
    check_records(put_similar_lines, support_rand(4));
}

/* Metrics around lines that are none: of any length, one after the other, first and last. */
static void test_quarantined_lines_stay(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(5);
    for (unsigned round = 0; round < 100; round++) {
        struct fixture fixture;
        struct weir_buf record = weir_buf_grow_init(1 << 20);
        uint32_t bad = 0;
        while (bad < WEIR_QUARANTINED_KEPT) {
            struct weir_buf line = random_line(&rand);
            if (weir_rand_below(&rand, 3) > 0) {
                weir_buf_printf(&record, "%u:%.*s\n", bad++, (int)weir_rand_below(&rand, 200),
                                "a long line that is no JSON, longer than a point is, to be written"
                                " over or not, from its first byte to its last one, which is this");
            } else {
                weir_buf_put(&record, weir_buf_view(&line));
                weir_buf_put_byte(&record, '\n');
            }
            weir_buf_done(&line);
        }
        fixture_open(&fixture);
        struct weir_bytes copy = fixture_copy(&fixture, weir_buf_view(&record));
        weir_cwjson_decode(fixture.collect, (struct weir_cwjson_context){{NULL, 0}, {NULL, 0}},
                           copy, 0);
        assert_int_equal(fixture.collect->tally->kept_count, bad);
        for (uint32_t i = 0; i < bad; i++) {
            struct weir_bytes whole = fixture.collect->tally->kept[i].whole;
            size_t at = (size_t)(whole.data - copy.data);
            support_assert_bytes(whole, weir_bytes_of(record.data + at, whole.size));
        }
        fixture_close(&fixture);
        weir_buf_done(&record);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual_lines_are_taken),
        cmocka_unit_test(test_unusual_lines_are_left),
        cmocka_unit_test(test_mutated_lines),
        cmocka_unit_test(test_records_decode_to_the_same),
        cmocka_unit_test(test_quarantined_lines_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
