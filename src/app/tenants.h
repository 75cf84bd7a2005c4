/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_TENANTS_H
#define WEIR_APP_TENANTS_H

#include "tenant_claims.h"
#include "weir/buf.h"
#include "weir/config.h"

/*
 * Tenants at run time: who has which slot. tenants.c claims, finds and tells the router;
 * tenants_slots.c takes each from what it is to what it is to be; tenants_open.c gives one its
 * exporter; tenants_tell.c says so. docs/design/0006-tenants.md.
 *
 * Main thread, but for what says otherwise.
 */
struct weir_service;
struct weir_generation;

enum weir_tenant_phase {
    WEIR_TENANT_FREE,
    WEIR_TENANT_RETURNING, /* is owed something, and who it is will be read from that */
    WEIR_TENANT_OPEN,
    WEIR_TENANT_HELD, /* its exporter could not be opened: it is owed, and tried again */
    WEIR_TENANT_SWAPPING,
    WEIR_TENANT_LEAVING,  /* new requests do not go to it; waits for those that may */
    WEIR_TENANT_FLUSHING, /* its exporter closes */
    WEIR_TENANT_GONE      /* what it is still owed, if the template is gone, becomes letters */
};

struct weir_tenant_slot {
    enum weir_tenant_phase phase;
    uint32_t template_slot;
    bool has_row;              /* in the router's set */
    bool is_known;             /* who it is: */
    struct weir_tenant tenant; /* the router's sets point to it until they are released */
    char name[WEIR_TENANT_NAME_SIZE];
    struct weir_generation *generation; /* held while an exporter is open: its options are of it */
    uint32_t index;                     /* of the template there */
    char **headers;                     /* with tokens; wiped when they go */
    bool must_leave;                    /* it is not allowed any more: nothing more is sent to it */
    bool is_busy;                       /* when it was last looked at */
    int64_t active_ns;                  /* when it was last seen busy */
    uint64_t points;                    /* it had settled then */
    int64_t retry_ns;                   /* HELD */
    const char *trouble;                /* what was told last; NULL: nothing */
};

struct weir_tenants {
    struct weir_tenant_slot slots[WEIR_DESTINATIONS_MAX]; /* phases and names: reload.look */
    struct weir_tenant_claims claims;
    _Atomic uint64_t
        full;         /* by template's slot: claims are denied. Relaxed: a moment late is one */
    bool is_stale;    /* the router's set is not as the slots are */
    int64_t look_ns;  /* when to look next at who is busy, */
    int64_t token_ns; /* and at the files of tokens */
};

/* The router's claimer; `argument` is the service. Any thread. */
enum weir_tenant_claim weir_tenants_claim(void *argument, uint32_t template_slot,
                                          const struct weir_tenant *tenant, bool has_slot);

/* At the start, when the spool is open: names in it that look like a tenant's are given back their
 * slots, before the backlog takes them for removed. */
void weir_tenants_find(struct weir_service *service);

/* Puts the tenants' rows into a set for `config`, whose destination of each slot `wanted` says; the
 * slots that were put. */
uint64_t weir_tenants_put_rows(struct weir_service *service, const struct weir_config *config,
                               const uint32_t *wanted, struct weir_route_destination *rows);

/* Slots that the backlog may read for. */
uint64_t weir_tenants_deliverable(const struct weir_service *service);

/* Whether a slot is a tenant's. */
bool weir_tenants_has(const struct weir_service *service, uint32_t slot);

/* Another configuration is live: tenants whose options have changed get another exporter, those
 * that are not allowed any more leave. */
void weir_tenants_reloaded(struct weir_service *service);

/* What can be done now. When to come again: so many ns; -1: there are no templates. */
int64_t weir_tenants_step(struct weir_service *service);

/* Whether one is between two exporters. */
bool weir_tenants_swapping(const struct weir_service *service);

/* Their part of /status, and the gauges. Whoever holds reload.look. */
void weir_tenants_put_status(const struct weir_service *service, struct weir_buf *out);
void weir_tenants_gauges(const struct weir_service *service);

/* Frees what is left, when router and exporter are freed. */
void weir_tenants_done(struct weir_service *service);

#endif
