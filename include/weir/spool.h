/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SPOOL_H
#define WEIR_SPOOL_H

#include "weir/disk.h"
#include "weir/manifest.h"

/*
 * The spool: accepted requests on disk, until every destination that they are owed to has them.
 *
 *   loops ─jobs─► weir_spool_commit ─► ids: seen before? ─► one write, one sync ─► done(job), each
 *   (any)         the lane's thread                          active segment
 *
 *   exporters ─settle, attempted─► ledger ─notes─► weir_spool_keep ─► release log, recycling,
 *   (any)                          (one lock)      the keeper's thread  zeroing ahead, snapshots
 *
 *   backlog ─weir_backlog_next, _read─► what is owed and not in memory, oldest first
 *
 * Nothing here makes a thread: lane, keeper and backlog are functions to be stepped, with time as
 * an argument, so that a simulator steps them too. The ledger (which record is owed to whom, and
 * what of it is in memory) is behind one lock that no ingest loop ever takes.
 *
 * With WEIR_DURABILITY_DELIVERED and _MEMORY there are no files: the lane only knows request ids,
 * and the ledger, for DELIVERED, what is not delivered yet.
 *
 * Destinations have slots, 0 to 61, which are their bits in `owed` and `live`. They come and go
 * while all of this runs; a name's slot stays the name's as long as anything is owed to it:
 *
 *   FREE ──destination_open──► OPEN ──destination_remove──► GONE ──destination_free──► FREE
 *                                ▲                            │
 *                                └──────destination_open──────┘
 *
 *   OPEN   configured
 *   GONE   removed, or found in a segment's roster and not configured: what it is owed goes to the
 *          dead letter (WEIR_BACKLOG_GONE)
 *   FREE   owed nothing; the next name may have it
 *
 * tidy: allow header-functions -- opening, who comes and goes, the three who step it, the two who
 * ask
 *
 *   I1  done(job) says WEIR_OK only when the record is synced in a segment whose name is durable
 *   I2  a record is released only after each owed destination has settled each of its points; its
 *       segment is reused only after the release log says so durably
 *   I3  bytes on disk <= limit
 *   I4  after a failed write or sync nothing more goes to that file: the same commit goes once to a
 *       new segment; if that fails too the spool has failed, and says so to every job from then on
 *   I5  what is owed to a name goes to that name or to the dead letter under that name, whoever has
 *       its slot later, over crashes too
 */
enum weir_durability { WEIR_DURABILITY_DISK, WEIR_DURABILITY_DELIVERED, WEIR_DURABILITY_MEMORY };

struct weir_now {
    int64_t mono_ns;
    int64_t wall_ns;
};

struct weir_spool_destination {
    const char *name;
    uint64_t share; /* bytes of records that may wait on disk for it alone; 0: no bound */
};

struct weir_spool_options {
    enum weir_durability durability;
    struct weir_disk disk;  /* DISK: the directory, not locked yet; stays the caller's */
    uint64_t limit;         /* DISK: bytes of all segments */
    uint64_t segment_bytes; /* 0: the smaller of 256 MiB and limit / 32, at least 64 KiB */
    uint64_t headroom;      /* space that weir_spool_admits leaves to those admitted before */
    unsigned version;       /* format to write; 0: the newest */
    const struct weir_spool_destination *destinations; /* slots 0, 1, ...; OPEN; copied */
    uint32_t destination_count;                        /* at most 62; names differ */
    int64_t dedupe_window_ns;                          /* 0: no deduplication */
    uint32_t dedupe_entries;
    int64_t delivered_timeout_ns; /* DELIVERED: how long a job waits, from received_ns: 150 s */
    uint64_t seed;                /* salts and hash key, for tests; 0: from the system */
};

/* What a start found. */
struct weir_spool_report {
    uint32_t segments,
        segments_set_aside;            /* of a version that we cannot read, kept in set-aside/ */
    uint64_t records;                  /* unreleased */
    uint64_t torn_records, torn_bytes; /* never acknowledged: cut */
    uint64_t lost_records, lost_bytes; /* acknowledged and damaged: in quarantine/ */
    uint64_t repeats_possible;         /* points that may have been delivered without a note */
};

/* What the lane itself keeps of a job while it has it. */
struct weir_spool_plan {
    struct weir_spool_job *next,
        *twins;      /* of the same commit; repetitions of it in the same list */
    uint64_t key[2]; /* of stream and request id */
    uint64_t lsn, offset, extent;
    uint64_t at;      /* from its commit's begin */
    size_t header_at; /* in the lane's buffer */
    uint32_t header_size;
    bool keyed;    /* has a request id */
    bool in_place; /* whole blocks of its own, from where the body lies */
};

/* A request on its way through the lane; in the submitter's memory until the last callback. */
struct weir_spool_job {
    struct weir_spool_job *next; /* the queue's */
    struct weir_bytes body;      /* as received: unchanged and there until `done` */
    uint8_t *margins; /* NULL, or where the body begins: at a multiple of WEIR_DISK_BLOCK; the block
                         before it and what is left of its last block are the lane's to write until
                         `done`, and nobody else's. For large bodies: up to two blocks of disk more
                         for a write without a copy */
    bool gzip;
    struct weir_bytes request_id, stream, key_name, attributes;
    uint32_t content_crc; /* of the inflated body, with its length */
    uint64_t content_size;
    uint32_t points;
    int64_t received_ns; /* monotonic */
    int64_t received_wall_ns;
    uint64_t owed;               /* bits of destinations, WEIR_OWED_LETTER among them */
    uint64_t live;               /* those of them that have their credit in memory */
    const uint32_t *live_points; /* by destination: points that each live one will get */

    /* Set before `done`: */
    enum weir_status status;    /* OK; EEXIST: seen before, nothing was written; EFULL: no room on
                                   disk or in memory; ELIMIT: its strings fit no record; EIO */
    bool id_reused;             /* OK: the id was seen with another content */
    struct weir_ticket *ticket; /* OK: for the live ones; NULL when nobody keeps accounts */

    /* On the lane's thread, exactly once. */
    void (*done)(struct weir_spool_job *job);
    /* DELIVERED, after a `done` with OK or EEXIST: WEIR_OK when everything owed is settled,
     * WEIR_ETIMEOUT, WEIR_ECLOSED. Any thread, exactly once; may come before `done` returns. */
    void (*delivered)(struct weir_spool_job *job, enum weir_status status);
    struct weir_spool_job *next_waiting; /* the ledger's */
    struct weir_spool_plan plan;         /* the lane's */
};

struct weir_spool;

/* Locks the directory, reads what is there, and is ready for new commits; nothing that is wrong
 * with a file stops it. *ret_report is set in any case. WEIR_EEXIST: another process has the
 * directory; WEIR_EFULL: not even one segment fits; WEIR_EIO, WEIR_EDENIED, WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_spool_open(const struct weir_spool_options *options,
                                               struct weir_now now,
                                               struct weir_spool_report *ret_report,
                                               struct weir_spool **ret);

/* Ends: a last note, files closed, lock given back. Threads have ended, tickets are settled or
 * kept, waiting jobs get WEIR_ECLOSED. NULL is nothing. */
void weir_spool_close(struct weir_spool *spool, struct weir_now now);

/* Slot of the destination with this name, which is OPEN from now on: its own where it has one
 * (OPEN: only its share changes; GONE: with all that it is still owed), else a FREE one. Requests
 * may be owed to it when this has returned. The name is copied. WEIR_EFULL: no slot is FREE;
 * WEIR_EINVAL: a name has 1 to 64 bytes. Any thread, while all others run. */
WEIR_MUST_USE enum weir_status
weir_spool_destination_open(struct weir_spool *spool,
                            const struct weir_spool_destination *destination, uint32_t *ret_slot);

/* The name of an OPEN or GONE slot below 62, copied to `ret` (65 bytes). False: it is FREE. Any
 * thread. */
bool weir_spool_destination_name(struct weir_spool *spool, uint32_t slot, char *ret);

/* An OPEN (or GONE) slot is GONE: what waits for it, and what becomes KEPT later, goes to the dead
 * letter. Jobs that were decided before may still come with its bit. Any thread. */
void weir_spool_destination_remove(struct weir_spool *spool, uint32_t slot);

/* A GONE slot (asserted) is FREE when nothing is owed to it any more, and no ticket for it is out.
 * WEIR_EAGAIN: not yet. The caller has seen to it that no job with its bit is still to be
 * committed, or being committed. Any thread. */
WEIR_MUST_USE enum weir_status weir_spool_destination_free(struct weir_spool *spool, uint32_t slot);

/* Takes all jobs of a list through one commit and calls `done` for each. The lane's thread. */
void weir_spool_commit(struct weir_spool *spool, struct weir_spool_job *jobs, struct weir_now now);

/* One step of the keeper: notes to the release log (one sync), segments recycled, a piece of
 * zeroing ahead, timeouts. *ret_wake_ns: when to come again at the latest (monotonic;
 * now: there is more to do). WEIR_EIO: the spool has failed. The keeper's thread. */
WEIR_MUST_USE enum weir_status weir_spool_keep(struct weir_spool *spool, struct weir_now now,
                                               int64_t *ret_wake_ns);

/* Whether a request of `size` bytes may be let in: the disk has room beyond the headroom, and the
 * spool has not failed. Any thread; relaxed. */
bool weir_spool_admits(const struct weir_spool *spool, uint64_t size);

/* Who is told of batches. Any thread may call it. */
struct weir_settler weir_spool_settler(struct weir_spool *spool);

#define WEIR_SPOOL_LETTER UINT32_C(63)

/* Settles all that is left of a ticket for one destination: not a batch, but the whole record went
 * to the dead letter, its quarantined parts did (`destination`: WEIR_SPOOL_LETTER), nothing of it
 * is wanted there any more, or (KEPT) it did not get into memory after all. The ticket may be gone
 * afterwards. Any thread. */
void weir_spool_settle(struct weir_spool *spool, struct weir_ticket *ticket, uint32_t destination,
                       enum weir_settlement settlement);

struct weir_spool_stat {
    uint64_t bytes, limit;        /* of all segments */
    uint64_t owed_bytes;          /* of unreleased records */
    uint64_t records;             /* unreleased */
    int64_t oldest_wall_ns;       /* of them; 0: none */
    uint64_t open, gone;          /* slots, as bits; in neither: FREE. 62 is always GONE */
    uint64_t backlog_records[64]; /* by destination: owed and not in memory; 62: all GONE ones */
    uint64_t backlog_bytes[64];
    uint32_t ids;
    bool failed;
};

/* From now on no job waits for its delivery: those that do get WEIR_ECLOSED, later ones at once.
 * For a stop with WEIR_DURABILITY_DELIVERED. Any thread. */
void weir_spool_dismiss(struct weir_spool *spool);

/* A look at it. Any thread; takes the ledger's lock. */
void weir_spool_look(struct weir_spool *spool, struct weir_spool_stat *ret);

#endif
