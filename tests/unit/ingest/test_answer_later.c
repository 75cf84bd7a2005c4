/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that come from other threads, and requests that are not let in at all. */
#include "weir/ingest.h"

#include "flow.h"
#include "peer.h"
#include "slow_lane.h"
#include "weir/clock.h"
#include "weir/expo.h"
#include <stdatomic.h>

static struct flow flow;
static struct weir_ingest *ingest;
static struct slow_lane lane;
static const char *refusal; /* what admits says; NULL: come in */
static _Atomic uint64_t asked_size;

static bool always_ready(void *argument)
{
    (void)argument;
    return true;
}

static bool admits(void *argument, uint64_t size, const char **ret_reason)
{
    assert_ptr_equal(argument, &flow);
    /* relaxed: looked at after the answer */
    atomic_store_explicit(&asked_size, size, memory_order_relaxed);
    if (refusal != NULL) {
        *ret_reason = refusal;
    }
    return refusal == NULL;
}

static void begin(struct slow_lane with, uint32_t loops, enum weir_durability durability)
{
    static const char *const addresses[] = {"127.0.0.1:0", NULL};
    lane = with;
    refusal = NULL;
    struct weir_commit commit = slow_lane_start(&lane, 2);
    flow_start(&flow,
               (struct flow_options){.commit = commit, .durability = durability, .slots = 1024});
    const struct weir_ingest_options options = {.addresses = addresses,
                                                .threads = loops,
                                                .connections_max = 100,
                                                .path = "/",
                                                .pipeline = flow.pipeline,
                                                .intake = &flow.intake,
                                                .regions = flow.regions,
                                                .limits = weir_session_limits_default(),
                                                .ready = always_ready,
                                                .admits = admits,
                                                .argument = &flow};
    const char *address = NULL;
    assert_int_equal(weir_ingest_start(&options, &ingest, &address), WEIR_OK);
}

static void end(void)
{
    weir_ingest_drain(ingest, weir_clock_mono_ns() + 5 * WEIR_NS_PER_S);
    slow_lane_stop(&lane);
    weir_ingest_free(ingest);
    flow_stop(&flow);
}

static struct weir_bytes a_request(bool chunked)
{
    struct weir_bytes body = flow_body("id-1", FLOW_LINE("AWS/EC2", "A"));
    struct weir_buf buf = weir_buf_grow_init((size_t)1 << 20);
    weir_buf_printf(&buf, "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Firehose-Request-Id: id-1\r\n");
    if (chunked) {
        weir_buf_printf(&buf, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", body.size);
    } else {
        weir_buf_printf(&buf, "Content-Length: %zu\r\n\r\n", body.size);
    }
    weir_buf_put(&buf, body);
    weir_buf_printf(&buf, "%s", chunked ? "\r\n0\r\n\r\n" : "");
    assert_false(buf.failed);
    weir_mem_free((void *)(uintptr_t)body.data);
    return weir_buf_view(&buf);
}

static int connect_and_send(struct weir_bytes request)
{
    int fd = peer_connect(weir_ingest_port(ingest, 0));
    peer_send(fd, request.data, request.size);
    return fd;
}

static enum weir_status every_kind(uint32_t number)
{
    static const enum weir_status kinds[] = {WEIR_OK, WEIR_EIO, WEIR_EFULL, WEIR_EEXIST};
    return kinds[number % 4];
}

static void test_many_at_once_on_several_loops(void **state)
{
    (void)state;
    begin((struct slow_lane){.moment_ms = 2}, 3, WEIR_DURABILITY_DISK);
    struct weir_bytes request = a_request(false);
    int fds[30];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 30; i++) {
            if (round == 0) {
                fds[i] = peer_connect(weir_ingest_port(ingest, 0));
            }
            peer_send(fds[i], request.data, request.size);
        }
        for (size_t i = 0; i < 30; i++) {
            assert_int_equal(peer_answer(fds[i]), 200);
        }
    }
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
    assert_int_equal(flow_drain(&flow), 90);
    weir_mem_free((void *)(uintptr_t)request.data);
    end();
}

static void test_every_outcome_is_an_answer(void **state)
{
    (void)state;
    begin((struct slow_lane){.moment_ms = 1, .decide = every_kind}, 1, WEIR_DURABILITY_DISK);
    struct weir_bytes request = a_request(false);
    int fd = peer_connect(weir_ingest_port(ingest, 0));
    uint32_t good = 0;
    for (uint32_t i = 1; i <= 16; i++) { /* one connection: a 503 to a whole body keeps it */
        peer_send(fd, request.data, request.size);
        int code = peer_answer(fd);
        assert_int_equal(code, i % 4 == 1 || i % 4 == 2 ? 503 : 200);
        good += code == 200;
    }
    assert_int_equal(good, 8);
    assert_int_equal(flow_drain(&flow), 4); /* the others were repetitions */
    const struct weir_bytes labels[] = {WEIR_BYTES("200"), WEIR_BYTES("repeated")};
    assert_true(weir_expo_value(weir_metrics_series(WEIR_M_REQUESTS, labels)) == 4);
    assert_int_equal(close(fd), 0);
    weir_mem_free((void *)(uintptr_t)request.data);
    end();
}

static void test_delivered_answers_late(void **state)
{
    (void)state;
    begin((struct slow_lane){.moment_ms = 1, .delivers = true}, 2, WEIR_DURABILITY_DELIVERED);
    struct weir_bytes request = a_request(false);
    int fd = peer_connect(weir_ingest_port(ingest, 0));
    for (uint32_t i = 1; i <= 14; i++) {
        peer_send(fd, request.data, request.size);
        assert_int_equal(peer_answer(fd), i % 7 == 0 ? 503 : 200);
    }
    assert_int_equal(close(fd), 0);
    weir_mem_free((void *)(uintptr_t)request.data);
    end();
}

/* The request counts all the same, and what was sent ahead is answered in turn. */
static void test_peers_that_leave_or_run_ahead(void **state)
{
    (void)state;
    begin((struct slow_lane){.moment_ms = 60}, 1, WEIR_DURABILITY_DISK);
    struct weir_bytes request = a_request(false);
    assert_int_equal(close(connect_and_send(request)), 0);
    int ahead = connect_and_send(request);
    peer_send(ahead, request.data, request.size);
    int shut = connect_and_send(request);
    assert_int_equal(shutdown(shut, SHUT_WR), 0);
    assert_int_equal(peer_answer(ahead), 200);
    assert_int_equal(peer_answer(ahead), 200);
    assert_int_equal(peer_answer(shut), 200);
    assert_int_equal(close(ahead), 0);
    assert_int_equal(close(shut), 0);
    weir_ingest_drain(ingest, weir_clock_mono_ns() + 5 * WEIR_NS_PER_S);
    assert_int_equal(flow_drain(&flow), 4);
    weir_mem_free((void *)(uintptr_t)request.data);
    end();
}

/* The deadline cuts connections, not commits. */
static void test_the_drain_waits_for_what_is_being_committed(void **state)
{
    (void)state;
    begin((struct slow_lane){.moment_ms = 700}, 2, WEIR_DURABILITY_DISK);
    struct weir_bytes request = a_request(false);
    int fds[3];
    for (size_t i = 0; i < 3; i++) {
        fds[i] = connect_and_send(request);
    }
    while (weir_router_queued_bytes(flow.router, 0) == 0) { /* until one is reserved */
        (void)usleep(1000);
    }
    (void)usleep(100000);
    weir_ingest_drain(ingest, weir_clock_mono_ns());
    assert_int_equal(flow_drain(&flow), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(peer_answer(fds[i]), 0);
        assert_int_equal(close(fds[i]), 0);
    }
    weir_mem_free((void *)(uintptr_t)request.data);
    end();
}

static void test_what_is_full_is_said_at_the_head(void **state)
{
    (void)state;
    static const char *const reasons[] = {"spool_full", "spool_failed", "dead_letter_full"};
    begin((struct slow_lane){.moment_ms = 1}, 1, WEIR_DURABILITY_DISK);
    static const char head[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 12345\r\n\r\n";
    for (size_t i = 0; i < 3; i++) {
        refusal = reasons[i];
        int fd = connect_and_send(weir_bytes_str(head)); /* and no body */
        assert_int_equal(peer_answer(fd), 503);
        assert_int_equal(peer_answer(fd), 0);
        assert_int_equal(close(fd), 0);
        /* relaxed: the answer came after it */
        assert_int_equal(atomic_load_explicit(&asked_size, memory_order_relaxed), 12345);
        const struct weir_bytes labels[] = {WEIR_BYTES("503"), weir_bytes_str(reasons[i])};
        assert_true(weir_expo_value(weir_metrics_series(WEIR_M_REQUESTS, labels)) == 1);
    }
    refusal = NULL;
    struct weir_bytes request = a_request(true);
    int fd = connect_and_send(request);
    assert_int_equal(peer_answer(fd), 200);
    assert_int_equal(atomic_load_explicit(&asked_size, memory_order_relaxed), WEIR_INTAKE_STEP);
    assert_int_equal(close(fd), 0);
    assert_int_equal(flow_drain(&flow), 1);
    weir_mem_free((void *)(uintptr_t)request.data);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_at_once_on_several_loops),
        cmocka_unit_test(test_every_outcome_is_an_answer),
        cmocka_unit_test(test_delivered_answers_late),
        cmocka_unit_test(test_peers_that_leave_or_run_ahead),
        cmocka_unit_test(test_the_drain_waits_for_what_is_being_committed),
        cmocka_unit_test(test_what_is_full_is_said_at_the_head),
    };
    return cmocka_run_group_tests_name("answer_later", tests, NULL, NULL);
}
