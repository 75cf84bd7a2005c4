/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the process: the states of weir/lifecycle.h, and who takes each edge.
 *
 *   STARTING ─► READY      serve, when weir_service_build is done
 *   READY ─► GRACE         wait_for_stop: SIGTERM or SIGINT. Readiness is off from here on
 *   GRACE ─► DRAINING      spend_grace: the time is over, or a second signal; at once after SIGINT,
 *                          for no balancer sends that, and when the spool has failed
 *   DRAINING ─► stopped    weir_service_drain: ingest answers what it has, the lane commits what it
 *                          has, the backlog ends, the exporter sends what is in memory; then
 *                          weir_service_done: dead letter, release log
 *   DRAINING ─► killed     on_interrupt: a SIGINT, _exit(1)
 *
 * Signals are blocked in every thread; the main one takes them with sigtimedwait, so there is no
 * handler until DRAINING, when main is busy inside the rooms and the only thing left to want is
 * the end. That is for a person at a terminal: a second SIGTERM was tried as the end too, but
 * supervisors send it twice (to the process and to its group), and cut short a drain that went
 * well.
 *
 * The deadline is for all of DRAINING: ingest may use half of it (requests in flight have their
 * own, shorter limits), the exporter what is left. What is not delivered then is on disk and comes
 * again after the next start; without a disk it is counted, logged, and the exit code is 1. With
 * durability delivered, batches no longer wait to be full, so that requests are answered before the
 * end; those that wait all the same are dismissed (503) shortly before ingest's half is over, by a
 * thread of its own: main is inside weir_ingest_drain then, and a connection that is cut says less
 * than a 503.
 *
 * A spool that fails sends SIGTERM to its own process: one way to stop, whoever asks.
 *
 *   I1  nothing is published after weir_ingest_drain; so weir_exporter_drain sees all there will
 *       ever be
 *   I2  the admin thread reads the service until weir_service_done stops it: /metrics works while
 *       draining
 *
 * Main thread.
 */
#include "weir/lifecycle.h"
#include "lifecycle_internal.h"
#include "weir/clock.h"
#include "weir/expo.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include "weir/rcu.h"
#include "weir/spool.h"
#include "weir/thread.h"
#include "weir/transport.h"
#include "weir/wake.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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
static void prepare_process(void)
{
    sigset_t set = handled_signals();
    int blocked = pthread_sigmask(SIG_BLOCK, &set, NULL);
    WEIR_ASSERT(blocked == 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(077);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* The next handled signal, or 0 after `wait_ns`; for ever when that is negative. */
static int next_signal(int64_t wait_ns)
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

static const char *signal_name(int signal_)
{
    return signal_ == SIGTERM ? "SIGTERM" : signal_ == SIGINT ? "SIGINT" : "SIGHUP";
}

static void refuse_reload(void)
{
    weir_log(WEIR_LOG_WARN, "reload refused",
             WEIR_LOG_STR("reason", "reload is not supported by this version yet"));
}

/* Until SIGTERM or SIGINT; which of them it was. */
static int wait_for_stop(struct weir_service *service)
{
    int signal_ = next_signal(weir_service_watch_tls(service));
    while (signal_ == SIGHUP || signal_ == 0) {
        if (signal_ == SIGHUP) {
            refuse_reload();
        }
        signal_ = next_signal(weir_service_watch_tls(service));
    }
    /* relaxed: partner is weir_service_ready; nothing else hangs on it */
    atomic_store_explicit(&service->phase, WEIR_PHASE_DRAINING, memory_order_relaxed);
    bool failed = atomic_load_explicit(&service->spool_failed, memory_order_relaxed);
    signal_ = failed ? SIGINT : signal_; /* nobody can be served any more: no grace */
    int64_t grace_ns = signal_ == SIGTERM ? service->config->drain.grace_ns : 0;
    weir_log(WEIR_LOG_INFO, "stopping",
             WEIR_LOG_STR("signal", failed ? "spool failed" : signal_name(signal_)),
             WEIR_LOG_INT("grace_ms", grace_ns / WEIR_NS_PER_MS),
             WEIR_LOG_INT("deadline_ms", service->config->drain.deadline_ns / WEIR_NS_PER_MS));
    return signal_;
}

/* Requests are taken while balancers find out. That nobody is connected now does not end it: a
 * balancer that has not looked yet would send its next connection to a closed port. */
static void spend_grace(const struct weir_service *service)
{
    int64_t end_ns = weir_clock_mono_ns() + service->config->drain.grace_ns;
    int64_t left_ns = service->config->drain.grace_ns;
    while (left_ns > 0) {
        int signal_ = next_signal(left_ns);
        if (signal_ == SIGTERM || signal_ == SIGINT) {
            return;
        }
        if (signal_ == SIGHUP) {
            refuse_reload();
        }
        left_ns = end_ns - weir_clock_mono_ns();
    }
}

static volatile sig_atomic_t keeps; /* what is not delivered is on disk */

static void on_interrupt(int signal_)
{
    static const char lost[] = "weir: interrupted again, ending at once; what was queued is lost\n";
    static const char kept[] = "weir: interrupted again, ending at once; what is not delivered is "
                               "on disk\n";
    (void)signal_;
    ssize_t ignored = keeps != 0 ? write(STDERR_FILENO, kept, sizeof kept - 1)
                                 : write(STDERR_FILENO, lost, sizeof lost - 1);
    (void)ignored;
    _exit(1);
}

/* From here on a SIGINT is the end. Only the main thread has it unblocked. */
static void arm_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaction(SIGINT, &action, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Who tells waiting requests that their time is over, while main waits for them. */
struct dismissal {
    struct weir_spool *spool;
    int64_t at_ns;
    struct weir_wake over; /* rung when nobody waits any more */
    struct weir_thread *thread;
};

/* Sleeps until then; whether the bell was silent all the time. */
static bool sleep_until(int64_t at_ns, const struct weir_wake *bell)
{
    int64_t left_ns;
    while ((left_ns = at_ns - weir_clock_mono_ns()) > 0) {
        struct pollfd poll_ = {.fd = bell->fd, .events = POLLIN};
        if (poll(&poll_, 1, (int)(left_ns / WEIR_NS_PER_MS % INT_MAX) + 1) > 0) {
            return false;
        }
    }
    return true;
}

static void dismiss(void *argument)
{
    struct dismissal *self = argument;
    weir_rcu_thread_start();
    if (weir_metrics_thread_start() == WEIR_OK) { /* whom it calls back may count */
        if (sleep_until(self->at_ns, &self->over)) {
            weir_spool_dismiss(self->spool);
        }
        weir_metrics_thread_stop();
    }
    weir_rcu_thread_stop();
}

static void drain_ingest(struct weir_service *service, int64_t now_ns, int64_t deadline_ns)
{
    int64_t margin_ns = deadline_ns / 8 < WEIR_NS_PER_S ? deadline_ns / 8 : WEIR_NS_PER_S;
    struct dismissal dismissal = {.spool = service->spool,
                                  .at_ns = now_ns + deadline_ns / 2 - margin_ns};
    bool wait = service->config->spool.durability == WEIR_DURABILITY_DELIVERED;
    if (!wait) {
        weir_ingest_drain(service->ingest, now_ns + deadline_ns / 2);
        return;
    }
    weir_exporter_hurry(service->exporter);
    bool bell = weir_wake_open(&dismissal.over) == WEIR_OK;
    if (!bell || weir_thread_start(WEIR_ROLE_KEEPER, "weir-dismiss", dismiss, &dismissal,
                                   &dismissal.thread) != WEIR_OK) {
        weir_spool_dismiss(service->spool); /* nobody to do it later: at once, then */
    }
    weir_ingest_drain(service->ingest, now_ns + deadline_ns / 2);
    if (bell) {
        weir_wake_ring(&dismissal.over);
        weir_thread_join(dismissal.thread);
        weir_wake_close(&dismissal.over);
    }
}

uint64_t weir_service_drain(struct weir_service *service)
{
    uint64_t left = 0;
    int64_t now_ns = weir_clock_mono_ns();
    int64_t deadline_ns = service->config->drain.deadline_ns;
    if (service->ingest != NULL) {
        drain_ingest(service, now_ns, deadline_ns);
    }
    if (service->custody != NULL) {
        weir_custody_lane_stop(service->custody);
        weir_custody_backlog_stop(service->custody);
    }
    if (service->exporting) {
        weir_exporter_drain(service->exporter, now_ns + deadline_ns, &left);
        service->exporting = false;
    }
    return left;
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

/* Runs a service from its start to its end; the exit code. */
static int run_serve(struct weir_service *service, const struct life *life)
{
    (void)life;
    weir_expo_collector(weir_service_gauges, service);
    if (weir_service_build(service) != WEIR_OK) {
        (void)weir_service_drain(service);
        weir_service_done(service);
        return 1;
    }
    /* relaxed: partner is weir_service_ready */
    atomic_store_explicit(&service->phase, WEIR_PHASE_READY, memory_order_relaxed);
    log_ready(service);
    if (wait_for_stop(service) == SIGTERM) {
        spend_grace(service);
    }
    arm_interrupt();
    int code = tell_end(service, weir_service_drain(service));
    weir_service_done(service);
    return code;
}

static int run_replay(struct weir_service *service, const struct life *life)
{
    service->replaying = true;
    if (weir_service_build(service) != WEIR_OK) {
        (void)weir_service_drain(service);
        weir_service_done(service);
        return 1;
    }
    bool fed = life->feed(service, life->argument) == WEIR_OK;
    arm_interrupt();
    int code = tell_end(service, weir_service_drain(service));
    weir_service_done(service);
    return fed ? code : 1;
}

/* Makes the process ready, and everything that a service stands on. */
static int live(const struct weir_config *config, const struct life *life)
{
    WEIR_ASSERT_ROLE(WEIR_ROLE_MAIN);
    weir_log_configure((enum weir_log_level)config->log.level,
                       (enum weir_log_format)config->log.format);
    keeps = config->spool.durability == WEIR_DURABILITY_DISK;
    prepare_process();
    weir_rcu_thread_start();
    int code = 1;
    struct weir_service *service = weir_mem_aligned(_Alignof(struct weir_service), sizeof *service);
    if (service == NULL || weir_metrics_start() != WEIR_OK) {
        goto no_metrics;
    }
    memset(service, 0, sizeof *service);
    service->config = config;
    if (weir_metrics_thread_start() == WEIR_OK && weir_transport_curl_global() == WEIR_OK) {
        code = life->run(service, life);
        weir_metrics_thread_stop();
    }
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
