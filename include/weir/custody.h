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
 *   backlog  for each destination in turn: reads what is owed and not in memory, takes it through
 *            the pipeline's decode, and publishes it for that destination alone; what was
 *            quarantined or has no destination any more goes to the letterbox
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
    uint32_t destination_count;
    size_t destination_share; /* queued bytes of one destination */
    uint64_t backlog_rate;    /* bytes a second; 0: no bound */
    size_t body_limit;
    struct weir_envelope_limits limits;
    /* The spool has failed for good: called once, on the thread that found out. */
    void (*failed)(void *argument);
    void *argument;
};

struct weir_custody;

/* Starts lane and keeper. WEIR_ENOMEM, WEIR_EIO. Main thread, as all below. */
WEIR_MUST_USE enum weir_status weir_custody_start(const struct weir_custody_options *options,
                                                  struct weir_custody **ret);

/* What the pipeline hands its jobs to; its options' `commit`. */
struct weir_commit weir_custody_commit(struct weir_custody *custody);

/* Starts the backlog, when the exporters run. WEIR_ENOMEM, WEIR_EIO. */
WEIR_MUST_USE enum weir_status weir_custody_backlog_start(struct weir_custody *custody);

/* Ends the backlog, before the exporter is drained. */
void weir_custody_backlog_stop(struct weir_custody *custody);

/* Commits what waits, then ends the lane, when ingest is drained; and, last of all, the keeper. */
void weir_custody_lane_stop(struct weir_custody *custody);
void weir_custody_stop(struct weir_custody *custody);

#endif
