/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body that is written while it is sent: what arrives is the body, each piece was asked for
 * before it was sent and not long before, and a request that libcurl sends a second time is the
 * same one.
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
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY = (3 << 20) + 7, STEP_MAX = 128 << 10, REQUESTS_MAX = 4 };

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/* Reads `count` requests; after those with a bit in `mute` it hangs up unheard. */
struct server {
    int listener;
    uint32_t count;
    uint32_t mute;
    uint32_t accepted;
    size_t sizes[REQUESTS_MAX];
    uint32_t wrong; /* bytes that are not the body's */
    pthread_t thread;
};

static uint8_t byte_at(size_t index)
{
    return (uint8_t)(index * 2654435761U >> 13);
}

static bool read_request(struct server *server, int fd, uint32_t index)
{
    static char data[64 << 10];
    char head[2048] = "";
    size_t head_size = 0;
    while (strstr(head, "\r\n\r\n") == NULL) {
        if (head_size == sizeof(head) - 1 || recv(fd, head + head_size, 1, 0) != 1) {
            return false;
        }
        head[++head_size] = '\0';
    }
    const char *length = strstr(head, "Content-Length: ");
    size_t expected = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    size_t size = 0;
    while (size < expected) {
        ssize_t got = recv(fd, data, sizeof(data), 0);
        if (got <= 0) {
            return false;
        }
        for (size_t i = 0; i < (size_t)got; i++) {
            server->wrong += (uint8_t)data[i] != byte_at(size + i);
        }
        size += (size_t)got;
    }
    server->sizes[index] = size;
    return true;
}

static void *serve(void *argument)
{
    struct server *server = argument;
    uint32_t index = 0;
    while (index < server->count) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        server->accepted++;
        bool is_mute = false;
        while (!is_mute && index < server->count) {
            is_mute = (server->mute >> index & 1) != 0;
            if (!read_request(server, fd, index++)) {
                break;
            }
            if (!is_mute) {
                (void)!send(fd, ANSWER, sizeof(ANSWER) - 1, MSG_NOSIGNAL);
            }
        }
        close(fd);
    }
    return NULL;
}

static uint8_t body[BODY];
static size_t written;
static size_t step_max;
static uint32_t calls;

static void prepare(void *user, size_t bytes)
{
    assert_ptr_equal(user, &written);
    assert_true(bytes <= BODY);
    calls++;
    step_max = bytes > written && bytes - written > step_max ? bytes - written : step_max;
    for (; written < bytes; written++) {
        body[written] = byte_at(written);
    }
}

static void check(uint32_t count, uint32_t mute, uint32_t accepted, uint32_t repeats)
{
    struct server server = {.count = count, .mute = mute};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server.listener, 8), 0);
    assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, &server), 0);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
    const struct weir_transport_target target = {.url = url, .timeout_ns = 20 * WEIR_NS_PER_S};
    struct weir_transport transport;
    assert_int_equal(weir_transport_curl(&transport), WEIR_OK);
    const struct weir_transport_request whole = {.target = &target};
    const struct weir_transport_request pieces = {&target, weir_bytes_of(body, BODY), &written,
                                                  prepare};
    memset(body, 0, BODY);
    written = step_max = calls = 0;
    struct weir_transport_reply reply;
    assert_int_equal(weir_transport_exchange(&transport, &whole, &reply), WEIR_OK);
    assert_int_equal(reply.status, 200);
    assert_int_equal(calls, 0);
    assert_int_equal(weir_transport_exchange(&transport, &pieces, &reply), WEIR_OK);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.repeats, repeats);
    assert_int_equal(written, BODY);
    assert_true(step_max <= STEP_MAX);
    /* and what is whole again is read from memory, by the same handle */
    assert_int_equal(weir_transport_exchange(&transport, &whole, &reply), WEIR_OK);
    assert_int_equal(reply.status, 200);
    transport.free(transport.self);
    pthread_join(server.thread, NULL);
    close(server.listener);
    assert_int_equal(server.wrong, 0);
    assert_int_equal(server.sizes[count - 2], BODY);
    assert_int_equal(server.sizes[count - 1], 0);
    assert_int_equal(server.accepted, accepted);
}

static void a_body_is_written_as_it_is_sent(void **state)
{
    (void)state;
    check(3, 0, 1, 0);
    assert_true(calls >= BODY / STEP_MAX);
}

static void what_is_sent_again_is_the_same(void **state)
{
    (void)state;
    check(4, 1U << 1, 2, 1); /* the kept connection dies */
}

static int start(void **state)
{
    (void)state;
    return weir_transport_curl_global() == WEIR_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_written_as_it_is_sent),
        cmocka_unit_test(what_is_sent_again_is_the_same),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
