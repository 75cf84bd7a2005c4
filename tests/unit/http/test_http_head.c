/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict head reader against a table of torture: each row is a whole head and the answer it
 * must get. Rows that other servers let pass stand beside the RFC's section. A row is run through
 * the scan first, as in production, so a head that the scan refuses counts as refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/http_head.h"
#include <stdio.h>

#define H "Host: a\r\n"
#define E "\r\n"

struct row {
    const char *what;
    struct weir_bytes input;
    enum weir_status expected;
};

#define ROW(what_, expected_, text_)                                                               \
    {                                                                                              \
        what_, WEIR_BYTES_INIT(text_), expected_                                                   \
    }

static const struct row rows[] = {
    /* The request line, RFC 9112 section 3. */
    ROW("plain", WEIR_OK, "POST / HTTP/1.1\r\n" H E),
    ROW("path and query", WEIR_OK, "POST /a/b?c=d&e HTTP/1.1\r\n" H E),
    ROW("a question mark alone", WEIR_OK, "POST /? HTTP/1.1\r\n" H E),
    ROW("an unknown method", WEIR_OK, "BREW / HTTP/1.1\r\n" H E),
    ROW("encoded and dotted paths pass as they are", WEIR_OK, "GET /%2e/../x HTTP/1.1\r\n" H E),
    ROW("empty line first", WEIR_EMALFORMED, "\r\nGET / HTTP/1.1\r\n" H E),
    ROW("leading space", WEIR_EMALFORMED, " GET / HTTP/1.1\r\n" H E),
    ROW("no method", WEIR_EMALFORMED, "/ HTTP/1.1\r\n" H E),
    ROW("method with a control", WEIR_EMALFORMED, "GE\x01T / HTTP/1.1\r\n" H E),
    ROW("method with a bracket", WEIR_EMALFORMED, "GE(T / HTTP/1.1\r\n" H E),
    ROW("method in Latin-1", WEIR_EMALFORMED, "G\xc9T / HTTP/1.1\r\n" H E),
    ROW("two spaces", WEIR_EMALFORMED, "GET  / HTTP/1.1\r\n" H E),
    ROW("two spaces before the version", WEIR_EMALFORMED, "GET /  HTTP/1.1\r\n" H E),
    ROW("space behind the version", WEIR_EMALFORMED, "GET / HTTP/1.1 \r\n" H E),
    ROW("tab for space", WEIR_EMALFORMED, "GET\t/ HTTP/1.1\r\n" H E),
    ROW("HTTP/0.9", WEIR_EMALFORMED, "GET /\r\n\r\n"),
    ROW("no version", WEIR_EMALFORMED, "GET / \r\n" H E),
    ROW("method only", WEIR_EMALFORMED, "GET\r\n" H E),
    ROW("absolute target", WEIR_EMALFORMED, "GET http://a/ HTTP/1.1\r\n" H E),
    ROW("authority target", WEIR_EMALFORMED, "CONNECT a:443 HTTP/1.1\r\n" H E),
    ROW("asterisk target", WEIR_EMALFORMED, "OPTIONS * HTTP/1.1\r\n" H E),
    ROW("relative target", WEIR_EMALFORMED, "GET a HTTP/1.1\r\n" H E),
    ROW("fragment", WEIR_EMALFORMED, "GET /#a HTTP/1.1\r\n" H E),
    ROW("control in the target", WEIR_EMALFORMED, "GET /a\x7f HTTP/1.1\r\n" H E),
    ROW("NUL in the target", WEIR_EMALFORMED, "GET /a\0b HTTP/1.1\r\n" H E),
    ROW("UTF-8 in the target", WEIR_EMALFORMED, "GET /\xc3\xa9 HTTP/1.1\r\n" H E),
    ROW("CR in the target", WEIR_EMALFORMED, "GET /a\rb HTTP/1.1\r\n" H E),
    ROW("lower-case version", WEIR_EMALFORMED, "GET / http/1.1\r\n" H E),
    ROW("long version", WEIR_EMALFORMED, "GET / HTTP/1.10\r\n" H E),
    ROW("no digit", WEIR_EMALFORMED, "GET / HTTP/1.x\r\n" H E),
    ROW("leading zero", WEIR_EMALFORMED, "GET / HTTP/01.1\r\n" H E),
    ROW("HTTP/1.2", WEIR_EUNSUPPORTED, "GET / HTTP/1.2\r\n" H E),
    ROW("HTTP/2.0", WEIR_EUNSUPPORTED, "GET / HTTP/2.0\r\n" H E),
    ROW("HTTP/0.9 by name", WEIR_EUNSUPPORTED, "GET / HTTP/0.9\r\n" H E),
    ROW("HTTP/2 preface", WEIR_EMALFORMED, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ROW("TLS where HTTP is spoken", WEIR_EMALFORMED, "\x16\x03\x01\x02\x00\x01\r\n\r\n"),
    /* HTTP/1.0, for health checks. */
    ROW("1.0 GET", WEIR_OK, "GET / HTTP/1.0\r\n\r\n"),
    ROW("1.0 GET with Host", WEIR_OK, "GET / HTTP/1.0\r\n" H E),
    ROW("1.0 POST", WEIR_EUNSUPPORTED, "POST / HTTP/1.0\r\n" H "Content-Length: 1\r\n" E),
    ROW("1.0 two Hosts", WEIR_EMALFORMED, "GET / HTTP/1.0\r\n" H H E),
    ROW("1.0 chunked", WEIR_EMALFORMED, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" E),
    /* Lines, RFC 9112 section 2.2. */
    ROW("bare LF after the request line", WEIR_EMALFORMED, "GET / HTTP/1.1\n" H E),
    ROW("bare LF after a field", WEIR_EMALFORMED, "GET / HTTP/1.1\r\nHost: a\n" E),
    ROW("bare LF at the end", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "\n"),
    ROW("bare CR in a value", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "A: b\rc\r\n" E),
    ROW("CR CR LF", WEIR_EMALFORMED, "GET / HTTP/1.1\r\nHost: a\r\r\n" E),
    ROW("CR CR LF at the end", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "\r\r\n\r\n"),
    /* Fields, RFC 9112 section 5. */
    ROW("white space around the value", WEIR_OK, "GET / HTTP/1.1\r\nHost: \t a \t\r\n" E),
    ROW("no white space", WEIR_OK, "GET / HTTP/1.1\r\nHost:a\r\n" E),
    ROW("empty value", WEIR_OK, "GET / HTTP/1.1\r\n" H "A:\r\n" E),
    ROW("tab inside a value", WEIR_OK, "GET / HTTP/1.1\r\n" H "A: b\tc\r\n" E),
    ROW("obs-text in a value", WEIR_OK, "GET / HTTP/1.1\r\n" H "A: \xc3\xa9\xff\r\n" E),
    ROW("space before the colon", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "A : b\r\n" E),
    ROW("folded line", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n" E),
    ROW("line folded with a tab", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "A: b\r\n\tc: d\r\n" E),
    ROW("folded first line", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n " H E),
    ROW("no name", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H ": b\r\n" E),
    ROW("no colon", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "A\r\n" E),
    ROW("name with a slash", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "A/B: c\r\n" E),
    ROW("name in UTF-8", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "\xc3\xa9: c\r\n" E),
    ROW("NUL in a name", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "A\0: c\r\n" E),
    ROW("NUL in a value", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "A: \0\r\n" E),
    ROW("DEL in a value", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "A: \x7f\r\n" E),
    ROW("escape in a value", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "A: \x1b[2J\r\n" E),
    ROW("vertical tab trimmed by others", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "A: \vb\r\n" E),
    /* Host, RFC 9112 section 3.2. */
    ROW("host and port", WEIR_OK, "GET / HTTP/1.1\r\nHost: a.example:8443\r\n" E),
    ROW("IP literal", WEIR_OK, "GET / HTTP/1.1\r\nHost: [::1]:80\r\n" E),
    ROW("empty host", WEIR_OK, "GET / HTTP/1.1\r\nHost:\r\n" E),
    ROW("no host", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n\r\n"),
    ROW("two hosts", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "host: a\r\n" E),
    ROW("two hosts in one", WEIR_EMALFORMED, "GET / HTTP/1.1\r\nHost: a b\r\n" E),
    ROW("host with a user", WEIR_EMALFORMED, "GET / HTTP/1.1\r\nHost: u@a\r\n" E),
    ROW("host with a path", WEIR_EMALFORMED, "GET / HTTP/1.1\r\nHost: a/b\r\n" E),
    /* Framing, RFC 9112 section 6. */
    ROW("length", WEIR_OK, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n" E),
    ROW("length with zeros", WEIR_OK, "POST / HTTP/1.1\r\n" H "Content-Length: 0005\r\n" E),
    ROW("19 digits", WEIR_OK, "POST / HTTP/1.1\r\n" H "Content-Length: 9999999999999999999\r\n" E),
    ROW("20 digits", WEIR_EMALFORMED,
        "POST / HTTP/1.1\r\n" H "Content-Length: 00000000000000000005\r\n" E),
    ROW("past 2^64", WEIR_EMALFORMED,
        "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551621\r\n" E),
    ROW("empty length", WEIR_EMALFORMED, "POST / HTTP/1.1\r\n" H "Content-Length:\r\n" E),
    ROW("+5", WEIR_EMALFORMED, "POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n" E),
    ROW("-1", WEIR_EMALFORMED, "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n" E),
    ROW("5, 5", WEIR_EMALFORMED, "POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n" E),
    ROW("5 5", WEIR_EMALFORMED, "POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n" E),
    ROW("0x5", WEIR_EMALFORMED, "POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n" E),
    ROW("5.0", WEIR_EMALFORMED, "POST / HTTP/1.1\r\n" H "Content-Length: 5.0\r\n" E),
    ROW("two equal lengths", WEIR_EMALFORMED,
        "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n" E),
    ROW("two lengths", WEIR_EMALFORMED,
        "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\ncontent-length: 6\r\n" E),
    ROW("chunked", WEIR_OK, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n" E),
    ROW("CHUNKED", WEIR_OK, "POST / HTTP/1.1\r\n" H "transfer-encoding: CHUNKED\r\n" E),
    ROW("length, then chunked", WEIR_EMALFORMED,
        "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" E),
    ROW("chunked, then length", WEIR_EMALFORMED,
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" E),
    ROW("twice chunked", WEIR_EMALFORMED,
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" E),
    ROW("TE with a space before its colon", WEIR_EMALFORMED,
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n" E),
    ROW("TE with a control", WEIR_EMALFORMED,
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
        "chunked\r\n" E),
    ROW("identity, chunked", WEIR_EUNSUPPORTED,
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity, chunked\r\n" E),
    ROW("chunked, chunked", WEIR_EUNSUPPORTED,
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n" E),
    ROW("gzip, chunked", WEIR_EUNSUPPORTED,
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n" E),
    ROW("identity", WEIR_EUNSUPPORTED, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n" E),
    ROW("chunked in quotes", WEIR_EUNSUPPORTED,
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n" E),
    ROW("chunked with a parameter", WEIR_EUNSUPPORTED,
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;a\r\n" E),
    ROW("empty TE", WEIR_EUNSUPPORTED, "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n" E),
    /* Connection and expectation, RFC 9110 sections 7.6.1 and 10.1.1. */
    ROW("connection with gaps", WEIR_OK, "GET / HTTP/1.1\r\n" H "Connection: ,close , ,TE\r\n" E),
    ROW("connection no token", WEIR_EMALFORMED, "GET / HTTP/1.1\r\n" H "Connection: a b\r\n" E),
    ROW("upgrade ignored", WEIR_OK,
        "GET / HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" E),
    ROW("expectation", WEIR_OK, "POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\n" E),
    ROW("another expectation", WEIR_EUNSUPPORTED, "POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\n" E),
    ROW("empty expectation", WEIR_EUNSUPPORTED, "POST / HTTP/1.1\r\n" H "Expect:\r\n" E),
};

static enum weir_status read_whole(struct weir_bytes input, struct weir_http_head *ret)
{
    size_t scanned = 0;
    size_t size = 0;
    const char *reason = NULL;
    WEIR_TRY(weir_http_head_scan(input, &scanned, &size));
    enum weir_status status = weir_http_head_parse(weir_bytes_of(input.data, size), ret, &reason);
    assert_int_equal(reason != NULL, status != WEIR_OK);
    return status;
}

static void each_row_gets_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_http_head head;
        enum weir_status status = read_whole(rows[i].input, &head);
        if (status != rows[i].expected) {
            print_error("%s: got %d, expected %d\n", rows[i].what, (int)status,
                        (int)rows[i].expected);
        }
        assert_int_equal(status, rows[i].expected);
    }
}

static void no_row_cut_short_is_a_head(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t whole = 0;
        size_t scanned = 0;
        if (weir_http_head_scan(rows[i].input, &scanned, &whole) != WEIR_OK) {
            continue;
        }
        for (size_t cut = 0; cut < whole; cut++) {
            size_t size = 4711;
            scanned = 0;
            struct weir_bytes part = weir_bytes_of(rows[i].input.data, cut);
            assert_int_equal(weir_http_head_scan(part, &scanned, &size), WEIR_EAGAIN);
            assert_int_equal(scanned, cut);
            assert_int_equal(size, 4711);
        }
    }
}

static void assert_text(struct weir_bytes got, const char *expected)
{
    assert_int_equal(got.size, strlen(expected));
    assert_memory_equal(got.data, expected, got.size);
}

static void the_parts_are_views_of_the_head(void **state)
{
    (void)state;
    struct weir_bytes input =
        WEIR_BYTES("POST /in/%41?x=1?y HTTP/1.1\r\n" H "X-Amz-Firehose-Request-Id:\t id 1 \r\n"
                   "CONTENT-length: 12\r\nA: 1\r\na: 2\r\n" E "POST");
    struct weir_http_head head;
    assert_int_equal(read_whole(input, &head), WEIR_OK);
    assert_text(head.method, "POST");
    assert_text(head.path, "/in/%41");
    assert_text(head.query, "x=1?y");
    assert_int_equal(head.size, input.size - 4);
    assert_int_equal(head.field_count, 5);
    assert_int_equal(head.framing, WEIR_HTTP_LENGTH);
    assert_int_equal(head.content_length, 12);
    assert_text(head.fields[1].name, "X-Amz-Firehose-Request-Id");
    const struct weir_http_field *id =
        weir_http_head_field(&head, WEIR_BYTES("x-amz-firehose-request-id"));
    assert_ptr_equal(id, &head.fields[1]);
    assert_text(id->value, "id 1");
    assert_text(weir_http_head_field(&head, WEIR_BYTES("a"))->value, "1");
    assert_null(weir_http_head_field(&head, WEIR_BYTES("x-amz")));
    assert_null(weir_http_head_field(&head, WEIR_BYTES("")));
}

/* Names of one length, which differ at their ends, at their beginnings, or by their case alone. */
static void a_field_is_told_from_its_likes(void **state)
{
    (void)state;
    struct weir_bytes input = WEIR_BYTES("POST / HTTP/1.1\r\n" H "X-Firehose-id: 1\r\n"
                                         "Y-Firehose-iE: 2\r\nX-FIREHOSE-IE: 3\r\n" E);
    struct weir_http_head head;
    assert_int_equal(read_whole(input, &head), WEIR_OK);
    assert_text(weir_http_head_field(&head, WEIR_BYTES("x-firehose-id"))->value, "1");
    assert_text(weir_http_head_field(&head, WEIR_BYTES("x-firehose-ie"))->value, "3");
    assert_null(weir_http_head_field(&head, WEIR_BYTES("x-firehose-i%")));
}

static struct weir_http_head read_ok(struct weir_bytes input)
{
    struct weir_http_head head;
    assert_int_equal(read_whole(input, &head), WEIR_OK);
    return head;
}

static void connection_decides_whether_to_stay(void **state)
{
    (void)state;
    assert_true(read_ok(WEIR_BYTES("GET / HTTP/1.1\r\n" H E)).keep_alive);
    assert_true(read_ok(WEIR_BYTES("GET / HTTP/1.1\r\n" H "Connection: TE\r\n" E)).keep_alive);
    assert_true(read_ok(WEIR_BYTES("GET / HTTP/1.1\r\n" H "Connection: closed\r\n" E)).keep_alive);
    assert_true(
        read_ok(WEIR_BYTES("GET / HTTP/1.0\r\n" H "Connection: Keep-Alive\r\n" E)).keep_alive);
    assert_false(read_ok(WEIR_BYTES("GET / HTTP/1.0\r\n" H E)).keep_alive);
    assert_false(read_ok(WEIR_BYTES("GET / HTTP/1.1\r\n" H "Connection: Close\r\n" E)).keep_alive);
    assert_false(
        read_ok(WEIR_BYTES("GET / HTTP/1.1\r\n" H "Connection: TE , close\r\n" E)).keep_alive);
    assert_false(read_ok(WEIR_BYTES("GET / HTTP/1.1\r\n" H
                                    "Connection: close\r\nConnection: keep-alive\r\n" E))
                     .keep_alive);
}

static void a_continue_is_only_for_a_body_that_waits(void **state)
{
    (void)state;
#define X H "Expect: 100-continue\r\n"
    assert_true(
        read_ok(WEIR_BYTES("POST / HTTP/1.1\r\n" X "Content-Length: 1\r\n" E)).expect_continue);
    assert_true(read_ok(WEIR_BYTES("POST / HTTP/1.1\r\n" X "Transfer-Encoding: chunked\r\n" E))
                    .expect_continue);
    assert_false(read_ok(WEIR_BYTES("POST / HTTP/1.1\r\n" X E)).expect_continue);
    assert_false(
        read_ok(WEIR_BYTES("POST / HTTP/1.1\r\n" X "Content-Length: 0\r\n" E)).expect_continue);
    assert_false(
        read_ok(WEIR_BYTES("GET / HTTP/1.0\r\n" X "Content-Length: 1\r\n" E)).expect_continue);
    assert_false(
        read_ok(WEIR_BYTES("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n" E)).expect_continue);
#undef X
}

/* A head with `count` fields, its Host among them, in `out`. */
static struct weir_bytes many_fields(char *out, size_t capacity, unsigned int count)
{
    int size = snprintf(out, capacity, "GET / HTTP/1.1\r\n" H);
    for (unsigned int i = 1; i < count; i++) {
        size += snprintf(out + size, capacity - (size_t)size, "N%u: v\r\n", i);
    }
    size += snprintf(out + size, capacity - (size_t)size, E);
    return weir_bytes_of(out, (size_t)size);
}

static void fields_are_bounded(void **state)
{
    (void)state;
    char text[2048];
    struct weir_http_head head;
    assert_int_equal(read_whole(many_fields(text, sizeof text, WEIR_HTTP_FIELDS_MAX), &head),
                     WEIR_OK);
    assert_int_equal(head.field_count, WEIR_HTTP_FIELDS_MAX);
    assert_int_equal(read_whole(many_fields(text, sizeof text, WEIR_HTTP_FIELDS_MAX + 1), &head),
                     WEIR_ELIMIT);
}

static void a_parse_of_what_no_scan_found_is_refused(void **state)
{
    (void)state;
    static const struct weir_bytes heads[] = {
        WEIR_BYTES_INIT(""), WEIR_BYTES_INIT("GET / HTTP/1.1"),
        WEIR_BYTES_INIT("GET / HTTP/1.1\r\n" H), WEIR_BYTES_INIT("GET / HTTP/1.1\r\n" H E "x"),
        WEIR_BYTES_INIT("\r\n\r\n")};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct weir_http_head head;
        const char *reason = NULL;
        assert_int_equal(weir_http_head_parse(heads[i], &head, &reason), WEIR_EMALFORMED);
        assert_non_null(reason);
    }
}

static void hopeless_input_is_refused_at_once(void **state)
{
    (void)state;
    static const struct weir_bytes hopeless[] = {WEIR_BYTES_INIT("\x16"),
                                                 WEIR_BYTES_INIT("\r"),
                                                 WEIR_BYTES_INIT("\0"),
                                                 WEIR_BYTES_INIT("{"),
                                                 WEIR_BYTES_INIT("PRI * HTTP/2.0"),
                                                 WEIR_BYTES_INIT("GET / HTTP/1.1\n")};
    for (size_t i = 0; i < sizeof hopeless / sizeof hopeless[0]; i++) {
        size_t scanned = 0;
        size_t size = 0;
        assert_int_equal(weir_http_head_scan(hopeless[i], &scanned, &size), WEIR_EMALFORMED);
    }
    size_t scanned = 0;
    size_t size = 0;
    assert_int_equal(weir_http_head_scan(WEIR_BYTES("PRI * HTTP/2."), &scanned, &size),
                     WEIR_EAGAIN);
    assert_int_equal(weir_http_head_scan(WEIR_BYTES("PRI * HTTP/2.0"), &scanned, &size),
                     WEIR_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_gets_its_answer),
        cmocka_unit_test(no_row_cut_short_is_a_head),
        cmocka_unit_test(the_parts_are_views_of_the_head),
        cmocka_unit_test(a_field_is_told_from_its_likes),
        cmocka_unit_test(connection_decides_whether_to_stay),
        cmocka_unit_test(a_continue_is_only_for_a_body_that_waits),
        cmocka_unit_test(fields_are_bounded),
        cmocka_unit_test(a_parse_of_what_no_scan_found_is_refused),
        cmocka_unit_test(hopeless_input_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
