/* SPDX-License-Identifier: Apache-2.0 */
/* What a key means that is not written. The numbers are design's; docs/configuration.md repeats
 * them. */
#include "config_internal.h"
#include "weir/clock.h"
#include "weir/frame.h"
#include "weir/machine.h"
#include "weir/session.h"

#define MIB ((size_t)1 << 20)

static const char *const ingest_listen[] = {"127.0.0.1:8080", NULL};
static const char *const admin_listen[] = {"127.0.0.1:9464", NULL};
static const char *const everything[] = {"*", NULL};
static const char *const nothing[] = {NULL};
static const int no_codes[] = {0};

void weir_schema_destination_defaults(const struct weir_config *config, void *element)
{
    struct weir_config_destination *destination = element;
    *destination = (struct weir_config_destination){
        .compression_level = 1,
        .headers = nothing,
        .timeout_ns = 30 * WEIR_NS_PER_S,
        .oauth2 = {.timeout_ns = 10 * WEIR_NS_PER_S, .expiry_buffer_ns = 300 * WEIR_NS_PER_S},
        .resource = config->resource,
        .gauges =
            {.min = ".min", .max = ".max", .sum = ".sum", .count = ".count", .percentile = ".p"},
        .promote = nothing,
        .namespaces = {.include = everything, .exclude = nothing},
        .buffer = config->buffer,
        .retry = config->retry,
    };
    weir_config_tenants_defaults(&destination->tenants);
    /* their places are those of another mapping */
    destination->buffer.at = (struct weir_config_mapping){{0, 0}, NULL};
    destination->retry.at = (struct weir_config_mapping){{0, 0}, NULL};
}

static size_t default_memory(void)
{
    size_t half = weir_machine_memory() / 2;
    size_t limit = half > 512 * MIB ? 512 * MIB : half;
    return limit < 16 * MIB ? 16 * MIB : limit / MIB * MIB;
}

void weir_schema_defaults(struct weir_config *config)
{
    struct weir_session_limits limits = weir_session_limits_default();
    config->ingest = (struct weir_config_ingest){
        .listen = ingest_listen,
        .path = "/",
        .connections_max = 10000,
        .body_limit = 96 * MIB,
        .body_rate = limits.body_rate_min,
        .proxy_protocol = {.timeout_ns = 5 * WEIR_NS_PER_S},
        .timeouts = {.head_ns = limits.head_timeout_ns,
                     .body_grace_ns = limits.body_grace_ns,
                     .write_ns = limits.write_timeout_ns,
                     .idle_ns = limits.idle_timeout_ns,
                     .body_ns = limits.body_timeout_ns,
                     .handshake_ns = 5 * WEIR_NS_PER_S},
        .tls = {.session_tickets_ns = 12 * 3600 * WEIR_NS_PER_S},
    };
    config->memory_limit = default_memory();
    config->spool = (struct weir_config_spool){.limit = (size_t)8 << 30,
                                               .durability = WEIR_DURABILITY_DISK,
                                               .format = WEIR_FRAME_VERSION,
                                               .backlog_rate = 32 * MIB,
                                               .delivered_timeout_ns = 150 * WEIR_NS_PER_S};
    config->dedupe.window_ns = 3 * 3600 * WEIR_NS_PER_S;
    config->dead_letter.limit = (size_t)1 << 30;
    config->buffer = (struct weir_config_buffer){
        .size = 3 * MIB, .interval_ns = 60 * WEIR_NS_PER_S, .max_points = 0};
    config->retry = (struct weir_config_retry){.window_ns = 900 * WEIR_NS_PER_S,
                                               .initial_ns = WEIR_NS_PER_S,
                                               .max_ns = 30 * WEIR_NS_PER_S,
                                               .also_on = no_codes};
    config->drain = (struct weir_config_drain){.grace_ns = 10 * WEIR_NS_PER_S,
                                               .deadline_ns = 60 * WEIR_NS_PER_S};
    config->admin.listen = admin_listen;
    config->log = (struct weir_config_log){.level = WEIR_LOG_INFO, .format = WEIR_LOG_JSON};
}
