/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an accepted socket to an encrypted connection, under a deadline.
 *
 *   accepted ──► WAITING for a first byte ──► SHAKING ── libh2o: complete ──► announced
 *                   │                            │  └─── libh2o: failed ────► alert sent, closed
 *                   ├────────────────────────────┼────── its time is over ──► closed (the tick)
 *                   ├────────────────────────────┼────── too many: the oldest is cut for a new one
 *                   └────────────────────────────┴────── its loop is freed
 *
 *   loop->shaking: oldest ⇄ ... ⇄ newest       (one deadline for all, so in the order of deadlines)
 *
 * Invariants
 *   I1  a handshake is in the loop's list from its start to its end, and nobody above knows of its
 *       connection before the end; it counts as an open one all the time
 *   I2  at most `handshakes_max` are under way: cutting the oldest lets an honest client, which
 *       needs two round trips, through a flood that holds every place for as long as it may
 *   I3  OpenSSL's list of errors, one for all connections of a thread, is empty when we return:
 *       a stale error makes the next read of another connection look failed
 *   I4  the context is the connection's from its first byte on, whatever is reloaded meanwhile
 *   I5  who has sent nothing costs a descriptor and a struct: the SSL is made with the first byte
 *
 * After it, libh2o ends a connection on which OpenSSL wants to write while it reads: on a
 * renegotiation, on a KeyUpdate that asks for another while the one before waits for its answer,
 * which goes out ahead of what we write next. That is as well: each would cost us more than the
 * peer.
 *
 * Two things that libh2o keeps to itself are learned through OpenSSL: the SSL object, from a
 * callback when it is made (on_born), and the alert of a failed handshake, which libh2o forgets to
 * send: without it a client is told "connection closed" where it could be told "protocol version".
 * Only an alert in clear is sent, that is one before keys are agreed on; a later one could not be
 * understood after what was not sent.
 *
 * The loop's thread.
 */
#include "net_internal.h"
#include "tls_internal.h"
#include "weir/mem.h"
#include <openssl/err.h>

#define ALERT_BYTES 7 /* header (5), level, description */
#define FIRST_BYTES 4096

struct weir_handshake {
    struct weir_handshake *next;
    struct weir_handshake *previous;
    struct weir_loop *loop;
    struct weir_conn *conn;
    SSL *ssl;
    struct weir_listener_options options; /* the listener may be closed meanwhile */
    int64_t begun_ns;
    int64_t until_ns;
};

/* Where the SSL that is made right now on this thread is to be noted, or NULL: not ours. */
static _Thread_local SSL **born;

/* The alert record that OpenSSL has just written in clear. */
static _Thread_local struct {
    uint8_t bytes[ALERT_BYTES];
    bool whole;
} alert;

/* tidy: allow parameters -- OpenSSL's, here and below */
static void on_born(void *parent, void *value, CRYPTO_EX_DATA *data, int index, long number,
                    void *argument)
{
    (void)value;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    if (born != NULL) {
        *born = parent;
    }
}

/* tidy: allow parameters -- OpenSSL's */
/* OpenSSL shows each record's header, then what is in it. */
static void on_message(int writes, int version, int type, const void *data, size_t size, SSL *ssl,
                       void *argument)
{
    static const uint8_t alert_in_clear[] = {0, 2}; /* its length */
    const uint8_t *bytes = data;
    (void)version;
    (void)ssl;
    (void)argument;
    if (writes != 1) {
        return;
    }
    if (type == SSL3_RT_HEADER && size == 5) {
        bool is_alert = bytes[0] == SSL3_RT_ALERT && memcmp(bytes + 3, alert_in_clear, 2) == 0;
        alert.whole = false;
        if (is_alert) {
            memcpy(alert.bytes, bytes, 5);
        } else {
            alert.bytes[0] = 0;
        }
    } else if (type == SSL3_RT_ALERT && size == 2 && alert.bytes[0] == SSL3_RT_ALERT) {
        memcpy(alert.bytes + 5, bytes, 2);
        alert.whole = true;
    }
}

static void learn_of_births(void)
{
    WEIR_ASSERT(CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, on_born, NULL, NULL) >= 0);
}

static void link_last(struct weir_handshake *self)
{
    struct weir_loop *loop = self->loop;
    self->previous = loop->shaking_last;
    if (self->previous == NULL) {
        loop->shaking = self;
    } else {
        self->previous->next = self;
    }
    loop->shaking_last = self;
    loop->shaking_count++;
}

static void unlink_from(struct weir_handshake *self)
{
    struct weir_loop *loop = self->loop;
    WEIR_ASSERT(loop->shaking_count > 0);
    if (self->previous == NULL) {
        loop->shaking = self->next;
    } else {
        self->previous->next = self->next;
    }
    if (self->next == NULL) {
        loop->shaking_last = self->previous;
    } else {
        self->next->previous = self->previous;
    }
    loop->shaking_count--;
}

static void tell(const struct weir_handshake *self, enum weir_handshake_outcome outcome,
                 const char *reason)
{
    void (*shaken)(void *argument, const struct weir_handshake_end *end) =
        self->options.tls->shaken;
    if (shaken != NULL) {
        const struct weir_handshake_end end = {outcome, weir_conn_peer(self->conn), reason,
                                               self->loop->now_ns - self->begun_ns};
        shaken(self->options.argument, &end);
    }
}

/* Ends it without a connection. */
static void give_up(struct weir_handshake *self)
{
    unlink_from(self);
    weir_conn_close(self->conn, 0);
    weir_mem_free(self);
}

/* In words, from OpenSSL's list: the first of its own errors says most. */
static const char *reason_of_failure(void)
{
    unsigned long error = ERR_peek_error();
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST) {
        return "a plain HTTP request where TLS is spoken";
    }
    const char *reason = ERR_reason_error_string(error);
    return reason == NULL ? "no reason known" : reason;
}

static void send_alert(const struct weir_handshake *self)
{
    if (alert.whole) {
        (void)send(h2o_socket_get_fd(weir_conn_socket(self->conn)), alert.bytes, sizeof alert.bytes,
                   MSG_DONTWAIT | MSG_NOSIGNAL);
        alert.whole = false;
    }
}

static void fail(struct weir_handshake *self, const char *err)
{
    bool gone = err == h2o_socket_error_closed || err == h2o_socket_error_io;
    if (gone) {
        tell(self, WEIR_HANDSHAKE_GONE, "the peer closed the connection");
    } else {
        send_alert(self);
        tell(self, WEIR_HANDSHAKE_FAILED, reason_of_failure());
    }
    ERR_clear_error();
    give_up(self);
}

/* Whether nothing more can come behind what came together with the handshake: a goodbye, or damage,
 * after which OpenSSL is as before a handshake. libh2o keeps both to itself here. */
static bool ended(const SSL *ssl)
{
    return (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0 || SSL_in_init(ssl) == 1;
}

static void on_shaken(h2o_socket_t *sock, const char *err)
{
    struct weir_handshake *self = sock->data;
    born = NULL;
    weir_loop_enter(self->loop);
    if (err != NULL) {
        fail(self, err);
        return;
    }
    ERR_clear_error();
    WEIR_ASSERT(self->ssl != NULL);
    bool resumed = SSL_session_reused(self->ssl) == 1;
    tell(self, resumed ? WEIR_HANDSHAKE_RESUMED : WEIR_HANDSHAKE_COMPLETE, "");
    struct weir_conn *conn = self->conn;
    struct weir_listener_options options = self->options;
    SSL *ssl = self->ssl;
    sock->data = conn;
    unlink_from(self);
    weir_mem_free(self);
    weir_conn_announce(conn, ssl, ended(ssl), &options);
}

/* Makes room for one more (I2). */
static void cut_oldest(struct weir_loop *loop, uint32_t count_max)
{
    while (loop->shaking_count >= count_max) {
        struct weir_handshake *oldest = loop->shaking;
        tell(oldest, WEIR_HANDSHAKE_CROWDED, "too many handshakes at a time");
        give_up(oldest);
    }
}

/* The first bytes are there: read here, since libh2o makes the SSL when it has some, and that has
 * to be while we look (on_born). */
static void on_first_bytes(h2o_socket_t *sock, const char *err)
{
    struct weir_handshake *self = sock->data;
    weir_loop_enter(self->loop);
    ssize_t got = err == NULL ? weir_conn_read_more(sock, FIRST_BYTES) : 0;
    if (got < 0) {
        return;
    }
    if (got == 0) {
        fail(self, h2o_socket_error_closed);
        return;
    }
    h2o_socket_read_stop(sock);
    h2o_socket_dont_read(sock, 0);
    ERR_clear_error();
    SSL_CTX *context = weir_tls_take(self->options.tls->tls);
    born = &self->ssl;
    h2o_socket_ssl_handshake(sock, context, NULL, on_shaken); /* self may be gone afterwards */
    born = NULL;
    SSL_CTX_free(context); /* the SSL has its own reference */
}

void weir_handshake_start(const struct weir_listener_options *options, struct weir_conn *conn)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    WEIR_ASSERT(pthread_once(&once, learn_of_births) == 0);
    struct weir_loop *loop = weir_conn_loop(conn);
    h2o_socket_t *sock = weir_conn_socket(conn);
    struct weir_handshake *self = weir_mem_zalloc(1, sizeof *self);
    if (self == NULL) {
        weir_conn_close(conn, 0);
        return;
    }
    cut_oldest(loop, options->tls->handshakes_max);
    *self = (struct weir_handshake){.loop = loop,
                                    .conn = conn,
                                    .options = *options,
                                    .begun_ns = loop->now_ns,
                                    .until_ns = loop->now_ns + options->tls->timeout_ns};
    link_last(self);
    sock->data = self;
    h2o_socket_dont_read(sock, 1);
    h2o_socket_read_start(sock, on_first_bytes);
}

void weir_handshake_observe(SSL_CTX *context)
{
    SSL_CTX_set_msg_callback(context, on_message);
}

void weir_tls_goodbye(SSL *ssl, int fd)
{
    BIO *memory = SSL_get_quiet_shutdown(ssl) == 1 ? NULL : BIO_new(BIO_s_mem());
    SSL_set_quiet_shutdown(ssl, memory == NULL ? 1 : 0);
    if (memory == NULL) {
        return;
    }
    char *data = NULL;
    BIO *own = SSL_get_wbio(ssl);
    WEIR_ASSERT(BIO_up_ref(own) == 1);
    SSL_set0_wbio(ssl, memory);
    if (SSL_shutdown(ssl) >= 0) {
        long size = BIO_get_mem_data(memory, &data);
        (void)send(fd, data, size > 0 ? (size_t)size : 0, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    /* Back to libh2o's, which ends a connection that wants to write from here on: the memory would
     * take the answers to a storm of KeyUpdates, at a cost that grows with each. */
    SSL_set0_wbio(ssl, own);
    SSL_set_quiet_shutdown(ssl, 1); /* it is said */
    ERR_clear_error();
}

void weir_handshake_expire(struct weir_loop *loop, int64_t now_ns)
{
    while (loop->shaking != NULL && loop->shaking->until_ns <= now_ns) {
        struct weir_handshake *oldest = loop->shaking;
        if (now_ns != INT64_MAX) {
            tell(oldest, WEIR_HANDSHAKE_TIMEOUT, "took too long");
        }
        give_up(oldest);
    }
}
