/* SPDX-License-Identifier: Apache-2.0 */
/* A loop that is turned by hand, and connections that somebody else has made: one thread plays both
 * ends of a socketpair. */
#include "support.h"
#include "weir/clock.h"
#include "weir/listener.h"
#include "weir/mem.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct stage {
    struct weir_loop *loop;
    struct weir_conn *conn; /* the last that was accepted, NULL once closed */
    uint32_t accepted;
    uint32_t closed;
    uint32_t refused; /* by its door */
    char echoed[16];
};

static void on_input(void *user)
{
    struct stage *stage = user;
    struct weir_bytes input = weir_conn_input(stage->conn);
    weir_conn_write(stage->conn, input);
    weir_conn_consume(stage->conn, input.size);
}

static void on_written(void *user)
{
    (void)user;
}

static void on_closed(void *user)
{
    struct stage *stage = user;
    stage->closed++;
    weir_conn_close(stage->conn, 0);
    stage->conn = NULL;
}

static void accepted(void *argument, struct weir_conn *conn)
{
    static const struct weir_conn_events events = {on_input, on_written, on_closed};
    struct stage *stage = argument;
    stage->accepted++;
    stage->conn = conn;
    weir_conn_attach(conn, &events, stage);
    weir_conn_read_start(conn);
}

static bool admits_nobody(void *argument, const struct weir_netaddr *source, uint32_t *ret_ticket)
{
    struct stage *stage = argument;
    stage->refused++;
    (void)ret_ticket;
    return source->known;
}

static const struct weir_listener_door shut = {.admits = admits_nobody};

/* Our end; *ret_status is what became of the other. */
static int take(struct stage *stage, uint32_t connections_max,
                const struct weir_listener_door *door, enum weir_status *ret_status)
{
    int ends[2];
    const struct weir_listener_options options = {
        .connections_max = connections_max, .accepted = accepted, .argument = stage, .door = door};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    *ret_status = weir_listener_take(stage->loop, ends[1], &options);
    return ends[0];
}

static void turn_until_quiet(struct stage *stage)
{
    for (int turns = 0; weir_loop_turn(stage->loop); turns++) {
        assert_true(turns < 1000);
    }
}

static int set_up(void **state)
{
    struct stage *stage = weir_mem_zalloc(1, sizeof *stage);
    assert_non_null(stage);
    assert_int_equal(weir_loop_new(&stage->loop), WEIR_OK);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    weir_loop_free(stage->loop);
    weir_mem_free(stage);
    return 0;
}

/* The loop's own timer may come in between, so it is asked more than once. */
static void a_loop_without_work_says_so(void **state)
{
    struct stage *stage = *state;
    int quiet = 0;
    for (int i = 0; i < 10; i++) {
        quiet += weir_loop_turn(stage->loop) ? 0 : 1;
    }
    assert_true(quiet >= 8);
}

static void what_is_sent_is_answered_without_waiting(void **state)
{
    struct stage *stage = *state;
    enum weir_status status;
    int fd = take(stage, 1, NULL, &status);
    assert_int_equal(status, WEIR_OK);
    assert_int_equal(stage->accepted, 1);
    assert_int_equal(send(fd, "hello", 5, 0), 5);
    turn_until_quiet(stage);
    assert_int_equal(recv(fd, stage->echoed, sizeof stage->echoed, MSG_DONTWAIT), 5);
    assert_memory_equal(stage->echoed, "hello", 5);
    assert_int_equal(close(fd), 0);
    turn_until_quiet(stage);
    assert_int_equal(stage->closed, 1);
}

static void beyond_the_limit_it_is_closed(void **state)
{
    struct stage *stage = *state;
    enum weir_status status;
    int first = take(stage, 1, NULL, &status);
    assert_int_equal(status, WEIR_OK);
    int second = take(stage, 1, NULL, &status);
    assert_int_equal(status, WEIR_EFULL);
    assert_int_equal(stage->accepted, 1);
    assert_int_equal(recv(second, stage->echoed, 1, MSG_DONTWAIT), 0);
    assert_int_equal(close(second), 0);
    assert_int_equal(close(first), 0);
    turn_until_quiet(stage);
}

static void the_door_is_asked(void **state)
{
    struct stage *stage = *state;
    enum weir_status status;
    int fd = take(stage, 1, &shut, &status);
    assert_int_equal(status, WEIR_OK);
    assert_int_equal(stage->refused, 1);
    assert_int_equal(stage->accepted, 0);
    assert_int_equal(recv(fd, stage->echoed, 1, MSG_DONTWAIT), 0);
    assert_int_equal(close(fd), 0);
}

static void without_memory_it_is_closed(void **state)
{
    struct stage *stage = *state;
    enum weir_status status;
    weir_mem_fail_at(1);
    int fd = take(stage, 1, NULL, &status);
    weir_mem_fail_at(0);
    assert_int_equal(status, WEIR_ENOMEM);
    assert_int_equal(recv(fd, stage->echoed, 1, MSG_DONTWAIT), 0);
    assert_int_equal(close(fd), 0);
}

struct hand_tick {
    struct weir_loop_task task;
    struct stage *stage;
    int64_t later_ns;
};

static void run_tick(struct weir_loop_task *task)
{
    struct hand_tick *tick = (struct hand_tick *)(void *)task;
    struct weir_loop *loop = tick->stage->loop;
    weir_loop_tick(loop, weir_loop_now_ns(loop) + tick->later_ns);
}

static void tick_by_hand(struct stage *stage, int64_t later_ns)
{
    struct hand_tick tick = {.task = {.run = run_tick}, .stage = stage, .later_ns = later_ns};
    weir_loop_post(stage->loop, &tick.task);
    turn_until_quiet(stage);
}

static void a_tick_by_hand_ends_what_lingers(void **state)
{
    struct stage *stage = *state;
    enum weir_status status;
    int fd = take(stage, 1, NULL, &status);
    assert_int_equal(status, WEIR_OK);
    turn_until_quiet(stage);
    weir_conn_close(stage->conn, 3600 * 1000);
    stage->conn = NULL;
    tick_by_hand(stage, 0);
    int refused = take(stage, 1, NULL, &status); /* it lingers still */
    assert_int_equal(status, WEIR_EFULL);
    tick_by_hand(stage, 3601 * WEIR_NS_PER_S);
    int next = take(stage, 1, NULL, &status);
    assert_int_equal(status, WEIR_OK);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(refused), 0);
    assert_int_equal(close(next), 0);
    turn_until_quiet(stage);
}

/* Two connections with input at one time; the first that is told posts a task. */
struct pair {
    struct weir_loop_task task;
    struct weir_loop *loop;
    struct weir_conn *conns[2];
    uint32_t conn_count;
    uint32_t inputs;
    uint32_t inputs_before_task;
};

static void run_between(struct weir_loop_task *task)
{
    struct pair *pair = (struct pair *)(void *)task;
    pair->inputs_before_task = pair->inputs;
}

static void on_input_of_pair(void *user)
{
    struct pair *pair = user;
    if (pair->inputs++ == 0) {
        weir_loop_post(pair->loop, &pair->task);
    }
}

static void accepted_pair(void *argument, struct weir_conn *conn)
{
    static const struct weir_conn_events events = {on_input_of_pair, on_written, on_written};
    struct pair *pair = argument;
    pair->conns[pair->conn_count++] = conn;
    weir_conn_attach(conn, &events, pair);
    weir_conn_read_start(conn);
}

static void a_task_does_not_wait_for_all_input(void **state)
{
    struct stage *stage = *state;
    struct pair pair = {.task = {.run = run_between}, .loop = stage->loop};
    const struct weir_listener_options options = {
        .connections_max = 2, .accepted = accepted_pair, .argument = &pair};
    int ends[2][2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
        assert_int_equal(weir_listener_take(stage->loop, ends[i][1], &options), WEIR_OK);
        assert_int_equal(send(ends[i][0], "hello", 5, 0), 5);
    }
    turn_until_quiet(stage);
    assert_int_equal(pair.inputs, 2);
    assert_int_equal(pair.inputs_before_task, 1);
    for (int i = 0; i < 2; i++) {
        weir_conn_close(pair.conns[i], 0);
        assert_int_equal(close(ends[i][0]), 0);
    }
}

static void what_comes_while_nobody_reads_is_told_afterwards(void **state)
{
    struct stage *stage = *state;
    enum weir_status status;
    int fd = take(stage, 1, NULL, &status);
    assert_int_equal(status, WEIR_OK);
    turn_until_quiet(stage);
    weir_conn_read_stop(stage->conn);
    assert_int_equal(send(fd, "early", 5, 0), 5);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    for (int i = 0; i < 10; i++) {
        turn_until_quiet(stage); /* it would spin here if it went on watching */
    }
    assert_int_equal(weir_conn_input(stage->conn).size, 0);
    assert_int_equal(stage->closed, 0);
    weir_conn_read_start(stage->conn);
    turn_until_quiet(stage);
    assert_int_equal(recv(fd, stage->echoed, sizeof stage->echoed, MSG_DONTWAIT), 5);
    assert_memory_equal(stage->echoed, "early", 5);
    assert_int_equal(stage->closed, 1);
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_loop_without_work_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_sent_is_answered_without_waiting, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(beyond_the_limit_it_is_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_door_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_it_is_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tick_by_hand_ends_what_lingers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_task_does_not_wait_for_all_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_while_nobody_reads_is_told_afterwards, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
