/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/otlp_json.h"
#include "weir/pbw.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SIZE_LIMIT 65536

/* A message under construction, and the same wrapped as field `number` of the next one out. */
static void wrap(struct weir_buf *buf, uint32_t number)
{
    struct weir_buf outer = weir_buf_grow_init(SIZE_LIMIT);
    weir_pbw_bytes(&outer, number, weir_buf_view(buf));
    assert_false(buf->failed);
    weir_buf_done(buf);
    *buf = outer;
}

static struct weir_buf from_hex(const char *hex)
{
    struct support_blob blob = support_hex(hex);
    struct weir_buf buf = weir_buf_grow_init(SIZE_LIMIT);
    weir_buf_put(&buf, support_view(&blob));
    support_free(&blob);
    return buf;
}

/* Prints `buf` and gives it back. */
static void expect(struct weir_buf *buf, const char *json)
{
    struct weir_buf out = weir_buf_grow_init(SIZE_LIMIT);
    assert_int_equal(weir_otlp_json(weir_buf_view(buf), &out), WEIR_OK);
    support_assert_bytes(weir_buf_view(&out), weir_bytes_str(json));
    weir_buf_done(&out);
    weir_buf_done(buf);
}

static void refuse(struct weir_buf *buf)
{
    struct weir_buf out = weir_buf_grow_init(SIZE_LIMIT);
    weir_buf_put(&out, WEIR_BYTES("before"));
    assert_int_equal(weir_otlp_json(weir_buf_view(buf), &out), WEIR_EMALFORMED);
    support_assert_bytes(weir_buf_view(&out), WEIR_BYTES("before"));
    assert_false(out.failed);
    weir_buf_done(&out);
    weir_buf_done(buf);
}

/* A Metric, given as hexadecimal, as the whole request. */
static struct weir_buf metric(const char *hex)
{
    struct weir_buf buf = from_hex(hex);
    wrap(&buf, 2);
    wrap(&buf, 2);
    wrap(&buf, 1);
    return buf;
}

#define METRIC(json)    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[" json "]}]}]}"
#define RESOURCE(json)  "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[" json "]}}]}"
#define ATTRIBUTE(json) RESOURCE("{\"key\":\"k\",\"value\":{" json "}}")

/* An AnyValue, given as hexadecimal, as a resource's attribute "k". */
static struct weir_buf attribute(const char *hex)
{
    struct weir_buf value = from_hex(hex);
    wrap(&value, 2);
    struct weir_buf buf = weir_buf_grow_init(SIZE_LIMIT);
    weir_pbw_bytes(&buf, 1, WEIR_BYTES("k"));
    weir_buf_put(&buf, weir_buf_view(&value));
    weir_buf_done(&value);
    wrap(&buf, 1);
    wrap(&buf, 1);
    wrap(&buf, 1);
    return buf;
}

static void test_empty(void **state)
{
    (void)state;
    struct weir_buf buf = from_hex("");
    expect(&buf, "{}");
    buf = from_hex("0a 00");
    expect(&buf, "{\"resourceMetrics\":[{}]}");
    buf = from_hex("0a 00 0a 00 78 01");
    expect(&buf, "{\"resourceMetrics\":[{},{}]}");
}

static void test_values(void **state)
{
    (void)state;
    const char *const values[][2] = {
        {"", ATTRIBUTE("")},
        {"0a 03 61 22 0a", ATTRIBUTE("\"stringValue\":\"a\\\"\\n\"")},
        {"10 01", ATTRIBUTE("\"boolValue\":true")},
        {"10 00", ATTRIBUTE("\"boolValue\":false")},
        {"18 ff ff ff ff ff ff ff ff ff 01", ATTRIBUTE("\"intValue\":\"-1\"")},
        {"21 00 00 00 00 00 00 f8 3f", ATTRIBUTE("\"doubleValue\":1.5")},
        {"2a 00", ATTRIBUTE("\"arrayValue\":{}")},
        {"2a 06 0a 02 10 01 0a 00",
         ATTRIBUTE("\"arrayValue\":{\"values\":[{\"boolValue\":true},{}]}")},
        {"32 0a 0a 08 0a 01 61 12 03 0a 01 62",
         ATTRIBUTE(
             "\"kvlistValue\":{\"values\":[{\"key\":\"a\",\"value\":{\"stringValue\":\"b\"}}]}")},
        {"3a 02 fb ff", ATTRIBUTE("\"bytesValue\":\"+/8=\"")},
        {"3a 00", ATTRIBUTE("\"bytesValue\":\"\"")},
        {"0a 01 61 10 01", ATTRIBUTE("\"boolValue\":true")}, /* a oneof: the last counts */
        {"10 01 0a 01 61", ATTRIBUTE("\"stringValue\":\"a\"")},
        {"48 01", ATTRIBUTE("")}, /* unknown */
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct weir_buf buf = attribute(values[i][0]);
        expect(&buf, values[i][1]);
    }
}

static void test_summary(void **state)
{
    (void)state;
    struct weir_buf buf = metric("0a 01 6d 1a 03 7b 43 7d 5a 3e 0a 3c"
                                 "11 01 00 00 00 00 00 00 00 19 ff ff ff ff ff ff ff ff"
                                 "21 07 00 00 00 00 00 00 00 29 00 00 00 00 a0 5d 23 41"
                                 "32 09 11 00 00 00 00 00 00 f0 3f 32 09 09 00 00 00 00 00 00 f0 3f"
                                 "40 00");
    expect(&buf,
           METRIC("{\"name\":\"m\",\"unit\":\"{C}\",\"summary\":{\"dataPoints\":[{"
                  "\"startTimeUnixNano\":\"1\",\"timeUnixNano\":\"18446744073709551615\","
                  "\"count\":\"7\",\"sum\":634576,\"quantileValues\":["
                  "{\"quantile\":0,\"value\":1},{\"quantile\":1,\"value\":0}],\"flags\":0}]}}"));
    buf = metric("5a 02 0a 00");
    expect(&buf, METRIC("{\"summary\":{\"dataPoints\":[{\"count\":\"0\",\"sum\":0}]}}"));
    buf = metric("5a 04 0a 02 32 00");
    expect(&buf, METRIC("{\"summary\":{\"dataPoints\":[{\"count\":\"0\",\"sum\":0,"
                        "\"quantileValues\":[{\"quantile\":0,\"value\":0}]}]}}"));
}

static void test_scattered_and_merged(void **state)
{
    (void)state;
    struct weir_buf buf = metric("5a 02 0a 00 0a 01 6d 5a 02 0a 00"); /* data in two pieces */
    expect(&buf, METRIC("{\"name\":\"m\",\"summary\":{\"dataPoints\":["
                        "{\"count\":\"0\",\"sum\":0},{\"count\":\"0\",\"sum\":0}]}}"));
    buf = metric("0a 01 61 0a 01 62"); /* a scalar twice: the last counts */
    expect(&buf, METRIC("{\"name\":\"b\"}"));
}

static void test_number_points(void **state)
{
    (void)state;
    struct weir_buf buf = metric("2a 0f 0a 0d 31 fe ff ff ff ff ff ff ff 42 00 40 01");
    refuse(&buf); /* 42 00: flags as bytes */
    buf = metric("2a 0d 0a 0b 31 fe ff ff ff ff ff ff ff 40 01");
    expect(&buf, METRIC("{\"gauge\":{\"dataPoints\":[{\"asInt\":\"-2\",\"flags\":1}]}}"));
    buf = metric("3a 0f 0a 09 21 00 00 00 00 00 00 00 80 10 02 18 01");
    expect(&buf, METRIC("{\"sum\":{\"dataPoints\":[{\"asDouble\":-0}],"
                        "\"aggregationTemporality\":2,\"isMonotonic\":true}}"));
    buf = metric("2a 1b 0a 19 2a 17 22 08 01 23 45 67 89 ab cd ef 2a 02 00 ff"
                 "31 01 00 00 00 00 00 00 00");
    expect(&buf, METRIC("{\"gauge\":{\"dataPoints\":[{\"exemplars\":[{\"asInt\":\"1\","
                        "\"spanId\":\"0123456789abcdef\",\"traceId\":\"00ff\"}]}]}}"));
}

static void test_histograms(void **state)
{
    (void)state;
    struct weir_buf buf = metric("4a 2a 0a 26 32 10 01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00"
                                 "31 03 00 00 00 00 00 00 00 3a 08 00 00 00 00 00 00 f0 3f 3a 00"
                                 "10 01");
    refuse(&buf); /* a length that is off by one */
    buf = metric("4a 2b 0a 27 32 10 01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00"
                 "31 03 00 00 00 00 00 00 00 3a 08 00 00 00 00 00 00 f0 3f 3a 00 10 01");
    expect(&buf, METRIC("{\"histogram\":{\"dataPoints\":[{\"bucketCounts\":[\"1\",\"2\",\"3\"],"
                        "\"explicitBounds\":[1]}],\"aggregationTemporality\":1}}"));
    buf = metric("52 0f 0a 0d 30 03 42 09 08 01 12 03 01 ac 02 10 07");
    expect(&buf, METRIC("{\"exponentialHistogram\":{\"dataPoints\":[{\"scale\":-2,\"positive\":{"
                        "\"offset\":-1,\"bucketCounts\":[\"1\",\"300\",\"7\"]}}]}}"));
}

static void test_doubles(void **state)
{
    (void)state;
    const struct {
        double value;
        const char *json;
    } cases[] = {{0.1, "0.1"},
                 {1.0 / 3, "0.3333333333333333"},
                 {634880, "634880"},
                 {-1e300, "-1e+300"},
                 {5e-324, "4.94065645841247e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"},
                 {(double)INFINITY, "\"Infinity\""},
                 {-(double)INFINITY, "\"-Infinity\""},
                 {(double)NAN, "\"NaN\""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char json[256];
        (void)snprintf(json, sizeof(json),
                       METRIC("{\"gauge\":{\"dataPoints\":[{\"asDouble\":%s}]}}"), cases[i].json);
        struct weir_buf buf = weir_buf_grow_init(SIZE_LIMIT);
        weir_pbw_double(&buf, 4, cases[i].value);
        wrap(&buf, 1);
        wrap(&buf, 5);
        wrap(&buf, 2);
        wrap(&buf, 2);
        wrap(&buf, 1);
        expect(&buf, json);
    }
}

static void test_malformed(void **state)
{
    (void)state;
    const char *const bad[] = {
        "0a",                                     /* cut off */
        "0a 02 0a",                               /* cut off inside */
        "0a 02 0a 05",                            /* the same, deeper */
        "08 01",                                  /* a message as a varint */
        "0a 02 18 01",                            /* a string as a varint */
        "0a 06 12 04 12 02 58 01",                /* summary as a varint */
        "0a 0a 12 08 12 06 5a 04 0a 02 20 01",    /* count as a varint */
        "0a 0b 12 09 12 07 4a 05 0a 03 32 01 00", /* seven bytes missing of a packed fixed64 */
        "0a 0d 12 0b 12 09 52 07 0a 05 42 03 12 01 80", /* half a packed varint */
        "78",                                           /* an unknown field, cut off */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct weir_buf buf = from_hex(bad[i]);
        refuse(&buf);
    }
}

static void test_depth(void **state)
{
    (void)state;
    for (unsigned levels = 16; levels <= 64; levels += 48) {
        struct weir_buf value = weir_buf_grow_init(SIZE_LIMIT);
        weir_pbw_uint(&value, 2, 1);
        for (unsigned i = 1; i < levels; i++) { /* a value in a KeyValue in a list in a value */
            wrap(&value, 2);
            wrap(&value, 1);
            wrap(&value, 6);
        }
        wrap(&value, 2);
        wrap(&value, 1);
        wrap(&value, 1);
        wrap(&value, 1);
        if (levels == 16) {
            struct weir_buf out = weir_buf_grow_init(SIZE_LIMIT);
            assert_int_equal(weir_otlp_json(weir_buf_view(&value), &out), WEIR_OK);
            weir_buf_done(&out);
            weir_buf_done(&value);
        } else {
            refuse(&value);
        }
    }
}

static void test_no_room(void **state)
{
    (void)state;
    struct weir_buf buf = attribute("32 0a 0a 08 0a 01 61 12 03 0a 01 62");
    struct weir_buf whole = weir_buf_grow_init(SIZE_LIMIT);
    assert_int_equal(weir_otlp_json(weir_buf_view(&buf), &whole), WEIR_OK);
    uint8_t memory[256];
    for (size_t room = 0; room < whole.size; room++) {
        struct weir_buf out = weir_buf_fixed(memory, room);
        assert_int_equal(weir_otlp_json(weir_buf_view(&buf), &out), WEIR_ENOMEM);
        assert_int_equal(out.size, 0);
        assert_true(out.failed);
    }
    weir_buf_done(&whole);
    weir_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),         cmocka_unit_test(test_values),
        cmocka_unit_test(test_summary),       cmocka_unit_test(test_scattered_and_merged),
        cmocka_unit_test(test_number_points), cmocka_unit_test(test_histograms),
        cmocka_unit_test(test_doubles),       cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_depth),         cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
