/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The presets: what a destination's defaults are when it names its backend, and what the backend
 * expects that only the operator can write.
 *
 *   defaults ──► preset, when that key is read: the first of all but the name ──► the destination's
 *                                                                                 other keys
 *            limits (size, points): the lower one, of the preset and what the file says for all
 *            retry.also_on: what the file says for all, and the preset's
 *            resource: the preset's below the environment's
 *
 *   I1  a preset sets nothing that a key cannot set: what is printed says all of it
 *   I2  what a preset expects and does not find is a warning, never an error: backends change, and
 *       there may be a proxy before them
 *
 * Where the facts come from, and which are unproven, stands in docs/backends.md. Presets of
 * backends about which nothing is proven have gauges: a Summary's sum and count are cumulative by
 * OTLP's own words and CloudWatch's are of one minute, while a gauge means the same everywhere.
 *
 * Account and region are promoted where a backend makes labels of points' attributes only: without
 * them the same metric of two regions is one series with two values a minute.
 *
 * Main thread.
 */
#include "config_internal.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define MB ((size_t)1000000)

enum { PATH_SIZE = 128, TEXT_SIZE = 300 };
enum { PROTOBUF = 1 << WEIR_PROTOCOL_HTTP_PROTOBUF, JSON = 1 << WEIR_PROTOCOL_HTTP_JSON };

struct preset {
    const char *path;      /* how the endpoint ends; NULL: unknown, or as anybody likes */
    const char *push;      /* another end of a metrics_endpoint; or NULL */
    unsigned protocols;    /* bits; 0: unknown, or all */
    const char *expects;   /* how the header Authorization begins; "": any; NULL: may be absent */
    bool takes_no_summary; /* proven */
    bool takes_no_zstd;    /* proven */
    bool retries_500;
    size_t size_most;     /* of a request, uncompressed; 0: unknown */
    uint32_t points_most; /* of a request; 0: unknown */
    enum weir_shape_summary summary;
    enum weir_shape_dimensions dimensions;
    enum weir_shape_names names;
    enum weir_shape_keys keys;
    bool promotes;
    uint32_t attributes_max;
    uint32_t key_max;
    uint32_t value_max;
    const struct weir_shape_attribute *resource;
    const char *scope;
    const char *const *params; /* of OAuth2 */
};

const char *const weir_config_preset_names[] = {
    [WEIR_PRESET_NONE] = "none",           [WEIR_PRESET_DYNATRACE] = "dynatrace",
    [WEIR_PRESET_SCOUT] = "scout",         [WEIR_PRESET_PROMETHEUS] = "prometheus",
    [WEIR_PRESET_MIMIR] = "mimir",         [WEIR_PRESET_VICTORIAMETRICS] = "victoriametrics",
    [WEIR_PRESET_COLLECTOR] = "collector", [WEIR_PRESET_GRAFANA_CLOUD] = "grafana_cloud",
    [WEIR_PRESET_DATADOG] = "datadog",     [WEIR_PRESET_NEWRELIC] = "newrelic",
    [WEIR_PRESET_ELASTIC] = "elastic",     NULL,
};

static const char *const account_and_region[] = {"cloud.account.id", "cloud.region", NULL};
static const char *const scout_params[] = {"audience: b14collector", NULL};
static const struct weir_shape_attribute scout_resource[] = {
    {"service.name", "aws-cloudwatch-stream"}, {NULL, NULL}};

/* Of a backend about which nothing is proven but that it speaks OTLP over HTTP. */
#define UNPROVEN                                                                                   \
    {                                                                                              \
        .summary = WEIR_SHAPE_SUMMARY_GAUGES, .dimensions = WEIR_SHAPE_DIMENSIONS_FLAT,            \
        .promotes = true                                                                           \
    }

static const struct preset presets[] = {
    [WEIR_PRESET_NONE] = {0},
    [WEIR_PRESET_DYNATRACE] = {.path = "/api/v2/otlp",
                               .protocols = PROTOBUF,
                               .expects = "Api-Token ",
                               .takes_no_summary = true,
                               .size_most = 4 * MB,
                               .points_most = 15000,
                               .summary = WEIR_SHAPE_SUMMARY_EXPONENTIAL,
                               .dimensions = WEIR_SHAPE_DIMENSIONS_FLAT,
                               .names = WEIR_SHAPE_NAMES_DYNATRACE,
                               .keys = WEIR_SHAPE_KEYS_DYNATRACE,
                               .promotes = true,
                               .attributes_max = 50,
                               .key_max = 100,
                               .value_max = 255},
    [WEIR_PRESET_SCOUT] = {.path = "/otlp",
                           .expects = "",
                           .dimensions = WEIR_SHAPE_DIMENSIONS_JSON,
                           .resource = scout_resource,
                           .scope = "aws.cloudwatch",
                           .params = scout_params},
    [WEIR_PRESET_PROMETHEUS] = {.path = "/api/v1/otlp",
                                .protocols = PROTOBUF | JSON,
                                .takes_no_zstd = true,
                                .retries_500 = true,
                                .size_most = (size_t)32 << 20,
                                .dimensions = WEIR_SHAPE_DIMENSIONS_FLAT,
                                .promotes = true},
    [WEIR_PRESET_MIMIR] = {.path = "/otlp",
                           .protocols = PROTOBUF | JSON,
                           .dimensions = WEIR_SHAPE_DIMENSIONS_FLAT,
                           .promotes = true},
    [WEIR_PRESET_VICTORIAMETRICS] = {.path = "/opentelemetry",
                                     .push = "/opentelemetry/api/v1/push",
                                     .protocols = PROTOBUF,
                                     .size_most = (size_t)64 << 20,
                                     .dimensions = WEIR_SHAPE_DIMENSIONS_FLAT},
    [WEIR_PRESET_COLLECTOR] = {0},
    [WEIR_PRESET_GRAFANA_CLOUD] = {.path = "/otlp",
                                   .expects = "",
                                   .dimensions = WEIR_SHAPE_DIMENSIONS_FLAT,
                                   .promotes = true},
    [WEIR_PRESET_DATADOG] = UNPROVEN,
    [WEIR_PRESET_NEWRELIC] = UNPROVEN,
    [WEIR_PRESET_ELASTIC] = UNPROVEN,
};

/* -- what it sets ---------------------------------------------------------------------------- */

/* A few KiB below the limit, which a batch then keeps whatever a request adds around it. */
static size_t size_below(size_t most)
{
    return most / 64 * 63 / 1024 * 1024;
}

/* The statuses that are retried anyhow, and 500. */
static const int *with_500(struct weir_config *config, const int *codes)
{
    size_t count = 0;
    for (; codes[count] != 0; count++) {
        if (codes[count] == 500) {
            return codes;
        }
    }
    int *more = weir_config_alloc(config, (count + 2) * sizeof *more);
    if (more == NULL) {
        return codes;
    }
    memcpy(more, codes, count * sizeof *more);
    more[count] = 500;
    return more;
}

void weir_config_preset(struct weir_config *config, void *mapping)
{
    struct weir_config_destination *destination = mapping;
    const struct preset *preset = &presets[destination->preset];
    struct weir_config_buffer *buffer = &destination->buffer;
    if (destination->preset == WEIR_PRESET_NONE) {
        return;
    }
    destination->summary = preset->summary;
    destination->dimensions = preset->dimensions;
    destination->names = preset->names;
    destination->attribute_keys = preset->keys;
    destination->attributes_max = preset->attributes_max;
    destination->attribute_key_max = preset->key_max;
    destination->attribute_value_max = preset->value_max;
    destination->scope.name = preset->scope;
    destination->oauth2.params = preset->params;
    destination->resource = weir_config_overlay(config, preset->resource, destination->resource);
    if (preset->promotes) {
        destination->promote = account_and_region;
    }
    if (preset->size_most > 0 && buffer->size > size_below(preset->size_most)) {
        buffer->size = size_below(preset->size_most);
    }
    if (preset->points_most > 0 &&
        (buffer->max_points == 0 || buffer->max_points > preset->points_most)) {
        buffer->max_points = preset->points_most;
    }
    if (preset->retries_500) {
        destination->retry.also_on = with_500(config, destination->retry.also_on);
    }
}

/* -- what it expects ------------------------------------------------------------------------- */

struct check {
    struct weir_config_report *report;
    const struct weir_config_destination *destination;
    const struct preset *preset;
    uint32_t index;
};

/* "preset dynatrace: <words>", at the key if it was written. */
__attribute__((format(printf, 3, 4))) static void doubt(const struct check *check, const char *key,
                                                        const char *format, ...)
{
    char path[PATH_SIZE];
    char top[40];
    char words[TEXT_SIZE];
    const struct weir_config_mapping *at = &check->destination->at;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    (void)snprintf(path, sizeof path, "destinations[%" PRIu32 "].%s", check->index, key);
    (void)snprintf(top, sizeof top, "%.*s", (int)strcspn(key, "."), key);
    struct weir_config_place place = weir_schema_place(at, weir_schema_destination, top);
    weir_config_warn(check->report, place.line > 0 ? place : at->place, path, "preset %s: %s",
                     weir_config_preset_names[check->destination->preset], words);
}

static bool ends_in(struct weir_bytes text, const char *end)
{
    struct weir_bytes last = weir_bytes_str(end);
    return text.size >= last.size &&
           weir_bytes_eq(weir_bytes_from(text, text.size - last.size), last);
}

static void check_path(const struct check *check)
{
    const char *path = check->preset->path;
    const struct weir_config_destination *destination = check->destination;
    if (path == NULL || destination->url == NULL || destination->protocol == WEIR_PROTOCOL_GRPC) {
        return;
    }
    struct weir_bytes url = weir_bytes_of(destination->url, strcspn(destination->url, "?#"));
    bool is_push = check->preset->push != NULL && ends_in(url, check->preset->push);
    if (destination->metrics_endpoint != NULL) {
        char whole[PATH_SIZE];
        (void)snprintf(whole, sizeof whole, "%s/v1/metrics", path);
        if (!is_push && !ends_in(url, whole)) {
            doubt(check, "metrics_endpoint", "is expected to end in %s", whole);
        }
        return;
    }
    static const struct weir_bytes appended = WEIR_BYTES_INIT("/v1/metrics");
    url.size -= url.size >= appended.size ? appended.size : 0;
    if (!ends_in(url, path)) {
        doubt(check, "endpoint", "is expected to end in %s (/v1/metrics is appended)", path);
    }
}

static void check_protocol(const struct check *check)
{
    const struct weir_config_destination *destination = check->destination;
    unsigned protocols = check->preset->protocols;
    if (protocols != 0 && (protocols & 1U << destination->protocol) == 0) {
        doubt(check, "protocol", "this backend takes %s only",
              protocols == PROTOBUF ? "http/protobuf" : "http/protobuf and http/json");
    }
    if (check->preset->takes_no_zstd && destination->compression == WEIR_COMPRESSION_ZSTD) {
        doubt(check, "compression", "this backend takes gzip and none only");
    }
}

/* The value of the header Authorization, or NULL. */
static const char *authorization(const struct weir_config_destination *destination)
{
    static const struct weir_bytes name = WEIR_BYTES_INIT("Authorization: ");
    for (size_t i = 0; destination->headers[i] != NULL; i++) {
        struct weir_bytes header = weir_bytes_str(destination->headers[i]);
        if (header.size >= name.size &&
            weir_bytes_eq_nocase(weir_bytes_of(header.data, name.size), name)) {
            return destination->headers[i] + name.size;
        }
    }
    return NULL;
}

static void check_authorization(const struct check *check)
{
    const struct weir_config_destination *destination = check->destination;
    const char *expects = check->preset->expects;
    const char *value = authorization(destination);
    bool has_token = destination->auth.bearer_file != NULL || destination->oauth2.token_url != NULL;
    if (expects == NULL || (expects[0] == 0 && (value != NULL || has_token))) {
        return;
    }
    if (expects[0] == 0) {
        doubt(check, "headers", "no credentials are sent (write %s)",
              check->preset->params != NULL ? "oauth2: {token_url: ..., client_id: ..., ...}"
                                            : "headers: {Authorization: ...}");
    } else if (value == NULL || strncmp(value, expects, strlen(expects)) != 0) {
        doubt(check, "headers", "is expected to have Authorization: %s...", expects);
    }
}

static void check_limits(const struct check *check)
{
    const struct preset *preset = check->preset;
    const struct weir_config_destination *destination = check->destination;
    const struct weir_config_buffer *buffer = &destination->buffer;
    if (preset->size_most > 0 && buffer->size > preset->size_most) {
        doubt(check, "buffer.size", "requests of over %zu bytes, uncompressed, are refused",
              preset->size_most);
    }
    if (preset->points_most > 0 &&
        (buffer->max_points == 0 || buffer->max_points > preset->points_most)) {
        doubt(check, "buffer.max_points", "requests of over %" PRIu32 " points are refused",
              preset->points_most);
    }
    if (preset->attributes_max > 0 && (destination->attributes_max == 0 ||
                                       destination->attributes_max > preset->attributes_max)) {
        doubt(check, "attributes_max", "points of over %" PRIu32 " attributes are dropped there",
              preset->attributes_max);
    }
    if (preset->takes_no_summary && destination->summary == WEIR_SHAPE_SUMMARY_KEEP) {
        doubt(check, "summary", "this backend takes no Summary: nothing arrives there");
    }
}

void weir_config_check_preset(struct weir_config *config, struct weir_config_report *report,
                              uint32_t index)
{
    const struct weir_config_destination *all = config->destinations.items;
    struct check check = {report, &all[index], &presets[all[index].preset], index};
    check_limits(&check);
    if (all[index].type == WEIR_DESTINATION_OTLP_HTTP) {
        check_path(&check);
        check_protocol(&check);
        check_authorization(&check);
    }
}
