/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "ledger_rig.h"
#include <string.h>

static uint32_t opened(struct weir_ledger *ledger, const char *name)
{
    uint32_t slot = UINT32_MAX;
    const struct weir_spool_destination destination = {name, 0};
    assert_int_equal(weir_ledger_slot_open(ledger, &destination, &slot), WEIR_OK);
    return slot;
}

static void replace(struct weir_ledger *ledger, uint32_t slot, const char *name)
{
    weir_ledger_slot_remove(ledger, slot);
    assert_int_equal(weir_ledger_slot_free(ledger, slot), WEIR_OK);
    assert_int_equal(opened(ledger, name), slot);
}

/* A segment with "c" in slot 0. */
static struct weir_ledger_segment *segment_with_c(struct weir_ledger *ledger, uint64_t number)
{
    struct weir_frame_segment roster = rig_roster(number);
    struct weir_ledger_segment *segment = NULL;
    memcpy(roster.names[0], "c", 2);
    assert_int_equal(weir_ledger_segment_new(ledger, &roster, &segment), WEIR_OK);
    return segment;
}

static void expect_snapshot(struct weir_ledger *ledger, const char *expected)
{
    struct weir_buf notes = weir_buf_grow_init(1 << 20);
    struct rig_text text = {.size = 0};
    weir_ledger_snapshot(ledger, &notes);
    weir_notes_each(weir_buf_view(&notes), rig_print, &text);
    weir_ledger_noted(ledger, true);
    weir_buf_done(&notes);
    assert_string_equal(text.text, expected);
}

static void test_notes_have_the_name_of_their_segment(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_ticket *ticket = rig_commit(ledger, segment, 1, RIG_A | RIG_B, RIG_A);
    weir_ledger_settle(ledger, ticket, 0, WEIR_SETTLED); /* in a run that is not written yet */
    replace(ledger, 0, "c");
    weir_ledger_seal(ledger, segment, false);
    segment = segment_with_c(ledger, 2);
    ticket = rig_commit(ledger, segment, 2, RIG_A, RIG_A);
    weir_ledger_settle(ledger, ticket, 0, WEIR_SETTLED);
    rig_assert_notes(ledger, "done 1-1 a 0 0/0 0;done 2-2 c 0 0/0 0;durable 2-2  0 0/0 0;", true);
    expect_snapshot(ledger, "done 1-1 a 0 0/0 0;done 2-2 c 0 0/0 0;durable 2-2  0 0/0 0;");
    weir_ledger_free(ledger);
}

/* A copy that a failed commit left in a segment is the old name's, too. */
static void test_a_failed_copy_has_the_name_of_its_segment(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *failed = rig_segment(ledger, 1);
    assert_int_equal(weir_ledger_reserve(ledger, failed, 1, RIG_A), WEIR_OK);
    weir_ledger_failed(ledger, failed, RIG_EPOCH + 1, 1);
    struct weir_ticket *other = rig_commit(ledger, failed, 5, RIG_B, RIG_B); /* holds it */
    weir_ledger_seal(ledger, failed, true);
    struct weir_ledger_segment *segment = rig_segment(ledger, 2);
    weir_ledger_settle(ledger, rig_commit(ledger, segment, 1, RIG_A, RIG_A), 0, WEIR_SETTLED);
    weir_ledger_seal(ledger, segment, false);
    rig_assert_notes(ledger, "done 1-1 a 0 0/0 0;durable 5-5  0 0/0 0;", true);
    replace(ledger, 0, "c");
    assert_ptr_equal(weir_ledger_released(ledger, true), segment);
    weir_ledger_segment_free(ledger, segment);
    expect_snapshot(ledger, "done 1-1 a 0 0/0 0;done 5-5 a 0 0/0 0;done 1-1 b 0 0/0 0;"
                            "durable 5-5  0 0/0 0;");
    weir_ledger_settle(ledger, other, 1, WEIR_KEPT);
    weir_ledger_free(ledger);
}

/* What a segment's arrays were for before, is nobody's in the next: least of all the letter's. */
static void test_arrays_that_are_used_again(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    assert_int_equal(opened(ledger, "c"), 2);
    struct weir_frame_segment roster = rig_roster(1);
    struct weir_ledger_segment *segment = NULL;
    roster.name_count = 3;
    memcpy(roster.names[2], "c", 2);
    assert_int_equal(weir_ledger_segment_new(ledger, &roster, &segment), WEIR_OK);
    assert_null(rig_commit(ledger, segment, 1, 4, 0));
    struct weir_backlog_place place;
    assert_int_equal(rig_next(ledger, 2, &place), 1);
    weir_ledger_settle(ledger, place.ticket, 2, WEIR_SETTLED);
    weir_ledger_seal(ledger, segment, false);
    rig_assert_notes(ledger, "done 1-1 c 0 0/0 0;durable 1-1  0 0/0 0;", true);
    assert_ptr_equal(weir_ledger_released(ledger, true), segment);
    weir_ledger_segment_free(ledger, segment);
    segment = rig_segment(ledger, 2); /* whose roster has a and b */
    assert_null(rig_commit(ledger, segment, 2, RIG_A | WEIR_OWED_LETTER, 0));
    expect_snapshot(ledger, "durable 2-2  0 0/0 0;");
    weir_ledger_free(ledger);
}

static void test_a_freed_slot_has_no_progress(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_ticket *ticket = rig_commit(ledger, segment, 1, RIG_A | RIG_B, RIG_A);
    rig_attempted(ledger, ticket, 0, 500);
    rig_part(ledger, ticket, 0, (struct weir_span){0, 4}, WEIR_SETTLED);
    rig_part(ledger, ticket, 0, (struct weir_span){4, 10}, WEIR_KEPT);
    weir_ledger_slot_remove(ledger, 0);
    assert_int_equal(weir_ledger_slot_free(ledger, 0), WEIR_EAGAIN);
    struct weir_backlog_place place;
    assert_int_equal(rig_next(ledger, 0, &place), 0);
    assert_int_equal(rig_next(ledger, WEIR_BACKLOG_GONE, &place), 1);
    assert_int_equal(place.settled_count, 1);
    assert_int_equal(place.used_ns, 500);
    assert_int_equal(weir_ledger_slot_free(ledger, 0), WEIR_EAGAIN);
    weir_ledger_settle(ledger, place.ticket, WEIR_BACKLOG_GONE, WEIR_SETTLED);
    assert_int_equal(weir_ledger_slot_free(ledger, 0), WEIR_OK);
    weir_ledger_free(ledger);
}

static struct weir_note done_note(uint64_t lsn, uint64_t last, const char *name)
{
    return (struct weir_note){.kind = WEIR_NOTE_DONE,
                              .lsn = RIG_EPOCH + lsn,
                              .last = last == 0 ? 0 : RIG_EPOCH + last,
                              .name = weir_bytes_str(name)};
}

static void replay_done(struct weir_ledger *ledger, uint64_t lsn, uint64_t last, const char *name)
{
    struct weir_note note = done_note(lsn, last, name);
    weir_ledger_replay(ledger, &note);
}

/* 60 names fill the slots. */
static void fill(struct weir_ledger *ledger)
{
    struct weir_frame_segment roster = rig_roster(1);
    roster.name_count = 60;
    for (uint32_t i = 0; i < 60; i++) {
        (void)snprintf(roster.names[i], sizeof roster.names[i], "full-%u", i);
    }
    assert_int_equal(weir_ledger_mask(ledger, &roster, RIG_EPOCH + 900, UINT64_MAX >> 4),
                     (UINT64_MAX >> 4) << 2);
}

static void test_names_without_a_slot_are_noted(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_frame_segment roster = rig_roster(1);
    memcpy(roster.names[0], "x", 2);
    memcpy(roster.names[1], "y", 2);
    fill(ledger);
    static const uint64_t owed[] = {3, 1, 2, 1 | 1 << 9}; /* of 1 to 4; 9: nobody's name */
    uint64_t masks[4];
    for (uint32_t i = 4; i-- > 0;) { /* in any order */
        masks[i] = weir_ledger_mask(ledger, &roster, RIG_EPOCH + i + 1, owed[i]);
        assert_int_equal(masks[i], UINT64_C(1) << 62);
    }
    struct weir_ledger_segment *segment = rig_found(ledger, 1);
    for (uint32_t i = 0; i < 4; i++) {
        struct weir_ledger_record record = rig_record(i + 1, masks[i]);
        assert_int_equal(weir_ledger_scan(ledger, segment, &record), WEIR_OK);
    }
    replay_done(ledger, 1, 4, "z");
    assert_int_equal(rig_look(ledger).records, 4);
    replay_done(ledger, 1, 4, "x");
    assert_int_equal(rig_look(ledger).records, 3); /* 1 is owed to y, 4 to nobody's name */
    replay_done(ledger, 3, 0, "y");
    assert_int_equal(rig_look(ledger).records, 2);
    replay_done(ledger, 1, 0, "y");
    replay_done(ledger, 1, 0, "y");
    assert_int_equal(rig_look(ledger).records, 1);
    weir_ledger_replayed(ledger);
    replay_done(ledger, 4, 0, "x");
    struct weir_backlog_place place;
    assert_int_equal(rig_next(ledger, WEIR_BACKLOG_GONE, &place), 4);
    weir_ledger_settle(ledger, place.ticket, WEIR_BACKLOG_GONE, WEIR_SETTLED);
    weir_ledger_free(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notes_have_the_name_of_their_segment),
        cmocka_unit_test(test_a_failed_copy_has_the_name_of_its_segment),
        cmocka_unit_test(test_arrays_that_are_used_again),
        cmocka_unit_test(test_a_freed_slot_has_no_progress),
        cmocka_unit_test(test_names_without_a_slot_are_noted),
    };
    return cmocka_run_group_tests_name("ledger_slots", tests, NULL, NULL);
}
