/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHAPE_FIXTURE_H
#define SHAPE_FIXTURE_H

/*
 * Runs made by hand, and what a shape makes of them as lines of text, one a point:
 *
 *   0 amazonaws.com/AWS/EC2/CPU.min [%] gauge double=1 {Namespace=AWS/EC2 Dimensions={Id=i-1}}
 *
 * Stands without cmocka, so that the fuzzer can include it.
 */
#include "weir/panic.h"
#include "weir/pbw.h"
#include "weir/shape.h"

enum { SHAPE_POINTS_MAX = 64, SHAPE_ROOM = 64 << 10 };

struct shape_fixture {
    struct weir_regions *regions;
    struct weir_arena *in_arena;
    struct weir_arena *out_arena;
    size_t budget_left; /* of the output */
    struct weir_resource resource;
    struct weir_scope scope;
    struct weir_metric metrics[SHAPE_POINTS_MAX];
    uint32_t metric_count;
    struct weir_point points[SHAPE_POINTS_MAX];
    struct weir_origin origin;
    struct weir_run run;
    struct weir_shape *shape;
    struct weir_shaped shaped;
    struct weir_buf text;
};

static inline bool shape_take(void *self, size_t bytes)
{
    size_t *left = self;
    if (left != NULL && bytes > *left) {
        return false;
    }
    *(left == NULL ? &bytes : left) -= bytes;
    return true;
}

static inline void shape_give(void *self, size_t bytes)
{
    size_t *left = self;
    *(left == NULL ? &bytes : left) += bytes;
}

static inline struct weir_bytes shape_keep(struct shape_fixture *fixture, struct weir_bytes bytes)
{
    return weir_arena_keep(fixture->in_arena, bytes);
}

/* One KeyValue with a string, as field `number`. */
static inline void shape_attribute(struct weir_buf *out, uint32_t number, const char *key,
                                   const char *value)
{
    size_t any = weir_pbw_bytes_size(1, strlen(value));
    weir_pbw_begin(out, number, weir_pbw_bytes_size(1, strlen(key)) + weir_pbw_bytes_size(2, any));
    weir_pbw_bytes(out, 1, weir_bytes_str(key));
    weir_pbw_begin(out, 2, any);
    weir_pbw_bytes(out, 1, weir_bytes_str(value));
}

/* The attribute Dimensions from "key", "value", ..., NULL, as field `number`. */
static inline void shape_dimensions(struct weir_buf *out, uint32_t number, const char *const *pairs)
{
    static uint8_t room[SHAPE_ROOM];
    static uint8_t value_room[SHAPE_ROOM];
    static uint8_t pair_room[SHAPE_ROOM];
    struct weir_buf list = weir_buf_fixed(room, sizeof(room));
    for (; pairs[0] != NULL; pairs += 2) {
        shape_attribute(&list, 1, pairs[0], pairs[1]);
    }
    struct weir_buf value = weir_buf_fixed(value_room, sizeof(value_room));
    weir_pbw_bytes(&value, 6, weir_buf_view(&list));
    struct weir_buf pair = weir_buf_fixed(pair_room, sizeof(pair_room));
    weir_pbw_bytes(&pair, 1, WEIR_BYTES("Dimensions"));
    weir_pbw_bytes(&pair, 2, weir_buf_view(&value));
    weir_pbw_bytes(out, number, weir_buf_view(&pair));
    WEIR_ASSERT(!list.failed && !value.failed && !pair.failed);
}

/* The fixture's own, so that a leak shows; in a campaign (fuzz/run.sh --fast) one for all. */
static inline struct weir_regions *shape_regions(void)
{
    static struct weir_regions *shared;
    struct weir_regions *regions = shared;
    if (regions == NULL) {
        enum weir_status status = weir_regions_new((size_t)1 << 20, &regions);
        WEIR_ASSERT(status == WEIR_OK);
    }
#ifdef WEIR_FUZZ_FAST
    shared = regions;
#endif
    return regions;
}

static inline void shape_fixture_open(struct shape_fixture *fixture, const char *name)
{
    uint8_t room[512];
    uint8_t head_room[1024];
    struct weir_buf resource = weir_buf_fixed(room, sizeof(room));
    struct weir_buf head = weir_buf_fixed(head_room, sizeof(head_room));
    *fixture = (struct shape_fixture){.budget_left = (size_t)1 << 30};
    struct weir_arena_budget in = {shape_take, shape_give, NULL};
    struct weir_arena_budget out = {shape_take, shape_give, &fixture->budget_left};
    fixture->regions = shape_regions();
    enum weir_status status = weir_arena_new(fixture->regions, in, 4096, &fixture->in_arena);
    WEIR_ASSERT(status == WEIR_OK);
    status = weir_arena_new(fixture->regions, out, 4096, &fixture->out_arena);
    WEIR_ASSERT(status == WEIR_OK);
    shape_attribute(&resource, 1, "cloud.account.id", "123456789012");
    shape_attribute(&resource, 1, "cloud.region", "eu-west-1");
    weir_pbw_bytes(&head, 1, weir_buf_view(&resource));
    fixture->resource.head = shape_keep(fixture, weir_buf_view(&head));
    fixture->resource.account = shape_keep(fixture, WEIR_BYTES("123456789012"));
    fixture->resource.region = shape_keep(fixture, WEIR_BYTES("eu-west-1"));
    fixture->resource.hash = weir_resource_hash(fixture->resource.head);
    fixture->scope = (struct weir_scope){.resource = &fixture->resource};
    fixture->scope.hash = weir_scope_hash(&fixture->scope);
    fixture->origin.request_id = shape_keep(fixture, WEIR_BYTES("request"));
    fixture->run = (struct weir_run){.arena = fixture->in_arena, .resource = &fixture->resource};
    fixture->run.origin = &fixture->origin;
    fixture->run.points = fixture->points;
    fixture->run.name = shape_keep(fixture, weir_bytes_str(name));
    fixture->run.first = 7;
    fixture->run.newest_ns = 99;
    fixture->text = weir_buf_grow_init((size_t)16 << 20);
}

static inline void shape_fixture_close(struct shape_fixture *fixture)
{
    weir_shape_free(fixture->shape);
    weir_buf_done(&fixture->text);
    weir_arena_unref(fixture->in_arena, 0);
    weir_arena_unref(fixture->out_arena, 0);
#ifndef WEIR_FUZZ_FAST
    weir_regions_free(fixture->regions);
#endif
}

static inline void shape_metric(struct shape_fixture *fixture, const char *name, const char *unit,
                                enum weir_metric_data data)
{
    uint8_t room[1024];
    struct weir_buf head = weir_buf_fixed(room, sizeof(room));
    WEIR_ASSERT(fixture->metric_count < SHAPE_POINTS_MAX);
    weir_pbw_bytes(&head, 1, weir_bytes_str(name));
    weir_pbw_bytes(&head, 3, weir_bytes_str(unit));
    struct weir_metric *metric = &fixture->metrics[fixture->metric_count++];
    *metric = (struct weir_metric){.scope = &fixture->scope, .data = data};
    metric->head = shape_keep(fixture, weir_buf_view(&head));
    metric->hash = weir_metric_hash(metric);
}

/* One more point of the last metric. */
static inline void shape_point(struct shape_fixture *fixture, struct weir_bytes data)
{
    struct weir_bytes kept = shape_keep(fixture, data);
    WEIR_ASSERT(fixture->run.count < SHAPE_POINTS_MAX && kept.size == data.size);
    fixture->points[fixture->run.count++] = (struct weir_point){
        kept.data, (uint32_t)kept.size, 0, &fixture->metrics[fixture->metric_count - 1]};
    fixture->run.bytes += weir_point_encoded_size((uint32_t)kept.size);
}

/* Whether a run, its points' numbers aside, is sound. */
static inline bool shape_run_valid(const struct weir_run *run)
{
    static struct weir_point points[SHAPE_POINTS_MAX * (WEIR_SHAPE_QUANTILES_MAX + 4)];
    struct weir_run copy = *run;
    struct weir_runs runs = {&copy, 1, run->count, run->bytes};
    for (uint32_t i = 0; i < run->count; i++) {
        if (i > 0 && run->points[i].run < run->points[i - 1].run) {
            return false;
        }
        points[i] = run->points[i];
        points[i].run = 0;
    }
    copy.points = points;
    return run->count == 0 || weir_runs_validate(&runs);
}

/* -- text ---------------------------------------------------------------------------------- */

static inline void shape_text(struct weir_buf *out, struct weir_bytes text)
{
    weir_buf_put(out, text);
}

static inline void shape_text_pairs(struct weir_buf *out, struct weir_bytes message,
                                    uint32_t number, unsigned depth);

static inline void shape_text_pair(struct weir_buf *out, struct weir_bytes pair, unsigned depth)
{
    struct weir_cursor cursor = weir_cursor_of(pair);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1) {
            shape_text(out, field.bytes);
            continue;
        }
        struct weir_cursor inner = weir_cursor_of(field.bytes);
        struct weir_pb_field value = {0};
        (void)weir_pb_next(&inner, &value);
        weir_buf_put_byte(out, '=');
        if (value.number == 6 && depth > 0) {
            shape_text_pairs(out, value.bytes, 1, depth - 1);
        } else if (value.type == WEIR_PB_BYTES) {
            shape_text(out, value.bytes);
        } else {
            weir_buf_printf(out, "%llu", (unsigned long long)value.value);
        }
    }
}

/* All fields `number` of a message: "{a=b c=d}". */
static inline void shape_text_pairs(struct weir_buf *out, struct weir_bytes message,
                                    uint32_t number, unsigned depth)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    const char *between = "";
    weir_buf_put_byte(out, '{');
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == number && field.type == WEIR_PB_BYTES) {
            weir_buf_put(out, weir_bytes_str(between));
            shape_text_pair(out, field.bytes, depth);
            between = " ";
        }
    }
    weir_buf_put_byte(out, '}');
}

static inline void shape_text_quantile(struct weir_buf *out, struct weir_bytes message)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    double part[3] = {0, 0, 0};
    while (weir_pb_next(&cursor, &field)) {
        part[field.number < 3 ? field.number : 0] = weir_pb_double(field.value);
    }
    weir_buf_printf(out, "q%g=%g ", part[1], part[2]);
}

struct shape_kind {
    const char *name;
    uint32_t attributes;
    const char *fields[15];
};

static inline struct shape_kind shape_kind_of(enum weir_metric_data data)
{
    switch (data) {
    case WEIR_METRIC_SUMMARY:
        return (struct shape_kind){
            "summary", 7, {[2] = "start", [3] = "time", [4] = "count", [5] = "sum", [8] = "flags"}};
    case WEIR_METRIC_EXPONENTIAL_HISTOGRAM:
        return (struct shape_kind){"exponential",
                                   1,
                                   {[2] = "start",
                                    [3] = "time",
                                    [4] = "count",
                                    [5] = "sum",
                                    [7] = "zeros",
                                    [10] = "flags",
                                    [12] = "min",
                                    [13] = "max",
                                    [14] = "threshold"}};
    case WEIR_METRIC_HISTOGRAM:
        return (struct shape_kind){"histogram", 9, {[3] = "time", [4] = "count", [5] = "sum"}};
    case WEIR_METRIC_GAUGE:
    case WEIR_METRIC_SUM: break;
    }
    return (struct shape_kind){
        data == WEIR_METRIC_SUM ? "sum" : "gauge",
        7,
        {[2] = "start", [3] = "time", [4] = "double", [6] = "int", [8] = "flags"}};
}

static inline void shape_text_field(struct weir_buf *out, const struct shape_kind *kind,
                                    const struct weir_pb_field *field)
{
    const char *name = field->number < 15 ? kind->fields[field->number] : NULL;
    if (name == NULL) {
        weir_buf_printf(out, "field%u ", field->number);
        return;
    }
    static const char *const integers[] = {"start", "time", "count", "zeros", "int", "flags"};
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
        if (strcmp(name, integers[i]) == 0 && strcmp(kind->name, "") != 0) {
            weir_buf_printf(out, "%s=%lld ", name, (long long)field->value);
            return;
        }
    }
    weir_buf_printf(out, "%s=%g ", name, weir_pb_double(field->value));
}

static inline struct weir_bytes shape_text_head(struct weir_bytes head, uint32_t number)
{
    struct weir_cursor cursor = weir_cursor_of(head);
    struct weir_pb_field field;
    struct weir_bytes found = {NULL, 0};
    while (weir_pb_next(&cursor, &field)) {
        found = field.number == number ? field.bytes : found;
    }
    return found;
}

static inline void shape_text_point(struct weir_buf *out, const struct weir_point *point)
{
    struct shape_kind kind = shape_kind_of(point->metric->data);
    struct weir_bytes data = weir_bytes_of(point->data, point->size);
    struct weir_cursor cursor = weir_cursor_of(data);
    struct weir_pb_field field;
    weir_buf_printf(out, "%u ", point->run);
    shape_text(out, shape_text_head(point->metric->head, 1));
    weir_buf_put(out, WEIR_BYTES(" ["));
    shape_text(out, shape_text_head(point->metric->head, 3));
    weir_buf_printf(out, "] %s ", kind.name);
    while (weir_pb_next(&cursor, &field)) {
        if (point->metric->data == WEIR_METRIC_SUMMARY && field.number == 6) {
            shape_text_quantile(out, field.bytes);
        } else if (field.number != kind.attributes) {
            shape_text_field(out, &kind, &field);
        }
    }
    WEIR_ASSERT(!cursor.failed);
    shape_text_pairs(out, data, kind.attributes, 1);
    weir_buf_put_byte(out, '\n');
}

/* Makes the shape and shapes the run; the text of what comes out. Both stay for the test to look
 * at. */
static inline const char *shape_fixture_run(struct shape_fixture *fixture,
                                            const struct weir_shape_options *options)
{
    enum { NOW_NS = 1000000 };
    enum weir_status status = weir_shape_new(options, &fixture->shape);
    WEIR_ASSERT(status == WEIR_OK);
    status =
        weir_shape_run(fixture->shape, &fixture->run, NOW_NS, fixture->out_arena, &fixture->shaped);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(shape_run_valid(&fixture->shaped.run));
    for (uint32_t i = 0; i < fixture->shaped.run.count; i++) {
        shape_text_point(&fixture->text, &fixture->shaped.run.points[i]);
    }
    weir_buf_put_byte(&fixture->text, 0);
    WEIR_ASSERT(!fixture->text.failed);
    return (const char *)fixture->text.data;
}

#endif
