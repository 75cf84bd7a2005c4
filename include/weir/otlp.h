/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_OTLP_H
#define WEIR_OTLP_H

#include "weir/collect.h"

/*
 * CloudWatch metric-stream OpenTelemetry records: delimited ExportMetricsServiceRequests, 0.7.0
 * and 1.0.0 by one decoder (a data point with field 1 is 0.7's, with field 7 it is 1.0's). A 1.0
 * point is checked field by field and kept as the bytes it came as; a 0.7 point is written as 1.0
 * into the arena, its labels becoming the same three attributes.
 */

/* Decodes every delimited message of a record. A message that is damaged is taken back whole and
 * quarantined, the next goes on; when a length does not fit, the rest of the record is quarantined.
 * Gives the format: 0.7 where any point was 0.7's, else 1.0; WEIR_RECORD_UNKNOWN, and the whole
 * record quarantined, when it does not even begin like a message. */
enum weir_record_format weir_otlp_decode(struct weir_collect *collect, struct weir_bytes record,
                                         uint32_t record_index);

/* One ExportMetricsServiceRequest without its length (what an OTLP receiver gets). WEIR_EMALFORMED
 * with *ret_reason set, and nothing collected; no bytes at all are WEIR_OK. *ret_format is 1.0 or
 * 0.7. */
WEIR_MUST_USE enum weir_status weir_otlp_message(struct weir_collect *collect,
                                                 struct weir_bytes message,
                                                 enum weir_record_format *ret_format,
                                                 enum weir_quarantine *ret_reason);

#endif
