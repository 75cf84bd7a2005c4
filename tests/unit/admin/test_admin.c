/* SPDX-License-Identifier: Apache-2.0 */
/* The admin listener over real loopback sockets. */
#include "counting.h"
#include "weir/admin.h"
#include "weir/clock.h"
#include "weir/expo.h"
#include "weir/rcu.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static _Atomic bool is_ready;

static bool ready(void *argument, const char **ret_reason)
{
    (void)argument;
    *ret_reason = "draining";
    /* relaxed: set before the request is sent; the sockets order it */
    return atomic_load_explicit(&is_ready, memory_order_relaxed);
}

static void status_document(void *argument, struct weir_buf *out)
{
    (void)argument;
    weir_buf_put(out, WEIR_BYTES("{\"version\":\"test\"}\n"));
}

static const char *const loopback[] = {"127.0.0.1:0", NULL};

static struct weir_admin *start(void)
{
    struct weir_admin_options options = {
        .addresses = loopback, .ready = ready, .status = status_document};
    struct weir_admin *admin = NULL;
    const char *address = "none";
    assert_int_equal(weir_admin_start(&options, &admin, &address), WEIR_OK);
    return admin;
}

static int dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval timeout = {.tv_sec = 10};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&address, sizeof address), 0);
    return fd;
}

static char answer[1 << 18];

/* Sends one request with Connection: close and reads the whole answer. */
static const char *ask(struct weir_admin *admin, const char *method, const char *path,
                       const char *fields)
{
    int fd = dial(weir_admin_port(admin, 0));
    char request[512];
    int size =
        snprintf(request, sizeof request,
                 "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, path, fields);
    assert_int_equal(write(fd, request, (size_t)size), size);
    size_t got = 0;
    ssize_t now;
    while ((now = read(fd, answer + got, sizeof answer - 1 - got)) > 0) {
        got += (size_t)now;
    }
    answer[got] = 0;
    assert_int_equal(close(fd), 0);
    return answer;
}

static void check_starts(const char *text, const char *start_)
{
    if (strncmp(text, start_, strlen(start_)) != 0) {
        fail_msg("not %s but %s", start_, text);
    }
}

static const char *body_of(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void metrics_in_both_formats(void **state)
{
    (void)state;
    struct weir_admin *admin = start();
    weir_metrics_add(weir_metrics_series(WEIR_M_ID_MISMATCHES, NULL), 7);
    const char *text = ask(admin, "GET", "/metrics", "");
    check_starts(text, "HTTP/1.1 200 OK\r\n");
    assert_non_null(strstr(text, "content-type: text/plain; version=0.0.4"));
    assert_non_null(strstr(text, "\nweir_request_id_mismatches_total 7\n"));
    assert_null(strstr(text, "server:"));
    text = ask(admin, "GET", "/metrics?x=y", "Accept: application/openmetrics-text\r\n");
    check_starts(text, "HTTP/1.1 200 OK\r\n");
    assert_non_null(strstr(text, "content-type: application/openmetrics-text"));
    assert_non_null(strstr(text, "\n# EOF\n"));
    weir_admin_stop(admin);
}

static void health_and_readiness(void **state)
{
    (void)state;
    struct weir_admin *admin = start();
    assert_string_equal(body_of(ask(admin, "GET", "/healthz", "")), "ok\n");
    const char *text = ask(admin, "GET", "/readyz", "");
    check_starts(text, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_string_equal(body_of(text), "not ready: draining\n");
    atomic_store_explicit(&is_ready, true, memory_order_relaxed); /* partner: ready */
    text = ask(admin, "GET", "/readyz", "");
    check_starts(text, "HTTP/1.1 200 OK\r\n");
    assert_string_equal(body_of(text), "ready\n");
    assert_string_equal(body_of(ask(admin, "GET", "/status", "")), "{\"version\":\"test\"}\n");
    assert_non_null(strstr(ask(admin, "GET", "/", ""), "/metrics"));
    weir_admin_stop(admin);
}

static void head_has_no_body(void **state)
{
    (void)state;
    struct weir_admin *admin = start();
    const char *text = ask(admin, "HEAD", "/healthz", "");
    check_starts(text, "HTTP/1.1 200 OK\r\n");
    assert_non_null(strstr(text, "Content-Length: 3\r\n"));
    assert_string_equal(body_of(text), "");
    weir_admin_stop(admin);
}

static void what_is_not_there_and_not_allowed(void **state)
{
    (void)state;
    struct weir_admin *admin = start();
    check_starts(ask(admin, "GET", "/nothing", ""), "HTTP/1.1 404 Not Found\r\n");
    check_starts(ask(admin, "GET", "/metrics/", ""), "HTTP/1.1 404 Not Found\r\n");
    check_starts(ask(admin, "GET", "//metrics", ""), "HTTP/1.1 404 Not Found\r\n");
    const char *text = ask(admin, "DELETE", "/metrics", "");
    check_starts(text, "HTTP/1.1 405 Method Not Allowed\r\n");
    assert_non_null(strstr(text, "allow: GET, HEAD\r\n"));
    check_starts(ask(admin, "POST", "/status", "Content-Length: 5000\r\n"), "HTTP/1.1 413 ");
    weir_admin_stop(admin);
}

static void http2_is_not_spoken(void **state)
{
    (void)state;
    struct weir_admin *admin = start();
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    int fd = dial(weir_admin_port(admin, 0));
    assert_int_equal(write(fd, preface, sizeof preface - 1), sizeof preface - 1);
    ssize_t size = read(fd, answer, sizeof answer);
    assert_true(size <= 0 || memcmp(answer, "HTTP/1.1 400 ", 13) == 0);
    assert_int_equal(close(fd), 0);
    const char *text = ask(admin, "GET", "/healthz",
                           "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n");
    check_starts(text, "HTTP/1.1 200 OK\r\n");
    weir_admin_stop(admin);
}

static void addresses_at_fault_are_named(void **state)
{
    (void)state;
    struct weir_admin *first = start();
    char taken[32];
    (void)snprintf(taken, sizeof taken, "127.0.0.1:%u", (unsigned)weir_admin_port(first, 0));
    static const char *const wrong[] = {"", "127.0.0.1", "[::1", "localhost:1", "1.2.3.4:x", NULL};
    struct weir_admin *admin = NULL;
    const char *at_fault = NULL;
    for (size_t i = 0; wrong[i] != NULL; i++) {
        const char *const addresses[] = {"127.0.0.1:0", wrong[i], NULL};
        struct weir_admin_options options = {
            .addresses = addresses, .ready = ready, .status = status_document};
        assert_int_equal(weir_admin_start(&options, &admin, &at_fault), WEIR_EINVAL);
        assert_string_equal(at_fault, wrong[i]);
    }
    const char *const addresses[] = {taken, NULL};
    struct weir_admin_options options = {
        .addresses = addresses, .ready = ready, .status = status_document};
    assert_int_equal(weir_admin_start(&options, &admin, &at_fault), WEIR_EEXIST);
    assert_string_equal(at_fault, taken);
    assert_null(admin);
    weir_admin_stop(first);
}

static void no_address_is_no_listener(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    struct weir_admin_options options = {
        .addresses = none, .ready = ready, .status = status_document};
    struct weir_admin *admin = NULL;
    const char *at_fault;
    assert_int_equal(weir_admin_start(&options, &admin, &at_fault), WEIR_OK);
    weir_admin_stop(admin);
    weir_admin_stop(NULL);
}

static void stopping_does_not_wait_for_idle_connections(void **state)
{
    (void)state;
    struct weir_admin *admin = start();
    int idle = dial(weir_admin_port(admin, 0));
    int kept = dial(weir_admin_port(admin, 0));
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(write(kept, request, sizeof request - 1), sizeof request - 1);
    assert_true(read(kept, answer, sizeof answer) > 0);
    int half = dial(weir_admin_port(admin, 0));
    assert_int_equal(write(half, request, 10), 10);
    int64_t before_ns = weir_clock_mono_ns();
    weir_admin_stop(admin);
    assert_true(weir_clock_mono_ns() - before_ns < WEIR_NS_PER_S);
    assert_int_equal(read(kept, answer, sizeof answer), 0);
    assert_int_equal(close(idle) + close(kept) + close(half), 0);
}

static void connections_past_the_cap_are_closed(void **state)
{
    (void)state;
    enum { CAP = 64 };
    struct weir_admin *admin = start();
    int fds[CAP];
    for (size_t i = 0; i < CAP; i++) {
        fds[i] = dial(weir_admin_port(admin, 0));
    }
    int further = dial(weir_admin_port(admin, 0));
    assert_int_equal(read(further, answer, 1), 0);
    assert_int_equal(close(further), 0);
    for (size_t i = 0; i < CAP; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
    for (int i = 0; i < 100; i++) { /* until the closes have been seen */
        if (strncmp(ask(admin, "GET", "/healthz", ""), "HTTP/1.1 200", 12) == 0) {
            weir_admin_stop(admin);
            return;
        }
        (void)usleep(10000);
    }
    fail_msg("no connection is free again");
}

static int group_start(void **state)
{
    (void)state;
    counting_start();
    return 0;
}

static int group_stop(void **state)
{
    (void)state;
    counting_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_in_both_formats),
        cmocka_unit_test(health_and_readiness),
        cmocka_unit_test(head_has_no_body),
        cmocka_unit_test(what_is_not_there_and_not_allowed),
        cmocka_unit_test(http2_is_not_spoken),
        cmocka_unit_test(addresses_at_fault_are_named),
        cmocka_unit_test(no_address_is_no_listener),
        cmocka_unit_test(stopping_does_not_wait_for_idle_connections),
        cmocka_unit_test(connections_past_the_cap_are_closed),
    };
    return cmocka_run_group_tests(tests, group_start, group_stop);
}
