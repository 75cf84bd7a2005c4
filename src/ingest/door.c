/* SPDX-License-Identifier: Apache-2.0 */
/* Who may connect, and how those who may not are counted: see door.h. */
#include "door.h"

#include "weir/log.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/sources.h"

#define NETWORKS_MAX 64u

struct weir_door {
    struct weir_listener_door listener;
    struct weir_sources *sources; /* NULL: no limit */
    struct weir_network networks[NETWORKS_MAX];
};

static enum weir_status read_networks(struct weir_door *door, const char *const *texts,
                                      const char **ret_wrong)
{
    uint32_t count = 0;
    for (; texts != NULL && texts[count] != NULL; count++) {
        if (count == NETWORKS_MAX ||
            weir_netaddr_network(texts[count], &door->networks[count]) != WEIR_OK) {
            *ret_wrong = texts[count];
            return WEIR_EINVAL;
        }
    }
    door->listener.balancers = door->networks;
    door->listener.balancer_count = count;
    return WEIR_OK;
}

enum weir_status weir_door_new(const struct weir_ingest_options *options,
                               const struct weir_listener_door *calls, struct weir_door **ret,
                               const char **ret_wrong)
{
    *ret_wrong = NULL;
    struct weir_door *door = weir_mem_zalloc(1, sizeof *door);
    if (door == NULL) {
        return WEIR_ENOMEM;
    }
    door->listener = *calls;
    door->listener.header_timeout_ns = options->balancer_timeout_ns;
    enum weir_status status = read_networks(door, options->balancers, ret_wrong);
    if (status == WEIR_OK && options->connections_per_source > 0) {
        status = weir_sources_new(options->connections_per_source, options->connections_max,
                                  &door->sources);
    }
    if (status != WEIR_OK) {
        weir_mem_free(door);
        return status;
    }
    if (door->sources == NULL) {
        door->listener.admits = NULL;
    }
    *ret = door;
    return WEIR_OK;
}

void weir_door_free(struct weir_door *door)
{
    if (door != NULL) {
        weir_sources_free(door->sources);
        weir_mem_free(door);
    }
}

const struct weir_listener_door *weir_door_listener(const struct weir_door *door)
{
    return &door->listener;
}

bool weir_door_admits(struct weir_door *door, const struct weir_netaddr *source,
                      uint32_t *ret_ticket)
{
    return weir_sources_enter(door->sources, source, ret_ticket);
}

void weir_door_left(struct weir_door *door, uint32_t ticket)
{
    weir_sources_leave(door->sources, ticket);
}

void weir_door_tell(enum weir_listener_event event, const char *peer)
{
    static const struct {
        enum weir_family family;
        const char *reason;
    } told[WEIR_LISTENER_EVENTS] = {
        [WEIR_LISTENER_BAD_HEADER] = {WEIR_M_CONNECTIONS_REFUSED, "proxy_header"},
        [WEIR_LISTENER_LATE_HEADER] = {WEIR_M_CONNECTIONS_REFUSED, "proxy_timeout"},
        [WEIR_LISTENER_SOURCE_LIMIT] = {WEIR_M_CONNECTIONS_REFUSED, "source_limit"},
        [WEIR_LISTENER_FULL] = {WEIR_M_ACCEPT_PAUSES, "connections_max"},
        [WEIR_LISTENER_STARVED] = {WEIR_M_ACCEPT_PAUSES, "descriptors"},
    };
    struct weir_bytes reason = weir_bytes_str(told[event].reason);
    weir_metrics_add(weir_metrics_series(told[event].family, &reason), 1);
    if (told[event].family == WEIR_M_CONNECTIONS_REFUSED) {
        weir_log(WEIR_LOG_WARN, "connection refused", WEIR_LOG_STR("reason", told[event].reason),
                 WEIR_LOG_STR("peer", peer));
    } else {
        weir_log(WEIR_LOG_WARN, "accepting paused", WEIR_LOG_STR("reason", told[event].reason));
    }
}
