/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of a dead-letter file, written and read. docs/formats/dead-letter.md has its fields.
 *
 *   write   { attemptsMade .. errorMessage .. | rawData: base64 | dataId | "weir": {..} } LF
 *
 *   read    strict JSON? ──yes──► fields ──► base64 in place ──► checks ──► line
 *               │ no
 *               └► mend: AWS prints errorMessage as it came, quotes and all
 *
 *   "errorMessage":"the endpoint said {"requestId": "1", "errorMessage": "no"}", "rawData":"…"
 *                   ^ begin           ^ quotes that were not escaped          ^ end?
 *
 * Where such a message ends cannot be known from the quote alone. Each place that looks like the
 * end, a quote, a comma and the name of a field that Firehose has, is tried, the first one first:
 * what lies before it is made harmless in place (quotes become ', backslashes /, controls a
 * space) and the whole line is looked at again. It is believed when it is strict JSON and no field
 * stands in it twice. So a backend that answers with `","rawData":"…"` to smuggle data of its own
 * into a replay fails: the line's true rawData follows, and two of them are none.
 *
 *   I1  nothing is unescaped before the whole line is known to be strict JSON: a try that failed
 *       has changed only bytes between begin and end
 *   I2  ENDS_MAX tries at most: a line costs O(size) each
 *   I3  `ret` is set once, at the end
 *
 * Pure: no clock, no log, no memory but the caller's. Any thread. It does not judge what the data
 * is, nor put parts together: weir/source.h does.
 */
#include "weir/letter.h"
#include "weir/base64.h"
#include "weir/clock.h"
#include "weir/json.h"
#include <inttypes.h>

enum { DEPTH = 16, ENDS_MAX = 64, TEXT_MAX = 64 << 10 };

static const char *const fields[] = {
    "attemptsMade", "arrivalTimestamp",  "errorCode", "errorMessage", "attemptEndingTimestamp",
    "rawData",      "subsequenceNumber", "dataId",    "weir"};
enum { FIELDS = sizeof fields / sizeof *fields };

/* The writer. */

static void put_text(struct weir_buf *out, const char *name, struct weir_bytes text)
{
    weir_buf_put(out, weir_bytes_str(name));
    weir_buf_put_json_string(out, text, 0);
}

/* All before the data. */
static void put_head(struct weir_buf *out, const struct weir_letter_line *line)
{
    weir_buf_printf(out, "{\"attemptsMade\":%" PRIu32 ",\"arrivalTimestamp\":%" PRId64,
                    line->attempts, line->arrival_wall_ns / WEIR_NS_PER_MS);
    weir_buf_put(out, WEIR_BYTES(",\"errorCode\":\"Weir."));
    for (size_t i = 0; i < line->reason.size; i++) {
        uint8_t letter = line->reason.data[i];
        bool plain = (letter | 32) >= 'a' && (letter | 32) <= 'z';
        weir_buf_put_byte(out, plain ? letter : '_'); /* a name, whatever the reason's text */
    }
    put_text(out, "\",\"errorMessage\":", line->message);
    weir_buf_printf(out, ",\"attemptEndingTimestamp\":%" PRId64 ",\"rawData\":\"",
                    line->ending_wall_ns / WEIR_NS_PER_MS);
}

/* All behind it. */
static void put_tail(struct weir_buf *out, const struct weir_letter_line *line)
{
    put_text(out, "\",\"dataId\":", line->request_id);
    put_text(out, ",\"weir\":{\"destination\":", line->destination);
    put_text(out, ",\"reason\":", line->reason);
    put_text(out, ",\"requestId\":", line->request_id);
    put_text(out, ",\"stream\":", line->stream);
    weir_buf_printf(out, ",\"part\":%" PRIu32 ",\"parts\":%" PRIu32, line->part,
                    line->parts == 0 ? 1 : line->parts);
    if (line->whole_body || line->gzip_body) {
        weir_buf_put(out, WEIR_BYTES(",\"body\":true"));
    }
    if (line->gzip_body) {
        weir_buf_put(out, WEIR_BYTES(",\"gzip\":true"));
    }
    weir_buf_put(out, WEIR_BYTES("}}\n"));
}

void weir_letter_write(struct weir_buf *out, const struct weir_letter_line *line)
{
    size_t encoded = weir_base64_encoded_size(line->data.size);
    put_head(out, line);
    uint8_t *at = encoded == 0 ? NULL : weir_buf_reserve(out, encoded);
    if (at != NULL) {
        weir_base64_encode(line->data, at);
        out->size += encoded;
    }
    put_tail(out, line);
}

size_t weir_letter_size(const struct weir_letter_line *line)
{
    struct weir_buf text = weir_buf_grow_init((size_t)16 << 20);
    put_head(&text, line);
    put_tail(&text, line);
    size_t size = text.failed ? 0 : text.size + weir_base64_encoded_size(line->data.size);
    weir_buf_done(&text);
    return size;
}

/* The reader. */

struct reading {
    struct weir_letter_line line;
    uint32_t seen; /* bit i: fields[i] */
    struct weir_bytes raw;
    struct weir_bytes data_id, code;
    bool has_request_id, twice;
};

static int field_of(struct weir_bytes key)
{
    for (int i = 0; i < FIELDS; i++) {
        if (weir_bytes_eq(key, weir_bytes_str(fields[i]))) {
            return i;
        }
    }
    return -1;
}

/* Notes a key: its number, or -1 for one of no interest. Twice is damage. */
static int note_field(struct weir_bytes key, uint32_t *seen, bool *twice)
{
    int field = field_of(key);
    if (field >= 0) {
        uint32_t bit = UINT32_C(1) << field;
        *twice = *twice || (*seen & bit) != 0;
        *seen |= bit;
    }
    return field;
}

/* Whether the line is strict JSON and an object. Changes nothing. */
static bool is_strict(uint8_t *text, size_t size)
{
    struct weir_json json;
    weir_json_init(&json, text, size, DEPTH);
    if (weir_json_peek(&json) != WEIR_JSON_OBJECT) {
        return false;
    }
    weir_json_skip(&json);
    return weir_json_finish(&json) == WEIR_OK;
}

static int64_t read_number(struct weir_json *json)
{
    if (weir_json_peek(json) != WEIR_JSON_NUMBER) {
        weir_json_skip(json);
        return 0;
    }
    double value = weir_json_double(json); /* also 3.0, and 1e12 */
    return value > -9e15 && value < 9e15 ? (int64_t)value : 0;
}

static struct weir_bytes read_text(struct weir_json *json)
{
    if (weir_json_peek(json) != WEIR_JSON_STRING) {
        weir_json_skip(json);
        return (struct weir_bytes){NULL, 0};
    }
    return weir_json_string(json);
}

static bool read_bool(struct weir_json *json)
{
    bool value = weir_json_peek(json) == WEIR_JSON_TRUE;
    weir_json_skip(json);
    return value;
}

static uint32_t clamp_u32(int64_t value)
{
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int64_t ms_to_ns(int64_t ms)
{
    int64_t ns;
    return __builtin_mul_overflow(ms, WEIR_NS_PER_MS, &ns) ? 0 : ns;
}

static const char *const ours[] = {"destination", "reason", "requestId", "stream",
                                   "part",        "parts",  "body",      "gzip"};
enum { OURS = sizeof ours / sizeof *ours };

static int our_field_of(struct weir_bytes key)
{
    for (int i = 0; i < OURS; i++) {
        if (weir_bytes_eq(key, weir_bytes_str(ours[i]))) {
            return i;
        }
    }
    return -1;
}

static void read_our_field(struct weir_json *json, int field, struct reading *reading)
{
    struct weir_letter_line *line = &reading->line;
    switch (field) {
    case 0: line->destination = read_text(json); break;
    case 1: line->reason = read_text(json); break;
    case 2:
        line->request_id = read_text(json);
        reading->has_request_id = true;
        break;
    case 3: line->stream = read_text(json); break;
    case 4: line->part = clamp_u32(read_number(json)); break;
    case 5: line->parts = clamp_u32(read_number(json)); break;
    case 6: line->whole_body = read_bool(json); break;
    case 7: line->gzip_body = read_bool(json); break;
    default: weir_json_skip(json); break;
    }
}

static void read_ours(struct weir_json *json, struct reading *reading)
{
    struct weir_bytes key;
    uint32_t seen = 0;
    if (weir_json_peek(json) != WEIR_JSON_OBJECT) {
        weir_json_skip(json);
        return;
    }
    weir_json_object_begin(json);
    while (weir_json_member(json, &key)) {
        int field = our_field_of(key);
        uint32_t bit = field < 0 ? 0 : UINT32_C(1) << field;
        reading->twice = reading->twice || (seen & bit) != 0;
        seen |= bit;
        read_our_field(json, field, reading);
    }
}

static void read_field(struct weir_json *json, int field, struct reading *reading)
{
    struct weir_letter_line *line = &reading->line;
    switch (field) {
    case 0: line->attempts = clamp_u32(read_number(json)); break;
    case 1: line->arrival_wall_ns = ms_to_ns(read_number(json)); break;
    case 2: reading->code = read_text(json); break;
    case 3: line->message = read_text(json); break;
    case 4: line->ending_wall_ns = ms_to_ns(read_number(json)); break;
    case 5: reading->raw = weir_json_base64(json); break;
    case 7: reading->data_id = read_text(json); break;
    case 8: read_ours(json, reading); break;
    default: weir_json_skip(json); break;
    }
}

/* All fields of a line that is strict JSON. */
static const char *read_fields(uint8_t *text, size_t size, struct reading *reading)
{
    struct weir_json json;
    struct weir_bytes key;
    weir_json_init(&json, text, size, DEPTH);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        read_field(&json, note_field(key, &reading->seen, &reading->twice), reading);
    }
    if (weir_json_finish(&json) != WEIR_OK) {
        return json.error == NULL ? "not JSON" : json.error;
    }
    if (reading->twice) {
        return "a field stands in it twice";
    }
    return (reading->seen & (1U << 5)) == 0 ? "no rawData in it" : NULL;
}

/* Whether the line is strict JSON with rawData, and no field stands in it twice. Changes nothing
 * but keys that hold escapes, which the message of a good line has none of. */
static bool is_unambiguous(uint8_t *text, size_t size)
{
    struct weir_json json;
    struct weir_bytes key;
    uint32_t seen = 0;
    bool twice = false;
    weir_json_init(&json, text, size, DEPTH);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        (void)note_field(key, &seen, &twice);
        weir_json_skip(&json);
    }
    return weir_json_finish(&json) == WEIR_OK && !twice && (seen & (1U << 5)) != 0;
}

/* Makes what stood in a message harmless for JSON, in place. */
static void soften(uint8_t *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        size_t length = weir_bytes_utf8_length(weir_bytes_of(text + at, size - at));
        uint8_t byte = text[at];
        text[at] = byte == '"'    ? '\''
                   : byte == '\\' ? '/'
                   : byte < 0x20  ? ' '
                   : length == 0  ? '?'
                                  : byte;
        at += length == 0 ? 1 : length;
    }
}

static size_t skip_space(struct weir_bytes text, size_t at)
{
    while (at < text.size && (text.data[at] == ' ' || text.data[at] == '\t' ||
                              text.data[at] == '\n' || text.data[at] == '\r')) {
        at++;
    }
    return at;
}

/* Whether `rest` is a quote, a comma, and a field's name, or a quote and the end of all: where a
 * message may end. */
static bool is_end(struct weir_bytes rest)
{
    size_t at = skip_space(rest, 1);
    if (at >= rest.size || rest.data[at] != ',') {
        return at < rest.size && rest.data[at] == '}' && skip_space(rest, at + 1) == rest.size;
    }
    at = skip_space(rest, at + 1);
    if (at >= rest.size || rest.data[at] != '"') {
        return false;
    }
    struct weir_bytes name = weir_bytes_from(rest, at + 1);
    for (int i = 0; i < FIELDS; i++) {
        size_t size = strlen(fields[i]);
        if (name.size > size && name.data[size] == '"' &&
            weir_bytes_starts_with(name, weir_bytes_str(fields[i]))) {
            return true;
        }
    }
    return false;
}

/* Where the value of errorMessage begins; 0: nowhere. */
static size_t message_begin(struct weir_bytes text)
{
    const uint8_t *key = memmem(text.data, text.size, "\"errorMessage\"", 14);
    size_t at = key == NULL ? text.size : (size_t)(key - text.data) + 14;
    while (at < text.size && (text.data[at] == ' ' || text.data[at] == ':')) {
        at++;
    }
    return at < text.size && text.data[at] == '"' ? at + 1 : 0;
}

/* Mends a line whose message is not escaped; false where that leads nowhere. */
static bool mend(uint8_t *text, size_t size)
{
    size_t begin = message_begin(weir_bytes_of(text, size));
    unsigned tries = 0;
    if (begin == 0) {
        return false;
    }
    for (size_t at = begin; at < size && at - begin <= TEXT_MAX && tries < ENDS_MAX; at++) {
        if (text[at] != '"' || !is_end(weir_bytes_of(text + at, size - at))) {
            continue;
        }
        tries++;
        soften(text + begin, at - begin);
        if (is_unambiguous(text, size)) {
            return true;
        }
    }
    return false;
}

/* What stands for what is not there. */
static const char *settle(struct reading *reading, size_t data_size)
{
    struct weir_letter_line *line = &reading->line;
    line->data = weir_bytes_of(reading->raw.data, data_size);
    line->parts = line->parts == 0 ? 1 : line->parts;
    line->whole_body = line->whole_body || line->gzip_body;
    if (line->reason.size == 0) {
        line->reason = reading->code;
    }
    if (!reading->has_request_id) {
        line->request_id = reading->data_id;
    }
    if (line->parts > WEIR_LETTER_PARTS_MAX || line->part >= line->parts) {
        return "it is a part that cannot be";
    }
    return NULL;
}

static const char *read_line(uint8_t *text, size_t size, struct reading *reading)
{
    if (!is_strict(text, size) && !mend(text, size)) {
        return "not a JSON object";
    }
    const char *wrong = read_fields(text, size, reading);
    if (wrong != NULL) {
        return wrong;
    }
    size_t data_size = 0;
    uint8_t *raw = reading->raw.size == 0 ? text : text + (reading->raw.data - text);
    if (weir_base64_decode_in_place(raw, reading->raw.size, &data_size) != WEIR_OK) {
        return "rawData is not base64";
    }
    return settle(reading, data_size);
}

enum weir_status weir_letter_read(uint8_t *text, size_t size, struct weir_letter_line *ret,
                                  const char **ret_error)
{
    struct reading reading = {.line = {.parts = 0}};
    const char *wrong = read_line(text, size, &reading);
    if (wrong != NULL) {
        *ret_error = wrong;
        return WEIR_EMALFORMED;
    }
    *ret = reading.line;
    return WEIR_OK;
}
