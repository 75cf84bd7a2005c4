/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers. Nearly all of them are read exactly with a few instructions, by the first that can:
 *
 *   digits.digits                           the next but one, read in steps of eight digits
 *   mantissa x 10^0                         converting rounds once
 *   mantissa <= 2^53, |exponent| <= 22      one multiplication or division (Clinger)
 *   any mantissa, -19 <= exponent < 0       one division of integers, of twice the width
 *   the rest                                strtod
 *
 *   I1  whichever reads it, the result is the double nearest to the text
 *
 * Seventeen digits behind a point are what averages and percentiles look like, so the third is as
 * common as the second, and strtod cost ten times as much. Pure.
 *
 * The common steps are inline, so that a number stays in registers.
 */
#include "weir/json.h"
#include "weir/json_plain.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>

#define DIGITS_MAX   19 /* significant digits that surely fit 64 bits */
#define EXPONENT_MAX 100000
#define POWER_MAX    22 /* the largest power of ten that a double holds exactly */
#define DIVISOR_MAX  19 /* the largest power of ten that 64 bits hold */
#define MANTISSA_MAX ((uint64_t)1 << DBL_MANT_DIG)
_Static_assert(FLT_EVAL_METHOD == 0, "the exact path needs plain double arithmetic");

__extension__ typedef unsigned __int128 wide;

static const uint64_t integer_powers[DIVISOR_MAX + 1] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
    10000000000000000000U,
};

static const double powers[POWER_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                             1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                             1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* A number taken apart: (-1)^negative x mantissa x 10^exponent, when not `inexact`. */
struct parts {
    uint64_t mantissa;
    int64_t exponent;
    bool negative;
    bool inexact; /* more digits than the mantissa holds */
};

static inline bool is_digit(const uint8_t *at, const uint8_t *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

/* Appends digits to the mantissa, which may run over: their number will tell. */
static inline const uint8_t *take_digits(struct parts *parts, const uint8_t *at, const uint8_t *end)
{
    uint64_t mantissa = parts->mantissa;
    unsigned count = 8;
    while (count == 8 && end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        count = weir_json_plain_digits(word);
        if (count == 0) {
            break;
        }
        mantissa = mantissa * integer_powers[count] + weir_json_plain_number(word, count);
        at += count;
    }
    for (; count == 8 && is_digit(at, end); at++) { /* near the end */
        mantissa = mantissa * 10 + (uint64_t)(*at - '0');
    }
    parts->mantissa = mantissa;
    return at;
}

/* Whether there are more digits than surely fit, leading zeros not counted. */
static bool is_too_long(const uint8_t *at, const uint8_t *end)
{
    unsigned digits = 0;
    for (; at < end; at++) {
        digits += *at != '.' && (digits > 0 || *at != '0') ? 1 : 0;
    }
    return digits > DIGITS_MAX;
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

/* RFC 8259 section 6, as far as it goes. What comes after the number, or NULL for none. */
static inline const uint8_t *take_apart(const uint8_t *at, const uint8_t *end, struct parts *ret)
{
    struct parts parts = {0};
    if (at < end && *at == '-') {
        parts.negative = true;
        at++;
    }
    const uint8_t *first = at;
    at = take_digits(&parts, at, end);
    if (at == first || (*first == '0' && at - first > 1)) {
        return NULL;
    }
    if (at < end && *at == '.') {
        const uint8_t *point = at + 1;
        at = take_digits(&parts, point, end);
        parts.exponent = point - at;
        if (at == point) {
            return NULL;
        }
    }
    parts.inexact = at - first > DIGITS_MAX && is_too_long(first, at);
    if (at < end && (*at == 'e' || *at == 'E')) {
        at = take_exponent(&parts, at + 1, end);
    }
    *ret = parts;
    return at;
}

/*
 * mantissa / 10^power, rounded once. Both are shifted to their full width, so that the quotient has
 * 62 or 63 bits; its last one also stands for a remainder, and lies far below the bit that decides
 * about rounding: converting it rounds as the whole fraction would. What the shifts made of it is
 * undone by a power of two, which rounds nothing.
 */
static double divide(uint64_t mantissa, unsigned power)
{
    int mantissa_shift = __builtin_clzll(mantissa);
    int divisor_shift = __builtin_clzll(integer_powers[power]);
    uint64_t divisor = integer_powers[power] << divisor_shift;
    wide dividend = (wide)(mantissa << mantissa_shift) << 62;
    uint64_t quotient = (uint64_t)(dividend / divisor);
    bool has_remainder = (wide)quotient * divisor != dividend;
    double rounded = (double)(int64_t)(quotient | (has_remainder ? 1 : 0));
    uint64_t scale_bits = (uint64_t)(1023 + divisor_shift - mantissa_shift - 62) << 52;
    double scale;
    memcpy(&scale, &scale_bits, sizeof(scale));
    return rounded * scale;
}

/*
 * W. D. Clinger, "How to Read Floating Point Numbers Accurately" (1990): when the mantissa and the
 * power of ten are doubles without rounding, one multiplication or division rounds once, so it is
 * the nearest.
 */
static inline bool exact(const struct parts *parts, double *ret)
{
    if (parts->inexact) {
        return false;
    }
    bool is_small = parts->mantissa <= MANTISSA_MAX;
    double value = (double)parts->mantissa;
    if (parts->mantissa == 0) {
        value = 0.0; /* whatever the exponent */
    } else if (is_small && parts->exponent >= 0 && parts->exponent <= POWER_MAX) {
        value *= powers[parts->exponent];
    } else if (is_small && parts->exponent < 0 && parts->exponent >= -POWER_MAX) {
        value /= powers[-parts->exponent];
    } else if (parts->exponent < 0 && parts->exponent >= -DIVISOR_MAX) {
        value = divide(parts->mantissa, (unsigned)-parts->exponent);
    } else if (parts->exponent != 0) {
        return false;
    }
    *ret = parts->negative ? -value : value;
    return true;
}

/* The long way. The process never calls setlocale, so strtod's decimal point is the point. */
static double slow(struct weir_bytes text)
{
    char terminated[WEIR_JSON_NUMBER_MAX + 1];
    if (text.size > WEIR_JSON_NUMBER_MAX) {
        return (double)INFINITY;
    }
    memcpy(terminated, text.data, text.size);
    terminated[text.size] = '\0';
    return strtod(terminated, NULL);
}

/* Digits, a point, at most sixteen digits: what averages are, of two or three steps. NULL for all
 * others, whatever they are. */
static inline const uint8_t *take_usual(const uint8_t *at, const uint8_t *end, double *ret)
{
    enum { BYTES = 8 + 1 + 16 + 1 };
    uint64_t words[3];
    if (end - at < BYTES) {
        return NULL;
    }
    memcpy(&words[0], at, 8);
    unsigned whole = weir_json_plain_digits(words[0]);
    const uint8_t *point = at + whole;
    if (whole == 0 || *point != '.' || (*at == '0' && whole > 1)) {
        return NULL;
    }
    memcpy(&words[1], point + 1, 8);
    memcpy(&words[2], point + 9, 8);
    uint64_t mantissa = weir_json_plain_number(words[0], whole);
    unsigned fraction = weir_json_plain_digits(words[1]);
    if (fraction == 0) {
        return NULL;
    }
    mantissa = mantissa * integer_powers[fraction] + weir_json_plain_number(words[1], fraction);
    if (fraction == 8) {
        unsigned more = weir_json_plain_digits(words[2]);
        if (whole + 8 + more > DIGITS_MAX) {
            return NULL;
        }
        mantissa = more == 0
                       ? mantissa
                       : mantissa * integer_powers[more] + weir_json_plain_number(words[2], more);
        fraction += more;
    }
    const uint8_t *after = point + 1 + fraction;
    if (mantissa > MANTISSA_MAX || (*after >= '0' && *after <= '9') || (*after | 0x20) == 'e') {
        return NULL;
    }
    *ret = (double)mantissa / powers[fraction];
    return after;
}

const uint8_t *weir_json_take_double(const uint8_t *at, const uint8_t *end, double *ret)
{
    const uint8_t *usual = take_usual(at, end, ret);
    if (usual != NULL) {
        return usual;
    }
    struct parts parts;
    const uint8_t *after = take_apart(at, end, &parts);
    if (after != NULL && !exact(&parts, ret)) {
        *ret = slow(weir_bytes_of(at, (size_t)(after - at)));
    }
    return after;
}

enum weir_status weir_json_parse_double(struct weir_bytes text, double *ret)
{
    if (text.size == 0) {
        return WEIR_EMALFORMED;
    }
    double value;
    const uint8_t *end = text.data + text.size;
    if (weir_json_take_double(text.data, end, &value) != end) {
        return WEIR_EMALFORMED;
    }
    if (text.size > WEIR_JSON_NUMBER_MAX || isinf(value)) {
        return WEIR_ELIMIT;
    }
    *ret = value;
    return WEIR_OK;
}
