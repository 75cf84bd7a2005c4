/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/status.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static enum weir_status try_two(enum weir_status first, int *reached)
{
    WEIR_TRY(first);
    *reached = 1;
    return WEIR_EEND;
}

static void test_every_status_has_its_own_text(void **state)
{
    (void)state;
    for (int i = WEIR_OK; i <= WEIR_EUNSUPPORTED; i++) {
        const char *text = weir_status_text((enum weir_status)i);
        assert_non_null(text);
        assert_string_not_equal(text, "unknown status");
        for (int j = WEIR_OK; j < i; j++) {
            assert_string_not_equal(text, weir_status_text((enum weir_status)j));
        }
    }
}

static void test_a_value_that_is_none_has_a_text_too(void **state)
{
    (void)state;
    assert_string_equal(weir_status_text((enum weir_status)1000), "unknown status");
    assert_string_equal(weir_status_text((enum weir_status)(WEIR_EUNSUPPORTED + 1)),
                        "unknown status");
}

static void test_try_returns_at_the_first_failure(void **state)
{
    (void)state;
    int reached = 0;
    assert_int_equal(try_two(WEIR_EFULL, &reached), WEIR_EFULL);
    assert_int_equal(reached, 0);
    assert_int_equal(try_two(WEIR_EAGAIN, &reached), WEIR_EAGAIN);
    assert_int_equal(reached, 0);
    assert_int_equal(try_two(WEIR_OK, &reached), WEIR_EEND);
    assert_int_equal(reached, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_has_its_own_text),
        cmocka_unit_test(test_a_value_that_is_none_has_a_text_too),
        cmocka_unit_test(test_try_returns_at_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
