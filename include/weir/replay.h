/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_REPLAY_H
#define WEIR_REPLAY_H

#include "weir/disk.h"
#include "weir/source.h"

/*
 * Files as requests again: whatever weir/source.h can read, packed into Firehose bodies.
 *
 *   path ─► files, sorted ─► pieces ─┬─► records of one destination and stream ─► a body of up to
 *                                    │   about 1 MiB, 500 records                      │
 *                                    └─► a whole body, as it is ───────────────────────┴─► submit
 *
 *   request id  <32 hex digits: the file's content> - <hex: where in it the first piece begins>
 *
 * So the same file gives the same ids with the same content, and the table of ids of who takes them
 * knows a repetition. How far each file was taken is kept too, in the file "replay-positions".
 *
 *   I1  a position is noted only after `submit` has said WEIR_OK or WEIR_EEXIST for all before it,
 *       or what could not be submitted was told
 *   I2  a body holds pieces of one file, destination and stream
 */
#define WEIR_REPLAY_FILE_MAX    ((size_t)512 << 20) /* of a file, inflated */
#define WEIR_REPLAY_BODY_BYTES  ((size_t)1 << 20)
#define WEIR_REPLAY_RECORDS_MAX UINT32_C(500)

struct weir_replay_item {
    struct weir_bytes body;
    bool gzip;
    char request_id[64];
    struct weir_bytes destination; /* empty: all of them */
    struct weir_bytes stream;      /* "replay" where none is known */
    uint32_t records;
    const char *path;
    size_t offset;
};

struct weir_replay_stat {
    uint64_t files, files_done_before;
    uint64_t records, bytes; /* of their data */
    uint64_t submissions, repeated, refused, unknown_destination;
    uint64_t damaged; /* pieces that cannot be read, files too */
    const char *path; /* the one at hand, or NULL */
    size_t size, offset;
};

struct weir_replay_ops {
    /* Makes a request durable, waiting as long as it takes. WEIR_OK; WEIR_EEXIST: seen before;
     * WEIR_EMALFORMED: refused for good, *ret_words say why; WEIR_ENOTFOUND: no such destination;
     * anything else ends the replay. */
    enum weir_status (*submit)(void *self, const struct weir_replay_item *item,
                               const char **ret_words);
    /* Something that was not submitted, for a person. */
    void (*tell)(void *self, const char *path, size_t offset, const char *words);
    /* Now and then; may be NULL. */
    void (*progress)(void *self, const struct weir_replay_stat *stat);
    bool (*stopped)(void *self); /* somebody wants an end; may be NULL */
    int64_t (*now_ns)(void *self);
    void (*sleep_ns)(void *self, int64_t ns);
};

struct weir_replay_options {
    const struct weir_replay_ops *ops;
    void *self;
    const struct weir_disk *disk; /* where positions are kept; NULL: nowhere */
    bool restart;                 /* forget them */
    bool dry_run;                 /* count only: `submit` is not called, no position is noted */
    uint64_t rate_bytes;          /* a second, of data; 0: no bound */
    uint64_t rate_records;
};

struct weir_replay;

/* WEIR_ENOMEM; WEIR_EIO: the positions cannot be read. The options are copied. */
WEIR_MUST_USE enum weir_status weir_replay_new(const struct weir_replay_options *options,
                                               struct weir_replay **ret);

/* Notes the positions durably, and frees. NULL is nothing. */
void weir_replay_free(struct weir_replay *replay);

/* Takes a file, or all files below a folder in the order of their names; symbolic links below it
 * are not followed. WEIR_OK also where some of it could not be taken: told, and counted.
 * WEIR_ECLOSED: stopped. Else what `submit` ended with, or WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_replay_path(struct weir_replay *replay, const char *path);

/* The numbers so far. */
struct weir_replay_stat weir_replay_look(const struct weir_replay *replay);

#endif
