/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_FLOW_H
#define WEIR_TEST_FLOW_H

/*
 * The middle of Weir for tests of what stands around it: credit, regions, a router with one
 * destination, a pipeline, and Firehose bodies to feed it. Everything is checked to be given back
 * at the end.
 */
#include "counting.h"
#include "support.h"
#include "weir/base64.h"
#include "weir/buf.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/pipeline.h"
#include "weir/rcu.h"
#include "weir/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct flow {
    struct weir_credit intake;
    struct weir_credit queued;
    struct weir_regions *regions;
    struct weir_namespaces *namespaces;
    struct weir_wake wake;
    struct weir_router *router;
    struct weir_pipeline *pipeline;
};

struct flow_options {
    size_t intake;     /* bytes; 0: 64 MiB */
    uint32_t slots;    /* of a ring; 0: 64 */
    size_t body_limit; /* 0: 8 MiB */
    size_t share;      /* of the destination; 0: 64 MiB */
    struct weir_commit commit;
    enum weir_durability durability;
    struct weir_letterbox *letterbox;
};

static inline void flow_start(struct flow *flow, struct flow_options options)
{
    counting_start();
    weir_credit_init(&flow->intake, options.intake != 0 ? options.intake : (size_t)64 << 20);
    weir_credit_init(&flow->queued, (size_t)64 << 20);
    assert_int_equal(weir_regions_new((size_t)8 << 20, &flow->regions), WEIR_OK);
    assert_int_equal(weir_namespaces_new(&flow->namespaces), WEIR_OK);
    assert_int_equal(weir_wake_open(&flow->wake), WEIR_OK);
    const struct weir_route_destination destination = {
        .name = "d",
        .share = options.share != 0 ? options.share : (size_t)64 << 20,
        .wake = &flow->wake};
    const struct weir_router_options router = {.set = weir_route_set_of(&destination, 1),
                                               .ring_slots =
                                                   options.slots != 0 ? options.slots : 64,
                                               .queued = &flow->queued,
                                               .namespaces = flow->namespaces,
                                               .regions = flow->regions};
    assert_int_equal(weir_router_new(&router, &flow->router), WEIR_OK);
    const struct weir_pipeline_options pipeline = {
        .router = flow->router,
        .regions = flow->regions,
        .intake = &flow->intake,
        .namespaces = flow->namespaces,
        .body_limit = options.body_limit != 0 ? options.body_limit : (size_t)8 << 20,
        .limits = {.records = 10000, .record_bytes = 1024000, .depth = 32},
        .durability = options.durability,
        .letterbox = options.letterbox,
        .commit = options.commit};
    assert_int_equal(weir_pipeline_new(&pipeline, &flow->pipeline), WEIR_OK);
}

/* Takes all runs out of the rings and shows each before it goes (`visit` may be NULL); returns how
 * many points they held. Plays the drainer. */
static inline uint32_t flow_drain_to(struct flow *flow,
                                     void (*visit)(void *argument, const struct weir_run *run),
                                     void *argument)
{
    uint32_t points = 0;
    enum weir_thread_role role = weir_thread_role();
    weir_thread_play(WEIR_ROLE_EXPORTER);
    struct weir_run *run;
    while ((run = weir_router_take(flow->router, 0)) != NULL) {
        points += run->count;
        if (visit != NULL) {
            visit(argument, run);
        }
        weir_arena_unref(run->arena, run->bytes);
    }
    weir_thread_play(role);
    return points;
}

static inline uint32_t flow_drain(struct flow *flow)
{
    return flow_drain_to(flow, NULL, NULL);
}

static inline void flow_stop(struct flow *flow)
{
    (void)flow_drain(flow);
    weir_pipeline_free(flow->pipeline);
    weir_router_free(flow->router);
    assert_int_equal(weir_credit_used(&flow->intake), 0);
    assert_int_equal(weir_credit_used(&flow->queued), 0);
    assert_int_equal(weir_regions_taken(flow->regions), 0);
    weir_wake_close(&flow->wake);
    weir_namespaces_free(flow->namespaces);
    weir_regions_free(flow->regions);
    counting_stop();
}

/* A line of CloudWatch JSON, without its line feed. */
#define FLOW_LINE(namespace_, metric_)                                                             \
    "{\"metric_stream_name\":\"s\",\"account_id\":\"123456789012\",\"region\":\"us-east-1\","      \
    "\"namespace\":\"" namespace_ "\",\"metric_name\":\"" metric_ "\",\"dimensions\":{},"          \
    "\"timestamp\":1700000000000,\"value\":{\"count\":1,\"sum\":2,\"max\":2,\"min\":2},"           \
    "\"unit\":\"Count\"}"

/* A Firehose body with one record, in memory that the caller frees with weir_mem_free. */
static inline struct weir_bytes flow_body(const char *request_id, const char *record)
{
    struct weir_buf buf = weir_buf_grow_init((size_t)16 << 20);
    weir_buf_printf(&buf,
                    "{\"requestId\":\"%s\",\"timestamp\":1700000000000,\"records\":[{\"data\":\"",
                    request_id);
    size_t size = weir_base64_encoded_size(strlen(record));
    uint8_t *place = weir_buf_reserve(&buf, size);
    assert_non_null(place);
    weir_base64_encode(weir_bytes_str(record), place);
    buf.size += size;
    weir_buf_printf(&buf, "\"}]}");
    assert_false(buf.failed);
    return weir_buf_view(&buf);
}

#endif
