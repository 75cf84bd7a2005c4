/* SPDX-License-Identifier: Apache-2.0 */
#include "bounds.h"
#include "collect_internal.h"

const char *weir_bounds_exceeded(const struct weir_collect *collect)
{
    const struct weir_collect_tables *tables = collect->tables;
    if (collect->parts + collect->points > WEIR_BOUNDS_PARTS) {
        return "more lines, messages, metrics and points than a request can have";
    }
    if (tables->resources.count > WEIR_BOUNDS_RESOURCES) {
        return "more resources than a request can have";
    }
    if (tables->scopes.count > WEIR_BOUNDS_SCOPES) {
        return "more scopes than a request can have";
    }
    if ((uint64_t)tables->metrics.count + tables->groups.count > WEIR_BOUNDS_METRICS) {
        return "more metrics than a request can have";
    }
    if (tables->places.count > WEIR_BOUNDS_RUNS) {
        return "more namespaces, counted for each resource, than a request can have";
    }
    return NULL;
}
