/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_FIXTURE_H
#define RUN_FIXTURE_H

/*
 * Requests made by hand, as a decoder would leave them, for the tests of the route and batch rooms.
 *
 *   fixture ─► request (an arena, padded as if a body lay in it) ─► runs ─► points, each with a
 *                                                                           number of its own
 *
 * A point's content is its number as fixed64 field 3, and padding as bytes field 7. Include after
 * cmocka.h.
 */
#include "weir/credit.h"
#include "weir/metrics.h"
#include "weir/pbw.h"
#include "weir/point.h"
#include "weir/rcu.h"
#include "weir/route.h"
#include <stdlib.h>

enum { FIXTURE_RUNS_MAX = 16, FIXTURE_POINTS_MAX = 64 };

struct fixture {
    struct weir_regions *regions;
    struct weir_credit intake;
    struct weir_credit queued;
};

struct fixture_request {
    struct weir_arena *arena;
    struct weir_origin *origin;
    struct weir_runs runs;
    uint32_t runs_max;
};

static inline void fixture_open(struct fixture *fixture, size_t queued_limit)
{
    weir_rcu_thread_start();
    assert_int_equal(weir_metrics_start(), WEIR_OK);
    assert_int_equal(weir_metrics_thread_start(), WEIR_OK);
    assert_int_equal(weir_regions_new(0, &fixture->regions), WEIR_OK);
    weir_credit_init(&fixture->intake, SIZE_MAX / 2);
    weir_credit_init(&fixture->queued, queued_limit);
}

/* Everything that was taken must have been given back. */
static inline void fixture_close(struct fixture *fixture)
{
    assert_int_equal(weir_credit_used(&fixture->intake), 0);
    assert_int_equal(weir_credit_used(&fixture->queued), 0);
    assert_int_equal(weir_regions_taken(fixture->regions), 0);
    weir_regions_free(fixture->regions);
    weir_metrics_thread_stop();
    weir_metrics_stop();
    weir_rcu_thread_stop();
}

static inline void *fixture_alloc(struct weir_arena *arena, size_t size)
{
    void *memory = weir_arena_alloc(arena, size, 16);
    assert_non_null(memory);
    return memory;
}

static inline struct weir_bytes fixture_bytes(struct weir_arena *arena, const char *text)
{
    struct weir_bytes bytes = weir_bytes_str(text);
    uint8_t *memory = fixture_alloc(arena, bytes.size);
    memcpy(memory, bytes.data, bytes.size);
    return weir_bytes_of(memory, bytes.size);
}

/* `text` as field 1, which stands for a resource, a scope or a metric's name. Empty text is no head
 * at all. */
static inline struct weir_bytes fixture_head(struct weir_arena *arena, const char *text)
{
    struct weir_bytes bytes = weir_bytes_str(text);
    if (bytes.size == 0) {
        return (struct weir_bytes){NULL, 0};
    }
    size_t size = weir_pbw_bytes_size(1, bytes.size);
    struct weir_buf buf = weir_buf_fixed(fixture_alloc(arena, size), size);
    weir_pbw_bytes(&buf, 1, bytes);
    return weir_buf_view(&buf);
}

/* Room for `runs_max` runs, in an arena that is `padding` bytes larger than it need be. */
static inline struct fixture_request fixture_wide_request(struct fixture *fixture, const char *id,
                                                          size_t padding, uint32_t runs_max)
{
    struct fixture_request request = {.runs_max = runs_max};
    assert_int_equal(weir_arena_new(fixture->regions, weir_credit_budget(&fixture->intake), 4096,
                                    &request.arena),
                     WEIR_OK);
    if (padding > 0) {
        (void)fixture_alloc(request.arena, padding);
    }
    request.origin = fixture_alloc(request.arena, sizeof(*request.origin));
    *request.origin = (struct weir_origin){.request_id = fixture_bytes(request.arena, id),
                                           .stream = fixture_bytes(request.arena, "stream")};
    request.runs.runs = fixture_alloc(request.arena, runs_max * sizeof(struct weir_run));
    return request;
}

static inline struct fixture_request fixture_request(struct fixture *fixture, const char *id,
                                                     size_t padding)
{
    return fixture_wide_request(fixture, id, padding, FIXTURE_RUNS_MAX);
}

/* One more run, without points. */
static inline struct weir_run *fixture_run(struct fixture_request *request, const char *name,
                                           const char *resource_head)
{
    struct weir_arena *arena = request->arena;
    struct weir_resource *resource = fixture_alloc(arena, sizeof(*resource));
    *resource = (struct weir_resource){.head = fixture_head(arena, resource_head)};
    resource->hash = weir_resource_hash(resource->head);
    assert_true(request->runs.count < request->runs_max);
    struct weir_run *run = &request->runs.runs[request->runs.count++];
    *run = (struct weir_run){.arena = arena, .resource = resource, .origin = request->origin};
    run->name = fixture_bytes(arena, name);
    run->points = fixture_alloc(arena, FIXTURE_POINTS_MAX * sizeof(struct weir_point));
    return run;
}

static inline struct weir_metric *fixture_metric(struct weir_run *run, const char *scope_head,
                                                 const char *head)
{
    struct weir_scope *scope = fixture_alloc(run->arena, sizeof(*scope));
    *scope = (struct weir_scope){.resource = run->resource};
    scope->head = fixture_head(run->arena, scope_head);
    scope->hash = weir_scope_hash(scope);
    struct weir_metric *metric = fixture_alloc(run->arena, sizeof(*metric));
    *metric = (struct weir_metric){.scope = scope, .data = WEIR_METRIC_SUMMARY};
    metric->head = fixture_head(run->arena, head);
    metric->hash = weir_metric_hash(metric);
    return metric;
}

/* The point `number`, of 9 content bytes and, if `padding` > 0, a field more. */
static inline void fixture_point(struct fixture_request *request, struct weir_run *run,
                                 const struct weir_metric *metric, uint64_t number, size_t padding)
{
    static const uint8_t zeros[1 << 16];
    size_t size = 9 + (padding == 0 ? 0 : weir_pbw_bytes_size(7, padding));
    struct weir_buf buf = weir_buf_fixed(fixture_alloc(run->arena, size), size);
    weir_pbw_fixed64(&buf, 3, number);
    if (padding > 0) {
        assert_true(padding <= sizeof(zeros));
        weir_pbw_bytes(&buf, 7, weir_bytes_of(zeros, padding));
    }
    assert_false(buf.failed);
    assert_true(run->count < FIXTURE_POINTS_MAX);
    struct weir_point point = {buf.data, (uint32_t)size, 0, metric};
    point.run = (uint32_t)(run - request->runs.runs);
    uint8_t *points = (uint8_t *)(uintptr_t)run->points;
    memcpy(points + run->count * sizeof(point), &point, sizeof(point));
    run->count++;
    size_t encoded = weir_point_encoded_size(point.size);
    run->bytes += encoded;
    request->runs.bytes += encoded;
    request->runs.points++;
}

/* The number of a point. */
static inline uint64_t fixture_number(struct weir_bytes content)
{
    struct weir_cursor cursor = weir_cursor_of(content);
    struct weir_pb_field field = {0};
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 3) {
            return field.value;
        }
    }
    fail_msg("a point without a number");
    return 0;
}

/* Whether all of a run lies within `arena`'s own memory cannot be asked; that its views can be read
 * can. */
static inline uint64_t fixture_first_number(const struct weir_run *run)
{
    return fixture_number(weir_bytes_of(run->points[0].data, run->points[0].size));
}

/* A request of one run with one point, not larger than it need be. */
static inline struct fixture_request fixture_single(struct fixture *fixture, const char *name,
                                                    uint64_t number, size_t padding)
{
    struct fixture_request request = fixture_request(fixture, "request-1", 0);
    struct weir_run *run = fixture_run(&request, name, "resource");
    fixture_point(&request, run, fixture_metric(run, "", "metric"), number, padding);
    return request;
}

/* Reserves among `targets` by the present set, which must stay: nothing holds it until the end but
 * the router. */
static inline void fixture_reserve_for(struct weir_router *router, struct fixture_request *request,
                                       uint64_t targets, struct weir_reservation *ret)
{
    struct weir_route_choice choice;
    weir_router_hold(router, targets, &choice);
    weir_router_reserve(router, request->arena, &request->runs, &choice, ret);
    weir_router_release(router, &choice);
}

/* Reserves for all destinations or for none, as durability: memory does. */
static inline enum weir_status fixture_reserve(struct weir_router *router,
                                               struct fixture_request *request,
                                               struct weir_reservation *ret)
{
    fixture_reserve_for(router, request, WEIR_TARGETS_ALL, ret);
    if (ret->live == ret->wanted) {
        return WEIR_OK;
    }
    weir_router_cancel(router, &request->runs, ret);
    return WEIR_EFULL;
}

#endif
