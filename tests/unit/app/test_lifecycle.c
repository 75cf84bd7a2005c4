/* SPDX-License-Identifier: Apache-2.0 */
/* The service as a whole, in a child process: start, readiness, every way to stop. */
#include "served.h"
#include "weir/clock.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#define MEMORY SERVED_LOCAL "spool: {durability: memory}\n"

static void starts_and_stops(void **state)
{
    (void)state;
    served_start(MEMORY "destinations: [{name: out, type: stdout, buffer: {interval: 1h}}]\n");
    assert_int_equal(strncmp(served_get(served_port("admin"), "/readyz"), "HTTP/1.1 200", 12), 0);
    assert_int_equal(strncmp(served_get(served_port("ingest"), "/healthz"), "HTTP/1.1 200", 12), 0);
    served_post();
    int64_t before_ns = weir_clock_mono_ns();
    served_signal(SIGINT);
    served_ends(0);
    assert_true(weir_clock_mono_ns() - before_ns < 5 * WEIR_NS_PER_S);
    assert_non_null(strstr(served.err, "\"points_delivered\":1,\"points_left\":0"));
    assert_non_null(strstr(served.out, "amazonaws.com/AWS/EC2/CPU"));
}

static void metrics_and_status_are_whole(void **state)
{
    (void)state;
    served_start(MEMORY "destinations:\n- {name: out, type: stdout}\n"
                        "- {name: away, metrics_endpoint: 'http://127.0.0.1:9/x?token=hunter2'}\n");
    const char *text = served_get(served_port("admin"), "/metrics");
    assert_non_null(strstr(text, "\nweir_build_info{version=\"" WEIR_VERSION "\"} 1\n"));
    assert_non_null(strstr(text, "\nweir_memory_limit_bytes{kind=\"total\"} 67108864\n"));
    assert_non_null(strstr(text, "\nprocess_open_fds "));
    text = served_get(served_port("admin"), "/status");
    assert_non_null(strstr(text, "\"state\": \"ready\""));
    assert_non_null(strstr(text, "\"url\": \"http://127.0.0.1:9/x\""));
    assert_null(strstr(text, "hunter2"));
    served_signal(SIGINT);
    served_ends(0);
}

static void reload_is_refused_without_dying(void **state)
{
    (void)state;
    served_start(MEMORY);
    served_signal(SIGHUP);
    assert_true(child_await(&served, "reload refused"));
    assert_int_equal(strncmp(served_get(served_port("admin"), "/readyz"), "HTTP/1.1 200", 12), 0);
    served_signal(SIGINT);
    served_ends(0);
}

static const char health[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

static void grace_serves_on_and_ends_connections(void **state)
{
    (void)state;
    served_start(MEMORY "drain: {grace: 2s}\n");
    int fd = served_dial(served_port("ingest"));
    const char *answer = served_ask(fd, health, sizeof health - 1);
    assert_int_equal(strncmp(answer, "HTTP/1.1 200", 12), 0);
    assert_null(strcasestr(answer, "connection: close"));
    served_signal(SIGTERM);
    assert_true(child_await(&served, "\"stopping\""));
    answer = served_ask(fd, health, sizeof health - 1);
    assert_int_equal(strncmp(answer, "HTTP/1.1 503", 12), 0);
    assert_non_null(strcasestr(answer, "connection: close"));
    assert_non_null(strstr(served_get(served_port("admin"), "/readyz"), "not ready: draining"));
    served_post();
    served_signal(SIGTERM); /* the same order once more: supervisors send it twice */
    served_signal(SIGTERM);
    served_ends(0);
    assert_non_null(strstr(served.err, "\"points_delivered\":1,\"points_left\":0"));
    assert_null(strstr(served.err, "stopping at once"));
    assert_int_equal(close(fd), 0);
}

/* A second and some after an order it is no repetition of it. */
static void wait_for_a_second_order(void)
{
    (void)usleep(1200 * 1000);
    assert_int_equal(waitpid(served.pid, NULL, WNOHANG), 0);
}

static void a_second_order_ends_the_grace(void **state)
{
    (void)state;
    served_start(MEMORY "drain: {grace: 60s}\nbuffer: {interval: 1h}\n");
    served_post();
    served_signal(SIGTERM);
    assert_true(child_await(&served, "\"stopping\""));
    wait_for_a_second_order();
    int64_t before_ns = weir_clock_mono_ns();
    served_signal(SIGTERM);
    served_ends(1); /* nothing is on disk: what is left is lost, and told */
    assert_true(weir_clock_mono_ns() - before_ns < 5 * WEIR_NS_PER_S);
    assert_non_null(strstr(served.err, "stopping at once"));
    assert_non_null(strstr(served.err, "\"points_left\":1,\"kept\":\"false\""));
}

static void points_left_are_told(void **state)
{
    (void)state;
    served_start(MEMORY "drain: {grace: 0, deadline: 500ms}\nbuffer: {interval: 0}\n"
                        "destinations: [{name: away, endpoint: 'http://127.0.0.1:9'}]\n");
    served_post();
    served_signal(SIGTERM);
    served_ends(1);
    assert_non_null(strstr(served.err, "\"points_delivered\":0,\"points_left\":1"));
}

static void a_second_order_ends_the_drain(void **state)
{
    static const int orders[][2] = {{SIGTERM, SIGTERM}, {SIGINT, SIGINT}, {SIGTERM, SIGINT}};
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        served_start(MEMORY "drain: {grace: 0, deadline: 60s}\n"
                            "destinations: [{name: away, endpoint: 'http://127.0.0.1:9'}]\n");
        served_post();
        served_signal(orders[i][0]);
        assert_true(child_await(&served, "\"stopping\""));
        wait_for_a_second_order();
        int64_t before_ns = weir_clock_mono_ns();
        served_signal(orders[i][1]);
        served_ends(1);
        assert_true(weir_clock_mono_ns() - before_ns < 5 * WEIR_NS_PER_S);
        assert_non_null(strstr(served.err, "stopping at once"));
        assert_non_null(strstr(served.err, "\"points_left\":1"));
    }
}

/* A start with these ports, which must fail at `kind` and tell so. */
static void check_taken(const char *kind, const char *ingest_port, const char *admin_port)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "ingest: {listen: ['127.0.0.1:%s'], access_keys: none}\n"
                   "admin: {listen: ['127.0.0.1:%s']}\nspool: {durability: memory}\n",
                   ingest_port, admin_port);
    assert_true(child_start(&served, served_body, text));
    served_ends(1);
    assert_non_null(strstr(served.err, "start failed"));
    assert_non_null(strstr(served.err, "the address is in use"));
    assert_non_null(strstr(served.err, kind));
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
        cmocka_unit_test(grace_serves_on_and_ends_connections),
        cmocka_unit_test(a_second_order_ends_the_grace),
        cmocka_unit_test(points_left_are_told),
        cmocka_unit_test(a_second_order_ends_the_drain),
        cmocka_unit_test(an_address_in_use_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
