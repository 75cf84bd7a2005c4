/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "weir/manifest.h"
#include "weir/mem.h"
#include <stdatomic.h>

struct weir_ticket {
    int unused;
};

static struct weir_ticket seven, nine;

/* What the settler was told last. */
struct ledger {
    int calls;
    enum weir_settlement settlement;
    uint32_t destination;
    uint32_t count;
    struct weir_part parts[8];
};

static void settle(void *self, const struct weir_manifest *manifest,
                   enum weir_settlement settlement)
{
    struct ledger *ledger = self;
    ledger->calls++;
    ledger->settlement = settlement;
    ledger->destination = manifest->destination;
    ledger->count = manifest->count;
    for (uint32_t i = 0; i < manifest->count && i < 8; i++) {
        ledger->parts[i] = manifest->parts[i];
    }
}

struct fixture {
    struct ledger ledger;
    struct weir_manifests home;
    struct weir_manifest *manifest;
};

static void set_up(struct fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->home.settler = (struct weir_settler){.settle = settle, .self = &fixture->ledger};
    assert_int_equal(
        weir_pool_new(weir_manifest_size(), 2, weir_manifest_done, &fixture->home.pool), WEIR_OK);
    fixture->manifest = weir_pool_take(fixture->home.pool);
    assert_non_null(fixture->manifest);
    weir_manifest_open(fixture->manifest, 5);
}

static void tear_down(struct fixture *fixture)
{
    assert_int_equal(weir_pool_taken(fixture->home.pool), 0);
    weir_pool_free(fixture->home.pool);
}

static void add(struct fixture *fixture, struct weir_ticket *ticket, uint32_t begin, uint32_t end)
{
    assert_int_equal(weir_manifest_add(fixture->manifest, ticket, begin, end), WEIR_OK);
}

static void unref(struct fixture *fixture, enum weir_settlement settlement)
{
    weir_manifest_unref(fixture->manifest, &fixture->home, settlement);
}

static void assert_part(const struct weir_part *part, const struct weir_ticket *ticket,
                        uint32_t begin, uint32_t end)
{
    assert_ptr_equal(part->ticket, ticket);
    assert_int_equal(part->begin, begin);
    assert_int_equal(part->end, end);
}

static void the_last_holder_tells_the_settler_everything(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    add(&fixture, &seven, 0, 400);
    add(&fixture, &nine, 3, 4);
    weir_manifest_ref(fixture.manifest);
    weir_manifest_ref(fixture.manifest);
    unref(&fixture, WEIR_SETTLED);
    unref(&fixture, WEIR_SETTLED);
    assert_int_equal(fixture.ledger.calls, 0);
    unref(&fixture, WEIR_SETTLED);
    assert_int_equal(fixture.ledger.calls, 1);
    assert_int_equal(fixture.ledger.settlement, WEIR_SETTLED);
    assert_int_equal(fixture.ledger.destination, 5);
    assert_int_equal(fixture.ledger.count, 2);
    assert_part(&fixture.ledger.parts[0], &seven, 0, 400);
    assert_part(&fixture.ledger.parts[1], &nine, 3, 4);
    tear_down(&fixture);
}

static void kept_by_one_is_kept_for_all(void **state)
{
    (void)state;
    for (int kept = 0; kept < 3; kept++) { /* whoever of the three it is */
        struct fixture fixture;
        set_up(&fixture);
        add(&fixture, &seven, 0, 1);
        weir_manifest_ref(fixture.manifest);
        weir_manifest_ref(fixture.manifest);
        for (int i = 0; i < 3; i++) {
            unref(&fixture, i == kept ? WEIR_KEPT : WEIR_SETTLED);
        }
        assert_int_equal(fixture.ledger.calls, 1);
        assert_int_equal(fixture.ledger.settlement, WEIR_KEPT);
        tear_down(&fixture);
    }
}

static void parts_that_follow_each_other_are_one(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    add(&fixture, &seven, 10, 20);
    add(&fixture, &seven, 20, 25);
    add(&fixture, &seven, 25, 26);
    unref(&fixture, WEIR_SETTLED);
    assert_int_equal(fixture.ledger.count, 1);
    assert_part(&fixture.ledger.parts[0], &seven, 10, 26);
    tear_down(&fixture);
}

static void a_gap_another_ticket_or_a_step_back_is_another_part(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    add(&fixture, &seven, 10, 20);
    add(&fixture, &seven, 21, 30); /* a gap */
    add(&fixture, &nine, 30, 31);  /* another's */
    add(&fixture, &seven, 31, 32); /* not the last one's any more */
    add(&fixture, &seven, 0, 10);  /* before, not after */
    unref(&fixture, WEIR_SETTLED);
    assert_int_equal(fixture.ledger.count, 5);
    assert_part(&fixture.ledger.parts[1], &seven, 21, 30);
    assert_part(&fixture.ledger.parts[4], &seven, 0, 10);
    tear_down(&fixture);
}

static void no_ticket_and_no_points_are_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    add(&fixture, NULL, 0, 10);
    add(&fixture, &seven, 4, 4);
    assert_int_equal(fixture.manifest->count, 0);
    unref(&fixture, WEIR_KEPT);
    assert_int_equal(fixture.ledger.calls, 0); /* nothing to tell */
    tear_down(&fixture);
}

static void nobody_to_tell_is_no_harm(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    fixture.home.settler = (struct weir_settler){0};
    add(&fixture, &seven, 0, 10);
    unref(&fixture, WEIR_SETTLED);
    weir_manifest_unref(NULL, &fixture.home, WEIR_SETTLED);
    assert_int_equal(fixture.ledger.calls, 0);
    tear_down(&fixture);
}

static void a_used_manifest_begins_anew(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    add(&fixture, &seven, 0, 10);
    unref(&fixture, WEIR_KEPT);
    uint64_t calls = weir_mem_calls();
    fixture.manifest = weir_pool_take(fixture.home.pool);
    weir_manifest_open(fixture.manifest, 6);
    add(&fixture, &nine, 1, 2);
    unref(&fixture, WEIR_SETTLED);
    assert_int_equal(weir_mem_calls(), calls); /* the array was kept */
    assert_int_equal(fixture.ledger.calls, 2);
    assert_int_equal(fixture.ledger.settlement, WEIR_SETTLED);
    assert_int_equal(fixture.ledger.destination, 6);
    assert_int_equal(fixture.ledger.count, 1);
    assert_part(&fixture.ledger.parts[0], &nine, 1, 2);
    tear_down(&fixture);
}

static void a_large_array_is_not_kept(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    for (uint32_t i = 0; i < 20000; i++) {
        add(&fixture, &seven, 2 * i, 2 * i + 1);
    }
    assert_int_equal(fixture.manifest->count, 20000);
    struct weir_manifest *large = fixture.manifest;
    unref(&fixture, WEIR_SETTLED);
    assert_int_equal(fixture.ledger.count, 20000);
    fixture.manifest = weir_pool_take(fixture.home.pool);
    assert_ptr_equal(fixture.manifest, large);
    assert_int_equal(fixture.manifest->capacity, 0);
    weir_manifest_open(fixture.manifest, 0);
    unref(&fixture, WEIR_SETTLED);
    tear_down(&fixture);
}

static void room_that_was_made_is_room(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(weir_manifest_make_room(fixture.manifest), WEIR_OK);
        uint64_t calls = weir_mem_calls();
        add(&fixture, &seven, 2 * i, 2 * i + 1);
        assert_int_equal(weir_mem_calls(), calls);
    }
    unref(&fixture, WEIR_SETTLED);
    tear_down(&fixture);
}

/* An array that would be larger than there are numbers for is refused, and nothing has changed. */
static void no_room_changes_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    add(&fixture, &seven, 0, 1);
    struct weir_part *parts = fixture.manifest->parts;
    uint32_t capacity = fixture.manifest->capacity;
    fixture.manifest->count = UINT32_C(3) << 30;
    fixture.manifest->capacity = UINT32_C(3) << 30;
    assert_int_equal(weir_manifest_make_room(fixture.manifest), WEIR_ENOMEM);
    assert_ptr_equal(fixture.manifest->parts, parts);
    assert_int_equal(fixture.manifest->count, UINT32_C(3) << 30);
    fixture.manifest->count = 1;
    fixture.manifest->capacity = capacity;
    unref(&fixture, WEIR_SETTLED);
    assert_part(&fixture.ledger.parts[0], &seven, 0, 1);
    tear_down(&fixture);
}

static void unref_twice(void *argument)
{
    struct fixture *fixture = argument;
    struct weir_manifest manifest = {.count = 0};
    weir_manifest_open(&manifest, 0);
    /* relaxed: this thread's alone */
    atomic_store_explicit(&manifest.refs, 0, memory_order_relaxed);
    weir_manifest_unref(&manifest, &fixture->home, WEIR_SETTLED);
}

static void ref_of_nobody(void *argument)
{
    (void)argument;
    struct weir_manifest manifest = {.count = 0};
    weir_manifest_ref(&manifest);
}

static void backwards(void *argument)
{
    struct fixture *fixture = argument;
    (void)!weir_manifest_add(fixture->manifest, &seven, 2, 1);
}

static void misuse_is_found(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    assert_true(support_aborts(unref_twice, &fixture));
    assert_true(support_aborts(ref_of_nobody, NULL));
    assert_true(support_aborts(backwards, &fixture));
    unref(&fixture, WEIR_SETTLED);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_holder_tells_the_settler_everything),
        cmocka_unit_test(kept_by_one_is_kept_for_all),
        cmocka_unit_test(parts_that_follow_each_other_are_one),
        cmocka_unit_test(a_gap_another_ticket_or_a_step_back_is_another_part),
        cmocka_unit_test(no_ticket_and_no_points_are_nothing),
        cmocka_unit_test(nobody_to_tell_is_no_harm),
        cmocka_unit_test(a_used_manifest_begins_anew),
        cmocka_unit_test(a_large_array_is_not_kept),
        cmocka_unit_test(room_that_was_made_is_room),
        cmocka_unit_test(no_room_changes_nothing),
        cmocka_unit_test(misuse_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
