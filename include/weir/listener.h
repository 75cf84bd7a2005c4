/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LISTENER_H
#define WEIR_LISTENER_H

#include "weir/conn.h"
#include "weir/loop.h"
#include "weir/netaddr.h"

/*
 * Listening sockets. Each loop opens its own on the same address (SO_REUSEPORT), so the kernel
 * spreads connections, by a hash (evenly: weir/spread.h), and no lock is shared. Because a stray
 * second process could share the port in silence, weir_listener_probe binds without SO_REUSEPORT
 * first.
 */
struct weir_listener;

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080", "0.0.0.0:0"; "[::]:8080" is IPv4 too. Checks
 * that the address can be bound by us alone. WEIR_EINVAL (not an address, a host name, or not of
 * this machine), WEIR_EEXIST (in use), WEIR_EDENIED, WEIR_EIO. *ret_port is the port, chosen by the
 * kernel where 0 was asked for. Any thread. */
WEIR_MUST_USE enum weir_status weir_listener_probe(const char *address, uint16_t *ret_port);

/* What happens to connections before anybody owns them. */
enum weir_listener_event {
    WEIR_LISTENER_BAD_HEADER,   /* no PROXY header, a damaged or an unfinished one: closed */
    WEIR_LISTENER_LATE_HEADER,  /* it took too long: closed */
    WEIR_LISTENER_SOURCE_LIMIT, /* the door did not admit it: closed */
    WEIR_LISTENER_FULL,         /* paused: connections_max are open */
    WEIR_LISTENER_STARVED,      /* paused: no descriptors, or no memory */
    WEIR_LISTENER_EVENTS
};

/* Who may come in, before TLS. All functions: the loop's thread, with the listener's argument; each
 * may be NULL. */
struct weir_listener_door {
    /* Connections from here must begin with a PROXY header, which says whose they are; from
     * elsewhere one is not looked for. */
    const struct weir_network *balancers;
    uint32_t balancer_count;
    int64_t header_timeout_ns;
    /* Whether this source may have one more connection; *ret_ticket is given to `left` when the
     * connection ends. */
    bool (*admits)(void *argument, const struct weir_netaddr *source, uint32_t *ret_ticket);
    void (*left)(void *argument, uint32_t ticket);
    /* `peer` is empty for the pauses, which are told once each, not with every tick. */
    void (*tell)(void *argument, enum weir_listener_event event, const char *peer);
};

struct weir_tls;

enum weir_handshake_outcome {
    WEIR_HANDSHAKE_COMPLETE,
    WEIR_HANDSHAKE_RESUMED, /* complete, by a ticket */
    WEIR_HANDSHAKE_FAILED,  /* the two do not agree; `reason` says why */
    WEIR_HANDSHAKE_TIMEOUT,
    WEIR_HANDSHAKE_CROWDED, /* cut for a newer one: too many at a time */
    WEIR_HANDSHAKE_GONE     /* the peer closed or reset the connection */
};

/* How a handshake ended. */
struct weir_handshake_end {
    enum weir_handshake_outcome outcome;
    const char *peer;
    const char *reason; /* in words */
    int64_t duration_ns;
};

struct weir_listener_tls {
    struct weir_tls *tls;    /* weir/tls.h; outlives the listener's loop */
    int64_t timeout_ns;      /* the most that a handshake may take */
    uint32_t handshakes_max; /* under way on this loop at a time; > 0. The oldest is cut for a new
                                one, so that who shakes hands quickly gets through a flood */
    /* With the listener's argument; may be NULL. */
    void (*shaken)(void *argument, const struct weir_handshake_end *end);
};

struct weir_listener_options {
    uint32_t connections_max; /* open on this loop, over all its listeners; > 0 */
    /* Gets, and owns, each new connection; over TLS once hands are shaken. */
    void (*accepted)(void *argument, struct weir_conn *conn);
    void *argument;
    const struct weir_listener_door *door; /* outlives the connections; NULL: open to all */
    const struct weir_listener_tls *tls;   /* outlives the loop; NULL: plain */
};

/* Opens and accepts on the calling loop's thread; `port`, unless 0, overrides the address's. At
 * `connections_max` open connections the listener pauses, also where the system has no descriptors
 * or memory, and looks again with each tick. Failures as for the probe, and WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_listener_open(struct weir_loop *loop, const char *address,
                                                  uint16_t port,
                                                  const struct weir_listener_options *options,
                                                  struct weir_listener **ret);

/* Takes in a connection that others have accepted or made, as if a listener with these options had
 * accepted it: a socket that a service manager hands over, or one end of a socketpair. `accepted`
 * may be called before this returns. `fd` (a connected stream socket; it stops blocking) is the
 * loop's from here on, also on failure, which closes it: WEIR_EFULL (connections_max are open),
 * WEIR_ENOMEM. On the loop's thread. */
WEIR_MUST_USE enum weir_status weir_listener_take(struct weir_loop *loop, int fd,
                                                  const struct weir_listener_options *options);

/* Stops accepting; what the kernel has queued is accepted first (over connections_max, too), so no
 * connection is reset; handshakes under way go on. May be called from `accepted`. NULL is
 * nothing. */
void weir_listener_close(struct weir_listener *listener);

#endif
