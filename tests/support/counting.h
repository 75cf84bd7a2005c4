/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_COUNTING_H
#define WEIR_TEST_COUNTING_H

/* A registry of metrics, and a place in it for the test's thread, which is registered with RCU. */
#include "weir/metrics.h"
#include "weir/panic.h"
#include "weir/rcu.h"

static inline void counting_start(void)
{
    weir_rcu_thread_start();
    enum weir_status made = weir_metrics_start();
    WEIR_ASSERT(made == WEIR_OK);
    enum weir_status joined = weir_metrics_thread_start();
    WEIR_ASSERT(joined == WEIR_OK);
}

static inline void counting_stop(void)
{
    weir_metrics_thread_stop();
    weir_metrics_stop();
    weir_rcu_thread_stop();
}

#endif
