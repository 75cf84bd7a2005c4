/* SPDX-License-Identifier: Apache-2.0 */
#include "micro/rig.h"
#include "weir/panic.h"

#define IDLE_MAX   ((size_t)512 << 20)
#define BATCH_MAX  ((size_t)1 << 30)
#define BATCHES    4
#define DEPTH_MAX  32
#define RECORD_MAX ((size_t)64 << 20)

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

void weir_rig_init(struct weir_rig *rig)
{
    enum weir_status status = weir_regions_new(IDLE_MAX, &rig->regions);
    WEIR_ASSERT(status == WEIR_OK);
    status = weir_inflater_new(&rig->inflater);
    WEIR_ASSERT(status == WEIR_OK);
    status = weir_pool_new(weir_batch_size(), BATCHES, weir_batch_done, &rig->pool);
    WEIR_ASSERT(status == WEIR_OK);
    const struct weir_batcher_options options = {
        .hints = {.size = BATCH_MAX, .interval_ns = INT64_MAX / 4, .points_max = 0},
        .batches = rig->pool,
        .regions = rig->regions,
        .budget = no_budget};
    status = weir_batcher_new(&options, &rig->batcher);
    WEIR_ASSERT(status == WEIR_OK);
}

void weir_rig_done(struct weir_rig *rig)
{
    weir_batcher_free(rig->batcher);
    weir_pool_free(rig->pool);
    weir_inflater_free(rig->inflater);
    weir_regions_free(rig->regions);
}

struct weir_arena *weir_rig_arena(struct weir_rig *rig)
{
    struct weir_arena *arena = NULL;
    enum weir_status status = weir_arena_new(rig->regions, no_budget, 0, &arena);
    WEIR_ASSERT(status == WEIR_OK);
    return arena;
}

uint8_t *weir_rig_copy(struct weir_arena *arena, struct weir_bytes bytes)
{
    uint8_t *copy = weir_arena_alloc(arena, bytes.size + 1, 1);
    WEIR_ASSERT(copy != NULL);
    memcpy(copy, bytes.data, bytes.size);
    return copy;
}

struct weir_runs weir_rig_decode(struct weir_rig *rig, struct weir_arena *arena,
                                 const struct weir_input *input)
{
    const struct weir_body_options options = {
        .gzip = true,
        .body_limit = input->json.size,
        .limits = {.records = 10000, .record_bytes = RECORD_MAX, .depth = DEPTH_MAX}};
    struct weir_body_result result;
    enum weir_status status =
        weir_body_decode(rig->inflater, arena, input->gzip, &options, &result);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(result.runs.points >= input->points);
    return result.runs;
}

void weir_rig_retain(struct weir_arena *arena, const struct weir_runs *runs)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        weir_arena_ref(arena, runs->runs[i].bytes);
    }
}

void weir_rig_batch(struct weir_rig *rig, const struct weir_runs *runs, struct weir_buf *out)
{
    /* The list of runs lies in the arena that goes with the last of them. */
    uint32_t count = runs->count;
    struct weir_run *list = runs->runs;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t offset = 0;
        enum weir_status status = weir_batcher_add(rig->batcher, &list[i], &offset, 0);
        WEIR_ASSERT(status == WEIR_OK);
    }
    struct weir_batch *batch = weir_batcher_close(rig->batcher, WEIR_BUFFER_FLUSH);
    WEIR_ASSERT(batch != NULL);
    weir_batch_encode(batch, out);
    WEIR_ASSERT(!out->failed);
    weir_batch_release(batch, rig->pool);
}
