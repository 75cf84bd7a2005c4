/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the process: the states of weir/lifecycle.h, and who takes each edge.
 *
 *   STARTING ─► READY      serve, when weir_service_build is done and the sandbox is closed
 *   READY ─► READY         wait_for_stop: SIGHUP; weir_reload_now, then its steps
 *   READY ─► GRACE         wait_for_stop: SIGTERM or SIGINT. Readiness is off from here on, and
 *                          each connection ends with its next answer. What a reload has begun goes
 *                          on: a destination between two exporters has none until it does
 *   GRACE ─► DRAINING      spend_grace: the time is over, or a second order; at once after SIGINT,
 *                          for no balancer sends that, and when the spool has failed
 *   DRAINING ─► stopped    weir_service_drain: ingest answers what it has, the lane commits what it
 *                          has, the backlog ends, the exporter sends what is in memory; then
 *                          weir_service_done: dead letter, release log
 *   DRAINING ─► killed     watch.c: the third order, _exit(1)
 *
 * Signals are blocked in every thread. The main one takes them with sigtimedwait until it is busy
 * inside the rooms; from then on the watch does. What a second and a third order mean, and what is
 * no order but a repetition, is told in watch.c: the second cuts (`cut`: no grace, nobody is sent
 * to any more, all that is on disk stays there), in order and within a second or two; the third is
 * for a disk that hangs.
 *
 * The deadline is for all of DRAINING: ingest may use half of it (requests in flight have their
 * own, shorter limits), the exporter what is left. What is not delivered then is on disk and comes
 * again after the next start; without a disk it is counted, logged, and the exit code is 1. With
 * durability delivered, batches no longer wait to be full, so that requests are answered before the
 * end; those that wait all the same are dismissed (503) shortly before ingest's half is over, by a
 * thread of its own (service_drain.c): main is inside weir_ingest_drain then, and a connection that
 * is cut says less than a 503.
 *
 * A spool that fails sends SIGTERM to its own process: one way to stop, whoever asks.
 *
 *   I1  nothing is published after weir_ingest_drain; so weir_exporter_drain sees all there will
 *       ever be
 *   I2  the admin thread reads the service until weir_service_done stops it: /metrics works while
 *       draining
 *   I3  the supervisor hears READY=1 after everything listens, and STOPPING=1 before anything is
 *       closed
 *
 * Main thread.
 */
#include "weir/lifecycle.h"
#include "lifecycle_internal.h"
#include "watch.h"
#include "weir/clock.h"
#include "weir/expo.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/notify.h"
#include "weir/panic.h"
#include "weir/pulse.h"
#include "weir/rcu.h"
#include "weir/sandbox.h"
#include "weir/spool.h"
#include "weir/startup.h"
#include "weir/thread.h"
#include "weir/transport.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CLOSE_NS (10 * WEIR_NS_PER_S) /* what the supervisor allows beyond the deadline */

/* What a process does between its beginning and its end. */
struct life {
    int (*run)(struct weir_service *service, const struct life *life);
    enum weir_status (*feed)(struct weir_service *service, void *argument);
    void *argument;
};

static sigset_t handled_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    return set;
}

/* Signals, descriptors, file modes: what is the process's and not a room's. Before any thread is
 * started. */
static void prepare_process(const struct weir_config *config)
{
    sigset_t set = handled_signals();
    int blocked = pthread_sigmask(SIG_BLOCK, &set, NULL);
    WEIR_ASSERT(blocked == 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR1, SIG_IGN); /* "open the logs anew", elsewhere; here the end */
    (void)signal(SIGUSR2, SIG_IGN);
    (void)umask(077);
    weir_sandbox_harden(config->core_dumps != 0);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int wait_for_signal(int64_t wait_ns)
{
    sigset_t set = handled_signals();
    struct timespec timeout = {.tv_sec = wait_ns / WEIR_NS_PER_S,
                               .tv_nsec = wait_ns % WEIR_NS_PER_S};
    for (;;) {
        int signal_ = sigtimedwait(&set, NULL, wait_ns < 0 ? NULL : &timeout);
        if (signal_ > 0) {
            return signal_;
        }
        if (errno == EAGAIN) {
            return 0;
        }
        WEIR_ASSERT(errno == EINTR); /* a debugger; waiting starts anew */
    }
}

/* The next handled signal, or 0 after `wait_ns`; for ever when that is negative. */
static int next_signal(int64_t wait_ns)
{
    weir_pulse_rest();
    int signal_ = wait_for_signal(wait_ns);
    weir_pulse_beat();
    return signal_;
}

static const char *signal_name(int signal_)
{
    return signal_ == SIGTERM ? "SIGTERM" : signal_ == SIGINT ? "SIGINT" : "SIGHUP";
}

/* Does what main has to do beside waiting; for how long it may wait then (-1: for ever). */
static int64_t until_next_work(struct weir_service *service)
{
    int64_t reload_ns = weir_reload_step(service);
    const int64_t others[] = {weir_service_watch_tls(service), weir_tenants_step(service)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        bool sooner = others[i] >= 0 && (reload_ns < 0 || others[i] < reload_ns);
        reload_ns = sooner ? others[i] : reload_ns;
    }
    return reload_ns;
}

/* Until SIGTERM or SIGINT; which of them it was, SIGINT where no grace is to be spent. */
static struct weir_watch_order wait_for_stop(struct weir_service *service)
{
    int signal_ = next_signal(until_next_work(service));
    while (signal_ == SIGHUP || signal_ == 0) {
        if (signal_ == SIGHUP) {
            weir_notify_reloading();
            weir_reload_now(service);
            weir_notify_ready("serving"); /* the log and /status say whether it was taken */
        }
        signal_ = next_signal(until_next_work(service));
    }
    /* relaxed: partner is weir_service_ready; nothing else hangs on it */
    atomic_store_explicit(&service->phase, WEIR_PHASE_DRAINING, memory_order_relaxed);
    bool failed = atomic_load_explicit(&service->spool_failed, memory_order_relaxed);
    signal_ = failed ? SIGINT : signal_; /* nobody can be served any more: no grace */
    int64_t grace_ns = signal_ == SIGTERM ? service->live->drain.grace_ns : 0;
    weir_notify_stopping(grace_ns + service->live->drain.deadline_ns + CLOSE_NS);
    weir_log(WEIR_LOG_INFO, "stopping",
             WEIR_LOG_STR("signal", failed ? "spool failed" : signal_name(signal_)),
             WEIR_LOG_INT("grace_ms", grace_ns / WEIR_NS_PER_MS),
             WEIR_LOG_INT("deadline_ms", service->live->drain.deadline_ns / WEIR_NS_PER_MS));
    return (struct weir_watch_order){signal_, weir_clock_mono_ns()};
}

/* Requests are taken while balancers find out. That nobody is connected now does not end it: a
 * balancer that has not looked yet would send its next connection to a closed port. */
static void spend_grace(struct weir_service *service, struct weir_watch_order *order)
{
    int64_t end_ns = weir_clock_mono_ns() + service->live->drain.grace_ns;
    int64_t left_ns = service->live->drain.grace_ns;
    while (left_ns > 0) {
        int64_t work_ns = until_next_work(service); /* what a reload has begun goes on */
        int signal_ = next_signal(work_ns >= 0 && work_ns < left_ns ? work_ns : left_ns);
        int64_t now_ns = weir_clock_mono_ns();
        if (signal_ == SIGHUP) {
            weir_reload_tell_refused(service, "the process is stopping");
        } else if (signal_ != 0 && !weir_watch_is_repeat(order, signal_, now_ns)) {
            *order = (struct weir_watch_order){signal_, now_ns};
            /* relaxed: partners are the loops of ingest and exporters */
            atomic_store_explicit(&service->cut, true, memory_order_relaxed);
            weir_log(WEIR_LOG_WARN, "stopping at once",
                     WEIR_LOG_STR("reason", "told to stop a second time"));
            return;
        }
        left_ns = end_ns - weir_clock_mono_ns();
    }
}

static bool spool_failed(const struct weir_service *service)
{
    return atomic_load_explicit(&service->spool_failed, memory_order_relaxed);
}

/* The last words, and the exit code. */
static int tell_end(struct weir_service *service, uint64_t left)
{
    bool kept = service->config->spool.durability == WEIR_DURABILITY_DISK;
    struct weir_spool_stat stat = {0};
    weir_spool_look(service->spool, &stat);
    bool good = (left == 0 || kept) && !spool_failed(service);
    weir_log(good ? WEIR_LOG_INFO : WEIR_LOG_ERROR, "stopped",
             WEIR_LOG_INT("points_delivered", weir_service_delivered(service)),
             WEIR_LOG_INT("points_left", left), WEIR_LOG_STR("kept", kept ? "true" : "false"),
             WEIR_LOG_INT("requests_on_disk", stat.records));
    return good ? 0 : 1;
}

static void log_ready(const struct weir_service *service)
{
    const char *source = service->config->source;
    weir_log(WEIR_LOG_INFO, "ready", WEIR_LOG_STR("version", WEIR_VERSION),
             WEIR_LOG_STR("config", source == NULL ? "none" : source),
             WEIR_LOG_INT("destinations", service->config->destinations.count),
             WEIR_LOG_STR("durability", weir_service_durability(service)),
             WEIR_LOG_INT("memory_limit", service->config->memory_limit));
}

/* Takes all down; the exit code. What was built is gone afterwards. */
static int end_in_order(struct weir_service *service, struct weir_watch_order order)
{
    weir_watch_drain(service->watch, order);
    weir_pulse_rest(); /* how long it takes is the deadline's business */
    int code = tell_end(service, weir_service_drain(service));
    weir_service_done(service);
    weir_watch_stop(service->watch);
    return code;
}

static int end_start(struct weir_service *service)
{
    (void)weir_service_drain(service);
    weir_service_done(service);
    weir_watch_stop(service->watch);
    return 1;
}

static enum weir_status start_watch(struct weir_service *service)
{
    bool kept = service->config->spool.durability == WEIR_DURABILITY_DISK;
    enum weir_status status = weir_watch_start(&service->cut, kept, &service->watch);
    if (status != WEIR_OK) {
        weir_log(WEIR_LOG_ERROR, "start failed", WEIR_LOG_STR("what", "weir-watch"),
                 WEIR_LOG_STR("reason", weir_status_text(status)));
    }
    return status;
}

static void open_notify(void)
{
    if (weir_notify_open() != WEIR_OK) {
        weir_log(WEIR_LOG_WARN, "no word to the supervisor",
                 WEIR_LOG_STR("reason", "$NOTIFY_SOCKET names no socket that can be used"));
    }
}

static void warn_of_root(void)
{
    if (geteuid() == 0) {
        weir_log(
            WEIR_LOG_WARN, "runs as root",
            WEIR_LOG_STR("reason", "nothing that it does needs root"),
            WEIR_LOG_STR("do", "give it a user of its own (deploy/systemd, deploy/container)"));
    }
}

/* From everything there to ready. */
static enum weir_status open_doors(struct weir_service *service)
{
    WEIR_TRY(weir_service_build(service)); /* these have logged what failed */
    WEIR_TRY(start_watch(service));
    WEIR_TRY(weir_service_confine_calls(service));
    /* relaxed: partner is weir_service_ready */
    atomic_store_explicit(&service->phase, WEIR_PHASE_READY, memory_order_relaxed);
    log_ready(service);
    weir_notify_ready("serving");
    weir_startup_forget();
    return WEIR_OK;
}

/* Runs a service from its start to its end; the exit code. */
static int run_serve(struct weir_service *service, const struct life *life)
{
    (void)life;
    struct weir_watch_order order = {0};
    warn_of_root();
    open_notify();
    weir_expo_collector(weir_service_gauges, service);
    if (open_doors(service) != WEIR_OK) {
        return end_start(service);
    }
    order = wait_for_stop(service);
    if (order.signal == SIGTERM) {
        spend_grace(service, &order);
    }
    int code = end_in_order(service, order);
    weir_notify_close();
    return code;
}

static int run_replay(struct weir_service *service, const struct life *life)
{
    service->replaying = true;
    if (weir_service_build(service) != WEIR_OK || start_watch(service) != WEIR_OK) {
        return end_start(service);
    }
    bool fed = life->feed(service, life->argument) == WEIR_OK;
    int code = end_in_order(service, (struct weir_watch_order){0});
    return fed ? code : 1;
}

/* Makes the process ready, and everything that a service stands on. */
static int live(const struct weir_config *config, const struct life *life)
{
    WEIR_ASSERT_ROLE(WEIR_ROLE_MAIN);
    weir_log_configure((enum weir_log_level)config->log.level,
                       (enum weir_log_format)config->log.format);
    prepare_process(config);
    weir_rcu_thread_start();
    int code = 1;
    struct weir_service *service = weir_mem_aligned(_Alignof(struct weir_service), sizeof *service);
    if (service == NULL || weir_metrics_start() != WEIR_OK) {
        goto no_metrics;
    }
    memset(service, 0, sizeof *service);
    if (weir_reload_init(service, config) == WEIR_OK && weir_metrics_thread_start() == WEIR_OK &&
        weir_transport_curl_global() == WEIR_OK) {
        code = life->run(service, life);
        weir_metrics_thread_stop();
    }
    weir_reload_done(service);
    weir_metrics_stop();
no_metrics:
    weir_mem_free(service);
    weir_rcu_thread_stop();
    return code;
}

int weir_lifecycle_serve(const struct weir_config *config)
{
    return live(config, &(struct life){.run = run_serve});
}

int weir_service_replay(const struct weir_config *config,
                        enum weir_status (*feed)(struct weir_service *service, void *argument),
                        void *argument)
{
    return live(config, &(struct life){.run = run_replay, .feed = feed, .argument = argument});
}

bool weir_service_interrupted(void)
{
    static bool interrupted;
    int signal_ = interrupted ? 0 : next_signal(0);
    interrupted = interrupted || signal_ == SIGTERM || signal_ == SIGINT;
    return interrupted;
}
