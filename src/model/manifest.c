/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/manifest.h"
#include "weir/mem.h"
#include "weir/panic.h"

#include <stdatomic.h>

/* A manifest takes so many parts (256 KiB) to its pool, where nobody pays for them: the pool is
 * small. A batch of full buffers has some hundreds, one for each run at most; requests of a
 * thousand points have runs of a few, and a batch of those some thousands. */
enum { PARTS_INITIAL = 16, PARTS_KEPT = 16384 };

void weir_manifest_open(struct weir_manifest *manifest, uint32_t destination)
{
    /* relaxed, both: it is nobody else's yet */
    atomic_store_explicit(&manifest->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&manifest->kept, false, memory_order_relaxed);
    manifest->destination = destination;
    manifest->count = 0;
}

enum weir_status weir_manifest_make_room(struct weir_manifest *manifest)
{
    if (manifest->count < manifest->capacity) {
        return WEIR_OK;
    }
    uint32_t larger = 0;
    if (__builtin_mul_overflow(manifest->capacity, 2, &larger)) {
        return WEIR_ENOMEM;
    }
    larger = larger < PARTS_INITIAL ? PARTS_INITIAL : larger;
    struct weir_part *parts = weir_mem_resize(manifest->parts, larger, sizeof(*parts));
    if (parts == NULL) {
        return WEIR_ENOMEM;
    }
    manifest->parts = parts;
    manifest->capacity = larger;
    return WEIR_OK;
}

enum weir_status weir_manifest_add(struct weir_manifest *manifest, struct weir_ticket *ticket,
                                   uint32_t begin, uint32_t end)
{
    WEIR_ASSERT(begin <= end);
    if (ticket == NULL || begin == end) {
        return WEIR_OK;
    }
    if (manifest->count > 0) {
        struct weir_part *last = &manifest->parts[manifest->count - 1];
        if (last->ticket == ticket && last->end == begin) {
            last->end = end;
            return WEIR_OK;
        }
    }
    WEIR_TRY(weir_manifest_make_room(manifest));
    manifest->parts[manifest->count++] = (struct weir_part){ticket, begin, end};
    return WEIR_OK;
}

void weir_manifest_ref(struct weir_manifest *manifest)
{
    /* relaxed: the caller holds a reference already, so nobody can be dropping the last one */
    uint32_t before = atomic_fetch_add_explicit(&manifest->refs, 1, memory_order_relaxed);
    WEIR_ASSERT(before > 0);
    WEIR_ASSERT(before < UINT32_MAX);
}

void weir_manifest_unref(struct weir_manifest *manifest, const struct weir_manifests *home,
                         enum weir_settlement settlement)
{
    if (manifest == NULL) {
        return;
    }
    if (settlement == WEIR_KEPT) {
        /* relaxed: ordered by the release of refs below */
        atomic_store_explicit(&manifest->kept, true, memory_order_relaxed);
    }
    /* acq_rel: the last holder sees what the others did before they dropped theirs */
    uint32_t before = atomic_fetch_sub_explicit(&manifest->refs, 1, memory_order_acq_rel);
    WEIR_ASSERT(before > 0);
    if (before > 1) {
        return;
    }
    if (manifest->count > 0 && home->settler.settle != NULL) {
        /* relaxed: ordered by the acquire above */
        bool kept = atomic_load_explicit(&manifest->kept, memory_order_relaxed);
        home->settler.settle(home->settler.self, manifest, kept ? WEIR_KEPT : WEIR_SETTLED);
    }
    if (manifest->capacity > PARTS_KEPT) {
        weir_manifest_done(manifest);
    }
    weir_pool_give(home->pool, manifest);
}

size_t weir_manifest_size(void)
{
    return sizeof(struct weir_manifest);
}

void weir_manifest_done(void *manifest)
{
    struct weir_manifest *own = manifest;
    weir_mem_free(own->parts);
    own->parts = NULL;
    own->count = 0;
    own->capacity = 0;
}
