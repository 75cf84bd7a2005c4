/* SPDX-License-Identifier: Apache-2.0 */
/* Each preset: the effective configuration in full, against tests/unit/app/presets/<name>.yaml; a
 * destination's own keys win; what a backend would refuse is warned of, and nothing else. */
#include "support.h"
#include "weir/config.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What an operator writes for each: the endpoint, and who he is. */
static const struct {
    const char *name;
    const char *keys;
} presets[] = {
    {"dynatrace", "endpoint: 'https://abc.live.dynatrace.com/api/v2/otlp',"
                  "headers: {Authorization: Api-Token x}"},
    {"scout", "endpoint: 'https://otel.play.b14.dev/tenant/otlp',"
              "oauth2: {token_url: "
              "'https://id.b14.dev/realms/tenant/protocol/openid-connect/token',"
              "client_id: weir, client_secret: x}"},
    {"prometheus", "endpoint: 'http://prometheus:9090/api/v1/otlp'"},
    {"mimir", "endpoint: 'http://mimir:8080/otlp', headers: {X-Scope-OrgID: x}"},
    {"victoriametrics", "endpoint: 'http://victoria:8428/opentelemetry'"},
    {"collector", "endpoint: 'http://collector:4318'"},
    {"grafana_cloud", "endpoint: 'https://otlp-gateway-prod-eu-west-2.grafana.net/otlp',"
                      "headers: {Authorization: Basic x}"},
    {"datadog", "endpoint: 'https://otlp.example.com', headers: {dd-api-key: x}"},
    {"newrelic", "endpoint: 'https://otlp.example.com', headers: {api-key: x}"},
    {"elastic", "endpoint: 'https://otlp.example.com', headers: {Authorization: ApiKey x}"},
};

static struct weir_config_report report;

static int setup(void **state)
{
    (void)state;
    return unsetenv("OTEL_RESOURCE_ATTRIBUTES") | unsetenv("OTEL_SERVICE_NAME");
}

/* A destination of type otlp with this preset and these keys; `before` stands before all. */
static struct weir_config *parse_with(const char *before, const char *preset, const char *keys)
{
    char yaml[2000];
    struct weir_config *config = NULL;
    assert_in_range(snprintf(yaml, sizeof yaml,
                             "ingest: {access_keys: none}\nmemory_limit: 512MiB\n%s"
                             "destinations: [{name: a, preset: %s, %s}]\n",
                             before, preset, keys),
                    1, sizeof yaml - 1);
    enum weir_status status =
        weir_config_parse("w.yaml", weir_bytes_str(yaml), true, &report, &config);
    if (status != WEIR_OK) {
        fail_msg("%s", report.messages[0].text);
    }
    return config;
}

static struct weir_config *parse(const char *preset, const char *keys)
{
    return parse_with("", preset, keys);
}

static const struct weir_config_destination *only(const struct weir_config *config)
{
    assert_int_equal(config->destinations.count, 1);
    return config->destinations.items;
}

/* The printed form from "destinations:" up to "admin:". */
static char *printed(const struct weir_config *config, struct weir_buf *out)
{
    *out = weir_buf_grow_init(1 << 20);
    weir_config_print(config, out);
    weir_buf_put_byte(out, 0);
    assert_false(out->failed);
    char *from = strstr((char *)out->data, "destinations:\n");
    char *to = strstr((char *)out->data, "\nadmin:\n");
    assert_non_null(from);
    assert_non_null(to);
    to[1] = 0;
    return from;
}

static void each_preset_prints_as_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        char path[100];
        struct weir_buf out;
        (void)snprintf(path, sizeof path, "tests/unit/app/presets/%s.yaml", presets[i].name);
        struct weir_config *config = parse(presets[i].name, presets[i].keys);
        struct support_blob golden = support_source(path);
        assert_string_equal(printed(config, &out), (const char *)golden.data);
        if (report.count != 0) {
            fail_msg("%s: %s", presets[i].name, report.messages[0].text);
        }
        support_free(&golden);
        weir_buf_done(&out);
        weir_config_free(config);
    }
}

/* What a preset sets is what its printed form sets without it: it knows nothing that keys cannot
 * say. */
static void a_preset_is_no_more_than_its_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        struct weir_buf first;
        struct weir_buf second;
        struct weir_config *config = parse(presets[i].name, presets[i].keys);
        char *with = printed(config, &first);
        weir_config_free(config);
        char line[60];
        (void)snprintf(line, sizeof line, "    preset: %s\n", presets[i].name);
        char *at = strstr(with, line);
        assert_non_null(at);
        memmove(at, at + strlen(line), strlen(at + strlen(line)) + 1);
        struct weir_buf yaml = weir_buf_grow_init(1 << 20);
        weir_buf_printf(&yaml, "ingest: {access_keys: none}\nmemory_limit: 512MiB\n");
        weir_buf_put(&yaml, weir_bytes_str(with));
        assert_int_equal(weir_config_parse("w.yaml", weir_buf_view(&yaml), true, &report, &config),
                         WEIR_OK);
        assert_int_equal(only(config)->preset, WEIR_PRESET_NONE);
        assert_string_equal(printed(config, &second), with);
        weir_config_free(config);
        weir_buf_done(&first);
        weir_buf_done(&second);
        weir_buf_done(&yaml);
    }
}

static void own_keys_win_in_any_order(void **state)
{
    (void)state;
    static const char yaml[] =
        "ingest: {access_keys: none}\nmemory_limit: 512MiB\n"
        "destinations: [{name: a, type: stdout, summary: gauges, promote: [],\n"
        "  names: cloudwatch, attributes_max: 0, attribute_keys: keep, attribute_key_max: 0,\n"
        "  attribute_value_max: 16, dimensions: kvlist, buffer: {max_points: 9, size: 1KiB},\n"
        "  retry: {also_on: []}, resource: {service.name: x}, scope: {name: ''},\n"
        "  preset: %s}]\n";
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        char text[2000];
        struct weir_config *config = NULL;
        (void)snprintf(text, sizeof text, yaml, presets[i].name);
        assert_int_equal(weir_config_parse("w", weir_bytes_str(text), true, &report, &config),
                         WEIR_OK);
        const struct weir_config_destination *destination = only(config);
        assert_int_equal(destination->summary, WEIR_SHAPE_SUMMARY_GAUGES);
        assert_null(destination->promote[0]);
        assert_int_equal(destination->names, WEIR_SHAPE_NAMES_CLOUDWATCH);
        assert_int_equal(destination->attributes_max, 0);
        assert_int_equal(destination->attribute_keys, WEIR_SHAPE_KEYS_KEEP);
        assert_int_equal(destination->attribute_key_max, 0);
        assert_int_equal(destination->attribute_value_max, 16);
        assert_int_equal(destination->dimensions, WEIR_SHAPE_DIMENSIONS_KVLIST);
        assert_int_equal(destination->buffer.max_points, 9);
        assert_int_equal(destination->buffer.size, 1024);
        assert_int_equal(destination->retry.also_on[0], 0);
        assert_string_equal(destination->resource[0].value, "x");
        assert_null(destination->resource[1].key);
        assert_null(destination->shape->scope_name);
        weir_config_free(config);
    }
}

/* What the file says for all destinations: limits only ever become lower, statuses more. */
static void what_is_said_for_all_is_kept(void **state)
{
    (void)state;
    static const char lower[] = "buffer: {size: 1MiB, max_points: 100}\nretry: {also_on: [408]}\n";
    struct weir_config *config = parse_with(lower, "dynatrace", presets[0].keys);
    assert_int_equal(only(config)->buffer.size, 1 << 20);
    assert_int_equal(only(config)->buffer.max_points, 100);
    assert_int_equal(only(config)->retry.also_on[0], 408);
    assert_int_equal(only(config)->retry.also_on[1], 0);
    weir_config_free(config);
    static const char higher[] = "buffer: {size: 8MiB, max_points: 20000}\n";
    config = parse_with(higher, "dynatrace", presets[0].keys);
    assert_in_range(only(config)->buffer.size, 3900000, 4000000 - 1);
    assert_int_equal(only(config)->buffer.max_points, 15000);
    assert_int_equal(report.count, 0);
    weir_config_free(config);
    config = parse_with(lower, "prometheus", presets[2].keys);
    assert_int_equal(only(config)->retry.also_on[0], 408);
    assert_int_equal(only(config)->retry.also_on[1], 500);
    assert_int_equal(only(config)->retry.also_on[2], 0);
    weir_config_free(config);
    config = parse_with("retry: {also_on: [500, 408]}\n", "prometheus", presets[2].keys);
    assert_int_equal(only(config)->retry.also_on[1], 408);
    assert_int_equal(only(config)->retry.also_on[2], 0);
    weir_config_free(config);
}

/* Preset, keys, what is warned of: the limits at their edges, and nobody warns one below. */
#define DT    "endpoint: 'https://a/api/v2/otlp', headers: {authorization: Api-Token x}, "
#define PROM  "endpoint: 'http://a/api/v1/otlp/', "
#define VM    "endpoint: 'http://a/opentelemetry', "
#define QUIET NULL
static const char *const doubts[][3] = {
    {"dynatrace", DT "buffer: {max_points: 15000}", QUIET},
    {"dynatrace", DT "buffer: {max_points: 15001}", "of over 15000 points are refused"},
    {"dynatrace", DT "buffer: {max_points: 0}", "buffer.max_points: preset dynatrace: "},
    {"dynatrace", DT "buffer: {size: 4000000B}", QUIET},
    {"dynatrace", DT "buffer: {size: 4000001B}", "requests of over 4000000 bytes, uncompr"},
    {"dynatrace", DT "attributes_max: 50", QUIET},
    {"dynatrace", DT "attributes_max: 51", "points of over 50 attributes are dropped there"},
    {"dynatrace", DT "attributes_max: 0", "points of over 50 attributes are dropped there"},
    {"dynatrace", DT "summary: keep", "this backend takes no Summary: nothing arrives there"},
    {"dynatrace", DT "protocol: http/json", "this backend takes http/protobuf only"},
    {"dynatrace", DT "protocol: grpc", "this backend takes http/protobuf only"},
    {"dynatrace", "endpoint: 'https://a.live.dynatrace.com', headers: {Authorization: Api-Token x}",
     "destinations[0].endpoint: preset dynatrace: is expected to end in /api/v2/otlp "},
    {"dynatrace",
     "endpoint: 'https://a:9999/e/env/api/v2/otlp/', "
     "headers: {Authorization: Api-Token x}",
     QUIET},
    {"dynatrace", "endpoint: 'https://a/api/v2/otlp', headers: {Authorization: Bearer x}",
     "headers: preset dynatrace: is expected to have Authorization: Api-Token ..."},
    {"dynatrace", "endpoint: 'https://a/api/v2/otlp', auth: {bearer_file: /x}",
     "is expected to have Authorization: Api-Token ..."},
    {"dynatrace", "endpoint: 'https://a/api/v2/otlp'", "Authorization: Api-Token ..."},
    {"dynatrace",
     "metrics_endpoint: 'https://a/api/v2/otlp/v1/metrics?x=y', "
     "headers: {Authorization: Api-Token x}",
     QUIET},
    {"dynatrace",
     "metrics_endpoint: 'https://a/api/v2/otlp', "
     "headers: {Authorization: Api-Token x}",
     "metrics_endpoint: preset dynatrace: is expected to end in /api/v2/otlp/v1/metrics"},
    {"scout", "endpoint: 'https://a/t/otlp'", "no credentials are sent (write oauth2: "},
    {"scout", "endpoint: 'https://a/t/otlp', auth: {bearer_file: /x}", QUIET},
    {"scout", "endpoint: 'https://a/t', auth: {bearer_file: /x}", "to end in /otlp (/v1/m"},
    {"prometheus", PROM "compression: zstd", "this backend takes gzip and none only"},
    {"prometheus", PROM "protocol: http/json", QUIET},
    {"prometheus", PROM "protocol: grpc", "takes http/protobuf and http/json only"},
    {"prometheus", PROM "buffer: {size: 16MiB}", QUIET},
    {"prometheus", "endpoint: 'http://a:9090'", "is expected to end in /api/v1/otlp ("},
    {"prometheus", "endpoint: 'http://a:9090/otlp'", "is expected to end in /api/v1/otlp ("},
    {"mimir", "endpoint: 'http://a/mimir/otlp'", QUIET},
    {"mimir", "endpoint: 'http://a/otlp', protocol: grpc", "http/protobuf and http/json only"},
    {"victoriametrics", VM "protocol: http/json", "this backend takes http/protobuf only"},
    {"victoriametrics", "metrics_endpoint: 'http://a/opentelemetry/api/v1/push'", QUIET},
    {"victoriametrics", "metrics_endpoint: 'http://a/opentelemetry'", "/opentelemetry/v1/me"},
    {"collector", "endpoint: 'http://a:4317', protocol: grpc, compression: zstd", QUIET},
    {"grafana_cloud", "endpoint: 'http://a/otlp'", "write headers: {Authorization: ...}"},
    {"datadog", "endpoint: 'http://a'", QUIET},
    {"dynatrace", "type: stdout", QUIET},
    {"scout", "type: file, path: /x", QUIET},
};

static void what_a_backend_refuses_is_warned_of(void **state)
{
    (void)state;
    int missed = 0;
    for (size_t i = 0; i < sizeof doubts / sizeof *doubts; i++) {
        struct weir_config *config = parse(doubts[i][0], doubts[i][1]);
        const char *said = report.count == 0 ? NULL : report.messages[0].text;
        bool fits = doubts[i][2] == NULL ? report.count == 0
                                         : report.count == 1 && strstr(said, doubts[i][2]) != NULL;
        if (!fits) {
            print_error("%s, %s: %" PRIu32 " messages, said %s\n", doubts[i][0], doubts[i][1],
                        report.count, said == NULL ? "nothing" : said);
            missed++;
        }
        weir_config_free(config);
    }
    assert_int_equal(missed, 0);
}

static void an_unknown_backend_is_told(void **state)
{
    (void)state;
    struct weir_config *config = NULL;
    static const char yaml[] = "ingest: {access_keys: none}\n"
                               "destinations: [{name: a, type: stdout, preset: prometeus}]\n";
    assert_int_equal(weir_config_parse("w.yaml", weir_bytes_str(yaml), true, &report, &config),
                     WEIR_EINVAL);
    assert_int_equal(report.count, 1);
    assert_non_null(strstr(report.messages[0].text,
                           "w.yaml:2:48: destinations[0].preset: not one of none, dynatrace, "));
    assert_non_null(strstr(report.messages[0].text, "(did you mean prometheus?)"));
}

/* A preset's size is lowered like a default where memory is short. */
static void a_preset_fits_into_little_memory(void **state)
{
    (void)state;
    struct weir_config *config = NULL;
    static const char yaml[] = "ingest: {access_keys: none}\nmemory_limit: 64MiB\n"
                               "destinations: [{name: a, type: stdout, preset: dynatrace}]\n";
    assert_int_equal(weir_config_parse("w.yaml", weir_bytes_str(yaml), true, &report, &config),
                     WEIR_OK);
    assert_true(only(config)->buffer.size < (2 << 20));
    weir_config_free(config);
}

/* What docs/backends.md gives to paste is accepted as it is, and nothing in it is doubtful. */
static void the_page_is_good_to_paste(void **state)
{
    (void)state;
    static const char open[] = "```yaml\n";
    assert_int_equal(setenv("DT_TOKEN", "x", 1), 0);
    assert_int_equal(setenv("GRAFANA_TOKEN", "x", 1), 0);
    assert_int_equal(setenv("DD_API_KEY", "x", 1), 0);
    struct support_blob page = support_source("docs/backends.md");
    size_t blocks = 0;
    for (char *at = strstr((char *)page.data, open); at != NULL; at = strstr(at, open)) {
        at += strlen(open);
        char *end = strstr(at, "```");
        assert_non_null(end);
        struct weir_buf yaml = weir_buf_grow_init(1 << 16);
        struct weir_config *config = NULL;
        weir_buf_printf(&yaml, "ingest: {access_keys: none}\nmemory_limit: 512MiB\n");
        weir_buf_put(&yaml, weir_bytes_of(at, (size_t)(end - at)));
        enum weir_status status =
            weir_config_parse("page", weir_buf_view(&yaml), true, &report, &config);
        if (status != WEIR_OK || report.count > 0) {
            fail_msg("%.60s: %s", at, report.messages[0].text);
        }
        assert_int_not_equal(only(config)->preset, WEIR_PRESET_NONE);
        weir_config_free(config);
        weir_buf_done(&yaml);
        blocks++;
    }
    assert_int_equal(blocks, 8);
    support_free(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_preset_prints_as_documented, setup),
        cmocka_unit_test_setup(a_preset_is_no_more_than_its_keys, setup),
        cmocka_unit_test_setup(own_keys_win_in_any_order, setup),
        cmocka_unit_test_setup(what_is_said_for_all_is_kept, setup),
        cmocka_unit_test_setup(what_a_backend_refuses_is_warned_of, setup),
        cmocka_unit_test_setup(an_unknown_backend_is_told, setup),
        cmocka_unit_test_setup(a_preset_fits_into_little_memory, setup),
        cmocka_unit_test_setup(the_page_is_good_to_paste, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
