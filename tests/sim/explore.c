/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash states: what a power cut right now may leave of the disk, recovered and checked one by one.
 *
 *   disk ──copy──► scratch ──crash(choices)──► open, check, close ──(sometimes, in the middle of
 *                                                                    that)──► again ──► the same
 *
 * Where the choices multiply to few states all are tried: an odometer whose digits are the choices.
 * Else some are drawn, by six habits: all lost, all kept, mostly lost, mostly kept, mostly zeros,
 * even. What is drawn here comes from a generator of its own: how many states are looked at does
 * not change what the world does.
 */
#include "sim.h"

#define DIGITS 24U

struct odometer {
    unsigned digits[DIGITS], bases[DIGITS];
    uint32_t count, position;
    bool too_many;
};

static unsigned turn(void *argument, unsigned options)
{
    struct odometer *odometer = argument;
    uint32_t at = odometer->position++;
    if (at >= DIGITS) {
        odometer->too_many = true;
        return 0;
    }
    if (at >= odometer->count) {
        odometer->digits[at] = 0;
        odometer->count = at + 1;
    }
    odometer->bases[at] = options;
    return odometer->digits[at] < options ? odometer->digits[at] : options - 1;
}

/* To the next state; false: that was the last. */
static bool advance(struct odometer *odometer)
{
    odometer->count = odometer->position < odometer->count ? odometer->position : odometer->count;
    odometer->position = 0;
    while (odometer->count > 0) {
        uint32_t last = odometer->count - 1;
        if (++odometer->digits[last] < odometer->bases[last]) {
            return true;
        }
        odometer->count--;
    }
    return false;
}

struct habit {
    struct weir_rand *rand;
    unsigned kind;
};

static unsigned draw(void *argument, unsigned options)
{
    const struct habit *habit = argument;
    bool rare = weir_rand_below(habit->rand, 8) == 0;
    unsigned any = (unsigned)weir_rand_below(habit->rand, options);
    switch (habit->kind) {
    case 0: return 0;
    case 1: return 1;
    case 2: return rare ? any : 0;
    case 3: return rare ? any : 1;
    case 4: return rare ? any : options - 1;
    default: return any;
    }
}

/* In a trial recovery: the power goes once more. */
static void after_trial_change(void *argument)
{
    struct sim_world *world = argument;
    if (world->again_in == 0 || --world->again_in > 0) {
        return;
    }
    struct habit habit = {&world->rand, sim_below(world, 7)};
    simdisk_copy(world->again, world->scratch);
    simdisk_crash(world->again, (struct simdisk_choice){draw, &habit});
}

static void recover(struct sim_world *world, struct simdisk *disk)
{
    struct weir_spool_report report;
    struct weir_spool *spool;
    world->states++;
    world->options.seed = weir_rand_u64(&world->rand);
    enum weir_status status = sim_open(world, disk, &report, &spool);
    SIM_CHECK(world, status == WEIR_OK, "the start after a crash said '%s'",
              weir_status_text(status));
    sim_check(world, spool, &report, false);
    weir_spool_close(spool, world->now);
    SIM_CHECK(world, disk->handles_open == 0, "%u files are left open", disk->handles_open);
    SIM_CHECK(world, disk->breach == NULL, "%s", disk->breach);
}

/* scratch is a crash state. */
static void try_state(struct sim_world *world)
{
    world->again_in = sim_chance(world, 8) ? 1 + sim_below(world, 12) : 0;
    bool again = world->again_in > 0;
    world->scratch->after = after_trial_change;
    world->scratch->argument = world;
    recover(world, world->scratch);
    if (again && world->again_in == 0) {
        recover(world, world->again);
    }
}

static bool try_all(struct sim_world *world)
{
    struct odometer odometer = {.count = 0};
    struct simdisk_choice choice = {turn, &odometer};
    simdisk_copy(world->scratch, world->disk);
    simdisk_crash(world->scratch, choice);
    uint64_t states = 1;
    for (uint32_t i = 0; i < odometer.count && states <= world->exhaustive; i++) {
        states *= odometer.bases[i];
    }
    if (odometer.too_many || states > world->exhaustive) {
        return false;
    }
    do {
        odometer.position = 0;
        simdisk_copy(world->scratch, world->disk);
        simdisk_crash(world->scratch, choice);
        try_state(world);
    } while (advance(&odometer));
    return true;
}

void sim_explore(struct sim_world *world)
{
    struct weir_rand rand = world->rand;
    struct sim_options options = world->options;
    weir_rand_init(&world->rand,
                   world->seed ^ (world->changes << 20) ^ ((uint64_t)world->life << 50));
    world->checking = true;
    if (!try_all(world)) {
        for (uint32_t i = 0; i < world->samples; i++) {
            struct habit habit = {&world->rand, i % 6};
            simdisk_copy(world->scratch, world->disk);
            simdisk_crash(world->scratch, (struct simdisk_choice){draw, &habit});
            try_state(world);
        }
    }
    world->checking = false;
    world->options = options;
    world->rand = rand;
}

void sim_draw_crash(struct sim_world *world)
{
    struct habit habit = {&world->rand, sim_below(world, 7)};
    simdisk_copy(world->next, world->disk);
    simdisk_crash(world->next, (struct simdisk_choice){draw, &habit});
}
