/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_REPORT_H
#define WEIR_LOAD_REPORT_H

#include "load/run.h"
#include "load/sinks.h"

/* What the run came to, for people. */
void weir_load_report_text(const struct weir_load_options *options,
                           const struct weir_load_outcome *outcome,
                           const struct weir_load_verdict *verdicts, struct weir_buf *out);

/* The same as one JSON object and a newline. */
void weir_load_report_json(const struct weir_load_options *options,
                           const struct weir_load_outcome *outcome,
                           const struct weir_load_verdict *verdicts, struct weir_buf *out);

#endif
