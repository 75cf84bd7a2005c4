/* SPDX-License-Identifier: Apache-2.0 */
/* A data point as a line of JSON: numbers, order of keys, every kind of point. */
#include "../../../src/app/point_json.h"
#include "support.h"
#include "weir/pbw.h"
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

static char text[4096];

static const char *double_text(double value)
{
    struct weir_buf out = weir_buf_fixed(text, sizeof text - 1);
    weir_point_json_double(value, &out);
    text[out.size] = 0;
    return text;
}

static void doubles_are_short_and_exact(void **state)
{
    (void)state;
    assert_string_equal(double_text(0), "0.0");
    assert_string_equal(double_text(-0.0), "-0.0");
    assert_string_equal(double_text(20), "20.0");
    assert_string_equal(double_text(17.8764), "17.8764");
    assert_string_equal(double_text(0.1), "0.1");
    assert_string_equal(double_text(1e6), "1000000.0");
    assert_string_equal(double_text(1.1728384E7), "11728384.0");
    assert_string_equal(double_text(1e22), "1e+22");
    assert_string_equal(double_text(1e-7), "1e-07");
    assert_string_equal(double_text((double)NAN), "\"NaN\"");
    assert_string_equal(double_text(-(double)INFINITY), "\"-Infinity\"");
    struct weir_rand rand = support_rand(11);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = weir_rand_u64(&rand);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) {
            double back = strtod(double_text(value), NULL);
            assert_memory_equal(&back, &value, sizeof value);
        }
    }
}

/* A KeyValue of a string in field `number`. */
static void put_pair(struct weir_buf *out, uint32_t number, const char *key, const char *value)
{
    char memory[256];
    char any[256];
    struct weir_buf pair = weir_buf_fixed(memory, sizeof memory);
    struct weir_buf wrapped = weir_buf_fixed(any, sizeof any);
    weir_pbw_bytes(&wrapped, 1, weir_bytes_str(value));
    weir_pbw_bytes(&pair, 1, weir_bytes_str(key));
    weir_pbw_bytes(&pair, 2, weir_buf_view(&wrapped));
    weir_pbw_bytes(out, number, weir_buf_view(&pair));
}

/* The line of a point of this kind whose content is `data`. */
static const char *line_of(enum weir_metric_data kind, const struct weir_buf *data)
{
    static const uint8_t resource_head[] = {0x0a, 0x00};
    struct weir_resource resource = {.head = weir_bytes_of(resource_head, 2)};
    struct weir_scope scope = {.resource = &resource};
    char memory[256];
    struct weir_buf head = weir_buf_fixed(memory, sizeof memory);
    weir_pbw_bytes(&head, 1, WEIR_BYTES("a\nname"));
    weir_pbw_bytes(&head, 3, WEIR_BYTES("By"));
    struct weir_metric metric = {.scope = &scope, .head = weir_buf_view(&head), .data = kind};
    struct weir_point point = {.data = data->data, .size = (uint32_t)data->size, .metric = &metric};
    struct weir_buf out = weir_buf_fixed(text, sizeof text - 1);
    weir_point_json(&point, &out);
    assert_false(out.failed);
    text[out.size] = 0;
    return text;
}

static void keys_are_sorted_and_lines_whole(void **state)
{
    (void)state;
    char memory[1024];
    struct weir_buf data = weir_buf_fixed(memory, sizeof memory);
    put_pair(&data, 7, "b", "line\nbreak");
    put_pair(&data, 7, "a", "\xff");
    put_pair(&data, 7, "ab", "");
    weir_pbw_fixed64(&data, 3, 7);
    weir_pbw_fixed64(&data, 4, 5);
    assert_string_equal(line_of(WEIR_METRIC_SUMMARY, &data),
                        "{\"attributes\": {\"a\": \"\xef\xbf\xbd\", \"ab\": \"\", \"b\": "
                        "\"line\\nbreak\"}, \"count\": 5, \"end\": 7, \"name\": \"a\\nname\", "
                        "\"quantiles\": [], \"resource\": {}, \"start\": 0, \"sum\": 0.0, "
                        "\"unit\": \"By\"}\n");
}

static void numbers_have_a_value(void **state)
{
    (void)state;
    char memory[256];
    struct weir_buf data = weir_buf_fixed(memory, sizeof memory);
    weir_pbw_double(&data, 4, 2.5);
    assert_non_null(strstr(line_of(WEIR_METRIC_GAUGE, &data), ", \"value\": 2.5}\n"));
    data.size = 0;
    weir_pbw_fixed64(&data, 6, (uint64_t)-3);
    assert_non_null(strstr(line_of(WEIR_METRIC_SUM, &data), ", \"value\": -3}\n"));
    data.size = 0;
    put_pair(&data, 9, "k", "v");
    const char *line = line_of(WEIR_METRIC_HISTOGRAM, &data);
    assert_non_null(strstr(line, "{\"attributes\": {\"k\": \"v\"}, \"count\": 0, "));
    assert_null(strstr(line, "quantiles"));
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    static char one[4096];
    static char other[4096];
    struct weir_buf inner = weir_buf_fixed(one, sizeof one);
    struct weir_buf outer = weir_buf_fixed(other, sizeof other);
    weir_pbw_bytes(&inner, 1, WEIR_BYTES("deep"));
    for (int i = 0; i < 100; i++) { /* an array of an array of ... */
        char list[4096];
        struct weir_buf array = weir_buf_fixed(list, sizeof list);
        weir_pbw_bytes(&array, 1, weir_buf_view(&inner));
        outer.size = 0;
        weir_pbw_bytes(&outer, 5, weir_buf_view(&array));
        inner.size = 0;
        weir_buf_put(&inner, weir_buf_view(&outer));
    }
    char memory[8192];
    struct weir_buf pair = weir_buf_fixed(memory, sizeof memory);
    weir_pbw_bytes(&pair, 1, WEIR_BYTES("k"));
    weir_pbw_bytes(&pair, 2, weir_buf_view(&inner));
    char whole[8192];
    struct weir_buf data = weir_buf_fixed(whole, sizeof whole);
    weir_pbw_bytes(&data, 7, weir_buf_view(&pair));
    const char *line = line_of(WEIR_METRIC_GAUGE, &data);
    assert_non_null(strstr(line, "[[[null]]]"));
    assert_null(strstr(line, "deep"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_are_short_and_exact),
        cmocka_unit_test(keys_are_sorted_and_lines_whole),
        cmocka_unit_test(numbers_have_a_value),
        cmocka_unit_test(nesting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
