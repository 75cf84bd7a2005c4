/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that name four tenants, while there are slots for two: claims, sets that come and go,
 * and the memory of who a tenant is, which another gets as soon as the router says a slot is idle.
 * Whoever still looked at it then would see what is written over it. */
#include "../../../src/app/tenant_claims.h"
#include "weir/rand.h"
#include "weir/rcu.h"
#include "weir/region.h"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { THREADS = 3, REQUESTS = 3000, TENANTS = 4, SLOTS = 2, TEMPLATE = 5 };

static const char *const hosts[] = {"*.example.com", NULL};
static const struct weir_tenant_options template_ = {
    .name = "t", .endpoint = "${attribute:u}/x", .hosts = hosts};

struct shared {
    struct weir_router *router;
    struct weir_regions *regions;
    struct weir_credit credit;
    struct weir_tenant_claims claims;
    struct weir_tenant tenants[SLOTS];
    bool used[SLOTS];
    _Atomic uint32_t running;
    _Atomic uint64_t found;
};

static struct shared shared;

static enum weir_tenant_claim claim(void *argument, uint32_t slot, const struct weir_tenant *tenant,
                                    bool has_slot)
{
    (void)argument;
    assert_false(has_slot);
    weir_tenant_claims_put(&shared.claims, slot, tenant);
    return WEIR_CLAIM_STARTING;
}

static void one_request(struct weir_rand *rand)
{
    struct weir_arena *arena;
    struct weir_route_choice choice;
    char text[100];
    (void)snprintf(text, sizeof text, "{\"commonAttributes\":{\"u\":\"https://h%u.example.com\"}}",
                   (unsigned)weir_rand_below(rand, TENANTS));
    const struct weir_route_request request = {.targets = WEIR_TARGETS_ALL,
                                               .attributes = weir_bytes_str(text),
                                               .key_name = WEIR_BYTES("k")};
    assert_int_equal(weir_arena_new(shared.regions, weir_credit_budget(&shared.credit), 0, &arena),
                     WEIR_OK);
    assert_int_equal(weir_router_choose(shared.router, arena, &request, &choice), WEIR_OK);
    assert_null(choice.denials);
    assert_int_equal(choice.is_starting, choice.targets == 0);
    if (choice.targets != 0) {
        uint32_t slot = (uint32_t)__builtin_ctzll(choice.targets);
        assert_true(slot < SLOTS);
        assert_false(weir_router_idle(shared.router, slot));
        (void)sched_yield();
        assert_non_null(strstr(shared.tenants[slot].url, "example.com/x"));
        atomic_fetch_add_explicit(&shared.found, 1, memory_order_relaxed);
    }
    weir_router_release(shared.router, &choice);
    weir_arena_unref(arena, 0);
}

static void *requests(void *argument)
{
    struct weir_rand rand;
    weir_rand_init(&rand, (uint64_t)(uintptr_t)argument);
    weir_rcu_thread_start();
    /* relaxed: whether a request has met an open tenant yet; who opens them may be late to run */
    for (int i = 0;
         i < REQUESTS ||
         (i < 10000 * REQUESTS && atomic_load_explicit(&shared.found, memory_order_relaxed) == 0);
         i++) {
        one_request(&rand);
    }
    weir_rcu_thread_stop();
    /* release: pairs with the acquire of whoever waits for the end */
    atomic_fetch_sub_explicit(&shared.running, 1, memory_order_release);
    return NULL;
}

static struct weir_route_set a_set(struct weir_route_destination *rows)
{
    uint64_t slots = UINT64_C(1) << TEMPLATE;
    rows[TEMPLATE] = (struct weir_route_destination){
        .name = "t", .share = 1000, .is_disk_only = true, .tenants = &template_};
    for (uint32_t i = 0; i < SLOTS; i++) {
        rows[i] = rows[TEMPLATE];
        rows[i].name = shared.tenants[i].name;
        rows[i].is_tenant = true;
        rows[i].template_slot = TEMPLATE;
        rows[i].tenant = &shared.tenants[i];
        slots |= (uint64_t)shared.used[i] << i;
    }
    return (struct weir_route_set){.destinations = rows, .slots = slots};
}

static void configure(void)
{
    struct weir_route_destination rows[TEMPLATE + 1];
    struct weir_route_set set = a_set(rows);
    assert_int_equal(weir_router_configure(shared.router, &set), WEIR_OK);
}

static void step(struct weir_rand *rand)
{
    struct weir_tenant tenant;
    uint32_t template_slot;
    uint32_t slot = (uint32_t)weir_rand_below(rand, SLOTS);
    if (shared.used[slot]) { /* closed, and nobody looks at it any more */
        shared.used[slot] = false;
        configure();
        while (!weir_router_idle(shared.router, slot)) {
            (void)sched_yield();
        }
        memset(&shared.tenants[slot], 'x', sizeof shared.tenants[slot] - 1);
    } else if (weir_tenant_claims_take(&shared.claims, &template_slot, &tenant)) {
        assert_int_equal(template_slot, TEMPLATE);
        if (shared.used[1 - slot] && weir_tenant_same(&shared.tenants[1 - slot], &tenant)) {
            return; /* claimed twice */
        }
        shared.tenants[slot] = tenant;
        shared.used[slot] = true;
        configure();
    }
}

static void tenants_come_and_go(void **state)
{
    (void)state;
    struct weir_namespaces *namespaces;
    struct weir_route_destination rows[TEMPLATE + 1];
    struct weir_rand rand;
    pthread_t threads[THREADS];
    weir_rcu_thread_start();
    weir_rand_init(&rand, 7);
    weir_credit_init(&shared.credit, (size_t)64 << 20);
    assert_int_equal(weir_regions_new((size_t)1 << 20, &shared.regions), WEIR_OK);
    assert_int_equal(weir_namespaces_new(&namespaces), WEIR_OK);
    struct weir_router_options options = {.set = a_set(rows),
                                          .ring_slots = 16,
                                          .queued = &shared.credit,
                                          .namespaces = namespaces,
                                          .regions = shared.regions,
                                          .claimer = {claim, NULL}};
    assert_int_equal(weir_router_new(&options, &shared.router), WEIR_OK);
    atomic_store_explicit(&shared.running, THREADS, memory_order_relaxed); /* before the threads */
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, requests, (void *)(i + 1)), 0);
    }
    /* acquire: pairs with the release at a thread's end */
    while (atomic_load_explicit(&shared.running, memory_order_acquire) > 0) {
        step(&rand);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_true(atomic_load_explicit(&shared.found, memory_order_relaxed) > 0);
    weir_router_free(shared.router);
    weir_namespaces_free(namespaces);
    weir_regions_free(shared.regions);
    weir_credit_done(&shared.credit);
    weir_rcu_thread_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tenants_come_and_go)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
