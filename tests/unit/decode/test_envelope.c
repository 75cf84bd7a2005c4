/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "support.h"
#include "weir/base64.h"
#include "weir/buf.h"
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

/* Of all sizes, some empty, with and without padding, some with escapes or other members. */
static struct weir_buf records_of_all_kinds(struct weir_rand *rand, unsigned count)
{
    struct weir_buf body = weir_buf_grow_init(1 << 20);
    weir_buf_printf(&body, "{\"records\":[");
    for (unsigned i = 0; i < count; i++) {
        uint8_t bytes[300];
        uint8_t text[400];
        size_t size = (size_t)weir_rand_below(rand, i % 4 == 0 ? 4 : sizeof(bytes) + 1);
        for (size_t at = 0; at < size; at++) {
            bytes[at] = i % 3 == 0 ? 0xff : (uint8_t)weir_rand_u64(rand); /* ff: slashes */
        }
        weir_base64_encode(weir_bytes_of(bytes, size), text);
        weir_buf_printf(&body, "%s{%s\"data\":\"", i > 0 ? "," : "", i % 5 == 0 ? "\"x\":[]," : "");
        for (size_t at = 0; at < weir_base64_encoded_size(size); at++) {
            bool escaped = text[at] == '/' && weir_rand_below(rand, 64) == 0;
            weir_buf_printf(&body, "%s%c", escaped ? "\\" : "", text[at]);
        }
        weir_buf_printf(&body, "\"}");
    }
    weir_buf_printf(&body, "],\"requestId\":\"a\"}");
    assert_false(body.failed);
    return body;
}

/* Reads `text` twice, in place and moved to just the room that is asked for: record by record the
 * same, each right behind the one before it. */
static enum weir_status check_moved(struct weir_bytes text)
{
    static const struct weir_envelope_limits wide = {1000, 300, 8};
    static const uint8_t nothing[1 << 20];
    size_t size = weir_envelope_room(text.size);
    assert_true(size <= sizeof(nothing));
    struct guard bodies[2] = {guard_copy(text), guard_copy(text)};
    struct guard room = guard_copy(weir_bytes_of(nothing, size));
    struct weir_envelope envelopes[2];
    struct weir_bytes records[2] = {{NULL, 0}, {NULL, 0}};
    enum weir_status statuses[2];
    const uint8_t *expected = room.data;
    for (size_t i = 0; i < 2; i++) {
        weir_envelope_init(&envelopes[i], bodies[i].data, bodies[i].size, wide);
    }
    weir_envelope_move(&envelopes[1], room.data);
    do {
        for (size_t i = 0; i < 2; i++) {
            statuses[i] = weir_envelope_next(&envelopes[i], &records[i]);
        }
        assert_int_equal(statuses[1], statuses[0]);
        if (statuses[0] == WEIR_OK) {
            support_assert_bytes(records[1], records[0]);
            assert_ptr_equal(records[1].data, expected);
            expected += records[1].size;
        }
    } while (statuses[0] == WEIR_OK);
    assert_ptr_equal(envelopes[1].error, envelopes[0].error);
    assert_int_equal(envelopes[1].error_offset, envelopes[0].error_offset);
    assert_int_equal(envelopes[1].record_count, envelopes[0].record_count);
    guard_free(&room);
    guard_free(&bodies[1]);
    guard_free(&bodies[0]);
    return statuses[0];
}

static void test_moved_records_are_the_same(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(5);
    for (unsigned count = 0; count < 40; count++) {
        struct weir_buf body = records_of_all_kinds(&rand, count);
        assert_int_equal(check_moved(weir_buf_view(&body)), WEIR_EEND);
        for (unsigned round = 0; round < 10; round++) { /* damaged */
            size_t at = (size_t)weir_rand_below(&rand, body.size);
            uint8_t before = body.data[at];
            body.data[at] = (uint8_t)weir_rand_u64(&rand);
            (void)check_moved(weir_buf_view(&body));
            body.data[at] = before;
            (void)check_moved(weir_bytes_of(body.data, at));
        }
        weir_buf_done(&body);
    }
}

/* Nearly all of the text is one record, whole or of one character too many: most room is used. */
static void test_moved_records_fill_their_room(void **state)
{
    (void)state;
    for (size_t size = 0; size < 400; size++) {
        char text[512] = "{\"records\":[{\"data\":\"";
        size_t start = strlen(text);
        memset(text + start, 'A', size);
        memcpy(text + start + size, "\"}]}", 5);
        enum weir_status expected = size / 4 * 3 > 302   ? WEIR_ELIMIT
                                    : size % 4 != 0      ? WEIR_EMALFORMED
                                    : size / 4 * 3 > 300 ? WEIR_ELIMIT
                                                         : WEIR_EEND;
        assert_int_equal(check_moved(weir_bytes_str(text)), expected);
    }
}

static void move_too_late(void *argument)
{
    (void)argument;
    uint8_t body[] = "{\"records\":[{\"data\":\"aA==\"}]}";
    uint8_t room[sizeof(body)];
    struct weir_envelope envelope;
    struct weir_bytes record;
    weir_envelope_init(&envelope, body, sizeof(body) - 1, limits);
    if (weir_envelope_next(&envelope, &record) == WEIR_OK) {
        weir_envelope_move(&envelope, room);
    }
}

static void test_moving_after_the_first_record_is_a_mistake(void **state)
{
    (void)state;
    assert_true(support_aborts(move_too_late, NULL));
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
        cmocka_unit_test(test_moved_records_are_the_same),
        cmocka_unit_test(test_moved_records_fill_their_room),
        cmocka_unit_test(test_moving_after_the_first_record_is_a_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
