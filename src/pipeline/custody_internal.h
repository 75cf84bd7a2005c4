/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PIPELINE_CUSTODY_INTERNAL_H
#define WEIR_PIPELINE_CUSTODY_INTERNAL_H

#include "mail.h"
#include "quarantine.h"
#include "weir/custody.h"
#include "weir/thread.h"
#include "weir/wake.h"
#include <pthread.h>

/*
 * What the files of custody share: custody.c starts and ends threads and has lane and keeper,
 * custody_backlog.c decides which record is read when, custody_record.c takes one through.
 */

/* A thread that sleeps on its bell. */
struct weir_custody_thread {
    struct weir_custody *custody;
    struct weir_thread *handle; /* NULL: does not run */
    struct weir_wake bell;
    _Atomic bool stopping; /* set by the main thread, with a ring of the bell */
    sem_t reported;        /* once, after `started` is set */
    enum weir_status started;
    enum weir_status (*prepare)(struct weir_custody *custody); /* on the thread; or NULL */
    void (*run)(struct weir_custody *custody);
    void (*finish)(struct weir_custody *custody); /* after run; or NULL */
};

/* The backlog's own; places are indexed like a record's destinations, 62 and 63 too. */
#define WEIR_CUSTODY_PLACES 64u
struct weir_custody_pace {
    int64_t paused_until_ns[WEIR_CUSTODY_PLACES];
    uint32_t refused[WEIR_CUSTODY_PLACES]; /* times in a row that one was given back */
    int64_t read_at_ns;                    /* when the rate allows the next record */
    bool warned;                           /* that there is no letterbox */
};

/* What the backlog may read, and what it has read and not yet published. */
struct weir_custody_gate {
    pthread_mutex_t mutex;
    pthread_cond_t out; /* nothing is in hand */
    uint64_t slots;     /* deliverable */
    uint32_t in_hand;   /* a slot; WEIR_SPOOL_LETTER: none */
};

struct weir_custody {
    struct weir_custody_options options;
    _Atomic(struct weir_spool_job *) jobs; /* the newest first */
    _Atomic bool has_failed;               /* options.failed was called */
    struct weir_custody_thread lane;
    struct weir_custody_thread keeper;
    struct weir_custody_thread backlog;
    struct weir_custody_pace pace;
    struct weir_custody_gate gate;
    struct weir_inflater *inflater; /* the backlog's */
    struct weir_mail mail;
};

/* Sleeps until the bell rings or `timeout_ns` are over, at most; silences the bell. False when the
 * thread is to end. */
bool weir_custody_sleep(struct weir_custody_thread *thread, int64_t timeout_ns);

bool weir_custody_is_stopping(const struct weir_custody_thread *thread);

/* Made with the custody, and ended. */
void weir_custody_gate_init(struct weir_custody_gate *gate, uint32_t destination_count);
void weir_custody_gate_done(struct weir_custody_gate *gate);

/* The backlog's thread, from its begin to its end. */
enum weir_status weir_custody_backlog_prepare(struct weir_custody *custody);
void weir_custody_backlog_run(struct weir_custody *custody);
void weir_custody_backlog_finish(struct weir_custody *custody);

/* What became of a record that was taken from the backlog. */
enum weir_custody_outcome {
    WEIR_CUSTODY_TAKEN, /* published, lettered, or nothing of it was wanted */
    WEIR_CUSTODY_LATER, /* no room in memory: given back */
    WEIR_CUSTODY_FAILED /* disk or letterbox would not: given back, and the wait is longer */
};

/* Takes a record through, and settles it where it is not published. */
enum weir_custody_outcome weir_custody_take(struct weir_custody *custody,
                                            const struct weir_backlog_place *place);

#endif
