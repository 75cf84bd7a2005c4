/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SPOOL_SPOOL_INTERNAL_H
#define WEIR_SPOOL_SPOOL_INTERNAL_H

#include "ledger.h"
#include "slots.h"
#include "weir/ids.h"
#include "weir/panic.h"
#include "weir/pool.h"
#include "weir/segment.h"
#include "weir/spool.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

/*
 * What the spool's parts share. Who touches what:
 *
 *   lane's thread      lane, active (also weir_spool_open and _close, when no thread runs)
 *   keeper's thread    notes, keeper
 *   backlog's thread   reader
 *   both, ids_lock     ids
 *   both, files_lock   spans, epochs, disk_free, quarantine_bytes
 *   any, slots_lock    slots, roster_next; taken before the ledger's mutex, never inside it
 *   any                ledger and segments (their own locks), the atomics
 */
enum {
    SPOOL_IOV = 1024,         /* IOV_MAX of Linux */
    SPOOL_LEAVING_MAX = 64,   /* segments that wait for a directory's sync */
    SPOOL_STAGING = 256 << 10 /* what small records of a commit are put together in */
};

#define SPOOL_NAME_QUARANTINE "quarantine"
#define SPOOL_NAME_SET_ASIDE  "set-aside"
#define SPOOL_EPOCH_SHIFT     40

/* Which sequence numbers a segment holds, as far as that is known: for WEIR_NOTE_SEGMENT. */
struct weir_span_of_segment {
    uint64_t segment, first, last; /* last 0: still being filled */
};

/* Up to where an epoch's sequence numbers are proven to have been durable. */
struct weir_epoch {
    uint64_t epoch, durable;
};

struct weir_spool_lane {
    struct weir_buf headers; /* of one commit's records; kept */
    struct iovec parts[SPOOL_IOV];
    uint8_t *staging; /* DISK: SPOOL_STAGING bytes, aligned as a direct write wants it */
    struct weir_spool_job **twins; /* by request id: those of one list; kept */
    size_t twin_slots;             /* a power of two */
    uint64_t next_lsn;
    uint64_t durable;                 /* the highest one */
    struct weir_frame_segment roster; /* as new segments name their slots */
    uint64_t roster_seen;             /* of roster_changes */
    uint64_t renamed; /* slots that the active segment names otherwise than `roster` */
    bool cached;      /* a write past the page cache failed: none is made any more */
    bool series_known;
    uint32_t series_commit, series_batch, series_committed, series_full, series_failed,
        series_deduplicated, series_reused, series_evicted, series_failures;
};

struct weir_spool_reader { /* the backlog's */
    uint64_t segment;      /* whose file is open */
    int file;              /* -1: none */
    uint64_t failed_lsn;   /* what could not be read last, and how often in a row */
    unsigned failures;
};

struct weir_spool_keeper {
    struct weir_ledger_segment
        *leaving[SPOOL_LEAVING_MAX]; /* released, name not yet durably gone */
    uint32_t leaving_count;
    bool series_known;
    uint32_t series_lost, series_torn, series_failures;
    struct weir_buf notes;
    struct weir_buf snapshot; /* kept unless large */
    unsigned log_failures;    /* of the release log, in a row */
    bool log_full;            /* there was no room for it */
};

struct weir_spool {
    enum weir_durability durability;
    struct weir_disk disk;
    uint64_t limit, segment_bytes, headroom;
    unsigned version;
    uint64_t seed;
    int64_t dedupe_window_ns;
    uint32_t dedupe_entries;
    pthread_mutex_t slots_lock;
    struct weir_slots slots;               /* MEMORY; else the ledger's count */
    struct weir_frame_segment roster_next; /* DISK: the names of the slots as of now */
    _Atomic uint64_t roster_changes; /* weir_spool_destination_open ─► lane: of roster_next */

    struct weir_ledger *ledger; /* NULL: MEMORY */
    pthread_mutex_t ids_lock;
    struct weir_ids *ids; /* NULL: no deduplication */

    struct weir_notes *notes;   /* DISK, as all below */
    struct weir_pool *attempts; /* buffers for the notes of what begins, of any thread */
    pthread_mutex_t files_lock;
    struct weir_segments *segments;
    struct weir_span_of_segment *spans; /* of the segments that hold records, by number */
    uint32_t span_count, span_capacity;
    struct weir_epoch *epochs; /* of earlier lives */
    uint32_t epoch_count, epoch_capacity;
    uint64_t disk_free;

    struct weir_segment active;
    struct weir_ledger_segment *active_account; /* NULL: none is active */
    uint32_t active_records;

    struct weir_spool_lane lane;
    struct weir_spool_keeper keeper;
    struct weir_spool_reader reader;
    uint64_t quarantine_bytes; /* files_lock; UINT64_MAX: not counted yet */

    _Atomic uint64_t free_bytes;  /* lane, keeper ─► weir_spool_admits */
    _Atomic uint64_t disk_bytes;  /* lane, keeper ─► weir_spool_look */
    _Atomic uint64_t lost, torn;  /* open, backlog ─► keeper, who counts */
    _Atomic uint64_t active_room; /* lane ─► whoever works out free_bytes */
    _Atomic bool failed;          /* lane, keeper ─► everybody */
};

static inline void spool_lock(pthread_mutex_t *lock)
{
    int locked = pthread_mutex_lock(lock);
    WEIR_ASSERT(locked == 0);
}

static inline void spool_unlock(pthread_mutex_t *lock)
{
    int unlocked = pthread_mutex_unlock(lock);
    WEIR_ASSERT(unlocked == 0);
}

/* -- spool.c -- */

/* "0000000000000003.segment", with a folder before it where that is not NULL. */
void weir_spool_segment_name(uint64_t number, const char *folder, char out[WEIR_DISK_NAME_MAX]);

/* Whether the spool has failed for good; and saying so, once. */
bool weir_spool_has_failed(const struct weir_spool *spool);
void weir_spool_fail(struct weir_spool *spool, const char *what);

/* Works out and publishes what weir_spool_admits and _look ask for. */
void weir_spool_publish(struct weir_spool *spool);

/* Sets, or with `forget` drops, what is known of a segment's sequence numbers, and notes it. Takes
 * files_lock. */
void weir_spool_span(struct weir_spool *spool, const struct weir_span_of_segment *span);

/* The same without note and lock; a `first` of 0 keeps the one that is known. False: no memory. */
bool weir_spool_span_remember(struct weir_spool *spool, struct weir_span_of_segment *span);
void weir_spool_span_forget(struct weir_spool *spool, uint64_t segment);

/* -- destinations.c -- */

/* The names that the spool begins with. */
void weir_spool_slots_init(struct weir_spool *spool, const struct weir_spool_options *options);

/* Takes over what has changed of the names, and works out `renamed`. The lane's thread. */
void weir_spool_roster_follow(struct weir_spool *spool);

/* -- recover.c -- */

/* Reads directory and release log; fills everything of DISK. */
WEIR_MUST_USE enum weir_status weir_spool_recover(struct weir_spool *spool, struct weir_now now,
                                                  struct weir_spool_report *report);

/* -- lane_write.c -- */

/* Takes jobs chained by plan.next, at most a segment's worth, through one write and one sync.
 * WEIR_OK: durable and booked. WEIR_EFULL: nothing was written. WEIR_EIO: the spool has failed. */
WEIR_MUST_USE enum weir_status weir_lane_write(struct weir_spool *spool,
                                               struct weir_spool_job *jobs, uint32_t count,
                                               uint64_t size);

/* Lays a job, whose header is measured, behind the `size` bytes that its commit has so far: sets
 * its place there. The commit's bytes with it. */
uint64_t weir_lane_lay(struct weir_spool_job *job, uint64_t size);

/* Ends the active segment, if there is one; `cut`: it is not filled any more. */
void weir_lane_seal(struct weir_spool *spool, bool cut);

/* -- quarantine.c -- */

/* Copies bytes of a segment to quarantine/<segment>-<offset>; bounded. A failure is only logged. */
void weir_quarantine_range(struct weir_spool *spool, uint64_t segment, uint64_t offset,
                           uint64_t size);

/* Moves a whole file of the spool's directory into a folder below it. */
void weir_quarantine_move(struct weir_spool *spool, const char *name, const char *folder);

/* -- keep.c -- */

/* Writes what waits of notes: as they are, or as a snapshot. WEIR_EIO: the spool has failed. */
WEIR_MUST_USE enum weir_status weir_keep_notes(struct weir_spool *spool);

#endif
