/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DESTINATION_H
#define WEIR_DESTINATION_H

#include "weir/response.h"
#include "weir/retry_window.h"

/*
 * What is sent next to one destination, and what becomes of each batch: the state machine, as a pure function of time
 * and answers. Batches are opaque handles with a retry state; queues are intrusive; nothing is allocated, sent, logged or
 * counted here. One thread: the destination's drainer.
 *
 *            retryable answer                           401 403 404 405
 *   UP ───────────────────────────► PROBING      UP, PROBING ───────────► BLOCKED
 *    ▲   any batch delivered           │              ▲  any batch delivered  │
 *    └──────────────────────────────── ┘              └───────────────────────┘
 *
 * While PROBING or BLOCKED at most one batch is in flight. An outage is not a poison batch: see docs/design.
 */
enum weir_destination_state { WEIR_DESTINATION_UP, WEIR_DESTINATION_PROBING, WEIR_DESTINATION_BLOCKED };

enum weir_batch_fate {
    WEIR_FATE_WAITS,   /* kept; will be sent (again) later */
    WEIR_FATE_DONE,    /* delivered, or partially so */
    WEIR_FATE_SPLIT,   /* to be cut in two halves that take its place with its retry state */
    WEIR_FATE_REFUSED, /* for the dead letter: the backend said no for good */
    WEIR_FATE_EXPIRED  /* for the dead letter: poison, or on_outage: dead_letter */
};

struct weir_parcel { /* embedded in whatever represents an encoded batch */
    struct weir_parcel *next;
    struct weir_retry retry;
    uint64_t order;           /* of closing: older first */
    uint64_t taken_before;    /* how many batches the destination had taken when this one was first attempted */
    bool held;                /* its window ended in an outage */
};

struct weir_destination_queue {
    struct weir_parcel *first;
    uint32_t count;
};

struct weir_destination {
    enum weir_destination_state state;
    struct weir_retry_options retry;
    bool hold_on_outage;      /* retry.on_outage: hold | dead_letter */
    uint32_t in_flight;
    uint32_t in_flight_max;   /* while UP */
    uint64_t taken;           /* batches delivered since start */
    uint64_t next_order;
    int64_t probe_ns;         /* PROBING, BLOCKED: when the next probe may go */
    uint32_t failures;        /* in a row, for the probe's backoff */
    struct weir_parcel *last_failed; /* the next probe is another one, if there is one */
    struct weir_destination_queue waiting; /* never attempted, or failed and to be retried; by order */
};

void weir_destination_init(struct weir_destination *destination, const struct weir_retry_options *retry,
                           bool hold_on_outage, uint32_t in_flight_max);

/* Takes in a new parcel, or a half (its retry state set by the caller to that of the whole). */
void weir_destination_add(struct weir_destination *destination, struct weir_parcel *parcel);

/* The parcel to send now, taken out of the queue and marked as begun; NULL when there is none to send now. */
struct weir_parcel *weir_destination_next(struct weir_destination *destination, int64_t now_ns);

/* Books the answer for a parcel in flight; WAITS puts it back. `retry_after_ns` as in the reply; `unit` uniform in [0,1). */
enum weir_batch_fate weir_destination_answer(struct weir_destination *destination, struct weir_parcel *parcel,
                                             enum weir_outcome outcome, int64_t now_ns,
                                             int64_t retry_after_ns, double unit);

/* A parcel whose window has ended without an answer in flight, and whose fate is now EXPIRED; NULL when there is none. Parcels whose
 * window ended in an outage are held instead. */
struct weir_parcel *weir_destination_expired(struct weir_destination *destination, int64_t now_ns);

/* When any of the above may next say something new; INT64_MAX for never. */
int64_t weir_destination_wakeup_ns(const struct weir_destination *destination, int64_t now_ns);

#endif
