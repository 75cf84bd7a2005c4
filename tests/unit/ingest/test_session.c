/* SPDX-License-Identifier: Apache-2.0 */
/* A real ingest thread on a loopback port, and a peer that does what peers do. */
#include "weir/session.h"

#include "flow.h"
#include "peer.h"
#include "weir/clock.h"
#include "weir/expo.h"
#include "weir/ingest.h"
#include <linux/sockios.h>
#include <sys/ioctl.h>

static struct flow flow;
static struct weir_ingest *ingest;

static bool always_ready(void *argument)
{
    (void)argument;
    return true;
}

static void begin(struct flow_options options, const struct weir_session_limits *limits)
{
    static const char *const addresses[] = {"127.0.0.1:0", NULL};
    flow_start(&flow, options);
    const struct weir_ingest_options ingest_options = {
        .addresses = addresses,
        .threads = 1,
        .connections_max = 100,
        .path = "/",
        .pipeline = flow.pipeline,
        .intake = &flow.intake,
        .regions = flow.regions,
        .limits = limits != NULL ? *limits : weir_session_limits_default(),
        .ready = always_ready};
    const char *address = NULL;
    assert_int_equal(weir_ingest_start(&ingest_options, &ingest, &address), WEIR_OK);
}

static void end(void)
{
    weir_ingest_drain(ingest, weir_clock_mono_ns() + 2 * WEIR_NS_PER_S);
    weir_ingest_free(ingest);
    flow_stop(&flow);
}

static int peer(void)
{
    return peer_connect(weir_ingest_port(ingest, 0));
}

/* A whole request: head and body, the caller's to free. */
static struct weir_bytes request_of(const char *extra, struct weir_bytes body)
{
    struct weir_buf buf = weir_buf_grow_init((size_t)32 << 20);
    weir_buf_printf(&buf,
                    "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Firehose-Request-Id: id-1\r\n"
                    "Content-Length: %zu\r\n%s\r\n",
                    body.size, extra);
    weir_buf_put(&buf, body);
    assert_false(buf.failed);
    return weir_buf_view(&buf);
}

static void drop(struct weir_bytes bytes)
{
    weir_mem_free((void *)(uintptr_t)bytes.data);
}

static struct weir_bytes good_request(void)
{
    struct weir_bytes body = flow_body("id-1", FLOW_LINE("AWS/EC2", "A") "\n");
    struct weir_bytes request = request_of("", body);
    drop(body);
    return request;
}

static void test_whole_in_pieces_and_again_on_the_same_connection(void **state)
{
    (void)state;
    begin((struct flow_options){0}, NULL);
    struct weir_bytes request = good_request();
    int fd = peer();
    peer_send(fd, request.data, request.size);
    assert_int_equal(peer_answer(fd), 200);
    for (size_t i = 0; i < request.size; i++) {
        peer_send(fd, request.data + i, 1);
    }
    assert_int_equal(peer_answer(fd), 200);
    assert_int_equal(flow_drain(&flow), 2);
    assert_int_equal(close(fd), 0);
    drop(request);
    end();
}

static void test_pipelined_requests_are_answered_in_turn(void **state)
{
    (void)state;
    begin((struct flow_options){0}, NULL);
    struct weir_bytes request = good_request();
    int fd = peer();
    for (int i = 0; i < 10; i++) {
        peer_send(fd, request.data, request.size);
    }
    static const char health[] = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    peer_send(fd, health, sizeof(health) - 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(peer_answer(fd), 200);
    }
    assert_int_equal(peer_answer(fd), 200);
    assert_int_equal(peer_answer(fd), 0);
    assert_int_equal(flow_drain(&flow), 10);
    assert_int_equal(close(fd), 0);
    drop(request);
    end();
}

static void test_expect_is_answered_before_the_body_only_when_wanted(void **state)
{
    (void)state;
    begin((struct flow_options){0}, NULL);
    struct weir_bytes body = flow_body("id-1", FLOW_LINE("AWS/EC2", "A") "\n");
    struct weir_bytes request = request_of("Expect: 100-continue\r\n", body);
    int fd = peer();
    peer_send(fd, request.data, request.size - body.size);
    assert_int_equal(peer_answer(fd), 100);
    peer_send(fd, body.data, body.size);
    assert_int_equal(peer_answer(fd), 200);
    assert_int_equal(close(fd), 0);

    static const char unwanted[] = "POST /no HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"
                                   "Expect: 100-continue\r\n\r\n";
    fd = peer();
    peer_send(fd, unwanted, sizeof(unwanted) - 1);
    assert_int_equal(peer_answer(fd), 404);
    assert_int_equal(peer_answer(fd), 0);
    assert_int_equal(close(fd), 0);
    drop(request);
    drop(body);
    end();
}

/* The answer must arrive although the peer goes on sending: closing at once would reset it away. */
static void check_early_answer(const char *head, int code)
{
    begin((struct flow_options){0}, NULL);
    static const uint8_t megabyte[1 << 20];
    int fd = peer();
    peer_send(fd, head, strlen(head));
    (void)usleep(500000); /* the answer is written, and what does not linger is closed */
    for (int i = 0; i < 8; i++) {
        peer_send(fd, megabyte, sizeof(megabyte));
    }
    assert_int_equal(peer_answer(fd), code);
    assert_int_equal(peer_answer(fd), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(weir_credit_used(&flow.intake), 0);
    end();
}

static void test_an_early_answer_survives_a_large_body(void **state)
{
    (void)state;
    check_early_answer("POST /no HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n", 404);
}

static void test_health_with_a_body_is_not_reset_away(void **state)
{
    (void)state;
    check_early_answer("GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n", 200);
    check_early_answer("GET /healthz HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
                       200);
}

static void test_no_credit_is_503_before_the_body(void **state)
{
    (void)state;
    begin((struct flow_options){.intake = (size_t)1 << 20}, NULL);
    static const char head[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4194304\r\n\r\n";
    int fd = peer();
    peer_send(fd, head, sizeof(head) - 1);
    assert_int_equal(peer_answer(fd), 503);
    assert_int_equal(close(fd), 0);
    end();
}

static void test_chunked_bodies(void **state)
{
    (void)state;
    begin((struct flow_options){.intake = (size_t)4 << 20, .body_limit = (size_t)1 << 20}, NULL);
    struct weir_bytes body = flow_body("id-1", FLOW_LINE("AWS/EC2", "A") "\n");
    struct weir_buf buf = weir_buf_grow_init((size_t)1 << 20);
    weir_buf_printf(&buf, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
                    body.size);
    weir_buf_put(&buf, body);
    weir_buf_printf(&buf, "\r\n0\r\n\r\n");
    int fd = peer();
    peer_send(fd, buf.data, buf.size);
    assert_int_equal(peer_answer(fd), 200);
    static const char damaged[] =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
    peer_send(fd, damaged, sizeof(damaged) - 1);
    assert_int_equal(peer_answer(fd), 400);
    assert_int_equal(peer_answer(fd), 0);
    assert_int_equal(close(fd), 0);
    weir_buf_done(&buf);
    drop(body);
    end();
}

/* The body's id is a view of the request's arena, which nobody else holds when nothing was
 * published. */
static void test_an_id_that_only_the_body_has_is_repeated(void **state)
{
    (void)state;
    begin((struct flow_options){0}, NULL);
    static const char head[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 47\r\n\r\n";
    static const char body[] = "{\"requestId\":\"only-in-the-body\",\"records\":[]}  ";
    char answer[1024] = "";
    int fd = peer();
    peer_send(fd, head, sizeof(head) - 1);
    peer_send(fd, body, sizeof(body) - 1);
    size_t size = 0;
    while (strchr(answer, '}') == NULL) {
        ssize_t got = recv(fd, answer + size, sizeof(answer) - 1 - size, 0);
        assert_true(got > 0);
        size += (size_t)got;
        answer[size] = 0;
    }
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    assert_non_null(strstr(answer, "{\"requestId\":\"only-in-the-body\","));
    assert_int_equal(close(fd), 0);
    end();
}

static void test_slow_peers_end_in_their_time(void **state)
{
    (void)state;
    struct weir_session_limits limits = weir_session_limits_default();
    limits.head_timeout_ns = 300 * WEIR_NS_PER_MS;
    limits.idle_timeout_ns = 300 * WEIR_NS_PER_MS;
    limits.body_grace_ns = 300 * WEIR_NS_PER_MS;
    begin((struct flow_options){0}, &limits);
    int idle = peer();
    int head = peer();
    int body = peer();
    static const char half[] = "POST / HTTP/1.1\r\nHost:";
    static const char without[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nabc";
    peer_send(head, half, sizeof(half) - 1);
    peer_send(body, without, sizeof(without) - 1);
    assert_int_equal(peer_answer(idle), 0);
    assert_int_equal(peer_answer(head), 408);
    assert_int_equal(peer_answer(body), 408);
    assert_int_equal(close(idle) + close(head) + close(body), 0);
    end();
}

static void test_a_peer_that_leaves_midway_costs_nothing(void **state)
{
    (void)state;
    begin((struct flow_options){0}, NULL);
    struct weir_bytes request = good_request();
    for (size_t cut = 1; cut < request.size; cut += 37) {
        int fd = peer();
        peer_send(fd, request.data, cut);
        assert_int_equal(close(fd), 0);
    }
    int fd = peer();
    peer_send(fd, request.data, request.size);
    assert_int_equal(peer_answer(fd), 200);
    assert_int_equal(flow_drain(&flow), 1);
    assert_int_equal(close(fd), 0);
    drop(request);
    end();
}

/* What `nc -N` does: the request, the end of sending, then the wait for the answer. */
static void test_a_peer_that_ends_with_its_request_is_answered(void **state)
{
    (void)state;
    begin((struct flow_options){0}, NULL);
    struct weir_bytes request = good_request();
    for (int i = 0; i < 20; i++) {
        int fd = peer();
        peer_send(fd, request.data, request.size);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        assert_int_equal(peer_answer(fd), 200);
        assert_int_equal(peer_answer(fd), 0);
        assert_int_equal(close(fd), 0);
    }
    assert_int_equal(flow_drain(&flow), 20);
    drop(request);
    end();
}

/* Until the loop has seen all that was sent: the kernel has it, and two later requests were
 * served. */
static void settle(int fd)
{
    static const char health[] = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    int unsent = 1;
    while (unsent > 0) {
        assert_int_equal(ioctl(fd, SIOCOUTQ, &unsent), 0);
        (void)usleep(1000);
    }
    int other = peer();
    for (int i = 0; i < 2; i++) {
        peer_send(other, health, sizeof(health) - 1);
        assert_int_equal(peer_answer(other), 200);
    }
    assert_int_equal(close(other), 0);
}

/* Nobody needs a key to make us keep half a head. */
static void test_unfinished_heads_are_bounded_together(void **state)
{
    (void)state;
    struct weir_session_limits limits = weir_session_limits_default();
    limits.waiting_bytes = (size_t)512 << 10;
    begin((struct flow_options){0}, &limits);
    static char filler[100 << 10];
    memset(filler, 'a', sizeof(filler));
    static const char start[] = "POST / HTTP/1.1\r\nHost: h\r\nX: ";
    int fds[20];
    for (size_t i = 0; i < 20; i++) {
        fds[i] = peer();
        peer_send(fds[i], start, sizeof(start) - 1);
        peer_send(fds[i], filler, sizeof(filler));
        if (i < 5) { /* 5 x 100 KiB are within the bound */
            settle(fds[i]);
            char none;
            assert_int_equal(recv(fds[i], &none, 1, MSG_DONTWAIT), -1);
        } else {
            assert_int_equal(peer_answer(fds[i]), 503);
        }
    }
    /* a request in one piece is served all the same, and what was held is given back */
    struct weir_bytes request = good_request();
    int fd = peer();
    peer_send(fd, request.data, request.size);
    assert_int_equal(peer_answer(fd), 200);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
    settle(fd);
    peer_send(fd, start, sizeof(start) - 1);
    peer_send(fd, filler, sizeof(filler));
    static const char rest[] = "\r\n\r\n";
    peer_send(fd, rest, sizeof(rest) - 1);
    assert_int_equal(peer_answer(fd), 400); /* no body */
    assert_int_equal(close(fd), 0);
    drop(request);
    end();
}

static void test_requests_sent_ahead_are_bounded_together(void **state)
{
    (void)state;
    struct weir_session_limits limits = weir_session_limits_default();
    limits.waiting_bytes = (size_t)8 << 10;
    begin((struct flow_options){.slots = 1024}, &limits);
    struct weir_bytes request = good_request();
    struct weir_buf buf = weir_buf_grow_init((size_t)1 << 20);
    for (int i = 0; i < 500; i++) {
        weir_buf_put(&buf, request);
    }
    int fd = peer();
    (void)send(fd, buf.data, buf.size, MSG_NOSIGNAL);
    uint32_t answered = 0;
    int code = 0;
    while ((code = peer_answer(fd)) == 200) {
        answered++;
    }
    assert_int_equal(code, 0);
    assert_true(answered >= 1);
    assert_true(answered < 500);
    assert_int_equal(flow_drain(&flow), answered);
    assert_int_equal(close(fd), 0);
    weir_buf_done(&buf);
    drop(request);
    end();
}

static void test_a_head_over_the_limit_is_400(void **state)
{
    (void)state;
    begin((struct flow_options){0}, NULL);
    int fd = peer();
    static char filler[140 << 10];
    memset(filler, 'a', sizeof(filler));
    static const char start[] = "POST / HTTP/1.1\r\nHost: h\r\nX: ";
    peer_send(fd, start, sizeof(start) - 1);
    peer_send(fd, filler, sizeof(filler));
    assert_int_equal(peer_answer(fd), 400);
    assert_int_equal(close(fd), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_in_pieces_and_again_on_the_same_connection),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_turn),
        cmocka_unit_test(test_expect_is_answered_before_the_body_only_when_wanted),
        cmocka_unit_test(test_an_early_answer_survives_a_large_body),
        cmocka_unit_test(test_health_with_a_body_is_not_reset_away),
        cmocka_unit_test(test_no_credit_is_503_before_the_body),
        cmocka_unit_test(test_chunked_bodies),
        cmocka_unit_test(test_an_id_that_only_the_body_has_is_repeated),
        cmocka_unit_test(test_slow_peers_end_in_their_time),
        cmocka_unit_test(test_a_peer_that_leaves_midway_costs_nothing),
        cmocka_unit_test(test_a_peer_that_ends_with_its_request_is_answered),
        cmocka_unit_test(test_a_head_over_the_limit_is_400),
        cmocka_unit_test(test_unfinished_heads_are_bounded_together),
        cmocka_unit_test(test_requests_sent_ahead_are_bounded_together),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
