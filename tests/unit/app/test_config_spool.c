/* SPDX-License-Identifier: Apache-2.0 */
/* Spool, deduplication and dead letter: where they are when nothing says so, and what does not fit
 * or does nothing. */
#include "weir/clock.h"
#include "weir/config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MIB  ((size_t)1 << 20)
#define OPEN "ingest: {access_keys: none}\n"

static struct weir_config_report report;

static struct weir_config *parse(const char *yaml)
{
    struct weir_config *config = NULL;
    enum weir_status status =
        weir_config_parse("w.yaml", weir_bytes_str(yaml), false, &report, &config);
    assert_true((status == WEIR_OK) == (config != NULL));
    return config;
}

static struct weir_config *good(const char *yaml)
{
    struct weir_config *config = parse(yaml);
    if (config == NULL) {
        fail_msg("%s", report.messages[0].text);
    }
    return config;
}

static int setup(void **state)
{
    (void)state;
    return unsetenv("STATE_DIRECTORY");
}

static void what_is_not_written(void **state)
{
    (void)state;
    struct weir_config *config = good(OPEN "memory_limit: 512MiB\n");
    assert_int_equal(report.count, 0);
    assert_string_equal(config->spool.directory, "/var/lib/weir");
    assert_string_equal(config->dead_letter.directory, "/var/lib/weir/dead-letter");
    assert_int_equal(config->spool.limit, 8192 * MIB);
    assert_int_equal(config->spool.durability, WEIR_DURABILITY_DISK);
    assert_int_equal(config->spool.segment_size, 0);
    assert_int_equal(config->spool.format, 3);
    assert_int_equal(config->spool.backlog_rate, 32 * MIB);
    assert_int_equal(config->spool.delivered_timeout_ns, 150 * WEIR_NS_PER_S);
    assert_int_equal(config->dedupe.window_ns, 3 * 3600 * WEIR_NS_PER_S);
    assert_int_equal(config->dedupe.entries, 512 * MIB / 64 / 48);
    assert_int_equal(config->dead_letter.limit, 1024 * MIB);
    assert_int_equal(config->dead_letter.when_full, 0);
    assert_int_equal(config->ingest.body_limit, 96 * MIB);
    weir_config_free(config);
}

static void the_state_directory_is_taken(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/run/state", "/run/state"},
        {"/a/b/:/c", "/a/b/"},
        {"", "/var/lib/weir"},
        {":/c", "/var/lib/weir"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(setenv("STATE_DIRECTORY", cases[i][0], 1), 0);
        struct weir_config *config = good(OPEN);
        assert_string_equal(config->spool.directory, cases[i][1]);
        assert_null(strstr(config->dead_letter.directory, "//"));
        weir_config_free(config);
        config = good(OPEN "spool: {directory: mine}\n");
        assert_string_equal(config->spool.directory, "mine");
        assert_string_equal(config->dead_letter.directory, "mine/dead-letter");
        weir_config_free(config);
    }
}

static void an_empty_dead_letter_directory_is_the_default(void **state)
{
    (void)state;
    struct weir_config *config = good(OPEN "dead_letter: {directory: ''}\n");
    assert_string_equal(config->dead_letter.directory, "/var/lib/weir/dead-letter");
    weir_config_free(config);
    assert_null(parse(OPEN "spool: {directory: ''}\n"));
}

static void without_a_disk_there_is_no_dead_letter_unless_written(void **state)
{
    (void)state;
    static const char *const words[] = {"memory", "delivered"};
    char yaml[200];
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(yaml, sizeof yaml, OPEN "spool: {durability: %s}\n", words[i]);
        struct weir_config *config = good(yaml);
        assert_int_equal(report.count, 0);
        assert_null(config->dead_letter.directory);
        weir_config_free(config);
        (void)snprintf(yaml, sizeof yaml,
                       OPEN "spool: {durability: %s}\ndead_letter: {directory: /d}\n", words[i]);
        config = good(yaml);
        assert_int_equal(report.count, 0);
        assert_string_equal(config->dead_letter.directory, "/d");
        weir_config_free(config);
    }
}

static void a_small_machine_has_room_for_a_few_ids(void **state)
{
    (void)state;
    struct weir_config *config = good(OPEN "memory_limit: 32MiB\n");
    assert_int_equal(config->dedupe.entries, 32 * MIB / 64 / 48);
    assert_int_equal(report.errors, 0);
    struct weir_config_shares shares = weir_config_shares(config);
    assert_true(shares.backlog > 0);
    assert_true(shares.intake / 5 * 2 >= config->ingest.body_limit);
    weir_config_free(config);
}

static void what_does_nothing_is_warned_of(void **state)
{
    (void)state;
    static const char *const doubts[][2] = {
        {OPEN "spool: {durability: memory, limit: 1GiB}\n",
         "w.yaml:2:36: spool.limit: does nothing with durability: memory, which keeps nothing on "
         "disk"},
        {OPEN "spool: {durability: delivered, directory: /x}\n",
         "w.yaml:2:43: spool.directory: does nothing with durability: delivered, which keeps "
         "nothing on disk"},
        {OPEN "spool: {durability: delivered, segment_size: 100}\n",
         "w.yaml:2:46: spool.segment_size: does nothing with durability: delivered, which keeps "
         "nothing on disk"},
        {OPEN "spool: {delivered_timeout: 10s}\n",
         "w.yaml:2:28: spool.delivered_timeout: does nothing without durability: delivered"},
        {OPEN "spool: {durability: memory, backlog_rate: 0}\n",
         "w.yaml:2:43: spool.backlog_rate: does nothing with durability: memory, which keeps "
         "nothing on disk"},
        {OPEN "spool: {durability: memory}\n"
              "destinations: [{name: a, type: stdout, spool_share: 1GiB}]\n",
         "w.yaml:3:53: destinations[0].spool_share: does nothing with durability: memory, which "
         "keeps nothing on disk"},
        {OPEN "spool: {durability: memory}\ndead_letter: {limit: 1GiB}\n",
         "w.yaml:3:22: dead_letter: there is none: without durability: disk it is kept only where "
         "dead_letter.directory says"},
        {OPEN "memory_limit: 512MiB\ndead_letter: {limit: 100MiB}\n",
         "w.yaml:3:22: dead_letter.limit: 100MiB does not hold one body of 96MiB in base64: one "
         "that had to go there whole would find no room (write at least 129MiB, or lower "
         "ingest.body_limit)"},
        {OPEN "memory_limit: 512MiB\n"
              "destinations: [{name: a, type: stdout, spool_share: 143MiB}]\n",
         "w.yaml:3:53: destinations[0].spool_share: 143MiB is less than what waits in memory: a "
         "restart in an outage would send the rest to the dead letter (write at least 144MiB)"},
    };
    for (size_t i = 0; i < sizeof doubts / sizeof *doubts; i++) {
        weir_config_free(good(doubts[i][0]));
        assert_string_equal(report.messages[0].text, doubts[i][1]);
        assert_int_equal(report.count, 1);
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const char *const mistakes[][2] = {
        {OPEN "memory_limit: 512MiB\nspool: {limit: 512MiB}\n",
         "w.yaml:3:16: spool.limit: 512MiB holds too little: 480MiB must stay free for the "
         "requests that memory_limit lets in at a time, beside one body and four segments (write "
         "at least 659MiB, or lower memory_limit)"},
        {"ingest: {access_keys: none, body_limit: 1MiB}\nmemory_limit: 64GiB\n",
         "w.yaml:2:15: spool.limit: 8GiB holds too little: 63472MiB must stay free for the "
         "requests that memory_limit lets in at a time, beside one body and four segments (write "
         "at least 64498MiB, or lower memory_limit)"},
        {OPEN "spool: {limit: 8GiB, segment_size: 3GiB}\n",
         "w.yaml:2:36: spool.segment_size: is more than a quarter of spool.limit (write at most "
         "2GiB)"},
        {OPEN "spool: {segment_size: 65537}\n",
         "w.yaml:2:23: spool.segment_size: 65537 is no multiple of 4KiB from 64KiB on"},
        {OPEN "spool: {segment_size: 4KiB}\n",
         "w.yaml:2:23: spool.segment_size: 4KiB is no multiple of 4KiB from 64KiB on"},
        {OPEN "spool: {format: 4}\n", "w.yaml:2:17: spool.format: 4 is not within 1 to 3"},
        {OPEN "spool: {format: 0}\n", "w.yaml:2:17: spool.format: 0 is not within 1 to 3"},
        {OPEN "spool: {limit: 4KiB}\n", "w.yaml:2:16: spool.limit: 4KiB is not within 1MiB to "
                                        "64TiB"},
        {OPEN "spool: {durability: dsik}\n",
         "w.yaml:2:21: spool.durability: not one of disk, delivered, memory: \"dsik\" (did you "
         "mean disk?)"},
        {OPEN "spool: {durability: delivered, delivered_timeout: 180s}\n",
         "w.yaml:2:51: spool.delivered_timeout: 180s is not within 100ms to 170s"},
        {OPEN "dedupe: {window: 31d}\n", "w.yaml:2:18: dedupe.window: 31d is not within 0 to 30d"},
        {OPEN "dedupe: {entries: 1}\n",
         "w.yaml:2:19: dedupe.entries: 1 is not within 16 to 100000000"},
        {OPEN "memory_limit: 512MiB\ndedupe: {entries: 10000000}\n",
         "w.yaml:3:19: dedupe.entries: take 468750KiB, which is more than a sixteenth of "
         "memory_limit 512MiB (write at most 699050)"},
        {OPEN "spool: {directory: /d}\ndead_letter: {directory: /d}\n",
         "w.yaml:3:26: dead_letter.directory: is spool.directory itself (write a directory of its "
         "own, which may be in it)"},
        {OPEN "dead_letter: {limit: 1KiB}\n",
         "w.yaml:2:22: dead_letter.limit: 1KiB is not within 4KiB to 64TiB"},
        {OPEN "dead_letter: {when_full: drop}\n",
         "w.yaml:2:26: dead_letter.when_full: not one of reject, evict: \"drop\""},
        {OPEN "dead_letter: {directory: '-'}\n",
         "w.yaml:2:26: dead_letter.directory: not a file's name: \"-\""},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        assert_null(parse(mistakes[i][0]));
        assert_string_equal(report.messages[0].text, mistakes[i][1]);
        assert_int_equal(report.errors, 1);
    }
}

static void what_the_message_says_fits(void **state)
{
    (void)state;
    weir_config_free(good(OPEN "memory_limit: 512MiB\nspool: {limit: 659MiB}\n"));
    weir_config_free(good(OPEN "memory_limit: 512MiB\nspool: {limit: 8GiB, segment_size: 1GiB}\n"));
    weir_config_free(good("ingest: {access_keys: none, body_limit: 1MiB}\nmemory_limit: 64GiB\n"
                          "spool: {limit: 64498MiB}\n"));
    weir_config_free(good(OPEN "memory_limit: 512MiB\ndead_letter: {limit: 129MiB}\n"));
    weir_config_free(good(OPEN "memory_limit: 32MiB\nspool: {limit: 24MiB}\n"));
    weir_config_free(good(OPEN "memory_limit: 512MiB\ndedupe: {entries: 699050}\n"));
    weir_config_free(good(OPEN "memory_limit: 512MiB\n"
                               "destinations: [{name: a, type: stdout, spool_share: 144MiB}]\n"));
    assert_int_equal(report.count, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_not_written, setup),
        cmocka_unit_test_setup_teardown(the_state_directory_is_taken, setup, setup),
        cmocka_unit_test_setup(an_empty_dead_letter_directory_is_the_default, setup),
        cmocka_unit_test_setup(without_a_disk_there_is_no_dead_letter_unless_written, setup),
        cmocka_unit_test_setup(a_small_machine_has_room_for_a_few_ids, setup),
        cmocka_unit_test_setup(what_does_nothing_is_warned_of, setup),
        cmocka_unit_test_setup(what_does_not_fit_is_refused, setup),
        cmocka_unit_test_setup(what_the_message_says_fits, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
