/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pull reader: where it stands, what may come next, what went wrong. What is inside a string is
 * json_string.c's business, what is inside a number json_number.c's.
 *
 *   start                 position                        end
 *     v                      v                             v
 *     { " a " : [ 1 , 2 ] ,  " b " : ...                   |
 *     taken, maybe rewritten |  unread, never written to
 *
 * Between calls the reader stands at a value (after the start, a key's colon, or an element's
 * comma), or behind one:
 *
 *   at a value ──object_begin, array_begin──► in a container, fresh
 *   at a value ──string, double, int64, base64, skip──► behind a value
 *   fresh, or behind a value inside ──member, element: true──► at a value
 *   fresh, or behind a value inside ──member, element: false──► behind the container
 *   anywhere ──fail──► stuck: position, depth and error stay (I2 of the header)
 *
 *   I5  containers are kept as a depth and one bit each, so nesting costs no stack, in skip neither
 *   I6  a skipped value is checked as strictly as a read one, but for the range of its numbers
 *   I7  a skipped value is not rewritten, so another reader can read it
 *
 * One thread. Corrupt input ends in `error` with the offset of the token that was not as expected.
 * Duplicate keys and the order of keys are the caller's business; comments, NaN, a byte order mark
 * and trailing commas are refused.
 */
#include "weir/json.h"
#include "json_string.h"
#include "weir/base64.h"
#include "weir/panic.h"

/* What is summed at a time before its base64 is undone: as much as the nearest cache keeps until
 * then, beside what is asked for ahead. 4 to 32 KiB are within 2 ns a point. */
#define SUMMED_PIECE ((size_t)8 << 10)

static const char too_deep[] = "nested too deep";

/* The first error counts. */
static void fail(struct weir_json *json, const char *error)
{
    if (json->error == NULL) {
        json->error = error;
        json->error_offset = (size_t)(json->position - json->start);
    }
}

static void skip_space(struct weir_json *json)
{
    while (json->position < json->end && (*json->position == ' ' || *json->position == '\n' ||
                                          *json->position == '\r' || *json->position == '\t')) {
        json->position++;
    }
}

/* Whether the next token is `byte`; stands at it then. */
static bool next_is(struct weir_json *json, uint8_t byte)
{
    if (json->error != NULL) {
        return false;
    }
    skip_space(json);
    return json->position < json->end && *json->position == byte;
}

/* Before anything up to `end` is written to. */
static void sum_to(const struct weir_json *json, const uint8_t *end)
{
    if (json->sum != NULL) {
        weir_crc32_sum_to(json->sum, end);
    }
}

static bool in_object(const struct weir_json *json)
{
    return (json->object_bits >> (json->depth - 1) & 1) != 0;
}

void weir_json_init(struct weir_json *json, uint8_t *text, size_t size, unsigned depth_max)
{
    static uint8_t nothing[1];
    WEIR_ASSERT(depth_max >= 1);
    WEIR_ASSERT(depth_max <= WEIR_JSON_DEPTH_LIMIT);
    WEIR_ASSERT(text != NULL || size == 0);
    uint8_t *start = text == NULL ? nothing : text;
    *json = (struct weir_json){.start = start,
                               .position = start,
                               .end = start + size,
                               .depth_max = (uint8_t)depth_max,
                               .fresh = true};
}

enum weir_json_type weir_json_peek(struct weir_json *json)
{
    if (json->error != NULL) {
        return WEIR_JSON_END;
    }
    skip_space(json);
    if (json->position == json->end) {
        return WEIR_JSON_END;
    }
    switch (*json->position) {
    case '{': return WEIR_JSON_OBJECT;
    case '[': return WEIR_JSON_ARRAY;
    case '"': return WEIR_JSON_STRING;
    case 't': return WEIR_JSON_TRUE;
    case 'f': return WEIR_JSON_FALSE;
    case 'n': return WEIR_JSON_NULL;
    case '-': return WEIR_JSON_NUMBER;
    default: break;
    }
    if (*json->position >= '0' && *json->position <= '9') {
        return WEIR_JSON_NUMBER;
    }
    fail(json, "expected a value");
    return WEIR_JSON_END;
}

static void begin(struct weir_json *json, bool is_object)
{
    if (json->depth == json->depth_max) {
        fail(json, too_deep);
        return;
    }
    uint64_t bit = (uint64_t)1 << json->depth;
    json->object_bits = is_object ? json->object_bits | bit : json->object_bits & ~bit;
    json->position++;
    json->depth++;
    json->fresh = true;
}

void weir_json_object_begin(struct weir_json *json)
{
    if (next_is(json, '{')) {
        begin(json, true);
    } else {
        fail(json, "expected an object");
    }
}

void weir_json_array_begin(struct weir_json *json)
{
    if (next_is(json, '[')) {
        begin(json, false);
    } else {
        fail(json, "expected an array");
    }
}

/* Takes the comma before a further member or element, or `close`, the container's end. True: stands
 * where the member or element must be. */
static bool advance(struct weir_json *json, uint8_t close, const char *expected)
{
    if (next_is(json, close)) {
        json->position++;
        json->depth--;
        json->fresh = false;
        return false;
    }
    if (json->error != NULL) {
        return false;
    }
    if (!json->fresh) {
        if (!next_is(json, ',')) {
            fail(json, expected);
            return false;
        }
        json->position++;
    }
    json->fresh = false;
    return true;
}

/* The rest of a string from `text` on, inside it; unescaped in place or only looked at. */
static struct weir_bytes take_inside(struct weir_json *json, uint8_t *text, bool unescape)
{
    struct weir_json_span span = weir_json_scan(text, json->end);
    if (span.close == NULL) {
        fail(json, span.error);
        return (struct weir_bytes){NULL, 0};
    }
    size_t size = (size_t)(span.close - text);
    json->position = text + size + 1;
    json->fresh = false;
    if (span.escaped && unescape) {
        sum_to(json, span.close);
        size = weir_json_unescape(text, size);
    }
    return weir_bytes_of(text, size);
}

/* A string, unescaped in place or only looked at. */
static struct weir_bytes take_string(struct weir_json *json, bool unescape)
{
    if (!next_is(json, '"')) {
        fail(json, "expected a string");
        return (struct weir_bytes){NULL, 0};
    }
    return take_inside(json, json->position + 1, unescape);
}

static bool take_member(struct weir_json *json, struct weir_bytes *ret_key, bool unescape)
{
    if (json->error != NULL) {
        return false;
    }
    WEIR_ASSERT(json->depth > 0);
    WEIR_ASSERT(in_object(json));
    if (!advance(json, '}', "expected a comma or the object's end")) {
        return false;
    }
    struct weir_bytes key = take_string(json, unescape);
    if (!next_is(json, ':')) {
        fail(json, "expected a colon");
        return false;
    }
    json->position++;
    *ret_key = key;
    return true;
}

bool weir_json_member(struct weir_json *json, struct weir_bytes *ret_key)
{
    return take_member(json, ret_key, true);
}

bool weir_json_element(struct weir_json *json)
{
    if (json->error != NULL) {
        return false;
    }
    WEIR_ASSERT(json->depth > 0);
    WEIR_ASSERT(!in_object(json));
    return advance(json, ']', "expected a comma or the array's end");
}

struct weir_bytes weir_json_string(struct weir_json *json)
{
    return take_string(json, true);
}

/* The rest of a base64 string, of which nothing is written to but escapes; the caller will. */
static struct weir_bytes take_base64(struct weir_json *json, uint8_t *text)
{
    uint8_t *close = memchr(text, '"', (size_t)(json->end - text));
    if (close == NULL) {
        fail(json, "a string without its closing quote");
        return (struct weir_bytes){NULL, 0};
    }
    size_t size = (size_t)(close - text);
    if (memchr(text, '\\', size) != NULL) {
        return take_inside(json, text, true); /* writers may escape '/', which base64 uses */
    }
    sum_to(json, close);
    json->position = close + 1;
    json->fresh = false;
    return weir_bytes_of(text, size);
}

struct weir_bytes weir_json_base64(struct weir_json *json)
{
    if (!next_is(json, '"')) {
        fail(json, "expected a string");
        return (struct weir_bytes){NULL, 0};
    }
    return take_base64(json, json->position + 1);
}

/* Undoes base64 from `text` on, whose end is not known yet; with a sum piece by piece, each summed
 * and then undone. Returns the characters taken. */
static size_t undo_base64(const struct weir_json *json, uint8_t *text)
{
    size_t size = (size_t)(json->end - text);
    if (json->sum == NULL) {
        return weir_base64_decode_blocks(text, 0, size);
    }
    size_t taken = 0;
    size_t summed = 0;
    /* on, while it was the piece's end that stopped it */
    while (summed < size && summed - taken < WEIR_BASE64_BLOCK_MAX) {
        summed += size - summed < SUMMED_PIECE ? size - summed : SUMMED_PIECE;
        sum_to(json, text + summed);
        taken = weir_base64_decode_blocks(text, taken, summed);
    }
    return taken;
}

struct weir_bytes weir_json_base64_begun(struct weir_json *json, size_t *ret_taken)
{
    *ret_taken = 0;
    if (!next_is(json, '"')) {
        fail(json, "expected a string");
        return (struct weir_bytes){NULL, 0};
    }
    uint8_t *text = json->position + 1;
    size_t taken = undo_base64(json, text);
    struct weir_bytes rest = take_base64(json, text + taken);
    if (json->error != NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    *ret_taken = taken;
    return weir_bytes_of(text, taken + rest.size);
}

/* The characters that numbers are made of; whether they make one is for the parser to say. */
static struct weir_bytes number_text(struct weir_json *json)
{
    const uint8_t *at = json->position;
    while (at < json->end && ((*at >= '0' && *at <= '9') || *at == '-' || *at == '+' ||
                              *at == '.' || *at == 'e' || *at == 'E')) {
        at++;
    }
    return weir_bytes_of(json->position, (size_t)(at - json->position));
}

double weir_json_double(struct weir_json *json)
{
    if (weir_json_peek(json) != WEIR_JSON_NUMBER) {
        fail(json, "expected a number");
        return 0.0;
    }
    struct weir_bytes text = number_text(json);
    double value = 0.0;
    enum weir_status status = weir_json_parse_double(text, &value);
    if (status != WEIR_OK) {
        fail(json, status == WEIR_ELIMIT ? "a number beyond the range" : "a malformed number");
        return 0.0;
    }
    json->position += text.size;
    json->fresh = false;
    return value;
}

/* Accumulates downwards: the negative range holds one more. */
static bool parse_int64(struct weir_bytes text, int64_t *ret)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t at = negative ? 1 : 0;
    int64_t value = 0;
    if (at == text.size || (text.data[at] == '0' && text.size > at + 1)) {
        return false;
    }
    for (; at < text.size; at++) {
        int digit = text.data[at] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) {
            return false;
        }
    }
    if (!negative && __builtin_sub_overflow(0, value, &value)) {
        return false;
    }
    *ret = value;
    return true;
}

int64_t weir_json_int64(struct weir_json *json)
{
    if (weir_json_peek(json) != WEIR_JSON_NUMBER) {
        fail(json, "expected an integer");
        return 0;
    }
    struct weir_bytes text = number_text(json);
    int64_t value = 0;
    if (!parse_int64(text, &value)) {
        fail(json, "expected an integer of 64 bits");
        return 0;
    }
    json->position += text.size;
    json->fresh = false;
    return value;
}

static void skip_number(struct weir_json *json)
{
    double value;
    struct weir_bytes text = number_text(json);
    if (weir_json_parse_double(text, &value) == WEIR_EMALFORMED) {
        fail(json, "a malformed number");
        return;
    }
    json->position += text.size;
    json->fresh = false;
}

static void skip_literal(struct weir_json *json, struct weir_bytes literal)
{
    struct weir_bytes rest = weir_bytes_of(json->position, (size_t)(json->end - json->position));
    if (!weir_bytes_starts_with(rest, literal)) {
        fail(json, "expected a value");
        return;
    }
    json->position += literal.size;
    json->fresh = false;
}

/* Takes a scalar whole, or enters a container. */
static void skip_step(struct weir_json *json)
{
    switch (weir_json_peek(json)) {
    case WEIR_JSON_OBJECT: begin(json, true); break;
    case WEIR_JSON_ARRAY: begin(json, false); break;
    case WEIR_JSON_STRING: (void)take_string(json, false); break;
    case WEIR_JSON_NUMBER: skip_number(json); break;
    case WEIR_JSON_TRUE: skip_literal(json, WEIR_BYTES("true")); break;
    case WEIR_JSON_FALSE: skip_literal(json, WEIR_BYTES("false")); break;
    case WEIR_JSON_NULL: skip_literal(json, WEIR_BYTES("null")); break;
    case WEIR_JSON_END: fail(json, "expected a value"); break;
    default: WEIR_UNREACHABLE();
    }
}

void weir_json_skip(struct weir_json *json)
{
    unsigned outside = json->depth;
    skip_step(json);
    while (json->depth > outside && json->error == NULL) {
        struct weir_bytes key;
        bool more = in_object(json) ? take_member(json, &key, false) : weir_json_element(json);
        if (more) {
            skip_step(json);
        }
    }
}

enum weir_status weir_json_finish(struct weir_json *json)
{
    if (json->error == NULL) {
        skip_space(json);
        if (json->depth > 0) {
            fail(json, "an object or array without its end");
        } else if (json->fresh) {
            fail(json, "expected a value");
        } else if (json->position < json->end) {
            fail(json, "expected nothing more");
        }
    }
    if (json->error == too_deep) {
        return WEIR_ELIMIT;
    }
    return json->error == NULL ? WEIR_OK : WEIR_EMALFORMED;
}
