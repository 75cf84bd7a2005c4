/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sending thread: one transport, a share of the connections, and requests that each own a body.
 *
 *   idle ─► feed (by the mode) ─► [ready] ─► attempt ─► transport ─► answer ─► idle
 *                                    ▲                                 │
 *                                    └────────── retries ◄── waiting ◄─┘
 *
 *   fast   whatever is idle goes as soon as a connection is free
 *   rate   slot k is to be sent at start + k x interval; it goes then, or as soon as it can, and
 *          its latency counts from then. No slot is skipped: those that the end finds unsent are
 *          counted, with the wait they have had, so that a stall shows
 *   life   buffers that are due are built into idle requests and queue for a connection
 *
 *   I1  a request is in one of idle, ready, waiting, or it is flying
 *   I2  flying <= flying_max
 *   I3  a body is changed (its id) only while it is idle: the transport reads it while it flies
 *
 * Time: the clock's for sending and latency; "the run's time" (since the start, times the
 * time-scale) for the two models, so that a window of 900 s is one at any scale. Between events the
 * thread sleeps in the transport on a timer that is as exact as the kernel's.
 *
 * Full: no idle request means that nothing new is begun (fast, life), or begun late (rate). Out of
 * memory ends the run, and it is told.
 *
 * Not done: bodies of the rate mode are prepared ones as well; nothing is built while it is timed.
 */
#include "load/worker.h"
#include "load/hint.h"
#include "load/request.h"
#include "weir/clock.h"
#include <stdio.h>
#include <sys/timerfd.h>

enum { WAIT_MS = 100, LIFE_STEP_MS = 5 };

static void push(struct weir_load_queue *queue, struct weir_load_request *request)
{
    request->next = NULL;
    if (queue->head == NULL) {
        queue->head = request;
    } else {
        queue->tail->next = request;
    }
    queue->tail = request;
}

static struct weir_load_request *pop(struct weir_load_queue *queue)
{
    struct weir_load_request *request = queue->head;
    queue->head = request->next;
    return request;
}

static int64_t run_time(const struct weir_load_run *run, int64_t now_ns)
{
    return (int64_t)((double)(now_ns - run->start_ns) * run->options->time_scale);
}

static int64_t clock_time(const struct weir_load_run *run, int64_t run_ns)
{
    return run->start_ns + (int64_t)((double)run_ns / run->options->time_scale);
}

static struct weir_retry_options retry_options(const struct weir_load_worker *worker)
{
    return (struct weir_retry_options){
        .window_ns = worker->run->options->retry_window_ns,
        .initial_ns = WEIR_NS_PER_S,
        .max_ns = 120 * WEIR_NS_PER_S,
    };
}

static void fail(struct weir_load_worker *worker, const char *what)
{
    (void)fprintf(stderr, "weir-load: %s\n", what);
    worker->failed = true;
    /* relaxed: partner is run.c, which reads it after the join */
    atomic_fetch_add_explicit(&worker->run->failed, 1, memory_order_relaxed);
}

static void attempt(struct weir_load_worker *worker, struct weir_load_request *request,
                    int64_t now_ns)
{
    const struct weir_transport_request wanted = {
        .target = &request->target,
        .body = weir_bytes_of(request->parcel.data, request->parcel.size),
        .user = request,
    };
    worker->results.retries += request->retry.attempts > 0;
    weir_retry_begin(&request->retry, run_time(worker->run, now_ns));
    if (worker->transport.send(worker->transport.self, &wanted) != WEIR_OK) {
        fail(worker, "a request could not be begun (out of memory, or a bad URL)");
        return;
    }
    worker->flying++;
}

static void begin(struct weir_load_worker *worker, struct weir_load_request *request,
                  int64_t intended_ns, int64_t now_ns)
{
    weir_load_request_begin(request, &worker->rand, intended_ns);
    worker->results.requests++;
    attempt(worker, request, now_ns);
}

/* A request that has come to its end: what is to be said of its points. */
static void settle(struct weir_load_worker *worker, struct weir_load_request *request)
{
    bool fresh_each_time = worker->life != NULL;
    for (uint32_t i = 0; fresh_each_time && i < request->parcel.ranges; i++) {
        const struct weir_load_range *range = &request->parcel.range[i];
        struct weir_load_promise promise = {range->first, range->count, request->accepted,
                                            request->unsures};
        if (weir_load_promises_add(&worker->promises, promise) != WEIR_OK) {
            fail(worker, "out of memory");
        }
    }
    if (fresh_each_time) {
        request->accepted = 0;
        request->unsures = 0;
    }
    request->unsure = false;
    weir_retry_init(&request->retry);
    push(&worker->idle, request);
}

static void count(struct weir_load_volume *volume, const struct weir_load_parcel *parcel)
{
    volume->requests++;
    volume->points += parcel->points;
    volume->bytes += parcel->size;
    volume->json_bytes += parcel->json_bytes;
}

static void accepted(struct weir_load_worker *worker, struct weir_load_request *request,
                     int64_t now_ns)
{
    struct weir_load_results *results = &worker->results;
    request->accepted++;
    count(&results->accepted, &request->parcel);
    if (now_ns >= worker->run->warm_ns && !worker->stopping) {
        count(&results->measured, &request->parcel);
        results->last_ns = now_ns;
    }
    if (request->intended_ns >= worker->run->warm_ns) {
        weir_load_histogram_add(&results->latency, now_ns - request->intended_ns);
    }
    /* relaxed: partner is the progress line */
    atomic_store_explicit(&worker->shown_requests, results->accepted.requests,
                          memory_order_relaxed);
    atomic_store_explicit(&worker->shown_points, results->accepted.points, memory_order_relaxed);
    settle(worker, request);
}

static void dropped(struct weir_load_worker *worker, struct weir_load_request *request)
{
    worker->results.dropped++;
    worker->results.dropped_points += request->parcel.points;
    request->unsures += request->unsure;
    settle(worker, request);
}

static void given_up(struct weir_load_worker *worker, struct weir_load_request *request)
{
    const char *backup = worker->run->options->backup;
    worker->results.given_up++;
    worker->results.given_up_points += request->parcel.points;
    request->unsures += request->unsure;
    if (backup != NULL && weir_load_request_back_up(request, &worker->maker, backup) != WEIR_OK) {
        worker->results.backup_failed++;
    }
    settle(worker, request);
}

static void answer(struct weir_load_worker *worker, const struct weir_transport_reply *reply)
{
    struct weir_load_request *request = reply->user;
    struct weir_load_results *results = &worker->results;
    struct weir_retry_options options = retry_options(worker);
    int64_t now_ns = weir_clock_mono_ns();
    worker->flying--;
    results->repeats += reply->repeats;
    if (reply->failure != WEIR_TRANSPORT_ANSWERED) {
        results->failures[reply->failure]++;
    } else {
        results->codes[reply->status < WEIR_LOAD_CODES ? reply->status : 0]++;
    }
    if (weir_load_request_accepted(request, reply)) {
        accepted(worker, request, now_ns);
        return;
    }
    weir_load_request_failed(request, reply);
    weir_load_hint_once(worker->run, reply);
    if (reply->failure == WEIR_TRANSPORT_ANSWERED && reply->status == 413) {
        dropped(worker, request);
        return;
    }
    weir_retry_failed(&request->retry, &options, run_time(worker->run, now_ns), -1,
                      weir_rand_unit(&worker->rand));
    push(&worker->waiting, request);
    worker->waiting_next_ns = 0;
}

/* Those whose time has come, and those whose window is over. */
static void look_after_waiting(struct weir_load_worker *worker, int64_t now_ns)
{
    struct weir_retry_options options = retry_options(worker);
    int64_t run_ns = run_time(worker->run, now_ns);
    struct weir_load_queue all = worker->waiting;
    if (all.head == NULL || run_ns < worker->waiting_next_ns) {
        return;
    }
    worker->waiting = (struct weir_load_queue){NULL, NULL};
    worker->waiting_next_ns = INT64_MAX;
    while (all.head != NULL) {
        struct weir_load_request *request = pop(&all);
        enum weir_retry_verdict verdict = weir_retry_poll(&request->retry, &options, run_ns);
        if (verdict == WEIR_RETRY_EXPIRED) {
            given_up(worker, request);
        } else if (verdict == WEIR_RETRY_GO && worker->flying < worker->flying_max) {
            attempt(worker, request, now_ns);
        } else {
            int64_t next_ns = weir_retry_wakeup_ns(&request->retry, &options);
            worker->waiting_next_ns =
                next_ns < worker->waiting_next_ns ? next_ns : worker->waiting_next_ns;
            push(&worker->waiting, request);
        }
    }
}

static bool may_begin(const struct weir_load_worker *worker)
{
    return !worker->failed && !worker->stopping && worker->quota > 0 &&
           worker->flying < worker->flying_max && worker->idle.head != NULL;
}

static void feed_fast(struct weir_load_worker *worker)
{
    while (may_begin(worker)) {
        int64_t now_ns = weir_clock_mono_ns();
        worker->quota--;
        begin(worker, pop(&worker->idle), now_ns, now_ns);
    }
}

/* When this thread's next slot is to be sent. */
static int64_t slot_ns(const struct weir_load_worker *worker)
{
    uint64_t slot = worker->slot * worker->run->options->threads + worker->index;
    return worker->run->start_ns + (int64_t)((double)slot * worker->run->interval_ns);
}

static void feed_rate(struct weir_load_worker *worker, int64_t now_ns)
{
    for (int64_t due_ns; may_begin(worker) && (due_ns = slot_ns(worker)) <= now_ns;) {
        worker->quota--;
        worker->slot++;
        begin(worker, pop(&worker->idle), due_ns, now_ns);
    }
}

/* Builds buffers that are due, also all open ones at the end. */
static void feed_life(struct weir_load_worker *worker, int64_t now_ns)
{
    int64_t run_ns = run_time(worker->run, now_ns);
    struct weir_load_due due;
    while (!worker->failed && worker->idle.head != NULL && worker->quota > 0) {
        struct weir_load_request *request = worker->idle.head;
        due.range = request->parcel.range;
        bool is_due = worker->stopping ? weir_load_life_flush(worker->life, run_ns, &due)
                                       : weir_load_life_next(worker->life, run_ns, &due);
        if (!is_due) {
            return;
        }
        request->parcel.ranges = due.ranges;
        request->intended_ns = clock_time(worker->run, due.due_ns);
        if (weir_load_parcel_build(&worker->maker, &request->parcel) != WEIR_OK) {
            fail(worker, "out of memory");
            return;
        }
        worker->quota--;
        weir_load_request_address(request, worker);
        push(&worker->ready, pop(&worker->idle));
    }
}

static void send_ready(struct weir_load_worker *worker, int64_t now_ns)
{
    while (!worker->failed && worker->ready.head != NULL && worker->flying < worker->flying_max) {
        struct weir_load_request *request = pop(&worker->ready);
        begin(worker, request, request->intended_ns, now_ns);
    }
}

static void feed(struct weir_load_worker *worker, int64_t now_ns)
{
    switch (worker->run->options->mode) {
    case WEIR_LOAD_FAST: feed_fast(worker); return;
    case WEIR_LOAD_RATE: feed_rate(worker, now_ns); return;
    case WEIR_LOAD_LIFE:
        feed_life(worker, now_ns);
        send_ready(worker, now_ns);
        return;
    }
}

/* Sets the timer to the next thing that is not an answer; with all connections busy there is
 * none. */
static void arm(struct weir_load_worker *worker, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    enum weir_load_mode mode = worker->run->options->mode;
    if (worker->flying < worker->flying_max && worker->waiting.head != NULL) {
        next_ns = clock_time(worker->run, worker->waiting_next_ns);
    }
    if (mode == WEIR_LOAD_RATE && may_begin(worker)) {
        int64_t due_ns = slot_ns(worker);
        next_ns = due_ns < next_ns ? due_ns : next_ns;
    }
    if (mode == WEIR_LOAD_LIFE && worker->idle.head != NULL) {
        int64_t step_ns = now_ns + LIFE_STEP_MS * WEIR_NS_PER_MS;
        next_ns = step_ns < next_ns ? step_ns : next_ns;
    }
    if (next_ns == INT64_MAX && !worker->armed) {
        return;
    }
    worker->armed = next_ns != INT64_MAX;
    struct itimerspec when = {0}; /* zero: not armed, and no longer readable */
    if (worker->armed) {
        int64_t left_ns = next_ns - now_ns < 1 ? 1 : next_ns - now_ns;
        when.it_value.tv_sec = (time_t)(left_ns / WEIR_NS_PER_S);
        when.it_value.tv_nsec = (long)(left_ns % WEIR_NS_PER_S);
    }
    (void)timerfd_settime(worker->timer, 0, &when, NULL);
}

static bool is_over(const struct weir_load_worker *worker)
{
    if (worker->failed || weir_load_interrupts() >= 2) {
        return true;
    }
    bool nothing_new = worker->stopping || worker->quota == 0;
    return nothing_new && worker->flying == 0 && worker->waiting.head == NULL &&
           worker->ready.head == NULL;
}

static void show_open(struct weir_load_worker *worker)
{
    const struct weir_load_results *results = &worker->results;
    uint64_t open =
        results->requests - results->accepted.requests - results->given_up - results->dropped;
    /* relaxed: partner is the line about what the end waits for */
    atomic_store_explicit(&worker->shown_open, open, memory_order_relaxed);
}

static void turn(struct weir_load_worker *worker)
{
    struct weir_load_run *run = worker->run;
    struct weir_transport_reply reply;
    int64_t now_ns = weir_clock_mono_ns();
    if (!worker->stopping && (now_ns >= run->end_ns || weir_load_interrupts() > 0)) {
        worker->stopping = true;
        worker->stopped_ns = now_ns;
    }
    look_after_waiting(worker, now_ns);
    feed(worker, now_ns);
    if (is_over(worker)) {
        return;
    }
    arm(worker, now_ns);
    if (worker->transport.wait(worker->transport.self, worker->timer, WAIT_MS) != WEIR_OK) {
        fail(worker, "waiting for answers failed");
        return;
    }
    while (worker->transport.reply(worker->transport.self, &reply) == WEIR_OK) {
        answer(worker, &reply);
    }
    show_open(worker);
}

/* Slots whose time came but that were never sent count with the wait that they had. */
static void count_unsent(struct weir_load_worker *worker)
{
    int64_t now_ns = worker->stopping ? worker->stopped_ns : weir_clock_mono_ns();
    int64_t end_ns = now_ns < worker->run->end_ns ? now_ns : worker->run->end_ns;
    if (worker->run->options->mode != WEIR_LOAD_RATE) {
        return;
    }
    for (int64_t due_ns; worker->quota > 0 && (due_ns = slot_ns(worker)) < end_ns;) {
        worker->quota--;
        worker->slot++;
        worker->results.unsent++;
        if (due_ns >= worker->run->warm_ns) {
            weir_load_histogram_add(&worker->results.latency, end_ns - due_ns);
        }
    }
}

/* After the end: what is to be said of bodies that were sent several times, and of requests that
 * were cut off (second interrupt), whose answers nobody waited for. */
static void close_accounts(struct weir_load_worker *worker)
{
    for (uint32_t i = 0; i < worker->request_count; i++) {
        struct weir_load_request *request = &worker->requests[i];
        worker->results.cut_off += request->retry.attempts > 0;
        request->unsures += request->retry.in_flight || request->unsure;
        for (uint32_t j = 0; j < request->parcel.ranges; j++) {
            const struct weir_load_range *range = &request->parcel.range[j];
            struct weir_load_promise promise = {range->first, range->count, request->accepted,
                                                request->unsures};
            if (weir_load_promises_add(&worker->promises, promise) != WEIR_OK) {
                fail(worker, "out of memory");
            }
        }
    }
}

static void prepare(struct weir_load_worker *worker)
{
    const struct weir_load_options *options = worker->run->options;
    for (uint32_t i = 0; i < worker->request_count; i++) {
        struct weir_load_request *request = &worker->requests[i];
        push(&worker->idle, request);
        if (options->mode == WEIR_LOAD_LIFE || worker->failed || weir_load_interrupts() > 0) {
            continue;
        }
        request->parcel.ranges = 1;
        request->parcel.range[0] = weir_load_plan_at(&worker->run->plan, worker->first_body + i);
        if (weir_load_parcel_build(&worker->maker, &request->parcel) != WEIR_OK) {
            fail(worker, "out of memory while bodies were prepared (--bodies: fewer)");
            continue;
        }
        weir_load_request_address(request, worker);
    }
}

void weir_load_worker_main(void *argument)
{
    struct weir_load_worker *worker = argument;
    prepare(worker);
    (void)pthread_barrier_wait(&worker->run->prepared);
    (void)pthread_barrier_wait(&worker->run->go);
    worker->stopping = weir_load_interrupts() > 0;
    while (!is_over(worker)) {
        turn(worker);
    }
    count_unsent(worker);
    close_accounts(worker);
    /* release: partner is run.c's acquire before it looks at the results */
    atomic_fetch_sub_explicit(&worker->run->running, 1, memory_order_release);
}
