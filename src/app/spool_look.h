/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_SPOOL_LOOK_H
#define WEIR_APP_SPOOL_LOOK_H

#include "weir/disk.h"
#include "weir/frame.h"

/* Reading a spool without changing it: its segments' records one by one, and what the release log
 * says of them. For `weir spool` and `weir decode`. */

/* A segment in memory. */
struct weir_look_segment {
    struct weir_frame_segment header;
    struct weir_bytes bytes;
    uint64_t offset;   /* where the next record is looked for */
    uint64_t expected; /* where the one before ended: damage lies between it and the next record */
};

struct weir_look_record {
    struct weir_frame_record record;
    uint64_t offset;
    uint64_t expected; /* != offset: something lies between that is no record */
    struct weir_bytes payload;
    bool whole; /* the payload is what its checksums say */
};

/* Reads the header of a segment in memory. As weir_frame_segment_read. */
WEIR_MUST_USE enum weir_status weir_look_open(struct weir_bytes bytes,
                                              struct weir_look_segment *ret);

/* The next record, found again behind whatever is damaged; false: none follows. `check`: look at
 * the payload too. */
bool weir_look_next(struct weir_look_segment *segment, bool check, struct weir_look_record *ret);

/* What the release log says. */
struct weir_look_notes;

/* Where there is no log, it says nothing. WEIR_EIO, WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_look_notes_read(const struct weir_disk *disk,
                                                    struct weir_look_notes **ret);
void weir_look_notes_free(struct weir_look_notes *notes);

/* Whether a record is settled for a destination ("": the dead letter). */
bool weir_look_is_done(const struct weir_look_notes *notes, struct weir_bytes name, uint64_t lsn);

/* A record's `durable` says so too. */
void weir_look_prove(struct weir_look_notes *notes, uint64_t lsn);

/* The highest number of an epoch that something proves durable; 0: nothing does. */
uint64_t weir_look_durable(const struct weir_look_notes *notes, uint64_t epoch);

/* What the log says a segment holds; 0, 0: nothing; *ret_last 0: it is still being filled. */
void weir_look_span(const struct weir_look_notes *notes, uint64_t segment, uint64_t *ret_first,
                    uint64_t *ret_last);

#endif
