/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping senders to the pace of the destinations. What comes in faster than it can be exported is
 * on disk alone once the queues in memory are full, and has to be decoded a second time, just when
 * there is too much to do already. So a request that comes while the queues are crowded waits,
 * whole and not decoded, and its sender with it.
 *
 *   submit ─► [oldest | ... | newest] ─► begin       while not crowded, or after WAIT_MAX_NS
 *                 every LOOK_NS: weir_worker_turn
 *
 *   I1  while somebody waits, later ones wait behind him, and an alarm is set
 *   I2  nobody is held longer than WAIT_MAX_NS; then it is begun behind those before it, which the
 *       loop does one after the other
 *   I3  nobody waits while more than half of the intake's memory is taken: the other half is for
 *       bodies that are coming in
 *   I4  nobody waits once the worker hurries: it drains, and its deadline is no time to wait in
 *   I5  with a spool, whoever has waited in vain is the last to wait for IN_VAIN_NS: a destination
 *       is slower than its senders, and for that there is the disk
 *
 * Nobody waits for a destination that is down: its requests go to disk at once, as ever. Nor where
 * the submitter has no alarm: a replay reads from disk what is there in any case.
 *
 * The worker's thread alone. Deliberately no order among workers: each looks for itself.
 */
#include "pipeline_internal.h"
#include "weir/clock.h"
#include "weir/metrics.h"

#define WAIT_MAX_NS    WEIR_NS_PER_S
#define LOOK_NS        (2 * WEIR_NS_PER_MS)
#define BYTES_PER_TURN ((size_t)256 << 10)
#define IN_VAIN_NS     (10 * WEIR_NS_PER_S)

static bool must_wait(const struct weir_worker *worker, int64_t now_ns)
{
    const struct weir_pipeline_options *options = &worker->pipeline->options;
    return !worker->hurries && now_ns >= worker->waits_from_ns &&
           weir_credit_used(options->intake) <= options->intake->limit / 2 &&
           weir_router_is_crowded(options->router, now_ns);
}

/* Whether it may be begun. One that has waited in vain has the next ones go to disk at once. */
static bool may_begin(struct weir_worker *worker, const struct weir_submission *submission,
                      int64_t now_ns)
{
    if (!must_wait(worker, now_ns)) {
        return true;
    }
    if (now_ns - submission->waiting_ns < WAIT_MAX_NS) {
        return false;
    }
    if (worker->pipeline->options.durability == WEIR_DURABILITY_DISK) {
        worker->waits_from_ns = now_ns + IN_VAIN_NS;
    }
    return true;
}

bool weir_pace_hold(struct weir_worker *worker, struct weir_submission *submission)
{
    int64_t now_ns = weir_clock_mono_ns();
    bool is_first = worker->waiting_first == NULL;
    if (worker->home.alarm == NULL || (is_first && !must_wait(worker, now_ns))) {
        return false;
    }
    submission->waiting_ns = now_ns;
    submission->next = NULL;
    if (is_first) {
        worker->waiting_first = submission;
        worker->home.alarm(worker->home.self, LOOK_NS);
    } else {
        worker->waiting_last->next = submission;
    }
    worker->waiting_last = submission;
    weir_metrics_add(weir_metrics_series(WEIR_M_REQUESTS_WAITED, NULL), 1);
    return true;
}

void weir_worker_hurry(struct weir_worker *worker)
{
    worker->hurries = true;
    if (worker->waiting_first != NULL) {
        worker->home.alarm(worker->home.self, 0);
    }
}

void weir_worker_turn(struct weir_worker *worker)
{
    int64_t now_ns = weir_clock_mono_ns();
    size_t begun = 0;
    while (worker->waiting_first != NULL && begun < BYTES_PER_TURN) {
        struct weir_submission *submission = worker->waiting_first;
        if (!may_begin(worker, submission, now_ns)) {
            break;
        }
        worker->waiting_first = submission->next;
        begun += submission->intake.size;
        weir_pipeline_begin(submission);
    }
    if (worker->waiting_first != NULL) { /* sockets have their turn between two large bodies */
        worker->home.alarm(worker->home.self, begun < BYTES_PER_TURN ? LOOK_NS : 0);
    }
}
