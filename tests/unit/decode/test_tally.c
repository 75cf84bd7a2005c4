/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/tally.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_counts_and_keeps(void **state)
{
    (void)state;
    struct weir_tally tally = {0};
    weir_tally_quarantine(&tally, WEIR_QUARANTINE_JSON_LINE, 7, WEIR_BYTES("what"));
    assert_int_equal(tally.quarantined[WEIR_QUARANTINE_JSON_LINE], 1);
    assert_int_equal(tally.kept_count, 1);
    assert_int_equal(tally.kept[0].record, 7);
    assert_int_equal(tally.kept[0].reason, WEIR_QUARANTINE_JSON_LINE);
    support_assert_bytes(tally.kept[0].whole, WEIR_BYTES("what"));
}

static void test_the_list_is_capped_and_the_counts_are_not(void **state)
{
    (void)state;
    struct weir_tally tally = {0};
    for (uint32_t i = 0; i < WEIR_QUARANTINED_KEPT + 10; i++) {
        weir_tally_quarantine(&tally, WEIR_QUARANTINE_UNKNOWN, i, WEIR_BYTES("x"));
    }
    assert_int_equal(tally.quarantined[WEIR_QUARANTINE_UNKNOWN], WEIR_QUARANTINED_KEPT + 10);
    assert_int_equal(tally.kept_count, WEIR_QUARANTINED_KEPT);
    assert_int_equal(tally.kept[WEIR_QUARANTINED_KEPT - 1].record, WEIR_QUARANTINED_KEPT - 1);
}

/* Label values: each there, each its own, lower case and underscores. */
static void check_label(const char *text)
{
    assert_non_null(text);
    assert_true(text[0] != '\0');
    for (; *text != '\0'; text++) {
        assert_true((*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9') ||
                    *text == '_');
    }
}

static void test_texts_are_distinct_labels(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WEIR_QUARANTINE_REASONS; i++) {
        check_label(weir_quarantine_text((enum weir_quarantine)i));
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(weir_quarantine_text((enum weir_quarantine)i),
                                    weir_quarantine_text((enum weir_quarantine)j));
        }
    }
    for (unsigned i = 0; i < WEIR_RECORD_FORMATS; i++) {
        check_label(weir_record_format_text((enum weir_record_format)i));
    }
}

static void name_no_reason(void *argument)
{
    (void)argument;
    (void)weir_quarantine_text(WEIR_QUARANTINE_REASONS);
}

static void test_a_reason_out_of_range_is_our_bug(void **state)
{
    (void)state;
    assert_true(support_aborts(name_no_reason, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_and_keeps),
        cmocka_unit_test(test_the_list_is_capped_and_the_counts_are_not),
        cmocka_unit_test(test_texts_are_distinct_labels),
        cmocka_unit_test(test_a_reason_out_of_range_is_our_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
