/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three hashes for bytes from outside.
 *
 *   weir_hash        SipHash-1-3, keyed per process: what is hashed now and then (sources, logs)
 *   weir_hash_quick  multiply and fold, keyed per process: what is hashed for every data point or
 *                    run, and the names of tables
 *   weir_hash_wide   SipHash-2-4, the caller's key, 128 bits: what is kept on disk
 *
 *   process_key ─► weir_hash(0), (1), (2), ... ─► quick_key
 *
 *   quick:  h = k0;  16 bytes at a time:  h = fold(w0 ^ k1, w1 ^ h);  fold(h ^ k2, size ^ k3)
 *           fold(a, b): the 128 bits of a x b, one half xored with the other
 *           17 to 64 bytes, which names are: four pieces of 16, the last ones overlapping where
 *           there is less, each folded under two words of the key of its own, side by side and
 *           without a branch that depends on the length;  h = k0 ^ all four
 *           the size comes last, where no byte meets it: xored with a word of the text it could be
 *           made up for by whoever writes the text, without the key
 *
 *   I1  no read leaves the bytes: the last 16 or fewer are two words that may overlap
 *   I2  the same bytes under the same key give the same hash, wherever they lie
 *
 * The key is made once, by the first caller; pthread_once, and for the quick key a flag, order that
 * before every use. Any thread. Nothing fails. None of this is for secrets.
 */
#include "weir/hash.h"
#include "weir/rand.h"
#include <pthread.h>
#include <stdatomic.h>

/* Written once, by whoever is first; pthread_once orders that write before every later read. */
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static uint64_t process_key[2];
static bool key_is_fixed;

/* The quick hash's words, from process_key. Whether they are there is asked without a call: the
 * release store in init_quick_key pairs with the acquire load in weir_hash_quick_key. */
static uint64_t quick_key[WEIR_HASH_QUICK_WORDS];
static _Atomic bool quick_key_is_there;
static pthread_mutex_t quick_lock = PTHREAD_MUTEX_INITIALIZER;

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
    /* for weir_hash_quick in this thread; set before any other call, so there is no partner */
    atomic_store_explicit(&quick_key_is_there, false, memory_order_relaxed);
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

static void init_quick_key(void)
{
    pthread_mutex_lock(&quick_lock);
    if (!atomic_load_explicit(&quick_key_is_there, memory_order_relaxed)) { /* the lock orders it */
        for (uint8_t i = 0; i < WEIR_HASH_QUICK_WORDS; i++) {
            quick_key[i] = weir_hash(weir_bytes_of(&i, sizeof(i)));
        }
        /* the partner is the load in weir_hash_quick_key */
        atomic_store_explicit(&quick_key_is_there, true, memory_order_release);
    }
    pthread_mutex_unlock(&quick_lock);
}

static uint64_t load8(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static uint64_t load4(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* Up to 16 bytes as two words; where there are fewer they overlap, and the length tells them
 * apart. */
static void load_last(const uint8_t *at, size_t size, uint64_t words[2])
{
    if (size >= 8) {
        words[0] = load8(at);
        words[1] = load8(at + size - 8);
    } else if (size >= 4) {
        words[0] = load4(at);
        words[1] = load4(at + size - 4);
    } else if (size > 0) {
        words[0] = at[0];
        words[1] = (uint64_t)at[size / 2] << 8 | at[size - 1];
    } else {
        words[0] = 0;
        words[1] = 0;
    }
}

const uint64_t *weir_hash_quick_key(void)
{
    /* the partner is the store in init_quick_key */
    if (!atomic_load_explicit(&quick_key_is_there, memory_order_acquire)) {
        init_quick_key();
    }
    return quick_key;
}

uint64_t weir_hash_quick(struct weir_bytes bytes)
{
    const uint64_t *key = weir_hash_quick_key();
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    if (left > 16 && left <= 64) {
        return weir_hash_quick_by(key, bytes);
    }
    uint64_t hash = key[0];
    for (; left > 16; left -= 16) {
        hash = weir_hash_fold(load8(at) ^ key[1], load8(at + 8) ^ hash);
        at += 16;
    }
    uint64_t words[2];
    load_last(at, left, words);
    hash = weir_hash_fold(words[0] ^ key[1], words[1] ^ hash);
    return weir_hash_fold(hash ^ key[2], key[3] ^ bytes.size);
}
