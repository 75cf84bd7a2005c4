/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_RUN_H
#define WEIR_LOAD_RUN_H

#include "load/options.h"
#include "load/plan.h"
#include "load/promises.h"
#include "load/results.h"
#include <pthread.h>
#include <stdatomic.h>

/*
 * One run: what all its threads share. Written before the threads may go, read after that, but for
 * the atomics.
 *
 *   main:     world ─► threads ─► (prepared) ─ start_ns ─► (go) ─ progress ... ─► join ─► merge
 *   threads:            build bodies ─┘                      └─ send until the end ─┘
 */
struct weir_load_run {
    const struct weir_load_options *options;
    struct weir_traffic *traffic;
    struct weir_load_plan plan;
    double interval_ns; /* rate: between two requests */
    int64_t start_ns;
    int64_t warm_ns;
    int64_t end_ns;
    pthread_barrier_t prepared;
    pthread_barrier_t go;
    _Atomic unsigned running; /* threads that have not ended */
    _Atomic unsigned failed;  /* threads that are out of memory or descriptors */
    _Atomic bool hinted;      /* a failure was explained */
};

/* What came of it. */
struct weir_load_outcome {
    struct weir_load_results results;
    struct weir_load_promises promises;
    int64_t sending_ns; /* from the start to the end of the measured part, warm-up included */
    int64_t measured_ns;
    uint32_t points; /* of a request, fast and rate */
};

/* Sends, in as many threads as wanted, until the end or two interrupts. The caller frees the
 * outcome. False: it could not (told on standard error), and there is no outcome. Main thread. */
bool weir_load_run(const struct weir_load_options *options, struct weir_load_outcome *ret);

/* Notes an interrupt: the first one ends the run in an orderly way, the second at once.
 * Async-signal-safe, any thread. */
void weir_load_interrupt(void);

/* How often. */
unsigned weir_load_interrupts(void);

#endif
