/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bell as exporter threads use it: several producers ring it, loudly and softly, and one consumer
 * muffles it, looks, and naps or unmuffles and sleeps. A producer mostly brings its next letter
 * when it knows the last one read, so that the consumer often sleeps, and soon after a ring was
 * lost all wait for each other: the consumer's poll says so after five seconds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weir/rand.h"
#include "weir/thread.h"
#include "weir/wake.h"
#include <poll.h>
#include <sched.h>

enum { PRODUCERS = 3, LETTERS = 6000, LOST_MS = 5000 };

struct box {
    _Alignas(64) _Atomic uint32_t brought;
    _Alignas(64) _Atomic uint32_t read;
};

struct post {
    struct weir_wake wake;
    struct box boxes[PRODUCERS];
};

struct producer {
    struct post *post;
    uint32_t index;
};

static void bring(void *argument)
{
    const struct producer *producer = argument;
    struct post *post = producer->post;
    struct box *box = &post->boxes[producer->index];
    struct weir_rand rand;
    weir_rand_init(&rand, producer->index);
    for (uint32_t i = 1; i <= LETTERS; i++) {
        /* relaxed: it is the bell that must make it seen */
        atomic_store_explicit(&box->brought, i, memory_order_relaxed);
        if (weir_rand_below(&rand, 4) == 0) {
            weir_wake_ring(&post->wake);
        } else {
            weir_wake_ring_soft(&post->wake);
        }
        bool waits = weir_rand_below(&rand, 8) > 0;
        /* relaxed: a number */
        while (waits && atomic_load_explicit(&box->read, memory_order_relaxed) < i) {
            (void)sched_yield();
        }
    }
}

/* How many letters have been read now. */
static uint32_t look(struct post *post)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        /* relaxed: as in bring */
        uint32_t brought = atomic_load_explicit(&post->boxes[i].brought, memory_order_relaxed);
        atomic_store_explicit(&post->boxes[i].read, brought, memory_order_relaxed);
        count += brought;
    }
    return count;
}

static void test_no_ring_is_lost_between_naps(void **state)
{
    (void)state;
    static struct post post;
    assert_int_equal(weir_wake_open(&post.wake), WEIR_OK);
    struct producer producers[PRODUCERS];
    struct weir_thread *threads[PRODUCERS];
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){&post, i};
        assert_int_equal(
            weir_thread_start(WEIR_ROLE_TEST, "bring", bring, &producers[i], &threads[i]), WEIR_OK);
    }
    struct weir_rand rand;
    weir_rand_init(&rand, PRODUCERS);
    struct pollfd bell = {post.wake.fd, POLLIN, 0};
    uint32_t sleeps = 0;
    for (;;) {
        (void)weir_wake_muffle(&post.wake);
        if (look(&post) == PRODUCERS * LETTERS) {
            break;
        }
        for (uint64_t pause = weir_rand_below(&rand, 4); pause > 0; pause--) {
            (void)sched_yield(); /* somebody brings one after the look */
        }
        if (weir_rand_below(&rand, 4) == 0) {
            (void)poll(&bell, 1, (int)weir_rand_below(&rand, 2)); /* a nap */
        } else if (weir_wake_unmuffle(&post.wake)) {
            sleeps++;
            assert_int_equal(poll(&bell, 1, LOST_MS), 1);
        }
    }
    assert_true(sleeps > 0);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        weir_thread_join(threads[i]);
    }
    weir_wake_close(&post.wake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_ring_is_lost_between_naps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
