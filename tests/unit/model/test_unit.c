/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/unit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check(const char *cloudwatch, const char *otlp)
{
    support_assert_bytes(weir_unit_otlp(weir_bytes_str(cloudwatch)), weir_bytes_str(otlp));
}

static void test_the_table_of_the_user_guide(void **state)
{
    (void)state;
    check("Seconds", "s");
    check("Second", "s");
    check("Microseconds", "us");
    check("Milliseconds", "ms");
    check("Bytes", "By");
    check("Kilobytes", "kBy");
    check("Megabytes", "MBy");
    check("Gigabytes", "GBy");
    check("Terabytes", "TBy");
    check("Bits", "bit");
    check("Kilobits", "kbit");
    check("Megabits", "MBit"); /* capitals as AWS prints them */
    check("Gigabits", "GBit");
    check("Terabits", "Tbit");
    check("Percent", "%");
    check("Count", "{Count}");
    check("None", "1");
}

static void test_rates(void **state)
{
    (void)state;
    check("Bytes/Second", "By/s");
    check("Terabytes/Second", "TBy/s");
    check("Megabits/Second", "MBit/s");
    check("Count/Second", "{Count}/s");
}

static void test_what_the_table_does_not_hold_stays(void **state)
{
    (void)state;
    const char *const unknown[] = {"",
                                   "bytes",
                                   "Parsecs",
                                   "Bytes/second",
                                   "Percent/Second",
                                   "None/Second",
                                   "Seconds/Second",
                                   "Count "};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        check(unknown[i], unknown[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_of_the_user_guide),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_what_the_table_does_not_hold_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
