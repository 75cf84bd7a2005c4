/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tenants: who has which slot, and what the router knows of it.
 *
 *   ingest loop, backlog ─claim─► claims ─► main thread: slot of the spool, exporter, set ─► router
 *
 *   slot   phase     tenant                  the router's row
 *    5     OPEN      https://a..., team-a    live; requests find it by what they name
 *    6     RETURNING dynatrace-2w34fl5rf5qec disk-only; the backlog reads who it is
 *    7     HELD      https://b..., team-b    disk-only until its token's file can be read
 *
 * The spool owns the table of names and slots, as for destinations of the configuration; the
 * reload's table (reload_slots.c) and this one never have the same slot. A tenant's name is a hash
 * of what it is (weir/tenant.h), so nothing is kept over a restart but what is owed.
 *
 *   I1  a set of the router has a row for each tenant that requests may be owed to, with filters
 *       of that set's own configuration; a tenant that this configuration does not allow is in it
 *       without its identity, disk-only, and what it is owed becomes letters
 *   I2  slot.tenant is not written while a set of the router may point to it
 *   I3  at most tenants.max of a template are more than RETURNING
 *
 * A claim is looked at within TICK_NS. Until then, and while the slot is being made, the request is
 * answered 503 and comes again. Main thread, but for the claimer.
 */
#include "tenants_internal.h"
#include "weir/clock.h"
#include "weir/panic.h"
#include <stdio.h>

static const struct weir_config_destination *destinations(const struct weir_config *config)
{
    return config->destinations.items;
}

const struct weir_config_destination *weir_tenants_template(const struct weir_service *service,
                                                            uint32_t template_slot,
                                                            uint32_t *ret_index)
{
    const struct weir_slot *slot = &service->reload.slots[template_slot];
    const struct weir_config_destination *found =
        slot->is_wanted ? &destinations(service->reload.live->config)[slot->wanted] : NULL;
    if (found == NULL || found->tenant == NULL) {
        return NULL;
    }
    if (ret_index != NULL) {
        *ret_index = slot->wanted;
    }
    return found;
}

void weir_tenants_put(struct weir_service *service, uint32_t number, enum weir_tenant_phase phase)
{
    (void)pthread_mutex_lock(&service->reload.look);
    service->tenants.slots[number].phase = phase;
    (void)pthread_mutex_unlock(&service->reload.look);
}

bool weir_tenants_has(const struct weir_service *service, uint32_t slot)
{
    return service->tenants.slots[slot].phase != WEIR_TENANT_FREE;
}

enum weir_tenant_claim weir_tenants_claim(void *argument, uint32_t template_slot,
                                          const struct weir_tenant *tenant, bool has_slot)
{
    struct weir_service *service = argument;
    /* relaxed: partner is the store in the main thread's step; late by a request is fine */
    uint64_t full = atomic_load_explicit(&service->tenants.full, memory_order_relaxed);
    if (!has_slot && (full >> template_slot & 1) != 0) {
        return WEIR_CLAIM_LIMIT;
    }
    weir_tenant_claims_put(&service->tenants.claims, template_slot, tenant);
    return WEIR_CLAIM_STARTING;
}

/* -- a start -------------------------------------------------------------------------------- */

/* The template whose tenant might have the name; WEIR_NOT_WANTED: none. */
static uint32_t template_of_name(const struct weir_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        const struct weir_config_destination *destination = &destinations(config)[i];
        if (destination->tenant != NULL && weir_tenant_is_name(destination->name, name)) {
            return i;
        }
    }
    return WEIR_NOT_WANTED;
}

void weir_tenants_find(struct weir_service *service)
{
    struct weir_spool_stat stat = {0};
    weir_spool_look(service->spool, &stat);
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        struct weir_tenant_slot *slot = &service->tenants.slots[i];
        char name[WEIR_TENANT_NAME_SIZE];
        if ((stat.gone >> i & 1) == 0 || !weir_spool_destination_name(service->spool, i, name)) {
            continue;
        }
        uint32_t index = template_of_name(service->config, name);
        uint32_t number = i;
        if (index == WEIR_NOT_WANTED) {
            continue;
        }
        const struct weir_spool_destination named = {
            .name = name, .share = destinations(service->config)[index].spool_share};
        if (weir_spool_destination_open(service->spool, &named, &number) == WEIR_OK) {
            WEIR_ASSERT(number == i);
            (void)snprintf(slot->name, sizeof slot->name, "%s", name);
            slot->template_slot = index; /* at a start destination i has slot i */
            slot->active_ns = weir_clock_mono_ns();
            slot->phase = WEIR_TENANT_RETURNING;
        }
    }
}

/* -- the router's sets ---------------------------------------------------------------------- */

/* How many of a template have an exporter, or are to get one. */
static uint32_t count_more_than_returning(const struct weir_tenants *tenants,
                                          uint32_t template_slot)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        const struct weir_tenant_slot *slot = &tenants->slots[i];
        bool is_more = slot->phase == WEIR_TENANT_OPEN || slot->phase == WEIR_TENANT_HELD ||
                       slot->phase == WEIR_TENANT_SWAPPING;
        count += is_more && slot->template_slot == template_slot ? 1 : 0;
    }
    return count;
}

/* Of those that return as many are read at a time as may be open at a time. */
static bool may_have_row(const struct weir_tenants *tenants, uint32_t number,
                         const struct weir_config_destination *template_)
{
    const struct weir_tenant_slot *slot = &tenants->slots[number];
    switch (slot->phase) {
    case WEIR_TENANT_OPEN:
    case WEIR_TENANT_HELD:
    case WEIR_TENANT_SWAPPING: return true;
    case WEIR_TENANT_RETURNING: break;
    case WEIR_TENANT_FREE:
    case WEIR_TENANT_LEAVING:
    case WEIR_TENANT_FLUSHING:
    case WEIR_TENANT_GONE: return false;
    }
    uint32_t count = count_more_than_returning(tenants, slot->template_slot);
    for (uint32_t i = 0; i < number; i++) {
        const struct weir_tenant_slot *other = &tenants->slots[i];
        count +=
            other->phase == WEIR_TENANT_RETURNING && other->template_slot == slot->template_slot
                ? 1
                : 0;
    }
    return count < template_->tenants.max;
}

/* A tenant's part of its template's share of queued bytes; the largest request has to fit, or it
 * would be disk-only for ever. */
static size_t share_of(const struct weir_config *config,
                       const struct weir_config_destination *template_)
{
    size_t whole = weir_config_shares(config).destination;
    size_t part = whole / template_->tenants.max;
    size_t least = config->ingest.body_limit < whole ? config->ingest.body_limit : whole;
    return part > least ? part : least;
}

uint64_t weir_tenants_put_rows(struct weir_service *service, const struct weir_config *config,
                               const uint32_t *wanted, struct weir_route_destination *rows)
{
    uint64_t slots = 0;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        struct weir_tenant_slot *slot = &service->tenants.slots[i];
        slot->has_row = false;
        if (slot->phase == WEIR_TENANT_FREE || wanted[slot->template_slot] == WEIR_NOT_WANTED) {
            continue;
        }
        const struct weir_config_destination *template_ =
            &destinations(config)[wanted[slot->template_slot]];
        if (template_->tenant == NULL || !may_have_row(&service->tenants, i, template_)) {
            continue;
        }
        bool is_whole;
        bool is_live = slot->phase == WEIR_TENANT_OPEN || slot->phase == WEIR_TENANT_SWAPPING;
        bool is_good =
            slot->is_known && weir_tenant_allowed(template_->tenant, &slot->tenant, &is_whole);
        weir_service_fill_route(&rows[i], template_);
        rows[i].name = slot->name;
        rows[i].share = share_of(config, template_);
        rows[i].wake = weir_exporter_wake(service->exporter, i);
        rows[i].is_tenant = true;
        rows[i].template_slot = slot->template_slot;
        rows[i].tenant = is_good ? &slot->tenant : NULL;
        rows[i].is_disk_only = !is_live || !is_good;
        slot->has_row = true;
        slots |= UINT64_C(1) << i;
    }
    return slots;
}

uint64_t weir_tenants_deliverable(const struct weir_service *service)
{
    uint64_t slots = 0;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        const struct weir_tenant_slot *slot = &service->tenants.slots[i];
        bool is_read = slot->phase == WEIR_TENANT_OPEN || slot->phase == WEIR_TENANT_RETURNING;
        slots |= (uint64_t)(is_read && slot->has_row) << i;
    }
    return slots;
}

/* -- a reload ------------------------------------------------------------------------------- */

static bool same_text(const char *one, const char *other)
{
    return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

/* Whether a tenant of the old template is one of the new: the same words make it of the same
 * attributes, and its host may still be named. */
static bool is_still_one(struct weir_tenant_slot *slot, const struct weir_tenant_options *before,
                         const struct weir_tenant_options *now)
{
    bool is_whole = slot->tenant.is_listed_whole;
    return same_text(before->endpoint, now->endpoint) && same_text(before->verify, now->verify) &&
           weir_tenant_allowed(now, &slot->tenant, &is_whole);
}

static void reload_one(struct weir_service *service, uint32_t number)
{
    struct weir_tenant_slot *slot = &service->tenants.slots[number];
    uint32_t index = 0;
    const struct weir_config_destination *template_ =
        weir_tenants_template(service, slot->template_slot, &index);
    if (template_ == NULL) {
        slot->must_leave = slot->phase == WEIR_TENANT_SWAPPING;
        if (!slot->must_leave) {
            weir_tenants_leave(service, number);
        }
        return;
    }
    const struct weir_spool_destination named = {.name = slot->name,
                                                 .share = template_->spool_share};
    uint32_t same = number;
    (void)!weir_spool_destination_open(service->spool, &named, &same);
    WEIR_ASSERT(same == number);
    if (slot->phase == WEIR_TENANT_HELD && !slot->must_leave) {
        weir_tenants_leave(service, number); /* what it is owed brings it back, if it may */
    }
    if (slot->generation == NULL || slot->must_leave) {
        return;
    }
    const struct weir_config_destination *before =
        &destinations(slot->generation->config)[slot->index];
    slot->must_leave = !is_still_one(slot, before->tenant, template_->tenant);
    if (slot->phase == WEIR_TENANT_OPEN && slot->must_leave) {
        weir_tenants_leave(service, number);
    } else if (slot->phase == WEIR_TENANT_OPEN) {
        weir_tenants_swap(service, number);
    }
}

void weir_tenants_reloaded(struct weir_service *service)
{
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        switch (service->tenants.slots[i].phase) {
        case WEIR_TENANT_RETURNING:
        case WEIR_TENANT_OPEN:
        case WEIR_TENANT_HELD:
        case WEIR_TENANT_SWAPPING: reload_one(service, i); break;
        case WEIR_TENANT_FREE:
        case WEIR_TENANT_LEAVING:
        case WEIR_TENANT_FLUSHING:
        case WEIR_TENANT_GONE: break;
        }
    }
}
