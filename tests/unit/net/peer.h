/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_PEER_H
#define WEIR_TEST_PEER_H

/*
 * The stage of the net tests: a loop with a listener on a port of the kernel's choice runs in the
 * test's thread, a blocking peer plays in another and stops the loop when it is done. The peer
 * writes what it saw into the test's own struct and the test asserts after the join, so nothing is
 * shared while both run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/clock.h"
#include "weir/listener.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct stage {
    struct weir_loop *loop;
    struct weir_listener *listener;
    uint16_t port;
    void (*play)(struct stage *stage); /* in the peer's thread */
    void *test;
};

static inline void stage_open(struct stage *stage, uint32_t connections_max,
                              void (*accepted)(void *argument, struct weir_conn *conn))
{
    const struct weir_listener_options options = {
        .connections_max = connections_max, .accepted = accepted, .argument = stage};
    assert_int_equal(weir_loop_new(&stage->loop), WEIR_OK);
    assert_int_equal(weir_listener_probe("127.0.0.1:0", &stage->port), WEIR_OK);
    assert_int_equal(
        weir_listener_open(stage->loop, "127.0.0.1:0", stage->port, &options, &stage->listener),
        WEIR_OK);
}

static inline void stage_close(struct stage *stage)
{
    weir_listener_close(stage->listener);
    weir_loop_free(stage->loop);
}

static inline void *stage_peer(void *argument)
{
    struct stage *stage = argument;
    stage->play(stage);
    weir_loop_stop(stage->loop);
    return NULL;
}

/* Runs the loop for as long as `play` plays. */
static inline void stage_run(struct stage *stage, void (*play)(struct stage *stage),
                             void (*on_tick)(void *argument, int64_t now_ns))
{
    pthread_t peer;
    stage->play = play;
    assert_int_equal(pthread_create(&peer, NULL, stage_peer, stage), 0);
    weir_loop_run(stage->loop, on_tick, stage);
    assert_int_equal(pthread_join(peer, NULL), 0);
}

/* A blocking connection; a read that takes 10 s fails the test by its result. -1: refused. */
static inline int peer_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {10, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)(void *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The bytes that could be sent of `size`. */
static inline size_t peer_send(int fd, const void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t sent = send(fd, (const uint8_t *)data + done, size - done, MSG_NOSIGNAL);
        if (sent <= 0) {
            break;
        }
        done += (size_t)sent;
    }
    return done;
}

/* Reads until the end, an error or `capacity`; *ret_clean says that it was the end. */
static inline size_t peer_read(int fd, void *data, size_t capacity, bool *ret_clean)
{
    size_t done = 0;
    ssize_t got = 1;
    while (done < capacity && got > 0) {
        got = recv(fd, (uint8_t *)data + done, capacity - done, 0);
        done += got > 0 ? (size_t)got : 0;
    }
    *ret_clean = got == 0;
    return done;
}

static inline void pause_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

#endif
