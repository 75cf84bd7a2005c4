/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP/HTTP requests: from a closed batch to a body, from a body to two halves, and the headers
 * around it.
 *
 *   gzip, zstd     batch ─► scratch [ OTLP | coded ........... ] ─copy─► a region of just that size
 *   none           batch ─► the region
 *   stdout, file   batch ─► scratch [ OTLP | OTLP/JSON line .. ] ─copy─► a region of just that size
 *                                      (with a letterbox: [ line | OTLP ], for letters)
 *   split (413)    body ─► scratch [ OTLP | first | second | coded ] ─copy─► two regions
 *
 * Compressing into the parcel's region directly would save a copy of the small result, but the
 * region would have to be as large as the worst case, and parcels are what waits through an
 * outage: ten times as many fit this way. The scratch region belongs to the thread and is kept at
 * the size that ordinary batches need; a single point that is larger than a batch, or a split,
 * takes a larger one for the moment.
 *
 *   I1  what is in a parcel's region is never changed: a retry sends the same bytes
 *   I2  after a successful encode the batch and with it all arena references are gone; after
 *       WEIR_ENOMEM they are all there
 *
 * Any exporter thread encodes any batch; splits are the owner's. Nothing here waits.
 */
#include "exporter_internal.h"
#include "weir/mem.h"
#include "weir/otlp_json.h"
#include "weir/panic.h"
#include "weir/split.h"

/* A letter has the request itself, and from JSON there is no way back to the same bytes; a sixth
 * more memory is cheaper than a second encoder. */
static bool keeps_identity(const struct weir_export_destination *destination)
{
    return destination->exporter->options.letterbox != NULL;
}

/* OTLP/JSON is some 3 to 6 times the protobuf; what is past the last try is given up. */
enum { JSON_FACTOR_FIRST = 6, JSON_FACTOR_MAX = 48, JSON_SLACK = 4096 };

static bool is_http(const struct weir_export_destination *destination)
{
    return destination->options->type == WEIR_DESTINATION_OTLP_HTTP;
}

static bool is_coded(const struct weir_export_destination *destination)
{
    return weir_coding_header(destination->options) != NULL;
}

enum weir_status weir_otlp_http_target(struct weir_export_destination *destination)
{
    const struct weir_destination_options *options = destination->options;
    size_t count = 0;
    while (options->headers != NULL && options->headers[count] != NULL) {
        count++;
    }
    const char **headers = weir_mem_zalloc(count + 3, sizeof(*headers));
    if (headers == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        headers[i] = options->headers[i];
    }
    headers[count++] = "Content-Type: application/x-protobuf";
    headers[count] = weir_coding_header(options);
    destination->headers = headers;
    destination->target = (struct weir_transport_target){
        .url = options->url,
        .ca_file = options->ca_file,
        .proxy = options->proxy,
        .headers = headers,
        .timeout_ns = options->timeout_ns,
    };
    return WEIR_OK;
}

size_t weir_otlp_http_bound(const struct weir_export_destination *destination, size_t bytes)
{
    if (is_coded(destination)) {
        return weir_coding_bound(&destination->owner->coders, destination->options, bytes);
    }
    if (is_http(destination)) {
        return bytes;
    }
    size_t factor = JSON_FACTOR_FIRST + (keeps_identity(destination) ? 1U : 0U);
    return bytes * factor + JSON_SLACK;
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
    if (thread->scratch.capacity > weir_region_capacity(thread->exporter->scratch_keep)) {
        weir_region_give(thread->exporter->options.regions, &thread->scratch);
    }
}

/* Copies bytes into a region of their size and makes it the parcel's body. */
static enum weir_status keep_body(struct weir_exporter_thread *thread,
                                  struct weir_export_parcel *parcel, struct weir_bytes bytes)
{
    WEIR_TRY(weir_region_take(thread->exporter->options.regions, bytes.size, &parcel->region));
    memcpy(parcel->region.data, bytes.data, bytes.size);
    parcel->body = weir_bytes_of(parcel->region.data, bytes.size);
    return WEIR_OK;
}

static enum weir_status encode_plain(struct weir_exporter_thread *thread,
                                     struct weir_export_parcel *parcel)
{
    WEIR_TRY(
        weir_region_take(thread->exporter->options.regions, parcel->info.bytes, &parcel->region));
    struct weir_buf buf = weir_buf_fixed(parcel->region.data, parcel->region.capacity);
    weir_batch_encode(parcel->batch, &buf);
    WEIR_ASSERT(buf.size == parcel->info.bytes);
    parcel->body = weir_buf_view(&buf);
    return WEIR_OK;
}

/* Compresses `plain`, which lies in the scratch, into the scratch at `at`, and keeps the result. */
static enum weir_status keep_coded(struct weir_exporter_thread *thread,
                                   struct weir_export_parcel *parcel, struct weir_bytes plain,
                                   size_t at)
{
    struct weir_buf coded =
        weir_buf_fixed(thread->scratch.data + at, thread->scratch.capacity - at);
    WEIR_TRY(weir_coding_compress(&thread->coders, parcel->to->options, plain, &coded));
    return keep_body(thread, parcel, weir_buf_view(&coded));
}

static enum weir_status encode_coded(struct weir_exporter_thread *thread,
                                     struct weir_export_parcel *parcel)
{
    size_t plain_size = parcel->info.bytes;
    size_t bound = weir_coding_bound(&thread->coders, parcel->to->options, plain_size);
    WEIR_TRY(need_scratch(thread, plain_size + bound));
    struct weir_buf buf = weir_buf_fixed(thread->scratch.data, plain_size);
    weir_batch_encode(parcel->batch, &buf);
    WEIR_ASSERT(buf.size == plain_size);
    return keep_coded(thread, parcel, weir_buf_view(&buf), plain_size);
}

/* Keeps a line, and after it what it was made of where that may be needed. */
static enum weir_status keep_line(struct weir_exporter_thread *thread,
                                  struct weir_export_parcel *parcel, struct weir_bytes line,
                                  struct weir_bytes plain)
{
    if (!keeps_identity(parcel->to)) {
        return keep_body(thread, parcel, line);
    }
    WEIR_TRY(weir_region_take(thread->exporter->options.regions, line.size + plain.size,
                              &parcel->region));
    memcpy(parcel->region.data, line.data, line.size);
    memcpy(parcel->region.data + line.size, plain.data, plain.size);
    parcel->body = weir_bytes_of(parcel->region.data, line.size);
    parcel->identity = weir_bytes_of(parcel->region.data + line.size, plain.size);
    return WEIR_OK;
}

/* The batch as one line; a room that turns out too small is doubled. */
static enum weir_status encode_json(struct weir_exporter_thread *thread,
                                    struct weir_export_parcel *parcel)
{
    size_t plain_size = parcel->info.bytes;
    for (size_t factor = JSON_FACTOR_FIRST; factor <= JSON_FACTOR_MAX; factor *= 2) {
        size_t json_max = plain_size * factor + JSON_SLACK;
        WEIR_TRY(need_scratch(thread, plain_size + json_max));
        struct weir_buf plain = weir_buf_fixed(thread->scratch.data, plain_size);
        weir_batch_encode(parcel->batch, &plain);
        WEIR_ASSERT(plain.size == plain_size);
        struct weir_buf json = weir_buf_fixed(thread->scratch.data + plain_size, json_max);
        enum weir_status status = weir_otlp_json(weir_buf_view(&plain), &json);
        if (status == WEIR_EMALFORMED) {
            return status;
        }
        weir_buf_put_byte(&json, '\n');
        if (!json.failed) {
            return keep_line(thread, parcel, weir_buf_view(&json), weir_buf_view(&plain));
        }
    }
    return WEIR_EMALFORMED;
}

enum weir_status weir_otlp_http_encode(struct weir_exporter_thread *thread,
                                       struct weir_export_parcel *parcel)
{
    WEIR_ASSERT(parcel->batch != NULL);
    WEIR_ASSERT(parcel->info.bytes > 0);
    enum weir_status status = is_coded(parcel->to)  ? encode_coded(thread, parcel)
                              : is_http(parcel->to) ? encode_plain(thread, parcel)
                                                    : encode_json(thread, parcel);
    relax_scratch(thread);
    if (status == WEIR_OK) {
        weir_batch_release(parcel->batch, thread->exporter->batches);
        parcel->batch = NULL;
    }
    return status;
}

/* The request before compression: the body itself, or inflated to the scratch's beginning. */
static enum weir_status plain_of(struct weir_exporter_thread *thread,
                                 const struct weir_export_parcel *parcel,
                                 struct weir_bytes *ret_plain)
{
    if (!is_coded(parcel->to)) {
        *ret_plain = parcel->body;
        return WEIR_OK;
    }
    struct weir_buf plain = weir_buf_fixed(thread->scratch.data, parcel->identity_bytes);
    WEIR_TRY(weir_coding_expand(&thread->coders, parcel->to->options, parcel->body, &plain));
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
                                     struct weir_export_parcel *parcel)
{
    struct weir_regions *regions = thread->exporter->options.regions;
    struct weir_region region;
    WEIR_TRY(weir_region_take(regions, parcel->identity_bytes, &region));
    struct weir_buf plain = weir_buf_fixed(region.data, parcel->identity_bytes);
    enum weir_status status =
        weir_coding_expand(&thread->coders, parcel->to->options, parcel->body, &plain);
    if (status != WEIR_OK) {
        weir_region_give(regions, &region);
        return status;
    }
    weir_region_give(regions, &parcel->region);
    parcel->region = region;
    parcel->body = weir_buf_view(&plain);
    return WEIR_OK;
}

enum weir_status weir_otlp_http_identity(struct weir_exporter_thread *thread,
                                         struct weir_export_parcel *parcel, struct weir_bytes *ret)
{
    if (parcel->identity.data != NULL) {
        *ret = parcel->identity;
        return WEIR_OK;
    }
    if (parcel->batch != NULL) {
        WEIR_TRY(identity_of_batch(thread, parcel));
    } else if (is_coded(parcel->to)) {
        WEIR_TRY(inflate_body(thread, parcel));
    }
    *ret = parcel->body;
    return WEIR_OK;
}

/* A half as a parcel of its own. `at` is where in the scratch there is room to compress. */
static enum weir_status half_of(struct weir_exporter_thread *thread,
                                const struct weir_export_parcel *whole, struct weir_bytes plain,
                                size_t at, struct weir_export_parcel **ret)
{
    struct weir_export_parcel *half = weir_pool_take(thread->exporter->parcels);
    if (half == NULL) {
        return WEIR_ENOMEM;
    }
    *half = *whole;
    half->region = (struct weir_region){NULL, 0};
    half->identity_bytes = plain.size;
    half->charge = 0;
    enum weir_status status =
        is_coded(whole->to) ? keep_coded(thread, half, plain, at) : keep_body(thread, half, plain);
    if (status != WEIR_OK) {
        weir_pool_give(thread->exporter->parcels, half);
        return status;
    }
    *ret = half;
    return WEIR_OK;
}

static enum weir_status split(struct weir_exporter_thread *thread,
                              const struct weir_export_parcel *whole,
                              struct weir_export_parcel *ret_halves[2])
{
    size_t size = whole->identity_bytes;
    uint32_t middle = whole->info.points / 2;
    size_t bound =
        is_coded(whole->to) ? weir_coding_bound(&thread->coders, whole->to->options, size) : 0;
    WEIR_TRY(need_scratch(thread, 3 * size + bound));
    struct weir_bytes plain;
    WEIR_TRY(plain_of(thread, whole, &plain));
    struct weir_buf first = weir_buf_fixed(thread->scratch.data + size, size);
    struct weir_buf second = weir_buf_fixed(thread->scratch.data + 2 * size, size);
    WEIR_TRY(weir_split_at(plain, middle, &first, &second));
    WEIR_TRY(half_of(thread, whole, weir_buf_view(&first), 3 * size, &ret_halves[0]));
    enum weir_status status =
        half_of(thread, whole, weir_buf_view(&second), 3 * size, &ret_halves[1]);
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
    enum weir_status status = split(thread, whole, ret_halves);
    relax_scratch(thread);
    return status;
}
