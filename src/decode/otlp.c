/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk through delimited ExportMetricsServiceRequests.
 *
 *   record    [len|message][len|message]...
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
 *   I2  a message that fails is rolled back whole: its points are gone, and only its heads stay
 *       interned, unseen
 *   I3  the walk is 4 levels of loops, no recursion; attributes nest at most WEIR_OTLP_DEPTH_MAX
 *       deep
 *
 * Which version it is is asked of each data point: field 1 is 0.7's labels, reserved since 0.9. An
 * exponential histogram, which 0.7 does not have, uses 1 for its attributes. A point with neither
 * is 1.0.
 *
 * Fields that nobody knows are kept in heads and points. Only those of the outermost message are
 * left: what leaves is another message. A Metric without data points leaves nothing.
 */
#include "weir/otlp.h"
#include "otlp_point.h"
#include "weir/otlp_check.h"
#include "weir/panic.h"

struct walk {
    struct weir_collect *collect;
    enum weir_record_format format;
    enum weir_quarantine reason; /* why a walk_ function returned false */
    const struct weir_scope *scope;
};

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

static bool refuse(struct walk *walk, enum weir_quarantine reason)
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
static bool take_head(struct walk *walk, enum weir_otlp_shape shape, struct weir_bytes message,
                      struct weir_bytes *ret_head)
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

static bool walk_point(struct walk *walk, const struct weir_metric *metric,
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
static bool walk_data(struct walk *walk, const struct data_kind *kind, struct weir_bytes head,
                      struct weir_bytes data)
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
            metric = weir_collect_metric(walk->collect, key);
        }
        if (!walk_point(walk, metric, kind->point, field.bytes)) {
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

/* A data member that comes twice is one message in two parts: joined, as protobuf merges it. */
static bool walk_metric(struct walk *walk, struct weir_bytes metric)
{
    struct weir_bytes head;
    struct weir_bytes data = {NULL, 0};
    size_t size = 0; /* of all members together */
    const struct data_kind *kind = NULL;
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
        data = join_data(walk->collect, metric, (uint32_t)kind->data, size);
    }
    return kind == NULL || walk_data(walk, kind, head, data);
}

static bool walk_scope(struct walk *walk, const struct weir_resource *resource,
                       struct weir_bytes scope_metrics)
{
    struct weir_bytes head;
    if (!take_head(walk, WEIR_OTLP_SCOPE_METRICS, scope_metrics, &head)) {
        return false;
    }
    walk->scope = weir_collect_scope(walk->collect, resource, head);
    struct weir_cursor cursor = weir_cursor_of(scope_metrics);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (weir_otlp_check_is_child(WEIR_OTLP_SCOPE_METRICS, field.number) &&
            !walk_metric(walk, field.bytes)) {
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

static const struct weir_resource *intern_resource(struct walk *walk, struct weir_bytes head)
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

static bool walk_resource(struct walk *walk, struct weir_bytes resource_metrics)
{
    struct weir_bytes head;
    if (!take_head(walk, WEIR_OTLP_RESOURCE_METRICS, resource_metrics, &head)) {
        return false;
    }
    const struct weir_resource *resource = intern_resource(walk, head);
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

static bool walk_message(struct walk *walk, struct weir_bytes message)
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

enum weir_status weir_otlp_message(struct weir_collect *collect, struct weir_bytes message,
                                   enum weir_record_format *ret_format,
                                   enum weir_quarantine *ret_reason)
{
    struct weir_collect_mark mark = weir_collect_mark(collect);
    struct walk walk = {.collect = collect, .format = WEIR_RECORD_OTLP_10};
    if (!walk_message(&walk, message)) {
        weir_collect_rollback(collect, mark);
        *ret_reason = walk.reason;
        return WEIR_EMALFORMED;
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
