/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facade and the keeper: release, recycling, the log's failures, what is asked of it.
 */
#include "spool_rig.h"
#include <dirent.h>

static int files_ending(const char *end)
{
    DIR *directory = opendir(rig.path);
    assert_non_null(directory);
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        size_t size = strlen(entry->d_name);
        count += size > strlen(end) && strcmp(entry->d_name + size - strlen(end), end) == 0;
    }
    closedir(directory);
    return count;
}

static void test_what_is_released_is_recycled(void **state)
{
    (void)state;
    rig_start();
    for (int i = 0; i < 100; i++) { /* far more than the limit, if nothing were given back */
        for (int k = 0; k < 10; k++) {
            enum weir_status status = job_submit(k, (size_t)(9000 + i), 0);
            assert_int_equal(status, WEIR_OK);
            rig.now.wall_ns += INT64_C(3601) * SECOND;
        }
        assert_int_equal(rig_drain(0, NULL), 10);
        assert_int_equal(rig_drain(1, NULL), 10);
        assert_int_equal(rig_keep(), WEIR_OK);
        assert_true(rig_look().bytes <= rig.options.limit);
    }
    assert_true(files_ending(".segment") <= 4);
    assert_int_equal(files_ending(".spare"), 2);
    rig_restart();
    assert_int_equal(rig.report.records, 0);
}

static void test_nothing_is_recycled_before_its_note(void **state)
{
    (void)state;
    rig_start();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(job_submit(i, 3000, 0), WEIR_OK);
    }
    assert_int_equal(rig_drain(0, NULL), 20);
    assert_int_equal(rig_drain(1, NULL), 20);
    assert_int_equal(files_ending(".segment"), 2);
    rig.fail_sync = rig.syncs + 1; /* the log's */
    rig.fail_count = 1;
    assert_int_equal(rig_keep(), WEIR_OK); /* a snapshot into a new file instead */
    assert_int_equal(rig_keep(), WEIR_OK);
    assert_int_equal(files_ending(".segment"), 1);
    rig_restart();
    assert_int_equal(rig.report.records, 0);
    assert_int_equal(job_submit(3, 3000, 0), WEIR_EEXIST); /* the snapshot has the ids */
}

static void test_a_log_that_fails_twice_is_the_end(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 100, 0), WEIR_OK);
    rig.fail_sync = rig.syncs + 1;
    rig.fail_count = 100;
    assert_int_equal(rig_keep(), WEIR_EIO);
    assert_true(rig_look().failed);
    assert_int_equal(job_submit(2, 100, 0), WEIR_EIO);
    rig.fail_sync = 0;
    rig_restart();
    assert_int_equal(rig.report.records, 1);
}

static void test_a_look(void **state)
{
    (void)state;
    rig_start();
    int64_t first = rig.now.wall_ns;
    assert_int_equal(job_submit(1, 100, 1), WEIR_OK);
    rig.now.wall_ns += SECOND;
    assert_int_equal(job_submit(2, 100, 0), WEIR_OK);
    struct weir_spool_stat stat = rig_look();
    assert_int_equal(stat.limit, rig.options.limit);
    assert_true(stat.bytes >= SEGMENT);
    assert_int_equal(stat.records, 2);
    assert_true(stat.owed_bytes > 0);
    assert_true(stat.owed_bytes < 2 * 4096);
    assert_true(stat.oldest_wall_ns <= first);
    assert_true(stat.oldest_wall_ns > first - 2 * (int64_t)SECOND);
    assert_int_equal(stat.backlog_records[0], 1);
    assert_int_equal(stat.backlog_records[1], 2);
    assert_int_equal(stat.ids, 2);
    assert_false(stat.failed);
    weir_spool_settle(rig.spool, jobs[1].job.ticket, 0, WEIR_KEPT);
}

static void test_too_many_destinations(void **state)
{
    (void)state;
    rig.options.destination_count = 63;
    assert_int_equal(rig_try_open(), WEIR_EINVAL);
    assert_null(rig.spool);
}

static void test_without_deduplication(void **state)
{
    (void)state;
    rig.options.dedupe_window_ns = 0;
    rig_start();
    assert_int_equal(job_submit(1, 100, 0), WEIR_OK);
    assert_int_equal(job_submit(1, 100, 0), WEIR_OK);
    assert_int_equal(rig_look().ids, 0);
    rig_restart();
    assert_int_equal(rig.report.records, 2);
}

static void test_ids_are_bounded(void **state)
{
    (void)state;
    rig.options.dedupe_entries = 8;
    rig_start();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(job_submit(i, 100, 0), WEIR_OK);
    }
    assert_true(rig_look().ids <= 8);
    assert_int_equal(job_submit(19, 100, 0), WEIR_EEXIST);
    assert_int_equal(job_submit(0, 100, 0), WEIR_OK);
}

static void test_closing_nothing(void **state)
{
    (void)state;
    weir_spool_close(NULL, rig.now);
    rig_start();
    weir_spool_settle(rig.spool, NULL, 0, WEIR_SETTLED);
}

/* Every n-th write and sync fails, once and from then on, until a run passes untouched: starts
 * always succeed afterwards, and what was answered with OK is there. */
static void run_with_faults(int write, int sync, int count)
{
    int acknowledged = 0;
    rig.writes = rig.syncs = 0;
    rig.fail_write = write;
    rig.fail_sync = sync;
    rig.fail_count = count;
    if (rig_try_open() == WEIR_OK) {
        for (int i = 0; i < 30; i++) {
            acknowledged += job_submit(i, 5000, 0) == WEIR_OK;
            (void)(i % 7 == 0 ? rig_keep() : WEIR_OK);
        }
    }
    rig_stop();
    rig.fail_write = rig.fail_sync = 0;
    rig_start();
    assert_int_equal(rig.report.lost_records, 0);
    assert_true((int)rig.report.records >= acknowledged);
    int read = rig_drain(0, NULL);
    assert_int_equal(rig_drain(1, NULL), read);
    assert_true(read >= acknowledged);
    rig_stop();
    char command[128]; /* tidy: allow banned -- whatever is there */
    (void)snprintf(command, sizeof command, "rm -r %s/*", rig.path);
    assert_int_equal(system(command), 0);
}

static void test_every_write_and_sync_fails_in_turn(void **state)
{
    (void)state;
    for (int count = 1; count <= 1000; count += 999) {
        for (int n = 1; n < 60; n += 1 + n / 12) {
            run_with_faults(n, 0, count);
            run_with_faults(0, n, count);
        }
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_released_is_recycled),
        TEST(test_nothing_is_recycled_before_its_note),
        TEST(test_a_log_that_fails_twice_is_the_end),
        TEST(test_a_look),
        TEST(test_too_many_destinations),
        TEST(test_without_deduplication),
        TEST(test_ids_are_bounded),
        TEST(test_closing_nothing),
        TEST(test_every_write_and_sync_fails_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
