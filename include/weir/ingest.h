/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_INGEST_H
#define WEIR_INGEST_H

#include "weir/session.h"

/*
 * The ingest threads: one event loop each, every loop listening on every address (SO_REUSEPORT),
 * each with its own sessions and its own worker; nothing is shared between them but credit and
 * rings.
 */
struct weir_ingest_options {
    const char *const *addresses; /* NULL-terminated, at least one */
    uint32_t threads;
    uint32_t connections_max;        /* over all loops */
    uint32_t connections_per_source; /* 0: no bound */
    /* Networks (weir_netaddr_network) whose connections begin with a PROXY header; NULL: none. */
    const char *const *balancers;
    int64_t balancer_timeout_ns; /* for that header */
    struct weir_tls *tls;        /* NULL: plain HTTP; outlives the ingest */
    int64_t handshake_ns;        /* for TLS's handshake */
    const char *path;
    const struct weir_keyring *keyring; /* outlives the loops */
    struct weir_pipeline *pipeline;
    struct weir_credit *intake;
    struct weir_regions *regions;
    struct weir_session_limits limits;
    bool (*ready)(void *argument);
    bool (*admits)(void *argument, uint64_t size, const char **ret_reason); /* weir/session.h */
    void *argument;
    const _Atomic bool *cut; /* NULL, or: true once the drain's deadline comes before its time; half
                                a second is left to whoever is being answered */
};

struct weir_ingest;

/* Binds every address and starts the loops. WEIR_EINVAL, WEIR_EEXIST, WEIR_EDENIED, WEIR_EIO,
 * WEIR_ENOMEM: nothing runs, and *ret_address is the address or network at fault (or NULL). */
WEIR_MUST_USE enum weir_status weir_ingest_start(const struct weir_ingest_options *options,
                                                 struct weir_ingest **ret,
                                                 const char **ret_address);

/* The port of the `index`-th address (chosen by the kernel where 0 was asked for). */
uint16_t weir_ingest_port(const struct weir_ingest *ingest, uint32_t index);

/* Stops listening, answers what is in flight, ends the loops; after `deadline_ns` (monotonic)
 * connections are cut. What is with the pipeline is waited for in any case, so whoever commits must
 * still be there. */
void weir_ingest_drain(struct weir_ingest *ingest, int64_t deadline_ns);

/* Open connections, all loops. Relaxed. */
uint32_t weir_ingest_connections(const struct weir_ingest *ingest);

/* Frees after the drain. NULL is nothing. */
void weir_ingest_free(struct weir_ingest *ingest);

#endif
