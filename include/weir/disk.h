/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DISK_H
#define WEIR_DISK_H

#include "weir/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/*
 * One directory and its files behind a table of calls, so that a test can tear, lose, reorder and
 * refuse what is written.
 *
 *   spool, dead letter ──weir_disk_read, _write, ...──► struct weir_disk_ops ──► the kernel
 *                        (short transfers continued,                       └──► tests: memory with
 *                         EINTR tried again)                                    crashes and faults
 *
 * The table is as thin as the system calls: every entry returns what its call returns, failures as
 * -errno, and may be interrupted or come up short. Names are file names below the directory, with
 * at most one '/' ("quarantine/0000000000000003"). A handle is a small number >= 0.
 *
 * Nothing here is durable before sync (a file's bytes) and sync_directory (names: made, renamed,
 * removed) have returned 0. After a failed sync nothing is known about what was written since the
 * last good one, and it must not be tried again on the same file.
 */
enum weir_disk_mode {
    WEIR_DISK_READ,   /* bypassing the page cache (O_DIRECT) where the file system can; offsets,
                         sizes and memory are then multiples of WEIR_DISK_BLOCK */
    WEIR_DISK_WRITE,  /* read and write, must exist */
    WEIR_DISK_DIRECT, /* as WRITE, bypassing the page cache like READ: for what nobody will
                         read soon */
    WEIR_DISK_CREATE, /* read and write, must not exist; mode 0600 */
    WEIR_DISK_APPEND  /* write at the end, made if absent; mode 0600 */
};

#define WEIR_DISK_BLOCK    ((size_t)4096)
#define WEIR_DISK_NAME_MAX 128

struct weir_disk_ops {
    int (*open)(void *self, const char *name, enum weir_disk_mode mode);
    int (*close)(void *self, int file);
    ssize_t (*pread)(void *self, int file, void *data, size_t size, uint64_t offset);
    ssize_t (*pwritev)(void *self, int file, const struct iovec *parts, int count, uint64_t offset);
    int (*sync)(void *self, int file);                    /* fdatasync(2) */
    int (*allocate)(void *self, int file, uint64_t size); /* posix_fallocate(3) from 0 */
    int (*truncate)(void *self, int file, uint64_t size);
    int64_t (*size)(void *self, int file);
    int (*rename)(void *self, const char *from, const char *to); /* replaces `to` */
    int (*remove)(void *self, const char *name);
    int (*make_directory)(void *self, const char *name); /* mode 0700 */
    int (*sync_directory)(void *self, const char *name); /* "": the directory itself */
    int (*list)(void *self, const char *name, void (*visit)(void *argument, const char *name),
                void *argument); /* "": the directory itself */
    int (*lock)(void *self);     /* flock(2) on the directory; -EWOULDBLOCK: somebody else has it */
    int64_t (*free_bytes)(void *self); /* of the file system, for us */
    void (*done)(void *self);
};

struct weir_disk {
    const struct weir_disk_ops *ops;
    void *self;
};

/* The real directory at `path`, made with mode 0700 where `make` and it is absent (its parents are
 * not). `path` itself may be a symbolic link (a service manager's state directory is one); below it
 * none is followed. Everything is opened relative to one descriptor, close-on-exec.
 * WEIR_ENOTFOUND, WEIR_EDENIED, WEIR_EIO (errno says more), WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_disk_open(const char *path, bool make, struct weir_disk *ret);

/* Closes it, the lock too. A zeroed struct is nothing. */
void weir_disk_close(struct weir_disk *disk);

/* Reads up to `size` bytes; less only at the file's end (*ret_size). WEIR_EIO, errno set.
 * tidy: allow parameters -- as pread(2), which it completes */
WEIR_MUST_USE enum weir_status weir_disk_read(const struct weir_disk *disk, int file, void *data,
                                              size_t size, uint64_t offset, size_t *ret_size);

/* Writes all parts one after another from `offset` (at the end of an APPEND file, where `offset` is
 * not looked at). `parts` is used up. WEIR_EFULL (ENOSPC, EDQUOT), WEIR_EIO; errno set, an unknown
 * part is written. */
WEIR_MUST_USE enum weir_status weir_disk_write(const struct weir_disk *disk, int file,
                                               struct iovec *parts, int count, uint64_t offset);

/* -errno to a status: ENOENT and ENOTDIR, EEXIST, EACCES/EPERM/EROFS, ENOSPC/EDQUOT, EWOULDBLOCK
 * (WEIR_EAGAIN), ENOMEM, else WEIR_EIO; sets errno. 0 and more is WEIR_OK. */
WEIR_MUST_USE enum weir_status weir_disk_status(int64_t result);

/* What kind of file system it is, when that kind keeps nothing through a power loss or does not
 * honour a flush ("tmpfs", "ramfs", "overlayfs", "nfs", "smb", "9p", "fuse"), else NULL. A real
 * directory only. */
const char *weir_disk_doubt(const struct weir_disk *disk);

#endif
