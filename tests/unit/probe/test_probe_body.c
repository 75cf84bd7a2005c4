/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent is of the size that was asked for, and valid. */
#include "../../../src/probe/probe_internal.h"
#include "weir/base64.h"
#include "weir/gzip.h"
#include "weir/json.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ID "0d4bb1d6-7d3a-4d56-9f2b-0d8f4f7f9a11"

/* Reads a body; how many records it has, the last one's data in *ret_data. */
static unsigned read_body(struct weir_buf *body, struct weir_bytes *ret_data)
{
    struct weir_json json;
    struct weir_bytes key;
    unsigned records = 0;
    weir_json_init(&json, body->data, body->size, 8);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        if (weir_bytes_eq(key, WEIR_BYTES("requestId"))) {
            assert_true(weir_bytes_eq(weir_json_string(&json), WEIR_BYTES(ID)));
        } else if (weir_bytes_eq(key, WEIR_BYTES("timestamp"))) {
            assert_true(weir_json_int64(&json) > INT64_C(1600000000000));
        } else {
            assert_true(weir_bytes_eq(key, WEIR_BYTES("records")));
            weir_json_array_begin(&json);
            for (; weir_json_element(&json); records++) {
                weir_json_object_begin(&json);
                assert_true(weir_json_member(&json, &key));
                *ret_data = weir_json_string(&json);
                assert_false(weir_json_member(&json, &key));
            }
        }
    }
    assert_int_equal(weir_json_finish(&json), WEIR_OK);
    return records;
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 1000, 65536, (1 << 20) + 77, 3 << 20};
    struct weir_bytes data;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct weir_buf body = weir_buf_grow_init((size_t)8 << 20);
        weir_probe_body(&body, ID, WEIR_PROBE_NO_METRIC, sizes[i]);
        assert_false(body.failed);
        if (sizes[i] > 200) {
            assert_int_equal(body.size, sizes[i]);
        }
        assert_int_equal(read_body(&body, &data), 0);
        weir_buf_done(&body);
    }
}

/* Real data shrinks to a quarter or a tenth: so does this, and not to a thousandth. */
static void test_compression_is_as_of_real_data(void **state)
{
    (void)state;
    size_t size = 0;
    struct weir_buf body = weir_buf_grow_init((size_t)8 << 20);
    weir_probe_body(&body, ID, WEIR_PROBE_NO_METRIC, (size_t)4 << 20);
    uint8_t *packed = weir_probe_gzip(weir_buf_view(&body), &size);
    assert_non_null(packed);
    assert_in_range(size, (1 << 20) - (1 << 18), (1 << 20) + (1 << 18));
    weir_mem_free(packed);
    weir_buf_done(&body);
}

static void decode(struct weir_bytes data, uint8_t *out, size_t *ret_size)
{
    assert_true(data.size > 0 && data.size < 4096);
    memcpy(out, data.data, data.size);
    assert_int_equal(weir_base64_decode_in_place(out, data.size, ret_size), WEIR_OK);
}

static void test_a_metric_as_json(void **state)
{
    (void)state;
    uint8_t record[4096];
    size_t size = 0;
    struct weir_bytes data;
    struct weir_json json;
    struct weir_buf body = weir_buf_grow_init(1 << 20);
    weir_probe_body(&body, ID, WEIR_PROBE_METRIC_JSON, 100000);
    assert_int_equal(body.size, 100000);
    assert_int_equal(read_body(&body, &data), 1);
    decode(data, record, &size);
    assert_int_equal(record[size - 1], '\n');
    weir_json_init(&json, record, size, 8);
    weir_json_skip(&json);
    assert_int_equal(weir_json_finish(&json), WEIR_OK);
    assert_non_null(memmem(record, size, "\"namespace\":\"Weir/Probe\"", 24));
    weir_buf_done(&body);
}

static void test_a_metric_as_otlp(void **state)
{
    (void)state;
    uint8_t memory[1024];
    struct weir_buf out = weir_buf_fixed(memory, sizeof memory);
    weir_probe_record(&out, WEIR_PROBE_METRIC_OTLP_10, INT64_C(1767225600000));
    assert_false(out.failed);
    assert_true(out.size > 300);
    size_t length = (size_t)(memory[0] & 0x7f) | (size_t)memory[1] << 7; /* a varint of two bytes */
    assert_int_equal(length + 2, out.size);
    assert_int_equal(memory[2], 0x0a); /* field 1, ResourceMetrics */
    assert_non_null(memmem(memory, out.size, "amazonaws.com/Weir/Probe/weir.probe", 35));
}

/* {"commonAttributes":{...}} of as many bytes as was said, each part within Firehose's limits. */
static void test_attributes(void **state)
{
    (void)state;
    static const size_t sizes[] = {128, 1000, 1400, 16384, 64254};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct weir_json json;
        struct weir_bytes key;
        unsigned count = 0;
        struct weir_buf line = weir_buf_grow_init(1 << 20);
        weir_probe_attributes(&line, sizes[i]);
        assert_in_range(line.size, sizes[i] - 16, sizes[i]);
        uint8_t *colon = memchr(line.data, ':', line.size);
        assert_non_null(colon);
        weir_json_init(&json, colon + 1, line.size - (size_t)(colon + 1 - line.data), 8);
        weir_json_object_begin(&json);
        assert_true(weir_json_member(&json, &key));
        assert_true(weir_bytes_eq(key, WEIR_BYTES("commonAttributes")));
        weir_json_object_begin(&json);
        for (; weir_json_member(&json, &key); count++) {
            assert_in_range(key.size, 1, 256);
            assert_in_range(weir_json_string(&json).size, 0, 1024);
        }
        assert_in_range(count, 1, 50);
        assert_false(weir_json_member(&json, &key));
        assert_int_equal(weir_json_finish(&json), WEIR_OK);
        weir_buf_done(&line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_compression_is_as_of_real_data),
        cmocka_unit_test(test_a_metric_as_json),
        cmocka_unit_test(test_a_metric_as_otlp),
        cmocka_unit_test(test_attributes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
