/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usual data point: AWS's layout (otlp_aws.c has the picture and the invariants) with start,
 * time, count, perhaps a sum, two quantiles and more, and texts of one-byte lengths. Four of five
 * points are; all others are matched the longer way, with the same outcome.
 *
 * A point costs as many instructions as there are to look at its bytes, and a mispredicted branch
 * costs as much as a tenth of them. So what differs from point to point as if by chance (a sum or
 * none, empty quantiles, lengths) is looked at without a branch: differences are gathered, and
 * asked once whether there are any. Left are the number of dimensions, and of blocks in the sweep.
 *
 *   I1  no read leaves the point: it has USUAL_MIN bytes, which is more than the numbers can be
 *       read over; behind them each length is compared with what is left before it is used
 *   I2  what is accepted here, weir_otlp_aws_any_point accepts (prop_otlp_plain)
 *
 * Pure.
 */
#include "otlp_aws.h"
#include "otlp_span.h"

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

/*
 * What is wrong with a quantile: 0 where it is nothing, a quantile (tag 09) or a value (11) in 9
 * bytes, or both in 18. Looks at 12 bytes, which differ from the longest kind by
 *
 *   bits 0-7     first byte from 32
 *   bits 8-15    tag behind nine bytes from 11
 *   bits 16-30   first tag less 09: 8 for a value alone
 *   bit 31       always set
 *
 * A size leaves some of them free; one that does not exist, none.
 */
static inline uint32_t quantile_faults(const uint8_t *at)
{
    static const uint32_t free_bits[256] = {[0] = 0xFFFFFF00, [9] = 0x8008FF00, [18] = 0x80000000};
    uint32_t begin;
    memcpy(&begin, at, sizeof(begin));
    uint32_t differ = (begin & 0x00FF00FF) - 0x00090032;
    return (differ | (at[11] ^ 0x11U) << 8 | 0x80000000) & ~free_bits[at[1]];
}

/*
 * What nearly all points begin with: start, time, count, perhaps the sum, two quantiles. A third of
 * them are of nothing but zeros, which have no sum and shorter quantiles, and come as they like; so
 * nothing branches on that. `at` has USUAL_MIN bytes at least; a size is only followed as far as 31
 * before it is known to be one.
 */
#define USUAL_MIN 120

static inline const uint8_t *skip_usual_numbers(const uint8_t *at, uint64_t *ret_time_ns)
{
    unsigned tags = (at[0] ^ 0x11U) | (at[9] ^ 0x19U) | (at[18] ^ 0x21U);
    *ret_time_ns = load_word(at + 10);
    at += at[27] == 0x29 ? 36 : 27;
    const uint8_t *second = at + 2 + (at[1] & 0x1F);
    bool is_usual = (tags | quantile_faults(at) | quantile_faults(second)) == 0;
    return is_usual ? second + 2 + second[1] : NULL;
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

bool weir_otlp_aws_point(struct weir_bytes data, struct weir_otlp_point *ret)
{
    struct span span = span_of(data);
    struct span name;
    struct span metric_name;
    uint64_t time_ns = 0;
    unsigned wide = 0;
    span.at = data.size < USUAL_MIN ? NULL : skip_usual_numbers(data.data, &time_ns);
    if (span.at == NULL || !skip_quantiles(&span) ||
        !take_short(&span, NAMESPACE, sizeof(NAMESPACE) - 1, &name) ||
        !take_short(&span, METRIC_NAME, sizeof(METRIC_NAME) - 1, &metric_name) ||
        !enter_dimensions(&span, &wide)) {
        return weir_otlp_aws_any_point(data, ret);
    }
    while (left(&span) > 0) {
        if (!skip_short_dimension(&span)) {
            return weir_otlp_aws_any_point(data, ret);
        }
    }
    if (!is_ascii_but(name.at, span.end, wide)) {
        return false;
    }
    *ret = (struct weir_otlp_point){data, view(&name), time_ns <= INT64_MAX ? (int64_t)time_ns : 0,
                                    false};
    return true;
}
