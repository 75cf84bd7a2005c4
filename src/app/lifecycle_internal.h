/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_LIFECYCLE_INTERNAL_H
#define WEIR_APP_LIFECYCLE_INTERNAL_H

#include "weir/admin.h"
#include "weir/config.h"
#include "weir/credit.h"
#include "weir/exporter.h"
#include "weir/ingest.h"
#include "weir/keys.h"
#include "weir/namespace.h"
#include "weir/pipeline.h"
#include "weir/region.h"
#include "weir/route.h"

/* lifecycle.c starts and stops; service_build.c makes the rooms' options; service_gauges.c keeps
 * gauges; service_status.c writes /status. */
enum weir_phase { WEIR_PHASE_STARTING, WEIR_PHASE_READY, WEIR_PHASE_DRAINING };

/* Everything that runs. Half-built while it starts: what is NULL was not made. */
struct weir_service {
    struct weir_credit intake; /* aligned, so first */
    struct weir_credit queued;
    const struct weir_config *config;
    struct weir_config_shares shares;
    _Atomic int phase; /* enum weir_phase; relaxed: a health check a moment late is one */
    int64_t started_ns;
    struct weir_namespaces *namespaces;
    struct weir_regions *regions;
    struct weir_exporter *exporter;
    bool exporting; /* its threads run */
    struct weir_router *router;
    struct weir_pipeline *pipeline;
    struct weir_keys *keys;
    struct weir_ingest *ingest;
    struct weir_admin *admin;
    struct weir_destination_options destinations[WEIR_DESTINATIONS_MAX];
};

/* Makes and starts every room. On failure it is logged, and the service good for weir_service_done
 * only. */
WEIR_MUST_USE enum weir_status weir_service_build(struct weir_service *service);

/* Frees everything that was made, in reverse. Ingest must be drained and the exporter's threads
 * ended, where they ran. */
void weir_service_done(struct weir_service *service);

/* What the listeners ask. Any thread. */
bool weir_service_ready(void *service);
bool weir_service_ready_reason(void *service, const char **ret_reason);

/* Sets the gauges that nobody keeps current: weir_expo_collector's function. */
void weir_service_gauges(void *service);

/* /status. */
void weir_service_status(void *service, struct weir_buf *out);

/* Points delivered by all destinations so far. */
uint64_t weir_service_delivered(const struct weir_service *service);

#endif
