/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run, point by point, into another shape: see weir/shape.h for what becomes what.
 *
 *   metric changes? ─► open the group: is it wanted, what is its name made of     shape_names.c
 *   point ─► take apart: numbers, attributes, spans of the rest                   here
 *         ─► too old?
 *         ─► attributes as they leave                                            shape_attributes.c
 *         ─► the names' variant                                                   shape_names.c
 *         ─► kept whole, kept with other attributes                               here
 *         ─► gauges, histogram                                                    shape_summary.c
 *
 *   point  [ field | attribute | attribute | field field ]
 *            ^span                           ^span            at most one more than attributes
 *
 *   I1  each input index comes up in the output, among the refused, or is filtered:
 *       one of the three
 *   I2  the output's indices never decrease
 *   I3  what needs no change is copied in one piece, and not taken apart unless its time is asked
 *   I4  nothing of the output is a view of the input; nothing is allocated outside the arena
 *
 * Threads: one a shape, whose scratch is used from point to point. A full arena ends the walk with
 * WEIR_EFULL, and the caller keeps the input. A point that cannot be read is refused as malformed,
 * though the decoders let none through: a damaged spool must not stop the instance. Deliberately no
 * merging and no arithmetic: each value leaves as it came.
 */
#include "weir/shape.h"
#include "shape_attributes.h"
#include "shape_heads.h"
#include "shape_names.h"
#include "shape_options.h"
#include "shape_points.h"
#include "shape_summary.h"
#include "shape_text.h"
#include "shape_write.h"
#include "weir/mem.h"
#include "weir/panic.h"

enum { TIME = 3 }; /* in every kind of data point */

static const enum weir_shape_verdict malformed = WEIR_SHAPE_REFUSED(WEIR_SHAPE_MALFORMED);

enum weir_status weir_shape_new(const struct weir_shape_options *options, struct weir_shape **ret)
{
    if (!weir_shape_options_valid(options)) {
        return WEIR_EINVAL;
    }
    struct weir_shape *shape = weir_mem_zalloc(1, sizeof(*shape));
    if (shape == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = weir_shape_options_keep(options, shape);
    if (status != WEIR_OK) {
        weir_mem_free(shape);
        return status;
    }
    weir_shape_text_table(shape);
    *ret = shape;
    return WEIR_OK;
}

void weir_shape_free(struct weir_shape *shape)
{
    if (shape != NULL) {
        weir_mem_free(shape->texts);
        weir_mem_free(shape);
    }
}

/* -- taking a point apart ------------------------------------------------------------------ */

static uint32_t attribute_number(enum weir_metric_data data)
{
    switch (data) {
    case WEIR_METRIC_HISTOGRAM: return 9;
    case WEIR_METRIC_EXPONENTIAL_HISTOGRAM: return 1;
    case WEIR_METRIC_GAUGE:
    case WEIR_METRIC_SUM:
    case WEIR_METRIC_SUMMARY: break;
    }
    return 7;
}

static enum weir_shape_verdict read_quantile(struct weir_shape_point *point,
                                             struct weir_bytes content)
{
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field;
    if (point->quantile_count == WEIR_SHAPE_QUANTILES_MAX) {
        return WEIR_SHAPE_REFUSED(WEIR_SHAPE_TOO_MANY_QUANTILES);
    }
    struct weir_shape_quantile *quantile = &point->quantiles[point->quantile_count++];
    *quantile = (struct weir_shape_quantile){0, 0};
    while (weir_pb_next(&cursor, &field)) {
        if (field.number > 2) {
            continue;
        }
        if (field.type != WEIR_PB_FIXED64) {
            return malformed;
        }
        *(field.number == 1 ? &quantile->quantile : &quantile->value) = field.value;
    }
    return cursor.failed ? malformed : WEIR_SHAPE_GOOD;
}

/* A Summary's numbers. */
static enum weir_shape_verdict read_number(struct weir_shape_point *point,
                                           const struct weir_pb_field *field)
{
    enum weir_pb_type type = WEIR_PB_FIXED64;
    uint64_t *place = NULL;
    switch (field->number) {
    case 2: place = &point->start_ns; break;
    case TIME: place = &point->time_ns; break;
    case 4: place = &point->count; break;
    case 5: place = &point->sum; break;
    case 6: return field->type == WEIR_PB_BYTES ? read_quantile(point, field->bytes) : malformed;
    case 8:
        place = &point->flags;
        type = WEIR_PB_VARINT;
        break;
    default: return WEIR_SHAPE_GOOD;
    }
    if (field->type != type) {
        return malformed;
    }
    *place = field->value;
    return WEIR_SHAPE_GOOD;
}

static enum weir_shape_verdict add_attribute(struct weir_shape_point *point,
                                             const struct weir_pb_field *field)
{
    if (field->type != WEIR_PB_BYTES) {
        return malformed;
    }
    if (point->item_count == WEIR_SHAPE_ATTRIBUTES_MAX) {
        return WEIR_SHAPE_REFUSED(WEIR_SHAPE_TOO_MANY_ATTRIBUTES);
    }
    point->items[point->item_count++] = (struct weir_shape_item){.raw = field->bytes};
    return WEIR_SHAPE_GOOD;
}

/* A field that stays where it is, with those before it if nothing stood between. */
static void add_span(struct weir_shape_point *point, struct weir_bytes field)
{
    point->span_bytes += field.size;
    if (point->span_count > 0) {
        struct weir_bytes *last = &point->spans[point->span_count - 1];
        if (last->data + last->size == field.data) {
            last->size += field.size;
            return;
        }
    }
    WEIR_ASSERT(point->span_count <= WEIR_SHAPE_ATTRIBUTES_MAX);
    point->spans[point->span_count++] = field;
}

/* Only the counts and numbers: the lists are long, and what lies beyond their counts is nothing. */
static void begin(struct weir_shape_walk *walk, uint32_t index)
{
    struct weir_shape_point *point = &walk->shape->point;
    const struct weir_point *in = &walk->in->points[index];
    walk->shape->scratch_used = 0;
    memset(point, 0, offsetof(struct weir_shape_point, quantiles));
    point->data = weir_bytes_of(in->data, in->size);
    point->metric = in->metric;
    point->index = index;
    point->attribute = attribute_number(in->metric->data);
}

static enum weir_shape_verdict take_apart(struct weir_shape_point *point)
{
    struct weir_cursor cursor = weir_cursor_of(point->data);
    struct weir_pb_field field;
    enum weir_shape_verdict verdict = WEIR_SHAPE_GOOD;
    bool is_summary = point->metric->data == WEIR_METRIC_SUMMARY;
    while (verdict == WEIR_SHAPE_GOOD && weir_pb_next(&cursor, &field)) {
        if (field.number == point->attribute) {
            verdict = add_attribute(point, &field);
            continue;
        }
        add_span(point, field.whole);
        if (is_summary) {
            verdict = read_number(point, &field);
        } else if (field.number == TIME && field.type == WEIR_PB_FIXED64) {
            point->time_ns = field.value;
        }
    }
    return cursor.failed ? malformed : verdict;
}

/* The time of a point that is not taken apart; malformed ones have none. */
static uint64_t time_of(struct weir_bytes data)
{
    struct weir_cursor cursor = weir_cursor_of(data);
    struct weir_pb_field field;
    uint64_t time_ns = 0;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == TIME && field.type == WEIR_PB_FIXED64) {
            time_ns = field.value;
        }
    }
    return time_ns;
}

/* -- giving it out ------------------------------------------------------------------------- */

static bool is_too_old(const struct weir_shape_walk *walk, uint64_t time_ns)
{
    return walk->oldest_ns > 0 && time_ns != 0 && time_ns < (uint64_t)walk->oldest_ns;
}

/* The point's own message with other attributes, which come last. */
static bool put_kept(struct weir_shape_walk *walk, const struct weir_metric *metric,
                     struct weir_shape_point *point)
{
    size_t size = point->span_bytes + point->attributes_size;
    uint8_t *at = weir_shape_points_add(walk, point->index, metric, size);
    if (at == NULL) {
        return false;
    }
    const uint8_t *end = at + size;
    for (uint32_t i = 0; i < point->span_count; i++) {
        at = weir_shape_write_raw(at, point->spans[i]);
    }
    at = weir_shape_attributes_put(point, point->attribute, at);
    WEIR_ASSERT(at == end);
    return true;
}

static bool put_copy(struct weir_shape_walk *walk, const struct weir_metric *metric,
                     const struct weir_shape_point *point)
{
    uint8_t *at = weir_shape_points_add(walk, point->index, metric, point->data.size);
    if (at == NULL) {
        return false;
    }
    (void)weir_shape_write_raw(at, point->data);
    return true;
}

static enum weir_shape_summary summary_of(const struct weir_shape_walk *walk,
                                          const struct weir_shape_point *point)
{
    return point->metric->data == WEIR_METRIC_SUMMARY ? walk->shape->summary
                                                      : WEIR_SHAPE_SUMMARY_KEEP;
}

static bool put_point(struct weir_shape_walk *walk, struct weir_shape_point *point)
{
    struct weir_shape_variant *variant = weir_shape_names_variant(walk, point);
    if (variant == NULL) {
        return false;
    }
    point->attributes_size = weir_shape_attributes_size(point);
    switch (summary_of(walk, point)) {
    case WEIR_SHAPE_SUMMARY_GAUGES: return weir_shape_summary_gauges(walk, variant, point);
    case WEIR_SHAPE_SUMMARY_EXPONENTIAL:
        return weir_shape_summary_exponential(walk, variant, point);
    case WEIR_SHAPE_SUMMARY_KEEP: break;
    }
    const struct weir_metric *metric = weir_shape_names_whole(walk, variant);
    return walk->shape->mends_attributes ? put_kept(walk, metric, point)
                                         : put_copy(walk, metric, point);
}

static enum weir_shape_verdict shape_point(struct weir_shape_walk *walk,
                                           struct weir_shape_point *point)
{
    const struct weir_shape *shape = walk->shape;
    bool is_whole = summary_of(walk, point) == WEIR_SHAPE_SUMMARY_KEEP &&
                    !shape->mends_attributes && !shape->names_dimensions;
    if (is_whole) {
        point->time_ns = walk->oldest_ns > 0 ? time_of(point->data) : 0;
    } else {
        enum weir_shape_verdict verdict = take_apart(point);
        if (verdict != WEIR_SHAPE_GOOD) {
            return verdict;
        }
    }
    if (is_too_old(walk, point->time_ns)) {
        return WEIR_SHAPE_REFUSED(WEIR_SHAPE_TOO_OLD);
    }
    enum weir_shape_verdict verdict =
        is_whole ? WEIR_SHAPE_GOOD : weir_shape_attributes_mend(walk, point);
    if (verdict != WEIR_SHAPE_GOOD) {
        return verdict;
    }
    return put_point(walk, point) ? WEIR_SHAPE_GOOD : WEIR_SHAPE_FULL;
}

/* -- the walk ------------------------------------------------------------------------------ */

static bool walk_points(struct weir_shape_walk *walk)
{
    for (uint32_t i = 0; i < walk->in->count; i++) {
        const struct weir_metric *metric = walk->in->points[i].metric;
        if (metric != walk->group.metric) {
            weir_shape_names_open(walk, metric);
        }
        if (!walk->group.is_wanted) {
            continue;
        }
        begin(walk, i);
        enum weir_shape_verdict verdict = shape_point(walk, &walk->shape->point);
        bool full = verdict == WEIR_SHAPE_FULL;
        if (verdict >= WEIR_SHAPE_REFUSE) {
            unsigned reason = (unsigned)verdict - (unsigned)WEIR_SHAPE_REFUSE;
            full = !weir_shape_points_refuse(walk, i, (enum weir_shape_refusal)reason);
        }
        if (full) {
            return false;
        }
    }
    return true;
}

static bool copy_origin(struct weir_shape_walk *walk, struct weir_run *run)
{
    const struct weir_run *in = walk->in;
    run->name = weir_arena_keep(walk->arena, in->name);
    if (in->origin == NULL) {
        return run->name.size == in->name.size;
    }
    struct weir_origin *origin =
        weir_arena_alloc(walk->arena, sizeof(*origin), _Alignof(struct weir_origin));
    if (origin == NULL) {
        return false;
    }
    *origin = *in->origin;
    origin->request_id = weir_arena_keep(walk->arena, in->origin->request_id);
    origin->stream = weir_arena_keep(walk->arena, in->origin->stream);
    run->origin = origin;
    return run->name.size == in->name.size &&
           origin->request_id.size == in->origin->request_id.size &&
           origin->stream.size == in->origin->stream.size;
}

/* A Summary of CloudWatch's has four statistics. */
static size_t points_expected(const struct weir_shape *shape, const struct weir_run *in)
{
    size_t count = in->count == 0 ? 1 : in->count;
    return shape->summary == WEIR_SHAPE_SUMMARY_GAUGES ? count * 4 : count;
}

enum weir_status weir_shape_run(struct weir_shape *shape, const struct weir_run *in,
                                int64_t now_wall_ns, struct weir_arena *arena,
                                struct weir_shaped *ret)
{
    struct weir_shape_walk walk = {.shape = shape, .in = in, .arena = arena};
    struct weir_run run = *in;
    if (shape->max_point_age_ns > 0 && now_wall_ns > shape->max_point_age_ns) {
        walk.oldest_ns = now_wall_ns - shape->max_point_age_ns;
    }
    if (!copy_origin(&walk, &run) || !weir_shape_heads_resource(&walk) ||
        !weir_shape_points_begin(&walk, points_expected(shape, in)) || !walk_points(&walk)) {
        return WEIR_EFULL;
    }
    run.arena = arena;
    run.resource = walk.resource;
    run.points = walk.points;
    run.count = walk.count;
    run.bytes = walk.bytes;
    run.next = NULL;
    *ret = (struct weir_shaped){run, walk.refused_count, walk.refused};
    return WEIR_OK;
}
