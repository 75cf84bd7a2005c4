/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP requests: from a closed batch to a body, from a body to two halves, and the headers around
 * it.
 *
 *   gzip, zstd     batch ─► scratch [ OTLP | coded ........... ] ─copy─► a region of just that size
 *   none           batch ─► the region
 *   stdout, file   batch ─► scratch [ OTLP | OTLP/JSON line .. ] ─copy─► a region of just that size
 *                                      (with a letterbox: [ line | OTLP ], for letters)
 *   http/json      batch ─► scratch [ OTLP | OTLP/JSON | coded ... ] ─copy─► [ body | OTLP ], both
 *                                      coded, or both not
 *   split (413)    body ─► scratch [ OTLP | first | second | as above ] ─copy─► two regions
 *
 * In each region a body of gRPC has its prefix before it (otlp_grpc.c); what is copied anyway is
 * copied to behind it.
 *
 * Compressing into the parcel's region directly would save a copy of the small result, but the
 * region would have to be as large as the worst case, and parcels are what waits through an
 * outage: ten times as many fit this way. The scratch region belongs to the thread and is kept at
 * the size that ordinary batches need; a single point that is larger than a batch, a split, or JSON
 * takes a larger one for the moment.
 *
 *   I1  what is in a parcel's region is never changed: a retry sends the same bytes
 *   I2  after a successful encode the batch and with it all arena references are gone; after
 *       WEIR_ENOMEM they are all there
 *   I3  the request before compression can always be had from the region (source_of): for letters,
 *       and for halves, since there is no way back from JSON to the same bytes
 *
 * Any exporter thread encodes any batch; splits are the owner's. Nothing here waits.
 */
#include "exporter_internal.h"
#include "weir/mem.h"
#include "weir/otlp_json.h"
#include "weir/panic.h"
#include "weir/split.h"

/* OTLP/JSON is some 3 to 6 times the protobuf; what is past the last try is given up. */
enum { JSON_FACTOR_FIRST = 6, JSON_FACTOR_MAX = 48, JSON_SLACK = 4096 };

static bool is_http(const struct weir_export_destination *destination)
{
    return destination->options->type == WEIR_DESTINATION_OTLP_HTTP;
}

static bool is_json(const struct weir_export_destination *destination)
{
    return !is_http(destination) || destination->options->protocol == WEIR_PROTOCOL_HTTP_JSON;
}

static bool is_coded(const struct weir_export_destination *destination)
{
    return weir_coding_header(destination->options) != NULL;
}

/* Whether the request is kept beside its JSON. A letter has the request itself, and a line is never
 * split; a sixth more memory is cheaper than a second encoder. */
static bool keeps_identity(const struct weir_export_destination *destination)
{
    bool has_letters = destination->exporter->options.letterbox != NULL;
    return is_json(destination) && (is_http(destination) || has_letters);
}

enum weir_status weir_otlp_http_target(struct weir_export_destination *destination)
{
    const struct weir_destination_options *options = destination->options;
    size_t count = 0;
    while (options->headers != NULL && options->headers[count] != NULL) {
        count++;
    }
    const char **headers = weir_mem_zalloc(count + WEIR_OTLP_GRPC_HEADERS + 2, sizeof(*headers));
    if (headers == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        headers[i] = options->headers[i];
    }
    if (options->protocol == WEIR_PROTOCOL_GRPC) {
        count += weir_otlp_grpc_headers(destination, headers + count);
    } else {
        headers[count++] = is_json(destination) ? "Content-Type: application/json"
                                                : "Content-Type: application/x-protobuf";
    }
    headers[count] = weir_coding_header(options);
    destination->headers = headers;
    destination->target = (struct weir_transport_target){
        .url = options->url,
        .ca_file = options->ca_file,
        .certificate = options->certificate,
        .key = options->key,
        .proxy = options->proxy,
        .no_proxy = options->no_proxy,
        .min_tls = options->min_tls,
        .is_insecure = options->is_insecure,
        .allow_link_local = options->allow_link_local,
        .public_only = options->public_only,
        .headers = headers,
        .timeout_ns = options->timeout_ns,
        .is_grpc = options->protocol == WEIR_PROTOCOL_GRPC,
    };
    return WEIR_OK;
}

size_t weir_otlp_http_bound(const struct weir_export_destination *destination, size_t bytes)
{
    size_t prefix = weir_otlp_grpc_prefix_size(destination->options);
    if (is_coded(destination)) {
        size_t bound = weir_coding_bound(destination->options, bytes) + prefix;
        return is_json(destination) ? 2 * bound : bound; /* coded, JSON is no larger than OTLP is */
    }
    if (!is_json(destination)) {
        return bytes + prefix;
    }
    size_t factor = JSON_FACTOR_FIRST + (keeps_identity(destination) ? 1U : 0U);
    return bytes * factor + JSON_SLACK;
}

/* The room that build_body wants for a request of `bytes`, if JSON grows by `factor`. */
static size_t room_for(const struct weir_export_destination *destination, size_t bytes,
                       size_t factor)
{
    size_t json = is_json(destination) ? bytes * factor + JSON_SLACK : 0;
    if (!is_coded(destination)) {
        return json;
    }
    size_t coded = weir_coding_bound(destination->options, bytes);
    return json == 0 ? coded : json + weir_coding_bound(destination->options, json) + coded;
}

size_t weir_otlp_http_scratch(const struct weir_export_destination *destination, size_t bytes)
{
    return bytes + room_for(destination, bytes, JSON_FACTOR_FIRST);
}

/* Makes the scratch at least `size` bytes large; its content is then undefined. */
static enum weir_status need_scratch(struct weir_exporter_thread *thread, size_t size)
{
    if (thread->scratch.capacity >= size) {
        return WEIR_OK;
    }
    weir_region_give(thread->exporter->options.regions, &thread->scratch);
    enum weir_status status =
        weir_region_take(thread->exporter->options.regions, size, &thread->scratch);
    return status == WEIR_ELIMIT ? WEIR_EMALFORMED : status; /* it will never fit */
}

/* Gives an unusually large scratch back. */
static void relax_scratch(struct weir_exporter_thread *thread)
{
    /* relaxed: a size, which only grows */
    size_t kept = atomic_load_explicit(&thread->exporter->scratch_keep, memory_order_relaxed);
    if (thread->scratch.capacity > weir_region_capacity(kept)) {
        weir_region_give(thread->exporter->options.regions, &thread->scratch);
    }
}

/* Copies a message into a region of its size, behind the prefix, and makes both the parcel's body;
 * after it the request it was made of, if that is kept. */
static enum weir_status keep_body(struct weir_exporter_thread *thread,
                                  struct weir_export_parcel *parcel, struct weir_bytes message,
                                  struct weir_bytes identity)
{
    const struct weir_destination_options *options = parcel->to->options;
    size_t prefix = weir_otlp_grpc_prefix_size(options);
    size_t body_size = prefix + message.size;
    WEIR_TRY(weir_region_take(thread->exporter->options.regions, body_size + identity.size,
                              &parcel->region));
    uint8_t *data = parcel->region.data;
    weir_otlp_grpc_put_prefix(options, data, message.size);
    memcpy(data + prefix, message.data, message.size);
    parcel->body = weir_bytes_of(data, body_size);
    if (identity.size > 0) {
        memcpy(data + body_size, identity.data, identity.size);
        parcel->identity = weir_bytes_of(data + body_size, identity.size);
    }
    return WEIR_OK;
}

static enum weir_status encode_plain(struct weir_exporter_thread *thread,
                                     struct weir_export_parcel *parcel)
{
    const struct weir_destination_options *options = parcel->to->options;
    size_t prefix = weir_otlp_grpc_prefix_size(options);
    size_t size = prefix + parcel->info.bytes;
    WEIR_TRY(weir_region_take(thread->exporter->options.regions, size, &parcel->region));
    struct weir_buf buf = weir_buf_fixed(parcel->region.data + prefix, parcel->info.bytes);
    weir_otlp_grpc_put_prefix(options, parcel->region.data, parcel->info.bytes);
    weir_batch_encode(parcel->batch, &buf);
    WEIR_ASSERT(buf.size == parcel->info.bytes);
    parcel->body = weir_bytes_of(parcel->region.data, size);
    return WEIR_OK;
}

/* Compresses into the scratch at `at`. */
static enum weir_status code(struct weir_exporter_thread *thread,
                             const struct weir_export_destination *destination,
                             struct weir_bytes plain, size_t at, struct weir_bytes *ret_coded)
{
    struct weir_buf coded =
        weir_buf_fixed(thread->scratch.data + at, thread->scratch.capacity - at);
    WEIR_TRY(weir_coding_compress(&thread->coders, destination->options, plain, &coded));
    *ret_coded = weir_buf_view(&coded);
    return WEIR_OK;
}

/* As build_body, for JSON. WEIR_EFULL: it grows by more than `factor`. */
static enum weir_status build_json(struct weir_exporter_thread *thread,
                                   struct weir_export_parcel *parcel, struct weir_bytes plain,
                                   size_t at, size_t factor)
{
    const struct weir_export_destination *to = parcel->to;
    struct weir_buf json =
        weir_buf_fixed(thread->scratch.data + at, plain.size * factor + JSON_SLACK);
    enum weir_status status = weir_otlp_json(plain, &json);
    if (status == WEIR_EMALFORMED) {
        return status;
    }
    if (!is_http(to)) {
        weir_buf_put_byte(&json, '\n');
    }
    if (json.failed) {
        return WEIR_EFULL;
    }
    struct weir_bytes body = weir_buf_view(&json);
    struct weir_bytes identity = keeps_identity(to) ? plain : (struct weir_bytes){NULL, 0};
    if (is_coded(to)) {
        at += json.size;
        WEIR_TRY(code(thread, to, weir_buf_view(&json), at, &body));
        WEIR_TRY(code(thread, to, plain, at + body.size, &identity));
    }
    return keep_body(thread, parcel, body, identity);
}

/* Makes the parcel's body of `plain`, which lies in the scratch; at `at` there is room_for it.
 * WEIR_EFULL: JSON grows by more than `factor`. */
static enum weir_status build_body(struct weir_exporter_thread *thread,
                                   struct weir_export_parcel *parcel, struct weir_bytes plain,
                                   size_t at, size_t factor)
{
    if (is_json(parcel->to)) {
        return build_json(thread, parcel, plain, at, factor);
    }
    struct weir_bytes message = plain;
    if (is_coded(parcel->to)) {
        WEIR_TRY(code(thread, parcel->to, plain, at, &message));
    }
    return keep_body(thread, parcel, message, (struct weir_bytes){NULL, 0});
}

/* By way of the scratch; a room that turns out too small for JSON is doubled. */
static enum weir_status encode_built(struct weir_exporter_thread *thread,
                                     struct weir_export_parcel *parcel)
{
    size_t plain_size = parcel->info.bytes;
    for (size_t factor = JSON_FACTOR_FIRST; factor <= JSON_FACTOR_MAX; factor *= 2) {
        WEIR_TRY(need_scratch(thread, plain_size + room_for(parcel->to, plain_size, factor)));
        struct weir_buf plain = weir_buf_fixed(thread->scratch.data, plain_size);
        weir_batch_encode(parcel->batch, &plain);
        WEIR_ASSERT(plain.size == plain_size);
        enum weir_status status =
            build_body(thread, parcel, weir_buf_view(&plain), plain_size, factor);
        if (status != WEIR_EFULL) {
            return status;
        }
    }
    return WEIR_EMALFORMED;
}

enum weir_status weir_otlp_http_encode(struct weir_exporter_thread *thread,
                                       struct weir_export_parcel *parcel)
{
    WEIR_ASSERT(parcel->batch != NULL);
    WEIR_ASSERT(parcel->info.bytes > 0);
    bool is_plain = !is_coded(parcel->to) && !is_json(parcel->to);
    enum weir_status status =
        is_plain ? encode_plain(thread, parcel) : encode_built(thread, parcel);
    relax_scratch(thread);
    if (status == WEIR_OK) {
        weir_batch_release(parcel->batch, thread->exporter->batches);
        parcel->batch = NULL;
    }
    return status;
}

/* Where in the region the request is, compressed or not. */
static struct weir_bytes source_of(const struct weir_export_parcel *parcel)
{
    size_t prefix = weir_otlp_grpc_prefix_size(parcel->to->options);
    return parcel->identity.data != NULL ? parcel->identity : weir_bytes_from(parcel->body, prefix);
}

/* The request before compression: as it is, or inflated to the scratch's beginning. */
static enum weir_status plain_of(struct weir_exporter_thread *thread,
                                 const struct weir_export_parcel *parcel,
                                 struct weir_bytes *ret_plain)
{
    if (!is_coded(parcel->to)) {
        *ret_plain = source_of(parcel);
        return WEIR_OK;
    }
    struct weir_buf plain = weir_buf_fixed(thread->scratch.data, parcel->identity_bytes);
    WEIR_TRY(weir_coding_expand(&thread->coders, parcel->to->options, source_of(parcel), &plain));
    WEIR_ASSERT(plain.size == parcel->identity_bytes);
    *ret_plain = weir_buf_view(&plain);
    return WEIR_OK;
}

static enum weir_status identity_of_batch(struct weir_exporter_thread *thread,
                                          struct weir_export_parcel *parcel)
{
    WEIR_TRY(encode_plain(thread, parcel));
    weir_batch_release(parcel->batch, thread->exporter->batches);
    parcel->batch = NULL;
    return WEIR_OK;
}

static enum weir_status inflate_body(struct weir_exporter_thread *thread,
                                     struct weir_export_parcel *parcel, struct weir_bytes *ret)
{
    struct weir_regions *regions = thread->exporter->options.regions;
    struct weir_region region;
    WEIR_TRY(weir_region_take(regions, parcel->identity_bytes, &region));
    struct weir_buf plain = weir_buf_fixed(region.data, parcel->identity_bytes);
    enum weir_status status =
        weir_coding_expand(&thread->coders, parcel->to->options, source_of(parcel), &plain);
    if (status != WEIR_OK) {
        weir_region_give(regions, &region);
        return status;
    }
    weir_region_give(regions, &parcel->region);
    parcel->region = region;
    parcel->body = (struct weir_bytes){NULL, 0}; /* it will not be sent again */
    parcel->identity = (struct weir_bytes){NULL, 0};
    *ret = weir_buf_view(&plain);
    return WEIR_OK;
}

enum weir_status weir_otlp_http_identity(struct weir_exporter_thread *thread,
                                         struct weir_export_parcel *parcel, struct weir_bytes *ret)
{
    if (parcel->batch != NULL) {
        WEIR_TRY(identity_of_batch(thread, parcel));
    } else if (is_coded(parcel->to)) {
        return inflate_body(thread, parcel, ret);
    }
    *ret = source_of(parcel);
    return WEIR_OK;
}

/* Where a half's body is built. */
struct room {
    size_t at; /* in the scratch */
    size_t factor;
};

/* A half as a parcel of its own. */
static enum weir_status half_of(struct weir_exporter_thread *thread,
                                const struct weir_export_parcel *whole, struct weir_bytes plain,
                                struct room room, struct weir_export_parcel **ret)
{
    struct weir_export_parcel *half = weir_pool_take(thread->exporter->parcels);
    if (half == NULL) {
        return WEIR_ENOMEM;
    }
    *half = *whole;
    half->region = (struct weir_region){NULL, 0};
    half->identity = (struct weir_bytes){NULL, 0};
    half->identity_bytes = plain.size;
    half->charge = 0;
    enum weir_status status = build_body(thread, half, plain, room.at, room.factor);
    if (status != WEIR_OK) {
        weir_pool_give(thread->exporter->parcels, half);
        return status;
    }
    *ret = half;
    return WEIR_OK;
}

/* WEIR_EFULL: JSON grows by more than `factor`. */
static enum weir_status split(struct weir_exporter_thread *thread,
                              const struct weir_export_parcel *whole, size_t factor,
                              struct weir_export_parcel *ret_halves[2])
{
    size_t size = whole->identity_bytes;
    uint32_t middle = whole->info.points / 2;
    const struct room room = {3 * size, factor};
    WEIR_TRY(need_scratch(thread, 3 * size + room_for(whole->to, size, factor)));
    struct weir_bytes plain;
    WEIR_TRY(plain_of(thread, whole, &plain));
    struct weir_buf first = weir_buf_fixed(thread->scratch.data + size, size);
    struct weir_buf second = weir_buf_fixed(thread->scratch.data + 2 * size, size);
    WEIR_TRY(weir_split_at(plain, middle, &first, &second));
    WEIR_TRY(half_of(thread, whole, weir_buf_view(&first), room, &ret_halves[0]));
    enum weir_status status = half_of(thread, whole, weir_buf_view(&second), room, &ret_halves[1]);
    if (status != WEIR_OK) {
        weir_region_give(thread->exporter->options.regions, &ret_halves[0]->region);
        weir_pool_give(thread->exporter->parcels, ret_halves[0]);
        return status;
    }
    ret_halves[0]->info.points = middle;
    ret_halves[1]->info.points = whole->info.points - middle;
    return WEIR_OK;
}

enum weir_status weir_otlp_http_split(struct weir_exporter_thread *thread,
                                      const struct weir_export_parcel *whole,
                                      struct weir_export_parcel *ret_halves[2])
{
    WEIR_ASSERT(whole->info.points > 1);
    enum weir_status status = WEIR_EFULL;
    for (size_t factor = JSON_FACTOR_FIRST; factor <= JSON_FACTOR_MAX && status == WEIR_EFULL;
         factor *= 2) {
        status = split(thread, whole, factor, ret_halves);
    }
    relax_scratch(thread);
    return status == WEIR_EFULL ? WEIR_EMALFORMED : status;
}
