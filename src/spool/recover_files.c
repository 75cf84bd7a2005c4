/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files of the directory are segments.
 *
 *   <number>.segment ── header reads, number is the name's ──────────────► a segment
 *        │   ├ another version ───────────────────► set-aside/  ◄─ taken back by who reads it
 *        │   ├ zeros, too short, or the header of an earlier life, and the release log knows of no
 *        │   │  record in it ─────────────────────► removed: it was made and never written
 *        │   └ garbage ───────────────────────────► quarantine/, whole; what the log says
 *        │                                          it held is lost
 *   <number>.spare, all in quarantine/, set-aside/ ──► their numbers are taken
 *
 *   I1  no file stops the start; only the directory itself does
 *   I2  a number that any name here begins with is not used again
 *
 * A name is made durable before its header is: so a file with another's header, or with none, is
 * what a crash leaves, and no damage. Runs once, before any thread.
 */
#include "recover_internal.h"
#include "weir/log.h"
#include "weir/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 16 };

enum verdict { GOOD, OTHER_VERSION, UNUSED, GARBAGE };

/* -- names ---------------------------------------------------------------------------------- */

/* The number that a name begins with; 0 when it begins with none. */
static uint64_t number_of(const char *name)
{
    uint64_t number = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        char digit = name[i];
        if (digit >= '0' && digit <= '9') {
            number = number << 4 | (uint64_t)(digit - '0');
        } else if (digit >= 'a' && digit <= 'f') {
            number = number << 4 | (uint64_t)(digit - 'a' + 10);
        } else {
            return 0;
        }
    }
    return number;
}

static enum weir_status add_segment(struct weir_recovery *recovery, uint64_t number)
{
    WEIR_TRY(weir_recover_grow((void **)&recovery->segments, recovery->segment_count,
                               &recovery->segment_capacity, sizeof(struct weir_found_segment)));
    recovery->segments[recovery->segment_count++] = (struct weir_found_segment){.number = number};
    return WEIR_OK;
}

static void visit_number(void *argument, const char *name)
{
    struct weir_recovery *recovery = argument;
    uint64_t number = number_of(name);
    if (number > recovery->number_max && number < UINT64_MAX / 2) {
        recovery->number_max = number;
    }
}

static void visit_segment(void *argument, const char *name)
{
    struct weir_recovery *recovery = argument;
    visit_number(argument, name);
    if (number_of(name) != 0 && strcmp(name + DIGITS, ".segment") == 0 &&
        add_segment(recovery, number_of(name)) != WEIR_OK) {
        recovery->failed = true;
    }
}

static int by_number(const void *a, const void *b)
{
    const struct weir_found_segment *left = a;
    const struct weir_found_segment *right = b;
    return (left->number > right->number) - (left->number < right->number);
}

/* -- headers -------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *data, size_t size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

static enum verdict judge(const uint8_t *bytes, size_t size, struct weir_found_segment *segment,
                          struct weir_frame_segment *header)
{
    if (size < WEIR_FRAME_SEGMENT_HEADER || is_zero(bytes, size)) {
        return UNUSED;
    }
    enum weir_status status = weir_frame_segment_read(weir_bytes_of(bytes, size), header);
    if (status != WEIR_OK) {
        return status == WEIR_EUNSUPPORTED ? OTHER_VERSION : GARBAGE;
    }
    if (header->number != segment->number) {
        return UNUSED;
    }
    segment->version = header->version;
    segment->salt = header->salt;
    segment->size_new = header->size;
    return GOOD;
}

static enum weir_status read_head(const struct weir_disk *disk, const char *path, uint8_t *bytes,
                                  uint64_t *ret_size, size_t *ret_got)
{
    int file = disk->ops->open(disk->self, path, WEIR_DISK_READ);
    if (file < 0) {
        return WEIR_EIO;
    }
    int64_t size = disk->ops->size(disk->self, file);
    enum weir_status status =
        size < 0 ? WEIR_EIO
                 : weir_disk_read(disk, file, bytes, WEIR_FRAME_SEGMENT_HEADER, 0, ret_got);
    disk->ops->close(disk->self, file);
    *ret_size = size < 0 ? 0 : (uint64_t)size - (uint64_t)size % WEIR_DISK_BLOCK;
    return status == WEIR_OK ? WEIR_OK : WEIR_EIO;
}

/* Reads the header of a file at `path`. An error may pass, and must not cost a whole segment: so it
 * is tried again. What cannot be read then is damage. Without memory nothing is known: `failed`. */
static enum verdict examine(struct weir_recovery *recovery, const char *path,
                            struct weir_found_segment *segment, struct weir_frame_segment *header)
{
    enum verdict verdict = GARBAGE;
    uint8_t *bytes = weir_mem_aligned(WEIR_DISK_BLOCK, WEIR_FRAME_SEGMENT_HEADER);
    if (bytes == NULL) {
        recovery->failed = true;
        return GOOD;
    }
    for (int i = 0; i < WEIR_RECOVER_TRIES; i++) {
        size_t got = 0;
        if (read_head(&recovery->spool->disk, path, bytes, &segment->size, &got) == WEIR_OK) {
            verdict = judge(bytes, got, segment, header);
            break;
        }
    }
    weir_mem_free(bytes);
    return verdict;
}

static void set_aside(struct weir_recovery *recovery, const char *name)
{
    weir_log(WEIR_LOG_WARN, "a segment of another version is set aside",
             WEIR_LOG_STR("file", name));
    weir_quarantine_move(recovery->spool, name, SPOOL_NAME_SET_ASIDE);
    recovery->report->segments_set_aside++;
}

/* What becomes of one file; true when it stays in the account. */
static bool sort_out(struct weir_recovery *recovery, struct weir_found_segment *segment)
{
    const struct weir_disk *disk = &recovery->spool->disk;
    struct weir_frame_segment header;
    char name[WEIR_DISK_NAME_MAX];
    weir_spool_segment_name(segment->number, NULL, name);
    enum verdict verdict = examine(recovery, name, segment, &header);
    bool known = weir_recover_span(recovery, segment->number) != NULL;
    if (verdict == GOOD) {
        return true;
    }
    if (verdict == OTHER_VERSION) {
        set_aside(recovery, name);
        return false;
    }
    if (verdict == UNUSED && !known) {
        if (disk->ops->remove(disk->self, name) < 0) {
            weir_log(WEIR_LOG_WARN, "an unused segment could not be removed",
                     WEIR_LOG_STR("file", name));
        }
        return false;
    }
    weir_log(WEIR_LOG_ERROR, "a segment is unreadable, and moved to quarantine/",
             WEIR_LOG_STR("file", name));
    weir_quarantine_move(recovery->spool, name, SPOOL_NAME_QUARANTINE);
    segment->unreadable = true;
    return known;
}

/* -- set-aside/ ----------------------------------------------------------------------------- */

/* A file in set-aside/: back, where this release reads it. */
static bool take_back(struct weir_recovery *recovery, uint64_t number)
{
    const struct weir_disk *disk = &recovery->spool->disk;
    struct weir_found_segment segment = {.number = number};
    struct weir_frame_segment header;
    char from[WEIR_DISK_NAME_MAX];
    char to[WEIR_DISK_NAME_MAX];
    weir_spool_segment_name(number, SPOOL_NAME_SET_ASIDE, from);
    weir_spool_segment_name(number, NULL, to);
    return examine(recovery, from, &segment, &header) == GOOD && !recovery->failed &&
           disk->ops->rename(disk->self, from, to) == 0 &&
           disk->ops->sync_directory(disk->self, "") == 0;
}

static void look_set_aside(struct weir_recovery *recovery)
{
    const struct weir_disk *disk = &recovery->spool->disk;
    struct weir_recovery there = {.spool = recovery->spool};
    if (disk->ops->list(disk->self, SPOOL_NAME_SET_ASIDE, visit_segment, &there) >= 0) {
        for (size_t i = 0; i < there.segment_count; i++) {
            if (!take_back(recovery, there.segments[i].number)) {
                recovery->report->segments_set_aside++;
            }
        }
    }
    if (there.number_max > recovery->number_max) {
        recovery->number_max = there.number_max;
    }
    weir_mem_free(there.segments);
    /* Not there at all is the usual case. */
    (void)disk->ops->list(disk->self, SPOOL_NAME_QUARANTINE, visit_number, recovery);
}

enum weir_status weir_recover_files(struct weir_recovery *recovery)
{
    const struct weir_disk *disk = &recovery->spool->disk;
    look_set_aside(recovery);
    WEIR_TRY(weir_disk_status(disk->ops->list(disk->self, "", visit_segment, recovery)));
    if (recovery->failed) {
        return WEIR_ENOMEM;
    }
    if (recovery->segment_count > 0) {
        qsort(recovery->segments, recovery->segment_count, sizeof *recovery->segments, by_number);
    }
    size_t kept = 0;
    for (size_t i = 0; i < recovery->segment_count; i++) {
        struct weir_found_segment segment = recovery->segments[i];
        if (sort_out(recovery, &segment)) {
            recovery->segments[kept++] = segment;
        }
    }
    recovery->segment_count = kept;
    return recovery->failed ? WEIR_ENOMEM : WEIR_OK;
}
