/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_CHECK_H
#define WEIR_BENCH_CHECK_H

#include "sink/decode.h"
#include "traffic/traffic.h"
#include "weir/buf.h"

/*
 * Whether a point that arrived is the one that was sent: found by what names it, then compared with
 * what the world says of it, byte for byte.
 */
struct weir_sink_checked {
    uint64_t number;   /* UINT64_MAX: wrong */
    const char *wrong; /* what is, or NULL */
};

/* Checks one point. `scratch` is the caller's, emptied and filled here. Any thread. */
struct weir_sink_checked weir_sink_check(const struct weir_traffic *traffic,
                                         const struct weir_sink_point *point,
                                         struct weir_buf *scratch);

/* Whether a resource is a point's: exactly the four attributes that AWS sends, in any order, and
 * nothing else. */
bool weir_sink_check_resource(const struct weir_sink_resource *resource,
                              const struct weir_traffic_point *point);

#endif
