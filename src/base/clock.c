/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/clock.h"
#include "weir/panic.h"
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    int result = clock_gettime(clock, &now);
    WEIR_ASSERT(result == 0); /* both clocks are there since Linux 2.6.39 */
    return (int64_t)now.tv_sec * WEIR_NS_PER_S + (int64_t)now.tv_nsec;
}

int64_t weir_clock_mono_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t weir_clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}
