/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_NOTES_RIG_H
#define WEIR_TEST_NOTES_RIG_H

/*
 * A disk of a few small files in memory, whose n-th call can be made to fail. No crashes: those are
 * the simulator's.
 */
#include "weir/disk.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { RIG_FILES = 8 };

struct rig_file {
    char name[WEIR_DISK_NAME_MAX];
    size_t size;
    uint8_t *data; /* NULL: none */
    size_t capacity;
    bool bad; /* written or synced without success: nobody may do so again */
};

struct rig {
    struct rig_file files[RIG_FILES];
    uint32_t calls;   /* of those that can fail */
    uint32_t fail_at; /* 0: none */
    bool fail_on;     /* from then on */
    int error;
    uint32_t open_files;
};

static inline bool rig_fails(struct rig *rig)
{
    rig->calls++;
    return rig->fail_at != 0 &&
           (rig->calls == rig->fail_at || (rig->fail_on && rig->calls > rig->fail_at));
}

static inline int rig_find(const struct rig *rig, const char *name)
{
    for (int i = 0; i < RIG_FILES; i++) {
        if (rig->files[i].data != NULL && strcmp(rig->files[i].name, name) == 0) {
            return i;
        }
    }
    return -ENOENT;
}

static inline void rig_grow(struct rig_file *file, size_t needed)
{
    if (needed > file->capacity) {
        file->data = weir_mem_resize(file->data, 1, needed * 2);
        assert_non_null(file->data);
        memset(file->data + file->capacity, 0, needed * 2 - file->capacity);
        file->capacity = needed * 2;
    }
}

/* A file with these bytes, for the test. */
static inline struct rig_file *rig_make(struct rig *rig, const char *name, const void *data,
                                        size_t size)
{
    for (int i = 0; i < RIG_FILES; i++) {
        struct rig_file *file = &rig->files[i];
        if (file->data == NULL) {
            *file = (struct rig_file){.size = size};
            rig_grow(file, size + 8192);
            (void)snprintf(file->name, sizeof file->name, "%s", name);
            if (size > 0 && size <= PTRDIFF_MAX) {
                memcpy(file->data, data, size);
            }
            return file;
        }
    }
    return NULL;
}

static inline int rig_open(void *self, const char *name, enum weir_disk_mode mode)
{
    struct rig *rig = self;
    if (rig_fails(rig)) {
        return -rig->error;
    }
    int at = rig_find(rig, name);
    if (mode == WEIR_DISK_CREATE && at >= 0) {
        return -EEXIST;
    }
    if (mode == WEIR_DISK_CREATE) {
        (void)rig_make(rig, name, NULL, 0);
        at = rig_find(rig, name);
    }
    rig->open_files += at >= 0 ? 1 : 0;
    return at;
}

static inline int rig_close(void *self, int file)
{
    struct rig *rig = self;
    assert_true(file >= 0);
    assert_true(rig->open_files > 0);
    rig->open_files--;
    return 0;
}

static inline ssize_t rig_pread(void *self, int file, void *data, size_t size, uint64_t offset)
{
    struct rig *rig = self;
    if (rig_fails(rig)) {
        return -rig->error;
    }
    size_t left = offset < rig->files[file].size ? rig->files[file].size - offset : 0;
    size_t got = left < size ? left : size;
    memcpy(data, rig->files[file].data + offset, got);
    return (ssize_t)got;
}

static inline ssize_t rig_pwritev(void *self, int file, const struct iovec *parts, int count,
                                  uint64_t offset)
{
    struct rig *rig = self;
    struct rig_file *at = &rig->files[file];
    assert_false(at->bad);
    bool fails = rig_fails(rig);
    size_t total = 0;
    for (int i = 0; i < (fails ? 1 : count); i++) { /* a failure has written a part */
        rig_grow(at, offset + total + parts[i].iov_len);
        memcpy(at->data + offset + total, parts[i].iov_base, parts[i].iov_len);
        total += parts[i].iov_len;
    }
    at->size = offset + total > at->size ? offset + total : at->size;
    at->bad = fails;
    return fails ? -rig->error : (ssize_t)total;
}

static inline int rig_sync(void *self, int file)
{
    struct rig *rig = self;
    assert_false(rig->files[file].bad);
    rig->files[file].bad = rig_fails(rig);
    return rig->files[file].bad ? -rig->error : 0;
}

static inline int rig_truncate(void *self, int file, uint64_t size)
{
    struct rig *rig = self;
    if (rig_fails(rig)) {
        return -rig->error;
    }
    rig->files[file].size = size;
    return 0;
}

static inline int64_t rig_size(void *self, int file)
{
    struct rig *rig = self;
    return rig_fails(rig) ? -rig->error : (int64_t)rig->files[file].size;
}

static inline int rig_rename(void *self, const char *from, const char *to)
{
    struct rig *rig = self;
    int at = rig_find(rig, from);
    if (rig_fails(rig) || at < 0) {
        return at < 0 ? at : -rig->error;
    }
    (void)snprintf(rig->files[at].name, sizeof rig->files[at].name, "%s", to);
    return 0;
}

static inline int rig_remove(void *self, const char *name)
{
    struct rig *rig = self;
    int at = rig_find(rig, name);
    if (rig_fails(rig) || at < 0) {
        return at < 0 ? at : -rig->error;
    }
    weir_mem_free(rig->files[at].data);
    rig->files[at].data = NULL;
    return 0;
}

static inline int rig_directory(void *self, const char *name)
{
    struct rig *rig = self;
    (void)name;
    return rig_fails(rig) ? -rig->error : 0;
}

static inline int rig_list(void *self, const char *name,
                           void (*visit)(void *argument, const char *name), void *argument)
{
    struct rig *rig = self;
    size_t prefix = strlen(name) + (name[0] == '\0' ? 0 : 1);
    if (rig_fails(rig)) {
        return -rig->error;
    }
    for (int i = 0; i < RIG_FILES; i++) {
        const struct rig_file *file = &rig->files[i];
        bool is_below = file->data != NULL && strncmp(file->name, name, strlen(name)) == 0;
        if (is_below && strchr(file->name + prefix, '/') == NULL) {
            visit(argument, file->name + prefix);
        }
    }
    return 0;
}

static const struct weir_disk_ops rig_ops = {
    .open = rig_open,
    .close = rig_close,
    .pread = rig_pread,
    .pwritev = rig_pwritev,
    .sync = rig_sync,
    .truncate = rig_truncate,
    .size = rig_size,
    .rename = rig_rename,
    .remove = rig_remove,
    .make_directory = rig_directory,
    .sync_directory = rig_directory,
    .list = rig_list,
};

static inline void rig_done(struct rig *rig)
{
    assert_int_equal(rig->open_files, 0);
    for (int i = 0; i < RIG_FILES; i++) {
        weir_mem_free(rig->files[i].data);
        rig->files[i].data = NULL;
    }
}

#endif
