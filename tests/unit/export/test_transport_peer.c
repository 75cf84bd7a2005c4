/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/export/transport_peer.h"
#include "weir/clock.h"
#include "weir/response.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static bool is_refused(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        return weir_transport_peer_is_link_local((const struct sockaddr *)&v4, sizeof v4);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return weir_transport_peer_is_link_local((const struct sockaddr *)&v6, sizeof v6);
}

static void which_addresses_are_link_local(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "169.254.0.0", "169.254.169.254", "169.254.255.255",        "fe80::1",
        "febf::ffff",  "fd00:ec2::254",   "::ffff:169.254.169.254",
    };
    static const char *const taken[] = {"169.253.255.255",
                                        "169.255.0.0",
                                        "127.0.0.1",
                                        "0.0.0.0",
                                        "10.254.169.254",
                                        "254.169.254.169",
                                        "::1",
                                        "fec0::1",
                                        "fe7f::1",
                                        "fd00:ec2::253",
                                        "fd00:ec2::1:254",
                                        "::169.254.0.1",
                                        "2001:db8::1",
                                        "::ffff:127.0.0.1",
                                        "::",
                                        "::fffe:a9fe:1",
                                        "1::ffff:a9fe:1:1"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_true(is_refused(refused[i]));
    }
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        assert_false(is_refused(taken[i]));
    }
    /* what is cut, or of another family */
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xa9fea9fe)};
    assert_false(weir_transport_peer_is_link_local((const struct sockaddr *)&v4, 4));
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    assert_false(weir_transport_peer_is_link_local((const struct sockaddr *)&local, sizeof local));
}

static struct weir_transport_reply ask(const struct weir_transport *transport,
                                       const struct weir_transport_target *target)
{
    struct weir_transport_reply reply;
    const struct weir_transport_request request = {.target = target, .body = WEIR_BYTES("x")};
    assert_int_equal(weir_transport_exchange(transport, &request, &reply), WEIR_OK);
    return reply;
}

static void no_connection_to_a_link_local_address(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "http://169.254.169.254/latest",  "https://169.254.169.254/", "http://2852039166/",
        "http://0xa9.0376.0xa9fe/",       "http://[fe80::1]:80/",     "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.169.254]"};
    struct weir_transport transport;
    assert_int_equal(weir_transport_curl(&transport), WEIR_OK);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        const struct weir_transport_target target = {.url = urls[i],
                                                     .timeout_ns = 5 * WEIR_NS_PER_S};
        struct weir_transport_reply reply = ask(&transport, &target);
        assert_int_equal(reply.failure, WEIR_TRANSPORT_UNREACHED);
        assert_true(reply.is_link_local);
        assert_non_null(strstr(reply.message, "allow_link_local"));
        struct weir_response response = weir_response_read(&reply, 1, NULL);
        assert_int_equal(response.outcome, WEIR_OUTCOME_RETRYABLE);
        assert_string_equal(response.reason, "link_local");
    }
    const struct weir_transport_target proxied = {.url = "http://127.0.0.1/",
                                                  .proxy = "http://169.254.169.254:3128",
                                                  .timeout_ns = 5 * WEIR_NS_PER_S};
    assert_true(ask(&transport, &proxied).is_link_local);
    transport.free(transport.self);
}

static void where_it_is_allowed_it_is_tried(void **state)
{
    (void)state;
    struct weir_transport transport;
    assert_int_equal(weir_transport_curl(&transport), WEIR_OK);
    struct weir_transport_target target = {.url = "http://169.254.213.7:9/",
                                           .allow_link_local = true,
                                           .timeout_ns = WEIR_NS_PER_S / 10};
    assert_false(ask(&transport, &target).is_link_local); /* whatever the network says of it */
    target.allow_link_local = false; /* handles are used again: what was allowed is not kept */
    assert_true(ask(&transport, &target).is_link_local);
    target.url = "http://127.0.0.1:9/"; /* and what was refused is not told of another */
    assert_false(ask(&transport, &target).is_link_local);
    transport.free(transport.self);
}

static bool is_public(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        return weir_transport_peer_is_public((const struct sockaddr *)&v4, sizeof v4);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return weir_transport_peer_is_public((const struct sockaddr *)&v6, sizeof v6);
}

static void which_addresses_are_public(void **state)
{
    (void)state;
    static const char *const others[] = {"0.0.0.0",
                                         "0.255.255.255",
                                         "10.0.0.1",
                                         "100.64.0.1",
                                         "100.127.255.255",
                                         "127.0.0.1",
                                         "127.255.255.255",
                                         "169.254.169.254",
                                         "172.16.0.1",
                                         "172.31.255.255",
                                         "192.0.0.8",
                                         "192.168.0.1",
                                         "198.18.0.1",
                                         "198.19.255.1",
                                         "224.0.0.1",
                                         "240.0.0.1",
                                         "255.255.255.255",
                                         "::",
                                         "::1",
                                         "fe80::1",
                                         "fc00::1",
                                         "fd00:ec2::254",
                                         "ff02::1",
                                         "fec0::1",
                                         "::ffff:127.0.0.1",
                                         "::127.0.0.1",
                                         "::ffff:10.0.0.1",
                                         "2002:7f00:1::",
                                         "2002:a00:1::",
                                         "64:ff9b::7f00:1",
                                         "64:ff9b::a9fe:a9fe",
                                         "64:ff9b:1::1"};
    static const char *const publics[] = {"1.1.1.1",        "9.255.255.255",    "11.0.0.1",
                                          "100.63.255.255", "100.128.0.0",      "126.255.255.255",
                                          "128.0.0.0",      "172.15.255.255",   "172.32.0.0",
                                          "192.0.1.1",      "192.167.255.255",  "198.17.255.255",
                                          "198.20.0.0",     "223.255.255.255",  "2606:4700::1111",
                                          "2002:101:101::", "64:ff9b::101:101", "::ffff:1.1.1.1"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_false(is_public(others[i]));
    }
    for (size_t i = 0; i < sizeof publics / sizeof *publics; i++) {
        assert_true(is_public(publics[i]));
    }
    const struct sockaddr_un local = {.sun_family = AF_UNIX};
    assert_false(weir_transport_peer_is_public((const struct sockaddr *)&local, sizeof local));
}

static void where_only_the_internet_is_allowed(void **state)
{
    (void)state;
    struct weir_transport transport;
    assert_int_equal(weir_transport_curl(&transport), WEIR_OK);
    static const char *const urls[] = {"http://127.0.0.1:9/", "http://localhost:9/",
                                       "http://[::1]:9/"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct weir_transport_target target = {.url = urls[i],
                                               .allow_link_local = true,
                                               .public_only = true,
                                               .timeout_ns = 5 * WEIR_NS_PER_S};
        struct weir_transport_reply reply = ask(&transport, &target);
        assert_true(reply.is_private);
        struct weir_response response = weir_response_read(&reply, 1, NULL);
        assert_string_equal(response.reason, "private_address");
        target.public_only = false;
        assert_false(ask(&transport, &target).is_private);
    }
    transport.free(transport.self);
}

int main(void)
{
    assert_int_equal(weir_transport_curl_global(), WEIR_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_addresses_are_link_local),
        cmocka_unit_test(no_connection_to_a_link_local_address),
        cmocka_unit_test(where_it_is_allowed_it_is_tried),
        cmocka_unit_test(which_addresses_are_public),
        cmocka_unit_test(where_only_the_internet_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
