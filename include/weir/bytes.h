/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BYTES_H
#define WEIR_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A view: somebody else's bytes, passed by value. Says nothing about who owns them or how long they
 * live; the function that returns one does. `data` may be NULL only where `size` is 0. Not
 * terminated.
 */
struct weir_bytes {
    const uint8_t *data;
    size_t size;
};

/* A view of a string literal, without its terminator, as an initialiser and as an expression. */
#define WEIR_BYTES_INIT(literal)                                                                   \
    {                                                                                              \
        (const uint8_t *)("" literal), sizeof(literal) - 1                                         \
    }
#define WEIR_BYTES(literal) ((struct weir_bytes)WEIR_BYTES_INIT(literal))

static inline struct weir_bytes weir_bytes_of(const void *data, size_t size)
{
    return (struct weir_bytes){(const uint8_t *)data, size};
}

/* A view of a terminated string; NULL gives the empty view. */
static inline struct weir_bytes weir_bytes_str(const char *text)
{
    return text == NULL ? (struct weir_bytes){NULL, 0} : weir_bytes_of(text, strlen(text));
}

/* Equal in size and content. Not constant time: never for secrets. */
static inline bool weir_bytes_eq(struct weir_bytes a, struct weir_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline uint64_t weir_bytes_differ(const uint8_t *a, const uint8_t *b, size_t size)
{
    uint64_t words[2] = {0, 0};
    memcpy(&words[0], a, size);
    memcpy(&words[1], b, size);
    return words[0] ^ words[1];
}

/* The same without a call, for short text that is nearly always equal: sixteen bytes at a time, the
 * last of which may overlap those before. */
static inline bool weir_bytes_eq_short(struct weir_bytes a, struct weir_bytes b)
{
    const uint8_t *x = a.data;
    const uint8_t *y = b.data;
    size_t left = a.size;
    uint64_t differ = 0;
    if (a.size != b.size) {
        return false;
    }
    if (left < 8) {
        return left < 4 ? weir_bytes_eq(a, b)
                        : (weir_bytes_differ(x, y, 4) |
                           weir_bytes_differ(x + left - 4, y + left - 4, 4)) == 0;
    }
    for (; left > 16; left -= 16) {
        differ |= weir_bytes_differ(x, y, 8) | weir_bytes_differ(x + 8, y + 8, 8);
        x += 16;
        y += 16;
    }
    /* up to sixteen are left; of a longer text the last sixteen, else two halves */
    size_t half = a.size < 16 ? 8 : 16;
    const uint8_t *x_last = a.data + a.size - half;
    const uint8_t *y_last = b.data + b.size - half;
    differ |= weir_bytes_differ(half == 8 ? x : x_last + 8, half == 8 ? y : y_last + 8, 8);
    return (differ | weir_bytes_differ(x_last, y_last, 8)) == 0;
}

/* Equal when ASCII letters are compared without case (RFC 9110 field names). */
bool weir_bytes_eq_nocase(struct weir_bytes a, struct weir_bytes b);

static inline bool weir_bytes_starts_with(struct weir_bytes text, struct weir_bytes prefix)
{
    return text.size >= prefix.size &&
           (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

/* The part of `whole` from `offset` on (empty when past the end). */
static inline struct weir_bytes weir_bytes_from(struct weir_bytes whole, size_t offset)
{
    return offset >= whole.size ? (struct weir_bytes){NULL, 0}
                                : weir_bytes_of(whole.data + offset, whole.size - offset);
}

/* Whether `text` fits the glob `pattern`: `*` any run, `?` any one byte, all else itself. Linear
 * space, O(text x pattern) time at worst, no recursion. */
bool weir_bytes_glob(struct weir_bytes pattern, struct weir_bytes text);

/* The length of the UTF-8 character that `text` begins with (1 to 4), or 0 where that is not
 * well-formed (Unicode 15, table 3-7) or there is none. For the few places that mend text;
 * weir_utf8_valid is the fast whole check. */
size_t weir_bytes_utf8_length(struct weir_bytes text);

#endif
