/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOOP_H
#define WEIR_LOOP_H

#include "weir/status.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * An event loop on libh2o's evloop, one for each ingest thread. Made, run and freed on its own
 * thread: libh2o keeps per-thread state behind each socket (design: traps of libh2o 2.2.5). Timers
 * hang on a monotonic timerfd tick rather than on libh2o's wall-clock timeouts, so a clock that is
 * set does not fire or stall them.
 */
struct weir_loop;

#define WEIR_LOOP_TICK_MS 100

/* Makes a loop on the calling thread, on which SIGPIPE is blocked from here on. WEIR_ENOMEM,
 * WEIR_EIO. */
WEIR_MUST_USE enum weir_status weir_loop_new(struct weir_loop **ret);

/* Runs until weir_loop_stop. On the loop's own thread. `on_tick` (may be NULL) is called about
 * every WEIR_LOOP_TICK_MS. */
void weir_loop_run(struct weir_loop *loop, void (*on_tick)(void *argument, int64_t now_ns),
                   void *argument);

/* One turn by hand, in place of weir_loop_run: does what is ready now and never waits. Whether
 * there was anything; false: all is quiet until somebody else acts. On the loop's own thread,
 * outside weir_loop_run. For tests and fuzzers, whose other end is the same thread. */
bool weir_loop_turn(struct weir_loop *loop);

/* Does now what a tick at the time `now_ns` (at least weir_loop_now_ns) would: ends of connections
 * are told, and what was due by then is over. Timers by hand, from a task or another callback of
 * the loop (asserted); `on_tick` is not called. */
void weir_loop_tick(struct weir_loop *loop, int64_t now_ns);

/* Makes weir_loop_run return soon: at once, or when the connections that linger are done, at most a
 * second later. A stop before the run counts. Any thread; the last thing it touches is the loop's
 * wake-up, so the loop may be freed then. */
void weir_loop_stop(struct weir_loop *loop);

/* Frees the loop; its connections and listeners must be closed (what still lingers is cut), and no
 * post may be under way or waiting. On its own thread, outside weir_loop_run. NULL is nothing. */
void weir_loop_free(struct weir_loop *loop);

/* A task that another thread sends to the loop. The struct belongs to the loop from the post until
 * `run` is called. */
struct weir_loop_task {
    struct weir_loop_task *next;
    void (*run)(struct weir_loop_task *task);
};

/* Posts a task; tasks of one thread run in the order they were posted. Any thread; one wake-up for
 * many posts. */
void weir_loop_post(struct weir_loop *loop, struct weir_loop_task *task);

/* Monotonic time of the current turn of the loop, in ns. The loop's thread. */
int64_t weir_loop_now_ns(const struct weir_loop *loop);

#endif
