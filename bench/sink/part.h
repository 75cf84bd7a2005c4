/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_SINK_PART_H
#define WEIR_BENCH_SINK_PART_H

#include "sink/decode.h"

/*
 * A data point of any kind that a shape can give, field by field, read as a backend reads it.
 */
enum { WEIR_SINK_PART_ATTRIBUTES_MAX = 24, WEIR_SINK_PART_QUANTILES_MAX = 16 };

struct weir_sink_pairs {
    uint32_t count;
    struct weir_sink_attribute pair[WEIR_SINK_PART_ATTRIBUTES_MAX];
};

struct weir_sink_part {
    unsigned seen;      /* bits: which of `field` came */
    uint64_t field[16]; /* the bits of 8-byte fields, by their number in the kind's message */
    uint32_t quantiles;
    uint64_t quantile[WEIR_SINK_PART_QUANTILES_MAX]; /* bits of doubles */
    uint64_t value[WEIR_SINK_PART_QUANTILES_MAX];
    struct weir_sink_pairs attributes; /* views into the content */
};

/* Reads the content of a data point of a metric whose data is field `kind` of it: 5 gauge, 10
 * exponential histogram, 11 summary. NULL, or what is wrong (static; *ret is then of no use): also
 * a field that comes twice, one that no shape gives, too many attributes. Pure. */
const char *weir_sink_part_read(struct weir_bytes content, uint32_t kind,
                                struct weir_sink_part *ret);

/* The pairs of a list of key-values (the content of an AnyValue), all of them texts; of a JSON
 * object of texts in `text`, which is copied into the `size` bytes at `room` that the views are
 * then of. False where it is something else. */
bool weir_sink_part_list(struct weir_bytes any_value, struct weir_sink_pairs *ret);
bool weir_sink_part_json(struct weir_bytes text, uint8_t *room, size_t size,
                         struct weir_sink_pairs *ret);

#endif
