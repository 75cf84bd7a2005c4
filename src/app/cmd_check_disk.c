/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `weir check` says of the spool: how long it lasts, and what is there.
 *
 *   # spool: 8GiB, of which 480MiB stay free for requests under way;
 *   #   at an assumed 1MiB a second of bodies as they are sent it lasts 128 minutes
 *   #   /var/lib/weir: 12 segments and spares, 3072.0 MiB; 0 quarantined, 0 set aside;
 *   #   40960.0 MiB free
 *   #   /var/lib/weir/dead-letter: 1 dead-letter files, 0.2 MiB
 *
 * Sizes are those of the files, which is what the limit counts; whether records in them are still
 * owed only `weir spool ls` can say, since that takes reading them.
 *
 * A directory that is not there yet would be made by `weir serve`: then the one that it is to be in
 * is looked at, whether this user may write there, and how much room there is.
 *
 * Main thread.
 */
#include "cmd_check.h"
#include "config_internal.h"
#include "weir/disk.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define MIB           ((double)(1 << 20))
#define ASSUMED_BYTES ((size_t)1 << 20) /* a second */

struct census {
    const struct weir_disk *disk;
    uint32_t files;
    uint64_t bytes;
    bool (*counts)(const char *name);
};

/* Segments that hold records, and those that wait for some: both count. */
static bool is_segment(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot != NULL && (strcmp(dot, ".segment") == 0 || strcmp(dot, ".spare") == 0);
}

static bool is_letters(const char *name)
{
    return strncmp(name, "weir-dead-letter-", strlen("weir-dead-letter-")) == 0;
}

static void count_file(void *argument, const char *name)
{
    struct census *census = argument;
    if (!census->counts(name)) {
        return;
    }
    census->files++;
    if (strlen(name) >= WEIR_DISK_NAME_MAX) {
        return;
    }
    int file = census->disk->ops->open(census->disk->self, name, WEIR_DISK_READ);
    if (file >= 0) {
        int64_t size = census->disk->ops->size(census->disk->self, file);
        census->bytes += size > 0 ? (uint64_t)size : 0;
        (void)census->disk->ops->close(census->disk->self, file);
    }
}

static void count_name(void *argument, const char *name)
{
    (void)name;
    ++*(uint32_t *)argument;
}

static uint32_t names_in(const struct weir_disk *disk, const char *folder)
{
    uint32_t count = 0;
    return disk->ops->list(disk->self, folder, count_name, &count) < 0 ? 0 : count;
}

static void doubt(const char *key, const char *path, const char *what)
{
    (void)fprintf(stderr, "warning: %s: %.300s: %s\n", key, path, what);
}

static void tell_doubt(const char *key, const char *path, const struct weir_disk *disk)
{
    const char *kind = weir_disk_doubt(disk);
    char text[160];
    if (kind != NULL) {
        (void)snprintf(text, sizeof text,
                       "is on %s, and what is there may not outlast a power loss", kind);
        doubt(key, path, text);
    }
}

static void tell_room(const struct weir_disk *disk, const char *path, uint64_t used, uint64_t limit)
{
    int64_t free_bytes = disk->ops->free_bytes(disk->self);
    if (free_bytes >= 0 && used + (uint64_t)free_bytes < limit) {
        doubt("spool.limit", path, "the file system has less room than the limit");
    }
}

static void tell_writable(const char *key, const char *path)
{
    if (access(path, W_OK | X_OK) != 0) {
        doubt(key, path,
              errno == EROFS ? "the file system is read-only: weir serve will not start"
                             : "this user may not write there: weir serve as this user will not "
                               "start");
    }
}

/* What can be said of a directory that weir serve would make: of the one that it is to be in.
 * `limit`: 0, or how much room is wanted there. */
static void tell_parent(const char *key, const char *path, uint64_t limit)
{
    char parent[PATH_MAX];
    struct weir_disk disk;
    int size = snprintf(parent, sizeof parent, "%s", path);
    if (size < 0 || size >= (int)sizeof parent) {
        return;
    }
    while (size > 1 && parent[size - 1] == '/') {
        parent[--size] = 0;
    }
    char *slash = strrchr(parent, '/');
    if (slash == NULL) {
        (void)snprintf(parent, sizeof parent, ".");
    } else {
        slash[slash == parent ? 1 : 0] = 0;
    }
    if (access(parent, F_OK) != 0) {
        doubt(key, parent, "is not there, and weir serve makes only the last part of the path");
    } else if (weir_disk_open(parent, false, &disk) == WEIR_OK) {
        tell_writable(key, parent);
        tell_doubt(key, parent, &disk);
        tell_room(&disk, parent, 0, limit);
        weir_disk_close(&disk);
    }
}

/* Opens a directory to look at; false, with the reason told, when there is nothing to see. */
static bool open_to_look(const char *key, const char *path, struct weir_buf *out,
                         struct weir_disk *ret)
{
    errno = 0;
    enum weir_status status = weir_disk_open(path, false, ret);
    if (status == WEIR_OK) {
        tell_doubt(key, path, ret);
        tell_writable(key, path);
        return true;
    }
    if (status == WEIR_ENOTFOUND && errno == ENOENT) {
        weir_buf_printf(out, "#   %.300s: not there yet\n", path);
        errno = ENOENT;
    } else {
        const char *words = errno == 0 ? NULL : strerrordesc_np(errno);
        doubt(key, path, words == NULL ? weir_status_text(status) : words);
    }
    return false;
}

static void put_spool(const struct weir_config *config, struct weir_buf *out)
{
    const char *path = config->spool.directory;
    struct weir_disk disk;
    if (!open_to_look("spool.directory", path, out, &disk)) {
        if (errno == ENOENT) {
            tell_parent("spool.directory", path, config->spool.limit);
        }
        return;
    }
    struct census census = {.disk = &disk, .counts = is_segment};
    (void)disk.ops->list(disk.self, "", count_file, &census);
    int64_t free_bytes = disk.ops->free_bytes(disk.self);
    weir_buf_printf(out,
                    "#   %.300s: %" PRIu32 " segments and spares, %.1f MiB; %" PRIu32
                    " quarantined, %" PRIu32 " set aside; %.1f MiB free\n",
                    path, census.files, (double)census.bytes / MIB, names_in(&disk, "quarantine"),
                    names_in(&disk, "set-aside"), (double)free_bytes / MIB);
    tell_room(&disk, path, census.bytes, config->spool.limit);
    weir_disk_close(&disk);
}

/* By the name; what is below the spool's directory needs no words of its own. */
static bool is_below(const char *path, const char *directory)
{
    size_t size = directory == NULL ? 0 : strlen(directory);
    return size > 0 && strncmp(path, directory, size) == 0 && path[size] == '/';
}

static void put_letters(const struct weir_config *config, struct weir_buf *out)
{
    const char *path = config->dead_letter.directory;
    struct weir_disk disk;
    if (path == NULL) {
        weir_buf_put(out, WEIR_BYTES("# dead letter: none; what is given up is counted and "
                                     "logged\n"));
        return;
    }
    if (!open_to_look("dead_letter.directory", path, out, &disk)) {
        if (errno == ENOENT && !is_below(path, config->spool.directory)) {
            tell_parent("dead_letter.directory", path, 0);
        }
        return;
    }
    struct census census = {.disk = &disk, .counts = is_letters};
    (void)disk.ops->list(disk.self, "", count_file, &census);
    weir_buf_printf(out, "#   %.300s: %" PRIu32 " dead-letter files, %.1f MiB\n", path,
                    census.files, (double)census.bytes / MIB);
    weir_disk_close(&disk);
}

void weir_check_disk(const struct weir_config *config, struct weir_buf *out)
{
    if (config->spool.durability == WEIR_DURABILITY_DISK) {
        size_t headroom = weir_config_headroom(config);
        size_t room = config->spool.limit > headroom ? config->spool.limit - headroom : 0;
        size_t seconds = room / ASSUMED_BYTES;
        weir_buf_put(out, WEIR_BYTES("# spool: "));
        weir_config_put_size(out, config->spool.limit);
        weir_buf_put(out, WEIR_BYTES(", of which "));
        weir_config_put_size(out, headroom);
        weir_buf_put(out, WEIR_BYTES(" stay free for requests under way;\n#   at an assumed "));
        weir_config_put_size(out, ASSUMED_BYTES);
        weir_buf_printf(out,
                        " a second of bodies as they are sent it lasts %zu %s\n"
                        "#   (weir_request_body_bytes_total has your rate)\n",
                        seconds < 300 ? seconds : seconds / 60,
                        seconds < 300 ? "seconds" : "minutes");
        put_spool(config, out);
    } else {
        weir_buf_put(out, WEIR_BYTES("# spool: none; nothing is kept on disk\n"));
    }
    put_letters(config, out);
}
