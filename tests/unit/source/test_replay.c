/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "simdisk.h"
#include "support.h"
#include "weir/envelope.h"
#include "weir/mem.h"
#include "weir/replay.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ITEMS_MAX = 64, TEXT_SIZE = 128 };

struct submitted {
    char id[64], destination[64], stream[64], path[TEXT_SIZE];
    size_t size;
    uint32_t records;
    bool gzip;
};

/* Who takes the requests. */
static struct {
    struct submitted items[ITEMS_MAX];
    uint32_t count, tells;
    enum weir_status status;
    uint32_t stop_after; /* 0: never */
    int64_t now, slept;
} sink;

static char folder[] = "/tmp/weir-test-replay-XXXXXX";
static struct simdisk *sim;
static struct weir_disk disk;

static void keep(char *out, struct weir_bytes text)
{
    size_t size = text.size < 63 ? text.size : 63;
    if (size > 0) {
        memcpy(out, text.data, size);
    }
    out[size] = 0;
}

static void check_body(const struct weir_replay_item *item)
{
    struct weir_envelope envelope;
    struct weir_bytes record;
    enum weir_status status;
    uint32_t records = 0;
    uint8_t *copy = weir_mem_alloc(item->body.size);
    memcpy(copy, item->body.data, item->body.size);
    struct weir_envelope_limits limits = {.records = 500, .record_bytes = 1024000, .depth = 32};
    weir_envelope_init(&envelope, copy, item->body.size, limits);
    while ((status = weir_envelope_next(&envelope, &record)) == WEIR_OK) {
        records++;
    }
    assert_int_equal(status, WEIR_EEND);
    assert_int_equal(records, item->records);
    support_assert_bytes(envelope.request_id, weir_bytes_str(item->request_id));
    weir_mem_free(copy);
}

static enum weir_status take(void *self, const struct weir_replay_item *item, const char **words)
{
    (void)self;
    assert_true(sink.count < ITEMS_MAX);
    struct submitted *submitted = &sink.items[sink.count++];
    keep(submitted->id, weir_bytes_str(item->request_id));
    keep(submitted->destination, item->destination);
    keep(submitted->stream, item->stream);
    (void)snprintf(submitted->path, TEXT_SIZE, "%s", item->path);
    submitted->size = item->body.size;
    submitted->records = item->records;
    submitted->gzip = item->gzip;
    if (item->body.data[0] == '{') {
        check_body(item);
    }
    *words = "because";
    return sink.status;
}

static void tell(void *self, const char *path, size_t offset, const char *words)
{
    (void)self;
    (void)offset;
    assert_non_null(path);
    assert_non_null(words);
    sink.tells++;
}

static bool stopped(void *self)
{
    (void)self;
    return sink.stop_after > 0 && sink.count >= sink.stop_after;
}

static int64_t now_ns(void *self)
{
    (void)self;
    return sink.now;
}

static void sleep_ns(void *self, int64_t ns)
{
    (void)self;
    assert_true(ns > 0);
    sink.now += ns;
    sink.slept += ns;
}

static const struct weir_replay_ops ops = {
    .submit = take, .tell = tell, .stopped = stopped, .now_ns = now_ns, .sleep_ns = sleep_ns};

static void clear(void)
{
    memset(&sink, 0, sizeof sink);
}

static int set_up(void **state)
{
    (void)state;
    clear();
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    sim = simdisk_new(1);
    disk = simdisk_disk(sim);
    return mkdtemp(folder) == NULL ? 1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    weir_disk_close(&disk);
    simdisk_free(sim);
    return support_remove_tree(folder);
}

static void write_file(const char *name, struct weir_bytes bytes)
{
    char path[TEXT_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    assert_int_equal(fclose(file), 0);
}

static struct weir_replay_stat run(struct weir_replay_options options, enum weir_status expected)
{
    struct weir_replay *replay = NULL;
    options.ops = &ops;
    assert_int_equal(weir_replay_new(&options, &replay), WEIR_OK);
    assert_int_equal(weir_replay_path(replay, folder), expected);
    struct weir_replay_stat stat = weir_replay_look(replay);
    weir_replay_free(replay);
    return stat;
}

#define LINE(destination_, stream_, data_)                                                         \
    "{\"rawData\":\"" data_ "\",\"weir\":{\"destination\":\"" destination_                         \
    "\",\"stream\":\"" stream_ "\"}}\n"

static void test_each_line_only_to_where_it_belongs(void **state)
{
    (void)state;
    write_file("letters", WEIR_BYTES(LINE("a", "s", "eA==") LINE("a", "s", "eA==") LINE(
                              "b", "s", "eA==") LINE("b", "t", "eA==") LINE("", "", "eA==")));
    struct weir_replay_stat stat = run((struct weir_replay_options){.disk = &disk}, WEIR_OK);
    assert_int_equal(sink.count, 4);
    assert_string_equal(sink.items[0].destination, "a");
    assert_int_equal(sink.items[0].records, 2);
    assert_string_equal(sink.items[0].stream, "s");
    assert_string_equal(sink.items[1].destination, "b");
    assert_string_equal(sink.items[2].stream, "t");
    assert_string_equal(sink.items[3].destination, "");
    assert_string_equal(sink.items[3].stream, "replay");
    assert_int_equal(stat.records, 5);
    assert_int_equal(stat.submissions, 4);
    assert_int_equal(sink.tells, 0);
}

static void test_again_is_the_same_ids(void **state)
{
    (void)state;
    char ids[2][64];
    write_file("letters", WEIR_BYTES(LINE("a", "s", "eA==") LINE("b", "s", "eA==")));
    (void)run((struct weir_replay_options){.disk = NULL}, WEIR_OK);
    memcpy(ids[0], sink.items[0].id, 64);
    memcpy(ids[1], sink.items[1].id, 64);
    assert_string_not_equal(ids[0], ids[1]);
    sink.count = 0;
    sink.status = WEIR_EEXIST;
    struct weir_replay_stat stat = run((struct weir_replay_options){.disk = NULL}, WEIR_OK);
    assert_string_equal(sink.items[0].id, ids[0]);
    assert_string_equal(sink.items[1].id, ids[1]);
    assert_int_equal(stat.repeated, 2);
    assert_int_equal(sink.tells, 0);
}

static void test_goes_on_where_it_stopped(void **state)
{
    (void)state;
    write_file("1", WEIR_BYTES(LINE("a", "s", "eA==") LINE("b", "s", "eA==") LINE("c", "", "")));
    sink.stop_after = 1;
    (void)run((struct weir_replay_options){.disk = &disk}, WEIR_ECLOSED);
    assert_int_equal(sink.count, 1);
    clear();
    (void)run((struct weir_replay_options){.disk = &disk}, WEIR_OK);
    assert_int_equal(sink.count, 2);
    assert_string_equal(sink.items[0].destination, "b");
    clear();
    struct weir_replay_stat stat = run((struct weir_replay_options){.disk = &disk}, WEIR_OK);
    assert_int_equal(sink.count, 0);
    assert_int_equal(stat.files_done_before, 1);
    write_file("renamed", WEIR_BYTES(LINE("a", "s", "eA==") LINE("b", "s", "eA==") LINE("c", "", "")
                                         LINE("d", "", "")));
    (void)run((struct weir_replay_options){.disk = &disk}, WEIR_OK);
    assert_int_equal(sink.count, 1); /* only what was added to it */
    assert_string_equal(sink.items[0].destination, "d");
    clear();
    (void)run((struct weir_replay_options){.disk = &disk, .restart = true}, WEIR_OK);
    assert_true(sink.count >= 4);
}

static void test_a_submit_that_fails_is_not_noted(void **state)
{
    (void)state;
    write_file("1", WEIR_BYTES(LINE("a", "s", "eA==")));
    sink.status = WEIR_EIO;
    (void)run((struct weir_replay_options){.disk = &disk}, WEIR_EIO);
    clear();
    (void)run((struct weir_replay_options){.disk = &disk}, WEIR_OK);
    assert_int_equal(sink.count, 1);
}

static void test_refused_is_told_and_left_behind(void **state)
{
    (void)state;
    write_file("1", WEIR_BYTES(LINE("a", "s", "eA==") "junk\n" LINE("b", "s", "eA==")));
    sink.status = WEIR_EMALFORMED;
    struct weir_replay_stat stat = run((struct weir_replay_options){.disk = &disk}, WEIR_OK);
    assert_int_equal(stat.refused, 2);
    assert_int_equal(stat.damaged, 1);
    assert_int_equal(sink.tells, 3);
    clear();
    sink.status = WEIR_ENOTFOUND;
    stat = run((struct weir_replay_options){.disk = NULL}, WEIR_OK);
    assert_int_equal(stat.unknown_destination, 2);
}

static void test_folders_in_order_and_what_is_no_file(void **state)
{
    (void)state;
    char path[TEXT_SIZE];
    (void)snprintf(path, sizeof path, "%s/b", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file("b/2", WEIR_BYTES("{\"metric_name\":\"two\"}\n"));
    write_file("a", WEIR_BYTES("{\"metric_name\":\"one\"}\n"));
    write_file("c", WEIR_BYTES("{\"requestId\":\"x\",\"records\":[{\"data\":\"\"}]}"));
    write_file("d", WEIR_BYTES(""));
    (void)snprintf(path, sizeof path, "%s/link", folder);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    sink.count = 0;
    struct weir_replay *replay = NULL;
    struct weir_replay_options options = {.ops = &ops, .dry_run = true, .disk = &disk};
    assert_int_equal(weir_replay_new(&options, &replay), WEIR_OK);
    assert_int_equal(weir_replay_path(replay, folder), WEIR_OK);
    assert_int_equal(sink.count, 0); /* counted only */
    assert_int_equal(weir_replay_look(replay).files, 4);
    assert_int_equal(weir_replay_look(replay).submissions, 3);
    assert_int_equal(weir_replay_path(replay, "/nowhere/at/all"), WEIR_OK);
    assert_int_equal(weir_replay_look(replay).damaged, 1);
    assert_int_equal(sink.tells, 1);
    weir_replay_free(replay);
    weir_replay_free(NULL);
}

static void test_bodies_are_bounded(void **state)
{
    (void)state;
    struct weir_buf text = weir_buf_grow_init((size_t)16 << 20);
    for (int i = 0; i < 1200; i++) {
        weir_buf_put(&text, WEIR_BYTES(LINE("a", "s", "eA==")));
    }
    write_file("many", weir_buf_view(&text));
    text.size = 0;
    for (int i = 0; i < 300000; i++) {
        weir_buf_put(&text, WEIR_BYTES("{\"a\":123}\n"));
    }
    write_file("zlarge", weir_buf_view(&text));
    weir_buf_done(&text);
    (void)run((struct weir_replay_options){.disk = &disk}, WEIR_OK);
    assert_int_equal(sink.items[0].records, 500);
    assert_int_equal(sink.items[1].records, 500);
    assert_int_equal(sink.items[2].records, 200);
    assert_true(sink.count >= 6);
    for (uint32_t i = 0; i < sink.count; i++) {
        assert_true(sink.items[i].size <= WEIR_REPLAY_BODY_BYTES + 2);
    }
}

static void test_a_rate_is_kept(void **state)
{
    (void)state;
    write_file("1", WEIR_BYTES(LINE("a", "s", "eA==") LINE("b", "s", "eA==") LINE("c", "", "")));
    (void)run((struct weir_replay_options){.rate_records = 2}, WEIR_OK);
    assert_int_equal(sink.slept, INT64_C(1500000000));
    clear();
    (void)run((struct weir_replay_options){.rate_bytes = 1}, WEIR_OK);
    assert_int_equal(sink.slept, INT64_C(2000000000));
}

static void test_positions_survive_a_torn_end(void **state)
{
    (void)state;
    write_file("1", WEIR_BYTES(LINE("a", "s", "eA==") LINE("b", "s", "eA==")));
    (void)run((struct weir_replay_options){.disk = &disk}, WEIR_OK);
    assert_int_equal(sink.count, 2);
    int file = disk.ops->open(disk.self, "replay-positions", WEIR_DISK_WRITE);
    assert_true(file >= 0);
    assert_int_equal(disk.ops->truncate(disk.self, file, 59 + 30), 0);
    assert_int_equal(disk.ops->sync(disk.self, file), 0);
    (void)disk.ops->close(disk.self, file);
    clear();
    (void)run((struct weir_replay_options){.disk = &disk}, WEIR_OK);
    assert_int_equal(sink.count, 1);
    assert_true(simdisk_flip(sim, "replay-positions", 59 + 3, 1));
    clear();
    (void)run((struct weir_replay_options){.disk = &disk}, WEIR_OK);
    assert_int_equal(sink.count, 1); /* the damaged line is none, the one before it counts */
}

#define TEST(name_) cmocka_unit_test_setup_teardown((name_), set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_line_only_to_where_it_belongs),
        TEST(test_again_is_the_same_ids),
        TEST(test_goes_on_where_it_stopped),
        TEST(test_a_submit_that_fails_is_not_noted),
        TEST(test_refused_is_told_and_left_behind),
        TEST(test_folders_in_order_and_what_is_no_file),
        TEST(test_bodies_are_bounded),
        TEST(test_a_rate_is_kept),
        TEST(test_positions_survive_a_torn_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
