/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a balancer says before its connection's own first byte: the PROXY header, read off the raw
 * socket, before TLS and before anybody above has heard of the connection.
 *
 *   weir_preface_begin ──► waiting ──► header complete ──► weir_listener_welcome (TLS, accepted)
 *                            │  malformed, none, too late ──► closed, told to the door by reason
 *                            └─ gone before its first byte ─► closed, nobody is told: that is how
 *                                                            a balancer tries whether we listen
 *
 * Invariants
 *   I1  Not one byte behind the header is taken from the kernel: what is there is looked at first
 *       (MSG_PEEK), and as much taken as the header has of it. So TLS finds its own first byte.
 *   I2  All that was looked at and is the header's is taken, so a socket that is readable has
 *       something new: a header that stops half-way does not spin.
 *   I3  While a preface waits the socket's data is the preface; before and after, the connection.
 *   I4  A preface ends by one of the ways above, at its deadline, or with its loop.
 *
 * Memory is bounded by the limit on connections: a preface counts as one. The loop's thread.
 *
 * Not done here: whether the peer may speak for others (the listener knows the networks), and what
 * an address is good for (the source limit and the log, nothing else).
 */
#include "net_internal.h"
#include "weir/mem.h"
#include "weir/proxy_header.h"
#include <errno.h>
#include <sys/socket.h>

#define PEEK_BYTES 512

struct weir_preface {
    struct weir_loop *loop;
    struct weir_conn *conn;
    struct weir_listener_options options; /* the listener may be closed meanwhile */
    int64_t until_ns;
    struct weir_preface *next;
    struct weir_preface *previous;
    struct weir_proxy_header header;
};

/* Leaves the list, gives the socket back to its connection, and is freed. */
static void end(struct weir_preface *preface)
{
    h2o_socket_t *sock = weir_conn_socket(preface->conn);
    struct weir_preface **from =
        preface->previous == NULL ? &preface->loop->prefaces : &preface->previous->next;
    WEIR_ASSERT(*from == preface);
    *from = preface->next;
    if (preface->next != NULL) {
        preface->next->previous = preface->previous;
    }
    h2o_socket_read_stop(sock);
    h2o_socket_dont_read(sock, 0);
    sock->data = preface->conn;
    weir_mem_free(preface);
}

static void turn_away(struct weir_preface *preface, enum weir_listener_event event)
{
    struct weir_conn *conn = preface->conn;
    struct weir_listener_options options = preface->options;
    end(preface);
    weir_listener_tell(&options, event, conn);
    weir_conn_close(conn, 0);
}

/* Nobody is told. */
static void drop(struct weir_preface *preface)
{
    struct weir_conn *conn = preface->conn;
    end(preface);
    weir_conn_close(conn, 0);
}

/* The peer is gone, or the socket has failed. */
static void give_up(struct weir_preface *preface)
{
    if (preface->header.size > 0) {
        turn_away(preface, WEIR_LISTENER_BAD_HEADER);
    } else {
        drop(preface);
    }
}

static void go_on(struct weir_preface *preface)
{
    struct weir_conn *conn = preface->conn;
    struct weir_listener_options options = preface->options;
    if (preface->header.told) {
        weir_conn_set_source(conn, &preface->header.source);
    }
    end(preface);
    weir_listener_welcome(&options, conn);
}

/* Takes what is there of the header: WEIR_EAGAIN when there is no more now, WEIR_ECLOSED when
 * nothing more will come. */
static enum weir_status take(struct weir_preface *preface, int fd)
{
    enum weir_status status = WEIR_EAGAIN;
    while (status == WEIR_EAGAIN) {
        uint8_t bytes[PEEK_BYTES];
        const char *reason = NULL;
        size_t consumed = 0;
        ssize_t got = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            bool nothing = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
            return nothing ? WEIR_EAGAIN : WEIR_ECLOSED;
        }
        status = weir_proxy_header_feed(&preface->header, weir_bytes_of(bytes, (size_t)got),
                                        &consumed, &reason);
        if (consumed > 0) {
            ssize_t taken = recv(fd, bytes, consumed, MSG_DONTWAIT);
            WEIR_ASSERT(taken == (ssize_t)consumed);
        }
    }
    return status;
}

static void on_readable(h2o_socket_t *sock, const char *err)
{
    struct weir_preface *preface = sock->data;
    weir_loop_enter(preface->loop);
    enum weir_status status = err != NULL ? WEIR_ECLOSED : take(preface, h2o_socket_get_fd(sock));
    if (status == WEIR_OK) {
        go_on(preface);
    } else if (status == WEIR_ECLOSED) {
        give_up(preface);
    } else if (status != WEIR_EAGAIN) {
        turn_away(preface, WEIR_LISTENER_BAD_HEADER);
    }
}

bool weir_preface_begin(const struct weir_listener_options *options, struct weir_loop *loop,
                        struct weir_conn *conn)
{
    struct weir_preface *preface = weir_mem_zalloc(1, sizeof *preface);
    if (preface == NULL) {
        return false;
    }
    h2o_socket_t *sock = weir_conn_socket(conn);
    preface->loop = loop;
    preface->conn = conn;
    preface->options = *options;
    preface->until_ns = loop->now_ns + options->door->header_timeout_ns;
    weir_proxy_header_init(&preface->header);
    preface->next = loop->prefaces;
    if (preface->next != NULL) {
        preface->next->previous = preface;
    }
    loop->prefaces = preface;
    sock->data = preface;
    h2o_socket_dont_read(sock, 1);
    h2o_socket_read_start(sock, on_readable);
    return true;
}

void weir_preface_expire(struct weir_loop *loop, int64_t now_ns)
{
    struct weir_preface *next;
    for (struct weir_preface *at = loop->prefaces; at != NULL; at = next) {
        next = at->next;
        if (now_ns == INT64_MAX) { /* the loop ends: that is no fault of the peer's */
            drop(at);
        } else if (at->until_ns <= now_ns) {
            turn_away(at, WEIR_LISTENER_LATE_HEADER);
        }
    }
}
