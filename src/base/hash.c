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

static void sip_rounds(uint64_t v[4], int count)
{
    for (int i = 0; i < count; i++) {
        sip_round(v);
    }
}

static uint64_t load_word(const uint8_t *at, size_t size)
{
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++) {
        word |= (uint64_t)at[i] << (8 * i);
    }
    return word;
}

static void sip_begin(const uint64_t key[2], uint64_t v[4])
{
    v[0] = key[0] ^ UINT64_C(0x736f6d6570736575);
    v[1] = key[1] ^ UINT64_C(0x646f72616e646f6d);
    v[2] = key[0] ^ UINT64_C(0x6c7967656e657261);
    v[3] = key[1] ^ UINT64_C(0x7465646279746573);
}

static void sip_word(uint64_t v[4], uint64_t word, int rounds)
{
    v[3] ^= word;
    sip_rounds(v, rounds);
    v[0] ^= word;
}

/* All bytes, and their number in the last word; so many rounds for each word. */
static void sip_take(uint64_t v[4], struct weir_bytes bytes, int rounds)
{
    size_t whole = bytes.size - bytes.size % 8;
    for (size_t at = 0; at < whole; at += 8) {
        sip_word(v, load_word(bytes.data + at, 8), rounds);
    }
    uint64_t last = (uint64_t)bytes.size << 56;
    if (bytes.size > whole) {
        last |= load_word(bytes.data + whole, bytes.size - whole);
    }
    sip_word(v, last, rounds);
}

static uint64_t sip_end(uint64_t v[4], uint64_t mark, unsigned at, int rounds)
{
    v[at] ^= mark;
    sip_rounds(v, rounds);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* One compression round a word and three to finish: 1-3 keeps flooding out at half
 * the cost of 2-4. */
uint64_t weir_hash(struct weir_bytes bytes)
{
    pthread_once(&key_once, init_key);
    uint64_t v[4];
    sip_begin(process_key, v);
    sip_take(v, bytes, 1);
    return sip_end(v, 0xff, 2, 3);
}

void weir_hash_wide(const uint64_t key[2], struct weir_bytes bytes, uint64_t ret[2])
{
    uint64_t v[4];
    sip_begin(key, v);
    v[1] ^= 0xee; /* the wide output's mark, here and at the end */
    sip_take(v, bytes, 2);
    ret[0] = sip_end(v, 0xee, 2, 4);
    ret[1] = sip_end(v, 0xdd, 1, 4);
}
