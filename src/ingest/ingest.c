/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ingest threads.
 *
 *   main thread            loop thread i
 *   start ── spawn ──────► make loop, worker, listeners ── report ──► (start waits for all reports)
 *                          run: accept ─► session ─► pipeline
 *   drain ── post task ──► close listeners, drain sessions; at the deadline abort what is left;
 *                          stop when no session is left
 *         ◄── join ─────── free everything on this thread
 *
 * Invariants
 *   I1  loop, listeners, sessions and worker are made, used and freed on their own thread (libh2o
 *       keeps state per thread)
 *   I2  ports are probed once on the main thread without SO_REUSEPORT, so another process's socket
 *       is found out; all loops then share the port the probe got
 *   I3  a loop ends when it has no session: requests that are with the pipeline come back by way
 *       of the loop (weir_session_home), whatever the deadline
 */
#include "weir/ingest.h"
#include "claim.h"

#include "door.h"
#include "weir/alarm.h"
#include "weir/clock.h"
#include "weir/listener.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include "weir/pool.h"
#include "weir/pulse.h"
#include "weir/rcu.h"
#include "weir/spread.h"
#include "weir/thread.h"
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#define ADDRESSES_MAX     16u
#define SESSIONS_IDLE_MAX 1024u
#define HANDSHAKES_MIN    8u
#define CUT_NS            (WEIR_NS_PER_S / 2)

struct ingest_loop {
    struct weir_ingest *ingest;
    struct weir_thread *thread;
    struct weir_loop *loop;
    struct weir_listener *listeners[ADDRESSES_MAX];
    struct weir_session_context context;
    struct weir_listener_tls tls;
    struct weir_loop_task drain_task;
    bool draining;
    int64_t cut_ns;               /* when `cut` was seen, and half a second; 0: it was not */
    _Atomic uint32_t connections; /* written by the loop, read by anyone; relaxed */
    enum weir_status started;     /* written before the report, read after it */
};

struct weir_ingest {
    struct weir_ingest_options options;
    struct weir_door *door;
    struct weir_spread *spread;
    uint32_t address_count;
    uint16_t ports[ADDRESSES_MAX];
    int claims[ADDRESSES_MAX]; /* -1: given back */
    int64_t drain_deadline_ns; /* written before the drain task is posted */
    sem_t reported;            /* posted once by each loop thread, after `started` is set */
    uint32_t loop_count;
    struct ingest_loop loops[];
};

/* What the listeners' door calls, with the loop. */
static bool admits(void *argument, const struct weir_netaddr *source, uint32_t *ret_ticket)
{
    const struct ingest_loop *loop = argument;
    return weir_door_admits(loop->ingest->door, source, ret_ticket);
}

static void left(void *argument, uint32_t ticket)
{
    const struct ingest_loop *loop = argument;
    weir_door_left(loop->ingest->door, ticket);
}

static void tell(void *argument, enum weir_listener_event event, const char *peer)
{
    (void)argument;
    weir_door_tell(event, peer);
}

/* After the drain began only what was under way to this loop comes: a handshake or a PROXY header
 * that has ended, or what another loop passed on. It ends as one that is idle does, and not by a
 * reset, since a request may already be on its way. */
static void accepted(void *argument, struct weir_conn *conn)
{
    struct ingest_loop *loop = argument;
    if (loop->context.draining) {
        weir_conn_close(conn, 1);
        return;
    }
    weir_session_open(&loop->context, conn);
}

static const char *outcome_text(enum weir_handshake_outcome outcome)
{
    switch (outcome) {
    case WEIR_HANDSHAKE_COMPLETE: return "complete";
    case WEIR_HANDSHAKE_RESUMED: return "resumed";
    case WEIR_HANDSHAKE_FAILED: return "failed";
    case WEIR_HANDSHAKE_TIMEOUT: return "timeout";
    case WEIR_HANDSHAKE_CROWDED: return "crowded";
    case WEIR_HANDSHAKE_GONE: return "gone";
    }
    return "unknown";
}

/* A peer that only went away is no event: that is what a balancer's TCP check does. */
static void shaken(void *argument, const struct weir_handshake_end *end)
{
    (void)argument;
    const char *outcome = outcome_text(end->outcome);
    struct weir_bytes label = weir_bytes_str(outcome);
    weir_metrics_add(weir_metrics_series(WEIR_M_TLS_HANDSHAKES, &label), 1);
    if (end->outcome == WEIR_HANDSHAKE_COMPLETE || end->outcome == WEIR_HANDSHAKE_RESUMED) {
        weir_metrics_observe(weir_metrics_series(WEIR_M_TLS_DURATION, NULL),
                             (double)end->duration_ns / (double)WEIR_NS_PER_S);
    } else if (end->outcome != WEIR_HANDSHAKE_GONE) {
        weir_log(WEIR_LOG_WARN, "tls handshake failed", WEIR_LOG_STR("peer", end->peer),
                 WEIR_LOG_STR("outcome", outcome), WEIR_LOG_STR("reason", end->reason));
    }
}

/* A quarter of a loop's connections may be new at a time. */
static const struct weir_listener_tls *tls_of(struct ingest_loop *loop, uint32_t share)
{
    const struct weir_ingest_options *options = &loop->ingest->options;
    loop->tls = (struct weir_listener_tls){
        .tls = options->tls,
        .timeout_ns = options->handshake_ns,
        .handshakes_max = share / 4 > HANDSHAKES_MIN ? share / 4 : HANDSHAKES_MIN,
        .shaken = shaken};
    return options->tls == NULL ? NULL : &loop->tls;
}

static void close_listeners(struct ingest_loop *loop)
{
    for (uint32_t i = 0; i < ADDRESSES_MAX; i++) {
        weir_listener_close(loop->listeners[i]);
        loop->listeners[i] = NULL;
    }
}

static enum weir_status open_listeners(struct ingest_loop *loop)
{
    const struct weir_ingest *ingest = loop->ingest;
    uint32_t share = ingest->options.connections_max / ingest->loop_count;
    const struct weir_listener_options options = {.connections_max = share > 0 ? share : 1,
                                                  .accepted = accepted,
                                                  .argument = loop,
                                                  .tls = tls_of(loop, share),
                                                  .door = weir_door_listener(ingest->door)};
    for (uint32_t i = 0; i < ingest->address_count; i++) {
        WEIR_TRY(weir_listener_open(loop->loop, ingest->options.addresses[i], ingest->ports[i],
                                    &options, &loop->listeners[i]));
    }
    weir_spread_join(ingest->spread, (uint32_t)(loop - ingest->loops), loop->loop, &options);
    return WEIR_OK;
}

static void on_alarm(void *argument)
{
    struct ingest_loop *loop = argument;
    weir_worker_turn(loop->context.worker);
}

static enum weir_status loop_open(struct ingest_loop *loop)
{
    const struct weir_ingest_options *options = &loop->ingest->options;
    loop->context = (struct weir_session_context){.path = options->path,
                                                  .keyring = options->keyring,
                                                  .intake = options->intake,
                                                  .regions = options->regions,
                                                  .limits = options->limits,
                                                  .ready = options->ready,
                                                  .admits = options->admits,
                                                  .argument = options->argument};
    loop->context.limits.waiting_bytes /= loop->ingest->loop_count;
    WEIR_TRY(weir_metrics_thread_start());
    WEIR_TRY(weir_pool_new(weir_session_size(), SESSIONS_IDLE_MAX, weir_session_done,
                           &loop->context.pool));
    WEIR_TRY(weir_loop_new(&loop->loop));
    loop->context.loop = loop->loop;
    WEIR_TRY(weir_alarm_new(loop->loop, on_alarm, loop, &loop->context.alarm));
    WEIR_TRY(weir_worker_new(options->pipeline, weir_session_home(&loop->context),
                             &loop->context.worker));
    return open_listeners(loop);
}

static void loop_close(struct ingest_loop *loop)
{
    close_listeners(loop);
    weir_session_abort(&loop->context);
    weir_alarm_free(loop->context.alarm);
    weir_loop_free(loop->loop);
    weir_worker_free(loop->context.worker);
    weir_pool_free(loop->context.pool);
    weir_metrics_thread_stop();
}

/* Whether whoever is still connected is cut: the deadline is over, or it was called off. */
static bool is_over(struct ingest_loop *loop, int64_t now_ns)
{
    const _Atomic bool *cut = loop->ingest->options.cut;
    /* relaxed: nothing else hangs on it */
    if (cut != NULL && loop->cut_ns == 0 && atomic_load_explicit(cut, memory_order_relaxed)) {
        loop->cut_ns = now_ns + CUT_NS;
    }
    return now_ns >= loop->ingest->drain_deadline_ns ||
           (loop->cut_ns != 0 && now_ns >= loop->cut_ns);
}

static void on_tick(void *argument, int64_t now_ns)
{
    struct ingest_loop *loop = argument;
    weir_pulse_beat();
    weir_session_tick(&loop->context, now_ns);
    /* Relaxed: a gauge. */
    atomic_store_explicit(&loop->connections, loop->context.session_count, memory_order_relaxed);
    if (loop->draining && is_over(loop, now_ns)) {
        weir_session_abort(&loop->context);
    }
    /* acquire: pairs with the release in post_home (session.c) */
    if (loop->draining && loop->context.session_count == 0 && weir_spread_is_over(loop->loop) &&
        atomic_load_explicit(&loop->context.posting, memory_order_acquire) == 0) {
        weir_loop_stop(loop->loop);
    }
}

static void loop_body(void *argument)
{
    struct ingest_loop *loop = argument;
    weir_rcu_thread_start();
    loop->started = loop_open(loop);
    bool runs = loop->started == WEIR_OK;
    (void)sem_post(&loop->ingest->reported);
    if (runs) {
        weir_loop_run(loop->loop, on_tick, loop);
    }
    loop_close(loop);
    weir_rcu_thread_stop();
}

static void drain_task(struct weir_loop_task *task)
{
    struct ingest_loop *loop =
        (struct ingest_loop *)(void *)((char *)task - offsetof(struct ingest_loop, drain_task));
    loop->draining = true;
    weir_spread_leave(loop->loop);
    close_listeners(loop);
    weir_session_drain(&loop->context);
    weir_worker_hurry(loop->context.worker);
}

/* The addresses are free for others once the loops have closed them, which the probe sees. */
static void give_back_claims(struct weir_ingest *ingest)
{
    for (uint32_t i = 0; i < ADDRESSES_MAX; i++) {
        if (ingest->claims[i] >= 0) {
            (void)close(ingest->claims[i]);
            ingest->claims[i] = -1;
        }
    }
}

/* Each is free, and from now on no other Weir takes it (claim.c). */
static enum weir_status probe_addresses(struct weir_ingest *ingest, const char **ret_address)
{
    const char *const *addresses = ingest->options.addresses;
    for (uint32_t i = 0; addresses[i] != NULL; i++) {
        *ret_address = addresses[i];
        if (i >= ADDRESSES_MAX) {
            return WEIR_EINVAL;
        }
        WEIR_TRY(weir_listener_probe(addresses[i], &ingest->ports[i]));
        WEIR_TRY(weir_claim_take(addresses[i], ingest->ports[i], &ingest->claims[i]));
        ingest->address_count++;
    }
    *ret_address = NULL;
    return ingest->address_count > 0 ? WEIR_OK : WEIR_EINVAL;
}

/* Tells a loop to end; only once all have reported. */
static void post_drain(struct ingest_loop *loop)
{
    loop->drain_task = (struct weir_loop_task){.run = drain_task};
    weir_loop_post(loop->loop, &loop->drain_task);
}

/* Starts the threads one after another, each when the one before has reported; stops at the first
 * that fails. */
static enum weir_status start_loops(struct weir_ingest *ingest)
{
    for (uint32_t i = 0; i < ingest->loop_count; i++) {
        struct ingest_loop *loop = &ingest->loops[i];
        loop->ingest = ingest;
        WEIR_TRY(weir_thread_start(WEIR_ROLE_LOOP, "weir-ingest", loop_body, loop, &loop->thread));
        while (sem_wait(&ingest->reported) != 0) {
            /* interrupted by a signal: wait on */
        }
        WEIR_TRY(loop->started);
    }
    return WEIR_OK;
}

enum weir_status weir_ingest_start(const struct weir_ingest_options *options,
                                   struct weir_ingest **ret, const char **ret_address)
{
    WEIR_ASSERT(options->threads > 0);
    struct weir_ingest *ingest =
        weir_mem_zalloc(1, sizeof(*ingest) + options->threads * sizeof(ingest->loops[0]));
    if (ingest == NULL) {
        *ret_address = NULL;
        return WEIR_ENOMEM;
    }
    ingest->options = *options;
    ingest->loop_count = options->threads;
    ingest->drain_deadline_ns = INT64_MAX;
    memset(ingest->claims, -1, sizeof ingest->claims);
    static const struct weir_listener_door calls = {.admits = admits, .left = left, .tell = tell};
    enum weir_status status = weir_door_new(options, &calls, &ingest->door, ret_address);
    if (status == WEIR_OK) {
        status = weir_spread_new(options->threads, &ingest->spread);
    }
    if (status == WEIR_OK) {
        status = probe_addresses(ingest, ret_address);
    }
    if (status == WEIR_OK && sem_init(&ingest->reported, 0, 0) != 0) {
        status = WEIR_EIO;
    }
    if (status != WEIR_OK) {
        give_back_claims(ingest);
        weir_spread_free(ingest->spread);
        weir_door_free(ingest->door);
        weir_mem_free(ingest);
        return status;
    }
    status = start_loops(ingest);
    if (status != WEIR_OK) {
        weir_ingest_drain(ingest, 0);
        weir_ingest_free(ingest);
        return status;
    }
    *ret = ingest;
    return WEIR_OK;
}

uint16_t weir_ingest_port(const struct weir_ingest *ingest, uint32_t index)
{
    WEIR_ASSERT(index < ingest->address_count);
    return ingest->ports[index];
}

void weir_ingest_drain(struct weir_ingest *ingest, int64_t deadline_ns)
{
    ingest->drain_deadline_ns = deadline_ns;
    give_back_claims(ingest);
    for (uint32_t i = 0; i < ingest->loop_count; i++) {
        struct ingest_loop *loop = &ingest->loops[i];
        if (loop->thread != NULL && loop->started == WEIR_OK) {
            post_drain(loop);
        }
    }
    for (uint32_t i = 0; i < ingest->loop_count; i++) {
        weir_thread_join(ingest->loops[i].thread);
        ingest->loops[i].thread = NULL;
    }
}

uint32_t weir_ingest_connections(const struct weir_ingest *ingest)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < ingest->loop_count; i++) {
        /* Relaxed: a gauge. */
        sum += atomic_load_explicit(&ingest->loops[i].connections, memory_order_relaxed);
    }
    return sum;
}

void weir_ingest_free(struct weir_ingest *ingest)
{
    if (ingest == NULL) {
        return;
    }
    (void)sem_destroy(&ingest->reported);
    weir_spread_free(ingest->spread);
    weir_door_free(ingest->door);
    weir_mem_free(ingest);
}
