/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_OTLP_JSON_H
#define WEIR_OTLP_JSON_H

#include "weir/buf.h"

/* Appends an encoded ExportMetricsServiceRequest as OTLP/JSON on one line, no line feed:
 * lowerCamelCase names, 64-bit integers as decimal strings, enums as numbers, bytes (trace and
 * span ids) as hex, doubles as the shortest text that reads back the same, NaN and Infinity as
 * strings (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding"). Fields that
 * are not in the proto are left out, and those that are absent from the input, except where a
 * reader would miss the zero: count and sum of a summary point, quantile and value of its
 * quantiles. WEIR_EMALFORMED, WEIR_ENOMEM (then the buffer's `failed` is set); nothing is
 * appended then. Pure. */
WEIR_MUST_USE enum weir_status weir_otlp_json(struct weir_bytes request, struct weir_buf *out);

#endif
