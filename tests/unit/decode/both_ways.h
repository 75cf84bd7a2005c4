/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_DECODE_BOTH_WAYS_H
#define WEIR_TEST_DECODE_BOTH_WAYS_H

/* One message decoded the quick way and the plain way: what comes out must be the same, to the
 * byte. Shared by the property test and the fuzzer, so no cmocka. */
#include "../../../src/decode/otlp_plain.h"
#include "fixture.h"
#include "weir/otlp.h"

static inline bool both_ways_same_metric(const struct weir_metric *a, const struct weir_metric *b)
{
    return weir_bytes_eq(a->head, b->head) && weir_bytes_eq(a->data_head, b->data_head) &&
           a->data == b->data && a->hash == b->hash &&
           weir_bytes_eq(a->scope->head, b->scope->head) &&
           weir_bytes_eq(a->scope->resource->head, b->scope->resource->head);
}

static inline bool both_ways_same_run(const struct weir_run *a, const struct weir_run *b)
{
    if (a->count != b->count || a->bytes != b->bytes || a->newest_ns != b->newest_ns ||
        !weir_bytes_eq(a->name, b->name) ||
        !weir_bytes_eq(a->resource->account, b->resource->account) ||
        !weir_bytes_eq(a->resource->region, b->resource->region)) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (!weir_bytes_eq(weir_bytes_of(a->points[i].data, a->points[i].size),
                           weir_bytes_of(b->points[i].data, b->points[i].size)) ||
            !both_ways_same_metric(a->points[i].metric, b->points[i].metric)) {
            return false;
        }
    }
    return true;
}

static inline bool both_ways_same(const struct weir_runs *a, const struct weir_runs *b)
{
    bool same = a->count == b->count && a->points == b->points && a->bytes == b->bytes;
    for (uint32_t i = 0; same && i < a->count; i++) {
        same = both_ways_same_run(&a->runs[i], &b->runs[i]);
    }
    return same;
}

struct both_ways {
    bool same;
    bool good;
    uint32_t points;
};

static inline struct both_ways both_ways_decode(struct weir_bytes message)
{
    struct fixture quick;
    struct fixture plain;
    struct weir_runs runs[2];
    enum weir_record_format format = WEIR_RECORD_OTLP_10;
    enum weir_quarantine reason = WEIR_QUARANTINE_OTLP_MESSAGE;
    fixture_open(&quick);
    fixture_open(&plain);
    struct weir_otlp_walk walk = {.collect = plain.collect, .format = WEIR_RECORD_OTLP_10};
    bool good = weir_otlp_message(quick.collect, message, &format, &reason) == WEIR_OK;
    bool plain_good = weir_otlp_plain_message(&walk, message);
    if (!plain_good) {
        weir_collect_rollback(plain.collect, (struct weir_collect_mark){0});
    } else if (plain.collect->points == 0 && message.size > 0) {
        plain_good = false;
        walk.reason = WEIR_QUARANTINE_OTLP_NO_POINTS;
    }
    bool finished = weir_collect_finish(quick.collect, &runs[0]) == WEIR_OK &&
                    weir_collect_finish(plain.collect, &runs[1]) == WEIR_OK;
    struct both_ways both = {
        .same = finished && good == plain_good && both_ways_same(&runs[0], &runs[1]) &&
                (good ? format == walk.format : reason == walk.reason),
        .good = good,
        .points = runs[0].points,
    };
    fixture_close(&quick);
    fixture_close(&plain);
    return both;
}

#endif
