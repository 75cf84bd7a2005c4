/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DECODE_BOUNDS_H
#define WEIR_DECODE_BOUNDS_H

#include "weir/collect.h"

/*
 * How much one request may hold, beside its bytes. A body of two-byte messages is read as quickly
 * as any other, byte for byte, but each message has its price, and each name a place in a table: 64
 * MiB of nothing but the smallest are seconds of a loop's time. So there are bounds, well above
 * what Firehose can send, and far below what fits into a body.
 *
 * Firehose buffers 64 MiB of records at most for an endpoint (and 1 to 5 by default). The shortest
 * data point of CloudWatch takes some 200 bytes with its Metric, as a line of JSON some 250; nearly
 * all take 300 and more:
 *
 *   metrics    2^19   128 bytes each, if they were the whole of the largest buffer
 *   parts      2^20   lines, messages, resources, scopes, metrics, points: two a point (a line or
 *                     a Metric, and itself), where the largest buffer holds 0.3 million
 *   resources  2^17   one for each account, region and stream. A stream has one region, and no
 *                     account watches more than 100,000 others (CloudWatch's quota of sources)
 *   scopes     2^17   one for each resource
 *   runs       2^17   (resource, namespace): services send several metrics a minute for each, and
 *                     the largest buffer has not twice as many points
 *
 * Decoding 64 MiB takes 0.06 s when they are honest and 0.2 s when each point has a resource of its
 * own; crafted, it took up to 2.4 s with warm memory, and takes 0.3 s at most. What is smaller yet,
 * fields of a point and of a head, costs 15 ns for two bytes at most and has no bound of its own.
 */
#define WEIR_BOUNDS_PARTS     (UINT32_C(1) << 20)
#define WEIR_BOUNDS_METRICS   (UINT32_C(1) << 19)
#define WEIR_BOUNDS_RESOURCES (UINT32_C(1) << 17)
#define WEIR_BOUNDS_SCOPES    (UINT32_C(1) << 17)
#define WEIR_BOUNDS_RUNS      (UINT32_C(1) << 17)

/* A sentence for the sender when what was collected so far is over a bound; NULL when it is not.
 * To be asked after each record: one record can go over them by as much as it holds, which its own
 * limit bounds. The request's thread; O(1). */
const char *weir_bounds_exceeded(const struct weir_collect *collect);

#endif
