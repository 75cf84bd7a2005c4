/* SPDX-License-Identifier: Apache-2.0 */
#include "load/backup.h"
#include "load/life.h"
#include "load/parcel.h"
#include "weir/clock.h"
#include "weir/letter.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FIRST_ID  "11111111-2222-4333-8444-555555555555"
#define SECOND_ID "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

static struct weir_traffic *traffic;
static struct weir_load_maker maker;
static struct weir_load_parcel parcel;
static uint8_t inflated[1 << 20];

static int set_up(void **state)
{
    (void)state;
    struct weir_traffic_options options = weir_traffic_defaults();
    options.streams = 2;
    options.per_stream = 100;
    return weir_traffic_new(&options, &traffic) == WEIR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    weir_load_maker_done(&maker);
    weir_load_parcel_done(&parcel);
    weir_traffic_free(traffic);
    return 0;
}

static void build(int level, uint32_t ranges)
{
    const struct weir_body_shape shape = {WEIR_BODY_OTLP10, 20, level};
    assert_int_equal(weir_load_maker_init(&maker, traffic, &shape), WEIR_OK);
    parcel.ranges = ranges;
    for (uint32_t i = 0; i < ranges; i++) {
        parcel.range[i] = (struct weir_load_range){100 + 200 * i, 50, 1};
    }
    assert_int_equal(weir_load_parcel_build(&maker, &parcel), WEIR_OK);
}

/* The document that the parcel is now. */
static struct weir_bytes document(void)
{
    struct weir_inflater *inflater;
    size_t size;
    if (maker.deflater == NULL) {
        return weir_bytes_of(parcel.data, parcel.size);
    }
    assert_int_equal(weir_inflater_new(&inflater), WEIR_OK);
    assert_int_equal(weir_gzip_inflate(inflater, weir_bytes_of(parcel.data, parcel.size), inflated,
                                       sizeof inflated, &size),
                     WEIR_OK);
    weir_inflater_free(inflater);
    return weir_bytes_of(inflated, size);
}

/* Under any id it is what the traffic builds, whether compressed or not. */
static void is_what_traffic_builds(int level)
{
    const struct weir_body_shape shape = {WEIR_BODY_OTLP10, 20, 0};
    static const char *const ids[] = {FIRST_ID, SECOND_ID, FIRST_ID};
    build(level, 1);
    assert_int_equal(parcel.points, 50);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct weir_buf plain = weir_buf_grow_init(1 << 20);
        struct weir_body body = {.first = 100, .points = 50};
        assert_int_equal(weir_body_build(traffic, &shape, ids[i], &body, &plain), WEIR_OK);
        weir_load_parcel_name(&parcel, ids[i]);
        assert_true(weir_bytes_eq(document(), weir_buf_view(&plain)));
        assert_int_equal(parcel.json_bytes, plain.size);
        assert_int_equal(parcel.record_bytes, body.record_bytes);
        weir_buf_done(&plain);
    }
}

static void a_plain_one_changes_its_id_only(void **state)
{
    (void)state;
    is_what_traffic_builds(0);
}

static void a_compressed_one_changes_its_id_only(void **state)
{
    (void)state;
    is_what_traffic_builds(6);
}

static uint32_t lines_of(struct weir_buf *lines)
{
    uint32_t count = 0;
    for (size_t i = 0; i < lines->size; i++) {
        count += lines->data[i] == '\n';
    }
    return count;
}

static const struct weir_load_failure failure = {.stream = "metrics",
                                                 .code = "HttpEndpoint.DestinationException",
                                                 .message = WEIR_BYTES_INIT("503: {\"a\":\"b\"}"),
                                                 .attempts = 3,
                                                 .arrival_ms = 1763770484000,
                                                 .ending_ms = 1763770485000};

/* Two ranges: all records of both, and the backup's lines are letters that Weir reads. */
static void a_joined_one_has_the_records_of_all(void **state)
{
    (void)state;
    struct weir_buf lines = weir_buf_grow_init(1 << 20);
    struct weir_letter_line line;
    const char *error;
    build(6, 2);
    assert_int_equal(parcel.points, 100);
    assert_int_equal(weir_load_backup_lines(&failure, document(), &lines), WEIR_OK);
    size_t bytes = 0;
    uint32_t count = lines_of(&lines);
    assert_true(count >= 2 * 3);
    for (size_t at = 0; at < lines.size;) {
        uint8_t *end = memchr(lines.data + at, '\n', lines.size - at);
        assert_int_equal(
            weir_letter_read(lines.data + at, (size_t)(end - lines.data) - at, &line, &error),
            WEIR_OK);
        assert_int_equal(line.attempts, 3);
        assert_true(line.arrival_wall_ns == failure.arrival_ms * WEIR_NS_PER_MS);
        assert_true(weir_bytes_eq(line.reason, weir_bytes_str(failure.code)));
        bytes += line.data.size;
        at = (size_t)(end - lines.data) + 1;
    }
    assert_int_equal(bytes, parcel.record_bytes);
    weir_buf_done(&lines);
}

static void what_has_no_records_is_no_backup(void **state)
{
    (void)state;
    uint8_t small[64];
    struct weir_buf lines = weir_buf_grow_init(1 << 16);
    struct weir_buf full = weir_buf_fixed(small, sizeof small);
    static const char cut[] = "{\"records\":[{\"data\":\"AAAA";
    assert_int_equal(weir_load_backup_lines(&failure, WEIR_BYTES("{\"records\":[]}"), &lines),
                     WEIR_EMALFORMED);
    assert_int_equal(weir_load_backup_lines(&failure, weir_bytes_str(cut), &lines),
                     WEIR_EMALFORMED);
    assert_int_equal(
        weir_load_backup_lines(&failure, WEIR_BYTES("{\"records\":[{\"data\":\"AAAA\"}]}"), &full),
        WEIR_ENOMEM);
    weir_buf_done(&lines);
}

static struct weir_load_life *live(size_t size, int64_t interval_ns)
{
    static const struct weir_body_shape shape = {WEIR_BODY_OTLP10, 20, 0};
    const struct weir_load_life_options options = {.traffic = traffic,
                                                   .shape = &shape,
                                                   .buffer = {size, interval_ns, 0},
                                                   .streams = 2,
                                                   .per_stream = 100,
                                                   .first = 0,
                                                   .step = 1};
    struct weir_load_life *life;
    assert_int_equal(weir_load_life_new(&options, &life), WEIR_OK);
    return life;
}

/* Every point of ten minutes once and in order, whatever the buffer, and none before its time. */
static void every_point_comes_once(size_t size, int64_t interval_ns)
{
    struct weir_load_life *life = live(size, interval_ns);
    struct weir_load_range range[WEIR_LOAD_RANGES_MAX];
    struct weir_load_due due = {.range = range};
    uint64_t next[2] = {0, 0}; /* points of each stream */
    int64_t now_ns = 0;
    for (; now_ns <= 600 * WEIR_NS_PER_S; now_ns += 7 * WEIR_NS_PER_S / 10) {
        while (weir_load_life_next(life, now_ns, &due)) {
            assert_true(due.due_ns <= now_ns);
            for (uint32_t i = 0; i < due.ranges; i++) {
                uint64_t *expected = &next[range[i].stream];
                assert_int_equal(range[i].first,
                                 *expected / 100 * 200 + range[i].stream * 100 + *expected % 100);
                assert_true(*expected % 100 + range[i].count <= 100);
                *expected += range[i].count;
            }
            assert_true((int64_t)next[range[0].stream] <= now_ns / WEIR_NS_PER_S * 100 / 60 + 2);
        }
    }
    while (weir_load_life_flush(life, now_ns, &due)) {
        for (uint32_t i = 0; i < due.ranges; i++) {
            next[range[i].stream] += range[i].count;
        }
    }
    assert_in_range(next[0], 960, 1000);
    assert_int_equal(next[0], next[1]);
    weir_load_life_free(life);
}

static void buffers_hold_every_point_once(void **state)
{
    (void)state;
    every_point_comes_once(3 << 20, 60 * WEIR_NS_PER_S);   /* flushed by time */
    every_point_comes_once(10000, 60 * WEIR_NS_PER_S);     /* by size */
    every_point_comes_once(1, 60 * WEIR_NS_PER_S);         /* each record alone too large */
    every_point_comes_once(64 << 20, 900 * WEIR_NS_PER_S); /* over many minutes */
    every_point_comes_once(3 << 20, 0);
}

static void a_stream_is_due_an_interval_after_its_first_record(void **state)
{
    (void)state;
    struct weir_load_life *life = live(3 << 20, 60 * WEIR_NS_PER_S);
    struct weir_load_range range[WEIR_LOAD_RANGES_MAX];
    struct weir_load_due due = {.range = range};
    assert_false(weir_load_life_next(life, 0, &due));
    assert_false(weir_load_life_next(life, 71 * WEIR_NS_PER_S, &due));
    assert_true(weir_load_life_next(life, 73 * WEIR_NS_PER_S, &due)); /* first record: 12 s */
    assert_true(due.due_ns == 72 * WEIR_NS_PER_S);
    assert_int_equal(due.ranges, 1); /* minute 0: what minute 1 has comes no earlier than then */
    assert_int_equal(range[0].count, 100);
    weir_load_life_free(life);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_plain_one_changes_its_id_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_compressed_one_changes_its_id_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_joined_one_has_the_records_of_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_no_records_is_no_backup, set_up, tear_down),
        cmocka_unit_test_setup_teardown(buffers_hold_every_point_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_is_due_an_interval_after_its_first_record, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
