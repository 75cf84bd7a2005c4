/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SPOOL_RECOVER_INTERNAL_H
#define WEIR_SPOOL_RECOVER_INTERNAL_H

#include "spool_internal.h"

/*
 * What the parts of a start share. recover.c has the picture.
 */
enum { WEIR_RECOVER_TRIES = 3 }; /* of a read or an open: an error that passes costs nothing */

struct weir_found { /* a record whose header checks */
    uint64_t lsn, durable;
    uint64_t offset, extent, payload_size;
    uint64_t owed; /* slots */
    int64_t received_wall_ns;
    uint64_t content_size;
    uint64_t key[2]; /* of its request id */
    uint32_t content_crc;
    uint32_t commit_index, commit_count;
    uint32_t header_size;
    bool keyed; /* has a request id */
    bool torn;  /* never acknowledged, and not whole */
};

struct weir_found_segment {
    uint64_t number, salt;
    uint64_t size;     /* of the file now */
    uint64_t size_new; /* when it was made: as many records may be in it as that has pages */
    unsigned version;
    bool unreadable;      /* its header is gone: no records, but perhaps numbers from the notes */
    size_t begin, end;    /* its records in `found` */
    uint64_t first, last; /* sequence numbers that should be in it; first 0: not known */
    struct weir_ledger_segment *account;
};

struct weir_recovery {
    struct weir_spool *spool;
    struct weir_spool_report *report;
    struct weir_found *found; /* by segment, by offset */
    size_t found_count, found_capacity;
    struct weir_found_segment *segments; /* by number */
    size_t segment_count, segment_capacity;
    struct weir_epoch *epochs; /* what is proven, by epoch; any order */
    size_t epoch_count, epoch_capacity;
    uint64_t *lost; /* counted as lost, before and then in this start; both sorted for themselves */
    size_t lost_count, lost_capacity, lost_before;
    uint64_t *kept; /* sorted: the numbers of the records that are there */
    size_t kept_count;
    uint64_t epoch_max, number_max;
    bool failed; /* no memory, somewhere in a callback */
};

/* Grows an array of `size`-byte elements so that one more fits. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_recover_grow(void **array, size_t count, size_t *capacity,
                                                 size_t size);

/* Says that all numbers up to `lsn` of its epoch were durable, where that is more than was known;
 * returns what is known of the epoch. */
uint64_t weir_recover_proven(struct weir_recovery *recovery, uint64_t lsn);

/* -- recover_files.c -- */

/* Lists the directory and reads segments' headers; moves away what cannot be read, takes back from
 * set-aside/ what can. After the release log was read. WEIR_EIO: the directory; WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_recover_files(struct weir_recovery *recovery);

/* Whether the release log says of a segment that it holds records: its span, else NULL. */
const struct weir_span_of_segment *weir_recover_span(const struct weir_recovery *recovery,
                                                     uint64_t segment);

/* -- recover_scan.c -- */

/* Finds the records of one segment; appends them to `found`. Damage is only a gap there. */
WEIR_MUST_USE enum weir_status weir_recover_scan(struct weir_recovery *recovery,
                                                 struct weir_found_segment *segment);

/* Reads payloads of records that nothing in the segments proves, and marks as TORN those that are
 * not whole. */
WEIR_MUST_USE enum weir_status weir_recover_verify(struct weir_recovery *recovery,
                                                   struct weir_found_segment *segment);

/* -- recover_losses.c -- */

/* Finds what was acknowledged and is not there, counts it, copies what is left to quarantine/.
 * Fills `kept`, and adds to `lost`. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_recover_losses(struct weir_recovery *recovery);

/* Whether a number is counted as lost, now or before. There may be many, and it is asked for each
 * id. */
bool weir_recover_is_lost(const struct weir_recovery *recovery, uint64_t lsn);

/* Where the next record would begin. */
uint64_t weir_recover_behind(const struct weir_found *found);

#endif
