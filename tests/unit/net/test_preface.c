/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY headers in front of connections: what is announced, what is closed and why, and that not a
 * byte behind the header is lost. */
#include "peer.h"
#include <stdio.h>

#define HEADER  "PROXY TCP4 192.0.2.1 198.51.100.1 4660 443\r\n"
#define BEHIND  "and what is behind it"
#define NOTHING WEIR_LISTENER_EVENTS

struct seen {
    const char *sent;
    size_t pieces; /* bytes a write; 0: whole */
    bool shut;     /* the peer ends after it */
    bool stays;    /* the peer is still there, and in time, when the loop ends */
    bool refuses;  /* the door admits nobody */
    uint32_t accepted;
    uint32_t left;
    uint32_t told[WEIR_LISTENER_EVENTS];
    char peer[64];
    char input[64];
    size_t input_size;
    bool ended_by_us; /* the peer saw an end without a byte */
};

struct scene {
    struct stage stage;
    struct seen seen;
    struct weir_conn *conn;
    int fd; /* of a peer that stays */
};

static void on_input(void *user)
{
    struct scene *scene = user;
    struct weir_bytes input = weir_conn_input(scene->conn);
    if (input.size >= sizeof BEHIND - 1) {
        scene->seen.input_size = input.size;
        memcpy(scene->seen.input, input.data, input.size < 64 ? input.size : 64);
        weir_conn_close(scene->conn, 0);
    }
}

static void on_written(void *user)
{
    (void)user;
}

static void on_closed(void *user)
{
    struct scene *scene = user;
    weir_conn_close(scene->conn, 0);
}

static void accepted(void *argument, struct weir_conn *conn)
{
    static const struct weir_conn_events events = {on_input, on_written, on_closed};
    struct scene *scene = argument;
    scene->seen.accepted++;
    scene->conn = conn;
    (void)snprintf(scene->seen.peer, sizeof scene->seen.peer, "%s", weir_conn_peer(conn));
    weir_conn_attach(conn, &events, scene);
    weir_conn_read_start(conn);
}

static bool admits(void *argument, const struct weir_netaddr *source, uint32_t *ret_ticket)
{
    struct scene *scene = argument;
    *ret_ticket = source->port;
    return !scene->seen.refuses;
}

static void left(void *argument, uint32_t ticket)
{
    struct scene *scene = argument;
    scene->seen.left = ticket;
}

static void tell(void *argument, enum weir_listener_event event, const char *peer)
{
    struct scene *scene = argument;
    (void)peer;
    scene->seen.told[event]++;
}

static void play(struct stage *stage)
{
    struct scene *scene = (struct scene *)(void *)stage;
    struct seen *seen = &scene->seen;
    int fd = peer_connect(stage->port);
    size_t size = strlen(seen->sent);
    size_t step = seen->pieces > 0 ? seen->pieces : size + 1;
    for (size_t at = 0; at < size; at += step) {
        size_t left_over = size - at;
        (void)peer_send(fd, seen->sent + at, left_over < step ? left_over : step);
        pause_ms(seen->pieces > 0 ? 2 : 0);
    }
    if (seen->shut) {
        (void)shutdown(fd, SHUT_WR);
    }
    uint8_t byte;
    if (seen->stays) {
        scene->fd = fd;
        return;
    }
    seen->ended_by_us = recv(fd, &byte, 1, 0) <= 0;
    (void)close(fd);
}

/* Plays one peer; its network is that of a balancer. */
static struct seen run(struct seen seen)
{
    struct weir_network loopback;
    assert_int_equal(weir_netaddr_network("127.0.0.0/8", &loopback), WEIR_OK);
    const struct weir_listener_door door = {.balancers = &loopback,
                                            .balancer_count = 1,
                                            .header_timeout_ns =
                                                (seen.stays ? 60000 : 300) * WEIR_NS_PER_MS,
                                            .admits = admits,
                                            .left = left,
                                            .tell = tell};
    static struct scene scene;
    scene = (struct scene){.seen = seen};
    struct stage *stage = &scene.stage;
    const struct weir_listener_options options = {
        .connections_max = 4, .accepted = accepted, .argument = &scene, .door = &door};
    assert_int_equal(weir_loop_new(&stage->loop), WEIR_OK);
    assert_int_equal(weir_listener_probe("127.0.0.1:0", &stage->port), WEIR_OK);
    assert_int_equal(
        weir_listener_open(stage->loop, "127.0.0.1:0", stage->port, &options, &stage->listener),
        WEIR_OK);
    stage_run(stage, play, NULL);
    stage_close(stage);
    if (seen.stays) {
        (void)close(scene.fd);
    }
    return scene.seen;
}

static void check_told(const struct seen *seen, enum weir_listener_event event)
{
    assert_true(seen->ended_by_us);
    for (uint32_t i = 0; i < WEIR_LISTENER_EVENTS; i++) {
        assert_int_equal(seen->told[i], i == event ? 1 : 0);
    }
}

static void what_is_behind_a_header_is_whole(void **state)
{
    (void)state;
    for (size_t pieces = 0; pieces <= 7; pieces += 7) {
        struct seen seen = run((struct seen){.sent = HEADER BEHIND, .pieces = pieces});
        assert_int_equal(seen.accepted, 1);
        assert_string_equal(seen.peer, "192.0.2.1:4660");
        assert_int_equal(seen.input_size, sizeof BEHIND - 1);
        assert_memory_equal(seen.input, BEHIND, sizeof BEHIND - 1);
        assert_int_equal(seen.left, 4660);
        check_told(&seen, NOTHING);
    }
}

static void one_that_tells_nothing_leaves_the_address(void **state)
{
    (void)state;
    struct seen seen = run((struct seen){.sent = "PROXY UNKNOWN\r\n" BEHIND});
    assert_int_equal(seen.accepted, 1);
    assert_memory_equal(seen.peer, "127.0.0.1:", 10);
}

static void bad_and_unfinished_ones_are_closed(void **state)
{
    (void)state;
    struct seen seen = run((struct seen){.sent = "POST / HTTP/1.1\r\n\r\n"});
    assert_int_equal(seen.accepted, 0);
    check_told(&seen, WEIR_LISTENER_BAD_HEADER);
    seen = run((struct seen){.sent = "PROXY TCP4 192.0.2.1 ", .shut = true});
    assert_int_equal(seen.accepted, 0);
    check_told(&seen, WEIR_LISTENER_BAD_HEADER);
}

static void late_ones_are_closed(void **state)
{
    (void)state;
    struct seen seen = run((struct seen){.sent = "PROXY TCP4 192.0.2.1 "});
    assert_int_equal(seen.accepted, 0);
    check_told(&seen, WEIR_LISTENER_LATE_HEADER);
    seen = run((struct seen){.sent = ""});
    check_told(&seen, WEIR_LISTENER_LATE_HEADER);
}

static void who_only_looks_whether_we_listen_is_not_told_of(void **state)
{
    (void)state;
    struct seen seen = run((struct seen){.sent = "", .shut = true});
    assert_int_equal(seen.accepted, 0);
    check_told(&seen, NOTHING);
}

static void whoever_waits_when_the_loop_ends_is_not_told_of(void **state)
{
    (void)state;
    struct seen seen = run((struct seen){.sent = "PROXY TCP4 192.0.2.1 ", .stays = true});
    assert_int_equal(seen.told[WEIR_LISTENER_BAD_HEADER], 0);
    assert_int_equal(seen.told[WEIR_LISTENER_LATE_HEADER], 0);
}

static void whom_the_door_refuses_is_closed(void **state)
{
    (void)state;
    struct seen seen = run((struct seen){.sent = HEADER BEHIND, .refuses = true});
    assert_int_equal(seen.accepted, 0);
    assert_int_equal(seen.left, 0);
    check_told(&seen, WEIR_LISTENER_SOURCE_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_behind_a_header_is_whole),
        cmocka_unit_test(one_that_tells_nothing_leaves_the_address),
        cmocka_unit_test(bad_and_unfinished_ones_are_closed),
        cmocka_unit_test(late_ones_are_closed),
        cmocka_unit_test(who_only_looks_whether_we_listen_is_not_told_of),
        cmocka_unit_test(whoever_waits_when_the_loop_ends_is_not_told_of),
        cmocka_unit_test(whom_the_door_refuses_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
