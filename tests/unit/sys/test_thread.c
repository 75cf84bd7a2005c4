/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/panic.h"
#include "weir/thread.h"
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

struct seen {
    enum weir_thread_role role;
    char name[16];
    int blocked;
};

static void look(void *argument)
{
    struct seen *seen = argument;
    seen->role = weir_thread_role();
    (void)pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    seen->blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGHUP) == 1 &&
                    sigismember(&mask, SIGSYS) == 0; /* the sandbox's */
}

static void assert_loop(void *argument)
{
    (void)argument;
    WEIR_ASSERT_ROLE(WEIR_ROLE_LOOP);
}

static struct seen start_and_join(enum weir_thread_role role, const char *name)
{
    struct seen seen = {WEIR_ROLE_TEST, "", 0};
    struct weir_thread *thread = NULL;
    assert_int_equal(weir_thread_start(role, name, look, &seen, &thread), WEIR_OK);
    assert_non_null(thread);
    weir_thread_join(thread);
    return seen;
}

static void test_a_thread_has_its_role_and_name(void **state)
{
    (void)state;
    struct seen seen = start_and_join(WEIR_ROLE_EXPORTER, "exporter 1");
    assert_int_equal(seen.role, WEIR_ROLE_EXPORTER);
    assert_string_equal(seen.name, "exporter 1");
}

static void test_a_long_name_is_cut(void **state)
{
    (void)state;
    struct seen seen = start_and_join(WEIR_ROLE_LOOP, "a name that is too long");
    assert_string_equal(seen.name, "a name that is ");
}

static void test_signals_stay_with_the_main_thread(void **state)
{
    (void)state;
    struct seen seen = start_and_join(WEIR_ROLE_LOOP, "x");
    assert_true(seen.blocked);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

static void test_the_wrong_role_is_asserted(void **state)
{
    (void)state;
    assert_int_equal(weir_thread_role(), WEIR_ROLE_MAIN);
    assert_true(support_aborts(assert_loop, NULL));
    weir_thread_play(WEIR_ROLE_LOOP);
    assert_false(support_aborts(assert_loop, NULL));
    weir_thread_play(WEIR_ROLE_MAIN);
    assert_true(support_aborts(assert_loop, NULL));
}

static void test_joining_nothing_is_nothing(void **state)
{
    (void)state;
    weir_thread_join(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thread_has_its_role_and_name),
        cmocka_unit_test(test_a_long_name_is_cut),
        cmocka_unit_test(test_signals_stay_with_the_main_thread),
        cmocka_unit_test(test_the_wrong_role_is_asserted),
        cmocka_unit_test(test_joining_nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
