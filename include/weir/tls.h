/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TLS_H
#define WEIR_TLS_H

#include "weir/buf.h"
#include "weir/status.h"

/*
 * What a listener needs to speak TLS: certificates with their keys, and the keys of session
 * tickets.
 *
 *   files ──load──► set of certificates (immutable, counted) ──published──► new connections
 *                                                                 old ones keep theirs
 *
 * A reload replaces the set whole, or changes nothing and says why. Tickets' keys belong to the
 * weir_tls and outlive reloads, so sessions are resumed across them. All cryptography is OpenSSL's,
 * by way of its providers.
 */
struct weir_tls;

#define WEIR_TLS_CERTIFICATES_MAX 64u

struct weir_tls_pair {
    const char *certificate; /* PEM: the server's certificate, then its issuers in order */
    const char *key;         /* PEM, without a passphrase; NULL: in the certificate's file */
};

enum weir_tls_version { WEIR_TLS_1_2, WEIR_TLS_1_3 };

struct weir_tls_options {
    const struct weir_tls_pair *pairs; /* copied */
    uint32_t count;                    /* 1..WEIR_TLS_CERTIFICATES_MAX */
    enum weir_tls_version version_min;
    int64_t ticket_ns; /* how long a ticket's key makes tickets, and then still opens them; 0: no
                          tickets */
};

/* Loads the files. WEIR_EINVAL (a file that is not there or holds no such thing, a key with a
 * passphrase or of another certificate, a chain out of order, an algorithm that OpenSSL's security
 * level refuses) or WEIR_ENOMEM, with the file's name and the reason appended to `why`. Any
 * thread; reads files. */
WEIR_MUST_USE enum weir_status weir_tls_new(const struct weir_tls_options *options,
                                            struct weir_buf *why, struct weir_tls **ret);

/* The same for one that listeners have: what they accept from then on gets the new set. A failure
 * changes nothing; so does a set with more expired certificates than the one in use (WEIR_EINVAL).
 * One thread at a time, with weir_tls_watch. */
WEIR_MUST_USE enum weir_status
weir_tls_reload(struct weir_tls *tls, const struct weir_tls_options *options, struct weir_buf *why);

enum weir_tls_watched {
    WEIR_TLS_SAME,
    WEIR_TLS_TAKEN,  /* files changed, and are in use */
    WEIR_TLS_REFUSED /* they changed and cannot be used for half a minute now: told once */
};

#define WEIR_TLS_WATCH_NS    INT64_C(2000000000)
#define WEIR_TLS_PATIENCE_NS INT64_C(30000000000)

/* Looks whether the files have changed, at most every WEIR_TLS_WATCH_NS of `now_ns` (monotonic),
 * and reloads them. Key and certificate are written one after the other, so what cannot be used is
 * tried again in silence for WEIR_TLS_PATIENCE_NS. Words in `why` only with WEIR_TLS_REFUSED. One
 * thread at a time; reads files. */
enum weir_tls_watched weir_tls_watch(struct weir_tls *tls, int64_t now_ns, struct weir_buf *why);

/* What one certificate of the set in use is. */
struct weir_tls_look {
    char file[256];     /* of the certificate; its end where it is longer */
    char names[256];    /* "example.com, *.example.com"; cut with "..." */
    const char *kind;   /* "RSA", "EC", ... of the key */
    int64_t begins_ns;  /* wall clock */
    int64_t expires_ns; /* wall clock */
    bool key_exposed;   /* others than its owner may read the key's file */
};

/* False past the last one. Any thread. */
bool weir_tls_look(struct weir_tls *tls, uint32_t index, struct weir_tls_look *ret);

/* Wipes and frees; listeners that have it must be closed. Their connections may live on. NULL is
 * nothing. */
void weir_tls_free(struct weir_tls *tls);

#endif
