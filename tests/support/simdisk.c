/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated disk's files: pages, reads, writes, syncs; and copies of the whole.
 *
 *   slot   cached ──►[ page, refs 2 ]◄── durable      clean: mostly one page
 *          cached ──►[ page ]  durable ──►[ page ]    written since: dirty says which sectors
 *          cached ──► NULL                            zeros, nothing kept
 *
 *   I1  a page with more than one reference is never written
 *   I2  a clean slot's two pages are equal, unless a sync of it has failed: then reads through the
 *       cache see what the disk has not
 *   I3  a failed call changes nothing, but for a sync that failed
 *
 * A direct read (WEIR_DISK_READ) sees dirty sectors, as the kernel writes them out first, and of
 * clean ones what the disk has. One thread; pages of all disks come from one free list.
 */
#include "simdisk_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <errno.h>
#include <string.h>

#define PAGES_AT_ONCE 64U
#define SLOTS_AT_ONCE 32U

struct chunk {
    struct chunk *next;
    struct simdisk_page pages[PAGES_AT_ONCE];
};

static struct simdisk_page *free_pages;
static struct chunk *chunks;
static uint32_t disks;
static const uint8_t zeros[SIMDISK_PAGE];

static void more_pages(void)
{
    struct chunk *chunk = weir_mem_alloc(sizeof *chunk);
    WEIR_ASSERT(chunk != NULL);
    chunk->next = chunks;
    chunks = chunk;
    for (uint32_t i = 0; i < PAGES_AT_ONCE; i++) {
        chunk->pages[i].next_free = free_pages;
        free_pages = &chunk->pages[i];
    }
}

struct simdisk_page *simdisk_page_new(void)
{
    if (free_pages == NULL) {
        more_pages();
    }
    struct simdisk_page *page = free_pages;
    free_pages = page->next_free;
    page->refs = 1;
    return page;
}

struct simdisk_page *simdisk_page_ref(struct simdisk_page *page)
{
    if (page != NULL) {
        page->refs++;
    }
    return page;
}

void simdisk_page_unref(struct simdisk_page *page)
{
    if (page != NULL && --page->refs == 0) {
        page->next_free = free_pages;
        free_pages = page;
    }
}

const uint8_t *simdisk_page_bytes(const struct simdisk_page *page)
{
    return page == NULL ? zeros : page->data;
}

struct simdisk_slot *simdisk_file_slot(struct simdisk_file *file, uint64_t index)
{
    WEIR_ASSERT(index < UINT32_C(1) << 20);
    if (index >= file->slots_capacity) {
        uint32_t capacity =
            file->slots_capacity < SLOTS_AT_ONCE ? SLOTS_AT_ONCE : file->slots_capacity * 2;
        capacity = index >= capacity ? (uint32_t)index + 1 : capacity;
        struct simdisk_slot *slots = weir_mem_resize(file->slots, capacity, sizeof *slots);
        WEIR_ASSERT(slots != NULL);
        memset(slots + file->slots_capacity, 0, (capacity - file->slots_capacity) * sizeof *slots);
        file->slots = slots;
        file->slots_capacity = capacity;
    }
    if (index >= file->slot_count) {
        file->slot_count = (uint32_t)index + 1;
    }
    return &file->slots[index];
}

void simdisk_file_clear(struct simdisk_file *file)
{
    for (uint32_t i = 0; i < file->slot_count; i++) {
        simdisk_page_unref(file->slots[i].cached);
        simdisk_page_unref(file->slots[i].durable);
        file->slots[i] = (struct simdisk_slot){NULL, NULL, 0, false};
    }
    file->slot_count = 0;
    file->size = 0;
    file->durable_size = 0;
    file->tainted = false;
    file->mixed = false;
    file->used = false;
}

int simdisk_enter(struct simdisk *disk, bool *ret_short)
{
    *ret_short = false;
    uint64_t call = ++disk->calls;
    const struct simdisk_fault *fault = &disk->fault;
    if (fault->at == 0 || call < fault->at || (call > fault->at && !fault->on)) {
        return 0;
    }
    if (fault->error == EINTR && (call - fault->at) % 2 == 1) {
        return 0; /* nobody is interrupted for ever */
    }
    disk->faults++;
    *ret_short = fault->error == 0;
    return -fault->error;
}

void simdisk_changed(struct simdisk *disk)
{
    if (disk->after != NULL) {
        disk->after(disk->argument);
    }
}

static struct simdisk_file *file_of(struct simdisk *disk, int handle)
{
    WEIR_ASSERT(handle >= 0);
    WEIR_ASSERT((uint32_t)handle < SIMDISK_HANDLES);
    WEIR_ASSERT(disk->handles[handle].used);
    return &disk->files[disk->handles[handle].file];
}

static int op_close(void *self, int handle)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    (void)file_of(disk, handle);
    disk->handles[handle].used = false; /* also when it fails: as close(2) */
    disk->handles_open--;
    return status;
}

/* What a direct read sees of a slot. */
static void copy_direct(uint8_t *to, const struct simdisk_slot *slot, size_t begin, size_t size)
{
    for (size_t at = begin; at < begin + size;) {
        size_t end = (at / SIMDISK_SECTOR + 1) * SIMDISK_SECTOR;
        end = end < begin + size ? end : begin + size;
        bool dirty = (slot->dirty >> (at / SIMDISK_SECTOR) & 1U) != 0;
        const uint8_t *from = simdisk_page_bytes(dirty ? slot->cached : slot->durable);
        memcpy(to + (at - begin), from + at, end - at);
        at = end;
    }
}

static void read_slot(const struct simdisk_file *file, uint8_t *to, uint64_t offset, size_t size,
                      bool direct)
{
    uint64_t index = offset / SIMDISK_PAGE;
    size_t begin = (size_t)(offset % SIMDISK_PAGE);
    static const struct simdisk_slot empty = {NULL, NULL, 0, false};
    const struct simdisk_slot *slot = index < file->slot_count ? &file->slots[index] : &empty;
    if (direct && slot->cached != slot->durable) {
        copy_direct(to, slot, begin, size);
    } else {
        memcpy(to, simdisk_page_bytes(slot->cached) + begin, size);
    }
}

static ssize_t op_pread(void *self, int handle, void *data, size_t size, uint64_t offset)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0) {
        return status;
    }
    const struct simdisk_file *file = file_of(disk, handle);
    bool direct = disk->handles[handle].mode == WEIR_DISK_READ;
    if (direct && (size % WEIR_DISK_BLOCK != 0 || offset % WEIR_DISK_BLOCK != 0 ||
                   (uintptr_t)data % WEIR_DISK_BLOCK != 0)) {
        disk->breach = "a direct read that is not aligned";
        return -EINVAL;
    }
    if (cut && size > WEIR_DISK_BLOCK) {
        size = size / 2 / WEIR_DISK_BLOCK * WEIR_DISK_BLOCK;
        size = size == 0 ? WEIR_DISK_BLOCK : size;
    }
    uint64_t left = offset < file->size ? file->size - offset : 0;
    size = size < left ? size : (size_t)left;
    for (size_t done = 0; done < size;) {
        size_t part = SIMDISK_PAGE - (size_t)((offset + done) % SIMDISK_PAGE);
        part = part < size - done ? part : size - done;
        read_slot(file, (uint8_t *)data + done, offset + done, part, direct);
        done += part;
    }
    return (ssize_t)size;
}

static void write_slot(struct simdisk_file *file, const uint8_t *from, uint64_t offset, size_t size,
                       bool direct)
{
    struct simdisk_slot *slot = simdisk_file_slot(file, offset / SIMDISK_PAGE);
    file->mixed = file->mixed || (direct && slot->dirty != 0 && !slot->direct);
    slot->direct = direct;
    size_t begin = (size_t)(offset % SIMDISK_PAGE);
    for (size_t at = begin / SIMDISK_SECTOR; at * SIMDISK_SECTOR < begin + size; at++) {
        slot->dirty |= 1U << at;
    }
    struct simdisk_page *old = slot->cached;
    if (size == SIMDISK_PAGE && memcmp(from, zeros, SIMDISK_PAGE) == 0) {
        simdisk_page_unref(old);
        slot->cached = NULL;
        return;
    }
    if (old == NULL || old->refs > 1) {
        slot->cached = simdisk_page_new();
        memcpy(slot->cached->data, simdisk_page_bytes(old), SIMDISK_PAGE);
        simdisk_page_unref(old);
    }
    memcpy(slot->cached->data + begin, from, size);
}

static bool has_room(const struct simdisk *disk, const struct simdisk_file *file, uint64_t size)
{
    if (disk->capacity == 0 || size <= file->size) {
        return true;
    }
    uint64_t total = size - file->size;
    for (uint32_t i = 0; i < disk->now.count; i++) {
        total += disk->now.items[i].file < 0 ? 0 : disk->files[disk->now.items[i].file].size;
    }
    return total <= disk->capacity;
}

static ssize_t op_pwritev(void *self, int handle, const struct iovec *parts, int count,
                          uint64_t offset)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0) {
        return status;
    }
    struct simdisk_file *file = file_of(disk, handle);
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += parts[i].iov_len;
    }
    WEIR_ASSERT(disk->handles[handle].mode != WEIR_DISK_READ);
    bool direct = disk->handles[handle].mode == WEIR_DISK_DIRECT;
    if (direct && !simdisk_is_aligned(parts, count, offset)) {
        disk->breach = "a direct write that is not aligned";
        return -EINVAL;
    }
    disk->breach = file->tainted ? "a write after a failed sync" : disk->breach;
    offset = disk->handles[handle].mode == WEIR_DISK_APPEND ? file->size : offset;
    total = cut && total > 1 ? simdisk_shortened(total, direct) : total;
    if (!has_room(disk, file, offset + total)) {
        return -ENOSPC;
    }
    size_t done = 0;
    for (int i = 0; i < count && done < total; i++) {
        const uint8_t *from = parts[i].iov_base;
        size_t left = parts[i].iov_len < total - done ? parts[i].iov_len : total - done;
        while (left > 0) {
            size_t part = SIMDISK_PAGE - (size_t)((offset + done) % SIMDISK_PAGE);
            part = part < left ? part : left;
            write_slot(file, from, offset + done, part, direct);
            from += part;
            left -= part;
            done += part;
        }
    }
    disk->breach =
        file->mixed ? "a page that the cache holds unwritten was written past it" : disk->breach;
    file->size = offset + done > file->size ? offset + done : file->size;
    simdisk_changed(disk);
    return (ssize_t)done;
}

/* Makes the slot's cached content the durable one. */
static void slot_clean(struct simdisk_slot *slot)
{
    struct simdisk_page *page = simdisk_page_ref(slot->cached);
    simdisk_page_unref(slot->durable);
    slot->durable = page;
    slot->dirty = 0;
}

/* As the kernel: some sectors got there, some did not, all are called clean. */
static void slot_fail(struct simdisk *disk, struct simdisk_slot *slot)
{
    struct simdisk_page *page = simdisk_page_new();
    memcpy(page->data, simdisk_page_bytes(slot->durable), SIMDISK_PAGE);
    const uint8_t *from = simdisk_page_bytes(slot->cached);
    for (unsigned i = 0; i < 8; i++) {
        if ((slot->dirty >> i & 1U) != 0 && weir_rand_below(&disk->rand, 2) == 0) {
            memcpy(page->data + (size_t)i * SIMDISK_SECTOR, from + (size_t)i * SIMDISK_SECTOR,
                   SIMDISK_SECTOR);
        }
    }
    simdisk_page_unref(slot->durable);
    slot->durable = page;
    slot->dirty = 0;
}

static int op_sync(void *self, int handle)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    struct simdisk_file *file = file_of(disk, handle);
    disk->breach = file->tainted ? "a sync after a failed sync" : disk->breach;
    bool failed = status < 0 && status != -EINTR;
    if (status == -EINTR) {
        return status;
    }
    for (uint32_t i = 0; i < file->slot_count; i++) {
        if (file->slots[i].dirty != 0 && failed) {
            slot_fail(disk, &file->slots[i]);
        } else if (file->slots[i].dirty != 0) {
            slot_clean(&file->slots[i]);
        }
    }
    if (!failed || weir_rand_below(&disk->rand, 2) == 0) {
        file->durable_size = file->size;
    }
    file->tainted = file->tainted || failed;
    simdisk_changed(disk);
    return status;
}

static int op_allocate(void *self, int handle, uint64_t size)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0) {
        return status;
    }
    struct simdisk_file *file = file_of(disk, handle);
    if (!has_room(disk, file, size)) {
        return -ENOSPC;
    }
    file->size = size > file->size ? size : file->size;
    simdisk_changed(disk);
    return 0;
}

static int op_truncate(void *self, int handle, uint64_t size)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0) {
        return status;
    }
    struct simdisk_file *file = file_of(disk, handle);
    for (uint64_t at = size; at < file->size;) {
        size_t part = SIMDISK_PAGE - (size_t)(at % SIMDISK_PAGE);
        if (at / SIMDISK_PAGE < file->slot_count) {
            write_slot(file, zeros, at, part, false);
        }
        at += part;
    }
    file->size = size;
    simdisk_changed(disk);
    return 0;
}

static int64_t op_size(void *self, int handle)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    return status < 0 ? status : (int64_t)file_of(disk, handle)->size;
}

static int op_lock(void *self)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0) {
        return status;
    }
    if (disk->locked) {
        return -EWOULDBLOCK;
    }
    disk->locked = true;
    return 0;
}

static int64_t op_free_bytes(void *self)
{
    struct simdisk *disk = self;
    bool cut;
    int status = simdisk_enter(disk, &cut);
    if (status < 0 || disk->capacity == 0) {
        return status < 0 ? status : INT64_C(1) << 40;
    }
    uint64_t used = simdisk_bytes(disk, "");
    return used > disk->capacity ? 0 : (int64_t)(disk->capacity - used);
}

static void op_done(void *self)
{
    struct simdisk *disk = self;
    disk->locked = false;
    for (uint32_t i = 0; i < SIMDISK_FILES; i++) {
        disk->files[i].tainted = false; /* the next process does not know */
    }
}

static const struct weir_disk_ops table = {
    .open = simdisk_op_open,
    .close = op_close,
    .pread = op_pread,
    .pwritev = op_pwritev,
    .sync = op_sync,
    .allocate = op_allocate,
    .truncate = op_truncate,
    .size = op_size,
    .rename = simdisk_op_rename,
    .remove = simdisk_op_remove,
    .make_directory = simdisk_op_make_directory,
    .sync_directory = simdisk_op_sync_directory,
    .list = simdisk_op_list,
    .lock = op_lock,
    .free_bytes = op_free_bytes,
    .done = op_done,
};

struct weir_disk simdisk_disk(struct simdisk *disk)
{
    return (struct weir_disk){&table, disk};
}

struct simdisk *simdisk_new(uint64_t seed)
{
    struct simdisk *disk = weir_mem_zalloc(1, sizeof *disk);
    WEIR_ASSERT(disk != NULL);
    weir_rand_init(&disk->rand, seed);
    disks++;
    return disk;
}

void simdisk_reserve(struct simdisk *disk, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i += PAGES_AT_ONCE) {
        more_pages();
    }
    for (uint32_t i = 0; i < SIMDISK_FILES; i++) {
        (void)simdisk_file_slot(&disk->files[i], 2 * SLOTS_AT_ONCE - 1);
        disk->files[i].slot_count = 0;
    }
}

void simdisk_free(struct simdisk *disk)
{
    if (disk == NULL) {
        return;
    }
    for (uint32_t i = 0; i < SIMDISK_FILES; i++) {
        simdisk_file_clear(&disk->files[i]);
        weir_mem_free(disk->files[i].slots);
    }
    weir_mem_free(disk);
    if (--disks > 0) {
        return;
    }
    free_pages = NULL;
    while (chunks != NULL) {
        struct chunk *next = chunks->next;
        weir_mem_free(chunks);
        chunks = next;
    }
}

void simdisk_set_fault(struct simdisk *disk, struct simdisk_fault fault)
{
    disk->fault = fault;
    disk->calls = 0;
    disk->faults = 0;
}
