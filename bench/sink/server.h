/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_SERVER_H
#define WEIR_BENCH_SERVER_H

#include "sink/keep.h"
#include "sink/ledger.h"

/*
 * The receiver's HTTP side: one libh2o loop a thread, all on the same addresses.
 *
 *   POST /v1/metrics   a batch          GET /accounts   PUT /world     PUT /faults
 *   GET /healthz       ok               POST /verdict
 */
enum { WEIR_SINK_LISTEN_MAX = 8, WEIR_SINK_THREADS_MAX = 64 };

struct weir_sink_listen {
    const char *address; /* "127.0.0.1:4318", "[::1]:0": numbers only */
    uint16_t port;       /* set: the one that it became */
};

struct weir_sink_server_options {
    struct weir_sink_ledger *ledger; /* outlives the server */
    struct weir_sink_keep *keep;     /* or NULL; outlives it too */
    struct weir_sink_listen *listen;
    uint32_t listen_count;
    uint32_t threads;
    uint64_t seed; /* of faults that are put in later */
};

struct weir_sink_server;

/* Binds, listens and starts the threads; options->listen[i].port is set. WEIR_EINVAL for an address
 * that is none, WEIR_EEXIST when it is taken, WEIR_EIO, WEIR_ENOMEM; *ret_address is the one. */
WEIR_MUST_USE enum weir_status
weir_sink_server_start(const struct weir_sink_server_options *options,
                       struct weir_sink_server **ret, const char **ret_address);

/* Answers what is late, closes all connections, ends the threads. NULL is nothing. */
void weir_sink_server_stop(struct weir_sink_server *server);

#endif
