/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CUSTODY_H
#define WEIR_CUSTODY_H

#include "weir/backlog.h"
#include "weir/pipeline.h"

/*
 * The threads that step the spool:
 *
 *   lane     takes all jobs that wait, commits them, sleeps on its bell
 *   keeper   weir_spool_keep, about once a second, at once when there is zeroing to do
 *   backlog  for each destination in turn that is deliverable: reads what is owed and not in
 *            memory, takes it through the pipeline's decode, and publishes it for that destination
 *            alone; what was quarantined or has no destination any more goes to the letterbox
 *
 * Live data first: the backlog fills a destination's rings only while less than a quarter of its
 * share is taken, one record at a time and destination by destination, and reads no more than
 * backlog_rate bytes a second over all of them. It rests while the letterbox is full. Its memory is
 * paid for by `credit`: one record as it was sent, and its arena until it is queued; a record for
 * which all of `credit` is too little takes its memory from `intake`, as any large request does.
 */
struct weir_custody_options {
    struct weir_spool *spool;
    struct weir_router *router;
    struct weir_regions *regions;
    struct weir_credit *credit;       /* the backlog's share of memory */
    struct weir_credit *intake;       /* pays for a record that is too large for the whole share */
    struct weir_letterbox *letterbox; /* or NULL */
    uint32_t destination_count;       /* slots 0 to count-1 are deliverable from the start */
    size_t destination_share;         /* queued bytes of one destination */
    uint64_t backlog_rate;            /* bytes a second; 0: no bound */
    size_t body_limit;
    struct weir_envelope_limits limits;
    /* The spool has failed for good: called once, on the thread that found out. */
    void (*failed)(void *argument);
    void *argument;
};

struct weir_custody;

/* Starts lane and keeper. WEIR_ENOMEM, WEIR_EIO. Main thread, as all below but
 * weir_custody_deliver. */
WEIR_MUST_USE enum weir_status weir_custody_start(const struct weir_custody_options *options,
                                                  struct weir_custody **ret);

/* What the pipeline hands its jobs to; its options' `commit`. */
struct weir_commit weir_custody_commit(struct weir_custody *custody);

/* Only what is owed to these slots is read back from now on; of others it waits. A slot is
 * deliverable when its row in the router and its machine in the exporter are open and it is OPEN in
 * the spool: opening it ends with this, and closing it begins with this. When it returns nothing of
 * a slot that is not in `slots` is on its way to the router: it waits for the one record that is in
 * hand, also while that becomes a letter. Any thread but the backlog's. */
void weir_custody_deliver(struct weir_custody *custody, uint64_t slots);

/* Starts the backlog, when the exporters run. WEIR_ENOMEM, WEIR_EIO. */
WEIR_MUST_USE enum weir_status weir_custody_backlog_start(struct weir_custody *custody);

/* Ends the backlog, before the exporter is drained. */
void weir_custody_backlog_stop(struct weir_custody *custody);

/* Commits what waits, then ends the lane, when ingest is drained; and, last of all, the keeper. */
void weir_custody_lane_stop(struct weir_custody *custody);
void weir_custody_stop(struct weir_custody *custody);

#endif
