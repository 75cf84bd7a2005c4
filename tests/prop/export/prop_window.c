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
 * What the retry window of 900 s means for a batch, case by case, as docs/retry-window.md says it;
 * each case with random times, waits and amounts used before a restart.
 */
enum { ROUNDS = 500 };

#define S        WEIR_NS_PER_S
#define WINDOW   (900 * S)
#define NEVER_NS INT64_MAX

static const struct weir_retry_options HOUSE = {WINDOW, S, 30 * S};

struct world {
    struct weir_rand rand;
    struct weir_destination machine;
    struct weir_parcel parcels[4];
    int64_t now_ns;
};

static int64_t up_to(struct world *world, int64_t most_ns)
{
    return (int64_t)weir_rand_below(&world->rand, (uint64_t)most_ns);
}

static void set(struct world *world, struct weir_rand *rand, bool hold)
{
    *world = (struct world){.now_ns = 0};
    weir_rand_init(&world->rand, weir_rand_u64(rand));
    world->now_ns = up_to(world, 1000000 * S);
    weir_destination_init(&world->machine, &HOUSE, hold, 4);
}

static struct weir_parcel *arrive(struct world *world, int index, int64_t used_ns)
{
    struct weir_parcel *parcel = &world->parcels[index];
    weir_destination_number(&world->machine, parcel);
    parcel->retry.used_ns = used_ns;
    weir_destination_add(&world->machine, parcel);
    return parcel;
}

static enum weir_batch_fate answer(struct world *world, struct weir_parcel *parcel,
                                   enum weir_outcome outcome, int64_t retry_after_ns)
{
    const struct weir_destination_answer given = {outcome, world->now_ns, retry_after_ns,
                                                  weir_rand_unit(&world->rand), false};
    return weir_destination_answer(&world->machine, parcel, &given);
}

/* Sends what may go now, which must be this. */
static void begin(struct world *world, const struct weir_parcel *parcel)
{
    assert_ptr_equal(weir_destination_next(&world->machine, world->now_ns), parcel);
}

static int64_t deadline_ns(const struct weir_parcel *parcel)
{
    return weir_retry_deadline_ns(&parcel->retry, &HOUSE);
}

/* Fails a lone parcel until its window is over. Returns when that was. */
static int64_t fail_to_the_end(struct world *world, struct weir_parcel *parcel)
{
    for (;;) {
        assert_null(weir_destination_expired(&world->machine, world->now_ns));
        struct weir_parcel *next = weir_destination_next(&world->machine, world->now_ns);
        if (next != NULL) {
            assert_ptr_equal(next, parcel);
            assert_true(parcel->retry.attempts == 1 || world->now_ns < deadline_ns(parcel));
            if (answer(world, parcel, WEIR_OUTCOME_RETRYABLE, -1) == WEIR_FATE_EXPIRED) {
                return world->now_ns;
            }
        }
        int64_t wakeup_ns = weir_destination_wakeup_ns(&world->machine);
        assert_true(wakeup_ns > world->now_ns);
        world->now_ns = wakeup_ns;
        if (wakeup_ns >= deadline_ns(parcel)) {
            assert_ptr_equal(weir_destination_expired(&world->machine, wakeup_ns), parcel);
            return wakeup_ns;
        }
    }
}

static void the_window_runs_from_the_first_attempt(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(1);
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        set(&world, &rand, false);
        struct weir_parcel *parcel = arrive(&world, 0, 0);
        world.now_ns += up_to(&world, 5000 * S); /* in the queue */
        int64_t begun_ns = world.now_ns;
        assert_true(fail_to_the_end(&world, parcel) == begun_ns + WINDOW);
    }
}

static void a_slow_answer_counts_whenever_it_comes(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(2);
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        set(&world, &rand, i % 2 == 0);
        struct weir_parcel *parcel = arrive(&world, 0, up_to(&world, WINDOW));
        begin(&world, parcel);
        world.now_ns = deadline_ns(parcel) + up_to(&world, 100 * S); /* it is over meanwhile */
        assert_null(weir_destination_expired(&world.machine, world.now_ns));
        assert_int_equal(answer(&world, parcel, WEIR_OUTCOME_DELIVERED, -1), WEIR_FATE_DONE);
    }
}

static void a_slow_failure_after_the_end_is_the_end(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(3);
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        set(&world, &rand, false);
        struct weir_parcel *parcel = arrive(&world, 0, up_to(&world, WINDOW));
        begin(&world, parcel);
        world.now_ns = deadline_ns(parcel) + up_to(&world, 100 * S);
        assert_int_equal(answer(&world, parcel, WEIR_OUTCOME_RETRYABLE, -1), WEIR_FATE_EXPIRED);
    }
}

static void a_retry_after_beyond_the_deadline_does_not_move_it(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(4);
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        set(&world, &rand, false);
        struct weir_parcel *parcel = arrive(&world, 0, up_to(&world, WINDOW));
        begin(&world, parcel);
        int64_t end_ns = deadline_ns(parcel);
        int64_t wish_ns = end_ns - world.now_ns + up_to(&world, 5000 * S);
        assert_int_equal(answer(&world, parcel, WEIR_OUTCOME_RETRYABLE, wish_ns), WEIR_FATE_WAITS);
        assert_true(weir_destination_wakeup_ns(&world.machine) == end_ns);
        assert_null(weir_destination_expired(&world.machine, end_ns - 1));
        assert_null(weir_destination_next(&world.machine, end_ns - 1)); /* nor is it ignored */
        assert_ptr_equal(weir_destination_expired(&world.machine, end_ns), parcel);
    }
}

static void a_restart_leaves_the_rest(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(5);
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        set(&world, &rand, false);
        int64_t used_ns = i == 0 ? 600 * S : up_to(&world, WINDOW);
        struct weir_parcel *parcel = arrive(&world, 0, used_ns);
        world.now_ns += up_to(&world, 5000 * S); /* waiting for its first attempt costs nothing */
        int64_t begun_ns = world.now_ns;
        assert_true(fail_to_the_end(&world, parcel) == begun_ns + WINDOW - used_ns);
    }
}

static void a_window_used_up_before_a_restart_has_one_more_attempt(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(6);
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        set(&world, &rand, false);
        struct weir_parcel *parcel = arrive(&world, 0, WINDOW + up_to(&world, 1000 * S));
        assert_null(weir_destination_expired(&world.machine, world.now_ns));
        begin(&world, parcel);
        bool works = weir_rand_below(&world.rand, 2) == 0;
        enum weir_outcome outcome = works ? WEIR_OUTCOME_DELIVERED : WEIR_OUTCOME_RETRYABLE;
        assert_int_equal(answer(&world, parcel, outcome, -1),
                         works ? WEIR_FATE_DONE : WEIR_FATE_EXPIRED);
    }
}

static void what_was_never_attempted_has_no_window(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(7);
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        set(&world, &rand, i % 2 == 0);
        struct weir_parcel *parcel = arrive(&world, 0, i % 3 == 0 ? up_to(&world, 2 * WINDOW) : 0);
        world.now_ns += up_to(&world, 1000000 * S);
        assert_null(weir_destination_expired(&world.machine, world.now_ns));
        assert_true(deadline_ns(parcel) == NEVER_NS);
        begin(&world, parcel);
    }
}

/* A backend that is down for everybody: the window ends, and is opened anew, however often. */
static void an_outage_opens_it_anew(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(8);
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        set(&world, &rand, true);
        struct weir_parcel *parcel = arrive(&world, 0, up_to(&world, WINDOW));
        int64_t up_ns = world.now_ns + up_to(&world, 4 * WINDOW);
        for (bool delivered = false; !delivered;) {
            assert_null(weir_destination_expired(&world.machine, world.now_ns));
            if (weir_destination_next(&world.machine, world.now_ns) != NULL) {
                delivered = world.now_ns >= up_ns;
                assert_int_equal(answer(&world, parcel,
                                        delivered ? WEIR_OUTCOME_DELIVERED : WEIR_OUTCOME_RETRYABLE,
                                        -1),
                                 delivered ? WEIR_FATE_DONE : WEIR_FATE_WAITS);
            }
            assert_true(parcel->retry.attempts > 0 || parcel->retry.used_ns == 0);
            int64_t wakeup_ns = weir_destination_wakeup_ns(&world.machine);
            world.now_ns = delivered ? world.now_ns : wakeup_ns;
        }
        assert_true(world.now_ns < up_ns + 40 * S); /* a held batch is tried as any other */
    }
}

/* One that fails while others are taken: the end of its window is its end, also of a window that
 * began before a restart. */
static void poison_ends_with_its_window(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(9);
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        set(&world, &rand, true);
        int64_t used_ns = up_to(&world, WINDOW / 2);
        struct weir_parcel *poison = arrive(&world, 0, used_ns);
        struct weir_parcel *other = NULL;
        int64_t begun_ns = world.now_ns;
        struct weir_parcel *expired = NULL;
        while (expired == NULL) {
            struct weir_parcel *next = weir_destination_next(&world.machine, world.now_ns);
            if (next != NULL && next == other) {
                assert_int_equal(answer(&world, other, WEIR_OUTCOME_DELIVERED, -1), WEIR_FATE_DONE);
                other = NULL;
            } else if (next == poison) {
                enum weir_batch_fate fate = answer(&world, poison, WEIR_OUTCOME_RETRYABLE, -1);
                expired = fate == WEIR_FATE_EXPIRED ? poison : NULL;
            } else {
                world.now_ns += S / 2;
                expired = weir_destination_expired(&world.machine, world.now_ns);
                other = other == NULL ? arrive(&world, 1, 0) : other;
            }
        }
        assert_ptr_equal(expired, poison);
        assert_true(world.now_ns >= begun_ns + WINDOW - used_ns);
        assert_true(world.now_ns <= begun_ns + WINDOW - used_ns + S);
    }
}

/* 401 and its like: no window runs, and what was used is given back to all that wait. */
static void blocked_nothing_runs(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(10);
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        set(&world, &rand, i % 2 == 0);
        struct weir_parcel *first = arrive(&world, 0, up_to(&world, WINDOW));
        struct weir_parcel *waiting = arrive(&world, 1, up_to(&world, WINDOW));
        begin(&world, first);
        assert_int_equal(answer(&world, first, WEIR_OUTCOME_BLOCKED, -1), WEIR_FATE_WAITS);
        assert_true(first->retry.used_ns == 0);
        assert_true(waiting->retry.used_ns == 0);
        for (int64_t end_ns = world.now_ns + 4 * WINDOW; world.now_ns < end_ns;) {
            assert_null(weir_destination_expired(&world.machine, world.now_ns));
            struct weir_parcel *next = weir_destination_next(&world.machine, world.now_ns);
            if (next != NULL) {
                assert_int_equal(answer(&world, next, WEIR_OUTCOME_BLOCKED, -1), WEIR_FATE_WAITS);
            }
            assert_true(deadline_ns(first) == NEVER_NS);
            assert_true(deadline_ns(waiting) == NEVER_NS);
            world.now_ns = weir_destination_wakeup_ns(&world.machine);
        }
    }
}

static void halves_have_the_rest_of_the_whole(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(11);
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        set(&world, &rand, false);
        struct weir_parcel *whole = arrive(&world, 0, up_to(&world, WINDOW));
        begin(&world, whole);
        int64_t end_ns = deadline_ns(whole);
        world.now_ns += up_to(&world, end_ns - world.now_ns); /* a slow 413 */
        assert_int_equal(answer(&world, whole, WEIR_OUTCOME_TOO_LARGE, -1), WEIR_FATE_SPLIT);
        for (int half = 1; half <= 2; half++) {
            world.parcels[half] = *whole;
            weir_destination_add(&world.machine, &world.parcels[half]);
            assert_true(deadline_ns(&world.parcels[half]) == end_ns);
        }
        begin(&world, &world.parcels[1]); /* at once */
        assert_int_equal(answer(&world, &world.parcels[1], WEIR_OUTCOME_DELIVERED, -1),
                         WEIR_FATE_DONE);
        assert_true(fail_to_the_end(&world, &world.parcels[2]) == end_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_runs_from_the_first_attempt),
        cmocka_unit_test(a_slow_answer_counts_whenever_it_comes),
        cmocka_unit_test(a_slow_failure_after_the_end_is_the_end),
        cmocka_unit_test(a_retry_after_beyond_the_deadline_does_not_move_it),
        cmocka_unit_test(a_restart_leaves_the_rest),
        cmocka_unit_test(a_window_used_up_before_a_restart_has_one_more_attempt),
        cmocka_unit_test(what_was_never_attempted_has_no_window),
        cmocka_unit_test(an_outage_opens_it_anew),
        cmocka_unit_test(poison_ends_with_its_window),
        cmocka_unit_test(blocked_nothing_runs),
        cmocka_unit_test(halves_have_the_rest_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
