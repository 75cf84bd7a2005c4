/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CLOCK_H
#define WEIR_CLOCK_H

#include <stdint.h>

/*
 * The only place that reads a clock. Pure rooms take time as an argument instead. All times are
 * signed nanoseconds; durations are plain int64_t in the unit their name ends in.
 */
#define WEIR_NS_PER_US INT64_C(1000)
#define WEIR_NS_PER_MS INT64_C(1000000)
#define WEIR_NS_PER_S  INT64_C(1000000000)

/* Monotonic time since an arbitrary point; never steps back; counts while suspended
 * (CLOCK_BOOTTIME), so a window does not stretch over a sleep. Any thread. */
int64_t weir_clock_mono_ns(void);

/* Wall clock since 1970-01-01T00:00:00Z. May step. Any thread. */
int64_t weir_clock_wall_ns(void);

#endif
