/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread `weir-watch`: signs of life, and signals during a stop.
 *
 *   every tick   look at the pulses ──► somebody silent for `limit`: told once, and no more
 *                                       WATCHDOG=1 until it moves again
 *                                   ──► all alive: WATCHDOG=1 when half of the watchdog is over
 *   a signal, once the main thread is stopping:
 *
 *      the same order within a second   nothing: supervisors send SIGTERM twice at once, to the
 *                                       process and to its group; taken as "at once" that cut
 *                                       short drains that went well
 *      a second order                   *cut: who still sends is stopped, what is not delivered
 *                                       settled as kept, the spool closed in order
 *      a third                          _exit(1), for a disk that hangs: what is on disk is safe
 *                                       after that too
 *
 *   I1  the supervisor hears WATCHDOG=1 only while every watched thread has beaten or rests. Those
 *       are ingest loops, exporters, lane, keeper, backlog, dead letter, and the main thread
 *   I2  a process that was stopped as a whole (SIGSTOP, a paused machine) blames nobody: a tick
 *       that comes late by half the limit starts all over
 *
 * Without a watchdog the limit is LIMIT_NS, and only the log says it. A thread that waits for a
 * disk which hangs counts as stuck: to a sender it is. One whose disk is slow does not: each call
 * that comes back is a sign of life (weir_pulse_move), or a slow disk would end a whole fleet. What
 * stands in the way of this thread itself (no processor for a minute) is a reason for the
 * supervisor to act too.
 *
 * Deliberately not done: ending the process ourselves. That is the supervisor's, who was asked for.
 */
#include "watch.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/notify.h"
#include "weir/pulse.h"
#include "weir/thread.h"
#include "weir/wake.h"
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TICK_NS   WEIR_NS_PER_S
#define LIMIT_NS  (60 * WEIR_NS_PER_S)
#define REPEAT_NS WEIR_NS_PER_S

struct weir_watch {
    _Atomic bool *cut;
    bool kept;
    struct weir_thread *thread;
    struct weir_wake bell;
    int signals_fd;
    _Atomic bool draining; /* release: pairs with the acquire in body; `order` is written before */
    _Atomic bool stopping; /* release: pairs with the acquire in body */
    struct weir_watch_order order;
    int64_t tick_ns, limit_ns, feed_ns; /* feed_ns 0: nobody is fed */
    int64_t looked_ns, fed_ns;
    bool has_told;
    struct weir_pulse_watch pulses;
};

bool weir_watch_is_repeat(const struct weir_watch_order *order, int signal, int64_t now_ns)
{
    return signal == SIGTERM && order->signal == SIGTERM && now_ns - order->at_ns < REPEAT_NS;
}

/* Ends the process; what the others are at is not waited for. */
static void end_at_once(const struct weir_watch *watch)
{
    static const char lost[] = "weir: told to end a third time; what was queued is lost\n";
    static const char kept[] = "weir: told to end a third time; what is not delivered is on disk\n";
    ssize_t ignored = watch->kept ? write(STDERR_FILENO, kept, sizeof kept - 1)
                                  : write(STDERR_FILENO, lost, sizeof lost - 1);
    (void)ignored;
    _exit(1);
}

static void take_signals(struct weir_watch *watch)
{
    struct signalfd_siginfo info;
    while (read(watch->signals_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        int number = (int)info.ssi_signo;
        int64_t now_ns = weir_clock_mono_ns();
        if (number == SIGHUP || weir_watch_is_repeat(&watch->order, number, now_ns)) {
            continue;
        }
        watch->order = (struct weir_watch_order){number, now_ns};
        /* relaxed: partners are the loops of ingest and exporters; nothing else hangs on it */
        if (atomic_exchange_explicit(watch->cut, true, memory_order_relaxed)) {
            end_at_once(watch);
        }
        weir_log(WEIR_LOG_WARN, "stopping at once",
                 WEIR_LOG_STR("reason", "told to stop a second time"),
                 WEIR_LOG_STR("not_delivered", watch->kept ? "stays on disk" : "is lost"));
    }
}

static void look(struct weir_watch *watch)
{
    char name[16] = "";
    int64_t now_ns = weir_clock_mono_ns();
    if (now_ns - watch->looked_ns > watch->tick_ns + watch->limit_ns / 2) {
        weir_pulse_forgive(&watch->pulses, now_ns); /* I2 */
    }
    watch->looked_ns = now_ns;
    int64_t silent_ns = weir_pulse_look(&watch->pulses, now_ns, name);
    bool is_alive = silent_ns < watch->limit_ns;
    if (!is_alive && !watch->has_told) {
        weir_log(WEIR_LOG_ERROR, "thread stuck", WEIR_LOG_STR("thread", name),
                 WEIR_LOG_INT("seconds", silent_ns / WEIR_NS_PER_S),
                 WEIR_LOG_STR("supervisor", watch->feed_ns > 0 ? "gets no more signs of life"
                                                               : "none asked to be told"));
    } else if (is_alive && watch->has_told) {
        weir_log(WEIR_LOG_WARN, "threads move again", WEIR_LOG_INT("stuck_now", 0));
    }
    watch->has_told = !is_alive;
    if (is_alive && watch->feed_ns > 0 && now_ns - watch->fed_ns >= watch->feed_ns) {
        watch->fed_ns = now_ns;
        weir_notify_send("WATCHDOG=1");
    }
}

static void body(void *argument)
{
    struct weir_watch *watch = argument;
    /* acquire: pairs with weir_watch_stop */
    while (!atomic_load_explicit(&watch->stopping, memory_order_acquire)) {
        /* acquire: pairs with weir_watch_drain */
        bool draining = atomic_load_explicit(&watch->draining, memory_order_acquire);
        struct pollfd polls[] = {{.fd = watch->bell.fd, .events = POLLIN},
                                 {.fd = draining ? watch->signals_fd : -1, .events = POLLIN}};
        (void)poll(polls, 2, (int)(watch->tick_ns / WEIR_NS_PER_MS));
        weir_wake_silence(&watch->bell);
        if (draining) {
            take_signals(watch);
        }
        look(watch);
    }
}

static void set_times(struct weir_watch *watch)
{
    int64_t watchdog_ns = weir_notify_watchdog_ns();
    watch->limit_ns = watchdog_ns > 0 ? watchdog_ns : LIMIT_NS;
    watch->feed_ns = watchdog_ns / 2;
    int64_t quarter_ns = watch->limit_ns / 4 + WEIR_NS_PER_MS;
    watch->tick_ns = quarter_ns < TICK_NS ? quarter_ns : TICK_NS;
    watch->looked_ns = weir_clock_mono_ns();
}

static void release(struct weir_watch *watch)
{
    weir_wake_close(&watch->bell);
    if (watch->signals_fd >= 0) {
        (void)close(watch->signals_fd);
    }
    weir_mem_free(watch);
}

enum weir_status weir_watch_start(_Atomic bool *cut, bool kept, struct weir_watch **ret)
{
    sigset_t set;
    struct weir_watch *watch = weir_mem_zalloc(1, sizeof *watch);
    if (watch == NULL) {
        return WEIR_ENOMEM;
    }
    watch->cut = cut;
    watch->kept = kept;
    watch->bell.fd = -1;
    set_times(watch);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    watch->signals_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    enum weir_status status = watch->signals_fd < 0 ? WEIR_EIO : weir_wake_open(&watch->bell);
    if (status == WEIR_OK) {
        status = weir_thread_start(WEIR_ROLE_WATCH, "weir-watch", body, watch, &watch->thread);
    }
    if (status != WEIR_OK) {
        release(watch);
        return status;
    }
    *ret = watch;
    return WEIR_OK;
}

void weir_watch_drain(struct weir_watch *watch, struct weir_watch_order order)
{
    if (watch == NULL) {
        return;
    }
    watch->order = order;
    /* release: pairs with the acquire in body */
    atomic_store_explicit(&watch->draining, true, memory_order_release);
    weir_wake_ring(&watch->bell);
}

void weir_watch_stop(struct weir_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    /* release: pairs with the acquire in body */
    atomic_store_explicit(&watch->stopping, true, memory_order_release);
    weir_wake_ring(&watch->bell);
    weir_thread_join(watch->thread);
    release(watch);
}
