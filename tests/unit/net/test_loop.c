/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: posts from other threads, ticks, stops, signals, and what it refuses. */
#include "peer.h"
#include "support.h"
#include "weir/mem.h"
#include <signal.h>
#include <sys/time.h>

#define POSTERS        4
#define TASKS_EACH     2000
#define TICKS_TO_COUNT 4

struct numbered_task {
    struct weir_loop_task task;
    struct posting *posting;
    unsigned int poster;
    unsigned int number;
};

struct posting {
    struct weir_loop *loop;
    unsigned int next[POSTERS]; /* the loop's thread only */
    unsigned int run;
    bool in_order;
};

struct poster {
    struct posting *posting;
    struct numbered_task *tasks;
};

static void run_numbered(struct weir_loop_task *base)
{
    struct numbered_task *task = (struct numbered_task *)(void *)base;
    struct posting *posting = task->posting;
    posting->in_order = posting->in_order && posting->next[task->poster] == task->number;
    posting->next[task->poster] = task->number + 1;
    if (++posting->run == POSTERS * TASKS_EACH) {
        weir_loop_stop(posting->loop);
    }
}

static void *post_all(void *argument)
{
    struct poster *poster = argument;
    for (unsigned int i = 0; i < TASKS_EACH; i++) {
        weir_loop_post(poster->posting->loop, &poster->tasks[i].task);
    }
    return NULL;
}

static void tasks_of_a_thread_run_in_order_and_once(void **state)
{
    (void)state;
    struct posting posting = {.in_order = true};
    struct poster posters[POSTERS];
    pthread_t threads[POSTERS];
    assert_int_equal(weir_loop_new(&posting.loop), WEIR_OK);
    for (unsigned int i = 0; i < POSTERS; i++) {
        posters[i] =
            (struct poster){&posting, weir_mem_zalloc(TASKS_EACH, sizeof(struct numbered_task))};
        assert_non_null(posters[i].tasks);
        for (unsigned int j = 0; j < TASKS_EACH; j++) {
            posters[i].tasks[j] = (struct numbered_task){{NULL, run_numbered}, &posting, i, j};
        }
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    weir_loop_run(posting.loop, NULL, NULL);
    for (unsigned int i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(posting.next[i], TASKS_EACH);
        weir_mem_free(posters[i].tasks);
    }
    assert_true(posting.in_order);
    assert_int_equal(posting.run, POSTERS * TASKS_EACH);
    weir_loop_free(posting.loop);
}

struct chain {
    struct weir_loop_task task;
    struct weir_loop *loop;
    int left;
};

static void run_chain(struct weir_loop_task *base)
{
    struct chain *chain = (struct chain *)(void *)base;
    if (chain->left-- > 0) {
        weir_loop_post(chain->loop, &chain->task); /* the task is ours again inside run */
    } else {
        weir_loop_stop(chain->loop);
    }
}

static void a_task_may_post_itself(void **state)
{
    (void)state;
    struct chain chain = {.task = {NULL, run_chain}, .left = 100};
    assert_int_equal(weir_loop_new(&chain.loop), WEIR_OK);
    weir_loop_post(chain.loop, &chain.task);
    weir_loop_run(chain.loop, NULL, NULL);
    assert_int_equal(chain.left, -1);
    weir_loop_free(chain.loop);
}

static void a_stop_before_the_run_counts_once(void **state)
{
    (void)state;
    struct chain chain = {.task = {NULL, run_chain}, .left = 0};
    assert_int_equal(weir_loop_new(&chain.loop), WEIR_OK);
    weir_loop_stop(chain.loop);
    weir_loop_stop(chain.loop);
    weir_loop_run(chain.loop, NULL, NULL);
    weir_loop_post(chain.loop, &chain.task);
    weir_loop_run(chain.loop, NULL, NULL); /* goes on until the task stops it */
    assert_int_equal(chain.left, -1);
    weir_loop_free(chain.loop);
}

struct ticking {
    struct weir_loop *loop;
    int64_t at_ns[TICKS_TO_COUNT];
    unsigned int count;
    bool same_time;
};

static void count_tick(void *argument, int64_t now_ns)
{
    struct ticking *ticking = argument;
    if (ticking->count < TICKS_TO_COUNT) {
        ticking->at_ns[ticking->count] = now_ns;
        ticking->same_time = weir_loop_now_ns(ticking->loop) == now_ns;
    }
    if (++ticking->count == TICKS_TO_COUNT) {
        weir_loop_stop(ticking->loop);
    }
}

static void ticks_come_about_every_tenth_of_a_second(void **state)
{
    (void)state;
    struct ticking ticking = {.count = 0};
    assert_int_equal(weir_loop_new(&ticking.loop), WEIR_OK);
    int64_t before_ns = weir_clock_mono_ns();
    weir_loop_run(ticking.loop, count_tick, &ticking);
    int64_t took_ms = (weir_clock_mono_ns() - before_ns) / WEIR_NS_PER_MS;
    assert_true(ticking.same_time);
    /* At least: on a busy machine a tick may be late, never early. */
    assert_true(took_ms >= (TICKS_TO_COUNT - 1) * WEIR_LOOP_TICK_MS);
    for (unsigned int i = 1; i < TICKS_TO_COUNT; i++) {
        assert_true(ticking.at_ns[i] > ticking.at_ns[i - 1]);
    }
    weir_loop_free(ticking.loop);
}

static void ignore_signal(int number)
{
    (void)number;
}

static void signals_do_not_end_the_loop(void **state)
{
    (void)state;
    struct ticking ticking = {.count = 0};
    struct sigaction action = {.sa_handler = ignore_signal};
    struct itimerval often = {{0, 3000}, {0, 3000}};
    struct itimerval never = {{0, 0}, {0, 0}};
    assert_int_equal(weir_loop_new(&ticking.loop), WEIR_OK);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    weir_loop_run(ticking.loop, count_tick, &ticking);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(ticking.count, TICKS_TO_COUNT);
    weir_loop_free(ticking.loop);
}

static void freeing_nothing_is_nothing(void **state)
{
    (void)state;
    weir_loop_free(NULL);
}

static void *read_time(void *argument)
{
    (void)weir_loop_now_ns(argument);
    return NULL;
}

static void use_from_another_thread(void *argument)
{
    (void)argument;
    struct weir_loop *loop = NULL;
    pthread_t thread;
    if (weir_loop_new(&loop) == WEIR_OK && pthread_create(&thread, NULL, read_time, loop) == 0) {
        (void)pthread_join(thread, NULL);
    }
}

static void never_accept(void *argument, struct weir_conn *conn)
{
    (void)argument;
    weir_conn_close(conn, 0);
}

static void free_under_a_listener(void *argument)
{
    (void)argument;
    const struct weir_listener_options options = {.connections_max = 1, .accepted = never_accept};
    struct weir_loop *loop = NULL;
    struct weir_listener *listener = NULL;
    if (weir_loop_new(&loop) == WEIR_OK &&
        weir_listener_open(loop, "127.0.0.1:0", 0, &options, &listener) == WEIR_OK) {
        weir_loop_free(loop);
    }
}

static void misuse_is_our_bug(void **state)
{
    (void)state;
    assert_true(support_aborts(use_from_another_thread, NULL));
    assert_true(support_aborts(free_under_a_listener, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_of_a_thread_run_in_order_and_once),
        cmocka_unit_test(a_task_may_post_itself),
        cmocka_unit_test(a_stop_before_the_run_counts_once),
        cmocka_unit_test(ticks_come_about_every_tenth_of_a_second),
        cmocka_unit_test(signals_do_not_end_the_loop),
        cmocka_unit_test(freeing_nothing_is_nothing),
        cmocka_unit_test(misuse_is_our_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
