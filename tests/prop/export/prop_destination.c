/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/clock.h"
#include "weir/destination.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/*
 * Random backends against the state machine, in simulated time. A backend goes through phases (up,
 * down, forbidden, flaky), has poison parcels, and answers late. Whatever it does:
 *
 *   every parcel ends exactly once; none is sent twice at a time; while not UP, what is begun is
 *   begun alone; no attempt but the first begins at or after its window's end; with hold and a
 *   backend that is either up or down for all, nothing is lost; and once the backend is up for
 *   good, everything ends.
 */
enum { PARCELS = 60, ROUNDS = 300, STEPS_MAX = 200000, PHASES = 12 };

enum phase { PHASE_UP, PHASE_DOWN, PHASE_FORBIDDEN, PHASE_FLAKY, PHASES_KINDS };

struct item {
    struct weir_parcel parcel; /* first */
    bool is_poison;
    bool is_added;
    bool is_out;
    int ends;
    bool is_lost;
    bool is_half;
    int64_t answer_ns;
    enum weir_outcome answer;
};

struct world {
    struct weir_rand rand;
    struct weir_destination machine;
    struct item items[3 * PARCELS];
    uint32_t count;
    int64_t now_ns;
    int64_t phase_ends_ns;
    enum phase phase;
    int phases_left;
    bool fair; /* no poison, no flakiness: only up, down and forbidden */
    bool hold;
};

/* The answer a parcel gets, decided when it arrives. */
static enum weir_outcome judge(struct world *world, const struct item *item)
{
    if (world->phase == PHASE_DOWN) {
        return WEIR_OUTCOME_RETRYABLE;
    }
    if (world->phase == PHASE_FORBIDDEN) {
        return WEIR_OUTCOME_BLOCKED;
    }
    if (item->is_poison) {
        return WEIR_OUTCOME_RETRYABLE;
    }
    if (world->fair || world->phase == PHASE_UP) {
        return WEIR_OUTCOME_DELIVERED;
    }
    static const enum weir_outcome flaky[] = {WEIR_OUTCOME_DELIVERED, WEIR_OUTCOME_RETRYABLE,
                                              WEIR_OUTCOME_PARTIAL,   WEIR_OUTCOME_BLOCKED,
                                              WEIR_OUTCOME_REFUSED,   WEIR_OUTCOME_TOO_LARGE};
    enum weir_outcome outcome = flaky[weir_rand_below(&world->rand, 6)];
    return outcome == WEIR_OUTCOME_TOO_LARGE && item->is_half ? WEIR_OUTCOME_REFUSED : outcome;
}

static void end(struct item *item, bool is_lost)
{
    assert_int_equal(item->ends, 0);
    item->ends = 1;
    item->is_lost = is_lost;
}

static void send_all(struct world *world)
{
    for (;;) {
        enum weir_destination_state state = world->machine.state;
        uint32_t in_flight = world->machine.in_flight;
        struct weir_parcel *parcel = weir_destination_next(&world->machine, world->now_ns);
        if (parcel == NULL) {
            return;
        }
        struct item *item = (struct item *)parcel;
        assert_false(item->is_out);
        assert_int_equal(item->ends, 0);
        assert_true(state == WEIR_DESTINATION_UP || in_flight == 0);
        if (parcel->retry.attempts > 1) {
            assert_true(world->now_ns <
                        weir_retry_deadline_ns(&parcel->retry, &world->machine.retry));
        }
        item->is_out = true;
        item->answer = judge(world, item);
        item->answer_ns =
            world->now_ns + (int64_t)weir_rand_below(&world->rand, 300) * WEIR_NS_PER_MS;
    }
}

static void split(struct world *world, struct item *whole)
{
    end(whole, false);
    for (int i = 0; i < 2; i++) {
        struct item *half = &world->items[world->count++];
        *half = (struct item){.parcel = whole->parcel, .is_added = true, .is_half = true};
        weir_destination_add(&world->machine, &half->parcel);
    }
}

static void book(struct world *world, struct item *item)
{
    const struct weir_destination_answer answer = {
        item->answer, world->now_ns, weir_rand_below(&world->rand, 8) == 0 ? 2 * WEIR_NS_PER_S : -1,
        weir_rand_unit(&world->rand), false};
    item->is_out = false;
    switch (weir_destination_answer(&world->machine, &item->parcel, &answer)) {
    case WEIR_FATE_WAITS: return;
    case WEIR_FATE_DONE: end(item, false); return;
    case WEIR_FATE_SPLIT: split(world, item); return;
    case WEIR_FATE_REFUSED:
    case WEIR_FATE_EXPIRED: end(item, true); return;
    }
}

/* When something happens next. */
static int64_t next_time(const struct world *world)
{
    int64_t next = weir_destination_wakeup_ns(&world->machine);
    for (uint32_t i = 0; i < world->count; i++) {
        if (world->items[i].is_out && world->items[i].answer_ns < next) {
            next = world->items[i].answer_ns;
        }
    }
    if (world->phase_ends_ns > world->now_ns && world->phase_ends_ns < next) {
        next = world->phase_ends_ns;
    }
    return next;
}

static void change_phase(struct world *world)
{
    if (world->now_ns < world->phase_ends_ns || world->phases_left < 0) {
        return;
    }
    if (world->phases_left-- == 0) {
        world->phase = PHASE_UP; /* for good */
        return;
    }
    world->phase = (enum phase)weir_rand_below(&world->rand, PHASES_KINDS);
    /* long enough to take all that waits, so that an outage is an outage and not a flaky backend */
    bool is_recovery = world->fair && (world->phase == PHASE_UP || world->phase == PHASE_FLAKY);
    world->phase_ends_ns = world->now_ns +
                           (int64_t)weir_rand_below(&world->rand, 40) * WEIR_NS_PER_S +
                           (is_recovery ? 60 : 1) * WEIR_NS_PER_S;
}

/* A few new parcels now and then. */
static void arrive(struct world *world, uint32_t *added)
{
    while (*added < PARCELS && weir_rand_below(&world->rand, 3) == 0) {
        struct item *item = &world->items[world->count++];
        *item = (struct item){.is_added = true};
        item->is_poison = !world->fair && weir_rand_below(&world->rand, 10) == 0;
        weir_destination_number(&world->machine, &item->parcel);
        if (weir_rand_below(&world->rand, 4) == 0) { /* from before a restart */
            item->parcel.retry.used_ns = (int64_t)weir_rand_below(&world->rand, 40) * WEIR_NS_PER_S;
        }
        weir_destination_add(&world->machine, &item->parcel);
        (*added)++;
    }
}

static bool is_finished(const struct world *world, uint32_t added)
{
    for (uint32_t i = 0; i < world->count; i++) {
        /* a poison parcel alone cannot be told from an outage: it may be held for ever */
        if (world->items[i].ends == 0 && !(world->items[i].is_poison && world->hold)) {
            return false;
        }
    }
    return added == PARCELS && world->phases_left < 0;
}

static void run(struct world *world)
{
    uint32_t added = 0;
    for (int step = 0; !is_finished(world, added); step++) {
        assert_true(step < STEPS_MAX);
        change_phase(world);
        arrive(world, &added);
        struct weir_parcel *expired;
        while ((expired = weir_destination_expired(&world->machine, world->now_ns)) != NULL) {
            assert_false(((struct item *)expired)->is_out);
            assert_true(world->now_ns >=
                        weir_retry_deadline_ns(&expired->retry, &world->machine.retry));
            end((struct item *)expired, true);
        }
        send_all(world);
        int64_t next = next_time(world);
        int64_t later = world->now_ns + WEIR_NS_PER_S; /* for arrivals */
        world->now_ns = next > later ? later : next > world->now_ns ? next : world->now_ns;
        for (uint32_t i = 0; i < world->count; i++) {
            if (world->items[i].is_out && world->items[i].answer_ns <= world->now_ns) {
                book(world, &world->items[i]);
            }
        }
    }
}

static void set(struct world *world, struct weir_rand *rand, bool fair, bool hold)
{
    const struct weir_retry_options retry = {.window_ns =
                                                 (int64_t)weir_rand_below(rand, 30) * WEIR_NS_PER_S,
                                             .initial_ns = WEIR_NS_PER_S / 2,
                                             .max_ns = 4 * WEIR_NS_PER_S};
    *world = (struct world){.fair = fair, .hold = hold, .phases_left = PHASES};
    world->now_ns = (int64_t)weir_rand_below(rand, 1000) * WEIR_NS_PER_S;
    weir_rand_init(&world->rand, weir_rand_u64(rand));
    weir_destination_init(&world->machine, &retry, hold, 1 + (uint32_t)weir_rand_below(rand, 4));
}

static void every_parcel_ends_once(void **state)
{
    (void)state;
    static struct world world;
    struct weir_rand rand = support_rand(1);
    for (int round = 0; round < ROUNDS; round++) {
        set(&world, &rand, false, round % 2 == 0);
        run(&world);
        for (uint32_t i = 0; i < world.count; i++) {
            assert_false(world.items[i].is_poison && world.items[i].ends == 1 &&
                         !world.items[i].is_lost);
        }
    }
}

static void outages_and_wrong_tokens_lose_nothing(void **state)
{
    (void)state;
    static struct world world;
    struct weir_rand rand = support_rand(2);
    for (int round = 0; round < ROUNDS; round++) {
        set(&world, &rand, true, true);
        run(&world);
        for (uint32_t i = 0; i < world.count; i++) {
            assert_false(world.items[i].is_lost);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parcel_ends_once),
        cmocka_unit_test(outages_and_wrong_tokens_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
