/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations: loaded configurations, and what holds them; the sets of the router that point into
 * them. The picture is in reload.c.
 *
 *   I1  holds = (it is live) + slots of it + records of it; at 0 it is freed by the next collect
 *   I2  the first is never freed before the end: later ones have its values for what needs a
 *       restart, and its memory is the caller's
 *   I3  a record lives until its set is released, which the last request that goes by it does, on
 *       any thread, by one store; freeing is the main thread's
 *
 * Main thread, but for on_released.
 */
#include "reload_internal.h"
#include "weir/clock.h"
#include "weir/file.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdio.h>

enum { TLS_FILE_MAX = 1 << 20 };

static const struct weir_config_destination *destinations(const struct weir_generation *generation)
{
    return generation->config->destinations.items;
}

/* What the file holds, mixed into `digest`; one that cannot be read is as good as none: the
 * exporter will say so. */
static void add_file(struct weir_digest *digest, const char *path)
{
    uint8_t *data = NULL;
    size_t size = 0;
    struct weir_digest both[2] = {*digest, {{0}}};
    if (path == NULL || weir_file_read(path, TLS_FILE_MAX, &data, &size) != WEIR_OK) {
        return;
    }
    if (weir_digest_of(weir_bytes_of(data, size), &both[1]) == WEIR_OK) {
        struct weir_bytes mixed = weir_bytes_of((const uint8_t *)both, sizeof both);
        (void)!weir_digest_of(mixed, digest);
    }
    explicit_bzero(data, size);
    weir_mem_free(data);
}

/* Certificates and keys of destinations: what of them changes under the same name counts too. */
static void look_at_files(struct weir_generation *generation)
{
    const struct weir_config_destination *all = destinations(generation);
    for (uint32_t i = 0; i < generation->config->destinations.count; i++) {
        add_file(&generation->files[i], all[i].tls.ca_file);
        add_file(&generation->files[i], all[i].tls.certificate);
        add_file(&generation->files[i], all[i].tls.key);
        add_file(&generation->files[i], all[i].oauth2.ca_file);
    }
}

struct weir_generation *weir_generation_new(struct weir_reload *reload, struct weir_config *config,
                                            bool is_first)
{
    struct weir_generation *generation = weir_mem_zalloc(1, sizeof *generation);
    if (generation != NULL) {
        generation->config = config;
        generation->is_first = is_first;
        generation->next = reload->generations;
        reload->generations = generation;
        look_at_files(generation);
    }
    return generation;
}

static void generation_free(struct weir_generation *generation)
{
    if (!generation->is_first) {
        weir_config_free(generation->config);
    }
    weir_mem_free(generation);
}

enum weir_status weir_reload_init(struct weir_service *service, const struct weir_config *config)
{
    struct weir_reload *reload = &service->reload;
    int made = pthread_mutex_init(&reload->look, NULL);
    WEIR_ASSERT(made == 0);
    service->config = config;
    service->live = config;
    /* never written to, and not freed: it is the first */
    reload->live = weir_generation_new(reload, (struct weir_config *)(uintptr_t)config, true);
    if (reload->live == NULL) {
        return WEIR_ENOMEM;
    }
    reload->live->holds++;
    reload->live_wall_ns = weir_clock_wall_ns();
    reload->tried_wall_ns = reload->live_wall_ns;
    return WEIR_OK;
}

void weir_reload_first_slots(struct weir_service *service)
{
    struct weir_reload *reload = &service->reload;
    const struct weir_config_destination *all = destinations(reload->live);
    for (uint32_t i = 0; i < service->config->destinations.count; i++) {
        struct weir_slot *slot = &reload->slots[i];
        if (all[i].tenant == NULL) { /* a template's slot has no exporter */
            weir_service_fill_destination(&service->destinations[i], &all[i]);
        }
        weir_slot_put(service, i, WEIR_SLOT_ON, reload->live, i);
        slot->is_wanted = true;
        slot->wanted = i;
        (void)snprintf(slot->last_name, sizeof slot->last_name, "%s", all[i].name);
    }
}

static void on_released(void *argument)
{
    struct weir_route_record *record = argument;
    /* release: pairs with the acquire in weir_reload_collect and is_left */
    atomic_store_explicit(&record->is_released, true, memory_order_release);
}

/* What a replay brings says of no tenant whose it is. */
static bool takes_part(const struct weir_service *service,
                       const struct weir_config_destination *destination)
{
    return !service->replaying || destination->tenant == NULL;
}

enum weir_status weir_reload_make_set(struct weir_service *service,
                                      struct weir_generation *generation, const uint32_t *wanted,
                                      struct weir_route_destination *rows,
                                      struct weir_route_set *ret)
{
    const struct weir_config_destination *all = destinations(generation);
    struct weir_config_shares shares = weir_config_shares(generation->config);
    struct weir_route_record *record = weir_mem_zalloc(1, sizeof *record);
    if (record == NULL) {
        return WEIR_ENOMEM;
    }
    record->generation = generation;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        if (wanted[i] != WEIR_NOT_WANTED && takes_part(service, &all[wanted[i]])) {
            weir_service_fill_route(&rows[i], &all[wanted[i]]);
            rows[i].share = shares.destination;
            rows[i].wake = weir_exporter_wake(service->exporter, i);
            rows[i].is_disk_only = service->reload.slots[i].phase == WEIR_SLOT_FLUSHING ||
                                   all[wanted[i]].tenant != NULL;
            record->slots |= UINT64_C(1) << i;
        }
    }
    record->slots |= weir_tenants_put_rows(service, generation->config, wanted, rows);
    *ret = (struct weir_route_set){
        .destinations = rows, .slots = record->slots, .released = on_released, .argument = record};
    return WEIR_OK;
}

void weir_reload_keep_set(struct weir_service *service, const struct weir_route_set *set)
{
    struct weir_route_record *record = set->argument;
    record->generation->holds++;
    record->next = service->reload.records;
    service->reload.records = record;
}

void weir_reload_drop_set(const struct weir_route_set *set)
{
    weir_mem_free(set->argument);
}

static void collect_records(struct weir_reload *reload)
{
    struct weir_route_record **place = &reload->records;
    while (*place != NULL) {
        struct weir_route_record *record = *place;
        /* acquire: pairs with the release in on_released */
        if (!atomic_load_explicit(&record->is_released, memory_order_acquire)) {
            place = &record->next;
            continue;
        }
        *place = record->next;
        record->generation->holds--;
        weir_mem_free(record);
    }
}

void weir_reload_collect(struct weir_service *service)
{
    struct weir_reload *reload = &service->reload;
    struct weir_generation **place = &reload->generations;
    collect_records(reload);
    while (*place != NULL) {
        struct weir_generation *generation = *place;
        if (generation->holds > 0 || generation->is_first) { /* kept values point into the first */
            place = &generation->next;
            continue;
        }
        *place = generation->next;
        generation_free(generation);
    }
}

void weir_reload_done(struct weir_service *service)
{
    struct weir_reload *reload = &service->reload;
    weir_tenants_done(service);
    collect_records(reload); /* the router is gone, and has released all of them */
    WEIR_ASSERT(reload->records == NULL);
    while (reload->generations != NULL) {
        struct weir_generation *generation = reload->generations;
        reload->generations = generation->next;
        generation_free(generation);
    }
    (void)pthread_mutex_destroy(&reload->look);
}
