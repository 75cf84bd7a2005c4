/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_IDS_H
#define WEIR_IDS_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * The requests of the last hours, so that a retry of one is recognised: a bounded table of
 * (delivery stream, request id) -> content and time. Pure; the lane's alone.
 *
 *   key      128-bit keyed hash of stream and id (the key is the spool's: kept in its release log)
 *   content  CRC-32 and length of the inflated body
 *
 *   slots  [ . | k7 c t | . | k2 c t | k9 c t | . ]    open addressing
 *   order  k2 ─► k7 ─► k9                               oldest first: expiry and eviction
 *
 *   I1  at most `capacity` entries; the oldest goes first, counted by the caller
 *   I2  an entry older than the window is as if it were not there
 *   I3  a time that steps back makes nothing younger than it was at the last add or expire
 */
struct weir_ids;

struct weir_id {
    uint64_t key[2];
    uint32_t content_crc;
    uint64_t content_size;
    int64_t wall_ns; /* of the commit */
    uint64_t lsn;
};

enum weir_ids_verdict {
    WEIR_IDS_NEW,
    WEIR_IDS_REPEATED, /* committed before: same stream, id and content */
    WEIR_IDS_OTHER     /* same stream and id, but another content: new all the same, and counted */
};

/* An empty table for 1 to 2^30 entries; its memory is asked for here, and touched as it fills.
 * WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_ids_new(uint32_t capacity, int64_t window_ns,
                                            const uint64_t hash_key[2], struct weir_ids **ret);
void weir_ids_free(struct weir_ids *ids);

/* The key of a stream and a request id. An empty id has no key worth keeping: the caller skips
 * it. */
void weir_ids_key(const struct weir_ids *ids, struct weir_bytes stream, struct weir_bytes id,
                  uint64_t ret_key[2]);

/* Looks `id` up by key and content; *ret_found is the entry on REPEATED and OTHER. O(1). */
enum weir_ids_verdict weir_ids_look(const struct weir_ids *ids, const struct weir_id *id,
                                    int64_t wall_ns, struct weir_id *ret_found);

/* Adds a committed one; true when an entry still within the window had to go for it. One of the
 * same key and another content stays beside it; of the same content the older one stays alone,
 * with the new lsn (a log may say a thing twice; what nobody took is accepted anew). O(1), and
 * what expires. */
bool weir_ids_add(struct weir_ids *ids, const struct weir_id *id);

/* Drops what is older than the window. O(dropped). */
void weir_ids_expire(struct weir_ids *ids, int64_t wall_ns);

/* Calls `visit` for every entry, oldest first: for the snapshot. */
void weir_ids_each(const struct weir_ids *ids,
                   void (*visit)(void *argument, const struct weir_id *id), void *argument);

/* Entries now. */
uint32_t weir_ids_count(const struct weir_ids *ids);

#endif
