/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LETTER_H
#define WEIR_LETTER_H

#include "weir/buf.h"

/*
 * One line of a dead-letter file: Firehose's own record of a failed delivery (its S3 backup,
 * http-endpoint-failed/), one JSON object a line, with our own fields under "weir". One tool reads
 * both.
 *
 *   {"attemptsMade":3,"arrivalTimestamp":ms,"errorCode":"Weir.refused","errorMessage":"…",
 *    "attemptEndingTimestamp":ms,"rawData":"base64","dataId":"…",
 *    "weir":{"destination":"…","reason":"refused","requestId":"…","stream":"…","part":0,"parts":1,
 *            "body":true,"gzip":true}}
 *
 * Amazon Data Firehose, "Understand data delivery": fields in any order, unknown ones skipped; AWS
 * prints errorMessage with unescaped quotes, which is read tolerantly. docs/formats/dead-letter.md
 *
 *   I1  what weir_letter_write wrote, weir_letter_read reads as it was, times to the millisecond
 *   I2  a line with a field of ours twice is none: no reader may believe another one than ours does
 */
#define WEIR_LETTER_DATA_MAX  ((size_t)1024000) /* decoded bytes of a line's rawData */
#define WEIR_LETTER_PARTS_MAX UINT32_C(4096)    /* lines that one thing may be cut into */

struct weir_letter_line {
    struct weir_bytes data;        /* decoded: exactly what a Firehose record's data would be */
    struct weir_bytes destination; /* empty: none in particular (quarantined, or AWS's own) */
    struct weir_bytes reason, message;
    struct weir_bytes request_id, stream;
    uint32_t attempts;
    int64_t arrival_wall_ns, ending_wall_ns;
    uint32_t part, parts; /* of something larger than a line; 0 of 1 */
    bool gzip_body;       /* data is (part of) a whole request body that did not decode, gzip as it
                             came; else data is a record */
    bool whole_body;      /* the same, gzip or not */
};

/* Appends the line, its newline too. What is not UTF-8 in a text is replaced. Sets out->failed when
 * there is no room. */
void weir_letter_write(struct weir_buf *out, const struct weir_letter_line *line);

/* Bytes that weir_letter_write would append, without encoding the data. 0: out of memory. */
size_t weir_letter_size(const struct weir_letter_line *line);

/* Reads one line (without its newline), decoding base64 in place: `text` is changed, `ret` views
 * it. The quotes of an errorMessage that were not escaped are shown as '. What is missing is empty,
 * 0, and part 0 of 1; a line of AWS has its errorCode as the reason. WEIR_EMALFORMED: no such line:
 * no rawData, or not base64; *ret_error says what, `ret` is untouched and `text` undefined. */
WEIR_MUST_USE enum weir_status
weir_letter_read(uint8_t *text, size_t size, struct weir_letter_line *ret, const char **ret_error);

#endif
