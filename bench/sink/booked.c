/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts: one entry of eight bytes for each number, in a mapping that is reserved whole and
 * filled by the kernel as numbers come.
 *
 *   entry[0] entry[1] ... entry[end - 1] | never touched ...        | limit
 *   { count, again, refused, lost }        zero by the kernel's word
 *
 *   I1  no entry from `end` on was ever written
 *   I2  count >= again; all four stay at 65,535 once there
 *   I3  lost is how many arrivals of the number had their answer lost and have not been repeated
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

struct entry {
    uint16_t count;
    uint16_t again;
    uint16_t refused;
    uint16_t lost;
};

struct weir_booked {
    struct entry *entries;
    uint64_t limit;
    uint64_t end; /* the highest number written to, and one */
    struct weir_booked_counts counts;
};

/* Where what is promised changes. */
struct edge {
    uint64_t at;
    int64_t named; /* ranges that begin (or end) here */
    int64_t accepted;
    int64_t unsure;
};

enum weir_status weir_booked_new(uint64_t limit, struct weir_booked **ret)
{
    size_t size;
    if (__builtin_mul_overflow(limit, sizeof(struct entry), &size) || size == 0) {
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
    booked->limit = limit;
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

static struct entry *entry_of(struct weir_booked *booked, uint64_t number)
{
    if (number >= booked->limit) {
        return NULL;
    }
    booked->end = number >= booked->end ? number + 1 : booked->end;
    return &booked->entries[number];
}

uint32_t weir_booked_add(struct weir_booked *booked, uint64_t number, bool answer_is_lost)
{
    struct entry *entry = entry_of(booked, number);
    booked->counts.points++;
    if (entry == NULL) {
        booked->counts.wrong++;
        return 0;
    }
    booked->counts.distinct += entry->count == 0 ? 1 : 0;
    count_up(&entry->count);
    if (entry->lost > 0) {
        entry->lost--;
        count_up(&entry->again);
        booked->counts.repeated++;
    }
    if (answer_is_lost) {
        count_up(&entry->lost);
    }
    return entry->count;
}

void weir_booked_lose(struct weir_booked *booked, uint64_t number, uint32_t ordinal)
{
    struct entry *entry = entry_of(booked, number);
    if (entry == NULL || ordinal == 0) {
        return;
    }
    if (entry->count > ordinal) {
        count_up(&entry->again);
        booked->counts.repeated++;
    } else {
        count_up(&entry->lost);
    }
}

void weir_booked_refuse(struct weir_booked *booked, uint64_t number)
{
    struct entry *entry = entry_of(booked, number);
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

/* One number that was promised `edge`. */
static void judge(struct weir_booked_verdict *verdict, struct entry entry, const struct edge *edge,
                  uint64_t number)
{
    uint64_t accepted = (uint64_t)edge->accepted;
    uint64_t at_most = accepted + (uint64_t)edge->unsure + entry.again;
    uint64_t first_hand = (uint64_t)entry.count - entry.again; /* I2 */
    if (first_hand < accepted && first_hand + entry.refused >= accepted) {
        verdict->refused++;
        return;
    }
    bool is_missing = first_hand < accepted;
    bool is_duplicated = entry.count > at_most;
    verdict->missing += is_missing ? 1 : 0;
    verdict->duplicated += is_duplicated ? 1 : 0;
    if (is_missing || is_duplicated) {
        give_example(verdict, number);
    }
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

/* The numbers [first, end), all promised `edge`; with no range over them anything that came was
 * not promised. */
static void judge_piece(const struct weir_booked *booked, const struct edge *edge, uint64_t first,
                        uint64_t end, struct weir_booked_verdict *verdict)
{
    uint64_t came_end = end < booked->end ? end : booked->end;
    uint64_t number = first;
    for (; number < came_end; number++) {
        struct entry entry = booked->entries[number];
        if (edge->named > 0) {
            judge(verdict, entry, edge, number);
        } else if (entry.count > 0) {
            verdict->unpromised += entry.count;
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
    judge_piece(booked, &now, now.at, now.at > booked->end ? now.at : booked->end, &verdict);
    weir_mem_free(edges);
    *ret = verdict;
    return WEIR_OK;
}
