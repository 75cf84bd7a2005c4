/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A start: from a directory to a ledger, a table of ids, and a lane that can go on.
 *
 *   lock ─► release log, first time ─► files ─► scan each ─► verify ─► losses ─► ledger
 *             what was durable,        names,   records by   what      what was    │
 *             which numbers segments   headers  their        nothing   acknow-     ▼
 *             hold, what is lost                headers      proves    ledged   release log, second
 *                                                                      and is   time: what is done,
 *                                                                      gone     request ids
 *                                                                                  │
 *             notes of this start, one sync ◄─ segments counted ◄─ sealed, last cut ◄┘
 *
 * The log is read twice: the scan needs its hash key and its proofs, and its notes about records
 * need the records. It is small beside the segments.
 *
 *   I1  nothing that is wrong with a file stops the start; only the directory, the log's own
 *       directory work, and memory do
 *   I2  a record is owed when its header checks and it is proven durable, or its payload checks too
 *   I3  the new epoch is above every epoch that any record or note speaks of, and above those that
 *       files in set-aside/ can be from
 *   I4  ids are known of records that are there, or were and are released; not of those lost
 *
 * A segment of an earlier life is never written again: its rest may hold a torn commit. The last
 * one is cut behind its last record, so that its room is not wasted; the others go back to the
 * spares when they are released.
 *
 * Threads: none yet. Nothing is counted here (there may be no registry): the keeper does it.
 */
#include "recover_internal.h"
#include "weir/log.h"
#include "weir/mem.h"
#include <stdlib.h>

enum { ARRAY_FIRST = 64 };

#define YEAR_2020_S       INT64_C(1577836800)
#define EPOCH_MINUTES_MAX INT64_C(16000000) /* of 24 bits: until 2050 */

enum weir_status weir_recover_grow(void **array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return WEIR_OK;
    }
    size_t larger = *capacity == 0 ? ARRAY_FIRST : *capacity * 2;
    void *grown = weir_mem_resize(*array, larger, size);
    if (grown == NULL) {
        return WEIR_ENOMEM;
    }
    *array = grown;
    *capacity = larger;
    return WEIR_OK;
}

uint64_t weir_recover_proven(struct weir_recovery *recovery, uint64_t lsn)
{
    uint64_t epoch = lsn >> SPOOL_EPOCH_SHIFT;
    if (epoch > recovery->epoch_max) {
        recovery->epoch_max = epoch;
    }
    for (size_t i = recovery->epoch_count; i-- > 0;) {
        struct weir_epoch *known = &recovery->epochs[i];
        if (known->epoch == epoch) {
            known->durable = lsn > known->durable ? lsn : known->durable;
            return known->durable;
        }
    }
    if (weir_recover_grow((void **)&recovery->epochs, recovery->epoch_count,
                          &recovery->epoch_capacity, sizeof(struct weir_epoch)) != WEIR_OK) {
        recovery->failed = true;
        return lsn;
    }
    recovery->epochs[recovery->epoch_count++] = (struct weir_epoch){epoch, lsn};
    return lsn;
}

const struct weir_span_of_segment *weir_recover_span(const struct weir_recovery *recovery,
                                                     uint64_t segment)
{
    const struct weir_spool *spool = recovery->spool;
    for (uint32_t i = spool->span_count; i-- > 0;) {
        if (spool->spans[i].segment == segment) {
            return &spool->spans[i];
        }
    }
    return NULL;
}

/* -- the release log, first time ------------------------------------------------------------ */

static void first_look(void *argument, const struct weir_note *note)
{
    struct weir_recovery *recovery = argument;
    struct weir_span_of_segment span = {note->segment, note->first, note->lsn};
    uint64_t epoch = note->lsn >> SPOOL_EPOCH_SHIFT;
    switch (note->kind) {
    case WEIR_NOTE_DURABLE: (void)weir_recover_proven(recovery, note->lsn); break;
    case WEIR_NOTE_SEGMENT:
        epoch = note->first >> SPOOL_EPOCH_SHIFT;
        if (note->first != 0 && !weir_spool_span_remember(recovery->spool, &span)) {
            recovery->failed = true;
        }
        if (note->segment > recovery->number_max) {
            recovery->number_max = note->segment;
        }
        break;
    case WEIR_NOTE_LOST:
        if (weir_recover_grow((void **)&recovery->lost, recovery->lost_count,
                              &recovery->lost_capacity, sizeof(uint64_t)) != WEIR_OK) {
            recovery->failed = true;
            break;
        }
        recovery->lost[recovery->lost_count++] = note->lsn;
        break;
    case WEIR_NOTE_DONE:
    case WEIR_NOTE_PART:
    case WEIR_NOTE_ATTEMPTED:
    case WEIR_NOTE_ID: break;
    }
    if (epoch > recovery->epoch_max) {
        recovery->epoch_max = epoch;
    }
}

static enum weir_status read_log(struct weir_recovery *recovery, struct weir_notes_reader *reader)
{
    struct weir_spool *spool = recovery->spool;
    reader->argument = recovery;
    WEIR_TRY(weir_notes_open(&spool->disk, spool->version, spool->seed, reader, &spool->notes));
    if (reader->torn_bytes > 0 || reader->unreadable > 0) {
        weir_log(WEIR_LOG_WARN, "a part of the release log could not be read",
                 WEIR_LOG_INT("bytes", reader->torn_bytes),
                 WEIR_LOG_INT("files", reader->unreadable),
                 WEIR_LOG_STR("effect", "some points may be delivered again"));
    }
    return recovery->failed ? WEIR_ENOMEM : WEIR_OK;
}

static enum weir_status begin_ids(struct weir_recovery *recovery)
{
    struct weir_spool *spool = recovery->spool;
    struct weir_notes_reader reader = {.visit = first_look};
    WEIR_TRY(read_log(recovery, &reader));
    uint64_t key[2];
    weir_notes_hash_key(spool->notes, key);
    weir_notes_close(spool->notes);
    spool->notes = NULL;
    if (spool->dedupe_entries == 0 || spool->dedupe_window_ns == 0) {
        return WEIR_OK;
    }
    return weir_ids_new(spool->dedupe_entries, spool->dedupe_window_ns, key, &spool->ids);
}

/* -- segments ------------------------------------------------------------------------------- */

/* One that cannot be opened or read now is left alone, and what it held is lost as far as this
 * start knows; I1. */
static enum weir_status scan_all(struct weir_recovery *recovery)
{
    for (size_t i = 0; i < recovery->segment_count; i++) {
        struct weir_found_segment *segment = &recovery->segments[i];
        segment->begin = segment->end = recovery->found_count;
        enum weir_status status =
            segment->unreadable ? WEIR_OK : weir_recover_scan(recovery, segment);
        if (status == WEIR_ENOMEM) {
            return status;
        }
        for (size_t j = segment->begin; j < segment->end; j++) {
            (void)weir_recover_proven(recovery, recovery->found[j].durable);
            uint64_t epoch = recovery->found[j].lsn >> SPOOL_EPOCH_SHIFT << SPOOL_EPOCH_SHIFT;
            (void)weir_recover_proven(recovery, epoch);
        }
    }
    for (size_t i = 0; i < recovery->segment_count; i++) {
        if (weir_recover_verify(recovery, &recovery->segments[i]) == WEIR_ENOMEM) {
            return WEIR_ENOMEM;
        }
    }
    return recovery->failed ? WEIR_ENOMEM : WEIR_OK;
}

/* Behind the last record that counts, the file ends from now on. */
static bool cut(struct weir_recovery *recovery, struct weir_found_segment *segment)
{
    const struct weir_disk *disk = &recovery->spool->disk;
    uint64_t end = 0;
    for (size_t i = segment->begin; i < segment->end; i++) {
        const struct weir_found *found = &recovery->found[i];
        end = found->torn ? end : found->offset + found->extent;
    }
    end += (WEIR_FRAME_COMMIT_ALIGN - end % WEIR_FRAME_COMMIT_ALIGN) % WEIR_FRAME_COMMIT_ALIGN;
    if (end == 0 || end >= segment->size) {
        return false;
    }
    char name[WEIR_DISK_NAME_MAX];
    weir_spool_segment_name(segment->number, NULL, name);
    int file = disk->ops->open(disk->self, name, WEIR_DISK_WRITE);
    if (file < 0) {
        return false;
    }
    bool done = disk->ops->truncate(disk->self, file, end) == 0;
    disk->ops->close(disk->self, file);
    segment->size = done ? end : segment->size;
    return done;
}

static enum weir_status register_records(struct weir_recovery *recovery,
                                         const struct weir_found_segment *segment)
{
    for (size_t i = segment->begin; i < segment->end; i++) {
        const struct weir_found *found = &recovery->found[i];
        if (found->torn) {
            continue;
        }
        struct weir_ledger_record record = {.lsn = found->lsn,
                                            .offset = found->offset,
                                            .extent = found->extent,
                                            .received_wall_ns = found->received_wall_ns,
                                            .owed = found->owed};
        enum weir_status status =
            weir_ledger_scan(recovery->spool->ledger, segment->account, &record);
        if (status == WEIR_ENOMEM) {
            return status;
        }
        if (status != WEIR_OK) { /* a header that checks, and cannot be ours */
            recovery->report->lost_records++;
            recovery->report->lost_bytes += found->extent;
            weir_log(WEIR_LOG_ERROR, "a record is out of order, and left out",
                     WEIR_LOG_HEX("segment", segment->number),
                     WEIR_LOG_INT("offset", found->offset));
        }
    }
    return WEIR_OK;
}

static enum weir_status register_all(struct weir_recovery *recovery)
{
    struct weir_spool *spool = recovery->spool;
    for (size_t i = 0; i < recovery->segment_count; i++) {
        struct weir_found_segment *segment = &recovery->segments[i];
        if (segment->unreadable) {
            continue;
        }
        if (i + 1 == recovery->segment_count) {
            (void)cut(recovery, segment);
        }
        struct weir_frame_segment header = {.version = segment->version,
                                            .number = segment->number,
                                            .salt = segment->salt,
                                            .size = segment->size_new};
        WEIR_TRY(weir_ledger_segment_new(spool->ledger, &header, &segment->account));
        WEIR_TRY(register_records(recovery, segment));
        recovery->report->segments++;
    }
    return WEIR_OK;
}

/* -- the release log, second time ----------------------------------------------------------- */

static void second_look(void *argument, const struct weir_note *note)
{
    struct weir_recovery *recovery = argument;
    struct weir_spool *spool = recovery->spool;
    if (note->kind == WEIR_NOTE_ID && spool->ids != NULL &&
        !weir_recover_is_lost(recovery, note->id.lsn)) {
        (void)weir_ids_add(spool->ids, &note->id); /* I4 */
    }
    weir_ledger_replay(spool->ledger, note);
}

/* The last commits' ids were not noted yet: they are now, so that they outlive their segments. */
static void add_ids(struct weir_recovery *recovery, int64_t wall_ns)
{
    struct weir_ids *ids = recovery->spool->ids;
    for (size_t i = 0; ids != NULL && i < recovery->found_count; i++) {
        const struct weir_found *found = &recovery->found[i];
        struct weir_id id = {.key = {found->key[0], found->key[1]},
                             .content_crc = found->content_crc,
                             .content_size = found->content_size,
                             .wall_ns = found->received_wall_ns,
                             .lsn = found->lsn};
        struct weir_id known;
        bool old = wall_ns - found->received_wall_ns > recovery->spool->dedupe_window_ns;
        if (found->keyed && !found->torn && !old &&
            weir_ids_look(ids, &id, wall_ns, &known) != WEIR_IDS_REPEATED) {
            struct weir_note note = {.kind = WEIR_NOTE_ID, .lsn = id.lsn, .id = id};
            (void)weir_ids_add(ids, &id);
            weir_ledger_note(recovery->spool->ledger, &note);
        }
    }
}

/* Where a segment's numbers begin and end is read off its neighbours where the notes of it were
 * lost: they are noted now, while the neighbours are still there. What nothing proves is not among
 * them. */
static void note_spans(struct weir_recovery *recovery)
{
    for (size_t i = 0; i < recovery->segment_count; i++) {
        const struct weir_found_segment *segment = &recovery->segments[i];
        const struct weir_span_of_segment *span = weir_recover_span(recovery, segment->number);
        if (!segment->unreadable && segment->first != 0 && (span == NULL || span->last == 0)) {
            struct weir_span_of_segment known = {segment->number, segment->first, segment->last};
            weir_spool_span(recovery->spool, &known);
        }
    }
}

/* I3. Of files that were set aside nobody here knows the epochs: they are other releases' lives,
 * and are taken back with the numbers that they have. Minutes rise faster than starts. */
static uint64_t next_epoch(const struct weir_recovery *recovery, int64_t wall_ns)
{
    uint64_t next = recovery->epoch_max + 1;
    int64_t minutes = (wall_ns / 1000000000 - YEAR_2020_S) / 60;
    bool is_unsure = recovery->report->segments_set_aside > 0;
    bool fits = minutes > 0 && minutes < EPOCH_MINUTES_MAX;
    return is_unsure && fits && (uint64_t)minutes > next ? (uint64_t)minutes : next;
}

static void note_start(struct weir_recovery *recovery, int64_t wall_ns)
{
    struct weir_spool *spool = recovery->spool;
    note_spans(recovery);
    for (size_t i = recovery->lost_before; i < recovery->lost_count; i++) {
        struct weir_note note = {.kind = WEIR_NOTE_LOST, .lsn = recovery->lost[i]};
        weir_ledger_note(spool->ledger, &note);
    }
    uint64_t epoch = next_epoch(recovery, wall_ns) << SPOOL_EPOCH_SHIFT;
    struct weir_note note = {.kind = WEIR_NOTE_DURABLE, .lsn = epoch};
    weir_ledger_note(spool->ledger, &note);
    spool->lane.next_lsn = epoch | 1;
}

/* -- all of it ------------------------------------------------------------------------------ */

/* Numbers of segments that are not there any more, and epochs with no record left. */
static void prune(struct weir_recovery *recovery)
{
    struct weir_spool *spool = recovery->spool;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < spool->span_count; i++) {
        for (size_t j = 0; j < recovery->segment_count; j++) {
            if (recovery->segments[j].number == spool->spans[i].segment &&
                !recovery->segments[j].unreadable) {
                spool->spans[kept++] = spool->spans[i];
                break;
            }
        }
    }
    spool->span_count = kept;
    for (size_t i = 0; i < recovery->epoch_count; i++) {
        bool used = false;
        for (size_t j = 0; j < recovery->segment_count && !used; j++) {
            used = recovery->segments[j].first >> SPOOL_EPOCH_SHIFT == recovery->epochs[i].epoch;
        }
        if (used) {
            recovery->epochs[spool->epoch_count++] = recovery->epochs[i];
        }
    }
    spool->epochs = recovery->epochs;
    recovery->epochs = NULL;
}

static enum weir_status open_segments(struct weir_recovery *recovery)
{
    struct weir_spool *spool = recovery->spool;
    struct weir_segments_options options = {.disk = &spool->disk,
                                            .limit = spool->limit,
                                            .segment_bytes = spool->segment_bytes,
                                            .version = spool->version,
                                            .seed = spool->seed};
    WEIR_TRY(weir_segments_new(&options, recovery->number_max + 1, &spool->segments));
    for (size_t i = 0; i < recovery->segment_count; i++) {
        const struct weir_found_segment *segment = &recovery->segments[i];
        if (!segment->unreadable) {
            weir_segments_adopt(spool->segments, segment->size);
            weir_ledger_seal(spool->ledger, segment->account, segment->size != segment->size_new);
        }
    }
    return WEIR_OK;
}

static enum weir_status recover(struct weir_recovery *recovery, struct weir_now now)
{
    struct weir_spool *spool = recovery->spool;
    struct weir_notes_reader reader = {.visit = second_look};
    WEIR_TRY(begin_ids(recovery));
    WEIR_TRY(weir_recover_files(recovery));
    WEIR_TRY(scan_all(recovery));
    WEIR_TRY(weir_recover_losses(recovery));
    WEIR_TRY(register_all(recovery));
    WEIR_TRY(read_log(recovery, &reader));
    weir_ledger_replayed(spool->ledger);
    add_ids(recovery, now.wall_ns);
    prune(recovery);
    WEIR_TRY(open_segments(recovery));
    note_start(recovery, now.wall_ns);
    WEIR_TRY(weir_keep_notes(spool));
    struct weir_spool_stat stat = {.bytes = 0};
    weir_ledger_look(spool->ledger, &stat);
    recovery->report->records = stat.records;
    recovery->report->repeats_possible = weir_ledger_repeats(spool->ledger);
    int64_t free_bytes = spool->disk.ops->free_bytes(spool->disk.self);
    spool->disk_free = free_bytes >= 0 ? (uint64_t)free_bytes : spool->disk_free;
    weir_spool_publish(spool);
    return WEIR_OK;
}

static void warn_of_disk(const struct weir_disk *disk)
{
    const char *doubt = weir_disk_doubt(disk);
    if (doubt != NULL) {
        weir_log(WEIR_LOG_WARN, "the spool's file system keeps no promise over a power loss",
                 WEIR_LOG_STR("kind", doubt));
    }
}

enum weir_status weir_spool_recover(struct weir_spool *spool, struct weir_now now,
                                    struct weir_spool_report *report)
{
    if (spool->limit < spool->segment_bytes) {
        return WEIR_EFULL;
    }
    enum weir_status status = weir_disk_status(spool->disk.ops->lock(spool->disk.self));
    if (status != WEIR_OK) {
        return status == WEIR_EAGAIN ? WEIR_EEXIST : status;
    }
    warn_of_disk(&spool->disk);
    weir_ledger_tick(spool->ledger, now.wall_ns);
    struct weir_recovery recovery = {.spool = spool, .report = report};
    status = recover(&recovery, now);
    atomic_store_explicit(&spool->lost, report->lost_records, memory_order_relaxed); /* _keep */
    atomic_store_explicit(&spool->torn, report->torn_records, memory_order_relaxed); /* _keep */
    weir_mem_free(recovery.found);
    weir_mem_free(recovery.segments);
    weir_mem_free(recovery.epochs);
    weir_mem_free(recovery.lost);
    weir_mem_free(recovery.kept);
    return status;
}
