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
 * What a line mostly has in common with the one before it is compared and not read again: its
 * stream (all up to the namespace), its time, and within it equal numbers. The texts are kept as
 * copies (struct weir_cwjson_last), so that no line need stay where it was.
 *
 *   I1  the text is only read, and only up to `end`
 *   I2  a line that is read here has the values that weir_cwjson_line_read gives it (prop_cwjson,
 *       and the fuzzer, hold the two together), whatever the lines before it were
 *
 * Steps are inline and pass values, so that the place stays in a register. Pure.
 */
#include "cwjson_line.h"
#include "weir/json.h"
#include "weir/json_plain.h"
#include <math.h>

#define NUMBER_STEP 16 /* bytes of a number compared at once */

enum seen { SEEN_MAX = 1, SEEN_MIN = 2, SEEN_SUM = 4, SEEN_COUNT = 8, SEEN_ALL = 15 };

struct value {
    double max;
    double min;
    double count;
    double last;              /* the number read last, */
    const uint8_t *last_text; /* where it stands, */
    size_t last_size;         /* and how long it is; 0: there is none, or it is a long one */
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

/* Reads the time's digits into `last`. */
static bool read_timestamp(const uint8_t *at, struct weir_cwjson_line *line,
                           struct weir_cwjson_last *last)
{
    uint64_t ms = 0;
    for (unsigned i = 0; i < WEIR_CWJSON_TIME_DIGITS; i++) {
        unsigned digit = (unsigned)at[i] - '0';
        if (digit > 9) {
            return false;
        }
        ms = ms * 10 + digit;
    }
    if (at[0] == '0' || !weir_cwjson_line_set_time(line, ms)) {
        return false;
    }
    memcpy(last->time, at, sizeof(last->time));
    last->start_ns = line->point.start_ns;
    last->time_ns = line->point.time_ns;
    return true;
}

static inline const uint8_t *take_timestamp(const uint8_t *at, const uint8_t *end,
                                            struct weir_cwjson_line *line,
                                            struct weir_cwjson_last *last)
{
    if (at == NULL || end - at <= WEIR_CWJSON_TIME_DIGITS) {
        return NULL;
    }
    if (last->time_ns != 0 && memcmp(at, last->time, sizeof(last->time)) == 0) {
        line->point.start_ns = last->start_ns;
        line->point.time_ns = last->time_ns;
    } else if (!read_timestamp(at, line, last)) {
        return NULL;
    }
    return at + WEIR_CWJSON_TIME_DIGITS;
}

/* Whether the last number, which stands before `at`, is here again, with what comes after it. */
static inline bool is_last_number(const uint8_t *at, const uint8_t *end, const struct value *value)
{
#if defined(__SSE2__)
    if (value->last_size == 0 || end - at < NUMBER_STEP) {
        return false;
    }
    __m128i one = _mm_loadu_si128((const __m128i *)(const void *)value->last_text);
    __m128i two = _mm_loadu_si128((const __m128i *)(const void *)at);
    unsigned others = ~(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(one, two));
    return (unsigned)__builtin_ctz(others) > value->last_size;
#else
    return value->last_size > 0 && (size_t)(end - at) > value->last_size &&
           memcmp(at, value->last_text, value->last_size + 1) == 0;
#endif
}

/* Up to five digits and ".0"; NULL for every other. */
static inline const uint8_t *take_whole(const uint8_t *at, const uint8_t *end, double *ret)
{
    uint64_t word;
    if (end - at < (ptrdiff_t)sizeof(word)) {
        return NULL;
    }
    memcpy(&word, at, sizeof(word));
    unsigned digits = weir_json_plain_digits(word);
    if (digits == 0 || digits > 5 || at[0] == '0') {
        return NULL;
    }
    uint64_t behind = word >> 8 * digits & 0xffffff;
    if (behind != 0x2c302e && behind != 0x7d302e) { /* .0, and .0} */
        return NULL;
    }
    *ret = (double)(int64_t)weir_json_plain_number(word, digits);
    return at + digits + 2;
}

/* A number that JSON's reader does not refuse. Every other one is nothing at all. */
static const uint8_t *take_any(const uint8_t *at, const uint8_t *end, struct value *value,
                               double *ret)
{
    if (is_last_number(at, end, value)) {
        *ret = value->last;
        return at + value->last_size;
    }
    const uint8_t *after = take_whole(at, end, ret);
    after = after != NULL ? after : weir_json_take_double(at, end, ret);
    if (after == NULL || after - at > WEIR_JSON_NUMBER_MAX || isinf(*ret)) {
        return NULL;
    }
    value->last = *ret;
    value->last_text = at;
    value->last_size = after - at < NUMBER_STEP ? (size_t)(after - at) : 0;
    return after;
}

/* The same. Most are one digit and ".0". */
static inline const uint8_t *take_double(const uint8_t *at, const uint8_t *end, struct value *value,
                                         double *ret)
{
    uint32_t word;
    if (at == NULL || (size_t)(end - at) <= sizeof(word)) {
        return NULL; /* a line ends with more than that */
    }
    memcpy(&word, at, sizeof(word));
    if (word - UINT32_C(0x2c302e30) <= 9 || word - UINT32_C(0x7d302e30) <= 9) { /* 0.0, and 0.0} */
        *ret = (double)(int)(word & 0xf);
        return at + 3;
    }
    return take_any(at, end, value, ret);
}

/* A statistic's number, whose name must not have been there. */
static inline const uint8_t *take_number(const uint8_t *at, const uint8_t *end, unsigned name,
                                         struct value *value, double *ret)
{
    if (at == NULL || (value->seen & name) != 0) {
        return NULL;
    }
    value->seen |= name;
    return take_double(at, end, value, ret);
}

/* "p99":1.5 and what else has no member of its own. */
static const uint8_t *take_statistic(const uint8_t *at, const uint8_t *end,
                                     struct weir_cwjson_line *line, struct value *value)
{
    struct weir_bytes name;
    double number;
    at = take_string(at, end, WEIR_BYTES("\""), &name);
    at = take(at, end, WEIR_BYTES("\":"));
    at = take_double(at, end, value, &number);
    return at != NULL && weir_cwjson_line_add(line, name, number) ? at : NULL;
}

/* One member of "value". */
static const uint8_t *take_member(const uint8_t *at, const uint8_t *end,
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
    return take_statistic(at, end, line, value);
}

/* Behind the brace that closes the value, with its members in any order. */
static const uint8_t *take_members(const uint8_t *at, const uint8_t *end,
                                   struct weir_cwjson_line *line, struct value *value)
{
    while (at != NULL) {
        at = take_member(at, end, line, value);
        if (at == NULL || at == end || (*at != ',' && *at != '}')) {
            return NULL;
        }
        at++;
        if (at[-1] == '}') {
            return value->seen == SEEN_ALL ? at : NULL;
        }
    }
    return NULL;
}

/* Behind the brace that closes the value. The four stand in this order; others may come behind. */
static inline const uint8_t *take_value(const uint8_t *at, const uint8_t *end,
                                        struct weir_cwjson_line *line, struct value *value)
{
    const uint8_t *four = take(at, end, WEIR_BYTES("\"max\":"));
    four = take_double(four, end, value, &value->max);
    four = take(four, end, WEIR_BYTES(",\"min\":"));
    four = take_double(four, end, value, &value->min);
    four = take(four, end, WEIR_BYTES(",\"sum\":"));
    four = take_double(four, end, value, &line->point.sum);
    four = take(four, end, WEIR_BYTES(",\"count\":"));
    four = take_double(four, end, value, &value->count);
    if (four == NULL || four == end) {
        value->last_size = 0; /* it would stand behind what is compared with it */
        return take_members(at, end, line, value);
    }
    value->seen = SEEN_ALL;
    if (*four == '}') {
        return four + 1;
    }
    return *four == ',' ? take_members(four + 1, end, line, value) : NULL;
}

/* All from `first` to the end of `last`, behind it in the same line. */
static inline struct weir_bytes span(struct weir_bytes first, struct weir_bytes last)
{
    return weir_bytes_of(first.data, (size_t)(last.data + last.size - first.data));
}

/* A part of `from` as a part of `to`. */
static inline struct weir_bytes moved(struct weir_bytes part, const uint8_t *from,
                                      const uint8_t *to)
{
    return weir_bytes_of(to + (part.data - from), part.size);
}

/* Behind the namespace's first quote. */
static const uint8_t *read_stream(const uint8_t *text, const uint8_t *end,
                                  struct weir_cwjson_line *line, struct weir_cwjson_last *last)
{
    const uint8_t *at =
        take_string(text, end, WEIR_BYTES("{\"metric_stream_name\":\""), &line->stream);
    at = take_string(at, end, WEIR_BYTES("\",\"account_id\":\""), &line->account);
    at = take_string(at, end, WEIR_BYTES("\",\"region\":\""), &line->region);
    at = take(at, end, WEIR_BYTES("\",\"namespace\":\""));
    size_t size = at == NULL ? 0 : (size_t)(at - text);
    last->scope = NULL;
    last->stream_size = 0;
    if (size > 0 && size <= sizeof(last->stream_text)) {
        memcpy(last->stream_text, text, size);
        last->stream_size = size;
        last->stream = moved(line->stream, text, last->stream_text);
        last->account = moved(line->account, text, last->stream_text);
        last->region = moved(line->region, text, last->stream_text);
    }
    return at;
}

/* The same, of a line of the stream that the last line was of. */
static inline const uint8_t *take_stream(const uint8_t *text, const uint8_t *end,
                                         struct weir_cwjson_line *line,
                                         struct weir_cwjson_last *last)
{
    size_t size = last->stream_size;
    if (size == 0 || (size_t)(end - text) < size || memcmp(text, last->stream_text, size) != 0) {
        return read_stream(text, end, line, last);
    }
    line->stream = moved(last->stream, last->stream_text, text);
    line->account = moved(last->account, last->stream_text, text);
    line->region = moved(last->region, last->stream_text, text);
    return text + size;
}

/* What the steps do not set themselves. */
static inline void clear(struct weir_cwjson_line *line)
{
    struct weir_cwpoint *point = &line->point;
    line->extra_count = 0;
    point->without_name = false;
    point->without_metric_name = false;
    point->has_slack = false;
    point->quantile_count = 1; /* the minimum's place */
    point->dimension_count = 0;
}

const uint8_t *weir_cwjson_line_quick(const uint8_t *text, const uint8_t *end,
                                      struct weir_cwjson_last *last, struct weir_cwjson_line *ret)
{
    struct value value;
    value.last_size = 0;
    value.seen = 0;
    clear(ret);
    const uint8_t *at = take_stream(text, end, ret, last);
    at = take_string(at, end, WEIR_BYTES(""), &ret->point.name);
    at = take_string(at, end, WEIR_BYTES("\",\"metric_name\":\""), &ret->point.metric_name);
    at = take(at, end, WEIR_BYTES("\",\"dimensions\":{"));
    at = take_dimensions(at, end, &ret->point);
    at = take(at, end, WEIR_BYTES(",\"timestamp\":"));
    at = take_timestamp(at, end, ret, last);
    at = take(at, end, WEIR_BYTES(",\"value\":{"));
    at = take_value(at, end, ret, &value);
    at = take_string(at, end, WEIR_BYTES(",\"unit\":\""), &ret->unit);
    at = take(at, end, WEIR_BYTES("\"}"));
    if (at == NULL || (at < end && *at != '\n') ||
        !weir_cwjson_line_end(ret, value.count, value.min, value.max)) {
        return NULL;
    }
    ret->stream_text = span(ret->stream, ret->region);
    return at == end ? at : at + 1;
}
