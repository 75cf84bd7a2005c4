/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SEGMENT_H
#define WEIR_SEGMENT_H

#include "weir/disk.h"
#include "weir/frame.h"

/*
 * The files of the spool: preallocated, zeroed ahead, filled front to back, recycled.
 *
 *   (none) ─create─► spare ─zeroed in steps─► spare, clean ─open: header─► active ─seal─► sealed
 *                      ▲                                                                    │
 *                      └──────────────────── recycle: renamed ◄─────────────────────────────┘
 *                                            remove: over the wanted number, cut, or oversized
 *
 *   names   <16 hex digits>.segment     holds records
 *           <16 hex digits>.spare       reserved and zeroed, or on the way there
 *
 * A write into a segment that was written before costs a third of one into fresh blocks
 * (reliability.md's measurement is repeated by bench), so files are zeroed ahead and recycled; an
 * old record in them is dead by its salt. Space is reserved when a file is made, so a commit cannot
 * find the disk full.
 *
 *   I1  bytes of all files <= limit
 *   I2  a file's name is durable before a record in it is acknowledged
 *   I3  a segment number is used once
 *
 * Any thread may call anything: there is a lock inside, and the longest that holds it is one step
 * of weir_segments_prepare (1 MiB written and synced). In the spool the lane takes and seals, the
 * keeper releases and prepares; who asks for free bytes takes no lock.
 */
struct weir_segments;

struct weir_segments_options {
    const struct weir_disk *disk;
    uint64_t limit;         /* bytes of all files */
    uint64_t segment_bytes; /* a multiple of 4 KiB */
    unsigned version;       /* to write */
    uint64_t seed;          /* of the salts, for tests; 0: from the system. The segment's number is
                               mixed in, so that no two have the same */
};

struct weir_segment { /* one that holds, or will hold, records */
    struct weir_frame_segment header;
    int file;   /* open while active, else -1 */
    int direct; /* the same, past the page cache; -1: not active, or it could not be opened */
    uint64_t position; /* where the next commit goes */
    bool tainted;      /* a write or sync failed: nothing more is written, cached pages are lies */
};

/* Takes stock of the spare files on the disk; `next_number` is above every number seen there. The
 * segments that recovery found are told by weir_segments_adopt. WEIR_EIO, WEIR_ENOMEM.
 * tidy: allow header-prefix -- the plural is the set of files, the singular one of them */
WEIR_MUST_USE enum weir_status weir_segments_new(const struct weir_segments_options *options,
                                                 uint64_t next_number, struct weir_segments **ret);
void weir_segments_free(struct weir_segments *segments);

/* A segment on the disk that takes `bytes` of the limit. */
void weir_segments_adopt(struct weir_segments *segments, uint64_t bytes);

/* Opens a segment with room for a commit of `bytes` beside its header: a spare, a clean one first,
 * else a new file: larger than usual where the commit is, smaller where less than a usual one is
 * left. Header written; durable with the first commit's sync, its name already. `roster` gives the
 * names and the time of creation. Costs a rename and a sync of the directory; a new file's
 * allocation beside it. WEIR_EFULL: the limit or the disk; WEIR_EIO. */
WEIR_MUST_USE enum weir_status weir_segments_take(struct weir_segments *segments, uint64_t bytes,
                                                  const struct weir_frame_segment *roster,
                                                  struct weir_segment *ret);

/* Ends an active segment: closes it, and cuts it to what is used where `cut` (it must not be
 * recycled then); what was cut off counts as free. */
void weir_segments_seal(struct weir_segments *segments, struct weir_segment *segment, bool cut);

/* A sealed segment that is owed to nobody: to the spares, or off the disk. Its name is durable
 * with the next directory sync of weir_segments_prepare or _take. Where the disk refuses, the file
 * stays and counts as used; the next start meets it again. */
void weir_segments_release(struct weir_segments *segments, const struct weir_frame_segment *header,
                           bool cut_or_tainted);

/* One step of work ahead (at most 1 MiB of zeros, or one directory sync): true when there is more
 * to do. `soon`: a segment will be taken before long, so that a spare is made and zeroed where
 * there is none; else only names and the limit are seen to. Any errors are kept for
 * weir_segments_take to meet. */
bool weir_segments_prepare(struct weir_segments *segments, bool soon);

/* What can still be taken, headers included: the limit less the segments; spares count as free.
 * Relaxed. */
uint64_t weir_segments_free_bytes(const struct weir_segments *segments);

#endif
