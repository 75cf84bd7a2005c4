/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_FRAME_H
#define WEIR_FRAME_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * The bytes of a spool segment, to values and back; pure. docs/formats/spool.md has them one by
 * one.
 *
 *   segment  [ header | the same again ][ commit: record record .. | pad to 4 KiB ][ commit .. ]
 *              4 KiB    4 KiB
 *   record   [ header: fixed part, checksums of the payload, strings | pad to 64 ]
 *            [ payload | pad to 64 ]
 *
 * Every record stands for itself: it begins at a multiple of 64, its header has a magic and its own
 * CRC-32C, checked before any length in it is believed, and it says which commit it belongs to. So
 * a record survives whatever happens to its neighbours, and is found again by looking at every 64th
 * byte. All checksums are seeded with the segment's random salt, and the magic is mixed with it:
 * what an earlier life of the file left there never validates, and what a sender puts into a body
 * never passes for a record. The segment's header stands there twice, a page each, because without
 * its salt nothing behind it can be read.
 *
 *   I1  nothing of a header is believed before its checksum is right
 *   I2  version 1 records have no key name and one checksum for the whole payload; version 2
 *       records have both a key name and a checksum for each started MiB of payload; version 3 is
 *       the same with headers of a multiple of 64, so that a payload can begin with a block
 *   I3  what was read fits: a record that weir_frame_record_read has returned has an extent that
 *       the segment has room for, strings within its header, and as many checksums as its payload
 *       needs
 */
#define WEIR_FRAME_VERSION_MIN    1
#define WEIR_FRAME_VERSION        3
#define WEIR_FRAME_SEGMENT_HEADER ((size_t)8192)
#define WEIR_FRAME_COMMIT_ALIGN   ((size_t)4096)
#define WEIR_FRAME_RECORD_ALIGN   ((size_t)64)
#define WEIR_FRAME_CHUNK          ((size_t)1 << 20)
#define WEIR_FRAME_HEADER_MAX     ((size_t)256 << 10) /* of a record */
#define WEIR_FRAME_HEADER_MIN     ((size_t)96)
#define WEIR_FRAME_STRING_MAX     ((size_t)64 << 10) /* request id, stream, key name */
#define WEIR_FRAME_NAMES_MAX      62

struct weir_frame_segment {
    unsigned version;
    uint64_t number; /* of the segment; also its file's name */
    uint64_t salt;
    uint64_t size; /* of the file, this header included */
    int64_t created_wall_ns;
    uint32_t name_count; /* the destinations that bits of `owed` stand for */
    char names[WEIR_FRAME_NAMES_MAX][65];
    bool mended; /* set by read: one of the two copies was damaged, or of an earlier life */
};

/* Bits of `owed` that are no configured destination. */
#define WEIR_OWED_LETTER (UINT64_C(1) << 63) /* the dead letter: something was quarantined */

enum { WEIR_FRAME_GZIP = 1 }; /* flags */

struct weir_frame_record {
    uint64_t lsn;     /* sequence number: epoch << 40 | counter; never 0 */
    uint64_t durable; /* the highest one that was durable before this commit began; 0: none */
    uint32_t commit_index, commit_count; /* which record of how many in its commit */
    uint32_t flags;
    uint64_t owed;
    int64_t received_wall_ns;
    uint32_t points;
    uint32_t content_crc; /* CRC-32 and length of the inflated body, as gzip's trailer has them */
    uint64_t content_size;
    struct weir_bytes request_id, stream, key_name,
        attributes; /* at most 64 KiB each but attributes */
    uint64_t payload_size;
    struct weir_bytes checksums; /* of the payload's chunks, 4 bytes each; set by read */
};

/* Writes a segment's header: WEIR_FRAME_SEGMENT_HEADER bytes. */
void weir_frame_segment_write(const struct weir_frame_segment *segment, uint8_t *out);

/* Reads it; of two intact copies that differ, the one with the higher number. A number that is not
 * the one in the file's name is of an earlier life: the file was never written under this name.
 * WEIR_EMALFORMED, also when there are less than WEIR_FRAME_SEGMENT_HEADER bytes;
 * WEIR_EUNSUPPORTED: intact, but of a version that we cannot read, only `version` is set. */
WEIR_MUST_USE enum weir_status weir_frame_segment_read(struct weir_bytes bytes,
                                                       struct weir_frame_segment *ret);

/* Size of the record's header as `segment`'s version writes it, a multiple of 64 (8 before version
 * 3); 0 when it would pass WEIR_FRAME_HEADER_MAX, or a string its limit. */
size_t weir_frame_record_header(const struct weir_frame_segment *segment,
                                const struct weir_frame_record *record);

/* Bytes from the record's begin to the next one's: header, payload, padding. Too large for any file
 * where the sum would wrap. */
uint64_t weir_frame_record_extent(size_t header_size, uint64_t payload_size);

/* Writes the header, the payload's checksums among it. `out` has weir_frame_record_header bytes.
 * `payload` has record->payload_size. O(payload): the checksums are made here. */
void weir_frame_record_write(const struct weir_frame_segment *segment,
                             const struct weir_frame_record *record, struct weir_bytes payload,
                             uint8_t *out);

/* Reads a record's header at the begin of `bytes`, views into them. WEIR_EAGAIN: the header is
 * longer than `bytes`, *ret_header_size says how long if it is one at all (or, as long as not even
 * that can be seen, WEIR_FRAME_HEADER_MIN). WEIR_EMALFORMED: none begins here. Bits of `owed` that
 * the roster has no name for are handed on as they are. */
WEIR_MUST_USE enum weir_status weir_frame_record_read(const struct weir_frame_segment *segment,
                                                      struct weir_bytes bytes,
                                                      struct weir_frame_record *ret,
                                                      size_t *ret_header_size);

/* Whether `payload`, all of it, is what the record's checksums say. */
bool weir_frame_payload_is_whole(const struct weir_frame_segment *segment,
                                 const struct weir_frame_record *record, struct weir_bytes payload);

#endif
