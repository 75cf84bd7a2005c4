/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk through an ExportMetricsServiceRequest, of whatever layout.
 *
 *   message   ResourceMetrics ─► ScopeMetrics ─► Metric ─► data ─► data point
 *                │ head            │ head         │ head   │ data_head  │ kept as it is (1.0),
 *                                                                       │ or rewritten (0.7)
 *
 * A level's head is every field that does not lead down, joined in order: a view of the message
 * where those fields stand together (AWS writes them so), else a copy in the arena. Each level is
 * read twice, once for its head and once for its children, because the head is the key that the
 * children's metric is interned under.
 *
 *   I1  nothing is handed to the collector as a view that was not checked before, all of its fields
 *   I2  the walk is 4 levels of loops, no recursion; attributes nest at most WEIR_OTLP_DEPTH_MAX
 *       deep
 *
 * Which version it is is asked of each data point: field 1 is 0.7's labels, reserved since 0.9. An
 * exponential histogram, which 0.7 does not have, uses 1 for its attributes. A point with neither
 * is 1.0.
 *
 * Fields that nobody knows are kept in heads and points. Only those of the outermost message are
 * left: what leaves is another message. A Metric without data points leaves nothing. What a failed
 * walk has collected is for the caller to take back. The request's thread; a full arena shows in
 * the collector.
 */
#include "otlp_plain.h"
#include "otlp_point.h"
#include "weir/panic.h"

/* What one Metric's data member says about its points. */
struct data_kind {
    enum weir_metric_data data;
    enum weir_otlp_shape shape; /* of the data message */
    enum weir_otlp_shape point; /* of a data point */
};

static const struct data_kind data_kinds[] = {
    {WEIR_METRIC_SUMMARY, WEIR_OTLP_DATA_PLAIN, WEIR_OTLP_SUMMARY_POINT},
    {WEIR_METRIC_GAUGE, WEIR_OTLP_DATA_PLAIN, WEIR_OTLP_NUMBER_POINT},
    {WEIR_METRIC_SUM, WEIR_OTLP_DATA_SUM, WEIR_OTLP_NUMBER_POINT},
    {WEIR_METRIC_HISTOGRAM, WEIR_OTLP_DATA_HISTOGRAM, WEIR_OTLP_HISTOGRAM_POINT},
    {WEIR_METRIC_EXPONENTIAL_HISTOGRAM, WEIR_OTLP_DATA_HISTOGRAM, WEIR_OTLP_EXPONENTIAL_POINT},
};

static const struct data_kind *find_data_kind(uint32_t number)
{
    for (size_t i = 0; i < sizeof(data_kinds) / sizeof(data_kinds[0]); i++) {
        if ((uint32_t)data_kinds[i].data == number) {
            return &data_kinds[i];
        }
    }
    return NULL;
}

static bool refuse(struct weir_otlp_walk *walk, enum weir_quarantine reason)
{
    walk->reason = reason;
    return false;
}

/* Joins the fields of `message` for which is_child is `children`, in the arena. The message is
 * well-formed. */
static struct weir_bytes join(struct weir_collect *collect, enum weir_otlp_shape shape,
                              struct weir_bytes message, size_t size)
{
    uint8_t *copy = weir_arena_alloc(collect->arena, size, 1);
    if (copy == NULL) {
        collect->full = true;
        return (struct weir_bytes){NULL, 0};
    }
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    size_t at = 0;
    while (weir_pb_next(&cursor, &field)) {
        if (!weir_otlp_check_is_child(shape, field.number)) {
            memcpy(copy + at, field.whole.data, field.whole.size);
            at += field.whole.size;
        }
    }
    WEIR_ASSERT(at == size);
    return weir_bytes_of(copy, size);
}

/* Checks every field of `message`, and gives those that do not lead down as one view. */
static bool take_head(struct weir_otlp_walk *walk, enum weir_otlp_shape shape,
                      struct weir_bytes message, struct weir_bytes *ret_head)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    struct weir_bytes head = {NULL, 0};
    bool together = true;
    while (weir_pb_next(&cursor, &field)) {
        if (!weir_otlp_check_field(shape, &field)) {
            return refuse(walk, WEIR_QUARANTINE_OTLP_MESSAGE);
        }
        if (weir_otlp_check_is_child(shape, field.number)) {
            continue;
        }
        if (head.size == 0) {
            head.data = field.whole.data;
        } else if (field.whole.data != head.data + head.size) {
            together = false;
        }
        head.size += field.whole.size;
    }
    if (cursor.failed) {
        return refuse(walk, WEIR_QUARANTINE_OTLP_MESSAGE);
    }
    *ret_head = together ? head : join(walk->collect, shape, message, head.size);
    return true;
}

bool weir_otlp_plain_point(struct weir_otlp_walk *walk, const struct weir_metric *metric,
                           enum weir_otlp_shape shape, struct weir_bytes data)
{
    struct weir_otlp_point point;
    if (!weir_otlp_point_check(shape, data, &point)) {
        return refuse(walk, WEIR_QUARANTINE_OTLP_MESSAGE);
    }
    if (point.has_labels) {
        walk->format = WEIR_RECORD_OTLP_07;
        if (metric->data != WEIR_METRIC_SUMMARY) {
            return refuse(walk, WEIR_QUARANTINE_OTLP_TYPE);
        }
        if (!weir_otlp_point_rewrite(walk->collect, &point)) {
            return refuse(walk, WEIR_QUARANTINE_OTLP_MESSAGE);
        }
    }
    weir_collect_point(walk->collect, metric, point.name, point.data, point.time_ns);
    return true;
}

/* The points of one data message, and with the first of them the metric. */
static bool walk_data(struct weir_otlp_walk *walk, const struct data_kind *kind,
                      struct weir_bytes head, struct weir_bytes data)
{
    struct weir_metric key = {.scope = walk->scope, .head = head, .data = kind->data};
    const struct weir_metric *metric = NULL;
    if (!take_head(walk, kind->shape, data, &key.data_head)) {
        return false;
    }
    struct weir_cursor cursor = weir_cursor_of(data);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (!weir_otlp_check_is_child(kind->shape, field.number)) {
            continue;
        }
        if (metric == NULL) {
            metric = weir_collect_metric(walk->collect, &key);
        }
        if (!weir_otlp_plain_point(walk, metric, kind->point, field.bytes)) {
            return false;
        }
    }
    return true;
}

/* Joins the members of a metric's data field `number`, `size` bytes in all, in the arena. */
static struct weir_bytes join_data(struct weir_collect *collect, struct weir_bytes metric,
                                   uint32_t number, size_t size)
{
    uint8_t *joined = weir_arena_alloc(collect->arena, size, 1);
    if (joined == NULL) {
        collect->full = true;
        return (struct weir_bytes){NULL, 0};
    }
    struct weir_cursor cursor = weir_cursor_of(metric);
    struct weir_pb_field field;
    size_t at = 0;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == number && field.bytes.size > 0) {
            memcpy(joined + at, field.bytes.data, field.bytes.size);
            at += field.bytes.size;
        }
    }
    WEIR_ASSERT(at == size);
    return weir_bytes_of(joined, size);
}

/* Whether each member of a metric's data field is a message by itself. Joined, a field that runs
 * over its own member's end would go on in the next one's, which no other reader accepts. */
static bool parts_are_messages(struct weir_bytes metric, uint32_t number)
{
    struct weir_cursor cursor = weir_cursor_of(metric);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        struct weir_cursor inside = weir_cursor_of(field.bytes);
        struct weir_pb_field part;
        while (field.number == number && weir_pb_next(&inside, &part)) {
        }
        if (inside.failed) {
            return false;
        }
    }
    return true;
}

/* A data member that comes twice is one message in two parts: joined, as protobuf merges it. */
bool weir_otlp_plain_metric(struct weir_otlp_walk *walk, struct weir_bytes metric)
{
    struct weir_bytes head;
    struct weir_bytes data = {NULL, 0};
    size_t size = 0; /* of all members together */
    const struct data_kind *kind = NULL;
    walk->collect->parts++;
    if (!take_head(walk, WEIR_OTLP_METRIC, metric, &head)) {
        return false;
    }
    struct weir_cursor cursor = weir_cursor_of(metric);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 4 || field.number == 6 || field.number == 8) {
            walk->format = WEIR_RECORD_OTLP_07; /* int_gauge, int_sum, int_histogram */
            return refuse(walk, WEIR_QUARANTINE_OTLP_TYPE);
        }
        if (!weir_otlp_check_is_child(WEIR_OTLP_METRIC, field.number)) {
            continue;
        }
        if (kind != NULL && (uint32_t)kind->data != field.number) {
            return refuse(walk, WEIR_QUARANTINE_OTLP_MESSAGE);
        }
        kind = find_data_kind(field.number);
        data = field.bytes.size > 0 ? field.bytes : data;
        size += field.bytes.size;
    }
    if (data.size < size) {
        if (!parts_are_messages(metric, (uint32_t)kind->data)) {
            return refuse(walk, WEIR_QUARANTINE_OTLP_MESSAGE);
        }
        data = join_data(walk->collect, metric, (uint32_t)kind->data, size);
    }
    return kind == NULL || walk_data(walk, kind, head, data);
}

static bool walk_scope(struct weir_otlp_walk *walk, const struct weir_resource *resource,
                       struct weir_bytes scope_metrics)
{
    struct weir_bytes head;
    if (!take_head(walk, WEIR_OTLP_SCOPE_METRICS, scope_metrics, &head)) {
        return false;
    }
    walk->collect->parts++;
    walk->scope = weir_collect_scope(walk->collect, resource, head);
    struct weir_cursor cursor = weir_cursor_of(scope_metrics);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (weir_otlp_check_is_child(WEIR_OTLP_SCOPE_METRICS, field.number) &&
            !weir_otlp_plain_metric(walk, field.bytes)) {
            return false;
        }
    }
    return true;
}

/* Account and region among a Resource's attributes. */
static void find_account(struct weir_bytes resource, struct weir_bytes *ret_account,
                         struct weir_bytes *ret_region)
{
    struct weir_cursor cursor = weir_cursor_of(resource);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1) {
            (void)weir_otlp_check_attribute(field.bytes, WEIR_BYTES("cloud.account.id"),
                                            ret_account);
            (void)weir_otlp_check_attribute(field.bytes, WEIR_BYTES("cloud.region"), ret_region);
        }
    }
}

const struct weir_resource *weir_otlp_plain_resource(struct weir_otlp_walk *walk,
                                                     struct weir_bytes head)
{
    struct weir_bytes account = {NULL, 0};
    struct weir_bytes region = {NULL, 0};
    struct weir_cursor cursor = weir_cursor_of(head);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1) {
            find_account(field.bytes, &account, &region);
        }
    }
    return weir_collect_resource(walk->collect, head, account, region);
}

static bool walk_resource(struct weir_otlp_walk *walk, struct weir_bytes resource_metrics)
{
    struct weir_bytes head;
    if (!take_head(walk, WEIR_OTLP_RESOURCE_METRICS, resource_metrics, &head)) {
        return false;
    }
    walk->collect->parts++;
    const struct weir_resource *resource = weir_otlp_plain_resource(walk, head);
    struct weir_cursor cursor = weir_cursor_of(resource_metrics);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (weir_otlp_check_is_child(WEIR_OTLP_RESOURCE_METRICS, field.number) &&
            !walk_scope(walk, resource, field.bytes)) {
            return false;
        }
    }
    return true;
}

bool weir_otlp_plain_message(struct weir_otlp_walk *walk, struct weir_bytes message)
{
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number != 1) {
            continue;
        }
        if (field.type != WEIR_PB_BYTES) {
            return refuse(walk, WEIR_QUARANTINE_OTLP_MESSAGE);
        }
        if (!walk_resource(walk, field.bytes)) {
            return false;
        }
    }
    return !cursor.failed || refuse(walk, WEIR_QUARANTINE_OTLP_MESSAGE);
}
