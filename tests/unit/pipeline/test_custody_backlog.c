/* SPDX-License-Identifier: Apache-2.0 */
/* What is read back from the spool: after an outage, after a restart, and to the dead letter. */
#include "custody_rig.h"

#define ONE   FLOW_LINE("AWS/EC2", "A")
#define THREE ONE "\n" FLOW_LINE("AWS/EBS", "B") "\n" FLOW_LINE("AWS/ELB", "C")

static void backlog_start(void)
{
    assert_int_equal(weir_custody_backlog_start(rig.custody), WEIR_OK);
}

/* Every point of requests [0, count) came to a destination. */
static void expect_all_seen(uint32_t destination, uint32_t count, uint32_t points)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t p = 0; p < points; p++) {
            assert_int_equal(rig.seen[destination][i][p], 1);
        }
    }
}

static void submit_all(uint32_t count, const char *record)
{
    for (uint32_t i = 0; i < count; i++) {
        rig_submit(i, record);
    }
    for (uint32_t i = 0; i < count; i++) {
        rig_expect(i, 200, "ok");
    }
}

static void test_what_had_no_room_comes_later(void **state)
{
    (void)state;
    rig_up((struct rig_options){.slots = 2});
    submit_all(30, THREE);
    assert_int_equal(rig_records(30), 30);
    backlog_start();
    assert_int_equal(rig_drain_until(180), 180);
    expect_all_seen(0, 30, 3);
    expect_all_seen(1, 30, 3);
    assert_int_equal(rig_records(0), 0);
    rig_down();
}

static void test_one_that_is_down_does_not_hold_the_other(void **state)
{
    (void)state;
    rig_up((struct rig_options){.slots = 2});
    backlog_start();
    uint32_t points = 0;
    for (uint32_t i = 0; i < 20; i++) {
        rig_submit(i, THREE);
        rig_expect(i, 200, "ok");
        points += rig_drain(0, WEIR_SETTLED, UINT32_MAX);
    }
    int64_t until_ns = weir_clock_mono_ns() + 20 * WEIR_NS_PER_S;
    while (points < 60 && weir_clock_mono_ns() < until_ns) {
        points += rig_drain(0, WEIR_SETTLED, UINT32_MAX);
        (void)usleep(500);
    }
    expect_all_seen(0, 20, 3);
    assert_int_equal(rig_drain_until(60), 60);
    expect_all_seen(1, 20, 3);
    assert_int_equal(rig_records(0), 0);
    rig_down();
}

static void test_after_a_restart_only_what_is_not_settled_comes(void **state)
{
    (void)state;
    rig_up((struct rig_options){0});
    submit_all(10, THREE);
    /* destination 0 has some runs of some requests, destination 1 all of them */
    uint32_t settled = rig_drain(0, WEIR_SETTLED, 7);
    assert_int_equal(settled, 7);
    assert_int_equal(rig_drain(1, WEIR_SETTLED, UINT32_MAX), 30);
    rig_down();
    rig_up((struct rig_options){0});
    assert_int_equal(rig.report.records, 10);
    backlog_start();
    assert_int_equal(rig_drain_until(23), 23);
    expect_all_seen(0, 10, 3);
    expect_all_seen(1, 10, 3);
    assert_int_equal(rig_records(0), 0);
    rig_down();
}

static void test_what_is_kept_comes_again(void **state)
{
    (void)state;
    rig_up((struct rig_options){0});
    submit_all(5, THREE);
    assert_int_equal(rig_drain(0, WEIR_KEPT, UINT32_MAX), 15);
    assert_int_equal(rig_drain(1, WEIR_SETTLED, UINT32_MAX), 15);
    backlog_start();
    assert_int_equal(rig_drain_until(15), 15);
    expect_all_seen(0, 5, 3);
    assert_int_equal(rig_records(0), 0);
    rig_down();
}

static void test_quarantined_pieces_become_letters(void **state)
{
    (void)state;
    rig_up((struct rig_options){0});
    rig_submit(0, "{\"a\":\"\\u0041\"}\n" ONE "\n{\"b\":2}");
    rig_expect(0, 200, "ok");
    rig_submit(1, "\x1f\x8b gzip");
    rig_expect(1, 200, "ok");
    backlog_start();
    assert_int_equal(rig_drain_until(2), 2);
    assert_int_equal(rig_records(0), 0);
    rig_down();
    assert_true(rig_letters_have_data("{\"a\":\"\\u0041\"}"));
    assert_true(rig_letters_have_data("{\"b\":2}"));
    assert_true(rig_letters_have_data("\x1f\x8b gzip"));
    assert_true(rig_letters_have("\"requestId\":\"1\""));
    assert_true(rig_letters_have("\"reason\":\"not_a_metric\""));
    assert_true(rig_letters_have("\"reason\":\"gzip\""));
}

static void test_without_a_letterbox_quarantined_data_is_let_go(void **state)
{
    (void)state;
    rig_up((struct rig_options){.no_letterbox = true});
    rig_submit(0, "{\"a\":1}");
    rig_expect(0, 200, "ok");
    assert_int_equal(rig_records(1), 1);
    backlog_start();
    assert_int_equal(rig_records(0), 0);
    rig_down();
}

static void test_a_removed_destinations_records_become_letters(void **state)
{
    (void)state;
    rig_up((struct rig_options){0});
    submit_all(3, THREE);
    assert_int_equal(rig_drain(0, WEIR_SETTLED, UINT32_MAX), 9);
    rig_down();
    rig_up((struct rig_options){.destinations = 1, .no_letterbox = true});
    backlog_start();
    (void)usleep(400000);
    assert_int_equal(rig_records(3), 3); /* nobody's, and nowhere to put them */
    rig_down();
    rig_up((struct rig_options){.destinations = 1});
    backlog_start();
    assert_int_equal(rig_records(0), 0);
    rig_down();
    assert_true(rig_letters_have_data(THREE));
    assert_true(rig_letters_have("\"destination\":\"second\""));
    assert_true(rig_letters_have("\"reason\":\"destination_removed\""));
    assert_false(rig_letters_have("\"destination\":\"first\""));
}

static void test_what_todays_limits_refuse_is_a_letter_whole(void **state)
{
    (void)state;
    rig_up((struct rig_options){0});
    submit_all(2, THREE);
    rig_down();
    rig_up((struct rig_options){.body_limit = 100});
    backlog_start();
    assert_int_equal(rig_records(0), 0);
    rig_down();
    struct weir_bytes body = flow_body("1", THREE);
    struct weir_buf text = weir_buf_grow_init((size_t)1 << 16);
    weir_buf_put(&text, body);
    weir_buf_printf(&text, "%c", '\0');
    assert_true(rig_letters_have_data((const char *)text.data));
    assert_true(rig_letters_have("\"reason\":\"body_refused\""));
    assert_true(rig_letters_have("\"destination\":\"first\""));
    assert_true(rig_letters_have("\"destination\":\"second\""));
    weir_buf_done(&text);
    weir_mem_free((void *)(uintptr_t)body.data);
}

static void test_a_full_dead_letter_keeps_the_record(void **state)
{
    (void)state;
    rig_up((struct rig_options){.letter_limit = 1});
    rig_submit(0, "{\"a\":1}\n" ONE);
    rig_expect(0, 200, "ok");
    backlog_start();
    assert_int_equal(rig_drain_until(2), 2);
    (void)usleep(500000);
    assert_int_equal(rig_records(1), 1);
    assert_true(weir_letterbox_look(rig.letterbox).full);
    rig_down();
    assert_false(rig_letters_have("rawData"));
    rig_up((struct rig_options){0}); /* somebody made room */
    backlog_start();
    assert_int_equal(rig_records(0), 0);
    rig_down();
    assert_true(rig_letters_have_data("{\"a\":1}"));
}

static void test_over_its_share_of_the_disk_it_becomes_letters(void **state)
{
    (void)state;
    rig_up((struct rig_options){.slots = 2, .spool_share = 4096});
    submit_all(20, THREE);
    backlog_start();
    struct weir_spool_stat stat = {.records = 0};
    for (int i = 0; i < 5000; i++) {
        weir_spool_look(rig.spool, &stat);
        if (stat.backlog_bytes[0] <= 4096 && stat.backlog_bytes[1] <= 4096) {
            break;
        }
        (void)usleep(1000);
    }
    assert_true(stat.backlog_bytes[0] <= 4096);
    assert_true(stat.backlog_bytes[1] <= 4096);
    assert_true(stat.backlog_bytes[0] > 0); /* what is within the share is still to come */
    rig_down();
    assert_true(rig_letters_have("\"reason\":\"spool_share\""));
}

static void test_the_rate_is_a_bound(void **state)
{
    (void)state;
    rig_up((struct rig_options){.slots = 2});
    submit_all(14, THREE);
    rig_down();
    rig_up((struct rig_options){.backlog_rate = 64 << 10}); /* a record is read as 4 KiB */
    int64_t begun_ns = weir_clock_mono_ns();
    backlog_start();
    assert_int_equal(rig_drain_until(2 * 14 * 3), 2 * 14 * 3);
    int64_t took_ns = weir_clock_mono_ns() - begun_ns;
    assert_true(took_ns >= 27 * WEIR_NS_PER_S / 16 / 2); /* half of it: pages may be shared */
    rig_down();
}

static void test_it_stops_at_once_whatever_the_rate(void **state)
{
    (void)state;
    rig_up((struct rig_options){0});
    submit_all(10, THREE);
    rig_down();
    rig_up((struct rig_options){.backlog_rate = 1});
    backlog_start();
    (void)usleep(50000);
    int64_t begun_ns = weir_clock_mono_ns();
    weir_custody_backlog_stop(rig.custody);
    assert_true(weir_clock_mono_ns() - begun_ns < 5 * WEIR_NS_PER_S);
    rig_down();
}

/* What is too large for the backlog's own memory takes that of any large request. */
static void test_a_record_larger_than_its_memory(void **state)
{
    (void)state;
    static const size_t credits[] = {1, 4096, 8192, 70000, 140000};
    rig_up((struct rig_options){0});
    submit_all(5, "{\"no\":1}\n" THREE);
    for (uint32_t i = 0; i < 5; i++) {
        rig_down();
        rig_up((struct rig_options){.backlog_credit = credits[i]});
        backlog_start();
        int64_t until_ns = weir_clock_mono_ns() + 10 * WEIR_NS_PER_S;
        uint32_t points = 0;
        while (points < 3 && weir_clock_mono_ns() < until_ns) {
            points += rig_drain(0, WEIR_SETTLED, 3 - points);
            (void)usleep(500);
        }
        assert_int_equal(points, 3);
    }
    assert_int_equal(rig_drain_until(15), 15);
    expect_all_seen(0, 5, 3);
    expect_all_seen(1, 5, 3);
    assert_int_equal(rig_records(0), 0);
    rig_down();
}

/* More than may be under way at a time. */
static void test_many_letters_of_one_record(void **state)
{
    (void)state;
    struct weir_buf record = weir_buf_grow_init((size_t)1 << 16);
    weir_buf_printf(&record, "{");
    for (int i = 0; i < 100; i++) {
        weir_buf_printf(&record, "bad %d\n{\"no\":%d}\n{", i, i);
    }
    weir_buf_printf(&record, "end%c", '\0');
    rig_up((struct rig_options){0});
    rig_submit(0, (const char *)record.data);
    rig_expect(0, 200, "ok");
    backlog_start();
    assert_int_equal(rig_records(0), 0);
    rig_down();
    assert_true(rig_letters_have_data("{bad 0"));
    assert_true(rig_letters_have_data("{\"no\":57}"));
    assert_true(rig_letters_have_data("{bad 99"));
    assert_true(rig_letters_have_data("{end"));
    weir_buf_done(&record);
}

#define RIG_TEST(name_) cmocka_unit_test_setup_teardown(name_, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_what_had_no_room_comes_later),
        RIG_TEST(test_one_that_is_down_does_not_hold_the_other),
        RIG_TEST(test_after_a_restart_only_what_is_not_settled_comes),
        RIG_TEST(test_what_is_kept_comes_again),
        RIG_TEST(test_quarantined_pieces_become_letters),
        RIG_TEST(test_without_a_letterbox_quarantined_data_is_let_go),
        RIG_TEST(test_a_removed_destinations_records_become_letters),
        RIG_TEST(test_what_todays_limits_refuse_is_a_letter_whole),
        RIG_TEST(test_a_full_dead_letter_keeps_the_record),
        RIG_TEST(test_over_its_share_of_the_disk_it_becomes_letters),
        RIG_TEST(test_a_record_larger_than_its_memory),
        RIG_TEST(test_many_letters_of_one_record),
        RIG_TEST(test_the_rate_is_a_bound),
        RIG_TEST(test_it_stops_at_once_whatever_the_rate),
    };
    return cmocka_run_group_tests_name("custody_backlog", tests, NULL, NULL);
}
