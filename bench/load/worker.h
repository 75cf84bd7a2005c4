/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_WORKER_H
#define WEIR_LOAD_WORKER_H

#include "load/life.h"
#include "load/parcel.h"
#include "load/run.h"
#include "weir/rand.h"
#include "weir/retry_window.h"
#include "weir/transport.h"

/* A thread of the run (worker.c), with its share of connections, bodies, streams. */
struct weir_load_request;

struct weir_load_queue {
    struct weir_load_request *head;
    struct weir_load_request *tail;
};

struct weir_load_worker {
    struct weir_load_run *run;
    uint32_t index;
    uint32_t request_count;
    uint32_t first_body; /* in the plan */
    uint32_t flying;
    uint32_t flying_max;
    uint64_t quota; /* requests that it may still begin */
    uint64_t slot;  /* rate: the next one of this thread */
    struct weir_load_request *requests;
    struct weir_load_queue idle;    /* may be sent */
    struct weir_load_queue ready;   /* life: built, waiting for a connection */
    struct weir_load_queue waiting; /* for another attempt */
    int64_t waiting_next_ns;        /* none of them has anything to do before; run's time */
    struct weir_transport transport;
    int timer; /* of timerfd */
    bool armed;
    struct weir_load_maker maker;
    struct weir_load_life *life;
    struct weir_rand rand;
    char key_header[4096 + 64];
    struct weir_load_results results;
    struct weir_load_promises promises;
    bool stopping;
    int64_t stopped_ns; /* when that began: no slot after it was to be sent */
    bool failed;
    _Atomic uint64_t shown_requests; /* for the progress line; relaxed */
    _Atomic uint64_t shown_points;
    _Atomic uint64_t shown_open; /* begun and not at their end */
};

/* Memory, transport, requests; no body yet. WEIR_ENOMEM, WEIR_EIO; whatever it comes to,
 * weir_load_worker_done gives it back. */
WEIR_MUST_USE enum weir_status weir_load_worker_init(struct weir_load_worker *worker,
                                                     struct weir_load_run *run, uint32_t index);
void weir_load_worker_done(struct weir_load_worker *worker);

/* The thread's body; `worker` is a struct weir_load_worker. */
void weir_load_worker_main(void *worker);

#endif
