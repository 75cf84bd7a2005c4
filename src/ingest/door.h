/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_INGEST_DOOR_H
#define WEIR_INGEST_DOOR_H

#include "weir/ingest.h"
#include "weir/listener.h"

/*
 * Who may connect: the networks of balancers, and the limit of each source, shared by all loops.
 */
struct weir_door;

/* `calls` holds the functions that the listeners are to call. WEIR_ENOMEM, or WEIR_EINVAL with the
 * network at fault in *ret_wrong. The caller frees it. */
WEIR_MUST_USE enum weir_status weir_door_new(const struct weir_ingest_options *options,
                                             const struct weir_listener_door *calls,
                                             struct weir_door **ret, const char **ret_wrong);

/* When no connection is left. NULL is nothing. */
void weir_door_free(struct weir_door *door);

/* What the listeners are given; lives as long as the door. */
const struct weir_listener_door *weir_door_listener(const struct weir_door *door);

/* The source limit: any thread. */
bool weir_door_admits(struct weir_door *door, const struct weir_netaddr *source,
                      uint32_t *ret_ticket);

/* The same, for one that has gone. */
void weir_door_left(struct weir_door *door, uint32_t ticket);

/* Counts and logs what happened to a connection that nobody owns yet. */
void weir_door_tell(enum weir_listener_event event, const char *peer);

#endif
