/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: libh2o's socket, which is plain or encrypted alike, behind our own rules for who
 * may touch what when.
 *
 *            weir_conn_adopt
 *                  |
 *                  v      end_of_input (nothing new read), or a failed write (on_write)
 *                OPEN -------------------------------------------------> ENDED  (on_closed, once)
 *                  |  end_of_input, with input                             ^ |
 *                  +----------------------> ENDING ------------------------+ |
 *                  |                          |   weir_conn_tell_ended       |
 *                  |  weir_conn_close(linger) | weir_conn_close(linger)      |
 *                  +-----------------> LINGERING <---------------------------+
 *                  |                       |
 *                  |                       |  settle: written and the peer done;
 *                  |                       |  swallow: 64 MiB read; a failed write or read;
 *                  |  weir_conn_close(0)   |  weir_conn_expire: its time is over
 *                  v                       v
 *                FREED <-------------------+
 *
 * Invariants
 *   I1  After a callback into the user nothing of the connection is touched: the user may have
 *       closed it.
 *   I2  No callback into the user after weir_conn_close, and on_closed at most once, never from
 *       inside another function of this module: it always comes from the loop.
 *   I3  LINGERING and ENDING mean linked in the loop's list of that name, so the tick finds it; a
 *       lingering connection's user and events are forgotten.
 *   I4  conn_open of the loop falls when libh2o has closed the descriptor, and that is at once:
 *       over TLS we say goodbye ourselves (weir_tls_goodbye) and leave libh2o none to wait for.
 *   I5  A write under way is our own copy: its user may be gone before the kernel has taken it.
 *   I6  Input that came together with the peer's end is given to the user before on_closed: a peer
 *       may send its request, shut its sending side, and wait for the answer.
 *
 * Why linger: an answer that is sent while the request still comes in (401, 503) is lost if we
 * close at once, since the kernel answers bytes that nobody will read with a reset, and a reset
 * overtakes what the peer has not read yet. So: finish the write, shut the sending side, read and
 * forget until the peer closes, within bounds.
 *
 * Who reads: a plain connection is read here, once a turn, and libh2o only says when. By itself it
 * would read until a short read, into a buffer that it doubles and copies. So a user that knows
 * where bytes belong can have them put there (weir_conn_read), and none is read that nobody has
 * room for. Over TLS libh2o reads, since it must decrypt.
 *
 * Who waits: a user that stops reading a plain connection, as each request does until its answer,
 * only says so. The kernel goes on watching, and is told to stop by what comes too early (on_read):
 * a request that nothing follows costs no epoll_ctl, where it took two. Over TLS reading stops at
 * once, since libh2o would decrypt what nobody wants.
 *
 * When the peer is slow: reading that is stopped lets the kernel's buffer fill (at most 512 KiB,
 * set by the listener, since over TLS libh2o reads on without a limit). A peer that stops reading
 * has TCP_USER_TIMEOUT (30 s) before the kernel ends the connection. While neither a read nor a
 * write is under way, a peer that goes away is not noticed.
 *
 * Not done here: deadlines for heads and bodies (the session's), TLS (handshake.c, then libh2o).
 */
#include "net_internal.h"
#include "weir/mem.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#define LINGER_BYTES_MAX      (UINT64_C(64) << 20)
#define PEER_STUCK_MS_MAX     30000
#define SMALL_WRITE_BYTES_MAX 1024
#define READ_BYTES            ((size_t)24 << 10)

enum state { STATE_OPEN, STATE_ENDING, STATE_ENDED, STATE_LINGERING };

struct weir_conn {
    struct weir_loop *loop;
    h2o_socket_t *sock;
    const struct weir_conn_events *events;
    void *user;
    enum state state;
    bool wanted;      /* input, by the user */
    bool input_ended; /* the peer has shut its side, or reading failed */
    SSL *ssl;         /* of an encrypted connection, libh2o's; NULL while it shakes hands */

    /* While lingering or ending: the loop's list of that name. */
    struct weir_conn *next;
    struct weir_conn *previous;

    /* While lingering. */
    int64_t linger_until_ns;
    uint64_t swallowed_bytes;

    struct weir_netaddr source;
    void (*left)(void *argument, uint32_t ticket); /* NULL: no door has counted it */
    void *left_argument;
    uint32_t ticket;

    uint8_t *large_write; /* the copy of a write that does not fit below, while it is under way */
    uint8_t small_write[SMALL_WRITE_BYTES_MAX];
    char peer[WEIR_NETADDR_TEXT_MAX];
};

static struct weir_netaddr peer_of(h2o_socket_t *sock)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof name;
    (void)getpeername(h2o_socket_get_fd(sock), (struct sockaddr *)&name, &size);
    return weir_netaddr_of_socket(&name);
}

h2o_socket_t *weir_conn_socket(const struct weir_conn *conn)
{
    return conn->sock;
}

struct weir_loop *weir_conn_loop(const struct weir_conn *conn)
{
    return conn->loop;
}

const struct weir_netaddr *weir_conn_source(const struct weir_conn *conn)
{
    return &conn->source;
}

void weir_conn_set_source(struct weir_conn *conn, const struct weir_netaddr *source)
{
    conn->source = *source;
    weir_netaddr_text(source, conn->peer);
}

bool weir_conn_admit(struct weir_conn *conn, const struct weir_listener_options *options)
{
    const struct weir_listener_door *door = options->door;
    if (door == NULL || door->admits == NULL) {
        return true;
    }
    if (!door->admits(options->argument, &conn->source, &conn->ticket)) {
        return false;
    }
    conn->left = door->left;
    conn->left_argument = options->argument;
    return true;
}

static void count_closed(void *data)
{
    struct weir_loop *loop = data;
    WEIR_ASSERT(weir_loop_open(loop) > 0);
    /* relaxed: partner is weir_loop_open */
    atomic_fetch_sub_explicit(&loop->conn_open, 1, memory_order_relaxed);
}

const size_t weir_conn_size = sizeof(struct weir_conn);

struct weir_conn *weir_conn_adopt(struct weir_loop *loop, h2o_socket_t *sock)
{
    weir_loop_assert_mine(loop);
    struct weir_conn *conn = weir_pool_take(loop->conns);
    if (conn == NULL) {
        return NULL;
    }
    *conn = (struct weir_conn){.loop = loop, .sock = sock, .state = STATE_OPEN};
    /* Best effort: without it one only dies later. libh2o's accept sets TCP_NODELAY. */
    unsigned int stuck_ms = PEER_STUCK_MS_MAX;
    (void)setsockopt(h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_USER_TIMEOUT, &stuck_ms,
                     sizeof stuck_ms);
    struct weir_netaddr source = peer_of(sock);
    weir_conn_set_source(conn, &source);
    sock->data = conn;
    sock->on_close.cb = count_closed;
    sock->on_close.data = loop;
    /* relaxed: partner is weir_loop_open */
    atomic_fetch_add_explicit(&loop->conn_open, 1, memory_order_relaxed);
    return conn;
}

static struct weir_conn **list_of(struct weir_conn *conn)
{
    return conn->state == STATE_ENDING ? &conn->loop->ending : &conn->loop->lingering;
}

/* Enters the list that goes with the state. */
static void link_in(struct weir_conn *conn)
{
    struct weir_conn **list = list_of(conn);
    conn->previous = NULL;
    conn->next = *list;
    if (conn->next != NULL) {
        conn->next->previous = conn;
    }
    *list = conn;
}

/* Leaves the list that goes with the state, if one does. */
static void unlink_from(struct weir_conn *conn)
{
    if (conn->state != STATE_ENDING && conn->state != STATE_LINGERING) {
        return;
    }
    struct weir_conn **from = conn->previous == NULL ? list_of(conn) : &conn->previous->next;
    WEIR_ASSERT(*from == conn);
    *from = conn->next;
    if (conn->next != NULL) {
        conn->next->previous = conn->previous;
    }
}

static void say_goodbye(struct weir_conn *conn)
{
    if (conn->ssl != NULL && !h2o_socket_is_writing(conn->sock)) {
        weir_tls_goodbye(conn->ssl, h2o_socket_get_fd(conn->sock));
    }
}

static void destroy(struct weir_conn *conn)
{
    unlink_from(conn);
    if (conn->loop->announced == conn) {
        conn->loop->announced = NULL;
    }
    say_goodbye(conn);
    if (conn->ssl != NULL) {
        SSL_set_quiet_shutdown(conn->ssl, 1); /* libh2o has nothing to wait for */
    }
    h2o_socket_close(conn->sock); /* forgets a write under way, so its copy may go */
    ERR_clear_error();            /* else the next connection would be taken to have failed */
    if (conn->left != NULL) {
        conn->left(conn->left_argument, conn->ticket);
    }
    weir_mem_free(conn->large_write);
    weir_pool_give(conn->loop->conns, conn);
}

/* OPEN, ENDING -> ENDED. The user may close the connection in here. */
static void end(struct weir_conn *conn)
{
    if (conn->state == STATE_ENDED) {
        return;
    }
    unlink_from(conn);
    conn->state = STATE_ENDED;
    if (conn->events != NULL) {
        conn->events->on_closed(conn->user);
    }
}

/* LINGERING -> FREED once the answer is out and the peer has nothing more to say. */
static void settle(struct weir_conn *conn)
{
    if (conn->input_ended && !h2o_socket_is_writing(conn->sock)) {
        destroy(conn);
    }
}

/* Input while lingering: forgotten, within bounds. */
static void swallow(struct weir_conn *conn)
{
    size_t size = conn->sock->input->size;
    h2o_buffer_consume(&conn->sock->input, size);
    conn->swallowed_bytes += size;
    if (conn->swallowed_bytes > LINGER_BYTES_MAX) {
        destroy(conn);
    }
}

static bool is_plain(const struct weir_conn *conn)
{
    return conn->sock->ssl == NULL;
}

/* `fresh`: with input that the user has not heard of. */
static void end_of_input(struct weir_conn *conn, bool fresh)
{
    conn->input_ended = true;
    h2o_socket_read_stop(conn->sock); /* the end stays readable: without this the loop would spin */
    if (conn->state == STATE_LINGERING) {
        settle(conn);
    } else if (conn->state == STATE_OPEN && fresh && conn->events != NULL) {
        conn->state = STATE_ENDING;
        link_in(conn);
        conn->events->on_input(conn->user);
    } else {
        end(conn);
    }
}

void weir_conn_tell_ended(struct weir_loop *loop)
{
    while (loop->ending != NULL) {
        end(loop->ending); /* leaves the list, whatever its user does */
    }
}

/* Whether the peer has said TLS's goodbye, behind which nothing comes. */
static bool is_told_goodbye(const struct weir_conn *conn)
{
    return conn->ssl != NULL && (SSL_get_shutdown(conn->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct weir_conn *conn = sock->data;
    weir_loop_enter(conn->loop);
    if (!conn->wanted && conn->state != STATE_LINGERING) {
        h2o_socket_read_stop(sock); /* it stays where it is, and is told again when it is wanted */
        return;
    }
    /* Over TLS libh2o also calls for a record that is not whole yet; that is no input. */
    ssize_t got = sock->bytes_read > 0 ? (ssize_t)sock->bytes_read : -1;
    if (err == NULL && is_plain(conn)) {
        got = weir_conn_read_more(sock, READ_BYTES);
    }
    if (err != NULL && conn->ssl != NULL) {
        ERR_clear_error(); /* OpenSSL keeps one list for all connections of a thread */
    }
    if (err != NULL || got == 0 || is_told_goodbye(conn)) {
        end_of_input(conn, sock->bytes_read > 0);
    } else if (conn->state == STATE_LINGERING) {
        swallow(conn);
    } else if (got > 0 && conn->events != NULL) {
        struct weir_loop *loop = conn->loop;
        conn->events->on_input(conn->user);
        weir_loop_run_posted(loop); /* a body can take milliseconds, and ten may wait their turn */
    }
}

static void start_reading(struct weir_conn *conn)
{
    h2o_socket_dont_read(conn->sock, is_plain(conn));
    h2o_socket_read_start(conn->sock, on_read);
}

static void shut_sending(struct weir_conn *conn)
{
    say_goodbye(conn);
    (void)shutdown(h2o_socket_get_fd(conn->sock), SHUT_WR);
}

static void on_write(h2o_socket_t *sock, const char *err)
{
    struct weir_conn *conn = sock->data;
    weir_loop_enter(conn->loop);
    weir_mem_free(conn->large_write);
    conn->large_write = NULL;
    if (conn->state == STATE_LINGERING) {
        if (err != NULL) {
            destroy(conn);
            return;
        }
        shut_sending(conn);
        settle(conn);
    } else if (err != NULL) {
        h2o_socket_read_stop(sock);
        conn->input_ended = true;
        end(conn);
    } else if (conn->events != NULL) {
        conn->events->on_written(conn->user);
    }
}

void weir_conn_announce(struct weir_conn *conn, SSL *ssl, bool ended,
                        const struct weir_listener_options *options)
{
    struct weir_loop *loop = conn->loop;
    conn->ssl = ssl;
    loop->announced = conn;
    options->accepted(options->argument, conn);
    bool lives = loop->announced == conn && conn->state == STATE_OPEN;
    loop->announced = NULL;
    if (!lives || conn->events == NULL || !conn->wanted) {
        return;
    }
    bool fresh = conn->sock->input->size > 0;
    if (ended) {
        end_of_input(conn, fresh);
    } else if (fresh) {
        conn->events->on_input(conn->user);
    }
}

void weir_conn_attach(struct weir_conn *conn, const struct weir_conn_events *events, void *user)
{
    weir_loop_assert_mine(conn->loop);
    WEIR_ASSERT(conn->state != STATE_LINGERING);
    conn->events = events;
    conn->user = user;
}

void weir_conn_set_reading(struct weir_conn *conn, bool wanted)
{
    weir_loop_assert_mine(conn->loop);
    WEIR_ASSERT(conn->state != STATE_LINGERING);
    conn->wanted = wanted;
    if (wanted && !conn->input_ended) {
        start_reading(conn);
    } else if (!is_plain(conn)) {
        h2o_socket_read_stop(conn->sock);
    }
}

struct weir_bytes weir_conn_input(const struct weir_conn *conn)
{
    return weir_bytes_of(conn->sock->input->bytes, conn->sock->input->size);
}

void weir_conn_consume(struct weir_conn *conn, size_t size)
{
    weir_loop_assert_mine(conn->loop);
    WEIR_ASSERT(size <= conn->sock->input->size);
    h2o_buffer_consume(&conn->sock->input, size);
}

size_t weir_conn_read(struct weir_conn *conn, uint8_t *at, size_t size)
{
    weir_loop_assert_mine(conn->loop);
    WEIR_ASSERT(conn->state != STATE_LINGERING);
    WEIR_ASSERT(conn->sock->input->size == 0);
    if (!is_plain(conn) || conn->input_ended) {
        return 0;
    }
    /* An end stays readable, and the loop tells it. A short read has taken all there is. */
    ssize_t got = size == 0 ? 0 : weir_conn_read_once(conn->sock, at, size);
    return got > 0 ? (size_t)got : 0;
}

/* Where a write under way is kept; NULL: no memory. libh2o refers to it until it calls on_write,
 * and the user may close with linger and be gone before that. */
static uint8_t *keep_write(struct weir_conn *conn, size_t size)
{
    WEIR_ASSERT(conn->large_write == NULL);
    if (size <= sizeof conn->small_write) {
        return conn->small_write;
    }
    conn->large_write = weir_mem_alloc(size);
    return conn->large_write;
}

static void on_write_impossible(h2o_socket_t *sock, const char *err)
{
    (void)err;
    on_write(sock, h2o_socket_error_out_of_memory);
}

void weir_conn_write(struct weir_conn *conn, struct weir_bytes bytes)
{
    weir_loop_assert_mine(conn->loop);
    WEIR_ASSERT(conn->loop->turning); /* I3 of loop.c */
    WEIR_ASSERT(conn->state != STATE_LINGERING);
    WEIR_ASSERT(!h2o_socket_is_writing(conn->sock));
    uint8_t *kept = keep_write(conn, bytes.size);
    if (kept == NULL) {
        /* Both directions shut: ready at once, so the failure is told from the loop. */
        (void)shutdown(h2o_socket_get_fd(conn->sock), SHUT_RDWR);
        h2o_socket_notify_write(conn->sock, on_write_impossible);
        return;
    }
    if (bytes.size > 0) {
        memcpy(kept, bytes.data, bytes.size);
    }
    h2o_iovec_t vector = h2o_iovec_init(kept, bytes.size);
    h2o_socket_write(conn->sock, &vector, 1, on_write);
}

void weir_conn_close(struct weir_conn *conn, uint32_t linger_ms)
{
    weir_loop_assert_mine(conn->loop);
    WEIR_ASSERT(conn->state != STATE_LINGERING);
    bool writing = h2o_socket_is_writing(conn->sock);
    if (linger_ms == 0 || (conn->input_ended && !writing)) {
        destroy(conn);
        return;
    }
    unlink_from(conn);
    conn->state = STATE_LINGERING;
    conn->events = NULL;
    conn->user = NULL;
    conn->linger_until_ns = conn->loop->now_ns + (int64_t)linger_ms * WEIR_NS_PER_MS;
    link_in(conn);

    if (!writing) {
        shut_sending(conn);
    }
    h2o_buffer_consume(&conn->sock->input, conn->sock->input->size);
    if (!conn->input_ended) {
        start_reading(conn);
    }
}

void weir_conn_expire(struct weir_loop *loop, int64_t now_ns)
{
    struct weir_conn *next;
    for (struct weir_conn *conn = loop->lingering; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->linger_until_ns <= now_ns) {
            destroy(conn);
        }
    }
}

const char *weir_conn_peer(const struct weir_conn *conn)
{
    return conn->peer;
}
