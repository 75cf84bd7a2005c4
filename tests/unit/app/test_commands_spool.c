/* SPDX-License-Identifier: Apache-2.0 */
/* weir spool, weir replay and weir decode over dead letters and a spool: each in a child. */
#include "child.h"
#include "counting.h"
#include "support.h"
#include "weir/commands.h"
#include "weir/spool.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <setjmp.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 12, RECORDS = 5, PATH_SIZE = 200 };

static struct child child;
static char folder[] = "/tmp/weir-commands-spool-XXXXXX";

struct arguments {
    char *argv[ARGUMENTS_MAX];
};

static int run_commands(void *argument)
{
    struct arguments *arguments = argument;
    int argc = 0;
    while (arguments->argv[argc] != NULL) {
        argc++;
    }
    int code = weir_commands_run(argc, arguments->argv);
    (void)fflush(NULL);
    return code;
}

/* Runs `weir` with these arguments up to NULL; the exit code. */
static int run(const char *first, ...)
{
    static char name[] = "weir";
    struct arguments arguments = {{name}};
    size_t count = 1;
    va_list rest;
    va_start(rest, first);
    for (const char *next = first; next != NULL; next = va_arg(rest, const char *)) {
        assert_true(count < ARGUMENTS_MAX - 1);
        arguments.argv[count++] = (char *)(uintptr_t)next; /* getopt swaps pointers only */
    }
    va_end(rest);
    assert_true(child_start(&child, run_commands, &arguments));
    return child_end(&child);
}

static void assert_says(const char *text, const char *wanted)
{
    if (strstr(text, wanted) == NULL) {
        fail_msg("no \"%s\" in: %s", wanted, text);
    }
}

static const char *path_of(const char *name)
{
    static char paths[8][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    return path;
}

static const char *file(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    (void)fputs(text, out);
    (void)fclose(out);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    return mkdtemp(folder) == NULL ? 1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    return support_remove_tree(folder);
}

static void ignore(struct weir_spool_job *job)
{
    (void)job;
}

static struct weir_now at(int64_t seconds)
{
    return (struct weir_now){seconds * 1000000000, (seconds + 1700000000) * 1000000000};
}

/* A spool of some requests, owed to two destinations, in its directory.
 * Settled for "b" where `settled`. */
static void make_spool(bool settled)
{
    static const struct weir_spool_destination destinations[] = {{"a", 0}, {"b", 0}};
    static const uint32_t points[64] = {1, 1};
    struct weir_spool_options options = {.limit = 64 << 20,
                                         .destinations = destinations,
                                         .destination_count = 2,
                                         .dedupe_window_ns = 1000000000,
                                         .dedupe_entries = 100};
    struct weir_spool_report report;
    struct weir_spool *spool = NULL;
    counting_start();
    assert_int_equal(weir_disk_open(path_of("spool"), true, &options.disk), WEIR_OK);
    assert_int_equal(weir_spool_open(&options, at(1), &report, &spool), WEIR_OK);
    for (int i = 0; i < RECORDS; i++) {
        struct weir_spool_job job = {.body = WEIR_BYTES("{\"requestId\":\"r\",\"timestamp\":0,"
                                                        "\"records\":[{\"data\":\"\"}]}"),
                                     .request_id = weir_bytes_of(&"abcdefgh"[i], 1),
                                     .points = 1,
                                     .received_wall_ns = at(1).wall_ns,
                                     .owed = 3,
                                     .live = 3,
                                     .live_points = points,
                                     .done = ignore};
        weir_spool_commit(spool, &job, at(2));
        assert_int_equal(job.status, WEIR_OK);
        weir_spool_settle(spool, job.ticket, 0, WEIR_KEPT);
        weir_spool_settle(spool, job.ticket, 1, settled ? WEIR_SETTLED : WEIR_KEPT);
    }
    int64_t wake;
    assert_int_equal(weir_spool_keep(spool, at(10), &wake), WEIR_OK);
    weir_spool_close(spool, at(11));
    weir_disk_close(&options.disk);
    counting_stop();
}

/* The first segment's name, whatever its number. */
static const char *first_segment(void)
{
    for (int i = 0; i < 64; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "spool/%016x.segment", (unsigned)i);
        if (access(path_of(name), F_OK) == 0) {
            return path_of(name);
        }
    }
    fail_msg("no segment");
    return "";
}

static void flip(const char *path, off_t offset)
{
    uint8_t byte = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    (void)close(fd);
}

/* The offset of the n-th place where the body stands. */
static off_t find_body(const char *path, int n)
{
    static char bytes[1 << 20];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, bytes, sizeof bytes);
    (void)close(fd);
    char *found = bytes;
    for (int i = 0; i <= n; i++) {
        found = memmem(found + 1, (size_t)(bytes + size - found - 1), "{\"requestId", 11);
        assert_non_null(found);
    }
    return found - bytes;
}

static void test_ls_tells_what_is_owed(void **state)
{
    (void)state;
    make_spool(true);
    assert_int_equal(run("spool", "ls", path_of("spool"), NULL), 0);
    assert_says(child.out, "5 records");
    assert_says(child.out, "a=5");
    assert_says(child.out, "owed to a: 5 records");
    assert_null(strstr(child.out, "owed to b"));
    assert_null(strstr(child.out, "owed to none"));
    assert_says(child.out, "2023-11-14T22:13:21Z");
    assert_string_equal(child.err, "");
}

static void test_verify_finds_damage_and_only_that(void **state)
{
    (void)state;
    make_spool(false);
    assert_int_equal(run("spool", "verify", path_of("spool"), NULL), 0);
    assert_says(child.out, "5 records in 1 segments, 0 damages");
    const char *segment = first_segment();
    flip(segment, find_body(segment, 1) + 3);
    assert_int_equal(run("spool", "verify", path_of("spool"), NULL), 1);
    assert_says(child.out, "the payload is damaged");
    assert_says(child.out, "1 damages");
    off_t page = find_body(segment, 2) / 4096 * 4096;
    flip(segment, page + 10); /* in its header: the record is not found any more */
    assert_int_equal(run("spool", "verify", path_of("spool"), NULL), 1);
    assert_says(child.out, "are missing");
    assert_says(child.out, "4 records");
}

static void test_verify_of_a_header(void **state)
{
    (void)state;
    make_spool(false);
    flip(first_segment(), 20); /* both copies of it */
    flip(first_segment(), 4096 + 20);
    assert_int_equal(run("spool", "verify", path_of("spool"), NULL), 1);
    assert_says(child.out, "the header is damaged");
    assert_int_equal(run("spool", "ls", path_of("spool"), NULL), 0);
    assert_says(child.out, "no segment header");
}

static void test_looking_changes_nothing_and_takes_no_lock(void **state)
{
    (void)state;
    make_spool(false);
    struct weir_disk disk;
    struct stat before;
    struct stat after;
    assert_int_equal(weir_disk_open(path_of("spool"), false, &disk), WEIR_OK);
    assert_int_equal(disk.ops->lock(disk.self), 0);
    assert_int_equal(stat(path_of("spool"), &before), 0);
    assert_int_equal(run("spool", "ls", path_of("spool"), NULL), 0);
    assert_int_equal(run("spool", "verify", path_of("spool"), NULL), 0);
    assert_int_equal(stat(path_of("spool"), &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    weir_disk_close(&disk);
}

static void test_spool_usage(void **state)
{
    (void)state;
    assert_int_equal(run("spool", NULL), 2);
    assert_int_equal(run("spool", "ls", NULL), 2);
    assert_int_equal(run("spool", "look", folder, NULL), 2);
    assert_int_equal(run("spool", "ls", folder, folder, NULL), 2);
    assert_int_equal(run("spool", "--help", NULL), 0);
    assert_says(child.out, "verify");
    assert_int_equal(run("spool", "ls", path_of("nowhere"), NULL), 1);
    assert_says(child.err, "No such file");
    assert_int_equal(run("spool", "verify", file("file", "x"), NULL), 1);
}

static void test_decode_of_a_segment_and_of_letters(void **state)
{
    (void)state;
    make_spool(false);
    assert_int_equal(run("decode", first_segment(), NULL), 0);
    assert_says(child.err, "number 0");
    const char *letters = file("letters", "{\"rawData\":\"eyJhIjoxfQ==\",\"weir\":{\"destination\":"
                                          "\"backend\",\"reason\":\"refused\"}}\n");
    assert_int_equal(run("decode", letters, NULL), 0);
    assert_says(child.err, "destination backend, reason refused\n");
    assert_says(child.err, "no metric");
    letters = file("letters", "{\"rawData\":\"eyJhIjoxfQ==\"}\nbroken\n{\"rawData\":\"eA==\"}\n");
    assert_int_equal(run("decode", letters, NULL), 1);
    assert_says(child.err, "byte 27");
    assert_says(child.err, "destination (all), reason (none)\n");
    letters = file("letters", "{\"rawData\":\"eA==\",\"errorCode\":\"E\",\"errorMessage\":"
                              "\"no \\u001b[2J\"}\n");
    assert_int_equal(run("decode", letters, NULL), 0);
    assert_says(child.err, "reason E: no ?[2J\n");
    flip(first_segment(), find_body(first_segment(), 1) + 3);
    assert_int_equal(run("decode", first_segment(), NULL), 1);
    assert_says(child.err, "damaged");
}

static void test_replay_usage_and_dry_run(void **state)
{
    (void)state;
    assert_int_equal(run("replay", NULL), 2);
    assert_int_equal(run("replay", "--rate", "fast", "x", NULL), 2);
    assert_int_equal(run("replay", "--rate", "0", "x", NULL), 2);
    assert_int_equal(run("replay", "--rate", "-1", "x", NULL), 2);
    assert_int_equal(run("replay", "--rate", "1TiB", "x", NULL), 2);
    assert_int_equal(run("replay", "--rate", NULL), 2);
    assert_int_equal(run("replay", "--what", "x", NULL), 2);
    assert_int_equal(run("replay", "--help", NULL), 0);
    assert_says(child.out, "--restart");
    (void)file("one", "{\"rawData\":\"eA==\"}\n{\"rawData\":\"eA==\"}\n");
    assert_int_equal(run("replay", "--dry-run", folder, NULL), 0);
    assert_says(child.out, "files 1,");
    assert_says(child.out, "records 2, bytes 2");
    (void)file("two", "\x1f\x8b");
    assert_int_equal(run("replay", "--dry-run", folder, NULL), 1);
    assert_says(child.err, "begins like gzip");
    assert_int_equal(run("replay", "--dry-run", path_of("nowhere"), NULL), 1);
    assert_int_equal(run("replay", "-c", path_of("nowhere"), folder, NULL), 1);
}

static void test_check_tells_where_serve_could_not_write(void **state)
{
    (void)state;
    static const struct {
        const char *directory, *says;
    } cases[] = {
        {"nowhere/data", "is not there, and weir serve makes only the last part of the path"},
        {"data", "the file system has less room than the limit"},
        {"data//", "the file system has less room than the limit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[512];
        (void)snprintf(config, sizeof config,
                       "memory_limit: 128MiB\ningest: {access_keys: none}\n"
                       "spool: {directory: \"%s/%s\", limit: 60TiB}\n",
                       folder, cases[i].directory);
        assert_int_equal(run("check", "-c", file("weir.yaml", config), NULL), 0);
        assert_says(child.err, cases[i].says);
        assert_says(child.out, "not there yet");
    }
}

#define METRIC                                                                                     \
    "eyJtZXRyaWNfc3RyZWFtX25hbWUiOiJzIiwiYWNjb3VudF9pZCI6IjEyMzQ1Njc4OTAxMiIsInJlZ2lvbiI6ImV1LXdl" \
    "c3QtMSIsIm5hbWVzcGFjZSI6IkFXUy9FQzIiLCJtZXRyaWNfbmFtZSI6InplcGh5ciIsImRpbWVuc2lvbnMiOnt9LCJ0" \
    "aW1lc3RhbXAiOjE2MTE5Mjk2OTgwMDAsInZhbHVlIjp7Im1heCI6MSwibWluIjowLCJzdW0iOjEsImNvdW50IjoyfSwi" \
    "dW5pdCI6IlBlcmNlbnQifQo="

static const char *read_text(const char *path)
{
    static char text[1 << 16];
    FILE *in = fopen(path, "r");
    size_t size = in == NULL ? 0 : fread(text, 1, sizeof text - 1, in);
    text[size] = 0;
    if (in != NULL) {
        (void)fclose(in);
    }
    return text;
}

static void test_a_replay_delivers_once_and_only_where_it_belongs(void **state)
{
    (void)state;
    char config[1024];
    (void)snprintf(config, sizeof config,
                   "memory_limit: 128MiB\n"
                   "spool:\n  directory: %s/data\n  limit: 256MiB\n"
                   "ingest:\n  listen: [\"127.0.0.1:0\"]\n  access_keys: none\n"
                   "destinations:\n"
                   "  - {name: a, type: file, path: %s/a.out}\n"
                   "  - {name: b, type: file, path: %s/b.out}\n",
                   folder, folder, folder);
    const char *yaml = file("weir.yaml", config);
    const char *letters =
        file("letters", "{\"rawData\":\"" METRIC "\",\"weir\":{\"destination\":\"a\"}}\n");
    assert_int_equal(run("replay", "-c", yaml, letters, NULL), 0);
    assert_says(child.out, "known already 0");
    assert_says(read_text(path_of("a.out")), "zephyr");
    assert_null(strstr(read_text(path_of("b.out")), "zephyr"));
    assert_int_equal(run("replay", "-c", yaml, letters, NULL), 0);
    assert_says(child.out, "done before 1");
    assert_int_equal(run("replay", "-c", yaml, "--restart", letters, NULL), 0);
    assert_says(child.out, "known already 1");
    const char *once = read_text(path_of("a.out"));
    assert_ptr_equal(strchr(once, '\n') + 1, once + strlen(once)); /* one line: one request */
    letters = file("gone", "{\"rawData\":\"" METRIC "\",\"weir\":{\"destination\":\"c\"}}\n");
    assert_int_equal(run("replay", "-c", yaml, letters, NULL), 1);
    assert_says(child.err, "the destination c, which the configuration does not have");
}

#define TEST(name_) cmocka_unit_test_setup_teardown((name_), set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ls_tells_what_is_owed),
        TEST(test_verify_finds_damage_and_only_that),
        TEST(test_verify_of_a_header),
        TEST(test_looking_changes_nothing_and_takes_no_lock),
        TEST(test_spool_usage),
        TEST(test_decode_of_a_segment_and_of_letters),
        TEST(test_replay_usage_and_dry_run),
        TEST(test_check_tells_where_serve_could_not_write),
        TEST(test_a_replay_delivers_once_and_only_where_it_belongs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
