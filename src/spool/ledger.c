/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account of the spool: its making and end, segments, records as lane and recovery
 * bring them, and the look at it. ledger.h is the contract.
 *
 *   ledger.c           this: what comes in, what goes out
 *   ledger_slots.c     who is who; ledger_nameless.c: who had no slot, at a start
 *   ledger_records.c   a segment's arrays: place, owed, live; the order of numbers
 *   ledger_ticket.c    records in memory: settled, kept, attempted; jobs that wait
 *   ledger_progress.c  what is settled in part, what was tried
 *   ledger_notes.c     the release log's notes: out, in, and all of them again
 *
 *   segment (by number)   first ─► 3 ─► 4 ─► 5 ◄─ last        sealed  sealed  open
 *                                       ▲
 *                         cursors[d] ───┘   the first record that may wait for destination d
 *
 * States of a segment:
 *
 *   open ─seal─► sealed ─owed to nobody, noted durably: released─► returned ─segment_free─► gone
 *
 *   open -> sealed        weir_ledger_seal
 *   sealed -> returned    weir_ledger_released
 *   returned -> gone      weir_ledger_segment_free
 *
 *   I1  a segment is returned only when it is sealed, unreleased is 0, and the notes of its last
 *       change are durable (its generation <= durable_generation)
 *   I2  a returned segment stays in snapshots: its file's old name may yet come back after a crash
 *   I3  a name has one slot as long as anything is owed to it; what a slot's bits mean in a segment
 *       is what they meant when the segment began (ledger_slots.c)
 *
 * States of a record for one destination:
 *
 *             ┌────────────── kept ──────────────┐
 *             ▼                                  │
 *   owed, waiting ────────── next ─────────► owed, live ─── settled ───► not owed
 *             └─ DONE or LOST replayed, lost ──────────────────────────────▲
 *
 *   waiting -> live       weir_ledger_next, weir_ledger_commit (it begins there)
 *   live -> waiting       weir_ledger_settle_manifest and weir_ledger_settle, KEPT
 *   live -> not owed      the same, SETTLED
 *   waiting -> not owed   weir_ledger_replay, weir_ledger_lose
 *
 * Threads: any, one mutex; nothing that may block is done while it is held but to allocate. Full:
 * memory is asked for before a record is written. When notes cannot be written or are too many they
 * are dropped, nothing is released until a snapshot says it all. Deliberately touches no file and
 * reads no clock.
 */
#include "ledger_internal.h"
#include "weir/mem.h"

enum { NOTES_LIMIT = 16 << 20, TICKETS_IDLE = 8192 };

/* The largest of what an entry's 32 bits reach: 256 GiB. */
#define OFFSET_MAX  ((uint64_t)UINT32_MAX * WEIR_FRAME_RECORD_ALIGN)
#define RECORDS_MAX (UINT64_C(1) << 31)

enum weir_status weir_ledger_new(const struct weir_ledger_options *options,
                                 struct weir_ledger **ret)
{
    struct weir_ledger *ledger = weir_mem_zalloc(1, sizeof *ledger);
    if (ledger == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = weir_ledger_progress_table_init(&ledger->progress);
    if (status == WEIR_OK) {
        status = weir_pool_new(sizeof(struct weir_ticket), TICKETS_IDLE, weir_ledger_ticket_done,
                               &ledger->tickets);
    }
    if (status != WEIR_OK) {
        weir_ledger_progress_table_done(&ledger->progress);
        weir_mem_free(ledger);
        return status;
    }
    weir_slots_init(&ledger->slots, options->destinations, options->destination_count);
    ledger->has_notes = options->notes;
    ledger->notes_limit = options->notes_limit == 0 ? NOTES_LIMIT : options->notes_limit;
    ledger->notes = weir_buf_grow_init(ledger->notes_limit);
    ledger->generation = 1;
    ledger->delivered_ns = options->delivered_ns;
    WEIR_ASSERT(pthread_mutex_init(&ledger->mutex, NULL) == 0);
    *ret = ledger;
    return WEIR_OK;
}

void weir_ledger_free(struct weir_ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    WEIR_ASSERT(ledger->ticket_first == NULL);
    WEIR_ASSERT(ledger->waiting_jobs == 0);
    weir_ledger_records_done(ledger->first);
    weir_ledger_records_done(ledger->unused);
    weir_mem_free(ledger->by_lsn);
    weir_ledger_nameless_free(&ledger->nameless);
    weir_ledger_progress_table_done(&ledger->progress);
    weir_pool_free(ledger->tickets);
    weir_buf_done(&ledger->notes);
    pthread_mutex_destroy(&ledger->mutex);
    weir_mem_free(ledger);
}

void weir_ledger_tick(struct weir_ledger *ledger, int64_t wall_ns)
{
    pthread_mutex_lock(&ledger->mutex);
    ledger->wall_ns = wall_ns;
    pthread_mutex_unlock(&ledger->mutex);
}

/* -- segments ------------------------------------------------------------------------------ */

/* A place in by_lsn for one more segment, so that its first record cannot fail. */
static enum weir_status reserve_index(struct weir_ledger *ledger)
{
    uint32_t needed = ledger->segment_count + 1;
    if (needed <= ledger->by_lsn_capacity) {
        return WEIR_OK;
    }
    struct weir_ledger_segment **grown =
        weir_mem_resize(ledger->by_lsn, (size_t)needed * 2, sizeof(void *));
    if (grown == NULL) {
        return WEIR_ENOMEM;
    }
    ledger->by_lsn = grown;
    ledger->by_lsn_capacity = needed * 2;
    return WEIR_OK;
}

static enum weir_status segment_new(struct weir_ledger *ledger,
                                    const struct weir_frame_segment *header,
                                    struct weir_ledger_segment **ret)
{
    WEIR_ASSERT(ledger->last == NULL || ledger->last->facts.number < header->number);
    WEIR_TRY(reserve_index(ledger));
    struct weir_ledger_names *names = NULL;
    WEIR_TRY(weir_ledger_names_take(ledger, header, &names));
    struct weir_ledger_segment *segment = weir_ledger_records_take(ledger);
    if (segment == NULL) {
        weir_ledger_names_give(names);
        return WEIR_ENOMEM;
    }
    segment->names = names;
    segment->facts = (struct weir_ledger_facts){header->version, header->number, header->salt,
                                                header->size, false};
    uint64_t limit = header->size / WEIR_FRAME_COMMIT_ALIGN;
    segment->limit = (uint32_t)(limit < RECORDS_MAX ? limit : RECORDS_MAX);
    segment->previous = ledger->last;
    *(ledger->last == NULL ? &ledger->first : &ledger->last->next) = segment;
    ledger->last = segment;
    ledger->segment_count++;
    *ret = segment;
    return WEIR_OK;
}

enum weir_status weir_ledger_segment_new(struct weir_ledger *ledger,
                                         const struct weir_frame_segment *header,
                                         struct weir_ledger_segment **ret)
{
    pthread_mutex_lock(&ledger->mutex);
    enum weir_status status = segment_new(ledger, header, ret);
    pthread_mutex_unlock(&ledger->mutex);
    return status;
}

void weir_ledger_seal(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                      bool cut_or_tainted)
{
    pthread_mutex_lock(&ledger->mutex);
    WEIR_ASSERT(!segment->sealed);
    segment->sealed = true;
    segment->facts.cut_or_tainted = cut_or_tainted;
    pthread_mutex_unlock(&ledger->mutex);
}

struct weir_ledger_facts weir_ledger_facts(struct weir_ledger *ledger,
                                           const struct weir_ledger_segment *segment)
{
    pthread_mutex_lock(&ledger->mutex);
    struct weir_ledger_facts facts = segment->facts;
    pthread_mutex_unlock(&ledger->mutex);
    return facts;
}

static uint32_t room_for(const struct weir_ledger_segment *segment, uint64_t lsn)
{
    if (segment->count > 0 &&
        (lsn <= segment->first_lsn || lsn - segment->first_lsn > UINT32_MAX)) {
        return 0;
    }
    return segment->limit - segment->count;
}

uint32_t weir_ledger_room(struct weir_ledger *ledger, const struct weir_ledger_segment *segment,
                          uint64_t lsn)
{
    pthread_mutex_lock(&ledger->mutex);
    uint32_t room = room_for(segment, lsn);
    pthread_mutex_unlock(&ledger->mutex);
    return room;
}

struct weir_ledger_segment *weir_ledger_released(struct weir_ledger *ledger, bool noted)
{
    pthread_mutex_lock(&ledger->mutex);
    struct weir_ledger_segment *at = ledger->first;
    while (at != NULL && (!at->sealed || at->returned || at->unreleased > 0 ||
                          (noted && at->generation > ledger->durable_generation))) {
        at = at->next;
    }
    if (at != NULL) {
        at->returned = true;
    }
    pthread_mutex_unlock(&ledger->mutex);
    return at;
}

/* Nothing points at it any more: neither cursor, hint nor run; no ticket can (unreleased is 0), but
 * one whose record was lost meanwhile: those the caller waits for. */
static void unlink_segment(struct weir_ledger *ledger, struct weir_ledger_segment *segment)
{
    *(segment->previous == NULL ? &ledger->first : &segment->previous->next) = segment->next;
    *(segment->next == NULL ? &ledger->last : &segment->next->previous) = segment->previous;
    for (uint32_t slot = 0; slot < WEIR_LEDGER_SLOTS; slot++) {
        if (ledger->cursors[slot].segment == segment) {
            ledger->cursors[slot] = (struct weir_ledger_position){segment->next, 0};
        }
        WEIR_ASSERT(ledger->runs[slot].segment != segment);
    }
    ledger->hint = ledger->hint == segment ? NULL : ledger->hint;
    for (uint32_t i = 0; i < ledger->by_lsn_count; i++) {
        if (ledger->by_lsn[i] == segment) {
            ledger->by_lsn_count--;
            memmove(ledger->by_lsn + i, ledger->by_lsn + i + 1,
                    (ledger->by_lsn_count - i) * sizeof(void *));
            break;
        }
    }
    ledger->segment_count--;
}

void weir_ledger_segment_free(struct weir_ledger *ledger, struct weir_ledger_segment *segment)
{
    pthread_mutex_lock(&ledger->mutex);
    WEIR_ASSERT(segment->returned);
    WEIR_ASSERT(segment->unreleased == 0);
    unlink_segment(ledger, segment);
    weir_ledger_records_give(ledger, segment);
    pthread_mutex_unlock(&ledger->mutex);
}

/* -- records ------------------------------------------------------------------------------- */

static bool is_in_order(const struct weir_ledger_segment *segment, uint64_t lsn)
{
    if (segment->count == 0) {
        return true;
    }
    uint64_t last = segment->first_lsn + segment->entries[segment->count - 1].lsn_delta;
    return lsn > last && lsn - segment->first_lsn <= UINT32_MAX;
}

/* The same record in an earlier segment counts no more: it is owed here. */
static void supersede(struct weir_ledger *ledger, uint64_t lsn)
{
    struct weir_ledger_position old;
    if (lsn > ledger->lsn_max || !weir_ledger_records_find(ledger, lsn, &old)) {
        return;
    }
    for (uint32_t slot = 0; slot < WEIR_LEDGER_SLOTS; slot++) {
        (void)weir_ledger_records_settle(ledger, old, slot);
    }
    old.segment->entries[old.index].is_void = 1;
}

static enum weir_status scan(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                             const struct weir_ledger_record *record)
{
    if (record->lsn == 0 || !is_in_order(segment, record->lsn) || record->offset > OFFSET_MAX ||
        record->extent > OFFSET_MAX) {
        return WEIR_EMALFORMED;
    }
    WEIR_TRY(weir_ledger_records_reserve(segment, 1, record->owed));
    supersede(ledger, record->lsn);
    (void)weir_ledger_records_add(ledger, segment, record, 0);
    return WEIR_OK;
}

enum weir_status weir_ledger_scan(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                                  const struct weir_ledger_record *record)
{
    pthread_mutex_lock(&ledger->mutex);
    enum weir_status status = scan(ledger, segment, record);
    pthread_mutex_unlock(&ledger->mutex);
    return status;
}

enum weir_status weir_ledger_reserve(struct weir_ledger *ledger,
                                     struct weir_ledger_segment *segment, uint32_t count,
                                     uint64_t owed)
{
    pthread_mutex_lock(&ledger->mutex);
    enum weir_status status = weir_ledger_records_reserve(segment, count, owed);
    pthread_mutex_unlock(&ledger->mutex);
    return status;
}

static void commit_record(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                          const struct weir_ledger_record *record, struct weir_ticket *ticket)
{
    WEIR_ASSERT(!segment->sealed);
    WEIR_ASSERT(is_in_order(segment, record->lsn));
    WEIR_ASSERT(record->offset <= OFFSET_MAX);
    WEIR_ASSERT(record->extent <= OFFSET_MAX);
    uint64_t known = ledger->slots.open | ledger->slots.gone | WEIR_OWED_LETTER;
    WEIR_ASSERT((record->owed & ~known) == 0);
    uint64_t live = 0;
    for (uint32_t i = 0; ticket != NULL && i < ticket->count; i++) {
        live |= UINT64_C(1) << ticket->destinations[i].slot;
    }
    uint32_t index = weir_ledger_records_add(ledger, segment, record, live);
    for (uint64_t left = record->owed & ~live; left != 0; left &= left - 1) {
        uint32_t slot = (uint32_t)__builtin_ctzll(left);
        ledger->over |= (uint64_t)weir_ledger_is_over_share(ledger, slot) << slot;
    }
    weir_ledger_durable(ledger, record->lsn);
    if (ticket != NULL) {
        ticket->segment = segment;
        ticket->index = index;
    }
}

void weir_ledger_commit(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                        const struct weir_ledger_record *record, struct weir_spool_job *job)
{
    pthread_mutex_lock(&ledger->mutex);
    if (segment != NULL) {
        commit_record(ledger, segment, record, job->ticket);
    }
    if (job->ticket != NULL) {
        job->ticket->lsn = record->lsn;
        weir_ledger_ticket_link(ledger, job->ticket);
    }
    pthread_mutex_unlock(&ledger->mutex);
}

void weir_ledger_failed(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                        uint64_t first_lsn, uint32_t count)
{
    pthread_mutex_lock(&ledger->mutex);
    uint64_t lsn_max = ledger->lsn_max; /* none of these is durable anywhere yet */
    for (uint32_t i = 0; i < count; i++) {
        struct weir_ledger_record record = {.lsn = first_lsn + i};
        WEIR_ASSERT(is_in_order(segment, record.lsn));
        uint32_t index = weir_ledger_records_add(ledger, segment, &record, 0);
        segment->entries[index].is_void = 1;
    }
    ledger->lsn_max = lsn_max;
    pthread_mutex_unlock(&ledger->mutex);
}

/* -- a look -------------------------------------------------------------------------------- */

/* O(segments), and one of them bit by bit. */
static int64_t oldest_wall_ns(const struct weir_ledger *ledger)
{
    const struct weir_ledger_segment *at = ledger->first;
    while (at != NULL && at->unreleased == 0) {
        at = at->next;
    }
    if (at == NULL) {
        return 0;
    }
    uint32_t word = 0;
    while (at->unreleased_bits[word] == 0) {
        word++;
    }
    uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(at->unreleased_bits[word]);
    return (int64_t)at->entries[index].received_s * 1000000000;
}

void weir_ledger_look(struct weir_ledger *ledger, struct weir_spool_stat *ret)
{
    pthread_mutex_lock(&ledger->mutex);
    ret->open = ledger->slots.open;
    ret->gone = ledger->slots.gone;
    ret->owed_bytes = ledger->unreleased_bytes;
    ret->records = ledger->unreleased_records;
    ret->oldest_wall_ns = oldest_wall_ns(ledger);
    memset(ret->backlog_records, 0, sizeof ret->backlog_records);
    memset(ret->backlog_bytes, 0, sizeof ret->backlog_bytes);
    for (uint32_t slot = 0; slot < WEIR_LEDGER_SLOTS; slot++) {
        uint32_t to = weir_slots_is_gone(&ledger->slots, slot) ? WEIR_BACKLOG_GONE : slot;
        ret->backlog_records[to] += ledger->backlog_records[slot];
        ret->backlog_bytes[to] += ledger->backlog_bytes[slot];
    }
    pthread_mutex_unlock(&ledger->mutex);
}
