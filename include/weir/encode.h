/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ENCODE_H
#define WEIR_ENCODE_H

#include "weir/batcher.h"
#include "weir/buf.h"

/*
 * A closed batch to one ExportMetricsServiceRequest: heads and points are gathered, each copied
 * once. Any exporter thread may encode any batch; one thread a batch.
 */
struct weir_batch_info {
    uint32_t points;
    size_t bytes; /* what weir_batch_encode will write, exactly */
    enum weir_buffer_trigger trigger;
    int64_t opened_ns;          /* monotonic */
    int64_t used_ns;            /* of the retry window, before a restart: the most of its runs */
    int64_t oldest_received_ns; /* monotonic: of the earliest request that a point came with */
    uint32_t requests;          /* runs that took part */
    char request_id[64];        /* of the first run, for logs; cut, terminated */
    char stream[128];
};

/* What is known about a batch without encoding it. */
struct weir_batch_info weir_batch_info(const struct weir_batch *batch);

/* The batch's manifest, now the caller's; NULL where nobody keeps accounts, or a second time. A
 * batch released with its manifest settles it as WEIR_KEPT. */
struct weir_manifest *weir_batch_manifest(struct weir_batch *batch);

/* Appends the encoded request, exactly info.bytes; the buffer has room for them (asserted). */
void weir_batch_encode(const struct weir_batch *batch, struct weir_buf *out);

/* Gives back arena references and copies, and the batch to its pool. NULL is nothing. */
void weir_batch_release(struct weir_batch *batch, struct weir_pool *batches);

/* Size and end of a batch object, for weir_pool_new. */
size_t weir_batch_size(void);
void weir_batch_done(void *batch);

/* Whether sizes, counts and links agree; O(points). Tests and debug builds. */
bool weir_batch_validate(const struct weir_batch *batch);

#endif
