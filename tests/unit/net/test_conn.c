/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over real loopback sockets: reading, writing, ends of both kinds, and closing inside
 * callbacks. */
#include "script.h"
#include <stdio.h>

/* The peers. */

static void send_read_as_much_and_close(struct stage *stage)
{
    struct test *test = stage->test;
    int fd = peer_connect(stage->port);
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    (void)getsockname(fd, (struct sockaddr *)(void *)&own, &size);
    test->peer_port = ntohs(own.sin_port);
    test->sent_done = peer_send(fd, test->sent, test->sent_size);
    test->received_size = peer_read(fd, test->received, test->sent_size, &test->clean);
    close(fd);
    pause_ms(50); /* the server sees the end before the loop is stopped */
}

static void close_at_once(struct stage *stage)
{
    close(peer_connect(stage->port));
    pause_ms(350); /* time for a spin to show */
}

static void reset_at_once(struct stage *stage)
{
    struct linger hard = {1, 0};
    int fd = peer_connect(stage->port);
    (void)peer_send(fd, "x", 1);
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    pause_ms(50);
}

/* The tests. */

static void what_comes_can_be_sent_back(void **state)
{
    (void)state;
    struct test test = test_of((struct plan){.on_input = ACT_ECHO, .on_closed = ACT_CLOSE}, 100);
    struct support_blob expected = {pattern(100), 100};
    run(&test, send_read_as_much_and_close);
    support_assert_bytes(weir_bytes_of(test.received, test.received_size), support_view(&expected));
    assert_int_equal(test.server.written, 1);
    assert_int_equal(test.server.closed, 1);
    char peer[64];
    (void)snprintf(peer, sizeof peer, "127.0.0.1:%u", test.peer_port);
    assert_string_equal(test.server.peer, peer);
    weir_mem_free(expected.data);
    finish(&test);
}

static void a_large_write_arrives_whole(void **state)
{
    (void)state;
    uint8_t *large = pattern(LARGE_BYTES);
    struct test test = test_of((struct plan){.on_input = ACT_ANSWER,
                                             .on_written = ACT_CLOSE,
                                             .linger_ms = 5000,
                                             .answer = weir_bytes_of(large, LARGE_BYTES)},
                               1);
    run(&test, send_all_and_read_to_the_end);
    support_assert_bytes(weir_bytes_of(test.received, test.received_size),
                         weir_bytes_of(large, LARGE_BYTES));
    assert_int_equal(test.server.written, 1);
    assert_int_equal(test.server.closed, 0);
    weir_mem_free(large);
    finish(&test);
}

static void an_empty_write_is_written(void **state)
{
    (void)state;
    struct test test = test_of((struct plan){.on_input = ACT_ANSWER, .on_written = ACT_CLOSE}, 1);
    run(&test, send_all_and_read_to_the_end);
    assert_int_equal(test.server.written, 1);
    assert_int_equal(test.received_size, 0);
    finish(&test);
}

static void closing_inside_on_input_is_the_end(void **state)
{
    (void)state;
    struct test test = test_of((struct plan){.on_input = ACT_CLOSE}, 10);
    run(&test, send_all_and_read_to_the_end);
    assert_int_equal(test.server.inputs, 1);
    assert_int_equal(test.server.closed, 0);
    assert_int_equal(test.received_size, 0);
    finish(&test);
}

static void count_ticks(void *argument, int64_t now_ns)
{
    (void)now_ns;
    struct stage *stage = argument;
    ((struct test *)stage->test)->server.ticks++;
}

static int64_t cpu_ns(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * WEIR_NS_PER_S + used.tv_nsec;
}

static void an_end_is_told_once_and_does_not_spin(void **state)
{
    (void)state;
    struct test test = test_of((struct plan){.on_closed = ACT_NOTHING}, 1);
    int64_t before_ns = cpu_ns();
    run_with_ticks(&test, close_at_once, count_ticks);
    assert_true(cpu_ns() - before_ns < 150 * WEIR_NS_PER_MS);
    assert_int_equal(test.server.closed, 1);
    assert_int_equal(test.server.inputs, 0);
    assert_true(test.server.ticks >= 2);
    finish(&test);
}

static void a_reset_is_told_once(void **state)
{
    (void)state;
    struct test test = test_of((struct plan){.on_input = ACT_NOTHING}, 1);
    run(&test, reset_at_once);
    assert_int_equal(test.server.closed, 1);
    finish(&test);
}

/* Reads nothing for two ticks, then writes to the peer that has reset meanwhile. */
static void write_at_the_second_tick(void *argument, int64_t now_ns)
{
    (void)now_ns;
    struct stage *stage = argument;
    struct server *server = &((struct test *)stage->test)->server;
    if (++server->ticks == 2 && server->conn != NULL) {
        weir_conn_write(server->conn, WEIR_BYTES("too late"));
    }
}

static void reset_and_wait(struct stage *stage)
{
    reset_at_once(stage);
    pause_ms(400);
}

static void a_failed_write_is_a_close(void **state)
{
    (void)state;
    struct test test = test_of((struct plan){.on_input = ACT_READ_STOP, .on_closed = ACT_CLOSE}, 1);
    run_with_ticks(&test, reset_and_wait, write_at_the_second_tick);
    assert_int_equal(test.server.closed, 1);
    assert_int_equal(test.server.written, 0);
    assert_null(test.server.conn);
    finish(&test);
}

static void read_on_at_the_third_tick(void *argument, int64_t now_ns)
{
    (void)now_ns;
    struct stage *stage = argument;
    struct server *server = &((struct test *)stage->test)->server;
    if (++server->ticks == 3) {
        assert_true(server->input_bytes <
                    LARGE_BYTES); /* most of it waits in the kernel and the peer */
        server->plan.on_input = ACT_NOTHING;
        weir_conn_read_start(server->conn);
    }
}

static void stopped_reading_holds_the_peer_back(void **state)
{
    (void)state;
    struct test test =
        test_of((struct plan){.on_input = ACT_READ_STOP, .on_closed = ACT_CLOSE}, TORRENT_BYTES);
    run_with_ticks(&test, half_close_and_read_to_the_end, read_on_at_the_third_tick);
    assert_int_equal(test.sent_done, TORRENT_BYTES);
    assert_int_equal(test.server.input_bytes, TORRENT_BYTES);
    assert_int_equal(test.server.closed, 1);
    finish(&test);
}

/* Input and what is read past it are one stream, in order, up to its end; and reading at the end,
 * or when nothing is there, is nothing. */
static void reading_straight_takes_what_follows_the_input(void **state)
{
    (void)state;
    struct test test =
        test_of((struct plan){.on_input = ACT_TAKE, .on_closed = ACT_CLOSE}, LARGE_BYTES);
    struct support_blob expected = {pattern(LARGE_BYTES), LARGE_BYTES};
    test.server.taken = weir_mem_alloc(LARGE_BYTES);
    assert_non_null(test.server.taken);
    run(&test, half_close_and_read_to_the_end);
    support_assert_bytes(weir_bytes_of(test.server.taken, test.server.taken_size),
                         support_view(&expected));
    assert_true(test.server.straight > 0);
    assert_int_equal(test.server.closed, 1);
    weir_mem_free(test.server.taken);
    weir_mem_free(expected.data);
    finish(&test);
}

static void twice_write(void *argument, struct weir_conn *conn)
{
    (void)argument;
    weir_conn_write(conn, WEIR_BYTES("a"));
    weir_conn_write(conn, WEIR_BYTES("b"));
}

static void consume_too_much(void *argument, struct weir_conn *conn)
{
    (void)argument;
    weir_conn_consume(conn, 1);
}

static void read_after_close(void *argument, struct weir_conn *conn)
{
    (void)argument;
    uint8_t byte;
    static const struct weir_conn_events events = {0};
    weir_conn_attach(conn, &events, NULL);
    weir_conn_close(conn, 1000);
    (void)weir_conn_read(conn, &byte, 1); /* lingering: no longer ours */
}

static void connect_and_misuse(void *argument)
{
    struct stage stage = {.loop = NULL};
    stage_open(&stage, 10, *(void (**)(void *, struct weir_conn *))argument);
    (void)peer_connect(stage.port);
    weir_loop_stop(stage.loop);
    weir_loop_run(stage.loop, NULL, NULL);
}

static void misuse_is_our_bug(void **state)
{
    (void)state;
    void (*misuses[])(void *, struct weir_conn *) = {twice_write, consume_too_much,
                                                     read_after_close};
    for (size_t i = 0; i < 3; i++) {
        assert_true(support_aborts(connect_and_misuse, &misuses[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_can_be_sent_back),
        cmocka_unit_test(a_large_write_arrives_whole),
        cmocka_unit_test(an_empty_write_is_written),
        cmocka_unit_test(closing_inside_on_input_is_the_end),
        cmocka_unit_test(an_end_is_told_once_and_does_not_spin),
        cmocka_unit_test(a_reset_is_told_once),
        cmocka_unit_test(a_failed_write_is_a_close),
        cmocka_unit_test(stopped_reading_holds_the_peer_back),
        cmocka_unit_test(reading_straight_takes_what_follows_the_input),
        cmocka_unit_test(misuse_is_our_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
