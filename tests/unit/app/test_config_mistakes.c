/* SPDX-License-Identifier: Apache-2.0 */
/* Every mistake: its place, its path, what it says. */
#include "weir/config.h"
#include "weir/keys.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct mistake {
    const char *yaml;
    const char *message;
};

static struct weir_config_report report;

static bool accepted(const char *yaml)
{
    struct weir_config *config = NULL;
    enum weir_status status =
        weir_config_parse("w.yaml", weir_bytes_str(yaml), false, &report, &config);
    assert_int_equal(status == WEIR_OK, report.errors == 0);
    weir_config_free(config);
    return status == WEIR_OK;
}

static bool reported(const char *message)
{
    for (uint32_t i = 0; i < report.count; i++) {
        if (strcmp(report.messages[i].text, message) == 0) {
            return true;
        }
    }
    return false;
}

static void show(void)
{
    for (uint32_t i = 0; i < report.count; i++) {
        print_error("  %s\n", report.messages[i].text);
    }
}

static void check_all(const struct mistake *mistakes, size_t count)
{
    size_t missed = 0;
    for (size_t i = 0; i < count; i++) {
        bool refused = !accepted(mistakes[i].yaml);
        if (!refused || !reported(mistakes[i].message)) {
            print_error("%s\nwanted: %s\n%s:\n", mistakes[i].yaml, mistakes[i].message,
                        refused ? "said" : "accepted");
            show();
            missed++;
        }
    }
    assert_int_equal(missed, 0);
}

#define CHECK_ALL(mistakes_) check_all((mistakes_), sizeof(mistakes_) / sizeof *(mistakes_))
#define OPEN                 "ingest: {access_keys: none}\n"

static void text_that_is_no_yaml(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"", "w.yaml:1:1: there is no configuration in it (write at least ingest: {access_keys: "
             "...}; or start without a file)"},
        {"# only a comment\n",
         "w.yaml:1:1: there is no configuration in it (write at least ingest: {access_keys: ...}; "
         "or start without a file)"},
        {"ingest: [1", "w.yaml:2:1: not YAML: did not find expected ',' or ']' (while parsing a "
                       "flow sequence that began in line 1)"},
        {"ingest:\n\tpath: /\n",
         "w.yaml:2:1: not YAML: found character that cannot start any token (while scanning for "
         "the "
         "next token that began in line 2) (indent with blanks, not with tabs)"},
        {OPEN "log: {level: ${env:L}}\n",
         "w.yaml:2:15: not YAML: did not find expected ',' or '}' (while parsing a flow mapping "
         "that "
         "began in line 2) (inside {...} and [...] write \"${env:NAME}\" in quotes)"},
        {"ingest: *nowhere\n", "w.yaml:1:9: not YAML: found undefined alias"},
        {OPEN "---\nlog: {}\n", "w.yaml:3:1: a second document (one file is one document)"},
        {OPEN "---\n[1", "w.yaml:4:1: not YAML: did not find expected ',' or ']' (while parsing "
                         "a flow sequence that began in line 3)"},
        {"[1, 2]\n", "w.yaml:1:1: is a list, but takes a mapping of keys"},
        {"plain\n", "w.yaml:1:1: is a single value, but takes a mapping of keys"},
        {OPEN "? [a]\n: 1\n", "w.yaml:2:3: a key must be a word"},
    };
    CHECK_ALL(mistakes);
}

static void keys_that_are_not_there(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"ingest: {access_keys: none, lisen: x}\n",
         "w.yaml:1:29: ingest.lisen: unknown key (did you mean listen?)"},
        {OPEN "buffer: {bytes: 3MiB}\n", "w.yaml:2:10: buffer.bytes: unknown key (there are "
                                         "size, interval, max_points)"},
        {OPEN "destinatons: []\n",
         "w.yaml:2:1: destinatons: unknown key (did you mean destinations?)"},
        {OPEN "log: {level: info, level: warn}\n",
         "w.yaml:2:20: log.level: is there twice (first in line 2)"},
        {OPEN "log: {}\nlog: {}\n", "w.yaml:3:1: log: is there twice (first in line 2)"},
        {OPEN "<<: {}\n", "w.yaml:2:1: <<: unknown key (there are ingest, memory_limit, spool, "
                          "dedupe, buffer, retry, dead_letter, drain, export_threads, "
                          "destinations, admin, log, sandbox, core_dumps)"},
        {OPEN "destinations:\n  - {name: a, type: stdout, endpoint: 'http://x'}\n",
         "w.yaml:3:39: destinations[0].endpoint: is of no use to a destination of this type (leave "
         "it out)"},
    };
    CHECK_ALL(mistakes);
}

static void tls(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"ingest: {access_keys: none, tls: {min_version: '1.2'}}\n",
         "w.yaml:1:34: ingest.tls: has no certificates (write certificates: [{certificate: ..., "
         "key: ...}])"},
    };
    CHECK_ALL(mistakes);
}

static void levels_of_compression(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {OPEN "destinations:\n- {name: a, endpoint: 'http://x', compression_level: 13}\n",
         "w.yaml:3:54: destinations[0].compression_level: 13 is not within gzip's 1 to 12"},
        {OPEN "destinations:\n- {name: a, endpoint: 'http://x', compression: none, "
              "compression_level: 1}\n",
         "w.yaml:3:73: destinations[0].compression_level: is of no use to a destination of this "
         "type (leave it out)"},
        {OPEN "destinations:\n- {name: a, endpoint: 'http://x', compression: zstd, "
              "compression_level: 20}\n",
         "w.yaml:3:73: destinations[0].compression_level: 20 is not within 1 to 19"},
        {OPEN "destinations:\n- {name: a, endpoint: 'http://x', compression: zst}\n",
         "w.yaml:3:48: destinations[0].compression: not one of gzip, none, zstd: \"zst\" (did you "
         "mean zstd?)"},
    };
    CHECK_ALL(mistakes);
}

static void values_of_the_wrong_kind(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {OPEN "log: json\n", "w.yaml:2:6: log: is a single value, but takes a mapping of keys"},
        {OPEN "log: {format: jsno}\n",
         "w.yaml:2:15: log.format: not one of json, text: \"jsno\" (did you mean json?)"},
        {OPEN "log: {level: [info]}\n",
         "w.yaml:2:14: log.level: is a list, but takes one of a few words"},
        {OPEN "log: !mine {}\n", "w.yaml:2:6: log: a tag (leave out what begins with !)"},
        {OPEN "buffer: {size: 3 apples}\n",
         "w.yaml:2:16: buffer.size: not a size: \"3 apples\" (write a size such as 3MiB)"},
        {OPEN "buffer: {size: -1}\n",
         "w.yaml:2:16: buffer.size: not a number: \"-1\" (write a size such as 3MiB)"},
        {OPEN "buffer: {size: 1}\n", "w.yaml:2:16: buffer.size: 1 is not within 1KiB to 64MiB"},
        {OPEN "buffer: {size: 99999999999999999999}\n",
         "w.yaml:2:16: buffer.size: too large: \"99999999999999999999\" (write a size such as "
         "3MiB)"},
        {OPEN "buffer: {interval: 60}\n",
         "w.yaml:2:20: buffer.interval: has no unit: \"60\" (write a duration such as 60s)"},
        {OPEN "buffer: {interval: 2h}\n", "w.yaml:2:20: buffer.interval: 2h is not within 0 to 1h"},
        {OPEN "buffer: {max_points: 1.5}\n",
         "w.yaml:2:22: buffer.max_points: not a whole number: \"1.5\" (write a whole number)"},
        {OPEN "export_threads: 65\n", "w.yaml:2:17: export_threads: 65 is not within 0 to 64"},
        {OPEN "memory_limit: 1MiB\n",
         "w.yaml:2:15: memory_limit: 1MiB is not within 32MiB to 1TiB"},
        {OPEN "retry: {also_on: [404, 99]}\n",
         "w.yaml:2:24: retry.also_on: is neither a status (400 to 599) nor gRPC's (1 to 16)"},
        {OPEN "retry: {also_on: [4xx]}\n",
         "w.yaml:2:19: retry.also_on: not a whole number: \"4xx\" (write 400 to 599)"},
        {OPEN "retry: {initial: 60s}\n", "w.yaml:2:8: retry: initial is longer than max"},
        {OPEN "destinations: {name: a}\n",
         "w.yaml:2:15: destinations: is a mapping, but takes a list of mappings"},
        {OPEN "destinations: [a]\n",
         "w.yaml:2:16: destinations[0]: is a single value, but takes a mapping of keys"},
        {OPEN "log: {level: \"a\\nb\"}\n", "w.yaml:2:14: log.level: holds a line break or control "
                                           "character (write it on one line)"},
        {OPEN "log: {level: \"a\\0b\"}\n", "w.yaml:2:14: log.level: holds a line break or control "
                                           "character (write it on one line)"},
        {OPEN "log: {level: \"\"}\n",
         "w.yaml:2:14: log.level: not one of debug, info, warn, error: \"\""},
    };
    CHECK_ALL(mistakes);
}

static void addresses(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"ingest: {access_keys: none, listen: [':8080']}\n",
         "w.yaml:1:38: ingest.listen: not an address: \":8080\" (write 127.0.0.1:8080, or "
         "0.0.0.0:8080 for every interface)"},
        {"ingest: {access_keys: none, listen: '8080'}\n",
         "w.yaml:1:37: ingest.listen: not an address: \"8080\" (write 127.0.0.1:8080, or "
         "0.0.0.0:8080 for every interface)"},
        {"ingest: {access_keys: none, listen: ['localhost:8080']}\n",
         "w.yaml:1:38: ingest.listen: not an address: \"localhost:8080\" (write 127.0.0.1:8080)"},
        {"ingest: {access_keys: none, listen: ['127.0.0.1:65536']}\n",
         "w.yaml:1:38: ingest.listen: not an address: \"127.0.0.1:65536\" (write an IP address and "
         "a port, such as 127.0.0.1:8080 or [::]:8080)"},
        {"ingest: {access_keys: none, listen: ['::1:8080']}\n",
         "w.yaml:1:38: ingest.listen: not an address: \"::1:8080\" (write an IP address and a "
         "port, such as 127.0.0.1:8080 or [::]:8080)"},
        {"ingest: {access_keys: none, listen: []}\n",
         "w.yaml:1:37: ingest.listen: has 0 entries, not 1 to 16 (write one, or leave the key "
         "out)"},
        {OPEN "admin: {listen: '127.0.0.1:8080'}\n",
         "w.yaml:2:8: admin.listen: 127.0.0.1:8080 is ingest.listen's address too"},
        {"ingest: {access_keys: none, listen: '127.0.0.1:9464'}\n",
         "w.yaml:1:37: ingest.listen: 127.0.0.1:9464 is admin.listen's address too, by default "
         "(write another one for either)"},
        {"ingest: {access_keys: none, path: metrics}\n",
         "w.yaml:1:35: ingest.path: not a path: \"metrics\" (it begins with /)"},
    };
    CHECK_ALL(mistakes);
}

#define LINK_LOCAL                                                                                 \
    "a link-local address, where clouds hand out credentials to whoever asks (write "              \
    "allow_link_local: true if that is meant)"
#define TO(endpoint_) OPEN "destinations:\n- name: a\n  endpoint: " endpoint_ "\n"

static void urls(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {TO("'collector:4318'"), "w.yaml:4:13: destinations[0].endpoint: not a URL: "
                                 "\"collector:4318\" (write http://collector:4318)"},
        {TO("ftp://x"),
         "w.yaml:4:13: destinations[0].endpoint: not a URL: \"ftp://x\" (only http:// "
         "and https:// are spoken)"},
        {TO("http://u:secret@x"), "w.yaml:4:13: destinations[0].endpoint: a URL with credentials "
                                  "(write them into headers: or use a proxy that adds them)"},
        {TO("http://x:0"), "w.yaml:4:13: destinations[0].endpoint: not a port in the URL: "
                           "\"http://x:0\" (write a number from 1 to 65535)"},
        {TO("http://"),
         "w.yaml:4:13: destinations[0].endpoint: not a host in the URL: \"http://\""},
        {TO("http://x?token=y"), "w.yaml:4:13: destinations[0].endpoint: a base URL has no query "
                                 "(use metrics_endpoint: for "
                                 "a whole URL that is taken as it is)"},
        {TO("http://x/#a"), "w.yaml:4:13: destinations[0].endpoint: a URL with a fragment: "
                            "\"http://x/\" (leave out what follows #)"},
        {TO("http://169.254.169.254"), "w.yaml:4:13: destinations[0].endpoint: " LINK_LOCAL},
        {TO("http://2852039166"), "w.yaml:4:13: destinations[0].endpoint: " LINK_LOCAL},
        {TO("http://[fd00:ec2::254]:80"), "w.yaml:4:13: destinations[0].endpoint: " LINK_LOCAL},
        {TO("http://[::ffff:169.254.1.1]"), "w.yaml:4:13: destinations[0].endpoint: " LINK_LOCAL},
        {TO("http://x\n  proxy: http://169.254.0.1:3128"),
         "w.yaml:5:10: destinations[0].proxy: " LINK_LOCAL},
    };
    CHECK_ALL(mistakes);
}

#define KEYS(keys_) "ingest:\n  access_keys:\n" keys_

static void access_keys(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"log: {}\n", "w.yaml:1:1: ingest.access_keys: is missing (write - {name: ..., file: ...}; "
                      "or access_keys: none for a door without a lock)"},
        {"ingest: {path: /x}\n",
         "w.yaml:1:9: ingest.access_keys: is missing (write - {name: ..., file: ...}; or "
         "access_keys: none for a door without a lock)"},
        {"ingest: {access_keys: []}\n", "w.yaml:1:23: ingest.access_keys: has 0 entries, not 1 to "
                                        "64 (write one, or the word none)"},
        {"ingest: {access_keys: nobody}\n",
         "w.yaml:1:23: ingest.access_keys: is a single value, but takes a list of mappings, or the "
         "word none"},
        {KEYS("  - {name: a}\n"),
         "w.yaml:3:5: ingest.access_keys[0]: has no key in it (write value: or file:)"},
        {KEYS("  - {value: a}\n"),
         "w.yaml:3:5: ingest.access_keys[0]: has no name (write name: ...)"},
        {KEYS("  - {name: a, value: x, file: /x}\n"),
         "w.yaml:3:5: ingest.access_keys[0]: has both a value and a file (write value: or file:)"},
        {KEYS("  - {name: a, value: x}\n  - {name: a, value: y}\n"),
         "w.yaml:4:12: ingest.access_keys[1]: has the name of ingest.access_keys[0] (names are "
         "unique)"},
        {KEYS("  - {name: a, value: ''}\n"), "w.yaml:3:22: ingest.access_keys[0].value: is empty "
                                             "(write a value, or leave the key out)"},
        {KEYS("  - {name: a, value: ' x'}\n"),
         "w.yaml:3:22: ingest.access_keys[0].value: is no key that Firehose can send (visible "
         "ASCII, no blank at either end)"},
        {KEYS("  - {name: A B, value: x}\n"),
         "w.yaml:3:12: ingest.access_keys[0].name: not a name: \"A B\" (write 1 to 64 of a-z, 0-9, "
         "_ and -)"},
        {KEYS("  - {name: a, value: x, accounts: [12345]}\n"),
         "w.yaml:3:36: ingest.access_keys[0].accounts: not an account: \"12345\" (write its 12 "
         "digits in quotes, such as \"123456789012\")"},
        {KEYS("  - {name: a, value: x, not_after: 2026-13-01T00:00:00Z}\n"),
         "w.yaml:3:36: ingest.access_keys[0].not_after: not a time: \"2026-13-01T00:00:00Z\" "
         "(write "
         "a time such as 2026-12-31T00:00:00Z)"},
        {KEYS("  - name: a\n    value: x\n    not_before: 2026-01-02T00:00:00Z\n"
              "    not_after: 2026-01-01T00:00:00Z\n"),
         "w.yaml:6:16: ingest.access_keys[0]: not_after is not later than not_before"},
        {KEYS("  - {name: a, file: /nowhere/key}\n"),
         "w.yaml:3:21: ingest.access_keys[0].file: there is no such file: /nowhere/key"},
        {KEYS("  - {name: a, file: /dev/zero}\n"),
         "w.yaml:3:21: ingest.access_keys[0].file: is no plain file: /dev/zero"},
        {KEYS("  - {name: a, file: '-'}\n"),
         "w.yaml:3:21: ingest.access_keys[0].file: not a file's name: \"-\""},
    };
    CHECK_ALL(mistakes);
}

static void destinations(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {OPEN "destinations: [{type: stdout}]\n",
         "w.yaml:2:16: destinations[0]: has no name (write name: ...)"},
        {OPEN "destinations: [{name: a}]\n", "w.yaml:2:16: destinations[0]: has no endpoint (write "
                                             "endpoint: http://...; or type: stdout)"},
        {OPEN "destinations: [{name: a, type: file}]\n",
         "w.yaml:2:16: destinations[0]: has no path (write path: FILE)"},
        {OPEN "destinations: [{name: a, type: file, path: /nowhere/x}]\n",
         "w.yaml:2:44: destinations[0].path: /nowhere/x: its directory does not exist (make it)"},
        {OPEN "destinations: [{name: a, type: file, path: /tmp}]\n",
         "w.yaml:2:44: destinations[0].path: /tmp: is a directory (write the path of a file in "
         "it)"},
        {OPEN "destinations: [{name: a, type: file, path: /dev/stdout}]\n",
         "w.yaml:2:44: destinations[0].path: /dev/stdout: is a symbolic link, and none is followed "
         "(write where it leads to)"},
        {OPEN "destinations: [{name: a, type: stdout, namespaces: {include: []}}]\n",
         "w.yaml:2:62: destinations[0].namespaces.include: has 0 entries, not 1 to 1024 (write "
         "one, "
         "or leave the key out)"},
        {OPEN "destinations: ['http://x']\n",
         "w.yaml:2:16: destinations[0]: is a single value, but takes a mapping of keys"},
        {OPEN "destinations: [{name: a, type: kafka}]\n",
         "w.yaml:2:32: destinations[0].type: not one of otlp, stdout, file: \"kafka\""},
        {OPEN "destinations: [{name: a, type: stdout}, {name: a, type: stdout}]\n",
         "w.yaml:2:48: destinations[1].name: a is the name of destinations[0] too (names are "
         "unique)"},
        {OPEN "destinations:\n- {name: a, endpoint: 'http://x', metrics_endpoint: 'http://y'}\n",
         "w.yaml:3:53: destinations[0].metrics_endpoint: is there beside endpoint (write one of "
         "them)"},
        {OPEN "destinations:\n- {name: a, endpoint: 'http://x', tls: {ca_file: /nowhere}}\n",
         "w.yaml:3:40: destinations[0].tls.ca_file: cannot be read: /nowhere"},
        {OPEN "destinations:\n- {name: a, endpoint: 'http://x', headers: {Host: x}}\n",
         "w.yaml:3:45: destinations[0].headers: this header is Weir's own to set: \"Host\" (leave "
         "it "
         "out)"},
        {OPEN "destinations:\n- {name: a, endpoint: 'http://x', headers: {A: x, a: y}}\n",
         "w.yaml:3:51: destinations[0].headers: this header is there twice"},
        {OPEN "destinations:\n- {name: a, endpoint: 'http://x', headers: {'a b': x}}\n",
         "w.yaml:3:45: destinations[0].headers: not a header's name: \"a\""},
        {OPEN "destinations:\n- {name: a, type: stdout, retry: {initial: 9s, max: 1s}}\n",
         "w.yaml:3:34: destinations[0].retry: initial is longer than max"},
    };
    CHECK_ALL(mistakes);
}

static void memory_that_does_not_fit(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {"ingest: {access_keys: none, body_limit: 96MiB}\nmemory_limit: 128MiB\n",
         "w.yaml:1:41: ingest.body_limit: a body of 96MiB does not fit into memory_limit 128MiB, "
         "of "
         "which half takes bodies, each 2.5 times its size (write at most 22080KiB, or "
         "memory_limit: 512MiB)"},
        {OPEN "memory_limit: 128MiB\nbuffer: {size: 8MiB}\n",
         "w.yaml:3:16: buffer.size: batches of 8MiB do not fit into this destination's part of "
         "memory_limit (write at most 4423KiB, or raise memory_limit)"},
    };
    CHECK_ALL(mistakes);
}

static void a_mistake_is_told_once(void **state)
{
    (void)state;
    static const char *const mistaken[] = {
        "",
        "ingest: [1",
        "plain\n",
        KEYS("  - secret\n"),
        KEYS("  - {name: A B, value: x}\n"),
        OPEN "destinations: ['http://x']\n",
        OPEN "destinations: [{name: A B, type: stdout}]\n",
        OPEN "destinations: [{name: a, type: stdout, namespaces: ['AWS/*']}]\n",
    };
    for (size_t i = 0; i < sizeof mistaken / sizeof *mistaken; i++) {
        assert_false(accepted(mistaken[i]));
        assert_int_equal(report.errors, 1);
    }
}

static void all_mistakes_are_told(void **state)
{
    (void)state;
    assert_false(accepted("log: {level: loud}\nbuffer: {size: x}\nwhat: 1\n"));
    assert_int_equal(report.errors, 4);
    assert_true(strstr(report.messages[0].text, "access_keys") != NULL);
    assert_true(strstr(report.messages[1].text, "log.level") != NULL);
    assert_true(strstr(report.messages[2].text, "buffer.size") != NULL);
    assert_true(strstr(report.messages[3].text, "what: unknown key") != NULL);
}

static void mistakes_past_the_cap_are_counted(void **state)
{
    (void)state;
    struct weir_buf yaml = weir_buf_grow_init(1 << 16);
    for (int i = 0; i < 50; i++) {
        weir_buf_printf(&yaml, "unknown%d: 1\n", i);
    }
    weir_buf_put_byte(&yaml, 0);
    assert_false(accepted((const char *)yaml.data));
    assert_int_equal(report.count, WEIR_CONFIG_MESSAGES_MAX);
    assert_int_equal(report.errors, 51);
    assert_int_equal(report.dropped, 51 - WEIR_CONFIG_MESSAGES_MAX);
    weir_buf_done(&yaml);
}

static void a_secret_is_in_no_message(void **state)
{
    (void)state;
    assert_false(accepted(
        KEYS("  - {name: a, value: \"hunter2\\u0001\"}\n") "destinations:\n- {name: a, endpoint: "
                                                           "'http://me:hunter2@x',\n"
                                                           "   headers: {Authorization: "
                                                           "\"hunter2\\n\"}}\n"));
    assert_true(report.errors >= 3);
    for (uint32_t i = 0; i < report.count; i++) {
        assert_null(strstr(report.messages[i].text, "hunter2"));
    }
    static const char *const slips[] = {
        TO("http://x:99999/?key=hunter2"),
        TO("'https://me:hunter#2@x/'"),
        TO("me:hunter2@x"),
        TO("'https://me:hunter2 @x/'"),
        TO("http://x\n  headers: {'Token: hunter2': a}"),
        TO("'https://x/#hunter2'"),
    };
    for (size_t i = 0; i < sizeof slips / sizeof *slips; i++) {
        assert_false(accepted(slips[i]));
        assert_int_equal(report.count, 1);
        assert_null(strstr(report.messages[0].text, "hunter"));
    }
}

static void aliases_neither_loop_nor_multiply_without_bound(void **state)
{
    (void)state;
    assert_false(accepted("&a {ingest: *a}\n"));
    assert_false(accepted("ingest: {access_keys: none, listen: &l [*l, *l]}\n"));
    struct weir_buf yaml = weir_buf_grow_init(1 << 20);
    weir_buf_put(&yaml, WEIR_BYTES("ingest: {access_keys: none}\nadmin: {listen: []}\n"
                                   "destinations:\n- {name: a, type: stdout, namespaces: {include: "
                                   "&b ["));
    for (int i = 0; i < 1000; i++) {
        weir_buf_printf(&yaml, "%s*x", i == 0 ? "&x \"" : ", ");
        if (i == 0) {
            yaml.size -= 2;
            for (int j = 0; j < 60000; j++) {
                weir_buf_put_byte(&yaml, 'a');
            }
            weir_buf_put_byte(&yaml, '"');
        }
    }
    weir_buf_put(&yaml, WEIR_BYTES("]}}\n"));
    weir_buf_put_byte(&yaml, 0);
    assert_false(accepted((const char *)yaml.data));
    assert_true(strstr(report.messages[0].text, "is too large") != NULL);
    weir_buf_done(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_is_no_yaml),
        cmocka_unit_test(keys_that_are_not_there),
        cmocka_unit_test(tls),
        cmocka_unit_test(levels_of_compression),
        cmocka_unit_test(values_of_the_wrong_kind),
        cmocka_unit_test(addresses),
        cmocka_unit_test(urls),
        cmocka_unit_test(access_keys),
        cmocka_unit_test(destinations),
        cmocka_unit_test(memory_that_does_not_fit),
        cmocka_unit_test(a_mistake_is_told_once),
        cmocka_unit_test(all_mistakes_are_told),
        cmocka_unit_test(mistakes_past_the_cap_are_counted),
        cmocka_unit_test(a_secret_is_in_no_message),
        cmocka_unit_test(aliases_neither_loop_nor_multiply_without_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
