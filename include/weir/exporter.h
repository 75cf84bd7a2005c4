/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_EXPORTER_H
#define WEIR_EXPORTER_H

#include "weir/batcher.h"
#include "weir/destination.h"
#include "weir/letterbox.h"
#include "weir/oauth.h"
#include "weir/route.h"
#include "weir/shape.h"

/*
 * The exporter threads: they drain the rings into batches, encode and compress closed batches,
 * send them, and act on the answers.
 *
 *   rings ─► drainer of destination d (thread d mod K): batcher ─► closed batch
 *         ─► any thread: encode, compress ─► parcel
 *         ─► back to d's thread: queue, windows, state ─► transport ─► answer
 *
 * Everything about one destination's queue and state belongs to its drainer's thread; the others
 * only encode for it. A destination waits for no other. When a destination's export credit is used
 * up its drainer stops draining: the rings hold, then the reservation says no (503).
 */
enum weir_destination_type {
    WEIR_DESTINATION_OTLP_HTTP,
    WEIR_DESTINATION_STDOUT,
    WEIR_DESTINATION_FILE
};
enum weir_protocol { WEIR_PROTOCOL_HTTP_PROTOBUF, WEIR_PROTOCOL_HTTP_JSON, WEIR_PROTOCOL_GRPC };
enum weir_compression { WEIR_COMPRESSION_GZIP, WEIR_COMPRESSION_NONE, WEIR_COMPRESSION_ZSTD };

struct weir_destination_options {
    const char *name;
    enum weir_destination_type type;
    enum weir_protocol protocol; /* OTLP_HTTP; gRPC is HTTP too */
    const char *url;             /* the whole URL, with /v1/metrics or gRPC's path; OTLP_HTTP */
    const char *path;            /* FILE */
    const char *const *headers;  /* "Name: value", NULL-terminated */
    const char *ca_file;
    const char *certificate; /* the client's, and its key where that is another file; or NULL */
    const char *key;
    bool is_insecure; /* believes whoever answers */
    const char *proxy;
    const char *no_proxy;    /* hosts that are reached without it, by commas; or NULL */
    const char *bearer_file; /* an Authorization header with the token in it; or: */
    const struct weir_oauth_options *oauth; /* with tokens of a server's; outlives the exporter */
    enum weir_compression compression;
    int compression_level;                  /* gzip 1..12, zstd 1..19; 0: the default, 1 */
    const struct weir_shape_options *shape; /* NULL: points leave as they came; outlives the
                                               exporter */
    int64_t timeout_ns;
    struct weir_buffer_hints buffer;
    struct weir_retry_options retry;
    bool hold_on_outage;
    const int *also_on; /* further statuses to retry, 0-terminated, or NULL */
};

struct weir_exporter_options {
    const struct weir_destination_options
        *destinations; /* same order as the router's; outlive the exporter */
    uint32_t destination_count;
    uint32_t threads;           /* 1..64 */
    size_t export_bytes;        /* memory for encoded batches, split evenly over the destinations */
    struct weir_credit *queued; /* who pays for copies of sparse runs */
    struct weir_regions *regions;
    struct weir_settler settler;      /* who keeps accounts of requests; zeroed: nobody */
    bool keeps;                       /* what is not delivered at the end is still on disk */
    struct weir_letterbox *letterbox; /* where given-up batches go; NULL: counted and logged only */
    /* Makes a transport for each exporter thread, at start; NULL is weir_transport_curl. */
    enum weir_status (*transport)(void *argument, struct weir_transport *ret);
    void *transport_argument;
};

struct weir_exporter;

/* What the status page, /metrics and `weir serve`'s last words need of one destination. Any
 * thread; relaxed. */
struct weir_destination_status {
    enum weir_destination_state state;
    char reason[32]; /* of the last failure; empty when UP */
    uint32_t waiting_batches;
    uint32_t in_flight;
    size_t memory_bytes; /* of its part of export_bytes */
    uint64_t points_delivered;
    uint64_t points_lost;         /* rejected, refused, expired: with reasons in the metrics */
    int64_t window_remaining_ns;  /* the oldest window's rest; -1 when none runs */
    int64_t last_success_wall_ns; /* 0: never */
};

/* Makes the exporter and the doorbells; weir_exporter_wake gives a destination's, for the router.
 * WEIR_ENOMEM, WEIR_EIO; a file destination that cannot be opened: WEIR_EDENIED, WEIR_EIO. */
WEIR_MUST_USE enum weir_status weir_exporter_new(const struct weir_exporter_options *options,
                                                 struct weir_exporter **ret);
struct weir_wake *weir_exporter_wake(struct weir_exporter *exporter, uint32_t destination);

/* Starts the threads; `router` must outlive them. WEIR_ENOMEM, WEIR_EIO. The main thread. */
WEIR_MUST_USE enum weir_status weir_exporter_start(struct weir_exporter *exporter,
                                                   struct weir_router *router);

/* From now on no batch waits for more: what is open is closed and sent as soon as the rings are
 * empty. For a stop while requests wait for their delivery. Any thread. */
void weir_exporter_hurry(struct weir_exporter *exporter);

/* Flushes: rings and open batches are closed and sent at once, retries go on, until all is
 * delivered or `deadline_ns` (monotonic) is reached. Then the threads end. What could not be
 * delivered is settled as WEIR_KEPT; without `keeps` it is lost: counted (expired, reason
 * "shutdown") and logged. *ret_points_left is its number in either case. Letters that are on their
 * way are waited for, however long. Call once, after the last publish. The main thread. */
void weir_exporter_drain(struct weir_exporter *exporter, int64_t deadline_ns,
                         uint64_t *ret_points_left);

/* One destination now. Any thread. */
struct weir_destination_status weir_exporter_status(const struct weir_exporter *exporter,
                                                    uint32_t destination);

/* Frees; threads must have ended. NULL is nothing. */
void weir_exporter_free(struct weir_exporter *exporter);

#endif
