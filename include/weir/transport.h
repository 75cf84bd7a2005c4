/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TRANSPORT_H
#define WEIR_TRANSPORT_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * Sending an HTTP request somewhere, behind a table of functions so that tests and a simulator can play the network.
 * One transport a thread; many requests in flight. The one real implementation is libcurl's multi interface: NOSIGNAL, no
 * redirects, http and https only, peer and host verified, proxy only as configured, response body cut at 64 KiB.
 */
enum weir_transport_failure {
    WEIR_TRANSPORT_ANSWERED,  /* there is a status */
    WEIR_TRANSPORT_UNREACHED, /* no connection, no name: the backend has seen nothing */
    WEIR_TRANSPORT_LOST,      /* broken or timed out after something was sent: the answer, if any, was lost */
    WEIR_TRANSPORT_REFUSED    /* TLS verification, a bad URL: trying again will not help by itself */
};

struct weir_transport_target {
    const char *url;
    const char *ca_file;          /* NULL: the system's */
    const char *proxy;            /* NULL: none, whatever the environment says */
    const char *const *headers;   /* "Name: value", NULL-terminated; held for the request's time */
    int64_t timeout_ns;           /* of the whole request */
};

struct weir_transport_request {
    const struct weir_transport_target *target;
    struct weir_bytes body; /* valid until the reply */
    void *user;             /* comes back with the reply */
};

#define WEIR_TRANSPORT_BODY_MAX (64u << 10)

struct weir_transport_reply {
    void *user;
    enum weir_transport_failure failure;
    int status;               /* HTTP, when answered */
    int64_t retry_after_ns;   /* from Retry-After, seconds or HTTP-date, as a duration; -1 when absent */
    struct weir_bytes body;   /* cut at WEIR_TRANSPORT_BODY_MAX; valid until the next call on the transport */
    const char *message;      /* what failed, for a person, when not answered; static or valid as the body */
    int64_t duration_ns;
};

struct weir_transport {
    /* Begins a request. WEIR_ENOMEM, WEIR_EINVAL. */
    enum weir_status (*send)(void *self, const struct weir_transport_request *request);
    /* Waits at most timeout_ms (0: not at all) for network activity or `wake_fd` (-1: none) to become readable. */
    enum weir_status (*wait)(void *self, int wake_fd, int timeout_ms);
    /* The next finished request; WEIR_EEND when there is none now. */
    enum weir_status (*reply)(void *self, struct weir_transport_reply *ret);
    /* Ends all requests without replies and frees the transport. */
    void (*free)(void *self);
    void *self;
};

/* libcurl, for the calling thread. WEIR_ENOMEM. weir_transport_curl_global must have been called once in the process. */
WEIR_MUST_USE enum weir_status weir_transport_curl(struct weir_transport *ret);
WEIR_MUST_USE enum weir_status weir_transport_curl_global(void);

#endif
