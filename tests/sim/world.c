/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world: one disk and several lives of a spool on it, from one seed.
 *
 *   life   open ─► check everything ─► steps ─► stop, or the power goes at some change ─► next life
 *   end    no more power cuts: everything is delivered, and the spool must be empty
 *
 *   I1  the files are never larger than the limit; where a power cut brought removed ones back,
 *       they only get smaller until they are within it
 *   I2  a start says OK, unless a fault was injected
 *   I3  a spool that is closed has no file open
 */
#include "sim.h"
#include <errno.h>
#include <string.h>

#define ROUNDS 64U

static uint64_t file_bytes(const struct sim_world *world)
{
    return simdisk_bytes(world->disk, ".segment") + simdisk_bytes(world->disk, ".spare");
}

static void after_change(void *argument)
{
    struct sim_world *world = argument;
    if (world->crashed) {
        return;
    }
    world->changes++;
    uint64_t bytes = file_bytes(world);
    SIM_CHECK(world, bytes <= world->options.limit || bytes <= world->bytes,
              "%llu bytes of files, the limit is %llu", (unsigned long long)bytes,
              (unsigned long long)world->options.limit);
    world->bytes = bytes;
    SIM_CHECK(world, world->disk->breach == NULL, "%s", world->disk->breach);
    sim_explore(world);
    if (world->changes == world->crash_at) {
        sim_draw_crash(world);
        world->crashed = true;
    }
}

static void choose_options(struct sim_world *world)
{
    struct sim_options *options = &world->options;
    for (uint32_t i = 0; i < SIM_DESTINATIONS; i++) {
        options->order[i] = i;
    }
    uint32_t turns = sim_below(world, SIM_DESTINATIONS);
    for (uint32_t i = 0; i < SIM_DESTINATIONS; i++) {
        options->order[i] = (i + turns) % SIM_DESTINATIONS;
    }
    options->count = world->moving || sim_chance(world, 6) ? 1 + sim_below(world, SIM_DESTINATIONS)
                                                           : SIM_DESTINATIONS;
    options->version = sim_chance(world, 4) ? 1 + sim_below(world, 2) : 3;
    options->seed = weir_rand_u64(&world->rand) | 1;
}

static void choose_fault(struct sim_world *world)
{
    static const int errors[] = {EIO, ENOSPC, EINTR, 0};
    struct simdisk_fault fault = {0, 0, false};
    if (sim_chance(world, 4)) {
        fault.at = 1 + sim_below(world, 60);
        fault.error = errors[sim_below(world, 4)];
        fault.on = sim_chance(world, 3);
    }
    simdisk_set_fault(world->disk, fault);
}

/* The process ends; the machine goes on, or the power goes too. */
void sim_end_life(struct sim_world *world, bool cut)
{
    world->doing = "close";
    if (world->spool != NULL) {
        sim_let_go(world);
        weir_spool_close(world->spool, world->now);
        world->spool = NULL;
    }
    SIM_CHECK(world, world->disk->handles_open == 0, "%u files are left open",
              world->disk->handles_open);
    if (!world->crashed && cut && sim_chance(world, 2)) {
        sim_draw_crash(world);
        world->crashed = true;
    }
    struct weir_disk disk = simdisk_disk(world->disk);
    disk.ops->done(disk.self);
    world->disk->after = NULL;
    if (world->crashed) {
        struct simdisk *old = world->disk;
        world->disk = world->next;
        world->next = old;
    }
    simdisk_set_fault(world->disk, (struct simdisk_fault){0, 0, false});
}

static void step(struct sim_world *world)
{
    world->step++;
    int64_t passed = (int64_t)sim_below(world, 2000000000) + 1;
    passed = sim_chance(world, 100) ? 2 * SIM_WINDOW : passed;
    world->now.mono_ns += passed;
    world->now.wall_ns += passed;
    for (uint32_t i = world->moving ? sim_below(world, 4) : 0; i > 0; i--) {
        sim_step_configure(world);
    }
    switch (sim_below(world, 12)) {
    case 0:
    case 1:
    case 2:
    case 3: sim_step_submit(world); break;
    case 4:
    case 5:
    case 6: sim_step_deliver(world); break;
    case 7:
    case 8: sim_step_backlog(world); break;
    default: sim_step_keep(world); break;
    }
}

/* False: the spool did not open, for an injected fault or the power. */
static bool begin_life(struct sim_world *world)
{
    struct weir_spool_report report;
    choose_options(world);
    world->doing = "open";
    world->step = 0;
    world->changes = 0;
    world->crashed = false;
    world->failed = false;
    world->crash_at = sim_chance(world, 5) ? 0 : 1 + sim_below(world, 60);
    world->bytes = file_bytes(world);
    world->disk->after = after_change;
    world->disk->argument = world;
    enum weir_status status = sim_open(world, world->disk, &report, &world->spool);
    if (status != WEIR_OK) {
        world->spool = NULL;
    }
    if (world->crashed) {
        return false;
    }
    sim_trace(world, "%u segments, %llu records, %llu torn", report.segments,
              (unsigned long long)report.records, (unsigned long long)report.torn_records);
    SIM_CHECK(world, status == WEIR_OK, "the start said '%s'", weir_status_text(status));
    sim_check(world, world->spool, &report, true);
    choose_fault(world);
    return true;
}

void sim_deliver_everything(struct sim_world *world)
{
    struct weir_spool_stat stat;
    world->doing = "the end";
    world->draining = true;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        world->now.mono_ns += SIM_SECOND;
        world->now.wall_ns += SIM_SECOND;
        for (uint32_t i = 0; i < SIM_TARGETS * 8; i++) {
            sim_step_backlog(world);
            sim_step_deliver(world);
        }
        sim_step_keep(world);
        weir_spool_look(world->spool, &stat);
        if (stat.records == 0) {
            break;
        }
    }
    SIM_CHECK(world, stat.records == 0, "%llu records are never released",
              (unsigned long long)stat.records);
    SIM_CHECK(world, stat.owed_bytes == 0, "nothing is owed, but %llu bytes",
              (unsigned long long)stat.owed_bytes);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        world->now.mono_ns += SIM_SECOND;
        sim_step_keep(world);
    }
    SIM_CHECK(world, weir_spool_admits(world->spool, 4096), "empty, and nobody is let in");
    if (world->moving) {
        sim_free_everybody(world);
    }
    for (uint32_t i = 0; i < world->request_count; i++) {
        const struct sim_request *request = &world->requests[i];
        for (uint32_t target = 0; target < SIM_TARGETS; target++) {
            SIM_CHECK(world,
                      request->state != SIM_ACKED || !request->to[target].owed ||
                          request->to[target].settled == request->to[target].wanted,
                      "request %u was never delivered to target %u", i, target);
        }
    }
}

void sim_begin(struct sim_world *world)
{
    weir_rand_init(&world->rand, world->seed);
    world->now = (struct weir_now){100 * SIM_SECOND, INT64_C(1760000000) * SIM_SECOND};
    world->request_count = 0;
    world->spool = NULL;
    world->crashed = false;
    world->failed = false;
    world->faulty = false;
    world->draining = false;
    /* a quarter of the worlds, and none of those in seeds.txt that are older than this */
    world->moving = world->seed % 8 == 4 || world->seed % 8 == 7;
    world->exact = false;
    world->life = 0;
    world->step = 0;
    world->options.limit = SIM_SEGMENT * (6 + sim_below(world, 6));
    world->disk = simdisk_new(world->seed);
    world->next = simdisk_new(world->seed + 1);
    world->scratch = simdisk_new(world->seed + 2);
    world->again = simdisk_new(world->seed + 3);
    /* Many states of small worlds, where each costs little, and some of large ones. */
    bool large = sim_chance(world, 6);
    world->lives = large ? 5 : 3;
    world->steps = large ? 24 : 10;
    world->size_most = large ? 3000 : 600;
    world->steps *= world->moving ? 2 : 1; /* where destinations move there is more to do */
    world->exhaustive = large ? 16 : 512;
    world->samples = large ? 4 : 24;
}

void sim_end(struct sim_world *world)
{
    simdisk_free(world->disk);
    simdisk_free(world->next);
    simdisk_free(world->scratch);
    simdisk_free(world->again);
}

void sim_run(struct sim_world *world)
{
    sim_begin(world);
    for (world->life = 0; world->life < world->lives; world->life++) {
        bool clean = false;
        if (begin_life(world)) {
            while (world->step < world->steps && !world->crashed && !world->failed) {
                step(world);
            }
            clean = !world->crashed;
        }
        sim_end_life(world, clean);
    }
    do { /* a last life without faults */
        if (!begin_life(world)) {
            sim_end_life(world, false);
            continue;
        }
        simdisk_set_fault(world->disk, (struct simdisk_fault){0, 0, false});
        world->crash_at = 0;
        break;
    } while (true);
    sim_deliver_everything(world);
    sim_end_life(world, false);
    sim_end(world);
}
