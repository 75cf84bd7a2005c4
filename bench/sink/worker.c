/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch's way through one thread.
 *
 *   body ─► inflate ─► decode ─► check each point ─► numbers ─► book (the ledger's lock) ─► reply
 *           into the worker's      (accounts full;              decides the fault
 *           own buffer             JSON first becomes
 *                                  protobuf)
 *
 *   I1  between take and end (or detach) `now` holds one reference on a world, or none
 *   I2  numbers and ordinals have room for the same number of points
 *   I3  with the accounts off nothing is inflated, unless a fault asks for the size or bodies are
 *       kept
 *
 * What is too large to inflate (INFLATED_MAX) or cannot be is malformed: answered 400 and counted.
 * The buffers stay as large as they once had to be; this is a test's tool.
 */
#include "sink/worker.h"
#include "sink/booked.h"
#include "sink/check.h"
#include "sink/decode.h"
#include "sink/otlp_json.h"
#include "sink/part_check.h"
#include "weir/clock.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include "weir/pbw.h"
#include "weir/zstd.h"
#include <stdio.h>

#define INFLATED_MAX ((size_t)256 << 20)
enum { EXAMPLES_MAX = 20, SCRATCH_MAX = 65536 };

struct weir_sink_taken {
    struct weir_sink_world *world;
    uint64_t *numbers;
    uint32_t *ordinals;
    uint64_t capacity;
    struct weir_sink_batch batch;
};

struct weir_sink_worker {
    struct weir_sink_ledger *ledger;
    struct weir_sink_keep *keep;
    struct weir_inflater *inflater;
    struct weir_zstd_inflater *zstd_inflater;
    uint8_t *inflated;
    size_t inflated_capacity;
    struct weir_buf scratch;
    struct weir_buf protobuf; /* what JSON has become */
    bool is_json;             /* the batch at hand */
    struct weir_sink_taken now;
    const struct weir_traffic *traffic; /* of now's world */
    const struct weir_sink_shape *shape;
    bool out_of_memory;
    uint32_t example_count;
    char examples[EXAMPLES_MAX][WEIR_SINK_EXAMPLE_SIZE];
};

enum weir_status weir_sink_worker_new(struct weir_sink_ledger *ledger, struct weir_sink_keep *keep,
                                      struct weir_sink_worker **ret)
{
    struct weir_sink_worker *worker = weir_mem_zalloc(1, sizeof *worker);
    if (worker == NULL) {
        return WEIR_ENOMEM;
    }
    worker->ledger = ledger;
    worker->keep = keep;
    worker->scratch = weir_buf_grow_init(SCRATCH_MAX);
    worker->protobuf = weir_buf_grow_init(INFLATED_MAX);
    enum weir_status status = weir_inflater_new(&worker->inflater);
    if (status == WEIR_OK) {
        status = weir_zstd_inflater_new(&worker->zstd_inflater);
    }
    if (status != WEIR_OK) {
        weir_sink_worker_free(worker);
        return status;
    }
    *ret = worker;
    return WEIR_OK;
}

void weir_sink_worker_free(struct weir_sink_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    weir_inflater_free(worker->inflater);
    weir_zstd_inflater_free(worker->zstd_inflater);
    weir_buf_done(&worker->scratch);
    weir_buf_done(&worker->protobuf);
    weir_mem_free(worker->inflated);
    weir_mem_free(worker->now.numbers);
    weir_mem_free(worker->now.ordinals);
    weir_mem_free(worker);
}

/* -- inflating --------------------------------------------------------------------------------- */

static enum weir_status inflate_once(struct weir_sink_worker *worker, bool is_gzip,
                                     struct weir_bytes body, size_t *ret_size)
{
    return is_gzip ? weir_gzip_inflate(worker->inflater, body, worker->inflated,
                                       worker->inflated_capacity, ret_size)
                   : weir_zstd_inflate(worker->zstd_inflater, body, worker->inflated,
                                       worker->inflated_capacity, ret_size);
}

static bool grow_inflated(struct weir_sink_worker *worker)
{
    size_t larger =
        worker->inflated_capacity == 0 ? (size_t)4 << 20 : worker->inflated_capacity * 2;
    if (larger > INFLATED_MAX) {
        return false;
    }
    weir_mem_free(worker->inflated);
    worker->inflated_capacity = 0;
    worker->inflated = weir_mem_alloc(larger);
    worker->inflated_capacity = worker->inflated == NULL ? 0 : larger;
    return worker->inflated != NULL;
}

/* Gives the body as it was before it was compressed; NULL, or what is wrong with it. */
static const char *inflate(struct weir_sink_worker *worker, struct weir_bytes encoding,
                           struct weir_bytes body, struct weir_bytes *ret)
{
    if (encoding.size == 0 || weir_bytes_eq_nocase(encoding, WEIR_BYTES("identity"))) {
        *ret = body;
        return NULL;
    }
    bool is_gzip = weir_bytes_eq_nocase(encoding, WEIR_BYTES("gzip"));
    if (!is_gzip && !weir_bytes_eq_nocase(encoding, WEIR_BYTES("zstd"))) {
        return "an unknown content encoding";
    }
    size_t size = 0;
    enum weir_status status =
        worker->inflated == NULL ? WEIR_EFULL : inflate_once(worker, is_gzip, body, &size);
    while (status == WEIR_EFULL && grow_inflated(worker)) {
        status = inflate_once(worker, is_gzip, body, &size);
    }
    if (status != WEIR_OK) {
        return status == WEIR_EFULL ? "too large, inflated" : "compressed data that is broken";
    }
    *ret = weir_bytes_of(worker->inflated, size);
    return NULL;
}

/* -- checking ---------------------------------------------------------------------------------- */

static bool grow_points(struct weir_sink_taken *now)
{
    uint64_t larger = now->capacity == 0 ? 16384 : now->capacity * 2;
    uint64_t *numbers = weir_mem_resize(now->numbers, larger, sizeof *numbers);
    if (numbers == NULL) {
        return false;
    }
    now->numbers = numbers;
    uint32_t *ordinals = weir_mem_resize(now->ordinals, larger, sizeof *ordinals);
    if (ordinals == NULL) {
        return false;
    }
    now->ordinals = ordinals;
    now->capacity = larger;
    return true;
}

static void note_wrong(struct weir_sink_worker *worker, const char *what,
                       const struct weir_sink_point *point)
{
    if (worker->example_count == EXAMPLES_MAX) {
        return;
    }
    struct weir_sink_identity id = {.start_ns = 0};
    if (weir_sink_identify(point->content, &id) != WEIR_OK) {
        id.start_ns = 0;
    }
    int name_size = point->metric.size > 128 ? 128 : (int)point->metric.size;
    int value_size = id.value.size > 64 ? 64 : (int)id.value.size;
    (void)snprintf(worker->examples[worker->example_count++], WEIR_SINK_EXAMPLE_SIZE,
                   "%s: %.*s [%.*s] at %lld ms, %zu bytes", what, name_size,
                   point->metric.size == 0 ? "" : (const char *)point->metric.data, value_size,
                   value_size == 0 ? "" : (const char *)id.value.data,
                   (long long)(id.start_ns / (uint64_t)WEIR_NS_PER_MS), point->content.size);
}

/* Bytes are compared where they are to be those that AWS sends; else what they say. */
static struct weir_sink_checked check_as_told(struct weir_sink_worker *worker,
                                              const struct weir_sink_point *point)
{
    static const struct weir_sink_shape as_it_came = {.summary = WEIR_SINK_SHAPE_KEEP};
    if (worker->shape != NULL) {
        return weir_sink_part_check(worker->traffic, worker->shape, point);
    }
    if (!worker->is_json) {
        return weir_sink_check(worker->traffic, point, &worker->scratch);
    }
    struct weir_sink_checked checked = weir_sink_part_check(worker->traffic, &as_it_came, point);
    checked.number = checked.wrong != NULL ? UINT64_MAX : checked.number / WEIR_BOOKED_PARTS;
    return checked;
}

static void check_point(void *argument, const struct weir_sink_point *point)
{
    struct weir_sink_worker *worker = argument;
    struct weir_sink_taken *now = &worker->now;
    if (now->batch.points == now->capacity && !grow_points(now)) {
        worker->out_of_memory = true;
        return;
    }
    struct weir_sink_checked checked = check_as_told(worker, point);
    if (checked.wrong != NULL) {
        note_wrong(worker, checked.wrong, point);
    }
    now->numbers[now->batch.points++] = checked.number;
}

/* The same body as protobuf; NULL, or what is wrong with it. What was inflated stays as it is, for
 * it may be kept. */
static const char *from_json(struct weir_sink_worker *worker, struct weir_bytes body,
                             struct weir_bytes *ret)
{
    const char *what = "no memory for JSON";
    uint8_t *copy = weir_mem_alloc(body.size + 1);
    if (copy == NULL) {
        return what;
    }
    memcpy(copy, body.size == 0 ? (const uint8_t *)"" : body.data, body.size);
    worker->protobuf.size = 0;
    worker->protobuf.failed = false;
    enum weir_status status = weir_sink_otlp_json(copy, body.size, &worker->protobuf, &what);
    weir_mem_free(copy);
    *ret = weir_buf_view(&worker->protobuf);
    return status == WEIR_OK ? NULL : what;
}

/* Reads the inflated body; NULL, or what is wrong with it. */
static const char *read_points(struct weir_sink_worker *worker, struct weir_bytes inflated)
{
    struct weir_sink_decoded decoded;
    bool is_full = worker->now.world != NULL;
    const char *what = worker->is_json ? from_json(worker, inflated, &inflated) : NULL;
    if (what != NULL) {
        return what;
    }
    enum weir_status status =
        weir_sink_decode(inflated, is_full ? check_point : NULL, worker, &decoded);
    if (status != WEIR_OK) {
        return decoded.what;
    }
    if (worker->out_of_memory) {
        return "more points than there is memory for";
    }
    worker->now.batch.points = decoded.points;
    if (is_full) {
        worker->now.batch.numbers = worker->now.numbers;
        worker->now.batch.ordinals = worker->now.ordinals;
    }
    return NULL;
}

/* -- replies ----------------------------------------------------------------------------------- */

/* google.rpc.Status { 1 code  2 message } */
static void write_status(struct weir_sink_reply *reply)
{
    struct weir_buf out = weir_buf_fixed(reply->body, sizeof reply->body);
    weir_pbw_uint(&out, 1, reply->code == 400 ? 3 : 14);
    weir_pbw_bytes(&out, 2, WEIR_BYTES("refused by weir-sink, as it was told to"));
    reply->size = out.size;
}

/* ExportMetricsServiceResponse { 1 ExportMetricsPartialSuccess { 1 rejected  2 message } } */
static void write_partial(struct weir_sink_reply *reply, uint32_t refused)
{
    uint8_t inner_bytes[64];
    struct weir_buf inner = weir_buf_fixed(inner_bytes, sizeof inner_bytes);
    weir_pbw_uint(&inner, 1, refused);
    weir_pbw_bytes(&inner, 2, WEIR_BYTES("the last points are refused"));
    struct weir_buf out = weir_buf_fixed(reply->body, sizeof reply->body);
    weir_pbw_bytes(&out, 1, weir_buf_view(&inner));
    reply->size = out.size;
}

/* All three as OTLP/JSON. */
static void write_json(const struct weir_faults_what *what, struct weir_sink_reply *reply)
{
    struct weir_buf out = weir_buf_fixed(reply->body, sizeof reply->body);
    if (what->kind == WEIR_FAULTS_CODE) {
        weir_buf_printf(&out, "{\"code\":%d,\"message\":\"refused, as told\"}",
                        reply->code == 400 ? 3 : 14);
    } else if (what->kind == WEIR_FAULTS_PARTIAL) {
        weir_buf_printf(&out, "{\"partialSuccess\":{\"rejectedDataPoints\":\"%u\"}}",
                        what->refused);
    } else {
        weir_buf_printf(&out, "{}");
    }
    reply->size = out.size;
}

static void write_reply(const struct weir_faults_what *what, struct weir_sink_reply *reply)
{
    reply->act = WEIR_SINK_ANSWER;
    reply->code = 200;
    reply->retry_after_s = what->retry_after_s;
    reply->delay_ms = what->delay_ms;
    reply->size = 0;
    if (what->kind == WEIR_FAULTS_CODE) {
        reply->code = what->code;
        write_status(reply);
    } else if (what->kind == WEIR_FAULTS_PARTIAL) {
        write_partial(reply, what->refused);
    } else if (what->kind == WEIR_FAULTS_RESET) {
        reply->act = WEIR_SINK_RESET;
    } else if (what->kind == WEIR_FAULTS_LOST) {
        reply->act = WEIR_SINK_CLOSE;
    } else if (what->kind == WEIR_FAULTS_STALL) {
        reply->act = WEIR_SINK_NEVER;
    }
    if (reply->is_json) {
        write_json(what, reply);
    }
}

void weir_sink_worker_take(struct weir_sink_worker *worker, const struct weir_sink_headers *headers,
                           struct weir_bytes body, struct weir_sink_reply *ret)
{
    struct weir_sink_view view = weir_sink_ledger_view(worker->ledger);
    struct weir_sink_batch *batch = &worker->now.batch;
    struct weir_bytes inflated = body;
    worker->now.world = view.world;
    worker->traffic = view.traffic;
    worker->shape = view.shape;
    worker->is_json = weir_bytes_starts_with(headers->type, WEIR_BYTES("application/json"));
    worker->example_count = 0;
    worker->out_of_memory = false;
    *batch = (struct weir_sink_batch){.examples = worker->examples};
    bool counts = view.accounts != WEIR_SINK_OFF;
    if (counts || view.measures || worker->keep != NULL) {
        batch->malformed = inflate(worker, headers->encoding, body, &inflated);
    }
    if (batch->malformed == NULL && counts) {
        batch->malformed = read_points(worker, inflated);
    }
    batch->size = inflated.size;
    batch->compressed_size = body.size;
    batch->example_count = worker->example_count;
    struct weir_faults_what what = weir_sink_ledger_book(worker->ledger, worker->now.world, batch);
    if (worker->keep != NULL && what.kind == WEIR_FAULTS_NONE) {
        enum weir_status status = weir_sink_keep_write(worker->keep, inflated);
        worker->keep = status == WEIR_OK ? worker->keep : NULL;
    }
    ret->is_json = worker->is_json;
    write_reply(&what, ret);
}

/* -- ends -------------------------------------------------------------------------------------- */

static void end_batch(struct weir_sink_ledger *ledger, struct weir_sink_taken *taken, bool is_lost)
{
    if (is_lost) {
        weir_sink_ledger_lose(ledger, taken->world, &taken->batch);
    }
    weir_sink_world_unref(ledger, taken->world);
    taken->world = NULL;
}

void weir_sink_worker_end(struct weir_sink_worker *worker, bool is_lost)
{
    end_batch(worker->ledger, &worker->now, is_lost);
}

struct weir_sink_taken *weir_sink_worker_detach(struct weir_sink_worker *worker)
{
    struct weir_sink_taken *taken = weir_mem_alloc(sizeof *taken);
    if (taken != NULL) {
        *taken = worker->now;
        worker->now = (struct weir_sink_taken){.world = NULL};
    }
    return taken;
}

void weir_sink_taken_end(struct weir_sink_ledger *ledger, struct weir_sink_taken *taken,
                         bool is_lost)
{
    if (taken == NULL) {
        return;
    }
    end_batch(ledger, taken, is_lost);
    weir_mem_free(taken->numbers);
    weir_mem_free(taken->ordinals);
    weir_mem_free(taken);
}
