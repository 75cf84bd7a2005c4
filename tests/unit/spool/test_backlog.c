/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading back: what comes, in which order, and what happens to a record that does not read.
 */
#include "spool_rig.h"

#define FIRST "0000000000000001.segment"

static void test_nothing_waits(void **state)
{
    (void)state;
    rig_start();
    struct weir_backlog_place place;
    assert_int_equal(weir_backlog_next(rig.spool, 0, &place), WEIR_EEND);
    assert_int_equal(weir_backlog_next(rig.spool, WEIR_BACKLOG_GONE, &place), WEIR_EEND);
    assert_int_equal(weir_backlog_next(rig.spool, WEIR_SPOOL_LETTER, &place), WEIR_EEND);
}

static void test_what_is_in_memory_does_not_wait(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 100, 1), WEIR_OK); /* live for alpha, on disk for beta */
    struct weir_ticket *ticket = jobs[1].job.ticket;
    assert_int_equal(rig_drain(0, NULL), 0);
    assert_int_equal(rig_drain(1, NULL), 1);
    weir_spool_settle(rig.spool, ticket, 0, WEIR_KEPT);
    assert_int_equal(rig_drain(0, NULL), 1);
    assert_int_equal(rig_look().records, 0);
}

static void test_oldest_first_and_all_of_it(void **state)
{
    (void)state;
    rig_start();
    for (int i = 0; i < 40; i++) {
        assert_int_equal(job_submit(i, (size_t)(100 + i * 300), 0), WEIR_OK);
    }
    rig_restart();
    uint64_t last = 0;
    for (size_t i = 0; i < 40; i++) {
        struct weir_backlog_place place;
        struct weir_frame_record record;
        struct weir_bytes body;
        assert_int_equal(weir_backlog_next(rig.spool, 1, &place), WEIR_OK);
        assert_true(place.lsn > last);
        assert_int_equal(place.size % 4096, 0);
        assert_int_equal(place.kind, WEIR_BACKLOG_DELIVER);
        assert_string_equal(place.name, "beta");
        last = place.lsn;
        assert_int_equal(weir_backlog_read(rig.spool, &place, rig.memory, &record, &body), WEIR_OK);
        support_assert_bytes(body, weir_bytes_of(payload + i, 100 + i * 300));
        support_assert_bytes(record.stream, weir_bytes_str("arn:stream"));
        support_assert_bytes(record.key_name, weir_bytes_str("key"));
        assert_int_equal(record.points, 5);
        weir_spool_settle(rig.spool, place.ticket, 1, WEIR_SETTLED);
    }
}

static void test_damage_is_settled_and_counted_once(void **state)
{
    (void)state;
    rig_start();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(job_submit(i, 3000, 0), WEIR_OK);
    }
    rig_stop();
    rig_spoil(FIRST, 8192 + 4096 + 1500, 1, 0); /* in a payload: a start does not look there */
    rig_start();
    assert_int_equal(rig.report.records, 3);
    int damaged = 0;
    assert_int_equal(rig_drain(0, &damaged), 2);
    assert_int_equal(damaged, 1);
    assert_true(rig_has("quarantine/0000000000000001-0000000000003000"));
    assert_int_equal(rig_drain(1, &damaged), 2);
    assert_int_equal(damaged, 1); /* owed to nobody any more */
    assert_int_equal(rig_look().records, 0);
    rig_restart();
    assert_int_equal(rig.report.lost_records, 0);
    assert_int_equal(rig.report.records, 0);
}

static void test_a_file_cut_short(void **state)
{
    (void)state;
    rig_start();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(job_submit(i, 3000, 0), WEIR_OK);
    }
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", rig.path, FIRST);
    assert_int_equal(truncate(path, 8192 + 2 * 4096 + 100), 0);
    int damaged = 0;
    assert_int_equal(rig_drain(0, &damaged), 2);
    assert_int_equal(damaged, 1);
}

static void test_a_read_that_fails_may_pass_later(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 3000, 0), WEIR_OK);
    struct weir_backlog_place place;
    struct weir_frame_record record;
    struct weir_bytes body;
    rig.failing_open = -EIO;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(weir_backlog_next(rig.spool, 0, &place), WEIR_OK);
        assert_int_equal(weir_backlog_read(rig.spool, &place, rig.memory, &record, &body),
                         WEIR_EIO);
        weir_spool_settle(rig.spool, place.ticket, 0, WEIR_KEPT);
    }
    rig.failing_open = 0;
    assert_int_equal(rig_drain(0, NULL), 1);
}

static void test_no_descriptor_is_no_damage(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 3000, 0), WEIR_OK);
    static const int errors[] = {-EMFILE, -ENFILE, -ENOMEM, -EACCES, -EINTR};
    struct weir_backlog_place place;
    struct weir_frame_record record;
    struct weir_bytes body;
    for (int i = 0; i < 50; i++) {
        rig.failing_open = errors[i / 10];
        assert_int_equal(weir_backlog_next(rig.spool, 0, &place), WEIR_OK);
        assert_int_equal(weir_backlog_read(rig.spool, &place, rig.memory, &record, &body),
                         WEIR_EIO);
        weir_spool_settle(rig.spool, place.ticket, 0, WEIR_KEPT);
    }
    rig.failing_open = 0;
    assert_int_equal(rig_drain(0, NULL), 1);
}

static void test_a_read_that_never_passes_is_damage(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 3000, 0), WEIR_OK);
    struct weir_backlog_place place;
    struct weir_frame_record record;
    struct weir_bytes body;
    rig.failing_open = -EIO;
    enum weir_status status = WEIR_EIO;
    for (int i = 0; i < 20 && status == WEIR_EIO; i++) {
        assert_int_equal(weir_backlog_next(rig.spool, 0, &place), WEIR_OK);
        status = weir_backlog_read(rig.spool, &place, rig.memory, &record, &body);
        if (status == WEIR_EIO) {
            weir_spool_settle(rig.spool, place.ticket, 0, WEIR_KEPT);
        }
    }
    assert_int_equal(status, WEIR_EMALFORMED);
    rig.failing_open = 0;
    assert_int_equal(rig_look().records, 0);
}

static void test_settled_points_are_told(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(job_submit(1, 100, 0), WEIR_OK);
    struct weir_backlog_place place;
    assert_int_equal(weir_backlog_next(rig.spool, 0, &place), WEIR_OK);
    weir_backlog_expect(rig.spool, place.ticket, 0, 5, 5);
    struct weir_part parts[2] = {{place.ticket, 0, 2}, {place.ticket, 2, 5}};
    struct weir_manifest manifest = {.destination = 0, .count = 1, .capacity = 1, .parts = parts};
    struct weir_settler settler = weir_spool_settler(rig.spool);
    settler.attempted(settler.self, &manifest, INT64_C(60) * SECOND);
    settler.settle(settler.self, &manifest, WEIR_SETTLED);
    manifest.parts = &parts[1];
    settler.settle(settler.self, &manifest, WEIR_KEPT);
    rig_restart();
    assert_int_equal(weir_backlog_next(rig.spool, 0, &place), WEIR_OK);
    assert_int_equal(place.settled_count, 1);
    assert_int_equal(place.settled[0].begin, 0);
    assert_int_equal(place.settled[0].end, 2);
    assert_int_equal(place.settled_total, 5);
    assert_int_equal(place.used_ns, INT64_C(60) * SECOND);
    weir_spool_settle(rig.spool, place.ticket, 0, WEIR_KEPT);
}

static void test_over_its_share_goes_to_the_letter(void **state)
{
    (void)state;
    rig.destinations[0].share = 20000;
    rig_start();
    for (int i = 0; i < 10; i++) {
        assert_int_equal(job_submit(i, 3000, 0), WEIR_OK);
    }
    struct weir_backlog_place place;
    assert_int_equal(weir_backlog_next(rig.spool, 0, &place), WEIR_OK);
    assert_int_equal(place.kind, WEIR_BACKLOG_LETTER);
    assert_string_equal(place.reason, "spool_share");
    weir_spool_settle(rig.spool, place.ticket, 0, WEIR_SETTLED);
    assert_int_equal(weir_backlog_next(rig.spool, 1, &place), WEIR_OK);
    assert_int_equal(place.kind, WEIR_BACKLOG_DELIVER);
    weir_spool_settle(rig.spool, place.ticket, 1, WEIR_KEPT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_waits),
        TEST(test_what_is_in_memory_does_not_wait),
        TEST(test_oldest_first_and_all_of_it),
        TEST(test_damage_is_settled_and_counted_once),
        TEST(test_a_file_cut_short),
        TEST(test_a_read_that_fails_may_pass_later),
        TEST(test_no_descriptor_is_no_damage),
        TEST(test_a_read_that_never_passes_is_damage),
        TEST(test_settled_points_are_told),
        TEST(test_over_its_share_goes_to_the_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
