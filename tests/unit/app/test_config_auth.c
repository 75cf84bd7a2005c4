/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/clock.h"
#include "weir/config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define HEAD  "destinations:\n- name: a\n  endpoint: https://b\n"
#define OAUTH "  oauth2: {token_url: https://t/x, client_id: i, client_secret: geheim"

static struct weir_config_report report;

static struct weir_config *parse(const char *text)
{
    struct weir_config *config = NULL;
    char whole[2048];
    (void)snprintf(whole, sizeof whole,
                   "ingest: {access_keys: none}\nspool: {durability: memory}\n" HEAD "%s", text);
    memset(&report, 0, sizeof report);
    enum weir_status status =
        weir_config_parse("w.yaml", weir_bytes_str(whole), false, &report, &config);
    assert_int_equal(status == WEIR_OK, report.errors == 0);
    return config;
}

static bool is_told(const char *words, bool is_warning)
{
    bool is = false;
    for (uint32_t i = 0; i < report.count; i++) {
        assert_null(strstr(report.messages[i].text, "geheim"));
        is = is || (report.messages[i].warning == is_warning &&
                    strstr(report.messages[i].text, words) != NULL);
    }
    return is;
}

static void everything_that_is_written_arrives(void **state)
{
    (void)state;
    struct weir_config *config =
        parse(OAUTH ", scopes: [s, t], params: {audience: b14}, style: body, timeout: 3s,\n"
                    "    expiry_buffer: 1m, ca_file: /dev/null}\n"
                    "  tls: {certificate: /dev/null, key: /dev/null, insecure: true,\n"
                    "        min_version: \"1.3\"}\n"
                    "  proxy: http://169.254.7.7:3128\n  no_proxy: [localhost, 10.0.0.0/8]\n"
                    "  allow_link_local: true\n");
    assert_non_null(config);
    const struct weir_config_destination *destination = config->destinations.items;
    const struct weir_oauth_options *oauth = destination->oauth;
    assert_string_equal(oauth->token_url, "https://t/x");
    assert_string_equal(oauth->client_id, "i");
    assert_string_equal(oauth->client_secret, "geheim");
    assert_string_equal(oauth->scopes[1], "t");
    assert_null(oauth->scopes[2]);
    assert_string_equal(oauth->parameters[0].key, "audience");
    assert_string_equal(oauth->parameters[0].value, "b14");
    assert_null(oauth->parameters[1].key);
    assert_int_equal(oauth->style, WEIR_OAUTH_BODY);
    assert_int_equal(oauth->timeout_ns, 3 * WEIR_NS_PER_S);
    assert_int_equal(oauth->expiry_buffer_ns, 60 * WEIR_NS_PER_S);
    assert_string_equal(oauth->ca_file, "/dev/null");
    assert_string_equal(oauth->proxy, "http://169.254.7.7:3128");
    assert_true(oauth->allow_link_local);
    assert_int_equal(oauth->min_tls, WEIR_MIN_TLS_1_3);
    assert_int_equal(destination->tls.min_version, WEIR_MIN_TLS_1_3);
    assert_string_equal(oauth->no_proxy, "localhost,10.0.0.0/8");
    assert_string_equal(destination->tls.key, "/dev/null");
    assert_true(is_told("tls.insecure", true));
    weir_config_free(config);
}

static void defaults_are_those_of_the_page(void **state)
{
    (void)state;
    struct weir_config *config = parse(OAUTH "}\n  tls: {ca_file: /dev/null}\n");
    assert_non_null(config);
    const struct weir_config_destination *destination = config->destinations.items;
    assert_int_equal(destination->oauth->style, WEIR_OAUTH_AUTO);
    assert_int_equal(destination->oauth->timeout_ns, 10 * WEIR_NS_PER_S);
    assert_int_equal(destination->oauth->expiry_buffer_ns, 300 * WEIR_NS_PER_S);
    assert_string_equal(destination->oauth->ca_file, "/dev/null");
    assert_null(destination->oauth->no_proxy);
    weir_config_free(config);
    config = parse("");
    assert_non_null(config);
    destination = config->destinations.items;
    assert_null(destination->oauth);
    assert_null(destination->auth.bearer_file);
    weir_config_free(config);
}

/* What is printed reads back, once the stars are a secret again, and shows none. */
static void what_is_printed_holds_no_secret(void **state)
{
    (void)state;
    struct weir_config *config = parse(OAUTH ", params: {password: geheim}}\n");
    assert_non_null(config);
    static char text[65536];
    struct weir_buf out = weir_buf_fixed(text, sizeof text - 1);
    weir_config_print(config, &out);
    assert_false(out.failed);
    text[out.size] = '\0';
    assert_null(strstr(text, "geheim"));
    assert_non_null(strstr(text, "token_url"));
    assert_non_null(strstr(text, "client_id"));
    assert_non_null(strstr(text, "expiry_buffer: 5m"));
    assert_null(strstr(text, "bearer_file"));
    weir_config_free(config);
    memset(&report, 0, sizeof report);
    assert_int_equal(weir_config_parse("again", weir_buf_view(&out), true, &report, &config),
                     WEIR_OK);
    weir_config_free(config);
    config = parse("");
    out.size = 0;
    weir_config_print(config, &out);
    text[out.size] = '\0';
    assert_null(strstr(text, "oauth2"));
    assert_null(strstr(text, "insecure"));
    assert_null(strstr(text, "min_version"));
    assert_null(strstr(text, "link_local"));
    weir_config_free(config);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"  oauth2: {}\n", "has no token_url"},
        {"  oauth2: {client_id: i, client_secret: geheim}\n", "has no token_url"},
        {"  oauth2: {token_url: t, client_id: i, client_secret: geheim}\n", "not a URL"},
        {"  oauth2: {token_url: https://t, client_id: i}\n", "client_secret_file"},
        {"  oauth2: {token_url: https://t, client_secret: geheim}\n", "client_id_file"},
        {OAUTH ", client_secret_file: /dev/null}\n", "write one of client_secret"},
        {OAUTH ", client_id_file: /dev/null}\n", "write one of client_id"},
        {OAUTH ", style: header}\n", "not one of"},
        {OAUTH ", params: {grant_type: password}}\n", "set by other keys"},
        {OAUTH ", params: {client_secret: geheim}}\n", "set by other keys"},
        {OAUTH ", timeout: 0s}\n", "timeout"},
        {OAUTH ", ca_file: /nowhere}\n", "cannot be read: /nowhere"},
        {OAUTH ", secret: geheim}\n", "secret"},
        {OAUTH "}\n  auth: {bearer_file: /dev/null}\n", "only one of"},
        {OAUTH "}\n  headers: {authorization: geheim}\n", "only one of"},
        {"  auth: {bearer_file: /dev/null}\n  headers: {Authorization: geheim}\n", "only one of"},
        {"  tls: {key: /dev/null}\n", "without certificate"},
        {"  tls: {certificate: /nowhere}\n", "tls.certificate: cannot be read"},
        {"  tls: {certificate: /dev/null, key: /nowhere}\n", "tls.key: cannot be read"},
        {"  tls: {insecure: yes}\n", "not one of"},
        {"  tls: {min_version: \"1.1\"}\n", "not one of"},
        {"  allow_link_local: perhaps\n", "not one of"},
        {"  no_proxy: [\"a,b\"]\n", "not a host"},
        {"  no_proxy: [\"a b\"]\n", "not a host"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct weir_config *config = parse(wrong[i][0]);
        assert_null(config);
        if (!is_told(wrong[i][1], false)) {
            fail_msg("%s: %s", wrong[i][0], report.messages[0].text);
        }
    }
}

static void doubts_are_told(void **state)
{
    (void)state;
    static const char *const doubtful[][2] = {
        {"  oauth2: {token_url: http://t.example, client_id: i, client_secret: geheim}\n",
         "unencrypted"},
        {"  oauth2: {token_url: https://t, client_id: i, client_secret_file: /nowhere}\n",
         "cannot be read yet: /nowhere"},
        {"  auth: {bearer_file: /nowhere}\n", "cannot be read yet: /nowhere"},
        {"  tls: {insecure: true}\n", "is believed"},
    };
    for (size_t i = 0; i < sizeof doubtful / sizeof *doubtful; i++) {
        struct weir_config *config = parse(doubtful[i][0]);
        assert_non_null(config);
        assert_true(is_told(doubtful[i][1], true));
        weir_config_free(config);
    }
    struct weir_config *config =
        parse("  oauth2: {token_url: http://127.0.0.1:1/t, client_id: i, client_secret: x}\n");
    assert_non_null(config);
    assert_false(is_told("unencrypted", true));
    weir_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_that_is_written_arrives),
        cmocka_unit_test(defaults_are_those_of_the_page),
        cmocka_unit_test(what_is_printed_holds_no_secret),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(doubts_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
