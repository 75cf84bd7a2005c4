/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/retry_window.h"
#include "weir/panic.h"

#include <stddef.h>

/* a + b for b >= 0. A time past the end of the clock is "never", so it must not wrap
 * into the past. */
static int64_t add_saturating(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* a - b for b >= 0. */
static int64_t subtract_saturating(int64_t a, int64_t b)
{
    int64_t difference;
    return __builtin_sub_overflow(a, b, &difference) ? INT64_MIN : difference;
}

static int64_t at_least_zero(int64_t value)
{
    return value < 0 ? 0 : value;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void weir_retry_init(struct weir_retry *retry)
{
    *retry = (struct weir_retry){0};
}

void weir_retry_begin(struct weir_retry *retry, int64_t now_ns)
{
    WEIR_ASSERT(!retry->in_flight);
    if (retry->attempts == 0) {
        /* less than nothing used is nothing used: a clock was stepped back between two starts */
        retry->first_ns = subtract_saturating(now_ns, at_least_zero(retry->used_ns));
    }
    if (retry->attempts < UINT32_MAX) {
        retry->attempts++;
    }
    retry->in_flight = true;
}

void weir_retry_failed(struct weir_retry *retry, const struct weir_retry_options *options,
                       int64_t now_ns, int64_t retry_after_ns, double unit)
{
    WEIR_ASSERT(retry->in_flight);
    int64_t wait_ns = weir_retry_backoff_ns(options, retry->attempts, unit);
    if (retry_after_ns > wait_ns) {
        wait_ns = retry_after_ns;
    }
    retry->next_ns = add_saturating(now_ns, wait_ns);
    retry->in_flight = false;
}

enum weir_retry_verdict weir_retry_poll(const struct weir_retry *retry,
                                        const struct weir_retry_options *options, int64_t now_ns)
{
    WEIR_ASSERT(!retry->in_flight);
    if (now_ns >= weir_retry_deadline_ns(retry, options) && retry->attempts > 0) {
        return WEIR_RETRY_EXPIRED;
    }
    return now_ns >= retry->next_ns ? WEIR_RETRY_GO : WEIR_RETRY_WAIT;
}

int64_t weir_retry_deadline_ns(const struct weir_retry *retry,
                               const struct weir_retry_options *options)
{
    if (retry->attempts == 0) {
        return INT64_MAX;
    }
    return add_saturating(retry->first_ns, at_least_zero(options->window_ns));
}

int64_t weir_retry_wakeup_ns(const struct weir_retry *retry,
                             const struct weir_retry_options *options)
{
    return earlier(retry->next_ns, weir_retry_deadline_ns(retry, options));
}

int64_t weir_retry_backoff_ns(const struct weir_retry_options *options, uint32_t failures,
                              double unit)
{
    WEIR_ASSERT(unit >= 0.0);
    WEIR_ASSERT(unit < 1.0);
    if (failures == 0) {
        return 0;
    }
    int64_t max_ns = at_least_zero(options->max_ns);
    int64_t base_ns = earlier(at_least_zero(options->initial_ns), max_ns);
    for (uint32_t n = 1; n < failures && n < 64 && base_ns < max_ns; n++) {
        base_ns = base_ns > max_ns / 2 ? max_ns : base_ns * 2;
    }
    /* 15 % either way. The product is under 0.15 x 2^63, so the conversion is in range. */
    int64_t jitter_ns = (int64_t)((double)base_ns * (0.3 * unit - 0.15));
    return jitter_ns < 0 ? base_ns + jitter_ns : add_saturating(base_ns, jitter_ns);
}

void weir_retry_reset(struct weir_retry *retry)
{
    *retry = (struct weir_retry){.next_ns = retry->next_ns};
}
