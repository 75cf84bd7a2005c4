/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/utf8.h"

#define HIGH_BITS 0x8080808080808080U

/* How many bytes of ASCII begin the text. */
static size_t ascii_run(const uint8_t *text, size_t size)
{
    size_t at = 0;
    while (size - at >= 8) {
        uint64_t word;
        memcpy(&word, text + at, 8);
        if ((word & HIGH_BITS) != 0) {
            break;
        }
        at += 8;
    }
    while (at < size && text[at] < 0x80) {
        at++;
    }
    return at;
}

/*
 * The size of the well-formed sequence at `text` whose first byte is not ASCII, or 0. Only the
 * second byte's range depends on the first (table 3-7); all later ones are 80..BF.
 */
static size_t sequence_size(const uint8_t *text, size_t size)
{
    uint8_t first = text[0];
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    size_t wanted = 0;
    if (first >= 0xC2 && first <= 0xDF) {
        wanted = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
        wanted = 3;
        low = first == 0xE0 ? 0xA0 : low;   /* below: overlong */
        high = first == 0xED ? 0x9F : high; /* above: surrogates */
    } else if (first >= 0xF0 && first <= 0xF4) {
        wanted = 4;
        low = first == 0xF0 ? 0x90 : low;   /* below: overlong */
        high = first == 0xF4 ? 0x8F : high; /* above: beyond U+10FFFF */
    }
    if (wanted == 0 || wanted > size || text[1] < low || text[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < wanted; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return wanted;
}

bool weir_utf8_valid(struct weir_bytes text)
{
    size_t at = 0;
    while (at < text.size) {
        at += ascii_run(text.data + at, text.size - at);
        if (at == text.size) {
            break;
        }
        size_t step = sequence_size(text.data + at, text.size - at);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}
