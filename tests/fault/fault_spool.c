/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error enumeration: one scenario (open, commits, keep, settle, backlog, destinations that come and
 * go, close; reopen, the same again, close), in which the n-th call that can fail does, for every n
 * until a run passes untouched.
 *
 *   disk     EIO, ENOSPC, EINTR, a short count; once, and from then on
 *   memory   the n-th allocation is refused, once
 *
 * After each run the faults are gone, the spool is opened once more, and the simulator's oracle
 * holds it against what was answered: whatever was acknowledged is there, nothing else is, and all
 * of it can be delivered. Leaks are the sanitizer's to find; a run is bounded by its script.
 */
#include "counting.h"
#include "sim.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#define CALLS_MAX 20000U
#if defined(WEIR_ASAN) || defined(WEIR_TSAN)
#define SEEDS 2U
#else
#define SEEDS 8U
#endif

static struct sim_world world;

static void begin(uint64_t seed)
{
    world.seed = seed;
    world.doing = "begin";
    sim_begin(&world);
    simdisk_reserve(world.disk, 512);
    world.options.count = SIM_DESTINATIONS;
    world.options.version = 0;
    world.options.limit = 12 * SIM_SEGMENT;
    world.options.seed = seed;
    for (uint32_t i = 0; i < SIM_DESTINATIONS; i++) {
        world.options.order[i] = i;
    }
}

static void tick(void)
{
    world.now.mono_ns += SIM_SECOND;
    world.now.wall_ns += SIM_SECOND;
    world.step++;
}

/* One life by a fixed script; what is chosen inside comes from the seed. */
static void live(void)
{
    struct weir_spool_report report;
    static void (*const script[])(struct sim_world *) = {
        sim_step_submit,    sim_step_keep,    sim_step_deliver,   sim_step_submit,
        sim_step_configure, sim_step_backlog, sim_step_deliver,   sim_step_keep,
        sim_step_configure, sim_step_submit,  sim_step_backlog,   sim_step_deliver,
        sim_step_backlog,   sim_step_keep,    sim_step_configure, sim_step_submit};
    world.life++;
    world.step = 0;
    world.options.seed++;
    world.failed = false;
    world.doing = "open";
    enum weir_status status = sim_open(&world, world.disk, &report, &world.spool);
    if (status != WEIR_OK) {
        SIM_CHECK(&world, sim_is_faulty(&world), "the start said '%s'", weir_status_text(status));
        world.spool = NULL;
    }
    for (size_t i = 0; i < sizeof script / sizeof script[0] && world.spool != NULL; i++) {
        tick();
        script[i](&world);
    }
    world.doing = "close";
    if (world.spool != NULL) {
        sim_let_go(&world);
        weir_spool_close(world.spool, world.now);
        world.spool = NULL;
    }
    SIM_CHECK(&world, world.disk->handles_open == 0, "%u files are left open",
              world.disk->handles_open);
    SIM_CHECK(&world, world.disk->breach == NULL, "%s", world.disk->breach);
    struct weir_disk disk = simdisk_disk(world.disk);
    disk.ops->done(disk.self);
}

/* No faults any more. */
static void judge(void)
{
    struct weir_spool_report report;
    world.life++;
    world.step = 0;
    world.options.seed++;
    world.faulty = false;
    world.failed = false;
    world.doing = "the start after it";
    simdisk_set_fault(world.disk, (struct simdisk_fault){0, 0, false});
    enum weir_status status = sim_open(&world, world.disk, &report, &world.spool);
    SIM_CHECK(&world, status == WEIR_OK, "the start said '%s'", weir_status_text(status));
    sim_check(&world, world.spool, &report, true);
    sim_deliver_everything(&world);
    sim_end_life(&world, false);
    sim_end(&world);
}

/* True: the fault hit. */
static bool run_with_disk_fault(uint64_t seed, struct simdisk_fault fault)
{
    begin(seed);
    simdisk_set_fault(world.disk, fault);
    live();
    live();
    bool hit = world.disk->faults > 0;
    judge();
    return hit;
}

static bool run_with_memory_fault(uint64_t seed, uint64_t nth)
{
    begin(seed);
    world.faulty = true;
    (void)weir_mem_fail_at(nth);
    live();
    live();
    bool hit = weir_mem_fail_at(0);
    judge();
    return hit;
}

static void enumerate(int error, bool on)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct simdisk_fault fault = {1, error, on};
        while (run_with_disk_fault(seed, fault)) {
            assert_in_range(fault.at, 1, CALLS_MAX);
            fault.at++;
        }
        print_message("error %d %s, seed %u: %u calls\n", error, on ? "from then on" : "once",
                      (unsigned)seed, (unsigned)fault.at - 1);
        assert_in_range(fault.at, 50, CALLS_MAX); /* the scenario does do something */
    }
}

static void test_eio_once(void **state)
{
    (void)state;
    enumerate(EIO, false);
}

static void test_eio_from_then_on(void **state)
{
    (void)state;
    enumerate(EIO, true);
}

static void test_no_space_once(void **state)
{
    (void)state;
    enumerate(ENOSPC, false);
}

static void test_no_space_from_then_on(void **state)
{
    (void)state;
    enumerate(ENOSPC, true);
}

static void test_interrupted_once(void **state)
{
    (void)state;
    enumerate(EINTR, false);
}

static void test_interrupted_again_and_again(void **state)
{
    (void)state;
    enumerate(EINTR, true);
}

static void test_short_counts_once(void **state)
{
    (void)state;
    enumerate(0, false);
}

static void test_short_counts_from_then_on(void **state)
{
    (void)state;
    enumerate(0, true);
}

static void test_every_allocation_refused_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t nth = 1;
        while (run_with_memory_fault(seed, nth)) {
            assert_in_range(nth, 1, CALLS_MAX);
            nth++;
        }
        print_message("allocations, seed %u: %u\n", (unsigned)seed, (unsigned)nth - 1);
        assert_in_range(nth, 20, CALLS_MAX);
    }
}

static int prepare(void **state)
{
    (void)state;
    counting_start();
    weir_log_configure(WEIR_LOG_ERROR, WEIR_LOG_JSON);
    world.read_memory = weir_mem_aligned(WEIR_DISK_BLOCK, SIM_MEMORY);
    return world.read_memory == NULL;
}

static int end(void **state)
{
    (void)state;
    weir_mem_free(world.read_memory);
    counting_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eio_once),
        cmocka_unit_test(test_eio_from_then_on),
        cmocka_unit_test(test_no_space_once),
        cmocka_unit_test(test_no_space_from_then_on),
        cmocka_unit_test(test_interrupted_once),
        cmocka_unit_test(test_interrupted_again_and_again),
        cmocka_unit_test(test_short_counts_once),
        cmocka_unit_test(test_short_counts_from_then_on),
        cmocka_unit_test(test_every_allocation_refused_once),
    };
    return cmocka_run_group_tests(tests, prepare, end);
}
