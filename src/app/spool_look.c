/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a spool without changing it.
 *
 *   segment  header ─► record ─► record ─► #### ─► record     every 64th byte is looked at where
 *                                          └ found again ┘    no record is
 *   notes    DONE [lsn, last] name ─► sorted by name and lsn, with the furthest end so far:
 *
 *            name a: [1..4 | 4] [2..3 | 4] [9..9 | 9]        is 3 done? the last one that begins
 *                                                            at or before 3 knows: 4 >= 3, yes
 *
 * Notes come in the order they were written, snapshots included, and say the same thing more than
 * once; that costs memory here and nothing else. DURABLE, SEGMENT, DONE and LOST notes each prove
 * that a number was durable.
 *
 *   I1  nothing of a record is believed before weir_frame_record_read has checked its header
 *   I2  `offset` moves forward with each call, by 64 at least
 *
 * Main thread; no lock is taken, so what is live may be a moment further on than what is shown.
 */
#include "spool_look.h"
#include "weir/mem.h"
#include "weir/notes.h"
#include <stdlib.h>

enum { EPOCH_SHIFT = 40, NAME_MAX_BYTES = 64 };

/* Segments. */

enum weir_status weir_look_open(struct weir_bytes bytes, struct weir_look_segment *ret)
{
    struct weir_look_segment segment = {
        .bytes = bytes, .offset = WEIR_FRAME_SEGMENT_HEADER, .expected = WEIR_FRAME_SEGMENT_HEADER};
    WEIR_TRY(weir_frame_segment_read(bytes, &segment.header));
    *ret = segment;
    return WEIR_OK;
}

static bool record_at(const struct weir_look_segment *segment, uint64_t offset,
                      struct weir_look_record *ret, size_t *ret_header)
{
    struct weir_bytes rest = weir_bytes_from(segment->bytes, (size_t)offset);
    struct weir_frame_record *record = &ret->record;
    return weir_frame_record_read(&segment->header, rest, record, ret_header) == WEIR_OK &&
           record->lsn != 0 && record->payload_size <= rest.size - *ret_header;
}

static uint64_t align(uint64_t value, uint64_t step)
{
    return value + (step - value % step) % step;
}

bool weir_look_next(struct weir_look_segment *segment, bool check, struct weir_look_record *ret)
{
    size_t header = 0;
    struct weir_look_record found = {.expected = segment->expected};
    while (segment->offset < segment->bytes.size &&
           !record_at(segment, segment->offset, &found, &header)) {
        segment->offset += WEIR_FRAME_RECORD_ALIGN;
    }
    if (segment->offset >= segment->bytes.size) {
        return false;
    }
    const struct weir_frame_record *record = &found.record;
    found.offset = segment->offset;
    found.payload =
        weir_bytes_of(segment->bytes.data + found.offset + header, (size_t)record->payload_size);
    found.whole = !check || weir_frame_payload_is_whole(&segment->header, record, found.payload);
    segment->offset += weir_frame_record_extent(header, record->payload_size);
    if (record->commit_index + 1 == record->commit_count) {
        segment->offset = align(segment->offset, WEIR_FRAME_COMMIT_ALIGN);
    }
    segment->expected = segment->offset;
    *ret = found;
    return true;
}

/* The release log. */

struct done {
    size_t name;
    uint64_t first, last;
    uint64_t reach; /* the furthest `last` of its name up to here */
};

struct span {
    uint64_t segment, first, last;
};

struct weir_look_notes {
    char (*names)[NAME_MAX_BYTES + 1]; /* destinations come and go: there may be many */
    size_t name_count, name_capacity;
    struct done *done;
    size_t done_count, done_capacity;
    struct span *spans;
    size_t span_count, span_capacity;
    uint64_t *durable; /* the highest of each epoch, any order */
    size_t durable_count, durable_capacity;
    bool failed; /* no memory */
};

static bool grow(struct weir_look_notes *notes, void **array, size_t count, size_t *capacity,
                 size_t size)
{
    if (count < *capacity) {
        return true;
    }
    size_t more = *capacity == 0 ? 256 : *capacity * 2;
    void *grown = weir_mem_resize(*array, more, size);
    if (grown == NULL) {
        notes->failed = true;
        return false;
    }
    *array = grown;
    *capacity = more;
    return true;
}

/* A name's number; name_count: it is new. */
static size_t find_name(const struct weir_look_notes *notes, struct weir_bytes name)
{
    size_t i = 0;
    while (i < notes->name_count && !weir_bytes_eq(weir_bytes_str(notes->names[i]), name)) {
        i++;
    }
    return i;
}

static void add_done(struct weir_look_notes *notes, const struct weir_note *note)
{
    size_t name = find_name(notes, note->name);
    if (note->name.size > NAME_MAX_BYTES ||
        !grow(notes, (void **)&notes->names, notes->name_count, &notes->name_capacity,
              sizeof *notes->names) ||
        !grow(notes, (void **)&notes->done, notes->done_count, &notes->done_capacity,
              sizeof *notes->done)) {
        return;
    }
    if (name == notes->name_count) {
        memset(notes->names[name], 0, sizeof notes->names[name]);
        if (note->name.size > 0) {
            memcpy(notes->names[name], note->name.data, note->name.size);
        }
        notes->name_count++;
    }
    uint64_t last = note->last == 0 ? note->lsn : note->last;
    notes->done[notes->done_count++] = (struct done){name, note->lsn, last, 0};
}

void weir_look_prove(struct weir_look_notes *notes, uint64_t lsn)
{
    if (lsn == 0) {
        return;
    }
    for (size_t i = 0; i < notes->durable_count; i++) {
        if (notes->durable[i] >> EPOCH_SHIFT == lsn >> EPOCH_SHIFT) {
            notes->durable[i] = lsn > notes->durable[i] ? lsn : notes->durable[i];
            return;
        }
    }
    if (grow(notes, (void **)&notes->durable, notes->durable_count, &notes->durable_capacity,
             sizeof *notes->durable)) {
        notes->durable[notes->durable_count++] = lsn;
    }
}

static void add_span(struct weir_look_notes *notes, const struct weir_note *note)
{
    if (grow(notes, (void **)&notes->spans, notes->span_count, &notes->span_capacity,
             sizeof *notes->spans)) {
        notes->spans[notes->span_count++] = (struct span){note->segment, note->first, note->lsn};
    }
}

static void visit(void *argument, const struct weir_note *note)
{
    struct weir_look_notes *notes = argument;
    if (note->kind == WEIR_NOTE_DONE) {
        add_done(notes, note);
    } else if (note->kind == WEIR_NOTE_SEGMENT) {
        add_span(notes, note);
    }
    if (note->kind != WEIR_NOTE_ID) {
        weir_look_prove(notes, note->last > note->lsn ? note->last : note->lsn);
    }
}

static int by_name_and_first(const void *a, const void *b)
{
    const struct done *one = a;
    const struct done *two = b;
    if (one->name != two->name) {
        return one->name < two->name ? -1 : 1;
    }
    return one->first < two->first ? -1 : one->first > two->first ? 1 : 0;
}

static void sort_done(struct weir_look_notes *notes)
{
    if (notes->done_count > 0) {
        qsort(notes->done, notes->done_count, sizeof *notes->done, by_name_and_first);
    }
    for (size_t i = 0; i < notes->done_count; i++) {
        struct done *done = &notes->done[i];
        bool follows = i > 0 && notes->done[i - 1].name == done->name;
        uint64_t reach = follows ? notes->done[i - 1].reach : 0;
        done->reach = done->last > reach ? done->last : reach;
    }
}

enum weir_status weir_look_notes_read(const struct weir_disk *disk, struct weir_look_notes **ret)
{
    struct weir_look_notes *notes = weir_mem_zalloc(1, sizeof *notes);
    if (notes == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_notes_reader reader = {.visit = visit, .argument = notes};
    enum weir_status status = weir_notes_scan(disk, &reader);
    status = status == WEIR_ENOTFOUND ? WEIR_OK : status;
    status = status == WEIR_OK && notes->failed ? WEIR_ENOMEM : status;
    if (status != WEIR_OK) {
        weir_look_notes_free(notes);
        return status;
    }
    sort_done(notes);
    *ret = notes;
    return WEIR_OK;
}

void weir_look_notes_free(struct weir_look_notes *notes)
{
    if (notes != NULL) {
        weir_mem_free(notes->names);
        weir_mem_free(notes->done);
        weir_mem_free(notes->spans);
        weir_mem_free(notes->durable);
        weir_mem_free(notes);
    }
}

bool weir_look_is_done(const struct weir_look_notes *notes, struct weir_bytes name, uint64_t lsn)
{
    size_t wanted = find_name(notes, name);
    if (wanted == notes->name_count) {
        return false;
    }
    size_t low = 0;
    size_t high = notes->done_count; /* the first one behind (name, lsn) */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct done *done = &notes->done[middle];
        bool before = done->name < wanted || (done->name == wanted && done->first <= lsn);
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return low > 0 && notes->done[low - 1].name == wanted && notes->done[low - 1].reach >= lsn;
}

uint64_t weir_look_durable(const struct weir_look_notes *notes, uint64_t epoch)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < notes->durable_count; i++) {
        if (notes->durable[i] >> EPOCH_SHIFT == epoch) {
            highest = notes->durable[i];
        }
    }
    return highest;
}

void weir_look_span(const struct weir_look_notes *notes, uint64_t segment, uint64_t *ret_first,
                    uint64_t *ret_last)
{
    *ret_first = 0;
    *ret_last = 0;
    for (size_t i = 0; i < notes->span_count; i++) {
        if (notes->spans[i].segment == segment) {
            *ret_first = notes->spans[i].first;
            *ret_last = notes->spans[i].last;
        }
    }
}
