/* SPDX-License-Identifier: Apache-2.0 */
#include "load/value.h"
#include "weir/bytes.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit sizes[] = {
    {"", 1},
    {"B", 1},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {NULL, 0},
};

static const struct unit durations[] = {
    {"ms", UINT64_C(1000000)},
    {"s", UINT64_C(1000000000)},
    {"m", UINT64_C(60000000000)},
    {"h", UINT64_C(3600000000000)},
    {NULL, 0},
};

/* The digits at the front, or NULL; the rest of the text is given back. */
static const char *digits(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            return NULL;
        }
    }
    *ret = value;
    return at == text ? NULL : at;
}

static bool with_unit(const char *text, const struct unit *units, uint64_t *ret)
{
    uint64_t value;
    const char *rest = digits(text, &value);
    for (; rest != NULL && units->name != NULL; units++) {
        if (weir_bytes_eq_nocase(weir_bytes_str(rest), weir_bytes_str(units->name))) {
            if (__builtin_mul_overflow(value, units->factor, &value) || value > INT64_MAX) {
                return false;
            }
            *ret = value;
            return true;
        }
    }
    return false;
}

bool weir_load_value_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t value;
    const char *rest = digits(text, &value);
    if (rest == NULL || *rest != '\0' || value < min || value > max) {
        return false;
    }
    *ret = value;
    return true;
}

bool weir_load_value_number(const char *text, double *ret)
{
    uint64_t whole;
    const char *rest = digits(text, &whole);
    double value = rest == NULL ? 0 : (double)whole;
    if (rest != NULL && *rest == '.' && rest[1] != '\0') {
        double place = 0.1;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, place /= 10) {
            value += place * (*rest - '0');
        }
    }
    if (rest == NULL || *rest != '\0' || value <= 0) {
        return false;
    }
    *ret = value;
    return true;
}

bool weir_load_value_size(const char *text, size_t *ret)
{
    uint64_t value;
    if (!with_unit(text, sizes, &value)) {
        return false;
    }
    *ret = (size_t)value;
    return true;
}

bool weir_load_value_duration(const char *text, int64_t *ret_ns)
{
    uint64_t value;
    if (strcmp(text, "0") == 0) {
        value = 0;
    } else if (!with_unit(text, durations, &value)) {
        return false;
    }
    *ret_ns = (int64_t)value;
    return true;
}
