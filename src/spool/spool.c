/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool's facade: options to parts, and the questions that any thread may ask.
 *
 *   weir_spool_open ─► recover.c: directory, release log, segments ─► ledger, ids, lane
 *        │                                                              │
 *        └ DELIVERED, MEMORY: only ids, and a ledger for DELIVERED      ├─ lane.c, lane_write.c
 *                                                                       ├─ destinations.c
 *                                                                       ├─ keep.c
 *                                                                       └─ backlog.c
 *
 *   free_bytes   what new records may take:
 *                  whole segments that still fit under the limit (and onto the file system),
 *                  without their headers, and the rest of the active one
 *   admits       size + headroom <= free_bytes, and not failed: two relaxed loads
 *
 *   I1  the numbers published are old by one commit or one step of the keeper at most; what was let
 *       in by an old number is met by the headroom
 *   I2  `failed` goes from false to true, once, and is logged by whoever set it
 *
 * Threads: open and close when no other runs; the rest from any. It reads no clock: time comes in.
 */
#include "spool_internal.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/rand.h"
#include <stdio.h>
#include <string.h>

enum { DESTINATIONS_MAX = WEIR_FRAME_NAMES_MAX };

#define SEGMENT_BYTES_MIN  ((uint64_t)64 << 10)
#define SEGMENT_BYTES_MAX  ((uint64_t)256 << 20)
#define SEGMENTS_IN_LIMIT  32
#define LANE_HEADERS_LIMIT ((size_t)1 << 30)
#define ATTEMPT_NOTES_MAX  ((size_t)16 << 20)
#define ATTEMPT_NOTES_KEPT ((size_t)256 << 10)
#define ATTEMPTS_IDLE      16

/* -- small things --------------------------------------------------------------------------- */

void weir_spool_segment_name(uint64_t number, const char *folder, char out[WEIR_DISK_NAME_MAX])
{
    int size =
        snprintf(out, WEIR_DISK_NAME_MAX, "%s%s%016llx.segment", folder != NULL ? folder : "",
                 folder != NULL ? "/" : "", (unsigned long long)number);
    WEIR_ASSERT(size > 0);
    WEIR_ASSERT(size < WEIR_DISK_NAME_MAX);
}

bool weir_spool_has_failed(const struct weir_spool *spool)
{
    return atomic_load_explicit(&spool->failed, memory_order_relaxed); /* weir_spool_fail */
}

void weir_spool_fail(struct weir_spool *spool, const char *what)
{
    /* Nothing is handed over with it: whoever sees it late is told by the next write. */
    if (!atomic_exchange_explicit(&spool->failed, true, memory_order_relaxed)) {
        weir_log(WEIR_LOG_ERROR, "the spool has failed", WEIR_LOG_STR("reason", what));
    }
}

void weir_spool_publish(struct weir_spool *spool)
{
    uint64_t unused = weir_segments_free_bytes(spool->segments);
    spool_lock(&spool->files_lock);
    uint64_t reachable = spool->disk_free; /* spares stand on the disk already: a little too few */
    spool_unlock(&spool->files_lock);
    reachable = reachable < unused ? reachable : unused;
    uint64_t whole = reachable / spool->segment_bytes;
    /* active_room: the lane's, which published it before it came here */
    uint64_t room = atomic_load_explicit(&spool->active_room, memory_order_relaxed) +
                    whole * (spool->segment_bytes - WEIR_FRAME_SEGMENT_HEADER);
    uint64_t used = spool->limit > unused ? spool->limit - unused : 0;
    atomic_store_explicit(&spool->free_bytes, room, memory_order_relaxed); /* _admits */
    atomic_store_explicit(&spool->disk_bytes, used, memory_order_relaxed); /* _look */
}

/* -- which numbers a segment holds ---------------------------------------------------------- */

bool weir_spool_span_remember(struct weir_spool *spool, struct weir_span_of_segment *span)
{
    for (uint32_t i = spool->span_count; i-- > 0;) {
        struct weir_span_of_segment *known = &spool->spans[i];
        if (known->segment == span->segment) {
            if (span->first == 0) {
                span->first = known->first;
            }
            *known = *span;
            return true;
        }
    }
    if (spool->span_count == spool->span_capacity) {
        uint32_t capacity = spool->span_capacity == 0 ? 64 : spool->span_capacity * 2;
        void *grown = weir_mem_resize(spool->spans, capacity, sizeof(struct weir_span_of_segment));
        if (grown == NULL) {
            return false;
        }
        spool->spans = grown;
        spool->span_capacity = capacity;
    }
    spool->spans[spool->span_count++] = *span;
    return true;
}

void weir_spool_span(struct weir_spool *spool, const struct weir_span_of_segment *span)
{
    struct weir_span_of_segment known = *span;
    spool_lock(&spool->files_lock);
    bool kept = weir_spool_span_remember(spool, &known);
    spool_unlock(&spool->files_lock);
    if (kept &&
        known.first != 0) { /* without memory it is not known: damage is counted less well */
        struct weir_note note = {.kind = WEIR_NOTE_SEGMENT,
                                 .lsn = known.last,
                                 .segment = known.segment,
                                 .first = known.first};
        weir_ledger_note(spool->ledger, &note);
    }
}

void weir_spool_span_forget(struct weir_spool *spool, uint64_t segment)
{
    spool_lock(&spool->files_lock);
    for (uint32_t i = 0; i < spool->span_count; i++) {
        if (spool->spans[i].segment == segment) {
            spool->spans[i] = spool->spans[--spool->span_count];
            break;
        }
    }
    spool_unlock(&spool->files_lock);
}

/* -- opening -------------------------------------------------------------------------------- */

static uint64_t segment_bytes(const struct weir_spool_options *options)
{
    uint64_t bytes = options->segment_bytes;
    if (bytes == 0) {
        bytes = options->limit / SEGMENTS_IN_LIMIT;
        bytes = bytes > SEGMENT_BYTES_MAX ? SEGMENT_BYTES_MAX : bytes;
    }
    bytes = bytes < SEGMENT_BYTES_MIN ? SEGMENT_BYTES_MIN : bytes;
    return bytes - bytes % WEIR_FRAME_COMMIT_ALIGN;
}

static struct weir_spool *new_spool(const struct weir_spool_options *options)
{
    struct weir_spool *spool = weir_mem_zalloc(1, sizeof(struct weir_spool));
    if (spool == NULL) {
        return NULL;
    }
    int made = pthread_mutex_init(&spool->ids_lock, NULL);
    WEIR_ASSERT(made == 0);
    made = pthread_mutex_init(&spool->files_lock, NULL);
    WEIR_ASSERT(made == 0);
    made = pthread_mutex_init(&spool->slots_lock, NULL);
    WEIR_ASSERT(made == 0);
    spool->durability = options->durability;
    spool->disk = options->disk;
    spool->limit = options->limit;
    spool->segment_bytes = segment_bytes(options);
    spool->headroom = options->headroom;
    spool->version = options->version == 0 ? WEIR_FRAME_VERSION : options->version;
    spool->seed = options->seed;
    spool->dedupe_window_ns = options->dedupe_window_ns;
    spool->lane.headers = weir_buf_grow_init(LANE_HEADERS_LIMIT);
    spool->lane.next_lsn = 1;
    spool->reader.file = -1;
    spool->quarantine_bytes = UINT64_MAX;
    spool->disk_free = UINT64_MAX / 2;
    weir_spool_slots_init(spool, options);
    return spool;
}

static void free_spool(struct weir_spool *spool)
{
    weir_notes_close(spool->notes);
    weir_segments_free(spool->segments);
    weir_ids_free(spool->ids);
    weir_ledger_free(spool->ledger);
    weir_pool_free(spool->attempts);
    weir_buf_done(&spool->lane.headers);
    weir_buf_done(&spool->keeper.notes);
    weir_buf_done(&spool->keeper.snapshot);
    weir_mem_free(spool->lane.staging);
    weir_mem_free(spool->lane.twins);
    weir_mem_free(spool->spans);
    weir_mem_free(spool->epochs);
    pthread_mutex_destroy(&spool->ids_lock);
    pthread_mutex_destroy(&spool->files_lock);
    pthread_mutex_destroy(&spool->slots_lock);
    weir_mem_free(spool);
}

static void attempt_done(void *buf)
{
    weir_buf_done(buf);
}

static enum weir_status new_ledger(struct weir_spool *spool,
                                   const struct weir_spool_options *options)
{
    if (options->durability == WEIR_DURABILITY_MEMORY) {
        return WEIR_OK;
    }
    struct weir_ledger_options ledger = {
        .destinations = options->destinations,
        .destination_count = options->destination_count,
        .notes = options->durability == WEIR_DURABILITY_DISK,
        .delivered_ns = options->delivered_timeout_ns,
    };
    WEIR_TRY(weir_pool_new(sizeof(struct weir_buf), ATTEMPTS_IDLE, attempt_done, &spool->attempts));
    return weir_ledger_new(&ledger, &spool->ledger);
}

/* DELIVERED and MEMORY: the ids, under a key of this life. */
static enum weir_status open_in_memory(struct weir_spool *spool)
{
    uint64_t key[2] = {spool->seed, ~spool->seed};
    if (spool->seed == 0) {
        weir_rand_system(key, sizeof key);
    }
    spool->lane.next_lsn = (UINT64_C(1) << SPOOL_EPOCH_SHIFT) | 1;
    return spool->dedupe_entries == 0 || spool->dedupe_window_ns == 0
               ? WEIR_OK
               : weir_ids_new(spool->dedupe_entries, spool->dedupe_window_ns, key, &spool->ids);
}

static enum weir_status open_on_disk(struct weir_spool *spool, struct weir_now now,
                                     struct weir_spool_report *report)
{
    spool->lane.staging = weir_mem_aligned(WEIR_DISK_BLOCK, SPOOL_STAGING);
    return spool->lane.staging == NULL ? WEIR_ENOMEM : weir_spool_recover(spool, now, report);
}

enum weir_status weir_spool_open(const struct weir_spool_options *options, struct weir_now now,
                                 struct weir_spool_report *ret_report, struct weir_spool **ret)
{
    *ret_report = (struct weir_spool_report){.segments = 0};
    if (options->destination_count > DESTINATIONS_MAX) {
        return WEIR_EINVAL;
    }
    struct weir_spool *spool = new_spool(options);
    if (spool == NULL) {
        return WEIR_ENOMEM;
    }
    spool->dedupe_entries = options->dedupe_entries;
    enum weir_status status = new_ledger(spool, options);
    if (status == WEIR_OK) {
        status = options->durability == WEIR_DURABILITY_DISK ? open_on_disk(spool, now, ret_report)
                                                             : open_in_memory(spool);
    }
    if (status != WEIR_OK) {
        free_spool(spool);
        return status;
    }
    *ret = spool;
    return WEIR_OK;
}

static void close_disk(struct weir_spool *spool)
{
    weir_lane_seal(spool, true);
    enum weir_status noted = weir_spool_has_failed(spool) ? WEIR_EIO : weir_keep_notes(spool);
    if (noted != WEIR_OK) {
        weir_log(WEIR_LOG_WARN, "the last notes of the spool are lost",
                 WEIR_LOG_STR("effect", "some points may be delivered again after the next start"));
    }
    if (spool->reader.file >= 0) {
        spool->disk.ops->close(spool->disk.self, spool->reader.file);
    }
}

void weir_spool_close(struct weir_spool *spool, struct weir_now now)
{
    if (spool == NULL) {
        return;
    }
    if (spool->ledger != NULL) {
        weir_ledger_tick(spool->ledger, now.wall_ns);
        weir_ledger_dismiss(spool->ledger);
    }
    if (spool->durability == WEIR_DURABILITY_DISK) {
        close_disk(spool);
    }
    free_spool(spool);
}

/* -- questions ------------------------------------------------------------------------------ */

bool weir_spool_admits(const struct weir_spool *spool, uint64_t size)
{
    if (weir_spool_has_failed(spool)) {
        return false;
    }
    if (spool->durability != WEIR_DURABILITY_DISK) {
        return true;
    }
    /* weir_spool_publish */
    uint64_t room = atomic_load_explicit(&spool->free_bytes, memory_order_relaxed);
    return room >= spool->headroom && room - spool->headroom >= size;
}

static void settle(void *self, const struct weir_manifest *manifest,
                   enum weir_settlement settlement)
{
    struct weir_spool *spool = self;
    weir_ledger_settle_manifest(spool->ledger, manifest, settlement);
}

/* What begins is in the log before it is sent, though not synced: after the process's end the next
 * start knows what may come twice. It waits for the keeper as well. */
static void attempted(void *self, const struct weir_manifest *manifest, int64_t used_ns)
{
    struct weir_spool *spool = self;
    if (spool->durability != WEIR_DURABILITY_DISK) {
        weir_ledger_attempted(spool->ledger, manifest, used_ns, NULL);
        return;
    }
    struct weir_buf *notes = weir_pool_take(spool->attempts);
    if (notes == NULL) {
        weir_ledger_attempted(spool->ledger, manifest, used_ns, NULL);
        return;
    }
    notes->limit = ATTEMPT_NOTES_MAX;
    weir_ledger_attempted(spool->ledger, manifest, used_ns, notes);
    if (!notes->failed) {
        /* A failure is the log's, and the keeper's next step finds it. */
        (void)weir_notes_write(spool->notes, weir_buf_view(notes));
    }
    notes->size = 0;
    if (notes->failed || notes->capacity > ATTEMPT_NOTES_KEPT) {
        weir_buf_done(notes);
    }
    weir_pool_give(spool->attempts, notes);
}

struct weir_settler weir_spool_settler(struct weir_spool *spool)
{
    return spool->ledger == NULL ? (struct weir_settler){NULL, NULL, NULL}
                                 : (struct weir_settler){settle, attempted, spool};
}

void weir_spool_settle(struct weir_spool *spool, struct weir_ticket *ticket, uint32_t destination,
                       enum weir_settlement settlement)
{
    if (ticket != NULL) {
        weir_ledger_settle(spool->ledger, ticket, destination, settlement);
    }
}

void weir_spool_dismiss(struct weir_spool *spool)
{
    if (spool->ledger != NULL) {
        weir_ledger_dismiss(spool->ledger);
    }
}

void weir_spool_look(struct weir_spool *spool, struct weir_spool_stat *ret)
{
    *ret = (struct weir_spool_stat){.limit = spool->limit};
    if (spool->ledger != NULL) {
        weir_ledger_look(spool->ledger, ret);
    } else {
        spool_lock(&spool->slots_lock);
        ret->open = spool->slots.open;
        ret->gone = spool->slots.gone;
        spool_unlock(&spool->slots_lock);
    }
    /* weir_spool_publish */
    ret->bytes = atomic_load_explicit(&spool->disk_bytes, memory_order_relaxed);
    ret->failed = weir_spool_has_failed(spool);
    if (spool->ids != NULL) {
        spool_lock(&spool->ids_lock);
        ret->ids = weir_ids_count(spool->ids);
        spool_unlock(&spool->ids_lock);
    }
}
