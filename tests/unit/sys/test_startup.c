/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/startup.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static int written = 41; /* in a page that may be written to: must not come from the file again */
static const char constant[] = "a constant of the program";

/* Resident KiB of mappings of files that may be executed. */
static long resident_code(void)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char line[512];
    bool is_code = false;
    long sum = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        char access[8];
        long rss;
        if (sscanf(line, "%*x-%*x %7s", access) == 1) {
            is_code = strchr(access, 'x') != NULL && strchr(line, '/') != NULL;
        } else if (is_code && sscanf(line, "Rss: %ld", &rss) == 1) {
            sum += rss;
        }
    }
    (void)fclose(file);
    return sum;
}

static void test_code_leaves_and_comes_back(void **state)
{
    (void)state;
    written++;
    long before = resident_code();
    weir_startup_forget();
    long after = resident_code();
    assert_true(before > 0);
    assert_true(after < before);
    assert_int_equal(written, 42);
    assert_string_equal(constant, "a constant of the program");
    weir_startup_forget(); /* any number of times */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_code_leaves_and_comes_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
