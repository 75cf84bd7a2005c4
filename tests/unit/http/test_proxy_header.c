/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY headers against a table, each whole, byte by byte, and cut in two at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/crc32c.h"
#include "weir/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4        "\xc0\x00\x02\x01\xc6\x33\x64\x01\x12\x34\x01\xbb" /* 192.0.2.1:4660 to :443 */
#define V6                                                                                         \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"         \
    "\x00\x50\x00\x51"

struct row {
    const char *what;
    struct weir_bytes input;
    enum weir_status expected;
    const char *source; /* NULL: nothing was told */
    size_t rest;
};

#define ROW(what_, expected_, text_, source_, rest_)                                               \
    {                                                                                              \
        what_, WEIR_BYTES_INIT(text_), expected_, source_, rest_                                   \
    }
#define BAD(what_, text_) ROW(what_, WEIR_EMALFORMED, text_, NULL, 0)
#define NOT(what_, text_) ROW(what_, WEIR_EUNSUPPORTED, text_, NULL, 0)
#define LONG              "0000:0000:0000:0000:0000:0000:0000:0000"
#define X60               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct row rows[] = {
    ROW("IPv4", WEIR_OK, "PROXY TCP4 192.0.2.1 198.51.100.1 4660 443\r\nPOST", "192.0.2.1:4660", 4),
    ROW("IPv6", WEIR_OK, "PROXY TCP6 2001:db8::1 2001:db8::2 80 81\r\n", "[2001:db8::1]:80", 0),
    ROW("all of IPv6", WEIR_OK, "PROXY TCP6 " LONG " " LONG " 65535 65535\r\n", "[::]:65535", 0),
    ROW("port 0", WEIR_OK, "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0:0", 0),
    ROW("unknown", WEIR_OK, "PROXY UNKNOWN\r\nx", NULL, 1),
    ROW("unknown with more", WEIR_OK, "PROXY UNKNOWN a b  c\r\n", NULL, 0),
    ROW("as long as it may be", WEIR_OK, "PROXY UNKNOWN " X60 "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
        NULL, 0),
    BAD("lower case", "proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n"),
    BAD("a request", "POST / HTTP/1.1\r\n"),
    BAD("a request of P", "PUT / HTTP/1.1\r\n"),
    BAD("TLS", "\x16\x03\x01"),
    BAD("nothing but a line end", "\r\n\r\nP"),
    BAD("bare LF", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n"),
    BAD("bare CR", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\rx"),
    BAD("NUL", "PROXY UNKNOWN \0\r\n"),
    BAD("two spaces", "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n"),
    BAD("a space at the end", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n"),
    BAD("tab", "PROXY TCP4\t192.0.2.1 198.51.100.1 1 2\r\n"),
    BAD("three parts", "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n"),
    BAD("five parts", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n"),
    BAD("no parts", "PROXY TCP4\r\n"),
    BAD("family of the other", "PROXY TCP4 ::1 ::2 1 2\r\n"),
    BAD("other way round", "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n"),
    BAD("octet of 256", "PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n"),
    BAD("leading zero", "PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n"),
    BAD("three octets", "PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n"),
    BAD("port of 65536", "PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n"),
    BAD("port with a zero", "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n"),
    BAD("port with a sign", "PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n"),
    BAD("port of nothing", "PROXY TCP4 192.0.2.1 198.51.100.1  2\r\n"),
    BAD("port of six digits", "PROXY TCP4 192.0.2.1 198.51.100.1 100000 2\r\n"),
    NOT("TCP5", "PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n"),
    NOT("nothing behind PROXY", "PROXY \r\n"),
    NOT("UNKNOWN run on", "PROXY UNKNOWNS\r\n"),
    NOT("UDP4", "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n"),
    ROW("a line of 108", WEIR_ELIMIT, "PROXY UNKNOWN " X60 "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
        NULL, 0),

    ROW("binary IPv4", WEIR_OK, SIGNATURE "\x21\x11\x00\x0c" V4 "P", "192.0.2.1:4660", 1),
    ROW("binary IPv6", WEIR_OK, SIGNATURE "\x21\x21\x00\x24" V6, "[2001:db8::1]:80", 0),
    ROW("local", WEIR_OK, SIGNATURE "\x20\x00\x00\x00", NULL, 0),
    ROW("local with an address", WEIR_OK, SIGNATURE "\x20\x11\x00\x0c" V4 "xy", NULL, 2),
    ROW("local with anything", WEIR_OK,
        SIGNATURE "\x20\xff\x00\x03"
                  "abc",
        NULL, 0),
    ROW("no family", WEIR_OK,
        SIGNATURE "\x21\x00\x00\x05"
                  "abcde",
        NULL, 0),
    ROW("extensions", WEIR_OK, SIGNATURE "\x21\x11\x00\x15" V4 "\x04\0\0\xea\0\x03\x01\x02\x03",
        "192.0.2.1:4660", 0),
    ROW("its checksum", WEIR_OK,
        SIGNATURE "\x21\x11\x00\x13" V4 "\x03\0\x04"
                  "\xa5\x91\xae\x6a",
        "192.0.2.1:4660", 0),
    BAD("a wrong checksum", SIGNATURE "\x21\x11\x00\x13" V4 "\x03\0\x04\0\0\0\0"),
    BAD("a checksum of three bytes", SIGNATURE "\x21\x11\x00\x12" V4 "\x03\0\x03\0\0\0"),
    BAD("two checksums", SIGNATURE "\x21\x11\x00\x1a" V4 "\x03\0\x04\0\0\0\0\x03\0\x04\0\0\0\0"),
    BAD("an extension past the end", SIGNATURE "\x21\x11\x00\x0f" V4 "\x04\0\x01"),
    BAD("an extension without a length", SIGNATURE "\x21\x11\x00\x0e" V4 "\x04\0"),
    BAD("shorter than its addresses", SIGNATURE "\x21\x11\x00\x0b" V4),
    BAD("IPv6 with room for IPv4", SIGNATURE "\x21\x21\x00\x0c" V4),
    BAD("a signature that goes wrong", "\r\n\r\n\0\r\nQUIT\r"),
    NOT("version 1 in binary", SIGNATURE "\x11\x11\x00\x0c" V4),
    NOT("version 3", SIGNATURE "\x31\x11\x00\x0c" V4),
    NOT("another command", SIGNATURE "\x22\x11\x00\x0c" V4),
    NOT("a datagram", SIGNATURE "\x21\x12\x00\x0c" V4),
    NOT("a UNIX socket", SIGNATURE "\x21\x31\x00\x0c" V4),
    ROW("longer than it may be", WEIR_ELIMIT, SIGNATURE "\x21\x11\x10\x01" V4, NULL, 0),
};

struct seen {
    enum weir_status status;
    size_t consumed;
    const char *reason;
    struct weir_proxy_header header;
};

static void feed(struct seen *seen, struct weir_bytes part)
{
    size_t consumed = 0;
    if (seen->status == WEIR_EAGAIN) {
        seen->status = weir_proxy_header_feed(&seen->header, part, &consumed, &seen->reason);
        seen->consumed += consumed;
    }
}

static struct seen fresh(void)
{
    struct seen seen = {.status = WEIR_EAGAIN};
    weir_proxy_header_init(&seen.header);
    return seen;
}

static void check(const struct row *row, const struct seen *seen)
{
    char text[WEIR_NETADDR_TEXT_MAX];
    if (seen->status != row->expected) {
        fail_msg("%s: %s", row->what, weir_status_text(seen->status));
    }
    if (row->expected != WEIR_OK) {
        assert_non_null(seen->reason);
        return;
    }
    assert_int_equal(seen->consumed, row->input.size - row->rest);
    assert_int_equal(seen->header.told, row->source != NULL);
    if (row->source != NULL) {
        weir_netaddr_text(&seen->header.source, text);
        assert_string_equal(text, row->source);
    }
}

static void check_all_ways(const struct row *row)
{
    struct seen whole = fresh();
    struct seen bytewise = fresh();
    feed(&whole, row->input);
    check(row, &whole);
    size_t step = row->input.size > 200 ? 97 : 1; /* the longest: not each cut */
    for (size_t i = 0; i < row->input.size; i++) {
        feed(&bytewise, weir_bytes_of(row->input.data + i, 1));
        if (i % step != 0) {
            continue;
        }
        struct seen halves = fresh();
        feed(&halves, weir_bytes_of(row->input.data, i));
        feed(&halves, weir_bytes_from(row->input, i));
        check(row, &halves);
    }
    check(row, &bytewise);
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_all_ways(&rows[i]);
    }
}

static void test_every_cut_header_waits_for_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].expected != WEIR_OK) {
            continue;
        }
        for (size_t size = 0; size < rows[i].input.size - rows[i].rest; size++) {
            struct seen seen = fresh();
            feed(&seen, weir_bytes_of(rows[i].input.data, size));
            assert_int_equal(seen.status, WEIR_EAGAIN);
            assert_int_equal(seen.consumed, size);
        }
    }
}

/* As long as it may be: 4 KiB of extensions with a checksum at their end; then with one bit that
 * is not as it was. */
static void test_largest_with_a_checksum(void **state)
{
    (void)state;
    uint8_t bytes[16 + WEIR_PROXY_HEADER_MAX] = SIGNATURE "\x21\x11\x10\x00" V4;
    const size_t pad = WEIR_PROXY_HEADER_MAX - 12 - 3 - 7;
    uint8_t *at = bytes + 28;
    at[0] = 4;
    at[1] = (uint8_t)(pad >> 8);
    at[2] = (uint8_t)(pad & 0xff);
    at += 3 + pad;
    at[0] = 3;
    at[2] = 4;
    uint32_t crc = weir_crc32c(0, weir_bytes_of(bytes, sizeof(bytes)));
    for (size_t i = 0; i < 4; i++) {
        at[3 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    const struct row good = {"largest", {bytes, sizeof(bytes)}, WEIR_OK, "192.0.2.1:4660", 0};
    check_all_ways(&good);
    bytes[1000] ^= 1;
    const struct row bad = {"one bit", {bytes, sizeof(bytes)}, WEIR_EMALFORMED, NULL, 0};
    check_all_ways(&bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_every_cut_header_waits_for_more),
        cmocka_unit_test(test_largest_with_a_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
