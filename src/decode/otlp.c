/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delimited ExportMetricsServiceRequests, the quick way first.
 *
 *   record    [len|message][len|message]...
 *   message   ResourceMetrics ─► ScopeMetrics ─► Metric ─► Summary ─► data point
 *                head first,       head first,     as AWS lays them out (otlp_aws.h),
 *                then children     then children   or each the plain way (otlp_plain.h)
 *
 * The quick walk reads each level once: the fields before the first child are the head, and
 * behind it there must be nothing but children. A Metric or data point of another layout goes the
 * plain way by itself. Anything else that is unusual, and all that is wrong, ends the quick walk:
 * what it collected is taken back, and the plain walk of the whole message decides, so that every
 * refusal and its reason is the plain walk's.
 *
 *   I1  nothing is handed to the collector as a view that was not checked before, all of its fields
 *   I2  a message that fails is rolled back whole: its points are gone, and only its heads stay
 *       interned, unseen
 *   I3  where the quick walk succeeds, the plain one would have collected the same, point by point
 *       (prop_otlp_plain, fuzz_otlp_plain)
 *
 * A message is walked twice at most, so nobody can make one cost more than double. The request's
 * thread; a full arena shows in the collector.
 */
#include "weir/otlp.h"
#include "collect_quick.h"
#include "otlp_aws.h"
#include "otlp_plain.h"
#include "weir/panic.h"

/* A 0.7 point, rewritten; false where it is not just as AWS writes it. */
static bool walk_labels(struct weir_otlp_walk *walk, const struct weir_metric *metric,
                        struct weir_bytes data)
{
    struct weir_cwpoint point;
    if (!weir_otlp_aws_labels(data, &point)) {
        return false;
    }
    struct weir_bytes written = weir_cwpoint_summary(walk->collect->arena, &point, 0, NULL);
    walk->collect->full = walk->collect->full || written.data == NULL;
    walk->format = WEIR_RECORD_OTLP_07;
    weir_collect_point(walk->collect, metric, point.name, written,
                       point.time_ns <= INT64_MAX ? (int64_t)point.time_ns : 0);
    return true;
}

/* A point of a Summary that is not as AWS lays out 1.0's. Only 0.7's begins with field 1. */
__attribute__((noinline)) static bool walk_other_point(struct weir_otlp_walk *walk,
                                                       const struct weir_metric *metric,
                                                       struct weir_bytes data)
{
    return (data.size > 0 && data.data[0] == 0x0A && walk_labels(walk, metric, data)) ||
           weir_otlp_plain_point(walk, metric, WEIR_OTLP_SUMMARY_POINT, data);
}

/* Takes the next child, if that is what comes next; on false both are untouched. */
static bool take_child(struct weir_bytes *rest, enum weir_otlp_shape shape, struct weir_bytes *ret)
{
    struct weir_cursor cursor = weir_cursor_of(*rest);
    struct weir_pb_field field;
    if (!weir_pb_next(&cursor, &field) || field.type != WEIR_PB_BYTES ||
        !weir_otlp_check_is_child(shape, field.number)) {
        return false;
    }
    *rest = weir_bytes_of(cursor.position, weir_cursor_left(&cursor));
    *ret = field.bytes;
    return true;
}

/* The points of a Metric that has AWS's layout: nearly always one, which ends where they end. */
static inline bool walk_points(struct weir_otlp_walk *walk, const struct weir_metric *metric,
                               struct weir_bytes points)
{
    struct weir_otlp_point point;
    struct weir_bytes data;
    while (points.size > 0) {
        if (weir_otlp_aws_only(points, 0x0A, &data)) {
            points.size = 0;
        } else if (!weir_otlp_aws_next(&points, 0x0A, &data) &&
                   !take_child(&points, WEIR_OTLP_DATA_PLAIN, &data)) {
            return false;
        }
        if (weir_otlp_aws_point(data, &point)) {
            /* before the name, which is none or has a byte, stand 17 of its attribute, and 14 at
             * least of the five messages and two texts around and before that: enough */
            weir_collect_roomy_point(walk->collect, metric, point.name, data, point.time_ns);
        } else if (!walk_other_point(walk, metric, data)) {
            return false;
        }
    }
    return true;
}

/* Asks for the bytes that the next Metrics are in: only their beginnings are looked at before their
 * turn. Behind the record's end it is a hint that comes to nothing. */
static inline void ask_for_next(const uint8_t *at)
{
    enum { LINE = 64, FROM = 4 * LINE, TO = 8 * LINE };
    for (size_t i = FROM; i < TO; i += LINE) {
        __builtin_prefetch(at + i);
    }
}

/* Takes Metrics of AWS's layout off the front of a scope, as many as are looked up together at
 * most, and walks their points; *ret_count is how many there were. */
static bool walk_metrics(struct weir_otlp_walk *walk, struct weir_bytes *rest, uint32_t *ret_count)
{
    struct weir_metric keys[WEIR_COLLECT_TOGETHER];
    struct weir_bytes points[WEIR_COLLECT_TOGETHER];
    const struct weir_metric *known[WEIR_COLLECT_TOGETHER];
    uint32_t count = 0;
    while (count < WEIR_COLLECT_TOGETHER) {
        struct weir_bytes head;
        if (!weir_otlp_aws_next_metric(rest, &head, &points[count])) {
            break;
        }
        keys[count++] =
            (struct weir_metric){.scope = walk->scope, .head = head, .data = WEIR_METRIC_SUMMARY};
        ask_for_next(rest->data);
    }
    weir_collect_ask(walk->collect, keys, count);
    weir_collect_find(walk->collect, keys, count, known);
    for (uint32_t i = 0; i < count; i++) {
        if (known[i] == NULL) {
            if (!weir_otlp_aws_head(keys[i].head)) {
                return false;
            }
            known[i] = weir_collect_asked(walk->collect, &keys[i]);
        }
        if (!walk_points(walk, known[i], points[i])) {
            return false;
        }
    }
    walk->collect->parts += count;
    *ret_count = count;
    return true;
}

/* Takes the fields before the first child, checked, as the head. */
static bool take_head(struct weir_bytes *rest, enum weir_otlp_shape shape,
                      struct weir_bytes *ret_head)
{
    struct weir_cursor cursor = weir_cursor_of(*rest);
    struct weir_pb_field field;
    size_t size = 0;
    while (weir_pb_next(&cursor, &field) && !weir_otlp_check_is_child(shape, field.number)) {
        if (!weir_otlp_check_field(shape, &field)) {
            return false;
        }
        size += field.whole.size;
    }
    *ret_head = size == 0 ? (struct weir_bytes){NULL, 0} : weir_bytes_of(rest->data, size);
    *rest = weir_bytes_from(*rest, size);
    return !cursor.failed;
}

static bool walk_scope(struct weir_otlp_walk *walk, const struct weir_resource *resource,
                       struct weir_bytes scope_metrics)
{
    struct weir_bytes head;
    struct weir_bytes rest = scope_metrics;
    if (!take_head(&rest, WEIR_OTLP_SCOPE_METRICS, &head)) {
        return false;
    }
    walk->collect->parts++;
    walk->scope = weir_collect_scope(walk->collect, resource, head);
    while (rest.size > 0) {
        struct weir_bytes metric;
        uint32_t walked = 0;
        if (!walk_metrics(walk, &rest, &walked)) {
            return false;
        }
        if (walked == 0 && (!take_child(&rest, WEIR_OTLP_SCOPE_METRICS, &metric) ||
                            !weir_otlp_plain_metric(walk, metric))) {
            return false;
        }
    }
    return true;
}

static bool walk_resource(struct weir_otlp_walk *walk, struct weir_bytes resource_metrics)
{
    struct weir_bytes head;
    struct weir_bytes rest = resource_metrics;
    if (!take_head(&rest, WEIR_OTLP_RESOURCE_METRICS, &head)) {
        return false;
    }
    walk->collect->parts++;
    const struct weir_resource *resource = weir_otlp_plain_resource(walk, head);
    while (rest.size > 0) {
        struct weir_bytes scope_metrics;
        if (!take_child(&rest, WEIR_OTLP_RESOURCE_METRICS, &scope_metrics) ||
            !walk_scope(walk, resource, scope_metrics)) {
            return false;
        }
    }
    return true;
}

static bool walk_message(struct weir_otlp_walk *walk, struct weir_bytes message)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number != 1 || field.type != WEIR_PB_BYTES || !walk_resource(walk, field.bytes)) {
            return false;
        }
    }
    return !cursor.failed;
}

enum weir_status weir_otlp_message(struct weir_collect *collect, struct weir_bytes message,
                                   enum weir_record_format *ret_format,
                                   enum weir_quarantine *ret_reason)
{
    struct weir_collect_mark mark = weir_collect_mark(collect);
    uint64_t parts = ++collect->parts;
    struct weir_otlp_walk walk = {.collect = collect, .format = WEIR_RECORD_OTLP_10};
    if (!walk_message(&walk, message)) {
        weir_collect_rollback(collect, mark);
        collect->parts = parts; /* the plain walk counts them again */
        walk = (struct weir_otlp_walk){.collect = collect, .format = WEIR_RECORD_OTLP_10};
        if (!weir_otlp_plain_message(&walk, message)) {
            weir_collect_rollback(collect, mark);
            *ret_reason = walk.reason;
            return WEIR_EMALFORMED;
        }
    }
    if (collect->points == mark.points && message.size > 0 && !collect->full) {
        *ret_reason = WEIR_QUARANTINE_OTLP_NO_POINTS;
        return WEIR_EMALFORMED;
    }
    *ret_format = walk.format;
    return WEIR_OK;
}

/* Whether a record can begin a message at all: a length, and then field 1 of
 * ExportMetricsServiceRequest (or nothing, where the length is 0). What does not is no OTLP, rather
 * than damaged OTLP. */
static bool looks_like_otlp(struct weir_bytes record)
{
    struct weir_cursor cursor = weir_cursor_of(record);
    uint64_t size = weir_pb_varint(&cursor);
    return !cursor.failed && (size == 0 || weir_cursor_byte(&cursor) == 0x0A);
}

enum weir_record_format weir_otlp_decode(struct weir_collect *collect, struct weir_bytes record,
                                         uint32_t record_index)
{
    struct weir_cursor cursor = weir_cursor_of(record);
    enum weir_record_format format = WEIR_RECORD_OTLP_10;
    if (!looks_like_otlp(record)) {
        weir_tally_quarantine(collect->tally, WEIR_QUARANTINE_UNKNOWN, record_index, record);
        return WEIR_RECORD_UNKNOWN;
    }
    while (weir_cursor_left(&cursor) > 0) {
        struct weir_bytes rest = weir_bytes_of(cursor.position, weir_cursor_left(&cursor));
        uint64_t size = weir_pb_varint(&cursor);
        struct weir_bytes message = {NULL, 0};
        if (!cursor.failed && size <= weir_cursor_left(&cursor)) {
            message = weir_cursor_take(&cursor, (size_t)size);
        } else {
            weir_tally_quarantine(collect->tally, WEIR_QUARANTINE_OTLP_FRAME, record_index, rest);
            break;
        }
        enum weir_record_format found = WEIR_RECORD_OTLP_10;
        enum weir_quarantine reason = WEIR_QUARANTINE_OTLP_MESSAGE;
        if (weir_otlp_message(collect, message, &found, &reason) != WEIR_OK) {
            weir_tally_quarantine(collect->tally, reason, record_index, message);
        }
        format = found == WEIR_RECORD_OTLP_07 ? found : format;
    }
    return format;
}
