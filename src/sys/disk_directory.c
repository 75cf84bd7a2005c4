/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real directory behind struct weir_disk_ops: one descriptor, and everything opened relative to
 * it.
 *
 *   weir_disk_open ─► fd of the directory ──openat──► file
 *                        │ flock                 └──► folder below it ──openat──► file
 *                        └ fsync: its names
 *
 *   I1  no call follows a symbolic link below the directory: names of two parts are walked part by
 *       part, each with O_NOFOLLOW (the path of the directory itself is the operator's, and may be
 *       one: systemd's StateDirectory of a DynamicUser is)
 *   I2  no name leaves the directory: two parts at most, none of them "." or ".."
 *   I3  all descriptors are close-on-exec, all files 0600, all folders 0700, whatever the umask
 *       would have allowed beyond that
 *
 * Threads: the table keeps nothing but the descriptor, so every call may come from any thread;
 * what two threads do to one file is theirs to order.
 *
 * Failures are handed up as -errno, nothing is tried again here: a short transfer or EINTR is
 * completed by weir_disk_read and weir_disk_write, and a failed sync must not be tried again at
 * all. What this does not do: keep a list of open files, cache names, or create parents.
 */
#include "weir/disk.h"
#include "weir/mem.h"
#include "weir/pulse.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

struct directory {
    int fd;
};

static int result_of(int returned)
{
    return returned < 0 ? -errno : returned;
}

static bool part_is_good(const char *part, size_t size)
{
    bool is_dots = (size == 1 || size == 2) && memcmp(part, "..", size) == 0;
    return size > 0 && size <= WEIR_DISK_NAME_MAX && !is_dots;
}

/* One or two parts, none of them "." or "..". */
static bool name_is_good(const char *name)
{
    const char *slash = strchr(name, '/');
    if (slash == NULL) {
        return part_is_good(name, strlen(name));
    }
    const char *leaf = slash + 1;
    return part_is_good(name, (size_t)(slash - name)) && part_is_good(leaf, strlen(leaf)) &&
           strchr(leaf, '/') == NULL;
}

/* Where a name stands: the directory and the name within it. */
struct place {
    int folder;
    bool owned; /* the descriptor is this place's to close */
    const char *leaf;
};

static int find_place(const struct directory *directory, const char *name, struct place *ret)
{
    if (!name_is_good(name)) {
        return -EINVAL;
    }
    const char *slash = strchr(name, '/');
    if (slash == NULL) {
        *ret = (struct place){directory->fd, false, name};
        return 0;
    }
    char folder[WEIR_DISK_NAME_MAX + 1];
    size_t size = (size_t)(slash - name);
    memcpy(folder, name, size);
    folder[size] = '\0';
    int fd = openat(directory->fd, folder, FOLDER_FLAGS | O_NOFOLLOW);
    if (fd < 0) {
        return -errno;
    }
    *ret = (struct place){fd, true, slash + 1};
    return 0;
}

static void leave_place(const struct place *place)
{
    if (place->owned) {
        close(place->folder);
    }
}

/* The directory itself ("") or a folder in it, opened anew. */
static int open_folder(const struct directory *directory, const char *name)
{
    if (name[0] == '\0') {
        return result_of(openat(directory->fd, ".", FOLDER_FLAGS));
    }
    if (!part_is_good(name, strlen(name)) || strchr(name, '/') != NULL) {
        return -EINVAL;
    }
    return result_of(openat(directory->fd, name, FOLDER_FLAGS | O_NOFOLLOW));
}

static int open_in_place(const struct place *place, enum weir_disk_mode mode)
{
    const int always = O_NOFOLLOW | O_CLOEXEC;
    int fd = -1;
    switch (mode) {
    case WEIR_DISK_READ:
        fd = openat(place->folder, place->leaf, O_RDONLY | O_DIRECT | always);
        if (fd < 0 && errno == EINVAL) { /* this file system knows no way around its cache */
            fd = openat(place->folder, place->leaf, O_RDONLY | always);
        }
        return result_of(fd);
    case WEIR_DISK_DIRECT:
        fd = openat(place->folder, place->leaf, O_RDWR | O_DIRECT | always);
        if (fd < 0 && errno == EINVAL) {
            fd = openat(place->folder, place->leaf, O_RDWR | always);
        }
        return result_of(fd);
    case WEIR_DISK_WRITE: return result_of(openat(place->folder, place->leaf, O_RDWR | always));
    case WEIR_DISK_CREATE:
        return result_of(
            openat(place->folder, place->leaf, O_RDWR | O_CREAT | O_EXCL | always, 0600));
    case WEIR_DISK_APPEND:
        return result_of(
            openat(place->folder, place->leaf, O_WRONLY | O_CREAT | O_APPEND | always, 0600));
    }
    return -EINVAL;
}

static int file_open(void *self, const char *name, enum weir_disk_mode mode)
{
    struct place place;
    int result = find_place(self, name, &place);
    if (result < 0) {
        return result;
    }
    result = open_in_place(&place, mode);
    leave_place(&place);
    return result;
}

static int file_close(void *self, int file)
{
    (void)self;
    return result_of(close(file));
}

static ssize_t file_pread(void *self, int file, void *data, size_t size, uint64_t offset)
{
    (void)self;
    if (offset > INT64_MAX) {
        return -EINVAL;
    }
    ssize_t got = pread(file, data, size, (off_t)offset);
    weir_pulse_move();
    return got < 0 ? -errno : got;
}

static ssize_t file_pwritev(void *self, int file, const struct iovec *parts, int count,
                            uint64_t offset)
{
    (void)self;
    if (offset > INT64_MAX) {
        return -EINVAL;
    }
    ssize_t written = pwritev(file, parts, count, (off_t)offset);
    weir_pulse_move();
    return written < 0 ? -errno : written;
}

static int file_sync(void *self, int file)
{
    (void)self;
    int result = result_of(fdatasync(file));
    weir_pulse_move();
    return result;
}

static int file_allocate(void *self, int file, uint64_t size)
{
    (void)self;
    int failed = size > INT64_MAX ? EFBIG : posix_fallocate(file, 0, (off_t)size);
    weir_pulse_move();
    return -failed;
}

static int file_truncate(void *self, int file, uint64_t size)
{
    (void)self;
    return size > INT64_MAX ? -EFBIG : result_of(ftruncate(file, (off_t)size));
}

static int64_t file_size(void *self, int file)
{
    (void)self;
    struct stat info;
    return fstat(file, &info) < 0 ? -errno : (int64_t)info.st_size;
}

static int name_rename(void *self, const char *from, const char *to)
{
    struct place source;
    struct place target;
    int result = find_place(self, from, &source);
    if (result < 0) {
        return result;
    }
    result = find_place(self, to, &target);
    if (result == 0) {
        result = result_of(renameat(source.folder, source.leaf, target.folder, target.leaf));
        leave_place(&target);
    }
    leave_place(&source);
    return result;
}

static int name_remove(void *self, const char *name)
{
    struct place place;
    int result = find_place(self, name, &place);
    if (result < 0) {
        return result;
    }
    result = result_of(unlinkat(place.folder, place.leaf, 0));
    leave_place(&place);
    return result;
}

static int name_make_directory(void *self, const char *name)
{
    struct directory *directory = self;
    if (!part_is_good(name, strlen(name)) || strchr(name, '/') != NULL) {
        return -EINVAL;
    }
    return result_of(mkdirat(directory->fd, name, 0700));
}

static int names_sync(void *self, const char *name)
{
    int folder = open_folder(self, name);
    if (folder < 0) {
        return folder;
    }
    int result = result_of(fsync(folder));
    weir_pulse_move();
    close(folder);
    return result;
}

static int names_list(void *self, const char *name, void (*visit)(void *argument, const char *name),
                      void *argument)
{
    int folder = open_folder(self, name);
    if (folder < 0) {
        return folder;
    }
    DIR *stream = fdopendir(folder);
    if (stream == NULL) {
        int failed = -errno;
        close(folder);
        return failed;
    }
    errno = 0;
    struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        if (part_is_good(entry->d_name, strlen(entry->d_name))) {
            visit(argument, entry->d_name);
        }
        errno = 0; /* whatever the visitor left there */
    }
    int result = -errno;
    closedir(stream);
    return result;
}

static int directory_lock(void *self)
{
    struct directory *directory = self;
    return result_of(flock(directory->fd, LOCK_EX | LOCK_NB));
}

static int64_t directory_free_bytes(void *self)
{
    struct directory *directory = self;
    struct statvfs info;
    if (fstatvfs(directory->fd, &info) < 0) {
        return -errno;
    }
    uint64_t bytes;
    bool wraps = __builtin_mul_overflow((uint64_t)info.f_bavail, (uint64_t)info.f_frsize, &bytes);
    return wraps || bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

static void directory_done(void *self)
{
    struct directory *directory = self;
    close(directory->fd); /* the lock goes with it */
    weir_mem_free(directory);
}

static const struct weir_disk_ops directory_ops = {
    .open = file_open,
    .close = file_close,
    .pread = file_pread,
    .pwritev = file_pwritev,
    .sync = file_sync,
    .allocate = file_allocate,
    .truncate = file_truncate,
    .size = file_size,
    .rename = name_rename,
    .remove = name_remove,
    .make_directory = name_make_directory,
    .sync_directory = names_sync,
    .list = names_list,
    .lock = directory_lock,
    .free_bytes = directory_free_bytes,
    .done = directory_done,
};

/* The new folder's own name becomes durable by its parent's sync. */
static int sync_parent(int fd)
{
    int parent = openat(fd, "..", FOLDER_FLAGS);
    if (parent < 0) {
        return errno == EACCES ? 0 : -errno; /* we may make names there, but not look */
    }
    int result = result_of(fsync(parent));
    close(parent);
    return result;
}

static int open_path(const char *path, bool make)
{
    bool made = make && mkdir(path, 0700) == 0;
    if (make && !made && errno != EEXIST) {
        return -errno;
    }
    int fd = open(path, FOLDER_FLAGS);
    if (fd < 0) {
        return -errno;
    }
    int synced = made ? sync_parent(fd) : 0;
    if (synced < 0) {
        close(fd);
        return synced;
    }
    return fd;
}

enum weir_status weir_disk_open(const char *path, bool make, struct weir_disk *ret)
{
    struct directory *directory = weir_mem_zalloc(1, sizeof *directory);
    if (directory == NULL) {
        return WEIR_ENOMEM;
    }
    directory->fd = open_path(path, make);
    enum weir_status status = weir_disk_status(directory->fd);
    if (status != WEIR_OK) {
        int saved = errno;
        weir_mem_free(directory);
        errno = saved;
        bool is_known = status == WEIR_ENOTFOUND || status == WEIR_EDENIED || status == WEIR_ENOMEM;
        return is_known ? status : WEIR_EIO;
    }
    *ret = (struct weir_disk){&directory_ops, directory};
    return WEIR_OK;
}

const char *weir_disk_doubt(const struct weir_disk *disk)
{
    struct statfs info;
    if (disk->ops != &directory_ops || fstatfs(((struct directory *)disk->self)->fd, &info) < 0) {
        return NULL;
    }
    switch ((uint32_t)info.f_type) {
    case TMPFS_MAGIC: return "tmpfs";
    case RAMFS_MAGIC: return "ramfs";
    case OVERLAYFS_SUPER_MAGIC: return "overlayfs";
    case NFS_SUPER_MAGIC: return "nfs";
    case FUSE_SUPER_MAGIC: return "fuse";
    case V9FS_MAGIC: return "9p";
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC: return "smb";
    default: return NULL;
    }
}
