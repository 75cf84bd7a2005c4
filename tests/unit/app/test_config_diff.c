/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/app/config_internal.h"
#include "support.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define KEYS "ingest: {access_keys: [{name: a, value: secret}]}\n"

static struct weir_config_report report;

static struct weir_config *parse(const char *text)
{
    struct weir_config *config = NULL;
    if (weir_config_parse("w", weir_bytes_str(text), true, &report, &config) != WEIR_OK) {
        fail_msg("%s", report.messages[0].text);
    }
    return config;
}

struct seen {
    uint32_t count;
    char paths[16][64];
};

static void note(void *argument, const char *path)
{
    struct seen *seen = argument;
    assert_true(seen->count < 16);
    (void)snprintf(seen->paths[seen->count++], sizeof seen->paths[0], "%s", path);
}

static void what_needs_a_restart_is_named_and_keeps_its_value(void **state)
{
    (void)state;
    struct weir_config *running = parse(KEYS "memory_limit: 512MiB\nspool: {limit: 8GiB}\n");
    struct weir_config *fresh =
        parse("ingest: {access_keys: none, listen: '127.0.0.1:1', path: /x}\n"
              "memory_limit: 1GiB\nspool: {limit: 9GiB, durability: memory}\n"
              "admin: {listen: []}\nlog: {level: debug}\ndrain: {grace: 1s}\n");
    struct seen seen = {0};
    weir_config_keep(fresh, running, note, &seen);
    static const char *const expected[] = {"ingest.listen", "ingest.path",      "memory_limit",
                                           "spool.limit",   "spool.durability", "admin.listen"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        bool found = false;
        for (uint32_t j = 0; j < seen.count; j++) {
            found = found || strcmp(seen.paths[j], expected[i]) == 0;
        }
        if (!found) {
            fail_msg("%s is not told", expected[i]);
        }
    }
    for (uint32_t j = 0; j < seen.count; j++) {
        assert_null(strstr(seen.paths[j], "log"));
        assert_null(strstr(seen.paths[j], "drain"));
        assert_null(strstr(seen.paths[j], "access_keys"));
    }
    assert_int_equal(fresh->memory_limit, running->memory_limit);
    assert_string_equal(fresh->ingest.path, "/");
    assert_int_equal(fresh->spool.durability, WEIR_DURABILITY_DISK);
    assert_ptr_equal(fresh->admin.listen, running->admin.listen);
    assert_true(fresh->ingest.access_keys.none); /* that is live */
    assert_int_equal(fresh->log.level, WEIR_LOG_DEBUG);
    weir_config_free(fresh);
    weir_config_free(running);
}

static void the_same_file_differs_in_nothing(void **state)
{
    (void)state;
    static const char text[] =
        KEYS "destinations: [{name: a, endpoint: 'http://h', headers: {X: y},"
             " resource: {a: b}, attributes: {k: [v]}}, {name: b, preset: "
             "dynatrace, endpoint: 'https://h/api/v2/otlp', headers: "
             "{Authorization: 'Api-Token x'}}]\n";
    struct weir_config *running = parse(text);
    struct weir_config *fresh = parse(text);
    struct seen seen = {0};
    weir_config_keep(fresh, running, note, &seen);
    assert_int_equal(seen.count, 0);
    const struct weir_config_destination *one = running->destinations.items;
    const struct weir_config_destination *other = fresh->destinations.items;
    assert_int_equal(weir_config_compare_destinations(&one[0], &other[0]), WEIR_CONFIG_SAME);
    assert_int_equal(weir_config_compare_destinations(&one[1], &other[1]), WEIR_CONFIG_SAME);
    weir_config_free(fresh);
    weir_config_free(running);
}

/* Each against {name: a, endpoint: 'http://h'}. */
static void differences_of_destinations(void **state)
{
    (void)state;
    static const struct {
        const char *more; /* of the file */
        const char *keys; /* of the destination */
        enum weir_config_difference difference;
    } rows[] = {
        {"", "", WEIR_CONFIG_SAME},
        {"", ", buffer: {interval: 1m}", WEIR_CONFIG_SAME}, /* the default in other words */
        {"", ", namespaces: {include: ['*']}", WEIR_CONFIG_SAME},
        {"log: {level: debug}\n", "", WEIR_CONFIG_SAME},
        {"", ", namespaces: {exclude: [AWS/X]}", WEIR_CONFIG_ROUTE},
        {"", ", accounts: {include: ['111111111111']}", WEIR_CONFIG_ROUTE},
        {"", ", regions: {exclude: [eu-west-1]}", WEIR_CONFIG_ROUTE},
        {"", ", streams: {include: [s]}", WEIR_CONFIG_ROUTE},
        {"", ", attributes: {tenant: [a]}", WEIR_CONFIG_ROUTE},
        {"", ", attributes: {tenant: [a]}, timeout: 3s", WEIR_CONFIG_OTHER},
        {"", ", headers: {X: y}", WEIR_CONFIG_OTHER},
        {"", ", retry: {window: 1s}", WEIR_CONFIG_OTHER},
        {"", ", retry: {also_on: [500]}", WEIR_CONFIG_OTHER},
        {"", ", resource: {a: b}", WEIR_CONFIG_OTHER},
        {"", ", metrics: {include: [AWS/EC2/*]}", WEIR_CONFIG_OTHER},
        {"", ", tls: {ca_file: /x}", WEIR_CONFIG_OTHER},
        {"", ", promote: [cloud.region]", WEIR_CONFIG_OTHER},
        {"buffer: {interval: 3s}\n", "", WEIR_CONFIG_OTHER}, /* inherited */
    };
    struct weir_config *base = parse(KEYS "destinations: [{name: a, endpoint: 'http://h'}]\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[400];
        (void)snprintf(text, sizeof text,
                       KEYS "%sdestinations: [{name: a, endpoint: 'http://h'%s}]\n", rows[i].more,
                       rows[i].keys);
        struct weir_config *fresh = parse(text);
        enum weir_config_difference difference =
            weir_config_compare_destinations(base->destinations.items, fresh->destinations.items);
        if (difference != rows[i].difference) {
            fail_msg("%s: %d", text, (int)difference);
        }
        weir_config_free(fresh);
    }
    weir_config_free(base);
}

static void secrets_count(void **state)
{
    (void)state;
    static const char form[] = "ingest: {access_keys: [{name: a, value: %s%s}]}\ndestinations: "
                               "[{name: a, endpoint: 'http://h', headers: {X: %s}}]\n";
    char text[300];
    (void)snprintf(text, sizeof text, form, "k1", "", "v1");
    struct weir_config *one = parse(text);
    (void)snprintf(text, sizeof text, form, "k2", "", "v2");
    struct weir_config *other = parse(text);
    (void)snprintf(text, sizeof text, form, "k1", ", accounts: ['111111111111']", "v1");
    struct weir_config *third = parse(text);
    assert_int_equal(
        weir_config_compare_destinations(one->destinations.items, other->destinations.items),
        WEIR_CONFIG_OTHER);
    const struct weir_config_access_key *key = one->ingest.access_keys.items;
    assert_true(weir_config_same_key(key, key));
    assert_false(weir_config_same_key(key, other->ingest.access_keys.items));
    assert_false(weir_config_same_key(key, third->ingest.access_keys.items));
    weir_config_free(one);
    weir_config_free(other);
    weir_config_free(third);
}

/* What a reload takes stands in one section, each key in a row of its own. */
static void look_up_live(void *argument, const struct weir_config_key *key)
{
    char entry[160];
    (void)snprintf(entry, sizeof entry, "\n| `%s` |", key->path);
    bool is_there = strstr(argument, entry) != NULL;
    if (is_there != key->is_boundary) {
        fail_msg("docs/configuration.md, What a reload takes: %s is %s", key->path,
                 is_there ? "there, and needs a restart" : "not there");
    }
}

static void the_documentation_says_what_a_reload_takes(void **state)
{
    (void)state;
    struct support_blob text = support_source("docs/configuration.md");
    char *section = strstr((char *)text.data, "\n## What a reload takes\n");
    assert_non_null(section);
    char *end = strstr(section + 1, "\n## ");
    if (end != NULL) {
        *end = 0;
    }
    weir_config_keys(look_up_live, section);
    support_free(&text);
}

static void a_configuration_is_named_by_its_bytes(void **state)
{
    (void)state;
    struct weir_config *one = parse(KEYS);
    struct weir_config *other = parse(KEYS "# the same\n");
    assert_int_equal(strlen(one->hash), 64);
    assert_string_not_equal(one->hash, other->hash);
    weir_config_free(one);
    weir_config_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_needs_a_restart_is_named_and_keeps_its_value),
        cmocka_unit_test(the_same_file_differs_in_nothing),
        cmocka_unit_test(differences_of_destinations),
        cmocka_unit_test(secrets_count),
        cmocka_unit_test(the_documentation_says_what_a_reload_takes),
        cmocka_unit_test(a_configuration_is_named_by_its_bytes),
    };
    return cmocka_run_group_tests_name("config diff", tests, NULL, NULL);
}
