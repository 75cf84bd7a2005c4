/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "../../../src/spool/slots.h"
#include <stdio.h>
#include <string.h>

static struct weir_slots slots;

static uint32_t opened(const char *name)
{
    uint32_t slot = UINT32_MAX;
    const struct weir_spool_destination destination = {name, 7};
    assert_int_equal(weir_slots_open(&slots, &destination, &slot), WEIR_OK);
    return slot;
}

static enum weir_status refused(const char *name)
{
    uint32_t slot = 99;
    const struct weir_spool_destination destination = {name, 7};
    struct weir_slots before = slots;
    enum weir_status status = weir_slots_open(&slots, &destination, &slot);
    assert_int_equal(slot, 99);
    assert_memory_equal(&before, &slots, sizeof slots);
    return status;
}

static bool is_found(const char *name)
{
    uint32_t slot = 0;
    return weir_slots_find(&slots, weir_bytes_str(name), &slot);
}

static int two(void **state)
{
    static const struct weir_spool_destination destinations[] = {{"a", 0}, {"b", 3}};
    (void)state;
    weir_slots_init(&slots, destinations, 2);
    return 0;
}

static void test_the_first_have_the_first_slots(void **state)
{
    (void)state;
    uint32_t slot = 9;
    assert_int_equal(slots.open, 3);
    assert_int_equal(slots.gone, UINT64_C(1) << 62);
    assert_true(weir_slots_find(&slots, WEIR_BYTES("b"), &slot));
    assert_int_equal(slot, 1);
    assert_true(weir_slots_find(&slots, WEIR_BYTES(""), &slot));
    assert_int_equal(slot, WEIR_SPOOL_LETTER);
    assert_false(is_found("c"));
    assert_false(is_found("aa"));
    assert_int_equal(opened("b"), 1); /* open already: its share alone */
    assert_int_equal(slots.shares[1], 7);
    assert_int_equal(slots.open, 3);
}

static void test_names_that_are_none(void **state)
{
    (void)state;
    char name[67];
    memset(name, 'n', sizeof name);
    name[65] = '\0';
    assert_int_equal(refused(""), WEIR_EINVAL);
    assert_int_equal(refused(name), WEIR_EINVAL);
    name[64] = '\0';
    assert_int_equal(opened(name), 2);
    assert_string_equal(slots.names[2], name);
}

static void test_a_removed_one_keeps_its_slot(void **state)
{
    (void)state;
    weir_slots_remove(&slots, 0);
    assert_true(weir_slots_is_gone(&slots, 0));
    assert_false(weir_slots_is_open(&slots, 0));
    assert_true(is_found("a")); /* notes speak of it still */
    assert_int_equal(opened("c"), 2);
    assert_int_equal(opened("a"), 0);
    assert_true(weir_slots_is_open(&slots, 0));
    assert_false(weir_slots_is_gone(&slots, 0));
}

static void test_a_freed_one_may_be_anybodys(void **state)
{
    (void)state;
    weir_slots_remove(&slots, 0);
    weir_slots_free(&slots, 0);
    assert_false(is_found("a"));
    assert_int_equal(opened("a"), 0); /* nobody else came */
    weir_slots_remove(&slots, 0);
    weir_slots_remove(&slots, 0); /* twice is once */
    weir_slots_free(&slots, 0);
    assert_int_equal(opened("ccc"), 0);
    assert_false(is_found("a"));
    assert_int_equal(opened("a"), 2);
    weir_slots_remove(&slots, 0);
    weir_slots_free(&slots, 0);
    assert_int_equal(opened("d"), 0); /* nothing is left of the longer name */
    assert_string_equal(slots.names[0], "d");
    assert_int_equal(slots.names[0][2], 0);
}

static void test_all_slots(void **state)
{
    (void)state;
    char name[16];
    for (uint32_t i = 2; i < WEIR_SLOTS_NAMED; i++) {
        (void)snprintf(name, sizeof name, "name-%u", i);
        assert_int_equal(opened(name), i);
    }
    assert_int_equal(refused("one-more"), WEIR_EFULL);
    assert_int_equal(weir_slots_found(&slots, "one-more"), WEIR_BACKLOG_GONE);
    assert_int_equal(opened("name-40"), 40);
    weir_slots_remove(&slots, 17);
    assert_int_equal(refused("one-more"), WEIR_EFULL); /* something may still be owed to it */
    weir_slots_free(&slots, 17);
    assert_int_equal(opened("one-more"), 17);
}

static void test_names_of_rosters(void **state)
{
    (void)state;
    assert_int_equal(weir_slots_found(&slots, "b"), 1);
    assert_int_equal(weir_slots_found(&slots, "old"), 2);
    assert_int_equal(weir_slots_found(&slots, "older"), 3);
    assert_int_equal(weir_slots_found(&slots, "old"), 2);
    assert_int_equal(weir_slots_found(&slots, ""), WEIR_BACKLOG_GONE);
    assert_int_equal(slots.found, 12);
    assert_int_equal(opened("older"), 3); /* configured again */
    assert_int_equal(slots.found, 4);
    assert_true(weir_slots_is_open(&slots, 3));
    assert_false(weir_slots_is_open(&slots, 2));
}

static void test_a_roster_has_all_names_up_to_its_last(void **state)
{
    (void)state;
    struct weir_frame_segment roster = {.name_count = 0};
    weir_slots_roster(&slots, 0, &roster);
    assert_int_equal(roster.name_count, 1);
    assert_int_equal(weir_slots_found(&slots, "old"), 2);
    assert_int_equal(opened("c"), 3);
    weir_slots_roster(&slots, 3, &roster);
    assert_int_equal(roster.name_count, 4);
    assert_string_equal(roster.names[2], "old");
    assert_string_equal(roster.names[3], "c");
    weir_slots_remove(&slots, 0);
    weir_slots_free(&slots, 0);
    assert_int_equal(opened("d"), 0);
    weir_slots_roster(&slots, 0, &roster); /* it never becomes shorter */
    assert_int_equal(roster.name_count, 4);
    assert_string_equal(roster.names[0], "d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_first_have_the_first_slots, two),
        cmocka_unit_test_setup(test_names_that_are_none, two),
        cmocka_unit_test_setup(test_a_removed_one_keeps_its_slot, two),
        cmocka_unit_test_setup(test_a_freed_one_may_be_anybodys, two),
        cmocka_unit_test_setup(test_all_slots, two),
        cmocka_unit_test_setup(test_names_of_rosters, two),
        cmocka_unit_test_setup(test_a_roster_has_all_names_up_to_its_last, two),
    };
    return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
