/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated disk's names: what is there now, what a power cut would leave, and the changes in
 * between. A change waits for the sync of each folder that it touches (a rename from one folder to
 * another: of both), and in a crash each waiting change is kept or lost by itself, in the order in
 * which they were made. That is harsher than any journalling file system, which keeps a prefix.
 *
 *   I1  `durable` with every pending change applied in order is `now`
 *   I2  a file is used as long as a name, a pending change or a handle points at it
 *
 * A folder is a name without a file. When its making is lost, so is all that was in it.
 */
#include "simdisk_internal.h"
#include "weir/panic.h"
#include <errno.h>
#include <string.h>

int simdisk_names_find(const struct simdisk_names *names, const char *text)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i].text, text) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void names_set(struct simdisk_names *names, const char *text, int file)
{
    int at = simdisk_names_find(names, text);
    if (at < 0) {
        WEIR_ASSERT(names->count < SIMDISK_NAMES);
        at = (int)names->count++;
        memcpy(names->items[at].text, text, strlen(text) + 1);
    }
    names->items[at].file = file;
}

static void names_drop(struct simdisk_names *names, const char *text)
{
    int at = simdisk_names_find(names, text);
    if (at >= 0) {
        names->items[at] = names->items[--names->count];
    }
}

void simdisk_names_apply(struct simdisk_names *names, const struct simdisk_pending *change)
{
    int at;
    switch (change->change) {
    case SIMDISK_CREATE: names_set(names, change->to, change->file); break;
    case SIMDISK_RENAME:
        at = simdisk_names_find(names, change->from);
        if (at >= 0 && names->items[at].file == change->file) {
            names_drop(names, change->from);
        }
        names_set(names, change->to, change->file);
        break;
    case SIMDISK_REMOVE:
        at = simdisk_names_find(names, change->from);
        if (at >= 0 && names->items[at].file == change->file) {
            names_drop(names, change->from);
        }
        break;
    }
}

/* "quarantine/x" is in "quarantine", "x" in "". */
static bool is_in(const char *text, const char *folder)
{
    const char *slash = strchr(text, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - text);
    return strlen(folder) == size && memcmp(text, folder, size) == 0;
}

static bool same_folder(const char *a, const char *b)
{
    char folder[SIMDISK_NAME] = "";
    const char *slash = strchr(a, '/');
    if (slash != NULL) {
        memcpy(folder, a, (size_t)(slash - a));
    }
    return is_in(b, folder);
}

static bool folder_is_there(const struct simdisk *disk, const char *text)
{
    const char *slash = strchr(text, '/');
    char folder[SIMDISK_NAME] = "";
    if (slash == NULL) {
        return true;
    }
    memcpy(folder, text, (size_t)(slash - text));
    int at = simdisk_names_find(&disk->now, folder);
    return at >= 0 && disk->now.items[at].file < 0;
}

static void change(struct simdisk *disk, enum simdisk_change kind, const char *from, const char *to,
                   int file)
{
    WEIR_ASSERT(disk->pending_count < SIMDISK_PENDING);
    struct simdisk_pending *pending = &disk->pending[disk->pending_count++];
    *pending = (struct simdisk_pending){.change = kind, .file = file};
    if (from != NULL) {
        memcpy(pending->from, from, strlen(from) + 1);
        pending->from_waits = true;
    }
    if (to != NULL) {
        memcpy(pending->to, to, strlen(to) + 1);
        pending->to_waits = from == NULL || !same_folder(from, to);
    }
    simdisk_names_apply(&disk->now, pending);
}

static bool is_referred(const struct simdisk *disk, int file)
{
    for (uint32_t i = 0; i < disk->now.count; i++) {
        if (disk->now.items[i].file == file) {
            return true;
        }
    }
    for (uint32_t i = 0; i < disk->durable.count; i++) {
        if (disk->durable.items[i].file == file) {
            return true;
        }
    }
    for (uint32_t i = 0; i < disk->pending_count; i++) {
        if (disk->pending[i].file == file) {
            return true;
        }
    }
    for (uint32_t i = 0; i < SIMDISK_HANDLES; i++) {
        if (disk->handles[i].used && disk->handles[i].file == file) {
            return true;
        }
    }
    return false;
}

static int file_new(struct simdisk *disk)
{
    for (uint32_t i = 0; i < SIMDISK_FILES; i++) {
        struct simdisk_file *file = &disk->files[i];
        if (file->used && is_referred(disk, (int)i)) {
            continue;
        }
        simdisk_file_clear(file);
        file->used = true;
        return (int)i;
    }
    weir_panic(__FILE__, __LINE__, "the simulated disk has too few files");
}

static int handle_new(struct simdisk *disk, int file, enum weir_disk_mode mode)
{
    for (uint32_t i = 0; i < SIMDISK_HANDLES; i++) {
        if (!disk->handles[i].used) {
            disk->handles[i] = (struct simdisk_handle){true, mode, file};
            disk->handles_open++;
            return (int)i;
        }
    }
    return -EMFILE;
}

int simdisk_op_open(void *self, const char *name, enum weir_disk_mode mode)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0) {
        return status;
    }
    if (strlen(name) >= SIMDISK_NAME || name[0] == '\0') {
        return -ENAMETOOLONG;
    }
    int at = simdisk_names_find(&disk->now, name);
    int file = at < 0 ? -1 : disk->now.items[at].file;
    if (at >= 0 && file < 0) {
        return -EISDIR;
    }
    if (file >= 0 && mode == WEIR_DISK_CREATE) {
        return -EEXIST;
    }
    if (file >= 0) {
        return handle_new(disk, file, mode);
    }
    if (mode == WEIR_DISK_READ || mode == WEIR_DISK_WRITE || mode == WEIR_DISK_DIRECT ||
        !folder_is_there(disk, name)) {
        return -ENOENT;
    }
    file = file_new(disk);
    change(disk, SIMDISK_CREATE, NULL, name, file);
    int handle = handle_new(disk, file, mode);
    simdisk_changed(disk);
    return handle;
}

int simdisk_op_rename(void *self, const char *from, const char *to)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0) {
        return status;
    }
    int at = simdisk_names_find(&disk->now, from);
    if (at < 0 || disk->now.items[at].file < 0 || !folder_is_there(disk, to)) {
        return -ENOENT;
    }
    change(disk, SIMDISK_RENAME, from, to, disk->now.items[at].file);
    simdisk_changed(disk);
    return 0;
}

int simdisk_op_remove(void *self, const char *name)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0) {
        return status;
    }
    int at = simdisk_names_find(&disk->now, name);
    if (at < 0) {
        return -ENOENT;
    }
    if (disk->now.items[at].file < 0) {
        return -EISDIR;
    }
    change(disk, SIMDISK_REMOVE, name, NULL, disk->now.items[at].file);
    simdisk_changed(disk);
    return 0;
}

int simdisk_op_make_directory(void *self, const char *name)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0) {
        return status;
    }
    if (simdisk_names_find(&disk->now, name) >= 0) {
        return -EEXIST;
    }
    if (strlen(name) >= SIMDISK_NAME || strchr(name, '/') != NULL) {
        return -ENOENT;
    }
    change(disk, SIMDISK_CREATE, NULL, name, -1);
    simdisk_changed(disk);
    return 0;
}

int simdisk_op_sync_directory(void *self, const char *name)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0) {
        return status;
    }
    if (name[0] != '\0' && simdisk_names_find(&disk->now, name) < 0) {
        return -ENOENT;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < disk->pending_count; i++) {
        struct simdisk_pending *pending = &disk->pending[i];
        if (pending->from_waits && is_in(pending->from, name)) {
            pending->from_waits = false;
        }
        if (pending->to_waits && is_in(pending->to, name)) {
            pending->to_waits = false;
        }
        if (pending->from_waits || pending->to_waits) {
            disk->pending[kept++] = *pending;
        } else {
            simdisk_names_apply(&disk->durable, pending);
        }
    }
    disk->pending_count = kept;
    simdisk_changed(disk);
    return 0;
}

int simdisk_op_list(void *self, const char *name, void (*visit)(void *argument, const char *name),
                    void *argument)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0) {
        return status;
    }
    int at = simdisk_names_find(&disk->now, name);
    if (name[0] != '\0' && (at < 0 || disk->now.items[at].file >= 0)) {
        return -ENOENT;
    }
    struct simdisk_names names = disk->now; /* `visit` may change them */
    size_t skip = name[0] == '\0' ? 0 : strlen(name) + 1;
    for (uint32_t i = 0; i < names.count; i++) {
        if (is_in(names.items[i].text, name)) {
            visit(argument, names.items[i].text + skip);
        }
    }
    return 0;
}

bool simdisk_is_aligned(const struct iovec *parts, int count, uint64_t offset)
{
    uintptr_t bits = (uintptr_t)offset;
    for (int i = 0; i < count; i++) {
        bits |= (uintptr_t)parts[i].iov_base | parts[i].iov_len;
    }
    return bits % WEIR_DISK_BLOCK == 0;
}

size_t simdisk_shortened(size_t total, bool direct)
{
    size_t half = total / 2;
    return direct ? (half < WEIR_DISK_BLOCK ? total : half / WEIR_DISK_BLOCK * WEIR_DISK_BLOCK)
                  : half;
}
