/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_WAKE_H
#define WEIR_WAKE_H

#include "weir/status.h"
#include <stdbool.h>

/*
 * A doorbell: producers ring it, one consumer sleeps on its descriptor (eventfd(2)). Many rings
 * before the consumer looks are one wake-up; a ring while the bell is already ringing costs one
 * atomic exchange and no system call.
 *
 * A consumer that is going to look anyway, since it is awake or its nap is short, muffles its bell:
 * meanwhile a soft ring is remembered and not heard, and costs no system call; a hard one is heard
 * as ever.
 *
 *   for (;;)  rung = muffle; look at the queues; then sleep for
 *               a moment, without regard to soft rings     as it is
 *               as long as nobody rings                    if unmuffle says that nobody has
 */
struct weir_wake {
    int fd;            /* readable while the bell rings; for poll, epoll or curl_multi_poll */
    _Atomic int state; /* enum state, wake.c */
};

/* WEIR_EIO when the system is out of descriptors. */
WEIR_MUST_USE enum weir_status weir_wake_open(struct weir_wake *wake);
void weir_wake_close(struct weir_wake *wake);

/* Rings, and is heard. Any thread; async-signal-safe. */
void weir_wake_ring(struct weir_wake *wake);

/* Rings, and is heard unless the bell is muffled. Any thread; async-signal-safe. */
void weir_wake_ring_soft(struct weir_wake *wake);

/* Silences the bell before the consumer looks at its queues: whatever is pushed
 * later rings again. The consumer, as the next two. */
void weir_wake_silence(struct weir_wake *wake);

/* Silences the bell and muffles it, before the consumer looks at its queues. Whether anybody had
 * rung, softly or not, since it last did. */
bool weir_wake_muffle(struct weir_wake *wake);

/* Lets soft rings be heard again, and returns true; unless somebody has rung since the bell was
 * muffled: then nothing changes, and the consumer has to look before it sleeps for long. */
WEIR_MUST_USE bool weir_wake_unmuffle(struct weir_wake *wake);

#endif
