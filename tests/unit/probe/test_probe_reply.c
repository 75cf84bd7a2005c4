/* SPDX-License-Identifier: Apache-2.0 */
/* An answer by Firehose's rules: each broken rule by itself. */
#include "../../../src/probe/probe_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1767225600000)
#define GOOD   "{\"requestId\":\"id-1\",\"timestamp\":1767225600123}"

static char words[600];

/* A good answer with this body. */
static struct weir_probe_answer answer_of(const char *body, uint8_t *memory)
{
    size_t size = strlen(body);
    memcpy(memory, body, size);
    struct weir_probe_answer answer = {
        .status = 200, .body = memory, .body_size = size, .body_total = size, .has_length = true};
    (void)snprintf(answer.content_type, sizeof answer.content_type, "application/json");
    return answer;
}

static enum weir_probe_level judge(struct weir_probe_answer *answer)
{
    struct weir_probe_reply reply;
    struct weir_buf why = weir_buf_fixed(words, sizeof words - 1);
    weir_probe_reply_read(answer, "id-1", &reply);
    enum weir_probe_level level = weir_probe_reply_judge(answer, &reply, NOW_MS, &why);
    words[why.size] = 0;
    return level;
}

static enum weir_probe_level judge_body(const char *body)
{
    uint8_t memory[1024];
    struct weir_probe_answer answer = answer_of(body, memory);
    return judge(&answer);
}

static void test_good(void **state)
{
    (void)state;
    assert_int_equal(judge_body(GOOD), WEIR_PROBE_OK);
    assert_string_equal(words, "");
    assert_int_equal(judge_body(" {\"timestamp\" : 1.7672256e12 , \"requestId\":\"id\\u002d1\"}\n"),
                     WEIR_PROBE_OK);
    assert_int_equal(judge_body("{\"requestId\":\"id-1\",\"timestamp\":1767225600123,"
                                "\"errorMessage\":\"\"}"),
                     WEIR_PROBE_OK);
}

static void test_bodies_that_fail(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *says;
    } cases[] = {
        {"", "empty"},
        {"OK", "no JSON object: OK"},
        {"[]", "no JSON object"},
        {"{\"requestId\":\"id-1\",\"timestamp\":1767225600123", "not the JSON"},
        {GOOD "x", "not the JSON"},
        {"{\"timestamp\":1767225600123}", "no requestId"},
        {"{\"requestId\":7,\"timestamp\":1767225600123}", "no requestId"},
        {"{\"requestId\":null,\"timestamp\":1767225600123}", "no requestId"},
        {"{\"requestId\":\"id-2\",\"timestamp\":1767225600123}", "not the request's"},
        {"{\"requestId\":\"id-1\"}", "no timestamp"},
        {"{\"requestId\":\"id-1\",\"timestamp\":1767225600123.5}", "no timestamp"},
        {"{\"requestId\":\"id-1\",\"timestamp\":\"1767225600123\"}", "is a text"},
        {"{\"requestId\":\"id-1\",\"timestamp\":1767225600123,\"ok\":true}", "the field ok"},
        {"\x1b[31m\x9b", "\\x1b[31m\\x9b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(judge_body(cases[i].body), WEIR_PROBE_FAIL);
        assert_non_null(strstr(words, cases[i].says));
    }
}

static void test_clocks(void **state)
{
    (void)state;
    assert_int_equal(judge_body("{\"requestId\":\"id-1\",\"timestamp\":1767225600}"),
                     WEIR_PROBE_WARN);
    assert_non_null(strstr(words, "seconds"));
    assert_int_equal(judge_body("{\"requestId\":\"id-1\",\"timestamp\":1767229200000}"),
                     WEIR_PROBE_WARN);
    assert_non_null(strstr(words, "clock"));
    assert_int_equal(judge_body("{\"requestId\":\"id-1\",\"timestamp\":1767225300000}"),
                     WEIR_PROBE_OK); /* just within five minutes */
    assert_int_equal(judge_body("{\"requestId\":\"id-1\",\"timestamp\":1767225299999}"),
                     WEIR_PROBE_WARN);
}

static void test_headers(void **state)
{
    (void)state;
    uint8_t memory[256];
    struct weir_probe_answer answer = answer_of(GOOD, memory);
    static const struct {
        const char *type;
        enum weir_probe_level level;
    } types[] = {{"", WEIR_PROBE_FAIL},
                 {"text/html", WEIR_PROBE_FAIL},
                 {"application/jsonp", WEIR_PROBE_FAIL},
                 {"application/jso", WEIR_PROBE_FAIL},
                 {"application/json; charset=utf-8", WEIR_PROBE_WARN},
                 {"Application/JSON", WEIR_PROBE_OK}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        answer = answer_of(GOOD, memory);
        (void)snprintf(answer.content_type, sizeof answer.content_type, "%s", types[i].type);
        assert_int_equal(judge(&answer), types[i].level);
    }
    answer = answer_of(GOOD, memory);
    answer.has_length = false;
    assert_int_equal(judge(&answer), WEIR_PROBE_FAIL);
    assert_non_null(strstr(words, "Content-Length"));
    answer = answer_of(GOOD, memory);
    answer.is_chunked = true;
    assert_int_equal(judge(&answer), WEIR_PROBE_FAIL);
    assert_non_null(strstr(words, "chunked"));
    answer = answer_of(GOOD, memory);
    answer.is_coded = true;
    assert_int_equal(judge(&answer), WEIR_PROBE_FAIL);
    assert_non_null(strstr(words, "Content-Encoding"));
}

static void test_sizes(void **state)
{
    (void)state;
    uint8_t memory[256];
    struct weir_probe_answer answer = answer_of(GOOD, memory);
    answer.body_total = WEIR_PROBE_ANSWER_KEPT + 1;
    assert_int_equal(judge(&answer), WEIR_PROBE_FAIL);
    assert_non_null(strstr(words, "too long"));
    answer = answer_of(GOOD, memory);
    answer.is_cut = true;
    assert_int_equal(judge(&answer), WEIR_PROBE_FAIL);
    assert_non_null(strstr(words, "1 MiB"));
}

static void test_what_is_shown(void **state)
{
    (void)state;
    char out[64];
    struct weir_buf buf = weir_buf_fixed(out, sizeof out - 1);
    weir_probe_show(&buf, weir_bytes_of("a\0\r\n\x7f\xff~ b", 9), 8);
    out[buf.size] = 0;
    assert_string_equal(out, "a\\x00\\x0d\\x0a\\x7f\\xff~ ...");
}

/* A body of nothing but escapes does not outgrow what holds it. */
static void test_hostile_message(void **state)
{
    (void)state;
    static uint8_t memory[WEIR_PROBE_ANSWER_KEPT];
    struct weir_probe_reply reply;
    memset(memory, 0x1b, sizeof memory);
    struct weir_probe_answer answer = {
        .status = 500, .body = memory, .body_size = sizeof memory, .body_total = sizeof memory};
    weir_probe_reply_read(&answer, "id-1", &reply);
    assert_non_null(reply.wrong);
    assert_true(strlen(reply.message) < sizeof reply.message);
    for (const char *at = reply.message; *at != 0; at++) {
        assert_true(*at >= 0x20 && *at < 0x7f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bodies_that_fail),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_what_is_shown),
        cmocka_unit_test(test_hostile_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
