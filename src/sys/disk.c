/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/disk.h"
#include "weir/panic.h"
#include <errno.h>
#include <limits.h>

/*
 * What every user of the table needs: transfers that are completed, and errno in our words. The
 * kernel's own directory is disk_directory.c.
 *
 * A transfer goes on after EINTR and after a short count as long as bytes move; IDLE_MAX calls in a
 * row without a byte are an error, so that nothing here can spin.
 */
enum { IDLE_MAX = 100, PARTS_MAX = 1024 /* IOV_MAX, where it is a constant */ };

void weir_disk_close(struct weir_disk *disk)
{
    if (disk == NULL || disk->ops == NULL) {
        return;
    }
    disk->ops->done(disk->self);
    *disk = (struct weir_disk){NULL, NULL};
}

enum weir_status weir_disk_status(int64_t result)
{
    if (result >= 0) {
        return WEIR_OK;
    }
    WEIR_ASSERT(result >= -4095); /* as far as the kernel's numbers go */
    errno = (int)-result;
    switch (errno) {
    case ENOENT:
    case ENOTDIR: return WEIR_ENOTFOUND;
    case EEXIST: return WEIR_EEXIST;
    case EACCES:
    case EPERM:
    case EROFS: return WEIR_EDENIED;
    case ENOSPC:
    case EDQUOT: return WEIR_EFULL;
    case EWOULDBLOCK: return WEIR_EAGAIN;
    case ENOMEM: return WEIR_ENOMEM;
    default: return WEIR_EIO;
    }
}

/* Transfers know two failures only: no room, and all else. */
static enum weir_status transfer_status(int64_t error)
{
    return weir_disk_status(error) == WEIR_EFULL ? WEIR_EFULL : WEIR_EIO;
}

/* Whether a transfer that moved nothing may be tried again. EAGAIN is not among it: nothing here is
 * non-blocking, so that is a driver's failure. */
static bool may_go_on(ssize_t result, int *idle)
{
    return (result == -EINTR || result == 0) && ++*idle < IDLE_MAX;
}

/* A short count ends the file or does not; the file's size tells. Reading on after the end would
 * do too, but not bypassing the cache: the offset is no multiple of the block there. */
static enum weir_status look_for_end(const struct weir_disk *disk, int file, uint64_t offset,
                                     bool *ret_end)
{
    int64_t size = disk->ops->size(disk->self, file);
    *ret_end = size >= 0 && offset >= (uint64_t)size;
    return size >= 0 ? WEIR_OK : transfer_status((ssize_t)size);
}

/* tidy: allow parameters -- as pread(2), which it completes */
enum weir_status weir_disk_read(const struct weir_disk *disk, int file, void *data, size_t size,
                                uint64_t offset, size_t *ret_size)
{
    uint8_t *memory = data;
    size_t done = 0;
    int idle = 0;
    bool end = false;
    while (done < size && !end) {
        ssize_t got = disk->ops->pread(disk->self, file, memory + done, size - done, offset + done);
        if (got > 0) {
            WEIR_ASSERT((size_t)got <= size - done);
            done += (size_t)got;
            idle = 0;
        } else if (got == 0) {
            break;
        } else if (!may_go_on(got, &idle)) {
            return transfer_status(got);
        }
        if (got > 0 && done < size) {
            WEIR_TRY(look_for_end(disk, file, offset + done, &end));
        }
    }
    *ret_size = done;
    return WEIR_OK;
}

/* Drops `written` bytes from the front of the parts, and empty parts after them. */
static void use_up(struct iovec **parts, int *count, size_t written)
{
    while (*count > 0 && written >= (*parts)->iov_len) {
        written -= (*parts)->iov_len;
        ++*parts;
        --*count;
    }
    WEIR_ASSERT(written == 0 || *count > 0);
    if (written > 0) {
        (*parts)->iov_base = (uint8_t *)(*parts)->iov_base + written;
        (*parts)->iov_len -= written;
    }
}

enum weir_status weir_disk_write(const struct weir_disk *disk, int file, struct iovec *parts,
                                 int count, uint64_t offset)
{
    int idle = 0;
    use_up(&parts, &count, 0);
    while (count > 0) {
        int some = count < PARTS_MAX ? count : PARTS_MAX;
        ssize_t written = disk->ops->pwritev(disk->self, file, parts, some, offset);
        if (written > 0) {
            offset += (uint64_t)written;
            use_up(&parts, &count, (size_t)written);
            idle = 0;
        } else if (!may_go_on(written, &idle)) {
            return transfer_status(written == 0 ? -EIO : written);
        }
    }
    return WEIR_OK;
}
