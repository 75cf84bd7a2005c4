/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/reply.h"

#include "weir/json.h"
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint8_t out[WEIR_REPLY_SIZE_MAX + 1];

static const char *write_reply(struct weir_reply reply)
{
    size_t size = weir_reply_write(&reply, out);
    assert_true(size <= WEIR_REPLY_SIZE_MAX);
    out[size] = 0;
    return (const char *)out;
}

static void test_success_has_two_keys_and_nothing_else(void **state)
{
    (void)state;
    const char *text = write_reply((struct weir_reply){.code = 200,
                                                       .request_id = WEIR_BYTES("id-1"),
                                                       .timestamp_ms = 1700000000123,
                                                       .keep_alive = true});
    assert_string_equal(text, "HTTP/1.1 200 OK\r\n"
                              "Content-Type: application/json\r\n"
                              "Content-Length: 46\r\n"
                              "\r\n"
                              "{\"requestId\":\"id-1\",\"timestamp\":1700000000123}");
}

static void test_numbers_are_written_whole(void **state)
{
    (void)state;
    static const struct {
        int64_t timestamp_ms;
        const char *length;
        const char *end;
    } cases[] = {
        {-1, "Content-Length: 30\r\n", "\"timestamp\":0}"},
        {0, "Content-Length: 30\r\n", "\"timestamp\":0}"},
        {10, "Content-Length: 31\r\n", "\"timestamp\":10}"},
        {INT64_MAX, "Content-Length: 48\r\n", "\"timestamp\":9223372036854775807}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text =
            write_reply((struct weir_reply){.code = 200, .timestamp_ms = cases[i].timestamp_ms});
        assert_non_null(strstr(text, cases[i].length));
        assert_non_null(strstr(text, cases[i].end));
    }
}

static void test_failure_has_a_message_and_closes(void **state)
{
    (void)state;
    const char *text = write_reply((struct weir_reply){.code = 503,
                                                       .request_id = WEIR_BYTES("i"),
                                                       .timestamp_ms = 5,
                                                       .error_message = WEIR_BYTES("full")});
    assert_non_null(strstr(text, "HTTP/1.1 503 Service Unavailable\r\n"));
    assert_non_null(strstr(text, "Connection: close\r\n"));
    assert_non_null(
        strstr(text, "{\"requestId\":\"i\",\"timestamp\":5,\"errorMessage\":\"full\"}"));
}

static void test_405_names_the_method(void **state)
{
    (void)state;
    assert_non_null(strstr(write_reply((struct weir_reply){.code = 405}), "Allow: POST\r\n"));
}

/* The declared length must be that of the body, and the body JSON with the id in it, whatever the
 * id is. */
static void test_hostile_ids_cannot_break_the_answer(void **state)
{
    (void)state;
    static uint8_t hostile[4096];
    for (int fill = 0; fill < 256; fill += 15) {
        memset(hostile, fill, sizeof(hostile));
        const char *text =
            write_reply((struct weir_reply){.code = 400,
                                            .request_id = {hostile, sizeof(hostile)},
                                            .error_message = {hostile, sizeof(hostile)}});
        const char *body = strstr(text, "\r\n\r\n");
        assert_non_null(body);
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "Content-Length: %zu\r\n", strlen(body + 4));
        assert_non_null(strstr(text, expected));
        struct weir_json json;
        weir_json_init(&json, out + (body + 4 - text), strlen(body + 4), 8);
        weir_json_skip(&json);
        assert_int_equal(weir_json_finish(&json), WEIR_OK);
    }
}

static void test_health(void **state)
{
    (void)state;
    size_t size = weir_reply_health(true, true, out);
    out[size] = 0;
    assert_non_null(strstr((const char *)out, "HTTP/1.1 200 OK\r\n"));
    size = weir_reply_health(false, false, out);
    out[size] = 0;
    assert_non_null(strstr((const char *)out, "HTTP/1.1 503 "));
    assert_non_null(strstr((const char *)out, "Connection: close\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success_has_two_keys_and_nothing_else),
        cmocka_unit_test(test_numbers_are_written_whole),
        cmocka_unit_test(test_failure_has_a_message_and_closes),
        cmocka_unit_test(test_405_names_the_method),
        cmocka_unit_test(test_hostile_ids_cannot_break_the_answer),
        cmocka_unit_test(test_health),
    };
    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
