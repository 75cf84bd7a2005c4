/* SPDX-License-Identifier: Apache-2.0 */
/* The service as a whole, in a child process: start, readiness, every way to stop. */
#include "../../../src/app/firehose_body.h"
#include "child.h"
#include "weir/clock.h"
#include "weir/lifecycle.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <setjmp.h>

#include <cmocka.h>

static struct child child;

static int serve(void *argument)
{
    static struct weir_config_report report;
    struct weir_config *config = NULL;
    if (weir_config_parse("t.yaml", weir_bytes_str(argument), false, &report, &config) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", report.messages[0].text);
        return 98;
    }
    int code = weir_lifecycle_serve(config);
    weir_config_free(config);
    return code;
}

#define LOCAL                                                                                      \
    "ingest: {listen: ['127.0.0.1:0'], access_keys: none, threads: 2}\n"                           \
    "admin: {listen: ['127.0.0.1:0']}\nmemory_limit: 64MiB\n"

static void start(const char *yaml)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "%s", yaml);
    assert_true(child_start(&child, serve, text));
    if (!child_await(&child, "\"ready\"")) {
        fail_msg("did not start: %s", child.err);
    }
}

static uint16_t port_of(const char *kind)
{
    char mark[64];
    (void)snprintf(mark, sizeof mark, "\"kind\":\"%s\",\"address\":\"127.0.0.1:", kind);
    const char *at = strstr(child.err, mark);
    assert_non_null(at);
    return (uint16_t)strtoul(at + strlen(mark), NULL, 10);
}

static int dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval timeout = {.tv_sec = 20};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&address, sizeof address), 0);
    return fd;
}

static char answer[1 << 16];

/* Sends a request and reads what comes back first. */
static const char *ask(int fd, const char *request, size_t size)
{
    assert_int_equal(write(fd, request, size), size);
    ssize_t got = read(fd, answer, sizeof answer - 1);
    assert_true(got > 0);
    answer[got] = 0;
    return answer;
}

static const char *get(uint16_t port, const char *path)
{
    char request[128];
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    int fd = dial(port);
    (void)ask(fd, request, (size_t)size);
    assert_int_equal(close(fd), 0);
    return answer;
}

/* One data point, as Firehose would bring it. */
static void post_point(void)
{
    char record[] =
        "{\"metric_stream_name\":\"s\",\"account_id\":\"123456789012\",\"region\":\"us-east-1\","
        "\"namespace\":\"AWS/EC2\",\"metric_name\":\"CPU\",\"dimensions\":{},"
        "\"timestamp\":1700000000000,\"value\":{\"max\":1,\"min\":1,\"sum\":1,\"count\":1},"
        "\"unit\":\"Percent\"}\n";
    char memory[4096];
    char request[8192];
    struct weir_buf body = weir_buf_fixed(memory, sizeof memory);
    assert_null(weir_firehose_body((uint8_t *)record, sizeof record - 1, "id", 1, &body));
    int size = snprintf(request, sizeof request,
                        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                        "X-Amz-Firehose-Request-Id: id\r\nContent-Length: %zu\r\n\r\n%.*s",
                        body.size, (int)body.size, memory);
    int fd = dial(port_of("ingest"));
    assert_int_equal(strncmp(ask(fd, request, (size_t)size), "HTTP/1.1 200", 12), 0);
    assert_int_equal(close(fd), 0);
}

/* The exit code; what was said on the way is shown when it is another than `wanted`. */
static void ends_with(int wanted)
{
    int code = child_end(&child);
    if (code != wanted) {
        print_error("%s\n", child.err);
    }
    assert_int_equal(code, wanted);
}

static void signal_child(int number)
{
    assert_int_equal(kill(child.pid, number), 0);
}

static void starts_and_stops(void **state)
{
    (void)state;
    start(LOCAL "destinations: [{name: out, type: stdout, buffer: {interval: 1h}}]\n");
    assert_int_equal(strncmp(get(port_of("admin"), "/readyz"), "HTTP/1.1 200", 12), 0);
    assert_int_equal(strncmp(get(port_of("ingest"), "/healthz"), "HTTP/1.1 200", 12), 0);
    post_point();
    int64_t before_ns = weir_clock_mono_ns();
    signal_child(SIGINT);
    ends_with(0);
    assert_true(weir_clock_mono_ns() - before_ns < 5 * WEIR_NS_PER_S);
    assert_non_null(strstr(child.err, "\"points_delivered\":1,\"points_left\":0"));
    assert_non_null(strstr(child.out, "amazonaws.com/AWS/EC2/CPU"));
}

static void metrics_and_status_are_whole(void **state)
{
    (void)state;
    start(LOCAL "destinations:\n- {name: out, type: stdout}\n"
                "- {name: away, metrics_endpoint: 'http://127.0.0.1:9/x?token=hunter2'}\n");
    const char *text = get(port_of("admin"), "/metrics");
    assert_non_null(strstr(text, "\nweir_build_info{version=\"" WEIR_VERSION "\"} 1\n"));
    assert_non_null(strstr(text, "\nweir_memory_limit_bytes{kind=\"total\"} 67108864\n"));
    assert_non_null(strstr(text, "\nprocess_open_fds "));
    text = get(port_of("admin"), "/status");
    assert_non_null(strstr(text, "\"state\": \"ready\""));
    assert_non_null(strstr(text, "\"url\": \"http://127.0.0.1:9/x\""));
    assert_null(strstr(text, "hunter2"));
    signal_child(SIGINT);
    ends_with(0);
}

static void reload_is_refused_without_dying(void **state)
{
    (void)state;
    start(LOCAL);
    signal_child(SIGHUP);
    assert_true(child_await(&child, "reload refused"));
    assert_int_equal(strncmp(get(port_of("admin"), "/readyz"), "HTTP/1.1 200", 12), 0);
    signal_child(SIGINT);
    ends_with(0);
}

static void grace_serves_on_and_a_second_signal_cuts_it(void **state)
{
    (void)state;
    start(LOCAL "drain: {grace: 60s}\n");
    int fd = dial(port_of("ingest"));
    static const char health[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(strncmp(ask(fd, health, sizeof health - 1), "HTTP/1.1 200", 12), 0);
    signal_child(SIGTERM);
    assert_true(child_await(&child, "\"stopping\""));
    assert_int_equal(strncmp(ask(fd, health, sizeof health - 1), "HTTP/1.1 503", 12), 0);
    assert_non_null(strstr(get(port_of("admin"), "/readyz"), "not ready: draining"));
    post_point();
    signal_child(SIGTERM);
    ends_with(0);
    assert_int_equal(close(fd), 0);
}

static void points_left_are_told(void **state)
{
    (void)state;
    start(LOCAL "drain: {grace: 0, deadline: 500ms}\nbuffer: {interval: 0}\n"
                "destinations: [{name: away, endpoint: 'http://127.0.0.1:9'}]\n");
    post_point();
    signal_child(SIGTERM);
    ends_with(1);
    assert_non_null(strstr(child.err, "\"points_delivered\":0,\"points_left\":1"));
}

static void an_interrupt_while_draining_is_the_end(void **state)
{
    (void)state;
    start(LOCAL "drain: {grace: 0, deadline: 60s}\n"
                "destinations: [{name: away, endpoint: 'http://127.0.0.1:9'}]\n");
    post_point();
    signal_child(SIGINT);
    assert_true(child_await(&child, "\"stopping\""));
    for (int i = 0; i < 3; i++) { /* a further SIGTERM changes nothing */
        signal_child(SIGTERM);
        (void)usleep(100000);
        assert_int_equal(waitpid(child.pid, NULL, WNOHANG), 0);
    }
    int64_t before_ns = weir_clock_mono_ns();
    signal_child(SIGINT);
    ends_with(1);
    assert_true(weir_clock_mono_ns() - before_ns < 5 * WEIR_NS_PER_S);
    assert_non_null(strstr(child.err, "ending at once"));
}

/* A start with these ports, which must fail at `kind` and tell so. */
static void check_taken(const char *kind, const char *ingest_port, const char *admin_port)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "ingest: {listen: ['127.0.0.1:%s'], access_keys: none}\n"
                   "admin: {listen: ['127.0.0.1:%s']}\n",
                   ingest_port, admin_port);
    assert_true(child_start(&child, serve, text));
    ends_with(1);
    assert_non_null(strstr(child.err, "start failed"));
    assert_non_null(strstr(child.err, "the address is in use"));
    assert_non_null(strstr(child.err, kind));
}

static void an_address_in_use_is_named(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &size), 0);
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)ntohs(address.sin_port));
    check_taken("\"what\":\"ingest\"", port, "0");
    check_taken("\"what\":\"admin\"", "0", port);
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_and_stops),
        cmocka_unit_test(metrics_and_status_are_whole),
        cmocka_unit_test(reload_is_refused_without_dying),
        cmocka_unit_test(grace_serves_on_and_a_second_signal_cuts_it),
        cmocka_unit_test(points_left_are_told),
        cmocka_unit_test(an_interrupt_while_draining_is_the_end),
        cmocka_unit_test(an_address_in_use_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
