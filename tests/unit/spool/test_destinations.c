/* SPDX-License-Identifier: Apache-2.0 */
#include "spool_rig.h"

/* Job `n`, owed to `owed`, live for `live`. */
static enum weir_status submit(int n, uint64_t owed, uint64_t live)
{
    struct job *job = job_make(n, 300, 0);
    job->job.owed = owed;
    job->job.live = live;
    for (int slot = 0; slot < 62; slot++) {
        job->points[slot] = 5;
    }
    job_commit(n, 1);
    return job->job.status;
}

static uint32_t opened(const char *name)
{
    uint32_t slot = UINT32_MAX;
    const struct weir_spool_destination destination = {name, 0};
    assert_int_equal(weir_spool_destination_open(rig.spool, &destination, &slot), WEIR_OK);
    return slot;
}

static enum weir_status freed(uint32_t slot)
{
    return weir_spool_destination_free(rig.spool, slot);
}

static void replace(uint32_t slot, const char *name)
{
    weir_spool_destination_remove(rig.spool, slot);
    assert_int_equal(freed(slot), WEIR_OK);
    assert_int_equal(opened(name), slot);
}

static struct weir_backlog_place next(uint32_t destination)
{
    struct weir_backlog_place place = {.ticket = NULL};
    assert_int_equal(weir_backlog_next(rig.spool, destination, &place), WEIR_OK);
    return place;
}

static void expect_none(uint32_t destination)
{
    struct weir_backlog_place place;
    assert_int_equal(weir_backlog_next(rig.spool, destination, &place), WEIR_EEND);
}

static void settle(const struct weir_backlog_place *place, enum weir_settlement settlement)
{
    weir_spool_settle(rig.spool, place->ticket, place->destination, settlement);
}

static void expect_letter(const char *name)
{
    struct weir_backlog_place place = next(WEIR_BACKLOG_GONE);
    assert_int_equal(place.kind, WEIR_BACKLOG_LETTER);
    assert_string_equal(place.reason, "destination_removed");
    assert_string_equal(place.name, name);
    settle(&place, WEIR_SETTLED);
}

static void keep(void)
{
    assert_int_equal(rig_keep(), WEIR_OK);
}

static void test_one_that_comes_is_owed_and_served(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(submit(0, 1, 0), WEIR_OK);
    assert_int_equal(opened("gamma"), 2);
    assert_int_equal(rig_look().open, 7);
    assert_int_equal(submit(1, 4, 0), WEIR_OK);
    struct weir_backlog_place place = next(2);
    assert_int_equal(place.kind, WEIR_BACKLOG_DELIVER);
    assert_string_equal(place.name, "gamma");
    assert_int_equal(place.segment, 2); /* the first one's roster lacks it */
    settle(&place, WEIR_KEPT);
    rig_restart(); /* without gamma */
    expect_letter("gamma");
    assert_int_equal(rig_drain(0, NULL), 1);
}

/* The segment of the next record for a destination, which is settled with it. */
static uint64_t segment_of_next(uint32_t destination)
{
    struct weir_backlog_place place = next(destination);
    settle(&place, WEIR_SETTLED);
    return place.segment;
}

static void test_a_segment_is_sealed_once_for_all_that_changed(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(submit(0, 3, 0), WEIR_OK);
    assert_int_equal(opened("gamma"), 2);
    assert_int_equal(opened("delta"), 3);
    assert_int_equal(submit(1, 3, 0), WEIR_OK); /* owed to nobody new: stays */
    assert_int_equal(segment_of_next(0), 1);
    assert_int_equal(segment_of_next(0), 1);
    assert_int_equal(submit(2, 5, 0), WEIR_OK);
    assert_int_equal(submit(3, 9, 0), WEIR_OK);
    assert_int_equal(submit(4, 15, 0), WEIR_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(segment_of_next(0), 2);
    }
    weir_spool_destination_remove(rig.spool, 3);
    assert_int_equal(opened("delta"), 3); /* comes back: nothing changes */
    assert_int_equal(submit(5, 9, 0), WEIR_OK);
    assert_int_equal(segment_of_next(0), 2);
    assert_int_equal(rig_look().backlog_records[3], 3);
}

static void test_a_removed_one_is_lettered(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(submit(0, 3, 0), WEIR_OK);
    assert_int_equal(submit(1, 3, 2), WEIR_OK);
    weir_spool_destination_remove(rig.spool, 1);
    expect_none(1);
    assert_int_equal(rig_look().backlog_records[1], 0);
    assert_int_equal(rig_look().backlog_records[WEIR_BACKLOG_GONE], 1);
    expect_letter("beta");
    expect_none(WEIR_BACKLOG_GONE);
    assert_int_equal(freed(1), WEIR_EAGAIN); /* a ticket is out */
    weir_spool_settle(rig.spool, jobs[1].job.ticket, 1, WEIR_KEPT);
    assert_int_equal(freed(1), WEIR_EAGAIN);
    assert_int_equal(submit(2, 2, 0), WEIR_OK); /* decided before it was removed */
    expect_letter("beta");
    assert_int_equal(freed(1), WEIR_EAGAIN);
    expect_letter("beta");
    assert_int_equal(freed(1), WEIR_OK);
    assert_int_equal(rig_look().open, 1);
    assert_int_equal(rig_look().gone, UINT64_C(1) << 62);
}

static void test_a_place_stands_for_its_slot_whatever_becomes_of_it(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(submit(0, 2, 0), WEIR_OK);
    struct weir_backlog_place place = next(1);
    weir_spool_destination_remove(rig.spool, 1);
    settle(&place, WEIR_KEPT);
    place = next(WEIR_BACKLOG_GONE);
    assert_int_equal(opened("beta"), 1);
    assert_int_equal(place.destination, WEIR_BACKLOG_GONE);
    settle(&place, WEIR_KEPT);
    expect_none(WEIR_BACKLOG_GONE);
    place = next(1);
    assert_int_equal(place.kind, WEIR_BACKLOG_DELIVER);
    settle(&place, WEIR_SETTLED);
}

/* What was settled for the one is neither the other's, nor comes back for the one. */
static void test_a_slot_with_another_name(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(submit(0, 3, 2), WEIR_OK); /* alpha holds the segment */
    weir_spool_settle(rig.spool, jobs[0].job.ticket, 1, WEIR_SETTLED);
    replace(1, "delta");
    assert_int_equal(submit(1, 2, 0), WEIR_OK);
    keep();
    rig_stop(); /* with a snapshot in the next log, for it is of another version */
    rig.destinations[1].name = "delta";
    rig.options.version = 1;
    rig_start();
    expect_none(WEIR_BACKLOG_GONE);
    assert_int_equal(rig_drain(1, NULL), 1);
    assert_int_equal(rig_drain(0, NULL), 1);
    rig_stop();
    rig.options.version = 2;
    rig_start();
    assert_int_equal(rig.report.records, 0);
}

static void test_a_snapshot_speaks_of_names_as_they_were(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(submit(0, 3, 2), WEIR_OK);
    weir_spool_settle(rig.spool, jobs[0].job.ticket, 1, WEIR_SETTLED);
    replace(1, "delta");
    rig.fail_sync = atomic_load_explicit(&rig.syncs, memory_order_relaxed) + 1;
    rig.fail_count = 1;
    keep(); /* the log fails: a snapshot */
    rig_restart();
    assert_int_equal(rig_look().backlog_records[1], 0); /* beta has had it */
    assert_int_equal(rig_drain(0, NULL), 1);
}

static void test_no_slot_left(void **state)
{
    (void)state;
    rig_start();
    char name[16];
    for (uint32_t i = 2; i < 62; i++) {
        (void)snprintf(name, sizeof name, "name-%u", i);
        assert_int_equal(opened(name), i);
    }
    uint32_t slot = 7;
    const struct weir_spool_destination more = {"more", 0};
    const struct weir_spool_destination nobody = {"", 0};
    assert_int_equal(weir_spool_destination_open(rig.spool, &more, &slot), WEIR_EFULL);
    assert_int_equal(weir_spool_destination_open(rig.spool, &nobody, &slot), WEIR_EINVAL);
    assert_int_equal(slot, 7);
    assert_int_equal(submit(0, UINT64_MAX >> 2, 0), WEIR_OK);
    weir_spool_destination_remove(rig.spool, 61);
    assert_int_equal(weir_spool_destination_open(rig.spool, &more, &slot), WEIR_EFULL);
    expect_letter("name-61");
    replace(61, "more");
    rig_restart(); /* 60 names of rosters */
    assert_int_equal(rig_look().backlog_records[WEIR_BACKLOG_GONE], 59);
    assert_int_equal(weir_spool_destination_open(rig.spool, &more, &slot), WEIR_OK);
    assert_int_equal(slot, 61);
    assert_int_equal(weir_spool_destination_open(rig.spool, &nobody, &slot), WEIR_EINVAL);
    const struct weir_spool_destination last = {"last", 0};
    assert_int_equal(weir_spool_destination_open(rig.spool, &last, &slot), WEIR_EFULL);
    expect_letter("name-2"); /* owed nothing any more, and nobody knows to free it */
    assert_int_equal(opened("last"), 2);
}

/* Of a hundred that came and went each has had its record; the segments are still owed to alpha. */
static void test_more_names_in_rosters_than_slots(void **state)
{
    (void)state;
    rig.options.limit = 128 * SEGMENT;
    rig_start();
    for (int i = 0; i < 100; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "guest-%d", i);
        replace(1, name);
        assert_int_equal(submit(i, 3, i % 10 == 9 ? 0 : 2), WEIR_OK);
        if (i % 10 == 9) {
            assert_int_equal(rig_drain(1, NULL), 1);
        } else {
            weir_spool_settle(rig.spool, jobs[i].job.ticket, 1, WEIR_SETTLED);
        }
    }
    assert_int_equal(submit(100, 2, 0), WEIR_OK); /* guest-99 waits for one more */
    rig_restart();
    assert_int_equal(rig_look().backlog_records[0], 100);
    assert_int_equal(rig_look().backlog_records[1], 0);
    assert_int_equal(rig_look().backlog_records[WEIR_BACKLOG_GONE], 1);
    struct weir_backlog_place place = next(WEIR_BACKLOG_GONE);
    assert_string_equal(place.name, ""); /* it came last, and found no slot */
    settle(&place, WEIR_SETTLED);
    assert_int_equal(rig_drain(0, NULL), 100);
    assert_int_equal(rig_look().records, 0);
}

static void test_gone_names_take_turns(void **state)
{
    (void)state;
    rig_start();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(submit(i, 3, 0), WEIR_OK);
    }
    weir_spool_destination_remove(rig.spool, 0);
    weir_spool_destination_remove(rig.spool, 1);
    for (int i = 0; i < 2; i++) {
        struct weir_backlog_place place = next(WEIR_BACKLOG_GONE);
        assert_string_equal(place.name, "alpha");
        settle(&place, WEIR_KEPT); /* its letters are refused, and beta's are not kept up */
        place = next(WEIR_BACKLOG_GONE);
        assert_string_equal(place.name, "beta");
        settle(&place, WEIR_SETTLED);
    }
}

static void test_a_share_that_changes(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(submit(0, 2, 0), WEIR_OK);
    assert_int_equal(submit(1, 2, 0), WEIR_OK);
    uint32_t slot = 0;
    const struct weir_spool_destination less = {"beta", 1000};
    assert_int_equal(weir_spool_destination_open(rig.spool, &less, &slot), WEIR_OK);
    assert_int_equal(slot, 1);
    assert_int_equal(submit(2, 2, 0), WEIR_OK); /* comes on top of more than the share */
    struct weir_backlog_place place = next(1);
    assert_int_equal(place.kind, WEIR_BACKLOG_LETTER);
    assert_string_equal(place.reason, "spool_share");
    settle(&place, WEIR_KEPT);
    assert_int_equal(opened("beta"), 1); /* no bound */
    place = next(1);
    assert_int_equal(place.kind, WEIR_BACKLOG_DELIVER);
    settle(&place, WEIR_KEPT);
}

/* The disk has no room for another segment: who is in the roster is still served. */
static void test_full_disk_refuses_the_new_one_alone(void **state)
{
    (void)state;
    rig.options.limit = SEGMENT;
    rig_start();
    assert_int_equal(submit(0, 3, 0), WEIR_OK);
    assert_int_equal(opened("gamma"), 2);
    assert_int_equal(submit(1, 4, 0), WEIR_EFULL);
    assert_int_equal(submit(2, 3, 0), WEIR_OK);
    assert_int_equal(rig_look().records, 2);
    weir_spool_destination_remove(rig.spool, 2);
    assert_int_equal(freed(2), WEIR_OK);
}

static void test_without_a_disk(void **state)
{
    (void)state;
    rig.options.durability = WEIR_DURABILITY_DELIVERED;
    rig_start();
    assert_int_equal(opened("gamma"), 2);
    assert_int_equal(submit(0, 4, 4), WEIR_OK);
    weir_spool_destination_remove(rig.spool, 2);
    assert_int_equal(freed(2), WEIR_EAGAIN);
    weir_spool_settle(rig.spool, jobs[0].job.ticket, 2, WEIR_SETTLED);
    assert_int_equal(jobs[0].delivered, 1);
    assert_int_equal(freed(2), WEIR_OK);
    assert_int_equal(opened("delta"), 2);
    rig_stop();
    rig.options.durability = WEIR_DURABILITY_MEMORY;
    rig_start();
    assert_int_equal(opened("gamma"), 2);
    assert_int_equal(submit(1, 4, 4), WEIR_OK);
    weir_spool_destination_remove(rig.spool, 2);
    assert_int_equal(rig_look().gone, UINT64_C(1) << 62 | 4);
    assert_int_equal(freed(2), WEIR_OK);
    assert_int_equal(opened("delta"), 2);
    assert_int_equal(rig_look().open, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_that_comes_is_owed_and_served, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_segment_is_sealed_once_for_all_that_changed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_removed_one_is_lettered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_place_stands_for_its_slot_whatever_becomes_of_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_slot_with_another_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_snapshot_speaks_of_names_as_they_were, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_no_slot_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_names_in_rosters_than_slots, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone_names_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_share_that_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk_refuses_the_new_one_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_disk, setup, teardown),
    };
    return cmocka_run_group_tests_name("destinations", tests, NULL, NULL);
}
