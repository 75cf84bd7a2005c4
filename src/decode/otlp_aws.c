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
 * A point is tried as the usual one first: the numbers that nearly all have, texts of one-byte
 * lengths. What differs from point to point as if by chance (a sum or none, empty quantiles) is
 * looked at without a branch there: mispredicted ones were a third of the time.
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
#include "weir/panic.h"
#include "weir/pb.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a word's lowest byte is its first");

/* What is left of a message. */
struct span {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct span span_of(struct weir_bytes bytes)
{
    return (struct span){bytes.data, bytes.data == NULL ? NULL : bytes.data + bytes.size};
}

static inline size_t left(const struct span *span)
{
    return (size_t)(span->end - span->at);
}

static inline struct weir_bytes view(const struct span *span)
{
    return weir_bytes_of(span->at, left(span));
}

/* Takes a length-delimited field. `*wide` counts two-byte lengths. */
static inline bool take(struct span *span, uint8_t tag, struct span *ret, unsigned *wide)
{
    size_t most = left(span);
    const uint8_t *at = span->at;
    if (most < 2 || at[0] != tag) {
        return false;
    }
    size_t size = at[1];
    at += 2;
    most -= 2;
    if (size >= 0x80) {
        if (most < 1 || at[0] >= 0x80) {
            return false;
        }
        size = (size & 0x7F) | (size_t)at[0] << 7;
        at++;
        most--;
        ++*wide;
    }
    if (size > most) {
        return false;
    }
    *ret = (struct span){at, at + size};
    span->at = at + size;
    return true;
}

/* Enters a length-delimited field that ends where `span` does. */
static inline bool enter(struct span *span, uint8_t tag, unsigned *wide)
{
    size_t size = left(span);
    const uint8_t *at = span->at;
    if (size < 2 || at[0] != tag) {
        return false;
    }
    if (size < 0x82) {
        span->at = at + 2;
        return at[1] == size - 2;
    }
    size -= 3;
    span->at = at + 3;
    ++*wide;
    return size < 0x4000 && at[1] == (uint8_t)(size | 0x80) && at[2] == size >> 7;
}

/* Compares `size` bytes, and goes on behind them. */
static inline bool match(struct span *span, const char *text, size_t size)
{
    if (left(span) < size || memcmp(span->at, text, size) != 0) {
        return false;
    }
    span->at += size;
    return true;
}

/* Takes a fixed64 field, where it is there. */
static inline uint64_t fixed64(struct span *span, uint8_t tag)
{
    uint64_t bits = 0;
    if (left(span) >= 9 && span->at[0] == tag) {
        memcpy(&bits, span->at + 1, sizeof(bits));
        span->at += 9;
    }
    return bits;
}

/* Sixteen bytes at once, on every machine that GCC and Clang know. */
typedef int8_t lanes __attribute__((vector_size(16)));

static inline lanes load_lanes(const uint8_t *at)
{
    lanes loaded;
    memcpy(&loaded, at, sizeof(loaded));
    return loaded;
}

/* The sum of eight bytes. */
static inline unsigned add_bytes(uint64_t bytes)
{
    const uint64_t every_other = UINT64_C(0x00FF00FF00FF00FF);
    uint64_t pairs = (bytes & every_other) + (bytes >> 8 & every_other);
    return (unsigned)(pairs * UINT64_C(0x0001000100010001) >> 48);
}

#define SWEEP_MIN   16
#define SWEEP_MAX   (SWEEP_MIN * 127) /* a lane counts to 127 */
#define SWEEP_BLOCK (4 * SWEEP_MIN)

/* Whether so many bytes from `at` to `end` have the high bit. */
static bool has_high_bits(const uint8_t *at, const uint8_t *end, unsigned count)
{
    static const lanes numbers = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    size_t size = (size_t)(end - at);
    if (size < SWEEP_MIN || size >= SWEEP_MAX) {
        return false;
    }
    /* the odd bytes first, so that the rest is whole steps */
    const lanes odds = (lanes){0} + (int8_t)(size % SWEEP_MIN);
    lanes sum = (load_lanes(at) < 0) & (numbers < odds);
    for (at += size % SWEEP_MIN; at != end; at += SWEEP_MIN) {
        sum += load_lanes(at) < 0; /* -1 for each */
    }
    uint64_t halves[2];
    sum = -sum;
    memcpy(halves, &sum, sizeof(halves));
    return add_bytes(halves[0]) + add_bytes(halves[1]) == count;
}

static inline lanes load_block(const uint8_t *at)
{
    return load_lanes(at) | load_lanes(at + SWEEP_MIN) | load_lanes(at + 2 * SWEEP_MIN) |
           load_lanes(at + 3 * SWEEP_MIN);
}

/* Whether I1 holds for the bytes from `at` to `end`. Mostly there is nothing to count: then whole
 * blocks, the last of which overlaps, so that nearly all points take the same way. */
static inline bool is_ascii_but(const uint8_t *at, const uint8_t *end, unsigned wide)
{
    uint64_t halves[2];
    if (wide > 0 || end - at < SWEEP_BLOCK) {
        return has_high_bits(at, end, wide);
    }
    lanes any = load_block(end - SWEEP_BLOCK);
    for (; end - at > SWEEP_BLOCK; at += SWEEP_BLOCK) {
        any |= load_block(at);
    }
    memcpy(halves, &any, sizeof(halves));
    return ((halves[0] | halves[1]) & UINT64_C(0x8080808080808080)) == 0;
}

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
    return is_ascii_but(head.data, head.data + head.size, 0) ||
           weir_otlp_check_message(WEIR_OTLP_METRIC, head);
}

/* Skips quantiles, each of them nothing, a quantile, a value, or both. */
static inline bool skip_quantiles(struct span *span)
{
    while (left(span) >= 2 && span->at[0] == 0x32) {
        const uint8_t *at = span->at + 2;
        size_t size = at[-1];
        if (size > left(span) - 2 ||
            !(size == 0 || (size == 9 && (at[0] == 0x09 || at[0] == 0x11)) ||
              (size == 18 && at[0] == 0x09 && at[9] == 0x11))) {
            return false;
        }
        span->at = at + size;
    }
    return true;
}

/*
 * The attributes' beginnings, with a 0 for each length: of the attribute, of its value, of the
 * value's content.
 */
#define NAMESPACE   "\x3A\0\x0A\x09Namespace\x12\0\x0A\0"
#define METRIC_NAME "\x3A\0\x0A\x0AMetricName\x12\0\x0A\0"
#define DIMENSIONS                                                                                 \
    "\x3A\0\x0A\x0A"                                                                               \
    "Dimensions\x12\0\x32\0"

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

/* A point of whatever lengths and numbers. */
static bool take_any_point(struct weir_bytes data, struct weir_bytes *ret_name,
                           uint64_t *ret_time_ns)
{
    struct span span = span_of(data);
    (void)fixed64(&span, 0x11);
    *ret_time_ns = fixed64(&span, 0x19);
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
    *ret_name = view(&name);
    return is_ascii_but(attributes, span.end, wide);
}

static inline uint64_t load_word(const void *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static inline unsigned load_pair(const uint8_t *at)
{
    uint16_t pair;
    memcpy(&pair, at, sizeof(pair));
    return pair;
}

/* Whether a quantile is nothing, a quantile, a value, or both, at a known size below 32. Looks at
 * 12 bytes. */
static inline unsigned is_quantile(const uint8_t *at)
{
    unsigned begin = load_pair(at + 1); /* size and first tag */
    unsigned one = (begin == 0x0909) | (begin == 0x1109);
    unsigned both = (begin == 0x0912) & (at[11] == 0x11);
    return (at[0] == 0x32) & ((at[1] == 0) | one | both);
}

/*
 * What nearly all points begin with: start, time, count, perhaps the sum, two quantiles. A third of
 * them are of nothing but zeros, which have no sum and shorter quantiles, and come as they like; so
 * nothing branches on that. `at` has USUAL_MIN bytes at least; a size is only followed as far as 31
 * before it is known to be one.
 */
#define USUAL_MIN 120
static inline bool skip_usual_numbers(struct span *span, uint64_t *ret_time_ns)
{
    const uint8_t *at = span->at;
    unsigned tags = (at[0] == 0x11) & (at[9] == 0x19) & (at[18] == 0x21);
    *ret_time_ns = load_word(at + 10);
    at += 27 + 9 * (at[27] == 0x29);
    const uint8_t *second = at + 2 + (at[1] & 0x1F);
    span->at = second + 2 + (second[1] & 0x1F);
    return (tags & is_quantile(at) & is_quantile(second)) != 0;
}

/* Takes an attribute that begins so (17 or 18 bytes) and has only lengths of one byte: the length
 * of the content gives the other two, so the beginning is two words and a byte to compare. */
static inline bool take_short(struct span *span, const char *begin, size_t size, struct span *ret)
{
    const uint8_t *at = span->at;
    size_t most = left(span);
    if (most < size) {
        return false;
    }
    size_t content = at[size - 1];
    uint64_t whole = (uint64_t)(content + size - 2) << 8;
    uint64_t value = (uint64_t)(content + 2) << (size - 11) * 8;
    uint64_t differ = (load_word(at) ^ (load_word(begin) | whole)) |
                      (load_word(at + 8) ^ (load_word(begin + 8) | value)) |
                      (at[size - 2] ^ (uint64_t)begin[size - 2]);
    if (differ != 0 || content > 0x80 - size || content > most - size) {
        return false;
    }
    *ret = (struct span){at + size, at + size + content};
    span->at = ret->end;
    return true;
}

/* Enters the last attribute, whose end is the point's: so its size gives all lengths. */
static inline bool enter_dimensions(struct span *span, unsigned *wide)
{
    const char *begin = DIMENSIONS;
    const uint8_t *at = span->at;
    size_t size = left(span);
    if (size >= 0x82) {
        return enter(span, 0x3A, wide) && match(span, begin + 2, 12) && enter(span, 0x12, wide) &&
               enter(span, 0x32, wide);
    }
    if (size < 18) {
        return false;
    }
    uint64_t differ = (load_word(at) ^ (load_word(begin) | (uint64_t)(size - 2) << 8)) |
                      (load_word(at + 8) ^ (load_word(begin + 8) | (uint64_t)(size - 16) << 56)) |
                      (load_pair(at + 16) ^ (0x32 | (size - 18) << 8));
    span->at = at + 18;
    return differ == 0;
}

/* One dimension, of lengths that take one byte. */
static inline bool skip_short_dimension(struct span *list)
{
    const uint8_t *at = list->at;
    size_t most = left(list);
    if (most < 8 || at[0] != 0x0A || at[2] != 0x0A || at[1] >= 0x80 || at[1] > most - 2 ||
        at[1] < at[3] + 6) {
        return false;
    }
    unsigned text = at[1] - 6U - at[3];
    uint32_t between;
    memcpy(&between, at + 4 + at[3], sizeof(between));
    list->at = at + 2 + at[1];
    return between == (0x12 | (text + 2) << 8 | 0x0A << 16 | text << 24);
}

/* A point of usual numbers, and of short texts. */
static inline bool take_usual_point(struct weir_bytes data, struct weir_bytes *ret_name,
                                    uint64_t *ret_time_ns)
{
    struct span span = span_of(data);
    struct span name;
    struct span metric_name;
    unsigned wide = 0;
    if (data.size < USUAL_MIN || !skip_usual_numbers(&span, ret_time_ns) ||
        !skip_quantiles(&span) || !take_short(&span, NAMESPACE, sizeof(NAMESPACE) - 1, &name) ||
        !take_short(&span, METRIC_NAME, sizeof(METRIC_NAME) - 1, &metric_name) ||
        !enter_dimensions(&span, &wide)) {
        return false;
    }
    while (left(&span) > 0) {
        if (!skip_short_dimension(&span)) {
            return false;
        }
    }
    *ret_name = view(&name);
    return is_ascii_but(name.at, span.end, wide);
}

bool weir_otlp_aws_point(struct weir_bytes data, struct weir_otlp_point *ret)
{
    struct weir_bytes name;
    uint64_t time_ns;
    if (!take_usual_point(data, &name, &time_ns) && !take_any_point(data, &name, &time_ns)) {
        return false;
    }
    *ret = (struct weir_otlp_point){data, name, time_ns <= INT64_MAX ? (int64_t)time_ns : 0, false};
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
