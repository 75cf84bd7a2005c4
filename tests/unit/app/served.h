/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_APP_SERVED_H
#define WEIR_TESTS_APP_SERVED_H

/* A whole service in a child process, and a Firehose of one point. */
#include "../../../src/app/firehose_body.h"
#include "child.h"
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

static struct child served;

static inline int served_body(void *argument)
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

#define SERVED_LOCAL                                                                               \
    "ingest: {listen: ['127.0.0.1:0'], access_keys: none, threads: 2}\n"                           \
    "admin: {listen: ['127.0.0.1:0']}\nmemory_limit: 64MiB\n"

static inline void served_start(const char *yaml)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "%s", yaml);
    assert_true(child_start(&served, served_body, text));
    if (!child_await(&served, "\"ready\"")) {
        fail_msg("did not start: %s", served.err);
    }
}

static inline uint16_t served_port(const char *kind)
{
    char mark[64];
    (void)snprintf(mark, sizeof mark, "\"kind\":\"%s\",\"address\":\"127.0.0.1:", kind);
    const char *at = strstr(served.err, mark);
    assert_non_null(at);
    return (uint16_t)strtoul(at + strlen(mark), NULL, 10);
}

static inline int served_dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval timeout = {.tv_sec = 20};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&address, sizeof address), 0);
    return fd;
}

static char served_answer[1 << 16];

/* Sends a request and reads what comes back first. */
static inline const char *served_ask(int fd, const char *request, size_t size)
{
    assert_int_equal(write(fd, request, size), size);
    ssize_t got = read(fd, served_answer, sizeof served_answer - 1);
    assert_true(got > 0);
    served_answer[got] = 0;
    return served_answer;
}

static inline const char *served_get(uint16_t port, const char *path)
{
    char request[128];
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    int fd = served_dial(port);
    (void)served_ask(fd, request, (size_t)size);
    assert_int_equal(close(fd), 0);
    return served_answer;
}

/* One data point, as Firehose would bring it. */
static inline void served_post(void)
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
    int fd = served_dial(served_port("ingest"));
    assert_int_equal(strncmp(served_ask(fd, request, (size_t)size), "HTTP/1.1 200", 12), 0);
    assert_int_equal(close(fd), 0);
}

/* The exit code; what was said on the way is shown when it is another than `wanted`. */
static inline void served_ends(int wanted)
{
    int code = child_end(&served);
    if (code != wanted) {
        print_error("%s\n", served.err);
    }
    assert_int_equal(code, wanted);
}

static inline void served_signal(int number)
{
    assert_int_equal(kill(served.pid, number), 0);
}

#endif
