/* SPDX-License-Identifier: Apache-2.0 */
#include "tenants_internal.h"
#include "weir/metrics.h"
#include <inttypes.h>

enum { STATE_OPEN, STATE_HELD, STATE_RETURNING, STATE_CLOSING, STATES };

static const char *const names[STATES] = {"open", "held", "returning", "closing"};

/* STATES: none. */
static int state_of(enum weir_tenant_phase phase)
{
    switch (phase) {
    case WEIR_TENANT_FREE: break;
    case WEIR_TENANT_OPEN:
    case WEIR_TENANT_SWAPPING: return STATE_OPEN;
    case WEIR_TENANT_HELD: return STATE_HELD;
    case WEIR_TENANT_RETURNING: return STATE_RETURNING;
    case WEIR_TENANT_LEAVING:
    case WEIR_TENANT_FLUSHING:
    case WEIR_TENANT_GONE: return STATE_CLOSING;
    }
    return STATES;
}

static void count(const struct weir_service *service, uint32_t template_slot,
                  uint32_t counts[STATES + 1])
{
    memset(counts, 0, (STATES + 1) * sizeof *counts);
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        const struct weir_tenant_slot *slot = &service->tenants.slots[i];
        if (slot->phase != WEIR_TENANT_FREE && slot->template_slot == template_slot) {
            counts[state_of(slot->phase)]++;
        }
    }
}

/* As the slot has it, which other threads may look at, other than what is wanted of it. */
static const struct weir_config_destination *template_of(const struct weir_service *service,
                                                         uint32_t number)
{
    const struct weir_slot *slot = &service->reload.slots[number];
    const struct weir_config_destination *found =
        slot->phase == WEIR_SLOT_FREE ? NULL : weir_slot_destination(slot);
    return found == NULL || found->tenant == NULL ? NULL : found;
}

void weir_tenants_put_status(const struct weir_service *service, struct weir_buf *out)
{
    const char *comma = "";
    weir_buf_put(out, WEIR_BYTES("  \"tenants\": ["));
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        const struct weir_config_destination *template_ = template_of(service, i);
        uint32_t counts[STATES + 1];
        if (template_ == NULL) {
            continue;
        }
        count(service, i, counts);
        weir_buf_printf(out, "%s{\"template\": \"%s\", \"max\": %" PRIu32, comma, template_->name,
                        template_->tenants.max);
        for (int state = 0; state < STATES; state++) {
            weir_buf_printf(out, ", \"%s\": %" PRIu32, names[state], counts[state]);
        }
        weir_buf_put_byte(out, '}');
        comma = ", ";
    }
    weir_buf_put(out, WEIR_BYTES("],\n"));
}

const char *weir_service_slot_name(const struct weir_service *service, uint32_t slot)
{
    const struct weir_slot *mine = &service->reload.slots[slot];
    return weir_tenants_has(service, slot) ? service->tenants.slots[slot].name
           : mine->phase != WEIR_SLOT_FREE ? weir_slot_destination(mine)->name
                                           : NULL;
}

static void tell_who(const struct weir_tenant_slot *slot)
{
    if (slot->phase != WEIR_TENANT_FREE && slot->is_known) {
        const struct weir_bytes labels[] = {weir_bytes_str(slot->name),
                                            weir_bytes_str(slot->tenant.host),
                                            weir_bytes_str(slot->tenant.key_name)};
        weir_metrics_set(weir_metrics_series(WEIR_M_TENANT_INFO, labels), 1);
    }
}

void weir_tenants_gauges(const struct weir_service *service)
{
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        const struct weir_config_destination *template_ = template_of(service, i);
        uint32_t counts[STATES + 1];
        tell_who(&service->tenants.slots[i]);
        if (template_ == NULL) {
            continue;
        }
        count(service, i, counts);
        for (int state = 0; state < STATES; state++) {
            const struct weir_bytes labels[] = {weir_bytes_str(template_->name),
                                                weir_bytes_str(names[state])};
            weir_metrics_set(weir_metrics_series(WEIR_M_TENANTS, labels), counts[state]);
        }
    }
}
