/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/ingest/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define HOST "Host: h\r\n"
#define ID   "X-Amz-Firehose-Request-Id: id-1\r\n"
#define ARN                                                                                        \
    "X-Amz-Firehose-Source-Arn: arn:aws:firehose:us-east-1:123456789012:deliverystream/s\r\n"
#define KEY    "X-Amz-Firehose-Access-Key: secret\r\n"
#define LENGTH "Content-Length: 10\r\n"

struct row {
    const char *head;
    int code; /* 0: wanted; 1: health */
    const char *reason;
};

static struct weir_keys *keys;

static struct weir_session_context context_of(void)
{
    return (struct weir_session_context){.path = "/in", .limits = weir_session_limits_default()};
}

static const struct weir_keys *held; /* what judge judges by */

static struct weir_judgement judge(const struct weir_session_context *context, const char *text)
{
    struct weir_http_head head;
    const char *why = NULL;
    assert_int_equal(weir_http_head_parse(weir_bytes_str(text), &head, &why), WEIR_OK);
    struct weir_judgement judgement;
    weir_judge_head(context, held, &head, 1000, &judgement);
    return judgement;
}

static void check(const struct weir_session_context *context, const struct row *row)
{
    struct weir_judgement judgement = judge(context, row->head);
    assert_int_equal(judgement.health, row->code == 1);
    if (row->code != 1) {
        assert_int_equal(judgement.code, row->code);
    }
    if (row->reason != NULL) {
        assert_string_equal(judgement.reason, row->reason);
        assert_non_null(judgement.message);
    }
}

static void test_table(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"POST /in HTTP/1.1\r\n" HOST ID ARN KEY LENGTH "\r\n", 0, NULL},
        {"POST /in HTTP/1.1\r\n" HOST ID ARN KEY "Transfer-Encoding: chunked\r\n\r\n", 0, NULL},
        {"POST /in HTTP/1.1\r\n" HOST KEY LENGTH "Content-Encoding: GZIP\r\n\r\n", 0, NULL},
        {"POST /in HTTP/1.1\r\n" HOST KEY LENGTH "Content-Encoding: identity\r\n\r\n", 0, NULL},
        {"GET /healthz HTTP/1.1\r\n" HOST "\r\n", 1, NULL},
        {"POST / HTTP/1.1\r\n" HOST KEY LENGTH "\r\n", 404, "not_found"},
        {"POST /in/ HTTP/1.1\r\n" HOST KEY LENGTH "\r\n", 404, "not_found"},
        {"POST /in?a HTTP/1.1\r\n" HOST KEY LENGTH "\r\n", 404, "not_found"},
        {"POST /%69n HTTP/1.1\r\n" HOST KEY LENGTH "\r\n", 404, "not_found"},
        {"POST /healthz HTTP/1.1\r\n" HOST KEY LENGTH "\r\n", 404, "not_found"},
        {"GET /in HTTP/1.1\r\n" HOST KEY "\r\n", 405, "bad_method"},
        {"PUT /in HTTP/1.1\r\n" HOST KEY LENGTH "\r\n", 405, "bad_method"},
        {"POST /in HTTP/1.1\r\n" HOST LENGTH "\r\n", 401, "key_absent"},
        {"POST /in HTTP/1.1\r\n" HOST LENGTH "X-Amz-Firehose-Access-Key: \r\n\r\n", 401,
         "key_absent"},
        {"POST /in HTTP/1.1\r\n" HOST LENGTH "X-Amz-Firehose-Access-Key: Secret\r\n\r\n", 401,
         "key_unknown"},
        /* the key comes before everything that says something about this instance */
        {"POST /in HTTP/1.1\r\n" HOST "Content-Length: 99999999999\r\n\r\n", 401, "key_absent"},
        {"POST /in HTTP/1.1\r\n" HOST KEY "Content-Length: 99999999999\r\n\r\n", 400, "over_limit"},
        {"POST /in HTTP/1.1\r\n" HOST KEY "\r\n", 400, "no_body"},
        {"POST /in HTTP/1.1\r\n" HOST KEY LENGTH "Content-Encoding: br\r\n\r\n", 400,
         "bad_encoding"},
        {"POST /in HTTP/1.1\r\n" HOST KEY LENGTH "Content-Encoding: gzip, gzip\r\n\r\n", 400,
         "bad_encoding"},
        {"POST /in HTTP/1.1\r\n" HOST KEY LENGTH "X-Amz-Firehose-Protocol-Version: 2.0\r\n\r\n",
         400, "bad_version"},
        {"POST /in HTTP/1.1\r\n" HOST KEY LENGTH "X-Amz-Firehose-Request-Id: a b\r\n\r\n", 400,
         "bad_header"},
        {"POST /in HTTP/1.1\r\n" HOST KEY LENGTH "X-Amz-Firehose-Request-Id: a\"b\r\n\r\n", 400,
         "bad_header"},
    };
    struct weir_session_context context = context_of();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(&context, &rows[i]);
    }
}

static void test_header_values_have_their_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t most;
    } headers[] = {{"X-Amz-Firehose-Request-Id", 128}, {"X-Amz-Firehose-Source-Arn", 512}};
    static char text[2048];
    static char value[1024];
    struct weir_session_context context = context_of();
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        for (size_t over = 0; over < 2; over++) {
            memset(value, 'x', headers[i].most + over);
            value[headers[i].most + over] = '\0';
            (void)snprintf(text, sizeof text,
                           "POST /in HTTP/1.1\r\n" HOST KEY LENGTH "%s: %s\r\n\r\n",
                           headers[i].name, value);
            const struct row row = {text, over == 0 ? 0 : 400, over == 0 ? NULL : "bad_header"};
            check(&context, &row);
        }
    }
}

static void test_views_and_key_name(void **state)
{
    (void)state;
    struct weir_session_context context = context_of();
    struct weir_judgement judgement =
        judge(&context, "POST /in HTTP/1.1\r\n" HOST ID ARN KEY LENGTH
                        "Content-Encoding: gzip\r\nX-Amz-Firehose-Common-Attributes: {}\r\n\r\n");
    assert_true(weir_bytes_eq(judgement.request_id, WEIR_BYTES("id-1")));
    assert_true(weir_bytes_eq(judgement.common_attributes, WEIR_BYTES("{}")));
    assert_true(judgement.gzip);
    assert_string_equal(judgement.key_name, "prod");
}

static void test_a_known_key_is_named_when_refused_and_an_unknown_one_is_not(void **state)
{
    (void)state;
    const struct weir_key_spec spec = {
        .name = "old", .key = WEIR_BYTES_INIT("past"), .not_after_ns = 500};
    struct weir_keys *expired = NULL;
    assert_int_equal(weir_keys_new(&spec, 1, &expired), WEIR_OK);
    struct weir_session_context context = context_of();
    held = expired;
    struct weir_judgement judgement = judge(&context, "POST /in HTTP/1.1\r\n" HOST LENGTH
                                                      "X-Amz-Firehose-Access-Key: past\r\n\r\n");
    assert_int_equal(judgement.code, 401);
    assert_string_equal(judgement.key_name, "old");
    judgement = judge(&context, "POST /in HTTP/1.1\r\n" HOST LENGTH KEY "\r\n");
    assert_int_equal(judgement.code, 401);
    assert_null(judgement.key_name);
    held = keys;
    weir_keys_free(expired);
}

static void test_keyless_lets_in(void **state)
{
    (void)state;
    struct weir_session_context context = context_of();
    held = NULL;
    struct weir_judgement judgement = judge(&context, "POST /in HTTP/1.1\r\n" HOST LENGTH "\r\n");
    assert_int_equal(judgement.code, 0);
    assert_null(judgement.key_name);
    held = keys;
}

static void test_draining_is_503_but_only_for_who_may_enter(void **state)
{
    (void)state;
    struct weir_session_context context = context_of();
    context.draining = true;
    assert_int_equal(judge(&context, "POST /in HTTP/1.1\r\n" HOST KEY LENGTH "\r\n").code, 503);
    assert_int_equal(judge(&context, "POST /in HTTP/1.1\r\n" HOST LENGTH "\r\n").code, 401);
}

static void test_a_configured_query_is_part_of_the_path(void **state)
{
    (void)state;
    struct weir_session_context context = context_of();
    context.path = "/in?t=1";
    assert_int_equal(judge(&context, "POST /in?t=1 HTTP/1.1\r\n" HOST KEY LENGTH "\r\n").code, 0);
    assert_int_equal(judge(&context, "POST /in?t=2 HTTP/1.1\r\n" HOST KEY LENGTH "\r\n").code, 404);
    assert_int_equal(judge(&context, "POST /in HTTP/1.1\r\n" HOST KEY LENGTH "\r\n").code, 404);
}

static int make_keys(void **state)
{
    (void)state;
    const struct weir_key_spec spec = {.name = "prod", .key = WEIR_BYTES_INIT("secret")};
    if (weir_keys_new(&spec, 1, &keys) != WEIR_OK) {
        return -1;
    }
    held = keys;
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    weir_keys_free(keys);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_header_values_have_their_lengths),
        cmocka_unit_test(test_views_and_key_name),
        cmocka_unit_test(test_a_known_key_is_named_when_refused_and_an_unknown_one_is_not),
        cmocka_unit_test(test_keyless_lets_in),
        cmocka_unit_test(test_draining_is_503_but_only_for_who_may_enter),
        cmocka_unit_test(test_a_configured_query_is_part_of_the_path),
    };
    return cmocka_run_group_tests_name("judge", tests, make_keys, free_keys);
}
