/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/point.h"
#include "weir/hash.h"
#include "weir/panic.h"

/* Every ring entry and every sort moves points by value: three words, and no more. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct weir_point) == 24, "a point is three words");

uint64_t weir_resource_hash(struct weir_bytes head)
{
    return weir_hash_quick(head);
}

uint64_t weir_scope_hash(const struct weir_scope *scope)
{
    return weir_hash_mix(scope->resource->hash, weir_hash_quick(scope->head));
}

uint64_t weir_metric_hash(const struct weir_metric *metric)
{
    return weir_metric_hash_by(weir_hash_quick_key(), metric);
}

static bool metric_is_valid(const struct weir_metric *metric, const struct weir_resource *resource)
{
    const struct weir_scope *scope = metric->scope;
    return scope != NULL && scope->resource == resource && metric->data <= WEIR_METRIC_SUMMARY &&
           metric->data >= WEIR_METRIC_GAUGE && metric->hash == weir_metric_hash(metric) &&
           scope->hash == weir_scope_hash(scope) &&
           resource->hash == weir_resource_hash(resource->head);
}

static bool run_is_valid(const struct weir_run *run, uint32_t index)
{
    size_t bytes = 0;
    const struct weir_metric *checked = NULL;
    if (run->count == 0 || run->points == NULL || run->resource == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < run->count; i++) {
        const struct weir_point *point = &run->points[i];
        if (point->run != index || point->metric == NULL ||
            (point->data == NULL && point->size > 0)) {
            return false;
        }
        if (point->metric != checked && !metric_is_valid(point->metric, run->resource)) {
            return false;
        }
        checked = point->metric;
        bytes += weir_point_encoded_size(point->size);
    }
    return bytes == run->bytes;
}

bool weir_runs_validate(const struct weir_runs *runs)
{
    size_t bytes = 0;
    uint64_t points = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        if (!run_is_valid(&runs->runs[i], i)) {
            return false;
        }
        bytes += runs->runs[i].bytes;
        points += runs->runs[i].count;
    }
    return bytes == runs->bytes && points == runs->points;
}
