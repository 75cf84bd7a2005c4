/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints an encoded request as OTLP/JSON, straight from the wire format and the tables of
 * otlp_schema.c.
 *
 *   wire     | f2 | f7 | f7 | f3 | f9? | f7 |         fields as they come, repeated ones scattered
 *   table      attributes 7[] · startTimeUnixNano 2 · timeUnixNano 3
 *   JSON     {"attributes":[..,..,..],"startTimeUnixNano":"..","timeUnixNano":".."}
 *
 * JSON wants a repeated field in one place, the wire does not promise that, so a message is walked
 * once for each field of its table. That costs the number of fields in the table (at most 14) and
 * no memory.
 *
 *   I1  what is appended is one JSON value, on one line, or nothing (size is set back on failure)
 *   I2  a field is printed at most once in its object; of a oneof, the last on the wire
 *   I3  messages nest at most DEPTH_MAX deep; deeper input is malformed
 *
 * Recursion, against the rule: it follows the nesting of messages and is bounded by I3. A singular
 * message that comes in several pieces is the concatenation of the pieces (protobuf's merge rule);
 * only that rare case copies. Unknown fields are left out, wrong wire types and bad lengths are
 * malformed; a string that is not UTF-8 is printed with replacement characters. Pure.
 */
#include "weir/otlp_json.h"
#include "otlp_schema.h"
#include "weir/base64.h"
#include "weir/pb.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Seven messages down to an attribute's value; then three a level of values, 16 of which are
 * accepted. */
#define DEPTH_MAX 64

struct printer {
    struct weir_buf *out;
    bool malformed;
};

static void put_message(struct printer *printer, const struct otlp_message *type,
                        struct weir_bytes message, unsigned depth);

static void put_text(struct printer *printer, const char *text)
{
    weir_buf_put(printer->out, weir_bytes_str(text));
}

/* The shortest of 15, 16 or 17 digits that reads back the same. The process never
 * calls setlocale. */
static void put_double(struct printer *printer, double value)
{
    char text[32];
    if (isnan(value)) {
        put_text(printer, "\"NaN\"");
        return;
    }
    if (isinf(value)) {
        put_text(printer, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        double again = strtod(text, NULL);
        if (memcmp(&again, &value, sizeof(value)) == 0) {
            break;
        }
    }
    put_text(printer, text);
}

static void put_hex(struct printer *printer, struct weir_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *at = weir_buf_reserve(printer->out, 2 * bytes.size + 2);
    if (at == NULL) {
        return;
    }
    *at++ = '"';
    for (size_t i = 0; i < bytes.size; i++) {
        *at++ = (uint8_t)digits[bytes.data[i] >> 4];
        *at++ = (uint8_t)digits[bytes.data[i] & 0xF];
    }
    *at = '"';
    printer->out->size += 2 * bytes.size + 2;
}

static void put_base64(struct printer *printer, struct weir_bytes bytes)
{
    size_t size = weir_base64_encoded_size(bytes.size);
    uint8_t *at = weir_buf_reserve(printer->out, size + 2);
    if (at == NULL) {
        return;
    }
    at[0] = '"';
    weir_base64_encode(bytes, at + 1);
    at[size + 1] = '"';
    printer->out->size += size + 2;
}

/* The wire type of one value of this kind. */
static enum weir_pb_type wire_type(enum otlp_kind kind)
{
    switch (kind) {
    case OTLP_BOOL:
    case OTLP_NUMBER32:
    case OTLP_SINT32:
    case OTLP_INT64:
    case OTLP_UINT64: return WEIR_PB_VARINT;
    case OTLP_FIXED64:
    case OTLP_SFIXED64:
    case OTLP_DOUBLE: return WEIR_PB_FIXED64;
    case OTLP_STRING:
    case OTLP_HEX:
    case OTLP_BASE64:
    case OTLP_MESSAGE:
    default: return WEIR_PB_BYTES;
    }
}

/* A varint or a fixed64, by its kind. */
static void put_scalar(struct printer *printer, enum otlp_kind kind, uint64_t value)
{
    uint32_t low = (uint32_t)value;
    switch (kind) {
    case OTLP_BOOL: put_text(printer, value != 0 ? "true" : "false"); break;
    case OTLP_NUMBER32: weir_buf_printf(printer->out, "%" PRIu32, low); break;
    case OTLP_SINT32:
        weir_buf_printf(printer->out, "%" PRId32, (int32_t)(low >> 1 ^ (0 - (low & 1))));
        break;
    case OTLP_INT64:
    case OTLP_SFIXED64: weir_buf_printf(printer->out, "\"%" PRId64 "\"", (int64_t)value); break;
    case OTLP_UINT64:
    case OTLP_FIXED64: weir_buf_printf(printer->out, "\"%" PRIu64 "\"", value); break;
    case OTLP_DOUBLE: put_double(printer, weir_pb_double(value)); break;
    case OTLP_STRING:
    case OTLP_HEX:
    case OTLP_BASE64:
    case OTLP_MESSAGE:
    default: printer->malformed = true; break;
    }
}

static void put_value(struct printer *printer, const struct otlp_field *entry,
                      const struct weir_pb_field *field, unsigned depth)
{
    if (field->type != wire_type(entry->kind)) {
        printer->malformed = true;
        return;
    }
    switch (entry->kind) {
    case OTLP_STRING: weir_buf_put_json_string(printer->out, field->bytes, 0); break;
    case OTLP_HEX: put_hex(printer, field->bytes); break;
    case OTLP_BASE64: put_base64(printer, field->bytes); break;
    case OTLP_MESSAGE: put_message(printer, entry->message, field->bytes, depth); break;
    case OTLP_BOOL:
    case OTLP_NUMBER32:
    case OTLP_SINT32:
    case OTLP_INT64:
    case OTLP_UINT64:
    case OTLP_FIXED64:
    case OTLP_SFIXED64:
    case OTLP_DOUBLE:
    default: put_scalar(printer, entry->kind, field->value); break;
    }
}

static void put_key(struct printer *printer, const char *name, bool *first)
{
    weir_buf_printf(printer->out, *first ? "\"%s\":" : ",\"%s\":", name);
    *first = false;
}

/* Packed scalars, each after a comma but the first of the array. */
static void put_packed(struct printer *printer, const struct otlp_field *entry,
                       struct weir_bytes packed, size_t *count)
{
    struct weir_cursor cursor = weir_cursor_of(packed);
    while (weir_cursor_left(&cursor) > 0 && !cursor.failed) {
        uint64_t value = wire_type(entry->kind) == WEIR_PB_VARINT ? weir_pb_varint(&cursor)
                                                                  : weir_cursor_u64le(&cursor);
        put_text(printer, (*count)++ == 0 ? "" : ",");
        put_scalar(printer, entry->kind, value);
    }
    printer->malformed |= cursor.failed;
}

static void put_repeated(struct printer *printer, const struct otlp_field *entry,
                         struct weir_bytes message, unsigned depth, bool *first)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    bool opened = false;
    size_t count = 0;
    while (!printer->malformed && weir_pb_next(&cursor, &field)) {
        if (field.number != entry->number) {
            continue;
        }
        if (!opened) {
            put_key(printer, entry->name, first);
            put_text(printer, "[");
            opened = true;
        }
        if (field.type == WEIR_PB_BYTES && wire_type(entry->kind) != WEIR_PB_BYTES) {
            put_packed(printer, entry, field.bytes, &count);
            continue;
        }
        put_text(printer, count++ == 0 ? "" : ",");
        put_value(printer, entry, &field, depth);
    }
    put_text(printer, opened ? "]" : "");
}

/* A message in several pieces: their concatenation, in memory of its own. */
static void put_merged(struct printer *printer, const struct otlp_field *entry,
                       struct weir_bytes message, unsigned depth)
{
    struct weir_buf whole = weir_buf_grow_init(message.size);
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == entry->number && field.type == WEIR_PB_BYTES) {
            weir_buf_put(&whole, field.bytes);
        }
    }
    if (whole.failed) {
        printer->out->failed = true;
    } else {
        put_message(printer, entry->message, weir_buf_view(&whole), depth);
    }
    weir_buf_done(&whole);
}

static void put_singular(struct printer *printer, const struct otlp_field *entry,
                         struct weir_bytes message, unsigned depth, bool *first)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    struct weir_pb_field last = {.type = wire_type(entry->kind)};
    size_t count = 0;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == entry->number) {
            printer->malformed |= field.type != last.type;
            last = field;
            count++;
        }
    }
    if (count == 0 && (entry->flags & OTLP_ALWAYS) == 0) {
        return;
    }
    put_key(printer, entry->name, first);
    if (count > 1 && entry->kind == OTLP_MESSAGE) {
        put_merged(printer, entry, message, depth);
    } else {
        put_value(printer, entry, &last, depth);
    }
}

static const struct otlp_field *find_field(const struct otlp_message *type, uint32_t number)
{
    for (size_t i = 0; i < type->count; i++) {
        if (type->fields[i].number == number) {
            return &type->fields[i];
        }
    }
    return NULL;
}

/* The last oneof field on the wire, or NULL. Walks the message whole, so it also finds it
 * malformed. */
static const struct otlp_field *chosen_of(struct printer *printer, const struct otlp_message *type,
                                          struct weir_bytes message)
{
    const struct otlp_field *chosen = NULL;
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        const struct otlp_field *entry = find_field(type, field.number);
        if (entry != NULL && (entry->flags & OTLP_ONEOF) != 0) {
            chosen = entry;
        }
    }
    printer->malformed |= cursor.failed;
    return chosen;
}

static void put_message(struct printer *printer, const struct otlp_message *type,
                        struct weir_bytes message, unsigned depth)
{
    const struct otlp_field *chosen = chosen_of(printer, type, message);
    printer->malformed |= depth == 0;
    bool first = true;
    put_text(printer, "{");
    for (size_t i = 0; i < type->count && !printer->malformed; i++) {
        const struct otlp_field *entry = &type->fields[i];
        if ((entry->flags & OTLP_ONEOF) != 0 && entry != chosen) {
            continue;
        }
        if ((entry->flags & OTLP_REPEATED) != 0) {
            put_repeated(printer, entry, message, depth - 1, &first);
        } else {
            put_singular(printer, entry, message, depth - 1, &first);
        }
    }
    put_text(printer, "}");
}

enum weir_status weir_otlp_json(struct weir_bytes request, struct weir_buf *out)
{
    struct printer printer = {out, false};
    size_t before = out->size;
    put_message(&printer, &weir_otlp_schema_request, request, DEPTH_MAX);
    if (printer.malformed || out->failed) {
        out->size = before;
        return printer.malformed ? WEIR_EMALFORMED : WEIR_ENOMEM;
    }
    return WEIR_OK;
}
