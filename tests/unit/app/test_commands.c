/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, each command in a child process: exit codes, what is on standard output,
 * what on standard error. */
#include "child.h"
#include "weir/commands.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <setjmp.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 12 };

static struct child child;

struct arguments {
    char *argv[ARGUMENTS_MAX];
};

static int run_commands(void *argument)
{
    struct arguments *arguments = argument;
    int argc = 0;
    while (arguments->argv[argc] != NULL) {
        argc++;
    }
    int code = weir_commands_run(argc, arguments->argv);
    (void)fflush(NULL);
    return code;
}

static void begin(const char *first, va_list rest)
{
    static char name[] = "weir";
    struct arguments arguments = {{name}};
    size_t count = 1;
    for (const char *next = first; next != NULL; next = va_arg(rest, const char *)) {
        assert_true(count < ARGUMENTS_MAX - 1);
        arguments.argv[count++] = (char *)(uintptr_t)next; /* getopt swaps pointers only */
    }
    assert_true(child_start(&child, run_commands, &arguments));
}

/* Runs `weir` with these arguments up to NULL; the exit code. */
static int run(const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    begin(first, rest);
    va_end(rest);
    return child_end(&child);
}

/* The same without waiting for its end. */
static void start(const char *first, ...)
{
    va_list rest;
    va_start(rest, first);
    begin(first, rest);
    va_end(rest);
}

static char folder[] = "/tmp/weir-commands-XXXXXX";

/* A file in the test's folder; its path. */
static const char *file(const char *name, const char *text)
{
    static char paths[8][128];
    static size_t next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
    return path;
}

static const char metric[] =
    "{\"metric_stream_name\":\"s\",\"account_id\":\"123456789012\",\"region\":\"us-east-1\","
    "\"namespace\":\"AWS/EC2\",\"metric_name\":\"CPU\",\"dimensions\":{\"Z\":\"1\",\"A\":\"2\"},"
    "\"timestamp\":1700000000000,\"value\":{\"max\":1.5,\"min\":0.25,\"sum\":1.75,\"count\":2},"
    "\"unit\":\"Percent\"}\n";

static const char point[] =
    "{\"attributes\": {\"Dimensions\": {\"A\": \"2\", \"Z\": \"1\"}, \"MetricName\": \"CPU\", "
    "\"Namespace\": \"AWS/EC2\"}, \"count\": 2, \"end\": 1700000060000000000, \"name\": "
    "\"amazonaws.com/AWS/EC2/CPU\", \"quantiles\": [[0.0, 0.25], [1.0, 1.5]], \"resource\": "
    "{\"aws.exporter.arn\": \"arn:aws:cloudwatch:us-east-1:123456789012:metric-stream/s\", "
    "\"cloud.account.id\": \"123456789012\", \"cloud.provider\": \"aws\", \"cloud.region\": "
    "\"us-east-1\"}, \"start\": 1700000000000000000, \"sum\": 1.75, \"unit\": \"%\"}\n";

static void help_is_everywhere(void **state)
{
    (void)state;
    assert_int_equal(run("--help", NULL), 0);
    assert_non_null(strstr(child.out, "weir serve"));
    static const char *const names[] = {"serve", "check", "decode", "send", "version"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(run(names[i], "--help", NULL), 0);
        assert_int_equal(strncmp(child.out, "weir ", 5), 0);
        assert_string_equal(child.err, "");
        assert_int_equal(run("help", names[i], NULL), 0);
        assert_non_null(strstr(child.out, names[i]));
    }
    assert_int_equal(run("version", NULL), 0);
    assert_string_equal(child.out, "weir " WEIR_VERSION "\n");
}

static void wrong_usage_is_two(void **state)
{
    (void)state;
    assert_int_equal(run(NULL), 2);
    assert_int_equal(run("fly", NULL), 2);
    assert_non_null(strstr(child.err, "no such command: fly"));
    assert_int_equal(run("version", "x", NULL), 2);
    assert_int_equal(run("serve", "x", NULL), 2);
    assert_int_equal(run("serve", "-c", NULL), 2);
    assert_int_equal(run("serve", "--nothing", NULL), 2);
    assert_non_null(strstr(child.err, "weir serve --help"));
    assert_int_equal(run("check", "weir.yaml", NULL), 2);
    assert_non_null(strstr(child.err, "write -c weir.yaml"));
    assert_int_equal(run("decode", NULL), 2);
    assert_int_equal(run("decode", "--as", "poem", "x", NULL), 2);
    assert_int_equal(run("send", "http://127.0.0.1:9", NULL), 2);
    assert_int_equal(run("send", "127.0.0.1:9", "x", NULL), 2);
    assert_int_equal(run("send", "--retry", "often", "http://127.0.0.1:9", "x", NULL), 2);
    assert_int_equal(run("send", "--key", "a\nb", "http://127.0.0.1:9", "x", NULL), 2);
    assert_string_equal(child.out, "");
}

static void check_prints_what_a_file_comes_to(void **state)
{
    (void)state;
    const char *good = file(
        "good.yaml", "ingest: {access_keys: [{name: a, value: hunter2}]}\nmemory_limit: 64MiB\n");
    assert_int_equal(run("check", "-c", good, NULL), 0);
    assert_non_null(strstr(child.out, "memory_limit: 64MiB\n"));
    assert_non_null(strstr(child.out, "value: \"***\""));
    assert_non_null(strstr(child.out, "#   intake"));
    assert_non_null(strstr(child.err, "warning: "));
    assert_null(strstr(child.out, "hunter2"));
    const char *again = file("again.yaml", child.out);
    assert_int_equal(run("check", "-c", again, NULL), 0);
    assert_null(strstr(child.err, "again.yaml")); /* what it prints reads back without a word */
    const char *bad = file("bad.yaml", "ingest: {access_keys: none}\nlog: 7\n");
    assert_int_equal(run("check", "-c", bad, NULL), 1);
    assert_non_null(strstr(child.err, "bad.yaml:2:6: log: "));
    assert_string_equal(child.out, "");
    assert_int_equal(run("serve", "-c", bad, NULL), 1);
    assert_non_null(strstr(child.err, "bad.yaml:2:6: log: "));
    assert_int_equal(run("check", "--keys", NULL), 0);
    assert_non_null(strstr(child.out, "destinations[].buffer.size\n    a size such as 3MiB: "));
}

static void check_tells_of_the_spool(void **state)
{
    (void)state;
    char yaml[512];
    char path[128];
    (void)snprintf(yaml, sizeof yaml,
                   "ingest: {access_keys: none, body_limit: 1MiB}\nmemory_limit: 64MiB\n"
                   "buffer: {size: 1MiB}\nspool: {directory: %s/s, limit: 1GiB}\n",
                   folder);
    const char *good = file("spool.yaml", yaml);
    assert_int_equal(run("check", "-c", good, NULL), 0);
    assert_non_null(strstr(child.out, "# spool: 1GiB, of which 46MiB stay free"));
    assert_non_null(strstr(child.out, "it lasts 16 minutes"));
    assert_non_null(strstr(child.out, "/s: not there yet\n"));
    (void)snprintf(path, sizeof path, "%s/s", folder);
    assert_int_equal(access(path, F_OK), -1); /* looking makes nothing */
    assert_int_equal(mkdir(path, 0700), 0);
    (void)file("s/0000000000000007.segment", "12345");
    (void)file("s/notes.0000000000000001", "1");
    assert_int_equal(run("check", "-c", good, NULL), 0);
    assert_non_null(
        strstr(child.out, "/s: 1 segments and spares, 0.0 MiB; 0 quarantined, 0 set aside; "));
    const char *bad = file("nowhere.yaml", "ingest: {access_keys: none}\n"
                                           "spool: {directory: /dev/null}\n");
    assert_int_equal(run("check", "-c", bad, NULL), 0);
    assert_non_null(strstr(child.err, "warning: spool.directory: /dev/null: "));
    const char *memory = file("memory.yaml", "ingest: {access_keys: none}\n"
                                             "spool: {durability: memory}\n");
    assert_int_equal(run("check", "-c", memory, NULL), 0);
    assert_non_null(strstr(child.out, "# spool: none"));
    assert_non_null(strstr(child.out, "# dead letter: none"));
    const char *same = file("same.yaml", child.out); /* says nothing that does nothing */
    assert_int_equal(run("check", "-c", same, NULL), 0);
    assert_null(strstr(child.err, "does nothing"));
    assert_null(strstr(child.err, "there is none"));
}

static void check_tries_destinations(void **state)
{
    (void)state;
    const char *away =
        file("away.yaml", "ingest: {access_keys: none}\n"
                          "destinations:\n- {name: away, endpoint: 'http://127.0.0.1:9'}\n"
                          "- {name: out, type: stdout}\n");
    assert_int_equal(run("check", "-c", away, "--connect", NULL), 1);
    assert_non_null(strstr(child.err, "away: failed: "));
    assert_null(strstr(child.err, "out: "));
}

static void decode_shows_records_and_bodies(void **state)
{
    (void)state;
    const char *record = file("record", metric);
    assert_int_equal(run("decode", record, NULL), 0);
    assert_string_equal(child.out, point);
    assert_string_equal(child.err, "");
    assert_int_equal(run("decode", "--as", "otlp-json", record, NULL), 0);
    assert_int_equal(strncmp(child.out, "{\"resourceMetrics\":[", 20), 0);
    assert_int_equal(child.out[child.sizes[0] - 1], '\n');
    const char *demo = file("demo", "{\"records\":[{\"data\":\"eyJDSEFOR0UiOjF9\"}]}");
    assert_int_equal(run("decode", demo, record, NULL), 0);
    assert_non_null(strstr(child.err, "record 0: no metric: not_a_metric: \"{\\\"CHANGE\\\":1}\""));
    assert_string_equal(child.out, point);
    const char *bad = file("bad", "{\"records\":[{\"data\":\"?\"}]}");
    assert_int_equal(run("decode", bad, record, NULL), 1);
    assert_non_null(strstr(child.err, "/bad: byte "));
    assert_string_equal(child.out, point);
    assert_int_equal(run("decode", "/nowhere", NULL), 1);
    assert_int_equal(run("decode", file("gz", "\x1f\x8bno"), NULL), 1);
    assert_non_null(strstr(child.err, "not gzip"));
}

/* A listener that answers one request; what it got is in `request`. */
static char request[1 << 16];

static int listen_once(uint16_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void answer_once(int listener, const char *answer)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct timeval timeout = {.tv_sec = 10};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    size_t got = 0;
    request[0] = 0;
    while (strstr(request, "]}") == NULL) {
        ssize_t now = read(fd, request + got, sizeof request - 1 - got);
        assert_true(now > 0);
        got += (size_t)now;
        request[got] = 0;
    }
    assert_int_equal(write(fd, answer, strlen(answer)), strlen(answer));
    assert_int_equal(close(fd), 0);
}

#define REFUSED                                                                                    \
    "HTTP/1.1 401 Unauthorized\r\nContent-Length: 55\r\n\r\n"                                      \
    "{\"requestId\":\"x\",\"timestamp\":1,\"errorMessage\":\"no key\"}"
#define ACCEPTED                                                                                   \
    "HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n{\"requestId\":\"x\",\"timestamp\":10}"

static void send_is_firehose(void **state)
{
    (void)state;
    uint16_t port;
    char url[64];
    int listener = listen_once(&port);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/path", (unsigned)port);
    const char *key = file("key", "hunter2\n");
    start("send", "--key-file", key, "--request-id", "an-id", url, file("record", "{}"), NULL);
    answer_once(listener, REFUSED);
    assert_int_equal(child_end(&child), 1);
    assert_non_null(strstr(child.out, ": 401 in "));
    assert_non_null(strstr(child.out, "\"no key\""));
    assert_int_equal(strncmp(request, "POST /path HTTP/1.1\r\n", 21), 0);
    assert_non_null(strstr(request, "\r\nX-Amz-Firehose-Access-Key: hunter2\r\n"));
    assert_non_null(strstr(request, "\r\nX-Amz-Firehose-Request-Id: an-id\r\n"));
    assert_non_null(strstr(request, "\r\nX-Amz-Firehose-Protocol-Version: 1.0\r\n"));
    assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(request, "\r\n\r\n{\"requestId\":\"an-id\",\"timestamp\":"));
    assert_non_null(strstr(request, ",\"records\":[{\"data\":\"e30=\"}]}"));
    assert_int_equal(close(listener), 0);
}

static void send_retries_as_firehose(void **state)
{
    (void)state;
    uint16_t port;
    char url[64];
    int listener = listen_once(&port);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", (unsigned)port);
    const char *body = file("body", "{\"requestId\":\"old\",\"records\":[{\"data\":\"e30=\"}]}");
    start("send", "--retry", "30s", url, body, NULL);
    answer_once(listener, REFUSED);
    char first[64];
    (void)snprintf(first, sizeof first, "%.40s", strstr(request, "\r\n\r\n"));
    answer_once(listener, ACCEPTED);
    assert_int_equal(child_end(&child), 0);
    assert_non_null(strstr(child.out, ": 401 in "));
    assert_non_null(strstr(child.out, ": 200 in "));
    assert_int_equal(strncmp(first, strstr(request, "\r\n\r\n"), 40), 0); /* the same id */
    assert_null(strstr(request, "\"old\""));
    assert_non_null(strstr(request, "{\"data\":\"e30=\"}]}"));
    assert_int_equal(close(listener), 0);
    assert_int_equal(run("send", "http://127.0.0.1:9", body, NULL), 1);
    assert_non_null(strstr(child.out, ": no answer after "));
}

static int group_start(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT") != 0) {
        return -1;
    }
    return setenv("STATE_DIRECTORY", "/nowhere/weir", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_is_everywhere),
        cmocka_unit_test(wrong_usage_is_two),
        cmocka_unit_test(check_prints_what_a_file_comes_to),
        cmocka_unit_test(check_tells_of_the_spool),
        cmocka_unit_test(check_tries_destinations),
        cmocka_unit_test(decode_shows_records_and_bodies),
        cmocka_unit_test(send_is_firehose),
        cmocka_unit_test(send_retries_as_firehose),
    };
    return cmocka_run_group_tests(tests, group_start, NULL);
}
