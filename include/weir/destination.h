/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DESTINATION_H
#define WEIR_DESTINATION_H

#include "weir/response.h"
#include "weir/retry_window.h"

/*
 * What is sent next to one destination, and what becomes of each batch: the state machine, as a
 * pure function of time and answers. Batches are opaque handles with a retry state; queues are
 * intrusive; nothing is allocated, sent, logged or counted here. One thread: the destination's
 * drainer.
 *
 *            retryable answer                          401 403 404 405
 *   UP ───────────────────────────► PROBING     UP, PROBING ───────────► BLOCKED
 *    ▲   delivered, or refused         │             ▲   retryable answer   │ │
 *    ├─────────────────────────────────┘             └──────────────────────┘ │
 *    └────────────────────────────────────────────────────────────────────────┘
 *
 * While PROBING or BLOCKED at most one batch is sent at a time, and it is another one than failed
 * last if there is another. Without a token to send with it is BLOCKED too, by the exporter
 * (weir_destination_block). An outage is not a poison batch: docs/design/0001-probe-and-poison.md.
 *
 *   I1  a parcel is in `waiting`, in flight, or the caller's
 *   I2  with hold_on_outage a parcel expires only on evidence against it: it failed again after
 *       others were taken, twice in its window, and no parcel without such evidence has failed
 *       since the last delivery; without hold_on_outage, also when its window just ends
 *   I3  while BLOCKED no window runs but that of a batch that alone is forbidden (`singled_out`)
 *
 * tidy: allow header-functions -- one verb for each thing that can happen to it
 */
enum weir_destination_state {
    WEIR_DESTINATION_UP,
    WEIR_DESTINATION_PROBING,
    WEIR_DESTINATION_BLOCKED
};

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
    uint64_t order;      /* of closing: older first; halves share it */
    uint64_t taken_then; /* the destination's `taken` when this one last failed */
    uint32_t failures;   /* answers that were no verdict, ever */
    uint32_t passed_by;  /* times it failed again after others had been taken, in its window */
    bool blocked;        /* its last failure was a 401 or its like */
    bool singled_out;    /* it alone is forbidden, the others are taken: its window runs */
    bool held;           /* a window of it has ended in an outage, and was opened anew */
    bool probe;          /* in flight as a probe */
};

struct weir_destination_queue {
    struct weir_parcel *first; /* by order; equal orders as they came */
    uint32_t count;
};

struct weir_destination {
    enum weir_destination_state state;
    struct weir_retry_options retry;
    bool hold_on_outage; /* retry.on_outage: hold | dead_letter */
    uint32_t in_flight;
    uint32_t in_flight_max; /* while UP */
    uint64_t taken;         /* batches delivered since start */
    uint64_t next_order;
    int64_t probe_ns;                      /* PROBING, BLOCKED: when the next probe may go */
    uint32_t failures;                     /* probes failed in a row, for their backoff */
    const struct weir_parcel *last_failed; /* compared, never followed */
    bool others_fail; /* a parcel without evidence against it failed since the last delivery */
    struct weir_destination_queue waiting; /* never attempted, or failed and to be retried */
};

/* A destination that is UP, with nothing waiting. in_flight_max is at least 1. */
void weir_destination_init(struct weir_destination *destination,
                           const struct weir_retry_options *retry, bool hold_on_outage,
                           uint32_t in_flight_max);

/* Makes a new parcel, next in the order. It may be added later than its successors. */
void weir_destination_number(struct weir_destination *destination, struct weir_parcel *parcel);

/* Takes in a numbered parcel, or a half: one that holds a copy of what the whole was after
 * WEIR_FATE_SPLIT. Halves are added first half first. O(waiting). */
void weir_destination_add(struct weir_destination *destination, struct weir_parcel *parcel);

/* The parcel to send now, taken out of the queue and marked as begun; NULL when there is none to
 * send now. O(waiting). */
struct weir_parcel *weir_destination_next(struct weir_destination *destination, int64_t now_ns);

/* An answer, with the time it came at. */
struct weir_destination_answer {
    enum weir_outcome outcome;
    int64_t now_ns;
    int64_t retry_after_ns; /* as in the reply; more than an hour counts as an hour */
    double unit;            /* uniform in [0, 1), for jitter */
    bool is_void;           /* says nothing: to be sent again at once, as if it had not been */
};

/* Books the answer for a parcel in flight; WEIR_FATE_WAITS put it back, else it is the caller's. */
enum weir_batch_fate weir_destination_answer(struct weir_destination *destination,
                                             struct weir_parcel *parcel,
                                             const struct weir_destination_answer *answer);

/* Something else than an answer blocks it: there is no token. The windows of all that waits are
 * opened anew. When that is over (`is_blocked` false) a probe may go at once. */
void weir_destination_block(struct weir_destination *destination, bool is_blocked, int64_t now_ns);

/* A waiting parcel whose window has ended and whose fate is WEIR_FATE_EXPIRED, taken out; NULL when
 * there is none. Parcels whose window ended in an outage are held instead. O(waiting). */
struct weir_parcel *weir_destination_expired(struct weir_destination *destination, int64_t now_ns);

/* When _next or _expired may next say something new, without an answer or an addition; INT64_MAX
 * for never, a time in the past for now. O(waiting). */
int64_t weir_destination_wakeup_ns(const struct weir_destination *destination);

/* The first waiting parcel whatever its state, taken out; NULL when there is none. For the end of a
 * drain. */
struct weir_parcel *weir_destination_remove(struct weir_destination *destination);

#endif
