/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One commit: records behind one another, padded to 4 KiB, written and synced once.
 *
 *   file    header 1 | body 1 | zeros to 64 | header 2 | body 2 | zeros | ... | zeros to 4 KiB
 *
 * Records are put together in the lane's staging, which is written past the page cache when all are
 * in it, or it is full. A large body that was received into memory with margins is not copied: it
 * is laid out so that it is written from there, with its header before it and zeros behind it in
 * the same memory. It has its blocks for itself; the header ends where the body's first block
 * begins:
 *
 *   file    ... zeros ][ zeros | header 2 ][ body 2 ............ | zeros ][ header 3 | body 3 ...
 *           staging    |◄────────────── margins and body ───────────────►| staging
 *   blocks  ───────────┴──────────────────┴──────────┴──────────────────┴──────────
 *
 * Both are one write, of a part for each place in memory that it comes from. By way of the page
 * cache, which copies too, writing and syncing 4 KiB took 61 us of processor time instead of 55,
 * 16 KiB 82 instead of 72; a body of 940 KB 380 to 560, from where it lies 150 to 240. That the
 * write syncs as well (RWF_DSYNC) spares a call and nothing else where the disk has no FUA.
 *
 *               ┌────────── room ──────────┐
 *   place ─► fits the active segment, ── no: seal it, take another ─► EFULL: nothing was written
 *     │      which names all it is owed to?
 *     │
 *     ▼
 *   reserve, tickets ─► write, sync ──── ok ──► booked in the ledger
 *                           │ failed
 *                           ▼
 *            the file is tainted and sealed; the same numbers go to a new segment
 *                           │ failed again
 *                           ▼
 *            the spool has failed: this commit and all after it get EIO
 *
 *   I1  a commit is in one segment, and begins and ends at a multiple of 4 KiB
 *   I2  sequence numbers advance with success only, so the numbers of a failed commit come again
 *       in a later segment; whoever reads both takes the later
 *   I3  `durable` of a record is the number before its commit's first: all below was synced
 *   I4  a segment holds at most one record for each 4 KiB (the ledger's rooms are made for that)
 *   I5  each bit of a record's `owed` has, in the roster of its segment, the name that it was
 *       decided for. A roster is written once; so when a slot was given another name since, the
 *       first commit that is owed to that slot goes to a new segment, whatever room the old one
 *       has left. One new segment for however many names have changed by then
 *   I6  all of a segment but its header is written past the page cache, or all of it through it: no
 *       block both ways while the segment has its number. That a file system refuses the first
 *       shows when the file is opened (then it is the second, with the same bytes at the same
 *       places) or, if need be, at the write: that is a failed write like any other, and after it
 *       no second one of its kind is made
 *
 * Threads: the lane's. What a failed write left in the file is never read through the page cache.
 */
#include "spool_internal.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/metrics.h"
#include <errno.h>
#include <string.h>

static uint64_t padding(uint64_t size, uint64_t align)
{
    return (align - size % align) % align;
}

/* -- the segment ---------------------------------------------------------------------------- */

static void seal(struct weir_spool *spool, bool cut)
{
    struct weir_span_of_segment span = {spool->active.header.number, 0, spool->lane.durable};
    bool tainted = spool->active.tainted;
    weir_segments_seal(spool->segments, &spool->active, cut);
    if (spool->active_records > 0) {
        weir_spool_span(spool, &span);
    }
    struct weir_ledger_segment *account = spool->active_account;
    spool->active_account = NULL;
    spool->active_records = 0;
    atomic_store_explicit(&spool->active_room, 0, memory_order_relaxed); /* weir_spool_publish */
    weir_ledger_seal(spool->ledger, account, cut || tainted);
}

void weir_lane_seal(struct weir_spool *spool, bool cut)
{
    if (spool->active_account != NULL) {
        seal(spool, cut);
    }
}

/* A new active segment. The old one is sealed only when there is a new one: with the disk full,
 * small commits still go into what is left of it. */
static enum weir_status take(struct weir_spool *spool, uint64_t size)
{
    struct weir_segment segment;
    WEIR_TRY(weir_segments_take(spool->segments, size, &spool->lane.roster, &segment));
    struct weir_ledger_segment *account = NULL;
    enum weir_status status = weir_ledger_segment_new(spool->ledger, &segment.header, &account);
    if (status != WEIR_OK) {
        weir_segments_seal(spool->segments, &segment, false);
        weir_segments_release(spool->segments, &segment.header, false);
        return status;
    }
    if (spool->active_account != NULL) {
        /* Less than half used happens before a large record only: what is left over is worth more
         * than a file to write into again. */
        seal(spool, spool->active.position < spool->active.header.size / 2);
    }
    spool->active = segment;
    spool->active_account = account;
    spool->active_records = 0;
    spool->lane.renamed = 0;
    return WEIR_OK;
}

/* The active segment has room for this commit and names all that it is owed to, and the ledger has
 * room for its records. Nothing is written. I1, I4, I5. */
static enum weir_status place(struct weir_spool *spool, const struct weir_spool_job *jobs,
                              uint32_t count, uint64_t size)
{
    uint64_t owed = 0;
    for (const struct weir_spool_job *job = jobs; job != NULL; job = job->plan.next) {
        owed |= job->owed;
    }
    bool fits = spool->active_account != NULL && (owed & spool->lane.renamed) == 0 &&
                spool->active.header.size - spool->active.position >= size &&
                weir_ledger_room(spool->ledger, spool->active_account,
                                 spool->lane.next_lsn + count - 1) >= count;
    if (!fits) {
        WEIR_TRY(take(spool, size));
    }
    return weir_ledger_reserve(spool->ledger, spool->active_account, count, owed);
}

/* -- its bytes ------------------------------------------------------------------------------ */

uint64_t weir_lane_lay(struct weir_spool_job *job, uint64_t size)
{
    if (!job->plan.in_place) {
        job->plan.at = size;
        return size + job->plan.extent;
    }
    uint64_t body = size + padding(size, WEIR_DISK_BLOCK) + WEIR_DISK_BLOCK;
    job->plan.at = body - job->plan.header_size;
    return body + job->body.size + padding(job->body.size, WEIR_DISK_BLOCK);
}

/* Where the header goes: before the body, with zeros around both, or to the lane's buffer. NULL: no
 * memory. */
static uint8_t *header_room(struct weir_spool *spool, struct weir_spool_job *job)
{
    struct weir_buf *headers = &spool->lane.headers;
    size_t size = job->plan.header_size;
    if (job->plan.in_place) {
        WEIR_ASSERT(job->margins == job->body.data);
        WEIR_ASSERT((uintptr_t)job->margins % WEIR_DISK_BLOCK == 0);
        memset(job->margins - WEIR_DISK_BLOCK, 0, WEIR_DISK_BLOCK - size);
        memset(job->margins + job->body.size, 0, padding(job->body.size, WEIR_DISK_BLOCK));
        return job->margins - size;
    }
    uint8_t *out = weir_buf_reserve(headers, size);
    if (out != NULL) {
        job->plan.header_at = headers->size;
        headers->size += size;
    }
    return out;
}

struct commit_context {
    uint64_t first_lsn;
    uint32_t index, count;
};

static enum weir_status write_header(struct weir_spool *spool, struct weir_spool_job *job,
                                     const struct commit_context *commit)
{
    struct weir_frame_record record = {
        .lsn = job->plan.lsn,
        .durable = spool->lane.durable,
        .commit_index = commit->index,
        .commit_count = commit->count,
        .flags = job->gzip ? WEIR_FRAME_GZIP : 0,
        .owed = job->owed,
        .received_wall_ns = job->received_wall_ns,
        .points = job->points,
        .content_crc = job->content_crc,
        .content_size = job->content_size,
        .request_id = job->request_id,
        .stream = job->stream,
        .key_name = job->key_name,
        .attributes = job->attributes,
        .payload_size = job->body.size,
    };
    size_t size = weir_frame_record_header(&spool->active.header, &record);
    WEIR_ASSERT(size == job->plan.header_size);
    uint8_t *out = header_room(spool, job);
    if (out == NULL) {
        return WEIR_ENOMEM;
    }
    weir_frame_record_write(&spool->active.header, &record, job->body, out);
    return WEIR_OK;
}

/* All headers, with numbers and places, for the active segment. WEIR_ENOMEM: too long a list. */
static enum weir_status write_headers(struct weir_spool *spool, struct weir_spool_job *jobs,
                                      uint32_t count)
{
    struct commit_context commit = {spool->lane.next_lsn, 0, count};
    spool->lane.headers.size = 0;
    spool->lane.headers.failed = false;
    for (struct weir_spool_job *job = jobs; job != NULL; job = job->plan.next) {
        job->plan.lsn = commit.first_lsn + commit.index;
        job->plan.offset = spool->active.position + job->plan.at;
        WEIR_TRY(write_header(spool, job, &commit));
        commit.index++;
    }
    return WEIR_OK;
}

/* What is to be written next, one behind the other in the file. */
struct gathering {
    int file, count;
    uint64_t begin, size; /* in the file */
    size_t staged;        /* of the lane's staging */
};

static enum weir_status flush(struct weir_spool *spool, struct gathering *gathered)
{
    WEIR_TRY(weir_disk_write(&spool->disk, gathered->file, spool->lane.parts, gathered->count,
                             gathered->begin));
    gathered->begin += gathered->size;
    gathered->size = 0;
    gathered->count = 0;
    gathered->staged = 0;
    return WEIR_OK;
}

/* Lengthens the last part, or begins one. */
static void gather(struct weir_spool *spool, struct gathering *gathered, uint8_t *data, size_t size)
{
    struct iovec *last = gathered->count > 0 ? &spool->lane.parts[gathered->count - 1] : NULL;
    if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == data) {
        last->iov_len += size;
    } else {
        WEIR_ASSERT(gathered->count < SPOOL_IOV);
        spool->lane.parts[gathered->count++] = (struct iovec){data, size};
    }
    gathered->size += size;
}

/* Copies to the staging; no `data` is zeros. It is full only where a block ends, since it begins
 * with one. */
static enum weir_status stage(struct weir_spool *spool, struct gathering *gathered,
                              const uint8_t *data, uint64_t size)
{
    while (size > 0) {
        if (gathered->staged == SPOOL_STAGING) {
            WEIR_TRY(flush(spool, gathered));
        }
        size_t room = SPOOL_STAGING - gathered->staged;
        size_t some = size < room ? (size_t)size : room;
        uint8_t *out = spool->lane.staging + gathered->staged;
        if (data == NULL) {
            memset(out, 0, some);
        } else {
            memcpy(out, data, some);
            data += some;
        }
        gather(spool, gathered, out, some);
        gathered->staged += some;
        size -= some;
    }
    return WEIR_OK;
}

static enum weir_status stage_record(struct weir_spool *spool, struct gathering *gathered,
                                     const struct weir_spool_job *job)
{
    const struct weir_spool_plan *plan = &job->plan;
    uint64_t raw = plan->header_size + job->body.size;
    WEIR_ASSERT(raw <= plan->extent);
    WEIR_TRY(stage(spool, gathered, spool->lane.headers.data + plan->header_at, plan->header_size));
    WEIR_TRY(stage(spool, gathered, job->body.data, job->body.size));
    return stage(spool, gathered, NULL, plan->extent - raw);
}

/* Zeros up to a place in the file. */
static enum weir_status stage_padding(struct weir_spool *spool, struct gathering *gathered,
                                      uint64_t end)
{
    uint64_t size = end - gathered->begin - gathered->size;
    WEIR_ASSERT(size < WEIR_FRAME_COMMIT_ALIGN);
    return stage(spool, gathered, NULL, size);
}

/* From where it lies, after zeros to the end of the block before. */
static enum weir_status gather_record(struct weir_spool *spool, struct gathering *gathered,
                                      const struct weir_spool_job *job)
{
    uint64_t begin = job->plan.offset - job->plan.offset % WEIR_DISK_BLOCK;
    WEIR_TRY(stage_padding(spool, gathered, begin));
    if (gathered->count > SPOOL_IOV - 2) { /* this one, and what is staged behind it */
        WEIR_TRY(flush(spool, gathered));
    }
    gather(spool, gathered, job->margins - WEIR_DISK_BLOCK,
           WEIR_DISK_BLOCK + job->body.size + padding(job->body.size, WEIR_DISK_BLOCK));
    return WEIR_OK;
}

/* Every part of the commit, at the active segment's position, and one sync. I6. */
static enum weir_status write_commit(struct weir_spool *spool, const struct weir_spool_job *jobs,
                                     uint64_t size)
{
    const struct weir_segment *active = &spool->active;
    bool is_cached = spool->lane.cached || active->direct < 0;
    struct gathering gathered = {.file = is_cached ? active->file : active->direct,
                                 .begin = active->position};
    for (const struct weir_spool_job *job = jobs; job != NULL; job = job->plan.next) {
        WEIR_TRY(job->plan.in_place ? gather_record(spool, &gathered, job)
                                    : stage_record(spool, &gathered, job));
    }
    WEIR_TRY(stage_padding(spool, &gathered, active->position + size));
    WEIR_TRY(flush(spool, &gathered));
    return weir_disk_status(spool->disk.ops->sync(spool->disk.self, active->file));
}

/* Headers, bytes, sync. WEIR_ENOMEM: nothing was written; any other failure taints the file. */
static enum weir_status put(struct weir_spool *spool, struct weir_spool_job *jobs, uint32_t count,
                            uint64_t size)
{
    WEIR_TRY(write_headers(spool, jobs, count));
    int64_t begin_ns = weir_clock_mono_ns();
    enum weir_status status = write_commit(spool, jobs, size);
    if (status != WEIR_OK) {
        const char *words = strerrordesc_np(errno);
        spool->active.tainted = true;
        spool->lane.cached = true; /* I6: whatever it was, the next one goes the usual way */
        weir_metrics_add(spool->lane.series_failures, 1);
        weir_log(WEIR_LOG_ERROR, "write to the spool failed",
                 WEIR_LOG_HEX("segment", spool->active.header.number),
                 WEIR_LOG_STR("error", words != NULL ? words : "unknown"));
        return WEIR_EIO;
    }
    weir_metrics_observe(spool->lane.series_commit,
                         (double)(weir_clock_mono_ns() - begin_ns) / 1e9);
    weir_metrics_observe(spool->lane.series_batch, count);
    return WEIR_OK;
}

/* -- one commit ----------------------------------------------------------------------------- */

static void drop_tickets(struct weir_spool *spool, struct weir_spool_job *jobs)
{
    for (struct weir_spool_job *job = jobs; job != NULL; job = job->plan.next) {
        weir_ledger_ticket_drop(spool->ledger, job);
    }
}

static enum weir_status make_tickets(struct weir_spool *spool, struct weir_spool_job *jobs)
{
    for (struct weir_spool_job *job = jobs; job != NULL; job = job->plan.next) {
        enum weir_status status = weir_ledger_ticket_new(spool->ledger, job);
        if (status != WEIR_OK) {
            drop_tickets(spool, jobs);
            return status;
        }
    }
    return WEIR_OK;
}

/* It is durable. */
static void book(struct weir_spool *spool, struct weir_spool_job *jobs, uint32_t count,
                 uint64_t size)
{
    struct weir_spool_lane *lane = &spool->lane;
    if (spool->active_records == 0) {
        struct weir_span_of_segment span = {spool->active.header.number, lane->next_lsn, 0};
        weir_spool_span(spool, &span);
    }
    for (struct weir_spool_job *job = jobs; job != NULL; job = job->plan.next) {
        struct weir_ledger_record record = {.lsn = job->plan.lsn,
                                            .offset = job->plan.offset,
                                            .extent = job->plan.extent,
                                            .received_wall_ns = job->received_wall_ns,
                                            .owed = job->owed};
        weir_ledger_commit(spool->ledger, spool->active_account, &record, job);
    }
    lane->next_lsn += count;
    lane->durable = lane->next_lsn - 1;
    spool->active_records += count;
    spool->active.position += size;
}

static void publish_room(struct weir_spool *spool)
{
    uint64_t room =
        spool->active_account == NULL ? 0 : spool->active.header.size - spool->active.position;
    atomic_store_explicit(&spool->active_room, room, memory_order_relaxed); /* _publish */
    weir_spool_publish(spool);
}

/* I4 of weir/spool.h: once more, in another file, with the same numbers. */
static enum weir_status put_again(struct weir_spool *spool, struct weir_spool_job *jobs,
                                  uint32_t count, uint64_t size)
{
    weir_ledger_failed(spool->ledger, spool->active_account, spool->lane.next_lsn, count);
    seal(spool, false);
    WEIR_TRY(place(spool, jobs, count, size));
    return put(spool, jobs, count, size);
}

enum weir_status weir_lane_write(struct weir_spool *spool, struct weir_spool_job *jobs,
                                 uint32_t count, uint64_t size)
{
    if (weir_spool_has_failed(spool)) {
        return WEIR_EIO;
    }
    size += padding(size, WEIR_FRAME_COMMIT_ALIGN);
    weir_spool_roster_follow(spool);
    enum weir_status status = place(spool, jobs, count, size);
    if (status == WEIR_EIO) {
        status = place(spool, jobs, count, size); /* the file that could not be made */
    }
    if (status == WEIR_OK) {
        status = make_tickets(spool, jobs);
    }
    if (status == WEIR_OK) {
        status = put(spool, jobs, count, size);
        if (status == WEIR_EIO) {
            status = put_again(spool, jobs, count, size);
            status = status == WEIR_OK ? WEIR_OK : WEIR_EIO;
        }
        if (status != WEIR_OK) {
            drop_tickets(spool, jobs);
        }
    }
    if (status == WEIR_OK) {
        book(spool, jobs, count, size);
    } else if (status == WEIR_EIO) {
        weir_lane_seal(spool, false);
        weir_spool_fail(spool, "a commit failed in two files");
    }
    publish_room(spool);
    return status;
}
