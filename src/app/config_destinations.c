/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of destinations, and the one destination there is when none is written.
 *
 *   no destinations ──OTEL_EXPORTER_OTLP_* set──► "otlp", as they say
 *                   └─else──────────────────────► "stdout", every second unless an interval is
 *                                                 written
 *
 * Sizes of batches: see config_check.c. Main thread.
 */
#include "config_internal.h"
#include "weir/clock.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 128, SIZE_TEXT = 32 };

struct check {
    struct weir_config *config;
    struct weir_config_report *report;
    struct weir_config_destination *destination;
    uint32_t index;
    char path[PATH_SIZE];
};

static const char *path_of(struct check *check, const char *key)
{
    if (check->destination->at.keys == NULL) {
        (void)snprintf(check->path, sizeof check->path, "%s", key);
    } else {
        (void)snprintf(check->path, sizeof check->path, "destinations[%" PRIu32 "]%s%s",
                       check->index, key[0] == 0 ? "" : ".", key);
    }
    return check->path;
}

static struct weir_config_place place_of(const struct check *check, const char *key)
{
    const struct weir_config_mapping *at = &check->destination->at;
    struct weir_config_place place = weir_schema_place(at, weir_schema_destination, key);
    return place.line > 0 ? place : at->place;
}

/* Whether a key was written, be it wrong. */
static bool written(const struct check *check, const char *key)
{
    return weir_schema_place(&check->destination->at, weir_schema_destination, key).line > 0;
}

static void check_name(struct check *check)
{
    const struct weir_config_destination *all = check->config->destinations.items;
    const char *name = check->destination->name;
    if (name == NULL) {
        if (!written(check, "name")) {
            weir_config_error(check->report, check->destination->at.place, path_of(check, ""),
                              "has no name (write name: ...)");
        }
        return;
    }
    for (uint32_t i = 0; i < check->index; i++) {
        if (all[i].name != NULL && strcmp(all[i].name, name) == 0) {
            weir_config_error(check->report, place_of(check, "name"), path_of(check, "name"),
                              "%s is the name of destinations[%" PRIu32 "] too (names are unique)",
                              name, i);
        }
    }
}

static bool ends_in(const char *text, size_t size, const char *end)
{
    size_t end_size = strlen(end);
    return size >= end_size && memcmp(text + size - end_size, end, end_size) == 0;
}

/* What is probably not meant, of a base URL of `size` bytes. */
static void doubt_url(struct check *check, const char *endpoint, size_t size)
{
    bool is_grpc = check->destination->protocol == WEIR_PROTOCOL_GRPC;
    const char *doubt = NULL;
    if (ends_in(endpoint, size, "/v1/metrics")) {
        doubt = is_grpc ? "ends in /v1/metrics, which is of OTLP over HTTP, and protocol is grpc"
                        : "ends in /v1/metrics, and /v1/metrics is appended (leave it out, or use "
                          "metrics_endpoint:)";
    } else if (is_grpc && ends_in(endpoint, size, ":4318")) {
        doubt = "4318 is the port of OTLP over HTTP, and this is OTLP over gRPC, mostly on 4317";
    } else if (!is_grpc && ends_in(endpoint, size, ":4317")) {
        doubt = "4317 is the port of OTLP over gRPC, and this is OTLP over HTTP, mostly on 4318 "
                "(or write protocol: grpc)";
    }
    if (doubt != NULL) {
        weir_config_warn(check->report, place_of(check, "endpoint"), path_of(check, "endpoint"),
                         "%s", doubt);
    }
}

/* The base URL without slashes at its end, and the protocol's path. */
static const char *derive_url(struct check *check, const char *endpoint)
{
    static const char http[] = "/v1/metrics";
    static const char grpc[] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    bool is_grpc = check->destination->protocol == WEIR_PROTOCOL_GRPC;
    const char *suffix = is_grpc ? grpc : http;
    size_t suffix_size = strlen(suffix) + 1;
    size_t size = strlen(endpoint);
    while (size > 0 && endpoint[size - 1] == '/') {
        size--;
    }
    doubt_url(check, endpoint, size);
    char *url = weir_config_alloc(check->config, size + suffix_size);
    if (url != NULL) {
        memcpy(url, endpoint, size);
        memcpy(url + size, suffix, suffix_size);
    }
    return url;
}

static void check_target(struct check *check)
{
    struct weir_config_destination *destination = check->destination;
    if (destination->type == WEIR_DESTINATION_FILE && !written(check, "path")) {
        weir_config_error(check->report, destination->at.place, path_of(check, ""),
                          "has no path (write path: FILE)");
    }
    if (destination->type != WEIR_DESTINATION_OTLP_HTTP) {
        return;
    }
    if (written(check, "endpoint") && written(check, "metrics_endpoint")) {
        weir_config_error(check->report, place_of(check, "metrics_endpoint"),
                          path_of(check, "metrics_endpoint"),
                          "is there beside endpoint (write one of them)");
    } else if (destination->endpoint != NULL) {
        destination->url = derive_url(check, destination->endpoint);
    } else if (destination->metrics_endpoint != NULL) {
        destination->url = destination->metrics_endpoint;
    } else if (destination->at.keys != NULL && !written(check, "endpoint") &&
               !written(check, "metrics_endpoint")) {
        weir_config_error(check->report, destination->at.place, path_of(check, ""),
                          "has no endpoint (write endpoint: http://...; or type: stdout)");
    }
}

/* zstd has more levels than gzip. */
static void check_level(struct check *check)
{
    static const uint32_t gzip_max = 12;
    const struct weir_config_destination *destination = check->destination;
    if (!written(check, "compression_level")) {
        return;
    }
    struct weir_config_place place = place_of(check, "compression_level");
    const char *path = path_of(check, "compression_level");
    if (destination->compression == WEIR_COMPRESSION_GZIP &&
        destination->compression_level > gzip_max) {
        weir_config_error(check->report, place, path, "%" PRIu32 " is not within gzip's 1 to 12",
                          destination->compression_level);
    }
}

static void check_ca_file(struct check *check, bool offline)
{
    const char *ca_file = check->destination->tls.ca_file;
    if (ca_file != NULL && !offline && access(ca_file, R_OK) != 0) {
        bool from_environment = check->destination->at.keys == NULL;
        weir_config_error(check->report, place_of(check, "tls"),
                          from_environment ? "OTEL_EXPORTER_OTLP_CERTIFICATE"
                                           : path_of(check, "tls.ca_file"),
                          "cannot be read: %.200s", ca_file);
    }
}

/* What stands in the way of appending to a file, or NULL. */
static const char *file_obstacle(const char *path)
{
    struct stat stat_;
    if (lstat(path, &stat_) == 0) {
        if (S_ISLNK(stat_.st_mode)) {
            return "is a symbolic link, and none is followed (write where it leads to)";
        }
        if (S_ISDIR(stat_.st_mode)) {
            return "is a directory (write the path of a file in it)";
        }
        return access(path, W_OK) == 0 ? NULL : "may not be written by this user";
    }
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (size >= sizeof directory) {
        return "is too long";
    }
    memcpy(directory, path, size);
    directory[size] = 0;
    const char *parent = size == 0 ? "." : directory;
    if (stat(parent, &stat_) != 0 || !S_ISDIR(stat_.st_mode)) {
        return "its directory does not exist (make it)";
    }
    return access(parent, W_OK | X_OK) == 0 ? NULL : "this user may make no file there";
}

static void check_file(struct check *check, bool offline)
{
    const struct weir_config_destination *destination = check->destination;
    if (destination->type != WEIR_DESTINATION_FILE || destination->path == NULL || offline) {
        return;
    }
    const char *obstacle = file_obstacle(destination->path);
    if (obstacle != NULL) {
        weir_config_error(check->report, place_of(check, "path"), path_of(check, "path"),
                          "%.200s: %s", destination->path, obstacle);
    }
}

static void check_retry(struct weir_config_report *report, const struct weir_config_retry *retry,
                        const char *path)
{
    if (retry->at.keys != NULL && retry->initial_ns > retry->max_ns) {
        weir_config_error(report, retry->at.place, path, "initial is longer than max");
    }
}

static const char *size_text(size_t size, char *memory)
{
    struct weir_buf out = weir_buf_fixed(memory, SIZE_TEXT - 1);
    weir_config_put_size(&out, size);
    memory[out.size] = 0;
    return memory;
}

/* Three batches must fit into the destination's part of the export memory. */
static void check_buffer(struct check *check)
{
    struct weir_config_buffer *buffer = &check->destination->buffer;
    const struct weir_config *config = check->config;
    size_t part = weir_config_shares(config).export_bytes / config->destinations.count;
    part /= check->destination->tenant == NULL ? 1 : check->destination->tenants.max;
    size_t fits = part / 3 / 1024 * 1024;
    if (buffer->size <= fits) {
        return;
    }
    char is[SIZE_TEXT];
    char most[SIZE_TEXT];
    (void)size_text(buffer->size, is);
    (void)size_text(fits, most);
    struct weir_config_place place = weir_schema_place(&buffer->at, weir_schema_buffer, "size");
    if (place.line == 0) {
        place = weir_schema_place(&config->buffer.at, weir_schema_buffer, "size");
    }
    if (place.line > 0) {
        weir_config_error(check->report, place, path_of(check, "buffer.size"),
                          "batches of %s do not fit into this destination's part of memory_limit "
                          "(write at most %s, or raise memory_limit)",
                          is, most);
        return;
    }
    weir_config_warn(check->report, check->destination->at.place, path_of(check, "buffer.size"),
                     "lowered from %s to %s to fit into memory_limit", is, most);
    buffer->size = fits;
}

/* The destination when none is written. */
static void default_destination(struct weir_config *config, struct weir_config_report *report)
{
    struct weir_config_destination *destination = weir_config_alloc(config, sizeof *destination);
    if (destination == NULL) {
        return;
    }
    weir_schema_destination_defaults(config, destination);
    config->destinations.items = destination;
    config->destinations.count = 1;
    if (weir_config_otel(config, report, destination)) {
        return;
    }
    destination->name = "stdout";
    destination->type = WEIR_DESTINATION_STDOUT;
    if (weir_schema_place(&config->buffer.at, weir_schema_buffer, "interval").line == 0) {
        destination->buffer.interval_ns = WEIR_NS_PER_S;
    }
}

/* A destination that nothing can go to is hardly meant. */
static void check_filters(struct check *check)
{
    const struct weir_config_destination *destination = check->destination;
    const struct {
        const char *key;
        const struct weir_config_patterns *patterns;
    } filters[] = {{"namespaces", &destination->namespaces},
                   {"accounts", &destination->accounts},
                   {"regions", &destination->regions},
                   {"streams", &destination->streams}};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        const char *const *pattern = filters[i].patterns->exclude;
        while (pattern != NULL && *pattern != NULL && strcmp(*pattern, "*") != 0) {
            pattern++;
        }
        if (pattern != NULL && *pattern != NULL) {
            weir_config_warn(check->report, place_of(check, filters[i].key),
                             path_of(check, filters[i].key),
                             "exclude has *: nothing goes to this destination");
        }
    }
}

void weir_config_check_destinations(struct weir_config *config, struct weir_config_report *report,
                                    bool offline)
{
    check_retry(report, &config->retry, "retry");
    bool is_default = config->destinations.count == 0;
    if (is_default) {
        default_destination(config, report);
    }
    struct weir_config_destination *destinations = config->destinations.items;
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        struct check check = {
            .config = config, .report = report, .destination = &destinations[i], .index = i};
        if (!is_default && destinations[i].at.keys == NULL) {
            continue; /* not even a mapping, and told */
        }
        check_name(&check);
        check_target(&check);
        check_filters(&check);
        check_level(&check);
        check_ca_file(&check, offline);
        check_file(&check, offline);
        weir_config_check_tenants(config, report, i);
        weir_config_check_auth(config, report, i, offline);
        weir_config_check_shape(config, report, i);
        weir_config_check_preset(config, report, i);
        check_retry(report, &destinations[i].retry, path_of(&check, "retry"));
        check_buffer(&check);
    }
}
