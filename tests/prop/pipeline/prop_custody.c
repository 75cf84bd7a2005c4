/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random loads, outages, restarts and partial deliveries on a real spool: whatever is settled when,
 * down to single points of a run, each point of an accepted request comes to each destination until
 * it is settled there, and never again. What rig_note marks as seen is what was settled.
 */
#include "../../unit/pipeline/custody_rig.h"
#include "support.h"

enum { SCHEDULES = 3, LIVES = 4, STEPS = 60 };

#define A   FLOW_LINE("AWS/EC2", "A") "\n"
#define B   FLOW_LINE("AWS/EBS", "B") "\n"
#define BAD "{\"no\":\"metric\"}\n"

static const char *const records[] = {A, A B, A A A, A B A B, A A A B B, BAD A, B BAD B BAD A A A};
static const uint32_t points_of[] = {1, 2, 3, 4, 5, 1, 5};

struct model {
    uint32_t requests;
    uint32_t points[RIG_REQUESTS];
    uint32_t settled; /* over both destinations */
};

static void settle_part(uint32_t destination, struct weir_part part,
                        enum weir_settlement settlement)
{
    const struct weir_settler settler = weir_spool_settler(rig.spool);
    const struct weir_manifest manifest = {
        .destination = destination, .count = 1, .capacity = 1, .parts = &part};
    if (part.begin < part.end) {
        settler.settle(settler.self, &manifest, settlement);
    }
}

/* Takes one run; settles some of its points from a random place on, and keeps the others. */
static void take_one(struct model *model, struct weir_rand *rand, uint32_t destination)
{
    weir_thread_play(WEIR_ROLE_EXPORTER);
    struct weir_run *run = weir_router_take(rig.router, destination);
    if (run != NULL) {
        struct weir_run some = *run;
        some.first += (uint32_t)weir_rand_below(rand, run->count + 1);
        some.count -= some.first - run->first;
        some.count = (uint32_t)weir_rand_below(rand, some.count + 1);
        rig_note(destination, &some);
        struct weir_ticket *ticket = run->origin->ticket;
        uint32_t begin = run->first;
        uint32_t end = run->first + run->count;
        model->settled += some.count;
        weir_arena_unref(run->arena, run->bytes);
        settle_part(destination, (struct weir_part){ticket, begin, some.first}, WEIR_KEPT);
        settle_part(destination, (struct weir_part){ticket, some.first, some.first + some.count},
                    WEIR_SETTLED);
        settle_part(destination, (struct weir_part){ticket, some.first + some.count, end},
                    WEIR_KEPT);
    }
    weir_thread_play(WEIR_ROLE_MAIN);
}

static void submit_one(struct model *model, struct weir_rand *rand)
{
    if (model->requests < RIG_REQUESTS) {
        uint64_t kind = weir_rand_below(rand, sizeof(points_of) / sizeof(points_of[0]));
        rig_submit(model->requests, records[kind]);
        rig_expect(model->requests, 200, "ok");
        model->points[model->requests++] = points_of[kind];
    }
}

static void run_life(struct model *model, struct weir_rand *rand)
{
    rig_up((struct rig_options){.slots = 2u << weir_rand_below(rand, 3)});
    bool reads_back = weir_rand_below(rand, 3) > 0;
    if (reads_back) {
        assert_int_equal(weir_custody_backlog_start(rig.custody), WEIR_OK);
    }
    for (int step = 0; step < STEPS; step++) {
        if (weir_rand_below(rand, 4) == 0) {
            submit_one(model, rand);
        } else {
            take_one(model, rand, (uint32_t)weir_rand_below(rand, 2));
        }
    }
    rig_down();
}

static void run_schedule(struct weir_rand *rand)
{
    static struct model model;
    memset(&model, 0, sizeof(model));
    for (int life = 0; life < LIVES; life++) {
        run_life(&model, rand);
    }
    rig_up((struct rig_options){0});
    assert_int_equal(weir_custody_backlog_start(rig.custody), WEIR_OK);
    uint32_t total = 0;
    for (uint32_t i = 0; i < model.requests; i++) {
        total += model.points[i];
    }
    assert_int_equal(rig_drain_until(2 * total - model.settled), 2 * total - model.settled);
    for (uint32_t i = 0; i < model.requests; i++) {
        for (uint32_t p = 0; p < RIG_POINTS; p++) {
            assert_int_equal(rig.seen[0][i][p], p < model.points[i]);
            assert_int_equal(rig.seen[1][i][p], p < model.points[i]);
        }
    }
    assert_int_equal(rig_records(0), 0);
    rig_down();
}

static void test_random_lives(void **state)
{
    struct weir_rand rand = support_rand(11);
    for (int i = 0; i < SCHEDULES; i++) {
        assert_int_equal(rig_set_up(state), 0);
        run_schedule(&rand);
        assert_int_equal(rig_tear_down(state), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_lives)};
    return cmocka_run_group_tests_name("prop_custody", tests, NULL, NULL);
}
