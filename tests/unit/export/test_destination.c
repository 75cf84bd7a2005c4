/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/clock.h"
#include "weir/destination.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S WEIR_NS_PER_S

static const struct weir_retry_options retry = {900 * S, 1 * S, 30 * S};

/* A destination with its parcels p[0..count) added, oldest first. */
struct scene {
    struct weir_destination d;
    struct weir_parcel p[16];
    int64_t now;
};

static void set(struct scene *scene, size_t count, bool hold, uint32_t in_flight_max)
{
    weir_destination_init(&scene->d, &retry, hold, in_flight_max);
    scene->now = 1000 * S;
    for (size_t i = 0; i < count; i++) {
        weir_destination_number(&scene->d, &scene->p[i]);
        weir_destination_add(&scene->d, &scene->p[i]);
    }
}

/* Which parcel goes now, or -1. */
static int next(struct scene *scene)
{
    struct weir_parcel *parcel = weir_destination_next(&scene->d, scene->now);
    return parcel == NULL ? -1 : (int)(parcel - scene->p);
}

/* unit 0.5 is no jitter. */
static enum weir_batch_fate answer(struct scene *scene, int index, enum weir_outcome outcome)
{
    struct weir_destination_answer booked = {outcome, scene->now, -1, 0.5, false};
    return weir_destination_answer(&scene->d, &scene->p[index], &booked);
}

static void up_sends_in_order_up_to_its_limit(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 4, true, 2);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(next(&scene), 1);
    assert_int_equal(next(&scene), -1);
    assert_int_equal(weir_destination_wakeup_ns(&scene.d), INT64_MAX);
    assert_int_equal(answer(&scene, 1, WEIR_OUTCOME_DELIVERED), WEIR_FATE_DONE);
    assert_int_equal(next(&scene), 2);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_PARTIAL), WEIR_FATE_DONE);
    assert_int_equal(answer(&scene, 2, WEIR_OUTCOME_REFUSED), WEIR_FATE_REFUSED);
    assert_int_equal(scene.d.taken, 2);
    assert_int_equal(scene.d.in_flight, 0);
}

static void parcels_may_be_added_out_of_order(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 0, true, 1);
    weir_destination_number(&scene.d, &scene.p[0]);
    weir_destination_number(&scene.d, &scene.p[1]);
    weir_destination_add(&scene.d, &scene.p[1]);
    weir_destination_add(&scene.d, &scene.p[0]);
    assert_int_equal(next(&scene), 0);
}

static void a_retryable_answer_leaves_one_probe_after_the_backoff(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 3, true, 4);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_PROBING);
    assert_int_equal(next(&scene), -1);
    scene.now += 1 * S - 1;
    assert_int_equal(next(&scene), -1);
    assert_int_equal(weir_destination_wakeup_ns(&scene.d), scene.now + 1);
    scene.now += 1;
    assert_int_equal(next(&scene), 1); /* another one than the one that failed */
    assert_int_equal(next(&scene), -1);
    assert_int_equal(answer(&scene, 1, WEIR_OUTCOME_DELIVERED), WEIR_FATE_DONE);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_UP);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(next(&scene), 2);
}

static void two_parcels_take_turns_then_a_third_comes_in(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 5, true, 1);
    static const int expected[] = {0, 1, 0, 1, 2, 3, 2, 3, 4};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(next(&scene), expected[i]);
        assert_int_equal(next(&scene), -1);
        assert_int_equal(answer(&scene, expected[i], WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
        scene.now += 60 * S;
    }
}

static void retry_after_is_honoured_but_not_for_ever(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 2, true, 4);
    assert_int_equal(next(&scene), 0);
    struct weir_destination_answer busy = {WEIR_OUTCOME_RETRYABLE, scene.now, 10 * S, 0.5, false};
    assert_int_equal(weir_destination_answer(&scene.d, &scene.p[0], &busy), WEIR_FATE_WAITS);
    scene.now += 10 * S - 1;
    assert_int_equal(next(&scene), -1);
    scene.now += 1;
    assert_int_equal(next(&scene), 1);
    struct weir_destination_answer mad = {WEIR_OUTCOME_RETRYABLE, scene.now, INT64_MAX, 0.5, false};
    assert_int_equal(weir_destination_answer(&scene.d, &scene.p[1], &mad), WEIR_FATE_WAITS);
    scene.now += 3600 * S;
    (void)weir_destination_expired(&scene.d, scene.now);
    assert_int_not_equal(next(&scene), -1);
}

static void what_was_in_flight_when_it_began_counts_once(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 6, true, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(next(&scene), i);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(answer(&scene, i, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
        assert_int_equal(next(&scene), -1);
    }
    assert_int_equal(scene.d.failures, 1);
    scene.now += 1 * S;
    assert_int_equal(next(&scene), 0);
}

static void a_late_success_ends_the_outage(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 4, true, 2);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(next(&scene), 1);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
    assert_int_equal(next(&scene), -1);
    assert_int_equal(answer(&scene, 1, WEIR_OUTCOME_DELIVERED), WEIR_FATE_DONE);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_UP);
    assert_int_equal(next(&scene), 2);
}

static void poison_expires_at_its_deadline_and_holds_nobody_up(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 1, true, 1);
    int64_t first = scene.now;
    int delivered = 0;
    bool expired = false;
    while (scene.now < first + 2000 * S && !expired) {
        if (delivered < 14 && scene.d.waiting.count < 2) {
            struct weir_parcel *fresh = &scene.p[1 + delivered];
            weir_destination_number(&scene.d, fresh);
            weir_destination_add(&scene.d, fresh);
        }
        struct weir_parcel *gone = weir_destination_expired(&scene.d, scene.now);
        if (gone != NULL) {
            assert_ptr_equal(gone, &scene.p[0]);
            assert_int_equal(scene.now, first + 900 * S);
            expired = true;
        }
        for (int sent = next(&scene); sent != -1; sent = next(&scene)) {
            assert_int_equal(
                answer(&scene, sent, sent == 0 ? WEIR_OUTCOME_RETRYABLE : WEIR_OUTCOME_DELIVERED),
                sent == 0 ? WEIR_FATE_WAITS : WEIR_FATE_DONE);
            delivered += sent != 0;
        }
        scene.now += S / 10;
    }
    assert_true(expired);
    assert_int_equal(delivered, 14);
}

static void after_the_second_failure_of_poison_the_next_goes_at_once(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 4, true, 1);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
    scene.now += 1 * S;
    assert_int_equal(next(&scene), 1);
    assert_int_equal(answer(&scene, 1, WEIR_OUTCOME_DELIVERED), WEIR_FATE_DONE);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_PROBING);
    assert_int_equal(next(&scene), 2); /* no wait */
    assert_int_equal(answer(&scene, 2, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
    assert_int_equal(next(&scene), -1); /* but only once: this may be an outage after all */
}

static void an_outage_past_the_window_loses_nothing(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 8, true, 4);
    int64_t mended = scene.now + 3000 * S;
    int delivered = 0;
    while (delivered < 8) {
        assert_null(weir_destination_expired(&scene.d, scene.now));
        for (int sent = next(&scene); sent != -1; sent = next(&scene)) {
            bool works = scene.now >= mended;
            assert_int_equal(
                answer(&scene, sent, works ? WEIR_OUTCOME_DELIVERED : WEIR_OUTCOME_RETRYABLE),
                works ? WEIR_FATE_DONE : WEIR_FATE_WAITS);
            delivered += works;
        }
        scene.now += S / 2;
        assert_true(scene.now < mended + 60 * S);
    }
}

static void dead_letter_on_outage_expires_exactly_at_the_deadline(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 1, false, 4);
    int64_t first = scene.now;
    assert_int_equal(next(&scene), 0);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
    assert_null(weir_destination_expired(&scene.d, first + 900 * S - 1));
    scene.now = first + 900 * S - 1;
    assert_int_equal(next(&scene), 0);
    scene.now = first + 900 * S; /* in flight at the deadline: it may end */
    assert_null(weir_destination_expired(&scene.d, scene.now));
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_EXPIRED);
    assert_int_equal(scene.d.waiting.count, 0);
}

static void an_attempt_in_flight_at_the_deadline_may_succeed(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 1, false, 4);
    assert_int_equal(next(&scene), 0);
    scene.now += 2000 * S;
    assert_null(weir_destination_expired(&scene.d, scene.now));
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_DELIVERED), WEIR_FATE_DONE);
}

static void blocked_stops_all_windows(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 4, false, 4);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
    scene.now += 1 * S;
    for (int i = 0; i < 500; i++) {
        int sent = next(&scene);
        assert_null(weir_destination_expired(&scene.d, scene.now));
        if (sent != -1) {
            assert_int_equal(next(&scene), -1);
            assert_int_equal(answer(&scene, sent, WEIR_OUTCOME_BLOCKED), WEIR_FATE_WAITS);
            assert_int_equal(scene.d.state, WEIR_DESTINATION_BLOCKED);
        }
        scene.now += 10 * S;
    }
    int sent = next(&scene);
    assert_int_not_equal(sent, -1);
    assert_int_equal(answer(&scene, sent, WEIR_OUTCOME_DELIVERED), WEIR_FATE_DONE);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_UP);
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(next(&scene), -1);
    }
}

static void blocked_then_unavailable_is_probing(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 2, true, 4);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_BLOCKED), WEIR_FATE_WAITS);
    scene.now += 1 * S;
    assert_int_equal(next(&scene), 1);
    assert_int_equal(answer(&scene, 1, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_PROBING);
}

/* A filter that answers 403 to one batch's content: it must not block the stream, and must end. */
static void a_batch_that_alone_is_forbidden_expires(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 1, true, 1);
    bool expired = false;
    int delivered = 0;
    for (int i = 0; i < 20000 && !expired; i++) {
        if (delivered < 15 && scene.d.waiting.count == 1) {
            weir_destination_number(&scene.d, &scene.p[1]);
            weir_destination_add(&scene.d, &scene.p[1]);
        }
        expired = weir_destination_expired(&scene.d, scene.now) == &scene.p[0];
        int sent = next(&scene);
        if (sent != -1) {
            enum weir_batch_fate fate =
                answer(&scene, sent, sent == 0 ? WEIR_OUTCOME_BLOCKED : WEIR_OUTCOME_DELIVERED);
            assert_int_equal(fate, sent == 0 ? WEIR_FATE_WAITS : WEIR_FATE_DONE);
            delivered += sent != 0;
        }
        scene.now += S / 10;
    }
    assert_true(expired);
    assert_int_equal(delivered, 15);
}

static void halves_take_the_wholes_place(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 3, true, 1);
    assert_int_equal(next(&scene), 0);
    int64_t deadline = weir_retry_deadline_ns(&scene.p[0].retry, &retry);
    scene.now += 5 * S;
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_TOO_LARGE), WEIR_FATE_SPLIT);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_UP);
    scene.p[10] = scene.p[0];
    scene.p[11] = scene.p[0];
    weir_destination_add(&scene.d, &scene.p[10]);
    weir_destination_add(&scene.d, &scene.p[11]);
    assert_int_equal(next(&scene), 10);
    assert_int_equal(weir_retry_deadline_ns(&scene.p[10].retry, &retry), deadline);
    assert_int_equal(answer(&scene, 10, WEIR_OUTCOME_DELIVERED), WEIR_FATE_DONE);
    assert_int_equal(next(&scene), 11);
    assert_int_equal(answer(&scene, 11, WEIR_OUTCOME_DELIVERED), WEIR_FATE_DONE);
    assert_int_equal(next(&scene), 1);
}

static void a_refusal_ends_probing_but_is_no_evidence(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 3, true, 4);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
    scene.now += 1 * S;
    assert_int_equal(next(&scene), 1);
    assert_int_equal(answer(&scene, 1, WEIR_OUTCOME_REFUSED), WEIR_FATE_REFUSED);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_UP);
    assert_int_equal(scene.d.taken, 0);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
    assert_int_equal(scene.p[0].passed_by, 0);
}

static void remove_empties_it_whatever_the_state(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 3, true, 4);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_BLOCKED), WEIR_FATE_WAITS);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(weir_destination_remove(&scene.d), &scene.p[i]);
    }
    assert_null(weir_destination_remove(&scene.d));
    assert_int_equal(weir_destination_wakeup_ns(&scene.d), INT64_MAX);
}

/* The answer said nothing of the batch: it goes again at once, and nobody is to blame. */
static void a_void_answer_leaves_everything_as_it_was(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 3, true, 2);
    const struct weir_destination_answer none = {.now_ns = scene.now, .is_void = true};
    assert_int_equal(next(&scene), 0);
    assert_int_equal(next(&scene), 1);
    int64_t deadline = weir_retry_deadline_ns(&scene.p[0].retry, &scene.d.retry);
    assert_int_equal(weir_destination_answer(&scene.d, &scene.p[0], &none), WEIR_FATE_WAITS);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_UP);
    assert_int_equal(scene.d.in_flight, 1);
    assert_int_equal(scene.p[0].failures, 0);
    scene.now += S;
    assert_int_equal(next(&scene), 0); /* before 2 */
    assert_int_equal(weir_retry_deadline_ns(&scene.p[0].retry, &scene.d.retry), deadline);
    assert_int_equal(answer(&scene, 1, WEIR_OUTCOME_BLOCKED), WEIR_FATE_WAITS);
    assert_int_equal(weir_destination_answer(&scene.d, &scene.p[0], &none), WEIR_FATE_WAITS);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_BLOCKED);
}

/* No token: no window runs, and when there is one a probe goes at once. */
static void it_can_be_blocked_without_an_answer(void **state)
{
    (void)state;
    struct scene scene;
    set(&scene, 3, false, 2);
    assert_int_equal(next(&scene), 0);
    assert_int_equal(answer(&scene, 0, WEIR_OUTCOME_RETRYABLE), WEIR_FATE_WAITS);
    weir_destination_block(&scene.d, true, scene.now);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_BLOCKED);
    scene.now += 100 * retry.window_ns;
    assert_null(weir_destination_expired(&scene.d, scene.now));
    weir_destination_block(&scene.d, true, scene.now); /* still */
    weir_destination_block(&scene.d, false, scene.now);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_BLOCKED);
    int probe = next(&scene);
    assert_int_not_equal(probe, -1);
    assert_int_equal(next(&scene), -1);
    assert_int_equal(answer(&scene, probe, WEIR_OUTCOME_DELIVERED), WEIR_FATE_DONE);
    assert_int_equal(scene.d.state, WEIR_DESTINATION_UP);
    weir_destination_block(&scene.d, false, scene.now); /* nothing */
    assert_int_equal(scene.d.state, WEIR_DESTINATION_UP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_void_answer_leaves_everything_as_it_was),
        cmocka_unit_test(it_can_be_blocked_without_an_answer),
        cmocka_unit_test(up_sends_in_order_up_to_its_limit),
        cmocka_unit_test(parcels_may_be_added_out_of_order),
        cmocka_unit_test(a_retryable_answer_leaves_one_probe_after_the_backoff),
        cmocka_unit_test(two_parcels_take_turns_then_a_third_comes_in),
        cmocka_unit_test(retry_after_is_honoured_but_not_for_ever),
        cmocka_unit_test(what_was_in_flight_when_it_began_counts_once),
        cmocka_unit_test(a_late_success_ends_the_outage),
        cmocka_unit_test(poison_expires_at_its_deadline_and_holds_nobody_up),
        cmocka_unit_test(after_the_second_failure_of_poison_the_next_goes_at_once),
        cmocka_unit_test(an_outage_past_the_window_loses_nothing),
        cmocka_unit_test(dead_letter_on_outage_expires_exactly_at_the_deadline),
        cmocka_unit_test(an_attempt_in_flight_at_the_deadline_may_succeed),
        cmocka_unit_test(blocked_stops_all_windows),
        cmocka_unit_test(blocked_then_unavailable_is_probing),
        cmocka_unit_test(a_batch_that_alone_is_forbidden_expires),
        cmocka_unit_test(halves_take_the_wholes_place),
        cmocka_unit_test(a_refusal_ends_probing_but_is_no_evidence),
        cmocka_unit_test(remove_empties_it_whatever_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
