/* SPDX-License-Identifier: Apache-2.0 */
/* A run as its callers see it: what is refused before anything is sent, and what is said of an
 * endpoint that is not there. The conversations are tested end to end (tests/e2e/test_probe.py). */
#include "../../../src/probe/probe_internal.h"
#include "weir/clock.h"
#include "weir/probe.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char seen[8192];

static void keep(void *self, const struct weir_probe_finding *finding)
{
    (void)self;
    size_t used = strlen(seen);
    (void)snprintf(seen + used, sizeof seen - used, "%s %s: %s\n",
                   weir_probe_level_text(finding->level), finding->what, finding->found);
}

static struct weir_probe_options options_for(const char *url)
{
    seen[0] = 0;
    return (struct weir_probe_options){
        .url = url, .key = "a-key", .report = keep, .timeout_ns = 5 * WEIR_NS_PER_S};
}

static void assert_refused(const struct weir_probe_options *options)
{
    struct weir_probe_result result = {.requests = 7};
    assert_int_equal(weir_probe_run(options, &result), WEIR_EINVAL);
    assert_int_equal(result.requests, 7); /* untouched */
    assert_string_equal(seen, "");
}

static void test_urls_that_are_none(void **state)
{
    (void)state;
    static const char *const urls[] = {"",
                                       "weir.example.com",
                                       "ftp://weir.example.com/",
                                       "https://",
                                       "https://me:secret@weir.example.com/",
                                       "https://weir.example.com:0x/",
                                       "https://weir.example.com:99999/",
                                       "https://weir.example.com/ a",
                                       "https://weir.example.com/\r\nX: y",
                                       "file:///etc/passwd"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct weir_probe_options options = options_for(urls[i]);
        assert_refused(&options);
    }
    char longest[1200];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "https://h/", 10);
    longest[sizeof longest - 1] = 0;
    struct weir_probe_options options = options_for(longest);
    assert_refused(&options);
}

static void test_options_that_are_none(void **state)
{
    (void)state;
    static const char *const places[] = {
        "", ":443", "host", "host:", "host:0", "host:65536", "h:1x"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct weir_probe_options options = options_for("https://weir.example.com/");
        options.connect_to = places[i];
        assert_refused(&options);
    }
    static const char *const keys[] = {"", "two\nlines", "with\ttab", "caf\xc3\xa9"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct weir_probe_options options = options_for("https://weir.example.com/");
        options.key = keys[i];
        assert_refused(&options);
    }
    struct weir_probe_options options = options_for("https://weir.example.com/");
    options.head_bytes = WEIR_PROBE_HEAD_BYTES + 1;
    assert_refused(&options);
    options.head_bytes = 0;
    options.body_bytes = WEIR_PROBE_BODY_MAX + 1;
    assert_refused(&options);
    options.body_bytes = 0;
    options.timeout_ns = -1;
    assert_refused(&options);
}

static void test_a_target(void **state)
{
    (void)state;
    struct weir_probe_target target;
    assert_int_equal(weir_probe_target_parse("https://Weir.example.com/a?b=c", NULL, &target),
                     WEIR_OK);
    assert_string_equal(target.port, "443");
    assert_true(target.is_tls);
    assert_false(target.is_address);
    assert_string_equal(target.connect_host, target.host);
    assert_int_equal(weir_probe_target_parse("http://[::1]:8080/", "[fe80::1]:81", &target),
                     WEIR_OK);
    assert_string_equal(target.host, "::1");
    assert_string_equal(target.port, "8080");
    assert_string_equal(target.connect_host, "fe80::1");
    assert_string_equal(target.connect_port, "81");
    assert_false(target.is_tls);
    assert_true(target.is_address);
}

static bool is_public(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        return weir_probe_is_public((const struct sockaddr *)(const void *)&v4);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return weir_probe_is_public((const struct sockaddr *)(const void *)&v6);
}

static void test_public_addresses(void **state)
{
    (void)state;
    static const char *const closed[] = {
        "127.0.0.1",   "10.1.2.3",   "172.16.0.1",      "172.31.255.255", "192.168.1.1",
        "169.254.1.1", "0.0.0.0",    "100.64.0.1",      "100.127.255.1",  "224.0.0.1",
        "240.0.0.1",   "192.0.2.1",  "255.255.255.255", "198.19.255.255", "203.0.113.9",
        "::1",         "fe80::1",    "fc00::1",         "fd12::1",        "::",
        "ff02::1",     "2001:db8::", "::ffff:10.0.0.1", "64:ff9b::1"};
    static const char *const open[] = {"34.229.216.50", "172.32.0.1",  "172.15.255.255",
                                       "100.128.0.1",   "192.169.0.1", "223.255.255.255",
                                       "2600:1f18::1",  "11.0.0.1",    "::ffff:34.229.216.50"};
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        assert_false(is_public(closed[i]));
    }
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        assert_true(is_public(open[i]));
    }
    struct sockaddr other = {.sa_family = AF_UNIX};
    assert_false(weir_probe_is_public(&other));
}

/* A port of loopback that nobody listens on. */
static unsigned closed_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)(const void *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &size), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static void test_nobody_there(void **state)
{
    (void)state;
    char url[64];
    struct weir_probe_result result;
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/", closed_port());
    struct weir_probe_options options = options_for(url);
    assert_int_equal(weir_probe_run(&options, &result), WEIR_OK);
    assert_non_null(strstr(seen, "fail name: 127.0.0.1 is 127.0.0.1, not a public address"));
    assert_non_null(strstr(seen, "fail port: "));
    assert_non_null(strstr(seen, "fail connection: "));
    assert_non_null(strstr(seen, "refused"));
    assert_non_null(strstr(seen, "skip requests: "));
    assert_int_equal(result.counts[WEIR_PROBE_FAIL], 3);
    assert_int_equal(result.requests, 0);
}

static void test_no_such_name(void **state)
{
    (void)state;
    struct weir_probe_result result;
    struct weir_probe_options options = options_for("https://no-such-host.invalid/");
    assert_int_equal(weir_probe_run(&options, &result), WEIR_OK);
    assert_non_null(strstr(seen, "fail name: no-such-host.invalid is not found"));
    assert_int_equal(result.counts[WEIR_PROBE_FAIL], 1);
}

static void test_levels_have_words(void **state)
{
    (void)state;
    assert_string_equal(weir_probe_level_text(WEIR_PROBE_OK), "ok");
    assert_string_equal(weir_probe_level_text(WEIR_PROBE_SKIP), "skip");
    assert_string_equal(weir_probe_level_text(WEIR_PROBE_LEVELS), "?");
}

static void test_findings_are_printable_and_without_the_key(void **state)
{
    (void)state;
    struct weir_probe_options options = options_for("https://weir.example.com/");
    struct weir_probe probe = {.options = &options};
    weir_probe_say(&probe, WEIR_PROBE_WARN, "x", "a-key, \x1b[31m%s\n\xc2\x9b", "not a-key a-keya");
    assert_string_equal(seen, "warn x: *****, ?[31mnot ***** *****a???\n");
    assert_int_equal(probe.result.counts[WEIR_PROBE_WARN], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls_that_are_none),
        cmocka_unit_test(test_options_that_are_none),
        cmocka_unit_test(test_a_target),
        cmocka_unit_test(test_public_addresses),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_no_such_name),
        cmocka_unit_test(test_levels_have_words),
        cmocka_unit_test(test_findings_are_printable_and_without_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
