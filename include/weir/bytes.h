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

/* Sixteen bytes at once, on every machine that GCC and Clang know. */
typedef uint64_t weir_bytes_lanes __attribute__((vector_size(16)));

static inline weir_bytes_lanes weir_bytes_lanes_of(const uint8_t *at)
{
    weir_bytes_lanes loaded;
    memcpy(&loaded, at, sizeof(loaded));
    return loaded;
}

static inline weir_bytes_lanes weir_bytes_differ_16(const uint8_t *a, const uint8_t *b, size_t at)
{
    return weir_bytes_lanes_of(a + at) ^ weir_bytes_lanes_of(b + at);
}

/* weir_bytes_eq, without a call to the library for text of 4 to 16 bytes. */
bool weir_bytes_eq_tiny(struct weir_bytes a, struct weir_bytes b);

/* weir_bytes_eq for text of 17 to 64 bytes that is nearly always equal: pieces that overlap where
 * there is less, so that no branch depends on the length. Other text is as welcome. */
static inline bool weir_bytes_eq_short(struct weir_bytes a, struct weir_bytes b)
{
    size_t last = a.size - 16;
    if (a.size <= 16 || a.size > 64 || a.size != b.size) {
        return a.size == b.size && weir_bytes_eq_tiny(a, b);
    }
    weir_bytes_lanes differ = weir_bytes_differ_16(a.data, b.data, 0) |
                              weir_bytes_differ_16(a.data, b.data, last < 16 ? last : 16) |
                              weir_bytes_differ_16(a.data, b.data, last < 32 ? last : 32) |
                              weir_bytes_differ_16(a.data, b.data, last);
    return (differ[0] | differ[1]) == 0;
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
