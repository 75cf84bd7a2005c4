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
 *
 * Destinations are in slots, with the router's indices, and are opened and closed one by one while
 * the others go on (docs/design/0008-changing-destinations.md):
 *
 *   FREE ──open──► OPEN ──close──► CLOSING ──nothing of it is anywhere any more──► FREE, `closed`
 *
 * tidy: allow header-functions -- what can be done to a slot is said beside what is in it
 */
enum weir_export_slot { WEIR_EXPORT_SLOT_FREE, WEIR_EXPORT_SLOT_OPEN, WEIR_EXPORT_SLOT_CLOSING };

/* How a destination ends. In both ways requests in flight and token requests may end by themselves
 * until the deadline, and letters under way are waited for, however long. */
enum weir_export_close {
    /* It is removed: all that is in its rings and batches is sent, until nothing is left or the
     * deadline; the rest is kept or lost as at a shutdown. */
    WEIR_CLOSE_FLUSH,
    /* Another machine comes in its place: the rings keep what they have. Open batches and what
     * waits are kept at once (with `keeps`: the spool has them, and how much of their windows is
     * used), or else sent until the deadline; the rest is lost as at a shutdown. */
    WEIR_CLOSE_SWAP
};

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
    enum weir_min_tls min_tls;
    bool is_insecure;      /* believes whoever answers */
    bool allow_link_local; /* connects to 169.254.0.0/16, fe80::/10 and fd00:ec2::254 as well */
    bool public_only;      /* connects to addresses of the internet only */
    const char *proxy;
    const char *no_proxy;    /* hosts that are reached without it, by commas; or NULL */
    const char *bearer_file; /* an Authorization header with the token in it; or: */
    const struct weir_oauth_options *oauth; /* with tokens of a server's */
    enum weir_compression compression;
    int compression_level;                  /* gzip 1..12, zstd 1..19; 0: the default, 1 */
    const struct weir_shape_options *shape; /* NULL: points leave as they came */
    int64_t timeout_ns;
    struct weir_buffer_hints buffer;
    struct weir_retry_options retry;
    bool hold_on_outage;
    size_t export_bytes; /* memory for its encoded batches; 0: an even part of the exporter's */
    const int *also_on;  /* further statuses to retry, 0-terminated, or NULL */
};

struct weir_exporter_options {
    /* What is open from the start, by slot; without a name the slot is free. As any destination's,
     * options and all they point to stay the caller's, and outlive what they opened: until `closed`
     * or weir_exporter_free. */
    const struct weir_destination_options *destinations;
    uint32_t destination_count; /* 0..WEIR_DESTINATIONS_MAX */
    uint32_t threads;           /* 1..64 */
    size_t export_bytes; /* split evenly over these destinations, as far as theirs do not say */
    struct weir_credit *queued; /* who pays for copies of sparse runs */
    struct weir_regions *regions;
    struct weir_settler settler; /* who keeps accounts of requests; zeroed: nobody */
    bool keeps;                  /* what is not delivered at the end is still on disk */
    const _Atomic bool *cut; /* NULL, or: true once the drain's deadline has come before its time;
                                seen within a second */
    struct weir_letterbox *letterbox; /* where given-up batches go; NULL: counted and logged only */
    /* Makes a transport for each exporter thread, at start; NULL is weir_transport_curl. */
    enum weir_status (*transport)(void *argument, struct weir_transport *ret);
    void *transport_argument;
    /* A slot is FREE again, its options are not looked at any more. On an exporter thread: must not
     * block, and must not call the exporter. NULL: nobody wants to know. */
    void (*closed)(void *argument, uint32_t slot);
    void *closed_argument;
};

struct weir_exporter;

/* What the status page, /metrics and `weir serve`'s last words need of one destination. Any
 * thread; relaxed. */
struct weir_destination_status {
    enum weir_export_slot slot;
    enum weir_destination_state state;
    char reason[32]; /* of the last failure; empty when UP */
    uint32_t waiting_batches;
    uint32_t in_flight;
    size_t memory_bytes;         /* of its part of export_bytes */
    size_t memory_limit;         /* that part */
    uint64_t points_delivered;   /* since a destination of this name was first opened in the slot */
    uint64_t points_lost;        /* rejected, refused, expired: with reasons in the metrics */
    int64_t window_remaining_ns; /* the oldest window's rest; -1 when none runs */
    int64_t last_success_wall_ns; /* 0: never */
};

/* Makes the exporter and the doorbells; weir_exporter_wake gives a destination's, for the router.
 * WEIR_ENOMEM, WEIR_EIO; a file destination that cannot be opened: WEIR_EDENIED, WEIR_ECLOSED (a
 * pipe that nobody reads), WEIR_EIO. */
WEIR_MUST_USE enum weir_status weir_exporter_new(const struct weir_exporter_options *options,
                                                 struct weir_exporter **ret);
struct weir_wake *weir_exporter_wake(struct weir_exporter *exporter, uint32_t slot);

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
 * way are waited for, however long. Slots that are CLOSING end with it, or at their own deadline;
 * what the rings of FREE ones have is left over. Call once, after the last publish. The main
 * thread. */
void weir_exporter_drain(struct weir_exporter *exporter, int64_t deadline_ns,
                         uint64_t *ret_points_left);

/* Opens a destination in a FREE slot: it sends what the slot's rings have and get. The caller's
 * thread makes all it needs. WEIR_ENOMEM, WEIR_EINVAL (its shape); a file that cannot be opened:
 * WEIR_EDENIED, WEIR_ECLOSED, WEIR_EIO; the slot is then still free. A name that the slot had last
 * goes on with its counts. One control thread at a time calls this and the next, none once a drain
 * was begun. */
WEIR_MUST_USE enum weir_status weir_exporter_open(struct weir_exporter *exporter, uint32_t slot,
                                                  const struct weir_destination_options *options);

/* Begins to close what a slot has, until `deadline_ns` (monotonic). CLOSING: only an earlier
 * deadline counts. FREE: nothing. With WEIR_CLOSE_FLUSH nothing may be published for the slot any
 * more: what came later would stay in its rings. */
void weir_exporter_close(struct weir_exporter *exporter, uint32_t slot, enum weir_export_close how,
                         int64_t deadline_ns);

/* Gives an OPEN slot another part of memory for encoded batches, while it runs: what it has above
 * that is given back as it is answered. The control thread, as above. */
void weir_exporter_resize(struct weir_exporter *exporter, uint32_t slot, size_t export_bytes);

/* What a slot is. Any thread. */
enum weir_export_slot weir_exporter_state(const struct weir_exporter *exporter, uint32_t slot);

/* One slot now; a FREE one is UP, with the counts of what was there last. Any thread. */
struct weir_destination_status weir_exporter_status(const struct weir_exporter *exporter,
                                                    uint32_t slot);

/* Frees; threads must have ended. NULL is nothing. */
void weir_exporter_free(struct weir_exporter *exporter);

#endif
