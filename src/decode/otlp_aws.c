/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one layout that nearly every OTLP data point of CloudWatch has, matched in a straight line.
 *
 *   Metric   0a name  1a unit  5a { 0a point ... }
 *
 *   point    [11 start] [19 time] [21 count] [29 sum]            a tag and eight bytes each
 *            32 { [09 quantile] [11 value] } ...
 *            3a { 0a "Namespace"   12 { 0a text } }
 *            3a { 0a "MetricName"  12 { 0a text } }
 *            3a { 0a "Dimensions"  12 { 32 { 0a { 0a key 12 { 0a text } } ... } } }
 *
 *   0.7      0a { 0a key [12 text] } ...  then start to quantiles as above
 *
 * The lengths decide everything: a message that must end where its parent ends has the one length
 * that fits, so it is compared and not read. Lengths of one and two bytes are known, other ones
 * (and any other order, number or type of fields) are not this layout.
 *
 * The points that nearly all are have a shorter way (otlp_usual.c); what they have in common with
 * these is in otlp_span.h. A Metric's head is taken unchecked: only where it is a new one, its text
 * is looked at (weir_otlp_aws_head), because equal bytes were.
 *
 * UTF-8 is not looked at string by string, because a loop that ends somewhere else each time costs
 * a mispredicted branch a string. All matched bytes are swept once, in blocks, for high bits; where
 * there are two-byte lengths, those are counted. Tags, one-byte lengths, second bytes and ASCII
 * have none, and the first byte of each two-byte length has one:
 *
 *   I1  high bits in the swept bytes = two-byte lengths matched in them  =>  all strings are ASCII
 *   I2  no read leaves the message: every length is compared with what is left before it is used,
 *       and the sweep stays between its first byte and its last
 *   I3  what is accepted here, weir_otlp_point_check accepts, with the same name, time and values
 *       (prop_otlp_plain, fuzz_otlp_plain)
 *
 * Strings beyond ASCII and whatever else is unusual go the plain way. Pure. Deliberately not a
 * protobuf parser.
 */
#include "otlp_aws.h"
#include "otlp_span.h"
#include "weir/pb.h"

bool weir_otlp_aws_metric(struct weir_bytes metric, struct weir_bytes *ret_head,
                          struct weir_bytes *ret_points)
{
    struct span span = span_of(metric);
    struct span name;
    struct span unit;
    unsigned wide = 0;
    if (!take(&span, 0x0A, &name, &wide) || !take(&span, 0x1A, &unit, &wide)) {
        return false;
    }
    const uint8_t *head_end = span.at;
    if (!enter(&span, 0x5A, &wide)) {
        return false;
    }
    *ret_head = weir_bytes_of(metric.data, (size_t)(head_end - metric.data));
    *ret_points = view(&span);
    return true;
}

bool weir_otlp_aws_head(struct weir_bytes head)
{
    bool is_short = head.size >= SWEEP_MIN && head.size <= SWEEP_BLOCK;
    return (is_short ? is_ascii_short(head.data, head.size)
                     : is_ascii_but(head.data, head.data + head.size, 0)) ||
           weir_otlp_check_message(WEIR_OTLP_METRIC, head);
}

/* Takes an attribute that begins so, of any lengths. Its value's content becomes *ret. */
static inline bool take_long(struct span *span, const char *begin, size_t size, struct span *ret,
                             unsigned *wide)
{
    return take(span, 0x3A, ret, wide) && match(ret, begin + 2, size - 6) &&
           enter(ret, 0x12, wide) && enter(ret, (uint8_t)begin[size - 2], wide);
}

#define TAKE_LONG(span, begin, ret, wide) take_long(span, begin, sizeof(begin) - 1, ret, wide)

static bool skip_long_dimension(struct span *list, unsigned *wide)
{
    struct span pair;
    struct span key;
    return take(list, 0x0A, &pair, wide) && take(&pair, 0x0A, &key, wide) &&
           enter(&pair, 0x12, wide) && enter(&pair, 0x0A, wide);
}

bool weir_otlp_aws_any_point(struct weir_bytes data, struct weir_otlp_point *ret)
{
    struct span span = span_of(data);
    (void)fixed64(&span, 0x11);
    uint64_t time_ns = fixed64(&span, 0x19);
    (void)fixed64(&span, 0x21);
    (void)fixed64(&span, 0x29);
    if (!skip_quantiles(&span)) {
        return false;
    }
    const uint8_t *attributes = span.at;
    struct span name;
    struct span metric_name;
    struct span list;
    unsigned wide = 0;
    if (!TAKE_LONG(&span, NAMESPACE, &name, &wide) ||
        !TAKE_LONG(&span, METRIC_NAME, &metric_name, &wide) ||
        !TAKE_LONG(&span, DIMENSIONS, &list, &wide) || left(&span) > 0) {
        return false;
    }
    while (left(&list) > 0) {
        if (!skip_long_dimension(&list, &wide)) {
            return false;
        }
    }
    if (!is_ascii_but(attributes, span.end, wide)) {
        return false;
    }
    *ret = (struct weir_otlp_point){data, view(&name), time_ns <= INT64_MAX ? (int64_t)time_ns : 0,
                                    false};
    return true;
}

static inline bool take_label(struct span *span, struct weir_cwpoint_dimension *ret, unsigned *wide)
{
    struct span label;
    struct span text;
    if (!take(span, 0x0A, &label, wide) || !take(&label, 0x0A, &text, wide)) {
        return false;
    }
    ret->key = view(&text);
    ret->value = (struct weir_bytes){NULL, 0};
    if (left(&label) > 0) {
        if (!enter(&label, 0x12, wide)) {
            return false;
        }
        ret->value = view(&label);
    }
    return true;
}

static bool take_labels(struct span *span, struct weir_cwpoint *point)
{
    const uint8_t *start = span->at;
    unsigned wide = 0;
    while (left(span) > 0 && span->at[0] == 0x0A) {
        struct weir_cwpoint_dimension label;
        if (!take_label(span, &label, &wide) || !weir_otlp_point_add_label(point, &label)) {
            return false;
        }
    }
    return is_ascii_but(start, span->at, wide);
}

/* One quantile: nothing, a value, a quantile, or both. */
static inline bool take_quantile(struct span *span, struct weir_cwpoint_quantile *ret)
{
    size_t size = span->at[1];
    if (size > 18 || left(span) < 2 + size) {
        return false;
    }
    struct span inside = {span->at + 2, span->at + 2 + size};
    ret->quantile = weir_pb_double(fixed64(&inside, 0x09));
    ret->value = weir_pb_double(fixed64(&inside, 0x11));
    span->at = inside.end;
    return inside.at == inside.end;
}

bool weir_otlp_aws_labels(struct weir_bytes data, struct weir_cwpoint *ret)
{
    struct span span = span_of(data);
    weir_otlp_point_clear(ret);
    if (!take_labels(&span, ret)) {
        return false;
    }
    ret->start_ns = fixed64(&span, 0x11);
    ret->time_ns = fixed64(&span, 0x19);
    ret->count = fixed64(&span, 0x21);
    ret->sum = weir_pb_double(fixed64(&span, 0x29));
    while (left(&span) >= 2 && span.at[0] == 0x32) {
        if (ret->quantile_count == WEIR_CWPOINT_QUANTILES_MAX ||
            !take_quantile(&span, &ret->quantiles[ret->quantile_count])) {
            return false;
        }
        ret->quantile_count++;
    }
    return left(&span) == 0;
}
