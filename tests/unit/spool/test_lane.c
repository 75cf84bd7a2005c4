/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits: what is answered when, repetitions of every kind, and files that fail.
 */
#include "spool_rig.h"

static void test_a_commit_is_durable_and_comes_back(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 1000, 0), WEIR_OK);
    assert_null(jobs[1].job.ticket); /* nothing of it is in memory */
    assert_int_equal(rig_look().records, 1);
    rig_restart();
    assert_int_equal(rig.report.records, 1);
    assert_int_equal(rig.report.lost_records, 0);
    assert_int_equal(rig.report.torn_records, 0);
    assert_int_equal(rig_drain(0, NULL), 1);
    assert_int_equal(rig_drain(1, NULL), 1);
    assert_int_equal(rig_look().records, 0);
    rig_restart();
    assert_int_equal(rig.report.records, 0);
}

static void test_a_list_is_one_write_and_one_sync(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(0, 10, 0), WEIR_OK);
    for (int i = 1; i < 11; i++) {
        (void)job_make(i, 100, 0);
    }
    rig.writes = rig.syncs = 0;
    job_commit(1, 10);
    assert_int_equal(rig.writes, 1);
    assert_int_equal(rig.syncs, 1);
    for (int i = 1; i < 11; i++) {
        assert_int_equal(jobs[i].job.status, WEIR_OK);
    }
    assert_int_equal(rig_drain(0, NULL), 11);
}

static void test_a_long_list_is_cut_at_segments(void **state)
{
    (void)state;
    rig_start();
    for (int i = 0; i < 100; i++) {
        (void)job_make(i, 4000, 0);
    }
    job_commit(0, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(jobs[i].job.status, WEIR_OK);
    }
    rig_restart();
    assert_int_equal(rig.report.records, 100);
    assert_true(rig.report.segments >= 7);
    assert_int_equal(rig_drain(1, NULL), 100);
}

static void test_an_oversized_record_has_a_segment_of_its_own(void **state)
{
    (void)state;
    rig_start();
    (void)job_make(0, 100, 0);
    (void)job_make(1, 200000, 0);
    (void)job_make(2, 100, 0);
    job_commit(0, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jobs[i].job.status, WEIR_OK);
    }
    rig_restart();
    assert_int_equal(rig_drain(0, NULL), 3);
    assert_int_equal(rig_drain(1, NULL), 3);
}

static void test_a_repetition_is_known(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 500, 0), WEIR_OK);
    rig.writes = 0;
    assert_int_equal(job_submit(1, 500, 0), WEIR_EEXIST);
    assert_int_equal(rig.writes, 0);
    assert_int_equal(rig_look().records, 1);
    rig_restart();
    assert_int_equal(job_submit(1, 500, 0), WEIR_EEXIST);
}

static void test_a_repetition_is_known_after_its_segment_is_gone(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 500, 0), WEIR_OK);
    assert_int_equal(rig_drain(0, NULL), 1);
    assert_int_equal(rig_drain(1, NULL), 1);
    rig_restart();
    assert_int_equal(rig_keep(), WEIR_OK);
    rig_restart();
    assert_int_equal(rig.report.segments, 0);
    assert_int_equal(job_submit(1, 500, 0), WEIR_EEXIST);
}

static void test_the_window_ends(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 500, 0), WEIR_OK);
    rig.now.wall_ns += INT64_C(3601) * SECOND;
    assert_int_equal(job_submit(1, 500, 0), WEIR_OK);
}

static void test_repetitions_in_one_list_join(void **state)
{
    (void)state;
    rig_start();
    for (int i = 1; i < 5; i++) {
        (void)job_make(i, 100, 0);
        jobs[i].job.request_id = weir_bytes_str("the same");
        jobs[i].job.content_crc = 1001;
    }
    job_commit(1, 4);
    assert_int_equal(jobs[1].job.status, WEIR_OK);
    for (int i = 2; i < 5; i++) {
        assert_int_equal(jobs[i].job.status, WEIR_EEXIST);
        assert_null(jobs[i].job.ticket);
    }
    assert_int_equal(rig_look().records, 1);
}

static void test_the_same_id_with_another_body_is_accepted(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 100, 0), WEIR_OK);
    assert_false(jobs[1].job.id_reused);
    for (int i = 2; i < 4; i++) { /* one after the other, and in one list */
        (void)job_make(i, 100, 0);
        jobs[i].job.request_id = weir_bytes_str("request-1");
    }
    job_commit(2, 2);
    for (int i = 2; i < 4; i++) {
        assert_int_equal(jobs[i].job.status, WEIR_OK);
        assert_true(jobs[i].job.id_reused);
    }
    assert_int_equal(rig_look().records, 3);
}

static void test_without_an_id_nothing_is_a_repetition(void **state)
{
    (void)state;
    rig_start();
    for (int i = 1; i < 4; i++) {
        (void)job_make(i, 100, 0);
        jobs[i].job.request_id = weir_bytes_str("");
        jobs[i].job.content_crc = 1001;
    }
    job_commit(1, 3);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(jobs[i].job.status, WEIR_OK);
    }
}

static void test_a_failed_sync_goes_once_to_a_new_segment(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 100, 0), WEIR_OK);
    rig.fail_sync = rig.syncs + 1;
    rig.fail_count = 1;
    assert_int_equal(job_submit(2, 100, 0), WEIR_OK);
    assert_int_equal(job_submit(3, 100, 0), WEIR_OK);
    assert_false(rig_look().failed);
    rig_restart();
    assert_int_equal(rig.report.records, 3); /* the one that is in both files is one */
    assert_int_equal(rig.report.lost_records, 0);
    assert_int_equal(rig_drain(0, NULL), 3);
}

static void settle_all(int n)
{
    for (uint32_t to = 0; to < 2; to++) {
        weir_spool_settle(rig.spool, jobs[n].job.ticket, to, WEIR_SETTLED);
    }
}

/* The copy in the file that failed is read at a start: the log says what became of the record, also
 * when the segment where it counted is long gone, and the log was written anew. With `restart`,
 * what is known of the copy comes from a start and not from the failure. */
static void fail_release_and_forget(bool restart)
{
    rig_start();
    assert_int_equal(job_submit(1, 100, 0), WEIR_OK); /* keeps the first segment */
    rig.fail_sync = rig.syncs + 1;
    rig.fail_count = 1;
    assert_int_equal(job_submit(2, 100, restart ? 0 : 3), WEIR_OK);
    if (restart) {
        rig_restart();
        struct weir_backlog_place first[2];
        for (uint32_t to = 0; to < 2; to++) {
            assert_int_equal(weir_backlog_next(rig.spool, to, &first[to]), WEIR_OK);
            assert_int_equal(rig_drain(to, NULL), 1);
            weir_spool_settle(rig.spool, first[to].ticket, to, WEIR_KEPT);
        }
    } else {
        settle_all(2);
    }
    assert_int_equal(job_submit(3, 60000, 3), WEIR_OK); /* fits not: the second one ends */
    settle_all(3);
    assert_int_equal(rig_keep(), WEIR_OK);
    assert_int_equal(rig_keep(), WEIR_OK);
    assert_false(rig_has("0000000000000002.segment"));
    assert_int_equal(job_submit(4, 100, 0), WEIR_OK); /* something to note */
    rig.fail_sync = rig.syncs + 1;
    rig.fail_count = 1;
    assert_int_equal(rig_keep(), WEIR_OK); /* a new log */
    rig_restart();
    assert_int_equal(rig.report.lost_records, 0);
    assert_int_equal(rig.report.records, 2);
    assert_int_equal(rig_drain(0, NULL), 2);
}

static void test_what_failed_and_was_delivered_does_not_come_back(void **state)
{
    (void)state;
    fail_release_and_forget(false);
}

static void test_what_failed_in_an_earlier_life_does_not_come_back(void **state)
{
    (void)state;
    fail_release_and_forget(true);
}

static void test_a_failed_write_goes_once_to_a_new_segment(void **state)
{
    (void)state;
    rig_start();
    rig.fail_write = rig.writes + 2; /* not the header: the commit */
    rig.fail_count = 1;
    assert_int_equal(job_submit(2, 100, 0), WEIR_OK);
    rig_restart();
    assert_int_equal(rig_drain(0, NULL), 1);
}

static void test_a_second_failure_is_the_end(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 100, 3), WEIR_OK);
    struct weir_ticket *ticket = jobs[1].job.ticket;
    rig.fail_sync = rig.syncs + 1;
    rig.fail_count = 1000;
    (void)job_make(2, 100, 3);
    (void)job_make(3, 100, 3);
    jobs[3].job.request_id = jobs[2].job.request_id; /* joins, and fails with it */
    jobs[3].job.content_crc = jobs[2].job.content_crc;
    job_commit(2, 2);
    assert_int_equal(jobs[2].job.status, WEIR_EIO);
    assert_int_equal(jobs[3].job.status, WEIR_EIO);
    assert_null(jobs[2].job.ticket);
    assert_true(rig_look().failed);
    assert_false(weir_spool_admits(rig.spool, 1));
    assert_int_equal(job_submit(4, 100, 0), WEIR_EIO);
    assert_int_equal(rig_keep(), WEIR_EIO);
    weir_spool_settle(rig.spool, ticket, 0, WEIR_KEPT);
    weir_spool_settle(rig.spool, ticket, 1, WEIR_KEPT);
    rig.fail_sync = 0;
    rig_restart();
    assert_int_equal(rig_drain(0, NULL), (int)rig.report.records);
    assert_int_equal(rig.report.lost_records, 0);
    assert_true(rig.report.records >= 1); /* what got EIO may be there or not */
}

static void test_a_failed_commit_forgets_its_id(void **state)
{
    (void)state;
    rig.options.limit = 2 * SEGMENT;
    rig_start();
    assert_int_equal(job_submit(1, 100000, 0), WEIR_OK);
    assert_int_equal(job_submit(2, 100000, 0), WEIR_EFULL);
    assert_int_equal(rig_drain(0, NULL), 1);
    assert_int_equal(rig_drain(1, NULL), 1);
    (void)job_submit(3, 60000, 0); /* seals the first */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(rig_keep(), WEIR_OK);
    }
    assert_int_not_equal(job_submit(2, 100, 0), WEIR_EEXIST);
}

static void test_full_is_no_failure(void **state)
{
    (void)state;
    rig.options.limit = 3 * SEGMENT;
    rig.options.headroom = SEGMENT;
    rig_start();
    assert_true(weir_spool_admits(rig.spool, 1000));
    int committed = 0;
    while (committed < 100 && job_submit(committed, 10000, 0) == WEIR_OK) {
        committed++;
    }
    assert_int_equal(jobs[committed].job.status, WEIR_EFULL);
    assert_int_equal(committed, 3 * 4); /* each takes three pages of fourteen */
    assert_false(weir_spool_admits(rig.spool, 1000));
    assert_false(rig_look().failed);
    assert_true(rig_look().bytes <= 3 * SEGMENT);
    assert_int_equal(rig_drain(0, NULL), committed);
    assert_int_equal(rig_drain(1, NULL), committed);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(rig_keep(), WEIR_OK);
    }
    assert_true(weir_spool_admits(rig.spool, 1000));
    assert_int_equal(job_submit(101, 10000, 0), WEIR_OK);
}

static void test_strings_too_large_for_a_record(void **state)
{
    (void)state;
    rig_start();
    (void)job_make(1, 100, 0);
    (void)job_make(2, 100, 0);
    (void)job_make(3, 100, 0);
    jobs[1].job.stream = weir_bytes_of(payload, 70000);
    jobs[3].job.attributes = weir_bytes_of(payload, sizeof payload);
    job_commit(1, 3);
    assert_int_equal(jobs[1].job.status, WEIR_ELIMIT);
    assert_int_equal(jobs[2].job.status, WEIR_OK);
    assert_int_equal(jobs[3].job.status, WEIR_ELIMIT);
}

static void test_nothing_is_allocated_after_warm_up(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(0, 100, 0), WEIR_OK);
    for (int i = 1; i < 5; i++) {
        assert_int_equal(job_submit(i, 100, 0), WEIR_OK);
    }
    uint64_t before = weir_mem_calls();
    for (int i = 5; i < 9; i++) {
        assert_int_equal(job_submit(i, 100, 0), WEIR_OK);
    }
    assert_int_equal(weir_mem_calls(), before);
}

/* ---- delivered, memory -------------------------------------------------------------------- */

static void test_delivered_waits_for_every_destination(void **state)
{
    (void)state;
    rig.options.durability = WEIR_DURABILITY_DELIVERED;
    rig_start();
    assert_int_equal(job_submit(1, 100, 3), WEIR_OK);
    struct weir_ticket *ticket = jobs[1].job.ticket;
    assert_non_null(ticket);
    (void)job_make(2, 100, 3); /* the same again, while it is on its way */
    jobs[2].job.request_id = jobs[1].job.request_id;
    jobs[2].job.content_crc = jobs[1].job.content_crc;
    job_commit(2, 1);
    assert_int_equal(jobs[2].job.status, WEIR_EEXIST);
    weir_spool_settle(rig.spool, ticket, 0, WEIR_SETTLED);
    assert_int_equal(jobs[1].delivered, 0);
    weir_spool_settle(rig.spool, ticket, 1, WEIR_SETTLED);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(jobs[i].delivered, 1);
        assert_int_equal(jobs[i].delivery, WEIR_OK);
    }
    (void)job_make(3, 100, 3); /* and once more, afterwards */
    jobs[3].job.request_id = jobs[1].job.request_id;
    jobs[3].job.content_crc = jobs[1].job.content_crc;
    job_commit(3, 1);
    assert_int_equal(jobs[3].delivery, WEIR_OK);
    assert_int_equal(jobs[3].delivered, 1);
}

static void test_delivered_gives_up(void **state)
{
    (void)state;
    rig.options.durability = WEIR_DURABILITY_DELIVERED;
    rig_start();
    assert_int_equal(job_submit(1, 100, 1), WEIR_OK);
    rig.now.mono_ns += INT64_C(151) * SECOND;
    assert_int_equal(rig_keep(), WEIR_OK);
    assert_int_equal(jobs[1].delivered, 1);
    assert_int_equal(jobs[1].delivery, WEIR_ETIMEOUT);
    assert_int_equal(job_submit(2, 100, 1), WEIR_OK);
    weir_spool_dismiss(rig.spool);
    assert_int_equal(jobs[2].delivery, WEIR_ECLOSED);
    assert_int_equal(job_submit(3, 100, 1), WEIR_OK);
    assert_int_equal(jobs[3].delivery, WEIR_ECLOSED);
    for (int i = 1; i < 4; i++) {
        weir_spool_settle(rig.spool, jobs[i].job.ticket, 0, WEIR_KEPT);
    }
}

static void test_delivered_what_nobody_took_may_come_again(void **state)
{
    (void)state;
    rig.options.durability = WEIR_DURABILITY_DELIVERED;
    rig_start();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(job_submit(1, 100, 1), WEIR_OK);
        weir_spool_settle(rig.spool, jobs[1].job.ticket, 0, WEIR_KEPT);
        assert_int_equal(jobs[1].delivery, WEIR_ECLOSED);
    }
    assert_int_equal(job_submit(1, 100, 1), WEIR_OK);
    weir_spool_settle(rig.spool, jobs[1].job.ticket, 0, WEIR_SETTLED);
    assert_int_equal(jobs[1].delivery, WEIR_OK);
    assert_int_equal(job_submit(1, 100, 1), WEIR_EEXIST);
    assert_int_equal(jobs[1].delivery, WEIR_OK);
}

static void test_memory_knows_ids_only(void **state)
{
    (void)state;
    rig.options.durability = WEIR_DURABILITY_MEMORY;
    rig_start();
    assert_int_equal(job_submit(1, 100, 3), WEIR_OK);
    assert_null(jobs[1].job.ticket);
    assert_int_equal(job_submit(1, 100, 3), WEIR_EEXIST);
    assert_int_equal(jobs[1].delivered, 0);
    assert_null(weir_spool_settler(rig.spool).settle);
    struct weir_backlog_place place;
    assert_int_equal(weir_backlog_next(rig.spool, 0, &place), WEIR_EEND);
    assert_true(weir_spool_admits(rig.spool, UINT64_MAX));
    assert_int_equal(rig_keep(), WEIR_OK);
    assert_int_equal(rig.writes + rig.syncs, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_commit_is_durable_and_comes_back),
        TEST(test_a_list_is_one_write_and_one_sync),
        TEST(test_a_long_list_is_cut_at_segments),
        TEST(test_an_oversized_record_has_a_segment_of_its_own),
        TEST(test_a_repetition_is_known),
        TEST(test_a_repetition_is_known_after_its_segment_is_gone),
        TEST(test_the_window_ends),
        TEST(test_repetitions_in_one_list_join),
        TEST(test_the_same_id_with_another_body_is_accepted),
        TEST(test_without_an_id_nothing_is_a_repetition),
        TEST(test_a_failed_sync_goes_once_to_a_new_segment),
        TEST(test_what_failed_and_was_delivered_does_not_come_back),
        TEST(test_what_failed_in_an_earlier_life_does_not_come_back),
        TEST(test_a_failed_write_goes_once_to_a_new_segment),
        TEST(test_a_second_failure_is_the_end),
        TEST(test_a_failed_commit_forgets_its_id),
        TEST(test_full_is_no_failure),
        TEST(test_strings_too_large_for_a_record),
        TEST(test_nothing_is_allocated_after_warm_up),
        TEST(test_delivered_waits_for_every_destination),
        TEST(test_delivered_gives_up),
        TEST(test_delivered_what_nobody_took_may_come_again),
        TEST(test_memory_knows_ids_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
