/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/netaddr.h"
#include <netinet/in.h>

static struct weir_netaddr address(const char *text)
{
    struct weir_netaddr got = {.known = false};
    bool ipv6 = strchr(text, ':') != NULL;
    assert_int_equal(weir_netaddr_parse(weir_bytes_str(text), ipv6, 7, &got), WEIR_OK);
    return got;
}

static bool within(const char *text, const char *network_text)
{
    struct weir_netaddr at = address(text);
    struct weir_network network;
    assert_int_equal(weir_netaddr_network(network_text, &network), WEIR_OK);
    return weir_netaddr_within(&at, &network);
}

static void test_text(void **state)
{
    (void)state;
    char text[WEIR_NETADDR_TEXT_MAX];
    struct weir_netaddr at = address("192.0.2.1");
    weir_netaddr_text(&at, text);
    assert_string_equal(text, "192.0.2.1:7");
    at = address("2001:db8::1");
    weir_netaddr_text(&at, text);
    assert_string_equal(text, "[2001:db8::1]:7");
    at = address("::ffff:192.0.2.1"); /* as a socket for both families has it */
    weir_netaddr_text(&at, text);
    assert_string_equal(text, "192.0.2.1:7");
    at.known = false;
    weir_netaddr_text(&at, text);
    assert_string_equal(text, "unknown");
}

static void test_what_is_no_address(void **state)
{
    (void)state;
    static const char *const texts[] = {"",          "1",        "1.2.3",    "1.2.3.4.5",
                                        "1.2.3.256", "1.2.3.4 ", " 1.2.3.4", "01.2.3.4",
                                        "a.b.c.d",   "::1"};
    struct weir_netaddr got;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(weir_netaddr_parse(weir_bytes_str(texts[i]), false, 0, &got), WEIR_EINVAL);
    }
    assert_int_equal(weir_netaddr_parse(WEIR_BYTES("1.2.3.4"), true, 0, &got), WEIR_EINVAL);
    assert_int_equal(weir_netaddr_parse(WEIR_BYTES("::1\0"), true, 0, &got), WEIR_EINVAL);
    assert_int_equal(weir_netaddr_parse(WEIR_BYTES("::g"), true, 0, &got), WEIR_EINVAL);
}

static void test_sockets(void **state)
{
    (void)state;
    struct sockaddr_storage name = {.ss_family = AF_UNIX};
    assert_false(weir_netaddr_of_socket(&name).known);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&name, &in, sizeof(in));
    char text[WEIR_NETADDR_TEXT_MAX];
    struct weir_netaddr got = weir_netaddr_of_socket(&name);
    weir_netaddr_text(&got, text);
    assert_string_equal(text, "127.0.0.1:80");
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(81)};
    in6.sin6_addr = in6addr_loopback;
    memcpy(&name, &in6, sizeof(in6));
    got = weir_netaddr_of_socket(&name);
    weir_netaddr_text(&got, text);
    assert_string_equal(text, "[::1]:81");
}

static void test_networks(void **state)
{
    (void)state;
    assert_true(within("10.255.0.1", "10.0.0.0/8"));
    assert_false(within("11.0.0.1", "10.0.0.0/8"));
    assert_true(within("10.1.2.3", "10.1.2.2/31"));
    assert_false(within("10.1.2.4", "10.1.2.2/31"));
    assert_true(within("10.1.2.3", "10.1.2.3"));
    assert_false(within("10.1.2.4", "10.1.2.3/32"));
    assert_true(within("203.0.113.9", "0.0.0.0/0"));
    assert_false(within("2001:db8::1", "0.0.0.0/0"));
    assert_true(within("2001:db8:7::1", "2001:db8::/32"));
    assert_false(within("2001:db9::1", "2001:db8::/32"));
    assert_true(within("::1", "::1/128"));
    assert_true(within("192.0.2.1", "::/0"));
    struct weir_network any;
    struct weir_netaddr unknown = {.known = false};
    assert_int_equal(weir_netaddr_network("::/0", &any), WEIR_OK);
    assert_false(weir_netaddr_within(&unknown, &any));
}

static void test_what_is_no_network(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",           "/8",           "10.0.0.0/",    "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1",
        "10.0.0.1/8", "10.0.0.0/8 ",  "10.0.0.0/8/8", "::/129",      "::1/64",      "example.com",
        "[::1]/128",  "10.0.0.0/1000"};
    struct weir_network got;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(weir_netaddr_network(texts[i], &got), WEIR_EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_what_is_no_address),
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_what_is_no_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
