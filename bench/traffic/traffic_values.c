/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a point measures. Values are whole numbers over a power of ten, each below 2^53 and so exact
 * decimals: as JSON they have up to fifteen digits, as AWS's have, and reading those gives the same
 * double.
 *
 *   series hash ─► what the entity is like: busy or idle, how many samples a minute, how precise
 *   moment hash ─► where this minute's values lie within that
 *
 * In captured streams 0.35 to 0.75 of all points are zero, 0.8 have one value throughout, 0.8 are
 * whole numbers; so here (0.41, 0.88, 0.81). An idle entity is idle in every minute, so zeros come
 * in long runs, which is what compression and a decoder see in real streams.
 *
 *   I1  minimum <= percentiles <= maximum, count >= 1
 *   I2  a value is never negative zero
 */
#include "traffic_internal.h"
#include "weir/panic.h"

/* One point's values in units of 1 / scale. */
struct measure {
    uint64_t count;
    int64_t low;
    int64_t high;
    int64_t sum;
    int64_t scale;
};

static struct measure same(uint64_t count, int64_t value)
{
    return (struct measure){count, value, value, (int64_t)count * value, 1};
}

/* Events: each a sample of 1. */
static struct measure events(uint64_t series, uint64_t moment)
{
    if (series % 2 == 0) {
        return same(1 + series / 2 % 5, 0);
    }
    return same(1 + moment % (UINT64_C(1) << (series >> 8) % 13), 1);
}

static struct measure quiet(uint64_t series, uint64_t moment)
{
    if (series % 100 < 85 && moment % 64 != 0) {
        return same(1 + series / 100 % 5, 0);
    }
    return same(1 + moment / 64 % 40, 1);
}

static struct measure between(uint64_t count, int64_t low, int64_t high, int64_t scale)
{
    int64_t sum = low;
    if (count > 1) {
        sum = high + low * (int64_t)(count - 1) + (high - low) / 4 * (int64_t)(count - 2);
    }
    return (struct measure){count, low, count > 1 ? high : low, sum, scale};
}

static struct measure gauge(uint64_t series, uint64_t moment)
{
    uint64_t count = 1 + series / 10 % 5;
    if (series % 10 < 4) {
        return same(count, 0);
    }
    int64_t low = (int64_t)((series >> 16) % 5000 + moment % 50);
    if (series % 10 < 8) {
        return same(count, low);
    }
    return between(count, low, low + (int64_t)(moment / 50 % 200), 1);
}

static struct measure bytes(uint64_t series, uint64_t moment)
{
    uint64_t count = 1 + (series >> 32) % 5;
    if (series % 10 < 4) {
        return same(count, 0);
    }
    uint64_t around = UINT64_C(1) << (6 + series / 10 % 30);
    int64_t low = (int64_t)(around + moment % around);
    if (series % 10 < 8) {
        return same(count, low);
    }
    return between(count, low, low + (int64_t)((moment >> 32) % around), 1);
}

static struct measure percent(uint64_t series, uint64_t moment)
{
    static const int64_t scales[] = {
        0, 1, 1, 10, 10000, 10000000000, 10000000000000, 10000000000000};
    int64_t scale = scales[series % 8];
    if (scale == 0) {
        return same(1 + series / 8 % 5, 0);
    }
    int64_t low = (int64_t)(series / 8 % (uint64_t)(90 * scale));
    low += (int64_t)(moment % (uint64_t)(5 * scale));
    int64_t high = low + (int64_t)((moment >> 20) % (uint64_t)(5 * scale));
    return between(series >> 61 == 0 ? 5 : 1, low, high, scale);
}

static struct measure latency(uint64_t series, uint64_t moment)
{
    static const int64_t scales[] = {1000000000000, 1000000};
    int64_t scale = scales[series % 2];
    int64_t unit = scale / 1000 * (int64_t)(1 + series / 2 % 50);
    int64_t low = unit + (int64_t)(moment % (uint64_t)unit);
    int64_t high = low + unit / 16 * (int64_t)(1 + (moment >> 40) % 160);
    uint64_t count = 1 + (moment >> 20) % (UINT64_C(1) << (series >> 16) % 12);
    return between(count, low, high, scale);
}

static struct measure measured(enum weir_catalog_kind kind, uint64_t series, uint64_t moment)
{
    switch (kind) {
    case WEIR_CATALOG_QUIET: return quiet(series, moment);
    case WEIR_CATALOG_COUNT: return events(series, moment);
    case WEIR_CATALOG_LEVEL: return same(1 + series % 60, (int64_t)(series / 60 % 101));
    case WEIR_CATALOG_GAUGE: return gauge(series, moment);
    case WEIR_CATALOG_BYTES: return bytes(series, moment);
    case WEIR_CATALOG_PERCENT: return percent(series, moment);
    case WEIR_CATALOG_LATENCY:
    case WEIR_CATALOG_TAILS:
    case WEIR_CATALOG_TAIL: return latency(series, moment);
    case WEIR_CATALOG_SIGNED:
        return series % 10 < 7 ? same(1 + series / 10 % 5, -1) : bytes(series / 10, moment);
    }
    WEIR_UNREACHABLE();
}

static void add(struct weir_traffic_point *point, double quantile, double value)
{
    point->quantile[point->quantiles] = quantile;
    point->value[point->quantiles] = value;
    point->quantiles++;
}

static void add_percentiles(enum weir_catalog_kind kind, const struct measure *measure,
                            struct weir_traffic_point *point)
{
    int64_t range = measure->high - measure->low;
    double scale = (double)measure->scale;
    if (kind == WEIR_CATALOG_TAILS) {
        add(point, 0.5, (double)(measure->low + range * 3 / 16) / scale);
        add(point, 0.9, (double)(measure->low + range * 9 / 16) / scale);
        add(point, 0.99, (double)(measure->low + range * 15 / 16) / scale);
    } else if (kind == WEIR_CATALOG_TAIL) {
        add(point, 0.999, (double)(measure->low + range * 15 / 16) / scale);
    }
}

void weir_traffic_values(enum weir_catalog_kind kind, uint64_t series, uint64_t moment,
                         bool without_percentiles, struct weir_traffic_point *point)
{
    struct measure measure = measured(kind, series, moment);
    double scale = (double)measure.scale;
    point->count = measure.count;
    point->sum = (double)measure.sum / scale;
    point->quantiles = 0;
    add(point, 0.0, (double)measure.low / scale);
    if (!without_percentiles) {
        add_percentiles(kind, &measure, point);
    }
    add(point, 1.0, (double)measure.high / scale);
}
