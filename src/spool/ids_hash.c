/* SPDX-License-Identifier: Apache-2.0 */
#include "ids_hash.h"

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

static void compress(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

void weir_ids_hash(const uint64_t key[2], struct weir_bytes bytes, uint64_t ret[2])
{
    uint64_t v[4] = {
        key[0] ^ UINT64_C(0x736f6d6570736575),
        key[1] ^ UINT64_C(0x646f72616e646f6d) ^ 0xee, /* 0xee: the wide output's mark */
        key[0] ^ UINT64_C(0x6c7967656e657261),
        key[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = bytes.size - bytes.size % 8;
    for (size_t at = 0; at < whole; at += 8) {
        compress(v, load_word(bytes.data + at, 8));
    }
    uint64_t last = (uint64_t)bytes.size << 56;
    if (bytes.size > whole) {
        last |= load_word(bytes.data + whole, bytes.size - whole);
    }
    compress(v, last);
    v[2] ^= 0xee;
    sip_rounds(v, 4);
    ret[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    sip_rounds(v, 4);
    ret[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}
