/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir decode`: what a file holds, decoded exactly as the service decodes it.
 *
 *   file ─(gzip off)─┬─► a body ───► weir_body_decode ───► runs ─┬─► points: a JSON line each
 *                    └─► a record ─► weir_record_decode ─► runs ─┴─► otlp-json: one request
 *
 * What is a body: text whose first letter is { and that names "records". All else is one record,
 * as Firehose would carry it: newline-delimited JSON, or delimited OTLP of either version. What
 * is quarantined is told on standard error with its reason.
 *
 *   I1  memory has no budget here: whoever decodes a file on a desk wants all of it
 *   I2  nothing is printed of a body that is damaged; the exit code is 1 then
 *
 * A record that holds no metric is no failure: the file was read, and what it is has been told.
 *
 * Main thread.
 */
#include "commands_internal.h"
#include "point_json.h"
#include "weir/batcher.h"
#include "weir/body.h"
#include "weir/encode.h"
#include "weir/mem.h"
#include "weir/otlp_json.h"
#include "weir/panic.h"
#include "weir/record.h"
#include <inttypes.h>
#include <stdio.h>

const char weir_cmd_decode_help[] =
    "weir decode [--as points|otlp-json] FILE...: shows what files hold\n"
    "\n"
    "      --as points      one JSON line a data point, keys sorted (the default)\n"
    "      --as otlp-json   one OTLP/JSON request a file\n"
    "\n"
    "A FILE (- is standard input; gzip is recognised) is a Firehose request's body, or one "
    "record:\n"
    "CloudWatch JSON lines, or OTLP 0.7 or 1.0, delimited. What holds no metric is told on\n"
    "standard error with the reason.\n"
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

static bool is_body(struct weir_bytes data)
{
    size_t at = 0;
    while (at < data.size && strchr(" \t\r\n", data.data[at]) != NULL && data.data[at] != 0) {
        at++;
    }
    return at < data.size && data.data[at] == '{' &&
           memmem(data.data, data.size, "\"records\"", 9) != NULL;
}

static enum weir_status decode_body(struct decoding *decoding, struct weir_bytes data)
{
    struct weir_inflater *inflater;
    struct weir_body_result result;
    struct weir_body_options options = {
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

static enum weir_status decode_data(struct decoding *decoding, struct weir_bytes data,
                                    struct weir_buf *out)
{
    WEIR_TRY(is_body(data) ? decode_body(decoding, data) : decode_record(decoding, data));
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

static bool decode_file(struct decoding *decoding, const char *path)
{
    uint8_t *data;
    size_t size;
    if (!weir_commands_read("decode", path, &data, &size)) {
        return false;
    }
    decoding->path = path;
    decoding->runs = (struct weir_runs){.count = 0};
    struct weir_buf out = weir_buf_grow_init(OUTPUT_MAX);
    enum weir_status status = weir_arena_new(decoding->regions, no_budget, 0, &decoding->arena);
    if (status == WEIR_OK) {
        status = decode_data(decoding, weir_bytes_of(data, size), &out);
        weir_arena_unref(decoding->arena, 0);
    }
    bool printed = status == WEIR_OK && weir_commands_print(&out);
    if (status != WEIR_OK && status != WEIR_EMALFORMED && status != WEIR_ELIMIT) {
        (void)weir_commands_failed("decode", "%.200s: %s", path, weir_status_text(status));
    }
    weir_buf_done(&out);
    weir_mem_free(data);
    return printed;
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
