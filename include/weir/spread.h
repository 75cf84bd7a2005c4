/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SPREAD_H
#define WEIR_SPREAD_H

#include "weir/listener.h"

/*
 * Connections spread evenly over loops. The kernel gives a new connection to a listener by the hash
 * of its addresses, so of four connections all may come to one loop, and with few long-lived
 * connections, which is what a balancer keeps, they stay there. Loops of a spread pass on what they
 * accept: to the one with the fewest open connections.
 */
struct weir_spread;

/* For at most `loops` loops. WEIR_ENOMEM. The caller frees it, after all of its loops. */
WEIR_MUST_USE enum weir_status weir_spread_new(uint32_t loops, struct weir_spread **ret);

/* From here on the loop's listeners pass on what they accept, and others pass on to it, where a
 * connection is taken in with these options, as if a listener had accepted it. `index`: its own
 * among the spread's loops. Once a loop, and before any has left. On the loop's thread. */
void weir_spread_join(struct weir_spread *spread, uint32_t index, struct weir_loop *loop,
                      const struct weir_listener_options *options);

/* The calling loop passes nothing on any more and is not chosen again; what others have chosen it
 * for just now still comes, and nothing once all have left. Before its listeners are closed, so
 * that the last ones stay. Nothing unless it has joined. On the loop's thread. */
void weir_spread_leave(struct weir_loop *loop);

/* Whether nothing will be passed on to the calling loop any more: all have left, and nothing is
 * under way to it. Only then it may be stopped and freed. On the loop's thread. */
bool weir_spread_is_over(const struct weir_loop *loop);

/* Frees what no loop uses. NULL is nothing. Any thread. */
void weir_spread_free(struct weir_spread *spread);

#endif
