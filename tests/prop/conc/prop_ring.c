/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/conc/ring_internal.h"
#include "support.h"
#include "weir/ring.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

enum { SLOTS = 8, STEPS = 100000 };

/* The ring against a model that is nothing but counters: any sequence of calls that one thread can
 * make leaves both with the same items, credits and answers. Items are numbers, so that order
 * shows. */
struct model {
    uintptr_t next_in;
    uintptr_t next_out;
    uint32_t credits_out;
};

static uint32_t waiting(const struct model *model)
{
    return (uint32_t)(model->next_in - model->next_out);
}

static void step_reserve(struct weir_ring *ring, struct model *model, uint32_t count)
{
    uint32_t credits = SLOTS - waiting(model) - model->credits_out;
    enum weir_status expected = count <= credits ? WEIR_OK : WEIR_EFULL;
    assert_int_equal(weir_ring_reserve(ring, count), expected);
    model->credits_out += expected == WEIR_OK ? count : 0;
}

static void step_push(struct weir_ring *ring, struct model *model)
{
    if (model->credits_out > 0) {
        weir_ring_push(ring, (void *)++model->next_in);
        model->credits_out--;
    }
}

static void step_pop(struct weir_ring *ring, struct model *model)
{
    uintptr_t item = (uintptr_t)weir_ring_pop(ring);
    if (waiting(model) == 0) {
        assert_int_equal(item, 0);
    } else {
        assert_int_equal(item, ++model->next_out);
    }
}

static void step_look(struct weir_ring *ring, const struct model *model, uint32_t index)
{
    void **slot = weir_ring_at(ring, index);
    if (index < waiting(model)) {
        assert_non_null(slot);
        assert_int_equal((uintptr_t)*slot, model->next_out + 1 + index);
    } else {
        assert_null(slot);
    }
}

static void test_any_sequence_agrees_with_the_model(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(21);
    struct model model = {0, 0, 0};
    struct weir_ring *ring = NULL;
    assert_int_equal(weir_ring_new(SLOTS, &ring), WEIR_OK);
    for (int i = 0; i < STEPS; i++) {
        uint32_t number = (uint32_t)weir_rand_below(&rand, SLOTS + 2);
        switch (weir_rand_below(&rand, 6)) {
        case 0: step_reserve(ring, &model, number); break;
        case 1:
            number = number < model.credits_out ? number : model.credits_out;
            weir_ring_cancel(ring, number);
            model.credits_out -= number;
            break;
        case 2:
        case 3: step_push(ring, &model); break;
        case 4: step_pop(ring, &model); break;
        default: step_look(ring, &model, number); break;
        }
        assert_int_equal(weir_ring_count(ring), waiting(&model));
        weir_ring_validate(ring, model.credits_out);
    }
    assert_true(model.next_out > 1000);
    weir_ring_cancel(ring, model.credits_out);
    while (weir_ring_pop(ring) != NULL) {
    }
    weir_ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_sequence_agrees_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
