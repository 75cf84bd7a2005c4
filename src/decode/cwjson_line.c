/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of CloudWatch JSON to the values of a data point.
 *
 *   {"metric_stream_name":…,"account_id":…,"region":…,"namespace":…,"metric_name":…,
 *    "dimensions":{…},"timestamp":ms,"value":{"count":…,"sum":…,"min":…,"max":…,"p99":…},"unit":…}
 *
 * Two things can be wrong with a line, and they are told apart: it is not JSON (the reader's own
 * error), or it is JSON with a value that is missing, mistyped, twice there or impossible (`bad`).
 * So the type of a value is looked at before it is read, and a wrong one is skipped: the reader's
 * error then always means "not JSON".
 *
 *   I1  every key of ours is accepted once; `seen` has its bit
 *   I2  quantiles end up strictly ascending, min (0) first, max (1) last
 *
 * The line's limits (dimensions, statistics) are far above CloudWatch's; a line over them is
 * refused, not cut. Once it is bad its names are no longer compared, so that a megabyte of them
 * costs no more than to read.
 */
#include "cwjson_line.h"
#include "weir/json.h"
#include "weir/panic.h"
#include "weir/unit.h"

#define DEPTH_MAX         32
#define PERCENTILE_DIGITS 15 /* and its point; CloudWatch has twelve digits */
#define NS_PER_MS         UINT64_C(1000000)
#define PERIOD_NS         UINT64_C(60000000000)
#define TIMESTAMP_MS_LIMIT                                                                         \
    UINT64_C(9000000000000) /* the year 2255; keeps every time in int64 nanoseconds */
#define UINT64_LIMIT 18446744073709551616.0

enum seen {
    SEEN_STREAM = 1 << 0,
    SEEN_ACCOUNT = 1 << 1,
    SEEN_REGION = 1 << 2,
    SEEN_NAMESPACE = 1 << 3,
    SEEN_METRIC = 1 << 4,
    SEEN_DIMENSIONS = 1 << 5,
    SEEN_TIMESTAMP = 1 << 6,
    SEEN_VALUE = 1 << 7,
    SEEN_UNIT = 1 << 8,
    SEEN_COUNT = 1 << 9,
    SEEN_SUM = 1 << 10,
    SEEN_MIN = 1 << 11,
    SEEN_MAX = 1 << 12
};
#define SEEN_NEEDED                                                                                \
    (SEEN_STREAM | SEEN_ACCOUNT | SEEN_REGION | SEEN_NAMESPACE | SEEN_METRIC | SEEN_TIMESTAMP |    \
     SEEN_VALUE | SEEN_COUNT | SEEN_SUM | SEEN_MIN | SEEN_MAX)
#define SEEN_METRIC_KEYS (SEEN_NAMESPACE | SEEN_METRIC | SEEN_VALUE)

struct reader {
    struct weir_json json;
    struct weir_cwjson_line *line;
    unsigned seen;
    bool bad;
    double count;
    double min;
    double max;
};

static void see(struct reader *reader, unsigned key)
{
    if ((reader->seen & key) != 0) {
        reader->bad = true;
    }
    reader->seen |= key;
}

/* Skips a value that should have been something else. */
static void skip_bad(struct reader *reader)
{
    reader->bad = true;
    weir_json_skip(&reader->json);
}

static void read_text(struct reader *reader, unsigned key, struct weir_bytes *ret)
{
    see(reader, key);
    if (weir_json_peek(&reader->json) == WEIR_JSON_STRING) {
        *ret = weir_json_string(&reader->json);
    } else {
        skip_bad(reader);
    }
}

static double read_number(struct reader *reader, unsigned key)
{
    see(reader, key);
    if (weir_json_peek(&reader->json) == WEIR_JSON_NUMBER) {
        return weir_json_double(&reader->json);
    }
    skip_bad(reader);
    return 0.0;
}

bool weir_cwjson_line_set_time(struct weir_cwjson_line *line, uint64_t ms)
{
    if (ms > TIMESTAMP_MS_LIMIT) {
        return false;
    }
    line->point.start_ns = ms * NS_PER_MS;
    line->point.time_ns = line->point.start_ns + PERIOD_NS;
    return true;
}

static void read_timestamp(struct reader *reader)
{
    double ms = read_number(reader, SEEN_TIMESTAMP);
    if (!(ms >= 0.0 && ms <= (double)TIMESTAMP_MS_LIMIT)) {
        reader->bad = true;
        return;
    }
    uint64_t whole_ms = (uint64_t)ms;
    if ((double)whole_ms < ms) {
        reader->bad = true; /* a fraction of a millisecond is nothing CloudWatch has */
    }
    if (!weir_cwjson_line_set_time(reader->line, whole_ms)) {
        reader->bad = true;
    }
}

static void read_dimension(struct reader *reader, struct weir_bytes key)
{
    struct weir_cwpoint *point = &reader->line->point;
    if (reader->bad || point->dimension_count == WEIR_CWPOINT_DIMENSIONS_MAX ||
        weir_json_peek(&reader->json) != WEIR_JSON_STRING) {
        skip_bad(reader);
        return;
    }
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        if (weir_bytes_eq(point->dimensions[i].key, key)) {
            reader->bad = true;
        }
    }
    point->dimensions[point->dimension_count++] =
        (struct weir_cwpoint_dimension){key, weir_json_string(&reader->json)};
}

static void read_dimensions(struct reader *reader)
{
    struct weir_bytes key;
    see(reader, SEEN_DIMENSIONS);
    if (weir_json_peek(&reader->json) != WEIR_JSON_OBJECT) {
        skip_bad(reader);
        return;
    }
    weir_json_object_begin(&reader->json);
    while (weir_json_member(&reader->json, &key)) {
        read_dimension(reader, key);
    }
}

/* Puts a percentile where it belongs among those so far. Equal ones ("p99" and "p99.0") are
 * impossible. */
static bool add_quantile(struct weir_cwpoint *point, double quantile, double value)
{
    uint32_t at = point->quantile_count;
    if (at > WEIR_CWJSON_VALUES_MAX) {
        return false;
    }
    while (at > 1 && point->quantiles[at - 1].quantile > quantile) {
        at--;
    }
    if (at > 1 && point->quantiles[at - 1].quantile >= quantile) {
        return false;
    }
    memmove(&point->quantiles[at + 1], &point->quantiles[at],
            (point->quantile_count - at) * sizeof(point->quantiles[0]));
    point->quantiles[at] = (struct weir_cwpoint_quantile){quantile, value};
    point->quantile_count++;
    return true;
}

static bool add_extra(struct weir_cwjson_line *line, struct weir_bytes key, double value)
{
    if (line->extra_count == WEIR_CWJSON_VALUES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < line->extra_count; i++) {
        if (weir_bytes_eq(line->extra[i].key, key)) {
            return false;
        }
    }
    line->extra[line->extra_count++] = (struct weir_cwjson_value){key, value};
    return true;
}

bool weir_cwjson_line_add(struct weir_cwjson_line *line, struct weir_bytes statistic, double value)
{
    double quantile = 0.0;
    return weir_cwjson_quantile(statistic, &quantile) ? add_quantile(&line->point, quantile, value)
                                                      : add_extra(line, statistic, value);
}

/* One member of "value". */
static void read_statistic(struct reader *reader, struct weir_bytes key)
{
    if (weir_bytes_eq(key, WEIR_BYTES("max"))) {
        reader->max = read_number(reader, SEEN_MAX);
    } else if (weir_bytes_eq(key, WEIR_BYTES("min"))) {
        reader->min = read_number(reader, SEEN_MIN);
    } else if (weir_bytes_eq(key, WEIR_BYTES("sum"))) {
        reader->line->point.sum = read_number(reader, SEEN_SUM);
    } else if (weir_bytes_eq(key, WEIR_BYTES("count"))) {
        reader->count = read_number(reader, SEEN_COUNT);
    } else if (weir_json_peek(&reader->json) != WEIR_JSON_NUMBER) {
        skip_bad(reader);
    } else {
        double value = weir_json_double(&reader->json);
        reader->bad = reader->bad || !weir_cwjson_line_add(reader->line, key, value);
    }
}

static void read_value(struct reader *reader)
{
    struct weir_bytes key;
    see(reader, SEEN_VALUE);
    if (weir_json_peek(&reader->json) != WEIR_JSON_OBJECT) {
        skip_bad(reader);
        return;
    }
    weir_json_object_begin(&reader->json);
    while (weir_json_member(&reader->json, &key)) {
        read_statistic(reader, key);
    }
}

static void read_member(struct reader *reader, struct weir_bytes key)
{
    struct weir_cwjson_line *line = reader->line;
    if (weir_bytes_eq(key, WEIR_BYTES("metric_stream_name"))) {
        read_text(reader, SEEN_STREAM, &line->stream);
    } else if (weir_bytes_eq(key, WEIR_BYTES("account_id"))) {
        read_text(reader, SEEN_ACCOUNT, &line->account);
    } else if (weir_bytes_eq(key, WEIR_BYTES("region"))) {
        read_text(reader, SEEN_REGION, &line->region);
    } else if (weir_bytes_eq(key, WEIR_BYTES("namespace"))) {
        read_text(reader, SEEN_NAMESPACE, &line->point.name);
    } else if (weir_bytes_eq(key, WEIR_BYTES("metric_name"))) {
        read_text(reader, SEEN_METRIC, &line->point.metric_name);
    } else if (weir_bytes_eq(key, WEIR_BYTES("dimensions"))) {
        read_dimensions(reader);
    } else if (weir_bytes_eq(key, WEIR_BYTES("timestamp"))) {
        read_timestamp(reader);
    } else if (weir_bytes_eq(key, WEIR_BYTES("value"))) {
        read_value(reader);
    } else if (weir_bytes_eq(key, WEIR_BYTES("unit"))) {
        read_text(reader, SEEN_UNIT, &line->unit);
    } else {
        weir_json_skip(&reader->json);
    }
}

/* Rounds to nearest, halves up; false when it is no count. */
static bool round_count(double count, uint64_t *ret)
{
    if (!(count >= 0.0 && count < UINT64_LIMIT)) {
        return false;
    }
    uint64_t whole = (uint64_t)count;
    *ret = count - (double)whole >= 0.5 ? whole + 1 : whole;
    return true;
}

void weir_cwjson_line_init(struct weir_cwjson_line *line)
{
    memset(line, 0, offsetof(struct weir_cwjson_line, point));
    memset(&line->point, 0, offsetof(struct weir_cwpoint, quantiles));
    line->unit = WEIR_BYTES("None");
    line->point.quantile_count = 1; /* the minimum's place */
}

bool weir_cwjson_line_end(struct weir_cwjson_line *line, double count, double min, double max)
{
    struct weir_cwpoint *point = &line->point;
    if (!round_count(count, &point->count)) {
        return false;
    }
    point->quantiles[0] = (struct weir_cwpoint_quantile){0.0, min};
    point->quantiles[point->quantile_count++] = (struct weir_cwpoint_quantile){1.0, max};
    return true;
}

bool weir_cwjson_line_read(uint8_t *text, size_t size, struct weir_cwjson_line *ret,
                           enum weir_quarantine *ret_reason)
{
    struct reader reader = {.line = ret};
    struct weir_bytes key;
    bool is_object;
    weir_cwjson_line_init(ret);
    weir_json_init(&reader.json, text, size, DEPTH_MAX);
    is_object = weir_json_peek(&reader.json) == WEIR_JSON_OBJECT;
    if (is_object) {
        weir_json_object_begin(&reader.json);
        while (weir_json_member(&reader.json, &key)) {
            read_member(&reader, key);
        }
    } else {
        weir_json_skip(&reader.json);
    }
    if (weir_json_finish(&reader.json) != WEIR_OK) {
        *ret_reason = WEIR_QUARANTINE_JSON_LINE;
        return false;
    }
    if (!is_object || (reader.seen & SEEN_METRIC_KEYS) == 0) {
        *ret_reason = WEIR_QUARANTINE_NOT_A_METRIC;
        return false;
    }
    if (reader.bad || (reader.seen & SEEN_NEEDED) != SEEN_NEEDED ||
        !weir_cwjson_line_end(ret, reader.count, reader.min, reader.max)) {
        *ret_reason = WEIR_QUARANTINE_JSON_VALUE;
        return false;
    }
    return true;
}

/* Takes digits of `text` from *at on, of at most PERCENTILE_DIGITS all in all; how many. */
static unsigned take_digits(struct weir_bytes text, size_t *at, uint64_t *number)
{
    unsigned count = 0;
    while (*at < text.size && text.data[*at] >= '0' && text.data[*at] <= '9' &&
           *at <= PERCENTILE_DIGITS) {
        *number = *number * 10 + (uint64_t)(text.data[*at] - '0');
        (*at)++;
        count++;
    }
    return count;
}

/* "p9.5" is 95 / 1000: both are doubles without rounding, so that one division rounds once. To
 * divide 9.5 by 100 would round a second time and give 0.09500000000000001. */
bool weir_cwjson_quantile(struct weir_bytes statistic, double *ret)
{
    uint64_t number = 0;
    double scale = 100.0;
    size_t at = 1;
    if (statistic.size < 2 || statistic.data[0] != 'p') {
        return false;
    }
    unsigned whole = take_digits(statistic, &at, &number);
    if (whole == 0 || whole > 2) {
        return false;
    }
    if (at < statistic.size) {
        if (statistic.data[at++] != '.') {
            return false;
        }
        unsigned fraction = take_digits(statistic, &at, &number);
        if (fraction == 0 || at != statistic.size) {
            return false;
        }
        for (unsigned i = 0; i < fraction; i++) {
            scale *= 10.0;
        }
    }
    if (number == 0) {
        return false;
    }
    *ret = (double)number / scale;
    return true;
}

/* Whether `statistic` is `name` with a range or a number behind it: "TC(1:2)", "tc90". */
static bool is_statistic(struct weir_bytes statistic, const char name[static 3])
{
    if (statistic.size < 3 || (statistic.data[0] | 0x20) != name[0] ||
        (statistic.data[1] | 0x20) != name[1]) {
        return false;
    }
    return statistic.data[2] == '(' || (statistic.data[2] >= '0' && statistic.data[2] <= '9');
}

struct weir_bytes weir_cwjson_statistic_unit(struct weir_bytes statistic, struct weir_bytes unit)
{
    if (is_statistic(statistic, "tc")) {
        return WEIR_BYTES("{Count}");
    }
    if (is_statistic(statistic, "pr")) {
        return WEIR_BYTES("%");
    }
    return weir_unit_otlp(unit);
}
