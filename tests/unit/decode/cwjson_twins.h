/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_CWJSON_TWINS_H
#define WEIR_TEST_CWJSON_TWINS_H

/*
 * The two readers of a line of CloudWatch JSON held together: what the quick one takes, the plain
 * one takes as well and reads as the same. Stands alone (no cmocka), so that the fuzzer can have
 * it.
 */
#include "../../../src/decode/cwjson_line.h"
#include "../../support/guard.h"

static inline void twins_same_text(struct weir_bytes a, struct weir_bytes b)
{
    WEIR_ASSERT(weir_bytes_eq(a, b));
}

/* Bit for bit: -0 is not 0. */
static inline void twins_same_double(double a, double b)
{
    WEIR_ASSERT(memcmp(&a, &b, sizeof(a)) == 0);
}

static inline void twins_same_point(const struct weir_cwpoint *a, const struct weir_cwpoint *b)
{
    twins_same_text(a->name, b->name);
    twins_same_text(a->metric_name, b->metric_name);
    WEIR_ASSERT(!a->without_name && !b->without_name);
    WEIR_ASSERT(!a->without_metric_name && !b->without_metric_name);
    WEIR_ASSERT(a->start_ns == b->start_ns && a->time_ns == b->time_ns && a->count == b->count);
    twins_same_double(a->sum, b->sum);
    WEIR_ASSERT(a->quantile_count == b->quantile_count);
    for (uint32_t i = 0; i < a->quantile_count; i++) {
        twins_same_double(a->quantiles[i].quantile, b->quantiles[i].quantile);
        twins_same_double(a->quantiles[i].value, b->quantiles[i].value);
    }
    WEIR_ASSERT(a->dimension_count == b->dimension_count);
    for (uint32_t i = 0; i < a->dimension_count; i++) {
        twins_same_text(a->dimensions[i].key, b->dimensions[i].key);
        twins_same_text(a->dimensions[i].value, b->dimensions[i].value);
    }
}

static inline void twins_same_line(const struct weir_cwjson_line *a,
                                   const struct weir_cwjson_line *b)
{
    twins_same_text(a->stream, b->stream);
    twins_same_text(a->account, b->account);
    twins_same_text(a->region, b->region);
    twins_same_text(a->unit, b->unit);
    twins_same_point(&a->point, &b->point);
    WEIR_ASSERT(a->extra_count == b->extra_count);
    for (uint32_t i = 0; i < a->extra_count; i++) {
        twins_same_text(a->extra[i].key, b->extra[i].key);
        twins_same_double(a->extra[i].value, b->extra[i].value);
    }
}

/* Reads one line (`text` without a line feed) by both, as the first one and as one that comes after
 * the lines that were read before. Whether the quick one took it. */
static inline bool twins_check(struct weir_bytes text)
{
    static struct weir_cwjson_last last;
    static struct weir_cwjson_line quick;
    static struct weir_cwjson_line after_others;
    static struct weir_cwjson_line plain;
    struct weir_cwjson_last first = {.scope = NULL};
    struct guard copies[2] = {guard_copy(text), guard_copy(text)};
    const uint8_t *end = copies[0].data + text.size;
    const uint8_t *after = weir_cwjson_line_quick(copies[0].data, end, &first, &quick);
    WEIR_ASSERT(weir_cwjson_line_quick(copies[0].data, end, &last, &after_others) == after);
    enum weir_quarantine reason;
    bool is_good = weir_cwjson_line_read(copies[1].data, text.size, &plain, &reason);
    WEIR_ASSERT(weir_bytes_eq(guard_view(&copies[0]), text)); /* it only reads */
    if (after != NULL) {
        WEIR_ASSERT(after == end);
        WEIR_ASSERT(is_good);
        twins_same_line(&quick, &plain);
        twins_same_line(&after_others, &plain);
    }
    guard_free(&copies[0]);
    guard_free(&copies[1]);
    return after != NULL;
}

#endif
