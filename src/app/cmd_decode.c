/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir decode`: what a file holds, decoded exactly as the service decodes it.
 *
 *   file ─(gzip off)─┬─► segment ─► its requests' bodies ─┐
 *                    ├─► letters ─► a line each ────────────┤
 *                    ├─► a body ────────────────────────────┼─► weir_body_decode ───► runs ─┐
 *                    └─► a record ──────────────────────────┴─► weir_record_decode ─► runs ─┤
 *                                        points: a JSON line each, or one OTLP/JSON request ◄┘
 *
 * What a file is, weir/source.h tells by its content; a segment of a spool by its header. All that
 * is neither is one record, as Firehose would carry it. What is quarantined is told on standard
 * error with its reason.
 *
 *   I1  memory has no budget here: whoever decodes a file on a desk wants all of it
 *   I2  nothing is printed of a body that is damaged; the exit code is 1 then, and what else the
 *       file holds is printed all the same
 *
 * A record that holds no metric is no failure: the file was read, and what it is has been told.
 *
 * Main thread.
 */
#include "commands_internal.h"
#include "point_json.h"
#include "spool_look.h"
#include "weir/batcher.h"
#include "weir/body.h"
#include "weir/encode.h"
#include "weir/mem.h"
#include "weir/otlp_json.h"
#include "weir/panic.h"
#include "weir/record.h"
#include "weir/source.h"
#include <inttypes.h>
#include <stdio.h>

const char weir_cmd_decode_help[] =
    "weir decode [--as points|otlp-json] FILE...: shows what files hold\n"
    "\n"
    "      --as points      one JSON line a data point, keys sorted (the default)\n"
    "      --as otlp-json   one OTLP/JSON request a file, or for each line or request in it\n"
    "\n"
    "A FILE (- is standard input; gzip is recognised) is a Firehose request's body, one record\n"
    "(CloudWatch JSON lines, or OTLP 0.7 or 1.0, delimited), a dead-letter file or Firehose's S3\n"
    "backup (then each line is decoded), or a segment of a spool (each request in it). What holds\n"
    "no metric is told on standard error with the reason.\n"
    "Exit codes: 0 decoded, 1 a file cannot be read or is damaged, 2 usage.\n";

#define OUTPUT_MAX ((size_t)2 << 30)

struct decoding {
    const char *path;
    bool as_points;
    struct weir_regions *regions;
    struct weir_arena *arena;
    struct weir_runs runs;
    const struct weir_tally *tally;
};

static bool take_any(void *self, size_t bytes)
{
    (void)self;
    (void)bytes;
    return true;
}

static void give_any(void *self, size_t bytes)
{
    (void)self;
    (void)bytes;
}

static const struct weir_arena_budget no_budget = {take_any, give_any, NULL};

static enum weir_status decode_body(struct decoding *decoding, struct weir_bytes data, bool gzip)
{
    struct weir_inflater *inflater;
    struct weir_body_result result;
    struct weir_body_options options = {
        .gzip = gzip,
        .body_limit = WEIR_COMMAND_FILE_MAX,
        .limits = {.records = 10000, .record_bytes = 1024000, .depth = 32},
    };
    WEIR_TRY(weir_inflater_new(&inflater));
    enum weir_status status = weir_body_decode(inflater, decoding->arena, data, &options, &result);
    weir_inflater_free(inflater);
    if (status == WEIR_EMALFORMED || status == WEIR_ELIMIT) {
        (void)weir_commands_failed("decode", "%.200s: byte %zu: %s", decoding->path,
                                   result.error_offset, result.error);
        return status;
    }
    if (status == WEIR_OK) {
        decoding->runs = result.runs;
        decoding->tally = result.tally;
    }
    return status;
}

static enum weir_status decode_record(struct decoding *decoding, struct weir_bytes data)
{
    struct weir_collect *collect = weir_collect_new(decoding->arena);
    uint8_t *copy = collect == NULL ? NULL : weir_arena_alloc(decoding->arena, data.size + 1, 1);
    if (copy == NULL) {
        return WEIR_ENOMEM;
    }
    memcpy(copy, data.data, data.size);
    struct weir_cwjson_context context = {.partition = WEIR_BYTES_INIT("aws")};
    weir_record_decode(collect, context, weir_bytes_of(copy, data.size), 0);
    WEIR_TRY(weir_collect_finish(collect, &decoding->runs));
    decoding->tally = collect->tally;
    return WEIR_OK;
}

static void tell_quarantined(const struct decoding *decoding)
{
    const struct weir_tally *tally = decoding->tally;
    uint32_t total = 0;
    for (size_t i = 0; i < WEIR_QUARANTINE_REASONS; i++) {
        total += tally->quarantined[i];
    }
    for (uint32_t i = 0; i < tally->kept_count; i++) {
        char text[400];
        struct weir_buf shown = weir_buf_fixed(text, sizeof text - 1);
        const struct weir_quarantined *kept = &tally->kept[i];
        weir_buf_put_json_string(&shown, kept->whole, 60);
        text[shown.size] = 0;
        (void)fprintf(stderr, "%s: record %" PRIu32 ": no metric: %s: %s\n", decoding->path,
                      kept->record, weir_quarantine_text(kept->reason), text);
    }
    if (total > tally->kept_count) {
        (void)fprintf(stderr, "%s: ... and %" PRIu32 " more without a metric\n", decoding->path,
                      total - tally->kept_count);
    }
}

static void put_points(const struct weir_runs *runs, struct weir_buf *out)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        for (uint32_t j = 0; j < runs->runs[i].count; j++) {
            weir_point_json(&runs->runs[i].points[j], out);
        }
    }
}

/* All runs as one batch, which takes a reference for each. */
static struct weir_batch *batch_runs(struct weir_batcher *batcher, const struct weir_runs *runs)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        uint32_t offset = 0;
        weir_arena_ref(runs->runs[i].arena, runs->runs[i].bytes);
        if (weir_batcher_add(batcher, &runs->runs[i], &offset, 0) != WEIR_OK) {
            weir_arena_unref(runs->runs[i].arena, runs->runs[i].bytes);
            return NULL;
        }
    }
    return weir_batcher_close(batcher, WEIR_BUFFER_FLUSH);
}

static enum weir_status put_batch(const struct weir_batch *batch, struct weir_buf *out)
{
    struct weir_buf request = weir_buf_grow_init(OUTPUT_MAX);
    if (weir_buf_reserve(&request, weir_batch_info(batch).bytes) == NULL) {
        return WEIR_ENOMEM;
    }
    weir_batch_encode(batch, &request);
    enum weir_status status = weir_otlp_json(weir_buf_view(&request), out);
    weir_buf_put_byte(out, '\n');
    weir_buf_done(&request);
    return status;
}

static enum weir_status put_otlp_json(struct decoding *decoding, struct weir_buf *out)
{
    struct weir_pool *pool = NULL;
    struct weir_batcher *batcher = NULL;
    WEIR_TRY(weir_pool_new(weir_batch_size(), 1, weir_batch_done, &pool));
    struct weir_batcher_options options = {
        .hints = {.size = WEIR_REGION_SIZE_MAX, .interval_ns = INT64_MAX, .points_max = 0},
        .batches = pool,
        .regions = decoding->regions,
        .budget = no_budget,
    };
    enum weir_status status = weir_batcher_new(&options, &batcher);
    if (status == WEIR_OK && decoding->runs.count > 0) {
        struct weir_batch *batch = batch_runs(batcher, &decoding->runs);
        status = batch == NULL ? WEIR_ENOMEM : put_batch(batch, out);
        weir_batch_release(batch, pool);
    }
    weir_batcher_free(batcher);
    weir_pool_free(pool);
    return status;
}

static enum weir_status put_decoded(struct decoding *decoding, struct weir_buf *out)
{
    tell_quarantined(decoding);
    if (decoding->runs.count == 0) {
        (void)fprintf(stderr, "%s: no data point in it\n", decoding->path);
    }
    if (decoding->as_points) {
        put_points(&decoding->runs, out);
        return WEIR_OK;
    }
    return put_otlp_json(decoding, out);
}

/* One body or record, in memory of its own. */
static enum weir_status decode_one(struct decoding *decoding, struct weir_bytes data, bool is_body,
                                   bool gzip, struct weir_buf *out)
{
    decoding->runs = (struct weir_runs){.count = 0};
    WEIR_TRY(weir_arena_new(decoding->regions, no_budget, 0, &decoding->arena));
    enum weir_status status =
        is_body ? decode_body(decoding, data, gzip) : decode_record(decoding, data);
    if (status == WEIR_OK) {
        status = put_decoded(decoding, out);
    }
    weir_arena_unref(decoding->arena, 0);
    return status;
}

static bool is_damage(enum weir_status status)
{
    return status == WEIR_EMALFORMED || status == WEIR_ELIMIT;
}

/* Text of somebody else's, for a terminal. */
static void tell_text(struct weir_bytes text, const char *otherwise)
{
    if (text.size == 0) {
        (void)fputs(otherwise, stderr);
    }
    for (size_t i = 0; i < text.size; i++) {
        (void)fputc(text.data[i] < 0x20 || text.data[i] == 0x7f ? '?' : text.data[i], stderr);
    }
}

/* Where a line was to go, and why it did not get there. */
static void tell_letter(const struct decoding *decoding, const struct weir_source_item *item)
{
    (void)fprintf(stderr, "%s: byte %zu: destination ", decoding->path, item->offset);
    tell_text(item->destination, "(all)");
    (void)fputs(", reason ", stderr);
    tell_text(item->reason, "(none)");
    (void)fputs(item->message.size == 0 ? "" : ": ", stderr);
    tell_text(item->message, "");
    (void)fputc('\n', stderr);
}

/* A dead letter, or an S3 backup: each line by itself; what is damaged is told, and the rest comes
 * all the same. */
static enum weir_status decode_letters(struct decoding *decoding, struct weir_source *source,
                                       struct weir_buf *out)
{
    struct weir_source_item item;
    enum weir_status result = WEIR_OK;
    enum weir_status status;
    while ((status = weir_source_next(source, &item)) != WEIR_EEND) {
        if (status == WEIR_EMALFORMED || status == WEIR_EAGAIN) {
            (void)weir_commands_failed("decode", "%.200s: byte %zu: %s", decoding->path,
                                       source->error_offset, source->error);
            result = WEIR_EMALFORMED;
            continue;
        }
        WEIR_TRY(status);
        tell_letter(decoding, &item);
        status = decode_one(decoding, item.data, item.whole_body, item.gzip, out);
        if (status != WEIR_OK && !is_damage(status)) {
            return status;
        }
        result = status == WEIR_OK ? result : status;
    }
    return result;
}

/* A segment of a spool: each request in it. */
static enum weir_status decode_segment(struct decoding *decoding, struct weir_look_segment *segment,
                                       struct weir_buf *out)
{
    struct weir_look_record found;
    enum weir_status result = WEIR_OK;
    while (weir_look_next(segment, true, &found)) {
        const struct weir_frame_record *record = &found.record;
        (void)fprintf(stderr, "%s: byte %" PRIu64 ": number %016" PRIx64 ", %" PRIu32 " points%s\n",
                      decoding->path, found.offset, record->lsn, record->points,
                      found.whole ? "" : ": the payload is damaged, or was never whole");
        enum weir_status status = WEIR_EMALFORMED;
        if (found.whole) {
            bool gzip = (record->flags & WEIR_FRAME_GZIP) != 0;
            status = decode_one(decoding, found.payload, true, gzip, out);
        }
        if (status != WEIR_OK && !is_damage(status)) {
            return status;
        }
        result = status == WEIR_OK ? result : status;
    }
    return result;
}

static enum weir_status decode_data(struct decoding *decoding, uint8_t *data, size_t size,
                                    struct weir_buf *out)
{
    struct weir_look_segment segment;
    struct weir_source source;
    enum weir_status status = weir_look_open(weir_bytes_of(data, size), &segment);
    if (status == WEIR_OK) {
        return decode_segment(decoding, &segment, out);
    }
    if (status == WEIR_EUNSUPPORTED) {
        (void)weir_commands_failed("decode",
                                   "%.200s: a spool segment of a version that this "
                                   "release cannot read",
                                   decoding->path);
        return WEIR_EMALFORMED;
    }
    weir_source_init(&source, data, size, 0);
    status = source.kind == WEIR_SOURCE_LETTERS
                 ? decode_letters(decoding, &source, out)
                 : decode_one(decoding, weir_bytes_of(data, size), source.kind == WEIR_SOURCE_BODY,
                              false, out);
    weir_source_done(&source);
    return status;
}

static bool decode_file(struct decoding *decoding, const char *path)
{
    uint8_t *data;
    size_t size;
    if (!weir_commands_read("decode", path, &data, &size)) {
        return false;
    }
    decoding->path = path;
    struct weir_buf out = weir_buf_grow_init(OUTPUT_MAX);
    enum weir_status status = decode_data(decoding, data, size, &out);
    bool printed = (status == WEIR_OK || is_damage(status)) && weir_commands_print(&out);
    if (status != WEIR_OK && !is_damage(status)) {
        (void)weir_commands_failed("decode", "%.200s: %s", path, weir_status_text(status));
    }
    weir_buf_done(&out);
    weir_mem_free(data);
    return printed && status == WEIR_OK;
}

int weir_cmd_decode(int argc, char **argv)
{
    static const struct option options[] = {
        {"as", required_argument, NULL, 'a'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct decoding decoding = {.as_points = true};
    int option;
    while ((option = weir_commands_option(argc, argv, "h", options, weir_cmd_decode_help)) != -1) {
        if (option != 'a') {
            return WEIR_EXIT_USAGE;
        }
        decoding.as_points = strcmp(optarg, "points") == 0;
        if (!decoding.as_points && strcmp(optarg, "otlp-json") != 0) {
            return weir_commands_usage("decode", "--as takes points or otlp-json, not %.60s",
                                       optarg);
        }
    }
    if (optind == argc) {
        return weir_commands_usage("decode", "which file? (- is standard input)");
    }
    if (weir_regions_new(0, &decoding.regions) != WEIR_OK) {
        return weir_commands_failed("decode", "out of memory");
    }
    bool good = true;
    for (int i = optind; i < argc; i++) {
        good = decode_file(&decoding, argv[i]) && good;
    }
    weir_regions_free(decoding.regions);
    return good ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED;
}
