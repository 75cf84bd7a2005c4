/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pending run of a destination that has a shape (weir/shape.h): a piece of it at a time is
 * written anew and goes into a batch whole.
 *
 *   pending  [ done | piece | ............ ]
 *                       │ weir_shape_run, into an arena of its own
 *                       ├─ points ──────────────────────────► the open batch, noted as the piece
 *                       ├─ nothing: the filter's ───────────► settled at once
 *                       └─ some refused: the piece again, point by point
 *                            └─ a refused one, as it came ──► the batch of the unfit ─► dead letter
 *
 *   I1  each input point is in exactly one batch with all that was made of it, or settled: a batch
 *       never ends between two outputs of one point, or the spool could not say what was delivered
 *   I2  the arena of a piece is the batch's, or gone when this returns; the run's own goes with its
 *       last piece
 *   I3  a piece that goes in is far smaller than a batch, so little of a batch stays empty and none
 *       is too large; a single point that becomes more than a batch is one of its own
 *   I4  a budget that is full of runs in rings is emptied all the same: while nothing of the
 *       destination is out to be encoded, a piece is written past the limit where nothing is open,
 *       and more of them up to a batch's size (`advance`)
 *
 * Out of memory: WEIR_ENOMEM, as for any run. A single point that needs more than ARENA_MAX is
 * unfit: no memory would ever be enough for some. The owner's thread; what was taken is given back
 * by any.
 */
#include "exporter_internal.h"
#include "weir/clock.h"
#include "weir/panic.h"

enum {
    PIECE_POINTS = 64,
    OUTPUTS_USUAL = 8,  /* for each point: the statistics as gauges */
    POINT_BYTES = 2048, /* what they usually come to, and then some */
    PIECES_A_BATCH = 8,
    ARENA_CHUNK = 32 << 10,
    ARENA_MAX = 16 << 20
};

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How many points are shaped at a time. */
static uint32_t piece_points(const struct weir_buffer_hints *hints)
{
    size_t by_size = hints->size / (PIECES_A_BATCH * POINT_BYTES);
    uint32_t points = by_size < PIECE_POINTS ? (uint32_t)by_size : PIECE_POINTS;
    if (hints->points_max > 0) {
        points = smaller(points, hints->points_max / (PIECES_A_BATCH * OUTPUTS_USUAL));
    }
    return points > 0 ? points : 1;
}

/* -- who pays ------------------------------------------------------------------------------- */

/* Whether nothing of this destination will give anything back by itself. */
static bool is_idle(const struct weir_export_destination *destination)
{
    size_t open = 0;
    for (int i = 0; i < WEIR_EXPORT_GATHERINGS; i++) {
        open += weir_batcher_open_bytes(destination->gathering[i].batcher);
    }
    return destination->encoding == 0 && open == 0;
}

/* I4. */
static bool take(void *self, size_t bytes)
{
    struct weir_export_destination *destination = self;
    struct weir_export_shaping *shaping = &destination->shaping;
    struct weir_credit *queued = destination->exporter->options.queued;
    if (weir_credit_take(queued, bytes)) {
        return true;
    }
    if (destination->encoding > 0 || (!shaping->is_first && bytes > shaping->advance)) {
        return false;
    }
    weir_credit_force(queued, bytes);
    shaping->advance -= bytes < shaping->advance ? bytes : shaping->advance;
    return true;
}

static void give(void *self, size_t bytes)
{
    const struct weir_export_destination *destination = self;
    weir_credit_give(destination->exporter->options.queued, bytes);
}

/* For the arena of a piece. */
static bool take_bounded(void *self, size_t bytes)
{
    struct weir_export_shaping *shaping = &((struct weir_export_destination *)self)->shaping;
    if (bytes > ARENA_MAX - shaping->bytes) {
        shaping->is_hopeless = true;
        return false;
    }
    if (!take(self, bytes)) {
        return false;
    }
    shaping->bytes += bytes;
    shaping->is_hopeless = ++shaping->regions == WEIR_ARENA_REGIONS_MAX; /* if it wants more */
    return true;
}

struct weir_arena_budget weir_shaping_budget(struct weir_export_destination *destination)
{
    return (struct weir_arena_budget){take, give, destination};
}

/* -- pieces --------------------------------------------------------------------------------- */

enum weir_status weir_shaping_init(struct weir_export_destination *destination,
                                   const struct weir_buffer_hints *hints)
{
    const struct weir_shape_options *options = destination->options->shape;
    destination->shaping.points = piece_points(hints);
    destination->shaping.batch_bytes = hints->size;
    destination->shaping.batch_points = hints->points_max;
    return options == NULL ? WEIR_OK : weir_shape_new(options, &destination->shape);
}

static struct weir_run part_of(const struct weir_run *run, uint32_t offset, uint32_t count)
{
    struct weir_run part = *run;
    part.points += offset;
    part.first += offset;
    part.count = count;
    part.bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        part.bytes += weir_point_encoded_size(part.points[i].size);
    }
    return part;
}

/* The part in its new form, in *ret_arena with one reference. WEIR_EFULL: it will never fit. */
static enum weir_status shape(struct weir_export_destination *destination,
                              const struct weir_run *part, struct weir_arena **ret_arena,
                              struct weir_shaped *ret)
{
    const struct weir_exporter_options *options = &destination->exporter->options;
    struct weir_export_shaping *shaping = &destination->shaping;
    const struct weir_arena_budget budget = {take_bounded, give, destination};
    struct weir_arena *arena;
    shaping->bytes = 0;
    shaping->regions = 0;
    shaping->is_hopeless = false;
    WEIR_TRY(weir_arena_new(options->regions, budget, ARENA_CHUNK, &arena));
    enum weir_status status =
        weir_shape_run(destination->shape, part, weir_clock_wall_ns(), arena, ret);
    if (status == WEIR_OK) {
        *ret_arena = arena;
        return WEIR_OK;
    }
    weir_arena_unref(arena, 0);
    return shaping->is_hopeless ? WEIR_EFULL : WEIR_ENOMEM;
}

static enum weir_deadletter_reason reason_of(enum weir_shape_refusal refusal)
{
    return refusal == WEIR_SHAPE_TOO_OLD ? WEIR_DEADLETTER_TOO_OLD : WEIR_DEADLETTER_UNFIT;
}

/* Adds a point as it came to the batch of those that have no place at this backend. */
static enum weir_status add_unfit(struct weir_export_destination *destination,
                                  const struct weir_run *point, enum weir_deadletter_reason reason,
                                  int64_t now_ns)
{
    struct weir_export_gathering *unfit = &destination->gathering[WEIR_EXPORT_UNFIT];
    bool is_open = weir_batcher_open_bytes(unfit->batcher) > 0;
    if (is_open && unfit->reason != reason &&
        !weir_gather_close(destination, unfit, WEIR_BUFFER_FLUSH)) {
        return WEIR_ENOMEM;
    }
    uint32_t none = 0;
    unfit->reason = reason;
    weir_arena_ref(point->arena, point->bytes);
    enum weir_status status = weir_batcher_add(unfit->batcher, point, &none, now_ns);
    if (status == WEIR_EFULL && weir_gather_close(destination, unfit, WEIR_BUFFER_NOT_DUE)) {
        status = weir_batcher_add(unfit->batcher, point, &none, now_ns);
    }
    if (status != WEIR_OK) {
        weir_arena_unref(point->arena, point->bytes);
        return WEIR_ENOMEM;
    }
    return WEIR_OK;
}

/* Of how many points of a part nothing is left. */
static uint32_t filtered_of(const struct weir_run *part, const struct weir_run *shaped)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < shaped->count; i++) {
        left += i == 0 || shaped->points[i].run != shaped->points[i - 1].run;
    }
    return part->count - left;
}

/* Adds what a part has become to the open batch; the arena's reference ends. */
static enum weir_status add_shaped(struct weir_export_destination *destination,
                                   const struct weir_export_gathering *open,
                                   const struct weir_run *part, struct weir_shaped *shaped,
                                   int64_t now_ns)
{
    struct weir_arena *arena = shaped->run.arena;
    uint32_t filtered = filtered_of(part, &shaped->run);
    if (shaped->run.count == 0) {
        weir_arena_unref(arena, 0);
        weir_metrics_add(destination->series.filtered, filtered);
        weir_gather_settle(destination, part, 0, WEIR_SETTLED);
        return WEIR_OK;
    }
    weir_arena_ref(arena, shaped->run.bytes);
    weir_arena_unref(arena, 0);
    enum weir_status status =
        weir_batcher_add_whole(open->batcher, &shaped->run, part->count, now_ns);
    if (status != WEIR_OK) {
        weir_arena_unref(arena, shaped->run.bytes);
        return status;
    }
    weir_metrics_add(destination->series.filtered, filtered);
    return WEIR_OK;
}

/* I3: heads, which a piece may have one of for each point, are as much again at most as a rule. */
static bool is_large(const struct weir_export_shaping *shaping, const struct weir_run *shaped)
{
    bool by_points = shaping->batch_points > 0 && shaped->count > shaping->batch_points / 4;
    return by_points || shaped->bytes > shaping->batch_bytes / 4;
}

/* The next part into its batch; *ret_points: of how many points that is the end, maybe none. */
static enum weir_status add_part(struct weir_export_destination *destination,
                                 const struct weir_export_gathering *open, int64_t now_ns,
                                 uint32_t *ret_points)
{
    const struct weir_run *run = destination->pending;
    uint32_t left = run->count - destination->pending_offset;
    uint32_t count =
        smaller(left, destination->shaping.singles > 0 ? 1 : destination->shaping.points);
    struct weir_run part = part_of(run, destination->pending_offset, count);
    struct weir_arena *arena = NULL;
    struct weir_shaped shaped;
    enum weir_status status = shape(destination, &part, &arena, &shaped);
    bool is_unfit = status == WEIR_EFULL || (status == WEIR_OK && shaped.refused_count > 0);
    *ret_points = 0;
    if (status != WEIR_OK && !is_unfit) {
        return status;
    }
    enum weir_deadletter_reason reason = WEIR_DEADLETTER_UNFIT;
    bool is_again = count > 1 && (is_unfit || is_large(&destination->shaping, &shaped.run));
    if (is_unfit || is_again) {
        reason = is_unfit && status == WEIR_OK ? reason_of(shaped.refused[0].reason) : reason;
        weir_arena_unref(arena, 0);
    }
    if (is_again) {
        destination->shaping.singles = count;
        return WEIR_OK;
    }
    status = is_unfit ? add_unfit(destination, &part, reason, now_ns)
                      : add_shaped(destination, open, &part, &shaped, now_ns);
    *ret_points = status == WEIR_OK ? count : 0;
    return status;
}

enum weir_status weir_shaping_add(struct weir_export_destination *destination,
                                  const struct weir_export_gathering *open, int64_t now_ns)
{
    const struct weir_run *run = destination->pending;
    struct weir_export_shaping *shaping = &destination->shaping;
    uint32_t points;
    shaping->is_first = is_idle(destination);
    shaping->advance = shaping->is_first ? shaping->batch_bytes : shaping->advance;
    if (destination->pending_offset < run->count) {
        WEIR_TRY(add_part(destination, open, now_ns, &points));
        destination->pending_offset += points;
        shaping->singles -= smaller(shaping->singles, points);
    }
    if (destination->pending_offset == run->count) {
        struct weir_arena *arena = run->arena;
        size_t bytes = run->bytes;
        WEIR_ASSERT(shaping->singles == 0);
        destination->pending = NULL;
        destination->pending_offset = 0;
        weir_arena_unref(arena, bytes);
    }
    return WEIR_OK;
}
