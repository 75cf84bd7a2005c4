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

/* 1 name, 3 unit, 11 Summary, each once. *ret_head is name and unit, every field but the data;
 * *ret_points the content of the Summary, which is not checked. On false both are untouched. */
bool weir_otlp_aws_metric(struct weir_bytes metric, struct weir_bytes *ret_head,
                          struct weir_bytes *ret_points);

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

/* A 1.0 data point: its times, count, sum, quantiles, and the three attributes. */
bool weir_otlp_aws_point(struct weir_bytes data, struct weir_otlp_point *ret);

/* A 0.7 data point: its labels, times, count, sum and quantiles, read into *ret, which is
 * undefined on false. */
bool weir_otlp_aws_labels(struct weir_bytes data, struct weir_cwpoint *ret);

#endif
