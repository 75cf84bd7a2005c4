/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of points in shapes, written here, read and compared; and their accounts. */
#include "sink/booked.h"
#include "sink/part.h"
#include "sink/part_check.h"
#include "weir/pbw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MINUTE_NS UINT64_C(60000000000)

/* What a test changes of a part that is right. */
struct change {
    double more;       /* on the value; of a histogram on its minimum */
    uint64_t later_ns; /* on the end */
    const char *name;  /* of the metric */
    const char *unit;
    const char *extra;     /* an attribute */
    const char *without;   /* an attribute */
    struct weir_bytes raw; /* after the point's own fields */
    uint32_t kind;
    uint32_t temporality;
    bool is_integer; /* though it is a double */
    bool has_extras;
    bool zero_is_narrow;
};

static const struct change none;
static struct weir_traffic *world;
static struct weir_sink_shape flat; /* of gauges */

static struct weir_sink_shape shape_of(const char *text)
{
    struct weir_sink_shape shape;
    const char *what;
    assert_int_equal(weir_sink_shape_parse(text, &shape, &what), WEIR_OK);
    return shape;
}

static int set_up(void **state)
{
    (void)state;
    struct weir_traffic_options options = weir_traffic_defaults();
    assert_int_equal(weir_traffic_new(&options, &world), WEIR_OK);
    flat = shape_of("summary=gauges,dimensions=flat,promote=cloud.account.id");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    weir_traffic_free(world);
    return 0;
}

/* The first point from `number` on with so many quantiles and a namespace. */
static uint64_t search(uint64_t number, uint32_t quantiles, const char *name)
{
    struct weir_traffic_point point;
    for (;; number++) {
        weir_traffic_point(world, number, &point);
        if (point.quantiles == quantiles && point.dimensions >= 2 &&
            (name == NULL || weir_bytes_eq(point.name, weir_bytes_str(name)))) {
            return number;
        }
    }
}

/* -- writing ----------------------------------------------------------------------------------- */

static void put_pair(struct weir_buf *out, uint32_t number, struct weir_bytes key,
                     struct weir_bytes any_value)
{
    struct weir_buf pair = weir_buf_grow_init(4096);
    weir_pbw_bytes(&pair, 1, key);
    weir_pbw_bytes(&pair, 2, any_value);
    weir_pbw_bytes(out, number, weir_buf_view(&pair));
    weir_buf_done(&pair);
}

static void put_text(struct weir_buf *out, uint32_t number, struct weir_bytes key,
                     struct weir_bytes text)
{
    struct weir_buf value = weir_buf_grow_init(4096);
    weir_pbw_bytes(&value, 1, text);
    put_pair(out, number, key, weir_buf_view(&value));
    weir_buf_done(&value);
}

static void put_dimensions(struct weir_buf *out, uint32_t number,
                           const struct weir_sink_shape *shape,
                           const struct weir_traffic_point *point)
{
    struct weir_buf list = weir_buf_grow_init(4096);
    struct weir_buf any_value = weir_buf_grow_init(4096);
    for (uint32_t i = 0; i < point->dimensions; i++) {
        if (shape->dimensions == WEIR_SINK_SHAPE_KVLIST) {
            put_text(&list, 1, point->keys[i], point->values[i]);
        } else {
            weir_buf_put_byte(&list, i == 0 ? '{' : ',');
            weir_buf_put_json_string(&list, point->keys[i], 0);
            weir_buf_put_byte(&list, ':');
            weir_buf_put_json_string(&list, point->values[i], 0);
        }
    }
    if (shape->dimensions == WEIR_SINK_SHAPE_JSON) {
        weir_buf_put_byte(&list, '}');
    }
    weir_pbw_bytes(&any_value, shape->dimensions == WEIR_SINK_SHAPE_KVLIST ? 6 : 1,
                   weir_buf_view(&list));
    put_pair(out, number, WEIR_BYTES("Dimensions"), weir_buf_view(&any_value));
    weir_buf_done(&any_value);
    weir_buf_done(&list);
}

static bool is_left_out(const struct change *change, struct weir_bytes key)
{
    return change->without != NULL && weir_bytes_eq(key, weir_bytes_str(change->without));
}

static void put_attributes(struct weir_buf *out, uint32_t number,
                           const struct weir_sink_shape *shape,
                           const struct weir_traffic_point *point, const struct change *change)
{
    for (uint32_t i = 0; shape->dimensions == WEIR_SINK_SHAPE_FLAT && i < point->dimensions; i++) {
        bool is_taken = weir_bytes_eq(point->keys[i], WEIR_BYTES("Namespace"));
        struct weir_bytes key = is_taken ? WEIR_BYTES("Dimension.Namespace") : point->keys[i];
        if (!is_left_out(change, key)) {
            put_text(out, number, key, point->values[i]);
        }
    }
    if (shape->dimensions != WEIR_SINK_SHAPE_FLAT &&
        !is_left_out(change, WEIR_BYTES("Dimensions"))) {
        put_dimensions(out, number, shape, point);
    }
    if (shape->promoted == 2 && !is_left_out(change, WEIR_BYTES("cloud.account.id"))) {
        put_text(out, number, WEIR_BYTES("cloud.account.id"), point->account);
    }
    if (change->extra != NULL) {
        put_text(out, number, weir_bytes_str(change->extra), WEIR_BYTES("x"));
    }
    put_text(out, number, WEIR_BYTES("MetricName"), point->metric);
    if (!is_left_out(change, WEIR_BYTES("Namespace"))) {
        put_text(out, number, WEIR_BYTES("Namespace"), point->name);
    }
}

static double value_of(const struct weir_traffic_point *point, unsigned place)
{
    switch (place) {
    case WEIR_SINK_PART_MIN: return point->value[0];
    case WEIR_SINK_PART_MAX: return point->value[point->quantiles - 1];
    case WEIR_SINK_PART_SUM: return point->sum;
    default: return point->value[place - WEIR_SINK_PART_PERCENTILE + 1];
    }
}

static void put_gauge(struct weir_buf *out, const struct weir_traffic_point *point, unsigned place,
                      const struct change *change)
{
    if (place == WEIR_SINK_PART_COUNT) {
        weir_pbw_fixed64(out, 6, point->count + (uint64_t)change->more);
    } else if (change->is_integer) {
        weir_pbw_fixed64(out, 6, (uint64_t)value_of(point, place));
    } else {
        weir_pbw_double(out, 4, value_of(point, place) + change->more);
    }
}

static void put_histogram(struct weir_buf *out, const struct weir_traffic_point *point,
                          const struct change *change)
{
    double low = value_of(point, WEIR_SINK_PART_MIN);
    double high = value_of(point, WEIR_SINK_PART_MAX);
    weir_pbw_fixed64(out, 4, point->count);
    weir_pbw_double(out, 5, point->sum);
    weir_pbw_fixed64(out, 7, point->count);
    weir_pbw_double(out, 12, low + change->more);
    weir_pbw_double(out, 13, high);
    weir_pbw_double(out, 14, change->zero_is_narrow ? high / 2 : high);
}

static void put_summary(struct weir_buf *out, const struct weir_traffic_point *point,
                        const struct change *change)
{
    weir_pbw_fixed64(out, 4, point->count);
    weir_pbw_double(out, 5, point->sum + change->more);
    for (uint32_t i = 0; i < point->quantiles; i++) {
        struct weir_buf pair = weir_buf_grow_init(64);
        weir_pbw_double(&pair, 1, point->quantile[i]);
        weir_pbw_double(&pair, 2, point->value[i]);
        weir_pbw_bytes(out, 6, weir_buf_view(&pair));
        weir_buf_done(&pair);
    }
}

static void put_content(struct weir_buf *out, const struct weir_sink_shape *shape,
                        const struct weir_traffic_point *point, unsigned place,
                        const struct change *change)
{
    uint64_t start_ns = (uint64_t)point->start_ms * 1000000;
    bool is_whole = place == WEIR_SINK_PART_WHOLE;
    bool is_histogram = is_whole && shape->summary == WEIR_SINK_SHAPE_EXPONENTIAL;
    weir_pbw_fixed64(out, 3, start_ns + MINUTE_NS + change->later_ns);
    weir_pbw_fixed64(out, 2, start_ns);
    if (is_histogram) {
        put_histogram(out, point, change);
    } else if (is_whole) {
        put_summary(out, point, change);
    } else {
        put_gauge(out, point, place, change);
    }
    put_attributes(out, is_histogram ? 1 : 7, shape, point, change);
    weir_buf_put(out, change->raw);
}

/* -- checking ---------------------------------------------------------------------------------- */

static void fill_resource(struct weir_sink_resource *resource,
                          const struct weir_traffic_point *point, char arn[256])
{
    int size = snprintf(arn, 256, "arn:aws:cloudwatch:%.*s:%.*s:metric-stream/%.*s",
                        (int)point->region.size, (const char *)point->region.data,
                        (int)point->owner.size, (const char *)point->owner.data,
                        (int)point->stream.size, (const char *)point->stream.data);
    const struct weir_sink_attribute attributes[] = {
        {.key = WEIR_BYTES("cloud.provider"), .text = WEIR_BYTES("aws"), .is_text = true},
        {.key = WEIR_BYTES("cloud.account.id"), .text = point->account, .is_text = true},
        {.key = WEIR_BYTES("cloud.region"), .text = point->region, .is_text = true},
        {.key = WEIR_BYTES("aws.exporter.arn"),
         .text = weir_bytes_of(arn, (size_t)size),
         .is_text = true}};
    *resource = (struct weir_sink_resource){.attributes = 4};
    memcpy(resource->attribute, attributes, sizeof attributes);
}

static uint32_t kind_of(const struct weir_sink_shape *shape, unsigned place)
{
    bool is_summary = shape->summary == WEIR_SINK_SHAPE_KEEP;
    return place != WEIR_SINK_PART_WHOLE ? 5 : is_summary ? 11 : 10;
}

static struct weir_sink_checked check_part(const struct weir_sink_shape *shape, uint64_t number,
                                           unsigned place, struct change change)
{
    char arn[256];
    struct weir_traffic_point point;
    struct weir_sink_resource resource;
    struct weir_buf name = weir_buf_grow_init(4096);
    struct weir_buf content = weir_buf_grow_init(65536);
    weir_traffic_point(world, number, &point);
    fill_resource(&resource, &point, arn);
    weir_sink_shape_name(shape, &point, place, &name);
    put_content(&content, shape, &point, place, &change);
    assert_false(content.failed || name.failed);
    struct weir_sink_point arrived = {.resource = &resource,
                                      .metric = weir_buf_view(&name),
                                      .unit = point.otlp_unit,
                                      .kind =
                                          change.kind == 0 ? kind_of(shape, place) : change.kind,
                                      .temporality = change.temporality,
                                      .has_extras = change.has_extras,
                                      .content = weir_buf_view(&content)};
    if (arrived.kind == 10 && change.temporality == 0) {
        arrived.temporality = 1;
    }
    arrived.is_summary = arrived.kind == 11;
    arrived.unit = place == WEIR_SINK_PART_COUNT ? WEIR_BYTES("{Count}") : arrived.unit;
    arrived.unit = change.unit == NULL ? arrived.unit : weir_bytes_str(change.unit);
    arrived.metric = change.name == NULL ? arrived.metric : weir_bytes_str(change.name);
    struct weir_sink_checked checked = weir_sink_part_check(world, shape, &arrived);
    weir_buf_done(&name);
    weir_buf_done(&content);
    assert_int_equal(checked.number == UINT64_MAX, checked.wrong != NULL);
    return checked;
}

static const char *wrong_with(const struct weir_sink_shape *shape, unsigned place,
                              struct change change)
{
    const char *wrong = check_part(shape, search(0, 5, "AWS/ApplicationELB"), place, change).wrong;
    return wrong == NULL ? "nothing is" : wrong;
}

static void test_every_part_of_every_shape(void **state)
{
    (void)state;
    static const char *const shapes[] = {
        "",
        "dimensions=flat,promote=cloud.account.id",
        "dimensions=json",
        "summary=gauges",
        "summary=gauges,dimensions=json,names=prometheus",
        "summary=gauges,dimensions=flat,names=dynatrace",
        "summary=exponential_histogram,dimensions=flat,promote=cloud.account.id",
        "summary=exponential_histogram,dimensions=json,names=dynatrace"};
    static const char *const names[] = {"AWS/ApplicationELB", "ContainerInsights"};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct weir_sink_shape shape = shape_of(shapes[i]);
        struct weir_traffic_point point;
        uint64_t number = search(0, i % 2 == 0 ? 5 : 2, names[i % 2]);
        weir_traffic_point(world, number, &point);
        unsigned parts = weir_sink_shape_parts(&shape, &point);
        for (unsigned place = 0; place < WEIR_SINK_PART_PLACES; place++) {
            if ((parts & 1U << place) != 0) {
                struct weir_sink_checked checked = check_part(&shape, number, place, none);
                assert_null(checked.wrong);
                assert_int_equal(checked.number, number * WEIR_BOOKED_PARTS + place);
            }
        }
    }
}

static void test_wrong_gauges(void **state)
{
    (void)state;
    const unsigned places[] = {WEIR_SINK_PART_MIN, WEIR_SINK_PART_MAX, WEIR_SINK_PART_SUM,
                               WEIR_SINK_PART_COUNT, WEIR_SINK_PART_PERCENTILE};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        unsigned place = places[i];
        assert_string_equal(wrong_with(&flat, place, (struct change){.more = 1}), "the values");
        assert_string_equal(wrong_with(&flat, place, (struct change){.later_ns = 1}), "the values");
        assert_string_equal(wrong_with(&flat, place, (struct change){.unit = "x"}), "the unit");
        assert_string_equal(wrong_with(&flat, place, (struct change){.name = "x"}), "the metric");
        assert_string_equal(wrong_with(&flat, place, (struct change){.temporality = 1}),
                            "the kind of data");
        assert_string_equal(wrong_with(&flat, place, (struct change){.has_extras = true}),
                            "the metric");
        assert_string_equal(wrong_with(&flat, place, (struct change){.extra = "x"}),
                            "the attributes");
        assert_string_equal(
            wrong_with(&flat, place, (struct change){.without = "cloud.account.id"}),
            "the attributes");
        assert_string_equal(wrong_with(&flat, place, (struct change){.without = "Namespace"}),
                            "no such point");
        assert_string_equal(wrong_with(&flat, place, (struct change){.kind = 7}),
                            "a kind of data that no shape gives");
    }
    assert_string_equal(wrong_with(&flat, WEIR_SINK_PART_MIN, (struct change){.is_integer = true}),
                        "the values");
    assert_string_equal(wrong_with(&flat, WEIR_SINK_PART_MIN, (struct change){.kind = 11}),
                        "the kind of data");
}

static void test_wrong_histograms_and_summaries(void **state)
{
    (void)state;
    struct weir_sink_shape shape = shape_of("summary=exponential_histogram,dimensions=json");
    const unsigned whole = WEIR_SINK_PART_WHOLE;
    assert_string_equal(wrong_with(&shape, whole, (struct change){.more = 1}), "the values");
    assert_string_equal(wrong_with(&shape, whole, (struct change){.zero_is_narrow = true}),
                        "the values");
    assert_string_equal(wrong_with(&shape, whole, (struct change){.temporality = 2}),
                        "the kind of data");
    assert_string_equal(wrong_with(&shape, whole, (struct change){.without = "Dimensions"}),
                        "the dimensions");
    shape = shape_of("");
    assert_string_equal(wrong_with(&shape, whole, (struct change){.more = 1}), "the values");
    assert_string_equal(wrong_with(&shape, whole, (struct change){.extra = "x"}), "the attributes");
    struct weir_sink_shape gauges = shape_of("summary=gauges");
    assert_string_equal(wrong_with(&gauges, whole, (struct change){.kind = 11}), "the metric");
}

/* Parts of two points: the name, the value or the attributes of the other. */
static void test_parts_of_two_points_mixed(void **state)
{
    (void)state;
    uint64_t number = search(0, 5, "AWS/ApplicationELB");
    struct weir_traffic_point one;
    struct weir_traffic_point other;
    weir_traffic_point(world, number, &one);
    weir_traffic_point(world, number + weir_traffic_series(world), &other); /* a minute later */
    assert_true(value_of(&one, WEIR_SINK_PART_MAX) < value_of(&other, WEIR_SINK_PART_MAX) ||
                value_of(&one, WEIR_SINK_PART_MAX) > value_of(&other, WEIR_SINK_PART_MAX));
    struct change change = {.more = value_of(&other, WEIR_SINK_PART_MAX) -
                                    value_of(&one, WEIR_SINK_PART_MAX)};
    assert_string_equal(check_part(&flat, number, WEIR_SINK_PART_MAX, change).wrong, "the values");
    struct weir_buf name = weir_buf_grow_init(4096);
    weir_sink_shape_name(&flat, &one, WEIR_SINK_PART_MIN, &name);
    weir_buf_put_byte(&name, 0);
    change = (struct change){.name = (const char *)name.data};
    assert_string_equal(check_part(&flat, number, WEIR_SINK_PART_MAX, change).wrong, "the values");
    weir_buf_done(&name);
}

/* A list's pairs where text is asked for, and the other way round. */
static void test_dimensions_in_another_form(void **state)
{
    (void)state;
    struct weir_sink_shape list = shape_of("summary=gauges");
    struct weir_sink_pairs pairs;
    uint8_t room[64];
    assert_string_equal(
        wrong_with(&list, WEIR_SINK_PART_MIN, (struct change){.without = "Dimensions"}),
        "the dimensions");
    assert_false(weir_sink_part_list(WEIR_BYTES(""), &pairs));
    assert_false(weir_sink_part_list(WEIR_BYTES("\x0a\x01x"), &pairs));
    assert_false(weir_sink_part_list(WEIR_BYTES("\x32\x02\x08\x01"), &pairs));
    assert_false(weir_sink_part_list(WEIR_BYTES("\x32\x00\x08\x01"), &pairs));
    assert_true(weir_sink_part_list(WEIR_BYTES("\x32\x00"), &pairs));
    assert_int_equal(pairs.count, 0);
    static const char *const bad[] = {"", "{", "[]", "{\"a\":1}", "{\"a\":\"b\"}x", "\"a\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(weir_sink_part_json(weir_bytes_str(bad[i]), room, sizeof room, &pairs));
    }
    assert_false(weir_sink_part_json(WEIR_BYTES("{\"a\":\"b\"}"), room, 4, &pairs));
    assert_true(weir_sink_part_json(WEIR_BYTES("{\"a\":\"b\"}"), room, sizeof room, &pairs));
    assert_int_equal(pairs.count, 1);
    assert_true(weir_bytes_eq(pairs.pair[0].text, WEIR_BYTES("b")));
}

static void test_fields_that_nobody_sent(void **state)
{
    (void)state;
    static const struct weir_bytes raw[] = {
        WEIR_BYTES_INIT("\x40\x01"),                             /* flags */
        WEIR_BYTES_INIT("\x2a\x00"),                             /* an exemplar */
        WEIR_BYTES_INIT("\x21\x00\x00\x00\x00\x00\x00\x00\x00"), /* a second value */
        WEIR_BYTES_INIT("\x11\x00\x00\x00\x00\x00\x00\x00\x00"), /* a second start */
        WEIR_BYTES_INIT("\x10\x01"),                             /* a start as a varint */
        WEIR_BYTES_INIT("\x3a\x02\x08\x01"),                     /* an attribute: a number */
        WEIR_BYTES_INIT("\x3a"),                                 /* and then nothing */
        WEIR_BYTES_INIT("\x9a\x01\x00"),                         /* field 19 */
    };
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
        struct change change = {.raw = raw[i]};
        assert_non_null(check_part(&flat, search(0, 2, NULL), WEIR_SINK_PART_SUM, change).wrong);
    }
    struct weir_sink_part part;
    assert_non_null(weir_sink_part_read(WEIR_BYTES("\x32\x02\x08\x01"), 11, &part));
    assert_non_null(weir_sink_part_read(WEIR_BYTES("\x32\x00"), 5, &part));
    assert_null(weir_sink_part_read(WEIR_BYTES("\x32\x00"), 11, &part));
    assert_int_equal(part.quantiles, 1);
}

/* -- accounts ---------------------------------------------------------------------------------- */

static unsigned parts_of(const void *argument, uint64_t number)
{
    struct weir_traffic_point point;
    weir_traffic_point(world, number, &point);
    return weir_sink_shape_parts(argument, &point);
}

/* Four points of five percentiles: whole; one gauge missing; one twice; one wrong. */
static void test_accounts(void **state)
{
    (void)state;
    const struct weir_booked_parts parts = {parts_of, &flat};
    struct weir_booked *booked;
    struct weir_booked_range ranges[4];
    struct weir_booked_verdict verdict;
    uint64_t number = 0;
    assert_int_equal(weir_booked_new(1 << 20, &parts, &booked), WEIR_OK);
    for (unsigned i = 0; i < 4; i++) {
        number = search(number, 5, "AWS/ApplicationELB");
        for (unsigned place = 1; place < WEIR_SINK_PART_PLACES; place++) {
            struct change change = {.more = i == 3 && place == WEIR_SINK_PART_SUM ? 1 : 0};
            struct weir_sink_checked checked = check_part(&flat, number, place, change);
            bool is_odd = place == WEIR_SINK_PART_COUNT;
            for (unsigned times = i == 1 && is_odd   ? 0
                                  : i == 2 && is_odd ? 2
                                                     : 1;
                 times > 0; times--) {
                (void)weir_booked_add(booked, checked.number, false);
            }
        }
        ranges[i] = (struct weir_booked_range){number++, 1, 1, 0};
    }
    assert_int_equal(weir_booked_verdict(booked, ranges, 4, &verdict), WEIR_OK);
    assert_int_equal(verdict.expected, 4);
    assert_int_equal(verdict.missing, 2); /* the wrong one's sum is missing, too */
    assert_int_equal(verdict.duplicated, 1);
    assert_int_equal(verdict.wrong, 1);
    assert_int_equal(verdict.unpromised, 0);
    assert_int_equal(verdict.example[0], ranges[1].first);
    assert_int_equal(verdict.example[1], ranges[2].first);
    weir_booked_free(booked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_part_of_every_shape),
        cmocka_unit_test(test_wrong_gauges),
        cmocka_unit_test(test_wrong_histograms_and_summaries),
        cmocka_unit_test(test_parts_of_two_points_mixed),
        cmocka_unit_test(test_dimensions_in_another_form),
        cmocka_unit_test(test_fields_that_nobody_sent),
        cmocka_unit_test(test_accounts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
