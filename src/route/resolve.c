/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From templates to tenants: see weir/tenant.h and docs/design/0006-tenants.md.
 *
 *   targets   plain 0 | template 3 ─► who? ─┬─ slot 17 has it      targets: 17 in place of 3
 *                                           ├─ nobody, claimed     is_starting: it comes again
 *                                           ├─ nobody, no slot     3 stays: tenant_limit
 *                                           └─ not allowed         3 stays: tenant_forbidden
 *
 * A template's row is disk-only: what it is owed is read back, and goes to the dead letter. So what
 * was denied is as safe as what was not, and other destinations get the request as ever.
 *
 *   I1  a request gets at most one tenant of each template, and none that it does not name
 *   I2  what is told as denied was owed to its template; the tenant's own slot never sees it
 *
 * Threads: any. Claiming is the claimer's affair, and does not block.
 */
#include "router_internal.h"
#include "weir/attributes.h"
#include "weir/panic.h"
#include <stdio.h>

static const char forbidden[] = "tenant_forbidden";
static const char limit[] = "tenant_limit";

static void make_denial(const struct weir_tenant_options *template_, uint32_t template_slot,
                        const char *reason, const struct weir_tenant_mistake *mistake,
                        struct weir_route_denial *ret)
{
    *ret = (struct weir_route_denial){
        .slot = template_slot,
        .template_name = template_->name,
        .reason = reason,
        .mistake = *mistake,
    };
}

/* What is said of a tenant for which there is no slot. */
static struct weir_tenant_mistake too_many(const struct weir_tenant *tenant)
{
    struct weir_tenant_mistake mistake = {.words =
                                              "there are tenants.max others, and none is idle"};
    (void)snprintf(mistake.host, sizeof(mistake.host), "%s", tenant->host);
    return mistake;
}

/* The slot of a tenant of this template; WEIR_DESTINATIONS_MAX: it has none. *ret_named: one has
 * its name, and nobody knows yet whose it is. */
static uint32_t find(const struct weir_route_plan *plan, uint32_t template_slot,
                     const struct weir_tenant *tenant, bool *ret_named)
{
    uint64_t slots = plan->tenants;
    *ret_named = false;
    while (slots != 0) {
        uint32_t slot = weir_route_next(&slots);
        const struct weir_route_destination *row = &plan->rows[slot].options;
        if (row->template_slot != template_slot || strcmp(row->name, tenant->name) != 0) {
            continue;
        }
        if (row->tenant != NULL && weir_tenant_same(row->tenant, tenant)) {
            return slot;
        }
        *ret_named = row->tenant == NULL;
    }
    return WEIR_DESTINATIONS_MAX;
}

/* The template stays among the targets. */
static enum weir_status deny(struct weir_arena *arena, struct weir_route_choice *choice,
                             uint32_t template_slot, const char *reason,
                             const struct weir_tenant_mistake *mistake)
{
    struct weir_route_denial *denial =
        weir_arena_alloc(arena, sizeof(*denial), _Alignof(struct weir_route_denial));
    if (denial == NULL) {
        return WEIR_EFULL;
    }
    make_denial(choice->plan->rows[template_slot].options.tenants, template_slot, reason, mistake,
                denial);
    denial->next = choice->denials;
    choice->denials = denial;
    return WEIR_OK;
}

/* A tenant that was made of the request, in the place of its template. */
static enum weir_status put_tenant(struct weir_router *router, struct weir_arena *arena,
                                   uint32_t template_slot, const struct weir_tenant *tenant,
                                   struct weir_route_choice *choice)
{
    const struct weir_tenant_claimer *claimer = &router->claimer;
    bool has_slot;
    uint32_t slot = find(choice->plan, template_slot, tenant, &has_slot);
    uint64_t found = slot < WEIR_DESTINATIONS_MAX ? UINT64_C(1) << slot : 0;
    if (found == 0 &&
        (claimer->claim == NULL ||
         claimer->claim(claimer->argument, template_slot, tenant, has_slot) == WEIR_CLAIM_LIMIT)) {
        const struct weir_tenant_mistake mistake = too_many(tenant);
        return deny(arena, choice, template_slot, limit, &mistake);
    }
    choice->is_starting = choice->is_starting || found == 0;
    choice->targets = (choice->targets & ~(UINT64_C(1) << template_slot)) | found;
    return WEIR_OK;
}

enum weir_status weir_route_resolve(struct weir_router *router, struct weir_arena *arena,
                                    const struct weir_attributes *attributes,
                                    struct weir_bytes key_name, struct weir_route_choice *choice)
{
    const struct weir_route_plan *plan = choice->plan;
    uint64_t templates = choice->targets & plan->templates;
    while (templates != 0) {
        uint32_t slot = weir_route_next(&templates);
        struct weir_tenant tenant;
        struct weir_tenant_mistake mistake;
        if (weir_tenant_make(plan->rows[slot].options.tenants, attributes, key_name, &tenant,
                             &mistake) == WEIR_OK) {
            WEIR_TRY(put_tenant(router, arena, slot, &tenant, choice));
        } else {
            WEIR_TRY(deny(arena, choice, slot, forbidden, &mistake));
        }
    }
    return WEIR_OK;
}

/* -- a record that was read back ------------------------------------------------------------ */

/* For a slot whose tenant is to be found out: it is the record's, if that has the slot's name. */
static enum weir_route_recall recall_tenant(struct weir_router *router,
                                            const struct weir_route_destination *row,
                                            const struct weir_tenant *tenant)
{
    const struct weir_tenant_claimer *claimer = &router->claimer;
    if (strcmp(tenant->name, row->name) != 0 || claimer->claim == NULL) {
        return WEIR_RECALL_DENIED;
    }
    (void)claimer->claim(claimer->argument, row->template_slot, tenant, true);
    return WEIR_RECALL_WAIT;
}

enum weir_status weir_router_recall(struct weir_router *router,
                                    const struct weir_route_choice *choice,
                                    struct weir_arena *arena,
                                    const struct weir_route_request *request,
                                    struct weir_route_recalled *ret)
{
    struct weir_attributes attributes;
    bool is_damaged = false;
    ret->what = WEIR_RECALL_GO;
    if (choice->targets == 0) {
        return WEIR_OK;
    }
    uint32_t slot = (uint32_t)__builtin_ctzll(choice->targets);
    const struct weir_route_destination *row = &choice->plan->rows[slot].options;
    if (row->tenants == NULL || row->tenant != NULL) {
        return WEIR_OK;
    }
    attributes.count = 0;
    WEIR_TRY(weir_route_read_attributes(arena, request->attributes, &attributes, &is_damaged));
    struct weir_tenant tenant;
    struct weir_tenant_mistake mistake;
    bool is_good = weir_tenant_make(row->tenants, &attributes, request->key_name, &tenant,
                                    &mistake) == WEIR_OK;
    ret->what =
        is_good && row->is_tenant ? recall_tenant(router, row, &tenant) : WEIR_RECALL_DENIED;
    if (ret->what == WEIR_RECALL_DENIED) {
        bool is_limit = is_good && !row->is_tenant;
        mistake = is_limit ? too_many(&tenant) : mistake;
        make_denial(row->tenants, row->is_tenant ? row->template_slot : slot,
                    is_limit ? limit : forbidden, &mistake, &ret->denial);
    }
    return WEIR_OK;
}
