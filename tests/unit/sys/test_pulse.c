/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/pulse.h"
#include "weir/thread.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <semaphore.h>
#include <string.h>

static struct weir_pulse_watch watch;
static char name[16];

static int begin(void **state)
{
    (void)state;
    memset(&watch, 0, sizeof watch);
    memset(name, 0, sizeof name);
    return 0;
}

static int end(void **state)
{
    (void)state;
    weir_pulse_end();
    return 0;
}

static void test_nobody_is_watched_before_its_first_beat(void **state)
{
    (void)state;
    weir_pulse_rest(); /* is no beat */
    assert_int_equal(weir_pulse_look(&watch, 0, name), 0);
    assert_int_equal(weir_pulse_look(&watch, 1000, name), 0);
    assert_string_equal(name, "");
}

static void test_silence_grows(void **state)
{
    (void)state;
    weir_pulse_beat();
    assert_int_equal(weir_pulse_look(&watch, 100, name), 0);
    assert_int_equal(weir_pulse_look(&watch, 400, name), 300);
    assert_int_equal(weir_pulse_look(&watch, 900, name), 800);
    assert_string_not_equal(name, "");
}

static void test_a_beat_ends_it(void **state)
{
    (void)state;
    weir_pulse_beat();
    (void)weir_pulse_look(&watch, 100, name);
    weir_pulse_beat();
    assert_int_equal(weir_pulse_look(&watch, 400, name), 0);
    assert_int_equal(weir_pulse_look(&watch, 500, name), 100);
}

static void test_who_rests_is_alive(void **state)
{
    (void)state;
    weir_pulse_beat();
    (void)weir_pulse_look(&watch, 100, name);
    weir_pulse_rest();
    assert_int_equal(weir_pulse_look(&watch, 100000, name), 0);
    assert_int_equal(weir_pulse_look(&watch, 200000, name), 0);
    weir_pulse_beat(); /* at work again: from now on it counts */
    assert_int_equal(weir_pulse_look(&watch, 200001, name), 0);
    assert_int_equal(weir_pulse_look(&watch, 200009, name), 8);
}

static void test_who_has_ended_is_forgotten(void **state)
{
    (void)state;
    weir_pulse_beat();
    (void)weir_pulse_look(&watch, 100, name);
    weir_pulse_end();
    assert_int_equal(weir_pulse_look(&watch, 900, name), 0);
}

static void test_a_pause_of_all_is_forgiven(void **state)
{
    (void)state;
    weir_pulse_beat();
    (void)weir_pulse_look(&watch, 100, name);
    weir_pulse_forgive(&watch, 5000);
    assert_int_equal(weir_pulse_look(&watch, 5001, name), 1);
}

static void test_a_step_is_a_beat_of_who_works(void **state)
{
    (void)state;
    weir_pulse_move(); /* not watched: nor is it by this */
    (void)weir_pulse_look(&watch, 0, name);
    assert_int_equal(weir_pulse_look(&watch, 1000, name), 0);
    weir_pulse_beat();
    (void)weir_pulse_look(&watch, 1000, name);
    weir_pulse_move();
    assert_int_equal(weir_pulse_look(&watch, 2000, name), 0);
    assert_int_equal(weir_pulse_look(&watch, 2500, name), 500);
    weir_pulse_rest();
    weir_pulse_move(); /* still rests */
    (void)weir_pulse_look(&watch, 3000, name);
    assert_int_equal(weir_pulse_look(&watch, 9000, name), 0);
}

static sem_t go;
static sem_t there;

static void sit(void *argument)
{
    (void)argument;
    weir_pulse_beat();
    (void)sem_post(&there);
    (void)sem_wait(&go);
}

static void test_the_silent_one_is_named_and_its_end_noticed(void **state)
{
    (void)state;
    struct weir_thread *thread = NULL;
    assert_int_equal(sem_init(&go, 0, 0), 0);
    assert_int_equal(sem_init(&there, 0, 0), 0);
    weir_pulse_beat();
    assert_int_equal(weir_thread_start(WEIR_ROLE_TEST, "silent", sit, NULL, &thread), WEIR_OK);
    assert_int_equal(sem_wait(&there), 0);
    (void)weir_pulse_look(&watch, 0, name);
    weir_pulse_beat(); /* this thread moves, that one does not */
    assert_int_equal(weir_pulse_look(&watch, 700, name), 700);
    assert_string_equal(name, "silent");
    assert_int_equal(sem_post(&go), 0);
    weir_thread_join(thread);
    weir_pulse_beat();
    assert_int_equal(weir_pulse_look(&watch, 1400, name), 0);
}

static void test_a_slot_of_another_is_no_silence(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) { /* each takes the slot that the one before gave back */
        struct weir_thread *thread = NULL;
        assert_int_equal(weir_thread_start(WEIR_ROLE_TEST, "next", sit, NULL, &thread), WEIR_OK);
        assert_int_equal(sem_wait(&there), 0);
        assert_int_equal(weir_pulse_look(&watch, i * 1000, name), 0);
        assert_int_equal(sem_post(&go), 0);
        weir_thread_join(thread);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nobody_is_watched_before_its_first_beat, begin, end),
        cmocka_unit_test_setup_teardown(test_silence_grows, begin, end),
        cmocka_unit_test_setup_teardown(test_a_beat_ends_it, begin, end),
        cmocka_unit_test_setup_teardown(test_who_rests_is_alive, begin, end),
        cmocka_unit_test_setup_teardown(test_a_step_is_a_beat_of_who_works, begin, end),
        cmocka_unit_test_setup_teardown(test_who_has_ended_is_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(test_a_pause_of_all_is_forgiven, begin, end),
        cmocka_unit_test_setup_teardown(test_the_silent_one_is_named_and_its_end_noticed, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_a_slot_of_another_is_no_silence, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
