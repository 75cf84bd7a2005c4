/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system that is smaller than the limit says, or that others have filled.
 */
#include "simdisk.h"
#include "spool_rig.h"

enum { PLACES = 6 };

static struct simdisk *sim;

static void sim_start(void)
{
    rig.options.disk = simdisk_disk(sim);
    assert_int_equal(weir_spool_open(&rig.options, rig.now, &rig.report, &rig.spool), WEIR_OK);
}

static int sim_setup(void **state)
{
    sim = simdisk_new(3);
    int result = setup(state);
    sim_start();
    return result;
}

static int sim_teardown(void **state)
{
    int result = teardown(state);
    simdisk_free(sim);
    return result;
}

/* Commits until there is no room. Returns how many. */
static int fill_up(int first)
{
    int n = first;
    while (n < JOBS_MAX && job_submit(n, 15000, 0) == WEIR_OK) {
        n++;
    }
    assert_true(n < JOBS_MAX);
    return n - first;
}

static void keep_often(void)
{
    for (int i = 0; i < 20; i++) {
        assert_int_equal(rig_keep(), WEIR_OK);
    }
}

/* Nothing is released without a note, and there is no room for a note: the log takes it from what
 * was made ahead, or from what is released. */
static void test_a_full_disk_drains(void **state)
{
    (void)state;
    sim->capacity = (uint64_t)PLACES * SEGMENT + 5000;
    int count = fill_up(0);
    assert_true(count > 4);
    sim->capacity = simdisk_bytes(sim, "") + 100; /* somebody else has taken the rest */
    keep_often();
    assert_int_equal(rig_drain(0, NULL), count);
    assert_int_equal(rig_drain(1, NULL), count);
    keep_often();
    assert_true(fill_up(60) > 4);
    assert_false(rig_look().failed);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, sim_setup, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_full_disk_drains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
