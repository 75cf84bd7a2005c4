/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP/JSON as protobuf: read by the same decoder, with the same contents. */
#include "sink/decode.h"
#include "sink/otlp_json.h"
#include "sink/part.h"
#include "weir/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define METRIC_BEGIN                                                                               \
    "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[]},\"scopeMetrics\":[{\"metrics\":[{"    \
    "\"name\":\"a/b\",\"unit\":\"s\","
#define METRIC_END "}]}]}]}"
#define NAMESPACE                                                                                  \
    "\"attributes\":[{\"key\":\"Namespace\",\"value\":{\"stringValue\":\"N\\u00e4\"}},"            \
    "{\"key\":\"Dimensions\",\"value\":{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{"   \
    "\"stringValue\":\"v\"}}]}}}]"

struct seen {
    uint32_t count;
    uint32_t kind;
    uint32_t temporality;
    bool is_read;
    struct weir_sink_part part;
    struct weir_sink_pairs dimensions;
};

/* What the text becomes; the bytes end where it does, so that a sanitizer sees a step beyond. */
static enum weir_status convert(const char *text, struct weir_buf *out, const char **ret_what)
{
    size_t size = strlen(text);
    uint8_t *copy = weir_mem_alloc(size + (size == 0 ? 1 : 0));
    assert_non_null(copy);
    memcpy(copy, text, size);
    enum weir_status status = weir_sink_otlp_json(copy, size, out, ret_what);
    weir_mem_free(copy);
    return status;
}

static void see(void *argument, const struct weir_sink_point *point)
{
    struct seen *seen = argument;
    seen->count++;
    seen->kind = point->kind;
    seen->temporality = point->temporality;
    assert_true(weir_bytes_eq(point->metric, WEIR_BYTES("a/b")));
    assert_true(weir_bytes_eq(point->unit, WEIR_BYTES("s")));
    seen->is_read = weir_sink_part_read(point->content, point->kind, &seen->part) == NULL;
    assert_true(seen->is_read);
    assert_int_equal(seen->part.attributes.count, 2);
    assert_true(weir_bytes_eq(seen->part.attributes.pair[0].text, WEIR_BYTES("N\xc3\xa4")));
    assert_true(weir_sink_part_list(seen->part.attributes.pair[1].whole, &seen->dimensions));
    assert_int_equal(seen->dimensions.count, 1);
}

static struct seen read_back(const char *text)
{
    struct seen seen = {.count = 0};
    struct weir_sink_decoded decoded;
    const char *what = NULL;
    struct weir_buf out = weir_buf_grow_init(1 << 16);
    assert_int_equal(convert(text, &out, &what), WEIR_OK);
    assert_int_equal(weir_sink_decode(weir_buf_view(&out), see, &seen, &decoded), WEIR_OK);
    weir_buf_done(&out);
    return seen;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void test_gauges(void **state)
{
    (void)state;
    struct seen seen = read_back(
        METRIC_BEGIN "\"gauge\":{\"dataPoints\":[{\"startTimeUnixNano\":\"7\","
                     "\"timeUnixNano\":\"18446744073709551615\",\"asInt\":\"3\"," NAMESPACE "},"
                     "{\"asDouble\":-1.5," NAMESPACE "}]}" METRIC_END);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.kind, 5);
    assert_int_equal(seen.part.seen, 1U << 4);
    assert_true(seen.part.field[4] == bits_of(-1.5));
}

static void test_summary_and_histogram(void **state)
{
    (void)state;
    struct seen seen = read_back(
        METRIC_BEGIN "\"summary\":{\"dataPoints\":[{\"startTimeUnixNano\":\"1\",\"timeUnixNano\":"
                     "\"2\",\"count\":\"3\",\"sum\":4.25,\"quantileValues\":[{\"quantile\":0,"
                     "\"value\":1},{\"quantile\":1,\"value\":2e3}]," NAMESPACE "}]}" METRIC_END);
    assert_int_equal(seen.kind, 11);
    assert_int_equal(seen.part.field[4], 3);
    assert_true(seen.part.field[5] == bits_of(4.25));
    assert_int_equal(seen.part.quantiles, 2);
    assert_true(seen.part.value[1] == bits_of(2000));
    seen = read_back(METRIC_BEGIN
                     "\"exponentialHistogram\":{\"aggregationTemporality\":1,\"dataPoints\":[{"
                     "\"startTimeUnixNano\":\"1\",\"timeUnixNano\":\"2\",\"count\":\"3\",\"sum\":4,"
                     "\"zeroCount\":\"3\",\"min\":1,\"max\":2,\"zeroThreshold\":2," NAMESPACE
                     "}]}" METRIC_END);
    assert_int_equal(seen.kind, 10);
    assert_int_equal(seen.temporality, 1);
    assert_int_equal(seen.part.field[7], 3);
    assert_true(seen.part.field[14] == bits_of(2));
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "null",
        "{",
        "{\"resourceMetrics\":[]} x",
        "{\"resourceMetrics\":{}}",
        "{\"resourceMetrics\":[{]}",
        "{\"resource_metrics\":[]}",
        "{\"resourceMetrics\":[null]}",
        METRIC_BEGIN "\"description\":\"x\"" METRIC_END,
        METRIC_BEGIN "\"sum\":{}" METRIC_END,
        METRIC_BEGIN "\"gauge\":[]" METRIC_END,
        METRIC_BEGIN "\"gauge\":{\"dataPoints\":[{\"asInt\":3}]}" METRIC_END,
        METRIC_BEGIN "\"gauge\":{\"dataPoints\":[{\"asInt\":\"\"}]}" METRIC_END,
        METRIC_BEGIN "\"gauge\":{\"dataPoints\":[{\"asInt\":\"3x\"}]}" METRIC_END,
        METRIC_BEGIN "\"gauge\":{\"dataPoints\":[{\"asInt\":\"-3\"}]}" METRIC_END,
        METRIC_BEGIN "\"gauge\":{\"dataPoints\":[{\"asInt\":\"18446744073709551616\"}]}" METRIC_END,
        METRIC_BEGIN "\"gauge\":{\"dataPoints\":[{\"asDouble\":\"3\"}]}" METRIC_END,
        METRIC_BEGIN "\"gauge\":{\"dataPoints\":[{\"flags\":0}]}" METRIC_END};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *what = NULL;
        struct weir_buf out = weir_buf_grow_init(1 << 16);
        assert_int_equal(convert(bad[i], &out, &what), WEIR_EMALFORMED);
        assert_non_null(what);
        weir_buf_done(&out);
    }
}

/* Lists in lists, as deep as somebody likes: the reader's bound ends it. */
static void test_depth(void **state)
{
    (void)state;
    static const char level[] = "{\"key\":\"k\",\"value\":{\"kvlistValue\":{\"values\":[";
    struct weir_buf text = weir_buf_grow_init(1 << 20);
    struct weir_buf out = weir_buf_grow_init(1 << 20);
    const char *what = NULL;
    weir_buf_printf(&text, "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[");
    for (int i = 0; i < 5000; i++) {
        weir_buf_printf(&text, "%s", level);
    }
    weir_buf_put_byte(&text, 0);
    assert_false(text.failed);
    assert_int_equal(convert((const char *)text.data, &out, &what), WEIR_EMALFORMED);
    weir_buf_done(&text);
    weir_buf_done(&out);
}

static void test_no_room(void **state)
{
    (void)state;
    static const char text[] =
        METRIC_BEGIN "\"gauge\":{\"dataPoints\":[{" NAMESPACE "}]}" METRIC_END;
    struct weir_buf whole = weir_buf_grow_init(1 << 16);
    const char *what = NULL;
    assert_int_equal(convert(text, &whole, &what), WEIR_OK);
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *room = weir_mem_alloc(size + (size == 0 ? 1 : 0));
        struct weir_buf out = weir_buf_fixed(room, size);
        assert_int_equal(convert(text, &out, &what), WEIR_ENOMEM);
        weir_mem_free(room);
    }
    weir_buf_done(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gauges),    cmocka_unit_test(test_summary_and_histogram),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
