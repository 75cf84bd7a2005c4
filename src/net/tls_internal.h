/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TLS_INTERNAL_H
#define WEIR_TLS_INTERNAL_H

#include "weir/tls.h"
#include <openssl/ssl.h>

/*
 * What the files of TLS share.
 *
 *   tls.c          the object: load, publish, watch
 *   tls_file.c     a pair of files to a certificate with its key and chain
 *   tls_context.c  a set of certificates to an SSL_CTX, and which one a connection gets
 *   tls_ticket.c   the keys of session tickets
 *   handshake.c    from an accepted socket to a connection, under a deadline
 */
struct weir_tls_certificate {
    X509 *leaf;
    STACK_OF(X509) * chain; /* without the leaf */
    EVP_PKEY *key;
    char name[256]; /* the first of its names */
    struct weir_tls_look look;
};

/* Hangs on its SSL_CTX and goes with it. */
struct weir_tls_set {
    uint32_t count;
    struct weir_tls_certificate certificates[];
};

/* Loads one pair into `ret`, which is zero; weir_tls_certificate_done in any case. WEIR_EINVAL,
 * WEIR_ENOMEM with words in `why`. */
WEIR_MUST_USE enum weir_status weir_tls_certificate_load(const struct weir_tls_pair *pair,
                                                         struct weir_buf *why,
                                                         struct weir_tls_certificate *ret);
void weir_tls_certificate_done(struct weir_tls_certificate *certificate);

/* Appends what OpenSSL says is wrong, and forgets it. */
void weir_tls_put_reason(struct weir_buf *why);

/* Frees the set and its certificates. */
void weir_tls_set_free(struct weir_tls_set *set);

struct weir_tickets;

/* An SSL_CTX that owns `set` when it succeeds. */
WEIR_MUST_USE enum weir_status weir_tls_context_new(struct weir_tls_set *set,
                                                    const struct weir_tls_options *options,
                                                    struct weir_tickets *tickets,
                                                    struct weir_buf *why, SSL_CTX **ret);
const struct weir_tls_set *weir_tls_context_set(const SSL_CTX *context);

/* Has the alerts that a context's handshakes write looked at. */
void weir_handshake_observe(SSL_CTX *context);

/* Counted: by the weir_tls, and by each SSL_CTX that asks them. */
WEIR_MUST_USE enum weir_status weir_tickets_new(struct weir_tickets **ret);
struct weir_tickets *weir_tickets_ref(struct weir_tickets *tickets);
void weir_tickets_unref(struct weir_tickets *tickets);

/* How long a key makes tickets, from the next ticket on. */
void weir_tickets_period(struct weir_tickets *tickets, int64_t period_ns);

/* Tells `context` to have its tickets sealed and opened here. */
void weir_tickets_serve(struct weir_tickets *tickets, SSL_CTX *context);

/* The context for a new connection, with a reference of the caller's own. Any thread. */
SSL_CTX *weir_tls_take(struct weir_tls *tls);

#endif
