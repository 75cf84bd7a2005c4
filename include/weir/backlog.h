/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BACKLOG_H
#define WEIR_BACKLOG_H

#include "weir/frame.h"
#include "weir/spool.h"

/*
 * Reading back from the spool: for one destination, the oldest record that it is owed and that is
 * not in memory for it. After a start that is everything unreleased; after an outage, what was
 * accepted disk-only.
 *
 *   next ─► place ─► read into the caller's memory ─► decode ─► expect(points) ─► publish
 *             │             │ damaged: moved to quarantine/, counted, settled
 *             └ settle(KEPT): not now after all         └ settle(SETTLED): none wanted, or lettered
 */
struct weir_span {
    uint32_t begin, end;
};

enum weir_backlog_kind {
    WEIR_BACKLOG_DELIVER, /* to be decoded and published */
    WEIR_BACKLOG_LETTER   /* to be put into the dead letter whole: over the destination's share, or
                             the destination is not configured any more */
};

struct weir_backlog_place {
    struct weir_ticket *ticket; /* for this destination alone */
    uint32_t destination;       /* slot, WEIR_BACKLOG_GONE, or WEIR_SPOOL_LETTER: what was
                                   quarantined, once more */
    enum weir_backlog_kind kind;
    const char *reason;    /* LETTER: "spool_share", "destination_removed" */
    char name[65];         /* the destination's */
    uint64_t size;         /* bytes of memory that weir_backlog_read needs, a multiple of 4 KiB */
    int64_t used_ns;       /* of the retry window, before */
    int64_t first_wall_ns; /* of the first attempt; 0: none */
    const struct weir_span *settled; /* points that are settled already, in order; the ticket's */
    uint32_t settled_count;
    uint32_t settled_total;   /* what the record's points were when that was noted */
    uint64_t segment, offset; /* the spool's */
    uint32_t index;
    uint64_t lsn;
};

#define WEIR_BACKLOG_GONE UINT32_C(62)

/* The next record for `destination` (a slot, or WEIR_SPOOL_LETTER, or WEIR_BACKLOG_GONE: for all
 * slots that are GONE, in turn), which is then in memory for it. The place stands for that slot
 * until it is settled, whatever the slot's state becomes. WEIR_EEND: none waits, or the slot is not
 * OPEN. One thread. */
WEIR_MUST_USE enum weir_status weir_backlog_next(struct weir_spool *spool, uint32_t destination,
                                                 struct weir_backlog_place *ret);

/* Reads and checks the record into `memory` (aligned to 4 KiB, place->size bytes); `ret` and
 * *ret_body are views into it. WEIR_EMALFORMED: it is damaged; that was counted, what is left of it
 * copied to quarantine/, and the ticket settled for every destination. WEIR_EIO: not now; the
 * caller settles it as KEPT and waits a while. The backlog's thread. */
WEIR_MUST_USE enum weir_status weir_backlog_read(struct weir_spool *spool,
                                                 const struct weir_backlog_place *place,
                                                 uint8_t *memory, struct weir_frame_record *ret,
                                                 struct weir_bytes *ret_body);

/* How many of its points the destination will settle, the settled ones not among them; before they
 * are published. `total`: the points of the whole record, as this decode numbered them; when it is
 * not place->settled_total the settled spans say nothing any more, and are forgotten: `points` is
 * then without them. 0 points are for weir_spool_settle. */
void weir_backlog_expect(struct weir_spool *spool, struct weir_ticket *ticket, uint32_t destination,
                         uint32_t points, uint32_t total);

#endif
