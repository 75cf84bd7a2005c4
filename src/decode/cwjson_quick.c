/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of CloudWatch JSON, read as AWS writes it: no white space, its keys in this order.
 *
 *   {"metric_stream_name":"…","account_id":"…","region":"…","namespace":"…","metric_name":"…",
 *    "dimensions":{"…":"…",…},"timestamp":ms,"value":{"max":n,"min":n,"sum":n,"count":n,…},
 *    "unit":"…"}⏎
 *
 * What stands between the values is compared whole, and each value is gone through once. Each step
 * takes the place where the last one ended and gives the place where it ends, or NULL where the
 * line is not as expected; NULL goes through all further steps. Then nothing is decided: the
 * caller reads the line again with weir_cwjson_line_read, which knows all of JSON and says what is
 * wrong. So everything odd may be left to it (escapes, text beyond ASCII, other orders, a value
 * twice), as long as it is rare.
 *
 *   I1  the text is only read, and only up to `end`
 *   I2  a line that is read here has the values that weir_cwjson_line_read gives it (prop_cwjson,
 *       and the fuzzer, hold the two together)
 *
 * Steps are inline and pass values, so that the place stays in a register. Pure.
 */
#include "cwjson_line.h"
#include "weir/json.h"
#include "weir/json_plain.h"
#include <math.h>

#define TIMESTAMP_DIGITS 13 /* milliseconds from 2001 to 2255 */

enum seen { SEEN_MAX = 1, SEEN_MIN = 2, SEEN_SUM = 4, SEEN_COUNT = 8, SEEN_ALL = 15 };

struct value {
    double max;
    double min;
    double count;
    unsigned seen;
};

/* Behind `text`. */
static inline const uint8_t *take(const uint8_t *at, const uint8_t *end, struct weir_bytes text)
{
    if (at == NULL || (size_t)(end - at) < text.size || memcmp(at, text.data, text.size) != 0) {
        return NULL;
    }
    return at + text.size;
}

/* At the quote that closes the plain string behind `before`. */
static inline const uint8_t *take_string(const uint8_t *at, const uint8_t *end,
                                         struct weir_bytes before, struct weir_bytes *ret)
{
    const uint8_t *text = take(at, end, before);
    if (text == NULL) {
        return NULL;
    }
    const uint8_t *close = weir_json_plain_end(text, end);
    if (close == end || *close != '"') {
        return NULL;
    }
    *ret = weir_bytes_of(text, (size_t)(close - text));
    return close;
}

static inline bool is_known(const struct weir_cwpoint *point, struct weir_bytes key)
{
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        if (weir_bytes_eq(point->dimensions[i].key, key)) {
            return true;
        }
    }
    return false;
}

/* Behind the brace that closes the dimensions. */
static inline const uint8_t *take_dimensions(const uint8_t *at, const uint8_t *end,
                                             struct weir_cwpoint *point)
{
    const uint8_t *close = take(at, end, WEIR_BYTES("}"));
    if (close != NULL) {
        return close;
    }
    at = take(at, end, WEIR_BYTES("\""));
    while (at != NULL && point->dimension_count < WEIR_CWPOINT_DIMENSIONS_MAX) {
        struct weir_cwpoint_dimension *dimension = &point->dimensions[point->dimension_count];
        at = take_string(at, end, WEIR_BYTES(""), &dimension->key);
        at = take_string(at, end, WEIR_BYTES("\":\""), &dimension->value);
        if (at == NULL || is_known(point, dimension->key)) {
            return NULL;
        }
        point->dimension_count++;
        close = take(at, end, WEIR_BYTES("\"}"));
        if (close != NULL) {
            return close;
        }
        at = take(at, end, WEIR_BYTES("\",\""));
    }
    return NULL;
}

static inline const uint8_t *take_timestamp(const uint8_t *at, const uint8_t *end, uint64_t *ret_ms)
{
    uint64_t ms = 0;
    if (at == NULL || end - at <= TIMESTAMP_DIGITS || at[0] == '0') {
        return NULL;
    }
    for (unsigned i = 0; i < TIMESTAMP_DIGITS; i++) {
        unsigned digit = (unsigned)at[i] - '0';
        if (digit > 9) {
            return NULL;
        }
        ms = ms * 10 + digit;
    }
    *ret_ms = ms;
    return at + TIMESTAMP_DIGITS;
}

/* A number that JSON's reader does not refuse. Every other one is nothing at all. */
static inline const uint8_t *take_double(const uint8_t *at, const uint8_t *end, double *ret)
{
    const uint8_t *zero = take(at, end, WEIR_BYTES("0.0"));
    if (zero != NULL && zero < end && (*zero == ',' || *zero == '}')) {
        *ret = 0.0;
        return zero;
    }
    const uint8_t *after = weir_json_take_double(at, end, ret);
    return after != NULL && after - at <= WEIR_JSON_NUMBER_MAX && !isinf(*ret) ? after : NULL;
}

/* A statistic's number, whose name must not have been there. */
static inline const uint8_t *take_number(const uint8_t *at, const uint8_t *end, unsigned name,
                                         struct value *value, double *ret)
{
    if (at == NULL || (value->seen & name) != 0) {
        return NULL;
    }
    value->seen |= name;
    return take_double(at, end, ret);
}

/* "p99":1.5 and what else has no member of its own. */
static const uint8_t *take_statistic(const uint8_t *at, const uint8_t *end,
                                     struct weir_cwjson_line *line)
{
    struct weir_bytes name;
    double value;
    at = take_string(at, end, WEIR_BYTES("\""), &name);
    at = take(at, end, WEIR_BYTES("\":"));
    at = at == NULL ? NULL : take_double(at, end, &value);
    return at != NULL && weir_cwjson_line_add(line, name, value) ? at : NULL;
}

/* One member of "value". */
static inline const uint8_t *take_member(const uint8_t *at, const uint8_t *end,
                                         struct weir_cwjson_line *line, struct value *value)
{
    const uint8_t *number;
    if ((number = take(at, end, WEIR_BYTES("\"max\":"))) != NULL) {
        return take_number(number, end, SEEN_MAX, value, &value->max);
    }
    if ((number = take(at, end, WEIR_BYTES("\"min\":"))) != NULL) {
        return take_number(number, end, SEEN_MIN, value, &value->min);
    }
    if ((number = take(at, end, WEIR_BYTES("\"sum\":"))) != NULL) {
        return take_number(number, end, SEEN_SUM, value, &line->point.sum);
    }
    if ((number = take(at, end, WEIR_BYTES("\"count\":"))) != NULL) {
        return take_number(number, end, SEEN_COUNT, value, &value->count);
    }
    return take_statistic(at, end, line);
}

/* Behind the brace that closes the value. */
static inline const uint8_t *take_value(const uint8_t *at, const uint8_t *end,
                                        struct weir_cwjson_line *line, struct value *value)
{
    while (at != NULL) {
        at = take_member(at, end, line, value);
        if (at == NULL || at == end || (*at != ',' && *at != '}')) {
            return NULL;
        }
        at++;
        if (at[-1] == '}') {
            return at;
        }
    }
    return NULL;
}

/* All from `first` to the end of `last`, behind it in the same line. */
static inline struct weir_bytes span(struct weir_bytes first, struct weir_bytes last)
{
    return weir_bytes_of(first.data, (size_t)(last.data + last.size - first.data));
}

/* At the quote that closes the metric's name. */
static inline const uint8_t *take_names(const uint8_t *at, const uint8_t *end,
                                        struct weir_cwjson_line *line)
{
    at = take_string(at, end, WEIR_BYTES("{\"metric_stream_name\":\""), &line->stream);
    at = take_string(at, end, WEIR_BYTES("\",\"account_id\":\""), &line->account);
    at = take_string(at, end, WEIR_BYTES("\",\"region\":\""), &line->region);
    at = take_string(at, end, WEIR_BYTES("\",\"namespace\":\""), &line->point.name);
    return take_string(at, end, WEIR_BYTES("\",\"metric_name\":\""), &line->point.metric_name);
}

const uint8_t *weir_cwjson_line_quick(const uint8_t *text, const uint8_t *end,
                                      struct weir_cwjson_line *ret)
{
    struct value value = {.seen = 0};
    uint64_t ms = 0;
    weir_cwjson_line_init(ret);
    const uint8_t *at = take_names(text, end, ret);
    at = take(at, end, WEIR_BYTES("\",\"dimensions\":{"));
    at = take_dimensions(at, end, &ret->point);
    at = take(at, end, WEIR_BYTES(",\"timestamp\":"));
    at = take_timestamp(at, end, &ms);
    at = take(at, end, WEIR_BYTES(",\"value\":{"));
    at = take_value(at, end, ret, &value);
    at = take_string(at, end, WEIR_BYTES(",\"unit\":\""), &ret->unit);
    at = take(at, end, WEIR_BYTES("\"}"));
    if (at == NULL || value.seen != SEEN_ALL || (at < end && *at != '\n') ||
        !weir_cwjson_line_set_time(ret, ms) ||
        !weir_cwjson_line_end(ret, value.count, value.min, value.max)) {
        return NULL;
    }
    ret->stream_text = span(ret->stream, ret->region);
    ret->metric_text = span(ret->point.name, ret->point.metric_name);
    return at == end ? at : at + 1;
}
