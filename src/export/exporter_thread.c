/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exporter thread's life: turns, sleep, and the end.
 *
 *   turn:  silence the bell ─► slots' news ─► inbox (jobs, parcels that are back) ─► replies
 *            ─► letters done ─► for each destination that is ours: give up what closes must
 *            (closing.c), gather, send and expire, publish, end what has closed
 *   sleep: in the transport, until the network, the bell or the nearest of all times says so
 *
 *   running ──draining, and nothing left of ours──► lingering ──all closed, of all threads──► end
 *      └──────draining, and the deadline──► discarding ──┘
 *
 * Edges:
 *   running -> lingering                live, close_drained
 *   running -> discarding -> lingering  discard_all
 *   lingering -> end                    weir_exporter_thread_run
 *
 * A lingering thread still encodes for the others, which is why nobody ends before all have closed.
 *
 *   I1  the bell is silenced before the queues are looked at, so what comes later rings again
 *   I2  what a turn leaves undone sets has_more, and the next sleep is none
 *   I3  a destination is closed once, by its owner, when no parcel of it is anywhere: by a drain,
 *       which leaves its machine to be asked, or alone, which leaves its slot FREE
 *   I4  what was opened or told to close before the drain is known to its owner before the owner
 *       looks whether all is closed
 *
 * One slow destination costs the others nothing: turns are bounded, and nothing in them waits.
 */
#include "exporter_internal.h"
#include "weir/clock.h"
#include "weir/panic.h"
#include "weir/pulse.h"
#include "weir/rcu.h"
#include <poll.h>

#define SLEEP_MAX_NS   WEIR_NS_PER_S
#define COMPACT_NS     WEIR_NS_PER_S
#define WRITE_WAIT_NS  WEIR_NS_PER_MS        /* until the reader of a pipe has made room */
#define SLOW_WAIT_NS   (20 * WEIR_NS_PER_MS) /* when it made none meanwhile */
#define MEMORY_WAIT_NS (20 * WEIR_NS_PER_MS)

/* Times to wake up for, gathered. */
static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t wakeup_ns(const struct weir_exporter_thread *thread, int64_t now_ns)
{
    int64_t wakeup = thread->is_short_of_memory ? now_ns + MEMORY_WAIT_NS : INT64_MAX;
    for (const struct weir_export_destination *own = weir_slot_next(thread, NULL); own != NULL;
         own = weir_slot_next(thread, own)) {
        wakeup = earlier(wakeup, weir_gather_wakeup_ns(own, now_ns));
        wakeup = earlier(wakeup, weir_closing_wakeup_ns(own, now_ns));
        wakeup = earlier(wakeup, own->auth.wake_ns);
        if (own->auth.is_ready) {
            wakeup = earlier(wakeup, weir_destination_wakeup_ns(&own->machine));
        }
        if (own->doomed != NULL) {
            wakeup = earlier(wakeup, now_ns + MEMORY_WAIT_NS);
        }
        if (own->options->type != WEIR_DESTINATION_OTLP_HTTP && own->flying[0] != NULL) {
            wakeup = earlier(wakeup, now_ns + (own->reader_is_slow ? SLOW_WAIT_NS : WRITE_WAIT_NS));
        }
    }
    if (weir_exporter_is_draining(thread->exporter)) {
        /* relaxed: set before `draining` was */
        wakeup = earlier(
            wakeup, atomic_load_explicit(&thread->exporter->deadline_ns, memory_order_relaxed));
    }
    return wakeup;
}

/* How long to sleep, in whole milliseconds, never short of the time. */
static int sleep_ms(const struct weir_exporter_thread *thread)
{
    int64_t now_ns = weir_clock_mono_ns();
    if (thread->has_more) {
        return 0;
    }
    int64_t wakeup = wakeup_ns(thread, now_ns);
    if (wakeup <= now_ns) {
        return 0;
    }
    int64_t left = wakeup - now_ns < SLEEP_MAX_NS ? wakeup - now_ns : SLEEP_MAX_NS;
    return (int)((left + WEIR_NS_PER_MS - 1) / WEIR_NS_PER_MS);
}

static void take_replies(struct weir_exporter_thread *thread)
{
    struct weir_transport_reply reply;
    while (thread->transport.reply(thread->transport.self, &reply) == WEIR_OK) {
        if (!weir_auth_reply(thread, &reply)) {
            weir_parcel_reply(thread, &reply);
        }
    }
}

static void turn(struct weir_exporter_thread *thread)
{
    int64_t now_ns = weir_clock_mono_ns();
    bool compact = now_ns >= thread->compact_ns;
    thread->has_more = false;
    weir_wake_silence(&thread->bell);
    weir_closing_news(thread);
    weir_gather_inbox(thread, now_ns);
    take_replies(thread);
    weir_loss_letters(thread);
    for (struct weir_export_destination *own = weir_slot_next(thread, NULL); own != NULL;
         own = weir_slot_next(thread, own)) {
        weir_loss_turn(own);
        weir_closing_turn(own, now_ns);
        weir_gather_turn(own, now_ns);
        if (compact) {
            weir_gather_compact(own);
        }
        weir_parcel_turn(own, weir_clock_mono_ns());
        weir_export_metrics_publish(own, now_ns);
        weir_closing_finish(own);
    }
    if (compact) {
        thread->compact_ns = now_ns + COMPACT_NS;
    }
}

static void close_drained(const struct weir_exporter_thread *thread)
{
    for (struct weir_export_destination *own = weir_slot_next(thread, NULL); own != NULL;
         own = weir_slot_next(thread, own)) {
        weir_closing_drained(own);
    }
    weir_closing_leftovers(thread);
}

/* Ends it with all that is in flight, a request for a token as well, before that is freed. */
static void end_transport(struct weir_exporter_thread *thread)
{
    if (thread->transport.free != NULL) {
        thread->transport.free(thread->transport.self);
        thread->transport = (struct weir_transport){.free = NULL};
    }
}

/* The deadline has come: gives up what is ours, and goes on until what is out at
 * encoders and at the letterbox is back. */
static void discard_all(struct weir_exporter_thread *thread)
{
    end_transport(thread);
    weir_closing_news(thread); /* the last of it came before the drain */
    while (!weir_closing_all(thread->exporter)) {
        int64_t now_ns = weir_clock_mono_ns();
        weir_pulse_beat();
        thread->has_more = false;
        weir_wake_silence(&thread->bell);
        weir_gather_inbox(thread, now_ns);
        weir_loss_letters(thread);
        for (struct weir_export_destination *own = weir_slot_next(thread, NULL); own != NULL;
             own = weir_slot_next(thread, own)) {
            own->keeps_rings = false;
            weir_closing_flights(own);
            weir_gather_discard(own);
            weir_loss_discard(own);
        }
        close_drained(thread);
        if (!thread->has_more && !weir_closing_all(thread->exporter)) {
            struct pollfd bell = {.fd = thread->bell.fd, .events = POLLIN};
            (void)poll(&bell, 1, (int)(MEMORY_WAIT_NS / WEIR_NS_PER_MS));
        }
    }
}

static bool is_deadline_over(const struct weir_exporter *exporter)
{
    const _Atomic bool *cut = exporter->options.cut;
    if (!weir_exporter_is_draining(exporter)) {
        return false;
    }
    /* relaxed: nothing else hangs on it */
    if (cut != NULL && atomic_load_explicit(cut, memory_order_relaxed)) {
        return true;
    }
    /* relaxed: set before `draining`, which is read with acquire first */
    return weir_clock_mono_ns() >=
           atomic_load_explicit(&exporter->deadline_ns, memory_order_relaxed);
}

static void live(struct weir_exporter_thread *thread)
{
    /* relaxed: set before anything was published; only the start's failure sets it */
    while (!atomic_load_explicit(&thread->exporter->abandoned, memory_order_relaxed)) {
        bool draining =
            weir_exporter_is_draining(thread->exporter); /* before the turn looks at the rings */
        weir_pulse_beat();
        turn(thread);
        if (draining) {
            close_drained(thread);
            if (weir_closing_all(thread->exporter)) {
                return;
            }
        }
        if (is_deadline_over(thread->exporter)) {
            discard_all(thread);
            return;
        }
        int timeout_ms = sleep_ms(thread);
        if (thread->transport.wait(thread->transport.self, thread->bell.fd, timeout_ms) !=
            WEIR_OK) {
            struct pollfd bell = {.fd = thread->bell.fd, .events = POLLIN};
            (void)poll(&bell, 1, timeout_ms < 20 ? timeout_ms : 20); /* no spinning on an error */
        }
    }
}

static enum weir_status prepare(struct weir_exporter_thread *thread)
{
    uint64_t seed;
    WEIR_TRY(weir_metrics_thread_start());
    weir_rand_system(&seed, sizeof(seed));
    weir_rand_init(&thread->rand, seed);
    weir_closing_news(thread);
    return WEIR_OK;
}

void weir_exporter_thread_run(void *argument)
{
    struct weir_exporter_thread *thread = argument;
    struct weir_exporter *exporter = thread->exporter;
    WEIR_ASSERT_ROLE(WEIR_ROLE_EXPORTER);
    weir_rcu_thread_start();
    enum weir_status status = prepare(thread);
    if (status != WEIR_OK) {
        /* relaxed: ordered by threads_ready */
        atomic_store_explicit(&exporter->start_status, (int)status, memory_order_relaxed);
    }
    /* release: pairs with the acquire in wait_until_ready */
    atomic_fetch_add_explicit(&exporter->threads_ready, 1, memory_order_release);
    weir_wake_ring(&exporter->ready);
    if (status == WEIR_OK) {
        live(thread);
        end_transport(thread);
        weir_metrics_thread_stop();
    }
    weir_rcu_thread_stop();
}
