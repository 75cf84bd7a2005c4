/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_KEEP_H
#define WEIR_BENCH_KEEP_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * Bodies kept as files, inflated, one a batch: DIR/batch-000001.pb, ... What a compressor is given
 * when its speed on the gateway's own output is asked for.
 */
struct weir_sink_keep;

/* Into the folder `path`, made where it is missing, up to `limit` bytes in all. WEIR_EIO (errno
 * says why), WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_sink_keep_open(const char *path, uint64_t limit,
                                                   struct weir_sink_keep **ret);
/* NULL is nothing. */
void weir_sink_keep_close(struct weir_sink_keep *keep);

/* Writes one body. WEIR_EFULL past the limit, and then for ever; WEIR_EIO. Any thread. */
WEIR_MUST_USE enum weir_status weir_sink_keep_write(struct weir_sink_keep *keep,
                                                    struct weir_bytes body);

#endif
