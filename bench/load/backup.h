/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_BACKUP_H
#define WEIR_LOAD_BACKUP_H

#include "weir/buf.h"

/*
 * Firehose's S3 backup of what failed for good ("FailedDataOnly"), as a folder:
 *
 *   DIR/http-endpoint-failed/YYYY/MM/dd/HH/NAME-1-YYYY-MM-dd-HH-MM-SS-<random>
 *
 *   {"attemptsMade":n,"arrivalTimestamp":ms,"errorCode":"HttpEndpoint....","errorMessage":"...",
 *    "attemptEndingTimestamp":ms,"rawData":"base64","subsequenceNumber":0,"dataId":"<49 digits>.0"}
 *
 * One line for each record of the request, one object for each request. Amazon Data Firehose,
 * "Understand data delivery"; `weir replay` reads it. The errorMessage is escaped, which AWS's is
 * not.
 */
struct weir_load_failure {
    const char *stream; /* the delivery stream's name */
    const char *code;   /* "HttpEndpoint.DestinationException" */
    struct weir_bytes message;
    uint32_t attempts;
    int64_t arrival_ms;
    int64_t ending_ms;
    uint64_t number; /* of this failure: makes name and dataId unlike any other's */
};

/* Appends the lines of `json`, an uncompressed request body. WEIR_ENOMEM; WEIR_EMALFORMED when it
 * has no records. */
WEIR_MUST_USE enum weir_status weir_load_backup_lines(const struct weir_load_failure *failure,
                                                      struct weir_bytes json, struct weir_buf *out);

/* Writes them to an object of their own below `directory`, whose folders are made. WEIR_EIO
 * (errno), WEIR_ENOMEM, WEIR_EMALFORMED. Any thread. */
WEIR_MUST_USE enum weir_status weir_load_backup_write(const char *directory,
                                                      const struct weir_load_failure *failure,
                                                      struct weir_bytes json);

#endif
