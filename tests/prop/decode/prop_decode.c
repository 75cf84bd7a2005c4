/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What holds for every input of the record decoders:
 *
 *   - the same points, as JSON, 0.7 and 1.0, leave as the same bytes in the same runs
 *   - no cut and no flipped bit crashes, and whatever comes out is valid
 *   - a damaged message leaves nothing behind, its sound neighbours all of theirs
 */
#include "../../unit/decode/fixture.h"
#include "../../unit/decode/synthetic.h"
#include "support.h"
#include "weir/mem.h"
#include "weir/record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define POINTS 40

static const struct weir_cwjson_context context = {WEIR_BYTES_INIT("aws"), {NULL, 0}};

enum format { JSON, OTLP_07, OTLP_10, FORMATS };

static void encode(struct weir_buf *out, const struct synthetic_point *point, enum format format)
{
    if (format == JSON) {
        synthetic_json(out, point);
    } else {
        synthetic_otlp(out, point, format == OTLP_07);
    }
    assert_false(out->failed);
}

static void decode(struct fixture *fixture, struct weir_bytes record, struct weir_runs *ret)
{
    fixture_open(fixture);
    weir_record_decode(fixture->collect, context, fixture_copy(fixture, record), 0);
    assert_int_equal(weir_collect_finish(fixture->collect, ret), WEIR_OK);
    assert_true(weir_runs_validate(ret));
}

static void check_same_point(const struct weir_point *a, const struct weir_point *b)
{
    support_assert_bytes(weir_bytes_of(a->data, a->size), weir_bytes_of(b->data, b->size));
    support_assert_bytes(a->metric->head, b->metric->head);
    support_assert_bytes(a->metric->data_head, b->metric->data_head);
    support_assert_bytes(a->metric->scope->head, b->metric->scope->head);
    support_assert_bytes(a->metric->scope->resource->head, b->metric->scope->resource->head);
    assert_int_equal(a->metric->data, b->metric->data);
    assert_true(a->metric->hash == b->metric->hash);
}

static void check_same(const struct weir_runs *a, const struct weir_runs *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->points, b->points);
    assert_int_equal(a->bytes, b->bytes);
    for (uint32_t r = 0; r < a->count; r++) {
        assert_int_equal(a->runs[r].count, b->runs[r].count);
        assert_true(a->runs[r].newest_ns == b->runs[r].newest_ns);
        support_assert_bytes(a->runs[r].name, b->runs[r].name);
        support_assert_bytes(a->runs[r].resource->account, b->runs[r].resource->account);
        support_assert_bytes(a->runs[r].resource->region, b->runs[r].resource->region);
        for (uint32_t i = 0; i < a->runs[r].count; i++) {
            check_same_point(&a->runs[r].points[i], &b->runs[r].points[i]);
        }
    }
}

static void test_one_meaning(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(1);
    for (unsigned round = 0; round < 30; round++) {
        struct weir_buf record[FORMATS];
        struct fixture fixture[FORMATS];
        struct weir_runs runs[FORMATS];
        struct weir_rand start = rand;
        for (unsigned format = 0; format < FORMATS; format++) {
            record[format] = weir_buf_grow_init(1 << 20);
            rand = start;
            for (unsigned i = 0; i < POINTS; i++) {
                struct synthetic_point point = synthetic_random(&rand);
                encode(&record[format], &point, (enum format)format);
            }
            decode(&fixture[format], weir_buf_view(&record[format]), &runs[format]);
            assert_int_equal(runs[format].points, POINTS);
        }
        check_same(&runs[JSON], &runs[OTLP_10]);
        check_same(&runs[OTLP_07], &runs[OTLP_10]);
        for (unsigned format = 0; format < FORMATS; format++) {
            fixture_close(&fixture[format]);
            weir_buf_done(&record[format]);
        }
    }
}

/* Cut anywhere, or with a few bits flipped, a record still gives valid runs. */
static void test_damage_never_breaks(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(2);
    for (unsigned round = 0; round < 900; round++) {
        struct weir_buf record = weir_buf_grow_init(1 << 20);
        struct fixture fixture;
        struct weir_runs runs;
        for (unsigned i = 0; i < 3; i++) {
            struct synthetic_point point = synthetic_random(&rand);
            encode(&record, &point, (enum format)(round % FORMATS));
        }
        for (uint64_t flips = weir_rand_below(&rand, 4); flips > 0; flips--) {
            uint64_t bit = weir_rand_below(&rand, record.size * 8);
            record.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        size_t size = record.size;
        if (weir_rand_below(&rand, 2) == 0) {
            size = (size_t)weir_rand_below(&rand, record.size);
        }
        decode(&fixture, weir_bytes_of(record.data, size), &runs);
        fixture_close(&fixture);
        weir_buf_done(&record);
    }
}

/* A whole body, cut or flipped: an answer, and never a crash. */
static void test_damaged_bodies(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(3);
    struct weir_body_options options = fixture_body_options();
    for (unsigned round = 0; round < 600; round++) {
        static const char *const records =
            "{\"data\":\"e30K\"},{\"data\":\"\"},{\"data\":\"/w==\"}]}";
        struct weir_buf body = weir_buf_grow_init(1 << 20);
        struct fixture fixture;
        struct weir_body_result result = {0};
        synthetic_body_begin(&body);
        weir_buf_put(&body, weir_bytes_str(records));
        for (uint64_t flips = weir_rand_below(&rand, 3); flips > 0; flips--) {
            uint64_t bit = weir_rand_below(&rand, body.size * 8);
            body.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        body.size -= weir_rand_below(&rand, 2) * weir_rand_below(&rand, body.size);
        fixture_open_bare(&fixture, (size_t)8 << 20);
        enum weir_status status =
            weir_body_decode(NULL, fixture.arena, weir_buf_view(&body), &options, &result);
        assert_true(status == WEIR_OK || status == WEIR_EMALFORMED || status == WEIR_ELIMIT);
        assert_true(status == WEIR_OK ? weir_runs_validate(&result.runs) : result.error != NULL);
        fixture_close(&fixture);
        weir_buf_done(&body);
    }
}

/* The message of a delimited record with one point, without its length. */
static struct weir_bytes undelimited(struct weir_bytes record)
{
    struct weir_cursor cursor = weir_cursor_of(record);
    uint64_t size = weir_pb_varint(&cursor);
    assert_int_equal(size, weir_cursor_left(&cursor));
    return weir_bytes_of(cursor.position, (size_t)size);
}

/* sound message | a message of two sound points and a field that runs over its end
 * | sound message */
static void test_a_damaged_message_is_rolled_back_whole(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(4);
    for (unsigned round = 0; round < 60; round++) {
        struct weir_buf sound = weir_buf_grow_init(1 << 20);
        struct weir_buf record = weir_buf_grow_init(1 << 20);
        struct fixture fixture;
        struct weir_runs runs;
        struct synthetic_point point = synthetic_random(&rand);
        synthetic_otlp(&sound, &point, round % 2 == 0);
        struct weir_bytes message = undelimited(weir_buf_view(&sound));
        weir_buf_put(&record, weir_buf_view(&sound));
        weir_pbw_varint(&record, message.size * 2 + 3);
        weir_buf_put(&record, message);
        weir_buf_put(&record, message);
        weir_buf_put(&record, WEIR_BYTES("\x0a\x02\x0a"));
        weir_buf_put(&record, weir_buf_view(&sound));
        decode(&fixture, weir_buf_view(&record), &runs);
        assert_int_equal(runs.points, 2);
        assert_int_equal(runs.count, 1);
        assert_int_equal(fixture.collect->tally->quarantined[WEIR_QUARANTINE_OTLP_MESSAGE], 1);
        fixture_close(&fixture);
        weir_buf_done(&record);
        weir_buf_done(&sound);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_meaning),
        cmocka_unit_test(test_damage_never_breaks),
        cmocka_unit_test(test_damaged_bodies),
        cmocka_unit_test(test_a_damaged_message_is_rolled_back_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
