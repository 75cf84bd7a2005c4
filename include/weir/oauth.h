/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_OAUTH_H
#define WEIR_OAUTH_H

#include "weir/transport.h"

/*
 * OAuth 2.0 client credentials (RFC 6749, 4.4), as a state machine that does no I/O: its owner asks
 * what to do, sends what it is given, and brings the reply.
 *
 *   none ──poll: FETCH──► fetching ──reply: a token──► fresh ──poll, ahead of its end──► fetching
 *     ▲                      │ failed: waits, doubled, with jitter                         (the old
 *     │                      ▼                                                     token stays good
 *     └── rejected (401) ─ waiting ──poll: its time has come──► fetching                 meanwhile)
 *
 *   I1  one request at a time, whoever asks (single flight)
 *   I2  a token is handed out until `expiry_buffer` before its end and not after, unless nothing
 *       newer could be had: then until its end
 *   I3  a rejected token is never handed out again. The first rejection fetches at once (but not
 *       twice within seconds); a token that is rejected after that, without one having been
 *       accepted, is not replaced before the wait
 *
 * Secrets are read from their files at each request, and wiped after it; they are in no log line.
 * Pure but for reading those files; one thread.
 */
enum weir_oauth_style {
    WEIR_OAUTH_AUTO,
    WEIR_OAUTH_BASIC, /* a Basic header of id and secret, each escaped first: RFC 6749, 2.3.1 */
    WEIR_OAUTH_BODY,
    WEIR_OAUTH_BASIC_PLAIN /* Basic without escaping, which some servers take it for */
};

struct weir_oauth_parameter {
    const char *key;
    const char *value;
};

struct weir_oauth_options {
    const char *token_url;
    const char *client_id; /* or: */
    const char *client_id_file;
    const char *client_secret; /* or: */
    const char *client_secret_file;
    const char *const *scopes;                     /* NULL-terminated, or NULL */
    const struct weir_oauth_parameter *parameters; /* "audience", ...; ends with a NULL key */
    enum weir_oauth_style
        style; /* AUTO: one after the other until one is not refused, which is kept */
    const char *ca_file;
    const char *proxy;
    const char *no_proxy;
    enum weir_min_tls min_tls;
    bool allow_link_local;
    int64_t timeout_ns;
    int64_t expiry_buffer_ns; /* default 300 s; at most half of a token's life */
};

struct weir_oauth;

/* WEIR_ENOMEM. The options outlive it. */
WEIR_MUST_USE enum weir_status weir_oauth_new(const struct weir_oauth_options *options,
                                              uint64_t seed, struct weir_oauth **ret);
/* Wipes what it holds. NULL is nothing. */
void weir_oauth_free(struct weir_oauth *oauth);

enum weir_oauth_todo { WEIR_OAUTH_NOTHING, WEIR_OAUTH_FETCH };

/* What to do now. FETCH: *ret_request is to be sent (its user pointer is the caller's to set), and
 * its reply brought to weir_oauth_reply; what it points to holds until then. *ret_wake_ns: when to
 * ask again at the latest, INT64_MAX while a request is out. WEIR_EIO, WEIR_ENOMEM where a secret
 * could not be read (the wait runs; weir_oauth_trouble says what): ask again for the time. */
WEIR_MUST_USE enum weir_status weir_oauth_poll(struct weir_oauth *oauth, int64_t now_ns,
                                               enum weir_oauth_todo *ret_todo,
                                               struct weir_transport_request *ret_request,
                                               int64_t *ret_wake_ns);

/* What a request for a token came to. */
enum weir_oauth_outcome {
    WEIR_OAUTH_TOKEN,
    WEIR_OAUTH_REFUSED,   /* an answer without a token that can be used */
    WEIR_OAUTH_UNREACHED, /* no answer */
    WEIR_OAUTH_OUTCOMES
};

/* The reply to the request of the last FETCH. A request that could not even begin is brought as a
 * reply that is not answered. */
enum weir_oauth_outcome weir_oauth_reply(struct weir_oauth *oauth,
                                         const struct weir_transport_reply *reply, int64_t now_ns);

/* The header "Authorization: Bearer ..." that is good at `now_ns`, terminated; NULL: none now. It
 * holds until the next call that is given `oauth`. */
const char *weir_oauth_header(struct weir_oauth *oauth, int64_t now_ns);

/* A backend answered 401 to a request with the token of `header`; an older token's says nothing of
 * the newer one. True where the same request is worth another try: there is a newer token, or one
 * is fetched without a wait. */
bool weir_oauth_rejected(struct weir_oauth *oauth, const char *header, int64_t now_ns);

/* A backend took a request with the token of `header`: if it is rejected later, it was revoked. */
void weir_oauth_accepted(struct weir_oauth *oauth, const char *header);

/* Why there is no token, for a person; empty when all is well. Never holds a secret. */
const char *weir_oauth_trouble(const struct weir_oauth *oauth);

#endif
