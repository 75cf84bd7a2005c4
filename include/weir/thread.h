/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_THREAD_H
#define WEIR_THREAD_H

#include "weir/status.h"
#include <stdbool.h>

/*
 * Threads with a role. A function that only one kind of thread may call asserts the role, so a
 * mistake is found at its first run rather than as a race. Every thread started here blocks all
 * signals but SIGSYS (weir/sandbox.h); the main thread handles them. RCU registration is the thread
 * function's own first and last act.
 */
enum weir_thread_role {
    WEIR_ROLE_MAIN,     /* start, stop, signals */
    WEIR_ROLE_LOOP,     /* an ingest event loop */
    WEIR_ROLE_EXPORTER, /* drains, batches, sends */
    WEIR_ROLE_LANE,     /* commits requests to the spool */
    WEIR_ROLE_KEEPER,   /* the spool's release log, recycling, zeroing ahead */
    WEIR_ROLE_BACKLOG,  /* reads back from the spool */
    WEIR_ROLE_LETTERS,  /* writes the dead letter */
    WEIR_ROLE_ADMIN,    /* health, metrics, status */
    WEIR_ROLE_WATCH,    /* signs of life; signals during a stop */
    WEIR_ROLE_TEST
};

struct weir_thread;

/* Starts `body(argument)` in a new thread named `name` (at most 15 bytes are kept). WEIR_ENOMEM,
 * WEIR_EIO. */
WEIR_MUST_USE enum weir_status weir_thread_start(enum weir_thread_role role, const char *name,
                                                 void (*body)(void *argument), void *argument,
                                                 struct weir_thread **ret);

/* Waits for the thread to end and frees the handle. NULL is nothing. */
void weir_thread_join(struct weir_thread *thread);

/* The calling thread's role: what it was started with, else WEIR_ROLE_MAIN. */
enum weir_thread_role weir_thread_role(void);

/* Gives the calling thread another role, for tests that play one. */
void weir_thread_play(enum weir_thread_role role);

#define WEIR_ASSERT_ROLE(role_) WEIR_ASSERT(weir_thread_role() == (role_))

#endif
