/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of the ledger: where each is, to whom it is owed, and for whom it is in memory.
 *
 *   segment   entries  [ lsn, offset, extent, time ] [ ... ] ...   16 bytes a record
 *             slots[d] [ owed live | owed live | ... ]             2 bits a record and destination
 *             unreleased_bits                                      1 bit: owed to anybody
 *
 *   by_lsn    segments that hold records, by their first number. Numbers rise from segment to
 *             segment, but for the last commit of one that failed: it stands in the next one again
 *             (where it counts), and its entries in the failed one are void.
 *
 *   I1  live implies owed; waiting = owed and not live; what waits is counted in slots[d].waiting,
 *       backlog_records[d] and backlog_bytes[d]
 *   I2  no record that waits for a destination lies before that destination's cursor
 *   I3  unreleased_bits = all owed bits of a record, or-ed; unreleased counts them
 *   I4  the numbers of a segment rise with the index
 *   I5  at most one entry of a number is not void
 *
 * The ledger's mutex is held by whoever calls. Memory: grown in weir_ledger_records_reserve alone,
 * before a record is written; everything else cannot fail. A segment that goes leaves its arrays to
 * the next, so that in the long run none are allocated, and one that must grow gets what the one
 * before it had. Deliberately forgets nothing before the whole segment goes.
 */
#include "ledger_internal.h"
#include "weir/mem.h"

/* Kept for the next: four segments of 4096 records, some 100 KiB each with one destination. What a
 * segment begins with is enough for 64 MiB of bodies of a thousand points: with less each of those
 * that take turns grew once, which was four calls. Most of it nobody writes to. */
enum { CAPACITY_INITIAL = 1024, UNUSED_MAX = 4, UNUSED_RECORDS_MAX = 4096 };

static uint64_t bit_of(uint32_t index)
{
    return UINT64_C(1) << (index % 64);
}

static uint64_t *owed_word(const struct weir_ledger_segment *segment, uint32_t slot, uint32_t index)
{
    return &segment->slots[slot].words[(size_t)2 * (index / 64)];
}

static uint64_t *live_word(const struct weir_ledger_segment *segment, uint32_t slot, uint32_t index)
{
    return &segment->slots[slot].words[(size_t)2 * (index / 64) + 1];
}

static uint64_t extent_of(struct weir_ledger_position at)
{
    return (uint64_t)at.segment->entries[at.index].extent_64 * WEIR_FRAME_RECORD_ALIGN;
}

/* -- room ---------------------------------------------------------------------------------- */

/* `words` grown from `old` to `count` words, the new ones zero. */
static enum weir_status grow_words(uint64_t **words, uint32_t old, uint32_t count)
{
    uint64_t *grown = weir_mem_resize(*words, count, sizeof **words);
    if (grown == NULL) {
        return WEIR_ENOMEM;
    }
    memset(grown + old, 0, (count - old) * sizeof *grown);
    *words = grown;
    return WEIR_OK;
}

/* All arrays to `capacity`. One that fails leaves the others larger than they need be, and what is
 * beyond the old capacity zero or not looked at. */
static enum weir_status grow(struct weir_ledger_segment *segment, uint32_t capacity)
{
    struct weir_ledger_entry *entries =
        weir_mem_resize(segment->entries, capacity, sizeof segment->entries[0]);
    if (entries == NULL) {
        return WEIR_ENOMEM;
    }
    segment->entries = entries;
    uint32_t old = segment->capacity / 64;
    WEIR_TRY(grow_words(&segment->unreleased_bits, old, capacity / 64));
    for (uint32_t slot = 0; slot < WEIR_LEDGER_SLOTS; slot++) {
        if (segment->slots[slot].words != NULL) {
            WEIR_TRY(grow_words(&segment->slots[slot].words, 2 * old, capacity / 32));
        }
    }
    segment->capacity = capacity;
    return WEIR_OK;
}

enum weir_status weir_ledger_records_reserve(struct weir_ledger_segment *segment, uint32_t count,
                                             uint64_t owed)
{
    if (count > segment->limit - segment->count) {
        return WEIR_EFULL;
    }
    uint32_t needed = segment->count + count;
    if (needed > segment->capacity) {
        uint32_t capacity = segment->capacity == 0 ? CAPACITY_INITIAL : segment->capacity;
        capacity = capacity < segment->expected ? segment->expected : capacity;
        while (capacity < needed) {
            capacity *= 2; /* limit <= 2^31, so this ends */
        }
        WEIR_TRY(grow(segment, capacity));
    }
    for (uint32_t slot = 0; slot < WEIR_LEDGER_SLOTS; slot++) {
        if ((owed >> slot & 1) != 0 && segment->slots[slot].words == NULL &&
            segment->capacity > 0) {
            WEIR_TRY(grow_words(&segment->slots[slot].words, 0, segment->capacity / 32));
        }
    }
    return WEIR_OK;
}

/* -- segments and their arrays -------------------------------------------------------------- */

static void segment_free(struct weir_ledger_segment *segment)
{
    weir_ledger_names_give(segment->names);
    for (uint32_t slot = 0; slot < WEIR_LEDGER_SLOTS; slot++) {
        weir_mem_free(segment->slots[slot].words);
    }
    weir_mem_free(segment->unreleased_bits);
    weir_mem_free(segment->entries);
    weir_mem_free(segment);
}

void weir_ledger_records_done(struct weir_ledger_segment *first)
{
    struct weir_ledger_segment *next = NULL;
    for (struct weir_ledger_segment *at = first; at != NULL; at = next) {
        next = at->next;
        segment_free(at);
    }
}

struct weir_ledger_segment *weir_ledger_records_take(struct weir_ledger *ledger)
{
    struct weir_ledger_segment *segment = ledger->unused;
    if (segment != NULL) {
        ledger->unused = segment->next;
        ledger->unused_count--;
        segment->next = NULL;
    } else {
        segment = weir_mem_zalloc(1, sizeof *segment);
    }
    uint32_t before = ledger->last == NULL ? 0 : ledger->last->capacity;
    if (segment != NULL) {
        segment->expected = before < UNUSED_RECORDS_MAX ? before : UNUSED_RECORDS_MAX;
    }
    return segment;
}

/* Slots that had words keep them, empty: who was owed something in the last segment will be in the
 * next, and a destination that is not any more is owed nothing there. */
void weir_ledger_records_give(struct weir_ledger *ledger, struct weir_ledger_segment *segment)
{
    uint32_t capacity = segment->capacity;
    if (ledger->unused_count == UNUSED_MAX || capacity == 0 || capacity > UNUSED_RECORDS_MAX) {
        segment_free(segment);
        return;
    }
    weir_ledger_names_give(segment->names);
    struct weir_ledger_segment empty = {
        .next = ledger->unused,
        .capacity = capacity,
        .entries = segment->entries,
        .unreleased_bits = segment->unreleased_bits,
    };
    memset(empty.unreleased_bits, 0, capacity / 64 * sizeof *empty.unreleased_bits);
    for (uint32_t slot = 0; slot < WEIR_LEDGER_SLOTS; slot++) {
        uint64_t *words = segment->slots[slot].words;
        if (words != NULL) {
            memset(words, 0, capacity / 32 * sizeof *words);
        }
        empty.slots[slot].words = words;
    }
    *segment = empty;
    ledger->unused = segment;
    ledger->unused_count++;
}

/* -- order of numbers ---------------------------------------------------------------------- */

uint32_t weir_ledger_records_below(const struct weir_ledger *ledger, uint64_t lsn)
{
    uint32_t low = 0;
    uint32_t high = ledger->by_lsn_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ledger->by_lsn[middle]->first_lsn <= lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low - 1; /* 0 - 1: none */
}

void weir_ledger_records_index(struct weir_ledger *ledger, struct weir_ledger_segment *segment)
{
    WEIR_ASSERT(ledger->by_lsn_count < ledger->by_lsn_capacity);
    uint32_t at = weir_ledger_records_below(ledger, segment->first_lsn) + 1;
    memmove(ledger->by_lsn + at + 1, ledger->by_lsn + at,
            (ledger->by_lsn_count - at) * sizeof(void *));
    ledger->by_lsn[at] = segment;
    ledger->by_lsn_count++;
}

uint32_t weir_ledger_records_from(const struct weir_ledger_segment *segment, uint64_t lsn)
{
    uint32_t low = 0;
    uint32_t high = segment->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (segment->first_lsn + segment->entries[middle].lsn_delta < lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool find_in(struct weir_ledger_segment *segment, uint64_t lsn,
                    struct weir_ledger_position *ret)
{
    uint32_t index = weir_ledger_records_from(segment, lsn);
    struct weir_ledger_position at = {segment, index};
    if (index == segment->count || weir_ledger_lsn_at(at) != lsn ||
        segment->entries[index].is_void) {
        return false;
    }
    *ret = at;
    return true;
}

bool weir_ledger_records_find(struct weir_ledger *ledger, uint64_t lsn,
                              struct weir_ledger_position *ret)
{
    if (ledger->hint != NULL && find_in(ledger->hint, lsn, ret)) {
        return true;
    }
    uint32_t at = weir_ledger_records_below(ledger, lsn);
    for (uint32_t tries = 0; at != UINT32_MAX && tries < WEIR_LEDGER_OVERLAP; at--, tries++) {
        if (find_in(ledger->by_lsn[at], lsn, ret)) {
            ledger->hint = ledger->by_lsn[at];
            return true;
        }
    }
    return false;
}

/* -- owed and live ------------------------------------------------------------------------- */

bool weir_ledger_records_is_owed(struct weir_ledger_position at, uint32_t slot)
{
    return at.segment->slots[slot].words != NULL &&
           (*owed_word(at.segment, slot, at.index) & bit_of(at.index)) != 0;
}

bool weir_ledger_records_is_live(struct weir_ledger_position at, uint32_t slot)
{
    return at.segment->slots[slot].words != NULL &&
           (*live_word(at.segment, slot, at.index) & bit_of(at.index)) != 0;
}

static bool is_before(struct weir_ledger_position a, struct weir_ledger_position b)
{
    return a.segment == b.segment ? a.index < b.index
                                  : a.segment->facts.number < b.segment->facts.number;
}

static void begin_waiting(struct weir_ledger *ledger, struct weir_ledger_position at, uint32_t slot)
{
    if (ledger->backlog_records[slot] == 0 || is_before(at, ledger->cursors[slot])) {
        ledger->cursors[slot] = at;
    }
    at.segment->slots[slot].waiting++;
    ledger->backlog_records[slot]++;
    ledger->backlog_bytes[slot] += extent_of(at);
}

static void end_waiting(struct weir_ledger *ledger, struct weir_ledger_position at, uint32_t slot)
{
    WEIR_ASSERT(at.segment->slots[slot].waiting > 0);
    WEIR_ASSERT(ledger->backlog_records[slot] > 0);
    WEIR_ASSERT(ledger->backlog_bytes[slot] >= extent_of(at));
    at.segment->slots[slot].waiting--;
    ledger->backlog_records[slot]--;
    ledger->backlog_bytes[slot] -= extent_of(at);
}

uint32_t weir_ledger_records_add(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                                 const struct weir_ledger_record *record, uint64_t live)
{
    WEIR_ASSERT(segment->count < segment->capacity);
    WEIR_ASSERT((live & ~record->owed) == 0);
    struct weir_ledger_position at = {segment, segment->count++};
    if (at.index == 0) {
        segment->first_lsn = record->lsn;
    }
    int64_t received_s = record->received_wall_ns / 1000000000;
    received_s = received_s < 0 ? 0 : received_s > INT32_MAX ? INT32_MAX : received_s;
    segment->entries[at.index] = (struct weir_ledger_entry){
        .lsn_delta = (uint32_t)(record->lsn - segment->first_lsn),
        .offset_64 = (uint32_t)(record->offset / WEIR_FRAME_RECORD_ALIGN),
        .extent_64 = (uint32_t)(record->extent / WEIR_FRAME_RECORD_ALIGN),
        .received_s = (uint32_t)received_s & INT32_MAX,
    };
    if (at.index == 0) {
        weir_ledger_records_index(ledger, segment);
    }
    for (uint64_t left = record->owed; left != 0; left &= left - 1) {
        uint32_t slot = (uint32_t)__builtin_ctzll(left);
        WEIR_ASSERT(segment->slots[slot].words != NULL);
        *owed_word(segment, slot, at.index) |= bit_of(at.index);
        if ((live >> slot & 1) != 0) {
            *live_word(segment, slot, at.index) |= bit_of(at.index);
        } else {
            begin_waiting(ledger, at, slot);
        }
    }
    if (record->owed != 0) {
        segment->unreleased_bits[at.index / 64] |= bit_of(at.index);
        segment->unreleased++;
        ledger->unreleased_records++;
        ledger->unreleased_bytes += extent_of(at);
    }
    ledger->lsn_max = record->lsn > ledger->lsn_max ? record->lsn : ledger->lsn_max;
    return at.index;
}

bool weir_ledger_records_settle(struct weir_ledger *ledger, struct weir_ledger_position at,
                                uint32_t slot)
{
    if (!weir_ledger_records_is_owed(at, slot)) {
        return false;
    }
    if (!weir_ledger_records_is_live(at, slot)) {
        end_waiting(ledger, at, slot);
    }
    uint64_t bit = bit_of(at.index);
    *owed_word(at.segment, slot, at.index) &= ~bit;
    *live_word(at.segment, slot, at.index) &= ~bit;
    for (uint32_t other = 0; other < WEIR_LEDGER_SLOTS; other++) {
        if (weir_ledger_records_is_owed(at, other)) {
            return true;
        }
    }
    at.segment->unreleased_bits[at.index / 64] &= ~bit;
    at.segment->unreleased--;
    ledger->unreleased_records--;
    ledger->unreleased_bytes -= extent_of(at);
    return true;
}

void weir_ledger_records_set_live(struct weir_ledger *ledger, struct weir_ledger_position at,
                                  uint32_t slot, bool live)
{
    if (!weir_ledger_records_is_owed(at, slot) || weir_ledger_records_is_live(at, slot) == live) {
        return;
    }
    *live_word(at.segment, slot, at.index) ^= bit_of(at.index);
    if (live) {
        end_waiting(ledger, at, slot);
    } else {
        begin_waiting(ledger, at, slot);
    }
}
