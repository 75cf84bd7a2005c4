/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body that is written while it is sent, over HTTP/2: a stream that is refused before a byte of
 * the body could go, though libcurl had read some of it, comes again with the body from its first
 * byte. The server has no room for the body (a window of 0) if its settings come before the client
 * begins, which they mostly do: so it is tried some times.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/clock.h"
#include "weir/transport.h"
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BODY = 50000, /* less than a window */
    TRIES = 10,
    FRAME_HEAD = 9,
    DATA = 0,
    HEADERS = 1,
    END_STREAM = 1,
    PREFACE = 24,
    REFUSAL_US = 20000
};

struct server {
    int listener;
    size_t got;     /* of the body, by the second connection */
    uint32_t wrong; /* bytes that are not the body's */
    pthread_t thread;
};

static uint8_t body[BODY];

static uint8_t byte_at(size_t index)
{
    return (uint8_t)(index * 2654435761U >> 13);
}

static bool read_all(int fd, uint8_t *to, size_t size)
{
    return size == 0 || recv(fd, to, size, MSG_WAITALL) == (ssize_t)size;
}

/* Reads frames up to the headers, or up to the end of the request. */
static bool read_frames(struct server *server, int fd, bool to_end)
{
    static uint8_t payload[1 << 16];
    uint8_t head[FRAME_HEAD];
    while (read_all(fd, head, sizeof(head))) {
        size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (size > sizeof(payload) || !read_all(fd, payload, size)) {
            return false;
        }
        for (size_t i = 0; to_end && head[3] == DATA && i < size; i++) {
            server->wrong += payload[i] != byte_at(server->got++);
        }
        bool is_end = head[3] <= HEADERS && (head[4] & END_STREAM) != 0;
        if (to_end ? is_end : head[3] == HEADERS) {
            return true;
        }
    }
    return false;
}

static void *serve(void *argument)
{
    static const uint8_t no_room[] = {0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    static const uint8_t refusal[] = {0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7};
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    static const uint8_t answer[] = {0, 0, 1, 1, 5, 0, 0, 0, 1, 0x8d}; /* :status: 404 */
    struct server *server = argument;
    uint8_t preface[PREFACE];
    int first = accept(server->listener, NULL, NULL);
    (void)!send(first, no_room, sizeof(no_room), MSG_NOSIGNAL);
    if (read_all(first, preface, PREFACE) && read_frames(server, first, false)) {
        usleep(REFUSAL_US); /* so that it has tried to send some of the body */
        (void)!send(first, refusal, sizeof(refusal), MSG_NOSIGNAL);
    }
    int second = accept(server->listener, NULL, NULL);
    (void)!send(second, settings, sizeof(settings), MSG_NOSIGNAL);
    if (read_all(second, preface, PREFACE) && read_frames(server, second, true)) {
        (void)!send(second, answer, sizeof(answer), MSG_NOSIGNAL);
    }
    (void)!recv(second, preface, 1, MSG_WAITALL); /* its acknowledgement, or its end */
    close(first);
    close(second);
    return NULL;
}

static void prepare(void *user, size_t bytes)
{
    (void)user;
    for (size_t i = 0; i < bytes; i++) {
        body[i] = byte_at(i);
    }
}

static void check(void)
{
    struct server server = {.got = 0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server.listener, 8), 0);
    assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, &server), 0);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
    const struct weir_transport_target target = {
        .url = url, .timeout_ns = 2 * WEIR_NS_PER_S, .is_grpc = true};
    const struct weir_transport_request request = {&target, weir_bytes_of(body, BODY), NULL,
                                                   prepare};
    struct weir_transport transport;
    struct weir_transport_reply reply;
    memset(body, 0, BODY);
    assert_int_equal(weir_transport_curl(&transport), WEIR_OK);
    assert_int_equal(weir_transport_exchange(&transport, &request, &reply), WEIR_OK);
    int status = reply.status;
    uint32_t repeats = reply.repeats;
    transport.free(transport.self);
    pthread_join(server.thread, NULL);
    close(server.listener);
    assert_int_equal(server.got, BODY);
    assert_int_equal(server.wrong, 0);
    assert_int_equal(status, 404);
    assert_int_equal(repeats, 1);
}

static void a_refused_stream_begins_again(void **state)
{
    (void)state;
    for (int i = 0; i < TRIES; i++) {
        check();
    }
}

static int start(void **state)
{
    (void)state;
    return weir_transport_curl_global() == WEIR_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_refused_stream_begins_again)};
    return cmocka_run_group_tests(tests, start, NULL);
}
