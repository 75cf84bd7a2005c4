/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/envelope.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct weir_envelope_limits limits = {3, 6, 8};

struct reading {
    struct weir_envelope envelope;
    char *body; /* a copy that the reader may rewrite, as large as the text and no larger */
    enum weir_status status;
    unsigned records;
    struct weir_bytes record[8];
};

static void read_all(struct reading *reading, const char *text)
{
    size_t size = strlen(text);
    *reading = (struct reading){.body = weir_mem_alloc(size + 1)};
    assert_non_null(reading->body);
    memcpy(reading->body, text, size + 1);
    weir_envelope_init(&reading->envelope, (uint8_t *)reading->body, size, limits);
    struct weir_bytes record;
    while ((reading->status = weir_envelope_next(&reading->envelope, &record)) == WEIR_OK) {
        assert_true(reading->records < 8);
        reading->record[reading->records++] = record;
    }
    struct weir_bytes untouched = {NULL, 99};
    assert_int_equal(weir_envelope_next(&reading->envelope, &untouched), reading->status);
    assert_int_equal(untouched.size, 99);
}

static void check_refused(const char *text, enum weir_status status, const char *error)
{
    struct reading reading;
    read_all(&reading, text);
    assert_int_equal(reading.status, status);
    assert_non_null(reading.envelope.error);
    assert_true(reading.envelope.error_offset <= strlen(text));
    if (error != NULL) {
        assert_string_equal(reading.envelope.error, error);
    }
    weir_mem_free(reading.body);
}

static void test_a_request(void **state)
{
    (void)state;
    struct reading reading;
    read_all(&reading, "{\"requestId\":\"ed4a\",\"timestamp\":1578090901599,\"records\":["
                       "{\"data\":\"aGVsbG8=\"},{\"data\":\"\"},{\"data\":\"e30K\"}]}");
    assert_int_equal(reading.status, WEIR_EEND);
    assert_int_equal(reading.records, 3);
    assert_int_equal(reading.envelope.record_count, 3);
    support_assert_bytes(reading.record[0], WEIR_BYTES("hello"));
    assert_int_equal(reading.record[1].size, 0);
    support_assert_bytes(reading.record[2], WEIR_BYTES("{}\n"));
    support_assert_bytes(reading.envelope.request_id, WEIR_BYTES("ed4a"));
    assert_true(reading.envelope.timestamp_ms == 1578090901599);
    assert_null(reading.envelope.error);
    weir_mem_free(reading.body);
}

static void test_keys_in_any_order_and_unknown_ones(void **state)
{
    (void)state;
    struct reading reading;
    read_all(&reading, " { \"new\" : [1,{\"data\":\"!\"}] , \"records\" : [ { \"x\":null , "
                       "\"data\" : \"aA==\" , \"y\":{} } ] , \"timestamp\":-1, "
                       "\"requestId\":\"a\\u0062\" } \n");
    assert_int_equal(reading.status, WEIR_EEND);
    assert_int_equal(reading.records, 1);
    support_assert_bytes(reading.record[0], WEIR_BYTES("h"));
    support_assert_bytes(reading.envelope.request_id, WEIR_BYTES("ab"));
    weir_mem_free(reading.body);
}

static void test_id_and_timestamp_are_optional(void **state)
{
    (void)state;
    struct reading reading;
    read_all(&reading, "{\"records\":[]}");
    assert_int_equal(reading.status, WEIR_EEND);
    assert_int_equal(reading.records, 0);
    assert_int_equal(reading.envelope.request_id.size, 0);
    weir_mem_free(reading.body);
}

static void test_no_envelope(void **state)
{
    (void)state;
    check_refused("", WEIR_EMALFORMED, NULL);
    check_refused("null", WEIR_EMALFORMED, NULL);
    check_refused("[]", WEIR_EMALFORMED, NULL);
    check_refused("{", WEIR_EMALFORMED, NULL);
    check_refused("\x1f\x8b", WEIR_EMALFORMED, NULL);
    check_refused("{}", WEIR_EMALFORMED, "the body has no records");
    check_refused("{\"requestId\":\"x\",\"Records\":[]}", WEIR_EMALFORMED,
                  "the body has no records");
}

static void test_wrong_types(void **state)
{
    (void)state;
    check_refused("{\"records\":{}}", WEIR_EMALFORMED, NULL);
    check_refused("{\"records\":null}", WEIR_EMALFORMED, NULL);
    check_refused("{\"records\":[\"aGVs\"]}", WEIR_EMALFORMED, NULL);
    check_refused("{\"records\":[{\"data\":1}]}", WEIR_EMALFORMED, NULL);
    check_refused("{\"records\":[{\"data\":null}]}", WEIR_EMALFORMED, NULL);
    check_refused("{\"requestId\":1,\"records\":[]}", WEIR_EMALFORMED, NULL);
    check_refused("{\"timestamp\":\"1\",\"records\":[]}", WEIR_EMALFORMED, NULL);
    check_refused("{\"timestamp\":1.5,\"records\":[]}", WEIR_EMALFORMED, NULL);
}

static void test_twice_is_damage(void **state)
{
    (void)state;
    const char *const twice = "requestId, timestamp or records stands there twice";
    check_refused("{\"records\":[],\"records\":[]}", WEIR_EMALFORMED, twice);
    check_refused("{\"requestId\":\"a\",\"records\":[],\"requestId\":\"a\"}", WEIR_EMALFORMED,
                  twice);
    check_refused("{\"timestamp\":1,\"timestamp\":1,\"records\":[]}", WEIR_EMALFORMED, twice);
    check_refused("{\"records\":[{\"data\":\"\",\"data\":\"\"}]}", WEIR_EMALFORMED,
                  "data stands there twice");
}

static void test_bad_records(void **state)
{
    (void)state;
    check_refused("{\"records\":[{}]}", WEIR_EMALFORMED, "no data");
    check_refused("{\"records\":[{\"Data\":\"\"}]}", WEIR_EMALFORMED, "no data");
    check_refused("{\"records\":[{\"data\":\"aGVsbG8\"}]}", WEIR_EMALFORMED, "data is not base64");
    check_refused("{\"records\":[{\"data\":\"aGV\\nsbG8=\"}]}", WEIR_EMALFORMED, NULL);
    check_refused("{\"records\":[{\"data\":\"aGVsbG-_\"}]}", WEIR_EMALFORMED, "data is not base64");
}

/* Damage in the last bytes, after every record was fine. */
static void test_damage_at_the_end(void **state)
{
    (void)state;
    check_refused("{\"records\":[{\"data\":\"aA==\"}]", WEIR_EMALFORMED, NULL);
    check_refused("{\"records\":[{\"data\":\"aA==\"}", WEIR_EMALFORMED, NULL);
    check_refused("{\"records\":[{\"data\":\"aA==\"},]}", WEIR_EMALFORMED, NULL);
    check_refused("{\"records\":[{\"data\":\"aA==\"}]}{}", WEIR_EMALFORMED, NULL);
    check_refused("{\"records\":[{\"data\":\"aA==\"}],}", WEIR_EMALFORMED, NULL);
    check_refused("{\"records\":[{\"data\":\"aA==\"}]}\n0", WEIR_EMALFORMED, NULL);
}

static void test_limits(void **state)
{
    (void)state;
    char text[400] = "{\"records\":[],\"requestId\":\"";
    check_refused("{\"records\":[{\"data\":\"\"},{\"data\":\"\"},{\"data\":\"\"},{\"data\":\"\"}]}",
                  WEIR_ELIMIT, "too many records");
    check_refused("{\"records\":[{\"data\":\"aGVsbG8hIQ==\"}]}", WEIR_ELIMIT,
                  "larger than the limit for a record");
    check_refused("{\"records\":[{\"data\":\"aGVsbG8haGVsbG8haGVsbG8h\"}]}", WEIR_ELIMIT,
                  "larger than the limit for a record");
    check_refused("{\"x\":[[[[[[[[[]]]]]]]]],\"records\":[]}", WEIR_ELIMIT, NULL);
    size_t start = strlen(text);
    memset(text + start, 'i', 129);
    memcpy(text + start + 129, "\"}", 3);
    check_refused(text, WEIR_ELIMIT, "requestId is longer than 128 characters");
    memcpy(text + start + 128, "\"}", 3);
    struct reading reading;
    read_all(&reading, text);
    assert_int_equal(reading.status, WEIR_EEND);
    weir_mem_free(reading.body);
}

static void test_a_record_of_just_the_limit(void **state)
{
    (void)state;
    struct reading reading;
    read_all(&reading, "{\"records\":[{\"data\":\"aGVsbG8h\"},{\"data\":\"aGVsbG8h\"},"
                       "{\"data\":\"aGVsbG8=\"}]}");
    assert_int_equal(reading.status, WEIR_EEND);
    assert_int_equal(reading.records, 3);
    weir_mem_free(reading.body);
}

static void test_the_damaged_record_is_named(void **state)
{
    (void)state;
    struct reading reading;
    read_all(&reading, "{\"records\":[{\"data\":\"\"},{\"data\":\"?\"}]}");
    assert_true(reading.envelope.in_record);
    assert_int_equal(reading.envelope.record_count, 1);
    weir_mem_free(reading.body);
    read_all(&reading, "{\"records\":[{\"data\":\"\"}}");
    assert_false(reading.envelope.in_record);
    weir_mem_free(reading.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request),
        cmocka_unit_test(test_keys_in_any_order_and_unknown_ones),
        cmocka_unit_test(test_id_and_timestamp_are_optional),
        cmocka_unit_test(test_no_envelope),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_twice_is_damage),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_damage_at_the_end),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_record_of_just_the_limit),
        cmocka_unit_test(test_the_damaged_record_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
