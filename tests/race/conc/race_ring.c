/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/conc/ring_internal.h"
#include "support.h"
#include "weir/mem.h"
#include "weir/ring.h"
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

/* Several producers, one consumer, a small ring so that it is full and wraps all the time. Shown:
 * every item arrives once, items of one producer in their order, an item's contents whole, batches
 * of credit all or nothing, and all credits back at the end. Threads are made by hand: conc stands
 * beside sys. */
enum { PRODUCERS = 3, ITEMS = 30000, BATCH_MAX = 5, SLOTS = 16 };

struct item {
    uint32_t producer;
    uint32_t number;
};

struct producer {
    struct weir_ring *ring;
    struct item *items;
    uint32_t id;
    pthread_t thread;
};

static void *produce(void *argument)
{
    struct producer *producer = argument;
    struct weir_rand rand;
    weir_rand_init(&rand, producer->id);
    uint32_t next = 0;
    while (next < ITEMS) {
        uint32_t count = 1 + (uint32_t)weir_rand_below(&rand, BATCH_MAX);
        if (weir_ring_reserve(producer->ring, count) != WEIR_OK) {
            sched_yield();
            continue;
        }
        uint32_t used = 0;
        for (; used < count && next < ITEMS && weir_rand_below(&rand, 8) != 0; used++) {
            producer->items[next] = (struct item){producer->id, next};
            weir_ring_push(producer->ring, &producer->items[next]);
            next++;
        }
        weir_ring_cancel(producer->ring, count - used);
    }
    return NULL;
}

/* Now and then replaces the item behind the next one by a copy, as a drainer that moves points out
 * of an arena. */
static void replace_one(struct weir_ring *ring, struct item *copy)
{
    void **slot = weir_ring_at(ring, 1);
    if (slot != NULL && *slot != copy) {
        const struct item *item = *slot;
        *copy = *item;
        *slot = copy;
    }
}

static void consume(struct weir_ring *ring)
{
    uint32_t next[PRODUCERS] = {0};
    struct item copy = {0, 0};
    bool copy_is_in = false;
    for (uint32_t taken = 0; taken < PRODUCERS * ITEMS;) {
        if (taken % 7 == 0 && !copy_is_in) {
            replace_one(ring, &copy);
            void **slot = weir_ring_at(ring, 1);
            copy_is_in = slot != NULL && *slot == &copy;
        }
        const struct item *item = weir_ring_pop(ring);
        if (item == NULL) {
            sched_yield();
            continue;
        }
        copy_is_in = copy_is_in && item != &copy;
        assert_in_range(item->producer, 0, PRODUCERS - 1);
        assert_int_equal(item->number, next[item->producer]);
        next[item->producer]++;
        taken++;
        assert_true(weir_ring_count(ring) <= SLOTS);
    }
}

static void test_every_item_once_in_its_producers_order(void **state)
{
    (void)state;
    struct weir_ring *ring = NULL;
    assert_int_equal(weir_ring_new(SLOTS, &ring), WEIR_OK);
    struct producer producers[PRODUCERS];
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){.ring = ring, .id = i};
        producers[i].items = weir_mem_zalloc(ITEMS, sizeof(struct item));
        assert_non_null(producers[i].items);
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    consume(ring);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_join(producers[i].thread, NULL), 0);
    }
    assert_null(weir_ring_pop(ring));
    weir_ring_validate(ring, 0);
    weir_ring_free(ring);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        weir_mem_free(producers[i].items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_item_once_in_its_producers_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
