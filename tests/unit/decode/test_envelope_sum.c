/* SPDX-License-Identifier: Apache-2.0 */
/* The sum that an envelope takes on its way is that of the body as it came, whatever the reader,
 * and whoever has its records, write over it, and wherever the way ends. */
#include "guard.h"
#include "support.h"
#include "weir/buf.h"
#include "weir/envelope.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct weir_envelope_limits limits = {10, 100000, 8};

static enum weir_status check(struct weir_bytes body)
{
    struct guard copy = guard_copy(body);
    struct weir_envelope envelope;
    struct weir_crc32_sum sum;
    struct weir_bytes record;
    enum weir_status status;
    weir_envelope_init(&envelope, copy.data, copy.size, limits);
    weir_envelope_sum(&envelope, &sum);
    while ((status = weir_envelope_next(&envelope, &record)) == WEIR_OK) {
        memset(copy.data + (record.data - copy.data), 0xAA, record.size);
    }
    weir_crc32_sum_to(&sum, copy.data + copy.size);
    assert_int_equal(sum.crc, weir_crc32(body));
    guard_free(&copy);
    return status;
}

/* Cut off everywhere, and with each of its bytes something else. */
static void check_damaged(const char *text)
{
    struct weir_bytes body = weir_bytes_str(text);
    char other[512];
    assert_true(body.size <= sizeof(other));
    for (size_t size = 0; size < body.size; size++) {
        check(weir_bytes_of(body.data, size));
    }
    for (size_t at = 0; at < body.size; at++) {
        static const char bytes[] = {'\\', '"', '*', 'Q', '}', ',', '\xff', '\0'};
        memcpy(other, body.data, body.size);
        for (size_t i = 0; i < sizeof(bytes); i++) {
            other[at] = bytes[i];
            check(weir_bytes_of(other, body.size));
        }
    }
}

static void test_what_is_written_over(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"requestId\":\"\\u0061\\u0062\\n\",\"timestamp\":1,\"records\":[{\"data\":\"Zm9v\"}]}",
        "{\"\\u0072ecords\":[{\"\\u0064ata\":\"Zm9v\",\"x\":\"\\t\"},{\"data\":\"a\\/+\\/\"}]}",
        "{\"records\":[{\"data\":"
        "\"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
        "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU"
        "FB"
        "QUFBQUFBQUFBQUFBQUFBQ\\/==\"},{\"data\":\"\"}],\"requestId\":\"x\\\\\"} "};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        check_damaged(bodies[i]);
    }
    assert_int_equal(check(weir_bytes_str(bodies[0])), WEIR_EEND);
    assert_int_equal(check(weir_bytes_str(bodies[1])), WEIR_EEND);
    assert_int_equal(check(weir_bytes_of(NULL, 0)), WEIR_EMALFORMED);
}

/* `what` behind `size` characters of base64, between other records. */
static enum weir_status check_long(size_t size, const char *what)
{
    struct weir_buf body = weir_buf_grow_init(1 << 20);
    weir_buf_printf(&body, "{\"records\":[{\"data\":\"Zm9v\"},{\"data\":\"");
    for (size_t i = 0; i < size; i++) {
        weir_buf_put_byte(&body, (uint8_t)('A' + i % 26));
    }
    weir_buf_printf(&body, "%s\"},{\"data\":\"Zm9vCg==\"}]}", what);
    assert_false(body.failed);
    enum weir_status status = check(weir_buf_view(&body));
    weir_buf_done(&body);
    return status;
}

/* Around the ends of the pieces that are summed at a time. */
static void test_records_of_some_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {8192, 3 * 8192};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        for (size_t size = pieces[i] - 70; size < pieces[i] + 70; size++) {
            enum weir_status expected = size % 4 == 0 ? WEIR_EEND : WEIR_EMALFORMED;
            assert_int_equal(check_long(size, ""), expected);
            assert_int_equal(check_long(size, "Qg=="), expected);
            assert_int_equal(check_long(size, "\\/AAA"), expected);
            assert_int_equal(check_long(size, "*"), WEIR_EMALFORMED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_over),
        cmocka_unit_test(test_records_of_some_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
