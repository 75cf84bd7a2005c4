/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/pbw.h"
#include "weir/response.h"
#include "weir/utf8.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct weir_response read_status(int status, struct weir_bytes body)
{
    struct weir_transport_reply reply = {
        .failure = WEIR_TRANSPORT_ANSWERED, .status = status, .body = body, .retry_after_ns = -1};
    return weir_response_read(&reply, 10, NULL);
}

/* ExportMetricsServiceResponse with a partial success, written by our own writer. */
static struct weir_bytes partial(struct weir_buf *buf, uint64_t rejected, struct weir_bytes message)
{
    size_t size = 1 + weir_pbw_varint_size(rejected) + weir_pbw_bytes_size(2, message.size);
    weir_pbw_begin(buf, 1, size);
    weir_pbw_uint(buf, 1, rejected);
    weir_pbw_bytes(buf, 2, message);
    assert_false(buf->failed);
    return weir_buf_view(buf);
}

static void each_status_has_its_meaning(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum weir_outcome outcome;
        const char *reason;
    } rows[] = {
        {200, WEIR_OUTCOME_DELIVERED, ""},       {202, WEIR_OUTCOME_DELIVERED, ""},
        {204, WEIR_OUTCOME_DELIVERED, ""},       {299, WEIR_OUTCOME_DELIVERED, ""},
        {301, WEIR_OUTCOME_BLOCKED, "redirect"}, {308, WEIR_OUTCOME_BLOCKED, "redirect"},
        {400, WEIR_OUTCOME_REFUSED, "400"},      {401, WEIR_OUTCOME_BLOCKED, "401"},
        {402, WEIR_OUTCOME_REFUSED, "4xx"},      {403, WEIR_OUTCOME_BLOCKED, "403"},
        {404, WEIR_OUTCOME_BLOCKED, "404"},      {405, WEIR_OUTCOME_BLOCKED, "405"},
        {407, WEIR_OUTCOME_BLOCKED, "407"},      {408, WEIR_OUTCOME_REFUSED, "408"},
        {413, WEIR_OUTCOME_TOO_LARGE, "413"},    {415, WEIR_OUTCOME_REFUSED, "415"},
        {429, WEIR_OUTCOME_RETRYABLE, "429"},    {500, WEIR_OUTCOME_REFUSED, "500"},
        {502, WEIR_OUTCOME_RETRYABLE, "502"},    {503, WEIR_OUTCOME_RETRYABLE, "503"},
        {504, WEIR_OUTCOME_RETRYABLE, "504"},    {505, WEIR_OUTCOME_REFUSED, "5xx"},
        {600, WEIR_OUTCOME_REFUSED, "status"},   {0, WEIR_OUTCOME_REFUSED, "status"},
        {199, WEIR_OUTCOME_REFUSED, "status"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_response response = read_status(rows[i].status, (struct weir_bytes){NULL, 0});
        assert_int_equal(response.outcome, rows[i].outcome);
        assert_string_equal(response.reason, rows[i].reason);
        assert_string_equal(response.message, "");
        assert_false(response.answer_lost);
    }
}

static void statuses_can_be_made_retryable(void **state)
{
    (void)state;
    static const int also_on[] = {500, 404, 200, 0};
    struct weir_transport_reply reply = {.failure = WEIR_TRANSPORT_ANSWERED, .status = 500};
    assert_int_equal(weir_response_read(&reply, 1, also_on).outcome, WEIR_OUTCOME_RETRYABLE);
    reply.status = 404;
    assert_int_equal(weir_response_read(&reply, 1, also_on).outcome, WEIR_OUTCOME_RETRYABLE);
    reply.status = 400;
    assert_int_equal(weir_response_read(&reply, 1, also_on).outcome, WEIR_OUTCOME_REFUSED);
    reply.status = 200; /* a success stays one, whatever the list says */
    assert_int_equal(weir_response_read(&reply, 1, also_on).outcome, WEIR_OUTCOME_DELIVERED);
}

static void what_was_not_answered_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        enum weir_transport_failure failure;
        enum weir_outcome outcome;
        const char *reason;
        bool answer_lost;
    } rows[] = {
        {WEIR_TRANSPORT_UNREACHED, WEIR_OUTCOME_RETRYABLE, "connect", false},
        {WEIR_TRANSPORT_LOST, WEIR_OUTCOME_RETRYABLE, "lost", true},
        {WEIR_TRANSPORT_TIMEOUT, WEIR_OUTCOME_RETRYABLE, "timeout", true},
        {WEIR_TRANSPORT_UNTRUSTED, WEIR_OUTCOME_BLOCKED, "tls", false},
        {WEIR_TRANSPORT_REFUSED, WEIR_OUTCOME_BLOCKED, "url", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_transport_reply reply = {.failure = rows[i].failure, .message = "words"};
        struct weir_response response = weir_response_read(&reply, 1, NULL);
        assert_int_equal(response.outcome, rows[i].outcome);
        assert_string_equal(response.reason, rows[i].reason);
        assert_int_equal(response.answer_lost, rows[i].answer_lost);
        assert_string_equal(response.message, "words");
    }
}

static void a_message_cut_by_the_transport_does_not_hide_the_number(void **state)
{
    (void)state;
    static uint8_t memory[2 * WEIR_TRANSPORT_BODY_MAX];
    static uint8_t words[WEIR_TRANSPORT_BODY_MAX + 1];
    memset(words, 'w', sizeof(words));
    struct weir_buf buf = weir_buf_fixed(memory, sizeof(memory));
    struct weir_bytes message = weir_bytes_of(words, sizeof(words));
    struct weir_bytes whole = partial(&buf, 3, message);
    struct weir_response response =
        read_status(200, weir_bytes_of(whole.data, WEIR_TRANSPORT_BODY_MAX));
    assert_int_equal(response.outcome, WEIR_OUTCOME_PARTIAL);
    assert_int_equal(response.rejected, 3);
    assert_int_equal(response.message[0], 'w');

    buf.size = 0;
    whole = partial(&buf, 10, message);
    response = read_status(200, weir_bytes_of(whole.data, WEIR_TRANSPORT_BODY_MAX));
    assert_int_equal(response.outcome, WEIR_OUTCOME_REFUSED);

    /* text of that size is no partial success */
    response = read_status(200, weir_bytes_of(words, WEIR_TRANSPORT_BODY_MAX));
    assert_int_equal(response.outcome, WEIR_OUTCOME_DELIVERED);
    assert_string_equal(response.message, "");
}

static void partial_success_is_counted_and_final(void **state)
{
    (void)state;
    uint8_t memory[128];
    struct weir_buf buf = weir_buf_fixed(memory, sizeof(memory));
    struct weir_response response = read_status(200, partial(&buf, 3, WEIR_BYTES("too old")));
    assert_int_equal(response.outcome, WEIR_OUTCOME_PARTIAL);
    assert_int_equal(response.rejected, 3);
    assert_string_equal(response.message, "too old");

    buf.size = 0;
    response = read_status(200, partial(&buf, 0, WEIR_BYTES("only a warning")));
    assert_int_equal(response.outcome, WEIR_OUTCOME_DELIVERED);
    assert_string_equal(response.message, "only a warning");

    buf.size = 0; /* -1: nonsense is no rejection */
    response = read_status(200, partial(&buf, UINT64_MAX, WEIR_BYTES("")));
    assert_int_equal(response.outcome, WEIR_OUTCOME_DELIVERED);
}

static void rejecting_all_points_is_a_refusal(void **state)
{
    (void)state;
    uint8_t memory[128];
    for (uint64_t rejected = 9; rejected <= 11; rejected++) {
        struct weir_buf buf = weir_buf_fixed(memory, sizeof(memory));
        struct weir_response response = read_status(200, partial(&buf, rejected, WEIR_BYTES("no")));
        assert_int_equal(response.outcome,
                         rejected < 10 ? WEIR_OUTCOME_PARTIAL : WEIR_OUTCOME_REFUSED);
        assert_string_equal(response.reason, rejected < 10 ? "partial" : "all_rejected");
        assert_string_equal(response.message, "no");
    }
}

static void a_long_message_is_cut_and_changes_nothing(void **state)
{
    (void)state;
    static uint8_t text[40000];
    static uint8_t memory[41000];
    memset(text, 'x', sizeof(text));
    struct weir_buf buf = weir_buf_fixed(memory, sizeof(memory));
    struct weir_response response =
        read_status(200, partial(&buf, 2, weir_bytes_of(text, sizeof(text))));
    assert_int_equal(response.outcome, WEIR_OUTCOME_PARTIAL);
    assert_int_equal(response.rejected, 2);
    assert_int_equal(strlen(response.message), WEIR_RESPONSE_MESSAGE_MAX - 1);
}

/* The first bytes of one that is 123 bytes long are "\n{", as JSON may begin. */
static void a_partial_success_of_any_length_is_read(void **state)
{
    (void)state;
    static const char words[] = "{\"partialSuccess\":{}} and so on, with a brace after it: {";
    uint8_t text[300];
    uint8_t memory[400];
    for (size_t size = 0; size < sizeof(text); size++) {
        text[size] = (uint8_t)words[size % (sizeof(words) - 1)];
        struct weir_buf buf = weir_buf_fixed(memory, sizeof(memory));
        struct weir_response response =
            read_status(200, partial(&buf, 3, weir_bytes_of(text, size)));
        assert_int_equal(response.outcome, WEIR_OUTCOME_PARTIAL);
        assert_int_equal(response.rejected, 3);
    }
}

static void garbage_never_makes_a_success_a_failure(void **state)
{
    (void)state;
    static const struct weir_bytes bodies[] = {
        WEIR_BYTES_INIT("{\"partialSuccess\":{}}"),
        WEIR_BYTES_INIT("<html>"),
        WEIR_BYTES_INIT("\x0a"),
        WEIR_BYTES_INIT("\x0a\xff\xff\xff\xff\x0f"),
        WEIR_BYTES_INIT("\x0a\x02\x08"),
        WEIR_BYTES_INIT("\xff\xff\xff\xff\xff\xff"),
        WEIR_BYTES_INIT("\x08\x01"),
        WEIR_BYTES_INIT("\x0a\x00"),
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct weir_response response = read_status(200, bodies[i]);
        assert_int_equal(response.outcome, WEIR_OUTCOME_DELIVERED);
        assert_int_equal(response.rejected, 0);
    }
}

static void a_failure_brings_the_backends_words(void **state)
{
    (void)state;
    /* google.rpc.Status: code 3, message, one detail */
    struct weir_response response = read_status(400, WEIR_BYTES("\x08\x03\x12\x09"
                                                                "bad label\x1a\x02\x0a\x00"));
    assert_string_equal(response.message, "bad label");
    response = read_status(400, WEIR_BYTES("out of order sample\n"));
    assert_string_equal(response.message, "out of order sample ");
    response = read_status(503, WEIR_BYTES("\x00\x01\x02"));
    assert_string_equal(response.message, "");
}

static void messages_are_always_safe_text(void **state)
{
    (void)state;
    struct weir_response response = read_status(400, WEIR_BYTES("a\xff"
                                                                "b\xc3\xa9\xc2\x85\x7f\xe2\x82"));
    assert_string_equal(response.message, "a?b\xc3\xa9  ??");

    uint8_t text[400]; /* a three-byte character across the cut */
    memset(text, 'x', sizeof(text));
    memcpy(text + 253, "\xe2\x82\xac", 3);
    response = read_status(400, weir_bytes_of(text, sizeof(text)));
    assert_int_equal(strlen(response.message), 253);
    assert_true(weir_utf8_valid(weir_bytes_str(response.message)));
}

static void outcomes_have_names(void **state)
{
    (void)state;
    assert_string_equal(weir_outcome_text(WEIR_OUTCOME_DELIVERED), "delivered");
    assert_string_equal(weir_outcome_text(WEIR_OUTCOME_REFUSED), "refused");
}

static void answers_in_json_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum weir_outcome outcome;
        uint32_t rejected;
        const char *message;
    } rows[] = {
        {"{}", WEIR_OUTCOME_DELIVERED, 0, ""},
        {"{\"partialSuccess\":{}}", WEIR_OUTCOME_DELIVERED, 0, ""},
        {"{\"partialSuccess\":null}", WEIR_OUTCOME_DELIVERED, 0, ""},
        {" {\"partialSuccess\":{\"rejectedDataPoints\":\"3\",\"errorMessage\":\"a\\nb\"}}",
         WEIR_OUTCOME_PARTIAL, 3, "a b"},
        {"{\"partialSuccess\":{\"errorMessage\":\"w\",\"rejectedDataPoints\":3}}",
         WEIR_OUTCOME_PARTIAL, 3, "w"},
        {"{\"x\":[1,{}],\"partial_success\":{\"rejected_data_points\":4,\"y\":[]}}",
         WEIR_OUTCOME_PARTIAL, 4, ""},
        {"{\"partialSuccess\":{\"errorMessage\":\"a warning\"}}", WEIR_OUTCOME_DELIVERED, 0,
         "a warning"},
        {"{\"partialSuccess\":{\"rejectedDataPoints\":\"10\"}}", WEIR_OUTCOME_REFUSED, 0, ""},
        {"{\"partialSuccess\":{\"rejectedDataPoints\":\"3\",\"errorMessage\":\"cut",
         WEIR_OUTCOME_PARTIAL, 3, ""},
        {"{\"partialSuccess\":{\"rejectedDataPoints\":\"-3\"}}", WEIR_OUTCOME_DELIVERED, 0, ""},
        {"{\"partialSuccess\":{\"rejectedDataPoints\":\"3x\"}}", WEIR_OUTCOME_DELIVERED, 0, ""},
        {"{\"partialSuccess\":{\"rejectedDataPoints\":\"99999999999999999999\"}}",
         WEIR_OUTCOME_DELIVERED, 0, ""},
        {"{\"partialSuccess\":[3]}", WEIR_OUTCOME_DELIVERED, 0, ""},
        {"{", WEIR_OUTCOME_DELIVERED, 0, ""},
        {"[{\"partialSuccess\":{\"rejectedDataPoints\":3}}]", WEIR_OUTCOME_DELIVERED, 0, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_response response = read_status(200, weir_bytes_str(rows[i].body));
        assert_int_equal(response.outcome, rows[i].outcome);
        assert_int_equal(response.rejected, rows[i].rejected);
        assert_string_equal(response.message, rows[i].message);
    }
    static const char *const failures[][2] = {
        {"{\"code\":3,\"message\":\"no \\\"x\\\"\",\"details\":[]}", "no \"x\""},
        {"{\"code\":3}", "{\"code\":3}"},
        {"{\"message\":7}", "{\"message\":7}"},
        {"{oops", "{oops"},
    };
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct weir_response response = read_status(400, weir_bytes_str(failures[i][0]));
        assert_int_equal(response.outcome, WEIR_OUTCOME_REFUSED);
        assert_string_equal(response.message, failures[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_in_json_are_read),
        cmocka_unit_test(each_status_has_its_meaning),
        cmocka_unit_test(statuses_can_be_made_retryable),
        cmocka_unit_test(what_was_not_answered_is_told_apart),
        cmocka_unit_test(a_message_cut_by_the_transport_does_not_hide_the_number),
        cmocka_unit_test(partial_success_is_counted_and_final),
        cmocka_unit_test(rejecting_all_points_is_a_refusal),
        cmocka_unit_test(a_long_message_is_cut_and_changes_nothing),
        cmocka_unit_test(a_partial_success_of_any_length_is_read),
        cmocka_unit_test(garbage_never_makes_a_success_a_failure),
        cmocka_unit_test(a_failure_brings_the_backends_words),
        cmocka_unit_test(messages_are_always_safe_text),
        cmocka_unit_test(outcomes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
