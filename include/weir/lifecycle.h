/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LIFECYCLE_H
#define WEIR_LIFECYCLE_H

#include "weir/config.h"

/*
 * `weir serve`: builds every room in order, waits for signals, and takes everything down in order.
 *
 *   STARTING ──all listen──► READY ──SIGTERM, SIGINT──► GRACE ──► DRAINING ──► stopped
 *                                     the time is over, 2nd order, or SIGINT
 *
 * Readiness (/readyz, /healthz on the ingest port) is true in READY only, and not when the spool
 * has failed. In GRACE requests are still taken, so that a balancer can move them away, and each
 * connection ends with its next answer; in DRAINING requests in flight are answered, committed ones
 * are sent as far as the deadline allows, and what is left stays on disk for the next start.
 *
 * A second SIGTERM (a second after the first or later: supervisors send it twice at once) or SIGINT
 * ends it at once, and in order: no grace, nothing more is sent, what is not delivered stays on
 * disk; without a disk it is lost, counted and told. A third one is _exit(1).
 *
 * SIGHUP reads the configuration again in READY (src/app/reload.c), and is refused, with a line in
 * the log, later.
 *
 * A spool that has failed (two writes or syncs in a row) stops the process like a SIGTERM, without
 * GRACE, and with exit code 1.
 *
 * Before it serves it gives up what it does not need (weir/sandbox.h); a supervisor that speaks
 * sd_notify's protocol is told (weir/notify.h).
 */

/* Runs until a signal has stopped it. Returns the exit code: 0, or 1 when it could not start
 * (logged), the spool has failed, or points were left that are not on disk. Blocks SIGTERM, SIGINT
 * and SIGHUP, ignores SIGPIPE. Once in a process, on the main thread; `config` outlives the
 * call. */
int weir_lifecycle_serve(const struct weir_config *config);

#endif
