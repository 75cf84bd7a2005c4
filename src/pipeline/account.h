/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PIPELINE_ACCOUNT_H
#define WEIR_PIPELINE_ACCOUNT_H

#include "weir/namespace.h"
#include "weir/pipeline.h"

/*
 * What an accepted request is counted as: points by namespace, account and region, those that no
 * destination wants, records by format, what was quarantined, the stream it came from. Also says so
 * in the log where something is worth a person's attention.
 */
struct weir_account;

/* A worker's memory of series numbers, so that counting is an index and not a lookup. 0 is not
 * known yet. */
struct weir_account_cache {
    uint32_t points_series[WEIR_NAMESPACE_IDS];
    uint32_t newest_series[WEIR_NAMESPACE_IDS];
};

WEIR_MUST_USE enum weir_status weir_account_new(struct weir_account **ret);
void weir_account_free(struct weir_account *account);
void weir_account_cache_init(struct weir_account_cache *cache);

/* Counts an accepted request, before it is published. The worker's thread. */
void weir_account_request(struct weir_account *account, struct weir_account_cache *cache,
                          const struct weir_submission *submission, int64_t now_wall_ns);

#endif
