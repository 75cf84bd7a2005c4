/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_REPLAY_FEED_H
#define WEIR_APP_REPLAY_FEED_H

#include "lifecycle_internal.h"
#include "weir/replay.h"

/* A replay's requests into a service's pipeline, one at a time. Once in a process: what the lane's
 * thread calls is never taken away. The thread that feeds. */

/* Gets ready. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_replay_feed_start(struct weir_service *service);
void weir_replay_feed_stop(void);

/* As struct weir_replay_ops has it; WEIR_ECLOSED: interrupted, or the spool has failed. */
enum weir_status weir_replay_feed_submit(void *self, const struct weir_replay_item *item,
                                         const char **ret_words);

/* Waits until nothing is owed any more. WEIR_ETIMEOUT: for longer than any retry window nothing has
 * moved; WEIR_ECLOSED: interrupted, or the spool has failed. *ret_records are left. */
WEIR_MUST_USE enum weir_status weir_replay_feed_wait(struct weir_service *service,
                                                     uint64_t *ret_records);

#endif
