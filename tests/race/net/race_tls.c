/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates are replaced as fast as they can be while loops take connections over TLS and others
 * look: each handshake succeeds, with one set or the other, whole. */
#include "weir/clock.h"
#include "weir/listener.h"
#include "weir/tls.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h> /* tidy: allow third-party -- plays the clients */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LOOPS = 2, HANDSHAKES = 40 };

/* libh2o keeps a few chunks of its memory pools for each thread and never gives them back (see
 * loop.c); these loops end. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\n";
}

static struct weir_tls *tls;
static struct weir_listener_tls listener_tls;
static char folder[] = "/tmp/weir-race-tls-XXXXXX";
static _Atomic bool is_over;
static _Atomic uint32_t shaken;

struct peer {
    struct weir_loop *loop;
    struct weir_listener *listener;
    uint16_t port;
    uint32_t good;
};

static void accepted(void *argument, struct weir_conn *conn)
{
    (void)argument;
    weir_conn_close(conn, 0);
}

static void on_shaken(void *argument, const struct weir_handshake_end *end)
{
    (void)argument;
    bool good = end->outcome == WEIR_HANDSHAKE_COMPLETE || end->outcome == WEIR_HANDSHAKE_RESUMED;
    /* relaxed: a count, read after the join */
    atomic_fetch_add_explicit(&shaken, good ? 1 : 0, memory_order_relaxed);
}

static void shake_once(struct peer *peer, SSL_CTX *context)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(peer->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *ssl = SSL_new(context);
    char byte;
    if (connect(fd, (struct sockaddr *)(void *)&address, sizeof address) == 0 &&
        SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1) {
        peer->good += SSL_read(ssl, &byte, 1) == 0 ? 1 : 0; /* its goodbye */
    }
    SSL_free(ssl);
    (void)close(fd);
}

static void *play(void *argument)
{
    struct peer *peer = argument;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    for (int i = 0; i < HANDSHAKES; i++) {
        shake_once(peer, context);
    }
    SSL_CTX_free(context);
    weir_loop_stop(peer->loop);
    return NULL;
}

static void *serve(void *argument)
{
    struct peer *peer = argument;
    const struct weir_listener_options options = {
        .connections_max = 10, .accepted = accepted, .tls = &listener_tls};
    pthread_t player;
    if (weir_loop_new(&peer->loop) != WEIR_OK ||
        weir_listener_probe("127.0.0.1:0", &peer->port) != WEIR_OK ||
        weir_listener_open(peer->loop, "127.0.0.1:0", peer->port, &options, &peer->listener) !=
            WEIR_OK ||
        pthread_create(&player, NULL, play, peer) != 0) {
        return NULL;
    }
    weir_loop_run(peer->loop, NULL, NULL);
    (void)pthread_join(player, NULL);
    weir_listener_close(peer->listener);
    weir_loop_free(peer->loop);
    return NULL;
}

static void *look(void *argument)
{
    (void)argument;
    struct weir_tls_look seen;
    /* relaxed: only when to stop */
    while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
        (void)weir_tls_look(tls, 0, &seen);
    }
    return NULL;
}

static void sets_are_replaced_while_hands_are_shaken(void **state)
{
    (void)state;
    char line[1024];
    char files[2][64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(line, sizeof line,
                   "cd %s && for n in a b; do openssl req -x509 -newkey ec -pkeyopt "
                   "ec_paramgen_curve:P-256 -nodes -keyout $n.key -out $n.crt -subj /CN=$n && "
                   "cat $n.key >> $n.crt; done >/dev/null 2>&1",
                   folder);
    assert_int_equal(system(line), 0); /* tidy: allow banned -- openssl makes the files */
    struct weir_tls_pair pairs[2] = {{files[0], NULL}, {files[1], NULL}};
    struct weir_tls_options options = {.pairs = pairs, .count = 1, .ticket_ns = 1000000};
    (void)snprintf(files[0], sizeof files[0], "%s/a.crt", folder);
    (void)snprintf(files[1], sizeof files[1], "%s/b.crt", folder);
    char words[256];
    struct weir_buf why = weir_buf_fixed(words, sizeof words);
    assert_int_equal(weir_tls_new(&options, &why, &tls), WEIR_OK);
    listener_tls = (struct weir_listener_tls){
        .tls = tls, .timeout_ns = 60 * WEIR_NS_PER_S, .handshakes_max = 10, .shaken = on_shaken};

    struct peer peers[LOOPS] = {{.good = 0}};
    pthread_t loops[LOOPS];
    pthread_t looker;
    for (int i = 0; i < LOOPS; i++) {
        assert_int_equal(pthread_create(&loops[i], NULL, serve, &peers[i]), 0);
    }
    assert_int_equal(pthread_create(&looker, NULL, look, NULL), 0);
    for (int i = 0; i < 100; i++) {
        options.pairs = &pairs[i % 2];
        assert_int_equal(weir_tls_reload(tls, &options, &why), WEIR_OK);
    }
    for (int i = 0; i < LOOPS; i++) {
        assert_int_equal(pthread_join(loops[i], NULL), 0);
        assert_int_equal(peers[i].good, HANDSHAKES);
    }
    /* relaxed: only when to stop */
    atomic_store_explicit(&is_over, true, memory_order_relaxed);
    assert_int_equal(pthread_join(looker, NULL), 0);
    assert_int_equal(atomic_load_explicit(&shaken, memory_order_relaxed), LOOPS * HANDSHAKES);
    weir_tls_free(tls);
    (void)snprintf(line, sizeof line, "rm -r %s", folder);
    assert_int_equal(system(line), 0); /* tidy: allow banned -- our own folder */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sets_are_replaced_while_hands_are_shaken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
