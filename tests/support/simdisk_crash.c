/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of the simulated disk, and what a power cut makes of one.
 *
 * The choices of a crash, in this order: each pending change of a name (lost, kept); then for each
 * file that still has a name, each dirty sector (among its old content, its new content and zeros,
 * those that differ), and its size where it changed (old, new, and for a file that grew one in the
 * middle). A choice with one option only is not put, so that an enumeration over the choices hardly
 * meets a state twice.
 */
#include "simdisk_internal.h"
#include "weir/panic.h"
#include <string.h>

void simdisk_copy(struct simdisk *to, const struct simdisk *from)
{
    for (uint32_t i = 0; i < SIMDISK_FILES; i++) {
        struct simdisk_file *file = &to->files[i];
        const struct simdisk_file *old = &from->files[i];
        if (!file->used && !old->used) {
            continue;
        }
        simdisk_file_clear(file);
        if (!old->used) {
            continue;
        }
        file->used = true;
        file->tainted = old->tainted;
        file->mixed = old->mixed;
        file->size = old->size;
        file->durable_size = old->durable_size;
        if (old->slot_count > 0) {
            (void)simdisk_file_slot(file, old->slot_count - 1);
        }
        for (uint32_t k = 0; k < old->slot_count; k++) {
            file->slots[k] = (struct simdisk_slot){simdisk_page_ref(old->slots[k].cached),
                                                   simdisk_page_ref(old->slots[k].durable),
                                                   old->slots[k].dirty, old->slots[k].direct};
        }
    }
    to->now.count = from->now.count;
    memcpy(to->now.items, from->now.items, from->now.count * sizeof to->now.items[0]);
    to->durable.count = from->durable.count;
    memcpy(to->durable.items, from->durable.items, from->durable.count * sizeof to->now.items[0]);
    to->pending_count = from->pending_count;
    memcpy(to->pending, from->pending, from->pending_count * sizeof to->pending[0]);
    memset(to->handles, 0, sizeof to->handles);
    to->handles_open = 0;
    to->locked = false;
    to->capacity = from->capacity;
    to->fault = (struct simdisk_fault){0, 0, false};
    to->calls = 0;
    to->faults = 0;
    to->breach = NULL;
    to->after = NULL;
}

/* The sector's content after the crash. */
static const uint8_t *sector_after(const uint8_t *old, const uint8_t *new,
                                   struct simdisk_choice choice)
{
    const uint8_t *options[3] = {old, NULL, NULL};
    unsigned count = 1;
    if (memcmp(old, new, SIMDISK_SECTOR) != 0) {
        options[count++] = new;
    }
    const uint8_t *zeros = simdisk_page_bytes(NULL);
    if (memcmp(old, zeros, SIMDISK_SECTOR) != 0 && memcmp(new, zeros, SIMDISK_SECTOR) != 0) {
        options[count++] = zeros;
    }
    return count == 1 ? old : options[choice.choose(choice.argument, count)];
}

static void slot_crash(struct simdisk_slot *slot, struct simdisk_choice choice)
{
    const uint8_t *old = simdisk_page_bytes(slot->durable);
    const uint8_t *new = simdisk_page_bytes(slot->cached);
    struct simdisk_page *page = simdisk_page_new();
    for (unsigned i = 0; i < SIMDISK_PAGE / SIMDISK_SECTOR; i++) {
        size_t at = (size_t)i * SIMDISK_SECTOR;
        const uint8_t *from =
            (slot->dirty >> i & 1U) != 0 ? sector_after(old + at, new + at, choice) : old + at;
        memcpy(page->data + at, from, SIMDISK_SECTOR);
        /* `from` may be the page of zeros: its offset does not matter. */
    }
    simdisk_page_unref(slot->cached);
    simdisk_page_unref(slot->durable);
    slot->cached = page;
    slot->durable = simdisk_page_ref(page);
    slot->dirty = 0;
}

static uint64_t size_after(const struct simdisk_file *file, struct simdisk_choice choice)
{
    if (file->size == file->durable_size) {
        return file->size;
    }
    bool grew = file->size > file->durable_size + 1;
    switch (choice.choose(choice.argument, grew ? 3 : 2)) {
    case 0: return file->durable_size;
    case 1: return file->size;
    default: return file->durable_size + (file->size - file->durable_size) / 2;
    }
}

/* Nothing is kept of a slot beyond the size. */
static void cut_to_size(struct simdisk_file *file)
{
    for (uint32_t i = 0; i < file->slot_count; i++) {
        struct simdisk_slot *slot = &file->slots[i];
        uint64_t begin = (uint64_t)i * SIMDISK_PAGE;
        if (slot->cached == NULL || begin + SIMDISK_PAGE <= file->size) {
            continue;
        }
        struct simdisk_page *page = NULL;
        if (begin < file->size) {
            size_t keep = (size_t)(file->size - begin);
            page = simdisk_page_new();
            memcpy(page->data, slot->cached->data, keep);
            memset(page->data + keep, 0, SIMDISK_PAGE - keep);
        }
        simdisk_page_unref(slot->cached);
        simdisk_page_unref(slot->durable);
        slot->cached = page;
        slot->durable = simdisk_page_ref(page);
    }
}

static void file_crash(struct simdisk_file *file, struct simdisk_choice choice)
{
    bool resized = file->size != file->durable_size;
    for (uint32_t i = 0; i < file->slot_count; i++) {
        struct simdisk_slot *slot = &file->slots[i];
        if (slot->dirty != 0) {
            slot_crash(slot, choice);
        } else if (slot->cached != slot->durable) { /* a sync had failed */
            simdisk_page_unref(slot->cached);
            slot->cached = simdisk_page_ref(slot->durable);
        }
    }
    file->size = size_after(file, choice);
    file->durable_size = file->size;
    file->tainted = false;
    file->mixed = false;
    if (resized) {
        cut_to_size(file);
    }
}

/* What is in a folder whose making was lost is lost. */
static void drop_orphans(struct simdisk_names *names)
{
    for (uint32_t i = 0; i < names->count;) {
        char folder[SIMDISK_NAME] = "";
        const char *slash = strchr(names->items[i].text, '/');
        if (slash != NULL) {
            memcpy(folder, names->items[i].text, (size_t)(slash - names->items[i].text));
        }
        if (slash != NULL && simdisk_names_find(names, folder) < 0) {
            names->items[i] = names->items[--names->count];
        } else {
            i++;
        }
    }
}

static bool has_name(const struct simdisk *disk, int file)
{
    for (uint32_t i = 0; i < disk->now.count; i++) {
        if (disk->now.items[i].file == file) {
            return true;
        }
    }
    return false;
}

void simdisk_crash(struct simdisk *disk, struct simdisk_choice choice)
{
    for (uint32_t i = 0; i < disk->pending_count; i++) {
        if (choice.choose(choice.argument, 2) == 1) {
            simdisk_names_apply(&disk->durable, &disk->pending[i]);
        }
    }
    disk->pending_count = 0;
    drop_orphans(&disk->durable);
    disk->now.count = disk->durable.count;
    memcpy(disk->now.items, disk->durable.items, disk->now.count * sizeof disk->now.items[0]);
    memset(disk->handles, 0, sizeof disk->handles);
    disk->handles_open = 0;
    disk->locked = false;
    for (uint32_t i = 0; i < SIMDISK_FILES; i++) {
        if (disk->files[i].used && has_name(disk, (int)i)) {
            file_crash(&disk->files[i], choice);
        } else {
            simdisk_file_clear(&disk->files[i]);
        }
    }
}

bool simdisk_flip(struct simdisk *disk, const char *name, uint64_t offset, uint8_t mask)
{
    int at = simdisk_names_find(&disk->now, name);
    if (at < 0 || disk->now.items[at].file < 0) {
        return false;
    }
    struct simdisk_file *file = &disk->files[disk->now.items[at].file];
    if (offset >= file->size) {
        return false;
    }
    struct simdisk_slot *slot = simdisk_file_slot(file, offset / SIMDISK_PAGE);
    WEIR_ASSERT(slot->dirty == 0);
    struct simdisk_page *page = simdisk_page_new();
    memcpy(page->data, simdisk_page_bytes(slot->durable), SIMDISK_PAGE);
    page->data[offset % SIMDISK_PAGE] ^= mask;
    simdisk_page_unref(slot->cached);
    simdisk_page_unref(slot->durable);
    slot->durable = page;
    slot->cached = simdisk_page_ref(page);
    return true;
}

uint64_t simdisk_bytes(const struct simdisk *disk, const char *suffix)
{
    uint64_t total = 0;
    size_t tail = strlen(suffix);
    for (uint32_t i = 0; i < disk->now.count; i++) {
        const struct simdisk_name *name = &disk->now.items[i];
        size_t size = strlen(name->text);
        if (name->file >= 0 && size >= tail && strchr(name->text, '/') == NULL &&
            memcmp(name->text + size - tail, suffix, tail) == 0) {
            total += disk->files[name->file].size;
        }
    }
    return total;
}
