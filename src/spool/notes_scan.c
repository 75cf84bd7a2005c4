/* SPDX-License-Identifier: Apache-2.0 */
/* The release log for a reader who changes nothing: of the files, the one that weir_notes_open
 * would take, which is the newest whose header and first frame check. Between listing and reading a
 * live spool may have begun the next one and removed this one; then it is listed once more. */
#include "notes_internal.h"
#include "weir/mem.h"
#include <stdio.h>
#include <stdlib.h>

enum { NAME_SIZE = 22 /* notes. and 16 digits */, TRIES = 5 };
#define FILE_BYTES_MAX ((int64_t)8 << 30)

struct newest {
    uint64_t below; /* only numbers under this one */
    uint64_t number;
    bool any;
};

static void visit_name(void *argument, const char *name)
{
    struct newest *newest = argument;
    char *end = NULL;
    if (strlen(name) != NAME_SIZE || strncmp(name, "notes.", 6) != 0) {
        return;
    }
    uint64_t number = strtoull(name + 6, &end, 16);
    if (*end == 0 && number < newest->below && (!newest->any || number > newest->number)) {
        newest->number = number;
        newest->any = true;
    }
}

static enum weir_status read_whole(const struct weir_disk *disk, uint64_t number,
                                   uint8_t **ret_memory, size_t *ret_size)
{
    char name[WEIR_DISK_NAME_MAX];
    (void)snprintf(name, sizeof name, "notes.%016llx", (unsigned long long)number);
    int file = disk->ops->open(disk->self, name, WEIR_DISK_READ);
    WEIR_TRY(weir_disk_status(file));
    int64_t size = disk->ops->size(disk->self, file);
    enum weir_status status = size < 0 || size > FILE_BYTES_MAX ? WEIR_EIO : WEIR_OK;
    size_t room = status == WEIR_OK ? ((size_t)size / WEIR_DISK_BLOCK + 1) * WEIR_DISK_BLOCK : 0;
    uint8_t *memory = status == WEIR_OK ? weir_mem_aligned(WEIR_DISK_BLOCK, room) : NULL;
    if (status == WEIR_OK) {
        status =
            memory == NULL ? WEIR_ENOMEM : weir_disk_read(disk, file, memory, room, 0, ret_size);
    }
    (void)disk->ops->close(disk->self, file);
    if (status != WEIR_OK) {
        weir_mem_free(memory);
        return status;
    }
    *ret_memory = memory;
    return WEIR_OK;
}

/* Visits the notes of a file that can be the log; WEIR_ENOTFOUND: it cannot. */
static enum weir_status visit_file(uint64_t number, struct weir_bytes bytes,
                                   struct weir_notes_reader *reader)
{
    struct weir_notes_header header;
    struct weir_bytes frame;
    enum weir_status status = weir_notes_header_read(bytes, &header);
    if (status != WEIR_OK || header.number != number) {
        reader->unreadable += status == WEIR_EUNSUPPORTED ? 1 : 0;
        return WEIR_ENOTFOUND;
    }
    struct weir_bytes left = weir_bytes_from(bytes, WEIR_NOTES_HEADER);
    if (weir_notes_frame_read(header.salt, &left, &frame) != WEIR_OK) {
        return WEIR_ENOTFOUND;
    }
    do {
        weir_notes_each(frame, reader->visit, reader->argument);
    } while (weir_notes_frame_read(header.salt, &left, &frame) == WEIR_OK);
    reader->torn_bytes = left.size;
    return WEIR_OK;
}

/* The newest first. WEIR_EAGAIN: one went while it was looked at. */
static enum weir_status scan_once(const struct weir_disk *disk, struct weir_notes_reader *reader)
{
    struct newest newest = {.below = UINT64_MAX};
    for (;;) {
        uint8_t *memory = NULL;
        size_t size = 0;
        newest.any = false;
        WEIR_TRY(weir_disk_status(disk->ops->list(disk->self, "", visit_name, &newest)));
        if (!newest.any) {
            return WEIR_ENOTFOUND;
        }
        enum weir_status status = read_whole(disk, newest.number, &memory, &size);
        if (status != WEIR_OK) {
            return status == WEIR_ENOTFOUND ? WEIR_EAGAIN : status;
        }
        status = visit_file(newest.number, weir_bytes_of(memory, size), reader);
        weir_mem_free(memory);
        if (status != WEIR_ENOTFOUND) {
            return status;
        }
        newest.below = newest.number;
    }
}

enum weir_status weir_notes_scan(const struct weir_disk *disk, struct weir_notes_reader *reader)
{
    enum weir_status status = WEIR_EAGAIN;
    for (int i = 0; i < TRIES && status == WEIR_EAGAIN; i++) {
        reader->torn_bytes = 0;
        reader->unreadable = 0;
        status = scan_once(disk, reader);
    }
    return status == WEIR_EAGAIN ? WEIR_EIO : status;
}
