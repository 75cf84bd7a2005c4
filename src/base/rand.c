/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/rand.h"
#include "weir/panic.h"
#include <errno.h>
#include <sys/random.h>

/* splitmix64 (Steele, Lea and Flood 2014): any seed, 0 too, becomes four well-mixed words. */
static uint64_t split_mix(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

void weir_rand_init(struct weir_rand *rand, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        rand->state[i] = split_mix(&seed);
    }
}

static uint64_t rotate_left(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

uint64_t weir_rand_u64(struct weir_rand *rand)
{
    uint64_t *state = rand->state;
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

/* Numbers under 2^64 mod bound are thrown away, since they would make the small remainders
 * likelier. At worst every second number is, so the loop ends after two on average. */
uint64_t weir_rand_below(struct weir_rand *rand, uint64_t bound)
{
    if (bound == 0) {
        return 0;
    }
    uint64_t unfair = (0 - bound) % bound;
    uint64_t number = weir_rand_u64(rand);
    while (number < unfair) {
        number = weir_rand_u64(rand);
    }
    return number % bound;
}

double weir_rand_unit(struct weir_rand *rand)
{
    return (double)(weir_rand_u64(rand) >> 11) * 0x1.0p-53;
}

void weir_rand_system(void *memory, size_t size)
{
    unsigned char *at = memory;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        WEIR_ASSERT(got > 0);
        at += got;
        size -= (size_t)got;
    }
}
