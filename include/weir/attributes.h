/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ATTRIBUTES_H
#define WEIR_ATTRIBUTES_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * The common attributes of a delivery stream, as X-Amz-Firehose-Common-Attributes brings them:
 *
 *   {"commonAttributes":{"tenant":"a1","dt-url":"https://abc.live.dynatrace.com"}}
 *
 * With Firehose's own bounds (Firehose developer guide, "HTTP endpoint delivery request and
 * response"): 50 of them, names of 1 to 256 characters, values of up to 1,024.
 */
#define WEIR_ATTRIBUTES_MAX      50
#define WEIR_ATTRIBUTE_NAME_MAX  256 /* characters, not bytes */
#define WEIR_ATTRIBUTE_VALUE_MAX 1024

struct weir_attribute {
    struct weir_bytes name;
    struct weir_bytes value;
};

struct weir_attributes {
    uint32_t count;
    struct weir_attribute items[WEIR_ATTRIBUTES_MAX]; /* in the order they came */
};

/* Reads the header's value at `text`, which it may rewrite (escapes are undone in place); the views
 * in *ret are of that memory. Other members beside commonAttributes are skipped, and without it
 * there are none. WEIR_EMALFORMED: no JSON of this shape, a value that is no string, a name that is
 * there twice; WEIR_ELIMIT: over one of the bounds, or nested deeper than 8. Pure; O(size), and the
 * square of the count. */
WEIR_MUST_USE enum weir_status weir_attributes_read(uint8_t *text, size_t size,
                                                    struct weir_attributes *ret);

/* The value of the attribute with this name, byte for byte; NULL where there is none. */
const struct weir_bytes *weir_attributes_find(const struct weir_attributes *attributes,
                                              struct weir_bytes name);

#endif
