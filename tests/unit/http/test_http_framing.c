/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Body framing against a table: what the bytes are, what payload they hold, and how they end. Each
 * row is fed whole, byte by byte, and cut in two at every place: the answer must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/http_framing.h"

#define X64  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X255 X64 X64 X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

struct row {
    const char *what;
    struct weir_bytes input;
    enum weir_status expected;
    const char *payload; /* delivered before the end or the refusal */
    size_t rest;         /* bytes that belong to the next request */
};

#define ROW(what_, expected_, text_, payload_, rest_)                                              \
    {                                                                                              \
        what_, WEIR_BYTES_INIT(text_), expected_, payload_, rest_                                  \
    }

static const struct row chunked[] = {
    ROW("one chunk", WEIR_OK, "5\r\nhello\r\n0\r\n\r\n", "hello", 0),
    ROW("two chunks", WEIR_OK, "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello", 0),
    ROW("nothing", WEIR_OK, "0\r\n\r\n", "", 0),
    ROW("the next request", WEIR_OK, "1\r\nx\r\n0\r\n\r\nGET /", "x", 5),
    ROW("hex of both cases", WEIR_OK, "a\r\n0123456789\r\nB\r\n0123456789x\r\n0\r\n\r\n",
        "01234567890123456789x", 0),
    ROW("leading zeros", WEIR_OK, "0000000000000001\r\nx\r\n000\r\n\r\n", "x", 0),
    ROW("payload of line ends", WEIR_OK, "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", 0),
    ROW("extension", WEIR_OK, "1;a=b;c=\"d e\"\r\nx\r\n0;last\r\n\r\n", "x", 0),
    ROW("extension of 256 bytes", WEIR_OK, "1;" X255 "\r\nx\r\n0\r\n\r\n", "x", 0),
    ROW("extension of 257 bytes", WEIR_EMALFORMED, "1;" X255 "x\r\nx\r\n0\r\n\r\n", "", 0),
    ROW("extension with a tab", WEIR_EMALFORMED, "1;a\tb\r\nx\r\n0\r\n\r\n", "", 0),
    ROW("extension with LF", WEIR_EMALFORMED, "1;a\nx\r\n0\r\n\r\n", "", 0),
    ROW("extension with bare CR", WEIR_EMALFORMED, "1;a\rb\r\nx\r\n0\r\n\r\n", "", 0),
    ROW("extension in UTF-8", WEIR_EMALFORMED, "1;\xc3\xa9\r\nx\r\n0\r\n\r\n", "", 0),
    ROW("extension with NUL", WEIR_EMALFORMED, "1;\0\r\nx\r\n0\r\n\r\n", "", 0),
    ROW("no size", WEIR_EMALFORMED, "\r\nx\r\n", "", 0),
    ROW("only an extension", WEIR_EMALFORMED, ";a\r\nx\r\n", "", 0),
    ROW("3zz", WEIR_EMALFORMED, "3zz\r\nabc\r\n0\r\n\r\n", "", 0),
    ROW("0x3", WEIR_EMALFORMED, "0x3\r\nabc\r\n0\r\n\r\n", "", 0),
    ROW("+3", WEIR_EMALFORMED, "+3\r\nabc\r\n0\r\n\r\n", "", 0),
    ROW("-3", WEIR_EMALFORMED, "-3\r\nabc\r\n0\r\n\r\n", "", 0),
    ROW("space before the size", WEIR_EMALFORMED, " 3\r\nabc\r\n0\r\n\r\n", "", 0),
    ROW("space behind the size", WEIR_EMALFORMED, "3 \r\nabc\r\n0\r\n\r\n", "", 0),
    ROW("space before the extension", WEIR_EMALFORMED, "3 ;a\r\nabc\r\n0\r\n\r\n", "", 0),
    ROW("17 digits", WEIR_EMALFORMED, "00000000000000001\r\nx\r\n0\r\n\r\n", "", 0),
    ROW("just past g", WEIR_EMALFORMED, "g\r\nx\r\n0\r\n\r\n", "", 0),
    ROW("a byte that folds to a digit", WEIR_EMALFORMED, "\x10\r\nx\r\n0\r\n\r\n", "", 0),
    ROW("bare LF behind the size", WEIR_EMALFORMED, "1\nx\r\n0\r\n\r\n", "", 0),
    ROW("CR CR LF behind the size", WEIR_EMALFORMED, "1\r\r\nx\r\n0\r\n\r\n", "", 0),
    ROW("bare LF behind the data", WEIR_EMALFORMED, "1\r\nx\n0\r\n\r\n", "x", 0),
    ROW("CR CR LF behind the data", WEIR_EMALFORMED, "1\r\nx\r\r\n0\r\n\r\n", "x", 0),
    ROW("more data than said", WEIR_EMALFORMED, "1\r\nxy\r\n0\r\n\r\n", "x", 0),
    ROW("less data than said", WEIR_EMALFORMED, "3\r\nx\r\n0\r\n\r\n", "x\r\n", 0),
    ROW("trailer field", WEIR_EMALFORMED, "1\r\nx\r\n0\r\nA: b\r\n\r\n", "x", 0),
    ROW("bare LF at the end", WEIR_EMALFORMED, "1\r\nx\r\n0\r\n\n", "x", 0),
    ROW("CR CR at the end", WEIR_EMALFORMED, "1\r\nx\r\n0\r\n\r\r", "x", 0),
    ROW("not all there", WEIR_EAGAIN, "5\r\nhel", "hel", 0),
    ROW("last line missing", WEIR_EAGAIN, "1\r\nx\r\n0\r\n", "x", 0),
    ROW("a huge chunk begins", WEIR_EAGAIN, "ffffffffffffffff\r\nx", "x", 0),
};

static const struct row with_length[] = {
    ROW("exact", WEIR_OK, "hello", "hello", 0),
    ROW("the next request", WEIR_OK, "helloGET", "hello", 3),
    ROW("not all there", WEIR_EAGAIN, "hell", "hell", 0),
};

struct outcome {
    enum weir_status status;
    char payload[512];
    size_t payload_size;
    size_t consumed;
};

static void feed(struct weir_http_body *body, struct weir_bytes part, struct outcome *outcome)
{
    while (outcome->status == WEIR_EAGAIN && part.size > 0) {
        size_t consumed = 0;
        struct weir_bytes payload = {NULL, 0};
        const char *reason = NULL;
        outcome->status = weir_http_body_feed(body, part, &consumed, &payload, &reason);
        assert_int_equal(reason != NULL, outcome->status == WEIR_EMALFORMED);
        assert_true(outcome->status != WEIR_EAGAIN || consumed > 0);
        assert_true(consumed <= part.size);
        assert_true(outcome->payload_size + payload.size <= sizeof outcome->payload);
        if (payload.size > 0) {
            memcpy(outcome->payload + outcome->payload_size, payload.data, payload.size);
        }
        outcome->payload_size += payload.size;
        outcome->consumed += consumed;
        part = weir_bytes_from(part, consumed);
    }
}

static void check(const struct row *row, const struct weir_http_head *head, size_t cut, size_t step)
{
    struct weir_http_body body;
    struct outcome outcome = {.status = WEIR_EAGAIN};
    weir_http_body_init(&body, head);
    feed(&body, weir_bytes_of(row->input.data, cut), &outcome);
    for (size_t at = cut; at < row->input.size; at += step) {
        size_t size = row->input.size - at < step ? row->input.size - at : step;
        feed(&body, weir_bytes_of(row->input.data + at, size), &outcome);
    }
    if (outcome.status != row->expected) {
        print_error("%s, cut at %zu: got %d\n", row->what, cut, (int)outcome.status);
    }
    assert_int_equal(outcome.status, row->expected);
    assert_int_equal(outcome.payload_size, strlen(row->payload));
    assert_memory_equal(outcome.payload, row->payload, outcome.payload_size);
    assert_int_equal(body.payload_bytes, outcome.payload_size);
    if (row->expected == WEIR_OK) {
        assert_int_equal(outcome.consumed, row->input.size - row->rest);
        assert_int_equal(body.payload_bytes + body.overhead_bytes, outcome.consumed);
    }
}

static void check_all_cuts(const struct row *row, const struct weir_http_head *head)
{
    for (size_t cut = 0; cut <= row->input.size; cut++) {
        check(row, head, cut, row->input.size);
    }
    check(row, head, 0, 1);
}

static void chunked_rows_end_as_they_must(void **state)
{
    (void)state;
    const struct weir_http_head head = {.framing = WEIR_HTTP_CHUNKED};
    for (size_t i = 0; i < sizeof chunked / sizeof chunked[0]; i++) {
        check_all_cuts(&chunked[i], &head);
    }
}

static void rows_with_a_length_end_there(void **state)
{
    (void)state;
    const struct weir_http_head head = {.framing = WEIR_HTTP_LENGTH, .content_length = 5};
    for (size_t i = 0; i < sizeof with_length / sizeof with_length[0]; i++) {
        check_all_cuts(&with_length[i], &head);
    }
}

static void assert_done_at_once(const struct weir_http_head *head)
{
    struct weir_http_body body;
    weir_http_body_init(&body, head);
    for (size_t size = 0; size < 2; size++) {
        size_t consumed = 4711;
        struct weir_bytes payload = {NULL, 4711};
        const char *reason = NULL;
        assert_int_equal(
            weir_http_body_feed(&body, weir_bytes_of("x", size), &consumed, &payload, &reason),
            WEIR_OK);
        assert_int_equal(consumed, 0);
        assert_int_equal(payload.size, 0);
        assert_null(reason);
    }
}

static void no_body_is_complete_at_once(void **state)
{
    (void)state;
    assert_done_at_once(&(struct weir_http_head){.framing = WEIR_HTTP_NO_BODY});
    assert_done_at_once(&(struct weir_http_head){.framing = WEIR_HTTP_LENGTH});
}

static void a_refused_body_stays_refused(void **state)
{
    (void)state;
    struct weir_http_body body;
    weir_http_body_init(&body, &(struct weir_http_head){.framing = WEIR_HTTP_CHUNKED});
    size_t consumed = 4711;
    struct weir_bytes payload = {NULL, 4711};
    for (int i = 0; i < 3; i++) {
        const char *reason = NULL;
        assert_int_equal(weir_http_body_feed(&body, WEIR_BYTES("z"), &consumed, &payload, &reason),
                         WEIR_EMALFORMED);
        assert_non_null(reason);
        assert_int_equal(consumed, 4711);
        assert_int_equal(payload.size, 4711);
    }
}

/* Chunks of `size` bytes until refused or 64 KiB went in; the bytes that went in. */
static size_t feed_small_chunks(const char *chunk, enum weir_status *ret)
{
    struct weir_http_body body;
    weir_http_body_init(&body, &(struct weir_http_head){.framing = WEIR_HTTP_CHUNKED});
    struct outcome outcome = {.status = WEIR_EAGAIN};
    size_t fed = 0;
    while (fed < 65536 && outcome.status == WEIR_EAGAIN) {
        outcome.payload_size = 0;
        feed(&body, weir_bytes_str(chunk), &outcome);
        fed += strlen(chunk);
    }
    *ret = outcome.status;
    return fed;
}

static void chunks_must_not_be_mostly_framing(void **state)
{
    (void)state;
    enum weir_status status;
    size_t fed = feed_small_chunks("1\r\nx\r\n", &status); /* five for one */
    assert_int_equal(status, WEIR_EMALFORMED);
    assert_in_range(fed, 4096, 4112);
    fed = feed_small_chunks("2;aaaaa\r\nxy\r\n", &status); /* eleven for two */
    assert_int_equal(status, WEIR_EMALFORMED);
    (void)feed_small_chunks("2;aa\r\nxy\r\n", &status); /* eight for two: just allowed */
    assert_int_equal(status, WEIR_EAGAIN);
    (void)feed_small_chunks("2\r\nxy\r\n", &status);
    assert_int_equal(status, WEIR_EAGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunked_rows_end_as_they_must),
        cmocka_unit_test(rows_with_a_length_end_there),
        cmocka_unit_test(no_body_is_complete_at_once),
        cmocka_unit_test(a_refused_body_stays_refused),
        cmocka_unit_test(chunks_must_not_be_mostly_framing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
