/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_NET_INTERNAL_H
#define WEIR_NET_INTERNAL_H

#include "weir/clock.h"
#include "weir/conn.h"
#include "weir/listener.h"
#include "weir/loop.h"
#include "weir/panic.h"
#include "weir/pool.h"
#include "weir/spread.h"
#include <errno.h>
#include <h2o/socket.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/*
 * What the modules of this room share: the loop's insides, since it keeps the lists that its tick
 * walks. Nothing of libh2o leaves this room.
 */
struct weir_loop {
    h2o_evloop_t *evloop;
    pthread_t thread; /* the one that made the loop, the only one that may use it */
    int64_t now_ns;
    bool turning; /* inside h2o_evloop_run: what becomes pending is handled before the next wait */
    uint64_t callbacks; /* that libh2o has made */
    bool stopping;
    int64_t stop_by_ns;

    h2o_socket_t *bell; /* eventfd: posts add 1, a stop adds BELL_STOP */
    int bell_fd;
    _Atomic(struct weir_loop_task *)
        posted; /* newest first; pushed by anyone, emptied by the loop */

    h2o_socket_t *ticker; /* timerfd */
    void (*on_tick)(void *argument, int64_t now_ns);
    void *tick_argument;

    struct weir_conn *lingering; /* closed by their users, still draining */
    struct weir_conn *ending;    /* their peers have ended, their users are told at the next tick */
    struct weir_preface *prefaces;   /* connections of balancers that have not said whose */
    struct weir_listener *listeners; /* open ones */
    struct weir_handshake *shaking;  /* under way, the oldest first */
    struct weir_handshake *shaking_last;
    uint32_t shaking_count;
    struct weir_conn *announced; /* its owner is being told of it */
    struct weir_pool *conns;     /* their memory */
    _Atomic uint32_t conn_open;  /* sockets accepted and not closed, the lingering ones too; written
                                    by the loop, read by its spread */
    struct weir_spread *spread;  /* NULL: in none */
    uint32_t spread_index;
    bool passes_on; /* has joined it, and not left */
};

/* The open connections of a loop. Any thread. */
static inline uint32_t weir_loop_open(const struct weir_loop *loop)
{
    /* relaxed: partner is weir_conn_adopt, and the socket's close */
    return atomic_load_explicit(&loop->conn_open, memory_order_relaxed);
}

/* To be the first act of every callback that libh2o makes and of every function with
 * a thread rule. */
static inline void weir_loop_assert_mine(const struct weir_loop *loop)
{
    WEIR_ASSERT(pthread_equal(loop->thread, pthread_self()) != 0);
}

/* Samples the clock, once for each callback of libh2o: there is no hook between its wait and its
 * callbacks. */
static inline void weir_loop_enter(struct weir_loop *loop)
{
    weir_loop_assert_mine(loop);
    loop->callbacks++;
    loop->now_ns = weir_clock_mono_ns();
}

/* Watches a descriptor, which is the socket's from here on: its close closes it. `data` is the
 * loop until it is set to something else. */
h2o_socket_t *weir_loop_watch(struct weir_loop *loop, int fd, h2o_socket_cb on_readable);

/* The counter behind an eventfd or timerfd, which is 0 afterwards. */
uint64_t weir_loop_take_count(h2o_socket_t *sock);

/* Runs the tasks that were posted, if there are; the last act of a callback. */
void weir_loop_run_posted(struct weir_loop *loop);

/* Of a connection in its loop's pool. */
extern const size_t weir_conn_size;

/* Makes a connection of an accepted socket and counts it in the loop. NULL: no memory; the socket
 * is still the caller's. */
struct weir_conn *weir_conn_adopt(struct weir_loop *loop, h2o_socket_t *sock);

/* The descriptor behind a connection, and its loop. */
h2o_socket_t *weir_conn_socket(const struct weir_conn *conn);
struct weir_loop *weir_conn_loop(const struct weir_conn *conn);

/* One read that nobody waits for: the bytes, 0 at the peer's end or after a failure, or -1 when
 * there is nothing now. */
static inline ssize_t weir_conn_read_once(h2o_socket_t *sock, void *at, size_t size)
{
    ssize_t got;
    do {
        got = recv(h2o_socket_get_fd(sock), at, size, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? -1 : 0;
    }
    return got;
}

/* The same, of at most `size` bytes, behind what is in the socket's input; 0 without memory too. */
static inline ssize_t weir_conn_read_more(h2o_socket_t *sock, size_t size)
{
    h2o_iovec_t room = h2o_buffer_reserve(&sock->input, size);
    if (room.base == NULL) {
        return 0;
    }
    ssize_t got = weir_conn_read_once(sock, room.base, room.len < size ? room.len : size);
    sock->input->size += got > 0 ? (size_t)got : 0;
    return got;
}

/* Sends TLS's own goodbye, as far as the kernel takes it now, and leaves libh2o none to send, which
 * would wait for its flush without a limit. Once; nothing can be written behind it, and nothing may
 * be under way. */
void weir_tls_goodbye(SSL *ssl, int fd);

/* Where it comes from: as the kernel says, until somebody knows better. */
const struct weir_netaddr *weir_conn_source(const struct weir_conn *conn);
void weir_conn_set_source(struct weir_conn *conn, const struct weir_netaddr *source);

/* Asks the door, and tells it when the connection ends; false: it is not wanted, close it. */
bool weir_conn_admit(struct weir_conn *conn, const struct weir_listener_options *options);

/* Gives a connection that has shaken hands to its owner; `ssl` is its session. What came together
 * with the handshake's end is told to the user before this returns; `ended`: so is that nothing
 * more will come. */
void weir_conn_announce(struct weir_conn *conn, SSL *ssl, bool ended,
                        const struct weir_listener_options *options);

/* Shakes hands on a connection that nobody owns yet, then announces it, or closes it. */
void weir_handshake_start(const struct weir_listener_options *options, struct weir_conn *conn);

/* Closes the connections whose handshakes were due by `now_ns`; INT64_MAX: all. */
void weir_handshake_expire(struct weir_loop *loop, int64_t now_ns);

/* Tells the users of connections whose peers have ended. */
void weir_conn_tell_ended(struct weir_loop *loop);

/* Closes what has lingered up to `now_ns`; INT64_MAX closes all that lingers. */
void weir_conn_expire(struct weir_loop *loop, int64_t now_ns);

/* Reads the PROXY header of a connection whose peer must send one, then welcomes it, or closes it.
 * False: no memory; the connection is still the caller's. */
bool weir_preface_begin(const struct weir_listener_options *options, struct weir_loop *loop,
                        struct weir_conn *conn);

/* Closes the connections whose headers were due by `now_ns`; INT64_MAX: all that wait for one. */
void weir_preface_expire(struct weir_loop *loop, int64_t now_ns);

/* Takes in a connection whose source is known: asks the door, and announces it or closes it. */
void weir_listener_welcome(const struct weir_listener_options *options, struct weir_conn *conn);

/* The place of a loop with fewer connections than this one has; NULL: there is none, or this loop
 * passes nothing on. Lives as long as the spread. */
struct weir_spread_place *weir_spread_better(const struct weir_loop *loop);

/* Gives an accepted connection to that loop; false: no memory, and it is still the caller's. */
bool weir_spread_pass(struct weir_spread_place *place, int fd);

/* Tells the door, if there is one; `conn` NULL: about none. */
void weir_listener_tell(const struct weir_listener_options *options, enum weir_listener_event event,
                        const struct weir_conn *conn);

/* Lets paused listeners accept again if the loop has room. */
void weir_listener_resume(struct weir_loop *loop);

#endif
