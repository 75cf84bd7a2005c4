/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splitting a request at a data point, on its wire format: no message is decoded into a structure.
 *
 * Five levels of messages lie over the points, and at each one some fields hold the next level:
 *
 *   level 0  ExportMetricsServiceRequest   1  resource_metrics
 *   level 1  ResourceMetrics               2  scope_metrics
 *   level 2  ScopeMetrics                  2  metrics
 *   level 3  Metric                        5, 7, 9, 10, 11  the five kinds of data
 *   level 4  any of those five             1  data_points
 *
 * Points are numbered through the whole request in wire order. A half is the window [from, to) of
 * those numbers: every message is written again with the children that have points in the window,
 * and with all its other fields as they are.
 *
 *   I1  fields of a message keep their order
 *   I2  a child without a point in the window is left out: a half holds no empty metric
 *   I3  a message's length is measured before it is written, by the same walk
 *
 * Measuring again at each level costs five walks in all: a split happens once in the life of a
 * batch that a backend found too large, so no memory is spent on remembering lengths. Recursion,
 * against the rule: it is five levels deep and not deeper, whatever the input. Pure; corrupt input
 * is refused by the count that comes first.
 */
#include "weir/split.h"
#include "weir/panic.h"
#include "weir/pbw.h"

enum { LEVEL_REQUEST, LEVEL_RESOURCE, LEVEL_SCOPE, LEVEL_METRIC, LEVEL_DATA };

struct window {
    size_t from;
    size_t to;
};

struct measure {
    size_t points; /* in the message */
    size_t kept;   /* of them, in the window */
    size_t size;   /* bytes of the message with the kept ones only */
};

/* Whether a field of a message of this level holds the next level (or, in the last, a point). */
static bool is_child(unsigned level, uint32_t number)
{
    switch (level) {
    case LEVEL_REQUEST: return number == 1;
    case LEVEL_RESOURCE: return number == 2;
    case LEVEL_SCOPE: return number == 2;
    case LEVEL_METRIC:
        return number == 5 || number == 7 || number == 9 || number == 10 || number == 11;
    case LEVEL_DATA: return number == 1;
    default: WEIR_UNREACHABLE();
    }
}

static bool in_window(struct window window, size_t point)
{
    return point >= window.from && point < window.to;
}

/* Measures a message whose first point has the number `first`. False: malformed. */
static bool measure(unsigned level, struct weir_bytes message, size_t first, struct window window,
                    struct measure *ret)
{
    struct measure sum = {0};
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (!is_child(level, field.number)) {
            sum.size += field.whole.size;
            continue;
        }
        struct measure child = {0};
        if (field.type != WEIR_PB_BYTES) {
            return false;
        }
        if (level == LEVEL_DATA) {
            child = (struct measure){1, in_window(window, first + sum.points), field.bytes.size};
        } else if (!measure(level + 1, field.bytes, first + sum.points, window, &child)) {
            return false;
        }
        sum.points += child.points;
        sum.kept += child.kept;
        sum.size += child.kept > 0 ? weir_pbw_bytes_size(field.number, child.size) : 0;
    }
    *ret = sum;
    return !cursor.failed;
}

/* Writes what measure() has measured; the message is known to be well-formed.
 * Returns its points. */
static size_t write_kept(unsigned level, struct weir_bytes message, size_t first,
                         struct window window, struct weir_buf *out)
{
    size_t points = 0;
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        struct measure child = {0};
        if (!is_child(level, field.number)) {
            weir_buf_put(out, field.whole);
        } else if (level == LEVEL_DATA) {
            if (in_window(window, first + points)) {
                weir_pbw_bytes(out, field.number, field.bytes);
            }
            points++;
        } else {
            bool measured = measure(level + 1, field.bytes, first + points, window, &child);
            WEIR_ASSERT(measured);
            if (child.kept > 0) {
                weir_pbw_begin(out, field.number, child.size);
                (void)write_kept(level + 1, field.bytes, first + points, window, out);
            }
            points += child.points;
        }
    }
    return points;
}

enum weir_status weir_split_count(struct weir_bytes request, size_t *ret_points)
{
    struct measure all;
    if (!measure(LEVEL_REQUEST, request, 0, (struct window){0, 0}, &all)) {
        return WEIR_EMALFORMED;
    }
    *ret_points = all.points;
    return WEIR_OK;
}

enum weir_status weir_split_at(struct weir_bytes request, size_t at, struct weir_buf *first,
                               struct weir_buf *second)
{
    size_t count;
    WEIR_TRY(weir_split_count(request, &count));
    if (at == 0 || at >= count) {
        return WEIR_EINVAL;
    }
    size_t seen = write_kept(LEVEL_REQUEST, request, 0, (struct window){0, at}, first);
    WEIR_ASSERT(seen == count);
    seen = write_kept(LEVEL_REQUEST, request, 0, (struct window){at, count}, second);
    WEIR_ASSERT(seen == count);
    return first->failed || second->failed ? WEIR_ENOMEM : WEIR_OK;
}
