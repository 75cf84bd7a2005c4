/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a series is called, and which number a point has.
 *
 *   point  ─► text[] : stream, accounts, id, zone   (the rest are views into the catalog)
 *   find   ─► namespace by its name's hash, metric by its name (at most two dozen), the id's digits
 *             unmixed to resource and entity; minute from the time
 *
 *   I1  find(point(n)) = n; and what find accepts is, in those four properties, the point it says
 *
 * Pure. What find is given comes from outside: no size or digit of it is trusted.
 */
#include "traffic_internal.h"
#include "weir/panic.h"

#include <stdio.h>

#define ID_DIGITS 16

/* Text of a point, piece by piece. */
struct text {
    struct weir_traffic_point *point;
    size_t size;
};

static struct weir_bytes put(struct text *text, struct weir_bytes bytes)
{
    char *at = text->point->text + text->size;
    WEIR_ASSERT(bytes.size <= sizeof(text->point->text) - text->size);
    memcpy(at, bytes.data, bytes.size);
    text->size += bytes.size;
    return weir_bytes_of(at, bytes.size);
}

static struct weir_bytes put_decimal(struct text *text, uint64_t value, size_t digits)
{
    uint8_t decimal[20];
    for (size_t i = digits; i > 0; i--) {
        decimal[i - 1] = (uint8_t)('0' + value % 10);
        value /= 10;
    }
    return put(text, weir_bytes_of(decimal, digits));
}

static struct weir_bytes put_id(struct text *text, struct weir_bytes before, uint64_t bits)
{
    uint8_t digits[ID_DIGITS];
    for (int i = 0; i < ID_DIGITS; i++) {
        digits[i] = (uint8_t) "0123456789abcdef"[bits >> (60 - 4 * i) & 15];
    }
    struct weir_bytes start = put(text, before);
    (void)put(text, weir_bytes_of(digits, sizeof(digits)));
    return weir_bytes_of(start.data, before.size + ID_DIGITS);
}

static const struct weir_bytes regions[] = {
    WEIR_BYTES_INIT("eu-central-1"),   WEIR_BYTES_INIT("us-east-1"),
    WEIR_BYTES_INIT("eu-west-1"),      WEIR_BYTES_INIT("us-west-2"),
    WEIR_BYTES_INIT("ap-southeast-2"), WEIR_BYTES_INIT("ap-northeast-1"),
    WEIR_BYTES_INIT("sa-east-1"),      WEIR_BYTES_INIT("ca-central-1")};

static const struct weir_bytes words[] = {
    WEIR_BYTES_INIT("checkout"), WEIR_BYTES_INIT("v1"),       WEIR_BYTES_INIT("primary"),
    WEIR_BYTES_INIT("ingest"),   WEIR_BYTES_INIT("0"),        WEIR_BYTES_INIT("GET"),
    WEIR_BYTES_INIT("search"),   WEIR_BYTES_INIT("standard"), WEIR_BYTES_INIT("prod"),
    WEIR_BYTES_INIT("replica"),  WEIR_BYTES_INIT("Global"),   WEIR_BYTES_INIT("payments-api"),
    WEIR_BYTES_INIT("default"),  WEIR_BYTES_INIT("node-17"),  WEIR_BYTES_INIT("batch-worker"),
    WEIR_BYTES_INIT("staging")};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Twelve digits for resource `resource` of a stream; that of resource 0 is the stream's own. */
static uint64_t account_of(const struct weir_traffic *traffic, uint32_t stream, uint32_t resource)
{
    uint64_t global = (uint64_t)stream * traffic->options.resources + resource;
    uint64_t hash = weir_traffic_mix(traffic->options.seed ^ weir_traffic_mix(~global));
    return UINT64_C(100000000000) + hash % UINT64_C(899999999999);
}

static struct weir_bytes region_of(const struct weir_traffic *traffic, uint32_t stream,
                                   uint32_t resource)
{
    return regions[(traffic->options.seed + stream + resource) % COUNT_OF(regions)];
}

static void name_resource(const struct weir_traffic *traffic,
                          const struct weir_traffic_place *place, struct text *text)
{
    struct weir_traffic_point *point = text->point;
    struct weir_bytes before = put(text, WEIR_BYTES("metrics-"));
    point->stream =
        weir_bytes_of(before.data, before.size + put_decimal(text, place->stream, 5).size);
    point->owner = put_decimal(text, account_of(traffic, place->stream, 0), 12);
    point->account = point->owner;
    if (place->resource != 0) {
        point->account = put_decimal(text, account_of(traffic, place->stream, place->resource), 12);
    }
    point->region = region_of(traffic, place->stream, place->resource);
}

/* The second and third dimension: few values, the same for all metrics of an entity. */
static struct weir_bytes other_value(struct text *text, struct weir_bytes key, uint64_t hash)
{
    if (!weir_bytes_eq(key, WEIR_BYTES("AvailabilityZone"))) {
        return words[hash % COUNT_OF(words)];
    }
    struct weir_bytes zone = put(text, text->point->region);
    const uint8_t letter = (uint8_t)('a' + hash % 3);
    (void)put(text, weir_bytes_of(&letter, 1));
    return weir_bytes_of(zone.data, zone.size + 1);
}

static void name_series(const struct weir_traffic_space *space,
                        const struct weir_traffic_place *place, struct text *text)
{
    struct weir_traffic_point *point = text->point;
    const struct weir_catalog_namespace *entry = space->entry;
    const struct weir_catalog_metric *metric = &entry->metrics[place->series % entry->count];
    const struct weir_catalog_unit_names *unit = weir_catalog_unit(metric->unit);
    uint64_t id =
        weir_traffic_scramble(place->global << 32 | place->series / entry->count, space->key);
    point->name = space->name;
    point->metric = metric->name;
    point->unit = unit->cloudwatch;
    point->otlp_unit = unit->otlp;
    point->dimensions = metric->dimensions;
    point->keys[0] = entry->keys[0];
    point->values[0] = put_id(text, entry->id, id);
    for (uint32_t i = 1; i < metric->dimensions; i++) {
        point->keys[i] = entry->keys[i];
        point->values[i] = other_value(text, entry->keys[i], id >> 8 * i & 0xff);
    }
}

void weir_traffic_point(const struct weir_traffic *traffic, uint64_t number,
                        struct weir_traffic_point *ret)
{
    uint64_t minute = number / traffic->series;
    WEIR_ASSERT(minute < WEIR_TRAFFIC_MINUTE_MAX);
    struct weir_traffic_place place = weir_traffic_place_at(traffic, number % traffic->series);
    const struct weir_traffic_space *space = &traffic->spaces[place.space];
    struct text text = {ret, 0};
    ret->number = number;
    ret->start_ms = traffic->options.start_ms + (int64_t)minute * WEIR_TRAFFIC_MINUTE_MS;
    name_resource(traffic, &place, &text);
    name_series(space, &place, &text);
    uint64_t seed = traffic->options.seed;
    weir_traffic_values(space->entry->metrics[place.series % space->entry->count].kind,
                        weir_traffic_mix(seed ^ weir_traffic_mix(place.position)),
                        weir_traffic_mix(~seed ^ weir_traffic_mix(number)),
                        traffic->options.without_percentiles, ret);
}

/* The bits that an id's sixteen digits say. */
static bool read_id(struct weir_bytes value, struct weir_bytes before, uint64_t *ret)
{
    if (value.size != before.size + ID_DIGITS || !weir_bytes_starts_with(value, before)) {
        return false;
    }
    uint64_t bits = 0;
    for (size_t i = before.size; i < value.size; i++) {
        uint8_t c = value.data[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return false;
        }
        bits = bits << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret = bits;
    return true;
}

static bool find_metric(const struct weir_catalog_namespace *entry, struct weir_bytes name,
                        uint32_t *ret)
{
    for (uint32_t i = 0; i < entry->count; i++) {
        if (weir_bytes_eq(entry->metrics[i].name, name)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool find_series(const struct weir_traffic *traffic, const struct weir_traffic_point *point,
                        struct weir_traffic_place *place)
{
    const struct weir_traffic_space *space = weir_traffic_space_find(traffic, point->name);
    uint32_t metric = 0;
    uint64_t bits = 0;
    if (space == NULL || !find_metric(space->entry, point->metric, &metric) ||
        !read_id(point->values[0], space->entry->id, &bits)) {
        return false;
    }
    uint64_t code = weir_traffic_unscramble(traffic, bits, space->key);
    uint64_t global = code >> 32;
    if (global >= (uint64_t)traffic->options.streams * traffic->options.resources) {
        return false;
    }
    place->stream = (uint32_t)(global / traffic->options.resources);
    place->resource = (uint32_t)(global % traffic->options.resources);
    place->space = (uint32_t)(space - traffic->spaces);
    place->series = (code & UINT32_MAX) * space->entry->count + metric;
    return weir_traffic_find_position(traffic, place);
}

bool weir_traffic_find(const struct weir_traffic *traffic, const struct weir_traffic_point *point,
                       uint64_t *ret)
{
    struct weir_traffic_place place = {0};
    if (point->dimensions == 0 || point->start_ms < traffic->options.start_ms) {
        return false;
    }
    uint64_t since = (uint64_t)point->start_ms - (uint64_t)traffic->options.start_ms;
    if (since % WEIR_TRAFFIC_MINUTE_MS != 0 ||
        since / WEIR_TRAFFIC_MINUTE_MS >= WEIR_TRAFFIC_MINUTE_MAX ||
        !find_series(traffic, point, &place)) {
        return false;
    }
    *ret = since / WEIR_TRAFFIC_MINUTE_MS * traffic->series + place.position;
    return true;
}

void weir_traffic_arn(const struct weir_traffic *traffic, uint32_t stream, char *ret, size_t size)
{
    WEIR_ASSERT(stream < traffic->options.streams);
    struct weir_bytes region = region_of(traffic, stream, 0);
    int length = snprintf(ret, size, "arn:aws:firehose:%.*s:%012llu:deliverystream/metrics-%05u",
                          (int)region.size, (const char *)region.data,
                          (unsigned long long)account_of(traffic, stream, 0), stream);
    WEIR_ASSERT(length > 0 && (size_t)length < size);
}
