/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   data point ─► attributes, dimensions ─► Namespace, MetricName, the entity's id, start ─► number
 *              ─► the world's point ─► name: which part it is
 *                                   ─► values, unit, attributes, resource: are they that part's?
 *
 *   I1  nothing that arrives is believed but what leads to the number; from then on the world says
 *       what ought to be there, and all of it is compared
 *   I2  attributes are a set: any order will do, one too many or one too few will not
 *   I3  values are compared bit by bit; a field that is absent is 0 where protobuf says so
 *
 * Which dimension names the entity a reader of flat attributes cannot see, so each is tried: the
 * world finds no other's value. An exponential histogram without buckets must account for all its
 * samples in zero_count, with a zero that is as wide as the values are.
 *
 * Any thread; memory is on the stack. Deliberately not Weir's shaping, which it is a check of.
 */
#include "sink/part_check.h"
#include "sink/booked.h"
#include "sink/part.h"
#include "weir/clock.h"
#include "weir/panic.h"
#include "weir/pb.h"

_Static_assert((int)WEIR_SINK_PART_PLACES == (int)WEIR_BOOKED_PARTS, "each part has its slot");

enum { ROOM = 4096, PAIRS_MAX = 16 };

/* What a part is read into, and what it is compared with. */
struct checking {
    const struct weir_sink_shape *shape;
    const struct weir_sink_point *arrived;
    struct weir_sink_part part;
    struct weir_sink_pairs dimensions; /* of one attribute; none where they are flat */
    struct weir_traffic_point sent;
    struct weir_buf text;
    uint8_t json[ROOM];
    uint8_t room[ROOM];
};

/* -- dimensions -------------------------------------------------------------------------------- */

/* Takes the attribute Dimensions out of the others. */
static bool take_dimensions(struct checking *now)
{
    struct weir_sink_pairs *others = &now->part.attributes;
    now->dimensions.count = 0;
    if (now->shape->dimensions == WEIR_SINK_SHAPE_FLAT) {
        return true;
    }
    for (uint32_t i = 0; i < others->count; i++) {
        struct weir_sink_attribute found = others->pair[i];
        if (!weir_bytes_eq(found.key, WEIR_BYTES("Dimensions"))) {
            continue;
        }
        others->pair[i] = others->pair[--others->count];
        return now->shape->dimensions == WEIR_SINK_SHAPE_KVLIST
                   ? weir_sink_part_list(found.whole, &now->dimensions)
                   : found.is_text && weir_sink_part_json(found.text, now->json, sizeof now->json,
                                                          &now->dimensions);
    }
    return false;
}

/* -- which point it is ------------------------------------------------------------------------- */

static struct weir_bytes text_of(struct checking *now, struct weir_bytes key)
{
    struct weir_bytes mended = weir_sink_shape_key(now->shape, key, &now->text);
    for (uint32_t i = 0; i < now->part.attributes.count; i++) {
        if (weir_bytes_eq(now->part.attributes.pair[i].key, mended)) {
            return now->part.attributes.pair[i].text;
        }
    }
    return weir_bytes_of(NULL, 0);
}

static bool find(struct checking *now, const struct weir_traffic *traffic, uint64_t *ret)
{
    uint64_t start_ns = (now->part.seen & 1U << 2) != 0 ? now->part.field[2] : 0;
    const struct weir_sink_pairs *pairs =
        now->shape->dimensions == WEIR_SINK_SHAPE_FLAT ? &now->part.attributes : &now->dimensions;
    struct weir_traffic_point key = {.name = text_of(now, WEIR_BYTES("Namespace")),
                                     .metric = text_of(now, WEIR_BYTES("MetricName")),
                                     .dimensions = 1};
    key.start_ms = (int64_t)(start_ns / (uint64_t)WEIR_NS_PER_MS);
    for (uint32_t i = 0; i < pairs->count; i++) {
        key.values[0] = pairs->pair[i].text;
        if (weir_traffic_find(traffic, &key, ret)) {
            return true;
        }
    }
    return false;
}

/* -- attributes -------------------------------------------------------------------------------- */

struct expected {
    uint32_t count;
    struct {
        struct weir_bytes key;
        struct weir_bytes value;
    } pair[PAIRS_MAX];
};

static bool has(const struct expected *expected, struct weir_bytes key)
{
    for (uint32_t i = 0; i < expected->count; i++) {
        if (weir_bytes_eq(expected->pair[i].key, key)) {
            return true;
        }
    }
    return false;
}

static void expect(struct expected *expected, struct weir_bytes key, struct weir_bytes value)
{
    WEIR_ASSERT(expected->count < PAIRS_MAX);
    expected->pair[expected->count].key = key;
    expected->pair[expected->count++].value = value;
}

/* All of them, and no others, each once. */
static bool are_there(const struct expected *expected, const struct weir_sink_pairs *pairs)
{
    unsigned taken = 0;
    if (expected->count != pairs->count) {
        return false;
    }
    for (uint32_t i = 0; i < pairs->count; i++) {
        const struct weir_sink_attribute *pair = &pairs->pair[i];
        uint32_t at = 0;
        while (at < expected->count && !weir_bytes_eq(expected->pair[at].key, pair->key)) {
            at++;
        }
        if (at == expected->count || (taken & 1U << at) != 0 || !pair->is_text ||
            !weir_bytes_eq(expected->pair[at].value, pair->text)) {
            return false;
        }
        taken |= 1U << at;
    }
    return true;
}

/* A flat dimension whose key is taken is called Dimension.<key>. */
static void expect_flat(struct checking *now, struct expected *expected)
{
    for (uint32_t i = 0; i < now->sent.dimensions; i++) {
        struct weir_bytes key = weir_sink_shape_key(now->shape, now->sent.keys[i], &now->text);
        if (has(expected, key)) {
            uint8_t longer[256];
            struct weir_buf out = weir_buf_fixed(longer, sizeof longer);
            weir_buf_put(&out, WEIR_BYTES("Dimension."));
            weir_buf_put(&out, now->sent.keys[i]);
            key = weir_sink_shape_key(now->shape, weir_buf_view(&out), &now->text);
        }
        expect(expected, key, now->sent.values[i]);
    }
}

static bool are_attributes(struct checking *now)
{
    struct expected plain = {.count = 0};
    struct expected dimensions = {.count = 0};
    const struct weir_sink_shape *shape = now->shape;
    expect(&plain, weir_sink_shape_key(shape, WEIR_BYTES("Namespace"), &now->text), now->sent.name);
    expect(&plain, weir_sink_shape_key(shape, WEIR_BYTES("MetricName"), &now->text),
           now->sent.metric);
    for (unsigned bit = 0; bit < WEIR_SINK_SHAPE_PROMOTED_MAX; bit++) {
        struct weir_bytes value;
        struct weir_bytes key = weir_sink_shape_promoted(&now->sent, bit, &value);
        if ((shape->promoted & 1U << bit) != 0) {
            expect(&plain, weir_sink_shape_key(shape, key, &now->text), value);
        }
    }
    if (shape->dimensions == WEIR_SINK_SHAPE_FLAT) {
        expect_flat(now, &plain);
    }
    for (uint32_t i = 0; shape->dimensions != WEIR_SINK_SHAPE_FLAT && i < now->sent.dimensions;
         i++) {
        expect(&dimensions, now->sent.keys[i], now->sent.values[i]);
    }
    return !now->text.failed && are_there(&plain, &now->part.attributes) &&
           are_there(&dimensions, &now->dimensions);
}

/* -- values ------------------------------------------------------------------------------------ */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A field that is 0 when it is absent. */
static bool is(const struct weir_sink_part *part, uint32_t number, uint64_t bits)
{
    return ((part->seen & 1U << number) != 0 ? part->field[number] : 0) == bits;
}

/* A field of which absence is something else. */
static bool is_there(const struct weir_sink_part *part, uint32_t number, uint64_t bits)
{
    return (part->seen & 1U << number) != 0 && part->field[number] == bits;
}

static bool are_times(const struct checking *now)
{
    uint64_t start_ns = (uint64_t)now->sent.start_ms * (uint64_t)WEIR_NS_PER_MS;
    uint64_t minute_ns = 60 * (uint64_t)WEIR_NS_PER_S;
    return is(&now->part, 2, start_ns) && is(&now->part, 3, start_ns + minute_ns);
}

static bool is_summary(const struct checking *now)
{
    const struct weir_sink_part *part = &now->part;
    bool is_good = part->quantiles == now->sent.quantiles && is(part, 4, now->sent.count) &&
                   is(part, 5, bits_of(now->sent.sum));
    for (uint32_t i = 0; is_good && i < part->quantiles; i++) {
        is_good = part->quantile[i] == bits_of(now->sent.quantile[i]) &&
                  part->value[i] == bits_of(now->sent.value[i]);
    }
    return is_good;
}

static double magnitude(double value)
{
    return value < 0 ? -value : value;
}

static bool is_histogram(const struct checking *now)
{
    const struct weir_sink_part *part = &now->part;
    const struct weir_traffic_point *sent = &now->sent;
    double low = sent->value[0];
    double high = sent->value[sent->quantiles - 1];
    double zero = (part->seen & 1U << 14) != 0 ? weir_pb_double(part->field[14]) : 0;
    return is(part, 4, sent->count) && is_there(part, 5, bits_of(sent->sum)) &&
           is(part, 7, sent->count) && is_there(part, 12, bits_of(low)) &&
           is_there(part, 13, bits_of(high)) && zero >= magnitude(low) && zero >= magnitude(high);
}

static bool is_gauge(const struct checking *now, unsigned place)
{
    const struct weir_traffic_point *sent = &now->sent;
    const struct weir_sink_part *part = &now->part;
    double value = sent->sum;
    if (place == WEIR_SINK_PART_COUNT) {
        return is_there(part, 6, sent->count) && (part->seen & 1U << 4) == 0;
    }
    if (place >= WEIR_SINK_PART_PERCENTILE) {
        value = sent->value[place - WEIR_SINK_PART_PERCENTILE + 1];
    } else if (place == WEIR_SINK_PART_MIN) {
        value = sent->value[0];
    } else if (place == WEIR_SINK_PART_MAX) {
        value = sent->value[sent->quantiles - 1];
    }
    return is_there(part, 4, bits_of(value)) && (part->seen & 1U << 6) == 0;
}

static bool are_values(const struct checking *now, unsigned place)
{
    if (!are_times(now)) {
        return false;
    }
    if (place != WEIR_SINK_PART_WHOLE) {
        return is_gauge(now, place);
    }
    return now->shape->summary == WEIR_SINK_SHAPE_KEEP ? is_summary(now) : is_histogram(now);
}

/* -- the whole --------------------------------------------------------------------------------- */

/* The kind of data that a part comes as. */
static uint32_t kind_of(const struct weir_sink_shape *shape, unsigned place)
{
    if (place != WEIR_SINK_PART_WHOLE) {
        return 5;
    }
    return shape->summary == WEIR_SINK_SHAPE_KEEP ? 11 : 10;
}

/* Which part has this name; WEIR_SINK_PART_PLACES: none. */
static unsigned place_of(struct checking *now)
{
    unsigned parts = weir_sink_shape_parts(now->shape, &now->sent);
    size_t start = now->text.size;
    for (unsigned place = 0; place < WEIR_SINK_PART_PLACES; place++) {
        now->text.size = start;
        if ((parts & 1U << place) == 0) {
            continue;
        }
        weir_sink_shape_name(now->shape, &now->sent, place, &now->text);
        struct weir_bytes name = weir_bytes_from(weir_buf_view(&now->text), start);
        if (!now->text.failed && weir_bytes_eq(name, now->arrived->metric)) {
            return place;
        }
    }
    return WEIR_SINK_PART_PLACES;
}

/* What is wrong with a part whose point is known, or NULL. */
static const char *compare(struct checking *now, unsigned *ret_place)
{
    const struct weir_sink_point *arrived = now->arrived;
    unsigned place = place_of(now);
    if (place == WEIR_SINK_PART_PLACES || arrived->has_extras) {
        return "the metric";
    }
    *ret_place = place;
    if (arrived->kind != kind_of(now->shape, place) ||
        arrived->temporality != (arrived->kind == 10 ? 1 : 0)) {
        return "the kind of data";
    }
    if (!are_values(now, place)) {
        return "the values";
    }
    struct weir_bytes unit =
        place == WEIR_SINK_PART_COUNT ? WEIR_BYTES("{Count}") : now->sent.otlp_unit;
    if (!weir_bytes_eq(arrived->unit, unit)) {
        return "the unit";
    }
    if (!are_attributes(now)) {
        return "the attributes";
    }
    return weir_sink_check_resource(arrived->resource, &now->sent) ? NULL : "the resource";
}

struct weir_sink_checked weir_sink_part_check(const struct weir_traffic *traffic,
                                              const struct weir_sink_shape *shape,
                                              const struct weir_sink_point *point)
{
    struct checking now;
    now.shape = shape;
    now.arrived = point;
    now.text = weir_buf_fixed(now.room, sizeof now.room);
    uint64_t number = 0;
    unsigned place = 0;
    const char *what = weir_sink_part_read(point->content, point->kind, &now.part);
    if (what == NULL && !take_dimensions(&now)) {
        what = "the dimensions";
    }
    if (what == NULL && !find(&now, traffic, &number)) {
        what = "no such point";
    }
    if (what == NULL) {
        weir_traffic_point(traffic, number, &now.sent);
        what = compare(&now, &place);
    }
    return (struct weir_sink_checked){
        what == NULL ? number * WEIR_BOOKED_PARTS + place : UINT64_MAX, what};
}
