/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LETTERBOX_INTERNAL_H
#define WEIR_LETTERBOX_INTERNAL_H

#include "weir/letterbox.h"
#include "weir/thread.h"
#include <pthread.h>
#include <stdatomic.h>

/* letterbox.c has the queue and the thread; letterbox_write.c decides what is written where, and
 * what happens when that fails; letter_cut.c makes lines of a letter; letter_files.c knows the
 * files. */

/* A letter as lines. */
struct weir_letter_piece {
    struct weir_buf own; /* what `data` views, where it is not the letter's payload */
    struct weir_bytes data;
    uint32_t part, parts;
};

struct weir_letter_cut {
    const struct weir_letter *letter;
    struct weir_letter_piece *pieces;
    uint32_t count, capacity;
};

/* Cuts a letter, which must stay. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_letter_cut_init(struct weir_letter_cut *cut,
                                                    const struct weir_letter *letter);
void weir_letter_cut_done(struct weir_letter_cut *cut);

/* Line number `index` of cut->count. */
struct weir_letter_line weir_letter_cut_line(const struct weir_letter_cut *cut, uint32_t index);

/* The files, oldest first; the current one, where there is one, is the last. */
struct weir_letter_file {
    char name[64];
    uint64_t bytes;
};

struct weir_letter_files {
    const struct weir_disk *disk;
    struct weir_letter_file *items;
    uint32_t count, capacity;
    uint64_t bytes;  /* of all */
    int current;     /* handle; -1: none */
    uint64_t synced; /* of the current one */
    bool name_durable;
    uint32_t number; /* of the last name that was given */
};

/* Takes stock: the directory's files as they are now. WEIR_EIO, WEIR_EDENIED, WEIR_ENOMEM: nothing
 * has changed. */
WEIR_MUST_USE enum weir_status weir_letter_files_stock(struct weir_letter_files *files);

/* Begins a file; there is none current. */
WEIR_MUST_USE enum weir_status weir_letter_files_begin(struct weir_letter_files *files,
                                                       int64_t wall_ns);

/* Appends to the current file. After a failure it must be abandoned. */
WEIR_MUST_USE enum weir_status weir_letter_files_append(struct weir_letter_files *files,
                                                        struct weir_bytes bytes);

/* Makes the current file durable, its name too. After a failure it must be abandoned. */
WEIR_MUST_USE enum weir_status weir_letter_files_sync(struct weir_letter_files *files);

/* Ends the current file: `whole`: all of it is synced; else it is cut back to what is. None is
 * nothing. */
void weir_letter_files_end(struct weir_letter_files *files, bool whole);

/* Removes the oldest file, which is not the current one; its bytes. */
uint64_t weir_letter_files_evict(struct weir_letter_files *files);

struct weir_letterbox {
    struct weir_letterbox_options options;
    struct weir_letter_files files;
    struct weir_letter *pending, **pending_end;
    uint64_t pending_bytes;
    uint64_t refused_bytes; /* of the letter that made it full */
    struct weir_buf line;   /* memory for one, kept */
    struct weir_thread *thread;

    pthread_mutex_t lock;
    pthread_cond_t bell;
    struct weir_letter *queue, **queue_end;
    bool stopping;

    /* Written by the thread, read by weir_letterbox_look; all relaxed: each stands alone. */
    _Atomic uint64_t bytes, lines, evicted_files, evicted_bytes;
    _Atomic bool full, failed;
};

/* Writes a letter, or gives it back; shows the numbers; makes durable what was written. The thread
 * that steps the box. */
void weir_letterbox_write(struct weir_letterbox *letterbox, struct weir_letter *letter);
void weir_letterbox_show(struct weir_letterbox *letterbox);
void weir_letterbox_commit(struct weir_letterbox *letterbox);

/* While it is full: looks whether somebody has made room. */
void weir_letterbox_look_for_room(struct weir_letterbox *letterbox);

#endif
