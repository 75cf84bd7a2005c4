/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DEADLETTER_H
#define WEIR_DEADLETTER_H

#include "weir/bytes.h"

/*
 * The end of a batch that no attempt will deliver: counted in
 * weir_dead_letter_points_total{destination, reason} and logged, rate-limited, with the first of
 * its requests. One door for all of them, so that a file can be put behind it.
 */
enum weir_deadletter_reason {
    WEIR_DEADLETTER_REFUSED,   /* "refused": the backend said no for good */
    WEIR_DEADLETTER_REJECTED,  /* "rejected": a success that rejected every point */
    WEIR_DEADLETTER_TOO_LARGE, /* "too_large": 413 for a single point */
    WEIR_DEADLETTER_EXPIRED,   /* "expired": its window ended while others were taken */
    WEIR_DEADLETTER_OUTAGE,    /* "outage": its window ended, retry.on_outage is dead_letter */
    WEIR_DEADLETTER_SHUTDOWN,  /* "shutdown": the drain's deadline came first */
    WEIR_DEADLETTER_MALFORMED, /* "malformed": it has no form for this kind of destination */
    WEIR_DEADLETTER_TOO_OLD,   /* "too_old": older than the destination's max_point_age */
    WEIR_DEADLETTER_UNFIT,     /* "unfit": more attributes or percentiles than it takes */
    WEIR_DEADLETTER_REASONS
};

struct weir_deadletter {
    const char *destination;
    enum weir_deadletter_reason reason;
    const char *message; /* the backend's words, or "" */
    const char *request_id;
    const char *stream;
    uint32_t requests; /* runs that took part */
    uint32_t points;
};

/* Counts and logs. A thread with a metrics slab. */
void weir_deadletter_put(const struct weir_deadletter *letter);

/* "refused", "rejected", ...: the label. */
const char *weir_deadletter_reason_text(enum weir_deadletter_reason reason);

#endif
