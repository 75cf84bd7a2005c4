/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_LEDGER_H
#define WEIR_BENCH_LEDGER_H

#include "sink/faults.h"
#include "sink/shape.h"
#include "traffic/traffic.h"
#include "weir/buf.h"

/*
 * What all threads of the receiver share, under one lock: the world that the points are of, the
 * accounts of them, the faults to commit, and totals.
 *
 *   weir_sink_ledger_world ─► (no lock) inflate, decode, check ─► weir_sink_ledger_book
 *        one reference                                             decides the fault, then books
 *
 * A world that is replaced meanwhile lives on until the last batch that was checked against it has
 * been booked, in accounts that nobody will ask for.
 */
enum weir_sink_accounts { WEIR_SINK_FULL, WEIR_SINK_COUNT, WEIR_SINK_OFF };

struct weir_sink_world;
struct weir_sink_ledger;

/* `shape` is copied; NULL: points come as CloudWatch sent them. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_sink_ledger_new(enum weir_sink_accounts accounts,
                                                    const struct weir_sink_shape *shape,
                                                    struct weir_sink_ledger **ret);
/* NULL is nothing. */
void weir_sink_ledger_free(struct weir_sink_ledger *ledger);

/* How the next batch is to be looked at. */
struct weir_sink_view {
    enum weir_sink_accounts accounts;
    bool measures; /* the inflated size is asked for even where nothing is counted */
    struct weir_sink_world *world; /* NULL: none; else a reference */
    const struct weir_traffic *traffic;
    const struct weir_sink_shape *shape; /* NULL: none; the ledger's */
};

/* Any thread. */
struct weir_sink_view weir_sink_ledger_view(struct weir_sink_ledger *ledger);

/* Gives a world's reference back. NULL is nothing. */
void weir_sink_world_unref(struct weir_sink_ledger *ledger, struct weir_sink_world *world);

enum { WEIR_SINK_EXAMPLE_SIZE = 320 };

/* What became of a batch before it is booked. */
struct weir_sink_batch {
    const char *malformed; /* NULL: it is not */
    uint64_t points;
    const uint64_t
        *numbers;       /* of each point, or slot of each part (sink/booked.h); UINT64_MAX where
                                wrong; NULL: not looked at */
    uint32_t *ordinals; /* set by booking: which arrival of its number each was */
    uint64_t size;      /* inflated */
    uint64_t compressed_size;
    char (*examples)[WEIR_SINK_EXAMPLE_SIZE]; /* of what is wrong */
    uint32_t example_count;
};

/* Decides what is done to the batch, and books it accordingly. */
struct weir_faults_what weir_sink_ledger_book(struct weir_sink_ledger *ledger,
                                              struct weir_sink_world *world,
                                              struct weir_sink_batch *batch);

/* The answer to a batch that was booked could not be given. */
void weir_sink_ledger_lose(struct weir_sink_ledger *ledger, struct weir_sink_world *world,
                           const struct weir_sink_batch *batch);

/* -- what the control paths ask for ------------------------------------------------------------ */

/* A new world (JSON of weir_traffic_print) and empty accounts. WEIR_EMALFORMED, WEIR_EINVAL,
 * WEIR_ENOMEM, WEIR_EUNSUPPORTED (another build's points): all stays as it was. */
WEIR_MUST_USE enum weir_status weir_sink_ledger_set_world(struct weir_sink_ledger *ledger,
                                                          struct weir_bytes text);

/* Takes over new faults. */
void weir_sink_ledger_set_faults(struct weir_sink_ledger *ledger, const struct weir_faults *faults);

/* Appends the accounts as one JSON object. */
void weir_sink_ledger_print(struct weir_sink_ledger *ledger, struct weir_buf *out);

/* Appends the verdict on {"ranges":[[first,count,accepted,unsure],...]} (rewritten while read).
 * WEIR_EMALFORMED; WEIR_EINVAL for a range past the last number; WEIR_ENOTFOUND without a world or
 * full accounts; WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_sink_ledger_verdict(struct weir_sink_ledger *ledger,
                                                        uint8_t *text, size_t size,
                                                        struct weir_buf *out);

/* For a progress line. */
struct weir_sink_totals {
    uint64_t batches; /* booked */
    uint64_t points;
    uint64_t bytes;
    uint64_t compressed_bytes;
    uint64_t requests; /* all of them */
};
struct weir_sink_totals weir_sink_ledger_totals(struct weir_sink_ledger *ledger);

#endif
