/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_HASH_H
#define WEIR_HASH_H

#include "weir/bytes.h"

/*
 * Hashes for tables whose keys come from outside. weir_hash is keyed once a process from the
 * system's generator, so that nobody outside can choose keys that collide (SipHash-1-3, Aumasson
 * and Bernstein 2012).
 */

/* A keyed 64-bit hash; the same within this process only. Any thread. */
uint64_t weir_hash(struct weir_bytes bytes);

/* The same contract at a sixth of the instructions, for what is hashed once a data point: words
 * multiplied by words of the process's key, two at a time. Whoever does not know the key cannot
 * aim at a collision, but unlike SipHash it is no pseudo-random function: for tables whose order
 * and times nobody outside can watch closely, where equality is decided by bytes. Any thread. */
uint64_t weir_hash_quick(struct weir_bytes bytes);

#define WEIR_HASH_QUICK_WORDS 12

/* The quick hash's words, for weir_hash_quick_by: the same ones for the life of the process (but
 * for weir_hash_set_key), made by whoever is first. Any thread. */
const uint64_t *weir_hash_quick_key(void);

__extension__ typedef unsigned __int128 weir_hash_product;

/* Both halves of the product, xored: each bit of it depends on nearly all bits of both. */
static inline uint64_t weir_hash_fold(uint64_t a, uint64_t b)
{
    weir_hash_product whole = (weir_hash_product)a * b;
    return (uint64_t)whole ^ (uint64_t)(whole >> 64);
}

/* Sixteen bytes under two words of the key. */
static inline uint64_t weir_hash_fold_piece(const uint8_t *at, const uint64_t *key)
{
    uint64_t words[2];
    memcpy(words, at, sizeof(words));
    return weir_hash_fold(words[0] ^ key[0], words[1] ^ key[1]);
}

/* weir_hash_quick for who hashes many, with the words at hand: without a call for 17 to 64 bytes,
 * which names are. */
static inline uint64_t weir_hash_quick_by(const uint64_t *key, struct weir_bytes bytes)
{
    const uint8_t *at = bytes.data;
    size_t last = bytes.size - 16;
    if (bytes.size <= 16 || bytes.size > 64) {
        return weir_hash_quick(bytes);
    }
    uint64_t pieces = weir_hash_fold_piece(at, key + 4) ^
                      weir_hash_fold_piece(at + (last < 16 ? last : 16), key + 6) ^
                      weir_hash_fold_piece(at + (last < 32 ? last : 32), key + 8) ^
                      weir_hash_fold_piece(at + last, key + 10);
    return weir_hash_fold(key[0] ^ pieces ^ key[2], key[3] ^ bytes.size);
}

/* SipHash-2-4 with 128 bits of output (their reference code has its test values): the same for the
 * same key everywhere, for what is kept on disk. Pure; O(size). */
void weir_hash_wide(const uint64_t key[2], struct weir_bytes bytes, uint64_t ret[2]);

/* Mixes two hashes into one, order-dependent. */
static inline uint64_t weir_hash_mix(uint64_t a, uint64_t b)
{
    uint64_t mixed = (a ^ (b + UINT64_C(0x9e3779b97f4a7c15))) * UINT64_C(0xff51afd7ed558ccd);
    return mixed ^ (mixed >> 32);
}

/* Fixes the process's key, for tests that need the same hashes in each run. Before
 * any other call. */
void weir_hash_set_key(const uint64_t key[2]);

#endif
