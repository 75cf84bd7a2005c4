/* SPDX-License-Identifier: Apache-2.0 */
#include "load/run.h"
#include "load/worker.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/thread.h"
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { STEP_MS = 50, PROGRESS_NS = 1000000000, SAMPLE_POINTS = 1000 };

static _Atomic unsigned interrupts;

void weir_load_interrupt(void)
{
    /* relaxed: partner is weir_load_interrupts; nothing else is told by it */
    atomic_fetch_add_explicit(&interrupts, 1, memory_order_relaxed);
}

unsigned weir_load_interrupts(void)
{
    /* relaxed: partner is weir_load_interrupt */
    return atomic_load_explicit(&interrupts, memory_order_relaxed);
}

/* How many points fill Firehose's buffer, by a sample of them. */
static uint32_t points_of(const struct weir_load_options *options, struct weir_traffic *traffic)
{
    uint32_t per_stream = options->world.per_stream;
    if (options->points > 0) {
        return options->points;
    }
    uint32_t sample = per_stream < SAMPLE_POINTS ? per_stream : SAMPLE_POINTS;
    size_t bytes = weir_body_record_bytes(traffic, &options->shape, 0, sample);
    uint64_t points = options->buffer.size * (uint64_t)sample / (bytes == 0 ? 1 : bytes);
    return points == 0 ? 1 : points > per_stream ? per_stream : (uint32_t)points;
}

static bool set_up(struct weir_load_run *run, const struct weir_load_options *options)
{
    *run = (struct weir_load_run){.options = options, .running = options->threads};
    if (weir_traffic_new(&options->world, &run->traffic) != WEIR_OK) {
        (void)fprintf(stderr, "weir-load: no such world: out of memory or out of bounds\n");
        return false;
    }
    run->plan = (struct weir_load_plan){.streams = options->world.streams,
                                        .per_stream = options->world.per_stream,
                                        .points = points_of(options, run->traffic)};
    double rate = options->rate > 0 ? options->rate : options->points_rate / run->plan.points;
    run->interval_ns = rate > 0 ? (double)WEIR_NS_PER_S / rate : 0;
    (void)pthread_barrier_init(&run->prepared, NULL, options->threads + 1);
    (void)pthread_barrier_init(&run->go, NULL, options->threads + 1);
    return true;
}

static void progress(const struct weir_load_run *run, struct weir_load_worker *workers,
                     int64_t now_ns)
{
    static uint64_t points_before;
    static int64_t before_ns;
    uint64_t requests = 0;
    uint64_t points = 0;
    for (uint32_t i = 0; i < run->options->threads; i++) {
        /* relaxed: partner is the worker's store; a line that is a moment late is good enough */
        requests += atomic_load_explicit(&workers[i].shown_requests, memory_order_relaxed);
        points += atomic_load_explicit(&workers[i].shown_points, memory_order_relaxed);
    }
    int64_t since_ns = before_ns == 0 ? now_ns - run->start_ns : now_ns - before_ns;
    double seconds = (double)since_ns / (double)WEIR_NS_PER_S;
    (void)fprintf(stderr,
                  "\r%5" PRId64 " s  %" PRIu64 " requests  %" PRIu64 " points  %.0f points/s%s",
                  (now_ns - run->start_ns) / WEIR_NS_PER_S, requests, points,
                  seconds > 0 ? (double)(points - points_before) / seconds : 0,
                  now_ns >= run->end_ns || weir_load_interrupts() > 0 ? "  ending   " : "     ");
    points_before = points;
    before_ns = now_ns;
}

/* Once a second has passed since nothing new is begun: what is waited for, and for how long. */
static void explain_end(const struct weir_load_run *run, struct weir_load_worker *workers)
{
    uint64_t open = 0;
    for (uint32_t i = 0; i < run->options->threads; i++) {
        /* relaxed: partner is the worker's store */
        open += atomic_load_explicit(&workers[i].shown_open, memory_order_relaxed);
    }
    double most_s =
        (double)run->options->retry_window_ns / (double)WEIR_NS_PER_S / run->options->time_scale;
    (void)fprintf(stderr,
                  "%snothing new is begun; %" PRIu64
                  " requests are still under way or tried again, "
                  "for %.6g s at most and an attempt's time (Ctrl-C%s gives them up)\n",
                  isatty(STDERR_FILENO) == 1 ? "\r\033[Kweir-load: " : "weir-load: ", open, most_s,
                  weir_load_interrupts() > 0 ? " again" : " twice");
}

/* Until all threads have ended; signals wake it up. */
static void watch(struct weir_load_run *run, struct weir_load_worker *workers)
{
    bool shown = isatty(STDERR_FILENO) == 1;
    int64_t next_ns = run->start_ns + PROGRESS_NS;
    int64_t explain_ns = INT64_MAX;
    /* acquire: partner is the worker's release when it ends */
    while (atomic_load_explicit(&run->running, memory_order_acquire) > 0) {
        int64_t now_ns = weir_clock_mono_ns();
        if (shown && now_ns >= next_ns) {
            progress(run, workers, now_ns);
            next_ns = now_ns + PROGRESS_NS;
        }
        bool is_ending = now_ns >= run->end_ns || weir_load_interrupts() > 0;
        if (is_ending && explain_ns == INT64_MAX) {
            explain_ns = now_ns + PROGRESS_NS;
        } else if (is_ending && now_ns >= explain_ns) {
            explain_end(run, workers);
            explain_ns = INT64_MAX - 1;
        }
        (void)poll(NULL, 0, STEP_MS);
    }
    if (shown) {
        (void)fprintf(stderr, "\r%78s\r", "");
    }
}

/* Lets the threads prepare, go, and end. */
static void conduct(struct weir_load_run *run, struct weir_load_worker *workers)
{
    const struct weir_load_options *options = run->options;
    (void)pthread_barrier_wait(&run->prepared);
    run->start_ns = weir_clock_mono_ns();
    run->warm_ns = run->start_ns + options->warm_up_ns;
    run->end_ns = options->duration_ns == 0 ? INT64_MAX : run->start_ns + options->duration_ns;
    (void)pthread_barrier_wait(&run->go);
    watch(run, workers);
}

static bool start(struct weir_load_run *run, struct weir_load_worker *workers,
                  struct weir_thread **threads)
{
    for (uint32_t i = 0; i < run->options->threads; i++) {
        if (weir_load_worker_init(&workers[i], run, i) != WEIR_OK) {
            (void)fprintf(stderr, "weir-load: out of memory or descriptors\n");
            return false;
        }
    }
    for (uint32_t i = 0; i < run->options->threads; i++) {
        if (weir_thread_start(WEIR_ROLE_EXPORTER, "load", weir_load_worker_main, &workers[i],
                              &threads[i]) != WEIR_OK) {
            (void)fprintf(stderr, "weir-load: a thread could not be started\n");
            _exit(WEIR_LOAD_FAILED); /* those that run wait for it at the barrier */
        }
    }
    return true;
}

static bool gather(const struct weir_load_run *run, struct weir_load_worker *workers,
                   struct weir_load_outcome *ret)
{
    struct weir_load_outcome outcome = {.points = run->plan.points};
    /* relaxed: partner is fail; the threads are joined */
    bool good = atomic_load_explicit(&run->failed, memory_order_relaxed) == 0 &&
                weir_load_results_init(&outcome.results) == WEIR_OK;
    for (uint32_t i = 0; good && i < run->options->threads; i++) {
        weir_load_results_merge(&outcome.results, &workers[i].results);
        good = weir_load_promises_merge(&outcome.promises, &workers[i].promises) == WEIR_OK;
    }
    if (!good) {
        weir_load_results_done(&outcome.results);
        weir_load_promises_done(&outcome.promises);
        return false;
    }
    int64_t last_ns = outcome.results.last_ns;
    outcome.sending_ns = last_ns > run->start_ns ? last_ns - run->start_ns : 0;
    outcome.measured_ns = last_ns > run->warm_ns ? last_ns - run->warm_ns : 0;
    *ret = outcome;
    return true;
}

bool weir_load_run(const struct weir_load_options *options, struct weir_load_outcome *ret)
{
    struct weir_load_run run;
    struct weir_thread *threads[WEIR_LOAD_THREADS_MAX] = {NULL};
    if (!set_up(&run, options)) {
        return false;
    }
    struct weir_load_worker *workers = weir_mem_zalloc(options->threads, sizeof *workers);
    bool good = workers != NULL && start(&run, workers, threads);
    if (good) {
        conduct(&run, workers);
    }
    for (uint32_t i = 0; i < options->threads; i++) {
        weir_thread_join(threads[i]);
    }
    good = good && gather(&run, workers, ret);
    for (uint32_t i = 0; workers != NULL && i < options->threads; i++) {
        weir_load_worker_done(&workers[i]);
    }
    weir_mem_free(workers);
    weir_traffic_free(run.traffic);
    (void)pthread_barrier_destroy(&run.prepared);
    (void)pthread_barrier_destroy(&run.go);
    return good;
}
