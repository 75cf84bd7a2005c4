/* SPDX-License-Identifier: Apache-2.0 */
/* What one request may hold beside its bytes: to the one, by a small record of each kind, and in
 * whole bodies. */
#include "../../../src/decode/bounds.h"
#include "../../../src/decode/collect_internal.h"
#include "bodies.h"
#include "fixture.h"
#include "support.h"
#include "weir/buf.h"
#include "weir/pbw.h"
#include "weir/record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define RECORD_BYTES 990000
#define SMALL_BYTES  20000
#define MANY_BYTES   ((size_t)512 << 20)

static const struct weir_bytes none;

/* -- to the one ----------------------------------------------------------------------------- */

static struct weir_bytes name_of(struct fixture *fixture, uint32_t number)
{
    char text[16];
    int size = snprintf(text, sizeof text, "%x", number);
    return weir_arena_keep(fixture->arena, weir_bytes_of(text, (size_t)size));
}

static void add_resource(struct fixture *fixture, uint32_t number)
{
    (void)weir_collect_resource(fixture->collect, name_of(fixture, number), none, none);
}

static const struct weir_scope *scope_of(struct fixture *fixture, struct weir_bytes head)
{
    struct weir_collect *collect = fixture->collect;
    return weir_collect_scope(collect, weir_collect_resource(collect, none, none, none), head);
}

static void add_scope(struct fixture *fixture, uint32_t number)
{
    (void)scope_of(fixture, name_of(fixture, number));
}

static const struct weir_metric *metric_of(struct fixture *fixture, uint32_t number)
{
    const struct weir_metric key = {.scope = scope_of(fixture, none),
                                    .head = name_of(fixture, number),
                                    .data = WEIR_METRIC_SUMMARY};
    return weir_collect_metric(fixture->collect, &key);
}

static void add_metric(struct fixture *fixture, uint32_t number)
{
    (void)metric_of(fixture, number);
}

static void add_run(struct fixture *fixture, uint32_t number)
{
    weir_collect_point(fixture->collect, metric_of(fixture, 0), name_of(fixture, number),
                       WEIR_BYTES("p"), 1);
}

static void add_point(struct fixture *fixture, uint32_t number)
{
    (void)number;
    add_run(fixture, 0);
}

static void add_lost_point(struct fixture *fixture, uint32_t number)
{
    struct weir_collect_mark mark = weir_collect_mark(fixture->collect);
    add_point(fixture, number);
    weir_collect_rollback(fixture->collect, mark);
}

static void check_the_last_one(void (*add)(struct fixture *fixture, uint32_t number),
                               uint32_t bound, uint32_t parts_before, const char *word)
{
    struct fixture fixture;
    fixture_open_bare(&fixture, MANY_BYTES);
    fixture.collect = weir_collect_new(fixture.arena);
    fixture.collect->parts = parts_before;
    for (uint32_t i = 0; i < bound; i++) {
        add(&fixture, i);
    }
    assert_null(weir_bounds_exceeded(fixture.collect));
    add(&fixture, bound);
    assert_non_null(weir_bounds_exceeded(fixture.collect));
    assert_non_null(strstr(weir_bounds_exceeded(fixture.collect), word));
    assert_false(fixture.collect->full);
    fixture_close(&fixture);
}

static void test_each_bound_to_the_one(void **state)
{
    (void)state;
    check_the_last_one(add_resource, WEIR_BOUNDS_RESOURCES, 0, "resources");
    check_the_last_one(add_scope, WEIR_BOUNDS_SCOPES, 0, "scopes");
    check_the_last_one(add_metric, WEIR_BOUNDS_METRICS, 0, "more metrics");
    check_the_last_one(add_run, WEIR_BOUNDS_RUNS, 0, "namespaces");
    check_the_last_one(add_point, 1000, WEIR_BOUNDS_PARTS - 1000, "points");
    check_the_last_one(add_lost_point, 1000, WEIR_BOUNDS_PARTS - 1000, "points");
}

/* -- pieces --------------------------------------------------------------------------------- */

struct message {
    struct weir_buf buf;
    uint8_t room[64];
};

static void put_inside(struct weir_buf *out, uint32_t number, const struct message *message)
{
    weir_pbw_bytes(out, number, weir_buf_view(&message->buf));
}

static struct message *clear(struct message *message)
{
    message->buf = weir_buf_fixed(message->room, sizeof message->room);
    return message;
}

/* A KeyValue or a Scope of a number: what differs from one to the next. */
static void put_name(struct weir_buf *out, uint32_t tag, uint32_t number)
{
    struct message name;
    char text[16];
    int size = snprintf(text, sizeof text, "%x", number);
    weir_pbw_bytes(&clear(&name)->buf, 1, weir_bytes_of(text, (size_t)size));
    put_inside(out, tag, &name);
}

static void put_line_feed(struct weir_buf *out, uint32_t number)
{
    (void)number;
    weir_buf_put_byte(out, '\n');
}

static void put_no_metric(struct weir_buf *out, uint32_t number)
{
    (void)number;
    weir_buf_put(out, WEIR_BYTES("{}\n"));
}

static void put_line_of_an_account(struct weir_buf *out, uint32_t number)
{
    weir_buf_printf(out,
                    "{\"metric_stream_name\":\"\",\"account_id\":\"%u\",\"region\":\"\","
                    "\"namespace\":\"N\",\"metric_name\":\"M\",\"dimensions\":{},\"timestamp\":1,"
                    "\"value\":{\"count\":1,\"sum\":0,\"max\":0,\"min\":0},\"unit\":\"s\"}\n",
                    number);
}

static void put_empty(struct weir_buf *out, uint32_t number)
{
    (void)number;
    weir_buf_put_byte(out, 0);
}

static void put_empty_child(struct weir_buf *out, uint32_t number)
{
    weir_pbw_bytes(out, number, none);
}

static void put_resource(struct weir_buf *out, uint32_t number)
{
    struct message resource;
    struct message metrics;
    put_name(&clear(&resource)->buf, 1, number);
    put_inside(&clear(&metrics)->buf, 1, &resource);
    put_inside(out, 1, &metrics);
}

static void put_empty_resource(struct weir_buf *out, uint32_t number)
{
    (void)number;
    put_empty_child(out, 1);
}

static void put_scope(struct weir_buf *out, uint32_t number)
{
    struct message metrics;
    put_name(&clear(&metrics)->buf, 1, number);
    put_inside(out, 2, &metrics);
}

/* What a record is made of: pieces, inside of fields of these numbers, the innermost first. */
struct kind {
    const char *name;
    void (*put)(struct weir_buf *out, uint32_t number);
    uint8_t around[5]; /* ended by 0; DELIMITED: its length before it */
    uint32_t bound;    /* that is reached first */
    uint64_t (*count)(const struct weir_collect *collect);
    uint32_t records; /* of RECORD_BYTES that are too many */
};

enum { DELIMITED = 255 };

static void put_empty_metric(struct weir_buf *out, uint32_t number)
{
    (void)number;
    put_empty_child(out, 2);
}

static void put_empty_point(struct weir_buf *out, uint32_t number)
{
    (void)number;
    put_empty_child(out, 1);
}

/* A Metric that names itself, and a point without anything: 0.7's and 1.0's at once. */
static void put_metric(struct weir_buf *out, uint32_t number)
{
    struct message data;
    struct message metric;
    weir_pbw_bytes(&clear(&data)->buf, 1, none);
    char text[16];
    int size = snprintf(text, sizeof text, "%x", number);
    weir_pbw_bytes(&clear(&metric)->buf, 1, weir_bytes_of(text, (size_t)size));
    put_inside(&metric.buf, 11, &data);
    put_inside(out, 2, &metric);
}

/* A point whose labels (0.7) say that it is in a namespace of its own. */
static void put_labelled_point(struct weir_buf *out, uint32_t number)
{
    struct message label;
    struct message point;
    char text[16];
    int size = snprintf(text, sizeof text, "%x", number);
    weir_pbw_bytes(&clear(&label)->buf, 1, WEIR_BYTES("Namespace"));
    weir_pbw_bytes(&label.buf, 2, weir_bytes_of(text, (size_t)size));
    put_inside(&clear(&point)->buf, 1, &label);
    put_inside(out, 1, &point);
}

static uint64_t parts_of(const struct weir_collect *collect)
{
    return collect->parts + collect->points;
}

static uint64_t resources_of(const struct weir_collect *collect)
{
    return collect->tables->resources.count;
}

static uint64_t scopes_of(const struct weir_collect *collect)
{
    return collect->tables->scopes.count;
}

static uint64_t runs_of(const struct weir_collect *collect)
{
    return collect->tables->places.count;
}

#define PARTS     WEIR_BOUNDS_PARTS, parts_of
#define RESOURCES WEIR_BOUNDS_RESOURCES, resources_of
#define SCOPES    WEIR_BOUNDS_SCOPES, scopes_of
#define RUNS      WEIR_BOUNDS_RUNS, runs_of

static const struct kind kinds[] = {
    {"blank lines", put_line_feed, {0}, PARTS, 2},
    {"lines that are none", put_no_metric, {0}, PARTS, 4},
    {"accounts", put_line_of_an_account, {0}, RESOURCES, 28},
    {"empty messages", put_empty, {0}, PARTS, 2},
    {"empty resources", put_empty_resource, {DELIMITED}, PARTS, 3},
    {"resources", put_resource, {DELIMITED}, RESOURCES, 2},
    {"scopes", put_scope, {1, DELIMITED}, SCOPES, 2},
    {"empty metrics", put_empty_metric, {2, 1, DELIMITED}, PARTS, 3},
    {"metrics", put_metric, {2, 1, DELIMITED}, PARTS, 7},
    {"empty points", put_empty_point, {11, 2, 2, 1, DELIMITED}, PARTS, 3},
    {"0.7's namespaces", put_labelled_point, {11, 2, 2, 1, DELIMITED}, RUNS, 4},
};

/* Of at most so many bytes, with names of five digits and more. */
static struct weir_buf build_record(const struct kind *kind, size_t bytes, uint32_t *number)
{
    struct weir_buf record = weir_buf_grow_init(bytes);
    while (record.size < bytes - 400) {
        kind->put(&record, (*number)++);
    }
    for (size_t i = 0; i < sizeof kind->around && kind->around[i] != 0; i++) {
        struct weir_buf outer = weir_buf_grow_init(bytes);
        if (kind->around[i] == DELIMITED) {
            weir_pbw_varint(&outer, record.size);
            weir_buf_put(&outer, weir_buf_view(&record));
        } else {
            weir_pbw_bytes(&outer, kind->around[i], weir_buf_view(&record));
        }
        weir_buf_done(&record);
        record = outer;
    }
    assert_false(record.failed);
    return record;
}

/* -- small records ---------------------------------------------------------------------------- */

/* Decodes it where `before` parts are, and gives what it has brought. */
static uint64_t growth(const struct kind *kind, struct weir_bytes record, uint64_t before,
                       const char **ret_error)
{
    struct fixture fixture;
    const struct weir_cwjson_context context = {WEIR_BYTES("aws"), {NULL, 0}};
    fixture_open(&fixture);
    fixture.collect->parts = before;
    uint64_t had = kind->count(fixture.collect);
    weir_record_decode(fixture.collect, context, fixture_copy(&fixture, record), 0);
    assert_false(fixture.collect->full);
    *ret_error = weir_bounds_exceeded(fixture.collect);
    uint64_t grown = kind->count(fixture.collect) - had;
    fixture_close(&fixture);
    return grown;
}

/* Every piece counts, in records of every kind; so a full record is let in, whatever it is made of,
 * and a few of them are too much. */
static void test_each_small_piece_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct kind *kind = &kinds[i];
        const uint32_t first = 100000;
        uint32_t number = first;
        const char *error = NULL;
        struct weir_buf record = build_record(kind, SMALL_BYTES, &number);
        uint64_t grown = growth(kind, weir_buf_view(&record), 0, &error);
        assert_null(error);
        uint64_t full = grown * RECORD_BYTES / record.size;
        if (grown < number - first || full > kind->bound || full * kind->records <= kind->bound) {
            fail_msg("%s: %u pieces are %llu, a full record %llu", kind->name, number - first,
                     (unsigned long long)grown, (unsigned long long)full);
        }
        if (kind->count == parts_of) {
            assert_int_equal(
                growth(kind, weir_buf_view(&record), WEIR_BOUNDS_PARTS - grown, &error), grown);
            assert_null(error);
            (void)growth(kind, weir_buf_view(&record), WEIR_BOUNDS_PARTS - grown + 1, &error);
            assert_non_null(error);
        }
        weir_buf_done(&record);
    }
}

/* -- whole bodies --------------------------------------------------------------------------- */

static struct weir_buf build_body(const struct kind *kind, uint32_t records)
{
    struct weir_buf body = weir_buf_grow_init((size_t)8 << 20);
    uint32_t number = 100000;
    weir_buf_printf(&body, "{\"requestId\":\"a\",\"timestamp\":1,\"records\":[");
    for (uint32_t i = 0; i < records; i++) {
        struct weir_buf record = build_record(kind, RECORD_BYTES, &number);
        bodies_record(&body, i, &record);
    }
    bodies_end(&body);
    return body;
}

static void decode(const struct kind *kind, uint32_t records, enum weir_status wanted,
                   const char *word)
{
    struct fixture fixture;
    struct weir_body_result result = {0};
    const struct weir_body_options options = fixture_body_options();
    struct weir_buf body = build_body(kind, records);
    fixture_open_bare(&fixture, MANY_BYTES);
    assert_int_equal(weir_body_decode(NULL, fixture.arena, weir_buf_view(&body), &options, &result),
                     wanted);
    assert_int_equal(result.is_crowded, wanted == WEIR_ELIMIT);
    if (wanted == WEIR_ELIMIT) {
        assert_non_null(strstr(result.error, word));
    }
    weir_buf_done(&body);
    fixture_close(&fixture);
}

/* One record of anything is let in: not all that is small is too much. */
static void test_bodies_of_the_smallest_parts(void **state)
{
    (void)state;
    const struct kind *lines = &kinds[0];
    const struct kind *scopes = &kinds[6];
    decode(lines, 1, WEIR_OK, NULL);
    decode(lines, lines->records, WEIR_ELIMIT, "lines");
    decode(scopes, 1, WEIR_OK, NULL);
    decode(scopes, scopes->records, WEIR_ELIMIT, "scopes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_bound_to_the_one),
        cmocka_unit_test(test_each_small_piece_counts),
        cmocka_unit_test(test_bodies_of_the_smallest_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
