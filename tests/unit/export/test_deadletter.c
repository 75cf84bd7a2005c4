/* SPDX-License-Identifier: Apache-2.0 */
#include "counting.h"
#include "weir/deadletter.h"
#include "weir/expo.h"
#include "weir/metrics.h"
#include "weir/rcu.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static double counted(const char *destination, const char *reason)
{
    const struct weir_bytes labels[] = {weir_bytes_str(destination), weir_bytes_str(reason)};
    return weir_expo_value(weir_metrics_series(WEIR_M_DEAD_LETTER_POINTS, labels));
}

static struct weir_deadletter a_letter(enum weir_deadletter_reason reason, uint32_t points)
{
    return (struct weir_deadletter){.destination = "collector",
                                    .reason = reason,
                                    .message = "bad\nlabel",
                                    .request_id = "request-1",
                                    .stream = "stream",
                                    .requests = 2,
                                    .points = points};
}

static void points_are_counted_by_destination_and_reason(void **state)
{
    (void)state;
    struct weir_deadletter letter = a_letter(WEIR_DEADLETTER_REFUSED, 7);
    weir_deadletter_put(&letter);
    letter = a_letter(WEIR_DEADLETTER_EXPIRED, 5);
    weir_deadletter_put(&letter);
    weir_deadletter_put(&letter);
    assert_true(counted("collector", "refused") == 7);
    assert_true(counted("collector", "expired") == 10);
    assert_true(counted("collector", "shutdown") == 0);
    assert_true(counted("console", "refused") == 0);
}

static void the_log_line_names_the_request_and_cannot_be_forged(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-deadletter-XXXXXX";
    int file = mkstemp(path);
    int kept = dup(STDERR_FILENO);
    assert_true(file >= 0);
    assert_true(kept >= 0);
    struct weir_deadletter letter = a_letter(WEIR_DEADLETTER_TOO_LARGE, 1);
    (void)dup2(file, STDERR_FILENO);
    weir_deadletter_put(&letter);
    (void)dup2(kept, STDERR_FILENO);
    close(kept);
    char line[2048] = {0};
    ssize_t size = pread(file, line, sizeof(line) - 1, 0);
    close(file);
    unlink(path);
    assert_true(size > 0);
    assert_non_null(strstr(line, "too_large"));
    assert_non_null(strstr(line, "request-1"));
    assert_non_null(strstr(line, "stream"));
    assert_null(strstr(line, "bad\nlabel"));
    assert_ptr_equal(strchr(line, '\n'), line + size - 1);
}

static void reasons_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < WEIR_DEADLETTER_REASONS; i++) {
        assert_non_null(weir_deadletter_reason_text((enum weir_deadletter_reason)i));
    }
    assert_string_equal(weir_deadletter_reason_text(WEIR_DEADLETTER_OUTAGE), "outage");
}

static int set_up(void **state)
{
    (void)state;
    counting_start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    counting_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_counted_by_destination_and_reason),
        cmocka_unit_test(the_log_line_names_the_request_and_cannot_be_forged),
        cmocka_unit_test(reasons_have_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
