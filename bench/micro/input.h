/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_INPUT_H
#define WEIR_BENCH_INPUT_H

#include "weir/bytes.h"
#include "weir/status.h"
#include <stddef.h>
#include <stdint.h>

/*
 * One Firehose body of the made-up world, at each of its stages: what the cases work on.
 *
 *   gzip ──inflate──► json ──envelope, base64──► record, record, ...
 */
enum weir_input_format { WEIR_INPUT_JSON, WEIR_INPUT_OTLP07, WEIR_INPUT_OTLP10 };

struct weir_input_options {
    enum weir_input_format format;
    uint64_t seed;
    uint32_t points;     /* of a body */
    uint32_t per_record; /* points */
    uint32_t namespaces;
    uint32_t resources;
    int gzip_level; /* 0: not compressed */
};

/* 11,600 points of OTLP 1.0, which fill a buffer of 3 MiB. */
struct weir_input_options weir_input_defaults(void);

struct weir_input {
    uint32_t points;
    uint32_t records;
    struct weir_bytes gzip;    /* the body as it is sent; empty where it is not compressed */
    struct weir_bytes json;    /* and inflated */
    struct weir_bytes content; /* the records, decoded, one after another */
    struct weir_bytes *record; /* each of them */
    uint8_t *memory[3];        /* of the three */
};

/* Body number `minute` of a world: the same options give the same bytes everywhere. WEIR_EINVAL,
 * WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_input_new(const struct weir_input_options *options,
                                              uint32_t minute, struct weir_input **ret);
/* NULL is nothing. */
void weir_input_free(struct weir_input *input);

/* A format by its name (json, 0.7, 1.0). WEIR_EINVAL. */
WEIR_MUST_USE enum weir_status weir_input_format(const char *name, enum weir_input_format *ret);

#endif
