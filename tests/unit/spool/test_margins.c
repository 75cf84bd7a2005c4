/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large bodies that are written from where they lie, past the page cache: what is where in the file
 * and in memory, beside what goes the usual way, and when the file system will not have it.
 */
#include "spool_rig.h"

enum { BLOCK = 4096, FOUND_MAX = 16 };

/* Where destination 0's records lie, in order; their number. */
static int find_places(struct weir_backlog_place *places)
{
    int count = 0;
    while (weir_backlog_next(rig.spool, 0, &places[count]) == WEIR_OK) {
        weir_spool_settle(rig.spool, places[count].ticket, 0, WEIR_SETTLED);
        count++;
        assert_true(count < FOUND_MAX);
    }
    return count;
}

/* Whether the file that holds `place` has the job's body at this offset. */
static bool body_is_at(const struct weir_backlog_place *place, const struct job *job,
                       uint64_t offset)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%016llx.segment", (unsigned long long)place->segment);
    int file = rig.real.ops->open(rig.real.self, name, WEIR_DISK_WRITE);
    assert_true(file >= 0);
    size_t size = 0;
    assert_true(job->job.body.size <= MEMORY);
    assert_int_equal(weir_disk_read(&rig.real, file, rig.memory, job->job.body.size, offset, &size),
                     WEIR_OK);
    (void)rig.real.ops->close(rig.real.self, file);
    return size == job->job.body.size && memcmp(rig.memory, job->job.body.data, size) == 0;
}

static void expect_all_back(int count)
{
    rig_restart();
    assert_int_equal(rig.report.records, count);
    assert_int_equal(rig.report.lost_records, 0);
    assert_int_equal(rig.report.torn_records, 0);
    assert_int_equal(rig_drain(0, NULL), count);
    assert_int_equal(rig_drain(1, NULL), count);
}

static void test_a_large_body_has_its_blocks_for_itself(void **state)
{
    (void)state;
    rig_start();
    (void)job_make(0, 700, 0);
    (void)job_with_margins(1, 9000, 0);
    (void)job_with_margins(2, 2 * BLOCK, 0);
    (void)job_make(3, 700, 0);
    (void)job_make(4, 700, 0);
    rig.writes = rig.syncs = 0;
    job_commit(0, 5);
    assert_int_equal(rig.syncs, 1);
    assert_int_equal(rig.writes, 1 + 1); /* one for all, and the file's header */
    struct weir_backlog_place places[FOUND_MAX];
    assert_int_equal(find_places(places), 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(jobs[i].job.status, WEIR_OK);
        assert_true(i == 0 || places[i].lsn == places[i - 1].lsn + 1);
    }
    uint64_t first = places[1].offset / BLOCK * BLOCK + BLOCK;
    assert_true(places[1].offset / BLOCK > places[0].offset / BLOCK);
    assert_true(body_is_at(&places[1], &jobs[1], first));
    assert_int_equal(places[2].offset / BLOCK, first / BLOCK + 3);
    assert_true(body_is_at(&places[2], &jobs[2], first + (uint64_t)4 * BLOCK));
    assert_int_equal(places[3].offset, first + (uint64_t)6 * BLOCK);
    assert_true(places[4].offset < places[3].offset + 1200);
    rig_restart();
    assert_int_equal(rig_drain(1, NULL), 5);
}

static void test_small_and_large_come_back(void **state)
{
    (void)state;
    rig_start();
    for (int i = 0; i < 12; i++) {
        (void)(i % 3 == 1 ? job_with_margins : job_make)(i, (size_t)i * 1000 + 1, 0);
    }
    (void)job_with_margins(12, 200000, 0); /* more than a segment of the usual size */
    job_commit(0, 13);
    expect_all_back(13);
}

/* Of 2 MiB, so that a commit of several stagings fits into one. */
static void start_with_large_segments(void)
{
    rig.options.limit = 64 << 20;
    rig.options.segment_bytes = 2 << 20;
    rig_start();
}

/* Two whole stagings of 256 KiB, one with a record between that is not copied, and the rest. */
static void test_a_commit_of_more_than_the_staging_holds(void **state)
{
    (void)state;
    start_with_large_segments();
    (void)job_make(0, 70000, 0);
    (void)job_with_margins(1, 9000, 0);
    (void)job_make(2, 250001, 0);
    (void)job_make(3, 250001, 0);
    (void)job_with_margins(4, 5000, 0);
    rig.writes = rig.syncs = 0;
    job_commit(0, 5);
    assert_int_equal(rig.syncs, 1);
    assert_int_equal(rig.writes, 3 + 1);
    struct weir_backlog_place places[FOUND_MAX];
    assert_int_equal(find_places(places), 5);
    assert_true(body_is_at(&places[1], &jobs[1], places[1].offset / BLOCK * BLOCK + BLOCK));
    for (int i = 2; i < 4; i++) {
        uint64_t body = places[i].offset + jobs[i].job.plan.header_size;
        assert_true(body_is_at(&places[i], &jobs[i], body));
    }
    rig_restart();
    assert_int_equal(rig.report.torn_records, 0);
    assert_int_equal(rig_drain(1, NULL), 5);
}

/* What is before the margins, and behind them, is not the lane's; between, there are zeros. */
static void test_only_margins_are_written_to(void **state)
{
    (void)state;
    rig_start();
    struct job *job = job_with_margins(0, 5000, 0);
    uint8_t *margins = job->job.margins;
    uint8_t before[BLOCK];
    memset(before, ROOMY_FILL, sizeof before);
    memcpy(margins + (ptrdiff_t)2 * BLOCK, before, sizeof before);
    job_commit(0, 1);
    assert_memory_equal(margins, payload, 5000);
    for (size_t i = 5000; i < (size_t)2 * BLOCK; i++) {
        assert_int_equal(margins[i], 0);
    }
    assert_memory_equal(margins + (ptrdiff_t)2 * BLOCK, before, sizeof before);
    assert_int_equal(margins[-BLOCK], 0);
    expect_all_back(1);
}

static void test_a_header_longer_than_a_block_goes_the_usual_way(void **state)
{
    (void)state;
    static uint8_t text[2 * BLOCK];
    memset(text, 'x', sizeof text);
    rig_start();
    struct job *job = job_with_margins(0, 5000, 0);
    job->job.attributes = weir_bytes_of(text, sizeof text);
    job_commit(0, 1);
    assert_int_equal(job->job.margins[-1], ROOMY_FILL);
    assert_int_equal(job->job.margins[5000], ROOMY_FILL);
    expect_all_back(1);
}

static void test_older_versions_have_all_of_it_too(void **state)
{
    (void)state;
    rig.options.limit = 64 * SEGMENT;
    for (unsigned version = WEIR_FRAME_VERSION_MIN; version <= WEIR_FRAME_VERSION; version++) {
        rig.options.version = version;
        rig_start();
        for (int i = 0; i < 8; i++) { /* in one of them the header is a multiple of 64 */
            struct job *job = job_with_margins((int)version * 8 + i, 5000, 0);
            job->job.attributes.size = 0;
            job->job.stream.size = (size_t)i;
        }
        job_commit((int)version * 8, 8);
        expect_all_back(8);
        rig_stop();
    }
    rig_start();
}

static void test_a_file_system_without_direct_writes_gets_the_same_bytes(void **state)
{
    (void)state;
    rig.failing_direct = -EINVAL;
    rig_start();
    (void)job_make(0, 700, 0);
    (void)job_with_margins(1, 9000, 0);
    (void)job_make(2, 700, 0);
    rig.writes = 0;
    job_commit(0, 3);
    assert_int_equal(rig.writes, 1 + 1); /* one for all, and the file's header */
    struct weir_backlog_place places[FOUND_MAX];
    assert_int_equal(find_places(places), 3);
    assert_true(body_is_at(&places[1], &jobs[1], places[1].offset / BLOCK * BLOCK + BLOCK));
    rig_restart();
    assert_int_equal(rig_drain(1, NULL), 3);
}

/* The same numbers, in another file; and from then on all goes through the page cache. */
static void test_a_direct_write_that_fails_is_the_last_one(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(0, 100, 0), WEIR_OK);
    (void)job_make(1, 700, 0);
    (void)job_with_margins(2, 9000, 0);
    rig.writes = rig.direct_writes = 0;
    rig.fail_write = 1;
    rig.fail_count = 1;
    job_commit(1, 2);
    assert_int_equal(rig.direct_writes, 1);
    assert_int_equal(rig.writes, 1 + 2); /* and the other file's header, and its commit */
    assert_int_equal(jobs[1].job.status, WEIR_OK);
    assert_int_equal(jobs[2].job.status, WEIR_OK);
    rig.fail_write = 0;
    rig.writes = 0;
    (void)job_make(3, 700, 0);
    (void)job_with_margins(4, 9000, 0);
    job_commit(3, 2);
    assert_int_equal(rig.writes, 1);
    assert_int_equal(rig.direct_writes, 1);
    expect_all_back(5);
}

/* The first part of a commit is in one file, and all of it in another. */
static void test_a_direct_write_that_fails_half_way(void **state)
{
    (void)state;
    start_with_large_segments();
    assert_int_equal(job_submit(0, 100, 0), WEIR_OK);
    (void)job_make(1, 250001, 0);
    (void)job_with_margins(2, 9000, 0);
    (void)job_make(3, 250001, 0);
    rig.writes = rig.direct_writes = 0;
    rig.fail_write = 2;
    rig.fail_count = 1;
    job_commit(1, 3);
    assert_int_equal(rig.direct_writes, 2);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(jobs[i].job.status, WEIR_OK);
    }
    rig.fail_write = 0;
    expect_all_back(4);
}

/* As after a crash between the writes of one commit: nothing that was acknowledged is missing. */
static void test_half_a_commit_is_no_loss(void **state)
{
    (void)state;
    start_with_large_segments();
    assert_int_equal(job_submit(0, 100, 0), WEIR_OK);
    (void)job_make(1, 250001, 0);
    (void)job_make(2, 250001, 0);
    rig.writes = 0;
    rig.fail_write = 2;
    rig.fail_count = 1 << 30;
    job_commit(1, 2);
    assert_int_equal(jobs[1].job.status, WEIR_EIO);
    assert_int_equal(jobs[2].job.status, WEIR_EIO);
    rig_stop();
    rig.fail_write = 0;
    rig_start();
    assert_int_equal(rig.report.lost_records, 0);
    assert_in_range(rig.report.records, 1, 2);
    assert_in_range(rig_drain(0, NULL), 1, 2);
}

/* Records that end near the staging's end, at it and behind it, and then one that is not copied. */
static void test_where_the_staging_ends(void **state)
{
    (void)state;
    start_with_large_segments();
    int count = 0;
    for (size_t off = 0; off <= 640; off += 64) {
        (void)job_make(count, (256 << 10) - off, 0);
        (void)job_with_margins(count + 1, 1, 0);
        (void)job_make(count + 2, 1, 0);
        rig.direct_writes = 0;
        job_commit(count, 3);
        assert_in_range(rig.direct_writes, 1, 2);
        count += 3;
    }
    expect_all_back(count);
}

static void test_a_disk_that_fails_twice_has_failed(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(0, 100, 0), WEIR_OK);
    (void)job_with_margins(1, 9000, 0);
    rig.fail_write = 1;
    rig.writes = 0;
    rig.fail_count = 1 << 30;
    job_commit(1, 1);
    assert_int_equal(jobs[1].job.status, WEIR_EIO);
    assert_true(rig_look().failed);
    rig.fail_write = 0;
    expect_all_back(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_large_body_has_its_blocks_for_itself, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_small_and_large_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_commit_of_more_than_the_staging_holds, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_only_margins_are_written_to, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_header_longer_than_a_block_goes_the_usual_way, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_older_versions_have_all_of_it_too, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_a_file_system_without_direct_writes_gets_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_direct_write_that_fails_is_the_last_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_direct_write_that_fails_half_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_a_commit_is_no_loss, setup, teardown),
        cmocka_unit_test_setup_teardown(test_where_the_staging_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_disk_that_fails_twice_has_failed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
