/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_BODY_INTERNAL_H
#define WEIR_BENCH_BODY_INTERNAL_H

#include "body.h"

/* More than any point takes in any format, the record's own part included. */
enum { WEIR_BODY_POINT_MAX = 2048 };

/* Writes the record of `count` points from `first` on, all of one resource, into `scratch` of
 * (count + 1) x WEIR_BODY_POINT_MAX bytes. The view is into that. */
struct weir_bytes weir_body_otlp_record(const struct weir_traffic *traffic, bool is_07,
                                        uint64_t first, uint32_t count, uint8_t *scratch);
struct weir_bytes weir_body_json_record(const struct weir_traffic *traffic, uint64_t first,
                                        uint32_t count, uint8_t *scratch);

#endif
