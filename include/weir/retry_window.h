/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_RETRY_WINDOW_H
#define WEIR_RETRY_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Firehose's retry model (RetryOptions.DurationInSeconds: 900 s), as a pure function of time and of
 * one random number.
 *
 *   idle ──begin──► attempting ──failed──► waiting ──poll: its time has come──► attempting ...
 *                        │                     └──poll: the window is over──► expired
 *                        └──(delivered: the owner forgets it)
 *
 *   I1  the window runs from the first attempt, used_ns before it in this process; what was never
 *       attempted (here) never expires
 *   I2  an attempt that is in flight at the deadline may end, and its success counts
 *   I3  no attempt begins at or after the deadline, except the first
 *   I4  waits are min(max, initial x 2^(n-1)) x [0.85, 1.15], n = failures so far; never shorter
 *       than a Retry-After
 *
 * Firehose HTTP endpoint specification, "Retry behaviour": initial 1 s, factor 2, jitter 15 %, cap
 * 120 s (ours: 30 s).
 */
struct weir_retry_options {
    int64_t window_ns;  /* from the first attempt's begin; 0: one attempt only */
    int64_t initial_ns; /* the first wait */
    int64_t max_ns;     /* no wait is longer, but for jitter and Retry-After */
};

struct weir_retry {
    int64_t first_ns;  /* when the window began: the first attempt's begin, less what was used
                          before; meaningful when attempts > 0 */
    int64_t next_ns;   /* when the next attempt may begin; 0: at once */
    int64_t used_ns;   /* of the window, before this process: 600 s used leave 300 s. The owner's
                          to set before the first attempt; less than 0 counts as 0 */
    uint32_t attempts; /* begun */
    bool in_flight;
};

enum weir_retry_verdict { WEIR_RETRY_WAIT, WEIR_RETRY_GO, WEIR_RETRY_EXPIRED };

/* Never attempted: it may go at once. */
void weir_retry_init(struct weir_retry *retry);

/* Notes that an attempt begins; the first one begins the window, used_ns ago. Asserts that none is
 * in flight. */
void weir_retry_begin(struct weir_retry *retry, int64_t now_ns);

/* Notes that the attempt failed in a way that may be retried. `retry_after_ns` is the backend's
 * wish as a duration, or negative; `unit` is uniform in [0, 1). Sets next_ns. */
void weir_retry_failed(struct weir_retry *retry, const struct weir_retry_options *options,
                       int64_t now_ns, int64_t retry_after_ns, double unit);

/* What to do now with something not in flight (asserted). Exact at the edges: now == next_ns goes,
 * now == deadline is over. */
enum weir_retry_verdict weir_retry_poll(const struct weir_retry *retry,
                                        const struct weir_retry_options *options, int64_t now_ns);

/* The end of the window; INT64_MAX before the first attempt. Saturates instead of wrapping. */
int64_t weir_retry_deadline_ns(const struct weir_retry *retry,
                               const struct weir_retry_options *options);

/* When weir_retry_poll's answer will next change: min(next, deadline). */
int64_t weir_retry_wakeup_ns(const struct weir_retry *retry,
                             const struct weir_retry_options *options);

/* The wait after `failures` failures (0: none), before Retry-After is looked at. `unit` is
 * uniform in [0, 1) (asserted). */
int64_t weir_retry_backoff_ns(const struct weir_retry_options *options, uint32_t failures,
                              double unit);

/* Opens the window anew, as if never attempted and nothing used: the destination was down or
 * blocked, not the batch at fault. Only the wait that a failure has just set is kept, so that a
 * held batch does not hammer a backend that is down. */
void weir_retry_reset(struct weir_retry *retry);

#endif
