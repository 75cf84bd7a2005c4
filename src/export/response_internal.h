/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_EXPORT_RESPONSE_INTERNAL_H
#define WEIR_EXPORT_RESPONSE_INTERNAL_H

#include "weir/response.h"

/* What the readers of answers share. */

/* Copies text into a response's message as UTF-8 without control characters; a sequence that is
 * broken becomes '?', one that is cut ends it. */
void weir_response_set_message(char *message, struct weir_bytes text);

/* Whether a status is in a 0-terminated list, or NULL. */
bool weir_response_is_listed(const int *statuses, int status);

/* Reads the body of a success: sets outcome, reason, rejected and message. `was_cut`: the body
 * may go on. */
void weir_response_read_success(struct weir_response *response, struct weir_bytes body,
                                uint32_t points, bool was_cut);

/* response_json.c */

/* Whether a body begins as a JSON object does. */
bool weir_response_is_json(struct weir_bytes body);
/* Reads an ExportMetricsServiceResponse. False when it has no partial success. What stands before
 * a mistake or the cut counts. */
bool weir_response_json_partial(struct weir_bytes body, int64_t *ret_rejected, char *message);
/* Reads google.rpc.Status's message. False when there is none. */
bool weir_response_json_message(struct weir_bytes body, char *message);

#endif
