/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of destinations that replace each other at random, with requests under way that were chosen
 * by older ones, against a plain model: each request goes by the set that it found, to the point; a
 * slot's bytes are those of the runs reserved for it and in its rings; a slot is idle exactly when
 * no set that anybody goes by has it and it has no bytes; and a set ends exactly when it is neither
 * the present one nor any request's. The strings of a set are freed at its end, which is for the
 * address sanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../unit/route/run_fixture.h"
#include "support.h"
#include "weir/mem.h"

enum { SCHEDULES = 20, STEPS = 400, SLOTS = 6, NAMES = 4, UNDER_WAY = 8, SETS_MAX = STEPS + 2 };

/* The slots that are played with: the first, the last, and some between. */
static const uint32_t SLOT_OF[SLOTS] = {0, 1, 2, 30, 60, 61};
static const char *const NAMES_OF[NAMES] = {"A", "B", "C", "D"};

/* A set, as the model has it: it stays when the router is done with it. */
struct model_set {
    uint64_t slots;
    uint64_t disk_only;
    uint8_t wants[SLOTS]; /* bits of names */
    uint32_t requests;    /* that go by it */
    uint32_t ends;
};

/* A set's strings. */
struct strings {
    struct model_set *model;
    char names[SLOTS][NAMES][2];
    const char *include[SLOTS][NAMES + 1];
};

struct under_way {
    bool is_used;
    uint32_t set;
    struct fixture_request request;
    struct weir_route_choice choice;
    struct weir_reservation held;
};

struct world {
    struct fixture fixture;
    struct weir_namespaces *namespaces;
    struct weir_router *router;
    struct weir_rand rand;
    struct model_set sets[SETS_MAX];
    uint32_t set_count; /* the last is the present one */
    struct under_way under_way[UNDER_WAY];
    size_t bytes[SLOTS];
    uint64_t in_rings[SLOTS]; /* runs */
};

static struct world world;

static bool chance(uint64_t one_in)
{
    return weir_rand_below(&world.rand, one_in) == 0;
}

/* -- sets ----------------------------------------------------------------------------------- */

static void on_end(void *argument)
{
    struct strings *strings = argument;
    strings->model->ends++;
    weir_mem_free(strings);
}

/* A set of at least one slot; `destinations` has room for all slots there are. */
static struct weir_route_set a_set(struct weir_route_destination *destinations)
{
    struct strings *strings = weir_mem_zalloc(1, sizeof(*strings));
    assert_non_null(strings);
    assert_true(world.set_count < SETS_MAX);
    struct model_set *model = strings->model = &world.sets[world.set_count];
    uint64_t picked = 1 + weir_rand_below(&world.rand, (1 << SLOTS) - 1);
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint64_t bit = (picked >> i & 1) << SLOT_OF[i];
        bool takes_all = chance(3);
        uint32_t count = 0;
        model->slots |= bit;
        model->disk_only |= chance(5) ? bit : 0;
        model->wants[i] = (uint8_t)(takes_all ? 15 : weir_rand_below(&world.rand, 16));
        for (uint32_t name = 0; name < NAMES; name++) {
            if ((model->wants[i] >> name & 1) != 0) {
                memcpy(strings->names[i][count], NAMES_OF[name], 2);
                strings->include[i][count] = strings->names[i][count];
                count++;
            }
        }
        destinations[SLOT_OF[i]] =
            (struct weir_route_destination){.name = "d",
                                            .include = takes_all ? NULL : strings->include[i],
                                            .share = 1000 + weir_rand_below(&world.rand, 100000),
                                            .is_disk_only = (model->disk_only & bit) != 0};
    }
    return (struct weir_route_set){destinations, model->slots, on_end, strings};
}

static void configure(void)
{
    struct weir_route_destination destinations[WEIR_DESTINATIONS_MAX];
    const struct weir_route_set set = a_set(destinations);
    if (chance(8)) { /* one that is refused is as if it had not been */
        (void)weir_mem_fail_at(1 + weir_rand_below(&world.rand, 3));
        enum weir_status status = weir_router_configure(world.router, &set);
        (void)weir_mem_fail_at(0);
        if (status != WEIR_OK) {
            assert_int_equal(status, WEIR_ENOMEM);
            weir_mem_free(set.argument);
            world.sets[world.set_count] = (struct model_set){0};
            return;
        }
    } else {
        assert_int_equal(weir_router_configure(world.router, &set), WEIR_OK);
    }
    world.set_count++;
}

/* -- requests ------------------------------------------------------------------------------- */

static bool wants(const struct model_set *set, uint32_t slot, const struct weir_run *run)
{
    return (set->slots >> SLOT_OF[slot] & 1) != 0 &&
           (set->wants[slot] >> (run->name.data[0] - 'A') & 1) != 0;
}

/* Enters what a slot's live runs come to, or takes it out again. */
static void book(const struct under_way *one, bool is_in, bool is_published)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        for (uint32_t i = 0; i < one->request.runs.count; i++) {
            const struct weir_run *run = &one->request.runs.runs[i];
            if ((one->held.live >> SLOT_OF[slot] & 1) != 0 &&
                wants(&world.sets[one->set], slot, run)) {
                world.bytes[slot] += is_in ? run->bytes : 0;
                world.bytes[slot] -= is_in || is_published ? 0 : run->bytes;
                world.in_rings[slot] += is_published ? 1 : 0;
            }
        }
    }
}

static void check_reservation(const struct under_way *one)
{
    const struct model_set *set = &world.sets[one->set];
    uint64_t wanted = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        uint32_t points = 0;
        for (uint32_t i = 0; i < one->request.runs.count; i++) {
            const struct weir_run *run = &one->request.runs.runs[i];
            points += wants(set, slot, run) ? run->count : 0;
        }
        wanted |= points > 0 ? UINT64_C(1) << SLOT_OF[slot] : 0;
        assert_int_equal(one->held.points[SLOT_OF[slot]], points);
    }
    assert_int_equal(one->held.wanted, wanted);
    assert_int_equal(one->held.live & ~(wanted & ~set->disk_only), 0);
}

/* Chosen by the present set, and reserved by it, sometimes when that is another already. */
static void begin(struct under_way *one)
{
    const struct weir_route_request asked = {.targets = WEIR_TARGETS_ALL};
    *one = (struct under_way){.is_used = true, .set = world.set_count - 1};
    world.sets[one->set].requests++;
    one->request = fixture_request(&world.fixture, "id", 0);
    uint64_t runs = 1 + weir_rand_below(&world.rand, 4);
    for (uint64_t i = 0; i < runs; i++) {
        const char *name = NAMES_OF[weir_rand_below(&world.rand, NAMES)];
        struct weir_run *run = fixture_run(&one->request, name, "R");
        fixture_point(&one->request, run, fixture_metric(run, "", "m"), i,
                      weir_rand_below(&world.rand, 2000));
    }
    assert_int_equal(weir_router_choose(world.router, one->request.arena, &asked, &one->choice),
                     WEIR_OK);
    assert_int_equal(one->choice.targets, world.sets[one->set].slots);
    if (chance(4)) {
        configure();
    }
    weir_router_reserve(world.router, one->request.arena, &one->request.runs, &one->choice,
                        &one->held);
    check_reservation(one);
    book(one, true, false);
}

static void end(struct under_way *one)
{
    bool is_published = !chance(4);
    book(one, false, is_published);
    if (is_published) {
        weir_router_publish(world.router, &one->request.runs, &one->held);
    } else {
        weir_router_cancel(world.router, &one->request.runs, &one->held);
    }
    world.sets[one->set].requests--;
    weir_router_release(world.router, &one->choice);
    weir_arena_unref(one->request.arena, 0);
    one->is_used = false;
}

static bool take(uint32_t slot)
{
    struct weir_run *run = weir_router_take(world.router, SLOT_OF[slot]);
    if (run == NULL) {
        assert_int_equal(world.in_rings[slot], 0);
        return false;
    }
    assert_true(world.in_rings[slot]-- > 0);
    world.bytes[slot] -= run->bytes;
    weir_arena_unref(run->arena, run->bytes);
    return true;
}

/* -- the whole ------------------------------------------------------------------------------ */

static void check(void)
{
    uint64_t in_use = 0;
    for (uint32_t i = 0; i < world.set_count; i++) {
        const struct model_set *set = &world.sets[i];
        bool is_in_use = i == world.set_count - 1 || set->requests > 0;
        assert_int_equal(set->ends, is_in_use ? 0 : 1);
        in_use |= is_in_use ? set->slots : 0;
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        bool is_idle = (in_use >> SLOT_OF[slot] & 1) == 0 && world.bytes[slot] == 0;
        assert_int_equal(weir_router_queued_bytes(world.router, SLOT_OF[slot]), world.bytes[slot]);
        assert_int_equal(weir_router_idle(world.router, SLOT_OF[slot]), is_idle);
    }
}

static void step(void)
{
    struct under_way *one = &world.under_way[weir_rand_below(&world.rand, UNDER_WAY)];
    if (chance(6)) {
        configure();
    } else if (chance(2)) {
        (void)take((uint32_t)weir_rand_below(&world.rand, SLOTS));
    } else if (one->is_used) {
        end(one);
    } else {
        begin(one);
    }
    check();
}

static void run_schedule(void)
{
    struct weir_route_destination destinations[WEIR_DESTINATIONS_MAX];
    fixture_open(&world.fixture, (size_t)4 << 20);
    assert_int_equal(weir_namespaces_new(&world.namespaces), WEIR_OK);
    const struct weir_router_options options = {
        .set = a_set(destinations),
        .ring_slots = 4u << weir_rand_below(&world.rand, 4),
        .queued = &world.fixture.queued,
        .namespaces = world.namespaces,
        .regions = world.fixture.regions,
    };
    assert_int_equal(weir_router_new(&options, &world.router), WEIR_OK);
    world.set_count = 1;
    for (int i = 0; i < STEPS; i++) {
        step();
    }
    for (uint32_t i = 0; i < UNDER_WAY; i++) {
        if (world.under_way[i].is_used) {
            end(&world.under_way[i]);
        }
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        while (take(slot)) {
        }
    }
    check();
    weir_router_free(world.router);
    assert_int_equal(world.sets[world.set_count - 1].ends, 1);
    weir_namespaces_free(world.namespaces);
    fixture_close(&world.fixture);
}

static void test_random_sets(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(8);
    for (int i = 0; i < SCHEDULES; i++) {
        world = (struct world){.rand = rand};
        run_schedule();
        rand = world.rand;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_sets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
