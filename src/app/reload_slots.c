/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots: each destination from what it is to what it is to be, a step at a time.
 *
 * A slot is the same number in the router (its row of rings), the exporter (the machine that sends)
 * and the spool (its bit in `owed`). The spool owns the table of names and slots; this file owns
 * the order in which the three are told:
 *
 *                 added, by a reload: spool, exporter, set, mask
 *   FREE ──────────────────────────────────────────────────────────► ON
 *    ▲                                                               │ ▲
 *    │                    other options: mask, exporter SWAP         │ │ FREE: opened again, mask
 *    │                                            SWAPPING ◄─────────┤ │
 *    │                                               └───────────────┼─┘
 *    │                              not wanted: mask, set without it │ ▲ wanted again: set
 *    │                                             LEAVING ◄─────────┘─┘
 *    │                                                │ sets with it released: exporter FLUSH
 *    │                                                ▼      wanted again: opened when it is FREE
 *    │                                             FLUSHING ───────────────────────────► ON
 *    │ nothing owed, router idle: spool free          │ exporter FREE: spool remove
 *    └────────────────────────── GONE ◄───────────────┘      wanted again: as added
 *
 *   ON ─► LEAVING, LEAVING ─► ON, FREE and GONE ─► ON are taken by reload.c, when it publishes;
 *   all others by step_slot.
 *
 *   I1  the exporter of a slot is open in ON and LEAVING; requests may be owed to it in ON,
 *       SWAPPING and LEAVING (and, wanted again, FLUSHING, disk-only)
 *   I2  the backlog brings only what is owed to slots that are ON: the mask is told before anything
 *       begins to close, and after it is open
 *   I3  a slot that is not FREE holds the generation that its exporter's options point into
 *   I4  unchanged destinations are in ON all the time, and nobody is told anything about them but
 *       their share of memory
 *
 * A step does what can be done now and waits for nothing, so that signals are heard; what it waits
 * for (the exporter, the router, the spool) is asked again with the next one. Opening can fail
 * where a file went away since it was tried: the slot then stays closed, its data waits (on disk,
 * or in its rings), and it is tried again each second, with a line in the log. A stop in the middle
 * is none the wiser: what is owed to a removed destination is on disk under its name, and the next
 * start finds it there.
 *
 * Main thread. Slots are looked at by the admin thread too, under reload.look.
 */
#include "reload_internal.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include <poll.h>
#include <stdio.h>

#define SOON_NS  (10 * WEIR_NS_PER_MS)
#define LATER_NS (500 * WEIR_NS_PER_MS)

static const struct weir_config_destination *
destination_of(const struct weir_generation *generation, uint32_t index)
{
    const struct weir_config_destination *all = generation->config->destinations.items;
    WEIR_ASSERT(index < generation->config->destinations.count);
    return &all[index];
}

const struct weir_config_destination *weir_slot_destination(const struct weir_slot *slot)
{
    return destination_of(slot->generation, slot->index);
}

enum weir_config_difference weir_slot_compare(const struct weir_slot *slot,
                                              const struct weir_generation *generation,
                                              uint32_t index)
{
    const struct weir_digest *before = &slot->generation->files[slot->index];
    const struct weir_digest *after = &generation->files[index];
    enum weir_config_difference difference = weir_config_compare_destinations(
        weir_slot_destination(slot), destination_of(generation, index));
    bool same_files = memcmp(before->bytes, after->bytes, sizeof before->bytes) == 0;
    return same_files ? difference : WEIR_CONFIG_OTHER;
}

void weir_slot_put(struct weir_service *service, uint32_t number, enum weir_slot_phase phase,
                   struct weir_generation *generation, uint32_t index)
{
    struct weir_slot *slot = &service->reload.slots[number];
    struct weir_generation *before = slot->generation;
    if (generation != NULL) {
        generation->holds++;
    }
    (void)pthread_mutex_lock(&service->reload.look);
    slot->phase = phase;
    slot->generation = generation;
    slot->index = index;
    (void)pthread_mutex_unlock(&service->reload.look);
    if (before != NULL) {
        before->holds--;
    }
}

static void put_phase(struct weir_service *service, uint32_t number, enum weir_slot_phase phase)
{
    const struct weir_slot *slot = &service->reload.slots[number];
    weir_slot_put(service, number, phase, slot->generation, slot->index);
}

/* The exporter counts for a name as long as its slot is nobody else's: what was delivered to the
 * one before is added up here. */
void weir_slot_note_name(struct weir_reload *reload, uint32_t number, const char *name,
                         uint64_t delivered)
{
    struct weir_slot *slot = &reload->slots[number];
    if (strcmp(slot->last_name, name) != 0) {
        (void)pthread_mutex_lock(&reload->look);
        reload->delivered_before += delivered;
        (void)pthread_mutex_unlock(&reload->look);
        (void)snprintf(slot->last_name, sizeof slot->last_name, "%s", name);
    }
}

enum weir_status weir_slot_open(struct weir_service *service, uint32_t number,
                                struct weir_generation *generation, uint32_t index)
{
    struct weir_destination_options *options = &service->destinations[number];
    struct weir_destination_options before = *options;
    WEIR_ASSERT(weir_exporter_state(service->exporter, number) == WEIR_EXPORT_SLOT_FREE);
    if (destination_of(generation, index)->tenant != NULL) { /* its tenants send, it does not */
        weir_slot_put(service, number, WEIR_SLOT_ON, generation, index);
        return WEIR_OK;
    }
    (void)pthread_mutex_lock(&service->reload.look);
    weir_service_fill_destination(options, destination_of(generation, index));
    options->export_bytes = service->shares.export_bytes / generation->config->destinations.count;
    (void)pthread_mutex_unlock(&service->reload.look);
    uint64_t delivered = weir_exporter_status(service->exporter, number).points_delivered;
    enum weir_status status = weir_exporter_open(service->exporter, number, options);
    if (status != WEIR_OK) {
        (void)pthread_mutex_lock(&service->reload.look);
        *options = before;
        (void)pthread_mutex_unlock(&service->reload.look);
        return status;
    }
    weir_slot_note_name(&service->reload, number, options->name, delivered);
    weir_slot_put(service, number, WEIR_SLOT_ON, generation, index);
    return WEIR_OK;
}

void weir_slots_deliver(struct weir_service *service, uint64_t slots)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        bool is_on = service->reload.slots[i].phase == WEIR_SLOT_ON;
        mask |= (uint64_t)is_on << i;
    }
    mask |= weir_tenants_deliverable(service);
    weir_custody_deliver(service->custody, mask & slots);
}

/* Whether no request goes by a set with this slot any more. */
bool weir_slots_left(const struct weir_reload *reload, uint32_t number)
{
    for (const struct weir_route_record *it = reload->records; it != NULL; it = it->next) {
        /* acquire: pairs with the release in on_released */
        if ((it->slots >> number & 1) != 0 &&
            !atomic_load_explicit(&it->is_released, memory_order_acquire)) {
            return false;
        }
    }
    return true;
}

/* Opens a slot whose exporter is FREE: for what is wanted, or once more for what it was, so that
 * what is in its rings can leave. */
static void reopen(struct weir_service *service, uint32_t number)
{
    struct weir_slot *slot = &service->reload.slots[number];
    struct weir_generation *generation = slot->is_wanted ? service->reload.live : slot->generation;
    uint32_t index = slot->is_wanted ? slot->wanted : slot->index;
    if (weir_clock_mono_ns() < slot->retry_ns) {
        return;
    }
    enum weir_status status = weir_slot_open(service, number, generation, index);
    if (status != WEIR_OK) {
        slot->retry_ns = weir_clock_mono_ns() + WEIR_NS_PER_S;
        weir_log(WEIR_LOG_ERROR, "destination not opened",
                 WEIR_LOG_STR("destination", destination_of(generation, index)->name),
                 WEIR_LOG_STR("reason", weir_status_text(status)),
                 WEIR_LOG_STR("do", "its data waits; it is tried again each second"));
        return;
    }
    if (slot->is_wanted) {
        weir_slots_deliver(service, UINT64_MAX);
    } else { /* it was being swapped when it was removed: it is in no set already */
        put_phase(service, number, WEIR_SLOT_LEAVING);
    }
}

/* How long a machine that makes room for another may wait for answers. With a disk nothing but
 * answers is waited for, and requests end by themselves. */
static int64_t swap_deadline(const struct weir_service *service, const struct weir_slot *slot)
{
    bool keeps = service->config->spool.durability == WEIR_DURABILITY_DISK;
    return weir_clock_mono_ns() + (keeps ? weir_slot_destination(slot)->timeout_ns + WEIR_NS_PER_S
                                         : service->live->drain.deadline_ns);
}

static void step_on(struct weir_service *service, uint32_t number)
{
    const struct weir_slot *slot = &service->reload.slots[number];
    if (weir_slot_compare(slot, service->reload.live, slot->wanted) == WEIR_CONFIG_OTHER) {
        int64_t deadline_ns = swap_deadline(service, slot);
        put_phase(service, number, WEIR_SLOT_SWAPPING);
        weir_slots_deliver(service, UINT64_MAX);
        weir_exporter_close(service->exporter, number, WEIR_CLOSE_SWAP, deadline_ns);
    }
}

bool weir_slots_route(struct weir_service *service)
{
    uint32_t wanted[WEIR_DESTINATIONS_MAX];
    struct weir_route_destination rows[WEIR_DESTINATIONS_MAX];
    struct weir_route_set set;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        const struct weir_slot *slot = &service->reload.slots[i];
        wanted[i] = slot->is_wanted ? slot->wanted : WEIR_NOT_WANTED;
    }
    if (weir_reload_make_set(service, service->reload.live, wanted, rows, &set) != WEIR_OK) {
        return false;
    }
    if (weir_router_configure(service->router, &set) != WEIR_OK) {
        weir_reload_drop_set(&set);
        return false;
    }
    weir_reload_keep_set(service, &set);
    weir_slots_deliver(service, UINT64_MAX);
    return true;
}

/* A set in which it is no longer disk-only. */
static void route_again(struct weir_service *service, uint32_t number)
{
    if (!weir_slots_route(service)) {
        weir_log(WEIR_LOG_WARN, "destination stays disk-only",
                 WEIR_LOG_STR("destination", service->destinations[number].name),
                 WEIR_LOG_STR("reason", "out of memory; the next reload tries again"));
    }
}

static void step_flushing(struct weir_service *service, uint32_t number)
{
    struct weir_slot *slot = &service->reload.slots[number];
    if (weir_exporter_state(service->exporter, number) != WEIR_EXPORT_SLOT_FREE) {
        return;
    }
    if (slot->is_wanted) {
        reopen(service, number);
        if (slot->phase == WEIR_SLOT_ON) {
            route_again(service, number);
        }
        return;
    }
    weir_spool_destination_remove(service->spool, number);
    put_phase(service, number, WEIR_SLOT_GONE);
}

/* Its gauges end at nothing; its counters stay. */
static void clear_gauges(const char *name)
{
    struct weir_bytes label[] = {weir_bytes_str(name)};
    weir_metrics_set(weir_metrics_series(WEIR_M_SPOOL_BACKLOG, label), 0);
    weir_metrics_set(weir_metrics_series(WEIR_M_SPOOL_BACKLOG_BYTES, label), 0);
}

static void step_gone(struct weir_service *service, uint32_t number)
{
    const struct weir_slot *slot = &service->reload.slots[number];
    if (!weir_router_idle(service->router, number) ||
        weir_spool_destination_free(service->spool, number) != WEIR_OK) {
        return;
    }
    const char *name = weir_slot_destination(slot)->name;
    uint64_t delivered = weir_exporter_status(service->exporter, number).points_delivered;
    weir_log(WEIR_LOG_INFO, "destination removed", WEIR_LOG_STR("destination", name),
             WEIR_LOG_INT("points_delivered", delivered));
    clear_gauges(name);
    weir_slot_put(service, number, WEIR_SLOT_FREE, NULL, 0);
}

/* One slot; when to look at it again, or -1. */
static int64_t step_slot(struct weir_service *service, uint32_t number)
{
    const struct weir_slot *slot = &service->reload.slots[number];
    switch (slot->phase) {
    case WEIR_SLOT_FREE: break;
    case WEIR_SLOT_ON: step_on(service, number); break;
    case WEIR_SLOT_SWAPPING:
        if (weir_exporter_state(service->exporter, number) == WEIR_EXPORT_SLOT_FREE) {
            reopen(service, number);
        }
        break;
    case WEIR_SLOT_LEAVING:
        if (weir_slots_left(&service->reload, number)) {
            int64_t deadline_ns = weir_clock_mono_ns() + service->live->drain.deadline_ns;
            put_phase(service, number, WEIR_SLOT_FLUSHING);
            weir_exporter_close(service->exporter, number, WEIR_CLOSE_FLUSH, deadline_ns);
        }
        break;
    case WEIR_SLOT_FLUSHING: step_flushing(service, number); break;
    case WEIR_SLOT_GONE: step_gone(service, number); break;
    }
    return slot->phase == WEIR_SLOT_FREE || slot->phase == WEIR_SLOT_ON ? -1
           : slot->phase == WEIR_SLOT_GONE                              ? LATER_NS
                                                                        : SOON_NS;
}

int64_t weir_reload_step(struct weir_service *service)
{
    int64_t wait_ns = -1;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        int64_t its_ns = step_slot(service, i);
        wait_ns = its_ns >= 0 && (wait_ns < 0 || its_ns < wait_ns) ? its_ns : wait_ns;
    }
    weir_reload_collect(service);
    return wait_ns < 0 && service->reload.records != NULL && service->reload.records->next != NULL
               ? LATER_NS
               : wait_ns;
}

static bool is_swapping(const struct weir_reload *reload)
{
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        if (reload->slots[i].phase == WEIR_SLOT_SWAPPING) {
            return true;
        }
    }
    return false;
}

void weir_reload_settle(struct weir_service *service, int64_t wait_ns)
{
    int64_t end_ns = weir_clock_mono_ns() + wait_ns;
    while (is_swapping(&service->reload) && weir_clock_mono_ns() < end_ns) {
        (void)weir_reload_step(service);
        (void)poll(NULL, 0, (int)(SOON_NS / WEIR_NS_PER_MS));
    }
}
