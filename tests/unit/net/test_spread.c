/* SPDX-License-Identifier: Apache-2.0 */
/* Two loops by hand on one thread; race_spread has them on threads of their own. */
#include "peer.h"
#include "weir/spread.h"

enum { LOOPS = 2, COUNT = 6, PER_LOOP = 3 };

struct side {
    struct weir_loop *loop;
    struct weir_listener *listener; /* the second has none: what it gets was passed on */
    struct weir_conn *conns[COUNT];
    uint32_t count;
};

static struct side sides[LOOPS];
static struct weir_spread *spread;
static uint16_t port;

static void accepted(void *argument, struct weir_conn *conn)
{
    struct side *side = argument;
    assert_in_range(side->count, 0, COUNT - 1);
    side->conns[side->count++] = conn;
}

static struct weir_listener_options options_of(struct side *side)
{
    return (struct weir_listener_options){
        .connections_max = PER_LOOP, .accepted = accepted, .argument = side};
}

static void turn(void)
{
    bool busy = true;
    while (busy) {
        busy = weir_loop_turn(sides[0].loop);
        busy = weir_loop_turn(sides[1].loop) || busy;
    }
}

static int set_up(void **state)
{
    (void)state;
    memset(sides, 0, sizeof sides);
    struct weir_listener_options options = options_of(&sides[0]);
    assert_int_equal(weir_spread_new(LOOPS, &spread), WEIR_OK);
    assert_int_equal(weir_loop_new(&sides[0].loop), WEIR_OK);
    assert_int_equal(weir_loop_new(&sides[1].loop), WEIR_OK);
    assert_int_equal(weir_listener_probe("127.0.0.1:0", &port), WEIR_OK);
    assert_int_equal(
        weir_listener_open(sides[0].loop, "127.0.0.1:0", port, &options, &sides[0].listener),
        WEIR_OK);
    return 0;
}

static void join(uint32_t index)
{
    struct weir_listener_options options = options_of(&sides[index]);
    weir_spread_join(spread, index, sides[index].loop, &options);
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LOOPS; i++) {
        weir_spread_leave(sides[i].loop);
        weir_listener_close(sides[i].listener);
    }
    turn();
    for (uint32_t i = 0; i < LOOPS; i++) {
        for (uint32_t j = 0; j < sides[i].count; j++) {
            weir_conn_close(sides[i].conns[j], 0);
        }
    }
    turn();
    for (uint32_t i = 0; i < LOOPS; i++) {
        assert_true(weir_spread_is_over(sides[i].loop));
        weir_loop_free(sides[i].loop);
    }
    weir_spread_free(spread);
    return 0;
}

static void connect_and_turn(int *fds, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        fds[i] = peer_connect(port);
        assert_int_not_equal(fds[i], -1);
        turn();
    }
}

static void close_all(const int *fds)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
}

static void the_loop_with_fewer_gets_the_next(void **state)
{
    (void)state;
    int fds[COUNT];
    join(0);
    join(1);
    connect_and_turn(fds, 0, 3);
    assert_int_equal(sides[0].count, 2);
    assert_int_equal(sides[1].count, 1);
    weir_conn_close(sides[0].conns[--sides[0].count], 0);
    weir_conn_close(sides[0].conns[--sides[0].count], 0);
    turn();
    connect_and_turn(fds, 3, 5);
    assert_int_equal(sides[0].count, 2);
    assert_int_equal(sides[1].count, 1);
    connect_and_turn(fds, 5, 6);
    assert_int_equal(sides[1].count, 2);
    close_all(fds);
}

static void a_full_loop_still_passes_on(void **state)
{
    (void)state;
    int fds[COUNT];
    join(0);
    connect_and_turn(fds, 0, PER_LOOP); /* nobody else is there yet */
    assert_int_equal(sides[0].count, PER_LOOP);
    join(1);
    connect_and_turn(fds, PER_LOOP, COUNT);
    for (int i = 0; i < 10000 && sides[1].count < COUNT - PER_LOOP; i++) { /* until it ticks */
        turn();
        (void)usleep(1000);
    }
    assert_int_equal(sides[0].count, PER_LOOP);
    assert_int_equal(sides[1].count, COUNT - PER_LOOP);
    close_all(fds);
}

static void what_is_under_way_arrives_before_it_is_over(void **state)
{
    (void)state;
    int fds[COUNT];
    join(0);
    join(1);
    connect_and_turn(fds, 0, 1);
    for (uint32_t i = 1; i < COUNT; i++) {
        fds[i] = peer_connect(port);
    }
    while (weir_loop_turn(sides[0].loop)) { /* accepts them; the other has not looked yet */
    }
    weir_spread_leave(sides[1].loop);
    assert_false(weir_spread_is_over(sides[1].loop)); /* the first has not left */
    weir_spread_leave(sides[0].loop);
    assert_true(weir_spread_is_over(sides[0].loop));
    assert_false(weir_spread_is_over(sides[1].loop)); /* some are on their way */
    turn();
    assert_true(weir_spread_is_over(sides[1].loop));
    assert_int_equal(sides[0].count, COUNT / 2);
    assert_int_equal(sides[1].count, COUNT / 2);
    close_all(fds);
}

static void a_loop_that_has_left_is_not_chosen(void **state)
{
    (void)state;
    int fds[COUNT];
    join(0);
    join(1);
    connect_and_turn(fds, 0, 2);
    assert_int_equal(sides[1].count, 1);
    weir_spread_leave(sides[1].loop);
    weir_conn_close(sides[1].conns[--sides[1].count], 0);
    connect_and_turn(fds, 2, PER_LOOP + 1);
    assert_int_equal(sides[0].count, PER_LOOP);
    assert_int_equal(sides[1].count, 0);
    for (uint32_t i = PER_LOOP + 1; i < COUNT; i++) {
        fds[i] = peer_connect(port);
    }
    turn();
    assert_int_equal(sides[0].count, PER_LOOP); /* the others wait in the queue */
    close_all(fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_loop_with_fewer_gets_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_loop_still_passes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_under_way_arrives_before_it_is_over, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_loop_that_has_left_is_not_chosen, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("spread", tests, NULL, NULL);
}
