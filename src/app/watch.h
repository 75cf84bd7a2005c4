/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_WATCH_H
#define WEIR_APP_WATCH_H

#include "weir/status.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * The thread that watches the others, feeds the supervisor's watchdog while they live, and hears
 * signals when the main thread is busy stopping.
 */
struct weir_watch;

/* The order to stop that counts so far. */
struct weir_watch_order {
    int signal; /* 0: none */
    int64_t at_ns;
};

/* Whether a signal is the same order once more: supervisors send SIGTERM to the process and to its
 * group. Pure. */
bool weir_watch_is_repeat(const struct weir_watch_order *order, int signal, int64_t now_ns);

/* Starts it. `cut` becomes true when a second order comes; a third ends the process with 1. `kept`:
 * what is not delivered is on disk. SIGTERM, SIGINT and SIGHUP are blocked in every thread.
 * WEIR_EIO, WEIR_ENOMEM. Main thread. */
WEIR_MUST_USE enum weir_status weir_watch_start(_Atomic bool *cut, bool kept,
                                                struct weir_watch **ret);

/* From now on signals are its business. Main thread, once; NULL is nothing. */
void weir_watch_drain(struct weir_watch *watch, struct weir_watch_order order);

/* Ends it. NULL is nothing. Main thread. */
void weir_watch_stop(struct weir_watch *watch);

#endif
