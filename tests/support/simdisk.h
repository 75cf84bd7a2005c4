/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_SIMDISK_H
#define WEIR_TEST_SIMDISK_H

#include "weir/disk.h"
#include "weir/rand.h"

/*
 * A disk in memory that may lose power at any moment: struct weir_disk_ops for one thread.
 *
 *   file    slots of 4 KiB:  cached ──► what reads and writes see
 *                            durable ─► what a power cut leaves
 *                            dirty      a bit for each 512-byte sector written since the last sync
 *   names   now     what list and open see
 *           durable what a power cut leaves
 *           pending made, renamed, removed since: each is kept or lost by itself
 *
 *   crash:  each dirty sector new, old, or zeros; each size old, new or between; each pending name
 *           operation kept or lost. Who decides is the caller (simdisk_choice).
 *
 * tidy: allow header-functions -- one disk, its copies and its accidents
 *
 * Pages are shared between copies of a disk and copied when written, so simdisk_copy costs a few
 * counters. Faults: the n-th call fails. A failed sync leaves some dirty sectors on the disk, loses
 * others, and calls all of them clean, as Linux does.
 */
#define SIMDISK_SECTOR  512U
#define SIMDISK_FILES   64U
#define SIMDISK_NAMES   64U
#define SIMDISK_PENDING 96U
#define SIMDISK_FOLDERS 6U
#define SIMDISK_HANDLES 32U
#define SIMDISK_NAME    64U

struct simdisk_page;

struct simdisk_slot {
    struct simdisk_page *cached, *durable; /* NULL: zeros */
    unsigned dirty;
    bool direct; /* how it was written last */
};

struct simdisk_file {
    bool used;
    bool tainted; /* a sync failed: whoever writes it or syncs it again breaks the contract */
    bool mixed;   /* a page was written past the cache that held it unsynced */
    uint64_t size, durable_size;
    struct simdisk_slot *slots;
    uint32_t slot_count; /* that may be other than empty */
    uint32_t slots_capacity;
};

struct simdisk_name {
    char text[SIMDISK_NAME];
    int file; /* -1: the name of a folder */
};

struct simdisk_names {
    struct simdisk_name items[SIMDISK_NAMES];
    uint32_t count;
};

enum simdisk_change { SIMDISK_CREATE, SIMDISK_RENAME, SIMDISK_REMOVE };

struct simdisk_pending {
    enum simdisk_change change;
    char from[SIMDISK_NAME], to[SIMDISK_NAME];
    int file;
    bool from_waits, to_waits; /* for their folder's sync */
};

struct simdisk_handle {
    bool used;
    enum weir_disk_mode mode;
    int file;
};

struct simdisk_fault {
    uint64_t at; /* which call, from 1; 0: none */
    int error;   /* errno; 0: reads and writes come up short */
    bool on;     /* from then on */
};

struct simdisk {
    struct simdisk_file files[SIMDISK_FILES];
    struct simdisk_names now, durable;
    struct simdisk_pending pending[SIMDISK_PENDING];
    uint32_t pending_count;
    struct simdisk_handle handles[SIMDISK_HANDLES];
    uint32_t handles_open;
    bool locked;
    uint64_t capacity; /* of the "file system"; 0: no bound */
    struct weir_rand rand;

    struct simdisk_fault fault;
    uint64_t calls;     /* since simdisk_set_fault */
    uint64_t faults;    /* that hit */
    const char *breach; /* of the contract of weir/disk.h by the user; NULL: none */

    /* After each call that changed something. */
    void (*after)(void *argument);
    void *argument;
};

/* Who decides what a crash leaves: a number below `options`. */
struct simdisk_choice {
    unsigned (*choose)(void *argument, unsigned options);
    void *argument;
};

/* An empty disk. Panics when there is no memory, as all of this does: it is only for tests. */
struct simdisk *simdisk_new(uint64_t seed);
void simdisk_free(struct simdisk *disk);

/* Asks for the memory of so many pages now, so that later calls make no use of the allocator. */
void simdisk_reserve(struct simdisk *disk, uint32_t pages);

/* The disk as the code under test sees it. Closing it gives the lock back and nothing else. */
struct weir_disk simdisk_disk(struct simdisk *disk);

/* Makes `to` what `from` is, without its handles, lock, fault and hook. */
void simdisk_copy(struct simdisk *to, const struct simdisk *from);

/* The power goes: what is left is what `choice` says. Handles and lock are gone. */
void simdisk_crash(struct simdisk *disk, struct simdisk_choice choice);

/* Sets the fault, and counts calls anew. */
void simdisk_set_fault(struct simdisk *disk, struct simdisk_fault fault);

/* Damages a clean file: XORs `mask` into the byte at `offset`. False: no such file, or
 * beyond it. */
bool simdisk_flip(struct simdisk *disk, const char *name, uint64_t offset, uint8_t mask);

/* Bytes of all files in the top folder whose names end so, as `now` has it. */
uint64_t simdisk_bytes(const struct simdisk *disk, const char *suffix);

#endif
