/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each tenant from what it is to what it is to be, a step at a time; see reload_slots.c, whose
 * order of things this has.
 *
 *           claimed: spool, exporter, set            idle, or not allowed any more: mask, set
 *   FREE ────────────────────────────────► OPEN ──────────────────────────────────► LEAVING
 *    ▲      exporter cannot be opened: HELD ┘│▲                                        │ ▲
 *    │                     other options: SWAP│                  sets without it gone: │ │ owed
 *    │                                SWAPPING│                                  FLUSH ▼ │ nothing
 *    │                                        │ claimed, by what is read        FLUSHING │
 *    │ a start: the spool has its name ──► RETURNING ◄── still owed something ──┤        │
 *    │                                        └─────────────────────────────────┼────────┘
 *    │ nothing owed any more, router idle: spool free                           ▼ spool remove
 *    └─────────────────────────────────────────────────────────────────────── GONE
 *
 *   I1  the mask is told before anything begins to close, and after it is open
 *   I2  a slot goes to GONE, from where what is owed becomes letters, only when nothing is owed to
 *       it or its template is not there any more
 *   I3  a set without the slot was published and older ones are released before FLUSHING, so
 *       afterwards nobody commits for it
 *
 * At the limit the tenant that has been unused for longest, at least EVICT_NS (or tenants.idle
 * where that is shorter), makes room. Firehose sends every 15 minutes at the latest, so one in use
 * is not closed between two requests. Whether one is in use is looked at once a second from outside
 * (queued, in flight, settled, owed), so requests pay nothing for it.
 *
 * Main thread; asked every TICK_NS where there are templates.
 */
#include "tenants_internal.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include <stdio.h>

#define TICK_NS  (100 * WEIR_NS_PER_MS)
#define LOOK_NS  WEIR_NS_PER_S
#define TOKEN_NS (5 * WEIR_NS_PER_S)
#define EVICT_NS (15 * 60 * WEIR_NS_PER_S)

static struct weir_tenant_slot *slot_at(struct weir_service *service, uint32_t number)
{
    return &service->tenants.slots[number];
}

void weir_tenants_leave(struct weir_service *service, uint32_t number)
{
    weir_tenants_put(service, number, WEIR_TENANT_LEAVING);
    weir_slots_deliver(service, UINT64_MAX);
    service->tenants.is_stale = true;
}

/* With a disk nothing but answers is waited for. */
void weir_tenants_swap(struct weir_service *service, uint32_t number)
{
    bool keeps = service->config->spool.durability == WEIR_DURABILITY_DISK;
    int64_t wait_ns = keeps ? service->destinations[number].timeout_ns + WEIR_NS_PER_S
                            : service->live->drain.deadline_ns;
    weir_tenants_put(service, number, WEIR_TENANT_SWAPPING);
    weir_slots_deliver(service, UINT64_MAX);
    weir_exporter_close(service->exporter, number, WEIR_CLOSE_SWAP, weir_clock_mono_ns() + wait_ns);
}

/* -- claims --------------------------------------------------------------------------------- */

/* Slots of a template: those that count for its max, and whether one of them is on its way out. */
struct census {
    uint32_t count;
    bool is_closing;
    uint32_t oldest; /* that may be closed; WEIR_DESTINATIONS_MAX: none */
};

static bool may_be_evicted(const struct weir_tenant_slot *slot, int64_t idle_ns, int64_t now_ns)
{
    int64_t least_ns = idle_ns < EVICT_NS ? idle_ns : EVICT_NS;
    return (slot->phase == WEIR_TENANT_OPEN || slot->phase == WEIR_TENANT_HELD) && !slot->is_busy &&
           now_ns - slot->active_ns >= least_ns;
}

static struct census count_all(struct weir_service *service, uint32_t template_slot,
                               int64_t idle_ns)
{
    struct census census = {.oldest = WEIR_DESTINATIONS_MAX};
    int64_t now_ns = weir_clock_mono_ns();
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        const struct weir_tenant_slot *slot = slot_at(service, i);
        if (slot->phase == WEIR_TENANT_FREE || slot->template_slot != template_slot) {
            continue;
        }
        census.count += slot->phase == WEIR_TENANT_GONE ? 0 : 1;
        census.is_closing = census.is_closing || slot->phase == WEIR_TENANT_LEAVING ||
                            slot->phase == WEIR_TENANT_FLUSHING;
        bool is_older = census.oldest == WEIR_DESTINATIONS_MAX ||
                        slot->active_ns < slot_at(service, census.oldest)->active_ns;
        if (is_older && may_be_evicted(slot, idle_ns, now_ns)) {
            census.oldest = i;
        }
    }
    return census;
}

static uint32_t find_name(struct weir_service *service, const char *name)
{
    uint32_t i = 0;
    while (i < WEIR_DESTINATIONS_MAX && (slot_at(service, i)->phase == WEIR_TENANT_FREE ||
                                         strcmp(slot_at(service, i)->name, name) != 0)) {
        i++;
    }
    return i;
}

/* A slot whose tenant is known from now on. It has no exporter, and no set points to its tenant. */
static void adopt(struct weir_service *service, uint32_t number, const struct weir_tenant *tenant)
{
    struct weir_tenant_slot *slot = slot_at(service, number);
    (void)pthread_mutex_lock(&service->reload.look);
    slot->tenant = *tenant;
    slot->is_known = true;
    (void)pthread_mutex_unlock(&service->reload.look);
    slot->active_ns = weir_clock_mono_ns();
    weir_tenants_open(service, number);
    service->tenants.is_stale = true;
    weir_log(WEIR_LOG_INFO, "tenant opened", WEIR_LOG_STR("destination", slot->name),
             WEIR_LOG_STR("host", tenant->host), WEIR_LOG_STR("key", tenant->key_name));
}

/* A slot of the spool, for a name that is in none of ours, or in one that is GONE. */
static void open_new(struct weir_service *service, uint32_t template_slot,
                     const struct weir_config_destination *template_,
                     const struct weir_tenant *tenant)
{
    const struct weir_spool_destination named = {.name = tenant->name,
                                                 .share = template_->spool_share};
    uint32_t number;
    enum weir_status status = weir_spool_destination_open(service->spool, &named, &number);
    if (status != WEIR_OK) {
        weir_log(WEIR_LOG_WARN, "no slot for a tenant", WEIR_LOG_STR("host", tenant->host),
                 WEIR_LOG_STR("reason", weir_status_text(status)));
        return;
    }
    struct weir_tenant_slot *slot = slot_at(service, number);
    WEIR_ASSERT(slot->phase == WEIR_TENANT_FREE || slot->phase == WEIR_TENANT_GONE);
    WEIR_ASSERT(service->reload.slots[number].phase == WEIR_SLOT_FREE);
    (void)pthread_mutex_lock(&service->reload.look);
    *slot = (struct weir_tenant_slot){.phase = WEIR_TENANT_HELD, .template_slot = template_slot};
    (void)snprintf(slot->name, sizeof slot->name, "%s", tenant->name);
    (void)pthread_mutex_unlock(&service->reload.look);
    adopt(service, number, tenant);
}

static void take_claim(struct weir_service *service, uint32_t template_slot,
                       const struct weir_tenant *tenant)
{
    bool is_whole;
    const struct weir_config_destination *template_ =
        weir_tenants_template(service, template_slot, NULL);
    if (template_ == NULL || !weir_tenant_is_name(template_->name, tenant->name) ||
        !weir_tenant_allowed(template_->tenant, tenant, &is_whole)) {
        return; /* of a set that was: the request comes again, by another */
    }
    uint32_t number = find_name(service, tenant->name);
    bool is_found = number < WEIR_DESTINATIONS_MAX;
    if (is_found && slot_at(service, number)->phase == WEIR_TENANT_RETURNING) {
        adopt(service, number, tenant);
        return;
    }
    if (is_found && slot_at(service, number)->phase != WEIR_TENANT_GONE) {
        return; /* it is there, or will be when it has closed */
    }
    struct census census = count_all(service, template_slot, template_->tenants.idle_ns);
    if (census.count < template_->tenants.max) {
        open_new(service, template_slot, template_, tenant);
    } else if (!census.is_closing && census.oldest < WEIR_DESTINATIONS_MAX) {
        weir_tenants_leave(service, census.oldest);
    }
}

static void take_claims(struct weir_service *service)
{
    uint32_t template_slot;
    struct weir_tenant tenant;
    for (uint32_t i = 0; i < WEIR_TENANT_CLAIMS; i++) {
        if (!weir_tenant_claims_take(&service->tenants.claims, &template_slot, &tenant)) {
            return;
        }
        take_claim(service, template_slot, &tenant);
    }
}

/* Templates that have no room, and none to make. True: there is a template. */
static bool tell_full(struct weir_service *service)
{
    uint64_t full = 0;
    bool has_template = false;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        const struct weir_config_destination *template_ = weir_tenants_template(service, i, NULL);
        if (template_ == NULL) {
            continue;
        }
        struct census census = count_all(service, i, template_->tenants.idle_ns);
        bool is_full = census.count >= template_->tenants.max && !census.is_closing &&
                       census.oldest == WEIR_DESTINATIONS_MAX;
        full |= (uint64_t)is_full << i;
        has_template = true;
    }
    /* relaxed: partner is weir_tenants_claim */
    atomic_store_explicit(&service->tenants.full, full, memory_order_relaxed);
    return has_template;
}

/* -- who is busy ---------------------------------------------------------------------------- */

static void look_at(struct weir_service *service, uint32_t number,
                    const struct weir_spool_stat *stat)
{
    struct weir_tenant_slot *slot = slot_at(service, number);
    struct weir_destination_status status = weir_exporter_status(service->exporter, number);
    uint64_t points = status.points_delivered + status.points_lost;
    slot->is_busy = stat->backlog_records[number] > 0 || status.waiting_batches > 0 ||
                    status.in_flight > 0 || status.memory_bytes > 0 || points != slot->points ||
                    weir_router_queued_bytes(service->router, number) > 0;
    slot->points = points;
    if (slot->is_busy) {
        slot->active_ns = weir_clock_mono_ns();
    }
}

static void look(struct weir_service *service)
{
    struct weir_spool_stat stat = {0};
    int64_t now_ns = weir_clock_mono_ns();
    bool tokens = now_ns >= service->tenants.token_ns;
    if (now_ns < service->tenants.look_ns) {
        return;
    }
    service->tenants.look_ns = now_ns + LOOK_NS;
    service->tenants.token_ns = tokens ? now_ns + TOKEN_NS : service->tenants.token_ns;
    weir_spool_look(service->spool, &stat);
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        struct weir_tenant_slot *slot = slot_at(service, i);
        const struct weir_config_destination *template_ =
            slot->phase == WEIR_TENANT_FREE
                ? NULL
                : weir_tenants_template(service, slot->template_slot, NULL);
        if (template_ == NULL || slot->phase == WEIR_TENANT_GONE) {
            continue;
        }
        look_at(service, i, &stat);
        bool is_idle = !slot->is_busy && now_ns - slot->active_ns > template_->tenants.idle_ns;
        bool is_still = slot->phase == WEIR_TENANT_OPEN || slot->phase == WEIR_TENANT_HELD;
        if ((is_still && is_idle) || (slot->phase == WEIR_TENANT_RETURNING && !slot->is_busy)) {
            weir_tenants_leave(service, i);
        } else if (tokens && slot->phase == WEIR_TENANT_OPEN &&
                   weir_tenants_tokens_changed(service, i)) {
            weir_tenants_swap(service, i);
        }
    }
}

/* -- steps ---------------------------------------------------------------------------------- */

/* Its gauges end at nothing; its counters stay. */
static void clear_gauges(const struct weir_tenant_slot *slot)
{
    struct weir_bytes label[] = {weir_bytes_str(slot->name), weir_bytes_str(slot->tenant.host),
                                 weir_bytes_str(slot->tenant.key_name)};
    weir_metrics_set(weir_metrics_series(WEIR_M_SPOOL_BACKLOG, label), 0);
    weir_metrics_set(weir_metrics_series(WEIR_M_SPOOL_BACKLOG_BYTES, label), 0);
    if (slot->is_known) {
        weir_metrics_set(weir_metrics_series(WEIR_M_TENANT_INFO, label), 0);
    }
}

/* Its exporter is FREE and no request goes to it: is there anything left to be done? */
static void step_flushing(struct weir_service *service, uint32_t number)
{
    struct weir_tenant_slot *slot = slot_at(service, number);
    struct weir_spool_stat stat = {0};
    if (weir_exporter_state(service->exporter, number) != WEIR_EXPORT_SLOT_FREE ||
        !weir_router_idle(service->router, number)) {
        return;
    }
    weir_tenants_close(service, number);
    weir_spool_look(service->spool, &stat);
    bool is_owed = stat.backlog_records[number] > 0 &&
                   weir_tenants_template(service, slot->template_slot, NULL) != NULL;
    if (is_owed) {
        (void)pthread_mutex_lock(&service->reload.look);
        slot->is_known = false;
        (void)pthread_mutex_unlock(&service->reload.look);
        slot->must_leave = false;
        slot->is_busy = true;
        weir_tenants_put(service, number, WEIR_TENANT_RETURNING);
        service->tenants.is_stale = true;
        return;
    }
    weir_spool_destination_remove(service->spool, number);
    weir_tenants_put(service, number, WEIR_TENANT_GONE);
}

static void step_gone(struct weir_service *service, uint32_t number)
{
    struct weir_tenant_slot *slot = slot_at(service, number);
    if (weir_spool_destination_free(service->spool, number) != WEIR_OK) {
        return;
    }
    weir_log(WEIR_LOG_INFO, "tenant closed", WEIR_LOG_STR("destination", slot->name),
             WEIR_LOG_STR("host", slot->tenant.host), WEIR_LOG_STR("key", slot->tenant.key_name));
    (void)pthread_mutex_lock(&service->reload.look);
    clear_gauges(slot);
    *slot = (struct weir_tenant_slot){.phase = WEIR_TENANT_FREE};
    service->destinations[number] = (struct weir_destination_options){.name = NULL};
    (void)pthread_mutex_unlock(&service->reload.look);
}

/* Its exporter is FREE, and it is to have one, if only to be emptied. */
static void reopen(struct weir_service *service, uint32_t number)
{
    struct weir_tenant_slot *slot = slot_at(service, number);
    enum weir_tenant_phase before = slot->phase;
    weir_tenants_open(service, number);
    service->tenants.is_stale = service->tenants.is_stale || slot->phase != before;
    if (slot->phase == WEIR_TENANT_OPEN && slot->must_leave) {
        weir_tenants_leave(service, number);
    }
}

static void step_slot(struct weir_service *service, uint32_t number)
{
    struct weir_tenant_slot *slot = slot_at(service, number);
    bool is_closed = weir_exporter_state(service->exporter, number) == WEIR_EXPORT_SLOT_FREE;
    switch (slot->phase) {
    case WEIR_TENANT_FREE:
    case WEIR_TENANT_RETURNING:
    case WEIR_TENANT_OPEN: break;
    case WEIR_TENANT_HELD:
        if (weir_clock_mono_ns() >= slot->retry_ns) {
            reopen(service, number);
        }
        break;
    case WEIR_TENANT_SWAPPING:
        if (is_closed) {
            reopen(service, number);
        }
        break;
    case WEIR_TENANT_LEAVING:
        if (!service->tenants.is_stale && weir_slots_left(&service->reload, number)) {
            weir_tenants_put(service, number, WEIR_TENANT_FLUSHING);
            int64_t wait_ns = slot->must_leave ? 0 : service->live->drain.deadline_ns;
            weir_exporter_close(service->exporter, number, WEIR_CLOSE_FLUSH,
                                weir_clock_mono_ns() + wait_ns);
        }
        break;
    case WEIR_TENANT_FLUSHING: step_flushing(service, number); break;
    case WEIR_TENANT_GONE: step_gone(service, number); break;
    }
}

static bool has_any(const struct weir_service *service)
{
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        if (weir_tenants_has(service, i)) {
            return true;
        }
    }
    return false;
}

bool weir_tenants_swapping(const struct weir_service *service)
{
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        if (service->tenants.slots[i].phase == WEIR_TENANT_SWAPPING) {
            return true;
        }
    }
    return false;
}

int64_t weir_tenants_step(struct weir_service *service)
{
    bool has_template = tell_full(service);
    if (!has_template && !has_any(service)) {
        return -1;
    }
    take_claims(service);
    look(service);
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        step_slot(service, i);
    }
    if (service->tenants.is_stale && weir_slots_route(service)) {
        service->tenants.is_stale = false;
    }
    (void)tell_full(service);
    return TICK_NS;
}

void weir_tenants_done(struct weir_service *service)
{
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        weir_tenants_close(service, i);
    }
}
