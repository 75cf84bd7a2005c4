/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_JSON_H
#define WEIR_JSON_H

#include "weir/bytes.h"
#include "weir/crc32.h"
#include "weir/status.h"

/*
 * A pull reader for JSON (RFC 8259), strict, over a whole buffer: no tree, no allocation. The
 * caller asks for what it expects; the first thing that is otherwise sets a sticky error with its
 * place.
 *
 *   weir_json_object_begin(&json);
 *   while (weir_json_member(&json, &key)) {           // false at the end and after an error
 *       if (weir_bytes_eq(key, WEIR_BYTES("sum"))) { sum = weir_json_double(&json); }
 *       else { weir_json_skip(&json); }
 *   }
 *   status = weir_json_finish(&json);
 *
 * Strings come back as views: raw ones of the input when they hold no escape; else they are
 * unescaped *in place*, in the caller's mutable buffer (an unescaped string is never longer). UTF-8
 * is checked.
 *
 *   I1  position <= end
 *   I2  once `error` is set nothing moves and every read gives an empty value
 *   I3  depth <= depth_max <= WEIR_JSON_DEPTH_LIMIT
 *   I4  `sum`, where there is one, has gone over whatever is written to, before it is
 *
 * tidy: allow header-functions -- one verb for each kind of value: they only make sense together
 */
#define WEIR_JSON_DEPTH_LIMIT 64
#define WEIR_JSON_NUMBER_MAX  128 /* characters */

struct weir_json {
    uint8_t *start;
    uint8_t *position;
    uint8_t *end;
    const char *error; /* a static sentence for a person ("expected a number"), or NULL */
    size_t error_offset;
    uint8_t depth;
    uint8_t depth_max;
    uint64_t object_bits;       /* bit d: the container at depth d is an object */
    bool fresh;                 /* the container just opened has had no element yet */
    struct weir_crc32_sum *sum; /* NULL; or the caller's, which began at `start` */
};

enum weir_json_type {
    WEIR_JSON_END, /* the end of the input, or an error */
    WEIR_JSON_OBJECT,
    WEIR_JSON_ARRAY,
    WEIR_JSON_STRING,
    WEIR_JSON_NUMBER,
    WEIR_JSON_TRUE,
    WEIR_JSON_FALSE,
    WEIR_JSON_NULL
};

/* Reads `size` bytes at `text`, which the reader may rewrite (unescaping). depth_max 1..64. */
void weir_json_init(struct weir_json *json, uint8_t *text, size_t size, unsigned depth_max);

/* What comes next, without taking it. */
enum weir_json_type weir_json_peek(struct weir_json *json);

/* Enters an object or an array. */
void weir_json_object_begin(struct weir_json *json);
void weir_json_array_begin(struct weir_json *json);

/* The next member's key (then its value must be read or skipped); false at the object's end, which
 * is then taken, or after an error. */
bool weir_json_member(struct weir_json *json, struct weir_bytes *ret_key);

/* Whether there is a further element (then it must be read or skipped); false takes the array's
 * end. */
bool weir_json_element(struct weir_json *json);

/* A string, a number, or anything. A number is the nearest double; an integer must have neither
 * fraction nor exponent and fit. What is skipped is checked all the same, but not rewritten, and
 * its numbers may be beyond the range. */
struct weir_bytes weir_json_string(struct weir_json *json);
double weir_json_double(struct weir_json *json);
int64_t weir_json_int64(struct weir_json *json);
void weir_json_skip(struct weir_json *json);

/* A string of the plain base64 alphabet, found by its closing quote without looking for escapes or
 * UTF-8 inside (the base64 decoder rejects all that): a view into the mutable buffer. One that does
 * hold a backslash (writers may escape '/') is read as weir_json_string reads it. */
struct weir_bytes weir_json_base64(struct weir_json *json);

/* The same, undone on the way: the decoder stops at the first byte that is none of its alphabet,
 * and that is where the quote is looked for, so the text is gone through once. *ret_taken of the
 * view's characters are decoded over its start already (weir_base64_decode_rest does the others);
 * 0 after an error. */
struct weir_bytes weir_json_base64_begun(struct weir_json *json, size_t *ret_taken);

/* After the top value: WEIR_OK when only white space is left; WEIR_EMALFORMED, or WEIR_ELIMIT for
 * depth. */
WEIR_MUST_USE enum weir_status weir_json_finish(struct weir_json *json);

/* The nearest double to a JSON number's text (RFC 8259 grammar, checked). WEIR_EMALFORMED;
 * WEIR_ELIMIT when it is longer than WEIR_JSON_NUMBER_MAX or beyond the range of a double (what is
 * too small becomes 0). Independent of the locale. */
WEIR_MUST_USE enum weir_status weir_json_parse_double(struct weir_bytes text, double *ret);

/* The same for the number that stands at the beginning of [at, end), as far as the grammar goes.
 * What comes after it, or NULL where there is none. For the fast: what is beyond the range is
 * infinite, and a text of any length is read if that is exact. */
const uint8_t *weir_json_take_double(const uint8_t *at, const uint8_t *end, double *ret);

#endif
