/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/hash.h"
#include "weir/rand.h"
#include <pthread.h>

/* Written once, by whoever is first; pthread_once orders that write before every later read. */
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static uint64_t process_key[2];
static bool key_is_fixed;

static void init_key(void)
{
    if (!key_is_fixed) {
        weir_rand_system(process_key, sizeof process_key);
    }
}

void weir_hash_set_key(const uint64_t key[2])
{
    process_key[0] = key[0];
    process_key[1] = key[1];
    key_is_fixed = true;
}

static uint64_t rotate_left(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

/* SipHash's round, as in figure 2.1 of the paper. */
static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[3];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[2] = rotate_left(v[2], 32);
}

static uint64_t load_word(const uint8_t *at, size_t size)
{
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++) {
        word |= (uint64_t)at[i] << (8 * i);
    }
    return word;
}

/* One compression round a word and three to finish: 1-3 keeps flooding out at half
 * the cost of 2-4. */
uint64_t weir_hash(struct weir_bytes bytes)
{
    pthread_once(&key_once, init_key);
    uint64_t v[4] = {
        process_key[0] ^ UINT64_C(0x736f6d6570736575),
        process_key[1] ^ UINT64_C(0x646f72616e646f6d),
        process_key[0] ^ UINT64_C(0x6c7967656e657261),
        process_key[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = bytes.size - bytes.size % 8;
    for (size_t at = 0; at < whole; at += 8) {
        uint64_t word = load_word(bytes.data + at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)bytes.size << 56;
    if (bytes.size > whole) {
        last |= load_word(bytes.data + whole, bytes.size - whole);
    }
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
