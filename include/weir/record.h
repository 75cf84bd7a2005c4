/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_RECORD_H
#define WEIR_RECORD_H

#include "weir/cwjson.h"
#include "weir/otlp.h"

/* What a record's first bytes say it is: `{` but not `{` LF is JSON (a 123-byte OTLP message begins
 * 7b 0a), also after leading white space where that cannot be a message; 1f 8b is gzip
 * (WEIR_RECORD_UNKNOWN); nothing is EMPTY; all else is tried as OTLP (reported as
 * WEIR_RECORD_OTLP_10). Formats may be mixed within a request while a stream's format is being
 * changed. Pure. */
enum weir_record_format weir_record_sniff(struct weir_bytes record);

/* Sniffs and decodes one record into the collector, quarantining what is no metric. Counts the
 * record by format. */
void weir_record_decode(struct weir_collect *collect, struct weir_cwjson_context context,
                        struct weir_bytes record, uint32_t record_index);

#endif
