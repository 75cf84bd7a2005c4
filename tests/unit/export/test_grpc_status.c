/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/base64.h"
#include "weir/buf.h"
#include "weir/clock.h"
#include "weir/grpc_status.h"
#include "weir/pbw.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RETRY_INFO WEIR_BYTES("type.googleapis.com/google.rpc.RetryInfo")

enum { POINTS = 10 };

static struct weir_transport_reply answer(int code)
{
    return (struct weir_transport_reply){.failure = WEIR_TRANSPORT_ANSWERED,
                                         .status = 200,
                                         .is_grpc = true,
                                         .has_grpc_status = true,
                                         .grpc_status = code,
                                         .retry_after_ns = -1};
}

/* google.rpc.Status with a RetryInfo, in base64 with or without its padding. */
static struct weir_bytes details(struct weir_bytes type, int64_t seconds, int64_t nanos,
                                 bool is_padded)
{
    static uint8_t text[512];
    uint8_t memory[4][256];
    struct weir_buf duration = weir_buf_fixed(memory[0], sizeof(memory[0]));
    struct weir_buf info = weir_buf_fixed(memory[1], sizeof(memory[1]));
    struct weir_buf any = weir_buf_fixed(memory[2], sizeof(memory[2]));
    struct weir_buf status = weir_buf_fixed(memory[3], sizeof(memory[3]));
    weir_pbw_uint(&duration, 1, (uint64_t)seconds);
    weir_pbw_uint(&duration, 2, (uint64_t)nanos);
    weir_pbw_bytes(&info, 1, weir_buf_view(&duration));
    weir_pbw_bytes(&any, 2, weir_buf_view(&info)); /* the value before its type */
    weir_pbw_bytes(&any, 1, type);
    weir_pbw_uint(&status, 1, 8);
    weir_pbw_bytes(&status, 2, WEIR_BYTES("words inside"));
    weir_pbw_bytes(&status, 3, weir_buf_view(&any));
    assert_false(status.failed);
    weir_base64_encode(weir_buf_view(&status), text);
    size_t size = weir_base64_encoded_size(status.size);
    while (!is_padded && size > 0 && text[size - 1] == '=') {
        size--;
    }
    return weir_bytes_of(text, size);
}

static void each_code_has_its_meaning(void **state)
{
    (void)state;
    static const struct {
        enum weir_outcome outcome;
        const char *reason;
    } rows[] = {
        {WEIR_OUTCOME_DELIVERED, ""},
        {WEIR_OUTCOME_RETRYABLE, "cancelled"},
        {WEIR_OUTCOME_REFUSED, "unknown"},
        {WEIR_OUTCOME_REFUSED, "invalid_argument"},
        {WEIR_OUTCOME_RETRYABLE, "deadline_exceeded"},
        {WEIR_OUTCOME_BLOCKED, "not_found"},
        {WEIR_OUTCOME_REFUSED, "already_exists"},
        {WEIR_OUTCOME_BLOCKED, "permission_denied"},
        {WEIR_OUTCOME_REFUSED, "resource_exhausted"},
        {WEIR_OUTCOME_REFUSED, "failed_precondition"},
        {WEIR_OUTCOME_RETRYABLE, "aborted"},
        {WEIR_OUTCOME_RETRYABLE, "out_of_range"},
        {WEIR_OUTCOME_BLOCKED, "unimplemented"},
        {WEIR_OUTCOME_REFUSED, "internal"},
        {WEIR_OUTCOME_RETRYABLE, "unavailable"},
        {WEIR_OUTCOME_RETRYABLE, "data_loss"},
        {WEIR_OUTCOME_BLOCKED, "unauthenticated"},
        {WEIR_OUTCOME_REFUSED, "grpc_status"},
    };
    for (int code = 0; code < 18; code++) {
        struct weir_transport_reply reply = answer(code);
        struct weir_response response = weir_grpc_status_read(&reply, POINTS, NULL);
        assert_int_equal(response.outcome, rows[code].outcome);
        assert_string_equal(response.reason, rows[code].reason);
        assert_int_equal(response.retry_after_ns, 0);
        assert_int_equal(response.answer_lost, code == 1 || code == 4);
    }
}

static void resource_exhausted_is_retried_by_its_retry_info_only(void **state)
{
    (void)state;
    struct weir_transport_reply reply = answer(8);
    for (int is_padded = 0; is_padded < 2; is_padded++) {
        reply.grpc_details = details(RETRY_INFO, 3, 500000000, is_padded != 0);
        struct weir_response response = weir_grpc_status_read(&reply, POINTS, NULL);
        assert_int_equal(response.outcome, WEIR_OUTCOME_RETRYABLE);
        assert_string_equal(response.reason, "resource_exhausted");
        assert_int_equal(response.retry_after_ns, 3 * WEIR_NS_PER_S + WEIR_NS_PER_S / 2);
        assert_string_equal(response.message, "words inside");
    }
    reply.grpc_details =
        details(WEIR_BYTES("type.googleapis.com/google.rpc.DebugInfo"), 3, 0, true);
    assert_int_equal(weir_grpc_status_read(&reply, POINTS, NULL).outcome, WEIR_OUTCOME_REFUSED);
    static const int also_on[] = {404, 8, 0};
    assert_int_equal(weir_grpc_status_read(&reply, POINTS, also_on).outcome,
                     WEIR_OUTCOME_RETRYABLE);
}

static void delays_that_make_no_sense_are_bounded(void **state)
{
    (void)state;
    struct weir_transport_reply reply = answer(14);
    reply.grpc_details = details(RETRY_INFO, -5, 0, true);
    assert_int_equal(weir_grpc_status_read(&reply, POINTS, NULL).retry_after_ns, 0);
    reply.grpc_details = details(RETRY_INFO, INT64_MAX, 999999999, true);
    assert_int_equal(weir_grpc_status_read(&reply, POINTS, NULL).retry_after_ns,
                     24 * 3600 * WEIR_NS_PER_S);
    reply.grpc_status = 3; /* what is not retried waits for nothing */
    assert_int_equal(weir_grpc_status_read(&reply, POINTS, NULL).retry_after_ns, 0);
}

static void broken_details_change_nothing(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "!!!!", "CA", "AAAA", "CAgSBGFiY2Q=,CAgSBGFiY2Q=", "=", "A"};
    struct weir_transport_reply reply = answer(8);
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        reply.grpc_details = weir_bytes_str(broken[i]);
        assert_int_equal(weir_grpc_status_read(&reply, POINTS, NULL).outcome, WEIR_OUTCOME_REFUSED);
    }
    struct weir_bytes whole = details(RETRY_INFO, 3, 0, true);
    for (size_t size = 0; size < whole.size - 4; size++) {
        reply.grpc_details = weir_bytes_of(whole.data, size);
        struct weir_response response = weir_grpc_status_read(&reply, POINTS, NULL);
        assert_true(response.outcome == WEIR_OUTCOME_REFUSED ||
                    response.retry_after_ns == 3 * WEIR_NS_PER_S);
    }
}

static void a_message_that_is_too_large_is_known_by_its_words(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *message;
        enum weir_outcome outcome;
    } rows[] = {
        {8, "Received message larger than max (5000000 vs. 4194304)", WEIR_OUTCOME_TOO_LARGE},
        {8, "grpc: received message after decompression larger than max 4194304",
         WEIR_OUTCOME_TOO_LARGE},
        {8, "gRPC message exceeds maximum size 4194304: 5000000", WEIR_OUTCOME_TOO_LARGE},
        {8, "Received message exceeds the maximum configured message size.",
         WEIR_OUTCOME_TOO_LARGE},
        {11, "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes",
         WEIR_OUTCOME_TOO_LARGE},
        {8, "quota exceeded", WEIR_OUTCOME_REFUSED},
        {11, "seek past the end", WEIR_OUTCOME_RETRYABLE},
        {3, "larger than max", WEIR_OUTCOME_REFUSED},
        {14, "larger than max", WEIR_OUTCOME_RETRYABLE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_transport_reply reply = answer(rows[i].code);
        reply.grpc_message = weir_bytes_str(rows[i].message);
        struct weir_response response = weir_grpc_status_read(&reply, POINTS, NULL);
        assert_int_equal(response.outcome, rows[i].outcome);
        assert_string_equal(response.message, rows[i].message);
        reply.grpc_details = details(RETRY_INFO, 1, 0, true);
        assert_int_not_equal(weir_grpc_status_read(&reply, POINTS, NULL).outcome,
                             WEIR_OUTCOME_TOO_LARGE);
    }
}

static void messages_are_percent_decoded(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"caf%C3%A9 %25", "caf\xC3\xA9 %"},
        {"%", "%"},
        {"%4", "%4"},
        {"%zz", "%zz"},
        {"a%0Ab%00c", "a b c"},
        {"%ff%41", "?A"},
        {"", ""},
        {"%e2%82", "??"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_transport_reply reply = answer(13);
        reply.grpc_message = weir_bytes_str(rows[i][0]);
        assert_string_equal(weir_grpc_status_read(&reply, POINTS, NULL).message, rows[i][1]);
    }
}

static void without_a_status_it_is_lost_or_nobody_of_ours(void **state)
{
    (void)state;
    struct weir_transport_reply reply = answer(0);
    reply.has_grpc_status = false;
    struct weir_response response = weir_grpc_status_read(&reply, POINTS, NULL);
    assert_int_equal(response.outcome, WEIR_OUTCOME_RETRYABLE);
    assert_true(response.answer_lost);
    reply.is_grpc = false;
    response = weir_grpc_status_read(&reply, POINTS, NULL);
    assert_int_equal(response.outcome, WEIR_OUTCOME_BLOCKED);
    assert_string_equal(response.reason, "not_grpc");
    static const int statuses[] = {204, 400, 401, 404, 413, 503};
    static const enum weir_outcome outcomes[] = {WEIR_OUTCOME_REFUSED,   WEIR_OUTCOME_REFUSED,
                                                 WEIR_OUTCOME_BLOCKED,   WEIR_OUTCOME_BLOCKED,
                                                 WEIR_OUTCOME_TOO_LARGE, WEIR_OUTCOME_RETRYABLE};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        reply.status = statuses[i];
        assert_int_equal(weir_grpc_status_read(&reply, POINTS, NULL).outcome, outcomes[i]);
    }
    reply.failure = WEIR_TRANSPORT_UNREACHED;
    reply.message = "words";
    assert_string_equal(weir_grpc_status_read(&reply, POINTS, NULL).reason, "connect");
}

static void the_message_of_a_success_is_read(void **state)
{
    (void)state;
    static const uint8_t some[] = {0, 0, 0, 0, 8, 0x0A, 6, 8, 3, 0x12, 2, 'h', 'i', 0xFF};
    static const uint8_t all[] = {0, 0, 0, 0, 4, 0x0A, 2, 8, POINTS};
    struct weir_transport_reply reply = answer(0);
    reply.body = weir_bytes_of(some, sizeof(some));
    struct weir_response response = weir_grpc_status_read(&reply, POINTS, NULL);
    assert_int_equal(response.outcome, WEIR_OUTCOME_PARTIAL);
    assert_int_equal(response.rejected, 3);
    assert_string_equal(response.message, "hi");
    for (size_t size = 0; size < 13; size++) { /* a cut message is a success all the same */
        reply.body = weir_bytes_of(some, size);
        assert_int_equal(weir_grpc_status_read(&reply, POINTS, NULL).outcome,
                         WEIR_OUTCOME_DELIVERED);
    }
    uint8_t compressed[sizeof(some)];
    memcpy(compressed, some, sizeof(some));
    compressed[0] = 1;
    reply.body = weir_bytes_of(compressed, sizeof(compressed));
    assert_int_equal(weir_grpc_status_read(&reply, POINTS, NULL).outcome, WEIR_OUTCOME_DELIVERED);
    reply.body = weir_bytes_of(all, sizeof(all));
    response = weir_grpc_status_read(&reply, POINTS, NULL);
    assert_int_equal(response.outcome, WEIR_OUTCOME_REFUSED);
    assert_string_equal(response.reason, "all_rejected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_has_its_meaning),
        cmocka_unit_test(resource_exhausted_is_retried_by_its_retry_info_only),
        cmocka_unit_test(delays_that_make_no_sense_are_bounded),
        cmocka_unit_test(broken_details_change_nothing),
        cmocka_unit_test(a_message_that_is_too_large_is_known_by_its_words),
        cmocka_unit_test(messages_are_percent_decoded),
        cmocka_unit_test(without_a_status_it_is_lost_or_nobody_of_ours),
        cmocka_unit_test(the_message_of_a_success_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
