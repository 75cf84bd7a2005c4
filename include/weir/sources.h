/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SOURCES_H
#define WEIR_SOURCES_H

#include "weir/netaddr.h"

/*
 * How many connections each source has open, over all loops, and whether it may have one more. A
 * source is an IPv4 address, or an IPv6 network of 64 bits (what one subscriber has). Bounded and
 * without a lock: src/admit/sources.c says what that costs.
 */
struct weir_sources;

/* At most `limit` (> 0) connections a source; room for the sources of `connections_max`
 * connections. WEIR_ENOMEM. The caller frees it. */
WEIR_MUST_USE enum weir_status weir_sources_new(uint32_t limit, uint32_t connections_max,
                                                struct weir_sources **ret);

/* Counts one more connection of this source; false, with nothing counted, where it has `limit`.
 * *ret_ticket goes to weir_sources_leave. A source that cannot be known, or for which there is no
 * room, is let in uncounted. Any thread. */
bool weir_sources_enter(struct weir_sources *sources, const struct weir_netaddr *source,
                        uint32_t *ret_ticket);

/* Once for each that entered. Any thread. */
void weir_sources_leave(struct weir_sources *sources, uint32_t ticket);

/* When all have left. NULL is nothing. */
void weir_sources_free(struct weir_sources *sources);

#endif
