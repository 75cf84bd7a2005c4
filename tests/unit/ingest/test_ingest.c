/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/ingest.h"

#include "flow.h"
#include "peer.h"
#include "weir/clock.h"
#include "weir/listener.h"
#include <stdio.h>

static const char health[] = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";

static struct flow flow;

static bool is_ready;

static bool ready(void *argument)
{
    (void)argument;
    return is_ready;
}

static uint32_t connections_max = 100;

static enum weir_status start(const char *const *addresses, uint32_t threads,
                              struct weir_ingest **ret, const char **ret_address)
{
    const struct weir_ingest_options options = {.addresses = addresses,
                                                .threads = threads,
                                                .connections_max = connections_max,
                                                .path = "/",
                                                .pipeline = flow.pipeline,
                                                .intake = &flow.intake,
                                                .regions = flow.regions,
                                                .limits = weir_session_limits_default(),
                                                .ready = ready};
    return weir_ingest_start(&options, ret, ret_address);
}

static void test_bad_addresses_are_named(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1:0", "example.invalid:80", NULL};
    static const char *const none[] = {NULL};
    flow_start(&flow, (struct flow_options){0});
    struct weir_ingest *ingest = NULL;
    const char *address = NULL;
    assert_int_equal(start(addresses, 1, &ingest, &address), WEIR_EINVAL);
    assert_string_equal(address, "example.invalid:80");
    assert_int_equal(start(none, 1, &ingest, &address), WEIR_EINVAL);
    assert_null(ingest);
    flow_stop(&flow);
}

static void test_a_port_in_use_is_refused(void **state)
{
    (void)state;
    static const char *const any[] = {"127.0.0.1:0", NULL};
    flow_start(&flow, (struct flow_options){0});
    struct weir_ingest *first = NULL;
    struct weir_ingest *second = NULL;
    const char *address = NULL;
    assert_int_equal(start(any, 1, &first, &address), WEIR_OK);
    char text[32];
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", weir_ingest_port(first, 0));
    const char *const taken[] = {text, NULL};
    assert_int_equal(start(taken, 1, &second, &address), WEIR_EEXIST);
    assert_ptr_equal(address, text);
    weir_ingest_drain(first, weir_clock_mono_ns() + WEIR_NS_PER_S);
    weir_ingest_free(first);
    flow_stop(&flow);
}

static void test_all_loops_serve_and_unready_is_503(void **state)
{
    (void)state;
    static const char *const any[] = {"127.0.0.1:0", "127.0.0.1:0", NULL};
    flow_start(&flow, (struct flow_options){0});
    struct weir_ingest *ingest = NULL;
    const char *address = NULL;
    assert_int_equal(start(any, 3, &ingest, &address), WEIR_OK);
    int fds[20];
    for (uint32_t i = 0; i < 20; i++) {
        fds[i] = peer_connect(weir_ingest_port(ingest, i % 2));
        peer_send(fds[i], health, sizeof(health) - 1);
    }
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(peer_answer(fds[i]), 503);
    }
    weir_ingest_drain(ingest, weir_clock_mono_ns() + 60 * WEIR_NS_PER_S);
    for (uint32_t i = 0; i < 20; i++) { /* idle connections were closed, not waited for */
        assert_int_equal(peer_answer(fds[i]), 0);
        assert_int_equal(close(fds[i]), 0);
    }
    assert_int_equal(weir_ingest_connections(ingest), 0);
    weir_ingest_free(ingest);
    flow_stop(&flow);
}

/* The kernel would give one loop more than its share, which would not be answered, and another
 * less. */
static void test_connections_are_spread_evenly(void **state)
{
    (void)state;
    enum { THREADS = 4, SHARE = 3, COUNT = THREADS * SHARE };
    static const char *const any[] = {"127.0.0.1:0", NULL};
    flow_start(&flow, (struct flow_options){0});
    struct weir_ingest *ingest = NULL;
    const char *address = NULL;
    connections_max = COUNT;
    is_ready = true;
    assert_int_equal(start(any, THREADS, &ingest, &address), WEIR_OK);
    int fds[COUNT];
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            fds[i] = peer_connect(weir_ingest_port(ingest, 0));
            peer_send(fds[i], health, sizeof(health) - 1);
            assert_int_equal(peer_answer(fds[i]), 200);
        }
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_int_equal(close(fds[i]), 0);
        }
        while (weir_ingest_connections(ingest) > 0) {
            (void)usleep(1000);
        }
    }
    connections_max = 100;
    is_ready = false;
    weir_ingest_drain(ingest, weir_clock_mono_ns() + 60 * WEIR_NS_PER_S);
    weir_ingest_free(ingest);
    flow_stop(&flow);
}

static void test_the_drain_deadline_cuts_what_never_ends(void **state)
{
    (void)state;
    static const char *const any[] = {"127.0.0.1:0", NULL};
    static const char half[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc";
    flow_start(&flow, (struct flow_options){0});
    struct weir_ingest *ingest = NULL;
    const char *address = NULL;
    assert_int_equal(start(any, 1, &ingest, &address), WEIR_OK);
    int fd = peer_connect(weir_ingest_port(ingest, 0));
    peer_send(fd, half, sizeof(half) - 1);
    while (weir_credit_used(&flow.intake) == 0) { /* until the request is being read */
        (void)usleep(1000);
    }
    weir_ingest_drain(ingest, weir_clock_mono_ns() + WEIR_NS_PER_S / 2);
    assert_int_equal(peer_answer(fd), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(weir_credit_used(&flow.intake), 0);
    weir_ingest_free(ingest);
    flow_stop(&flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_addresses_are_named),
        cmocka_unit_test(test_a_port_in_use_is_refused),
        cmocka_unit_test(test_all_loops_serve_and_unready_is_503),
        cmocka_unit_test(test_connections_are_spread_evenly),
        cmocka_unit_test(test_the_drain_deadline_cuts_what_never_ends),
    };
    return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
