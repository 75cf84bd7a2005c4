/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of tenants in the configuration: what belongs together, and placeholders where they do
 * not belong. */
#include "../../../src/app/config_internal.h"
#include "weir/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD                                                                                       \
    "ingest: {access_keys: [{name: a, value: 0123456789abcdef0123456789abcdef}]}\n"                \
    "spool: {durability: memory}\n"

static struct weir_config_report report;

static struct weir_config *parse(const char *yaml)
{
    struct weir_config *config = NULL;
    enum weir_status status =
        weir_config_parse("w.yaml", weir_bytes_str(yaml), true, &report, &config);
    assert_true((status == WEIR_OK) == (config != NULL));
    return config;
}

static void bad(const char *rest, const char *words)
{
    char yaml[2000];
    (void)snprintf(yaml, sizeof yaml, HEAD "%s", rest);
    assert_null(parse(yaml));
    for (uint32_t i = 0; i < report.count; i++) {
        if (strstr(report.messages[i].text, words) != NULL) {
            return;
        }
    }
    fail_msg("%s", report.messages[0].text);
}

static struct weir_config *good(const char *rest)
{
    char yaml[2000];
    (void)snprintf(yaml, sizeof yaml, HEAD "%s", rest);
    struct weir_config *config = parse(yaml);
    if (config == NULL) {
        fail_msg("%s", report.messages[0].text);
    }
    return config;
}

static void a_template(void **state)
{
    (void)state;
    static const char yaml[] =
        "destinations:\n"
        "  - name: t\n"
        "    endpoint: \"${attribute:u}/x\"\n"
        "    headers: {Authorization: \"T ${file:/run/${key:name}/t}\"}\n"
        "    tls: {verify: \"${attribute:v}\"}\n"
        "    tenants: {hosts: [\"*.b.c\", \"a:1\"], unverified: \"a:1\", max: 7, idle: 1h}\n";
    struct weir_config *config = good("destinations: [{name: t, endpoint: \"${attribute:u}\", "
                                      "tenants: {hosts: a}}]\n");
    const struct weir_config_destination *first = config->destinations.items;
    assert_non_null(first->tenant);
    assert_int_equal(first->tenants.max, 32);
    assert_int_equal(first->tenants.idle_ns, 86400 * WEIR_NS_PER_S);
    assert_string_equal(first->tenant->endpoint, "${attribute:u}/v1/metrics");
    assert_int_equal(first->spool_share, config->spool.limit / 10);
    weir_config_free(config);
    config = good(yaml);
    first = config->destinations.items;
    assert_string_equal(first->tenant->verify, "${attribute:v}");
    assert_string_equal(first->tenant->hosts[1], "a:1");
    assert_string_equal(first->tenant->unverified[0], "a:1");
    assert_string_equal(first->token_files[0], "/run/KEY/t");
    assert_null(first->token_files[1]);
    weir_config_free(config);
}

static void placeholders_elsewhere(void **state)
{
    (void)state;
    bad("destinations: [{name: t, endpoint: \"${attribute:u}\"}]\n", "no tenants");
    bad("destinations: [{name: t, metrics_endpoint: \"${attribute:u}\"}]\n", "no tenants");
    bad("destinations: [{name: t, endpoint: \"http://a\", headers: {X: \"${key:name}\"}}]\n",
        "no tenants");
    bad("destinations: [{name: t, endpoint: \"http://a\", headers: {X: \"${file:/a}\"}}]\n",
        "no tenants");
    bad("destinations: [{name: t, endpoint: \"http://a\", tls: {verify: \"${attribute:u}\"}}]\n",
        "tenants");
    bad("destinations: [{name: \"${key:name}\", endpoint: \"http://a\"}]\n", "only ${env:NAME}");
    bad("destinations: [{name: t, endpoint: \"http://a\", proxy: \"http://${attribute:u}\"}]\n",
        "only ${env:NAME}");
    bad("destinations: [{name: t, endpoint: \"http://a\", tls: {ca_file: \"${file:/a}\"}}]\n",
        "only ${env:NAME}");
    bad("destinations: [{name: t, endpoint: \"${other:u}\", tenants: {hosts: a}}]\n",
        "only ${env:NAME}");
    weir_config_free(
        good("destinations: [{name: t, endpoint: \"http://a\", headers: {X: \"$$5\"}}]\n"));
}

#define T "name: t, endpoint: \"${attribute:u}/x\", tenants: {hosts: \"*.b.c\"}"

static void what_a_template_has_not(void **state)
{
    (void)state;
    bad("destinations: [{" T ", proxy: \"http://p\"}]\n", "looks names up itself");
    bad("destinations: [{" T ", auth: {bearer_file: /a}}]\n", "one token to all");
    bad("destinations: [{" T
        ", oauth2: {token_url: \"https://a\", client_id: a, client_secret: b}}]\n",
        "one token to all");
    bad("destinations: [{" T ", tls: {insecure: true}}]\n", "believe whoever answers");
    bad("destinations: [{" T ", tls: {verify: \"false\"}}]\n", "not one ${attribute:NAME}");
    bad("destinations: [{" T ", headers: {X: \"${attribute:u}\"}}]\n", "neither ${key:name}");
    bad("destinations: [{" T ", headers: {X: \"${file:}\"}}]\n", "without a path");
    bad("destinations: [{" T ", headers: {X: \"${file:/a\"}}]\n", "without a path");
    bad("destinations: [{" T ", headers: {X: \"${file:a}\"}}]\n", "does not begin with /");
    bad("destinations: [{" T ", headers: {X: \"${file:/${env:HOME}/${file:/b}}\"}}]\n", "neither");
    bad("destinations: [{name: t, endpoint: \"http://a\", tenants: {hosts: a}}]\n",
        "has no ${attribute:NAME}");
    bad("destinations: [{name: t, endpoint: \"${attribute:u}.evil\", tenants: {hosts: a}}]\n",
        "more than a path");
    bad("destinations: [{name: t, endpoint: \"${attribute:u}\", tenants: {max: 3}}]\n", "no hosts");
    bad("destinations: [{name: t, endpoint: \"${attribute:u}\", tenants: {hosts: \"*\"}}]\n",
        "tenants.hosts");
    bad("destinations: [{" T "}, {name: t-abcdefghijklm, type: stdout}]\n", "a tenant might have");
    bad("destinations: [{name: t, endpoint: \"${attribute:u}\", tenants: {hosts: a, max: 61}}, "
        "{name: b, type: stdout}]\n",
        "come to 63");
    assert_null(parse("ingest: {access_keys: none}\nspool: {durability: memory}\n"
                      "destinations: [{" T "}]\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_template),
        cmocka_unit_test(placeholders_elsewhere),
        cmocka_unit_test(what_a_template_has_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
