/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a reload says: the log's lines, the part of /status, the gauges.
 *
 *   configuration reloaded   hash, destinations and keys that came, went, changed: by name
 *   reload left out          keys that differ and need a restart
 *   reload refused           why; beside it each mistake of the file as a line `configuration`
 *
 * No value of a key is in any of them. The log's lines are the main thread's; /status and the
 * gauges are the admin thread's, which holds reload.look meanwhile.
 */
#include "reload_internal.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/metrics.h"
#include <inttypes.h>
#include <stdio.h>

#define HASH_SHOWN 12

static void add_name(struct weir_buf *list, const char *name)
{
    if (list->size > 0) {
        weir_buf_put(list, WEIR_BYTES(", "));
    }
    weir_buf_put(list, weir_bytes_str(name));
}

static uint32_t find_destination(const struct weir_config *config, const char *name)
{
    const struct weir_config_destination *all = config->destinations.items;
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        if (strcmp(all[i].name, name) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

static bool same_destination(const struct weir_generation *one, uint32_t i,
                             const struct weir_generation *other, uint32_t j)
{
    const struct weir_config_destination *left = one->config->destinations.items;
    const struct weir_config_destination *right = other->config->destinations.items;
    return weir_config_compare_destinations(&left[i], &right[j]) == WEIR_CONFIG_SAME &&
           memcmp(&one->files[i], &other->files[j], sizeof one->files[i]) == 0;
}

static void compare_destinations(const struct weir_generation *live,
                                 const struct weir_generation *fresh,
                                 struct weir_reload_changes *changes)
{
    const struct weir_config_destination *before = live->config->destinations.items;
    const struct weir_config_destination *after = fresh->config->destinations.items;
    for (uint32_t i = 0; i < fresh->config->destinations.count; i++) {
        uint32_t old = find_destination(live->config, after[i].name);
        if (old == UINT32_MAX) {
            add_name(&changes->added, after[i].name);
        } else if (!same_destination(live, old, fresh, i)) {
            add_name(&changes->changed, after[i].name);
        }
    }
    for (uint32_t i = 0; i < live->config->destinations.count; i++) {
        if (find_destination(fresh->config, before[i].name) == UINT32_MAX) {
            add_name(&changes->removed, before[i].name);
        }
    }
}

static const struct weir_config_access_key *find_key(const struct weir_config *config,
                                                     const char *name)
{
    const struct weir_config_access_key *all = config->ingest.access_keys.items;
    for (uint32_t i = 0; i < config->ingest.access_keys.count; i++) {
        if (strcmp(all[i].name, name) == 0) {
            return &all[i];
        }
    }
    return NULL;
}

static void compare_keys(const struct weir_config *live, const struct weir_config *fresh,
                         struct weir_reload_changes *changes)
{
    const struct weir_config_access_key *before = live->ingest.access_keys.items;
    const struct weir_config_access_key *after = fresh->ingest.access_keys.items;
    for (uint32_t i = 0; i < fresh->ingest.access_keys.count; i++) {
        const struct weir_config_access_key *old = find_key(live, after[i].name);
        if (old == NULL) {
            add_name(&changes->keys_added, after[i].name);
        } else if (!weir_config_same_key(old, &after[i])) {
            add_name(&changes->keys_changed, after[i].name);
        }
    }
    for (uint32_t i = 0; i < live->ingest.access_keys.count; i++) {
        if (find_key(fresh, before[i].name) == NULL) {
            add_name(&changes->keys_removed, before[i].name);
        }
    }
}

void weir_reload_changes_of(const struct weir_service *service, const struct weir_generation *fresh,
                            struct weir_reload_changes *ret)
{
    struct weir_buf *const lists[] = {&ret->added,      &ret->removed,      &ret->changed,
                                      &ret->keys_added, &ret->keys_removed, &ret->keys_changed};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        *lists[i] = weir_buf_fixed(ret->memory[i], sizeof ret->memory[i]);
    }
    compare_destinations(service->reload.live, fresh, ret);
    compare_keys(service->reload.live->config, fresh->config, ret);
}

/* 12 digits of a hash, or "none". */
static const char *shown(const struct weir_config *config, char memory[HASH_SHOWN + 1])
{
    (void)snprintf(memory, HASH_SHOWN + 1, "%.*s", HASH_SHOWN,
                   config->hash[0] == 0 ? "none" : config->hash);
    return memory;
}

void weir_reload_tell_report(const struct weir_config_report *report)
{
    for (uint32_t i = 0; i < report->count; i++) {
        weir_log(report->messages[i].warning ? WEIR_LOG_WARN : WEIR_LOG_ERROR, "configuration",
                 WEIR_LOG_STR("message", report->messages[i].text));
    }
}

void weir_reload_tell_refused(struct weir_service *service, const char *reason)
{
    struct weir_reload *reload = &service->reload;
    char hash[HASH_SHOWN + 1];
    (void)pthread_mutex_lock(&reload->look);
    reload->refused++;
    reload->tried_wall_ns = weir_clock_wall_ns();
    (void)snprintf(reload->reason, sizeof reload->reason, "%s", reason);
    (void)pthread_mutex_unlock(&reload->look);
    weir_log(WEIR_LOG_ERROR, "reload refused", WEIR_LOG_STR("reason", reason),
             WEIR_LOG_STR("live", shown(service->live, hash)),
             WEIR_LOG_STR("do", "nothing has changed: mend it and send SIGHUP again"));
}

static void tell_left_out(const struct weir_reload *reload)
{
    uint8_t memory[WEIR_RELOAD_WORDS_MAX];
    struct weir_buf keys = weir_buf_fixed(memory, sizeof memory);
    for (uint32_t i = 0; i < reload->restart_count; i++) {
        add_name(&keys, reload->restart[i]);
    }
    if (reload->restart_count > 0) {
        weir_log(WEIR_LOG_WARN, "reload left out", WEIR_LOG_TEXTF("keys", weir_buf_view(&keys)),
                 WEIR_LOG_STR("reason", "each needs a restart; it keeps the value that it had"));
    }
}

static bool is_open_to_the_world(const struct weir_config *config)
{
    bool local = true;
    for (const char *const *address = config->ingest.listen; *address != NULL; address++) {
        local = local && weir_config_is_loopback(*address);
    }
    return config->ingest.access_keys.none && !local;
}

void weir_reload_tell_taken(const struct weir_service *service,
                            const struct weir_reload_changes *changes)
{
    char hash[HASH_SHOWN + 1];
    weir_log(WEIR_LOG_INFO, "configuration reloaded",
             WEIR_LOG_STR("hash", shown(service->live, hash)),
             WEIR_LOG_TEXTF("added", weir_buf_view(&changes->added)),
             WEIR_LOG_TEXTF("changed", weir_buf_view(&changes->changed)),
             WEIR_LOG_TEXTF("removed", weir_buf_view(&changes->removed)),
             WEIR_LOG_TEXTF("keys_added", weir_buf_view(&changes->keys_added)),
             WEIR_LOG_TEXTF("keys_changed", weir_buf_view(&changes->keys_changed)),
             WEIR_LOG_TEXTF("keys_removed", weir_buf_view(&changes->keys_removed)),
             WEIR_LOG_INT("restart_needed", service->reload.restart_count));
    tell_left_out(&service->reload);
    if (is_open_to_the_world(service->live)) { /* of what listens, not of what the file says */
        weir_log(WEIR_LOG_WARN, "door without a lock",
                 WEIR_LOG_STR("reason", "ingest.access_keys is none, and ingest.listen takes "
                                        "requests from other machines"));
    }
}

static void put_time(struct weir_buf *out, int64_t wall_ns)
{
    weir_buf_put_byte(out, '"');
    weir_config_put_time(out, wall_ns / WEIR_NS_PER_S * WEIR_NS_PER_S);
    weir_buf_put_byte(out, '"');
}

void weir_reload_put_status(const struct weir_service *service, struct weir_buf *out)
{
    const struct weir_reload *reload = &service->reload;
    char hash[HASH_SHOWN + 1];
    weir_buf_put(out, WEIR_BYTES("  \"config\": {\"file\": "));
    if (service->config->source == NULL) {
        weir_buf_put(out, WEIR_BYTES("null"));
    } else {
        weir_buf_put_json_string(out, weir_bytes_str(service->config->source), 0);
    }
    weir_buf_printf(out, ", \"hash\": \"%s\", \"live_since\": ", shown(service->live, hash));
    put_time(out, reload->live_wall_ns);
    weir_buf_printf(
        out, ",\n             \"reloads\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"last_tried\": ",
        reload->taken, reload->refused);
    put_time(out, reload->tried_wall_ns);
    weir_buf_put(out, WEIR_BYTES(", \"last_reason\": "));
    if (reload->reason[0] == 0) {
        weir_buf_put(out, WEIR_BYTES("null"));
    } else {
        weir_buf_put_json_string(out, weir_bytes_str(reload->reason), 0);
    }
    weir_buf_put(out, WEIR_BYTES(",\n             \"restart_needed\": ["));
    for (uint32_t i = 0; i < reload->restart_count; i++) {
        weir_buf_printf(out, "%s\"%s\"", i == 0 ? "" : ", ", reload->restart[i]);
    }
    weir_buf_put(out, WEIR_BYTES("]},\n"));
}

static void set_plain(enum weir_family family, double value)
{
    weir_metrics_set(weir_metrics_series(family, NULL), value);
}

void weir_reload_gauges(struct weir_service *service)
{
    struct weir_reload *reload = &service->reload;
    char hash[HASH_SHOWN + 1];
    struct weir_bytes label = weir_bytes_str(shown(service->live, hash));
    if (reload->hash_told[0] != 0 && strcmp(reload->hash_told, hash) != 0) {
        struct weir_bytes before = weir_bytes_str(reload->hash_told);
        weir_metrics_set(weir_metrics_series(WEIR_M_CONFIG_INFO, &before), 0);
    }
    (void)snprintf(reload->hash_told, sizeof reload->hash_told, "%s", hash);
    weir_metrics_set(weir_metrics_series(WEIR_M_CONFIG_INFO, &label), 1);
    set_plain(WEIR_M_CONFIG_RELOAD_GOOD, reload->reason[0] == 0);
    set_plain(WEIR_M_CONFIG_RELOADED, (double)reload->live_wall_ns / (double)WEIR_NS_PER_S);
    set_plain(WEIR_M_CONFIG_RESTART_KEYS, reload->restart_count);
}
