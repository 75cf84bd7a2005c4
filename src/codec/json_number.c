/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/json.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>

#define DIGITS_MAX   19 /* significant digits that surely fit 64 bits */
#define EXPONENT_MAX 100000
#define POWER_MAX    22 /* the largest power of ten that a double holds exactly */
#define MANTISSA_MAX ((uint64_t)1 << DBL_MANT_DIG)
_Static_assert(FLT_EVAL_METHOD == 0, "the exact path needs plain double arithmetic");

/* A number taken apart: (-1)^negative x mantissa x 10^exponent, when not `inexact`. */
struct parts {
    uint64_t mantissa;
    int64_t exponent;
    unsigned digits; /* significant ones */
    bool negative;
    bool inexact; /* more digits than the mantissa holds */
};

static bool is_digit(const uint8_t *at, const uint8_t *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static void add_digit(struct parts *parts, uint8_t digit)
{
    if (parts->digits == DIGITS_MAX) {
        parts->inexact = true;
        return;
    }
    parts->mantissa = parts->mantissa * 10 + (uint64_t)(digit - '0');
    parts->digits += parts->mantissa > 0 ? 1 : 0;
}

/* The digits after a point: at least one. NULL for none. */
static const uint8_t *take_fraction(struct parts *parts, const uint8_t *at, const uint8_t *end)
{
    const uint8_t *first = at;
    for (; is_digit(at, end); at++) {
        add_digit(parts, *at);
    }
    parts->exponent -= at - first;
    return at == first ? NULL : at;
}

/* Sign and digits after an E: at least one digit. NULL for none. Saturates far
 * beyond any double. */
static const uint8_t *take_exponent(struct parts *parts, const uint8_t *at, const uint8_t *end)
{
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) {
        at++;
    }
    const uint8_t *first = at;
    int exponent = 0;
    for (; is_digit(at, end); at++) {
        if (exponent < EXPONENT_MAX) {
            exponent = exponent * 10 + (*at - '0');
        }
    }
    parts->exponent += negative ? -exponent : exponent;
    return at == first ? NULL : at;
}

/* RFC 8259 section 6, the whole text and nothing else. */
static bool take_apart(struct weir_bytes text, struct parts *ret)
{
    const uint8_t *at = text.data;
    const uint8_t *end = text.data + text.size;
    struct parts parts = {0};
    if (at < end && *at == '-') {
        parts.negative = true;
        at++;
    }
    if (!is_digit(at, end) || (*at == '0' && is_digit(at + 1, end))) {
        return false;
    }
    for (; is_digit(at, end); at++) {
        add_digit(&parts, *at);
    }
    if (at < end && *at == '.') {
        at = take_fraction(&parts, at + 1, end);
    }
    if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
        at = take_exponent(&parts, at + 1, end);
    }
    *ret = parts;
    return at == end;
}

/*
 * W. D. Clinger, "How to Read Floating Point Numbers Accurately" (1990): when the mantissa and the
 * power of ten are doubles without rounding, one multiplication or division rounds once, so it is
 * the nearest.
 */
static bool exact(const struct parts *parts, double *ret)
{
    static const double powers[POWER_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (parts->inexact || parts->mantissa > MANTISSA_MAX) {
        return false;
    }
    double value = (double)parts->mantissa;
    if (parts->mantissa == 0) {
        value = 0.0;
    } else if (parts->exponent >= 0 && parts->exponent <= POWER_MAX) {
        value *= powers[parts->exponent];
    } else if (parts->exponent < 0 && parts->exponent >= -POWER_MAX) {
        value /= powers[-parts->exponent];
    } else {
        return false;
    }
    *ret = parts->negative ? -value : value;
    return true;
}

/* The long way. The process never calls setlocale, so strtod's decimal point is the point. */
static double slow(struct weir_bytes text)
{
    char terminated[WEIR_JSON_NUMBER_MAX + 1];
    memcpy(terminated, text.data, text.size);
    terminated[text.size] = '\0';
    return strtod(terminated, NULL);
}

enum weir_status weir_json_parse_double(struct weir_bytes text, double *ret)
{
    struct parts parts;
    if (text.size == 0 || !take_apart(text, &parts)) {
        return WEIR_EMALFORMED;
    }
    if (text.size > WEIR_JSON_NUMBER_MAX) {
        return WEIR_ELIMIT;
    }
    double value;
    if (!exact(&parts, &value)) {
        value = slow(text);
    }
    if (isinf(value)) {
        return WEIR_ELIMIT;
    }
    *ret = value;
    return WEIR_OK;
}
