/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/sources.h"

static struct weir_netaddr source(const char *text)
{
    struct weir_netaddr got = {.known = false};
    bool ipv6 = strchr(text, ':') != NULL;
    assert_int_equal(weir_netaddr_parse(weir_bytes_str(text), ipv6, 1, &got), WEIR_OK);
    return got;
}

static struct weir_sources *sources_of(uint32_t limit, uint32_t connections_max)
{
    struct weir_sources *sources = NULL;
    assert_int_equal(weir_sources_new(limit, connections_max, &sources), WEIR_OK);
    return sources;
}

static void test_limit_of_each(void **state)
{
    (void)state;
    struct weir_sources *sources = sources_of(2, 100);
    struct weir_netaddr a = source("192.0.2.1"), b = source("192.0.2.2");
    uint32_t tickets[3], other;
    assert_true(weir_sources_enter(sources, &a, &tickets[0]));
    a.port = 2; /* which port it comes from is no matter */
    assert_true(weir_sources_enter(sources, &a, &tickets[1]));
    assert_false(weir_sources_enter(sources, &a, &tickets[2]));
    assert_true(weir_sources_enter(sources, &b, &other));
    weir_sources_leave(sources, tickets[0]);
    assert_true(weir_sources_enter(sources, &a, &tickets[0]));
    assert_false(weir_sources_enter(sources, &a, &tickets[2]));
    weir_sources_free(sources);
}

static void test_ipv6_by_64_bits(void **state)
{
    (void)state;
    struct weir_sources *sources = sources_of(1, 100);
    struct weir_netaddr a = source("2001:db8:1:2::1"), same = source("2001:db8:1:2:ffff::2");
    struct weir_netaddr other = source("2001:db8:1:3::1");
    uint32_t ticket;
    assert_true(weir_sources_enter(sources, &a, &ticket));
    assert_false(weir_sources_enter(sources, &same, &ticket));
    assert_true(weir_sources_enter(sources, &other, &ticket));
    struct weir_netaddr four = source("192.0.2.1"), neighbour = source("192.0.2.2");
    assert_true(weir_sources_enter(sources, &four, &ticket));
    assert_true(weir_sources_enter(sources, &neighbour, &ticket));
    weir_sources_free(sources);
}

static void test_unknown_is_not_counted(void **state)
{
    (void)state;
    struct weir_sources *sources = sources_of(1, 100);
    struct weir_netaddr unknown = {.known = false};
    uint32_t ticket;
    for (int i = 0; i < 10; i++) {
        assert_true(weir_sources_enter(sources, &unknown, &ticket));
        weir_sources_leave(sources, ticket);
    }
    weir_sources_free(sources);
}

/* As many sources as connections: each is counted, each can come again, and none is left over. */
static void test_many(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    static uint32_t tickets[MANY];
    struct weir_sources *sources = sources_of(1, MANY);
    struct weir_netaddr at = source("10.0.0.0");
    for (int round = 0; round < 3; round++) {
        uint32_t uncounted = 0;
        for (uint32_t i = 0; i < MANY; i++) {
            at.ip[14] = (uint8_t)(i >> 8);
            at.ip[15] = (uint8_t)i;
            assert_true(weir_sources_enter(sources, &at, &tickets[i]));
            uint32_t again;
            bool twice = weir_sources_enter(sources, &at, &again);
            uncounted += twice;
            if (twice) {
                weir_sources_leave(sources, again);
            }
        }
        assert_true(uncounted < 10);
        for (uint32_t i = 0; i < MANY; i++) {
            weir_sources_leave(sources, tickets[i]);
        }
    }
    weir_sources_free(sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_of_each),
        cmocka_unit_test(test_ipv6_by_64_bits),
        cmocka_unit_test(test_unknown_is_not_counted),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
