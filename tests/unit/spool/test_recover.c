/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts on directories that crashes, rot and other releases have left.
 */
#include "spool_rig.h"
#include "weir/crc32c.h"

#define FIRST "0000000000000001.segment"

/* As a kill does: everything that was synced is there, no last note is. */
static void crash(void)
{
    rig.fail_write = 1; /* what close would still write does not get there */
    rig.fail_sync = 1;
    rig.fail_count = 1 << 30;
    rig_stop();
    rig.fail_write = rig.fail_sync = 0;
}

static void remove_log(void)
{
    char command[128]; /* tidy: allow banned -- whatever the log's files are called */
    (void)snprintf(command, sizeof command, "rm %s/notes.*", rig.path);
    assert_int_equal(system(command), 0);
}

static void fill(int count)
{
    rig_start();
    for (int i = 0; i < count; i++) {
        assert_int_equal(job_submit(i, 3000, 0), WEIR_OK);
    }
}

static void test_an_empty_directory(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(rig.report.segments, 0);
    assert_int_equal(rig.report.records, 0);
    assert_int_equal(rig_look().records, 0);
}

static void test_a_directory_in_use(void **state)
{
    (void)state;
    rig_start();
    struct rig first = rig;
    assert_int_equal(rig_try_open(), WEIR_EEXIST);
    weir_disk_close(&rig.real);
    rig = first;
}

static void test_a_limit_below_a_segment(void **state)
{
    (void)state;
    rig.options.limit = SEGMENT - 1;
    assert_int_equal(rig_try_open(), WEIR_EFULL);
}

static void test_a_crash_without_a_note(void **state)
{
    (void)state;
    fill(5);
    crash();
    rig_start();
    assert_int_equal(rig.report.records, 5);
    assert_int_equal(rig.report.lost_records, 0);
    assert_int_equal(rig.report.torn_records, 0);
    assert_int_equal(job_submit(4, 3000, 0), WEIR_EEXIST); /* the id came from the record */
    assert_int_equal(rig_drain(0, NULL), 5);
    assert_int_equal(rig_drain(1, NULL), 5);
}

static void test_a_torn_tail_is_cut_quietly(void **state)
{
    (void)state;
    fill(3);
    crash();
    rig_spoil(FIRST, 8192 + 2 * 4096 + 2000, 100, 0x55); /* in the last one's payload */
    rig_start();
    assert_int_equal(rig.report.records, 2);
    assert_int_equal(rig.report.torn_records, 1);
    assert_int_equal(rig.report.lost_records, 0);
    assert_false(rig_has("quarantine"));
    assert_int_equal(job_submit(2, 3000, 0), WEIR_OK); /* nobody was told of it */
    rig_restart();
    assert_int_equal(rig.report.torn_records, 0);
    assert_int_equal(rig.report.lost_records, 0);
    assert_int_equal(rig_drain(0, NULL), 3);
}

static void test_a_damaged_header_in_the_middle_is_a_loss(void **state)
{
    (void)state;
    fill(5);
    crash();
    rig_spoil(FIRST, 8192 + 2 * 4096 + 20, 1, 0x55);
    rig_start();
    assert_int_equal(rig.report.records, 4);
    assert_int_equal(rig.report.lost_records, 1);
    assert_int_equal(rig.report.lost_bytes, 4096);
    assert_true(rig_has("quarantine/0000000000000001-0000000000004000"));
    rig_restart();
    assert_int_equal(rig.report.lost_records, 0); /* counted once */
    assert_int_equal(rig_drain(0, NULL), 4);
}

static void test_a_lost_request_may_come_again(void **state)
{
    (void)state;
    fill(5);
    rig_stop();
    rig_spoil(FIRST, 8192 + 2 * 4096 + 20, 1, 0x55);
    rig_start();
    assert_int_equal(rig.report.lost_records, 1);
    assert_int_equal(job_submit(1, 3000, 0), WEIR_EEXIST);
    assert_int_equal(job_submit(2, 3000, 0), WEIR_OK);
}

static void test_damage_at_the_end_is_seen(void **state)
{
    (void)state;
    fill(5);
    rig_stop(); /* the log says how far all was durable */
    rig_spoil(FIRST, 8192 + 4 * 4096 + 20, 1, 0x55);
    rig_start();
    assert_int_equal(rig.report.records, 4);
    assert_int_equal(rig.report.lost_records, 1);
    assert_int_equal(rig.report.torn_records, 0);
}

static void test_damage_at_the_begin_is_seen(void **state)
{
    (void)state;
    fill(5);
    crash();
    rig_spoil(FIRST, 8192, 9000, 0);
    rig_start();
    assert_int_equal(rig.report.records, 2);
    assert_int_equal(rig.report.lost_records, 3);
}

/* Settles the records from job `first` on for a destination; the others stay. */
static void settle_from(size_t first, uint32_t destination)
{
    struct weir_ticket *held[JOBS_MAX];
    size_t count = 0;
    struct weir_backlog_place place;
    while (weir_backlog_next(rig.spool, destination, &place) == WEIR_OK) {
        struct weir_frame_record record;
        struct weir_bytes body;
        assert_int_equal(weir_backlog_read(rig.spool, &place, rig.memory, &record, &body), WEIR_OK);
        if ((record.content_crc - 1) / 1000 >= first) {
            weir_spool_settle(rig.spool, place.ticket, destination, WEIR_SETTLED);
        } else {
            held[count++] = place.ticket;
        }
    }
    while (count > 0) {
        weir_spool_settle(rig.spool, held[--count], destination, WEIR_KEPT);
    }
}

static void test_damage_at_an_end_whose_neighbour_was_released(void **state)
{
    (void)state;
    fill(32); /* fourteen a segment */
    settle_from(14, 0);
    settle_from(14, 1);
    assert_int_equal(rig_keep(), WEIR_OK);
    assert_int_equal(rig_keep(), WEIR_OK);
    assert_false(rig_has("0000000000000002.segment"));
    crash();
    rig_spoil(FIRST, 8192 + 13 * 4096 + 20, 1, 0x55);
    rig_start();
    assert_int_equal(rig.report.lost_records, 1); /* and not those that were released */
    assert_int_equal(rig.report.records, 13);
}

static void test_a_segment_without_a_header(void **state)
{
    (void)state;
    fill(20);
    rig_stop();
    rig_spoil(FIRST, 0, 8192, 0x55);
    rig_start();
    assert_int_equal(rig.report.records, 6);
    assert_int_equal(rig.report.lost_records, 14);
    assert_true(rig_has("quarantine/" FIRST));
    assert_false(rig_has(FIRST));
    assert_int_equal(rig_drain(0, NULL), 6);
    rig_restart();
    assert_int_equal(rig.report.lost_records, 0);
}

static void test_one_copy_of_a_header_is_enough(void **state)
{
    (void)state;
    fill(3);
    rig_stop();
    rig_spoil(FIRST, 0, 4096, 0x55);
    rig_start();
    assert_int_equal(rig.report.records, 3);
}

static void test_files_that_are_none(void **state)
{
    (void)state;
    fill(2);
    rig_stop();
    char command[384]; /* tidy: allow banned -- files that no function of ours would make */
    (void)snprintf(command, sizeof command,
                   "cd %s && touch 0000000000000009.segment hello 000.segment && "
                   "head -c 70000 /dev/zero >000000000000000a.segment && "
                   "head -c 70000 /dev/urandom >000000000000000b.segment && "
                   "mkdir 000000000000000c.segment && chmod 600 *.segment",
                   rig.path);
    /* tidy: allow banned -- files that no function of ours would make */
    assert_int_equal(system(command), 0);
    rig_start();
    assert_int_equal(rig.report.records, 2);
    assert_int_equal(rig.report.lost_records, 0);
    assert_false(rig_has("0000000000000009.segment"));
    assert_false(rig_has("000000000000000a.segment"));
    assert_true(rig_has("quarantine/000000000000000b.segment"));
    assert_true(rig_has("hello"));
    assert_int_equal(job_submit(5, 100, 0), WEIR_OK);
    assert_true(rig_has("000000000000000d.segment")); /* numbers are not used again */
}

/* A file at `name` that is a segment of that version, as far as its first bytes say. */
static void make_segment(const char *name, unsigned version)
{
    uint8_t bytes[8192];
    char path[192];
    struct weir_frame_segment segment = {
        .version = WEIR_FRAME_VERSION, .number = 7, .salt = 1, .size = SEGMENT};
    weir_frame_segment_write(&segment, bytes);
    for (size_t page = 0; version != WEIR_FRAME_VERSION && page < sizeof bytes; page += 4096) {
        bytes[page + 8] = (uint8_t)version;
        uint32_t crc = weir_crc32c(0, weir_bytes_of(bytes + page, 12));
        for (unsigned i = 0; i < 4; i++) {
            bytes[page + 12 + i] = (uint8_t)(crc >> 8 * i);
        }
    }
    (void)snprintf(path, sizeof path, "%s/%s", rig.path, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, sizeof bytes, file), sizeof bytes);
    assert_int_equal(fclose(file), 0);
}

static void test_a_version_that_is_not_ours_is_set_aside(void **state)
{
    (void)state;
    fill(2);
    rig_stop();
    make_segment("0000000000000007.segment", 99);
    rig_start();
    assert_int_equal(rig.report.segments_set_aside, 1);
    assert_int_equal(rig.report.records, 2);
    assert_true(rig_has("set-aside/0000000000000007.segment"));
    rig_restart();
    assert_int_equal(rig.report.segments_set_aside, 1); /* still, and no more */
    assert_int_equal(job_submit(5, 100, 0), WEIR_OK);   /* new traffic is served */
    assert_true(rig_has("0000000000000008.segment"));
}

static void test_what_was_set_aside_is_taken_back_by_who_reads_it(void **state)
{
    (void)state;
    rig_start();
    assert_int_equal(rig.real.ops->make_directory(rig.real.self, "set-aside"), 0);
    make_segment("set-aside/0000000000000007.segment", WEIR_FRAME_VERSION);
    rig_restart();
    assert_int_equal(rig.report.segments_set_aside, 0);
    assert_false(rig_has("set-aside/0000000000000007.segment"));
    assert_int_equal(rig.report.segments, 1);
}

/* Calls a whole segment one of that version, in both copies of its header; of ours: mends it. */
static void disguise(const char *name, unsigned version)
{
    char path[192];
    (void)snprintf(path, sizeof path, "%s/%s", rig.path, name);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (long page = 0; page < 8192; page += 4096) {
        uint8_t bytes[16];
        assert_int_equal(fseek(file, page, SEEK_SET), 0);
        assert_int_equal(fread(bytes, 1, sizeof bytes, file), sizeof bytes);
        bytes[8] = (uint8_t)version;
        uint32_t crc = weir_crc32c(0, weir_bytes_of(bytes, 12));
        for (unsigned i = 0; i < 4; i++) {
            bytes[12 + i] = (uint8_t)(crc >> 8 * i);
        }
        assert_int_equal(fseek(file, page, SEEK_SET), 0);
        assert_int_equal(fwrite(bytes, 1, sizeof bytes, file), sizeof bytes);
    }
    assert_int_equal(fclose(file), 0);
}

/* A newer release's segment and log are set aside, the older one serves from the begin, and then
 * the newer one is back: its records and the older one's are all there. */
static void test_down_a_release_and_up_again(void **state)
{
    (void)state;
    fill(3);
    rig_stop();
    disguise(FIRST, 99);
    remove_log();
    rig_start();
    assert_int_equal(rig.report.segments_set_aside, 1);
    for (int i = 10; i < 14; i++) {
        assert_int_equal(job_submit(i, 3000, 0), WEIR_OK);
    }
    assert_int_equal(rig_drain(1, NULL), 4);
    rig_stop();
    disguise("set-aside/" FIRST, WEIR_FRAME_VERSION);
    rig_start();
    assert_int_equal(rig.report.segments_set_aside, 0);
    assert_int_equal(rig.report.lost_records, 0);
    assert_int_equal(rig_drain(0, NULL), 7);
    assert_int_equal(rig_drain(1, NULL), 3);
}

static void test_each_version_is_read(void **state)
{
    (void)state;
    rig.options.version = 1;
    fill(3);
    rig.options.version = 2;
    rig_restart();
    assert_int_equal(rig.report.records, 3);
    assert_int_equal(job_submit(10, 3000, 0), WEIR_OK);
    rig.options.version = 1;
    rig_restart();
    assert_int_equal(rig.report.records, 4);
    assert_int_equal(rig_drain(0, NULL), 4);
}

static void test_destinations_change(void **state)
{
    (void)state;
    fill(3);
    rig.destinations[0].name = "beta";
    rig.destinations[1].name = "gamma";
    rig_restart();
    assert_int_equal(rig_look().backlog_records[0], 3); /* beta is another index now */
    assert_int_equal(rig_look().backlog_records[1], 0);
    assert_int_equal(rig_drain(0, NULL), 3);
    assert_int_equal(rig_drain(1, NULL), 0);
    struct weir_backlog_place place;
    assert_int_equal(weir_backlog_next(rig.spool, WEIR_BACKLOG_GONE, &place), WEIR_OK);
    assert_int_equal(place.kind, WEIR_BACKLOG_LETTER);
    assert_string_equal(place.name, "alpha");
    assert_string_equal(place.reason, "destination_removed");
    weir_spool_settle(rig.spool, place.ticket, place.destination, WEIR_KEPT);
    rig.destinations[1].name = "alpha";
    rig_restart();
    assert_int_equal(rig_drain(1, NULL), 3);
    assert_int_equal(rig_look().records, 0);
}

static void test_settled_records_do_not_come_back(void **state)
{
    (void)state;
    fill(4);
    assert_int_equal(rig_drain(0, NULL), 4);
    assert_int_equal(rig_keep(), WEIR_OK);
    crash();
    rig_start();
    assert_int_equal(rig_drain(0, NULL), 0);
    assert_int_equal(rig_drain(1, NULL), 4);
}

static void test_without_its_log_all_comes_again(void **state)
{
    (void)state;
    fill(4);
    assert_int_equal(rig_drain(0, NULL), 4);
    rig_stop();
    remove_log();
    rig_start();
    assert_int_equal(rig.report.lost_records, 0);
    assert_int_equal(rig_drain(0, NULL), 4);
    assert_int_equal(rig_drain(1, NULL), 4);
    assert_int_equal(job_submit(2, 3000, 0), WEIR_EEXIST);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_directory),
        TEST(test_a_directory_in_use),
        TEST(test_a_limit_below_a_segment),
        TEST(test_a_crash_without_a_note),
        TEST(test_a_torn_tail_is_cut_quietly),
        TEST(test_a_damaged_header_in_the_middle_is_a_loss),
        TEST(test_a_lost_request_may_come_again),
        TEST(test_damage_at_the_end_is_seen),
        TEST(test_damage_at_the_begin_is_seen),
        TEST(test_damage_at_an_end_whose_neighbour_was_released),
        TEST(test_a_segment_without_a_header),
        TEST(test_one_copy_of_a_header_is_enough),
        TEST(test_files_that_are_none),
        TEST(test_a_version_that_is_not_ours_is_set_aside),
        TEST(test_what_was_set_aside_is_taken_back_by_who_reads_it),
        TEST(test_down_a_release_and_up_again),
        TEST(test_each_version_is_read),
        TEST(test_destinations_change),
        TEST(test_settled_records_do_not_come_back),
        TEST(test_without_its_log_all_comes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
