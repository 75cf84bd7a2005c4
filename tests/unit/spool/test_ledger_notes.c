/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ledger's notes rebuild: after any history, a new ledger that scans the same records and
 * replays the notes has the same account.
 */
#include "support.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ledger_rig.h"

static struct weir_note done(uint64_t first, uint64_t last, struct weir_bytes name)
{
    return (struct weir_note){.kind = WEIR_NOTE_DONE,
                              .lsn = RIG_EPOCH + first,
                              .last = last == 0 ? 0 : RIG_EPOCH + last,
                              .name = name};
}

static void scan(struct weir_ledger *ledger, struct weir_ledger_segment *segment, uint64_t lsn)
{
    struct weir_ledger_record record = rig_record(lsn, RIG_A);
    assert_int_equal(weir_ledger_scan(ledger, segment, &record), WEIR_OK);
}

static void test_notes_of_what_is_not_here_change_nothing(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    struct weir_note early = done(1, 0, WEIR_BYTES("a"));
    weir_ledger_replay(ledger, &early); /* nothing is here at all */
    scan(ledger, segment, 5);
    struct weir_note notes[] = {
        done(4, 0, WEIR_BYTES("a")),
        done(6, 900, WEIR_BYTES("a")),
        done(9, 3, WEIR_BYTES("a")), /* ends before it begins */
        done(5, 0, WEIR_BYTES("b")), /* not owed to it */
        done(5, 0, WEIR_BYTES("c")), /* nobody's name */
        done(5, 0, WEIR_BYTES("")),  /* the letter's */
        {.kind = WEIR_NOTE_PART, .lsn = RIG_EPOCH + 5, .begin = 3, .end = 3, .total = 9},
        {.kind = WEIR_NOTE_PART, .lsn = RIG_EPOCH + 5, .begin = 3, .end = 10, .total = 9},
        {.kind = WEIR_NOTE_ATTEMPTED, .lsn = RIG_EPOCH + 5, .used_ns = -1},
        {.kind = WEIR_NOTE_ATTEMPTED, .lsn = RIG_EPOCH + 4, .used_ns = 1},
        {.kind = WEIR_NOTE_LOST, .lsn = RIG_EPOCH + 6},
        {.kind = WEIR_NOTE_ID},
        {.kind = WEIR_NOTE_SEGMENT, .segment = 1},
    };
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        if (notes[i].kind == WEIR_NOTE_PART || notes[i].kind == WEIR_NOTE_ATTEMPTED) {
            notes[i].name = WEIR_BYTES("a");
        }
        weir_ledger_replay(ledger, &notes[i]);
    }
    struct weir_backlog_place place;
    assert_int_equal(rig_next(ledger, 0, &place), 5);
    assert_int_equal(place.settled_count, 0);
    assert_int_equal(place.used_ns, 0);
    assert_true(weir_ledger_is_lost(ledger, RIG_EPOCH + 6)); /* kept: it may be damage elsewhere */
    weir_ledger_settle(ledger, place.ticket, 0, WEIR_KEPT);
    struct weir_note lost = {.kind = WEIR_NOTE_LOST, .lsn = RIG_EPOCH + 5};
    weir_ledger_replay(ledger, &lost);
    assert_int_equal(rig_look(ledger).records, 0);
    weir_ledger_free(ledger);
}

/* A commit that failed in segment 1 stands again in 2: the later one counts, whatever is noted. */
static void test_written_again_is_owed_where_it_stands_last(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *first = rig_segment(ledger, 1);
    for (uint64_t lsn = 1; lsn <= 6; lsn++) {
        scan(ledger, first, lsn); /* 4, 5, 6 are the failed commit */
    }
    struct weir_ledger_segment *second = rig_segment(ledger, 2);
    scan(ledger, second, 4);
    scan(ledger, second, 6); /* 5 is damaged there, and whole in the first */
    scan(ledger, second, 7);
    assert_int_equal(rig_look(ledger).records, 7);
    struct weir_note note = done(1, 3, WEIR_BYTES("a"));
    weir_ledger_replay(ledger, &note);
    struct weir_backlog_place place;
    assert_int_equal(rig_next(ledger, 0, &place), 5);
    assert_int_equal(place.segment, 1);
    weir_ledger_settle(ledger, place.ticket, 0, WEIR_SETTLED);
    assert_int_equal(rig_next(ledger, 0, &place), 4);
    assert_int_equal(place.segment, 2);
    weir_ledger_settle(ledger, place.ticket, 0, WEIR_KEPT);
    struct weir_buf out = weir_buf_grow_init(4096);
    struct rig_text text = {.size = 0};
    weir_ledger_snapshot(ledger, &out); /* says nothing of 4 and 6, though they are void in 1 */
    weir_notes_each(weir_buf_view(&out), rig_print, &text);
    weir_ledger_noted(ledger, true);
    assert_string_equal(text.text, "done 1-3 a 0 0/0 0;done 5-5 a 0 0/0 0;");
    weir_buf_done(&out);
    note = done(4, 7, WEIR_BYTES("a"));
    weir_ledger_replay(ledger, &note);
    assert_int_equal(rig_look(ledger).records, 0);
    weir_ledger_seal(ledger, first, false);
    assert_ptr_equal(weir_ledger_released(ledger, true), first); /* its notes are the log's */
    weir_ledger_free(ledger);
}

/* A range says nothing of a number between that is not among its records. */
static void test_a_range_has_no_gaps(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    struct weir_ledger_segment *first = rig_segment(ledger, 1);
    struct weir_ledger_segment *second = rig_segment(ledger, 2);
    scan(ledger, first, 5);
    scan(ledger, second, 4);
    scan(ledger, second, 6);
    scan(ledger, second, 7);
    struct weir_backlog_place five;
    assert_int_equal(rig_next(ledger, 0, &five), 5);
    for (int i = 0; i < 3; i++) {
        struct weir_backlog_place place;
        assert_true(rig_next(ledger, 0, &place) != 0);
        weir_ledger_settle(ledger, place.ticket, 0, WEIR_SETTLED);
    }
    weir_ledger_settle(ledger, five.ticket, 0, WEIR_KEPT);
    rig_assert_notes(ledger, "done 4-4 a 0 0/0 0;done 6-7 a 0 0/0 0;", true);
    weir_ledger_free(ledger);
}

static void test_too_many_notes_ask_for_a_snapshot(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 300);
    struct weir_ledger_segment *segment = rig_segment(ledger, 1);
    for (uint64_t i = 1; i <= 100; i++) {
        struct weir_ticket *ticket = rig_commit(ledger, segment, i, RIG_A, RIG_A);
        weir_ledger_settle(ledger, ticket, 0, i % 2 == 0 ? WEIR_SETTLED : WEIR_KEPT);
    }
    assert_true(weir_ledger_wants_snapshot(ledger));
    rig_assert_notes(ledger, "", true); /* nothing is said of what is not whole */
    assert_true(weir_ledger_wants_snapshot(ledger));
    struct weir_buf out = weir_buf_grow_init(1 << 16);
    weir_ledger_snapshot(ledger, &out);
    weir_ledger_noted(ledger, true);
    assert_false(weir_ledger_wants_snapshot(ledger));
    struct weir_ledger *again = rig_new(true, 0);
    struct weir_ledger_segment *same = rig_segment(again, 1);
    for (uint64_t i = 1; i <= 100; i++) {
        scan(again, same, i);
    }
    weir_notes_each(weir_buf_view(&out), rig_replay, again);
    assert_int_equal(rig_look(again).records, 50);
    weir_buf_done(&out);
    weir_ledger_free(again);
    weir_ledger_free(ledger);
}

static void test_lost_and_durable_numbers_stay_in_snapshots(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(true, 0);
    for (uint64_t i = 1; i <= 300; i++) { /* starts: the oldest are forgotten */
        struct weir_note note = {.kind = WEIR_NOTE_DURABLE, .lsn = (i << 40) + 7};
        weir_ledger_replay(ledger, &note);
        note.lsn -= 3; /* less: not believed */
        weir_ledger_replay(ledger, &note);
    }
    struct weir_note old = {.kind = WEIR_NOTE_DURABLE, .lsn = 7};
    weir_ledger_replay(ledger, &old);
    struct weir_note lost = {.kind = WEIR_NOTE_LOST, .lsn = RIG_EPOCH + 3};
    weir_ledger_note(ledger, &lost);
    weir_ledger_note(ledger, &lost);
    rig_assert_notes(ledger, "lost 3-3  0 0/0 0;lost 3-3  0 0/0 0;durable 7-7  0 0/0 0;", false);
    struct weir_buf out = weir_buf_grow_init(1 << 16);
    weir_ledger_snapshot(ledger, &out);
    weir_ledger_noted(ledger, true);
    size_t note_size = 3 + 8;
    assert_int_equal(out.size, (1 + 256) * note_size);
    weir_buf_done(&out);
    weir_ledger_free(ledger);
}

/* -- any history --------------------------------------------------------------------------- */

enum { RECORDS = 120, PER_SEGMENT = 25, STEPS = 400, HISTORIES = 150 };

struct history {
    struct weir_rand *rand;
    struct weir_ledger *ledger;
    struct weir_buf log; /* the last snapshot and the notes since */
    struct weir_ledger_segment *segment;
    uint64_t committed;
    struct weir_backlog_place out[16];
    uint32_t out_count;
    uint64_t owed[RECORDS + 1];
};

static void step_commit(struct history *history)
{
    if (history->committed == RECORDS) {
        return;
    }
    if (history->committed % PER_SEGMENT == 0) {
        history->segment = rig_segment(history->ledger, history->committed / PER_SEGMENT + 1);
    }
    uint64_t owed = 1 + weir_rand_below(history->rand, 3);
    history->owed[++history->committed] = owed;
    struct weir_ticket *ticket =
        rig_commit(history->ledger, history->segment, history->committed, owed, owed & RIG_A);
    if (ticket != NULL && weir_rand_below(history->rand, 2) == 0) {
        rig_part(history->ledger, ticket, 0, (struct weir_span){3, 13}, WEIR_SETTLED);
    } else if (ticket != NULL) {
        rig_part(history->ledger, ticket, 0, (struct weir_span){0, 4}, WEIR_SETTLED);
        rig_part(history->ledger, ticket, 0, (struct weir_span){9, 15}, WEIR_KEPT);
    }
}

static void step_take(struct history *history)
{
    uint32_t destination = (uint32_t)weir_rand_below(history->rand, 2);
    struct weir_backlog_place *place = &history->out[history->out_count];
    if (history->out_count < 16 && rig_next(history->ledger, destination, place) != 0) {
        history->out_count++;
        weir_ledger_expect(history->ledger, place->ticket, destination, 3, 20);
        rig_attempted(history->ledger, place->ticket, destination,
                      (int64_t)weir_rand_below(history->rand, 1000));
    }
}

static void step_return(struct history *history)
{
    if (history->out_count == 0) {
        return;
    }
    uint32_t at = (uint32_t)weir_rand_below(history->rand, history->out_count);
    struct weir_backlog_place place = history->out[at];
    history->out[at] = history->out[--history->out_count];
    switch (weir_rand_below(history->rand, 4)) {
    case 0:
        if (place.settled_count == 0) {
            rig_part(history->ledger, place.ticket, place.destination, (struct weir_span){17, 19},
                     WEIR_SETTLED);
        }
        weir_ledger_settle(history->ledger, place.ticket, place.destination, WEIR_KEPT);
        break;
    case 1:
        /* One that the other destination has in memory is owed to that one until it is settled; a
         * start cannot know. */
        if (history->owed[place.lsn - RIG_EPOCH] != (RIG_A | RIG_B)) {
            (void)weir_ledger_lose(history->ledger, place.ticket);
            break;
        }
        weir_ledger_settle(history->ledger, place.ticket, place.destination, WEIR_SETTLED);
        break;
    default: weir_ledger_settle(history->ledger, place.ticket, place.destination, WEIR_SETTLED);
    }
}

static void step_keep(struct history *history)
{
    bool wants = weir_ledger_wants_snapshot(history->ledger);
    if (wants || weir_rand_below(history->rand, 4) == 0) {
        history->log.size = 0;
        weir_ledger_snapshot(history->ledger, &history->log);
        weir_ledger_noted(history->ledger, true);
        return;
    }
    struct weir_buf notes = {.data = NULL};
    weir_ledger_take(history->ledger, &notes);
    bool durable = weir_rand_below(history->rand, 5) != 0;
    if (durable) {
        weir_buf_put(&history->log, weir_buf_view(&notes));
    }
    weir_ledger_noted(history->ledger, durable);
    weir_buf_done(&notes);
}

/* Everything comes back from the end of the history: what is out is kept, what waits is noted. */
static void assert_rebuilt(struct history *history)
{
    struct weir_ledger *again = rig_new(true, 0);
    struct weir_ledger_segment *segment = NULL;
    for (uint64_t lsn = 1; lsn <= history->committed; lsn++) {
        if ((lsn - 1) % PER_SEGMENT == 0) {
            segment = rig_segment(again, (lsn - 1) / PER_SEGMENT + 1);
        }
        struct weir_ledger_record record = rig_record(lsn, history->owed[lsn]);
        assert_int_equal(weir_ledger_scan(again, segment, &record), WEIR_OK);
    }
    weir_notes_each(weir_buf_view(&history->log), rig_replay, again);
    assert_int_equal(rig_look(again).records, rig_look(history->ledger).records);
    assert_int_equal(rig_look(again).owed_bytes, rig_look(history->ledger).owed_bytes);
    for (uint32_t destination = 0; destination < 2; destination++) {
        struct weir_backlog_place a;
        struct weir_backlog_place b;
        while (rig_next(history->ledger, destination, &a) != 0) {
            assert_int_equal(rig_next(again, destination, &b), a.lsn - RIG_EPOCH);
            assert_int_equal(a.settled_count, b.settled_count);
            assert_int_equal(a.used_ns, b.used_ns);
            for (uint32_t i = 0; i < a.settled_count; i++) {
                assert_memory_equal(&a.settled[i], &b.settled[i], sizeof a.settled[i]);
            }
            weir_ledger_settle(history->ledger, a.ticket, destination, WEIR_SETTLED);
            weir_ledger_settle(again, b.ticket, destination, WEIR_SETTLED);
        }
        assert_int_equal(rig_next(again, destination, &b), 0);
    }
    assert_int_equal(rig_look(again).records, 0);
    weir_ledger_free(again);
}

static void test_any_history_is_rebuilt_from_its_notes(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(11);
    for (uint32_t round = 0; round < HISTORIES; round++) {
        struct history history = {.rand = &rand,
                                  .ledger = rig_new(true, round % 2 == 0 ? 0 : 2000),
                                  .log = weir_buf_grow_init(1 << 20)};
        static void (*const steps[])(struct history *) = {step_commit, step_commit, step_take,
                                                          step_return, step_take,   step_keep};
        for (uint32_t i = 0; i < STEPS; i++) {
            steps[weir_rand_below(&rand, 6)](&history);
        }
        while (history.out_count > 0) {
            struct weir_backlog_place *place = &history.out[--history.out_count];
            weir_ledger_settle(history.ledger, place->ticket, place->destination, WEIR_KEPT);
        }
        struct weir_buf notes = {.data = NULL};
        weir_ledger_take(history.ledger, &notes);
        weir_buf_put(&history.log, weir_buf_view(&notes));
        weir_ledger_noted(history.ledger, true);
        if (weir_ledger_wants_snapshot(history.ledger) || round % 3 == 0) {
            history.log.size = 0;
            weir_ledger_snapshot(history.ledger, &history.log);
            weir_ledger_noted(history.ledger, true);
        }
        weir_buf_done(&notes);
        assert_rebuilt(&history);
        weir_buf_done(&history.log);
        weir_ledger_free(history.ledger);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notes_of_what_is_not_here_change_nothing),
        cmocka_unit_test(test_written_again_is_owed_where_it_stands_last),
        cmocka_unit_test(test_a_range_has_no_gaps),
        cmocka_unit_test(test_too_many_notes_ask_for_a_snapshot),
        cmocka_unit_test(test_lost_and_durable_numbers_stay_in_snapshots),
        cmocka_unit_test(test_any_history_is_rebuilt_from_its_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
