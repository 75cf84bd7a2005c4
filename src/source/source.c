/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files as pieces: what they are, where a piece ends, parts put together.
 *
 *   data ─► kind ─► letters: line ─► line ─► line     (in place: text is decoded over itself)
 *                            part 0, 1, .. n-1 of one thing ─► joined
 *                   lines:   [ line line line | line line | one very long line | .. ]
 *                   OTLP:    [ len message len message | len message | .. ]
 *                   body:    all of it
 *
 * A line is decoded over itself, so it can be read once. The first line that does not go on what is
 * being put together is therefore held, as values, for the next call.
 *
 *   begin ──part 0 of n──► joining ──part i+1──► joining ──part n-1──► an item
 *     │ (join)                │ (go_on)  another line: held, and "a part is missing"
 *     └──part i > 0──► "its beginning is missing"
 *
 *   I1  position moves forward at every call, so a file of n bytes ends after n calls at most
 *   I2  a piece is at most RECORD_MAX bytes but for what letters hold
 *   I3  what is put together is at most JOINED_MAX bytes: a bound for what a file may claim
 *
 * The identity is no cryptographic hash: who can choose a file's content can make two files look
 * like one, and then lose a repetition's protection, not data: ids are compared with content.
 *
 * Pure but for weir_source_read. One thread.
 */
#include "weir/source.h"
#include "weir/json.h"
#include "weir/pb.h"
#include "weir/record.h"

#define RECORD_MAX ((size_t)1024000)
#define JOINED_MAX ((size_t)512 << 20)
enum { DEPTH = 32 };

/* Whether the first JSON value is an object with this key. */
static bool has_key(uint8_t *data, size_t size, struct weir_bytes wanted)
{
    struct weir_json json;
    struct weir_bytes key;
    weir_json_init(&json, data, size, DEPTH);
    if (weir_json_peek(&json) != WEIR_JSON_OBJECT) {
        return false;
    }
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        if (weir_bytes_eq(key, wanted)) {
            return true;
        }
        weir_json_skip(&json);
    }
    return false;
}

static size_t line_end(const uint8_t *data, size_t from, size_t size)
{
    const uint8_t *end = memchr(data + from, '\n', size - from);
    return end == NULL ? size : (size_t)(end - data);
}

static size_t skip_space(const uint8_t *data, size_t from, size_t size)
{
    while (from < size &&
           (data[from] == '\n' || data[from] == '\r' || data[from] == ' ' || data[from] == '\t')) {
        from++;
    }
    return from;
}

/* Where the letter at `from` ends: with its line, or, where that is a brace alone, with the line
 * that begins with the other one: AWS's manual prints it so, and people paste. */
static size_t letter_end(const uint8_t *data, size_t from, size_t size)
{
    size_t end = line_end(data, from, size);
    if (from == size || skip_space(data, from + 1, size) <= end) {
        return end;
    }
    const uint8_t *brace = memmem(data + from, size - from, "\n}", 2);
    return brace == NULL ? end : line_end(data, (size_t)(brace - data) + 1, size);
}

/* A line of letters; AWS's may be no JSON, for its message. */
static bool is_letter(uint8_t *line, size_t size)
{
    return has_key(line, size, WEIR_BYTES("rawData")) ||
           (memmem(line, size, "\"rawData\"", 9) != NULL &&
            memmem(line, size, "\"errorMessage\"", 14) != NULL &&
            !has_key(line, size, WEIR_BYTES("metric_name")));
}

static enum weir_source_kind sniff(uint8_t *data, size_t size)
{
    enum weir_record_format format = weir_record_sniff(weir_bytes_of(data, size));
    size_t begin = skip_space(data, 0, size);
    if (format == WEIR_RECORD_EMPTY) {
        return WEIR_SOURCE_EMPTY;
    }
    if (begin < size && data[begin] == '{') { /* also what a record's sniffing takes for OTLP */
        if (is_letter(data + begin, letter_end(data, begin, size) - begin)) {
            return WEIR_SOURCE_LETTERS;
        }
        if (has_key(data, size, WEIR_BYTES("records"))) {
            return WEIR_SOURCE_BODY;
        }
    }
    return format == WEIR_RECORD_JSON ? WEIR_SOURCE_LINES : WEIR_SOURCE_OTLP;
}

void weir_source_init(struct weir_source *source, uint8_t *data, size_t size, size_t offset)
{
    *source = (struct weir_source){.kind = sniff(data, size),
                                   .data = data,
                                   .size = size,
                                   .position = offset > size ? size : offset,
                                   .joined = weir_buf_grow_init(JOINED_MAX)};
}

void weir_source_done(struct weir_source *source)
{
    weir_buf_done(&source->joined);
}

static enum weir_status damaged(struct weir_source *source, size_t offset, const char *error)
{
    source->error = error;
    source->error_offset = offset;
    return WEIR_EMALFORMED;
}

/* Letters. */

/* Reads the next line that is not blank into `held`. */
static enum weir_status hold_line(struct weir_source *source)
{
    size_t begin = skip_space(source->data, source->position, source->size);
    if (begin == source->size) {
        source->position = source->size;
        return WEIR_EEND;
    }
    size_t end = letter_end(source->data, begin, source->size);
    const char *error = NULL;
    enum weir_status status =
        weir_letter_read(source->data + begin, end - begin, &source->held, &error);
    if (status != WEIR_OK && end == source->size) {
        source->error = "the last line is not whole; is somebody still writing it?";
        source->error_offset = begin;
        source->size = begin;
        source->position = begin;
        return WEIR_EAGAIN;
    }
    source->position = end == source->size ? end : end + 1;
    if (status != WEIR_OK) {
        return damaged(source, begin, error);
    }
    source->holds = true;
    source->held_offset = begin;
    return WEIR_OK;
}

static void give_line(const struct weir_letter_line *line, struct weir_source_item *ret)
{
    ret->data = line->data;
    ret->whole_body = line->whole_body;
    ret->gzip = line->gzip_body;
    ret->destination = line->destination;
    ret->reason = line->reason;
    ret->message = line->message;
    ret->request_id = line->request_id;
    ret->stream = line->stream;
}

/* Whether the held line is part number `part` of the same thing. */
static bool goes_on(const struct weir_source *source, const struct weir_letter_line *first,
                    uint32_t part)
{
    const struct weir_letter_line *held = &source->held;
    return held->part == part && held->parts == first->parts &&
           held->whole_body == first->whole_body &&
           weir_bytes_eq(held->request_id, first->request_id) &&
           weir_bytes_eq(held->destination, first->destination);
}

/* Puts parts 1 .. n-1 behind part 0. */
static enum weir_status join(struct weir_source *source, const struct weir_letter_line *first,
                             size_t offset)
{
    source->joined.size = 0;
    source->joined.failed = false;
    weir_buf_put(&source->joined, first->data);
    for (uint32_t part = 1; part < first->parts; part++) {
        enum weir_status status = hold_line(source);
        if (status == WEIR_EAGAIN) {
            source->position = offset; /* all of it again, when the rest is there */
            source->size = offset;
            source->error_offset = offset;
            return WEIR_EAGAIN;
        }
        if (status == WEIR_EMALFORMED) {
            return WEIR_EMALFORMED;
        }
        if (status == WEIR_EEND || !goes_on(source, first, part)) {
            return damaged(source, offset, "a part of it is missing");
        }
        source->holds = false;
        weir_buf_put(&source->joined, source->held.data);
    }
    return source->joined.failed ? WEIR_ENOMEM : WEIR_OK;
}

static enum weir_status next_letter(struct weir_source *source, struct weir_source_item *ret)
{
    if (!source->holds) {
        WEIR_TRY(hold_line(source));
    }
    struct weir_letter_line first = source->held;
    struct weir_source_item item = {.offset = source->held_offset};
    source->holds = false;
    if (first.part > 0) {
        return damaged(source, item.offset, "a part whose beginning is missing");
    }
    give_line(&first, &item);
    if (first.parts > 1) {
        WEIR_TRY(join(source, &first, item.offset));
        item.data = weir_buf_view(&source->joined);
    }
    item.end = source->position;
    *ret = item;
    return WEIR_OK;
}

/* Lines, messages, a body. */

static enum weir_status give_range(struct weir_source *source, size_t end,
                                   struct weir_source_item *ret)
{
    size_t begin = source->position;
    source->position = end;
    *ret = (struct weir_source_item){.data = weir_bytes_of(source->data + begin, end - begin),
                                     .whole_body = source->kind == WEIR_SOURCE_BODY,
                                     .offset = begin,
                                     .end = end};
    return WEIR_OK;
}

static enum weir_status next_lines(struct weir_source *source, struct weir_source_item *ret)
{
    const uint8_t *begin = source->data + source->position;
    size_t left = source->size - source->position;
    size_t size = left;
    if (left > WEIR_SOURCE_PIECE) {
        const uint8_t *end = memrchr(begin, '\n', WEIR_SOURCE_PIECE);
        size = end != NULL ? (size_t)(end - begin) : line_end(begin, 0, left);
        size += size < left ? 1 : 0;
    }
    if (size > RECORD_MAX) {
        size_t offset = source->position;
        source->position += size;
        return damaged(source, offset, "a line longer than 1,024,000 bytes");
    }
    return give_range(source, source->position + size, ret);
}

/* The end of the message at `from`; 0: it is not whole, or its length is none. */
static size_t message_end(const struct weir_source *source, size_t from)
{
    struct weir_cursor cursor =
        weir_cursor_of(weir_bytes_of(source->data + from, source->size - from));
    uint64_t length = weir_pb_varint(&cursor);
    if (cursor.failed || length > weir_cursor_left(&cursor)) {
        return 0;
    }
    return source->size - weir_cursor_left(&cursor) + (size_t)length;
}

static enum weir_status next_messages(struct weir_source *source, struct weir_source_item *ret)
{
    size_t begin = source->position;
    size_t end = begin;
    while (end < source->size) {
        size_t next = message_end(source, end);
        if (next == 0 || (end > begin && next - begin > WEIR_SOURCE_PIECE)) {
            break;
        }
        end = next;
    }
    if (end == begin) {
        source->position = source->size;
        return damaged(source, begin, "neither JSON nor delimited OTLP messages");
    }
    if (end - begin > RECORD_MAX) {
        source->position = end;
        return damaged(source, begin, "a message longer than 1,024,000 bytes");
    }
    return give_range(source, end, ret);
}

enum weir_status weir_source_next(struct weir_source *source, struct weir_source_item *ret)
{
    if (source->position == source->size && !source->holds) {
        return WEIR_EEND;
    }
    switch (source->kind) {
    case WEIR_SOURCE_LETTERS: return next_letter(source, ret);
    case WEIR_SOURCE_LINES: return next_lines(source, ret);
    case WEIR_SOURCE_OTLP: return next_messages(source, ret);
    case WEIR_SOURCE_BODY: return give_range(source, source->size, ret);
    case WEIR_SOURCE_EMPTY: break;
    }
    source->position = source->size;
    return WEIR_EEND;
}

/* Identity. */

static uint64_t word_at(const uint8_t *data, size_t size)
{
    uint64_t word = 0;
    for (size_t i = 0; i < 8 && i < size; i++) {
        word |= (uint64_t)data[i] << (8 * i);
    }
    return word;
}

static uint64_t mix(uint64_t state, uint64_t word, uint64_t factor)
{
    state = (state ^ word) * factor;
    return state ^ (state >> 29);
}

struct weir_source_id weir_source_identify(const struct weir_source *source)
{
    uint64_t one = UINT64_C(0x243f6a8885a308d3);
    uint64_t two = UINT64_C(0x13198a2e03707344);
    size_t size = source->size;
    if (source->kind == WEIR_SOURCE_LETTERS) {
        size_t begin = skip_space(source->data, 0, size);
        size = letter_end(source->data, begin, size);
    }
    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = word_at(source->data + at, size - at);
        one = mix(one, word, UINT64_C(0xff51afd7ed558ccd));
        two = mix(two, word, UINT64_C(0xc4ceb9fe1a85ec53));
    }
    one = mix(one, size, UINT64_C(0x9e3779b97f4a7c15));
    two = mix(two, size, UINT64_C(0xbf58476d1ce4e5b9));
    return (struct weir_source_id){{one, mix(two, one, UINT64_C(0x94d049bb133111eb))}};
}
