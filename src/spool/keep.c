/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's step: what is written about records, and what comes after it is written.
 *
 *   notes that wait ─► release log, one sync ─► segments that they release ─► spares, or gone
 *        │                  │ failed                                              │
 *        │                  ▼                                                     ▼
 *        └──────────► snapshot into a new file ── failed too ─► the spool     one directory sync;
 *                     (also when the log has grown)              has failed    then forgotten
 *
 *   I1  a segment is given away only after the notes that release it are durable (ledger); but
 *       where the disk has no room for notes, one is removed without (make_room)
 *   I2  a released segment stays in snapshots until its name is durably gone: a file that comes
 *       back after a crash is owed to nobody
 *   I3  one step writes at most what waits, one snapshot, and one piece of zeros
 *
 * A snapshot is: the ledger's own, then what the ledger does not know (how far earlier epochs were
 * durable, which numbers a segment holds, the request ids). It stands in memory whole; the ids are
 * its largest part, 60 bytes each.
 *
 * Threads: the keeper's; weir_spool_close calls weir_keep_notes when no thread runs any more. What
 * open and the backlog found lost is counted here, because they may have no place in the registry.
 */
#include "spool_internal.h"
#include "weir/log.h"
#include "weir/metrics.h"

#define STEP_NS        INT64_C(1000000000)
#define SNAPSHOT_LIMIT ((size_t)4 << 30)
#define SNAPSHOT_KEPT  ((size_t)1 << 20)

/* -- notes ---------------------------------------------------------------------------------- */

static void put_id(void *argument, const struct weir_id *id)
{
    struct weir_note note = {.kind = WEIR_NOTE_ID, .lsn = id->lsn, .id = *id};
    weir_notes_put(argument, &note);
}

static void put_files(struct weir_spool *spool, struct weir_buf *out)
{
    spool_lock(&spool->files_lock);
    for (uint32_t i = 0; i < spool->epoch_count; i++) {
        struct weir_note note = {.kind = WEIR_NOTE_DURABLE, .lsn = spool->epochs[i].durable};
        weir_notes_put(out, &note);
    }
    for (uint32_t i = 0; i < spool->span_count; i++) {
        struct weir_note note = {.kind = WEIR_NOTE_SEGMENT,
                                 .lsn = spool->spans[i].last,
                                 .segment = spool->spans[i].segment,
                                 .first = spool->spans[i].first};
        weir_notes_put(out, &note);
    }
    spool_unlock(&spool->files_lock);
}

static enum weir_status snapshot(struct weir_spool *spool)
{
    struct weir_buf *out = &spool->keeper.snapshot;
    out->limit = SNAPSHOT_LIMIT;
    weir_ledger_snapshot(spool->ledger, out);
    put_files(spool, out);
    if (spool->ids != NULL) { /* after the ledger's: it drops the notes of ids that wait */
        spool_lock(&spool->ids_lock);
        weir_ids_each(spool->ids, put_id, out);
        spool_unlock(&spool->ids_lock);
    }
    enum weir_status status =
        out->failed ? WEIR_ENOMEM : weir_notes_snapshot(spool->notes, weir_buf_view(out));
    weir_ledger_noted(spool->ledger, status == WEIR_OK);
    out->size = 0;
    if (out->failed || out->capacity > SNAPSHOT_KEPT) {
        weir_buf_done(out);
    }
    return status;
}

static enum weir_status append(struct weir_spool *spool)
{
    struct weir_buf *notes = &spool->keeper.notes; /* two buffers go to and fro */
    notes->size = 0;
    weir_ledger_take(spool->ledger, notes);
    enum weir_status status =
        notes->size == 0 ? WEIR_OK : weir_notes_append(spool->notes, weir_buf_view(notes));
    weir_ledger_noted(spool->ledger, status == WEIR_OK);
    return status;
}

static void log_failure(const char *what, enum weir_status status)
{
    weir_log(WEIR_LOG_ERROR, "the spool's release log failed", WEIR_LOG_STR("step", what),
             WEIR_LOG_STR("error", weir_status_text(status)));
}

enum weir_status weir_keep_notes(struct weir_spool *spool)
{
    spool->keeper.log_full = false;
    bool wants =
        weir_ledger_wants_snapshot(spool->ledger) || weir_notes_wants_snapshot(spool->notes);
    if (!wants) {
        enum weir_status status = append(spool);
        if (status == WEIR_OK) {
            return WEIR_OK;
        }
        log_failure("append", status);
        spool->keeper.log_failures++;
    }
    enum weir_status status = snapshot(spool);
    if (status == WEIR_OK) {
        return WEIR_OK;
    }
    log_failure("snapshot", status);
    spool->keeper.log_failures++;
    if (status == WEIR_ENOMEM || status == WEIR_EFULL) {
        spool->keeper.log_full = status == WEIR_EFULL;
        return WEIR_OK; /* there may be room later: nothing is released until then */
    }
    weir_spool_fail(spool, "the release log failed in two files");
    return WEIR_EIO;
}

/* -- what comes after ----------------------------------------------------------------------- */

static void release(struct weir_spool *spool, struct weir_ledger_segment *segment, bool remove)
{
    struct weir_ledger_facts facts = weir_ledger_facts(spool->ledger, segment);
    struct weir_frame_segment header = {
        .version = facts.version, .number = facts.number, .salt = facts.salt, .size = facts.size};
    weir_segments_release(spool->segments, &header, facts.cut_or_tainted || remove);
    spool->keeper.leaving[spool->keeper.leaving_count++] = segment;
}

/* I1. */
static void give_away(struct weir_spool *spool)
{
    while (spool->keeper.leaving_count < SPOOL_LEAVING_MAX) {
        struct weir_ledger_segment *segment = weir_ledger_released(spool->ledger, true);
        if (segment == NULL) {
            break;
        }
        release(spool, segment, false);
    }
}

/* I2. */
static void forget(struct weir_spool *spool)
{
    struct weir_spool_keeper *keeper = &spool->keeper;
    if (keeper->leaving_count == 0 || spool->disk.ops->sync_directory(spool->disk.self, "") < 0) {
        return; /* the next step tries again: a folder's sync says nothing about other files */
    }
    for (uint32_t i = 0; i < keeper->leaving_count; i++) {
        struct weir_ledger_facts facts = weir_ledger_facts(spool->ledger, keeper->leaving[i]);
        weir_spool_span_forget(spool, facts.number);
        weir_ledger_segment_free(spool->ledger, keeper->leaving[i]);
    }
    keeper->leaving_count = 0;
}

/* The disk has no room for the log, and without the log no segment would ever be released: one that
 * is owed to nobody goes without a note. Should its file come back after a crash, its records are
 * repeats. Only then is the log tried again. */
static enum weir_status make_room(struct weir_spool *spool)
{
    struct weir_ledger_segment *segment =
        spool->keeper.leaving_count > 0 ? NULL : weir_ledger_released(spool->ledger, false);
    if (segment == NULL) {
        return WEIR_OK;
    }
    release(spool, segment, true);
    forget(spool);
    return weir_keep_notes(spool);
}

/* Before the first segment, and when the active one is half full. */
static bool is_wanted_soon(const struct weir_spool *spool)
{
    /* relaxed: the lane's last word, a hint here */
    uint64_t room = atomic_load_explicit(&spool->active_room, memory_order_relaxed);
    return room < spool->segment_bytes / 2;
}

static bool prepare(struct weir_spool *spool)
{
    int64_t free_bytes = spool->disk.ops->free_bytes(spool->disk.self);
    if (free_bytes >= 0) {
        spool_lock(&spool->files_lock);
        spool->disk_free = (uint64_t)free_bytes;
        spool_unlock(&spool->files_lock);
    }
    return weir_segments_prepare(spool->segments, is_wanted_soon(spool));
}

/* What may never happen shows 0 from the start: an alert on its increase would miss the first one.
 * These are the lane's to count. */
static void show_zeros(void)
{
    static const enum weir_family plain[] = {WEIR_M_DEDUPLICATED, WEIR_M_IDS_REUSED,
                                             WEIR_M_DEDUPE_EVICTED};
    struct weir_bytes label = weir_bytes_str("segment");
    weir_metrics_add(weir_metrics_series(WEIR_M_SPOOL_FAILURES, &label), 0);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        weir_metrics_add(weir_metrics_series(plain[i], NULL), 0);
    }
}

static void count(struct weir_spool *spool, unsigned failures_before)
{
    struct weir_spool_keeper *keeper = &spool->keeper;
    if (!keeper->series_known) {
        struct weir_bytes label = weir_bytes_str("release_log");
        keeper->series_lost = weir_metrics_series(WEIR_M_SPOOL_LOST, NULL);
        keeper->series_torn = weir_metrics_series(WEIR_M_SPOOL_TORN, NULL);
        keeper->series_failures = weir_metrics_series(WEIR_M_SPOOL_FAILURES, &label);
        keeper->series_known = true;
        show_zeros();
    }
    /* added to by weir_spool_open and weir_backlog_read */
    uint64_t lost = atomic_exchange_explicit(&spool->lost, 0, memory_order_relaxed);
    uint64_t torn = atomic_exchange_explicit(&spool->torn, 0, memory_order_relaxed);
    weir_metrics_add(keeper->series_lost, lost);
    weir_metrics_add(keeper->series_torn, torn);
    weir_metrics_add(keeper->series_failures, keeper->log_failures - failures_before);
}

static int64_t keep_in_memory(struct weir_spool *spool, struct weir_now now)
{
    int64_t next_ns =
        spool->ledger != NULL ? weir_ledger_expire(spool->ledger, now.mono_ns) : INT64_MAX;
    if (spool->ids != NULL) {
        spool_lock(&spool->ids_lock);
        weir_ids_expire(spool->ids, now.wall_ns);
        spool_unlock(&spool->ids_lock);
    }
    int64_t latest_ns = now.mono_ns + STEP_NS;
    return next_ns < latest_ns ? next_ns : latest_ns;
}

enum weir_status weir_spool_keep(struct weir_spool *spool, struct weir_now now,
                                 int64_t *ret_wake_ns)
{
    if (spool->ledger != NULL) {
        weir_ledger_tick(spool->ledger, now.wall_ns);
    }
    int64_t wake_ns = keep_in_memory(spool, now);
    if (spool->durability == WEIR_DURABILITY_DISK) {
        unsigned failures = spool->keeper.log_failures;
        enum weir_status status = weir_spool_has_failed(spool) ? WEIR_EIO : weir_keep_notes(spool);
        if (status == WEIR_OK && spool->keeper.log_full) {
            status = make_room(spool);
        }
        count(spool, failures);
        WEIR_TRY(status);
        give_away(spool);
        forget(spool);
        bool more = !spool->keeper.log_full && prepare(spool); /* the log's room comes first */
        weir_spool_publish(spool);
        wake_ns = more ? now.mono_ns : wake_ns;
    }
    *ret_wake_ns = wake_ns;
    return WEIR_OK;
}
