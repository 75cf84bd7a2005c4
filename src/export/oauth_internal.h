/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_EXPORT_OAUTH_INTERNAL_H
#define WEIR_EXPORT_OAUTH_INTERNAL_H

#include "weir/oauth.h"

/* The two ends of a token request: what is sent, and what an answer says. Pure but for the files
 * with secrets. */
#define WEIR_OAUTH_TROUBLE_MAX 256
#define WEIR_OAUTH_TOKEN_MAX   (32u << 10)

/* One request, with all it points to. */
struct weir_oauth_call {
    struct weir_transport_target target;
    const char *headers[4];
    char *secrets; /* the Basic header and the body, in one piece: `capacity` bytes, to be wiped */
    size_t capacity;
    struct weir_bytes body;
    bool is_plain; /* escaping changes neither id nor secret */
};

/* Makes a request in the given style, which is not AUTO. WEIR_ENOMEM; WEIR_EIO: a secret cannot be
 * read or is empty. *ret is then untouched, and `trouble` (WEIR_OAUTH_TROUBLE_MAX bytes) says what
 * is wrong. */
WEIR_MUST_USE enum weir_status weir_oauth_call_make(const struct weir_oauth_options *options,
                                                    enum weir_oauth_style style,
                                                    struct weir_oauth_call *ret, char *trouble);

/* Wipes and frees. One that is all zero is nothing. */
void weir_oauth_call_wipe(struct weir_oauth_call *call);

struct weir_oauth_answer {
    struct weir_bytes token; /* what may stand in a header, 1 to WEIR_OAUTH_TOKEN_MAX bytes */
    int64_t life_ns;         /* positive; INT64_MAX: it does not end */
};

/* Reads the body of a 2xx, which it may rewrite; the token is a view into it. WEIR_EMALFORMED: no
 * token that can be used, and *ret_trouble is a static sentence that says why. RFC 6749, 5.1. */
WEIR_MUST_USE enum weir_status weir_oauth_answer_read(uint8_t *text, size_t size,
                                                      struct weir_oauth_answer *ret,
                                                      const char **ret_trouble);

/* The error code of a refusal (RFC 6749, 5.2) as a static string, "" where there is none, or none
 * that is known: so nothing that a server repeats can get into a log. May rewrite the body. */
const char *weir_oauth_error_read(uint8_t *text, size_t size);

#endif
