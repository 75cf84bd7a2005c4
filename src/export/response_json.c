/* SPDX-License-Identifier: Apache-2.0 */
#include "response_internal.h"
#include "weir/json.h"

enum { DEPTH_MAX = 16 };

bool weir_response_is_json(struct weir_bytes body)
{
    size_t at = 0;
    while (at < body.size && (body.data[at] == ' ' || body.data[at] == '\t' ||
                              body.data[at] == '\r' || body.data[at] == '\n')) {
        at++;
    }
    return at < body.size && body.data[at] == '{';
}

/* A reader that unescapes in place needs a copy; answers are cut at the same size. */
struct copy {
    struct weir_json json;
    uint8_t text[WEIR_TRANSPORT_BODY_MAX];
};

static void copy_init(struct copy *copy, struct weir_bytes body)
{
    size_t size = body.size < sizeof(copy->text) ? body.size : sizeof(copy->text);
    memcpy(copy->text, body.data, size);
    weir_json_init(&copy->json, copy->text, size, DEPTH_MAX);
}

/* An int64, which OTLP/JSON writes as a string and takes as a number too. False: neither, or out
 * of range. */
static bool read_int64(struct weir_json *json, int64_t *ret)
{
    if (weir_json_peek(json) != WEIR_JSON_STRING) {
        *ret = weir_json_int64(json);
        return json->error == NULL;
    }
    struct weir_bytes text = weir_json_string(json);
    bool is_negative = text.size > 0 && text.data[0] == '-';
    int64_t value = 0;
    for (size_t i = is_negative ? 1 : 0; i < text.size; i++) {
        uint8_t digit = (uint8_t)(text.data[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *ret = is_negative ? -value : value;
    return json->error == NULL && text.size > (is_negative ? 1U : 0U);
}

/* A string goes into the message; anything else is skipped. */
static bool read_message(struct weir_json *json, char *message)
{
    if (weir_json_peek(json) != WEIR_JSON_STRING) {
        weir_json_skip(json);
        return false;
    }
    struct weir_bytes text = weir_json_string(json);
    weir_response_set_message(message, text);
    return text.size > 0;
}

static void read_partial(struct weir_json *json, int64_t *ret_rejected, char *message)
{
    struct weir_bytes key;
    weir_json_object_begin(json);
    while (weir_json_member(json, &key)) {
        if (weir_bytes_eq(key, WEIR_BYTES("rejectedDataPoints")) ||
            weir_bytes_eq(key, WEIR_BYTES("rejected_data_points"))) {
            int64_t rejected;
            if (read_int64(json, &rejected)) {
                *ret_rejected = rejected;
            }
        } else if (weir_bytes_eq(key, WEIR_BYTES("errorMessage")) ||
                   weir_bytes_eq(key, WEIR_BYTES("error_message"))) {
            (void)read_message(json, message);
        } else {
            weir_json_skip(json);
        }
    }
}

bool weir_response_json_partial(struct weir_bytes body, int64_t *ret_rejected, char *message)
{
    struct copy copy;
    struct weir_bytes key;
    bool is_there = false;
    int64_t rejected = 0;
    copy_init(&copy, body);
    weir_json_object_begin(&copy.json);
    while (weir_json_member(&copy.json, &key)) {
        bool is_it = weir_bytes_eq(key, WEIR_BYTES("partialSuccess")) ||
                     weir_bytes_eq(key, WEIR_BYTES("partial_success"));
        if (is_it && weir_json_peek(&copy.json) == WEIR_JSON_OBJECT) {
            is_there = true;
            read_partial(&copy.json, &rejected, message);
        } else {
            weir_json_skip(&copy.json);
        }
    }
    if (is_there) {
        *ret_rejected = rejected;
    }
    return is_there;
}

bool weir_response_json_message(struct weir_bytes body, char *message)
{
    struct copy copy;
    struct weir_bytes key;
    bool is_there = false;
    copy_init(&copy, body);
    weir_json_object_begin(&copy.json);
    while (weir_json_member(&copy.json, &key)) {
        if (weir_bytes_eq(key, WEIR_BYTES("message"))) {
            is_there = read_message(&copy.json, message);
        } else {
            weir_json_skip(&copy.json);
        }
    }
    return is_there && copy.json.error == NULL;
}
