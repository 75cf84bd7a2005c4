/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the process: the states of weir/lifecycle.h, and who takes each edge.
 *
 *   STARTING ─► READY      serve, when weir_service_build is done
 *   READY ─► GRACE         wait_for_stop: SIGTERM or SIGINT. Readiness is off from here on
 *   GRACE ─► DRAINING      spend_grace: the time is over, or a second signal; at once after SIGINT,
 *                          for no balancer sends that
 *   DRAINING ─► stopped    drain: ingest answers what it has, then the exporter sends what is
 *                          queued
 *   DRAINING ─► killed     on_interrupt: a SIGINT, _exit(1)
 *
 * Signals are blocked in every thread; the main one takes them with sigtimedwait, so there is no
 * handler until DRAINING, when main is busy inside the rooms and the only thing left to want is
 * the end. That is for a person at a terminal: a second SIGTERM was tried as the end too, but
 * supervisors send it twice (to the process and to its group), and cut short a drain that went
 * well.
 *
 * The deadline is for all of DRAINING: ingest may use half of it (requests in flight have their
 * own, shorter limits), the exporter what is left. What is not delivered then is counted, logged,
 * and the exit code is 1.
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
#include "weir/thread.h"
#include "weir/transport.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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
    int signal_ = next_signal(-1);
    while (signal_ == SIGHUP) {
        refuse_reload();
        signal_ = next_signal(-1);
    }
    /* relaxed: partner is weir_service_ready; nothing else hangs on it */
    atomic_store_explicit(&service->phase, WEIR_PHASE_DRAINING, memory_order_relaxed);
    int64_t grace_ns = signal_ == SIGTERM ? service->config->drain.grace_ns : 0;
    weir_log(WEIR_LOG_INFO, "stopping", WEIR_LOG_STR("signal", signal_name(signal_)),
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

static void on_interrupt(int signal_)
{
    static const char text[] = "weir: interrupted again, ending at once; what was queued is lost\n";
    (void)signal_;
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
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

/* Takes the traffic out of the service; the number of points that could not be delivered. */
static uint64_t drain(struct weir_service *service)
{
    uint64_t left = 0;
    int64_t now_ns = weir_clock_mono_ns();
    int64_t deadline_ns = service->config->drain.deadline_ns;
    if (service->ingest != NULL) {
        weir_ingest_drain(service->ingest, now_ns + deadline_ns / 2);
    }
    if (service->exporting) {
        weir_exporter_drain(service->exporter, now_ns + deadline_ns, &left);
        service->exporting = false;
    }
    return left;
}

static void log_ready(const struct weir_service *service)
{
    const char *source = service->config->source;
    weir_log(WEIR_LOG_INFO, "ready", WEIR_LOG_STR("version", WEIR_VERSION),
             WEIR_LOG_STR("config", source == NULL ? "none" : source),
             WEIR_LOG_INT("destinations", service->config->destinations.count),
             WEIR_LOG_INT("memory_limit", service->config->memory_limit));
}

/* Runs a service from its start to its end; the exit code. */
static int run_service(struct weir_service *service)
{
    weir_expo_collector(weir_service_gauges, service);
    if (weir_service_build(service) != WEIR_OK) {
        (void)drain(service);
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
    uint64_t left = drain(service);
    weir_log(left == 0 ? WEIR_LOG_INFO : WEIR_LOG_ERROR, "stopped",
             WEIR_LOG_INT("points_delivered", weir_service_delivered(service)),
             WEIR_LOG_INT("points_left", left));
    weir_service_done(service);
    return left == 0 ? 0 : 1;
}

int weir_lifecycle_serve(const struct weir_config *config)
{
    WEIR_ASSERT_ROLE(WEIR_ROLE_MAIN);
    weir_log_configure((enum weir_log_level)config->log.level,
                       (enum weir_log_format)config->log.format);
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
        code = run_service(service);
        weir_metrics_thread_stop();
    }
    weir_metrics_stop();
no_metrics:
    weir_mem_free(service);
    weir_rcu_thread_stop();
    return code;
}
