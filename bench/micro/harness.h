/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_HARNESS_H
#define WEIR_BENCH_HARNESS_H

#include "weir/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Measures one piece of work beside the limit it is up against.
 *
 *   warm-up:  prepare subject finish   limit        twice, not counted
 *   rounds:   prepare SUBJECT finish   LIMIT        in turn, until the time is over
 *             └────── median, quartiles ──────┘     only what stands in capitals is measured
 *
 * Subject and limit take turns, so that whatever else the machine does meets both; medians, so that
 * it meets neither much. Times are the thread's own CPU time, or the wall clock's where the work is
 * a disk's. One call of a subject is long (0.1 ms and more): reading the clock costs nothing then.
 */
struct weir_harness_work {
    void *state;
    void (*prepare)(void *state); /* not measured: what the subject uses up; may be NULL */
    void (*subject)(void *state);
    void (*finish)(void *state); /* not measured, after each subject; may be NULL */
    void (*limit)(void *state);  /* NULL: there is none */
    bool is_wall;                /* the wall clock decides, not CPU time */
};

struct weir_harness_options {
    double seconds;      /* of one case, subject and limit together */
    uint32_t iterations; /* 0: as many as fit; else exactly so many, after a warm-up */
};

enum { WEIR_HARNESS_ROUNDS_MAX = 4096, WEIR_HARNESS_ROUNDS_MIN = 9 };

struct weir_harness_times {
    uint32_t rounds;
    double median_ns; /* of one call */
    double spread;    /* (third quartile - first quartile) / median */
};

struct weir_harness_result {
    struct weir_harness_times subject;
    struct weir_harness_times limit; /* rounds 0: there is none */
    double ratio;                    /* of the medians; 0 without a limit */
    double instructions;             /* of one call, user space; below 0: not counted here */
    uint64_t allocations;            /* our calls of the allocator in all measured subjects */
};

/* Measures. WEIR_ENOMEM. One thread at a time. */
WEIR_MUST_USE enum weir_status weir_harness_run(const struct weir_harness_work *work,
                                                const struct weir_harness_options *options,
                                                struct weir_harness_result *ret);

/* Calls the subject once: the function at which callgrind is told to begin and to stop
 * (--toggle-collect=weir_harness_subject), so that inputs and limits are not counted. */
void weir_harness_subject(const struct weir_harness_work *work);

/* The middle of `count` samples (which are sorted by this), and how far apart its quartiles are.
 * All 0 for none. */
struct weir_harness_times weir_harness_times(int64_t *samples, uint32_t count);

/* The calling thread's CPU time. */
int64_t weir_harness_cpu_ns(void);

#endif
