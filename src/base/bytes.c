/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/bytes.h"

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static uint64_t differ(const uint8_t *a, const uint8_t *b, size_t size)
{
    uint64_t words[2] = {0, 0};
    memcpy(&words[0], a, size);
    memcpy(&words[1], b, size);
    return words[0] ^ words[1];
}

bool weir_bytes_eq_tiny(struct weir_bytes a, struct weir_bytes b)
{
    size_t size = a.size;
    if (size != b.size || size < 4 || size > 16) {
        return weir_bytes_eq(a, b);
    }
    size_t word = size >= 8 ? 8 : 4;
    size_t last = size - word;
    return word == 8 ? (differ(a.data, b.data, 8) | differ(a.data + last, b.data + last, 8)) == 0
                     : (differ(a.data, b.data, 4) | differ(a.data + last, b.data + last, 4)) == 0;
}

bool weir_bytes_eq_nocase(struct weir_bytes a, struct weir_bytes b)
{
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

/* Only the last star seen needs a second thought: giving an earlier one more bytes can never help
 * where giving the later one more does not. So one remembered place replaces the recursion. */
bool weir_bytes_glob(struct weir_bytes pattern, struct weir_bytes text)
{
    size_t in_pattern = 0;
    size_t in_text = 0;
    size_t star =
        SIZE_MAX; /* place of the last star, and where its run would end if one byte longer */
    size_t star_text = 0;
    while (in_text < text.size) {
        uint8_t want = in_pattern < pattern.size ? pattern.data[in_pattern] : 0;
        bool at_end = in_pattern == pattern.size;
        if (!at_end && want == '*') {
            star = in_pattern++;
            star_text = in_text;
        } else if (!at_end && (want == '?' || want == text.data[in_text])) {
            in_pattern++;
            in_text++;
        } else if (star != SIZE_MAX) {
            in_pattern = star + 1;
            in_text = ++star_text;
        } else {
            return false;
        }
    }
    while (in_pattern < pattern.size && pattern.data[in_pattern] == '*') {
        in_pattern++;
    }
    return in_pattern == pattern.size;
}

static bool is_tail(const uint8_t *at, uint8_t low, uint8_t high)
{
    return *at >= low && *at <= high;
}

size_t weir_bytes_utf8_length(struct weir_bytes text)
{
    if (text.size == 0) {
        return 0;
    }
    const uint8_t *at = text.data;
    size_t left = text.size;
    uint8_t lead = at[0];
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        return left >= 2 && is_tail(at + 1, 0x80, 0xbf) ? 2 : 0;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        uint8_t low = lead == 0xe0 ? 0xa0 : 0x80;  /* no overlong form */
        uint8_t high = lead == 0xed ? 0x9f : 0xbf; /* no surrogate */
        bool whole = left >= 3 && is_tail(at + 1, low, high) && is_tail(at + 2, 0x80, 0xbf);
        return whole ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        uint8_t low = lead == 0xf0 ? 0x90 : 0x80;
        uint8_t high = lead == 0xf4 ? 0x8f : 0xbf; /* nothing above U+10FFFF */
        bool whole = left >= 4 && is_tail(at + 1, low, high) && is_tail(at + 2, 0x80, 0xbf) &&
                     is_tail(at + 3, 0x80, 0xbf);
        return whole ? 4 : 0;
    }
    return 0;
}
