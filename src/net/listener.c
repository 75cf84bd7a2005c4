/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets: one for each loop on the same address, and the check that the address is ours
 * alone.
 *
 *   weir_listener_probe          bind without SO_REUSEPORT, then close: fails where anybody listens
 *   weir_listener_open x loops   bind with SO_REUSEPORT: the kernel spreads new connections over
 *                                the loops
 *
 *   kernel's queue --> accept_some --> [another loop has fewer: spread.c]
 *                        |         --> adopt --> [PROXY header, from a balancer: preface.c]
 *                        |                 |                      |
 *                        |                 +----------------------+--> the door admits it?
 *                        |                                               --> [TLS] --> accepted
 *                        +-- connections_max reached, no descriptors, no memory: paused until the
 *                            next tick
 *   weir_listener_take           others have accepted or made it: straight to adopt
 *
 * Invariants
 *   I1  A paused listener is not polled: a queue that cannot be accepted from stays readable, and
 *       libh2o's level-triggered epoll would spin at 100 % CPU.
 *   I2  Closing accepts what is queued first, over the limit if need be: the kernel resets what is
 *       left in the queue of a closed socket, though its peer saw the connection succeed.
 *   I3  `accepted` may close the listener: it is freed only after the accepting is over.
 *
 * The limit counts the open connections of the loop, over all its listeners. What cannot be
 * accepted waits in the kernel's queue and, past its end, is not answered, so that the peer tries
 * again.
 *
 * Each socket has a receive buffer of at most 512 KiB, inherited from here, so that the window's
 * scale is agreed with it in mind: libh2o reads until a short read, and this is what bounds how far
 * one callback can grow a buffer.
 *
 * Not done here: host names but localhost (a listener that depends on a resolver starts late and
 * elsewhere), systemd's socket passing. libh2o's own reader of PROXY headers has no limit.
 * Threads: the loop's own; the probe, any.
 */
#include "net_internal.h"
#include "weir/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Accepted for one event, so that the connections there are get their turn. */
#define ACCEPT_BATCH 16

/* The kernel cuts it to net.core.somaxconn. */
#define QUEUE_CONNS_MAX 4096

/* The kernel doubles it, for its own bookkeeping. */
#define RECEIVE_BUFFER_BYTES (256 * 1024)

/* For answers of less than 2 KiB each; what does not fit waits with us, so that a peer which reads
 * nothing is noticed after some hundred answers, not after megabytes of them. */
#define SEND_BUFFER_BYTES (32 * 1024)

#define ADDRESS_BYTES_MAX 64

struct weir_listener {
    struct weir_loop *loop;
    h2o_socket_t *sock;
    struct weir_listener_options options;
    bool paused;
    bool told;      /* the door knows of this pause: nothing was accepted since */
    bool accepting; /* inside accept_some */
    bool closing;
    struct weir_listener *next;
    struct weir_listener *previous;
};

struct address {
    struct sockaddr_storage storage;
    socklen_t size;
};

static enum weir_status parse_port(const char *text, uint16_t *ret)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0') {
        return WEIR_EINVAL;
    }
    uint32_t port = 0;
    for (size_t i = 0; i < digits; i++) {
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    if (port > UINT16_MAX) {
        return WEIR_EINVAL;
    }
    *ret = (uint16_t)port;
    return WEIR_OK;
}

static enum weir_status make_ipv4(const char *host, uint16_t port, struct address *ret)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        return WEIR_EINVAL;
    }
    memcpy(&ret->storage, &address, sizeof address);
    ret->size = sizeof address;
    return WEIR_OK;
}

static enum weir_status make_ipv6(const char *host, uint16_t port, struct address *ret)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET6, host, &address.sin6_addr) != 1) {
        return WEIR_EINVAL;
    }
    memcpy(&ret->storage, &address, sizeof address);
    ret->size = sizeof address;
    return WEIR_OK;
}

/* "host:port" or "[host]:port"; `port` instead of the text's where it is not 0. */
static enum weir_status parse_address(const char *text, uint16_t port, struct address *ret)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text) {
        return WEIR_EINVAL;
    }
    uint16_t own_port;
    WEIR_TRY(parse_port(colon + 1, &own_port));
    port = port != 0 ? port : own_port;

    bool ipv6 = text[0] == '[' && colon[-1] == ']';
    const char *from = ipv6 ? text + 1 : text;
    const char *to = ipv6 ? colon - 1 : colon;
    char host[ADDRESS_BYTES_MAX];
    if (to <= from || (size_t)(to - from) >= sizeof host) {
        return WEIR_EINVAL;
    }
    size_t size = (size_t)(to - from);
    memcpy(host, from, size);
    host[size] = '\0';
    if (ipv6) {
        return make_ipv6(host, port, ret);
    }
    bool local = weir_bytes_eq(weir_bytes_of(host, size), WEIR_BYTES("localhost"));
    return make_ipv4(local ? "127.0.0.1" : host, port, ret);
}

static enum weir_status status_of_errno(int error)
{
    switch (error) {
    case EADDRINUSE: return WEIR_EEXIST;
    case EACCES:
    case EPERM: return WEIR_EDENIED;
    case EADDRNOTAVAIL: /* an address, but none of this machine's */ return WEIR_EINVAL;
    default: return WEIR_EIO;
    }
}

static bool set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* A bound socket. SO_REUSEADDR lets a restart bind over connections in TIME_WAIT; it never shares a
 * port with a listener, which SO_REUSEPORT on both sides does. */
static enum weir_status bind_address(const struct address *address, bool shared, int *ret_fd)
{
    int family = address->storage.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) {
        return status_of_errno(errno);
    }
    bool set = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
               (!shared || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
               set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES) &&
               set_option(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES) &&
               /* [::] is IPv4 too, whatever the system's default. */
               (family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0));
    if (!set ||
        bind(fd, (const struct sockaddr *)(const void *)&address->storage, address->size) != 0) {
        enum weir_status status = status_of_errno(errno);
        close(fd);
        return status;
    }
    *ret_fd = fd;
    return WEIR_OK;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof storage;
    WEIR_ASSERT(getsockname(fd, (struct sockaddr *)(void *)&storage, &size) == 0);
    struct sockaddr_in6 address; /* the port is at the same place in both families */
    _Static_assert(offsetof(struct sockaddr_in6, sin6_port) ==
                       offsetof(struct sockaddr_in, sin_port),
                   "one place for the port");
    memcpy(&address, &storage, sizeof address);
    return ntohs(address.sin6_port);
}

enum weir_status weir_listener_probe(const char *address, uint16_t *ret_port)
{
    struct address parsed = {.size = 0};
    int fd = -1;
    WEIR_TRY(parse_address(address, 0, &parsed));
    WEIR_TRY(bind_address(&parsed, false, &fd));
    *ret_port = bound_port(fd);
    close(fd);
    return WEIR_OK;
}

void weir_listener_tell(const struct weir_listener_options *options, enum weir_listener_event event,
                        const struct weir_conn *conn)
{
    if (options->door != NULL && options->door->tell != NULL) {
        options->door->tell(options->argument, event, conn == NULL ? "" : weir_conn_peer(conn));
    }
}

static void pause_accepting(struct weir_listener *listener, enum weir_listener_event why)
{
    if (!listener->told) {
        weir_listener_tell(&listener->options, why, NULL);
    }
    listener->told = true;
    listener->paused = true;
    h2o_socket_read_stop(listener->sock);
}

void weir_listener_welcome(const struct weir_listener_options *options, struct weir_conn *conn)
{
    if (!weir_conn_admit(conn, options)) {
        weir_listener_tell(options, WEIR_LISTENER_SOURCE_LIMIT, conn);
        weir_conn_close(conn, 0);
        return;
    }
    if (options->tls != NULL) {
        weir_handshake_start(options, conn); /* nobody above sees a connection that is not ready */
        return;
    }
    options->accepted(options->argument, conn);
}

/* Whether the connection must say first whose it is. */
static bool is_of_balancer(const struct weir_listener_options *options,
                           const struct weir_conn *conn)
{
    const struct weir_listener_door *door = options->door;
    for (uint32_t i = 0; door != NULL && i < door->balancer_count; i++) {
        if (weir_netaddr_within(weir_conn_source(conn), &door->balancers[i])) {
            return true;
        }
    }
    return false;
}

static void begin(struct weir_loop *loop, const struct weir_listener_options *options,
                  struct weir_conn *conn)
{
    if (!is_of_balancer(options, conn)) {
        weir_listener_welcome(options, conn);
    } else if (!weir_preface_begin(options, loop, conn)) {
        weir_conn_close(conn, 0);
    }
}

/* The connection of an accepted descriptor; NULL: no memory, and it is closed. */
static struct weir_conn *adopt(struct weir_loop *loop, int fd)
{
    h2o_socket_t *sock =
        h2o_evloop_socket_create(loop->evloop, fd, H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    struct weir_conn *conn = weir_conn_adopt(loop, sock);
    if (conn == NULL) {
        h2o_socket_close(sock);
    }
    return conn;
}

enum weir_status weir_listener_take(struct weir_loop *loop, int fd,
                                    const struct weir_listener_options *options)
{
    weir_loop_assert_mine(loop);
    WEIR_ASSERT(options->connections_max > 0);
    if (weir_loop_open(loop) >= options->connections_max) {
        close(fd);
        return WEIR_EFULL;
    }
    struct weir_conn *conn = adopt(loop, fd);
    if (conn == NULL) {
        return WEIR_ENOMEM;
    }
    begin(loop, options, conn);
    return WEIR_OK;
}

/* Takes one connection from the kernel's queue, for the loop that has fewer where there is one;
 * false when there is no point in trying again now. */
static bool accept_one(struct weir_listener *listener, struct weir_spread_place *better)
{
    int fd = accept4(h2o_socket_get_fd(listener->sock), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd == -1) {
        bool starved = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        if (starved) {
            pause_accepting(listener, WEIR_LISTENER_STARVED);
        }
        /* Any other error is that of a connection which died in the queue. */
        return !starved && errno != EAGAIN;
    }
    if (better != NULL && weir_spread_pass(better, fd)) {
        listener->told = false;
        return true;
    }
    struct weir_conn *conn = adopt(listener->loop, fd);
    if (conn == NULL) {
        pause_accepting(listener, WEIR_LISTENER_STARVED);
        return false;
    }
    listener->told = false;
    begin(listener->loop, &listener->options, conn);
    return true;
}

static void accept_some(struct weir_listener *listener, uint32_t count_max, uint32_t open_max)
{
    bool nested = listener->accepting;
    bool closing = listener->closing;
    listener->accepting = true;
    for (uint32_t count = 0; count < count_max; count++) {
        struct weir_spread_place *better = weir_spread_better(listener->loop);
        if (better == NULL && weir_loop_open(listener->loop) >= open_max) {
            pause_accepting(listener, WEIR_LISTENER_FULL);
            break;
        }
        if (!accept_one(listener, better) || listener->closing != closing) {
            break; /* closed by `accepted`: its socket is gone, the struct is still ours */
        }
    }
    listener->accepting = nested;
}

static void on_acceptable(h2o_socket_t *sock, const char *err)
{
    struct weir_listener *listener = sock->data;
    WEIR_ASSERT(err == NULL);
    weir_loop_enter(listener->loop);
    accept_some(listener, ACCEPT_BATCH, listener->options.connections_max);
    if (listener->closing) {
        weir_mem_free(listener);
    }
}

void weir_listener_resume(struct weir_loop *loop)
{
    for (struct weir_listener *at = loop->listeners; at != NULL; at = at->next) {
        bool room = weir_loop_open(loop) < at->options.connections_max;
        if (at->paused && (room || weir_spread_better(loop) != NULL)) {
            at->paused = false;
            h2o_socket_read_start(at->sock, on_acceptable);
        }
    }
}

static enum weir_status open_socket(const char *address, uint16_t port, int *ret_fd)
{
    struct address parsed = {.size = 0};
    int fd = -1;
    WEIR_TRY(parse_address(address, port, &parsed));
    WEIR_TRY(bind_address(&parsed, true, &fd));
    if (listen(fd, QUEUE_CONNS_MAX) != 0) {
        enum weir_status status = status_of_errno(errno);
        close(fd);
        return status;
    }
    *ret_fd = fd;
    return WEIR_OK;
}

enum weir_status weir_listener_open(struct weir_loop *loop, const char *address, uint16_t port,
                                    const struct weir_listener_options *options,
                                    struct weir_listener **ret)
{
    weir_loop_assert_mine(loop);
    WEIR_ASSERT(options->connections_max > 0);
    WEIR_ASSERT(options->tls == NULL || options->tls->handshakes_max > 0);
    struct weir_listener *listener = weir_mem_zalloc(1, sizeof *listener);
    if (listener == NULL) {
        return WEIR_ENOMEM;
    }
    int fd = -1;
    enum weir_status status = open_socket(address, port, &fd);
    if (status != WEIR_OK) {
        weir_mem_free(listener);
        return status;
    }
    listener->loop = loop;
    listener->options = *options;
    listener->sock = h2o_evloop_socket_create(loop->evloop, fd, H2O_SOCKET_FLAG_DONT_READ);
    listener->sock->data = listener;
    h2o_socket_read_start(listener->sock, on_acceptable);
    listener->next = loop->listeners;
    if (listener->next != NULL) {
        listener->next->previous = listener;
    }
    loop->listeners = listener;
    *ret = listener;
    return WEIR_OK;
}

static void unlink_listener(struct weir_listener *listener)
{
    struct weir_listener **from =
        listener->previous == NULL ? &listener->loop->listeners : &listener->previous->next;
    WEIR_ASSERT(*from == listener);
    *from = listener->next;
    if (listener->next != NULL) {
        listener->next->previous = listener->previous;
    }
}

void weir_listener_close(struct weir_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    weir_loop_assert_mine(listener->loop);
    WEIR_ASSERT(!listener->closing);
    listener->closing = true;
    accept_some(listener, QUEUE_CONNS_MAX, UINT32_MAX);
    unlink_listener(listener);
    h2o_socket_close(listener->sock);
    if (!listener->accepting) {
        weir_mem_free(listener);
    }
}
