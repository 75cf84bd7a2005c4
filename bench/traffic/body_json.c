/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CloudWatch's JSON records: one line a point, AWS's order of keys, numbers as Java prints doubles.
 *
 *   {"metric_stream_name":..,"account_id":..,"region":..,"namespace":..,"metric_name":..,
 *    "dimensions":{..},"timestamp":..,"value":{"max":..,"min":..,"sum":..,"count":..,"p99":..},
 *    "unit":..} LF
 *
 *   I1  each number reads back as the same double: it is printed as the whole number k over 10^d
 *       that it is, k < 2^53, d <= 22 (one rounding), or else with seventeen digits
 *   I2  no text of this world needs escaping (asserted by the catalog's test)
 */
#include "body_internal.h"
#include "weir/panic.h"

#include <math.h>
#include <stdio.h>

#define PUT(at, text) put((at), WEIR_BYTES(text))

static uint8_t *put(uint8_t *at, struct weir_bytes text)
{
    memcpy(at, text.data, text.size);
    return at + text.size;
}

static uint8_t *put_string(uint8_t *at, struct weir_bytes text)
{
    *at++ = '"';
    at = put(at, text);
    *at++ = '"';
    return at;
}

/* The decimal digits of `value`; *ret_count of them end at digits[20]. */
static const uint8_t *digits_of(uint64_t value, uint8_t digits[20], int *ret_count)
{
    uint8_t *at = digits + 20;
    do {
        *--at = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    *ret_count = (int)(digits + 20 - at);
    return at;
}

static uint8_t *put_whole(uint8_t *at, uint64_t value)
{
    uint8_t digits[20];
    int count = 0;
    const uint8_t *first = digits_of(value, digits, &count);
    return put(at, weir_bytes_of(first, (size_t)count));
}

/* `whole` / 10^places as Java has it: 12.5, 0.0012, 1.25E7, 9.5E-4. */
static uint8_t *put_java(uint8_t *at, uint64_t whole, int places)
{
    uint8_t digits[20];
    int count = 0;
    while (places > 0 && whole % 10 == 0) {
        whole /= 10;
        places--;
    }
    const uint8_t *first = digits_of(whole, digits, &count);
    int exponent = count - 1 - places; /* of the first digit */
    if (exponent < -3 || exponent >= 7) {
        while (count > 1 && first[count - 1] == '0') {
            count--;
        }
        *at++ = first[0];
        *at++ = '.';
        at = count > 1 ? put(at, weir_bytes_of(first + 1, (size_t)count - 1)) : PUT(at, "0");
        at = exponent < 0 ? PUT(at, "E-") : PUT(at, "E");
        return put_whole(at, (uint64_t)(exponent < 0 ? -exponent : exponent));
    }
    if (exponent < 0) {
        at = put(PUT(at, "0."), weir_bytes_of("000", (size_t)(-exponent - 1)));
        return put(at, weir_bytes_of(first, (size_t)count));
    }
    at = put(at, weir_bytes_of(first, (size_t)(count - places)));
    *at++ = '.';
    return places > 0 ? put(at, weir_bytes_of(first + count - places, (size_t)places))
                      : PUT(at, "0");
}

static uint8_t *put_double(uint8_t *at, double value)
{
    static const double tens[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    double size = fabs(value);
    if (value < 0) {
        *at++ = '-';
    }
    for (int places = 0; places < (int)(sizeof(tens) / sizeof(tens[0])); places++) {
        double scaled = size * tens[places];
        if (scaled >= 9007199254740992.0) {
            break;
        }
        uint64_t whole = (uint64_t)(scaled + 0.5);
        if ((double)whole / tens[places] == size) {
            return put_java(at, whole, places);
        }
    }
    return at + snprintf((char *)at, 32, "%.17g", size);
}

static uint8_t *put_dimensions(uint8_t *at, const struct weir_traffic_point *point)
{
    at = PUT(at, ",\"dimensions\":{");
    for (uint32_t i = 0; i < point->dimensions; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        at = put_string(at, point->keys[i]);
        *at++ = ':';
        at = put_string(at, point->values[i]);
    }
    return PUT(at, "}");
}

static struct weir_bytes percentile_name(double quantile)
{
    if (quantile < 0.7) {
        return WEIR_BYTES(",\"p50\":");
    }
    if (quantile < 0.95) {
        return WEIR_BYTES(",\"p90\":");
    }
    return quantile < 0.995 ? WEIR_BYTES(",\"p99\":") : WEIR_BYTES(",\"p99.9\":");
}

static uint8_t *put_values(uint8_t *at, const struct weir_traffic_point *point)
{
    uint32_t last = point->quantiles - 1;
    at = put_double(PUT(at, ",\"value\":{\"max\":"), point->value[last]);
    at = put_double(PUT(at, ",\"min\":"), point->value[0]);
    at = put_double(PUT(at, ",\"sum\":"), point->sum);
    at = put_double(PUT(at, ",\"count\":"), (double)point->count);
    for (uint32_t i = 1; i < last; i++) {
        at = put_double(put(at, percentile_name(point->quantile[i])), point->value[i]);
    }
    return PUT(at, "}");
}

static uint8_t *put_line(uint8_t *at, const struct weir_traffic_point *point)
{
    at = put_string(PUT(at, "{\"metric_stream_name\":"), point->stream);
    at = put_string(PUT(at, ",\"account_id\":"), point->account);
    at = put_string(PUT(at, ",\"region\":"), point->region);
    at = put_string(PUT(at, ",\"namespace\":"), point->name);
    at = put_string(PUT(at, ",\"metric_name\":"), point->metric);
    at = put_dimensions(at, point);
    at = put_whole(PUT(at, ",\"timestamp\":"), (uint64_t)point->start_ms);
    at = put_values(at, point);
    at = put_string(PUT(at, ",\"unit\":"), point->unit);
    return PUT(at, "}\n");
}

struct weir_bytes weir_body_json_record(const struct weir_traffic *traffic, uint64_t first,
                                        uint32_t count, uint8_t *scratch)
{
    uint8_t *at = scratch;
    struct weir_traffic_point point;
    for (uint32_t i = 0; i < count; i++) {
        weir_traffic_point(traffic, first + i, &point);
        uint8_t *line = at;
        at = put_line(at, &point);
        WEIR_ASSERT(at - line <= WEIR_BODY_POINT_MAX);
    }
    return weir_bytes_of(scratch, (size_t)(at - scratch));
}
