/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LISTENER_H
#define WEIR_LISTENER_H

#include "weir/conn.h"
#include "weir/loop.h"

/*
 * Listening sockets. Each loop opens its own on the same address (SO_REUSEPORT), so the kernel spreads connections and
 * no lock is shared. Because a stray second process could share the port in silence, weir_listener_probe binds without SO_REUSEPORT first.
 */
struct weir_listener;

/* "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0": checks that the address can be bound by us alone. WEIR_EINVAL (not an
 * address), WEIR_EEXIST (in use), WEIR_EDENIED, WEIR_EIO. *ret_port is the port, chosen by the kernel where 0 was asked for. */
WEIR_MUST_USE enum weir_status weir_listener_probe(const char *address, uint16_t *ret_port);

/* Opens and accepts on the calling loop's thread; `port` overrides the address's. `accepted` gets each new connection
 * (it owns it); at `connections_max` open ones for this loop the listener pauses, also on EMFILE, for one tick at a time.
 * Failures as for the probe. */
WEIR_MUST_USE enum weir_status weir_listener_open(struct weir_loop *loop, const char *address, uint16_t port,
                                                  uint32_t connections_max,
                                                  void (*accepted)(void *argument, struct weir_conn *conn),
                                                  void *argument, struct weir_listener **ret);

/* Stops accepting; what the kernel has queued is accepted first, so no connection is reset. NULL is nothing. */
void weir_listener_close(struct weir_listener *listener);

#endif
