/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_SINK_OTLP_JSON_H
#define WEIR_BENCH_SINK_OTLP_JSON_H

#include "weir/buf.h"

/* Writes an ExportMetricsServiceRequest in OTLP/JSON (rewritten while read) as protobuf, field by
 * field in the order in which they come, so that one reader reads both. WEIR_EMALFORMED: *ret_what
 * (static) says what is wrong: also a name that no request of a world has, a 64-bit integer that is
 * no text. WEIR_ENOMEM: the buffer's limit. Any thread. */
WEIR_MUST_USE enum weir_status weir_sink_otlp_json(uint8_t *text, size_t size, struct weir_buf *out,
                                                   const char **ret_what);

#endif
