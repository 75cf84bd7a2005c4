/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_SCRIPT_H
#define WEIR_TEST_SCRIPT_H

/*
 * A server whose connection follows a small script of what to do in which callback (struct plan),
 * so that each test says only what differs; the peer's side is a function of its own thread.
 */
#include "peer.h"
#include "support.h"
#include "weir/mem.h"

#define LARGE_BYTES   (1U << 20)
#define TORRENT_BYTES (8U << 20)

enum act {
    ACT_NOTHING,
    ACT_ECHO,   /* write back what came, once */
    ACT_ANSWER, /* write plan.answer */
    ACT_ANSWER_AND_LINGER,
    ACT_READ_STOP,
    ACT_TAKE, /* to `taken`: what came, and what is there straight behind it */
    ACT_CLOSE
};

struct plan {
    enum act on_input;
    enum act on_written;
    enum act on_closed;
    struct weir_bytes answer;
    uint32_t linger_ms;
};

struct server {
    struct plan plan;
    struct weir_conn *conn; /* NULL once closed */
    size_t input_bytes;
    uint8_t *taken; /* of ACT_TAKE, with room for all that the peer sends */
    size_t taken_size;
    size_t straight; /* of them past the input */
    unsigned int inputs;
    unsigned int written;
    unsigned int closed;
    unsigned int ticks;
    char peer[64];
};

struct test {
    struct server server;
    uint8_t *sent; /* what the peer sends */
    size_t sent_size;
    size_t sent_done;  /* and got rid of */
    uint8_t *received; /* LARGE_BYTES of room */
    size_t received_size;
    bool clean;
    int64_t took_ms;
    uint16_t peer_port;
};

static inline void take(struct server *server)
{
    struct weir_bytes input = weir_conn_input(server->conn);
    memcpy(server->taken + server->taken_size, input.data, input.size);
    server->taken_size += input.size;
    weir_conn_consume(server->conn, input.size);
    /* in odd pieces, so that more is there now and then than was asked for */
    size_t got = weir_conn_read(
        server->conn, server->taken + server->taken_size,
        LARGE_BYTES - server->taken_size < 7777 ? LARGE_BYTES - server->taken_size : 7777);
    server->taken_size += got;
    server->straight += got;
}

static inline void act(struct server *server, enum act what)
{
    struct weir_conn *conn = server->conn;
    switch (what) {
    case ACT_NOTHING: break;
    case ACT_ECHO: weir_conn_write(conn, weir_conn_input(conn)); break;
    case ACT_ANSWER: weir_conn_write(conn, server->plan.answer); break;
    case ACT_ANSWER_AND_LINGER:
        weir_conn_write(conn, server->plan.answer);
        server->conn = NULL;
        weir_conn_close(conn, server->plan.linger_ms);
        break;
    case ACT_READ_STOP: weir_conn_read_stop(conn); break;
    case ACT_TAKE: take(server); break;
    case ACT_CLOSE:
        server->conn = NULL;
        weir_conn_close(conn, server->plan.linger_ms);
        break;
    }
}

static inline void on_input(void *user)
{
    struct server *server = user;
    server->inputs++;
    struct weir_bytes input = weir_conn_input(server->conn);
    server->input_bytes += input.size;
    struct weir_conn *conn = server->conn;
    act(server, server->plan.on_input);
    if (server->conn == conn) {
        weir_conn_consume(conn, weir_conn_input(conn).size);
    }
}

static inline void on_written(void *user)
{
    struct server *server = user;
    server->written++;
    act(server, server->plan.on_written);
}

static inline void on_closed(void *user)
{
    struct server *server = user;
    server->closed++;
    act(server, server->plan.on_closed);
}

static const struct weir_conn_events scripted_events = {on_input, on_written, on_closed};

static inline void accepted(void *argument, struct weir_conn *conn)
{
    struct stage *stage = argument;
    struct server *server = &((struct test *)stage->test)->server;
    if (server->conn != NULL) {
        weir_conn_close(conn, 0);
        return;
    }
    server->conn = conn;
    memcpy(server->peer, weir_conn_peer(conn), strlen(weir_conn_peer(conn)) + 1);
    weir_conn_attach(conn, &scripted_events, server);
    weir_conn_read_start(conn);
}

static inline void run_with_ticks(struct test *test, void (*play)(struct stage *stage),
                                  void (*on_tick)(void *argument, int64_t now_ns))
{
    struct stage stage = {.test = test};
    test->received = weir_mem_alloc(LARGE_BYTES);
    assert_non_null(test->received);
    stage_open(&stage, 10, accepted);
    stage_run(&stage, play, on_tick);
    if (test->server.conn != NULL) {
        weir_conn_close(test->server.conn, 0);
    }
    stage_close(&stage);
    weir_mem_free(test->sent);
}

static inline void run(struct test *test, void (*play)(struct stage *stage))
{
    run_with_ticks(test, play, NULL);
}

static inline void finish(struct test *test)
{
    weir_mem_free(test->received);
}

/* Bytes that tell their place. */
static inline uint8_t *pattern(size_t size)
{
    uint8_t *data = weir_mem_alloc(size);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i * 31 + i / 251);
    }
    return data;
}

static inline struct test test_of(struct plan plan, size_t sent_size)
{
    return (struct test){
        .server = {.plan = plan}, .sent = pattern(sent_size), .sent_size = sent_size};
}

static inline void send_all_and_read_to_the_end(struct stage *stage)
{
    struct test *test = stage->test;
    int fd = peer_connect(stage->port);
    test->sent_done = peer_send(fd, test->sent, test->sent_size);
    test->received_size = peer_read(fd, test->received, LARGE_BYTES, &test->clean);
    close(fd);
}

static inline void half_close_and_read_to_the_end(struct stage *stage)
{
    struct test *test = stage->test;
    int fd = peer_connect(stage->port);
    test->sent_done = peer_send(fd, test->sent, test->sent_size);
    (void)shutdown(fd, SHUT_WR);
    test->received_size = peer_read(fd, test->received, LARGE_BYTES, &test->clean);
    close(fd);
}

#endif
