/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CODEC_OTLP_SCHEMA_H
#define WEIR_CODEC_OTLP_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the metrics half of OTLP looks like (opentelemetry-proto v1.0 and the fields added since),
 * as tables: for each message its fields, in the order in which they are printed. Private to this
 * room.
 */
enum otlp_kind {
    OTLP_STRING,
    OTLP_BOOL,
    OTLP_NUMBER32, /* uint32 and enums, as a number */
    OTLP_SINT32,   /* zigzag, as a number */
    OTLP_INT64,    /* varint; the 64-bit ones are printed as strings */
    OTLP_UINT64,   /* varint */
    OTLP_FIXED64,
    OTLP_SFIXED64,
    OTLP_DOUBLE,
    OTLP_HEX,    /* bytes of an id */
    OTLP_BASE64, /* other bytes */
    OTLP_MESSAGE
};

#define OTLP_REPEATED 1U /* an array in JSON; scalars may be packed */
#define OTLP_ONEOF    2U /* the last of its message's oneof fields on the wire counts */
#define OTLP_ALWAYS   4U /* printed as zero where it is absent, because people read the output */

struct otlp_field {
    const char *name;
    uint32_t number;
    enum otlp_kind kind;
    unsigned flags;
    const struct otlp_message *message; /* of OTLP_MESSAGE */
};

struct otlp_message {
    const struct otlp_field *fields;
    size_t count;
};

/* ExportMetricsServiceRequest. */
extern const struct otlp_message weir_otlp_schema_request;

#endif
