/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sizes, durations, counts and times: text to value, value to text.
 *
 *   size      digits [unit]     B KB MB GB TB (powers of 1000) KiB MiB GiB TiB (powers of 1024);
 *                               any case
 *   duration  digits unit | 0   ms s m h d
 *   time      RFC 3339          2026-12-31T00:00:00Z, 2026-12-31T01:00:00.5+01:00; 1970 to 2261
 *
 *   I1  what is put here parses back to the same value
 *   I2  no value wraps: every product and sum is checked
 *
 * No fractions ("1.5GiB"): whoever wants them writes the next smaller unit, and nobody has to ask
 * how they are rounded. A duration needs its unit, since "60" has meant seconds, milliseconds and
 * minutes in the systems that our users come from.
 *
 * Pure; any thread.
 */
#include "config_internal.h"
#include "weir/clock.h"
#include "weir/panic.h"
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: the first that divides a value is how it is written. */
static const struct unit size_units[] = {
    {"TiB", UINT64_C(1) << 40},
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"TB", UINT64_C(1000000000000)},
    {"GB", UINT64_C(1000000000)},
    {"MB", UINT64_C(1000000)},
    {"KB", UINT64_C(1000)},
    {"B", 1},
    {"", 1},
};
enum { SIZE_UNITS_PRINTED = 4 };

static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000000000)}, {"h", UINT64_C(3600000000000)}, {"m", UINT64_C(60000000000)},
    {"s", UINT64_C(1000000000)},     {"ms", UINT64_C(1000000)},
};

/* The digits at the front; *ret_used is how many there are. */
static const char *leading_digits(struct weir_bytes text, uint64_t *ret, size_t *ret_used)
{
    uint64_t value = 0;
    size_t at = 0;
    while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9') {
        uint64_t digit = (uint64_t)(text.data[at] - '0');
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return "too large";
        }
        at++;
    }
    if (at == 0) {
        return "not a number";
    }
    *ret = value;
    *ret_used = at;
    return NULL;
}

static const struct unit *find_unit(const struct unit *units, size_t count, struct weir_bytes name)
{
    for (size_t i = 0; i < count; i++) {
        if (weir_bytes_eq_nocase(weir_bytes_str(units[i].name), name)) {
            return &units[i];
        }
    }
    return NULL;
}

const char *weir_config_parse_size(struct weir_bytes text, size_t *ret)
{
    uint64_t value;
    size_t used;
    const char *wrong = leading_digits(text, &value, &used);
    if (wrong != NULL) {
        return wrong;
    }
    const struct unit *unit =
        find_unit(size_units, sizeof size_units / sizeof *size_units, weir_bytes_from(text, used));
    if (unit == NULL) {
        return "not a size";
    }
    if (__builtin_mul_overflow(value, unit->factor, &value) || value > SIZE_MAX / 2) {
        return "too large";
    }
    *ret = (size_t)value;
    return NULL;
}

const char *weir_config_parse_duration(struct weir_bytes text, int64_t *ret_ns)
{
    uint64_t value;
    size_t used;
    const char *wrong = leading_digits(text, &value, &used);
    if (wrong != NULL) {
        return wrong;
    }
    if (used == text.size && value == 0) {
        *ret_ns = 0;
        return NULL;
    }
    const struct unit *unit =
        find_unit(duration_units, sizeof duration_units / sizeof *duration_units,
                  weir_bytes_from(text, used));
    if (unit == NULL) {
        return used == text.size ? "has no unit" : "not a duration";
    }
    if (__builtin_mul_overflow(value, unit->factor, &value) || value > INT64_MAX) {
        return "too large";
    }
    *ret_ns = (int64_t)value;
    return NULL;
}

const char *weir_config_parse_count(struct weir_bytes text, uint64_t *ret)
{
    uint64_t value;
    size_t used;
    const char *wrong = leading_digits(text, &value, &used);
    if (wrong != NULL) {
        return wrong;
    }
    if (used != text.size) {
        return "not a whole number";
    }
    *ret = value;
    return NULL;
}

/* `width` digits at `*at` as a number between `low` and `high`, or -1. Moves on. */
static int64_t time_part(struct weir_bytes text, size_t *at, size_t width, int64_t low,
                         int64_t high)
{
    int64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        uint8_t byte = *at + i < text.size ? text.data[*at + i] : 0;
        if (byte < '0' || byte > '9') {
            return -1;
        }
        value = value * 10 + (byte - '0');
    }
    *at += width;
    return value >= low && value <= high ? value : -1;
}

static bool time_byte(struct weir_bytes text, size_t *at, const char *any_of)
{
    if (*at < text.size && text.data[*at] != 0 && strchr(any_of, text.data[*at]) != NULL) {
        (*at)++;
        return true;
    }
    return false;
}

/* ".5" and the like, in ns; -1 when it is none. */
static int64_t time_fraction(struct weir_bytes text, size_t *at)
{
    int64_t ns = 0;
    int64_t scale = WEIR_NS_PER_S;
    if (!time_byte(text, at, ".")) {
        return 0;
    }
    int64_t digit;
    while (scale > 1 && (digit = time_part(text, at, 1, 0, 9)) >= 0) {
        scale /= 10;
        ns += digit * scale;
    }
    return scale == WEIR_NS_PER_S ? -1 : ns;
}

/* "Z" or "+01:00", in seconds east of UTC; INT64_MIN when it is neither. */
static int64_t time_offset(struct weir_bytes text, size_t *at)
{
    if (time_byte(text, at, "Zz")) {
        return 0;
    }
    bool west = *at < text.size && text.data[*at] == '-';
    if (!time_byte(text, at, "+-")) {
        return INT64_MIN;
    }
    int64_t hours = time_part(text, at, 2, 0, 23);
    bool colon = time_byte(text, at, ":");
    int64_t minutes = time_part(text, at, 2, 0, 59);
    if (hours < 0 || !colon || minutes < 0) {
        return INT64_MIN;
    }
    int64_t seconds = hours * 3600 + minutes * 60;
    return west ? -seconds : seconds;
}

const char *weir_config_parse_time(struct weir_bytes text, int64_t *ret_ns)
{
    static const char wrong[] = "not a time";
    size_t at = 0;
    int64_t year = time_part(text, &at, 4, 1970, 2261);
    bool dashes = time_byte(text, &at, "-");
    int64_t month = time_part(text, &at, 2, 1, 12);
    dashes = time_byte(text, &at, "-") && dashes;
    int64_t day = time_part(text, &at, 2, 1, 31);
    bool marks = time_byte(text, &at, "Tt ") && dashes;
    int64_t hour = time_part(text, &at, 2, 0, 23);
    marks = time_byte(text, &at, ":") && marks;
    int64_t minute = time_part(text, &at, 2, 0, 59);
    marks = time_byte(text, &at, ":") && marks;
    int64_t second = time_part(text, &at, 2, 0, 59);
    int64_t fraction = time_fraction(text, &at);
    int64_t offset = time_offset(text, &at);
    bool parts = year >= 0 && month >= 0 && day >= 0 && hour >= 0 && minute >= 0 && second >= 0;
    if (!parts || !marks || fraction < 0 || offset == INT64_MIN || at != text.size) {
        return wrong;
    }
    struct tm tm = {.tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day};
    int64_t seconds = timegm(&tm);
    if (tm.tm_mday != (int)day) { /* 31 April has become 1 May */
        return "no such day";
    }
    seconds += hour * 3600 + minute * 60 + second - offset;
    if (seconds <= 0) {
        return "before 1970";
    }
    *ret_ns = seconds * WEIR_NS_PER_S + fraction;
    return NULL;
}

static void put_unit(struct weir_buf *out, const struct unit *units, size_t count, uint64_t value)
{
    for (size_t i = 0; i < count && value > 0; i++) {
        if (value % units[i].factor == 0) {
            weir_buf_printf(out, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
            return;
        }
    }
    weir_buf_printf(out, "%" PRIu64, value);
}

void weir_config_put_size(struct weir_buf *out, size_t size)
{
    put_unit(out, size_units, SIZE_UNITS_PRINTED, size);
}

void weir_config_put_duration(struct weir_buf *out, int64_t ns)
{
    WEIR_ASSERT(ns >= 0);
    put_unit(out, duration_units, sizeof duration_units / sizeof *duration_units, (uint64_t)ns);
}

void weir_config_put_time(struct weir_buf *out, int64_t ns)
{
    time_t seconds = (time_t)(ns / WEIR_NS_PER_S);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    char text[40];
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    weir_buf_put(out, weir_bytes_of(text, size));
    if (ns % WEIR_NS_PER_S != 0) {
        weir_buf_printf(out, ".%09" PRId64, ns % WEIR_NS_PER_S);
    }
    weir_buf_put_byte(out, 'Z');
}
