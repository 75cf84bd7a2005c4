/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of CloudWatch JSON: split into lines, each line's values written as OTLP 1.0.
 *
 *   line ─► struct weir_cwjson_line ─► Summary point, its metric's head ─► waiting ─► collector
 *                                   └► a Gauge for each statistic that a Summary has no place for,
 *                                      right behind it
 *
 * A line is given to the quick reader, which knows what AWS writes; what that does not take is read
 * by the plain one. The plain one alone says that a line is no metric.
 *
 * Where requests have thousands of metrics in any order, it is the way into memory that costs.
 * Therefore
 *
 *   - Summaries wait until there are sixteen, and their metrics are looked up together
 *     (weir_collect_ask). Nothing but the collector's table is remembered of a metric
 *   - a point is written over lines that were read before it, which the processor still has at hand
 *
 *         record  [ point point point |      spare      | line being read | lines ... ]
 *
 *     and into the arena where it does not fit there, as the first one's
 *
 * Resources and units are few, and building a resource's head costs more than a point, so they are
 * remembered for as long as the request lives:
 *
 *   last                                           the stream of the line before is tried first
 *   streams   (metric_stream_name, account_id, region)     ─► scope
 *   units     CloudWatch's                                 ─► OTLP's, to be copied in one step
 *
 *   I1  nothing is kept as a view of a line that was a metric; one that was none stays as it is,
 *       and so does all before it
 *   I2  one context holds for all of a request's records
 *   I3  points reach the collector in the order of their lines, and all of a record's before
 *       weir_cwjson_decode returns
 *
 * Where the arena is full, `full` is set and the line is dropped: the request fails as a whole.
 */
#include "weir/cwjson.h"
#include "collect_quick.h"
#include "cwjson_line.h"
#include "weir/hash.h"
#include "weir/intern.h"
#include "weir/panic.h"
#include "weir/unit.h"

#define AROUND    ((size_t)96)  /* more than is written around names, besides their bytes */
#define HEAD_SIZE ((size_t)256) /* for a usual metric's head */

struct stream {
    struct weir_bytes stream;
    struct weir_bytes account;
    struct weir_bytes region;
    struct weir_bytes text; /* the three as they stand in a line, or empty */
    const struct weir_scope *scope;
};

/* A Summary that the collector does not have yet. */
struct waiting_point {
    struct weir_bytes data;
    size_t name_size; /* of the namespace, which stands in the metric's head */
    int64_t time_ns;
};

struct waiting {
    uint32_t count;
    struct weir_metric keys[WEIR_COLLECT_TOGETHER];
    struct waiting_point points[WEIR_COLLECT_TOGETHER];
    uint8_t heads[WEIR_COLLECT_TOGETHER][HEAD_SIZE]; /* the keys' heads, where they fit */
};

#define RECENT_BITS 4
#define UNIT_SIZE   ((size_t)16) /* CloudWatch's own are not longer */

/* A unit that lines have had lately, with slack behind what it is in OTLP. */
struct unit {
    struct weir_bytes cloudwatch; /* in `text` */
    struct weir_bytes otlp;       /* in `field` */
    uint8_t text[UNIT_SIZE];
    uint8_t field[UNIT_SIZE + WEIR_CWPOINT_SLACK];
};

struct weir_cwjson_cache {
    struct weir_intern streams;
    struct stream *recent_streams[1 << RECENT_BITS];
    struct unit recent_units[1 << RECENT_BITS];
    struct weir_cwjson_last last;
    struct weir_cwjson_line *line; /* one line's values, too large for the stack */
};

/* A record under way. */
struct record {
    struct weir_collect *collect;
    const struct weir_cwjson_context *context;
    struct weir_cwpoint_room spare; /* of the record: nobody needs what stands there any more */
    uint32_t index;
    struct waiting waiting;
};

/* The Summary's type; its own statistics have no name of their own. */
static const struct weir_bytes no_statistic;

/* In two pieces, so that the smallest of arenas has both in its chunks. */
static struct weir_cwjson_cache *open_cache(struct weir_collect *collect)
{
    if (collect->cwjson == NULL) {
        struct weir_cwjson_cache *cache = weir_arena_alloc(collect->arena, sizeof(*cache), 8);
        struct weir_cwjson_line *line = weir_arena_alloc(collect->arena, sizeof(*line), 8);
        if (cache == NULL || line == NULL) {
            collect->full = true;
            return NULL;
        }
        memset(cache, 0, sizeof(*cache));
        cache->line = line;
        collect->cwjson = cache;
    }
    return collect->cwjson;
}

static bool stream_is(const struct stream *stream, const struct weir_cwjson_line *line)
{
    return weir_bytes_eq(stream->account, line->account) &&
           weir_bytes_eq(stream->region, line->region) &&
           weir_bytes_eq(stream->stream, line->stream);
}

static const struct weir_scope *build_scope(struct weir_collect *collect,
                                            const struct weir_cwjson_context *context,
                                            const struct stream *stream)
{
    struct weir_cwpoint_resource parts = {
        .partition = context->partition.size > 0 ? context->partition : WEIR_BYTES("aws"),
        .arn_account = context->account.size > 0 ? context->account : stream->account,
        .account = stream->account,
        .region = stream->region,
        .stream = stream->stream,
    };
    struct weir_bytes head = weir_cwpoint_resource_head(collect->arena, &parts);
    if (head.data == NULL) {
        collect->full = true;
    }
    const struct weir_resource *resource =
        weir_collect_resource(collect, head, stream->account, stream->region);
    return weir_collect_scope(collect, resource, (struct weir_bytes){NULL, 0});
}

/* A copy in the arena; empty, with `full` set, where there is no room. */
static struct weir_bytes keep_text(struct weir_collect *collect, struct weir_bytes text)
{
    uint8_t *kept = weir_arena_alloc(collect->arena, text.size + 1, 1);
    if (kept == NULL) {
        collect->full = true;
        return (struct weir_bytes){NULL, 0};
    }
    if (text.size > 0) {
        memcpy(kept, text.data, text.size);
    }
    return weir_bytes_of(kept, text.size);
}

/* Remembers the line's stream; NULL when there is no room. */
static struct stream *add_stream(struct weir_collect *collect,
                                 const struct weir_cwjson_context *context, uint64_t hash,
                                 const struct weir_cwjson_line *line)
{
    struct stream *added =
        weir_arena_alloc(collect->arena, sizeof(*added), _Alignof(struct stream));
    if (added == NULL) {
        collect->full = true;
        return NULL;
    }
    *added = (struct stream){.stream = keep_text(collect, line->stream),
                             .account = keep_text(collect, line->account),
                             .region = keep_text(collect, line->region)};
    added->scope = build_scope(collect, context, added);
    if (collect->full ||
        weir_intern_add(&collect->cwjson->streams, collect->arena, hash, added) != WEIR_OK) {
        collect->full = true;
        return NULL;
    }
    return added;
}

/* A few bytes of a text, as a number: its first and its last ones. */
static uint64_t glance(struct weir_bytes text)
{
    uint64_t first = 0;
    uint64_t last = 0;
    if (text.size >= sizeof(first)) {
        memcpy(&first, text.data, sizeof(first));
        memcpy(&last, text.data + text.size - sizeof(last), sizeof(last));
    } else if (text.size > 0) {
        first = (uint64_t)text.data[0] << 8 | text.data[text.size / 2];
        last = text.data[text.size - 1];
    }
    return weir_hash_mix(first + text.size, last);
}

/* An index of `recent`. */
static size_t place_of(uint64_t glances)
{
    return (size_t)(glances * UINT64_C(0x9e3779b97f4a7c15) >> (64 - RECENT_BITS));
}

/* By the table, which holds all of them. */
static struct stream *look_up_stream(struct weir_collect *collect,
                                     const struct weir_cwjson_context *context,
                                     const struct weir_cwjson_line *line)
{
    struct weir_cwjson_cache *cache = collect->cwjson;
    uint64_t hash =
        weir_hash_mix(weir_hash_mix(weir_hash_quick(line->stream), weir_hash_quick(line->account)),
                      weir_hash_quick(line->region));
    uint32_t at = 0;
    struct stream *known = weir_intern_first(&cache->streams, hash, &at);
    while (known != NULL && !stream_is(known, line)) {
        known = weir_intern_next(&cache->streams, hash, &at);
    }
    return known != NULL ? known : add_stream(collect, context, hash, line);
}

/* The scope that the line's points hang on; NULL when the arena is full. */
static const struct weir_scope *find_scope(struct weir_collect *collect,
                                           const struct weir_cwjson_context *context,
                                           const struct weir_cwjson_line *line)
{
    struct weir_cwjson_cache *cache = collect->cwjson;
    bool is_quick = line->stream_text.size > 0;
    if (is_quick && cache->last.scope != NULL) {
        return cache->last.scope;
    }
    struct stream **place =
        &cache->recent_streams[place_of(glance(line->account) ^ glance(line->region) << 1)];
    struct stream *known = *place;
    if (known == NULL || !is_quick || !weir_bytes_eq(known->text, line->stream_text)) {
        known = look_up_stream(collect, context, line);
    }
    if (known == NULL) {
        return NULL;
    }
    if (is_quick) {
        known->text = known->text.size > 0 ? known->text : keep_text(collect, line->stream_text);
        *place = known;
        cache->last.scope = known->scope;
    }
    return known->scope;
}

static void remember_unit(struct unit *unit, struct weir_bytes cloudwatch)
{
    struct weir_bytes otlp = weir_unit_otlp(cloudwatch);
    memcpy(unit->text, cloudwatch.data, cloudwatch.size);
    memcpy(unit->field, otlp.data, otlp.size);
    unit->cloudwatch = weir_bytes_of(unit->text, cloudwatch.size);
    unit->otlp = weir_bytes_of(unit->field, otlp.size);
}

/* What is remembered of a unit; NULL for one of no usual size. */
static inline const struct unit *find_unit(struct weir_cwjson_cache *cache, struct weir_bytes text)
{
    if (text.size == 0 || text.size > UNIT_SIZE) {
        return NULL;
    }
    size_t place = 4 * text.size + text.data[0] + 2 * (size_t)text.data[text.size / 2];
    struct unit *unit = &cache->recent_units[place % (1 << RECENT_BITS)];
    if (!weir_bytes_eq_short(unit->cloudwatch, text)) {
        remember_unit(unit, text);
    }
    return unit;
}

/* The head of a metric that the line's points are of, in `heads`, or where that is too small in the
 * arena. Empty when the arena is full. */
static inline struct weir_bytes write_head(struct weir_collect *collect,
                                           const struct weir_cwpoint *point,
                                           struct weir_bytes statistic, struct weir_bytes unit,
                                           uint8_t heads[HEAD_SIZE])
{
    const struct weir_cwpoint_room usual = {heads, heads + HEAD_SIZE};
    struct weir_bytes head = weir_cwpoint_metric_head_in(usual, point, statistic, unit);
    if (head.size > 0) {
        return head;
    }
    size_t size = AROUND + point->name.size + point->metric_name.size + statistic.size + unit.size;
    uint8_t *data = weir_arena_alloc(collect->arena, size, 1);
    if (data != NULL) {
        head = weir_cwpoint_metric_head_in((struct weir_cwpoint_room){data, data + size}, point,
                                           statistic, unit);
        WEIR_ASSERT(head.size > 0);
    }
    return head;
}

/* The head of the line's Summary. Of a line that has slack, without a branch for each size. */
static inline struct weir_bytes write_summary_head(struct weir_collect *collect,
                                                   const struct weir_cwjson_line *line,
                                                   uint8_t heads[HEAD_SIZE])
{
    const struct weir_cwpoint_room usual = {heads, heads + HEAD_SIZE};
    struct weir_bytes head = {NULL, 0};
    const struct unit *unit = line->point.has_slack ? find_unit(collect->cwjson, line->unit) : NULL;
    if (unit != NULL) {
        head = weir_cwpoint_slack_head_in(usual, &line->point, unit->otlp);
    }
    return head.size > 0
               ? head
               : write_head(collect, &line->point, no_statistic, weir_unit_otlp(line->unit), heads);
}

/* The namespace stands in the metric's head, which the collector has copied behind more than it
 * wants to read before it. */
static inline void put_point(struct weir_collect *collect, const struct weir_metric *metric,
                             const struct waiting_point *point)
{
    if (!collect->full) {
        weir_collect_roomy_point(collect, metric,
                                 weir_cwpoint_head_name(metric->head, point->name_size),
                                 point->data, point->time_ns);
    }
}

/* Gives all that waits to the collector. */
static void hand_over(struct weir_collect *collect, struct waiting *waiting)
{
    const struct weir_metric *known[WEIR_COLLECT_TOGETHER];
    weir_collect_ask(collect, waiting->keys, waiting->count);
    weir_collect_find(collect, waiting->keys, waiting->count, known);
    for (uint32_t i = 0; i < waiting->count; i++) {
        if (known[i] == NULL) {
            known[i] = weir_collect_asked(collect, &waiting->keys[i]);
        }
        put_point(collect, known[i], &waiting->points[i]);
    }
    waiting->count = 0;
}

/* The line's Summary, written where there is room; empty when the arena is full. */
static struct weir_bytes write_summary(struct record *record, const struct weir_cwpoint *point)
{
    struct weir_bytes data = weir_cwpoint_summary_in(record->spare, point);
    if (data.size > 0) {
        record->spare.at += data.size;
        return data;
    }
    return weir_cwpoint_summary(record->collect->arena, point, 0, NULL);
}

/* The Gauges of a line, whose Summary is with the collector. */
static void put_extra(struct weir_collect *collect, const struct weir_scope *scope,
                      const struct weir_cwjson_line *line)
{
    const struct weir_cwpoint *point = &line->point;
    uint8_t heads[HEAD_SIZE];
    for (uint32_t i = 0; i < line->extra_count && !collect->full; i++) {
        const struct weir_cwjson_value *extra = &line->extra[i];
        struct weir_metric key = {.scope = scope, .data = WEIR_METRIC_GAUGE};
        key.head = write_head(collect, point, extra->key,
                              weir_cwjson_statistic_unit(extra->key, line->unit), heads);
        struct waiting_point gauge = {weir_cwpoint_gauge(collect->arena, point, extra->value),
                                      point->name.size, (int64_t)point->time_ns};
        collect->full = collect->full || key.head.size == 0 || gauge.data.size == 0;
        if (!collect->full) {
            put_point(collect, weir_collect_metric(collect, &key), &gauge);
        }
    }
}

static void put_line(struct record *record, struct weir_cwjson_line *line)
{
    struct weir_collect *collect = record->collect;
    struct waiting *waiting = &record->waiting;
    const struct weir_scope *scope = find_scope(collect, record->context, line);
    uint32_t at = waiting->count;
    struct weir_metric *key = &waiting->keys[at];
    *key = (struct weir_metric){.scope = scope, .data = WEIR_METRIC_SUMMARY};
    line->point.has_slack = line->stream_text.size > 0;
    key->head = write_summary_head(collect, line, waiting->heads[at]);
    waiting->points[at] = (struct waiting_point){
        write_summary(record, &line->point), line->point.name.size, (int64_t)line->point.time_ns};
    collect->full = collect->full || key->head.size == 0 || waiting->points[at].data.size == 0;
    if (collect->full) {
        return;
    }
    waiting->count++;
    if (waiting->count == WEIR_COLLECT_TOGETHER || line->extra_count > 0) {
        hand_over(collect, waiting);
        put_extra(collect, scope, line);
    }
}

static bool is_blank(struct weir_bytes line)
{
    for (size_t i = 0; i < line.size; i++) {
        uint8_t byte = line.data[i];
        if (byte != ' ' && byte != '\t' && byte != '\r') {
            return false;
        }
    }
    return true;
}

/* Reads `text`, a line that the quick reader has left. */
static void decode_line(struct record *record, uint8_t *text, size_t size)
{
    enum weir_quarantine reason = WEIR_QUARANTINE_JSON_LINE;
    struct weir_collect *collect = record->collect;
    struct weir_cwjson_line *line = collect->cwjson->line;
    if (is_blank(weir_bytes_of(text, size))) {
        return;
    }
    if (weir_cwjson_line_read(text, size, line, &reason)) {
        put_line(record, line);
    } else {
        weir_tally_quarantine(collect->tally, reason, record->index, weir_bytes_of(text, size));
        record->spare.at = text + size; /* the tally keeps a view */
    }
}

/* Takes the first line of [at, end); what comes after it. */
static inline uint8_t *take_line(struct record *record, uint8_t *at, uint8_t *end)
{
    struct weir_cwjson_cache *cache = record->collect->cwjson;
    record->collect->parts++;
    const uint8_t *next = weir_cwjson_line_quick(at, end, &cache->last, cache->line);
    if (next != NULL) {
        put_line(record, cache->line);
        return at + (next - at);
    }
    const uint8_t *feed = memchr(at, '\n', (size_t)(end - at));
    size_t size = feed == NULL ? (size_t)(end - at) : (size_t)(feed - at);
    decode_line(record, at, size);
    return at + size + (feed != NULL);
}

void weir_cwjson_decode(struct weir_collect *collect, struct weir_cwjson_context context,
                        struct weir_bytes record, uint32_t record_index)
{
    if (open_cache(collect) == NULL) {
        return;
    }
    /* the record is mutable (weir/cwjson.h); views are read-only only by their type */
    uint8_t *at = (uint8_t *)(uintptr_t)record.data;
    uint8_t *end = at + record.size;
    struct record under_way; /* not zeroed: it is large */
    under_way.collect = collect;
    under_way.context = &context;
    under_way.spare.at = at;
    under_way.index = record_index;
    under_way.waiting.count = 0;
    while (at < end && !collect->full) {
        under_way.spare.end = at;
        at = take_line(&under_way, at, end);
    }
    hand_over(collect, &under_way.waiting);
}
