/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts: one entry of eight bytes for each slot, in a mapping that is reserved whole and
 * filled by the kernel as slots come. Where points come in parts, the entries of one point are the
 * eight of a cache line.
 *
 *   entry[0] entry[1] ... entry[end - 1] | never touched ...        | limit
 *   { count, again, refused, lost }        zero by the kernel's word
 *
 *   I1  no entry from `end` on was ever written
 *   I2  count >= again; all four stay at 65,535 once there
 *   I3  lost is how many arrivals of the slot had their answer lost and have not been repeated
 *   I4  counts are of whole points: with parts, what the least of a point's parts has had; refused
 *       is what the most of them has had
 *
 * The verdict cuts the ranges at their ends into pieces in which all numbers were promised the
 * same, and walks the entries of each piece up to `end`; what lies beyond is computed, so that a
 * range of a billion numbers that never came costs nothing.
 *
 *   ranges    [------- a -------)
 *                    [----- b -------)          pieces:  none | a | a + b | b | none
 *
 * One thread at a time (the caller's lock). Deliberately keeps no times and no order: which batch a
 * point came with is nobody's question here.
 */
#include "sink/booked.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { PART_BITS = 3 };
_Static_assert(1 << PART_BITS == WEIR_BOOKED_PARTS, "a slot has room for a number and a part");

struct entry {
    uint16_t count;
    uint16_t again;
    uint16_t refused;
    uint16_t lost;
};

struct weir_booked {
    struct entry *entries;
    struct weir_booked_parts parts; /* `of` NULL: points come whole */
    unsigned shift;                 /* of a number to its first slot */
    uint64_t limit;                 /* in slots, as `end` */
    uint64_t end;                   /* the highest slot written to, and one */
    struct weir_booked_counts counts;
};

/* Where what is promised changes. */
struct edge {
    uint64_t at;
    int64_t named; /* ranges that begin (or end) here */
    int64_t accepted;
    int64_t unsure;
};

enum weir_status weir_booked_new(uint64_t limit, const struct weir_booked_parts *parts,
                                 struct weir_booked **ret)
{
    const unsigned shift = parts == NULL ? 0 : PART_BITS;
    size_t size;
    if (__builtin_mul_overflow(limit, sizeof(struct entry) << shift, &size) || size == 0) {
        return WEIR_ENOMEM;
    }
    struct weir_booked *booked = weir_mem_zalloc(1, sizeof *booked);
    if (booked == NULL) {
        return WEIR_ENOMEM;
    }
    void *entries = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (entries == MAP_FAILED) {
        weir_mem_free(booked);
        return WEIR_ENOMEM;
    }
    booked->entries = entries;
    booked->limit = limit << shift;
    booked->shift = shift;
    booked->parts = parts == NULL ? (struct weir_booked_parts){NULL, NULL} : *parts;
    *ret = booked;
    return WEIR_OK;
}

void weir_booked_free(struct weir_booked *booked)
{
    if (booked == NULL) {
        return;
    }
    (void)munmap(booked->entries, (size_t)(booked->limit * sizeof(struct entry)));
    weir_mem_free(booked);
}

static void count_up(uint16_t *counter)
{
    *counter = *counter == UINT16_MAX ? UINT16_MAX : (uint16_t)(*counter + 1);
}

static struct entry *entry_of(struct weir_booked *booked, uint64_t slot)
{
    if (slot >= booked->limit) {
        return NULL;
    }
    booked->end = slot >= booked->end ? slot + 1 : booked->end;
    return &booked->entries[slot];
}

static unsigned parts_of(const struct weir_booked *booked, uint64_t number)
{
    unsigned parts =
        booked->parts.of == NULL ? 1 : booked->parts.of(booked->parts.argument, number);
    WEIR_ASSERT(parts != 0 && parts < 1U << WEIR_BOOKED_PARTS);
    return parts;
}

/* What the whole point has had that `slot` is of: of its parts the least, refused the most. */
static struct entry whole_of(const struct weir_booked *booked, uint64_t slot)
{
    const struct entry *entries = &booked->entries[slot & ~(uint64_t)(WEIR_BOOKED_PARTS - 1)];
    struct entry whole = {.count = UINT16_MAX, .again = UINT16_MAX};
    unsigned parts = parts_of(booked, slot >> booked->shift);
    for (unsigned i = 0; i < WEIR_BOOKED_PARTS; i++) {
        if ((parts & 1U << i) != 0) {
            whole.count = entries[i].count < whole.count ? entries[i].count : whole.count;
            whole.again = entries[i].again < whole.again ? entries[i].again : whole.again;
            whole.refused = entries[i].refused > whole.refused ? entries[i].refused : whole.refused;
        }
    }
    return whole;
}

/* Changes an entry and nothing else; whether the arrival is a repetition. */
static bool arrive(struct entry *entry, bool answer_is_lost)
{
    bool is_repeated = entry->lost > 0;
    count_up(&entry->count);
    if (is_repeated) {
        entry->lost--;
        count_up(&entry->again);
    }
    if (answer_is_lost) {
        count_up(&entry->lost);
    }
    return is_repeated;
}

/* The same; whether an arrival that has come already has become a repetition. */
static bool lose(struct entry *entry, uint32_t ordinal)
{
    bool is_repeated = entry->count > ordinal;
    count_up(is_repeated ? &entry->again : &entry->lost);
    return is_repeated;
}

/* The counts, after a part of `slot`'s point has changed. */
static void count_whole(struct weir_booked *booked, uint64_t slot, struct entry before)
{
    struct entry now = whole_of(booked, slot);
    booked->counts.points += (uint64_t)(now.count - before.count);
    booked->counts.distinct += before.count == 0 && now.count > 0 ? 1 : 0;
    booked->counts.repeated += (uint64_t)(now.again - before.again);
    booked->counts.refused += (uint64_t)(now.refused - before.refused);
}

uint32_t weir_booked_add(struct weir_booked *booked, uint64_t slot, bool answer_is_lost)
{
    struct entry *entry = entry_of(booked, slot);
    if (entry == NULL) {
        booked->counts.points++;
        booked->counts.wrong++;
        return 0;
    }
    if (booked->parts.of != NULL) {
        struct entry before = whole_of(booked, slot);
        (void)arrive(entry, answer_is_lost);
        count_whole(booked, slot, before);
        return entry->count;
    }
    booked->counts.points++;
    booked->counts.distinct += entry->count == 0 ? 1 : 0;
    booked->counts.repeated += arrive(entry, answer_is_lost) ? 1 : 0;
    return entry->count;
}

void weir_booked_lose(struct weir_booked *booked, uint64_t slot, uint32_t ordinal)
{
    struct entry *entry = entry_of(booked, slot);
    if (entry == NULL || ordinal == 0) {
        return;
    }
    if (booked->parts.of != NULL) {
        struct entry before = whole_of(booked, slot);
        (void)lose(entry, ordinal);
        count_whole(booked, slot, before);
        return;
    }
    booked->counts.repeated += lose(entry, ordinal) ? 1 : 0;
}

void weir_booked_refuse(struct weir_booked *booked, uint64_t slot)
{
    struct entry *entry = entry_of(booked, slot);
    if (entry != NULL && booked->parts.of != NULL) {
        struct entry before = whole_of(booked, slot);
        count_up(&entry->refused);
        count_whole(booked, slot, before);
        return;
    }
    booked->counts.refused++;
    if (entry != NULL) {
        count_up(&entry->refused);
    }
}

struct weir_booked_counts weir_booked_counts(const struct weir_booked *booked)
{
    return booked->counts;
}

/* -- the verdict ------------------------------------------------------------------------------- */

static int compare_edges(const void *left, const void *right)
{
    const struct edge *a = left;
    const struct edge *b = right;
    return a->at < b->at ? -1 : a->at > b->at;
}

static enum weir_status edges_of(const struct weir_booked_range *ranges, size_t count,
                                 struct edge *edges)
{
    for (size_t i = 0; i < count; i++) {
        const struct weir_booked_range *range = &ranges[i];
        uint64_t end;
        if (__builtin_add_overflow(range->first, range->count, &end)) {
            return WEIR_EINVAL;
        }
        edges[2 * i] = (struct edge){range->first, 1, range->accepted, range->unsure};
        edges[2 * i + 1] =
            (struct edge){end, -1, -(int64_t)range->accepted, -(int64_t)range->unsure};
    }
    qsort(edges, 2 * count, sizeof *edges, compare_edges);
    return WEIR_OK;
}

static void give_example(struct weir_booked_verdict *verdict, uint64_t number)
{
    if (verdict->examples < WEIR_BOOKED_EXAMPLES_MAX) {
        verdict->example[verdict->examples++] = number;
    }
}

enum { MISSING = 1, REFUSED = 2, DUPLICATED = 4 };

/* What is to be said of one entry that was promised `edge`. */
static unsigned judge_entry(struct entry entry, const struct edge *edge)
{
    uint64_t accepted = (uint64_t)edge->accepted;
    uint64_t at_most = accepted + (uint64_t)edge->unsure + entry.again;
    uint64_t first_hand = (uint64_t)entry.count - entry.again; /* I2 */
    if (first_hand < accepted) {
        return first_hand + entry.refused >= accepted ? REFUSED : MISSING;
    }
    return entry.count > at_most ? DUPLICATED : 0;
}

/* One number that was promised `edge`: what is true of any of its parts, but one that is missing
 * was not only refused. */
static void judge(const struct weir_booked *booked, uint64_t number, const struct edge *edge,
                  struct weir_booked_verdict *verdict)
{
    const struct entry *entries = &booked->entries[number << booked->shift];
    unsigned parts = parts_of(booked, number);
    unsigned found = 0;
    for (unsigned i = 0; parts >> i != 0; i++) {
        found |= (parts & 1U << i) != 0 ? judge_entry(entries[i], edge) : 0;
    }
    verdict->missing += (found & MISSING) != 0 ? 1 : 0;
    verdict->refused += (found & (MISSING | REFUSED)) == REFUSED ? 1 : 0;
    verdict->duplicated += (found & DUPLICATED) != 0 ? 1 : 0;
    if ((found & (MISSING | DUPLICATED)) != 0) {
        give_example(verdict, number);
    }
}

/* How often a number came that nobody promised: as the part of it that came most. */
static uint16_t came(const struct weir_booked *booked, uint64_t number)
{
    const struct entry *entries = &booked->entries[number << booked->shift];
    uint16_t most = 0;
    for (unsigned i = 0; i < 1U << booked->shift; i++) {
        most = entries[i].count > most ? entries[i].count : most;
    }
    return most;
}

static uint64_t add_capped(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t multiply_capped(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* The number after the last that has an entry which was written to. */
static uint64_t end_of(const struct weir_booked *booked)
{
    return (booked->end >> booked->shift) +
           ((booked->end & ((UINT64_C(1) << booked->shift) - 1)) != 0 ? 1 : 0);
}

/* The numbers [first, end), all promised `edge`; with no range over them anything that came was
 * not promised. */
static void judge_piece(const struct weir_booked *booked, const struct edge *edge, uint64_t first,
                        uint64_t end, struct weir_booked_verdict *verdict)
{
    uint64_t came_end = end_of(booked);
    came_end = end < came_end ? end : came_end;
    uint64_t number = first;
    for (; number < came_end; number++) {
        if (edge->named > 0) {
            judge(booked, number, edge, verdict);
        } else if (came(booked, number) > 0) {
            verdict->unpromised += came(booked, number);
            give_example(verdict, number);
        }
    }
    if (edge->named == 0) {
        return;
    }
    verdict->expected =
        add_capped(verdict->expected, multiply_capped(end - first, (uint64_t)edge->accepted));
    if (edge->accepted > 0 && number < end) {
        verdict->missing = add_capped(verdict->missing, end - number);
        for (uint64_t i = number; i < end && verdict->examples < WEIR_BOOKED_EXAMPLES_MAX; i++) {
            give_example(verdict, i);
        }
    }
}

enum weir_status weir_booked_verdict(const struct weir_booked *booked,
                                     const struct weir_booked_range *ranges, size_t count,
                                     struct weir_booked_verdict *ret)
{
    struct edge *edges = weir_mem_zalloc(2 * count + 1, sizeof *edges);
    if (edges == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = edges_of(ranges, count, edges);
    if (status != WEIR_OK) {
        weir_mem_free(edges);
        return status;
    }
    struct weir_booked_verdict verdict = {.repeated = booked->counts.repeated,
                                          .wrong = booked->counts.wrong};
    struct edge now = {0, 0, 0, 0};
    for (size_t i = 0; i < 2 * count; i++) {
        judge_piece(booked, &now, now.at, edges[i].at, &verdict);
        now = (struct edge){edges[i].at, now.named + edges[i].named,
                            now.accepted + edges[i].accepted, now.unsure + edges[i].unsure};
    }
    WEIR_ASSERT(now.named == 0);
    judge_piece(booked, &now, now.at, now.at > end_of(booked) ? now.at : end_of(booked), &verdict);
    weir_mem_free(edges);
    *ret = verdict;
    return WEIR_OK;
}
