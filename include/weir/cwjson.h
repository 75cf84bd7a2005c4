/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CWJSON_H
#define WEIR_CWJSON_H

#include "weir/collect.h"

/*
 * CloudWatch metric-stream JSON: one object a line, one data point an object. Written as OTLP 1.0
 * bytes into the arena, in AWS's own field order, so that the same point leaves as the same bytes
 * whatever format it came in.
 *
 * Value keys: count, sum, min and max always; pN become quantiles between min (0) and max (1), in
 * order; TM, WM, TC, TS, PR, IQM (and tmN, wmN, tcN, tsN) have no place in a Summary and become a
 * Gauge `<name>.<statistic>` each.
 */
struct weir_cwjson_context {
    struct weir_bytes partition; /* of X-Amz-Firehose-Source-Arn, else "aws" */
    struct weir_bytes
        account; /* of the same, else empty: the record's own account stands in the ARN */
};

/* Decodes every line of a record (mutable, in the arena), and writes over those that were metrics.
 * A line that is no metric is quarantined with its reason and the rest goes on; blank lines are
 * skipped. */
void weir_cwjson_decode(struct weir_collect *collect, struct weir_cwjson_context context,
                        struct weir_bytes record, uint32_t record_index);

#endif
