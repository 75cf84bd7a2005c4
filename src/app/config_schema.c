/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key there is: the one place that says what a key is called, where its value goes, what it
 * takes and what it means.
 *
 *   table ──► reader   config_yaml.c    (in the table's order, so `buffer` is known when
 *                                       `destinations` inherit it)
 *         ──► printer  config_print.c   (`weir check`)
 *         ──► walker   config_print.c   (docs/configuration.md's test, `weir check --keys`)
 *
 *   I1  a table has at most WEIR_SCHEMA_KEYS_MAX keys; its last row has no name
 *   I2  the first member of a struct that a table fills is struct weir_config_mapping
 *   I3  choices stand in the order of the enum they become
 *
 * Keys of later versions are rows too, of the kind LATER, so that whoever writes one is told so and
 * not that it is unknown.
 *
 * Constant data; any thread.
 */
#include "config_internal.h"
#include "config_schema_words.h"
#include "weir/attributes.h"
#include "weir/clock.h"
#include "weir/frame.h"
#include "weir/keys.h"
#include "weir/route.h"
#include "weir/zstd.h"

#define ROOT(member_) .offset = offsetof(struct weir_config, member_)

static const char *const durabilities[] = {"disk", "delivered", "memory", NULL};
static const char *const when_full[] = {"reject", "evict", NULL};
static const char *const outages[] = {"hold", "dead_letter", NULL};
static const char *const types[] = {"otlp", "stdout", "file", NULL};
static const char *const protocols[] = {"http/protobuf", "http/json", "grpc", NULL};
static const char *const compressions[] = {"gzip", "none", "zstd", NULL};
static const char *const booleans[] = {"false", "true", NULL};
static const char *const summaries[] = {"keep", "gauges", "exponential_histogram", NULL};
static const char *const dimensions[] = {"kvlist", "flat", "json", NULL};
static const char *const namings[] = {"cloudwatch", "dynatrace", "dynatrace_classic", "prometheus",
                                      NULL};
static const char *const keyings[] = {"keep", "dynatrace", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const styles[] = {"auto", "basic", "body", "basic_plain", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const formats[] = {"json", "text", NULL};
static const char *const sandboxes[] = {"auto", "off", "required", NULL};

static bool is_otlp(const void *mapping)
{
    const struct weir_config_destination *destination = mapping;
    return destination->type == WEIR_DESTINATION_OTLP_HTTP;
}

/* `compression` stands before what asks this. */
static bool is_compressed(const void *mapping)
{
    const struct weir_config_destination *destination = mapping;
    return is_otlp(mapping) && destination->compression != WEIR_COMPRESSION_NONE;
}

static bool has_preset(const void *mapping)
{
    const struct weir_config_destination *destination = mapping;
    return destination->preset != WEIR_PRESET_NONE;
}

/* Percentiles are gauges beside an exponential histogram too. */
static bool has_gauges(const void *mapping)
{
    const struct weir_config_destination *destination = mapping;
    return destination->summary != WEIR_SHAPE_SUMMARY_KEEP;
}

static bool is_insecure(const void *mapping)
{
    const struct weir_config_tls *tls = mapping;
    return tls->insecure != 0;
}

/* The default is not printed. */
static bool is_above_tls_1_2(const void *mapping)
{
    const struct weir_config_tls *tls = mapping;
    return tls->min_version != 0;
}

static bool allows_link_local(const void *mapping)
{
    const struct weir_config_destination *destination = mapping;
    return destination->allow_link_local != 0;
}

static bool is_oauth(const void *mapping)
{
    const struct weir_config_oauth2 *oauth2 = mapping;
    return oauth2->token_url != NULL;
}

static bool is_file(const void *mapping)
{
    const struct weir_config_destination *destination = mapping;
    return destination->type == WEIR_DESTINATION_FILE;
}

static bool is_template(const void *mapping)
{
    const struct weir_config_destination *destination = mapping;
    return weir_config_has_tenants(&destination->tenants);
}

static bool is_on_disk(const void *mapping)
{
    const struct weir_config_spool *spool = mapping;
    return spool->durability == WEIR_DURABILITY_DISK;
}

static bool is_delivered(const void *mapping)
{
    const struct weir_config_spool *spool = mapping;
    return spool->durability == WEIR_DURABILITY_DELIVERED;
}

static bool has_letters(const void *mapping)
{
    const struct weir_config_dead_letter *letters = mapping;
    return letters->directory != NULL;
}

const struct weir_schema weir_schema_spool[] = {
    {"directory", WEIR_SCHEMA_TEXT, AT(spool, directory), .flags = WEIR_SCHEMA_IDLE,
     .applies = is_on_disk, .valid = weir_config_valid_file,
     .help = "where accepted requests are kept; made if absent, in a directory that is there"},
    {"limit", WEIR_SCHEMA_SIZE, AT(spool, limit), .flags = WEIR_SCHEMA_IDLE, .applies = is_on_disk,
     .min = MIB, .max = 65536 * GIB,
     .help = "the most that it may take on disk; requests past it are answered 503"},
    {"durability", WEIR_SCHEMA_CHOICE, AT(spool, durability), .choices = durabilities,
     .help = "what an answer of 200 promises: on this disk; delivered; or until the process ends "
             "(memory)"},
    {"segment_size", WEIR_SCHEMA_SIZE, AT(spool, segment_size), .flags = WEIR_SCHEMA_IDLE,
     .applies = is_on_disk, .min = 0, .max = 16 * GIB,
     .help = "size of its files; 0: the smaller of 256MiB and a thirty-second of limit"},
    {"format", WEIR_SCHEMA_COUNT, AT(spool, format), .flags = WEIR_SCHEMA_IDLE,
     .applies = is_on_disk, .min = WEIR_FRAME_VERSION_MIN, .max = WEIR_FRAME_VERSION,
     .help = "version of the files that are written; the previous one lets the previous release "
             "read them"},
    {"backlog_rate", WEIR_SCHEMA_SIZE, AT(spool, backlog_rate), .flags = WEIR_SCHEMA_IDLE,
     .applies = is_on_disk, .min = 0, .max = 1024 * GIB,
     .help = "bytes a second that are read back after an outage or a start; 0: no bound"},
    {"delivered_timeout", WEIR_SCHEMA_DURATION, AT(spool, delivered_timeout_ns),
     .flags = WEIR_SCHEMA_IDLE, .applies = is_delivered, .min = 100 * MS, .max = 170 * S,
     .help = "durability delivered: how long a request waits for its delivery, then 503; Firehose "
             "itself gives up after 180s"},
    END};

const struct weir_schema weir_schema_dedupe[] = {
    {"window", WEIR_SCHEMA_DURATION, AT(dedupe, window_ns), .min = 0, .max = 30 * DAY,
     .help = "how long a request is remembered, so that its repetition is not exported again; 0: "
             "not at all"},
    {"entries", WEIR_SCHEMA_COUNT, AT(dedupe, entries), .min = 16, .max = 100000000,
     .help = "requests remembered at a time, 48 bytes each; default: a 64th of memory_limit"},
    END};

const struct weir_schema weir_schema_dead_letter[] = {
    {"directory", WEIR_SCHEMA_TEXT, WEIR_SCHEMA_EMPTY, AT(dead_letter, directory),
     .valid = weir_config_valid_file,
     .help = "where data is kept that no destination will take; default: dead-letter in "
             "spool.directory with durability disk, else nowhere"},
    {"limit", WEIR_SCHEMA_SIZE, AT(dead_letter, limit), .flags = WEIR_SCHEMA_IDLE,
     .applies = has_letters, .min = 4 * KIB, .max = 65536 * GIB,
     .help = "the most that its files may take"},
    {"when_full", WEIR_SCHEMA_CHOICE, AT(dead_letter, when_full), .flags = WEIR_SCHEMA_IDLE,
     .applies = has_letters, .choices = when_full,
     .help = "at the limit: answer 503 (reject), or drop the oldest file (evict)"},
    END};

const struct weir_schema weir_schema_buffer[] = {
    {"size", WEIR_SCHEMA_SIZE, AT(buffer, size), .min = KIB, .max = 64 * MIB,
     .help = "a batch is sent when it has this size, uncompressed; it never has more"},
    {"interval", WEIR_SCHEMA_DURATION, AT(buffer, interval_ns), .min = 0, .max = 3600 * S,
     .help = "... or when its first point has waited this long"},
    {"max_points", WEIR_SCHEMA_COUNT, AT(buffer, max_points), .max = 10000000,
     .help = "... or when it has this many data points; 0: no bound"},
    END};

static const struct weir_schema retry[] = {
    {"window", WEIR_SCHEMA_DURATION, AT(retry, window_ns), .min = 0, .max = 7 * DAY,
     .help = "how long a batch is tried again, from its first attempt; 0: one attempt"},
    {"initial", WEIR_SCHEMA_DURATION, AT(retry, initial_ns), .min = MS, .max = 3600 * S,
     .help = "the wait after the first failure; it doubles with each further one"},
    {"max", WEIR_SCHEMA_DURATION, AT(retry, max_ns), .min = MS, .max = 3600 * S,
     .help = "the longest wait"},
    {"on_outage", WEIR_SCHEMA_CHOICE, AT(retry, on_outage), .choices = outages,
     .help = "when the window ends and the destination has taken nothing else: hold the batch, or "
             "give it up (dead_letter)"},
    {"also_on", WEIR_SCHEMA_CODES, AT(retry, also_on), .min = 1, .max = 599,
     .help = "HTTP statuses to retry besides 429, 502, 503 and 504; gRPC's codes are 1 to 16"},
    END};

static const struct weir_schema namespaces[] = {
    {"include", WEIR_SCHEMA_TEXTS, AT(patterns, include), .min = 1, .max = WEIR_CONFIG_ITEMS_MAX,
     .help = "globs of CloudWatch namespaces that go to this destination"},
    {"exclude", WEIR_SCHEMA_TEXTS, AT(patterns, exclude), .max = WEIR_CONFIG_ITEMS_MAX,
     .help = "... and of those that do not; wins over include"},
    END};

/* A pair of lists like those of namespaces, of what `valid_` allows. */
#define PATTERNS(table_, valid_, what_)                                                            \
    static const struct weir_schema table_[] = {                                                   \
        {"include", WEIR_SCHEMA_TEXTS, AT(patterns, include), .min = 1,                            \
         .max = WEIR_CONFIG_ITEMS_MAX, .valid = (valid_),                                          \
         .help = what_ " whose points go to this destination; default: all"},                      \
        {"exclude", WEIR_SCHEMA_TEXTS, AT(patterns, exclude), .max = WEIR_CONFIG_ITEMS_MAX,        \
         .valid = (valid_), .help = "... and whose do not; wins over include"},                    \
        END}
PATTERNS(accounts, weir_config_valid_accounts, "AWS accounts, or patterns of them,");
PATTERNS(regions, weir_config_valid_regions, "AWS regions, or patterns of them,");
PATTERNS(streams, weir_config_valid_streams, "names of delivery streams, or patterns of them,");

static const struct weir_schema tls[] = {
    {"ca_file", WEIR_SCHEMA_TEXT, AT(tls, ca_file), .valid = weir_config_valid_file,
     .help = "PEM file of the authorities to trust; default: the system's"},
    {"certificate", WEIR_SCHEMA_TEXT, AT(tls, certificate), .valid = weir_config_valid_file,
     .help = "PEM file of the client's certificate, for destinations that ask for one"},
    {"key", WEIR_SCHEMA_TEXT, AT(tls, key), .valid = weir_config_valid_file,
     .help = "PEM file of its key; default: the certificate's file"},
    {"insecure", WEIR_SCHEMA_CHOICE, AT(tls, insecure), .flags = WEIR_SCHEMA_IDLE,
     .applies = is_insecure, .choices = booleans,
     .help = "true: believe whoever answers, without a look at certificate and name"},
    {"verify", WEIR_SCHEMA_TEXT, AT(tls, verify),
     .help = "of tenants: ${attribute:NAME}, the attribute that says false where certificates are "
             "not to be verified; only to hosts of tenants.unverified"},
    {"min_version", WEIR_SCHEMA_CHOICE, AT(tls, min_version), .flags = WEIR_SCHEMA_IDLE,
     .applies = is_above_tls_1_2, .choices = tls_versions,
     .help = "the lowest version of TLS that is spoken, to the token's server too"},
    END};

static const struct weir_schema auth[] = {
    {"bearer_file", WEIR_SCHEMA_TEXT, AT(auth, bearer_file), .valid = weir_config_valid_file,
     .help = "a file with the token of the header Authorization: Bearer; read again when it "
             "changes"},
    END};

static const struct weir_schema oauth2[] = {
    {"token_url", WEIR_SCHEMA_TEXT, AT(oauth2, token_url), .valid = weir_config_valid_url,
     .help = "where tokens come from, by the client's credentials (RFC 6749, 4.4)"},
    {"client_id", WEIR_SCHEMA_TEXT, AT(oauth2, client_id), .help = "the client's name there"},
    {"client_id_file", WEIR_SCHEMA_TEXT, AT(oauth2, client_id_file),
     .valid = weir_config_valid_file, .help = "... or a file that holds it"},
    {"client_secret", WEIR_SCHEMA_TEXT, WEIR_SCHEMA_SECRET, AT(oauth2, client_secret),
     .help = "its secret; better a file"},
    {"client_secret_file", WEIR_SCHEMA_TEXT, AT(oauth2, client_secret_file),
     .valid = weir_config_valid_file, .help = "a file that holds the secret; read for each token"},
    {"scopes", WEIR_SCHEMA_TEXTS, AT(oauth2, scopes), .min = 1, .max = 64,
     .help = "scopes to ask for; default: what the server gives"},
    {"params", WEIR_SCHEMA_HEADERS, WEIR_SCHEMA_SECRET | WEIR_SCHEMA_IDLE, AT(oauth2, params),
     .applies = is_oauth, .max = 64, .help = "further parameters of the request, such as audience"},
    {"style", WEIR_SCHEMA_CHOICE, .flags = WEIR_SCHEMA_IDLE, AT(oauth2, style), .applies = is_oauth,
     .choices = styles,
     .help = "how the credentials are sent: in a Basic header (escaped, or plain), in the body, or "
             "what "
             "works (auto)"},
    {"ca_file", WEIR_SCHEMA_TEXT, AT(oauth2, ca_file), .valid = weir_config_valid_file,
     .help = "authorities to trust there; default: as in tls"},
    {"timeout", WEIR_SCHEMA_DURATION, .flags = WEIR_SCHEMA_IDLE, AT(oauth2, timeout_ns),
     .applies = is_oauth, .min = 100 * MS, .max = 600 * S, .help = "for one request for a token"},
    {"expiry_buffer", WEIR_SCHEMA_DURATION, .flags = WEIR_SCHEMA_IDLE, AT(oauth2, expiry_buffer_ns),
     .applies = is_oauth, .min = 0, .max = DAY,
     .help = "how long before its end a token is replaced; at most half of its life"},
    END};

const struct weir_schema weir_schema_destination[] = {
    {"name", WEIR_SCHEMA_TEXT, AT(destination, name), .valid = weir_config_valid_name,
     .help = "what logs and metrics call the destination; unique"},
    {"preset", WEIR_SCHEMA_CHOICE, AT(destination, preset), .flags = WEIR_SCHEMA_IDLE,
     .choices = weir_config_preset_names, .applies = has_preset, .then = weir_config_preset,
     .help = "the backend, whose defaults this destination gets; its own keys win"},
    {"type", WEIR_SCHEMA_CHOICE, AT(destination, type), .choices = types,
     .help = "otlp: OTLP over HTTP or gRPC; stdout and file: OTLP JSON, one request a line"},
    {"protocol", WEIR_SCHEMA_CHOICE, AT(destination, protocol), .choices = protocols,
     .applies = is_otlp, .help = "how OTLP is spoken; grpc is OTLP/gRPC, over HTTP/2"},
    {"endpoint", WEIR_SCHEMA_TEXT, AT(destination, endpoint), .valid = weir_config_valid_endpoint,
     .applies = is_otlp, .help = "base URL; /v1/metrics is appended, or gRPC's path"},
    {"metrics_endpoint", WEIR_SCHEMA_TEXT, AT(destination, metrics_endpoint),
     .valid = weir_config_valid_metrics_endpoint, .applies = is_otlp,
     .help = "whole URL, taken as it is, in place of endpoint"},
    {"path", WEIR_SCHEMA_TEXT, AT(destination, path), .valid = weir_config_valid_file,
     .applies = is_file, .help = "the file that a destination of type file appends to"},
    {"compression", WEIR_SCHEMA_CHOICE, AT(destination, compression), .choices = compressions,
     .applies = is_otlp, .help = "of request bodies"},
    {"compression_level", WEIR_SCHEMA_COUNT, AT(destination, compression_level), .min = 1,
     .max = WEIR_ZSTD_LEVEL_MAX, .applies = is_compressed,
     .help = "1: fastest; smallest: 12 with gzip, 19 with zstd"},
    {"headers", WEIR_SCHEMA_HEADERS, WEIR_SCHEMA_SECRET, AT(destination, headers), .max = 64,
     .applies = is_otlp, .help = "headers of each request, such as Authorization"},
    {"timeout", WEIR_SCHEMA_DURATION, AT(destination, timeout_ns), .min = 100 * MS, .max = 600 * S,
     .applies = is_otlp, .help = "for a whole request and its answer"},
    {"namespaces", WEIR_SCHEMA_MAPPING, WEIR_SCHEMA_ROUTE, AT(destination, namespaces),
     .keys = namespaces, .help = "which metrics go there"},
    {"accounts", WEIR_SCHEMA_MAPPING, WEIR_SCHEMA_ROUTE, AT(destination, accounts),
     .keys = accounts, .help = "... of which accounts"},
    {"regions", WEIR_SCHEMA_MAPPING, WEIR_SCHEMA_ROUTE, AT(destination, regions), .keys = regions,
     .help = "... of which regions"},
    {"streams", WEIR_SCHEMA_MAPPING, WEIR_SCHEMA_ROUTE, AT(destination, streams), .keys = streams,
     .help = "... that came by which delivery streams"},
    {"attributes", WEIR_SCHEMA_ATTRIBUTES, WEIR_SCHEMA_ROUTE, AT(destination, attributes), .min = 1,
     .max = WEIR_ATTRIBUTES_MAX,
     .help = "... with which common attributes: for each name the values, or patterns of them, one "
             "of which it must have; \"\" among them: or not have the attribute"},
    {"metrics", WEIR_SCHEMA_MAPPING, AT(destination, metrics), .keys = weir_schema_metrics,
     .help = "... and which metrics of a namespace"},
    {"summary", WEIR_SCHEMA_CHOICE, AT(destination, summary), .choices = summaries,
     .help = "what CloudWatch's Summaries become: gauges, one for each statistic, or exponential "
             "histograms without buckets"},
    {"gauges", WEIR_SCHEMA_MAPPING, AT(destination, gauges), .flags = WEIR_SCHEMA_IDLE,
     .keys = weir_schema_gauges, .applies = has_gauges,
     .help = "what the gauges of a Summary are called: its name and this"},
    {"dimensions", WEIR_SCHEMA_CHOICE, AT(destination, dimensions), .choices = dimensions,
     .help = "dimensions in one attribute as a list (kvlist) or JSON text, or each its own (flat)"},
    {"promote", WEIR_SCHEMA_TEXTS, AT(destination, promote), .max = WEIR_SHAPE_LIST_MAX,
     .valid = weir_config_valid_attribute,
     .help = "resource attributes that are copied onto each point, such as cloud.account.id"},
    {"resource", WEIR_SCHEMA_RESOURCE, AT(destination, resource), .flags = WEIR_SCHEMA_BLANK,
     .max = WEIR_SHAPE_LIST_MAX,
     .help = "resource attributes to set, such as service.name, over OTEL_RESOURCE_ATTRIBUTES"},
    {"scope", WEIR_SCHEMA_MAPPING, AT(destination, scope), .keys = weir_schema_scope,
     .help = "the instrumentation scope to set"},
    {"names", WEIR_SCHEMA_CHOICE, AT(destination, names), .choices = namings,
     .help = "what metrics are called"},
    {"attribute_keys", WEIR_SCHEMA_CHOICE, AT(destination, attribute_keys), .choices = keyings,
     .help = "keys of attributes as they are, or in the letters that Dynatrace allows"},
    {"max_point_age", WEIR_SCHEMA_DURATION, AT(destination, max_point_age_ns), .min = 0,
     .max = 30 * DAY, .help = "older points are not sent there but to the dead letter; 0: any age"},
    {"attributes_max", WEIR_SCHEMA_COUNT, AT(destination, attributes_max),
     .max = WEIR_SHAPE_ATTRIBUTES_MAX,
     .help = "a point with more attributes goes to the dead letter; 0: no bound"},
    {"attribute_key_max", WEIR_SCHEMA_COUNT, AT(destination, attribute_key_max), .max = 65536,
     .help = "longer keys of attributes are cut to so many bytes; 0: no bound"},
    {"attribute_value_max", WEIR_SCHEMA_COUNT, AT(destination, attribute_value_max), .max = 1048576,
     .help = "longer texts in attributes are cut to so many bytes; 0: no bound"},
    {"buffer", WEIR_SCHEMA_MAPPING, AT(destination, buffer), .keys = weir_schema_buffer,
     .help = "for this destination alone; default: as above"},
    {"retry", WEIR_SCHEMA_MAPPING, AT(destination, retry), .keys = retry,
     .help = "for this destination alone; default: as above"},
    {"tls", WEIR_SCHEMA_MAPPING, AT(destination, tls), .keys = tls, .applies = is_otlp,
     .help = "how to trust the destination"},
    {"auth", WEIR_SCHEMA_MAPPING, AT(destination, auth), .keys = auth, .applies = is_otlp,
     .help = "a token that somebody else keeps fresh"},
    {"oauth2", WEIR_SCHEMA_MAPPING, AT(destination, oauth2), .keys = oauth2, .applies = is_otlp,
     .help = "a token that Weir fetches and keeps fresh"},
    {"proxy", WEIR_SCHEMA_TEXT, AT(destination, proxy), .valid = weir_config_valid_url,
     .applies = is_otlp,
     .help = "URL of an HTTP proxy; default: none, whatever the environment says"},
    {"no_proxy", WEIR_SCHEMA_TEXTS, AT(destination, no_proxy), .min = 1, .max = 64,
     .valid = weir_config_valid_no_proxy, .applies = is_otlp,
     .help = "hosts that are reached without the proxy: names with all below them, addresses"},
    {"allow_link_local", WEIR_SCHEMA_CHOICE, AT(destination, allow_link_local),
     .flags = WEIR_SCHEMA_IDLE, .applies = allows_link_local, .choices = booleans,
     .help = "true: connect to link-local addresses as well, where clouds hand out credentials"},
    {"spool_share", WEIR_SCHEMA_SIZE, AT(destination, spool_share), .min = 0, .max = 65536 * GIB,
     .help = "bytes of requests that may wait on disk for it alone; what comes on top goes to the "
             "dead letter; 0: no bound"},
    {"tenants", WEIR_SCHEMA_MAPPING, AT(destination, tenants), .flags = WEIR_SCHEMA_IDLE,
     .keys = weir_schema_tenants, .applies = is_template,
     .help = "makes it a template: the endpoint comes from each request's common attributes"},
    END};

static const struct weir_schema drain[] = {
    {"grace", WEIR_SCHEMA_DURATION, AT(drain, grace_ns), .min = 0, .max = 600 * S,
     .help = "how long requests are still taken while /healthz says 503 already"},
    {"deadline", WEIR_SCHEMA_DURATION, AT(drain, deadline_ns), .min = 0, .max = DAY,
     .help = "how long the rest of the stop may take"},
    END};

static const struct weir_schema admin[] = {
    {"listen", WEIR_SCHEMA_TEXTS, AT(admin, listen), .max = 16, .valid = weir_config_valid_address,
     .help = "addresses of /metrics, /healthz, /readyz and /status; []: none"},
    END};

static const struct weir_schema log_[] = {{"level", WEIR_SCHEMA_CHOICE, AT(log, level),
                                           .choices = levels, .help = "the least that is told"},
                                          {"format", WEIR_SCHEMA_CHOICE, AT(log, format),
                                           .choices = formats,
                                           .help = "json for machines, text for people"},
                                          END};

const struct weir_schema weir_schema_root[] = {
    {"ingest", WEIR_SCHEMA_MAPPING, ROOT(ingest), .keys = weir_schema_ingest,
     .help = "the side that Firehose talks to"},
    {"memory_limit", WEIR_SCHEMA_SIZE, ROOT(memory_limit), .min = 32 * MIB, .max = 1024 * GIB,
     .help = "memory for all data; default: half of the cgroup's or machine's, at most 512MiB"},
    {"spool", WEIR_SCHEMA_MAPPING, ROOT(spool), .keys = weir_schema_spool,
     .help = "accepted requests on disk, until every destination has them"},
    {"dedupe", WEIR_SCHEMA_MAPPING, ROOT(dedupe), .keys = weir_schema_dedupe,
     .help = "how repeated requests are recognised"},
    {"buffer", WEIR_SCHEMA_MAPPING, WEIR_SCHEMA_LIVE, ROOT(buffer), .keys = weir_schema_buffer,
     .help = "how data points become batches"},
    {"retry", WEIR_SCHEMA_MAPPING, WEIR_SCHEMA_LIVE, ROOT(retry), .keys = retry,
     .help = "what happens when a destination does not take a batch"},
    {"dead_letter", WEIR_SCHEMA_MAPPING, ROOT(dead_letter), .keys = weir_schema_dead_letter,
     .help = "what no destination will take, kept with the reason"},
    {"drain", WEIR_SCHEMA_MAPPING, WEIR_SCHEMA_LIVE, ROOT(drain), .keys = drain,
     .help = "how the process stops"},
    {"export_threads", WEIR_SCHEMA_COUNT, ROOT(export_threads), .max = 64,
     .help = "threads that batch, compress and send; 0: one a core"},
    {"destinations", WEIR_SCHEMA_LIST, WEIR_SCHEMA_LIVE, ROOT(destinations),
     .max = WEIR_DESTINATIONS_MAX, .keys = weir_schema_destination,
     .element_size = sizeof(struct weir_config_destination),
     .defaults = weir_schema_destination_defaults,
     .help = "where data points go; default: what OTEL_EXPORTER_OTLP_* say, else standard output"},
    {"admin", WEIR_SCHEMA_MAPPING, ROOT(admin), .keys = admin, .help = "health, metrics, status"},
    {"log", WEIR_SCHEMA_MAPPING, WEIR_SCHEMA_LIVE, ROOT(log), .keys = log_,
     .help = "log lines, on standard error"},
    {"sandbox", WEIR_SCHEMA_CHOICE, ROOT(sandbox), .choices = sandboxes,
     .help = "files (Landlock) and system calls (seccomp) that serve gives up: what this system "
             "can (auto), nothing (off), or no start without all of it (required)"},
    {"core_dumps", WEIR_SCHEMA_CHOICE, ROOT(core_dumps), .choices = booleans,
     .help = "true: the process may dump core and be debugged; its memory holds keys and tokens"},
    END};
