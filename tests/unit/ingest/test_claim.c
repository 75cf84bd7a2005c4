/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/ingest/claim.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

/* A port that no test listens on: nothing here does. */
static uint16_t port(void)
{
    return (uint16_t)(20000 + getpid() % 20000);
}

static void test_one_wins(void **state)
{
    int first = -1;
    int second = -1;
    (void)state;
    assert_int_equal(weir_claim_take("127.0.0.1:0", port(), &first), WEIR_OK);
    assert_int_equal(weir_claim_take("127.0.0.1:0", port(), &second), WEIR_EEXIST);
    assert_int_equal(weir_claim_take("localhost:80", port(), &second), WEIR_EEXIST);
    assert_int_equal(second, -1);
    assert_int_equal(close(first), 0);
    assert_int_equal(weir_claim_take("127.0.0.1:0", port(), &second), WEIR_OK);
    assert_int_equal(close(second), 0);
}

static void test_another_address_is_another(void **state)
{
    static const char *const others[] = {"127.0.0.2:1", "[::1]:1", "0.0.0.0:1", "[::]:1"};
    int first = -1;
    (void)state;
    assert_int_equal(weir_claim_take("127.0.0.1:1", port(), &first), WEIR_OK);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        int fd = -1;
        assert_int_equal(weir_claim_take(others[i], port(), &fd), WEIR_OK);
        assert_int_equal(close(fd), 0);
    }
    int fd = -1;
    assert_int_equal(weir_claim_take("127.0.0.1:1", (uint16_t)(port() + 1), &fd), WEIR_OK);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(first), 0);
}

static void test_what_is_no_address(void **state)
{
    char longest[300];
    int fd = -1;
    (void)state;
    assert_int_equal(weir_claim_take("nonsense", port(), &fd), WEIR_EINVAL);
    memset(longest, 'a', sizeof longest);
    memcpy(longest + sizeof longest - 3, ":1", 3);
    assert_int_equal(weir_claim_take(longest, port(), &fd), WEIR_EINVAL);
    assert_int_equal(fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_wins),
        cmocka_unit_test(test_another_address_is_another),
        cmocka_unit_test(test_what_is_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
