/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_NOTIFY_H
#define WEIR_NOTIFY_H

#include "weir/status.h"
#include <stdint.h>

/*
 * What the process tells its supervisor, by the protocol of sd_notify(3): datagrams of lines to the
 * socket that $NOTIFY_SOCKET names ("/path", or "@name" in the abstract namespace). Without that
 * variable nothing is told, and everything here is nothing.
 */

/* Reads the environment, and opens. WEIR_EINVAL: $NOTIFY_SOCKET is no address; WEIR_EIO. Nothing is
 * told then. The main thread, before any other. */
WEIR_MUST_USE enum weir_status weir_notify_open(void);

/* NULL is nothing. The main thread, after all others. */
void weir_notify_close(void);

/* How long the supervisor waits for a sign of life ($WATCHDOG_USEC), or 0: it does not. Any thread.
 */
int64_t weir_notify_watchdog_ns(void);

/* Sends lines as they are ("WATCHDOG=1"); what cannot be sent within a second is forgotten. Any
 * thread. */
void weir_notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* READY=1, with a line for people. Also the end of a reload. Any thread. */
void weir_notify_ready(const char *status);

/* RELOADING=1 with the clock that systemd wants beside it; weir_notify_ready ends it, whether the
 * reload went well or not. Any thread. */
void weir_notify_reloading(void);

/* STOPPING=1, and how long the stop may take. Any thread. */
void weir_notify_stopping(int64_t allow_ns);

#endif
