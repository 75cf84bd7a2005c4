/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_RESULTS_H
#define WEIR_LOAD_RESULTS_H

#include "load/histogram.h"
#include "weir/transport.h"

/*
 * What a run came to; one a thread, merged at the end.
 *
 *   requests = accepted + given up + dropped + those that were cut off by a second interrupt
 */
enum { WEIR_LOAD_CODES = 600 };

struct weir_load_volume {
    uint64_t requests; /* accepted */
    uint64_t points;
    uint64_t bytes;      /* as sent */
    uint64_t json_bytes; /* before gzip */
};

struct weir_load_results {
    uint64_t requests; /* begun */
    struct weir_load_volume accepted;
    struct weir_load_volume measured; /* of these, after the warm-up and before the end */
    int64_t last_ns;                  /* when the last measured one was answered */
    uint64_t retries;
    uint64_t repeats; /* libcurl's own, on a connection that had died */
    uint64_t given_up;
    uint64_t given_up_points;
    uint64_t dropped; /* 413: neither tried again nor in the backup, as with Firehose */
    uint64_t dropped_points;
    uint64_t cut_off;       /* the second interrupt ended them */
    uint64_t unsent;        /* their time had come, but no connection was free until the end */
    uint64_t backup_failed; /* objects that could not be written */
    uint64_t codes[WEIR_LOAD_CODES];
    uint64_t failures[WEIR_TRANSPORT_REFUSED + 1];
    struct weir_load_histogram latency; /* ns, from the intended send of the first attempt to 200 */
};

/* WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_load_results_init(struct weir_load_results *results);
void weir_load_results_done(struct weir_load_results *results);

/* Adds all of `other`. */
void weir_load_results_merge(struct weir_load_results *results,
                             const struct weir_load_results *other);

/* "unreached", "lost", ...: the label of a failure. */
const char *weir_load_results_failure(enum weir_transport_failure failure);

#endif
