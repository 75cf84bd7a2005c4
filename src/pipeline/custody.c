/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that step the spool: made, stopped, and two of the three that run.
 *
 *   loops ──push──► jobs: [newest] ─► [..] ─► [oldest]     a stack of links in the jobs themselves
 *                     │ all at once, turned round: oldest first
 *                     ▼
 *   lane    weir_spool_commit ─► done(job) ...    sleeps on its bell when there is nothing
 *   keeper  weir_spool_keep             sleeps until it is to come again, at most a second
 *   backlog                             custody_backlog.c
 *
 *   start ─► lane, keeper ─► backlog_start ─► backlog ... backlog_stop, lane_stop ─► stop
 *
 *   I1  a job that was pushed is committed, or refused by the spool, before the lane ends
 *   I2  options.failed is called at most once
 *   I3  a thread prepares itself (RCU, its metrics slab, what else it needs) before its start
 *       returns; if that fails nothing of it is left
 *
 * While a write and its sync are under way jobs gather; the next commit takes all of them. That is
 * the whole of the group commit: no job waits for company.
 *
 * Full or failed: the lane goes on, and the spool answers each job. While the spool admits nothing
 * the lane rings the keeper after each commit: either there is something to release, or the spool
 * has failed, and only the keeper's step says so (weir_spool_keep), without a lock in the lane.
 *
 * Main thread: start and stops. Any thread: the push. It does not know what a record is.
 */
#include "custody_internal.h"

#include "weir/clock.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include "weir/pulse.h"
#include "weir/rcu.h"
#include <errno.h>
#include <poll.h>

/* The keeper comes when it has slept twenty times what its last step took: a quick disk has notes
 * soon, so that little is repeated after a crash, and a slow one gives them a twentieth of its
 * time. */
#define KEEPER_NS       WEIR_NS_PER_S
#define KEEPER_NS_MIN   (100 * WEIR_NS_PER_MS)
#define KEEPER_PATIENCE 20

static struct weir_now now(void)
{
    return (struct weir_now){weir_clock_mono_ns(), weir_clock_wall_ns()};
}

bool weir_custody_is_stopping(const struct weir_custody_thread *thread)
{
    /* acquire: pairs with the release in stop_thread, so that what was pushed before is seen */
    return atomic_load_explicit(&thread->stopping, memory_order_acquire);
}

static void wait_for_bell(struct weir_custody_thread *thread, int64_t timeout_ns)
{
    struct pollfd bell = {.fd = thread->bell.fd, .events = POLLIN};
    int64_t timeout_ms = timeout_ns <= 0 ? 0 : timeout_ns / WEIR_NS_PER_MS + 1;
    weir_pulse_rest();
    int ready = poll(&bell, 1, timeout_ms > 60000 ? 60000 : (int)timeout_ms);
    weir_pulse_beat();
    WEIR_ASSERT(ready >= 0 || errno == EINTR);
}

bool weir_custody_sleep(struct weir_custody_thread *thread, int64_t timeout_ns)
{
    wait_for_bell(thread, timeout_ns);
    weir_wake_silence(&thread->bell);
    return !weir_custody_is_stopping(thread);
}

/* -- starting and stopping ------------------------------------------------------------------ */

static enum weir_status prepare(struct weir_custody_thread *thread)
{
    WEIR_TRY(weir_metrics_thread_start());
    enum weir_status status = thread->prepare == NULL ? WEIR_OK : thread->prepare(thread->custody);
    if (status != WEIR_OK) {
        weir_metrics_thread_stop();
    }
    return status;
}

static void body(void *argument)
{
    struct weir_custody_thread *thread = argument;
    weir_rcu_thread_start();
    enum weir_status started = prepare(thread);
    thread->started = started;
    int posted = sem_post(&thread->reported);
    WEIR_ASSERT(posted == 0);
    if (started == WEIR_OK) {
        thread->run(thread->custody);
        if (thread->finish != NULL) {
            thread->finish(thread->custody);
        }
        weir_metrics_thread_stop();
    }
    weir_rcu_thread_stop();
}

/* Ends a thread that runs, or nothing. */
static void stop_thread(struct weir_custody_thread *thread)
{
    if (thread->handle != NULL) {
        /* release: pairs with the acquire in weir_custody_is_stopping */
        atomic_store_explicit(&thread->stopping, true, memory_order_release);
        weir_wake_ring(&thread->bell);
        weir_thread_join(thread->handle);
        thread->handle = NULL;
        weir_wake_close(&thread->bell);
        (void)sem_destroy(&thread->reported);
    }
}

static enum weir_status start_thread(struct weir_custody *custody,
                                     struct weir_custody_thread *thread, enum weir_thread_role role,
                                     const char *name)
{
    thread->custody = custody;
    atomic_init(&thread->stopping, false);
    WEIR_TRY(weir_wake_open(&thread->bell));
    enum weir_status status = sem_init(&thread->reported, 0, 0) == 0 ? WEIR_OK : WEIR_EIO;
    if (status == WEIR_OK) {
        status = weir_thread_start(role, name, body, thread, &thread->handle);
        if (status != WEIR_OK) {
            (void)sem_destroy(&thread->reported);
        }
    }
    if (status != WEIR_OK) {
        thread->handle = NULL;
        weir_wake_close(&thread->bell);
        return status;
    }
    while (sem_wait(&thread->reported) != 0) {
        WEIR_ASSERT(errno == EINTR);
    }
    status = thread->started;
    if (status != WEIR_OK) {
        stop_thread(thread);
    }
    return status;
}

/* -- the lane ------------------------------------------------------------------------------- */

/* Any thread. Once the job is pushed it is the lane's, and may be over before this returns. */
static void push(void *self, struct weir_spool_job *job)
{
    struct weir_custody *custody = self;
    /* relaxed: only the value for the exchange, which orders it */
    struct weir_spool_job *newest = atomic_load_explicit(&custody->jobs, memory_order_relaxed);
    do {
        job->next = newest;
        /* release: pairs with the acquire in take_all */
    } while (!atomic_compare_exchange_weak_explicit(&custody->jobs, &newest, job,
                                                    memory_order_release, memory_order_relaxed));
    weir_wake_ring(&custody->lane.bell);
}

/* All jobs that wait, the oldest first. */
static struct weir_spool_job *take_all(struct weir_custody *custody)
{
    /* acquire: pairs with the release in push */
    struct weir_spool_job *job =
        atomic_exchange_explicit(&custody->jobs, NULL, memory_order_acquire);
    struct weir_spool_job *oldest = NULL;
    while (job != NULL) {
        struct weir_spool_job *next = job->next;
        job->next = oldest;
        oldest = job;
        job = next;
    }
    return oldest;
}

static void commit_all(struct weir_custody *custody)
{
    struct weir_spool_job *jobs;
    while ((jobs = take_all(custody)) != NULL) {
        weir_pulse_beat();
        weir_spool_commit(custody->options.spool, jobs, now());
        if (!weir_spool_admits(custody->options.spool, 0)) {
            weir_wake_ring(&custody->keeper.bell);
        }
    }
}

/* While there is something to do the bell is left ringing, so that who pushes finds it so and makes
 * no system call; what came before it was silenced is looked for once more. A stop rings the same
 * bell, so it too is looked for only then. */
static void run_lane(struct weir_custody *custody)
{
    bool runs = true;
    while (runs) {
        wait_for_bell(&custody->lane, KEEPER_NS);
        commit_all(custody);
        weir_wake_silence(&custody->lane.bell);
        runs = !weir_custody_is_stopping(&custody->lane);
        commit_all(custody);
    }
}

struct weir_commit weir_custody_commit(struct weir_custody *custody)
{
    return (struct weir_commit){push, custody};
}

/* -- the keeper ----------------------------------------------------------------------------- */

static void tell_failure(struct weir_custody *custody)
{
    /* relaxed: whoever comes first; nothing is published with it */
    if (!atomic_exchange_explicit(&custody->has_failed, true, memory_order_relaxed) &&
        custody->options.failed != NULL) {
        custody->options.failed(custody->options.argument);
    }
}

static int64_t patience_ns(int64_t took_ns)
{
    int64_t wait_ns = took_ns < KEEPER_NS ? KEEPER_PATIENCE * took_ns : KEEPER_NS;
    wait_ns = wait_ns < KEEPER_NS ? wait_ns : KEEPER_NS;
    return wait_ns > KEEPER_NS_MIN ? wait_ns : KEEPER_NS_MIN;
}

static void run_keeper(struct weir_custody *custody)
{
    int64_t wait_ns = 0;
    while (weir_custody_sleep(&custody->keeper, wait_ns)) {
        int64_t wake_ns = 0;
        struct weir_now begin = now();
        bool failed = weir_spool_keep(custody->options.spool, begin, &wake_ns) != WEIR_OK;
        int64_t end_ns = weir_clock_mono_ns();
        wait_ns = failed ? KEEPER_NS : patience_ns(end_ns - begin.mono_ns);
        wait_ns = !failed && wake_ns - end_ns < wait_ns ? wake_ns - end_ns : wait_ns;
        if (failed) {
            tell_failure(custody);
        }
    }
}

/* -- from outside --------------------------------------------------------------------------- */

enum weir_status weir_custody_start(const struct weir_custody_options *options,
                                    struct weir_custody **ret)
{
    struct weir_custody *custody = weir_mem_zalloc(1, sizeof(*custody));
    if (custody == NULL) {
        return WEIR_ENOMEM;
    }
    custody->options = *options;
    weir_custody_gate_init(&custody->gate, options->destination_count);
    custody->lane.run = run_lane;
    custody->keeper.run = run_keeper;
    custody->backlog.prepare = weir_custody_backlog_prepare;
    custody->backlog.run = weir_custody_backlog_run;
    custody->backlog.finish = weir_custody_backlog_finish;
    enum weir_status status =
        start_thread(custody, &custody->keeper, WEIR_ROLE_KEEPER, "weir-keeper");
    if (status == WEIR_OK) {
        status = start_thread(custody, &custody->lane, WEIR_ROLE_LANE, "weir-lane");
    }
    if (status != WEIR_OK) {
        weir_custody_stop(custody);
        return status;
    }
    *ret = custody;
    return WEIR_OK;
}

enum weir_status weir_custody_backlog_start(struct weir_custody *custody)
{
    WEIR_ASSERT(custody->backlog.handle == NULL);
    return start_thread(custody, &custody->backlog, WEIR_ROLE_BACKLOG, "weir-backlog");
}

void weir_custody_backlog_stop(struct weir_custody *custody)
{
    stop_thread(&custody->backlog);
}

void weir_custody_lane_stop(struct weir_custody *custody)
{
    stop_thread(&custody->lane);
}

void weir_custody_stop(struct weir_custody *custody)
{
    if (custody == NULL) {
        return;
    }
    stop_thread(&custody->backlog);
    stop_thread(&custody->lane);
    stop_thread(&custody->keeper);
    /* relaxed: no other thread is left */
    WEIR_ASSERT(atomic_load_explicit(&custody->jobs, memory_order_relaxed) == NULL);
    weir_custody_gate_done(&custody->gate);
    weir_mem_free(custody);
}
