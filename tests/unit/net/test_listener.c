/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners: addresses, ports in use, the limit on connections, no descriptors left, and closing
 * with a queue. */
#include "peer.h"
#include "support.h"
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#define CONNS_MAX 8

struct seen {
    struct weir_conn *conns[CONNS_MAX];
    uint32_t accepted;
    uint32_t ticks;
    char first_peer[64];
    struct rlimit limit;
};

static void keep(void *argument, struct weir_conn *conn)
{
    struct stage *stage = argument;
    struct seen *seen = stage->test;
    if (seen->accepted < CONNS_MAX) {
        seen->conns[seen->accepted] = conn;
    }
    if (seen->accepted++ == 0) {
        (void)snprintf(seen->first_peer, sizeof seen->first_peer, "%s", weir_conn_peer(conn));
    }
}

static void close_conns(struct seen *seen)
{
    for (uint32_t i = 0; i < seen->accepted && i < CONNS_MAX; i++) {
        if (seen->conns[i] != NULL) {
            weir_conn_close(seen->conns[i], 0);
            seen->conns[i] = NULL;
        }
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", ":", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:80x",
        "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1: 80", "127.0.0.1:000080",
        "127.0.0.1:99999999999", "127.0.0:80", "1.2.3.4.5:80", "256.0.0.1:80", "127.1:80", "::1:80",
        "[::1]", "[::1]:", "[::1]80", "[::1:80", "::1]:80", "[]:80", "[127.0.0.1]:80", "[::g]:80",
        "[fe80::1%eth0]:80", "example.com:80", "LOCALHOST:80", "localhost", "http://127.0.0.1:80",
        "127.0.0.1:80/", " 127.0.0.1:80",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80",
        /* An address, but of a network kept for documentation. */
        "192.0.2.1:0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint16_t port = 4711;
        enum weir_status status = weir_listener_probe(bad[i], &port);
        if (status != WEIR_EINVAL) {
            print_error("%s: %d\n", bad[i], (int)status);
        }
        assert_int_equal(status, WEIR_EINVAL);
        assert_int_equal(port, 4711);
    }
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = bind(fd, (struct sockaddr *)(void *)&address, sizeof address) == 0;
    (void)close(fd);
    return has;
}

static void a_probe_tells_the_port(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1:0", "0.0.0.0:0", "localhost:0", "[::1]:0",
                                       "[::]:0"};
    size_t count = has_ipv6() ? 5 : 3;
    for (size_t i = 0; i < count; i++) {
        uint16_t port = 0;
        uint16_t same = 0;
        enum weir_status status = WEIR_EEXIST;
        for (int tries = 0; tries < 20 && status == WEIR_EEXIST; tries++) {
            char again[32];
            assert_int_equal(weir_listener_probe(good[i], &port), WEIR_OK);
            assert_true(port != 0);
            (void)snprintf(again, sizeof again, "127.0.0.1:%u", port);
            status = weir_listener_probe(again, &same); /* EEXIST: another program was quicker */
        }
        assert_int_equal(status, WEIR_OK);
        assert_int_equal(same, port);
    }
}

static void a_probe_finds_who_shares_the_port(void **state)
{
    (void)state;
    struct seen seen = {.accepted = 0};
    struct stage stage = {.test = &seen};
    const struct weir_listener_options options = {
        .connections_max = 1, .accepted = keep, .argument = &stage};
    struct weir_listener *second = NULL;
    char address[32];
    uint16_t port = 4711;
    stage_open(&stage, 1, keep);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", stage.port);
    assert_int_equal(weir_listener_probe(address, &port), WEIR_EEXIST);
    assert_int_equal(port, 4711);
    /* A second listener of ours may share it. */
    assert_int_equal(weir_listener_open(stage.loop, address, 0, &options, &second), WEIR_OK);
    weir_listener_close(second);
    stage_close(&stage);
    assert_int_equal(weir_listener_probe(address, &port), WEIR_OK);
}

static void a_port_of_another_program_is_refused(void **state)
{
    (void)state;
    struct seen seen = {.accepted = 0};
    struct stage stage = {.test = &seen};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    const struct weir_listener_options options = {
        .connections_max = 1, .accepted = keep, .argument = &stage};
    struct weir_listener *listener = NULL;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &size), 0);
    assert_int_equal(weir_loop_new(&stage.loop), WEIR_OK);
    assert_int_equal(
        weir_listener_open(stage.loop, "127.0.0.1:0", ntohs(address.sin_port), &options, &listener),
        WEIR_EEXIST);
    assert_int_equal(weir_listener_open(stage.loop, "nowhere:1", 0, &options, &listener),
                     WEIR_EINVAL);
    assert_null(listener);
    weir_listener_close(NULL);
    weir_loop_free(stage.loop);
    close(fd);
}

/* Three connect where two may be open. The third waits until the tick finds that one was closed. */
static void count_and_close_one(void *argument, int64_t now_ns)
{
    (void)now_ns;
    struct stage *stage = argument;
    struct seen *seen = stage->test;
    seen->ticks++;
    if (seen->ticks == 3) {
        assert_int_equal(seen->accepted, 2);
        weir_conn_close(seen->conns[0], 0);
        seen->conns[0] = NULL;
    }
    if (seen->accepted == 3 || seen->ticks == 50) {
        weir_loop_stop(stage->loop);
    }
}

static void the_listener_pauses_at_its_limit(void **state)
{
    (void)state;
    struct seen seen = {.accepted = 0};
    struct stage stage = {.test = &seen};
    int peers[3];
    stage_open(&stage, 2, keep);
    for (size_t i = 0; i < 3; i++) {
        peers[i] = peer_connect(stage.port); /* the kernel completes it in the queue */
        assert_true(peers[i] != -1);
    }
    weir_loop_run(stage.loop, count_and_close_one, &stage);
    assert_int_equal(seen.accepted, 3);
    assert_true(seen.ticks > 3);
    assert_memory_equal(seen.first_peer, "127.0.0.1:", 10);
    close_conns(&seen);
    stage_close(&stage);
    for (size_t i = 0; i < 3; i++) {
        close(peers[i]);
    }
}

static void restore_descriptors_later(void *argument, int64_t now_ns)
{
    (void)now_ns;
    struct stage *stage = argument;
    struct seen *seen = stage->test;
    seen->ticks++;
    if (seen->ticks == 5) {
        assert_int_equal(seen->accepted, 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &seen->limit), 0);
    }
    if (seen->accepted == 2 || seen->ticks == 50) {
        weir_loop_stop(stage->loop);
    }
}

static int64_t cpu_ns(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * WEIR_NS_PER_S + used.tv_nsec;
}

static void no_descriptors_left_is_waited_out(void **state)
{
    (void)state;
    struct seen seen = {.accepted = 0};
    struct stage stage = {.test = &seen};
    stage_open(&stage, 100, keep);
    int peers[2] = {peer_connect(stage.port), peer_connect(stage.port)};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &seen.limit), 0);
    int next = dup(0);
    close(next);
    struct rlimit none = {(rlim_t)next, seen.limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int64_t before_ns = cpu_ns();
    weir_loop_run(stage.loop, restore_descriptors_later, &stage);
    int64_t used_ns = cpu_ns() - before_ns;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &seen.limit), 0);
    assert_int_equal(seen.accepted, 2);
    assert_true(used_ns < 200 * WEIR_NS_PER_MS); /* half a second of spinning would be seen */
    close_conns(&seen);
    stage_close(&stage);
    close(peers[0]);
    close(peers[1]);
}

static void closing_accepts_what_is_queued(void **state)
{
    (void)state;
    struct seen seen = {.accepted = 0};
    struct stage stage = {.test = &seen};
    int peers[5];
    stage_open(&stage, 1, keep);
    for (size_t i = 0; i < 5; i++) {
        peers[i] = peer_connect(stage.port);
        assert_true(peers[i] != -1);
    }
    weir_listener_close(stage.listener);
    assert_int_equal(seen.accepted, 5);
    close_conns(&seen);
    for (size_t i = 0; i < 5; i++) {
        bool clean = false;
        uint8_t byte;
        assert_int_equal(peer_read(peers[i], &byte, 1, &clean), 0);
        assert_true(clean); /* an end, not a reset */
        close(peers[i]);
    }
    assert_int_equal(peer_connect(stage.port), -1);
    weir_loop_free(stage.loop);
}

static void keep_and_close_the_listener(void *argument, struct weir_conn *conn)
{
    struct stage *stage = argument;
    struct weir_listener *listener = stage->listener;
    keep(argument, conn);
    stage->listener = NULL;
    weir_listener_close(listener); /* NULL for the ones that this very close accepts */
    weir_loop_stop(stage->loop);
}

static void accepted_may_close_the_listener(void **state)
{
    (void)state;
    struct seen seen = {.accepted = 0};
    struct stage stage = {.test = &seen};
    stage_open(&stage, 10, keep_and_close_the_listener);
    int peers[3];
    for (size_t i = 0; i < 3; i++) {
        peers[i] = peer_connect(stage.port);
    }
    weir_loop_run(stage.loop, NULL, NULL);
    assert_int_equal(seen.accepted, 3);
    close_conns(&seen);
    stage_close(&stage);
    for (size_t i = 0; i < 3; i++) {
        close(peers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_probe_tells_the_port),
        cmocka_unit_test(a_probe_finds_who_shares_the_port),
        cmocka_unit_test(a_port_of_another_program_is_refused),
        cmocka_unit_test(the_listener_pauses_at_its_limit),
        cmocka_unit_test(no_descriptors_left_is_waited_out),
        cmocka_unit_test(closing_accepts_what_is_queued),
        cmocka_unit_test(accepted_may_close_the_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
