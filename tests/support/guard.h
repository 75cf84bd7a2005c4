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
#include <sys/mman.h>
#include <unistd.h>

struct guard {
    uint8_t *data; /* writable; never NULL, also for size 0 */
    size_t size;
    void *mapping;
    size_t mapping_size;
};

static inline struct guard guard_copy(struct weir_bytes bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (bytes.size / page + 1) * page;
    struct guard guard = {.size = bytes.size, .mapping_size = room + page};
    guard.mapping =
        mmap(NULL, guard.mapping_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WEIR_ASSERT(guard.mapping != MAP_FAILED);
    int protected = mprotect((uint8_t *)guard.mapping + room, page, PROT_NONE);
    WEIR_ASSERT(protected == 0);
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
    int unmapped = munmap(guard->mapping, guard->mapping_size);
    WEIR_ASSERT(unmapped == 0);
    *guard = (struct guard){NULL, 0, NULL, 0};
}

#endif
