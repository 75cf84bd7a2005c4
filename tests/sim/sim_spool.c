/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator: sim_spool [crash states [seed]]
 *
 * Without arguments: the seeds that once failed (tests/sim/seeds.txt), then worlds from a fixed
 * seed on until enough crash states were looked at. A failure names the world's seed;
 * `sim_spool 1 SEED` runs that world again.
 */
#include "counting.h"
#include "sim.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(WEIR_ASAN) || defined(WEIR_TSAN)
#define STATES UINT64_C(8000)
#else
#define STATES UINT64_C(250000)
#endif

static void replay_seeds(struct sim_world *world)
{
    FILE *file = fopen(WEIR_SIM_SEEDS, "r");
    char line[256];
    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        char *end;
        unsigned long long seed = strtoull(line, &end, 10);
        if (end != line) {
            world->seed = seed;
            sim_run(world);
        }
    }
    (void)fclose(file);
}

int main(int argc, char **argv)
{
    static struct sim_world world;
    uint64_t states = argc > 1 ? strtoull(argv[1], NULL, 10) : STATES;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    world.read_memory = weir_mem_aligned(WEIR_DISK_BLOCK, SIM_MEMORY);
    WEIR_ASSERT(world.read_memory != NULL);
    counting_start();
    weir_log_configure(WEIR_LOG_ERROR, WEIR_LOG_JSON);
    int64_t begun = weir_clock_mono_ns();
    if (argc <= 1) {
        replay_seeds(&world);
    }
    uint64_t worlds = 0;
    do {
        world.seed = seed + worlds++;
        sim_run(&world);
    } while (world.states < states);
    double seconds = (double)(weir_clock_mono_ns() - begun) / 1e9;
    printf("%llu crash states of %llu worlds, all recovered; %.1f s, %.0f states a second\n",
           (unsigned long long)world.states, (unsigned long long)worlds, seconds,
           (double)world.states / seconds);
    weir_mem_free(world.read_memory);
    counting_stop();
    return 0;
}
