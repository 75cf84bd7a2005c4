/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ALARM_H
#define WEIR_ALARM_H

#include "weir/loop.h"

/*
 * A call that a loop makes once, after a time that is told to it: for what is sooner than the
 * loop's tick. On a monotonic timerfd of its own. The thread of the loop alone.
 */
struct weir_alarm;

/* An alarm that is not set; `run` is called with `argument` each time that it was set and went off,
 * and may set it anew, but not free it. WEIR_ENOMEM; WEIR_EIO: no descriptor. */
WEIR_MUST_USE enum weir_status weir_alarm_new(struct weir_loop *loop, void (*run)(void *argument),
                                              void *argument, struct weir_alarm **ret);

/* Lets it go off once, `delay_ns` (0 or more: in the loop's next turn) from now, in place of what
 * it was set to. */
void weir_alarm_set(struct weir_alarm *alarm, int64_t delay_ns);

/* Frees it, set or not; before the loop, outside weir_loop_run. NULL is nothing. */
void weir_alarm_free(struct weir_alarm *alarm);

#endif
