/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_WAKE_H
#define WEIR_WAKE_H

#include "weir/status.h"
#include <stdbool.h>

/*
 * A doorbell: producers ring it, one consumer sleeps on its descriptor (eventfd(2)). Many rings
 * before the consumer looks are one wake-up; a ring while the bell is already ringing costs one
 * atomic exchange and no system call.
 */
struct weir_wake {
    int fd; /* readable while the bell rings; for poll, epoll or curl_multi_poll */
    _Atomic bool ringing;
};

/* WEIR_EIO when the system is out of descriptors. */
WEIR_MUST_USE enum weir_status weir_wake_open(struct weir_wake *wake);
void weir_wake_close(struct weir_wake *wake);

/* Rings. Any thread; async-signal-safe. */
void weir_wake_ring(struct weir_wake *wake);

/* Silences the bell before the consumer looks at its queues: whatever is pushed
 * later rings again. */
void weir_wake_silence(struct weir_wake *wake);

#endif
