/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_MANIFEST_H
#define WEIR_MANIFEST_H

#include "weir/pool.h"
#include "weir/status.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * Which points of which accepted requests are in a batch, so that the spool learns what became of
 * them: the batch's references to records.
 *
 *   batch ──► manifest: [ticket 7: points 0..400) [ticket 7: 900..1000) [ticket 9: 0..1200) ...
 *
 * Points of a request are numbered in the order of its runs (weir/collect.h); decoding the same
 * bytes again numbers them the same, in this process and in every later one. A batch cut in halves
 * (413) leaves both halves with the one manifest; it is settled when the last one ends. One outcome
 * for all of it: KEPT when any half was kept.
 *
 *   I1  a manifest is settled exactly once, by whoever drops its last reference
 *   I2  parts of one ticket that follow each other without a gap are one part
 */
struct weir_ticket; /* the spool's */

enum weir_settlement {
    WEIR_SETTLED, /* delivered, or in the dead letter and durable there */
    WEIR_KEPT     /* neither: it stays on disk, and comes again later */
};

struct weir_part {
    struct weir_ticket *ticket;
    uint32_t begin, end; /* points of the record */
};

struct weir_manifest {
    _Atomic uint32_t refs;
    _Atomic bool kept;
    uint32_t destination;
    uint32_t count, capacity;
    struct weir_part *parts; /* grown; kept when it goes back to its pool, unless large */
};

/* Who is told. Any thread; must not block for long. */
struct weir_settler {
    /* The last reference was dropped. The manifest is the caller's again afterwards. */
    void (*settle)(void *self, const struct weir_manifest *manifest,
                   enum weir_settlement settlement);
    /* An attempt for these points failed and will be repeated; so much of the retry window is
     * used. A window that was opened anew has used 0. */
    void (*attempted)(void *self, const struct weir_manifest *manifest, int64_t used_ns);
    void *self;
};

/* Makes a manifest from the pool an empty one with one reference. */
void weir_manifest_open(struct weir_manifest *manifest, uint32_t destination);

/* Makes sure of room for one more part, so that the next weir_manifest_add cannot fail.
 * WEIR_ENOMEM: nothing changed. */
WEIR_MUST_USE enum weir_status weir_manifest_make_room(struct weir_manifest *manifest);

/* Adds points [begin, end) of a ticket's record. NULL tickets and empty ranges are nothing
 * (WEIR_OK). WEIR_ENOMEM: nothing changed. One thread, before the batch is closed. */
WEIR_MUST_USE enum weir_status weir_manifest_add(struct weir_manifest *manifest,
                                                 struct weir_ticket *ticket, uint32_t begin,
                                                 uint32_t end);

/* One more holder: the second half of a batch, a letter. Any holder. */
void weir_manifest_ref(struct weir_manifest *manifest);

/* Where manifests come from and who is told of their end; outlives them. */
struct weir_manifests {
    struct weir_pool *pool;      /* of weir_manifest_size() bytes, done = weir_manifest_done */
    struct weir_settler settler; /* zeroed: nobody keeps accounts (durability: memory) */
};

/* A holder is done. The last one tells the settler, unless there are no parts to tell of, and gives
 * the manifest back to its pool. NULL is nothing. Any thread. */
void weir_manifest_unref(struct weir_manifest *manifest, const struct weir_manifests *home,
                         enum weir_settlement settlement);

/* Size and end of a manifest, for weir_pool_new. */
size_t weir_manifest_size(void);
void weir_manifest_done(void *manifest);

#endif
