/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_OTLP_AWS_H
#define WEIR_OTLP_AWS_H

#include "otlp_point.h"
#include "weir/cwpoint.h"

/*
 * A Metric and its Summary's data points, laid out just as CloudWatch lays them out, checked in one
 * pass. A part of weir/otlp.h's decoder: true says what the plain walker would say, in a tenth of
 * the time; false says nothing at all, and the plain walker is asked.
 */

/* Takes a length-delimited field of this tag off the front of a message. On false both are
 * untouched; a length of three bytes is one reason. */
static inline bool weir_otlp_aws_next(struct weir_bytes *rest, uint8_t tag, struct weir_bytes *ret)
{
    const uint8_t *at = rest->data;
    size_t begin = 2;
    if (rest->size < 3 || at[0] != tag) {
        return false;
    }
    size_t size = at[1];
    if (size >= 0x80) {
        size = (size & 0x7F) | (size_t)at[2] << 7;
        begin = 3;
    }
    if (size > rest->size - begin || (begin == 3 && at[2] >= 0x80)) {
        return false;
    }
    *ret = weir_bytes_of(at + begin, size);
    *rest = weir_bytes_of(at + begin + size, rest->size - begin - size);
    return true;
}

/* Whether a message is nothing but a field of this tag, with a length of two bytes. *ret is its
 * content, untouched on false. */
static inline bool weir_otlp_aws_only(struct weir_bytes message, uint8_t tag,
                                      struct weir_bytes *ret)
{
    const uint8_t *at = message.data;
    size_t size = message.size - 3;
    /* signed, a byte that another one follows is no part of any size */
    if (message.size < 0x83 || at[0] != tag || at[1] != (uint8_t)(size | 0x80) ||
        (size_t)(int8_t)at[2] != size >> 7) {
        return false;
    }
    *ret = weir_bytes_of(at + 3, size);
    return true;
}

/* A Metric: 1 name, 3 unit, 11 Summary, each once. *ret_head is name and unit, every field but the
 * data, whose text is not checked (weir_otlp_aws_head); *ret_points the content of the Summary,
 * which is not checked. On false both are untouched. */
bool weir_otlp_aws_metric(struct weir_bytes metric, struct weir_bytes *ret_head,
                          struct weir_bytes *ret_points);

/* The same for short texts before a longer Summary, as nearly all are. */
static inline bool weir_otlp_aws_usual_metric(struct weir_bytes metric, struct weir_bytes *ret_head,
                                              struct weir_bytes *ret_points)
{
    const uint8_t *at = metric.data;
    if (metric.size < 0x80 || at[1] > 0x70) {
        return false;
    }
    size_t unit = 2 + (size_t)at[1];
    size_t head = unit + 2 + at[unit + 1];
    if (at[0] != 0x0A || at[unit] != 0x1A || at[unit + 1] >= 0x80 || metric.size < head ||
        !weir_otlp_aws_only(weir_bytes_of(at + head, metric.size - head), 0x5A, ret_points)) {
        return false;
    }
    *ret_head = weir_bytes_of(at, head);
    return true;
}

/* Takes such a Metric off the front of a ScopeMetrics. On false all are untouched. */
static inline bool weir_otlp_aws_next_metric(struct weir_bytes *rest, struct weir_bytes *ret_head,
                                             struct weir_bytes *ret_points)
{
    struct weir_bytes after = *rest;
    struct weir_bytes metric;
    if (!weir_otlp_aws_next(&after, 0x12, &metric) ||
        (!weir_otlp_aws_usual_metric(metric, ret_head, ret_points) &&
         !weir_otlp_aws_metric(metric, ret_head, ret_points))) {
        return false;
    }
    *rest = after;
    return true;
}

/* Whether the name and unit of such a head are text. */
bool weir_otlp_aws_head(struct weir_bytes head);

/* A 1.0 data point: its times, count, sum, quantiles, and the three attributes. */
bool weir_otlp_aws_point(struct weir_bytes data, struct weir_otlp_point *ret);

/* The same for a point of whatever lengths and numbers: what weir_otlp_aws_point asks where the
 * point is not the usual one. */
bool weir_otlp_aws_any_point(struct weir_bytes data, struct weir_otlp_point *ret);

/* A 0.7 data point: its labels, times, count, sum and quantiles, read into *ret, which is
 * undefined on false. */
bool weir_otlp_aws_labels(struct weir_bytes data, struct weir_cwpoint *ret);

#endif
