/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/clock.h"
#include "weir/thread.h"
#include "weir/transport.h"
#include "weir/wake.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A server that answers request n with answers[n]; NULL hangs up instead, "" never answers. */
struct server {
    const char *const *answers;
    size_t count;
    int listener;
    uint16_t port;
    int accepted;
    char heads[8][2048];
    size_t body_sizes[8];
    size_t flooded; /* bytes that were taken of what does not end */
    pthread_t thread;
};

/* Reads one request (head and Content-Length bytes); false when the peer closed. */
static bool read_request(struct server *server, int fd, size_t index)
{
    char *head = server->heads[index];
    size_t size = 0;
    char *end = NULL;
    while (end == NULL) {
        ssize_t got = recv(fd, head + size, sizeof(server->heads[0]) - 1 - size, 0);
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
        head[size] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    const char *length = strstr(head, "Content-Length: ");
    size_t expected = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    size_t body = size - (size_t)(end + 4 - head);
    end[4] = '\0';
    char sink[65536];
    while (body < expected) {
        ssize_t got = recv(fd, sink, sizeof(sink), 0);
        if (got <= 0) {
            return false;
        }
        body += (size_t)got;
    }
    server->body_sizes[index] = body;
    return true;
}

enum { FLOOD_MAX = 64 << 20 };

static void pour(struct server *server, int fd, const char *flood)
{
    size_t size = strlen(flood);
    ssize_t sent = 0;
    while (sent >= 0 && server->flooded < FLOOD_MAX) {
        sent = send(fd, flood, size, MSG_NOSIGNAL);
        server->flooded += sent > 0 ? (size_t)sent : 0;
    }
}

static void *serve(void *argument)
{
    struct server *server = argument;
    size_t index = 0;
    while (index < server->count) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        server->accepted++;
        while (index < server->count && read_request(server, fd, index)) {
            const char *answer = server->answers[index++];
            if (answer == NULL) {
                break;
            }
            if (answer[0] == '\0') { /* until the client gives up */
                char byte;
                (void)!recv(fd, &byte, 1, 0);
                break;
            }
            (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
            if (strstr(answer, "Then: flood") != NULL) { /* the next answer, over and over */
                pour(server, fd, server->answers[index++]);
            }
            if (strstr(answer, "Connection: close") != NULL) {
                break;
            }
        }
        close(fd);
    }
    return NULL;
}

static void server_start(struct server *server, const char *const *answers, size_t count)
{
    *server = (struct server){.answers = answers, .count = count};
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    socklen_t size = sizeof(address);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    close(server->listener);
    pthread_join(server->thread, NULL);
}

struct scene {
    struct server server;
    struct weir_transport transport;
    struct weir_transport_target target;
    char url[64];
};

static void set(struct scene *scene, const char *const *answers, size_t count)
{
    server_start(&scene->server, answers, count);
    snprintf(scene->url, sizeof(scene->url), "http://127.0.0.1:%u/v1/metrics",
             (unsigned)scene->server.port);
    scene->target =
        (struct weir_transport_target){.url = scene->url, .timeout_ns = 5 * WEIR_NS_PER_S};
    assert_int_equal(weir_transport_curl(&scene->transport), WEIR_OK);
}

static void strike(struct scene *scene)
{
    scene->transport.free(scene->transport.self);
    server_stop(&scene->server);
}

/* Sends `body` and waits for its reply. */
static struct weir_transport_reply post(struct scene *scene, struct weir_bytes body)
{
    int mark = 0;
    struct weir_transport_request request = {&scene->target, body, &mark};
    assert_int_equal(scene->transport.send(scene->transport.self, &request), WEIR_OK);
    struct weir_transport_reply reply;
    int64_t deadline = weir_clock_mono_ns() + 10 * WEIR_NS_PER_S;
    while (scene->transport.reply(scene->transport.self, &reply) != WEIR_OK) {
        assert_true(weir_clock_mono_ns() < deadline);
        assert_int_equal(scene->transport.wait(scene->transport.self, -1, 1000), WEIR_OK);
    }
    assert_ptr_equal(reply.user, &mark);
    return reply;
}

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void a_request_is_what_otlp_wants_and_connections_are_kept(void **state)
{
    (void)state;
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\x0a\x01",
                                          OK_EMPTY, OK_EMPTY};
    struct scene scene;
    set(&scene, answers, 3);
    static const char *const headers[] = {"Content-Type: application/x-protobuf", "X-Token: a",
                                          NULL};
    scene.target.headers = headers;
    struct weir_transport_reply reply = post(&scene, WEIR_BYTES("hello"));
    assert_int_equal(reply.failure, WEIR_TRANSPORT_ANSWERED);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.size, 2);
    assert_int_equal(reply.retry_after_ns, -1);
    assert_int_equal(reply.repeats, 0);
    static uint8_t large[3 << 20];
    assert_int_equal(post(&scene, weir_bytes_of(large, sizeof(large))).status, 200);
    assert_int_equal(post(&scene, (struct weir_bytes){NULL, 0}).status, 200);
    assert_int_equal(scene.server.accepted, 1);
    assert_int_equal(scene.server.body_sizes[0], 5);
    assert_int_equal(scene.server.body_sizes[1], sizeof(large));
    const char *head = scene.server.heads[0];
    assert_non_null(strstr(head, "POST /v1/metrics HTTP/1.1\r\n"));
    assert_non_null(strstr(head, "User-Agent: Weir/" WEIR_VERSION "\r\n"));
    assert_non_null(strstr(head, "Content-Type: application/x-protobuf\r\n"));
    assert_non_null(strstr(head, "X-Token: a\r\n"));
    assert_null(strstr(head, "Expect"));
    assert_non_null(strstr(head, "Accept-Encoding: identity\r\n"));
    assert_null(strstr(scene.server.heads[1], "Expect"));
    strike(&scene);
}

/* Handles are used again as they are, so what one target wants must not stay for the next. */
static void a_requests_options_end_with_it(void **state)
{
    (void)state;
    static const char *const answers[] = {OK_EMPTY, OK_EMPTY};
    struct scene scene;
    set(&scene, answers, 2);
    static const char *const headers[] = {"X-Token: a", NULL};
    const struct weir_transport_target plain = scene.target;
    scene.target.headers = headers;
    scene.target.method = "PUT";
    assert_int_equal(post(&scene, WEIR_BYTES("long")).status, 200);
    char url[64];
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", (unsigned)scene.server.port);
    scene.target = plain;
    scene.target.url = url;
    scene.target.timeout_ns = WEIR_NS_PER_S / 5;
    scene.target.ca_file = "/nobody/has/this.pem";
    assert_int_equal(post(&scene, WEIR_BYTES("x")).failure, WEIR_TRANSPORT_UNTRUSTED);
    scene.target.ca_file = NULL; /* now the handshake is begun, with somebody who has no TLS */
    assert_int_equal(post(&scene, WEIR_BYTES("x")).failure, WEIR_TRANSPORT_UNREACHED);
    scene.target = plain;
    assert_int_equal(post(&scene, WEIR_BYTES("x")).status, 200);
    assert_non_null(strstr(scene.server.heads[0], "PUT /v1/metrics"));
    assert_non_null(strstr(scene.server.heads[0], "X-Token: a"));
    assert_non_null(strstr(scene.server.heads[1], "POST /v1/metrics"));
    assert_null(strstr(scene.server.heads[1], "X-Token"));
    assert_int_equal(scene.server.body_sizes[1], 1);
    strike(&scene);
}

static void retry_after_is_read_in_seconds_and_as_a_date(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 S\r\nRetry-After: Fri, 31 Dec 2060 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n"};
    struct scene scene;
    set(&scene, answers, 3);
    struct weir_transport_reply reply = post(&scene, WEIR_BYTES("x"));
    assert_int_equal(reply.status, 503);
    assert_int_equal(reply.retry_after_ns, 7 * WEIR_NS_PER_S);
    assert_true(post(&scene, WEIR_BYTES("x")).retry_after_ns > 3600 * WEIR_NS_PER_S);
    assert_int_equal(post(&scene, WEIR_BYTES("x")).retry_after_ns, -1);
    strike(&scene);
}

static void redirects_are_answers(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"};
    struct scene scene;
    set(&scene, answers, 1);
    assert_int_equal(post(&scene, WEIR_BYTES("x")).status, 302);
    strike(&scene);
}

static void a_long_body_is_cut_without_harm(void **state)
{
    (void)state;
    static char answer[200100];
    int head =
        snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
    memset(answer + head, 'x', 200000);
    const char *answers[] = {answer, OK_EMPTY};
    struct scene scene;
    set(&scene, answers, 2);
    struct weir_transport_reply reply = post(&scene, WEIR_BYTES("x"));
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.size, WEIR_TRANSPORT_BODY_MAX);
    assert_int_equal(post(&scene, WEIR_BYTES("x")).body.size, 0);
    strike(&scene);
}

static void nobody_there_is_unreached(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, NULL, 0);
    scene.target.url = "http://127.0.0.1:1/v1/metrics";
    struct weir_transport_reply reply = post(&scene, WEIR_BYTES("x"));
    assert_int_equal(reply.failure, WEIR_TRANSPORT_UNREACHED);
    assert_int_not_equal(strlen(reply.message), 0);
    strike(&scene);
}

static void urls_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, NULL, 0);
    scene.target.url = "file:///etc/passwd";
    assert_int_equal(post(&scene, WEIR_BYTES("x")).failure, WEIR_TRANSPORT_REFUSED);
    scene.target.url = "gopher://127.0.0.1/";
    assert_int_equal(post(&scene, WEIR_BYTES("x")).failure, WEIR_TRANSPORT_REFUSED);
    strike(&scene);
}

static void hanging_up_without_an_answer_is_lost(void **state)
{
    (void)state;
    static const char *const answers[] = {NULL};
    struct scene scene;
    set(&scene, answers, 1);
    assert_int_equal(post(&scene, WEIR_BYTES("x")).failure, WEIR_TRANSPORT_LOST);
    strike(&scene);
}

static void a_kept_connection_that_died_is_a_noticed_repeat(void **state)
{
    (void)state;
    static const char *const answers[] = {OK_EMPTY, NULL, OK_EMPTY};
    struct scene scene;
    set(&scene, answers, 3);
    assert_int_equal(post(&scene, WEIR_BYTES("x")).status, 200);
    struct weir_transport_reply reply = post(&scene, WEIR_BYTES("y"));
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.repeats, 1);
    strike(&scene);
}

static void silence_is_a_timeout(void **state)
{
    (void)state;
    static const char *const answers[] = {""};
    struct scene scene;
    set(&scene, answers, 1);
    scene.target.timeout_ns = 200 * WEIR_NS_PER_MS;
    struct weir_transport_reply reply = post(&scene, WEIR_BYTES("x"));
    assert_int_equal(reply.failure, WEIR_TRANSPORT_TIMEOUT);
    assert_true(reply.duration_ns >= 199 * WEIR_NS_PER_MS);
    strike(&scene);
}

static void a_status_counts_although_the_body_broke_off(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nonly this"};
    struct scene scene;
    set(&scene, answers, 1);
    struct weir_transport_reply reply = post(&scene, WEIR_BYTES("x"));
    assert_int_equal(reply.failure, WEIR_TRANSPORT_ANSWERED);
    assert_int_equal(reply.status, 200);
    strike(&scene);
}

static void the_environments_proxy_is_ignored(void **state)
{
    (void)state;
    static const char *const answers[] = {OK_EMPTY};
    struct scene scene;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    set(&scene, answers, 1);
    assert_int_equal(post(&scene, WEIR_BYTES("x")).status, 200);
    strike(&scene);
    unsetenv("http_proxy");
}

static void the_bell_ends_a_wait(void **state)
{
    (void)state;
    struct scene scene;
    struct weir_wake bell;
    set(&scene, NULL, 0);
    assert_int_equal(weir_wake_open(&bell), WEIR_OK);
    int64_t begun = weir_clock_mono_ns();
    assert_int_equal(scene.transport.wait(scene.transport.self, bell.fd, 50), WEIR_OK);
    assert_true(weir_clock_mono_ns() - begun >= 45 * WEIR_NS_PER_MS);
    weir_wake_ring(&bell);
    begun = weir_clock_mono_ns();
    assert_int_equal(scene.transport.wait(scene.transport.self, bell.fd, 20000), WEIR_OK);
    assert_true(weir_clock_mono_ns() - begun < 10 * WEIR_NS_PER_S);
    weir_wake_close(&bell);
    strike(&scene);
}

static void free_ends_what_is_in_flight(void **state)
{
    (void)state;
    static const char *const answers[] = {""};
    struct scene scene;
    set(&scene, answers, 1);
    struct weir_transport_request request = {&scene.target, WEIR_BYTES("x"), NULL};
    assert_int_equal(scene.transport.send(scene.transport.self, &request), WEIR_OK);
    assert_int_equal(scene.transport.wait(scene.transport.self, -1, 50), WEIR_OK);
    strike(&scene);
}

static void what_is_cancelled_has_no_reply_and_the_others_do(void **state)
{
    (void)state;
    static const char *const answers[] = {"", OK_EMPTY, OK_EMPTY};
    struct scene scene;
    set(&scene, answers, 3);
    const struct weir_transport *transport = &scene.transport;
    int marks[2] = {0, 0};
    struct weir_transport_request request = {&scene.target, WEIR_BYTES("x"), &marks[0]};
    assert_int_equal(transport->send(transport->self, &request), WEIR_OK);
    assert_int_equal(transport->wait(transport->self, -1, 50), WEIR_OK);
    transport->cancel(transport->self, &marks[1]); /* nobody */
    transport->cancel(transport->self, &marks[0]);
    transport->cancel(transport->self, &marks[0]); /* nor is it any more */
    assert_int_equal(post(&scene, WEIR_BYTES("y")).status, 200);
    /* one that has ended, and whose reply was not taken yet */
    request.user = &marks[1];
    assert_int_equal(transport->send(transport->self, &request), WEIR_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(transport->wait(transport->self, -1, 20), WEIR_OK);
    }
    transport->cancel(transport->self, &marks[1]);
    struct weir_transport_reply reply;
    assert_int_equal(transport->reply(transport->self, &reply), WEIR_EEND);
    strike(&scene);
}

static int global(void **state)
{
    (void)state;
    return weir_transport_curl_global() == WEIR_OK ? 0 : -1;
}

static void what_does_not_end_is_cut_off(void **state)
{
    (void)state;
#define FLOOD "HTTP/1.1 200 OK\r\nThen: flood\r\nTransfer-Encoding: chunked\r\n\r\n"
    static const char *const heads[] = {FLOOD, FLOOD "0\r\n"};
    static const char *const floods[] = {"10\r\n0123456789abcdef\r\n",
                                         "X-More: 0123456789abcdef\r\n"};
    for (size_t i = 0; i < 2; i++) {
        static char flood[64 << 10];
        size_t size = strlen(floods[i]);
        for (size_t at = 0; at + size < sizeof(flood); at += size) {
            memcpy(flood + at, floods[i], size);
        }
        struct scene scene;
        const char *const answers[] = {heads[i], flood};
        set(&scene, answers, 2);
        struct weir_transport_reply reply = post(&scene, WEIR_BYTES("x"));
        assert_int_equal(reply.failure, WEIR_TRANSPORT_ANSWERED); /* the status is there */
        assert_int_equal(reply.status, 200);
        assert_true(reply.body.size <= WEIR_TRANSPORT_BODY_MAX);
        strike(&scene);
        assert_true(scene.server.flooded < FLOOD_MAX / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_what_otlp_wants_and_connections_are_kept),
        cmocka_unit_test(a_requests_options_end_with_it),
        cmocka_unit_test(retry_after_is_read_in_seconds_and_as_a_date),
        cmocka_unit_test(redirects_are_answers),
        cmocka_unit_test(a_long_body_is_cut_without_harm),
        cmocka_unit_test(nobody_there_is_unreached),
        cmocka_unit_test(urls_that_cannot_be_are_refused),
        cmocka_unit_test(hanging_up_without_an_answer_is_lost),
        cmocka_unit_test(a_kept_connection_that_died_is_a_noticed_repeat),
        cmocka_unit_test(silence_is_a_timeout),
        cmocka_unit_test(a_status_counts_although_the_body_broke_off),
        cmocka_unit_test(the_environments_proxy_is_ignored),
        cmocka_unit_test(the_bell_ends_a_wait),
        cmocka_unit_test(free_ends_what_is_in_flight),
        cmocka_unit_test(what_does_not_end_is_cut_off),
        cmocka_unit_test(what_is_cancelled_has_no_reply_and_the_others_do),
    };
    return cmocka_run_group_tests(tests, global, NULL);
}
