/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_PARCEL_H
#define WEIR_LOAD_PARCEL_H

#include "load/crc_shift.h"
#include "load/plan.h"
#include "traffic/body.h"
#include "weir/gzip.h"

/*
 * A request's body, built once and sent under a fresh id as often as wanted, at the cost of writing
 * the id.
 *
 *   not compressed   {"requestId":"<id>","timestamp":...
 *                                  └ written over in place
 *
 *   gzip   [ header | stored block:        | compressed once:                | crc | size ]
 *                   | {"requestId":"<id>   | ","timestamp":...,"records":... |
 *                                  └───────────────────────────────────────────► crc follows
 *
 * One member, as Firehose sends it: blocks of a deflate stream stand one after another, a stored
 * one ends at a byte, and the CRC of both parts comes from the CRC of each (crc_shift.h).
 * A body of several ranges (a buffer that was open while the minute changed) is the bodies of each,
 * joined at their records.
 */
enum { WEIR_LOAD_RANGES_MAX = 24 };

struct weir_load_parcel {
    uint8_t *data;
    size_t size;
    size_t id_at;
    size_t head_at;                       /* gzip: where the stored head begins */
    size_t head_size;                     /* gzip: its size; 0: not compressed */
    struct weir_load_crc_shift over_rest; /* gzip: over what follows the head */
    uint32_t rest_crc;
    uint64_t points;
    size_t record_bytes;
    size_t json_bytes;
    uint32_t stream;
    uint32_t ranges;
    struct weir_load_range range[WEIR_LOAD_RANGES_MAX];
};

/* What is needed to build bodies; one a thread. */
struct weir_load_maker {
    const struct weir_traffic *traffic;
    struct weir_body_shape shape;
    struct weir_deflater *deflater; /* NULL: not compressed */
    struct weir_buf json;
    struct weir_buf more;
};

/* WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_load_maker_init(struct weir_load_maker *maker,
                                                    const struct weir_traffic *traffic,
                                                    const struct weir_body_shape *shape);
void weir_load_maker_done(struct weir_load_maker *maker);

/* The uncompressed body of the parcel's ranges under the id of zeros, in memory of the maker's that
 * the next call uses again. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_load_parcel_json(struct weir_load_maker *maker,
                                                     struct weir_load_parcel *parcel,
                                                     struct weir_bytes *ret);

/* Builds the body of parcel->range[0 .. ranges) (at least one, of one stream), over an earlier one
 * of the same parcel. WEIR_ENOMEM. A zeroed parcel has none yet. */
WEIR_MUST_USE enum weir_status weir_load_parcel_build(struct weir_load_maker *maker,
                                                      struct weir_load_parcel *parcel);

/* Writes the id (WEIR_BODY_ID_SIZE characters). */
void weir_load_parcel_name(struct weir_load_parcel *parcel, const char *id);

/* Frees the body. */
void weir_load_parcel_done(struct weir_load_parcel *parcel);

#endif
