/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CODEC_JSON_STRING_H
#define WEIR_CODEC_JSON_STRING_H

#include "weir/bytes.h"

/* The inside of JSON strings, private to this room. */

/* What a scan found out. */
struct weir_json_span {
    const uint8_t *close; /* the closing quote; NULL when there is none */
    const char *error;    /* NULL, or why the text up to there is no string */
    bool escaped;         /* holds at least one escape */
};

/* Finds the closing quote of the string whose first inner byte is `at`; checks controls, escapes
 * and UTF-8. Writes nothing. */
struct weir_json_span weir_json_scan(const uint8_t *at, const uint8_t *end);

/* Unescapes in place what a scan has found to be a good string; returns the new size. */
size_t weir_json_unescape(uint8_t *text, size_t size);

#endif
