/* SPDX-License-Identifier: Apache-2.0 */
#include "load/hint.h"
#include "load/sinks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *hint_of(enum weir_transport_failure failure, int status)
{
    const struct weir_transport_reply reply = {.failure = failure, .status = status};
    return weir_load_hint(&reply);
}

static void what_passes_by_itself_needs_no_hint(void **state)
{
    (void)state;
    static const int codes[] = {200, 204, 302, 408, 429, 500, 502, 503, 504};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        assert_null(hint_of(WEIR_TRANSPORT_ANSWERED, codes[i]));
    }
    assert_null(hint_of(WEIR_TRANSPORT_LOST, 0));
    assert_null(hint_of(WEIR_TRANSPORT_TIMEOUT, 0));
    assert_null(hint_of(WEIR_TRANSPORT_REFUSED, 0));
}

static void what_does_not_pass_has_one(void **state)
{
    (void)state;
    assert_non_null(strstr(hint_of(WEIR_TRANSPORT_ANSWERED, 401), "--key-file"));
    assert_non_null(strstr(hint_of(WEIR_TRANSPORT_ANSWERED, 403), "--key-file"));
    assert_non_null(strstr(hint_of(WEIR_TRANSPORT_ANSWERED, 404), "URL"));
    assert_non_null(strstr(hint_of(WEIR_TRANSPORT_ANSWERED, 413), "dropped"));
    assert_non_null(hint_of(WEIR_TRANSPORT_ANSWERED, 400));
    assert_non_null(strstr(hint_of(WEIR_TRANSPORT_UNTRUSTED, 0), "--ca-file"));
    assert_non_null(hint_of(WEIR_TRANSPORT_UNREACHED, 0));
}

static bool is_good(struct weir_load_verdict verdict, bool refused, uint64_t repeated)
{
    const struct weir_load_options options = {.allow_refused = refused, .allow_repeated = repeated};
    return weir_load_sinks_judge(&options, &verdict);
}

static void a_verdict_is_good_when_nothing_is_amiss(void **state)
{
    (void)state;
    assert_true(is_good((struct weir_load_verdict){.told = true}, false, 0));
    assert_true(is_good((struct weir_load_verdict){.told = true, .repeated = 9}, false, 0));
    assert_false(is_good((struct weir_load_verdict){.told = false}, true, 9));
    assert_false(is_good((struct weir_load_verdict){.told = true, .missing = 1}, true, 9));
    assert_false(is_good((struct weir_load_verdict){.told = true, .wrong = 1}, true, 9));
    assert_false(is_good((struct weir_load_verdict){.told = true, .unpromised = 1}, true, 9));
}

static void what_is_allowed_is_allowed_and_no_more(void **state)
{
    (void)state;
    const struct weir_load_verdict refused = {.told = true, .refused = 3};
    const struct weir_load_verdict again = {.told = true, .duplicated = 3};
    assert_false(is_good(refused, false, 9));
    assert_true(is_good(refused, true, 0));
    assert_false(is_good(again, true, 0));
    assert_false(is_good(again, true, 2));
    assert_true(is_good(again, false, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_passes_by_itself_needs_no_hint),
        cmocka_unit_test(what_does_not_pass_has_one),
        cmocka_unit_test(a_verdict_is_good_when_nothing_is_amiss),
        cmocka_unit_test(what_is_allowed_is_allowed_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
