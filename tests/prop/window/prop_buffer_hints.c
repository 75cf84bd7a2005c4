/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A buffer driven as its owner drives it, by random items at random times: whatever the hints, no
 * buffer leaves too large, too full or too old, and every item leaves exactly once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "weir/buffer_hints.h"

enum { SCHEDULES = 2000, ITEMS = 200 };

struct owner {
    struct weir_buffer buffer;
    size_t bytes;
    uint32_t points;
    uint64_t first_item; /* of the open buffer */
    uint64_t next_item;
    uint64_t items_left; /* in closed buffers */
};

static void close_buffer(struct owner *owner, int64_t now_ns)
{
    const struct weir_buffer_hints *hints = &owner->buffer.hints;
    uint64_t items = owner->next_item - owner->first_item;
    assert_true(items > 0);
    if (items > 1) {
        assert_true(owner->buffer.bytes <= hints->size);
        assert_true(hints->points_max == 0 || owner->buffer.points <= hints->points_max);
    }
    assert_true(now_ns <= owner->buffer.opened_ns + hints->interval_ns);
    owner->items_left += items;
    owner->first_item = owner->next_item;
    owner->bytes = 0;
    owner->points = 0;
    weir_buffer_reset(&owner->buffer);
}

/* Time moves on to `to_ns`; what becomes due on the way is closed at its deadline, not a tick
 * early. */
static void pass_time(struct owner *owner, int64_t now_ns, int64_t to_ns)
{
    int64_t deadline_ns = weir_buffer_deadline_ns(&owner->buffer);
    if (deadline_ns > to_ns) {
        assert_int_equal(weir_buffer_due(&owner->buffer, to_ns), WEIR_BUFFER_NOT_DUE);
        return;
    }
    if (deadline_ns > now_ns) {
        assert_int_equal(weir_buffer_due(&owner->buffer, deadline_ns - 1), WEIR_BUFFER_NOT_DUE);
    }
    assert_int_equal(weir_buffer_due(&owner->buffer, deadline_ns), WEIR_BUFFER_INTERVAL);
    assert_int_equal(weir_buffer_due(&owner->buffer, deadline_ns + 1), WEIR_BUFFER_INTERVAL);
    close_buffer(owner, deadline_ns);
}

static void add_item(struct owner *owner, size_t bytes, uint32_t points, int64_t now_ns)
{
    if (!weir_buffer_fits(&owner->buffer, owner->bytes + bytes, owner->points + points)) {
        close_buffer(owner, now_ns);
    }
    owner->bytes += bytes;
    owner->points += points;
    owner->next_item++;
    weir_buffer_grow(&owner->buffer, owner->bytes, owner->points, now_ns);
    if (weir_buffer_due(&owner->buffer, now_ns) != WEIR_BUFFER_NOT_DUE) {
        close_buffer(owner, now_ns);
    }
}

static void run_schedule(struct weir_rand *rand)
{
    struct weir_buffer_hints hints = {
        .size = 1 + weir_rand_below(rand, 1000),
        .interval_ns = (int64_t)weir_rand_below(rand, 100),
        .points_max = (uint32_t)weir_rand_below(rand, 20),
    };
    struct owner owner = {0};
    weir_buffer_init(&owner.buffer, hints);
    int64_t now_ns = (int64_t)weir_rand_below(rand, 1000);
    for (int i = 0; i < ITEMS; i++) {
        int64_t later_ns = now_ns + (int64_t)weir_rand_below(rand, 30);
        pass_time(&owner, now_ns, later_ns);
        now_ns = later_ns;
        size_t bytes = 1 + weir_rand_below(rand, weir_rand_below(rand, 10) == 0 ? 2000 : 100);
        add_item(&owner, bytes, (uint32_t)weir_rand_below(rand, 5), now_ns);
    }
    pass_time(&owner, now_ns, INT64_MAX - 1);
    assert_true(owner.items_left == ITEMS);
}

static void test_random_schedules(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(1);
    for (int i = 0; i < SCHEDULES; i++) {
        run_schedule(&rand);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_schedules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
