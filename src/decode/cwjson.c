/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of CloudWatch JSON: split into lines, each line's values written as OTLP 1.0.
 *
 *   line ─► struct weir_cwjson_line ─► Summary point ─► collector
 *                                   └► a Gauge for each statistic that a Summary has no place for,
 *                                      right behind it
 *
 * A line is given to the quick reader, which knows what AWS writes; what that does not take is read
 * by the plain one. The plain one alone says that a line is no metric.
 *
 * Building a resource's or a metric's head for every line would cost more than the point itself, so
 * both are remembered, for as long as the request lives:
 *
 *   last                                           the stream of the line before is tried first
 *   streams   (metric_stream_name, account_id, region)     ─► scope
 *   texts     (scope, the line from namespace to metric)   ─► named metric, if its unit is right
 *   metrics   (scope, namespace, metric_name, unit)        ─► named metric, for all other lines
 *
 * A named metric is what a line's point needs of its metric, in one piece of memory: where requests
 * have thousands of metrics in any order, it is the way into memory that costs.
 *
 *   I1  a remembered string is a copy, or a view of the body, whose line is never written again
 *       once it has been read
 *   I2  one context holds for all of a request's records
 *   I3  `room` is the rest of a piece of the arena that nothing else is written to; points and
 *       named metrics are cut off it, since asking the arena costs what writing a point does
 *
 * Where the arena is full, `full` is set and the line is dropped: the request fails as a whole.
 */
#include "weir/cwjson.h"
#include "cwjson_line.h"
#include "weir/hash.h"
#include "weir/intern.h"
#include "weir/panic.h"
#include "weir/unit.h"

#define ROOM_SIZE ((size_t)16 << 10) /* at a time; below half an arena chunk */
#define ROOM_LEFT ((size_t)512)      /* for a usual point; what is less is left unused */
#define AROUND    ((size_t)96)       /* more than is written around names, besides their bytes */

struct stream {
    struct weir_bytes stream;
    struct weir_bytes account;
    struct weir_bytes region;
    struct weir_bytes text; /* the three as they stood in a line, or empty */
    const struct weir_scope *scope;
};

struct named_metric {
    const struct weir_scope *scope;
    struct weir_bytes name;
    struct weir_bytes metric_name;
    struct weir_bytes text; /* the two as they stood in a line, or empty */
    struct weir_bytes unit;
    struct weir_bytes names; /* weir_cwpoint_names_in, with slack behind */
    const struct weir_metric *metric;
};

#define RECENT_BITS 4

struct weir_cwjson_cache {
    struct weir_intern streams;
    struct weir_intern texts;
    struct weir_intern metrics;
    struct stream *recent_streams[1 << RECENT_BITS];
    struct weir_cwpoint_room room;
    struct weir_cwjson_last last;
    struct weir_cwjson_line line; /* one line's values, too large for the stack */
};

/* The Summary's type; its own statistics have no name of their own. */
static const struct weir_bytes no_statistic;

static struct weir_cwjson_cache *open_cache(struct weir_collect *collect)
{
    if (collect->cwjson == NULL) {
        struct weir_cwjson_cache *cache = weir_arena_alloc(collect->arena, sizeof(*cache), 8);
        if (cache == NULL) {
            collect->full = true;
            return NULL;
        }
        memset(cache, 0, offsetof(struct weir_cwjson_cache, line));
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
                                            const struct weir_cwjson_line *line)
{
    struct weir_cwpoint_resource parts = {
        .partition = context->partition.size > 0 ? context->partition : WEIR_BYTES("aws"),
        .arn_account = context->account.size > 0 ? context->account : line->account,
        .account = line->account,
        .region = line->region,
        .stream = line->stream,
    };
    struct weir_bytes head = weir_cwpoint_resource_head(collect->arena, &parts);
    if (head.data == NULL) {
        collect->full = true;
    }
    const struct weir_resource *resource =
        weir_collect_resource(collect, head, line->account, line->region);
    return weir_collect_scope(collect, resource, (struct weir_bytes){NULL, 0});
}

/* Copies `item` into the arena and remembers it under `hash`; NULL when there is no room. */
static void *remember(struct weir_collect *collect, struct weir_intern *intern, uint64_t hash,
                      struct weir_bytes item)
{
    void *kept = collect->full ? NULL : weir_arena_alloc(collect->arena, item.size, 8);
    if (kept == NULL) {
        collect->full = true;
        return NULL;
    }
    memcpy(kept, item.data, item.size);
    if (weir_intern_add(intern, collect->arena, hash, kept) != WEIR_OK) {
        collect->full = true;
    }
    return kept;
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

/* Whether a line's text is known; of a line that the plain reader has read there is none. */
static bool is_text(struct weir_bytes known, struct weir_bytes text)
{
    return text.size > 0 && weir_bytes_eq(known, text);
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
    if (known == NULL) {
        struct stream fresh = {.stream = line->stream,
                               .account = line->account,
                               .region = line->region,
                               .scope = build_scope(collect, context, line)};
        known = remember(collect, &cache->streams, hash, weir_bytes_of(&fresh, sizeof(fresh)));
    }
    return known;
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
    if (known == NULL || !is_text(known->text, line->stream_text)) {
        known = look_up_stream(collect, context, line);
    }
    if (known == NULL) {
        return NULL;
    }
    if (is_quick) {
        known->text = line->stream_text;
        *place = known;
        cache->last.scope = known->scope;
    }
    return known->scope;
}

/* `size` bytes of the arena at the beginning of a room, at least; its `at` NULL when it is full.
 * What is used of it is taken by end_room. */
static inline struct weir_cwpoint_room begin_room(struct weir_collect *collect, size_t size)
{
    struct weir_cwpoint_room *room = &collect->cwjson->room;
    if ((size_t)(room->end - room->at) >= size) {
        return *room;
    }
    size_t whole = size > ROOM_SIZE / 4 ? size : ROOM_SIZE;
    uint8_t *fresh = weir_arena_alloc(collect->arena, whole, _Alignof(max_align_t));
    if (fresh == NULL) {
        collect->full = true;
        return (struct weir_cwpoint_room){NULL, NULL};
    }
    struct weir_cwpoint_room ret = {fresh, fresh + whole};
    if (size <= ROOM_SIZE / 4) {
        *room = ret;
    }
    return ret;
}

/* Takes what is before `end`. */
static inline void end_room(struct weir_collect *collect, struct weir_cwpoint_room taken,
                            uint8_t *end)
{
    struct weir_cwpoint_room *room = &collect->cwjson->room;
    if (taken.at == room->at) {
        room->at = end;
    }
}

static const struct weir_metric *build_metric(struct weir_collect *collect, struct weir_metric key,
                                              const struct weir_cwpoint *point,
                                              struct weir_bytes statistic, struct weir_bytes unit)
{
    size_t size = AROUND + point->name.size + point->metric_name.size + statistic.size + unit.size;
    struct weir_cwpoint_room room = begin_room(collect, size);
    if (room.at != NULL) {
        key.head = weir_cwpoint_metric_head_in(room, point, statistic, unit);
        WEIR_ASSERT(key.head.size > 0);
    }
    return weir_collect_metric(collect, &key); /* which copies the head: the room stays as it is */
}

static struct weir_bytes copy_to(uint8_t **at, struct weir_bytes bytes)
{
    uint8_t *start = *at;
    if (bytes.size > 0) {
        memcpy(start, bytes.data, bytes.size);
    }
    *at += bytes.size;
    return weir_bytes_of(start, bytes.size);
}

/* What is remembered of the line's metric; NULL when the arena is full. */
static struct named_metric *build_named(struct weir_collect *collect,
                                        const struct weir_scope *scope,
                                        const struct weir_cwjson_line *line)
{
    const struct weir_cwpoint *point = &line->point;
    const struct weir_metric key = {.scope = scope, .data = WEIR_METRIC_SUMMARY};
    const struct weir_metric *metric =
        build_metric(collect, key, point, no_statistic, weir_unit_otlp(line->unit));
    size_t size = sizeof(struct named_metric) + line->metric_text.size + line->unit.size +
                  point->name.size + point->metric_name.size + AROUND + WEIR_CWPOINT_SLACK;
    struct weir_cwpoint_room room = begin_room(collect, size + _Alignof(struct named_metric));
    if (collect->full) {
        return NULL;
    }
    size_t skew = (uintptr_t)room.at % _Alignof(struct named_metric);
    uint8_t *start = room.at + (skew == 0 ? 0 : _Alignof(struct named_metric) - skew);
    struct named_metric *named = (struct named_metric *)(void *)start;
    uint8_t *at = start + sizeof(*named);
    named->scope = scope;
    named->metric = metric;
    named->name = point->name;
    named->metric_name = point->metric_name;
    named->text = copy_to(&at, line->metric_text);
    named->unit = copy_to(&at, line->unit);
    named->names = weir_cwpoint_names_in((struct weir_cwpoint_room){at, room.end}, point);
    WEIR_ASSERT(named->names.size > 0);
    at += named->names.size + WEIR_CWPOINT_SLACK;
    WEIR_ASSERT(at <= room.end);
    end_room(collect, room, at);
    return named;
}

/* The same, added to one of the tables. */
static struct named_metric *add_named(struct weir_collect *collect, struct weir_intern *intern,
                                      uint64_t hash, const struct weir_scope *scope,
                                      const struct weir_cwjson_line *line)
{
    struct named_metric *named = build_named(collect, scope, line);
    if (named != NULL && weir_intern_add(intern, collect->arena, hash, named) != WEIR_OK) {
        collect->full = true;
        return NULL;
    }
    return named;
}

static bool metric_is(const struct named_metric *metric, const struct weir_scope *scope,
                      const struct weir_cwjson_line *line)
{
    return metric->scope == scope && weir_bytes_eq(metric->metric_name, line->point.metric_name) &&
           weir_bytes_eq(metric->name, line->point.name) && weir_bytes_eq(metric->unit, line->unit);
}

/* By all that makes a metric. */
static const struct named_metric *look_up_metric(struct weir_collect *collect,
                                                 const struct weir_scope *scope,
                                                 const struct weir_cwjson_line *line)
{
    struct weir_intern *intern = &collect->cwjson->metrics;
    const struct weir_cwpoint *point = &line->point;
    uint64_t hash = weir_hash_mix(
        weir_hash_mix(scope->hash, weir_hash_quick(point->name)),
        weir_hash_mix(weir_hash_quick(point->metric_name), weir_hash_quick(line->unit)));
    uint32_t at = 0;
    const struct named_metric *known = weir_intern_first(intern, hash, &at);
    while (known != NULL && !metric_is(known, scope, line)) {
        known = weir_intern_next(intern, hash, &at);
    }
    return known != NULL ? known : add_named(collect, intern, hash, scope, line);
}

/* A look-up by the line's text. */
struct looked_up {
    const struct weir_scope *scope;   /* NULL: not looked up yet */
    const struct named_metric *known; /* whatever its unit; NULL: none so far */
    uint64_t hash;
};

static inline struct looked_up look_up_text(const struct weir_cwjson_cache *cache,
                                            const struct weir_scope *scope,
                                            const struct weir_cwjson_line *line)
{
    uint64_t hash = weir_hash_mix(scope->hash, weir_hash_quick(line->metric_text));
    uint32_t at = 0;
    const struct named_metric *known = weir_intern_first(&cache->texts, hash, &at);
    while (known != NULL &&
           (known->scope != scope || !weir_bytes_eq(known->text, line->metric_text))) {
        known = weir_intern_next(&cache->texts, hash, &at);
    }
    return (struct looked_up){scope, known, hash};
}

/* The line's Summary metric; NULL when the arena is full. A text has one unit, nearly always; the
 * first one's is known by the text, others in full. */
static inline const struct named_metric *find_metric(struct weir_collect *collect,
                                                     const struct weir_scope *scope,
                                                     const struct weir_cwjson_line *line,
                                                     struct looked_up text)
{
    if (line->metric_text.size == 0) {
        return look_up_metric(collect, scope, line);
    }
    if (text.scope == NULL) {
        text = look_up_text(collect->cwjson, scope, line);
    }
    if (text.known == NULL) {
        return add_named(collect, &collect->cwjson->texts, text.hash, scope, line);
    }
    return weir_bytes_eq(text.known->unit, line->unit) ? text.known
                                                       : look_up_metric(collect, scope, line);
}

static void put_point(struct weir_collect *collect, const struct weir_metric *metric,
                      const struct weir_cwpoint *point, struct weir_bytes data)
{
    if (data.data == NULL) {
        collect->full = true;
        return;
    }
    weir_collect_point(collect, metric, point->name, data, (int64_t)point->time_ns);
}

/* The line's Summary, written where there is room. */
static struct weir_bytes write_summary(struct weir_collect *collect,
                                       const struct weir_cwpoint *point)
{
    struct weir_cwpoint_room room = begin_room(collect, ROOM_LEFT);
    if (room.at == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    struct weir_bytes data = weir_cwpoint_summary_in(room, point);
    if (data.size == 0) {
        return weir_cwpoint_summary(collect->arena, point, 0, NULL);
    }
    end_room(collect, room, room.at + data.size);
    return data;
}

static void put_line(struct weir_collect *collect, const struct weir_cwjson_context *context,
                     struct weir_cwjson_line *line, struct looked_up text)
{
    struct weir_cwpoint *point = &line->point;
    const struct weir_scope *scope = find_scope(collect, context, line);
    const struct named_metric *named =
        scope == NULL ? NULL : find_metric(collect, scope, line, text);
    if (named == NULL) {
        WEIR_ASSERT(collect->full);
        return;
    }
    point->names = named->names;
    point->has_slack = line->metric_text.size > 0;
    put_point(collect, named->metric, point, write_summary(collect, point));
    for (uint32_t i = 0; i < line->extra_count && !collect->full; i++) {
        struct weir_metric key = {.scope = scope, .data = WEIR_METRIC_GAUGE};
        const struct weir_metric *metric =
            build_metric(collect, key, point, line->extra[i].key,
                         weir_cwjson_statistic_unit(line->extra[i].key, line->unit));
        put_point(collect, metric, point,
                  weir_cwpoint_gauge(collect->arena, point, line->extra[i].value));
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

static void decode_line(struct weir_collect *collect, const struct weir_cwjson_context *context,
                        struct weir_bytes text, uint32_t record_index)
{
    enum weir_quarantine reason = WEIR_QUARANTINE_JSON_LINE;
    struct weir_cwjson_line *line = &collect->cwjson->line;
    if (is_blank(text)) {
        return;
    }
    /* the record is mutable (weir/cwjson.h); views are read-only only by their type */
    if (weir_cwjson_line_read((uint8_t *)(uintptr_t)text.data, text.size, line, &reason)) {
        put_line(collect, context, line, (struct looked_up){NULL, NULL, 0});
    } else {
        weir_tally_quarantine(collect->tally, reason, record_index, text);
    }
}

/* What comes after the first line, or NULL where the quick reader does not take it. The metric is
 * looked up before the values are read: the way to it and the reading go on side by side. */
static inline const uint8_t *decode_quick(struct weir_collect *collect,
                                          const struct weir_cwjson_context *context,
                                          struct weir_bytes rest)
{
    struct weir_cwjson_cache *cache = collect->cwjson;
    const uint8_t *end = rest.data + rest.size;
    const uint8_t *at = weir_cwjson_line_quick(rest.data, end, &cache->last, &cache->line);
    struct looked_up text = {NULL, NULL, 0};
    if (at != NULL && cache->last.scope != NULL) {
        text = look_up_text(cache, cache->last.scope, &cache->line);
        __builtin_prefetch(text.known == NULL ? NULL : text.known->metric);
    }
    at = weir_cwjson_line_quick_rest(at, end, &cache->last, &cache->line);
    if (at != NULL) {
        put_line(collect, context, &cache->line, text);
    }
    return at;
}

void weir_cwjson_decode(struct weir_collect *collect, struct weir_cwjson_context context,
                        struct weir_bytes record, uint32_t record_index)
{
    struct weir_bytes rest = record;
    if (open_cache(collect) == NULL) {
        return;
    }
    while (rest.size > 0 && !collect->full) {
        const uint8_t *end = rest.data + rest.size;
        const uint8_t *next = decode_quick(collect, &context, rest);
        if (next == NULL) {
            const uint8_t *feed = memchr(rest.data, '\n', rest.size);
            size_t size = feed == NULL ? rest.size : (size_t)(feed - rest.data);
            decode_line(collect, &context, weir_bytes_of(rest.data, size), record_index);
            next = rest.data + size + (feed != NULL);
        }
        rest = weir_bytes_of(next, (size_t)(end - next));
    }
}
