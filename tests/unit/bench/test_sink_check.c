/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder and the comparison together, on requests that are written here. */
#include "sink/check.h"
#include "traffic/body.h"
#include "weir/mem.h"
#include "weir/pbw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* What a test changes of a request that is right. */
struct change {
    const char *account;
    const char *unit;
    const char *metric_prefix;
    const char *extra_attribute;
    uint32_t data_number; /* of the metric's data; 0: 11 */
    size_t damaged;       /* the point's byte to flip, and one */
};

struct seen {
    const struct weir_traffic *traffic;
    uint32_t count;
    struct weir_sink_checked last;
};

static struct weir_traffic *world;

static int set_up(void **state)
{
    (void)state;
    struct weir_traffic_options options = weir_traffic_defaults();
    options.resources = 3;
    assert_int_equal(weir_traffic_new(&options, &world), WEIR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    weir_traffic_free(world);
    return 0;
}

static void put_message(struct weir_buf *out, uint32_t number, struct weir_buf *inner)
{
    weir_pbw_bytes(out, number, weir_buf_view(inner));
    weir_buf_done(inner);
}

static void put_attribute(struct weir_buf *out, const char *key, struct weir_bytes text)
{
    struct weir_buf value = weir_buf_grow_init(4096);
    struct weir_buf pair = weir_buf_grow_init(4096);
    weir_pbw_bytes(&value, 1, text);
    weir_pbw_bytes(&pair, 1, weir_bytes_str(key));
    put_message(&pair, 2, &value);
    put_message(out, 1, &pair);
}

static struct weir_bytes or_else(const char *text, struct weir_bytes otherwise)
{
    return text == NULL ? otherwise : weir_bytes_str(text);
}

static void put_resource(struct weir_buf *out, const struct weir_traffic_point *point,
                         const struct change *change)
{
    char arn[256];
    struct weir_buf resource = weir_buf_grow_init(4096);
    int size = snprintf(arn, sizeof arn, "arn:aws:cloudwatch:%.*s:%.*s:metric-stream/%.*s",
                        (int)point->region.size, (const char *)point->region.data,
                        (int)point->owner.size, (const char *)point->owner.data,
                        (int)point->stream.size, (const char *)point->stream.data);
    put_attribute(&resource, "cloud.provider", WEIR_BYTES("aws"));
    put_attribute(&resource, "cloud.account.id", or_else(change->account, point->account));
    put_attribute(&resource, "cloud.region", point->region);
    put_attribute(&resource, "aws.exporter.arn", weir_bytes_of(arn, (size_t)size));
    if (change->extra_attribute != NULL) {
        put_attribute(&resource, change->extra_attribute, WEIR_BYTES("x"));
    }
    put_message(out, 1, &resource);
}

static void put_metric(struct weir_buf *out, const struct weir_traffic_point *point,
                       const struct change *change)
{
    char name[256];
    struct weir_buf metric = weir_buf_grow_init(65536);
    struct weir_buf data = weir_buf_grow_init(65536);
    struct weir_buf content = weir_buf_grow_init(65536);
    int size = snprintf(name, sizeof name, "%s%.*s/%.*s",
                        change->metric_prefix == NULL ? "amazonaws.com/" : change->metric_prefix,
                        (int)point->name.size, (const char *)point->name.data,
                        (int)point->metric.size, (const char *)point->metric.data);
    weir_body_expected(point, &content);
    if (change->damaged > 0 && change->damaged <= content.size) {
        content.data[change->damaged - 1] ^= 1;
    }
    put_message(&data, 1, &content);
    weir_pbw_bytes(&metric, 1, weir_bytes_of(name, (size_t)size));
    weir_pbw_bytes(&metric, 3, or_else(change->unit, point->otlp_unit));
    put_message(&metric, change->data_number == 0 ? 11 : change->data_number, &data);
    put_message(out, 2, &metric);
}

static struct weir_buf request_of(uint64_t number, const struct change *change)
{
    struct weir_traffic_point point;
    struct weir_buf all = weir_buf_grow_init(1 << 20);
    struct weir_buf resource_metrics = weir_buf_grow_init(65536);
    struct weir_buf scope = weir_buf_grow_init(65536);
    weir_traffic_point(world, number, &point);
    put_metric(&scope, &point, change);
    put_message(&resource_metrics, 2, &scope); /* before the resource: any order will do */
    put_resource(&resource_metrics, &point, change);
    put_message(&all, 1, &resource_metrics);
    assert_false(all.failed);
    return all;
}

static void see(void *argument, const struct weir_sink_point *point)
{
    struct seen *seen = argument;
    struct weir_buf scratch = weir_buf_grow_init(65536);
    seen->last = weir_sink_check(seen->traffic, point, &scratch);
    seen->count++;
    weir_buf_done(&scratch);
}

static const char *wrong_with(struct change change)
{
    struct seen seen = {.traffic = world};
    struct weir_sink_decoded decoded;
    struct weir_buf request = request_of(12345, &change);
    assert_int_equal(weir_sink_decode(weir_buf_view(&request), see, &seen, &decoded), WEIR_OK);
    assert_int_equal(seen.count, 1);
    assert_int_equal(decoded.points, 1);
    if (seen.last.wrong == NULL) {
        assert_int_equal(seen.last.number, 12345);
    } else {
        assert_int_equal(seen.last.number, UINT64_MAX);
    }
    weir_buf_done(&request);
    return seen.last.wrong;
}

static void test_right(void **state)
{
    (void)state;
    assert_null(wrong_with((struct change){.unit = NULL}));
}

static void test_wrong_heads(void **state)
{
    (void)state;
    assert_string_equal(wrong_with((struct change){.account = "000000000000"}), "the resource");
    assert_string_equal(wrong_with((struct change){.extra_attribute = "a"}), "the resource");
    assert_string_equal(wrong_with((struct change){.unit = "parsec"}), "the unit");
    assert_string_equal(wrong_with((struct change){.metric_prefix = "amazon.com/"}), "the metric");
    assert_string_equal(wrong_with((struct change){.data_number = 5}), "not a summary");
}

/* Whatever bit of a point is flipped, the point is wrong, and nothing worse happens. */
static void test_every_damaged_byte_is_noticed(void **state)
{
    (void)state;
    struct weir_traffic_point point;
    struct weir_buf content = weir_buf_grow_init(65536);
    weir_traffic_point(world, 12345, &point);
    weir_body_expected(&point, &content);
    for (size_t i = 1; i <= content.size; i++) {
        assert_non_null(wrong_with((struct change){.damaged = i}));
    }
    weir_buf_done(&content);
}

/* A body that ends early is malformed, unless it ends where a whole message does. */
static void test_truncated(void **state)
{
    (void)state;
    struct change none = {.unit = NULL};
    struct weir_sink_decoded decoded;
    struct weir_buf request = request_of(7, &none);
    for (size_t size = 1; size < request.size; size++) {
        uint8_t *copy = weir_mem_alloc(size); /* so that a sanitizer sees a step past its end */
        assert_non_null(copy);
        memcpy(copy, request.data, size);
        assert_int_equal(weir_sink_decode(weir_bytes_of(copy, size), NULL, NULL, &decoded),
                         WEIR_EMALFORMED);
        assert_non_null(decoded.what);
        weir_mem_free(copy);
    }
    weir_buf_done(&request);
}

static void test_malformed(void **state)
{
    (void)state;
    static const struct weir_bytes bad[] = {
        WEIR_BYTES_INIT("\x08\x01"),                             /* resource metrics: a number */
        WEIR_BYTES_INIT("\x0b\x0c"),                             /* a group */
        WEIR_BYTES_INIT("\x0a\x02\x08\x01"),                     /* resource: a number */
        WEIR_BYTES_INIT("\x0a\x04\x0a\x00\x0a\x00"),             /* two resources */
        WEIR_BYTES_INIT("\x0a\x04\x0a\x02\x08\x01"),             /* attribute: a number */
        WEIR_BYTES_INIT("\x0a\x02\x10\x01"),                     /* scope metrics: a number */
        WEIR_BYTES_INIT("\x0a\x04\x12\x02\x10\x01"),             /* metric: a number */
        WEIR_BYTES_INIT("\x0a\x06\x12\x04\x12\x02\x08\x01"),     /* name: a number */
        WEIR_BYTES_INIT("\x0a\x07\x12\x05\x12\x03\x0a\x01\xff"), /* name: no UTF-8 */
        WEIR_BYTES_INIT("\x0a\x08\x12\x06\x12\x04\x5a\x02\x08\x01"),   /* point: a number */
        WEIR_BYTES_INIT("\x0a\x0a\x12\x08\x12\x06\x0a\x01x\x0a\x01y"), /* two names */
        WEIR_BYTES_INIT("\x0a\x0c\x12\x0a\x12\x08\x5a\x02\x0a\x00\x2a\x02\x0a\x00"), /* two kinds */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct weir_sink_decoded decoded = {0, NULL};
        assert_int_equal(weir_sink_decode(bad[i], NULL, NULL, &decoded), WEIR_EMALFORMED);
        assert_non_null(decoded.what);
    }
}

static void test_empty_has_no_points(void **state)
{
    (void)state;
    struct weir_sink_decoded decoded;
    assert_int_equal(weir_sink_decode(WEIR_BYTES(""), NULL, NULL, &decoded), WEIR_OK);
    assert_int_equal(decoded.points, 0);
    assert_int_equal(weir_sink_decode(WEIR_BYTES("\x0a\x00"), NULL, NULL, &decoded), WEIR_OK);
    assert_int_equal(decoded.points, 0);
}

static void test_identify_refuses(void **state)
{
    (void)state;
    struct weir_sink_identity id = {.start_ns = 5};
    assert_int_equal(weir_sink_identify(WEIR_BYTES(""), &id), WEIR_ENOTFOUND);
    assert_int_equal(weir_sink_identify(WEIR_BYTES("\x10\x01"), &id), WEIR_EMALFORMED);
    assert_int_equal(weir_sink_identify(WEIR_BYTES("\x38\x01"), &id), WEIR_EMALFORMED);
    assert_int_equal(weir_sink_identify(WEIR_BYTES("\x11\x01"), &id), WEIR_EMALFORMED);
    assert_int_equal(id.start_ns, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_wrong_heads),
        cmocka_unit_test(test_every_damaged_byte_is_noticed),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_empty_has_no_points),
        cmocka_unit_test(test_identify_refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
