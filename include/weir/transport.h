/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TRANSPORT_H
#define WEIR_TRANSPORT_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * Sending an HTTP request somewhere, behind a table of functions so that tests and a simulator can
 * play the network. One transport a thread; many requests in flight. The one real implementation is
 * libcurl's multi interface: NOSIGNAL, no redirects, http and https only, peer and host verified,
 * proxy only as configured, no link-local address unless allowed (a cloud's metadata service has
 * one), response body cut at 64 KiB. HTTP/1.1, but for gRPC HTTP/2: with prior
 * knowledge for http, by ALPN for https.
 */
enum weir_transport_failure {
    WEIR_TRANSPORT_ANSWERED,  /* there is a status, whatever happened to the body */
    WEIR_TRANSPORT_UNREACHED, /* no connection, no name: the backend has seen nothing */
    WEIR_TRANSPORT_LOST,      /* broken after something was (perhaps) sent: the answer was lost */
    WEIR_TRANSPORT_TIMEOUT,   /* as LOST, by the request's time limit */
    WEIR_TRANSPORT_UNTRUSTED, /* TLS verification: trying again will not help by itself */
    WEIR_TRANSPORT_REFUSED    /* a bad URL: nor here */
};

enum weir_min_tls { WEIR_MIN_TLS_1_2, WEIR_MIN_TLS_1_3 };

struct weir_transport_target {
    const char *url;
    const char *method;         /* NULL: POST */
    const char *ca_file;        /* NULL: the system's */
    const char *certificate;    /* the client's, PEM; NULL: none */
    const char *key;            /* its key; NULL: in the certificate's file */
    const char *proxy;          /* NULL: none, whatever the environment says */
    const char *no_proxy;       /* hosts that are reached without it, by commas; NULL: none */
    const char *const *headers; /* "Name: value", NULL-terminated, or NULL */
    int64_t timeout_ns;         /* of the whole request */
    enum weir_min_tls min_tls;
    bool is_insecure;      /* neither the peer's certificate nor its name is verified */
    bool allow_link_local; /* also the proxy's */
    bool public_only; /* connects to addresses of the internet only, whatever else is allowed */
    bool is_grpc;     /* HTTP/2, and what its trailers say is in the reply */
};

struct weir_transport_request {
    const struct weir_transport_target *target; /* valid until the reply, as all it points to */
    struct weir_bytes body;                     /* valid until the reply */
    void *user;                                 /* comes back with the reply */
};

#define WEIR_TRANSPORT_BODY_MAX (64u << 10)

struct weir_transport_reply {
    void *user;
    enum weir_transport_failure failure;
    int status;             /* HTTP, when answered */
    int64_t retry_after_ns; /* from Retry-After (seconds or HTTP-date), as a duration; -1: absent */
    struct weir_bytes body; /* cut at WEIR_TRANSPORT_BODY_MAX; valid until the next call */
    const char *message;    /* what failed, for a person, when not answered; valid as the body */
    int64_t duration_ns;
    uint32_t repeats; /* times the transport sent it again by itself: a kept connection had died */
    bool is_link_local; /* UNREACHED, because the address is link-local, and that is not allowed */
    bool is_private;    /* UNREACHED, because the address is not public, and has to be */

    /* gRPC's part of the answer, from headers or trailers; of targets with is_grpc, else zeros.
     * Without grpc_status the answer is ANSWERED only if the response came to its end. */
    bool has_grpc_status;
    bool is_grpc;                   /* by its Content-Type */
    int grpc_status;                /* what is no number is 2, UNKNOWN */
    struct weir_bytes grpc_message; /* percent-encoded, cut */
    struct weir_bytes grpc_details; /* base64 of google.rpc.Status; empty when too long */
};

struct weir_transport {
    /* Begins a POST. WEIR_ENOMEM, WEIR_EINVAL. */
    enum weir_status (*send)(void *self, const struct weir_transport_request *request);
    /* Waits at most timeout_ms (0: not at all) for network activity or `wake_fd` (-1: none) to
     * become readable. WEIR_EIO, WEIR_ENOMEM. */
    enum weir_status (*wait)(void *self, int wake_fd, int timeout_ms);
    /* The next finished request; WEIR_EEND when there is none now. */
    enum weir_status (*reply)(void *self, struct weir_transport_reply *ret);
    /* Ends the request whose user pointer this is, in flight or finished, without a reply. None:
     * nothing. */
    void (*cancel)(void *self, const void *user);
    /* Ends all requests without replies and frees the transport. */
    void (*free)(void *self);
    void *self;
};

/* libcurl's global state, once in the process, before any thread. WEIR_EIO. */
WEIR_MUST_USE enum weir_status weir_transport_curl_global(void);

/* A libcurl transport, to be used by one thread at a time. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_transport_curl(struct weir_transport *ret);

/* Sends one request and waits for its reply, on a transport with no other in flight. Fails as
 * `send` and `wait` do. */
WEIR_MUST_USE enum weir_status weir_transport_exchange(const struct weir_transport *transport,
                                                       const struct weir_transport_request *request,
                                                       struct weir_transport_reply *ret);

#endif
