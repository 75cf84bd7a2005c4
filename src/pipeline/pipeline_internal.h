/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PIPELINE_INTERNAL_H
#define WEIR_PIPELINE_INTERNAL_H

#include "account.h"
#include "weir/pipeline.h"

/* What the modules of a request's way share. */
struct weir_pipeline {
    struct weir_pipeline_options options;
    struct weir_account *account;
};

struct weir_worker {
    struct weir_pipeline *pipeline;
    struct weir_home home;
    struct weir_inflater *inflater;
    struct weir_account_cache cache;
    struct weir_submission *waiting_first; /* pace.c's: the oldest */
    struct weir_submission *waiting_last;
    int64_t waits_from_ns; /* until then nobody waits */
    bool hurries;          /* nobody waits any more */
};

/* Takes a submission, its fields set, on its way: decoded, reserved, committed; or refused. The
 * worker's thread. */
void weir_pipeline_begin(struct weir_submission *submission);

/* Whether a submission waits now, for weir_worker_turn to begin it. The worker's thread. */
bool weir_pace_hold(struct weir_worker *worker, struct weir_submission *submission);

#endif
