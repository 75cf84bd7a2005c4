/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measuring part of the micro-benchmarks: who is called when, and what is made of the samples.
 *
 *   warm-up, twice; once before a given number of rounds
 *   samples[0 .. rounds)   one call each, ns    subject | limit
 *
 *   I1  a round is one call of the subject and one of the limit, in this order
 *   I2  instructions and allocations are those of the subject alone
 *   I3  at least WEIR_HARNESS_ROUNDS_MIN rounds, at most WEIR_HARNESS_ROUNDS_MAX, whatever the time
 *
 * Instructions come from the kernel's counter (perf_event_open(2)); virtual machines often have
 * none, and callgrind counts there. Means would follow the machine's hiccups, minima would hide
 * what a cold cache costs everybody; the median of interleaved rounds does neither.
 *
 * It does not pin threads, fix frequencies or subtract its own cost: a call is long.
 */
#include "micro/harness.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct measuring {
    const struct weir_harness_work *work;
    int counter; /* a descriptor, or -1 */
    int64_t *subject, *limit;
    uint32_t rounds;
    uint64_t instructions;
    uint64_t allocations;
};

int64_t weir_harness_cpu_ns(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    WEIR_ASSERT(result == 0);
    return (int64_t)now.tv_sec * WEIR_NS_PER_S + now.tv_nsec;
}

static int64_t read_clock(const struct weir_harness_work *work)
{
    return work->is_wall ? weir_clock_mono_ns() : weir_harness_cpu_ns();
}

static int open_counter(void)
{
    struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                         .size = sizeof attributes,
                                         .config = PERF_COUNT_HW_INSTRUCTIONS,
                                         .disabled = 1,
                                         .exclude_kernel = 1,
                                         .exclude_hv = 1};
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void start_counter(int counter)
{
    if (counter >= 0) {
        (void)ioctl(counter, PERF_EVENT_IOC_RESET, 0);
        (void)ioctl(counter, PERF_EVENT_IOC_ENABLE, 0);
    }
}

static uint64_t stop_counter(int counter)
{
    uint64_t count = 0;
    if (counter >= 0) {
        (void)ioctl(counter, PERF_EVENT_IOC_DISABLE, 0);
        if (read(counter, &count, sizeof count) != (ssize_t)sizeof count) {
            count = 0;
        }
    }
    return count;
}

static void call(void (*function)(void *state), void *state)
{
    if (function != NULL) {
        function(state);
    }
}

__attribute__((noinline)) void weir_harness_subject(const struct weir_harness_work *work)
{
    work->subject(work->state);
    __asm__ volatile("" ::: "memory"); /* so that this stays a frame of its own */
}

static void one_round(struct measuring *measuring)
{
    const struct weir_harness_work *work = measuring->work;
    call(work->prepare, work->state);
    uint64_t calls = weir_mem_calls();
    start_counter(measuring->counter);
    int64_t start = read_clock(work);
    weir_harness_subject(work);
    measuring->subject[measuring->rounds] = read_clock(work) - start;
    measuring->instructions += stop_counter(measuring->counter);
    measuring->allocations += weir_mem_calls() - calls;
    call(work->finish, work->state);
    start = read_clock(work);
    call(work->limit, work->state);
    measuring->limit[measuring->rounds] = read_clock(work) - start;
    measuring->rounds++;
}

/* A round that is not measured, and that callgrind does not see (not weir_harness_subject). */
static void warm_up(const struct weir_harness_work *work)
{
    call(work->prepare, work->state);
    call(work->subject, work->state);
    call(work->finish, work->state);
    call(work->limit, work->state);
}

static void all_rounds(struct measuring *measuring, const struct weir_harness_options *options)
{
    warm_up(measuring->work);
    if (options->iterations > 0) {
        while (measuring->rounds < options->iterations &&
               measuring->rounds < WEIR_HARNESS_ROUNDS_MAX) {
            one_round(measuring);
        }
        return;
    }
    warm_up(measuring->work);
    int64_t until = weir_clock_mono_ns() + (int64_t)(options->seconds * (double)WEIR_NS_PER_S);
    while (measuring->rounds < WEIR_HARNESS_ROUNDS_MIN ||
           (measuring->rounds < WEIR_HARNESS_ROUNDS_MAX && weir_clock_mono_ns() < until)) {
        one_round(measuring);
    }
}

static int by_size(const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;
    return (*a > *b) - (*a < *b);
}

struct weir_harness_times weir_harness_times(int64_t *samples, uint32_t count)
{
    if (count == 0) {
        return (struct weir_harness_times){0};
    }
    qsort(samples, count, sizeof *samples, by_size);
    double median = ((double)samples[(count - 1) / 2] + (double)samples[count / 2]) / 2;
    double between = (double)(samples[(count - 1) * 3 / 4] - samples[(count - 1) / 4]);
    return (struct weir_harness_times){count, median, median > 0 ? between / median : 0};
}

static struct weir_harness_result summarise(struct measuring *measuring)
{
    struct weir_harness_result result = {.allocations = measuring->allocations};
    result.subject = weir_harness_times(measuring->subject, measuring->rounds);
    result.instructions = measuring->counter < 0 || measuring->instructions == 0
                              ? -1
                              : (double)measuring->instructions / (double)measuring->rounds;
    if (measuring->work->limit != NULL) {
        result.limit = weir_harness_times(measuring->limit, measuring->rounds);
        result.ratio =
            result.limit.median_ns > 0 ? result.subject.median_ns / result.limit.median_ns : 0;
    }
    return result;
}

enum weir_status weir_harness_run(const struct weir_harness_work *work,
                                  const struct weir_harness_options *options,
                                  struct weir_harness_result *ret)
{
    int64_t *samples = weir_mem_zalloc((size_t)WEIR_HARNESS_ROUNDS_MAX * 2, sizeof *samples);
    if (samples == NULL) {
        return WEIR_ENOMEM;
    }
    struct measuring measuring = {.work = work,
                                  .counter = open_counter(),
                                  .subject = samples,
                                  .limit = samples + WEIR_HARNESS_ROUNDS_MAX};
    all_rounds(&measuring, options);
    *ret = summarise(&measuring);
    if (measuring.counter >= 0) {
        (void)close(measuring.counter);
    }
    weir_mem_free(samples);
    return WEIR_OK;
}
