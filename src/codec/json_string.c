/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a JSON string (RFC 8259 section 7): finding its end fast, checking it, unescaping
 * it.
 *
 *   " p l a i n \ u 0 0 e 9 ... "          " p l a i n c3 a9 ... | rest, no longer of meaning
 *     ^ at                      ^ close      ^ text              ^ text + new size
 *
 * The scan reads eight bytes at a time and stops at the first byte that matters: a quote, a
 * backslash or a control character. Bytes above 7F only leave a mark, and then the whole span is
 * checked as UTF-8 once. Checking before unescaping is enough: an escape is ASCII, and what it
 * becomes begins with no continuation byte, so it can neither complete nor break a sequence of its
 * neighbours.
 *
 *   I1  the scan writes nothing, so a value that is skipped can be read again
 *   I2  an escape of n characters becomes fewer than n bytes (2 -> 1, 6 -> 3, 12 -> 4), so
 *       unescaping in place never overtakes its own reading
 *
 * Refused: control characters under 0x20, unknown escapes, halves of surrogate pairs, bad UTF-8.
 * \u0000 is allowed. Not done here: the positions and errors of the reader (json.c). Pure.
 */
#include "json_string.h"
#include "weir/panic.h"
#include "weir/utf8.h"

#define LOW_BITS  0x0101010101010101U
#define HIGH_BITS 0x8080808080808080U
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "first_special counts from the low end");

/* The high bit of each byte that is zero; above the first such byte it may be wrong. */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - LOW_BITS) & ~word & HIGH_BITS;
}

/* The index (0..7) of the first quote, backslash or control character of eight bytes, or 8. */
static unsigned first_special(uint64_t word)
{
    uint64_t found = zero_bytes(word ^ (LOW_BITS * '"')) | zero_bytes(word ^ (LOW_BITS * '\\')) |
                     ((word - LOW_BITS * 0x20) & ~word & HIGH_BITS);
    return found == 0 ? 8 : (unsigned)__builtin_ctzll(found) / 8;
}

static bool is_special(uint8_t byte)
{
    return byte == '"' || byte == '\\' || byte < 0x20;
}

/* The first byte that matters from `at` on, or `end`. *high collects all bytes passed (and, of the
 * last word, a few beyond: a needless check of UTF-8 at worst). */
static const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end, uint64_t *high)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        *high |= word;
        unsigned first = first_special(word);
        if (first < 8) {
            return at + first;
        }
        at += 8;
    }
    while (at < end && !is_special(*at)) {
        *high |= *at++;
    }
    return at;
}

/* The value of four hexadecimal digits, or -1. */
static int32_t hex4(const uint8_t *at, const uint8_t *end)
{
    int32_t value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (unsigned i = 0; i < 4; i++) {
        uint8_t lower = at[i] | 0x20;
        if (at[i] >= '0' && at[i] <= '9') {
            value = value << 4 | (at[i] - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            value = value << 4 | (lower - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

struct escape {
    uint32_t code_point;
    unsigned size; /* characters of the input, the backslash included; 0 for no escape */
};

static struct escape unicode_escape(const uint8_t *at, const uint8_t *end)
{
    const struct escape none = {0, 0};
    int32_t first = hex4(at + 2, end);
    if (first < 0 || (first >= 0xDC00 && first <= 0xDFFF)) {
        return none;
    }
    if (first < 0xD800 || first > 0xDBFF) {
        return (struct escape){(uint32_t)first, 6};
    }
    if (end - at < 12 || at[6] != '\\' || at[7] != 'u') {
        return none;
    }
    int32_t second = hex4(at + 8, end);
    if (second < 0xDC00 || second > 0xDFFF) {
        return none;
    }
    uint32_t pair = (uint32_t)(first - 0xD800) << 10 | (uint32_t)(second - 0xDC00);
    return (struct escape){0x10000 + pair, 12};
}

/* The escape whose backslash is at `at`. */
static struct escape read_escape(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 2) {
        return (struct escape){0, 0};
    }
    switch (at[1]) {
    case '"':
    case '\\':
    case '/': return (struct escape){at[1], 2};
    case 'b': return (struct escape){'\b', 2};
    case 'f': return (struct escape){'\f', 2};
    case 'n': return (struct escape){'\n', 2};
    case 'r': return (struct escape){'\r', 2};
    case 't': return (struct escape){'\t', 2};
    case 'u': return unicode_escape(at, end);
    default: return (struct escape){0, 0};
    }
}

struct weir_json_span weir_json_scan(const uint8_t *at, const uint8_t *end)
{
    struct weir_json_span span = {NULL, NULL, false};
    const uint8_t *start = at;
    uint64_t high = 0;
    for (;;) {
        at = skip_plain(at, end, &high);
        if (at == end) {
            span.error = "a string without its closing quote";
            return span;
        }
        if (*at != '\\') {
            break;
        }
        struct escape escape = read_escape(at, end);
        if (escape.size == 0) {
            span.error = "an escape that is none, or half of a surrogate pair";
            return span;
        }
        span.escaped = true;
        at += escape.size;
    }
    if (*at != '"') {
        span.error = "a control character in a string";
    } else if ((high & HIGH_BITS) != 0 &&
               !weir_utf8_valid(weir_bytes_of(start, (size_t)(at - start)))) {
        span.error = "a string that is not UTF-8";
    } else {
        span.close = at;
    }
    return span;
}

/* Writes a code point as UTF-8; returns its size. */
static size_t put_utf8(uint8_t *out, uint32_t code_point)
{
    static const uint8_t marks[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t size = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (code_point & 0x3F));
        code_point >>= 6;
    }
    out[0] = (uint8_t)(marks[size] | code_point);
    return size;
}

size_t weir_json_unescape(uint8_t *text, size_t size)
{
    uint8_t *end = text + size;
    uint8_t *in = text;
    uint8_t *out = text;
    while (in < end) {
        uint8_t *slash = memchr(in, '\\', (size_t)(end - in));
        size_t plain = (size_t)((slash == NULL ? end : slash) - in);
        memmove(out, in, plain);
        out += plain;
        in += plain;
        if (slash == NULL) {
            break;
        }
        struct escape escape = read_escape(in, end);
        WEIR_ASSERT(escape.size > 0);
        out += put_utf8(out, escape.code_point);
        in += escape.size;
    }
    return (size_t)(out - text);
}
