/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int supervisor = -1;
static char text[4096];

/* Binds a supervisor's socket at "/path" or "@name", and names it in the environment. */
static void listen_at(const char *address)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t size = strlen(address);
    memcpy(name.sun_path, address, size);
    name.sun_path[0] = address[0] == '@' ? 0 : address[0];
    socklen_t length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (address[0] == '/'));
    supervisor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(supervisor >= 0);
    assert_int_equal(bind(supervisor, (struct sockaddr *)&name, length), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", address, 1), 0);
}

/* The next message, "" when there is none: a datagram is there once it was sent. */
static const char *heard(void)
{
    ssize_t size = recv(supervisor, text, sizeof text - 1, 0);
    text[size < 0 ? 0 : size] = 0;
    return text;
}

static int end(void **state)
{
    (void)state;
    weir_notify_close();
    if (supervisor >= 0) {
        (void)close(supervisor);
        supervisor = -1;
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    return 0;
}

static void test_without_a_supervisor_nothing_happens(void **state)
{
    (void)state;
    assert_int_equal(weir_notify_open(), WEIR_OK);
    assert_int_equal(setenv("WATCHDOG_USEC", "1000000", 1), 0);
    weir_notify_ready("x");
    weir_notify_send("WATCHDOG=1");
    assert_int_equal(weir_notify_watchdog_ns(), 0);
}

static void test_what_is_no_address(void **state)
{
    static const char *const wrong[] = {"relative", "/", "@", "vsock:2:1", "unix:/x"};
    char longest[200];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", wrong[i], 1), 0);
        assert_int_equal(weir_notify_open(), WEIR_EINVAL);
        weir_notify_ready("nobody hears");
    }
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 1] = 0;
    assert_int_equal(setenv("NOTIFY_SOCKET", longest, 1), 0);
    assert_int_equal(weir_notify_open(), WEIR_EINVAL);
}

static void test_the_abstract_namespace(void **state)
{
    char name[64];
    (void)state;
    (void)snprintf(name, sizeof name, "@weir-test-notify-%d", (int)getpid());
    listen_at(name);
    assert_int_equal(weir_notify_open(), WEIR_OK);
    weir_notify_ready("serving");
    assert_string_equal(heard(), "READY=1\nSTATUS=serving");
    assert_string_equal(heard(), "");
}

static void test_a_path(void **state)
{
    char name[64];
    (void)state;
    (void)snprintf(name, sizeof name, "/tmp/weir-test-notify-%d", (int)getpid());
    listen_at(name);
    assert_int_equal(weir_notify_open(), WEIR_OK);
    weir_notify_stopping(70LL * 1000000000);
    assert_string_equal(heard(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=70000000\nSTATUS=draining");
    weir_notify_reloading();
    assert_int_equal(strncmp(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    assert_true(strtoll(text + 27, NULL, 10) > 0);
    assert_int_equal(unlink(name), 0);
    weir_notify_send("WATCHDOG=1"); /* the supervisor is gone: forgotten */
}

/* Reads one message after the other thread has begun to wait. */
static void *read_late(void *argument)
{
    (void)argument;
    (void)usleep(100000);
    (void)heard();
    return NULL;
}

static void test_a_full_queue_is_waited_for(void **state)
{
    char name[64];
    pthread_t reader;
    size_t messages = 0;
    (void)state;
    (void)snprintf(name, sizeof name, "@weir-test-notify-%d-full", (int)getpid());
    listen_at(name);
    assert_int_equal(weir_notify_open(), WEIR_OK);
    int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    while (sendto(other, "x", 1, 0, (struct sockaddr *)&address, length) == 1) {
        messages++;
    }
    assert_int_equal(close(other), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_late, NULL), 0);
    weir_notify_ready("serving");
    assert_int_equal(pthread_join(reader, NULL), 0);
    for (size_t i = 1; i < messages; i++) {
        assert_string_equal(heard(), "x");
    }
    assert_string_equal(heard(), "READY=1\nSTATUS=serving");
    assert_string_equal(heard(), "");
}

static void test_a_long_line_is_cut(void **state)
{
    char name[64];
    char words[2000];
    (void)state;
    (void)snprintf(name, sizeof name, "@weir-test-notify-%d", (int)getpid());
    listen_at(name);
    memset(words, 'w', sizeof words);
    words[sizeof words - 1] = 0;
    assert_int_equal(weir_notify_open(), WEIR_OK);
    weir_notify_ready(words);
    assert_int_equal(strlen(heard()), 511);
}

static void test_the_watchdog(void **state)
{
    static const struct {
        const char *usec;
        const char *pid; /* "self", or NULL */
        int64_t ns;
    } cases[] = {{"30000000", NULL, 30LL * 1000000000},
                 {"30000000", "self", 30LL * 1000000000},
                 {"30000000", "1", 0},
                 {"30000000", "", 0},
                 {"30000000", "x", 0},
                 {"0", NULL, 0},
                 {"-5", NULL, 0},
                 {"5s", NULL, 0},
                 {"", NULL, 0},
                 {"99999999999999999999", NULL, 0},
                 {"9223372036854775807", NULL, 0},
                 {NULL, NULL, 0}};
    char name[64];
    char self[24];
    (void)state;
    (void)snprintf(name, sizeof name, "@weir-test-notify-%d", (int)getpid());
    (void)snprintf(self, sizeof self, "%d", (int)getpid());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *pid = cases[i].pid;
        listen_at(name);
        if (cases[i].usec != NULL) {
            assert_int_equal(setenv("WATCHDOG_USEC", cases[i].usec, 1), 0);
        }
        if (pid != NULL) {
            assert_int_equal(setenv("WATCHDOG_PID", strcmp(pid, "self") == 0 ? self : pid, 1), 0);
        }
        assert_int_equal(weir_notify_open(), WEIR_OK);
        assert_int_equal(weir_notify_watchdog_ns(), cases[i].ns);
        (void)end(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_without_a_supervisor_nothing_happens, end),
        cmocka_unit_test_teardown(test_what_is_no_address, end),
        cmocka_unit_test_teardown(test_the_abstract_namespace, end),
        cmocka_unit_test_teardown(test_a_path, end),
        cmocka_unit_test_teardown(test_a_full_queue_is_waited_for, end),
        cmocka_unit_test_teardown(test_a_long_line_is_cut, end),
        cmocka_unit_test_teardown(test_the_watchdog, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
