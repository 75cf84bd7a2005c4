/* SPDX-License-Identifier: Apache-2.0 */
#include "segment_rig.h"

/* One run of everything. False where a call that must pass did not. */
static bool live_through_it(void)
{
    struct weir_segments_options options = {
        .disk = &rig.disk, .limit = 4 * USUAL, .segment_bytes = USUAL, .version = 1, .seed = 5};
    struct weir_segment one;
    struct weir_segment two;
    if (weir_segments_new(&options, 1, &rig.segments) != WEIR_OK) {
        return false;
    }
    prepare();
    bool first = take(1, &one) == WEIR_OK;
    if (first) {
        weir_segments_seal(rig.segments, &one, true);
    }
    prepare();
    bool second = take(2 * USUAL, &two) == WEIR_OK;
    if (second) {
        weir_segments_seal(rig.segments, &two, false);
        weir_segments_release(rig.segments, &two.header, false);
    }
    if (first) {
        weir_segments_release(rig.segments, &one.header, true);
    }
    prepare();
    assert_true(listing_of().bytes <= 4 * USUAL);
    weir_segments_free(rig.segments);
    rig.segments = NULL;
    return first && second;
}

static void test_each_call_failing(void **state)
{
    static const int errors[] = {-EIO, -ENOSPC, -EINTR};
    for (size_t i = 0; i < 6; i++) {
        bool untouched = false;
        for (int n = 1; !untouched; n++) {
            assert_true(n < CALLS_MAX);
            assert_int_equal(teardown(state), 0);
            setup(state);
            rig.fail_at = n;
            rig.error = errors[i % 3];
            rig.from_then_on = i >= 3;
            bool good = live_through_it();
            untouched = rig.call < n;
            assert_true(good || !untouched);
            /* whatever happened, there is no file too many once nothing fails any more */
            rig.fail_at = 0;
            begin_with(4 * USUAL, 50);
            prepare();
            assert_int_equal(listing_of().spares, 1);
        }
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_call_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
