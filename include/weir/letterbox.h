/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LETTERBOX_H
#define WEIR_LETTERBOX_H

#include "weir/disk.h"
#include "weir/letter.h"
#include "weir/region.h"

/*
 * The dead letter: what no backend will take, on disk, in files that `weir replay` and anything
 * that reads Firehose's backups can read.
 *
 *   exporters, pipeline ─put─► queue ─► its own thread: lines, one sync ─► done(letter)
 *                                       │ over the limit:  reject: full, nothing is written
 *                                       │                  evict: the oldest file goes, counted
 *                                       └ a write failed: a new file, once; then WEIR_EIO
 *
 *   weir-dead-letter-2026-11-22T00-14-44Z-0001.ndjson   append-only; a new one when one is full,
 *                                                       at a start, and after a failure
 *
 *   I1  done(letter) says WEIR_OK only when its lines are synced in a file whose name is durable
 *   I2  bytes of all files <= limit, but for one letter that alone is larger with `evict`
 *   I3  a letter's lines are in one file, one after another
 */
enum weir_letter_kind {
    WEIR_LETTER_OTLP,   /* payload: an ExportMetricsServiceRequest; cut at points into records of at
                           most WEIR_LETTER_DATA_MAX bytes, each delimited by its length as Firehose
                           has it */
    WEIR_LETTER_RECORD, /* payload: a record as Firehose sent it, or a line or message of one */
    WEIR_LETTER_BODY    /* payload: a whole request body that does not decode: cut anywhere */
};

struct weir_letter {
    struct weir_letter *next; /* the queue's */
    enum weir_letter_kind kind;
    struct weir_bytes payload; /* the sender's, until `done` */
    bool gzip;                 /* BODY */
    const char *destination;   /* "" for none */
    const char *reason;
    char message[256];
    char request_id[128];
    char stream[256];
    uint32_t attempts;
    uint32_t points; /* for counting; 0 unknown */
    uint32_t lines;  /* set before `done`: that it became */
    int64_t arrival_wall_ns, ending_wall_ns;
    /* On the letterbox's thread, exactly once; the letter is the sender's again. WEIR_OK;
     * WEIR_EFULL: reject, and there is no room; WEIR_EIO. */
    void (*done)(struct weir_letter *letter, enum weir_status status);
    void *user;
};

struct weir_letterbox_options {
    struct weir_disk disk;
    uint64_t limit;
    bool evict;
    uint64_t file_bytes; /* 0: the smaller of 64 MiB and an eighth of the limit, at least 64 KiB */
    int64_t (*wall_ns)(void); /* NULL: weir_clock_wall_ns */
};

struct weir_letterbox;

/* Takes stock of the files that are there; locks the directory. WEIR_EEXIST: another process has
 * it; WEIR_EIO, WEIR_EDENIED, WEIR_ENOMEM. The disk stays the caller's, its lock too. */
WEIR_MUST_USE enum weir_status weir_letterbox_open(const struct weir_letterbox_options *options,
                                                   struct weir_letterbox **ret);

/* Starts the thread. Without it, weir_letterbox_step does the work: tests, the simulator. */
WEIR_MUST_USE enum weir_status weir_letterbox_start(struct weir_letterbox *letterbox);

/* Hands a letter over. Any thread; never blocks, never fails: it ends in `done`. */
void weir_letterbox_put(struct weir_letterbox *letterbox, struct weir_letter *letter);

/* Writes all letters that wait, with one sync, and calls their `done`. A thread with a metrics
 * slab. */
void weir_letterbox_step(struct weir_letterbox *letterbox);

/* Writes what waits (a thread with a metrics slab, where none was started), ends the thread,
 * closes. NULL is nothing. */
void weir_letterbox_close(struct weir_letterbox *letterbox);

struct weir_letterbox_stat {
    uint64_t bytes, limit;
    uint64_t lines;
    uint64_t evicted_files, evicted_bytes;
    bool full;
    bool failed;
};
/* The numbers now; `full`: a letter was refused for want of room, and there still is none for it
 * (requests are then answered 503); `failed`: the last one could not be written. Any thread;
 * relaxed. */
struct weir_letterbox_stat weir_letterbox_look(const struct weir_letterbox *letterbox);

#endif
