/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP/JSON by a table of what each message has: name, field number, kind of value. The mapping is
 * ProtoJSON's with OTLP's changes: lowerCamelCase names, 64-bit integers as text, enums as numbers.
 *
 *   { "unit" : "s", ... }  ─►  tag length 's'          message  ─►  tag, room for a length, content
 *                                                                        └──── put in at its end
 *
 *   I1  what is not in the tables is malformed: nobody sends it
 *   I2  the depth is bounded by the JSON reader's, and with it the recursion here
 *
 * Lengths are varints of LENGTH_SIZE bytes whatever they say, which protobuf allows, so nothing has
 * to be moved. Names that come twice give fields that come twice, which the reader of protobuf
 * minds.
 */
#include "sink/otlp_json.h"
#include "weir/json.h"
#include "weir/pbw.h"

enum { DEPTH_MAX = 32, LENGTH_SIZE = 5 };

enum value {
    TEXT,
    WIDE, /* 64 bits, as text */
    DOUBLE,
    NUMBER, /* an enum */
    MESSAGE,
    MESSAGES
};

struct field {
    const char *name; /* NULL: no more */
    uint32_t number;
    enum value value;
    const struct field *fields; /* of MESSAGE and MESSAGES */
};

static const struct field any_value[3];
static const struct field key_value[] = {
    {"key", 1, TEXT, NULL}, {"value", 2, MESSAGE, any_value}, {NULL, 0, TEXT, NULL}};
static const struct field list[] = {{"values", 1, MESSAGES, key_value}, {NULL, 0, TEXT, NULL}};
static const struct field any_value[3] = {
    {"stringValue", 1, TEXT, NULL}, {"kvlistValue", 6, MESSAGE, list}, {NULL, 0, TEXT, NULL}};
static const struct field number_point[] = {
    {"startTimeUnixNano", 2, WIDE, NULL},   {"timeUnixNano", 3, WIDE, NULL},
    {"asDouble", 4, DOUBLE, NULL},          {"asInt", 6, WIDE, NULL},
    {"attributes", 7, MESSAGES, key_value}, {NULL, 0, TEXT, NULL}};
static const struct field quantile[] = {
    {"quantile", 1, DOUBLE, NULL}, {"value", 2, DOUBLE, NULL}, {NULL, 0, TEXT, NULL}};
static const struct field summary_point[] = {{"startTimeUnixNano", 2, WIDE, NULL},
                                             {"timeUnixNano", 3, WIDE, NULL},
                                             {"count", 4, WIDE, NULL},
                                             {"sum", 5, DOUBLE, NULL},
                                             {"quantileValues", 6, MESSAGES, quantile},
                                             {"attributes", 7, MESSAGES, key_value},
                                             {NULL, 0, TEXT, NULL}};
static const struct field histogram_point[] = {{"attributes", 1, MESSAGES, key_value},
                                               {"startTimeUnixNano", 2, WIDE, NULL},
                                               {"timeUnixNano", 3, WIDE, NULL},
                                               {"count", 4, WIDE, NULL},
                                               {"sum", 5, DOUBLE, NULL},
                                               {"zeroCount", 7, WIDE, NULL},
                                               {"min", 12, DOUBLE, NULL},
                                               {"max", 13, DOUBLE, NULL},
                                               {"zeroThreshold", 14, DOUBLE, NULL},
                                               {NULL, 0, TEXT, NULL}};
static const struct field gauge[] = {{"dataPoints", 1, MESSAGES, number_point},
                                     {NULL, 0, TEXT, NULL}};
static const struct field histogram[] = {{"dataPoints", 1, MESSAGES, histogram_point},
                                         {"aggregationTemporality", 2, NUMBER, NULL},
                                         {NULL, 0, TEXT, NULL}};
static const struct field summary[] = {{"dataPoints", 1, MESSAGES, summary_point},
                                       {NULL, 0, TEXT, NULL}};
static const struct field metric[] = {
    {"name", 1, TEXT, NULL},           {"unit", 3, TEXT, NULL},
    {"gauge", 5, MESSAGE, gauge},      {"exponentialHistogram", 10, MESSAGE, histogram},
    {"summary", 11, MESSAGE, summary}, {NULL, 0, TEXT, NULL}};
static const struct field scope_metrics[] = {{"metrics", 2, MESSAGES, metric},
                                             {NULL, 0, TEXT, NULL}};
static const struct field resource[] = {{"attributes", 1, MESSAGES, key_value},
                                        {NULL, 0, TEXT, NULL}};
static const struct field resource_metrics[] = {{"resource", 1, MESSAGE, resource},
                                                {"scopeMetrics", 2, MESSAGES, scope_metrics},
                                                {NULL, 0, TEXT, NULL}};
static const struct field request[] = {{"resourceMetrics", 1, MESSAGES, resource_metrics},
                                       {NULL, 0, TEXT, NULL}};

struct reading {
    struct weir_json json;
    struct weir_buf *out;
    const char *what; /* is wrong, beyond JSON */
};

static void read_members(struct reading *now, const struct field *fields);

static uint64_t read_wide(struct reading *now)
{
    struct weir_bytes text = weir_json_string(&now->json);
    uint64_t number = 0;
    bool is_good = text.size > 0;
    for (size_t i = 0; is_good && i < text.size; i++) {
        uint8_t c = text.data[i];
        is_good = c >= '0' && c <= '9' && !__builtin_mul_overflow(number, 10, &number) &&
                  !__builtin_add_overflow(number, (uint64_t)(c - '0'), &number);
    }
    now->what = is_good || now->what != NULL ? now->what : "a 64-bit integer";
    return number;
}

static void read_message(struct reading *now, const struct field *field)
{
    struct weir_buf *out = now->out;
    weir_pbw_varint(out, (uint64_t)field->number << 3 | WEIR_PB_BYTES);
    uint8_t *length = weir_buf_reserve(out, LENGTH_SIZE);
    size_t start = out->size + LENGTH_SIZE;
    out->size += length == NULL ? 0 : LENGTH_SIZE;
    read_members(now, field->fields);
    if (out->failed) {
        return;
    }
    size_t size = out->size - start;
    for (size_t i = 0; i < LENGTH_SIZE; i++) {
        bool is_last = i + 1 == LENGTH_SIZE;
        out->data[start - LENGTH_SIZE + i] =
            (uint8_t)((size >> 7 * i & 0x7f) | (is_last ? 0 : 0x80U));
    }
}

static void read_value(struct reading *now, const struct field *field)
{
    switch (field->value) {
    case TEXT: weir_pbw_bytes(now->out, field->number, weir_json_string(&now->json)); return;
    case WIDE: weir_pbw_fixed64(now->out, field->number, read_wide(now)); return;
    case DOUBLE: weir_pbw_double(now->out, field->number, weir_json_double(&now->json)); return;
    case NUMBER:
        weir_pbw_uint(now->out, field->number, (uint64_t)weir_json_int64(&now->json));
        return;
    case MESSAGE: read_message(now, field); return;
    case MESSAGES:
        weir_json_array_begin(&now->json);
        while (weir_json_element(&now->json)) {
            read_message(now, field);
        }
        return;
    }
}

static void read_members(struct reading *now, const struct field *fields)
{
    struct weir_bytes name;
    weir_json_object_begin(&now->json);
    while (weir_json_member(&now->json, &name)) {
        const struct field *field = fields;
        while (field->name != NULL && !weir_bytes_eq(name, weir_bytes_str(field->name))) {
            field++;
        }
        if (field->name == NULL) {
            now->what = "a name that no request here has";
            weir_json_skip(&now->json);
        } else {
            read_value(now, field);
        }
    }
}

enum weir_status weir_sink_otlp_json(uint8_t *text, size_t size, struct weir_buf *out,
                                     const char **ret_what)
{
    struct reading now = {.out = out};
    weir_json_init(&now.json, text, size, DEPTH_MAX);
    read_members(&now, request);
    enum weir_status status = weir_json_finish(&now.json);
    if (status != WEIR_OK || now.what != NULL) {
        *ret_what = status != WEIR_OK ? "JSON that is broken" : now.what;
        return WEIR_EMALFORMED;
    }
    return out->failed ? WEIR_ENOMEM : WEIR_OK;
}
