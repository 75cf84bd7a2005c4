/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was acknowledged and is not there.
 *
 *   proven        of an epoch: the highest number that a record or a note says was durable
 *   a segment     should hold [first, last]: from its SEGMENT note; where that is missing, from its
 *                 first record (less its place in its commit) or the segment before it, to the
 *                 segment behind it, or to what is proven
 *   missing       first..last, not above proven, in no segment, and not noted as lost before
 *
 *     [ header ][ 7 ][ 8 ][ ##### ][ 11 ][ #### pad ]     first 7, last 12: 9, 10, 12 missing
 *                         └ range ┘      └ range ┘        ranges go to quarantine/
 *
 *   I1  a number missing because its segment was released is not lost: released segments have no
 *       file, so nothing is expected of them
 *   I2  what nothing proves was never acknowledged for sure: it is torn, not lost
 *   I3  each number is counted once, over all starts (LOST notes)
 *
 * Not told from a release: a whole file that somebody removed. Runs once, before any thread.
 */
#include "recover_internal.h"
#include "weir/log.h"
#include "weir/mem.h"
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static uint64_t epoch_of(uint64_t lsn)
{
    return lsn >> SPOOL_EPOCH_SHIFT;
}

/* -- expectations --------------------------------------------------------------------------- */

/* The lowest number that a segment's own records speak of; 0: none. */
static uint64_t lowest(const struct weir_recovery *recovery,
                       const struct weir_found_segment *segment)
{
    if (segment->begin == segment->end) {
        return 0;
    }
    const struct weir_found *found = &recovery->found[segment->begin];
    uint64_t counter = found->lsn & ((UINT64_C(1) << SPOOL_EPOCH_SHIFT) - 1);
    return found->commit_index < counter ? found->lsn - found->commit_index : found->lsn;
}

static void expect_first(struct weir_recovery *recovery, size_t index)
{
    struct weir_found_segment *segment = &recovery->segments[index];
    const struct weir_span_of_segment *span = weir_recover_span(recovery, segment->number);
    if (span != NULL) {
        segment->first = span->first;
        return;
    }
    segment->first = lowest(recovery, segment);
    if (segment->first == 0) {
        return;
    }
    /* Nothing was noted yet, so neither was a release of the one before it. */
    const struct weir_found_segment *before = index > 0 ? segment - 1 : NULL;
    bool follows = before != NULL && before->end > before->begin &&
                   epoch_of(before->first) == epoch_of(segment->first);
    if (follows) {
        uint64_t next = recovery->found[before->end - 1].lsn + 1;
        segment->first = next < segment->first ? next : segment->first;
    } else if (before == NULL || before->number + 1 == segment->number) {
        uint64_t base = (epoch_of(segment->first) << SPOOL_EPOCH_SHIFT) | 1;
        segment->first = before == NULL || epoch_of(before->first) != epoch_of(segment->first)
                             ? base
                             : segment->first;
    }
}

static void expect_last(struct weir_recovery *recovery, size_t index)
{
    struct weir_found_segment *segment = &recovery->segments[index];
    const struct weir_span_of_segment *span = weir_recover_span(recovery, segment->number);
    if (segment->first == 0) {
        return;
    }
    uint64_t proven = weir_recover_proven(recovery, epoch_of(segment->first) << SPOOL_EPOCH_SHIFT);
    segment->last = proven;
    if (span != NULL && span->last != 0) {
        segment->last = span->last;
        return;
    }
    for (size_t i = index + 1; i < recovery->segment_count; i++) {
        const struct weir_found_segment *next = &recovery->segments[i];
        if (next->first != 0 && epoch_of(next->first) == epoch_of(segment->first)) {
            segment->last = next->first - 1 < proven ? next->first - 1 : proven;
            break;
        }
    }
}

/* -- what is missing ------------------------------------------------------------------------ */

static bool has(const uint64_t *sorted, size_t count, uint64_t lsn)
{
    return count > 0 && bsearch(&lsn, sorted, count, sizeof lsn, by_value) != NULL;
}

/* Counts the missing ones of [first, last] and remembers them. */
static enum weir_status miss(struct weir_recovery *recovery, uint64_t first, uint64_t last,
                             uint64_t *ret_count)
{
    uint64_t count = 0;
    for (uint64_t lsn = first; lsn != 0 && lsn <= last; lsn++) {
        if (has(recovery->kept, recovery->kept_count, lsn) ||
            has(recovery->lost, recovery->lost_before, lsn)) {
            continue;
        }
        WEIR_TRY(weir_recover_grow((void **)&recovery->lost, recovery->lost_count,
                                   &recovery->lost_capacity, sizeof(uint64_t)));
        recovery->lost[recovery->lost_count++] = lsn;
        count++;
    }
    *ret_count = count;
    return WEIR_OK;
}

/* A stretch of a segment between two records, or at its ends, and the numbers that belong there. */
struct stretch {
    uint64_t begin, end;
    uint64_t first, last;
};

static enum weir_status look_at(struct weir_recovery *recovery,
                                const struct weir_found_segment *segment,
                                const struct stretch *stretch)
{
    uint64_t missing = 0;
    uint64_t most = stretch->first + segment->size / WEIR_FRAME_RECORD_ALIGN;
    WEIR_TRY(miss(recovery, stretch->first, stretch->last < most ? stretch->last : most, &missing));
    if (missing == 0) {
        return WEIR_OK;
    }
    uint64_t bytes = stretch->end > stretch->begin ? stretch->end - stretch->begin : 0;
    recovery->report->lost_records += missing;
    recovery->report->lost_bytes += bytes;
    weir_log(WEIR_LOG_ERROR, "acknowledged records are damaged on disk",
             WEIR_LOG_HEX("segment", segment->number), WEIR_LOG_INT("offset", stretch->begin),
             WEIR_LOG_INT("bytes", bytes), WEIR_LOG_INT("records", missing),
             WEIR_LOG_HEX("first_sequence_number", stretch->first),
             WEIR_LOG_STR("copy", "quarantine/"));
    if (!segment->unreadable && bytes > 0) {
        weir_quarantine_range(recovery->spool, segment->number, stretch->begin, bytes);
    }
    return WEIR_OK;
}

static enum weir_status look_through(struct weir_recovery *recovery,
                                     const struct weir_found_segment *segment)
{
    struct stretch stretch = {WEIR_FRAME_SEGMENT_HEADER, 0, segment->first, 0};
    if (segment->first == 0) {
        return WEIR_OK;
    }
    for (size_t i = segment->begin; i < segment->end; i++) {
        const struct weir_found *found = &recovery->found[i];
        if (found->torn) {
            continue;
        }
        stretch.end = found->offset;
        stretch.last = found->lsn - 1 < segment->last ? found->lsn - 1 : segment->last;
        WEIR_TRY(look_at(recovery, segment, &stretch));
        stretch.begin = weir_recover_behind(found);
        stretch.first = found->lsn + 1;
    }
    stretch.end = segment->size;
    stretch.last = segment->last;
    return look_at(recovery, segment, &stretch);
}

/* I2: what a crash left of commits that nobody was told of. */
static void count_torn(struct weir_recovery *recovery, const struct weir_found_segment *segment)
{
    struct weir_spool_report *report = recovery->report;
    for (size_t i = segment->begin; i < segment->end; i++) {
        const struct weir_found *found = &recovery->found[i];
        uint64_t epoch = epoch_of(found->lsn) << SPOOL_EPOCH_SHIFT;
        uint64_t proven = weir_recover_proven(recovery, epoch);
        if (found->torn) {
            report->torn_records++;
            report->torn_bytes += found->extent;
        }
        bool last = i + 1 == segment->end;
        uint64_t next = last ? found->lsn - found->commit_index + found->commit_count
                             : recovery->found[i + 1].lsn;
        if (found->lsn >= proven && next > found->lsn + 1 &&
            next - found->lsn <= found->commit_count) {
            report->torn_records += next - found->lsn - 1;
        }
    }
}

static void sort(uint64_t *numbers, size_t count)
{
    if (count > 0) {
        qsort(numbers, count, sizeof *numbers, by_value);
    }
}

bool weir_recover_is_lost(const struct weir_recovery *recovery, uint64_t lsn)
{
    size_t before = recovery->lost_before;
    return has(recovery->lost, before, lsn) ||
           (recovery->lost_count > before &&
            has(recovery->lost + before, recovery->lost_count - before, lsn));
}

enum weir_status weir_recover_losses(struct weir_recovery *recovery)
{
    sort(recovery->lost, recovery->lost_count);
    recovery->lost_before = recovery->lost_count;
    recovery->kept = weir_mem_alloc((recovery->found_count + 1) * sizeof(uint64_t));
    if (recovery->kept == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < recovery->found_count; i++) {
        if (!recovery->found[i].torn) {
            recovery->kept[recovery->kept_count++] = recovery->found[i].lsn;
        }
    }
    sort(recovery->kept, recovery->kept_count);
    for (size_t i = 0; i < recovery->segment_count; i++) {
        expect_first(recovery, i);
    }
    for (size_t i = 0; i < recovery->segment_count; i++) {
        expect_last(recovery, i);
        count_torn(recovery, &recovery->segments[i]);
        WEIR_TRY(look_through(recovery, &recovery->segments[i]));
    }
    if (recovery->lost_count > recovery->lost_before) {
        sort(recovery->lost + recovery->lost_before, recovery->lost_count - recovery->lost_before);
    }
    return WEIR_OK;
}
