/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/panic.h"
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static void assert_number(void *argument)
{
    const int *number = argument;
    WEIR_ASSERT(*number == 7);
}

static void check_number(void *argument)
{
    const int *number = argument;
    WEIR_DCHECK(*number == 7);
    (void)number;
}

static void reach(void *argument)
{
    (void)argument;
    WEIR_UNREACHABLE();
}

enum { ABORTED = 99 };

/* Ends without the signal: an emulator would add a line of its own about it. */
static void on_abort(int number)
{
    (void)number;
    _exit(ABORTED);
}

/* What a panic writes, read through a pipe. */
static size_t panic_text(const char *what, char *text, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, on_abort);
        weir_panic("src/some/file.c", 42, what);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], text + length, size - 1 - length)) > 0) {
        length += (size_t)got;
    }
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ABORTED);
    text[length] = '\0';
    return length;
}

static void test_an_assertion_holds_or_aborts(void **state)
{
    (void)state;
    int number = 8;
    assert_true(support_aborts(assert_number, &number));
    number = 7;
    assert_false(support_aborts(assert_number, &number));
}

static void test_a_check_aborts_only_where_checks_are_on(void **state)
{
    (void)state;
    int number = 8;
#ifdef WEIR_DCHECKS
    assert_true(support_aborts(check_number, &number));
#else
    assert_false(support_aborts(check_number, &number));
#endif
}

static void test_unreachable_aborts(void **state)
{
    (void)state;
    assert_true(support_aborts(reach, NULL));
}

static void test_the_line_says_where_and_what(void **state)
{
    (void)state;
    char text[2048];
    panic_text("a > b", text, sizeof text);
    assert_string_equal(text, "weir: panic at src/some/file.c:42: a > b\n");
}

static void test_a_long_reason_is_cut_and_still_ends_its_line(void **state)
{
    (void)state;
    char what[1000];
    memset(what, 'x', sizeof what - 1);
    what[sizeof what - 1] = '\0';
    char text[2048];
    size_t length = panic_text(what, text, sizeof text);
    assert_int_equal(length, 512);
    assert_int_equal(text[length - 1], '\n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_assertion_holds_or_aborts),
        cmocka_unit_test(test_a_check_aborts_only_where_checks_are_on),
        cmocka_unit_test(test_unreachable_aborts),
        cmocka_unit_test(test_the_line_says_where_and_what),
        cmocka_unit_test(test_a_long_reason_is_cut_and_still_ends_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
