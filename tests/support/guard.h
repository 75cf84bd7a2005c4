/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_GUARD_H
#define WEIR_TEST_GUARD_H

/*
 * A copy of some bytes that ends exactly at a page nobody may touch, so that reading one byte too
 * far is a fault in every build, also in code that a sanitizer does not see.
 *
 *   [ page ... | copy ][ PROT_NONE ]
 *              ^ data  ^ data + size
 *
 * Stands alone (no cmocka, no Weir header but bytes.h), so that fuzzers can include it too.
 */
#include "weir/bytes.h"
#include "weir/panic.h"
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard {
    uint8_t *data; /* writable; never NULL, also for size 0 */
    size_t size;
    void *mapping;
    size_t mapping_size;
};

/*
 * A campaign (fuzz/run.sh --fast) keeps its mappings for the next input: three system calls and a
 * page fault cost more than most of what is tried. Elsewhere none is kept, so that a use after
 * guard_free is a fault.
 */
#ifdef WEIR_FUZZ_FAST
#define GUARD_KEPT_MAX 8
#else
#define GUARD_KEPT_MAX 0
#endif

struct guard_kept {
    void *mapping; /* NULL: a free place */
    size_t size;
};

static inline struct guard_kept *guard_kept(void)
{
    static struct guard_kept kept[GUARD_KEPT_MAX + 1]; /* one thread; the last is never used */
    return kept;
}

/* A mapping of this size that was kept, now the caller's, or NULL. */
static inline void *guard_kept_take(size_t size)
{
    struct guard_kept *kept = guard_kept();
    for (int i = 0; i < GUARD_KEPT_MAX; i++) {
        if (kept[i].mapping != NULL && kept[i].size == size) {
            void *mapping = kept[i].mapping;
            kept[i].mapping = NULL;
            return mapping;
        }
    }
    return NULL;
}

/* Keeps a mapping where there is a place for it; else another, or that one, is unmapped. */
static inline void guard_unmap(void *mapping, size_t size)
{
    struct guard_kept *kept = guard_kept();
    struct guard_kept goes = {mapping, size};
    for (int i = 0; i < GUARD_KEPT_MAX && goes.mapping != NULL; i++) {
        struct guard_kept other = kept[i];
        kept[i] = goes;
        goes = other;
    }
    int unmapped = goes.mapping == NULL ? 0 : munmap(goes.mapping, goes.size);
    WEIR_ASSERT(unmapped == 0);
}

/* `room` bytes and behind them a page that nobody may touch. */
static inline void *guard_map(size_t room, size_t page)
{
    void *mapping = guard_kept_take(room + page);
    if (mapping != NULL) {
        return mapping;
    }
    mapping = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WEIR_ASSERT(mapping != MAP_FAILED);
    int protected = mprotect((uint8_t *)mapping + room, page, PROT_NONE);
    WEIR_ASSERT(protected == 0);
    return mapping;
}

static inline struct guard guard_copy(struct weir_bytes bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (bytes.size / page + 1) * page;
    struct guard guard = {.size = bytes.size, .mapping_size = room + page};
    guard.mapping = guard_map(room, page);
    guard.data = (uint8_t *)guard.mapping + room - bytes.size;
    if (bytes.size > 0) {
        memcpy(guard.data, bytes.data, bytes.size);
    }
    return guard;
}

static inline struct weir_bytes guard_view(const struct guard *guard)
{
    return weir_bytes_of(guard->data, guard->size);
}

static inline void guard_free(struct guard *guard)
{
    guard_unmap(guard->mapping, guard->mapping_size);
    *guard = (struct guard){NULL, 0, NULL, 0};
}

#endif
