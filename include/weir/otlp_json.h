/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_OTLP_JSON_H
#define WEIR_OTLP_JSON_H

#include "weir/buf.h"

/* Appends an encoded ExportMetricsServiceRequest as OTLP/JSON on one line, no line feed: lowerCamelCase names, 64-bit
 * integers as decimal strings, enums as numbers, bytes (trace and span ids) as hex, doubles as the shortest text that
 * reads back the same, NaN and Infinity as strings (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding").
 * Fields that are not in the proto are left out. WEIR_EMALFORMED, WEIR_ENOMEM (the buffer's failed). Pure. */
WEIR_MUST_USE enum weir_status weir_otlp_json(struct weir_bytes request, struct weir_buf *out);

#endif
