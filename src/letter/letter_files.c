/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dead letter's files: stock, the current one, the oldest one.
 *
 *   items   [ oldest | .. | .. | current ]      by name at a start; then as they were begun, so a
 *             evict ▲            ▲ append, sync     clock that steps back changes no order
 *
 *   (none) ──begin──► open ──append──► open, unsynced ──sync──► open
 *                      │ end(whole)        │ append or sync failed
 *                      ▼                   ▼ end(not whole): cut back to what is synced, or
 *                     (none)              (none)               removed where that is nothing
 *
 * After a failed write or sync nobody knows what of the file's unsynced end is on the disk; the
 * lines are written again elsewhere, so what may be there of them is cut off. That cut is a help
 * against lines that stand twice; if it fails too, a replay's ids do the same.
 *
 *   I1  bytes = the sum of items[].bytes
 *   I2  current >= 0 implies that items[count - 1] is it
 *   I3  only names that this file has made are counted or removed: what else lies in the
 *       directory is somebody's
 *
 * The letterbox's thread, or whoever steps it.
 */
#include "letterbox_internal.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PREFIX "weir-dead-letter-"
#define SUFFIX ".ndjson"
enum { TRIES = 1000 };

static bool is_ours(const char *name)
{
    size_t size = strlen(name);
    return size > sizeof PREFIX + sizeof SUFFIX &&
           size < sizeof((struct weir_letter_file *)0)->name &&
           strncmp(name, PREFIX, sizeof PREFIX - 1) == 0 &&
           strcmp(name + size - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

static bool add_item(struct weir_letter_files *files, const char *name)
{
    if (files->count == files->capacity) {
        uint32_t capacity = files->capacity == 0 ? 16 : files->capacity * 2;
        void *grown = weir_mem_resize(files->items, capacity, sizeof *files->items);
        if (grown == NULL) {
            return false;
        }
        files->items = grown;
        files->capacity = capacity;
    }
    struct weir_letter_file *item = &files->items[files->count++];
    *item = (struct weir_letter_file){.bytes = 0};
    memcpy(item->name, name, strlen(name) + 1);
    return true;
}

struct listing {
    struct weir_letter_files found;
    bool out_of_memory;
};

static void visit(void *argument, const char *name)
{
    struct listing *listing = argument;
    if (is_ours(name) && !add_item(&listing->found, name)) {
        listing->out_of_memory = true;
    }
}

static int by_name(const void *a, const void *b)
{
    const struct weir_letter_file *one = a;
    const struct weir_letter_file *two = b;
    return strcmp(one->name, two->name);
}

/* A file's size; 0 when it is gone by now. */
static enum weir_status measure(const struct weir_disk *disk, struct weir_letter_file *item)
{
    int file = disk->ops->open(disk->self, item->name, WEIR_DISK_READ);
    if (file < 0) {
        enum weir_status status = weir_disk_status(file);
        return status == WEIR_ENOTFOUND ? WEIR_OK : status;
    }
    int64_t size = disk->ops->size(disk->self, file);
    (void)disk->ops->close(disk->self, file);
    WEIR_TRY(weir_disk_status(size));
    item->bytes = (uint64_t)size;
    return WEIR_OK;
}

static enum weir_status list(const struct weir_disk *disk, struct listing *listing)
{
    int listed = disk->ops->list(disk->self, "", visit, listing);
    WEIR_TRY(weir_disk_status(listed));
    if (listing->out_of_memory) {
        return WEIR_ENOMEM;
    }
    for (uint32_t i = 0; i < listing->found.count; i++) {
        struct weir_letter_file *item = &listing->found.items[i];
        WEIR_TRY(measure(disk, item));
        listing->found.bytes += item->bytes;
    }
    return WEIR_OK;
}

/* The current file is the last one, whatever its name, and gone when its name is. */
static void place_current(struct weir_letter_files *found, const char *current)
{
    for (uint32_t i = 0; i < found->count; i++) {
        if (strcmp(found->items[i].name, current) == 0) {
            struct weir_letter_file item = found->items[i];
            memmove(&found->items[i], &found->items[i + 1],
                    (found->count - i - 1) * sizeof *found->items);
            found->items[found->count - 1] = item;
            return;
        }
    }
}

static bool holds_last(const struct weir_letter_files *found, const char *name)
{
    return found->count > 0 && strcmp(found->items[found->count - 1].name, name) == 0;
}

enum weir_status weir_letter_files_stock(struct weir_letter_files *files)
{
    struct listing listing = {.out_of_memory = false};
    enum weir_status status = list(files->disk, &listing);
    struct weir_letter_files *found = &listing.found;
    if (status != WEIR_OK) {
        weir_mem_free(found->items);
        return status;
    }
    if (found->count > 1) {
        qsort(found->items, found->count, sizeof *found->items, by_name);
    }
    if (files->current >= 0) {
        const char *name = files->items[files->count - 1].name;
        place_current(found, name);
        if (!holds_last(found, name)) { /* somebody took it away: what comes goes elsewhere */
            (void)files->disk->ops->close(files->disk->self, files->current);
            files->current = -1;
        }
    }
    weir_mem_free(files->items);
    files->items = found->items;
    files->count = found->count;
    files->capacity = found->capacity;
    files->bytes = found->bytes;
    return WEIR_OK;
}

static void make_name(char *name, size_t size, int64_t wall_ns, uint32_t number)
{
    time_t seconds = (time_t)(wall_ns / WEIR_NS_PER_S);
    struct tm utc = {0};
    (void)gmtime_r(&seconds, &utc);
    char stamp[32];
    size_t written = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H-%M-%SZ", &utc);
    WEIR_ASSERT(written > 0);
    (void)snprintf(name, size, PREFIX "%s-%04u" SUFFIX, stamp, (unsigned)(number % 10000));
}

enum weir_status weir_letter_files_begin(struct weir_letter_files *files, int64_t wall_ns)
{
    char name[sizeof files->items->name];
    int file = -1;
    enum weir_status status = WEIR_EEXIST;
    WEIR_ASSERT(files->current < 0);
    for (unsigned i = 0; i < TRIES && status == WEIR_EEXIST; i++) {
        make_name(name, sizeof name, wall_ns, ++files->number);
        file = files->disk->ops->open(files->disk->self, name, WEIR_DISK_CREATE);
        status = weir_disk_status(file);
    }
    if (status != WEIR_OK) {
        return status == WEIR_EFULL ? WEIR_EFULL : WEIR_EIO;
    }
    if (!add_item(files, name)) {
        (void)files->disk->ops->close(files->disk->self, file);
        (void)files->disk->ops->remove(files->disk->self, name);
        return WEIR_EIO;
    }
    files->current = file;
    files->synced = 0;
    files->name_durable = false;
    return WEIR_OK;
}

enum weir_status weir_letter_files_append(struct weir_letter_files *files, struct weir_bytes bytes)
{
    WEIR_ASSERT(files->current >= 0);
    struct weir_letter_file *item = &files->items[files->count - 1];
    struct iovec part = {.iov_base = NULL, .iov_len = bytes.size};
    memcpy(&part.iov_base, &bytes.data, sizeof part.iov_base); /* it is only read */
    WEIR_TRY(weir_disk_write(files->disk, files->current, &part, 1, item->bytes));
    item->bytes += bytes.size;
    files->bytes += bytes.size;
    return WEIR_OK;
}

enum weir_status weir_letter_files_sync(struct weir_letter_files *files)
{
    const struct weir_disk *disk = files->disk;
    WEIR_ASSERT(files->current >= 0);
    WEIR_TRY(weir_disk_status(disk->ops->sync(disk->self, files->current)));
    if (!files->name_durable) {
        WEIR_TRY(weir_disk_status(disk->ops->sync_directory(disk->self, "")));
        files->name_durable = true;
    }
    files->synced = files->items[files->count - 1].bytes;
    return WEIR_OK;
}

void weir_letter_files_end(struct weir_letter_files *files, bool whole)
{
    const struct weir_disk *disk = files->disk;
    if (files->current < 0) {
        return;
    }
    struct weir_letter_file *item = &files->items[files->count - 1];
    uint64_t kept = whole ? item->bytes : files->synced;
    if (!whole) {
        int cut = disk->ops->truncate(disk->self, files->current, kept);
        kept = cut < 0 ? item->bytes : kept;
    }
    (void)disk->ops->close(disk->self, files->current);
    files->current = -1;
    files->bytes -= item->bytes - kept;
    item->bytes = kept;
    if (kept == 0) {
        (void)disk->ops->remove(disk->self, item->name);
        files->count--;
    }
}

uint64_t weir_letter_files_evict(struct weir_letter_files *files)
{
    WEIR_ASSERT(files->count > (files->current >= 0 ? 1U : 0U));
    struct weir_letter_file gone = files->items[0];
    int removed = files->disk->ops->remove(files->disk->self, gone.name);
    (void)removed; /* one that cannot be removed is found again by the next stock */
    memmove(&files->items[0], &files->items[1], (files->count - 1) * sizeof gone);
    files->count--;
    files->bytes -= gone.bytes;
    return gone.bytes;
}
