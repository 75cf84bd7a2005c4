/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/bytes.h"

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
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
