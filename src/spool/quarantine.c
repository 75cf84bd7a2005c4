/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is damaged is kept for people to look at, within bounds, and never stops anything.
 *
 *   quarantine/0000000000000003-00000000000a4000   bytes of a segment, from that offset on
 *   quarantine/0000000000000004.segment            a file that is no segment at all
 *   set-aside/0000000000000005.segment             of another version: for a release that knows it
 *
 *   I1  what is in quarantine/ takes at most an eighth of the spool's limit, and 1 GiB; what does
 *       not fit is dropped, and the log says so
 *   I2  a copy that fails is logged, and the start goes on
 *
 * Bytes are copied with reads past the page cache: after a failed write the cache lies. Copies are
 * synced, with their folder, so that what the log names is there.
 */
#include "spool_internal.h"
#include "weir/log.h"
#include "weir/mem.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PIECE_BYTES    ((size_t)256 << 10)
#define RANGE_MAX      ((uint64_t)64 << 20)
#define QUARANTINE_MAX ((uint64_t)1 << 30)
#define LIMIT_PART     8

static uint64_t size_of_file(const struct weir_disk *disk, const char *name)
{
    int file = disk->ops->open(disk->self, name, WEIR_DISK_READ);
    if (file < 0) {
        return 0;
    }
    int64_t size = disk->ops->size(disk->self, file);
    disk->ops->close(disk->self, file);
    return size > 0 ? (uint64_t)size : 0;
}

struct census {
    const struct weir_disk *disk;
    uint64_t bytes;
};

static void visit(void *argument, const char *name)
{
    struct census *census = argument;
    char path[WEIR_DISK_NAME_MAX];
    int size = snprintf(path, sizeof path, "%s/%s", SPOOL_NAME_QUARANTINE, name);
    if (size > 0 && (size_t)size < sizeof path) {
        census->bytes += size_of_file(census->disk, path);
    }
}

/* Takes `size` of the room in quarantine/ (I1). */
static bool reserve(struct weir_spool *spool, uint64_t size)
{
    uint64_t most = spool->limit / LIMIT_PART;
    most = most > QUARANTINE_MAX ? QUARANTINE_MAX : most;
    bool fits = false;
    spool_lock(&spool->files_lock);
    if (spool->quarantine_bytes == UINT64_MAX) {
        struct census census = {&spool->disk, 0};
        int listed = spool->disk.ops->list(spool->disk.self, SPOOL_NAME_QUARANTINE, visit, &census);
        spool->quarantine_bytes = listed < 0 ? 0 : census.bytes; /* not there yet */
    }
    if (spool->quarantine_bytes <= most && size <= most - spool->quarantine_bytes) {
        spool->quarantine_bytes += size;
        fits = true;
    }
    spool_unlock(&spool->files_lock);
    return fits;
}

static bool make_folder(const struct weir_disk *disk, const char *folder)
{
    int made = disk->ops->make_directory(disk->self, folder);
    if (made == 0) {
        made = disk->ops->sync_directory(disk->self, "");
    }
    return made == 0 || made == -EEXIST;
}

/* Copies [offset, offset + size), both multiples of 4 KiB, from one open file to the begin of
 * another. What cannot be read is left as zeros. */
static enum weir_status copy(const struct weir_disk *disk, const int files[2], uint64_t offset,
                             uint64_t size)
{
    uint8_t *piece = weir_mem_aligned(WEIR_DISK_BLOCK, PIECE_BYTES);
    if (piece == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = WEIR_OK;
    for (uint64_t done = 0; status == WEIR_OK && done < size;) {
        size_t wanted = size - done < PIECE_BYTES ? (size_t)(size - done) : PIECE_BYTES;
        size_t got = 0;
        enum weir_status readable =
            weir_disk_read(disk, files[0], piece, wanted, offset + done, &got);
        if (readable == WEIR_OK && got > 0) {
            struct iovec part = {piece, got};
            status = weir_disk_write(disk, files[1], &part, 1, done);
        }
        done += wanted;
    }
    weir_mem_free(piece);
    if (status == WEIR_OK) {
        status = weir_disk_status(disk->ops->sync(disk->self, files[1]));
    }
    return status;
}

static enum weir_status copy_range(const struct weir_disk *disk, uint64_t segment, uint64_t offset,
                                   uint64_t size)
{
    char from[WEIR_DISK_NAME_MAX];
    char to[WEIR_DISK_NAME_MAX];
    weir_spool_segment_name(segment, NULL, from);
    int named = snprintf(to, sizeof to, "%s/%016llx-%016llx", SPOOL_NAME_QUARANTINE,
                         (unsigned long long)segment, (unsigned long long)offset);
    WEIR_ASSERT(named > 0);
    WEIR_ASSERT((size_t)named < sizeof to);
    int files[2] = {disk->ops->open(disk->self, from, WEIR_DISK_READ), -1};
    if (files[0] < 0) {
        return weir_disk_status(files[0]);
    }
    files[1] = disk->ops->open(disk->self, to, WEIR_DISK_CREATE);
    enum weir_status status = files[1] < 0 ? weir_disk_status(files[1]) : WEIR_OK;
    if (status == WEIR_OK) {
        status = copy(disk, files, offset, size);
        disk->ops->close(disk->self, files[1]);
    }
    disk->ops->close(disk->self, files[0]);
    if (status == WEIR_OK) {
        status = weir_disk_status(disk->ops->sync_directory(disk->self, SPOOL_NAME_QUARANTINE));
    }
    return status;
}

void weir_quarantine_range(struct weir_spool *spool, uint64_t segment, uint64_t offset,
                           uint64_t size)
{
    uint64_t begin = offset - offset % WEIR_DISK_BLOCK;
    uint64_t end = offset + size + (WEIR_DISK_BLOCK - 1);
    end -= end % WEIR_DISK_BLOCK;
    uint64_t whole = end - begin;
    whole = whole > RANGE_MAX ? RANGE_MAX : whole;
    enum weir_status status = WEIR_EFULL;
    if (make_folder(&spool->disk, SPOOL_NAME_QUARANTINE) && reserve(spool, whole)) {
        status = copy_range(&spool->disk, segment, begin, whole);
    }
    if (status != WEIR_OK && status != WEIR_EEXIST) {
        weir_log(WEIR_LOG_WARN, "damaged bytes were not copied to quarantine/",
                 WEIR_LOG_HEX("segment", segment), WEIR_LOG_INT("offset", offset),
                 WEIR_LOG_INT("bytes", size), WEIR_LOG_STR("error", weir_status_text(status)));
    }
}

void weir_quarantine_move(struct weir_spool *spool, const char *name, const char *folder)
{
    const struct weir_disk *disk = &spool->disk;
    bool bounded = strcmp(folder, SPOOL_NAME_QUARANTINE) == 0;
    char to[WEIR_DISK_NAME_MAX];
    int named = snprintf(to, sizeof to, "%s/%s", folder, name);
    int moved = -ENAMETOOLONG;
    if (bounded && !reserve(spool, size_of_file(disk, name))) {
        weir_log(WEIR_LOG_WARN, "quarantine/ is full: an unreadable file is dropped",
                 WEIR_LOG_STR("file", name));
        moved = disk->ops->remove(disk->self, name);
    } else if (named > 0 && (size_t)named < sizeof to && make_folder(disk, folder)) {
        moved = disk->ops->rename(disk->self, name, to);
        if (moved == 0) {
            moved = disk->ops->sync_directory(disk->self, folder);
        }
    }
    if (moved < 0) {
        weir_log(WEIR_LOG_WARN, "a file could not be moved", WEIR_LOG_STR("file", name),
                 WEIR_LOG_STR("folder", folder), WEIR_LOG_INT("errno", -moved));
    }
}
