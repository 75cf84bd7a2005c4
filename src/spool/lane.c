/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lane: takes a list of requests, tells the repeated ones from the new, cuts the new ones into
 * commits, and answers each.
 *
 *   list ─► id seen before? ── yes ─► EEXIST                         (no id: always new)
 *              │ no
 *              ▼
 *           id earlier in this list? ── same content ─► joins that one: gets its status, and EEXIST
 *              │ no, or other content (counted)                        where that became OK
 *              ▼
 *           commit 1 [ job job job ]  commit 2 [ large job ]  commit 3 [ job ... ]
 *              │ lane_write.c: one write, one sync
 *              ▼
 *           ids, notes of ids, done(job) ─► attach(job) where it waits for its delivery
 *
 *   I1  the ids table holds committed requests only: what failed was never in it
 *   I2  a commit never passes what a segment of the usual size takes, unless it is one record
 *   I3  done(job) is called exactly once for each job, its repetitions' right before its own;
 *       after it the job is not touched unless it waits for its delivery
 *   I4  nothing is allocated for a job once the lists have had their usual length
 *
 * Threads: the lane's alone. The ids table is shared with the keeper (expiry, snapshot) under
 * ids_lock, which is held over lookups and additions, never over a write.
 *
 * Full: jobs of that commit get WEIR_EFULL, later commits of the list are tried all the same (they
 * may be smaller). Failed: WEIR_EIO to everybody. It does not wait, and it does not look at the
 * clock but to measure a commit.
 */
#include "spool_internal.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include <string.h>

static uint32_t what_series(enum weir_family family, const char *value)
{
    struct weir_bytes label = weir_bytes_str(value);
    return weir_metrics_series(family, &label);
}

/* The lane's thread has its place in the registry only from its own first commit on. */
static void know_series(struct weir_spool_lane *lane)
{
    if (lane->series_known) {
        return;
    }
    lane->series_commit = weir_metrics_series(WEIR_M_SPOOL_COMMIT, NULL);
    lane->series_batch = weir_metrics_series(WEIR_M_SPOOL_BATCH, NULL);
    lane->series_committed = what_series(WEIR_M_SPOOL_RECORDS, "committed");
    lane->series_full = what_series(WEIR_M_SPOOL_RECORDS, "full");
    lane->series_failed = what_series(WEIR_M_SPOOL_RECORDS, "failed");
    lane->series_failures = what_series(WEIR_M_SPOOL_FAILURES, "segment");
    lane->series_deduplicated = weir_metrics_series(WEIR_M_DEDUPLICATED, NULL);
    lane->series_reused = weir_metrics_series(WEIR_M_IDS_REUSED, NULL);
    lane->series_evicted = weir_metrics_series(WEIR_M_DEDUPE_EVICTED, NULL);
    lane->series_known = true;
}

/* -- repetitions ---------------------------------------------------------------------------- */

static bool is_same_key(const struct weir_spool_job *a, const struct weir_spool_job *b)
{
    return a->plan.key[0] == b->plan.key[0] && a->plan.key[1] == b->plan.key[1];
}

static bool is_same_content(const struct weir_spool_job *a, const struct weir_spool_job *b)
{
    return a->content_crc == b->content_crc && a->content_size == b->content_size;
}

/* An empty table for `count` jobs. Without memory the list has none: then two of the same are
 * accepted twice, which is a repeat and no loss. */
static void clear_twins(struct weir_spool_lane *lane, size_t count)
{
    size_t slots = lane->twin_slots == 0 ? 64 : lane->twin_slots;
    while (slots < count * 2) {
        slots *= 2;
    }
    if (slots != lane->twin_slots) {
        void *grown = weir_mem_resize(lane->twins, slots, sizeof(struct weir_spool_job *));
        if (grown == NULL) {
            weir_mem_free(lane->twins);
            lane->twins = NULL;
            lane->twin_slots = 0;
            return;
        }
        lane->twins = grown;
        lane->twin_slots = slots;
    }
    memset(lane->twins, 0, lane->twin_slots * sizeof(struct weir_spool_job *));
}

/* The first job of this list with the same id and content, else NULL and this one is in the table.
 * *ret_other: there is one with the same id and another content. */
static struct weir_spool_job *find_twin(struct weir_spool_lane *lane, struct weir_spool_job *job,
                                        bool *ret_other)
{
    *ret_other = false;
    if (lane->twin_slots == 0) {
        return NULL;
    }
    size_t mask = lane->twin_slots - 1;
    size_t slot = (size_t)job->plan.key[0] & mask;
    while (lane->twins[slot] != NULL) {
        if (is_same_key(lane->twins[slot], job)) {
            if (is_same_content(lane->twins[slot], job)) {
                return lane->twins[slot];
            }
            *ret_other = true;
        }
        slot = (slot + 1) & mask;
    }
    lane->twins[slot] = job;
    return NULL;
}

static struct weir_id id_of(const struct weir_spool_job *job, int64_t wall_ns)
{
    return (struct weir_id){.key = {job->plan.key[0], job->plan.key[1]},
                            .content_crc = job->content_crc,
                            .content_size = job->content_size,
                            .wall_ns = wall_ns,
                            .lsn = job->plan.lsn};
}

/* -- answers -------------------------------------------------------------------------------- */

static void answer(struct weir_spool *spool, struct weir_spool_job *job, uint64_t lsn)
{
    bool waits = spool->durability == WEIR_DURABILITY_DELIVERED &&
                 (job->status == WEIR_OK || job->status == WEIR_EEXIST);
    job->done(job);
    if (waits) {
        weir_ledger_attach(spool->ledger, lsn, job);
    }
}

static void answer_with_twins(struct weir_spool *spool, struct weir_spool_job *job)
{
    uint64_t lsn = job->plan.lsn;
    struct weir_spool_job *twin = job->plan.twins;
    while (twin != NULL) {
        struct weir_spool_job *next = twin->plan.next;
        twin->status = job->status == WEIR_OK ? WEIR_EEXIST : job->status;
        if (twin->status == WEIR_EEXIST) {
            weir_metrics_add(spool->lane.series_deduplicated, 1);
        }
        answer(spool, twin, lsn);
        twin = next;
    }
    if (job->status == WEIR_OK && job->id_reused) {
        weir_metrics_add(spool->lane.series_reused, 1);
    }
    answer(spool, job, lsn);
}

/* Committed: from now on a repetition of it is known as one. */
static void remember(struct weir_spool *spool, struct weir_spool_job *jobs, int64_t wall_ns)
{
    if (spool->ids == NULL) {
        return;
    }
    uint64_t evicted = 0;
    spool_lock(&spool->ids_lock);
    for (struct weir_spool_job *job = jobs; job != NULL; job = job->plan.next) {
        if (job->plan.keyed) {
            struct weir_id id = id_of(job, wall_ns);
            evicted += weir_ids_add(spool->ids, &id) ? 1 : 0;
        }
    }
    spool_unlock(&spool->ids_lock);
    if (evicted > 0) {
        weir_metrics_add(spool->lane.series_evicted, evicted);
    }
    for (struct weir_spool_job *job = jobs;
         spool->durability == WEIR_DURABILITY_DISK && job != NULL; job = job->plan.next) {
        if (job->plan.keyed) {
            struct weir_note note = {
                .kind = WEIR_NOTE_ID, .lsn = job->plan.lsn, .id = id_of(job, wall_ns)};
            weir_ledger_note(spool->ledger, &note);
        }
    }
}

/* One commit without a disk: numbers and tickets. */
static enum weir_status commit_in_memory(struct weir_spool *spool, struct weir_spool_job *job)
{
    job->plan.lsn = spool->lane.next_lsn;
    if (spool->ledger != NULL) {
        WEIR_TRY(weir_ledger_ticket_new(spool->ledger, job));
        struct weir_ledger_record record = {.lsn = job->plan.lsn, .owed = job->owed};
        weir_ledger_commit(spool->ledger, NULL, &record, job);
    }
    spool->lane.next_lsn++;
    return WEIR_OK;
}

/* Takes one commit's jobs through the disk, or what stands for it, and answers them. */
static void commit_group(struct weir_spool *spool, struct weir_spool_job *jobs, uint32_t count,
                         uint64_t size, int64_t wall_ns)
{
    enum weir_status status = spool->durability == WEIR_DURABILITY_DISK
                                  ? weir_lane_write(spool, jobs, count, size)
                                  : commit_in_memory(spool, jobs);
    if (status == WEIR_ENOMEM) {
        status = WEIR_EFULL; /* no room in memory is no room: a later try may pass */
    }
    if (status == WEIR_OK) {
        remember(spool, jobs, wall_ns);
        weir_metrics_add(spool->lane.series_committed, count);
    } else {
        weir_metrics_add(status == WEIR_EFULL ? spool->lane.series_full : spool->lane.series_failed,
                         count);
    }
    while (jobs != NULL) {
        struct weir_spool_job *next = jobs->plan.next;
        jobs->status = status;
        answer_with_twins(spool, jobs);
        jobs = next;
    }
}

/* -- a list --------------------------------------------------------------------------------- */

/* Whether this job is to be written. Those that are not have been answered, or have joined one that
 * will be. */
static bool is_new(struct weir_spool *spool, struct weir_spool_job *job, int64_t wall_ns)
{
    job->plan = (struct weir_spool_plan){.keyed = false};
    job->status = WEIR_OK;
    job->id_reused = false;
    job->ticket = NULL;
    if (spool->ids == NULL || job->request_id.size == 0) {
        return true;
    }
    struct weir_id found = {.lsn = 0};
    spool_lock(&spool->ids_lock);
    weir_ids_key(spool->ids, job->stream, job->request_id, job->plan.key);
    struct weir_id id = id_of(job, wall_ns);
    enum weir_ids_verdict verdict = weir_ids_look(spool->ids, &id, wall_ns, &found);
    spool_unlock(&spool->ids_lock);
    job->plan.keyed = true;
    if (verdict == WEIR_IDS_REPEATED && spool->durability == WEIR_DURABILITY_DELIVERED &&
        weir_ledger_nobody_has(spool->ledger, found.lsn)) {
        verdict = WEIR_IDS_NEW; /* it was given back to its sender: this is the other try */
    }
    if (verdict == WEIR_IDS_REPEATED) {
        weir_metrics_add(spool->lane.series_deduplicated, 1);
        job->status = WEIR_EEXIST;
        answer(spool, job, found.lsn);
        return false;
    }
    bool other = false;
    struct weir_spool_job *twin = find_twin(&spool->lane, job, &other);
    if (twin != NULL) {
        job->plan.next = twin->plan.twins;
        twin->plan.twins = job;
        return false;
    }
    job->id_reused = other || verdict == WEIR_IDS_OTHER;
    return true;
}

/* Plans a record of the job: its sizes. WEIR_ELIMIT: its header would be too large. */
static enum weir_status plan(const struct weir_spool *spool, struct weir_spool_job *job)
{
    if (spool->durability != WEIR_DURABILITY_DISK) {
        return WEIR_OK;
    }
    if (job->request_id.size > UINT16_MAX || job->stream.size > UINT16_MAX ||
        job->key_name.size > UINT16_MAX) {
        return WEIR_ELIMIT;
    }
    struct weir_frame_record record = {.request_id = job->request_id,
                                       .stream = job->stream,
                                       .key_name = job->key_name,
                                       .attributes = job->attributes,
                                       .payload_size = job->body.size};
    size_t header = weir_frame_record_header(&spool->lane.roster, &record);
    if (header == 0) {
        return WEIR_ELIMIT;
    }
    job->plan.header_size = (uint32_t)header;
    job->plan.extent = weir_frame_record_extent(header, job->body.size);
    job->plan.in_place = job->margins != NULL && header <= WEIR_DISK_BLOCK &&
                         header % WEIR_FRAME_RECORD_ALIGN == 0; /* by chance before version 3 */
    return WEIR_OK;
}

/* What a commit may hold, so that it never passes a segment. */
static bool is_full(const struct weir_spool *spool, uint32_t count, uint64_t size,
                    struct weir_spool_job *job)
{
    if (count == 0) {
        return false;
    }
    if (spool->durability != WEIR_DURABILITY_DISK) {
        return true;
    }
    return weir_lane_lay(job, size) > spool->segment_bytes - WEIR_FRAME_SEGMENT_HEADER ||
           count >= spool->segment_bytes / WEIR_FRAME_COMMIT_ALIGN;
}

/* The new jobs of the list, chained by plan.next in their order; the others are answered, or
 * hang on one of these. */
static struct weir_spool_job *sift(struct weir_spool *spool, struct weir_spool_job *jobs,
                                   int64_t wall_ns)
{
    struct weir_spool_job *first = NULL;
    struct weir_spool_job **last = &first;
    while (jobs != NULL) {
        struct weir_spool_job *job = jobs;
        jobs = jobs->next; /* read before the job can be gone */
        if (is_new(spool, job, wall_ns)) {
            *last = job;
            last = &job->plan.next;
        }
    }
    return first;
}

void weir_spool_commit(struct weir_spool *spool, struct weir_spool_job *jobs, struct weir_now now)
{
    know_series(&spool->lane);
    if (spool->ledger != NULL) {
        weir_ledger_tick(spool->ledger, now.wall_ns);
    }
    size_t count = 0;
    for (struct weir_spool_job *job = jobs; job != NULL; job = job->next) {
        count++;
    }
    clear_twins(&spool->lane, count);
    struct weir_spool_job *rest = sift(spool, jobs, now.wall_ns);
    while (rest != NULL) {
        struct weir_spool_job *group = rest;
        struct weir_spool_job *last = NULL;
        uint32_t taken = 0;
        uint64_t size = 0;
        enum weir_status planned = plan(spool, rest);
        while (rest != NULL && planned == WEIR_OK && !is_full(spool, taken, size, rest)) {
            size = weir_lane_lay(rest, size);
            taken++;
            last = rest;
            rest = rest->plan.next;
            planned = rest != NULL ? plan(spool, rest) : WEIR_OK;
        }
        if (last == NULL) { /* it fits no record */
            rest = group->plan.next;
            group->status = planned;
            answer_with_twins(spool, group);
            continue;
        }
        last->plan.next = NULL;
        commit_group(spool, group, taken, size, now.wall_ns);
    }
}
