/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_SIMDISK_INTERNAL_H
#define WEIR_TEST_SIMDISK_INTERNAL_H

#include "simdisk.h"

/* Pages, and what the parts of the simulated disk share. */
#define SIMDISK_PAGE ((size_t)4096)

struct simdisk_page {
    struct simdisk_page *next_free;
    uint32_t refs;
    uint8_t data[SIMDISK_PAGE];
};

/* A page of undefined content with one reference. */
struct simdisk_page *simdisk_page_new(void);
struct simdisk_page *simdisk_page_ref(struct simdisk_page *page);
void simdisk_page_unref(struct simdisk_page *page);

/* What reads of a slot see; NULL as zeros. */
const uint8_t *simdisk_page_bytes(const struct simdisk_page *page);

/* Slot `index` of a file, made if absent. */
struct simdisk_slot *simdisk_file_slot(struct simdisk_file *file, uint64_t index);

/* The file's content is gone, cached and durable. */
void simdisk_file_clear(struct simdisk_file *file);

/* Index in `names`, or -1. */
int simdisk_names_find(const struct simdisk_names *names, const char *text);

/* Applies one change to `names`. */
void simdisk_names_apply(struct simdisk_names *names, const struct simdisk_pending *change);

/* Counts the call; < 0: the errno it fails with. *ret_short: it is to come up short. */
int simdisk_enter(struct simdisk *disk, bool *ret_short);

/* Calls the hook. */
void simdisk_changed(struct simdisk *disk);

/* Whether a direct transfer may be so; and what a short write of `total` bytes moves: a direct one
 * whole blocks. */
bool simdisk_is_aligned(const struct iovec *parts, int count, uint64_t offset);
size_t simdisk_shortened(size_t total, bool direct);

/* The calls of the table that are about names. */
int simdisk_op_open(void *self, const char *name, enum weir_disk_mode mode);
int simdisk_op_rename(void *self, const char *from, const char *to);
int simdisk_op_remove(void *self, const char *name);
int simdisk_op_make_directory(void *self, const char *name);
int simdisk_op_sync_directory(void *self, const char *name);
int simdisk_op_list(void *self, const char *name, void (*visit)(void *argument, const char *name),
                    void *argument);

#endif
