/* SPDX-License-Identifier: Apache-2.0 */
/* A service that keeps what it has accepted: over a stop, over a kill, and what it says when its
 * directory cannot be had. */
#include "served.h"
#include "support.h"
#include "weir/clock.h"
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <setjmp.h>

#include <cmocka.h>

#define AWAY "destinations: [{name: out, endpoint: 'http://127.0.0.1:9'}]\n"
#define OUT  "destinations: [{name: out, type: stdout}]\n"
#define FAST "drain: {grace: 0, deadline: 2s}\nbuffer: {interval: 100ms}\n"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/weir-disk-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return support_remove_tree(folder);
}

/* A configuration with its spool in `folder`/`name`; static memory. */
static const char *with_spool(const char *name, const char *durability, const char *rest)
{
    static char yaml[1024];
    (void)snprintf(yaml, sizeof yaml,
                   SERVED_LOCAL "spool: {directory: %s/%s, limit: 128MiB, durability: %s}\n" FAST
                                "%s",
                   folder, name, durability, rest);
    return yaml;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

static void what_is_left_at_a_stop_comes_after_the_start(void **state)
{
    (void)state;
    served_start(with_spool("s", "disk", AWAY));
    served_post();
    served_signal(SIGTERM);
    served_ends(0);
    assert_non_null(strstr(served.err, "\"points_delivered\":0,\"points_left\":1,\"kept\":\"true\","
                                       "\"requests_on_disk\":1"));
    served_start(with_spool("s", "disk", OUT));
    assert_non_null(strstr(served.err, "\"spool opened\""));
    assert_non_null(strstr(served.err, "\"unreleased\":1"));
    assert_true(child_await_out(&served, "amazonaws.com/AWS/EC2/CPU"));
    served_post(); /* the same request: known, and not exported again */
    served_signal(SIGTERM);
    served_ends(0);
    assert_int_equal(count_of(served.out, "amazonaws.com/AWS/EC2/CPU"), 1);
    assert_non_null(strstr(served.err, "\"requests_on_disk\":0"));
}

static void what_was_accepted_outlasts_a_kill(void **state)
{
    (void)state;
    served_start(with_spool("s", "disk", AWAY));
    served_post();
    served_signal(SIGKILL);
    (void)child_end(&served);
    served_start(with_spool("s", "disk", OUT));
    assert_true(child_await_out(&served, "amazonaws.com/AWS/EC2/CPU"));
    served_signal(SIGTERM);
    served_ends(0);
    assert_int_equal(count_of(served.out, "amazonaws.com/AWS/EC2/CPU"), 1);
    served_start(with_spool("s", "disk", OUT));
    served_signal(SIGTERM);
    served_ends(0);
    assert_string_equal(served.out, "");
}

static void gauges_and_status_tell_of_the_disk(void **state)
{
    (void)state;
    served_start(with_spool("s", "disk", AWAY));
    served_post();
    const char *text = served_get(served_port("admin"), "/metrics");
    assert_non_null(strstr(text, "\nweir_spool_limit_bytes 134217728\n"));
    assert_non_null(strstr(text, "\nweir_spool_unreleased_records 1\n"));
    assert_non_null(strstr(text, "\nweir_dead_letter_limit_bytes 1073741824\n"));
    assert_non_null(strstr(text, "\nweir_dedupe_entries 1\n"));
    text = served_get(served_port("admin"), "/status");
    assert_non_null(strstr(text, "\"durability\": \"disk\""));
    assert_non_null(strstr(text, "\"unreleased_requests\": 1"));
    assert_non_null(strstr(text, "\"when_full\": \"reject\", \"full\": false"));
    served_signal(SIGINT);
    served_ends(0);
}

/* A start that must fail, and what it says. */
static void refused(const char *yaml, const char *words, const char *advice)
{
    char text[1024];
    struct child other;
    (void)snprintf(text, sizeof text, "%s", yaml);
    assert_true(child_start(&other, served_body, text));
    int code = child_end(&other);
    if (code != 1 || strstr(other.err, words) == NULL || strstr(other.err, advice) == NULL) {
        fail_msg("exit code %d: %s", code, other.err);
    }
    assert_non_null(strstr(other.err, "start failed"));
    assert_non_null(strstr(other.err, folder));
}

static void a_directory_that_cannot_be_had_is_named(void **state)
{
    (void)state;
    char path[128];
    refused(with_spool("no/such", "disk", OUT), "No such file", "make the directory");
    (void)snprintf(path, sizeof path, "%s/file", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    refused(with_spool("file", "disk", OUT), "\"directory\"", "\"do\"");
    char letters[300];
    (void)snprintf(letters, sizeof letters, OUT "dead_letter: {directory: %s/no/such}\n", folder);
    refused(with_spool("s", "disk", letters), "dead_letter.directory", "make the directory");
}

static void one_directory_is_one_process(void **state)
{
    (void)state;
    served_start(with_spool("s", "disk", OUT));
    refused(with_spool("s", "disk", OUT), "\"key\":\"", "another weir has it");
    served_signal(SIGTERM);
    served_ends(0);
}

static void delivered_is_answered_when_it_is(void **state)
{
    (void)state;
    served_start(with_spool("s", "delivered", OUT));
    served_post();
    assert_true(child_await_out(&served, "amazonaws.com/AWS/EC2/CPU"));
    served_signal(SIGTERM);
    served_ends(0);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/s", folder);
    assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_left_at_a_stop_comes_after_the_start, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_was_accepted_outlasts_a_kill, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(gauges_and_status_tell_of_the_disk, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_directory_that_cannot_be_had_is_named, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(one_directory_is_one_process, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(delivered_is_answered_when_it_is, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
