/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that were closed with linger: the answer arrives, and every bound on the waiting
 * holds. */
#include "script.h"

/* Sends a byte now and then until the server is gone for good. */
static void send_until_cut(struct stage *stage)
{
    struct test *test = stage->test;
    int64_t begin_ns = weir_clock_mono_ns();
    int fd = peer_connect(stage->port);
    for (int i = 0; i < 500 && peer_send(fd, "x", 1) == 1; i++) {
        pause_ms(10);
    }
    test->took_ms = (weir_clock_mono_ns() - begin_ns) / WEIR_NS_PER_MS;
    close(fd);
}

static void send_a_torrent_until_cut(struct stage *stage)
{
    struct test *test = stage->test;
    int fd = peer_connect(stage->port);
    size_t sent = test->sent_size;
    while (sent == test->sent_size && test->sent_done < (size_t)1 << 30) {
        sent = peer_send(fd, test->sent, test->sent_size);
        test->sent_done += sent;
    }
    close(fd);
}

/* Shuts, but never reads: its answer stays in the buffers. */
static void never_read(struct stage *stage)
{
    struct test *test = stage->test;
    int fd = peer_connect(stage->port);
    test->sent_done = peer_send(fd, test->sent, test->sent_size);
    pause_ms(600);
    close(fd);
}

static void a_lingering_answer_survives_a_peer_that_still_sends(void **state)
{
    (void)state;
    struct test test =
        test_of((struct plan){.on_input = ACT_ANSWER_AND_LINGER,
                              .answer = WEIR_BYTES("HTTP/1.1 401 Unauthorized\r\n\r\n"),
                              .linger_ms = 20000},
                TORRENT_BYTES);
    run(&test, send_all_and_read_to_the_end);
    assert_int_equal(test.sent_done, TORRENT_BYTES);
    assert_true(test.clean);
    support_assert_bytes(weir_bytes_of(test.received, test.received_size), test.server.plan.answer);
    assert_int_equal(test.server.inputs, 1);
    assert_int_equal(test.server.written, 0); /* nobody is told after the close */
    assert_int_equal(test.server.closed, 0);
    finish(&test);
}

static void a_large_lingering_answer_outlives_its_user(void **state)
{
    (void)state;
    uint8_t *large = pattern(LARGE_BYTES);
    struct test test = test_of((struct plan){.on_input = ACT_ANSWER_AND_LINGER,
                                             .linger_ms = 20000,
                                             .answer = weir_bytes_of(large, LARGE_BYTES)},
                               1);
    run(&test, half_close_and_read_to_the_end);
    assert_true(test.clean || test.received_size == LARGE_BYTES);
    support_assert_bytes(weir_bytes_of(test.received, test.received_size),
                         weir_bytes_of(large, LARGE_BYTES));
    weir_mem_free(large);
    finish(&test);
}

static void a_half_closed_peer_gets_its_answer(void **state)
{
    (void)state;
    struct test test = test_of((struct plan){.on_closed = ACT_ANSWER_AND_LINGER,
                                             .linger_ms = 20000,
                                             .answer = WEIR_BYTES("late but whole")},
                               1000);
    run(&test, half_close_and_read_to_the_end);
    assert_int_equal(test.server.input_bytes, 1000);
    assert_int_equal(test.server.closed, 1);
    assert_true(test.clean);
    support_assert_bytes(weir_bytes_of(test.received, test.received_size), test.server.plan.answer);
    finish(&test);
}

static void lingering_ends_in_time(void **state)
{
    (void)state;
    struct test test = test_of((struct plan){.on_input = ACT_CLOSE, .linger_ms = 300}, 1);
    run(&test, send_until_cut);
    assert_in_range(test.took_ms, 200, 4000);
    finish(&test);
}

static void lingering_ends_though_the_answer_is_stuck(void **state)
{
    (void)state;
    uint8_t *large = pattern(TORRENT_BYTES);
    struct test test = test_of((struct plan){.on_input = ACT_ANSWER_AND_LINGER,
                                             .linger_ms = 200,
                                             .answer = weir_bytes_of(large, TORRENT_BYTES)},
                               1);
    run(&test, never_read);
    assert_int_equal(test.server.written, 0);
    weir_mem_free(large);
    finish(&test); /* stage_close has asserted that nothing is open */
}

static void lingering_swallows_64_mib_at_most(void **state)
{
    (void)state;
    struct test test =
        test_of((struct plan){.on_input = ACT_CLOSE, .linger_ms = 60000}, LARGE_BYTES);
    run(&test, send_a_torrent_until_cut);
    assert_in_range(test.sent_done, 64U << 20, 96U << 20); /* what was under way counts too */
    finish(&test);
}

/* Stops the loop while the answer lingers half sent, and reads it only then. */
static void stop_then_read(struct stage *stage)
{
    struct test *test = stage->test;
    int fd = peer_connect(stage->port);
    test->sent_done = peer_send(fd, test->sent, test->sent_size);
    (void)shutdown(fd, SHUT_WR);
    pause_ms(150);
    weir_loop_stop(stage->loop);
    pause_ms(50);
    size_t got = 1;
    while (got > 0) { /* more than the kernel's buffers hold, so only counted */
        got = peer_read(fd, test->received, LARGE_BYTES, &test->clean);
        test->received_size += got;
    }
    close(fd);
}

static void a_stop_waits_for_what_lingers(void **state)
{
    (void)state;
    uint8_t *large = pattern(LARGE_BYTES);
    struct test test = test_of((struct plan){.on_input = ACT_ANSWER_AND_LINGER,
                                             .linger_ms = 20000,
                                             .answer = weir_bytes_of(large, LARGE_BYTES)},
                               1);
    run(&test, stop_then_read);
    assert_int_equal(test.received_size, LARGE_BYTES);
    weir_mem_free(large);
    finish(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lingering_answer_survives_a_peer_that_still_sends),
        cmocka_unit_test(a_large_lingering_answer_outlives_its_user),
        cmocka_unit_test(a_half_closed_peer_gets_its_answer),
        cmocka_unit_test(lingering_ends_in_time),
        cmocka_unit_test(lingering_ends_though_the_answer_is_stuck),
        cmocka_unit_test(lingering_swallows_64_mib_at_most),
        cmocka_unit_test(a_stop_waits_for_what_lingers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
