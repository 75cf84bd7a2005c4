/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the configuration to running rooms, bottom to top, and back.
 *
 *   namespaces ─ regions ─ credits ─ disk, letterbox, spool ─ exporter ─ router
 *     ─ custody (lane, keeper) ─ pipeline ─ keys ─ exporter's threads ─ backlog ─ ingest ─ admin
 *
 * Each room gets its options from the configuration here (and in service_disk.c) and nowhere else:
 * no lower room knows it.
 * The exporter is made before the router, since it owns the doorbells that the router rings, and
 * started after it, since it drains it.
 *
 *   I1  weir_service_done takes the same way back, and skips what was not made
 *   I2  ingest listens when all that a request needs is there; admin last, so that /readyz never
 *       tells a half truth
 *   I3  on the way back spool and dead letter are closed before anything that their last callbacks
 *       go to is freed: pipeline, router, exporter
 *
 * A replay is the same without keys, ingest and admin.
 *
 * Main thread.
 */
#include "lifecycle_internal.h"
#include "reload_internal.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/machine.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/session.h"
#include <stdatomic.h>
#include <stdio.h>

enum { RING_SLOTS = 1024, THREADS_MAX = 64, ADDRESS_SIZE = 80 };

static enum weir_status failed(const char *what, enum weir_status status)
{
    weir_log(WEIR_LOG_ERROR, "start failed", WEIR_LOG_STR("what", what),
             WEIR_LOG_STR("reason", weir_status_text(status)));
    return status;
}

/* Returns from the calling function, having logged what could not be made. */
#define BUILD(what_, expr_)                                                                        \
    do {                                                                                           \
        enum weir_status build_status_ = (expr_);                                                  \
        if (build_status_ != WEIR_OK) {                                                            \
            return failed((what_), build_status_);                                                 \
        }                                                                                          \
    } while (0)

static uint32_t thread_count(uint32_t configured)
{
    unsigned cores = weir_machine_cores();
    uint32_t count = configured > 0 ? configured : cores;
    return count > THREADS_MAX ? THREADS_MAX : count;
}

void weir_service_fill_destination(struct weir_destination_options *options,
                                   const struct weir_config_destination *destination)
{
    *options = (struct weir_destination_options){
        .name = destination->name,
        .type = (enum weir_destination_type)destination->type,
        .protocol = (enum weir_protocol)destination->protocol,
        .url = destination->url,
        .path = destination->path,
        .headers = destination->headers,
        .ca_file = destination->tls.ca_file,
        .certificate = destination->tls.certificate,
        .key = destination->tls.key,
        .min_tls = (enum weir_min_tls)destination->tls.min_version,
        .is_insecure = destination->tls.insecure != 0,
        .allow_link_local = destination->allow_link_local != 0,
        .proxy = destination->proxy,
        .no_proxy = destination->no_proxy_text,
        .bearer_file = destination->auth.bearer_file,
        .oauth = destination->oauth,
        .compression = (enum weir_compression)destination->compression,
        .compression_level = (int)destination->compression_level,
        .shape = destination->shape,
        .timeout_ns = destination->timeout_ns,
        .buffer = {.size = destination->buffer.size,
                   .interval_ns = destination->buffer.interval_ns,
                   .points_max = destination->buffer.max_points},
        .retry = {.window_ns = destination->retry.window_ns,
                  .initial_ns = destination->retry.initial_ns,
                  .max_ns = destination->retry.max_ns},
        .hold_on_outage = destination->retry.on_outage == 0,
        .also_on = destination->retry.also_on,
    };
}

static enum weir_status build_exporter(struct weir_service *service)
{
    const struct weir_config *config = service->config;
    WEIR_ASSERT(config->destinations.count <= WEIR_DESTINATIONS_MAX);
    weir_reload_first_slots(service);
    struct weir_exporter_options options = {
        .destinations = service->destinations,
        .destination_count = config->destinations.count,
        .threads = thread_count(config->export_threads),
        .export_bytes = service->shares.export_bytes,
        .queued = &service->queued,
        .regions = service->regions,
        .settler = weir_spool_settler(service->spool),
        .keeps = config->spool.durability == WEIR_DURABILITY_DISK,
        .letterbox = service->letterbox,
        .cut = &service->cut,
    };
    return weir_exporter_new(&options, &service->exporter);
}

static uint32_t attribute_count(const struct weir_route_attribute *attributes)
{
    uint32_t count = 0;
    while (attributes != NULL && attributes[count].name != NULL) {
        count++;
    }
    return count;
}

void weir_service_fill_route(struct weir_route_destination *row,
                             const struct weir_config_destination *destination)
{
    *row = (struct weir_route_destination){
        .name = destination->name,
        .include = destination->namespaces.include,
        .exclude = destination->namespaces.exclude,
        .accounts = {destination->accounts.include, destination->accounts.exclude},
        .regions = {destination->regions.include, destination->regions.exclude},
        .streams = {destination->streams.include, destination->streams.exclude},
        .attributes = destination->attributes,
        .attribute_count = attribute_count(destination->attributes),
        .tenants = destination->tenant,
    };
}

static enum weir_status build_router(struct weir_service *service)
{
    struct weir_route_destination routes[WEIR_DESTINATIONS_MAX];
    uint32_t wanted[WEIR_DESTINATIONS_MAX];
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        wanted[i] = i < service->config->destinations.count ? i : UINT32_MAX;
    }
    struct weir_router_options options = {
        .ring_slots = RING_SLOTS,
        .queued = &service->queued,
        .namespaces = service->namespaces,
        .regions = service->regions,
        .claimer = {weir_tenants_claim, service},
    };
    WEIR_TRY(weir_reload_make_set(service, service->reload.live, wanted, routes, &options.set));
    enum weir_status status = weir_router_new(&options, &service->router);
    if (status != WEIR_OK) {
        weir_reload_drop_set(&options.set);
        return status;
    }
    weir_reload_keep_set(service, &options.set);
    return WEIR_OK;
}

static enum weir_status build_pipeline(struct weir_service *service)
{
    struct weir_pipeline_options options = {
        .router = service->router,
        .regions = service->regions,
        .intake = &service->intake,
        .namespaces = service->namespaces,
        .body_limit = service->config->ingest.body_limit,
        .limits = weir_service_limits(),
        .durability = (enum weir_durability)service->config->spool.durability,
        .commit = weir_custody_commit(service->custody),
        .letterbox = service->letterbox,
    };
    return weir_pipeline_new(&options, &service->pipeline);
}

enum weir_status weir_service_keys(const struct weir_config *config, struct weir_keys **ret)
{
    const struct weir_config_list *list = &config->ingest.access_keys;
    const struct weir_config_access_key *keys = list->items;
    struct weir_key_spec specs[WEIR_KEYS_MAX];
    if (list->none) {
        *ret = NULL; /* a door without a lock */
        return WEIR_OK;
    }
    WEIR_ASSERT(list->count > 0);
    WEIR_ASSERT(list->count <= WEIR_KEYS_MAX);
    for (uint32_t i = 0; i < list->count; i++) {
        specs[i] = (struct weir_key_spec){
            .name = keys[i].name,
            .key = keys[i].key,
            .not_before_ns = keys[i].not_before_ns,
            .not_after_ns = keys[i].not_after_ns,
            .accounts = keys[i].accounts,
        };
    }
    return weir_keys_new(specs, list->count, ret);
}

static enum weir_status build_keys(struct weir_service *service)
{
    struct weir_keys *keys;
    WEIR_TRY(weir_service_keys(service->config, &keys));
    enum weir_status status = weir_keyring_new(keys, &service->keyring);
    if (status != WEIR_OK) {
        weir_keys_free(keys);
    }
    return status;
}

/* "127.0.0.1:0" with the port that the kernel chose. */
static void log_listening(const char *kind, const char *address, uint16_t port)
{
    char text[ADDRESS_SIZE];
    const char *colon = strrchr(address, ':');
    WEIR_ASSERT(colon != NULL);
    (void)snprintf(text, sizeof text, "%.*s:%u", (int)(colon - address), address, (unsigned)port);
    weir_log(WEIR_LOG_INFO, "listening", WEIR_LOG_STR("kind", kind), WEIR_LOG_STR("address", text));
}

static enum weir_status failed_address(const char *what, const char *address,
                                       enum weir_status status)
{
    const char *reason = status == WEIR_EEXIST    ? "the address is in use"
                         : status == WEIR_EDENIED ? "this user may not listen there"
                         : status == WEIR_EINVAL  ? "no address of this machine"
                                                  : weir_status_text(status);
    weir_log(WEIR_LOG_ERROR, "start failed", WEIR_LOG_STR("what", what),
             WEIR_LOG_STR("address", address == NULL ? "" : address),
             WEIR_LOG_STR("reason", reason));
    return status;
}

static enum weir_status build_ingest(struct weir_service *service)
{
    const struct weir_config_ingest *ingest = &service->config->ingest;
    struct weir_session_limits limits = weir_session_limits_default();
    limits.body_bytes = ingest->body_limit;
    limits.head_timeout_ns = ingest->timeouts.head_ns;
    limits.idle_timeout_ns = ingest->timeouts.idle_ns;
    limits.body_timeout_ns = ingest->timeouts.body_ns;
    limits.body_grace_ns = ingest->timeouts.body_grace_ns;
    limits.body_rate_min = ingest->body_rate;
    limits.write_timeout_ns = ingest->timeouts.write_ns;
    struct weir_ingest_options options = {
        .addresses = ingest->listen,
        .threads = thread_count(ingest->threads),
        .connections_max = ingest->connections_max,
        .connections_per_source = ingest->connections_per_source,
        .balancers = ingest->proxy_protocol.networks,
        .balancer_timeout_ns = ingest->proxy_protocol.timeout_ns,
        .tls = service->tls,
        .handshake_ns = ingest->timeouts.handshake_ns,
        .path = ingest->path,
        .keyring = service->keyring,
        .pipeline = service->pipeline,
        .intake = &service->intake,
        .regions = service->regions,
        .limits = limits,
        .ready = weir_service_ready,
        .admits = weir_service_admits,
        .argument = service,
        .cut = &service->cut,
    };
    const char *address = NULL;
    enum weir_status status = weir_ingest_start(&options, &service->ingest, &address);
    if (status != WEIR_OK) {
        return failed_address("ingest", address, status);
    }
    for (uint32_t i = 0; ingest->listen[i] != NULL; i++) {
        log_listening("ingest", ingest->listen[i], weir_ingest_port(service->ingest, i));
    }
    return WEIR_OK;
}

static enum weir_status build_admin(struct weir_service *service)
{
    const char *const *listen = service->config->admin.listen;
    struct weir_admin_options options = {
        .addresses = listen,
        .ready = weir_service_ready_reason,
        .status = weir_service_status,
        .argument = service,
    };
    const char *address = NULL;
    enum weir_status status = weir_admin_start(&options, &service->admin, &address);
    if (status != WEIR_OK) {
        return failed_address("admin", address, status);
    }
    for (uint32_t i = 0; listen[i] != NULL; i++) {
        log_listening("admin", listen[i], weir_admin_port(service->admin, i));
    }
    return WEIR_OK;
}

enum weir_status weir_service_build(struct weir_service *service)
{
    service->shares = weir_config_shares(service->config);
    service->started_ns = weir_clock_mono_ns();
    weir_credit_init(&service->intake, service->shares.intake);
    weir_credit_init(&service->queued, service->shares.queued);
    weir_credit_init(&service->backlog, service->shares.backlog);
    BUILD("namespaces", weir_namespaces_new(&service->namespaces));
    BUILD("regions", weir_regions_new(service->shares.idle, &service->regions));
    weir_regions_keep_warm(service->regions, service->shares.warm);
    WEIR_TRY(weir_service_open_disk(service)); /* these have logged what failed */
    WEIR_TRY(weir_service_confine_files(service));
    WEIR_TRY(weir_service_build_disk(service));
    weir_tenants_find(service);
    BUILD("exporter", build_exporter(service));
    BUILD("router", build_router(service));
    BUILD("spool threads", weir_service_build_custody(service));
    BUILD("pipeline", build_pipeline(service));
    if (!service->replaying) {
        BUILD("access keys", build_keys(service));
    }
    BUILD("exporter threads", weir_exporter_start(service->exporter, service->router));
    service->exporting = true;
    weir_slots_deliver(service, UINT64_MAX);
    BUILD("backlog", weir_service_build_backlog(service));
    if (service->replaying) {
        return WEIR_OK;
    }
    WEIR_TRY(weir_service_build_tls(service)); /* these three have logged what failed */
    WEIR_TRY(build_ingest(service));
    return build_admin(service);
}

void weir_service_done(struct weir_service *service)
{
    weir_admin_stop(service->admin);
    weir_ingest_free(service->ingest);
    weir_tls_free(service->tls);
    weir_service_close_disk(service);
    weir_pipeline_free(service->pipeline);
    weir_router_free(service->router);
    weir_exporter_free(service->exporter);
    weir_keyring_free(service->keyring);
    weir_namespaces_free(service->namespaces);
    weir_credit_done(&service->intake);
    weir_credit_done(&service->queued);
    weir_credit_done(&service->backlog);
    weir_regions_free(service->regions);
}

bool weir_service_ready(void *service)
{
    const char *reason;
    return weir_service_ready_reason(service, &reason);
}

bool weir_service_ready_reason(void *service, const char **ret_reason)
{
    struct weir_service *self = service;
    int phase = atomic_load_explicit(&self->phase, memory_order_relaxed);
    if (atomic_load_explicit(&self->spool_failed, memory_order_relaxed)) {
        *ret_reason = "spool failed";
        return false;
    }
    *ret_reason = phase == WEIR_PHASE_STARTING ? "starting" : "draining";
    return phase == WEIR_PHASE_READY;
}

uint64_t weir_service_delivered(struct weir_service *service)
{
    (void)pthread_mutex_lock(&service->reload.look);
    uint64_t points = service->reload.delivered_before;
    (void)pthread_mutex_unlock(&service->reload.look);
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        points += weir_exporter_status(service->exporter, i).points_delivered;
    }
    return points;
}
