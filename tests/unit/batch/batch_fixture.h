/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCH_FIXTURE_H
#define BATCH_FIXTURE_H

/* A batcher on top of run_fixture.h, and a reader of what it encodes. Include after cmocka.h. */
#include "../route/run_fixture.h"
#include "weir/batcher.h"
#include "weir/encode.h"
#include "weir/mem.h"
#include "weir/split.h"

struct batch_fixture {
    struct fixture base;
    struct weir_pool *pool;
    struct weir_batcher *batcher;
};

static inline void batch_open(struct batch_fixture *fixture, struct weir_buffer_hints hints)
{
    fixture_open(&fixture->base, SIZE_MAX / 2);
    assert_int_equal(weir_pool_new(weir_batch_size(), 4, weir_batch_done, &fixture->pool), WEIR_OK);
    const struct weir_batcher_options options = {.hints = hints,
                                                 .batches = fixture->pool,
                                                 .regions = fixture->base.regions,
                                                 .budget =
                                                     weir_credit_budget(&fixture->base.queued)};
    assert_int_equal(weir_batcher_new(&options, &fixture->batcher), WEIR_OK);
}

static inline void batch_close(struct batch_fixture *fixture)
{
    weir_batcher_free(fixture->batcher);
    weir_pool_free(fixture->pool);
    fixture_close(&fixture->base);
}

/* A reference to each run as a ring would hold it; the request's own ends. */
static inline void batch_retain(struct fixture_request *request)
{
    assert_true(weir_runs_validate(&request->runs));
    for (uint32_t i = 0; i < request->runs.count; i++) {
        weir_arena_ref(request->arena, request->runs.runs[i].bytes);
    }
    weir_arena_unref(request->arena, 0);
}

/* Adds all runs of a request; nothing may be full. */
static inline void batch_add(struct batch_fixture *fixture, struct fixture_request request,
                             int64_t now_ns)
{
    batch_retain(&request);
    uint32_t count = request.runs.count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t offset = 0;
        uint32_t points = request.runs.runs[i].count;
        enum weir_status status =
            weir_batcher_add(fixture->batcher, &request.runs.runs[i], &offset, now_ns);
        assert_int_equal(status, WEIR_OK);
        assert_int_equal(offset, points);
    }
}

/* The batch's bytes, whose size must be what was promised. Freed by weir_buf_done. */
static inline struct weir_buf batch_bytes(const struct weir_batch *batch)
{
    assert_true(weir_batch_validate(batch));
    struct weir_batch_info info = weir_batch_info(batch);
    struct weir_buf out = weir_buf_grow_init(info.bytes);
    weir_batch_encode(batch, &out);
    assert_int_equal(out.size, info.bytes);
    size_t points = 0;
    assert_int_equal(weir_split_count(weir_buf_view(&out), &points), WEIR_OK);
    assert_int_equal(points, info.points);
    return out;
}

#endif
