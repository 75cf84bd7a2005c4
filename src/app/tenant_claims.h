/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_TENANT_CLAIMS_H
#define WEIR_APP_TENANT_CLAIMS_H

#include "weir/route.h"
#include <stdatomic.h>

/*
 * Claims: tenants that requests have named and that nobody has, on their way from ingest loops and
 * the backlog to the main thread.
 *
 *   FREE ──put: compare-and-swap──► WRITING ──release──► MADE ──take: acquire──► FREE
 *
 * Bounded, without a lock, and lossy: a claim that finds no entry is made again with the request,
 * which comes again. One that is there already is not put twice; two at the same moment may be.
 */
#define WEIR_TENANT_CLAIMS WEIR_DESTINATIONS_MAX

struct weir_tenant_claim_entry {
    _Atomic int state;
    _Atomic uint64_t mark; /* of what a MADE one holds, so that it is not put again */
    uint32_t template_slot;
    struct weir_tenant tenant;
};

struct weir_tenant_claims {
    struct weir_tenant_claim_entry entries[WEIR_TENANT_CLAIMS]; /* zeroed: all FREE */
};

/* Puts a claim, unless it is there or there is no room. Any thread; O(entries). */
void weir_tenant_claims_put(struct weir_tenant_claims *claims, uint32_t template_slot,
                            const struct weir_tenant *tenant);

/* Takes one. False: there is none. One thread. */
bool weir_tenant_claims_take(struct weir_tenant_claims *claims, uint32_t *ret_template_slot,
                             struct weir_tenant *ret);

#endif
