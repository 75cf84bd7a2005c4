/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of connections over TLS: one that comes together with the handshake's end is told at once,
 * and behind our own goodbye a peer cannot make us write. */
#include "peer.h"
#include "weir/tls.h"
#include <openssl/ssl.h> /* tidy: allow third-party -- plays the clients */
#include <stdio.h>
#include <stdlib.h>

#define LINGER_MS 60000 /* far beyond a test's patience */

/* A record that no key has sealed. */
static const uint8_t damage[] = {0x17, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8,
                                 9,    1, 2, 3, 4,  5, 6, 7, 8, 9, 1, 2};

static char folder[] = "/tmp/weir-goodbye-XXXXXX";
static struct weir_tls *tls;

/* libh2o keeps a few chunks for each thread and never gives them back (see loop.c). */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\n";
}

struct scene {
    struct stage stage;
    struct weir_conn *conn;
    bool lingers;   /* closed as soon as it is accepted, with linger */
    bool is_damage; /* behind the handshake comes that, else a goodbye */
    uint32_t closed;
    bool ended; /* what the peer waited for came */
};

static void on_input(void *user)
{
    (void)user;
}

static void on_written(void *user)
{
    (void)user;
}

static void on_closed(void *user)
{
    struct scene *scene = user;
    scene->closed++;
    weir_conn_close(scene->conn, 0);
}

static void accepted(void *argument, struct weir_conn *conn)
{
    static const struct weir_conn_events events = {on_input, on_written, on_closed};
    struct scene *scene = argument;
    scene->conn = conn;
    if (scene->lingers) {
        weir_conn_close(conn, LINGER_MS);
        return;
    }
    weir_conn_attach(conn, &events, scene);
    weir_conn_read_start(conn);
}

static void run(struct scene *scene, void (*play)(struct stage *stage))
{
    struct stage *stage = &scene->stage;
    const struct weir_listener_tls with_tls = {
        .tls = tls, .timeout_ns = 60 * WEIR_NS_PER_S, .handshakes_max = 4};
    const struct weir_listener_options options = {
        .connections_max = 4, .accepted = accepted, .argument = scene, .tls = &with_tls};
    assert_int_equal(weir_loop_new(&stage->loop), WEIR_OK);
    assert_int_equal(weir_listener_probe("127.0.0.1:0", &stage->port), WEIR_OK);
    assert_int_equal(
        weir_listener_open(stage->loop, "127.0.0.1:0", stage->port, &options, &stage->listener),
        WEIR_OK);
    stage_run(stage, play, NULL);
    stage_close(stage);
}

/* Reads to our goodbye, asks for KeyUpdates (OpenSSL answers one with the next, or with what it
 * writes), and sends until nobody is there any more. */
static void ask_for_keys_behind_the_goodbye(struct stage *stage)
{
    struct scene *scene = (struct scene *)(void *)stage;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    int fd = peer_connect(stage->port);
    char byte = 'x';
    bool asked = SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1 && SSL_read(ssl, &byte, 1) == 0;
    for (int i = 0; asked && i < 2; i++) {
        asked = SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1;
    }
    for (int i = 0; asked && !scene->ended && i < 500; i++) {
        scene->ended = SSL_write(ssl, &byte, 1) != 1;
        pause_ms(10);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    (void)close(fd);
}

/* Shakes hands by hand, so that what comes behind goes into the same segment; then reads to the
 * end. */
static void end_with_the_handshake(struct stage *stage)
{
    struct scene *scene = (struct scene *)(void *)stage;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    int fd = peer_connect(stage->port);
    char bytes[16384];
    ssize_t got = 1;
    SSL_set_bio(ssl, in, out);
    while (SSL_connect(ssl) != 1 && got > 0) {
        int size = BIO_read(out, bytes, sizeof bytes);
        (void)peer_send(fd, bytes, size > 0 ? (size_t)size : 0);
        got = recv(fd, bytes, sizeof bytes, 0);
        (void)BIO_write(in, bytes, got > 0 ? (int)got : 0);
    }
    if (scene->is_damage) {
        (void)BIO_write(out, damage, sizeof damage);
    } else {
        (void)SSL_shutdown(ssl);
    }
    int size = BIO_read(out, bytes, sizeof bytes);
    (void)peer_send(fd, bytes, size > 0 ? (size_t)size : 0);
    (void)peer_read(fd, bytes, sizeof bytes, &scene->ended);
    SSL_free(ssl);
    SSL_CTX_free(context);
    (void)close(fd);
}

static void behind_our_goodbye_nothing_is_written(void **state)
{
    (void)state;
    struct scene scene = {.lingers = true};
    run(&scene, ask_for_keys_behind_the_goodbye);
    assert_true(scene.ended);
}

static void an_end_with_the_handshake_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct scene scene = {.is_damage = i == 1};
        run(&scene, end_with_the_handshake);
        assert_true(scene.ended);
        assert_int_equal(scene.closed, 1);
    }
}

/* Runs a line of the shell in the folder. */
static void shell(const char *line)
{
    char whole[1024];
    (void)snprintf(whole, sizeof whole, "cd %s && %s", folder, line);
    assert_int_equal(system(whole), 0); /* tidy: allow banned -- openssl makes the files */
}

static int set_up(void **state)
{
    (void)state;
    char file[64];
    char words[256];
    struct weir_buf why = weir_buf_fixed(words, sizeof words);
    assert_non_null(mkdtemp(folder));
    shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a "
          "-out b -subj /CN=a >/dev/null 2>&1 && cat a >> b");
    (void)snprintf(file, sizeof file, "%s/b", folder);
    const struct weir_tls_pair pair = {file, NULL};
    const struct weir_tls_options options = {.pairs = &pair, .count = 1, .ticket_ns = 0};
    assert_int_equal(weir_tls_new(&options, &why, &tls), WEIR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    weir_tls_free(tls);
    shell("rm -r \"$PWD\"");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_our_goodbye_nothing_is_written),
        cmocka_unit_test(an_end_with_the_handshake_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
