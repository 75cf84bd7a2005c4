/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/thread.h"
#include "weir/wake.h"
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static int rings(const struct weir_wake *wake, int wait_ms)
{
    struct pollfd waiting = {wake->fd, POLLIN, 0};
    return poll(&waiting, 1, wait_ms);
}

static void test_a_bell_is_quiet_until_rung(void **state)
{
    (void)state;
    struct weir_wake wake;
    assert_int_equal(weir_wake_open(&wake), WEIR_OK);
    assert_int_equal(rings(&wake, 0), 0);
    weir_wake_ring(&wake);
    assert_int_equal(rings(&wake, 0), 1);
    assert_int_equal(rings(&wake, 0), 1);
    weir_wake_close(&wake);
    assert_int_equal(wake.fd, -1);
    weir_wake_close(&wake);
    weir_wake_close(NULL);
}

static void test_many_rings_are_silenced_at_once(void **state)
{
    (void)state;
    struct weir_wake wake;
    assert_int_equal(weir_wake_open(&wake), WEIR_OK);
    for (int i = 0; i < 100; i++) {
        weir_wake_ring(&wake);
    }
    weir_wake_silence(&wake);
    assert_int_equal(rings(&wake, 0), 0);
    weir_wake_ring(&wake);
    assert_int_equal(rings(&wake, 0), 1);
    weir_wake_close(&wake);
}

static void test_silencing_a_quiet_bell_does_not_block(void **state)
{
    (void)state;
    struct weir_wake wake;
    assert_int_equal(weir_wake_open(&wake), WEIR_OK);
    weir_wake_silence(&wake);
    weir_wake_silence(&wake);
    weir_wake_ring(&wake);
    assert_int_equal(rings(&wake, 0), 1);
    weir_wake_close(&wake);
}

struct post {
    struct weir_wake wake;
    _Atomic int letters;
};

enum { LETTERS = 20000 };

static void post_letters(void *argument)
{
    struct post *post = argument;
    for (int i = 0; i < LETTERS; i++) {
        /* release: pairs with the acquire of the reader */
        atomic_fetch_add_explicit(&post->letters, 1, memory_order_release);
        weir_wake_ring(&post->wake);
    }
}

/* A letter whose ring is lost would leave the reader asleep: poll says so after five seconds. */
static void test_no_ring_is_lost(void **state)
{
    (void)state;
    struct post post;
    assert_int_equal(weir_wake_open(&post.wake), WEIR_OK);
    atomic_init(&post.letters, 0);
    struct weir_thread *threads[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(
            weir_thread_start(WEIR_ROLE_TEST, "post", post_letters, &post, &threads[i]), WEIR_OK);
    }
    int seen = 0;
    while (seen < 2 * LETTERS) {
        assert_int_equal(rings(&post.wake, 5000), 1);
        weir_wake_silence(&post.wake);
        /* acquire: pairs with the release of the writers */
        seen = atomic_load_explicit(&post.letters, memory_order_acquire);
    }
    for (size_t i = 0; i < 2; i++) {
        weir_thread_join(threads[i]);
    }
    weir_wake_close(&post.wake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bell_is_quiet_until_rung),
        cmocka_unit_test(test_many_rings_are_silenced_at_once),
        cmocka_unit_test(test_silencing_a_quiet_bell_does_not_block),
        cmocka_unit_test(test_no_ring_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
