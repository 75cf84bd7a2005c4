/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ledger_rig.h"
#include "weir/mem.h"

static void test_settled_record_is_owed_no_more(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_ticket *ticket = rig_commit(ledger, segment, 1, RIG_A | RIG_B, RIG_A | RIG_B);
    assert_int_equal(rig_look(ledger).records, 1);
    assert_int_equal(rig_look(ledger).oldest_wall_ns, 1000000000);
    rig_part(ledger, ticket, 0, (struct weir_span){0, 10}, WEIR_SETTLED);
    assert_int_equal(rig_look(ledger).records, 1);
    rig_part(ledger, ticket, 1, (struct weir_span){10, 20}, WEIR_SETTLED);
    assert_int_equal(rig_look(ledger).records, 0);
    assert_int_equal(rig_look(ledger).owed_bytes, 0);
    assert_int_equal(rig_look(ledger).oldest_wall_ns, 0);
    rig_assert_notes(ledger, "done 1-1 a 0 0/0 0;done 1-1 b 0 0/0 0;durable 1-1  0 0/0 0;", true);
    weir_ledger_free(ledger);
}

static void test_segment_is_released_when_it_is_noted(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_ticket *ticket = rig_commit(ledger, segment, 1, RIG_A, RIG_A);
    rig_part(ledger, ticket, 0, (struct weir_span){0, 10}, WEIR_SETTLED);
    rig_assert_notes(ledger, "done 1-1 a 0 0/0 0;durable 1-1  0 0/0 0;", false);
    assert_null(weir_ledger_released(ledger, true)); /* still open, and not noted */
    weir_ledger_seal(ledger, segment, true);
    assert_null(weir_ledger_released(ledger, true));
    assert_true(weir_ledger_wants_snapshot(ledger));
    struct weir_buf out = weir_buf_grow_init(4096);
    weir_ledger_snapshot(ledger, &out);
    assert_null(weir_ledger_released(ledger, true));
    weir_ledger_noted(ledger, true);
    assert_false(weir_ledger_wants_snapshot(ledger));
    assert_ptr_equal(weir_ledger_released(ledger, true), segment);
    assert_null(weir_ledger_released(ledger, true)); /* once */
    assert_true(weir_ledger_facts(ledger, segment).cut_or_tainted);
    assert_int_equal(weir_ledger_facts(ledger, segment).number, 1);
    struct weir_buf again = weir_buf_grow_init(4096);
    weir_ledger_snapshot(ledger, &again); /* its name may come back: it is still noted */
    weir_ledger_noted(ledger, true);
    assert_int_equal(again.size, out.size);
    weir_ledger_segment_free(ledger, segment);
    weir_buf_done(&out);
    weir_buf_done(&again);
    weir_ledger_free(ledger);
}

static void test_neighbours_are_one_note(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_ticket *tickets[6];
    for (uint32_t i = 0; i < 6; i++) {
        tickets[i] = rig_commit(ledger, segment, i + 1, RIG_A, RIG_A);
    }
    static const uint32_t order[] = {0, 1, 2, 5, 4};
    for (uint32_t i = 0; i < 5; i++) {
        weir_ledger_settle(ledger, tickets[order[i]], 0, WEIR_SETTLED);
    }
    rig_assert_notes(ledger,
                     "done 1-3 a 0 0/0 0;done 6-6 a 0 0/0 0;done 5-5 a 0 0/0 0;"
                     "durable 6-6  0 0/0 0;",
                     true);
    weir_ledger_settle(ledger, tickets[3], 0, WEIR_SETTLED);
    rig_assert_notes(ledger, "done 4-4 a 0 0/0 0;", true);
    weir_ledger_free(ledger);
}

static void test_kept_waits_with_its_progress(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_backlog_place place;
    weir_ledger_tick(ledger, 5000);
    struct weir_ticket *ticket = rig_commit(ledger, segment, 1, RIG_A, RIG_A);
    rig_part(ledger, ticket, 0, (struct weir_span){2, 5}, WEIR_SETTLED);
    rig_attempted(ledger, ticket, 0, 700);
    rig_attempted(ledger, ticket, 0, 300); /* less than before: nothing new */
    rig_part(ledger, ticket, 0, (struct weir_span){5, 9}, WEIR_KEPT);
    assert_int_equal(rig_look(ledger).backlog_records[0], 0); /* three are still on their way */
    assert_int_equal(weir_ledger_next(ledger, 0, &place), WEIR_EEND);
    rig_part(ledger, ticket, 0, (struct weir_span){12, 15}, WEIR_SETTLED);
    assert_int_equal(rig_look(ledger).backlog_records[0], 1);
    assert_int_equal(rig_look(ledger).backlog_bytes[0], RIG_EXTENT);
    assert_int_equal(rig_next(ledger, 0, &place), 1);
    assert_int_equal(place.kind, WEIR_BACKLOG_DELIVER);
    assert_string_equal(place.name, "a");
    assert_int_equal(place.settled_count, 2);
    assert_int_equal(place.settled[0].begin, 2);
    assert_int_equal(place.settled[0].end, 5);
    assert_int_equal(place.settled[1].begin, 12);
    assert_int_equal(place.settled_total, 20);
    assert_int_equal(place.used_ns, 700);
    assert_int_equal(place.first_wall_ns, 4300);
    assert_int_equal(weir_ledger_next(ledger, 0, &place), WEIR_EEND);
    weir_ledger_expect(ledger, place.ticket, 0, 4, 20);
    rig_part(ledger, place.ticket, 0, (struct weir_span){5, 9}, WEIR_SETTLED);
    assert_int_equal(rig_look(ledger).records, 0);
    rig_assert_notes(ledger,
                     "part 1-1 a 2 5/20 0;attempted 1-1 a 0 0/7 700;part 1-1 a 12 15/20 0;"
                     "done 1-1 a 0 0/0 0;durable 1-1  0 0/0 0;",
                     true);
    weir_ledger_free(ledger);
}

static void test_another_numbering_forgets_the_spans(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_backlog_place place;
    struct weir_ticket *ticket = rig_commit(ledger, segment, 1, RIG_A, RIG_A);
    rig_part(ledger, ticket, 0, (struct weir_span){2, 5}, WEIR_SETTLED);
    weir_ledger_settle(ledger, ticket, 0, WEIR_KEPT);
    assert_int_equal(rig_next(ledger, 0, &place), 1);
    weir_ledger_expect(ledger, place.ticket, 0, 30, 30);
    rig_part(ledger, place.ticket, 0, (struct weir_span){2, 5}, WEIR_SETTLED); /* no repetition */
    weir_ledger_settle(ledger, place.ticket, 0, WEIR_KEPT);
    assert_int_equal(rig_next(ledger, 0, &place), 1);
    assert_int_equal(place.settled_total, 30);
    assert_int_equal(place.settled_count, 1);
    weir_ledger_settle(ledger, place.ticket, 0, WEIR_SETTLED);
    weir_ledger_free(ledger);
}

static void test_window_opened_anew_is_forgotten(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_backlog_place place;
    struct weir_ticket *ticket = rig_commit(ledger, segment, 1, RIG_A, RIG_A);
    rig_attempted(ledger, ticket, 0, 0); /* nothing to clear: no note */
    rig_attempted(ledger, ticket, 0, 500);
    rig_attempted(ledger, ticket, 0, 0);
    weir_ledger_settle(ledger, ticket, 0, WEIR_KEPT);
    assert_int_equal(rig_next(ledger, 0, &place), 1);
    assert_int_equal(place.used_ns, 0);
    assert_int_equal(place.first_wall_ns, 0);
    weir_ledger_settle(ledger, place.ticket, 0, WEIR_SETTLED);
    rig_assert_notes(ledger,
                     "attempted 1-1 a 0 0/10 500;attempted 1-1 a 0 0/10 0;done 1-1 a 0 0/0 0;"
                     "durable 1-1  0 0/0 0;",
                     true);
    weir_ledger_free(ledger);
}

static void test_backlog_is_oldest_first_and_kept_comes_again(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_backlog_place first;
    struct weir_backlog_place place;
    for (uint64_t number = 1; number <= 3; number++) {
        struct weir_ledger_segment *segment = rig_segment(ledger, number);
        for (uint64_t i = 0; i < 100; i++) {
            (void)rig_commit(ledger, segment, number * 100 + i, i % 2 == 0 ? RIG_A : RIG_B, 0);
        }
        weir_ledger_seal(ledger, segment, false);
    }
    assert_int_equal(rig_next(ledger, 0, &first), 100);
    assert_int_equal(first.segment, 1);
    assert_int_equal(first.offset, 8192 + 100 * RIG_EXTENT);
    assert_int_equal(first.size, 4096);
    assert_null(first.settled);
    for (uint64_t i = 1; i < 150; i++) {
        assert_int_equal(rig_next(ledger, 0, &place), 100 + i * 2);
        assert_ptr_equal(weir_ledger_segment_of(place.ticket) != NULL, true);
        weir_ledger_settle(ledger, place.ticket, 0, WEIR_SETTLED);
    }
    assert_int_equal(rig_next(ledger, 0, &place), 0);
    weir_ledger_settle(ledger, first.ticket, 0, WEIR_KEPT);
    assert_int_equal(rig_next(ledger, 0, &place), 100);
    weir_ledger_settle(ledger, place.ticket, 0, WEIR_SETTLED);
    assert_int_equal(rig_next(ledger, 0, &place), 0);
    assert_int_equal(rig_look(ledger).backlog_records[0], 0);
    assert_int_equal(rig_look(ledger).backlog_records[1], 150);
    weir_ledger_free(ledger);
}

/* What was in memory waits after a start: more than the share, and no reason to give it up. */
static void test_a_start_over_the_share_letters_nothing(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_backlog_place place;
    for (uint64_t i = 1; i <= 6; i++) {
        struct weir_ledger_record record = rig_record(i, RIG_B);
        assert_int_equal(weir_ledger_scan(ledger, segment, &record), WEIR_OK);
    }
    assert_int_equal(rig_next(ledger, 1, &place), 1);
    assert_int_equal(place.kind, WEIR_BACKLOG_DELIVER);
    weir_ledger_settle(ledger, place.ticket, 1, WEIR_KEPT);
    struct weir_ticket *live = rig_commit(ledger, segment, 7, RIG_B, RIG_B); /* does not wait */
    weir_ledger_settle(ledger, live, 1, WEIR_SETTLED);
    assert_int_equal(rig_next(ledger, 1, &place), 1);
    assert_int_equal(place.kind, WEIR_BACKLOG_DELIVER);
    weir_ledger_settle(ledger, place.ticket, 1, WEIR_KEPT);
    (void)rig_commit(ledger, segment, 8, RIG_B, 0); /* comes on top of it */
    assert_int_equal(rig_next(ledger, 1, &place), 1);
    assert_int_equal(place.kind, WEIR_BACKLOG_LETTER);
    weir_ledger_settle(ledger, place.ticket, 1, WEIR_KEPT);
    weir_ledger_free(ledger);
}

static void test_over_the_share_the_oldest_is_lettered(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_backlog_place place;
    for (uint64_t i = 1; i <= 4; i++) {
        (void)rig_commit(ledger, segment, i, RIG_A | RIG_B, 0);
    }
    assert_int_equal(rig_next(ledger, 1, &place), 1); /* four where three may wait */
    assert_int_equal(place.kind, WEIR_BACKLOG_LETTER);
    assert_string_equal(place.reason, "spool_share");
    assert_string_equal(place.name, "b");
    weir_ledger_settle(ledger, place.ticket, 1, WEIR_SETTLED);
    assert_int_equal(rig_next(ledger, 1, &place), 2);
    assert_int_equal(place.kind, WEIR_BACKLOG_DELIVER);
    weir_ledger_settle(ledger, place.ticket, 1, WEIR_SETTLED);
    assert_int_equal(rig_next(ledger, 0, &place), 1); /* no share: no bound */
    assert_int_equal(place.kind, WEIR_BACKLOG_DELIVER);
    weir_ledger_settle(ledger, place.ticket, 0, WEIR_KEPT);
    weir_ledger_free(ledger);
}

static void test_removed_destinations_are_lettered_by_name(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_frame_segment roster = rig_roster(1);
    memcpy(roster.names[0], "old", 4);
    memcpy(roster.names[1], "a", 2);
    uint64_t mask = weir_ledger_mask(ledger, &roster, RIG_EPOCH + 1, 3 | WEIR_OWED_LETTER | 1 << 9);
    assert_int_equal(mask, UINT64_C(1) | UINT64_C(1) << 2 | UINT64_C(1) << 62 | WEIR_OWED_LETTER);
    struct weir_ledger_segment *segment = rig_found(ledger, 1);
    struct weir_ledger_record record = rig_record(1, mask);
    assert_int_equal(weir_ledger_scan(ledger, segment, &record), WEIR_OK);
    assert_int_equal(rig_look(ledger).backlog_records[WEIR_BACKLOG_GONE], 2);
    struct weir_backlog_place place;
    assert_int_equal(rig_next(ledger, WEIR_BACKLOG_GONE, &place), 1);
    assert_int_equal(place.kind, WEIR_BACKLOG_LETTER);
    assert_int_equal(place.destination, WEIR_BACKLOG_GONE);
    assert_string_equal(place.reason, "destination_removed");
    assert_string_equal(place.name, "old");
    weir_ledger_settle(ledger, place.ticket, WEIR_BACKLOG_GONE, WEIR_SETTLED);
    assert_int_equal(rig_next(ledger, WEIR_BACKLOG_GONE, &place), 1);
    assert_string_equal(place.name, ""); /* a bit beyond the roster: nobody's name */
    weir_ledger_settle(ledger, place.ticket, WEIR_BACKLOG_GONE, WEIR_SETTLED);
    assert_int_equal(rig_next(ledger, WEIR_SPOOL_LETTER, &place), 1);
    assert_int_equal(place.kind, WEIR_BACKLOG_DELIVER);
    weir_ledger_settle(ledger, place.ticket, WEIR_SPOOL_LETTER, WEIR_SETTLED);
    rig_assert_notes(ledger, "done 1-1 old 0 0/0 0;done 1-1  0 0/0 0;", true);
    assert_int_equal(rig_look(ledger).records, 1); /* for a */
    weir_ledger_free(ledger);
}

/* More names than slots: the last ones share one. */
static void test_more_removed_names_than_slots(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_frame_segment roster = rig_roster(1);
    roster.name_count = WEIR_FRAME_NAMES_MAX;
    for (uint32_t i = 0; i < WEIR_FRAME_NAMES_MAX; i++) {
        (void)snprintf(roster.names[i], sizeof roster.names[i], "gone-%u", i);
    }
    uint64_t mask = weir_ledger_mask(ledger, &roster, 7, UINT64_MAX);
    assert_int_equal(mask, UINT64_MAX & ~UINT64_C(3));
    roster.names[0][0] = 'G';
    assert_int_equal(weir_ledger_mask(ledger, &roster, 8, 1), UINT64_C(1) << 62);
    weir_ledger_free(ledger);
}

static void test_lost_is_counted_once_and_live_ones_stay(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_backlog_place place;
    struct weir_ticket *live =
        rig_commit(ledger, segment, 1, RIG_A | RIG_B | WEIR_OWED_LETTER, RIG_A);
    assert_int_equal(rig_next(ledger, 1, &place), 1);
    assert_true(weir_ledger_lose(ledger, place.ticket));
    assert_true(weir_ledger_is_lost(ledger, RIG_EPOCH + 1));
    assert_int_equal(rig_look(ledger).records, 1);
    assert_int_equal(rig_next(ledger, 1, &place), 0);
    assert_int_equal(rig_next(ledger, WEIR_SPOOL_LETTER, &place), 0);
    weir_ledger_settle(ledger, live, 0, WEIR_KEPT);
    assert_int_equal(rig_next(ledger, 0, &place), 1);
    assert_false(weir_ledger_lose(ledger, place.ticket));
    assert_int_equal(rig_look(ledger).records, 0);
    assert_int_equal(rig_look(ledger).owed_bytes, 0);
    rig_assert_notes(ledger, "lost 1-1  0 0/0 0;lost 1-1  0 0/0 0;durable 1-1  0 0/0 0;", true);
    weir_ledger_free(ledger);
}

/* Each of the segments that take turns would grow once for itself. */
static void test_a_thousand_records_grow_no_segment(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_frame_segment roster = rig_roster(1);
    roster.size = 64 << 20;
    struct weir_ledger_segment *segment = NULL;
    assert_int_equal(weir_ledger_segment_new(ledger, &roster, &segment), WEIR_OK);
    assert_int_equal(weir_ledger_reserve(ledger, segment, 1, RIG_A), WEIR_OK);
    uint64_t calls = weir_mem_calls();
    assert_int_equal(weir_ledger_reserve(ledger, segment, 1000, RIG_A), WEIR_OK);
    assert_int_equal(weir_mem_calls(), calls);
    assert_int_equal(weir_ledger_reserve(ledger, segment, 2000, RIG_A), WEIR_OK);
    assert_true(weir_mem_calls() > calls);
    weir_ledger_free(ledger);
}

/* -- what is refused ----------------------------------------------------------------------- */

static void test_segment_is_full_of_records(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    assert_int_equal(weir_ledger_room(ledger, segment, RIG_EPOCH + 1), 256);
    assert_int_equal(weir_ledger_reserve(ledger, segment, 257, RIG_A), WEIR_EFULL);
    for (uint64_t i = 1; i <= 256; i++) {
        (void)rig_commit(ledger, segment, i, RIG_A, 0);
    }
    assert_int_equal(weir_ledger_room(ledger, segment, RIG_EPOCH + 300), 0);
    assert_int_equal(weir_ledger_reserve(ledger, segment, 1, RIG_A), WEIR_EFULL);
    struct weir_ledger_segment *other = rig_segment(ledger, 2);
    (void)rig_commit(ledger, other, 300, RIG_A, 0);
    assert_int_equal(weir_ledger_room(ledger, other, 2 * RIG_EPOCH), 0); /* too far away */
    assert_int_equal(weir_ledger_room(ledger, other, RIG_EPOCH + 301), 255);
    weir_ledger_free(ledger);
}

static void test_scan_refuses_what_is_out_of_order(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_ledger_record record = rig_record(5, RIG_A);
    assert_int_equal(weir_ledger_scan(ledger, segment, &record), WEIR_OK);
    assert_int_equal(weir_ledger_scan(ledger, segment, &record), WEIR_EMALFORMED);
    record = rig_record(4, RIG_A);
    assert_int_equal(weir_ledger_scan(ledger, segment, &record), WEIR_EMALFORMED);
    record = rig_record(5 + UINT64_C(0x100000000), RIG_A);
    record.offset = 8192;
    assert_int_equal(weir_ledger_scan(ledger, segment, &record), WEIR_EMALFORMED);
    record = rig_record(6, RIG_A);
    record.offset = UINT64_C(1) << 40;
    assert_int_equal(weir_ledger_scan(ledger, segment, &record), WEIR_EMALFORMED);
    record = (struct weir_ledger_record){.lsn = 0};
    assert_int_equal(weir_ledger_scan(ledger, segment, &record), WEIR_EMALFORMED);
    assert_int_equal(rig_look(ledger).records, 1);
    weir_ledger_free(ledger);
}

struct bug {
    struct weir_ledger *ledger;
    struct weir_ticket *ticket;
    struct weir_span span;
    uint32_t destination;
};

static void settle_bug(void *argument)
{
    const struct bug *bug = argument;
    rig_part(bug->ledger, bug->ticket, bug->destination, bug->span, WEIR_SETTLED);
}

static void settle_whole_bug(void *argument)
{
    const struct bug *bug = argument;
    weir_ledger_settle(bug->ledger, bug->ticket, bug->destination, WEIR_SETTLED);
}

static void test_our_own_bugs_are_caught(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_ticket *ticket = rig_commit(ledger, segment, 1, RIG_A | RIG_B, RIG_A | RIG_B);
    rig_part(ledger, ticket, 0, (struct weir_span){0, 5}, WEIR_SETTLED);
    struct bug bugs[] = {
        {ledger, ticket, {15, 21}, 1}, /* beyond the record's points */
        {ledger, ticket, {4, 6}, 0},   /* settled twice */
        {ledger, ticket, {0, 5}, 0},   /* the same */
        {ledger, ticket, {5, 11}, 0},  /* more than it was to get */
        {ledger, ticket, {6, 6}, 0},   /* nothing */
        {ledger, ticket, {6, 7}, 5},   /* not its destination */
    };
    for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++) {
        assert_true(support_aborts(settle_bug, &bugs[i]));
    }
    struct bug good = {ledger, ticket, {5, 10}, 0};
    assert_false(support_aborts(settle_bug, &good));
    rig_part(ledger, ticket, 0, (struct weir_span){5, 10}, WEIR_SETTLED);
    struct bug again = {ledger, ticket, {0, 0}, 0};
    assert_true(support_aborts(settle_whole_bug, &again));
    weir_ledger_settle(ledger, ticket, 1, WEIR_SETTLED);
    weir_ledger_free(ledger);
}

static void test_abandoned_tickets_leave_nothing(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    static const uint32_t points[2] = {1, 1};
    struct weir_spool_job job = {.owed = 3, .live = 3, .live_points = points, .points = 1};
    assert_int_equal(weir_ledger_ticket_new(ledger, &job), WEIR_OK);
    assert_non_null(job.ticket);
    weir_ledger_ticket_drop(ledger, &job);
    assert_null(job.ticket);
    weir_ledger_ticket_drop(ledger, &job);
    job.live = 0;
    assert_int_equal(weir_ledger_ticket_new(ledger, &job), WEIR_OK);
    assert_null(job.ticket);
    rig_assert_notes(ledger, "", true);
    weir_ledger_free(ledger);
    weir_ledger_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settled_record_is_owed_no_more),
        cmocka_unit_test(test_segment_is_released_when_it_is_noted),
        cmocka_unit_test(test_neighbours_are_one_note),
        cmocka_unit_test(test_kept_waits_with_its_progress),
        cmocka_unit_test(test_another_numbering_forgets_the_spans),
        cmocka_unit_test(test_window_opened_anew_is_forgotten),
        cmocka_unit_test(test_backlog_is_oldest_first_and_kept_comes_again),
        cmocka_unit_test(test_over_the_share_the_oldest_is_lettered),
        cmocka_unit_test(test_a_start_over_the_share_letters_nothing),
        cmocka_unit_test(test_removed_destinations_are_lettered_by_name),
        cmocka_unit_test(test_more_removed_names_than_slots),
        cmocka_unit_test(test_lost_is_counted_once_and_live_ones_stay),
        cmocka_unit_test(test_a_thousand_records_grow_no_segment),
        cmocka_unit_test(test_segment_is_full_of_records),
        cmocka_unit_test(test_scan_refuses_what_is_out_of_order),
        cmocka_unit_test(test_our_own_bugs_are_caught),
        cmocka_unit_test(test_abandoned_tickets_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
