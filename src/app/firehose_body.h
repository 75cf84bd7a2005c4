/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_FIREHOSE_BODY_H
#define WEIR_APP_FIREHOSE_BODY_H

#include "weir/buf.h"

/* Appends a Firehose request's body under `id` and `timestamp_ms`. `data` (mutable, undefined
 * afterwards) is a body already, whose records are taken over, or one record; JSON lines that
 * are too long for one become several. NULL, or what is wrong, in words. Pure. */
const char *weir_firehose_body(uint8_t *data, size_t size, const char *id, int64_t timestamp_ms,
                               struct weir_buf *out);

#endif
