/* SPDX-License-Identifier: Apache-2.0 */
#include "tenant_claims.h"

#include "weir/hash.h"

enum { CLAIM_FREE, CLAIM_WRITING, CLAIM_MADE };

static uint64_t mark_of(uint32_t template_slot, const struct weir_tenant *tenant)
{
    uint64_t mark = weir_hash_mix(weir_hash(weir_bytes_str(tenant->name)), template_slot);
    return mark == 0 ? 1 : mark;
}

static bool is_there(const struct weir_tenant_claims *claims, uint64_t mark)
{
    for (uint32_t i = 0; i < WEIR_TENANT_CLAIMS; i++) {
        /* relaxed: a guess that saves work; partner is the store in put */
        if (atomic_load_explicit(&claims->entries[i].mark, memory_order_relaxed) == mark) {
            return true;
        }
    }
    return false;
}

void weir_tenant_claims_put(struct weir_tenant_claims *claims, uint32_t template_slot,
                            const struct weir_tenant *tenant)
{
    uint64_t mark = mark_of(template_slot, tenant);
    if (is_there(claims, mark)) {
        return;
    }
    for (uint32_t i = 0; i < WEIR_TENANT_CLAIMS; i++) {
        struct weir_tenant_claim_entry *entry = &claims->entries[i];
        int free_ = CLAIM_FREE;
        /* acquire: pairs with the release in take, which was done reading the entry */
        if (atomic_compare_exchange_strong_explicit(&entry->state, &free_, CLAIM_WRITING,
                                                    memory_order_acquire, memory_order_relaxed)) {
            entry->template_slot = template_slot;
            entry->tenant = *tenant;
            /* relaxed: see is_there */
            atomic_store_explicit(&entry->mark, mark, memory_order_relaxed);
            /* release: pairs with the acquire in take */
            atomic_store_explicit(&entry->state, CLAIM_MADE, memory_order_release);
            return;
        }
    }
}

bool weir_tenant_claims_take(struct weir_tenant_claims *claims, uint32_t *ret_template_slot,
                             struct weir_tenant *ret)
{
    for (uint32_t i = 0; i < WEIR_TENANT_CLAIMS; i++) {
        struct weir_tenant_claim_entry *entry = &claims->entries[i];
        /* acquire: pairs with the release in put */
        if (atomic_load_explicit(&entry->state, memory_order_acquire) == CLAIM_MADE) {
            *ret_template_slot = entry->template_slot;
            *ret = entry->tenant;
            /* relaxed: see is_there */
            atomic_store_explicit(&entry->mark, 0, memory_order_relaxed);
            /* release: pairs with the acquire in put */
            atomic_store_explicit(&entry->state, CLAIM_FREE, memory_order_release);
            return true;
        }
    }
    return false;
}
