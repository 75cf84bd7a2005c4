/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_PEER_H
#define WEIR_TEST_PEER_H

/* A blocking loopback client that can do what peers do: send in pieces, stop, leave. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Connects to a port of 127.0.0.1; reads give up after 20 s. */
static inline int peer_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 20};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static inline void peer_send(int fd, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += sent;
        size -= (size_t)sent;
    }
}

/* Reads one answer with its body; returns its code, 0 when the connection closed instead. */
static inline int peer_answer(int fd)
{
    char text[8192];
    size_t size = 0;
    for (;;) {
        ssize_t got = recv(fd, text + size, 1, 0);
        if (got <= 0) {
            return 0;
        }
        size++;
        assert_true(size < sizeof(text) - 1);
        text[size] = 0;
        const char *blank = strstr(text, "\r\n\r\n");
        const char *length = strstr(text, "Content-Length: ");
        size_t body = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
        if (blank != NULL && size == (size_t)(blank - text) + 4 + body) {
            return (int)strtol(text + 9, NULL, 10);
        }
    }
}

#endif
