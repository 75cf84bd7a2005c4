/* SPDX-License-Identifier: Apache-2.0 */
/* Gauges that nobody keeps current: read from the rooms whenever the exposition is written. The
 * admin thread. */
#include "lifecycle_internal.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/machine.h"
#include "weir/mem.h"
#include "weir/metrics.h"

static void set_plain(enum weir_family family, double value)
{
    weir_metrics_set(weir_metrics_series(family, NULL), value);
}

static void set_labelled(enum weir_family family, const char *label, double value)
{
    struct weir_bytes values[] = {weir_bytes_str(label)};
    weir_metrics_set(weir_metrics_series(family, values), value);
}

static size_t export_bytes(const struct weir_service *service)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        bytes += weir_exporter_status(service->exporter, i).memory_bytes;
    }
    return bytes;
}

static void memory_gauges(const struct weir_service *service)
{
    struct weir_mem_stats allocator = weir_mem_stats();
    const struct {
        const char *kind;
        size_t bytes;
    } used[] = {
        {"intake", weir_credit_used(&service->intake)},
        {"queued", weir_credit_used(&service->queued)},
        {"export", export_bytes(service)},
        {"backlog", weir_credit_used(&service->backlog)},
        {"regions_idle", weir_regions_idle(service->regions)},
        {"regions_taken", weir_regions_taken(service->regions)},
        {"allocator_allocated", allocator.allocated},
        {"allocator_active", allocator.active},
        {"allocator_resident", allocator.resident},
        {"allocator_retained", allocator.retained},
    };
    const struct {
        const char *kind;
        size_t bytes;
    } limits[] = {
        {"intake", service->shares.intake},       {"queued", service->shares.queued},
        {"export", service->shares.export_bytes}, {"backlog", service->shares.backlog},
        {"regions_idle", service->shares.idle},   {"total", service->config->memory_limit},
    };
    for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
        set_labelled(WEIR_M_MEMORY, used[i].kind, (double)used[i].bytes);
    }
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        set_labelled(WEIR_M_MEMORY_LIMIT, limits[i].kind, (double)limits[i].bytes);
    }
}

static void ring_gauges(const struct weir_service *service)
{
    uint32_t count = weir_namespaces_count(service->namespaces);
    for (uint32_t id = 0; id <= count; id++) {
        uint32_t namespace_id = id < count ? id : WEIR_NAMESPACE_OVERFLOW;
        struct weir_bytes name = weir_namespaces_name(service->namespaces, namespace_id);
        uint64_t points = weir_router_ring_points(service->router, namespace_id);
        if (id < count || points > 0) {
            weir_metrics_set(weir_metrics_series(WEIR_M_RING_POINTS, &name), (double)points);
        }
    }
}

static void spool_gauges(const struct weir_service *service)
{
    struct weir_spool_stat stat = {0};
    weir_spool_look(service->spool, &stat);
    int64_t oldest_ns = stat.oldest_wall_ns == 0 ? 0 : weir_clock_wall_ns() - stat.oldest_wall_ns;
    set_plain(WEIR_M_SPOOL_BYTES, (double)stat.bytes);
    set_plain(WEIR_M_SPOOL_LIMIT, (double)stat.limit);
    set_plain(WEIR_M_SPOOL_UNRELEASED, (double)stat.records);
    set_plain(WEIR_M_SPOOL_OWED_BYTES, (double)stat.owed_bytes);
    set_plain(WEIR_M_SPOOL_OLDEST, oldest_ns < 0 ? 0 : (double)oldest_ns / (double)WEIR_NS_PER_S);
    set_plain(WEIR_M_SPOOL_SET_ASIDE, service->segments_set_aside);
    set_plain(WEIR_M_DEDUPE_ENTRIES, stat.ids);
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        const char *name = weir_service_slot_name(service, i);
        if (name != NULL) {
            set_labelled(WEIR_M_SPOOL_BACKLOG, name, (double)stat.backlog_records[i]);
            set_labelled(WEIR_M_SPOOL_BACKLOG_BYTES, name, (double)stat.backlog_bytes[i]);
        }
    }
    if (service->letterbox != NULL) {
        struct weir_letterbox_stat letters = weir_letterbox_look(service->letterbox);
        set_plain(WEIR_M_DEAD_LETTER_BYTES, (double)letters.bytes);
        set_plain(WEIR_M_DEAD_LETTER_LIMIT, (double)letters.limit);
    }
}

static void tls_gauges(const struct weir_service *service)
{
    struct weir_tls_look look;
    for (uint32_t i = 0; service->tls != NULL && weir_tls_look(service->tls, i, &look); i++) {
        set_labelled(WEIR_M_TLS_EXPIRY, look.file, (double)look.expires_ns / (double)WEIR_NS_PER_S);
    }
}

static void process_gauges(void)
{
    struct weir_machine_usage usage = weir_machine_usage();
    set_plain(WEIR_M_PROCESS_CPU, usage.cpu_seconds);
    set_plain(WEIR_M_PROCESS_RESIDENT, (double)usage.resident_bytes);
    set_plain(WEIR_M_PROCESS_VIRTUAL, (double)usage.virtual_bytes);
    set_plain(WEIR_M_PROCESS_OPEN_FDS, (double)usage.open_fds);
    set_plain(WEIR_M_PROCESS_MAX_FDS, (double)usage.fds_max);
    set_plain(WEIR_M_PROCESS_START, usage.start_time_seconds);
}

void weir_service_gauges(void *service)
{
    struct weir_service *self = service;
    (void)pthread_mutex_lock(&self->reload.look);
    memory_gauges(self);
    ring_gauges(self);
    spool_gauges(self);
    weir_reload_gauges(self);
    weir_tenants_gauges(self);
    (void)pthread_mutex_unlock(&self->reload.look);
    process_gauges();
    tls_gauges(self);
    set_plain(WEIR_M_CONNECTIONS, weir_ingest_connections(self->ingest));
    set_plain(WEIR_M_ALLOCATIONS, (double)weir_mem_calls());
    set_plain(WEIR_M_LOG_SUPPRESSED, (double)weir_log_suppressed());
    set_labelled(WEIR_M_BUILD_INFO, WEIR_VERSION, 1);
}
