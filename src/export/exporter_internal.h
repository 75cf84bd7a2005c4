/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_EXPORT_EXPORTER_INTERNAL_H
#define WEIR_EXPORT_EXPORTER_INTERNAL_H

#include "auth.h"
#include "weir/deadletter.h"
#include "weir/encode.h"
#include "weir/exporter.h"
#include "weir/file_out.h"
#include "weir/gzip.h"
#include "weir/metrics.h"
#include "weir/rand.h"
#include "weir/ring.h"
#include "weir/thread.h"
#include "weir/zstd.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * The exporter's inside, shared by its files:
 *
 *   exporter.c         start, stop, status: the main thread's side
 *   slots.c            a destination is made and opened, told to close, freed
 *   closing.c          the owner's side of that: told, giving up, the end
 *   exporter_thread.c  a thread's turn
 *   shaping.c          runs to the form that a backend takes
 *   gather.c           rings to closed batches, handed out to be encoded, taken back in order
 *   otlp_http.c        a batch to a request body; halves of a body; headers
 *   otlp_grpc.c        what gRPC puts before a body and into the headers
 *   coding.c           gzip or zstd, by the destination
 *   auth.c             tokens, from a file or by OAuth2
 *   parcel.c           sending, and what an answer means for a parcel
 *   loss.c             parcels that nobody will take: letters, and what is left at a shutdown
 *   export_metrics.c   series, counts, state logs
 */
enum {
    WEIR_EXPORT_IN_FLIGHT_MAX = 4, /* requests to one destination at a time */
    WEIR_EXPORT_ENCODING_MAX = 8,  /* batches of one destination out to be encoded */
    WEIR_EXPORT_WAITING_MAX = 4096,
    WEIR_EXPORT_GZIP_LEVELS = 13,
    WEIR_EXPORT_FLUSHED_MAX = 4, /* beyond those: a flush closes all that is open */
    WEIR_EXPORT_INBOX_SLOTS = 1024
};

_Static_assert(WEIR_EXPORT_INBOX_SLOTS >=
                   WEIR_DESTINATIONS_MAX * (WEIR_EXPORT_ENCODING_MAX + WEIR_EXPORT_FLUSHED_MAX),
               "a push into an inbox cannot fail");

struct weir_export_destination;

/* A batch from its closing to its end: a job for an encoder first, then a body to send. */
struct weir_export_parcel {
    struct weir_parcel base; /* first: the state machine's handle is the parcel */
    struct weir_export_destination *to;
    struct weir_batch *batch; /* until it is encoded */
    struct weir_batch_info info;
    struct weir_manifest *manifest; /* its halves share it; NULL: nobody keeps accounts */
    struct weir_region region;
    struct weir_bytes body;     /* in the region: what is sent */
    struct weir_bytes identity; /* in the region, where JSON was made: the request that it was made
                                   of, compressed as the body is; else NULL */
    size_t identity_bytes;      /* of the request before compression */
    size_t charge;              /* export credit */
    int64_t point_ns;           /* wall clock: the oldest of its runs' newest points, 0 unknown */
    enum weir_status status;    /* what encoding came to */
    bool was_reauthorized;      /* sent again for its token, since its last answer */
    bool is_back;               /* from the encoder, for the owner */
    bool answer_lost;           /* an earlier attempt's */
    bool is_unfit;              /* to the dead letter, for `loss`, without an attempt */

    uint32_t attempts;       /* in this process, also those of windows that were opened anew */
    int64_t first_wall_ns;   /* the first one's begin */
    int64_t last_wall_ns;    /* the last one's end */
    const char *last_reason; /* of the last failure; NULL: none */
    int64_t noted_ns;        /* when the settler was last told how much of the window is used */
    int64_t noted_used_ns;   /* what it knows */
    enum weir_deadletter_reason loss;
    struct weir_letter letter; /* once it is given up */
};

/* Series of one destination, resolved once. */
struct weir_export_series {
    uint32_t batch_bytes;
    uint32_t trigger[WEIR_BUFFER_FLUSH + 1];
    uint32_t requests[WEIR_OUTCOMES];
    uint32_t delivered, rejected, refused, expired, filtered; /* points */
    uint32_t duration;
    uint32_t bytes_sent, bytes_identity;
    uint32_t repeats;
    uint32_t lag;
    uint32_t retry_batches;
    uint32_t window_remaining;
    uint32_t copies;
    uint32_t letters_refused;
};

/* Where runs are gathered: what was never attempted, and apart from it what has used some of its
 * window before a restart, which only shares a batch with what has used as much, and what has no
 * place at this backend, which goes to the dead letter by its reason. */
enum { WEIR_EXPORT_FRESH, WEIR_EXPORT_USED, WEIR_EXPORT_UNFIT, WEIR_EXPORT_GATHERINGS };

struct weir_export_gathering {
    struct weir_batcher *batcher;
    int64_t point_ns;                   /* of the open batch, as a parcel's */
    int64_t used_ns;                    /* of the retry window, by what is in the open batch */
    enum weir_deadletter_reason reason; /* of the unfit */
};

/* How far the shaping of a destination's pending run is (shaping.c). */
struct weir_export_shaping {
    uint32_t points;    /* that are shaped at a time */
    uint32_t singles;   /* of the pending run, to be shaped one by one */
    size_t batch_bytes; /* of a full batch */
    uint32_t batch_points;
    size_t advance;   /* what may still be taken past the queued budget's limit */
    bool is_first;    /* nothing is open or out */
    size_t bytes;     /* of the arena in hand */
    uint32_t regions; /* of that arena */
    bool is_hopeless; /* it would have to be larger than any may be */
};

/* What other threads may see, relaxed. */
struct weir_export_published {
    _Atomic int state;
    _Atomic(const char *) reason;
    _Atomic uint32_t waiting;
    _Atomic uint32_t in_flight;
    _Atomic uint64_t delivered;
    _Atomic uint64_t lost;
    _Atomic int64_t window_remaining_ns;
    _Atomic int64_t last_success_wall_ns;
};

/* A slot, and the machine in it (from `options` on), which is zero while the slot is FREE. */
struct weir_export_destination {
    /* Of the slot, as long as the exporter. */
    struct weir_exporter *exporter;
    struct weir_exporter_thread *owner;
    uint32_t index;
    _Atomic int slot;                  /* enum weir_export_slot */
    _Atomic int how;                   /* enum weir_export_close; before CLOSING */
    _Atomic int64_t close_deadline_ns; /* INT64_MAX while it is not closing */
    char *name;                        /* of what it has or had last; the control thread's to change
                                          while FREE */
    struct weir_credit credit;
    bool is_torn;        /* what it wrote last ended in the middle of a line; as the name */
    _Atomic size_t part; /* of the exporter's memory: credit.limit, until it is resized */
    struct weir_export_published published;
    struct weir_export_series series; /* of that name; the owner's */

    /* The machine: the control thread's until the slot is OPEN, then the owner's. */
    const struct weir_destination_options *options;
    bool is_closing;
    bool keeps_rings; /* takes nothing from them any more */

    struct weir_export_gathering gathering[WEIR_EXPORT_GATHERINGS];
    struct weir_run *taken[WEIR_BATCHER_TOGETHER]; /* out of the rings, not yet looked at */
    uint32_t taken_at, taken_count;
    struct weir_run *pending; /* the one of them that is not yet all in its batcher */
    uint32_t pending_offset;
    struct weir_shape *shape; /* NULL: runs leave as they came */
    struct weir_export_shaping shaping;
    size_t batch_charge;        /* what a full batch is charged before it is encoded */
    uint32_t encoding;          /* parcels out */
    struct weir_parcel *early;  /* encoded before their elders, by order */
    uint32_t lettering;         /* parcels out at the letterbox */
    struct weir_parcel *doomed; /* given up; no memory yet for their letters' content */
    uint64_t next_order;        /* of the parcel that the machine gets next */
    bool rings_empty;           /* at the last look */
    bool is_short_of_memory;
    bool is_closed; /* drained, nothing left */

    struct weir_destination machine;
    struct weir_export_parcel *flying[WEIR_EXPORT_IN_FLIGHT_MAX];
    struct weir_transport_target target;
    const char **headers;
    struct weir_export_auth auth;
    char grpc_timeout[32];
    struct weir_file_out out;
    bool reader_is_slow; /* the last step wrote nothing */
    const char *reason;  /* of the last failure; "" when up */

    uint32_t blocked_series; /* of the reason it is blocked for */
};

/* Compressors of each level that some destination has or had, and what undoes them. A thread's
 * own. */
struct weir_export_coders {
    struct weir_deflater *gzip[WEIR_EXPORT_GZIP_LEVELS];
    struct weir_zstd_deflater *zstd[WEIR_ZSTD_LEVEL_MAX + 1];
    struct weir_inflater *gunzip;
    struct weir_zstd_inflater *unzstd;
};

struct weir_exporter_thread {
    struct weir_exporter *exporter;
    uint32_t index;
    struct weir_thread *handle;
    struct weir_wake bell;
    _Atomic uint64_t told;   /* slots of its that were opened or told to close: bits */
    uint64_t running;        /* its slots whose machines it has */
    struct weir_ring *inbox; /* of struct weir_export_parcel: jobs, and parcels that are back */
    _Atomic uint32_t load;   /* jobs pushed and not yet encoded */
    pthread_mutex_t letters_lock;
    struct weir_parcel *letters;     /* parcels whose letters are done; behind the lock */
    struct weir_transport transport; /* free is NULL when there is none */
    struct weir_export_coders coders;
    struct weir_region scratch;
    struct weir_rand rand;
    int64_t compact_ns; /* when to look for sparse arenas next */
    bool has_more;      /* work was left for the next turn */
    bool is_short_of_memory;
};

struct weir_exporter {
    struct weir_exporter_options options;
    struct weir_router *router;
    struct weir_pool *batches;
    struct weir_pool *parcels;
    struct weir_manifests manifests;              /* pool: NULL where nobody keeps accounts */
    struct weir_export_destination *destinations; /* WEIR_DESTINATIONS_MAX, which never move */
    struct weir_exporter_thread *threads;
    size_t even_part;            /* export credit of a destination that names none */
    _Atomic size_t scratch_keep; /* bytes of scratch a thread keeps; never less than before */
    struct weir_wake ready;
    _Atomic uint32_t threads_ready;
    _Atomic int start_status;
    _Atomic bool abandoned; /* the start failed half-way */
    _Atomic bool hurrying;  /* set once, by weir_exporter_hurry */
    _Atomic bool draining;
    _Atomic int64_t deadline_ns;
    _Atomic uint32_t open_destinations; /* OPEN or CLOSING, and not yet at the drain's end */
    _Atomic uint64_t points_left;
};

/* exporter_thread.c: a thread's whole life. */
void weir_exporter_thread_run(void *thread);

/* Whether a drain has begun. Any thread. */
static inline bool weir_exporter_is_draining(const struct weir_exporter *exporter)
{
    /* acquire: pairs with the release in weir_exporter_drain */
    return atomic_load_explicit(&exporter->draining, memory_order_acquire);
}

/* slots.c */

/* Frees the machine of a slot whose owner has done with it, or never had it; the slot stays what it
 * is. The owner, or the main thread where none runs. */
void weir_slot_unmake(struct weir_export_destination *destination);
/* One destination of the thread's after `previous` (NULL: the first), or NULL. The owner. */
struct weir_export_destination *weir_slot_next(const struct weir_exporter_thread *thread,
                                               const struct weir_export_destination *previous);

/* closing.c: the owner, all of it */

/* Takes over what was opened, and learns what is to be closed. */
void weir_closing_news(struct weir_exporter_thread *thread);
/* Gives up what a closing one must not keep any longer. */
void weir_closing_turn(struct weir_export_destination *destination, int64_t now_ns);
/* Ends it if it is closing and nothing of it is anywhere. */
void weir_closing_finish(struct weir_export_destination *destination);
/* The same for one that is drained: the machine stays, to be asked. */
void weir_closing_drained(struct weir_export_destination *destination);
/* Whether it is nowhere but in its rings (for one that takes from them: not there either). */
bool weir_closing_is_empty(const struct weir_export_destination *destination);
/* Whether nothing of any destination is left at a drain. */
bool weir_closing_all(const struct weir_exporter *exporter);
/* Ends the requests in flight; their answers, if any, are lost. */
void weir_closing_flights(struct weir_export_destination *destination);
/* Gives up what the rings of the thread's FREE slots have, at a drain. */
void weir_closing_leftovers(const struct weir_exporter_thread *thread);
/* When a closing one is to be looked at again; INT64_MAX: on the bell only. */
int64_t weir_closing_wakeup_ns(const struct weir_export_destination *destination, int64_t now_ns);

/* gather.c */

/* Takes from the rings, closes what is due and hands it out. The owner. */
void weir_gather_turn(struct weir_export_destination *destination, int64_t now_ns);
/* Works off the inbox: encodes jobs, takes back what is encoded. The inbox's thread. */
void weir_gather_inbox(struct weir_exporter_thread *thread, int64_t now_ns);
/* Copies rare points out of large arenas. The owner. */
void weir_gather_compact(struct weir_export_destination *destination);
/* Whether no run has been taken that is not in a parcel. */
bool weir_gather_is_empty(const struct weir_export_destination *destination);
/* When the next turn is worth it; INT64_MAX: on the bell only. */
int64_t weir_gather_wakeup_ns(const struct weir_export_destination *destination, int64_t now_ns);
/* Gives up all that is in rings (where it takes from them), batchers and queue, as left over at a
 * shutdown; what has no memory for its letter is weir_loss_discard's. The owner. */
void weir_gather_discard(struct weir_export_destination *destination);
/* The same for what is in no batch. For a FREE slot as well. */
void weir_gather_discard_unbatched(struct weir_export_destination *destination);

/* Closes an open batch and hands it out. False when there is no memory for it now; it stays open.
 * The owner. */
bool weir_gather_close(struct weir_export_destination *destination,
                       struct weir_export_gathering *open, enum weir_buffer_trigger trigger);
/* Tells the settler what became of the points of a run from `offset` on, which are in no batch.
 * Needs no memory. The owner. */
void weir_gather_settle(const struct weir_export_destination *destination,
                        const struct weir_run *run, uint32_t offset,
                        enum weir_settlement settlement);

/* shaping.c */

/* Makes the destination's shape, where it has one. WEIR_ENOMEM, WEIR_EINVAL. */
WEIR_MUST_USE enum weir_status weir_shaping_init(struct weir_export_destination *destination,
                                                 const struct weir_buffer_hints *hints);
/* Who pays for what its batches copy, and for their indices. Lasts as long as the destination. */
struct weir_arena_budget weir_shaping_budget(struct weir_export_destination *destination);
/* Adds a piece of the pending run to the open batch, in its shape, and ends the run with its last
 * piece. WEIR_EFULL: the open batch is; WEIR_ENOMEM. The owner. */
WEIR_MUST_USE enum weir_status weir_shaping_add(struct weir_export_destination *destination,
                                                const struct weir_export_gathering *open,
                                                int64_t now_ns);

/* coding.c: how a destination's bodies are compressed */

/* Makes what the bodies of such a destination take, as far as it is not there, for
 * weir_coding_done. WEIR_ENOMEM, WEIR_EINVAL. The coders' thread. */
WEIR_MUST_USE enum weir_status weir_coding_need(struct weir_export_coders *coders,
                                                const struct weir_destination_options *options);
void weir_coding_done(struct weir_export_coders *coders);
/* The header that names it, or NULL: bodies are sent as they are. */
const char *weir_coding_header(const struct weir_destination_options *options);
/* The most that `size` bytes can become. */
size_t weir_coding_bound(const struct weir_destination_options *options, size_t size);
/* Compresses `plain` to out->data, which has room for the bound, and sets out->size.
 * WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_coding_compress(struct weir_export_coders *coders,
                                                    const struct weir_destination_options *options,
                                                    struct weir_bytes plain, struct weir_buf *out);
/* Undoes it. Both make what they lack. WEIR_EFULL, WEIR_EMALFORMED, WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_coding_expand(struct weir_export_coders *coders,
                                                  const struct weir_destination_options *options,
                                                  struct weir_bytes body, struct weir_buf *out);

/* otlp_http.c */

/* Makes the destination's target and header list. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_otlp_http_target(struct weir_export_destination *destination);
/* The most that a batch of `bytes` is expected to become as a body: as JSON it grows. */
size_t weir_otlp_http_bound(const struct weir_export_destination *destination, size_t bytes);
/* The scratch that makes a body of a batch of `bytes`, if JSON grows as expected. */
size_t weir_otlp_http_scratch(const struct weir_export_destination *destination, size_t bytes);
/* Batch to body; the batch is released. WEIR_ENOMEM: nothing changed. WEIR_EMALFORMED: no body. */
WEIR_MUST_USE enum weir_status weir_otlp_http_encode(struct weir_exporter_thread *thread,
                                                     struct weir_export_parcel *parcel);
/* Two new parcels with half of the points each; numbers and charges are not set. WEIR_ENOMEM,
 * WEIR_EMALFORMED. */
WEIR_MUST_USE enum weir_status weir_otlp_http_split(struct weir_exporter_thread *thread,
                                                    const struct weir_export_parcel *whole,
                                                    struct weir_export_parcel *ret_halves[2]);

/* The request itself, in the parcel's region, which may be another one afterwards (and is to be
 * charged anew): inflated, from behind the JSON, or of a batch that had no other form.
 * WEIR_ENOMEM: nothing changed, a later call may pass; WEIR_ELIMIT, WEIR_EMALFORMED: none will. */
WEIR_MUST_USE enum weir_status weir_otlp_http_identity(struct weir_exporter_thread *thread,
                                                       struct weir_export_parcel *parcel,
                                                       struct weir_bytes *ret);

/* otlp_grpc.c: nothing of it for a destination that is not gRPC's */

/* What stands before a message in the body: whether it is compressed, and its length. */
size_t weir_otlp_grpc_prefix_size(const struct weir_destination_options *options);
void weir_otlp_grpc_put_prefix(const struct weir_destination_options *options, uint8_t *to,
                               size_t message_size);
enum { WEIR_OTLP_GRPC_HEADERS = 3 };
/* Fills in gRPC's own headers, and returns their number. */
size_t weir_otlp_grpc_headers(struct weir_export_destination *destination, const char **headers);

/* parcel.c */

/* Sends what may go, writes on, and lets expire what must. The owner. */
void weir_parcel_turn(struct weir_export_destination *destination, int64_t now_ns);
/* A reply of the thread's transport. */
void weir_parcel_reply(struct weir_exporter_thread *thread,
                       const struct weir_transport_reply *reply);
/* Ends it as kept, and tells the settler how much of its window is used. */
void weir_parcel_keep(struct weir_export_parcel *parcel);
/* Settles its manifest, or this parcel's part in it, and gives back memory and credit. */
void weir_parcel_end(struct weir_export_parcel *parcel, enum weir_settlement settlement);
/* Corrects the charge to what the parcel holds now. */
void weir_parcel_recharge(struct weir_export_parcel *parcel);
/* Bytes of the parcel's manifest. */
size_t weir_parcel_manifest_bytes(const struct weir_export_parcel *parcel);

/* loss.c: the owner, all of them */

/* Nobody will take it: a letter, or without a letterbox only counted and logged; then the end.
 * `message` may be "". */
void weir_loss_begin(struct weir_export_parcel *parcel, enum weir_deadletter_reason reason,
                     const char *message);
/* Counts a parcel as left over at the drain's deadline, and leaves the parcel alone. */
void weir_loss_shutdown(const struct weir_export_parcel *parcel);
/* Letters for which there was no memory, once more. */
void weir_loss_turn(struct weir_export_destination *destination);
/* The same, for the last time: what still has none is left over. */
void weir_loss_discard(struct weir_export_destination *destination);
/* Ends the parcels whose letters are done. */
void weir_loss_letters(struct weir_exporter_thread *thread);

/* export_metrics.c */

/* Resolves all series. */
void weir_export_metrics_init(struct weir_export_destination *destination);
/* Sets the gauges of a destination that ends to 0, and what is published to that of none. */
void weir_export_metrics_closed(struct weir_export_destination *destination);
/* Publishes state and gauges. */
void weir_export_metrics_publish(struct weir_export_destination *destination, int64_t now_ns);
/* Counts an answer and logs it where somebody should know. `was` is the state before it. */
void weir_export_metrics_answer(struct weir_export_destination *destination,
                                const struct weir_export_parcel *parcel,
                                const struct weir_response *response,
                                enum weir_destination_state was);
/* The destination has become blocked without an answer. */
void weir_export_metrics_blocked(struct weir_export_destination *destination,
                                 enum weir_destination_state was, const char *reason,
                                 const char *message);
/* Counts delivered points with their lag. */
void weir_export_metrics_delivered(struct weir_export_destination *destination,
                                   const struct weir_export_parcel *parcel, uint32_t rejected);

#endif
