/* SPDX-License-Identifier: Apache-2.0 */
/* What a good configuration becomes; the defaults; the printed form; the environment; the
 * documentation. */
#include "support.h"
#include "weir/clock.h"
#include "weir/config.h"
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

#define MIB ((size_t)1 << 20)

static struct weir_config_report report;

static void show(void)
{
    for (uint32_t i = 0; i < report.count; i++) {
        print_error("%s\n", report.messages[i].text);
    }
}

static struct weir_config *good(const char *yaml)
{
    struct weir_config *config = NULL;
    enum weir_status status =
        weir_config_parse("w.yaml", weir_bytes_str(yaml), false, &report, &config);
    if (status != WEIR_OK) {
        show();
    }
    assert_int_equal(status, WEIR_OK);
    return config;
}

static struct weir_config_destination *destination(const struct weir_config *config, size_t index)
{
    assert_true(index < config->destinations.count);
    struct weir_config_destination *all = config->destinations.items;
    return &all[index];
}

/* The design's example, without what comes later. */
static const char whole[] =
    "ingest:\n"
    "  listen: ['127.0.0.1:8080', '[::1]:8443']\n"
    "  path: /firehose?a=b\n"
    "  access_keys:\n"
    "    - {name: prod-2025, value: '${env:WEIR_TEST_OLD}', not_before: 2025-01-01T00:00:00Z,\n"
    "       not_after: 2026-12-31T00:00:00.5+01:00, accounts: ['123456789012']}\n"
    "  threads: 2\n"
    "  connections_max: 50\n"
    "  body_limit: 32MiB\n"
    "  timeouts: {head: 500ms, idle: 75s, body: 170s}\n"
    "memory_limit: 512MiB\n"
    "spool: {directory: /tmp/sp$$ool, limit: 4GiB, durability: disk, segment_size: 8MiB, format: "
    "1,\n"
    "        backlog_rate: 1MiB}\n"
    "dedupe: {window: 1h, entries: 1000}\n"
    "dead_letter: {directory: /tmp/letters, limit: 256MiB, when_full: evict}\n"
    "buffer: {size: 1MiB, interval: 5s, max_points: 15000}\n"
    "retry: {window: 5m, initial: 2s, max: 30s, on_outage: dead_letter, also_on: [404, 500]}\n"
    "drain: {grace: 0, deadline: 30s}\n"
    "export_threads: 3\n"
    "destinations:\n"
    "  - name: collector\n"
    "    endpoint: http://collector:4318/base/\n"
    "    compression: none\n"
    "    headers: {Authorization: 'Bearer ${env:WEIR_TEST_TOKEN}', X-Dollar: a$$b}\n"
    "    timeout: 10s\n"
    "    namespaces: {include: [AWS/*], exclude: [AWS/EC2, 'AWS/EB?']}\n"
    "    buffer: {size: 64KiB}\n"
    "    retry: {on_outage: hold}\n"
    "    proxy: http://proxy:3128\n"
    "    spool_share: 1GiB\n"
    "  - {name: console, type: stdout}\n"
    "  - {name: log, type: file, path: /tmp/out.ndjson}\n"
    "  - {name: direct, metrics_endpoint: 'https://x/otlp?api-key=hunter2'}\n"
    "admin: {listen: []}\n"
    "log: {level: warn, format: text}\n";

static int setup(void **state)
{
    (void)state;
    static const char *const names[] = {"ENDPOINT",        "METRICS_ENDPOINT", "HEADERS",
                                        "COMPRESSION",     "TIMEOUT",          "PROTOCOL",
                                        "CERTIFICATE",     "CLIENT_KEY",       "METRICS_HEADERS",
                                        "METRICS_TIMEOUT", "INSECURE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[80];
        (void)snprintf(name, sizeof name, "OTEL_EXPORTER_OTLP_%s", names[i]);
        assert_int_equal(unsetenv(name), 0);
    }
    assert_int_equal(setenv("WEIR_TEST_OLD", "hunter2-key", 1), 0);
    assert_int_equal(setenv("WEIR_TEST_TOKEN", "hunter2-token", 1), 0);
    return 0;
}

static void every_key_arrives(void **state)
{
    (void)state;
    struct weir_config *config = good(whole);
    assert_string_equal(config->ingest.listen[1], "[::1]:8443");
    assert_null(config->ingest.listen[2]);
    assert_string_equal(config->ingest.path, "/firehose?a=b");
    assert_int_equal(config->ingest.access_keys.count, 1);
    const struct weir_config_access_key *key = config->ingest.access_keys.items;
    assert_true(weir_bytes_eq(key->key, WEIR_BYTES("hunter2-key")));
    assert_int_equal(key->not_before_ns, INT64_C(1735689600) * WEIR_NS_PER_S);
    assert_int_equal(key->not_after_ns, INT64_C(1798671600500) * WEIR_NS_PER_MS);
    assert_string_equal(key->accounts[0], "123456789012");
    assert_int_equal(config->ingest.threads, 2);
    assert_int_equal(config->ingest.connections_max, 50);
    assert_int_equal(config->ingest.body_limit, 32 * MIB);
    assert_int_equal(config->ingest.timeouts.head_ns, 500 * WEIR_NS_PER_MS);
    assert_string_equal(config->spool.directory, "/tmp/sp$ool");
    assert_int_equal(config->spool.limit, 4096 * MIB);
    assert_int_equal(config->spool.durability, WEIR_DURABILITY_DISK);
    assert_int_equal(config->spool.segment_size, 8 * MIB);
    assert_int_equal(config->spool.format, 1);
    assert_int_equal(config->spool.backlog_rate, MIB);
    assert_int_equal(config->dedupe.window_ns, 3600 * WEIR_NS_PER_S);
    assert_int_equal(config->dedupe.entries, 1000);
    assert_string_equal(config->dead_letter.directory, "/tmp/letters");
    assert_int_equal(config->dead_letter.limit, 256 * MIB);
    assert_int_equal(config->dead_letter.when_full, 1);
    assert_int_equal(config->drain.grace_ns, 0);
    assert_int_equal(config->retry.also_on[1], 500);
    assert_int_equal(config->retry.also_on[2], 0);
    assert_int_equal(config->log.level, WEIR_LOG_WARN);
    assert_int_equal(config->log.format, WEIR_LOG_TEXT);
    assert_null(config->admin.listen[0]);
    weir_config_free(config);
}

static void destinations_inherit_and_override(void **state)
{
    (void)state;
    struct weir_config *config = good(whole);
    assert_int_equal(config->destinations.count, 4);
    const struct weir_config_destination *first = destination(config, 0);
    assert_string_equal(first->url, "http://collector:4318/base/v1/metrics");
    assert_string_equal(first->headers[0], "Authorization: Bearer hunter2-token");
    assert_string_equal(first->headers[1], "X-Dollar: a$b");
    assert_null(first->headers[2]);
    assert_int_equal(first->compression, WEIR_COMPRESSION_NONE);
    assert_int_equal(first->buffer.size, 64 << 10);
    assert_int_equal(first->buffer.interval_ns, 5 * WEIR_NS_PER_S);
    assert_int_equal(first->retry.on_outage, 0);
    assert_int_equal(first->spool_share, 1024 * MIB);
    assert_int_equal(first->retry.window_ns, 300 * WEIR_NS_PER_S);
    const struct weir_config_destination *second = destination(config, 1);
    assert_int_equal(second->type, WEIR_DESTINATION_STDOUT);
    assert_int_equal(second->buffer.size, MIB);
    assert_int_equal(second->retry.on_outage, 1);
    assert_string_equal(second->namespaces.include[0], "*");
    assert_string_equal(destination(config, 2)->path, "/tmp/out.ndjson");
    assert_string_equal(destination(config, 3)->url, "https://x/otlp?api-key=hunter2");
    weir_config_free(config);
}

static void defaults_without_a_file(void **state)
{
    (void)state;
    struct weir_config *config = NULL;
    assert_int_equal(weir_config_load(NULL, &report, &config), WEIR_OK);
    assert_null(config->source);
    assert_string_equal(config->ingest.listen[0], "127.0.0.1:8080");
    assert_string_equal(config->admin.listen[0], "127.0.0.1:9464");
    assert_true(config->ingest.access_keys.none);
    assert_int_equal(config->destinations.count, 1);
    assert_int_equal(destination(config, 0)->type, WEIR_DESTINATION_STDOUT);
    assert_int_equal(destination(config, 0)->buffer.interval_ns, WEIR_NS_PER_S);
    assert_int_equal(config->buffer.interval_ns, 60 * WEIR_NS_PER_S);
    assert_true(config->memory_limit <= 512 * MIB);
    assert_int_equal(config->ingest.connections_max, config->memory_limit / (256 << 10));
    weir_config_free(config);
}

static void an_absent_file_is_named(void **state)
{
    (void)state;
    struct weir_config *config = NULL;
    assert_int_equal(weir_config_load("/nowhere/weir.yaml", &report, &config), WEIR_ENOTFOUND);
    assert_string_equal(report.messages[0].text, "/nowhere/weir.yaml: there is no such file");
    assert_int_equal(weir_config_load("/tmp", &report, &config), WEIR_EIO);
    assert_int_equal(report.errors, 1);
    assert_null(config);
}

static void empty_values_are_not_written(void **state)
{
    (void)state;
    struct weir_config *config =
        good("ingest: {access_keys: none, listen: ~}\nlog:\ndestinations:\nadmin: null\n");
    assert_string_equal(config->ingest.listen[0], "127.0.0.1:8080");
    assert_int_equal(config->destinations.count, 1);
    weir_config_free(config);
}

static void limits_of_a_small_machine_are_lowered(void **state)
{
    (void)state;
    struct weir_config *config = good("ingest: {access_keys: none}\nmemory_limit: 64MiB\n");
    assert_int_equal(config->ingest.body_limit, (size_t)9408 << 10); /* 2/5 of intake */
    assert_true(destination(config, 0)->buffer.size < 3 * MIB);
    assert_int_equal(report.errors, 0);
    assert_int_equal(report.count, 2);
    assert_true(report.messages[0].warning);
    struct weir_config_shares shares = weir_config_shares(config);
    assert_int_equal(shares.intake, 23 * MIB);
    assert_true(shares.program + shares.intake + shares.queued + shares.export_bytes +
                    shares.backlog + shares.books + shares.idle <=
                config->memory_limit);
    assert_int_equal(shares.destination, shares.queued);
    weir_config_free(config);
}

static void more_connections_than_there_is_memory_for_are_warned_of(void **state)
{
    (void)state;
    struct weir_config *config = good("ingest: {access_keys: none, connections_max: 100000,\n"
                                      "         body_limit: 1MiB}\nmemory_limit: 512MiB\n");
    assert_int_equal(config->ingest.connections_max, 100000);
    assert_int_equal(report.count, 1);
    assert_non_null(strstr(report.messages[0].text, "ingest.connections_max: so many"));
    assert_int_equal(report.errors, 0);
    weir_config_free(config);
}

static void key_files(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-key-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from-a-file\r\n\n", 14), 14);
    assert_int_equal(fchmod(fd, 0644), 0);
    char yaml[200];
    (void)snprintf(yaml, sizeof yaml, "ingest: {access_keys: [{name: a, file: %s}]}\n", path);
    struct weir_config *config = good(yaml);
    const struct weir_config_access_key *key = config->ingest.access_keys.items;
    assert_true(weir_bytes_eq(key->key, WEIR_BYTES("from-a-file")));
    assert_int_equal(report.count, 1);
    assert_true(strstr(report.messages[0].text, "others than its owner may read") != NULL);
    weir_config_free(config);
    assert_int_equal(fchmod(fd, 0600), 0);
    weir_config_free(good(yaml));
    assert_int_equal(report.count, 0);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(weir_config_parse("w", weir_bytes_str(yaml), false, &report, &config),
                     WEIR_EINVAL);
    assert_true(strstr(report.messages[0].text, "holds no key") != NULL);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
}

static void an_open_door_to_the_world_is_warned_of(void **state)
{
    (void)state;
    weir_config_free(good("ingest: {access_keys: none, listen: '0.0.0.0:8080'}\n"));
    assert_int_equal(report.count, 1);
    assert_true(report.messages[0].warning);
    weir_config_free(good("ingest: {access_keys: none, listen: '127.8.0.1:8080'}\n"));
    assert_int_equal(report.count, 0);
}

static void printed_form_reads_back(void **state)
{
    (void)state;
    struct weir_config *config = good(whole);
    struct weir_buf first = weir_buf_grow_init(MIB);
    struct weir_buf second = weir_buf_grow_init(MIB);
    weir_config_print(config, &first);
    weir_config_free(config);
    weir_buf_put_byte(&first, 0);
    assert_null(strstr((const char *)first.data, "hunter2"));
    assert_non_null(strstr((const char *)first.data, "size: 64KiB"));
    config = good((const char *)first.data);
    weir_config_print(config, &second);
    weir_config_free(config);
    weir_buf_put_byte(&second, 0);
    assert_string_equal((const char *)second.data, (const char *)first.data);
    weir_buf_done(&first);
    weir_buf_done(&second);
}

static void the_standard_environment_makes_a_destination(void **state)
{
    (void)state;
    assert_int_equal(setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4318/", 1), 0);
    assert_int_equal(setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, X-Two = 2 ,", 1), 0);
    assert_int_equal(setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2500", 1), 0);
    assert_int_equal(setenv("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "", 1), 0);
    assert_int_equal(setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none", 1), 0);
    struct weir_config *config = good("ingest: {access_keys: none}\n");
    const struct weir_config_destination *otlp = destination(config, 0);
    assert_string_equal(otlp->name, "otlp");
    assert_string_equal(otlp->url, "http://otel:4318/v1/metrics");
    assert_string_equal(otlp->headers[0], "api-key: a b");
    assert_string_equal(otlp->headers[1], "X-Two: 2");
    assert_null(otlp->headers[2]);
    assert_int_equal(otlp->timeout_ns, 2500 * WEIR_NS_PER_MS);
    assert_int_equal(otlp->compression, WEIR_COMPRESSION_NONE);
    assert_int_equal(otlp->buffer.interval_ns, 60 * WEIR_NS_PER_S);
    weir_config_free(config);
    assert_int_equal(setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:1/x?y=z", 1), 0);
    config = good("ingest: {access_keys: none}\n");
    assert_string_equal(destination(config, 0)->url, "http://m:1/x?y=z");
    weir_config_free(config);
    config = good("ingest: {access_keys: none}\ndestinations: [{name: a, type: stdout}]\n");
    assert_int_equal(destination(config, 0)->type, WEIR_DESTINATION_STDOUT);
    weir_config_free(config);
}

#define GRPC_PATH "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

static void the_standard_environment_chooses_a_protocol(void **state)
{
    (void)state;
    static const char *const rows[][5] = {
        /* protocol, name of the endpoint's variable, endpoint, insecure, URL */
        {"http/json", "ENDPOINT", "http://o:4318", "", "http://o:4318/v1/metrics"},
        {"http/protobuf", "ENDPOINT", "http://o:4318", "true", "http://o:4318/v1/metrics"},
        {"grpc", "ENDPOINT", "http://o:4317", "", "http://o:4317" GRPC_PATH},
        {"grpc", "METRICS_ENDPOINT", "https://o:4317/", "", "https://o:4317" GRPC_PATH},
        {"grpc", "ENDPOINT", "o:4317", "", "https://o:4317" GRPC_PATH},
        {"grpc", "ENDPOINT", "o:4317", "true", "http://o:4317" GRPC_PATH},
        {"grpc", "ENDPOINT", "o:4317", "false", "https://o:4317" GRPC_PATH},
    };
    static const unsigned protocols[] = {WEIR_PROTOCOL_HTTP_JSON, WEIR_PROTOCOL_HTTP_PROTOBUF,
                                         WEIR_PROTOCOL_GRPC};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[80];
        assert_int_equal(setup(NULL), 0);
        (void)snprintf(name, sizeof name, "OTEL_EXPORTER_OTLP_%s", rows[i][1]);
        assert_int_equal(setenv("OTEL_EXPORTER_OTLP_PROTOCOL", rows[i][0], 1), 0);
        assert_int_equal(setenv("OTEL_EXPORTER_OTLP_INSECURE", rows[i][3], 1), 0);
        assert_int_equal(setenv(name, rows[i][2], 1), 0);
        struct weir_config *config = good("ingest: {access_keys: none}\n");
        assert_string_equal(destination(config, 0)->url, rows[i][4]);
        assert_int_equal(destination(config, 0)->protocol, protocols[i < 2 ? i : 2]);
        weir_config_free(config);
    }
}

static void a_destination_has_its_protocol(void **state)
{
    (void)state;
    struct weir_config *config = good("ingest: {access_keys: none}\ndestinations:\n"
                                      "- {name: a, endpoint: 'http://o/base/', protocol: grpc}\n"
                                      "- {name: b, endpoint: 'http://o', protocol: http/json}\n"
                                      "- {name: c, metrics_endpoint: 'http://o/x', protocol: grpc, "
                                      "retry: {also_on: [8, 16, 500]}}\n"
                                      "- {name: d, endpoint: 'http://o'}\n");
    assert_string_equal(destination(config, 0)->url, "http://o/base" GRPC_PATH);
    assert_int_equal(destination(config, 0)->protocol, WEIR_PROTOCOL_GRPC);
    assert_string_equal(destination(config, 1)->url, "http://o/v1/metrics");
    assert_int_equal(destination(config, 1)->protocol, WEIR_PROTOCOL_HTTP_JSON);
    assert_string_equal(destination(config, 2)->url, "http://o/x");
    assert_int_equal(destination(config, 2)->retry.also_on[0], 8);
    assert_int_equal(destination(config, 3)->protocol, WEIR_PROTOCOL_HTTP_PROTOBUF);
    weir_config_free(config);
}

static void the_standard_environment_can_be_wrong(void **state)
{
    (void)state;
    static const char *const wrong[][3] = {
        {"ENDPOINT", "otel:4318",
         "OTEL_EXPORTER_OTLP_ENDPOINT: not a URL: \"otel:4318\" (write http://otel:4318)"},
        {"PROTOCOL", "http/xml",
         "OTEL_EXPORTER_OTLP_PROTOCOL: not http/protobuf, http/json or grpc: http/xml"},
        {"COMPRESSION", "zstd", "OTEL_EXPORTER_OTLP_COMPRESSION: not gzip or none: zstd"},
        {"TIMEOUT", "10s", "OTEL_EXPORTER_OTLP_TIMEOUT: not milliseconds from 100 to 600000: 10s"},
        {"HEADERS", "token",
         "OTEL_EXPORTER_OTLP_HEADERS: a pair without = (write "
         "name=value,name=value)"},
        {"HEADERS", "a=b%0d%0aHost: x",
         "OTEL_EXPORTER_OTLP_HEADERS: a line break or control character in the value of the "
         "header: "
         "\"a\""},
        {"CERTIFICATE", "/nowhere", "OTEL_EXPORTER_OTLP_CERTIFICATE: cannot be read: /nowhere"},
        {"CLIENT_KEY", "/dev/null",
         "destinations[0].tls.key: is there without certificate (write certificate: FILE)"},
        {"CLIENT_CERTIFICATE", "/nowhere",
         "destinations[0].tls.certificate: cannot be read: /nowhere"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(setup(NULL), 0);
        char name[80];
        (void)snprintf(name, sizeof name, "OTEL_EXPORTER_OTLP_%s", wrong[i][0]);
        assert_int_equal(setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x", 1), 0);
        assert_int_equal(setenv(name, wrong[i][1], 1), 0);
        struct weir_config *config = NULL;
        assert_int_equal(weir_config_load(NULL, &report, &config), WEIR_EINVAL);
        assert_int_equal(report.errors, 1);
        assert_string_equal(report.messages[0].text, wrong[i][2]);
    }
}

static void variables_are_expanded_once(void **state)
{
    (void)state;
    assert_int_equal(setenv("WEIR_TEST_NEST", "/${env:HOME}", 1), 0);
    struct weir_config *config =
        good("ingest: {access_keys: none, path: '${env:WEIR_TEST_NEST}'}\n");
    assert_string_equal(config->ingest.path, "/${env:HOME}");
    weir_config_free(config);
    config = good("ingest: {access_keys: none, path: '${env:WEIR_NO:-/a}$$b${env:WEIR_NO:-}$c'}\n");
    assert_string_equal(config->ingest.path, "/a$b$c");
    weir_config_free(config);
    static const char *const wrong[][2] = {
        {"/${env:WEIR_NO}", "w:1:35: ingest.path: environment variable WEIR_NO is not set (set it, "
                            "or write ${env:WEIR_NO:-default})"},
        {"/${env:WEIR_NO", "w:1:35: ingest.path: ${env: without its } (write $$ for a plain $)"},
        {"/${HOME}", "w:1:35: ingest.path: only ${env:NAME} is known (write $$ for a plain $)"},
        {"/${env:1a}", "w:1:35: ingest.path: not a variable (write ${env:NAME} or "
                       "${env:NAME:-default})"},
        {"/${env:A:b}", "w:1:35: ingest.path: not a variable (write ${env:NAME} or "
                        "${env:NAME:-default})"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char yaml[200];
        (void)snprintf(yaml, sizeof yaml, "ingest: {access_keys: none, path: '%s'}\n", wrong[i][0]);
        assert_int_equal(weir_config_parse("w", weir_bytes_str(yaml), false, &report, &config),
                         WEIR_EINVAL);
        assert_string_equal(report.messages[0].text, wrong[i][1]);
    }
}

static void look_up(void *argument, const struct weir_config_key *key)
{
    char entry[160];
    (void)snprintf(entry, sizeof entry, "`%s`", key->path);
    if (strstr(argument, entry) == NULL) {
        fail_msg("docs/configuration.md does not hold %s (%s, %s)", entry, key->takes, key->help);
    }
}

static void the_documentation_holds_every_key(void **state)
{
    (void)state;
    struct support_blob text = support_source("docs/configuration.md");
    weir_config_keys(look_up, text.data);
    support_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_key_arrives, setup),
        cmocka_unit_test_setup(destinations_inherit_and_override, setup),
        cmocka_unit_test_setup(defaults_without_a_file, setup),
        cmocka_unit_test_setup(an_absent_file_is_named, setup),
        cmocka_unit_test_setup(empty_values_are_not_written, setup),
        cmocka_unit_test_setup(limits_of_a_small_machine_are_lowered, setup),
        cmocka_unit_test(more_connections_than_there_is_memory_for_are_warned_of),
        cmocka_unit_test_setup(key_files, setup),
        cmocka_unit_test_setup(an_open_door_to_the_world_is_warned_of, setup),
        cmocka_unit_test_setup(printed_form_reads_back, setup),
        cmocka_unit_test_setup(the_standard_environment_makes_a_destination, setup),
        cmocka_unit_test_setup(the_standard_environment_chooses_a_protocol, setup),
        cmocka_unit_test_setup(a_destination_has_its_protocol, setup),
        cmocka_unit_test_setup(the_standard_environment_can_be_wrong, setup),
        cmocka_unit_test_setup(variables_are_expanded_once, setup),
        cmocka_unit_test_setup(the_documentation_holds_every_key, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
