/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_RAND_H
#define WEIR_RAND_H

#include <stddef.h>
#include <stdint.h>

/*
 * A small seeded generator (xoshiro256**, Blackman and Vigna 2018, seeded by splitmix64) for
 * jitter, sampling and tests: the same seed gives the same numbers everywhere. Not for secrets. One
 * thread a struct.
 */
struct weir_rand {
    uint64_t state[4];
};

/* Seeds. Every seed, 0 too, is good. */
void weir_rand_init(struct weir_rand *rand, uint64_t seed);

/* 64 even bits. */
uint64_t weir_rand_u64(struct weir_rand *rand);

/* Uniform in [0, bound); bound 0 gives 0. */
uint64_t weir_rand_below(struct weir_rand *rand, uint64_t bound);

/* Uniform in [0, 1). */
double weir_rand_unit(struct weir_rand *rand);

/* `size` bytes from the operating system's generator (getrandom(2)), for hash keys and ids. Panics
 * if the kernel has none. Any thread. */
void weir_rand_system(void *memory, size_t size);

#endif
