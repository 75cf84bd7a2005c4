/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHAPE_ORACLE_H
#define SHAPE_ORACLE_H

/*
 * What holds for every run and every shape with the default suffixes, by code that shares nothing
 * with the room: values are conserved to the bit, each input point leaves, is refused or filtered,
 * what was valid stays valid, no two attributes have one key. Asserts; without cmocka, so that
 * the fuzzer can include it.
 */
#include "shape_fixture.h"
#include "weir/mem.h"

/* The numbers of a Summary. */
struct oracle_summary {
    uint64_t fields[9]; /* by field number */
    uint32_t count;
    uint64_t quantiles[WEIR_SHAPE_QUANTILES_MAX][3];
};

static inline struct weir_bytes oracle_data(const struct weir_point *point)
{
    return weir_bytes_of(point->data, point->size);
}

static inline void oracle_read(struct weir_bytes data, struct oracle_summary *ret)
{
    struct weir_cursor cursor = weir_cursor_of(data);
    struct weir_pb_field field;
    *ret = (struct oracle_summary){.count = 0};
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 6) {
            struct weir_cursor inner = weir_cursor_of(field.bytes);
            struct weir_pb_field part;
            WEIR_ASSERT(ret->count < WEIR_SHAPE_QUANTILES_MAX);
            uint64_t *quantile = ret->quantiles[ret->count++];
            while (weir_pb_next(&inner, &part)) {
                quantile[part.number < 3 ? part.number : 0] = part.value;
            }
        } else if (field.number < 9) {
            ret->fields[field.number] = field.value;
        }
    }
}

/* The bits of a field of fixed width; false: it is not there. */
static inline bool oracle_field(const struct weir_point *point, uint32_t number, uint64_t *ret)
{
    struct weir_cursor cursor = weir_cursor_of(oracle_data(point));
    struct weir_pb_field field;
    bool found = false;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == number) {
            *ret = field.value;
            found = true;
        }
    }
    WEIR_ASSERT(!cursor.failed);
    return found;
}

static inline void oracle_is(const struct weir_point *point, uint32_t number, uint64_t bits)
{
    uint64_t got = 0;
    bool found = oracle_field(point, number, &got);
    WEIR_ASSERT(got == bits);
    WEIR_ASSERT(found || bits == 0);
}

/* A gauge of that value whose name ends in `suffix`. */
static inline void oracle_gauge(const struct weir_point *point, const char *suffix, uint64_t bits,
                                const struct oracle_summary *summary)
{
    struct weir_bytes name = shape_text_head(point->metric->head, 1);
    size_t size = strlen(suffix);
    uint64_t value = 0;
    bool is_count = strcmp(suffix, "count") == 0 && summary->fields[4] <= INT64_MAX;
    WEIR_ASSERT(point->metric->data == WEIR_METRIC_GAUGE);
    WEIR_ASSERT(name.size > size && memcmp(name.data + name.size - size, suffix, size) == 0);
    bool found = oracle_field(point, is_count ? 6 : 4, &value);
    WEIR_ASSERT(found && value == bits);
    oracle_is(point, 2, summary->fields[2]);
    oracle_is(point, 3, summary->fields[3]);
    oracle_is(point, 8, summary->fields[8]);
}

static inline uint32_t oracle_place(const struct oracle_summary *summary, double quantile)
{
    for (uint32_t i = 0; i < summary->count; i++) {
        double is = weir_pb_double(summary->quantiles[i][1]);
        if (is >= quantile && is <= quantile) {
            return i;
        }
    }
    return UINT32_MAX;
}

static inline uint64_t oracle_count_bits(uint64_t count)
{
    double nearest = (double)count;
    uint64_t bits;
    memcpy(&bits, &nearest, sizeof(bits));
    return count <= INT64_MAX ? count : bits;
}

/* The points that came of one Summary: how many they are. */
static inline uint32_t oracle_summary_check(enum weir_shape_summary shape,
                                            const struct oracle_summary *in,
                                            const struct weir_point *out)
{
    uint32_t n = 0;
    uint32_t min = oracle_place(in, 0);
    uint32_t max = oracle_place(in, 1);
    if (shape == WEIR_SHAPE_SUMMARY_EXPONENTIAL) {
        uint64_t bits = 0;
        WEIR_ASSERT(out[n].metric->data == WEIR_METRIC_EXPONENTIAL_HISTOGRAM);
        oracle_is(&out[n], 2, in->fields[2]);
        oracle_is(&out[n], 3, in->fields[3]);
        oracle_is(&out[n], 4, in->fields[4]);
        oracle_is(&out[n], 5, in->fields[5]);
        oracle_is(&out[n], 7, in->fields[4]);
        oracle_is(&out[n], 10, in->fields[8]);
        WEIR_ASSERT(oracle_field(&out[n], 12, &bits) == (min != UINT32_MAX));
        WEIR_ASSERT(min == UINT32_MAX || bits == in->quantiles[min][2]);
        WEIR_ASSERT(oracle_field(&out[n], 13, &bits) == (max != UINT32_MAX));
        WEIR_ASSERT(max == UINT32_MAX || bits == in->quantiles[max][2]);
        n++;
    } else {
        if (min != UINT32_MAX) {
            oracle_gauge(&out[n++], "min", in->quantiles[min][2], in);
        }
        if (max != UINT32_MAX) {
            oracle_gauge(&out[n++], "max", in->quantiles[max][2], in);
        }
        oracle_gauge(&out[n++], "sum", in->fields[5], in);
        oracle_gauge(&out[n++], "count", oracle_count_bits(in->fields[4]), in);
    }
    for (uint32_t i = 0; i < in->count; i++) {
        if (i != min && i != max) {
            oracle_gauge(&out[n++], "", in->quantiles[i][2], in);
        }
    }
    return n;
}

/* All fields but the attributes, one after the other. */
static inline struct weir_buf oracle_rest(const struct weir_point *point)
{
    struct weir_buf rest = weir_buf_grow_init((size_t)64 << 20);
    struct weir_cursor cursor = weir_cursor_of(oracle_data(point));
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number != shape_kind_of(point->metric->data).attributes) {
            weir_buf_put(&rest, field.whole);
        }
    }
    WEIR_ASSERT(!rest.failed && !cursor.failed);
    return rest;
}

static inline void oracle_kept_check(const struct weir_point *in, const struct weir_point *out)
{
    struct weir_buf a = oracle_rest(in);
    struct weir_buf b = oracle_rest(out);
    WEIR_ASSERT(in->metric->data == out->metric->data);
    WEIR_ASSERT(weir_bytes_eq(weir_buf_view(&a), weir_buf_view(&b)));
    weir_buf_done(&a);
    weir_buf_done(&b);
}

/* Whether all attributes are valid; that no two have one key, and how many there are. */
static inline bool oracle_attributes(const struct weir_point *point, bool unique, uint32_t *ret)
{
    static struct weir_bytes keys[WEIR_SHAPE_ATTRIBUTES_MAX];
    struct weir_cursor cursor = weir_cursor_of(oracle_data(point));
    struct weir_pb_field field;
    bool valid = true;
    *ret = 0;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number != shape_kind_of(point->metric->data).attributes) {
            continue;
        }
        valid = valid && field.type == WEIR_PB_BYTES && weir_pb_key_value_valid(field.bytes, 16);
        if (unique) {
            WEIR_ASSERT(*ret < WEIR_SHAPE_ATTRIBUTES_MAX);
            keys[*ret] = shape_text_head(field.bytes, 1);
            for (uint32_t i = 0; i < *ret; i++) {
                WEIR_ASSERT(!weir_bytes_eq(keys[i], keys[*ret]));
            }
        }
        (*ret)++;
    }
    return valid;
}

static inline bool oracle_is_filtered(const struct weir_shape_options *options,
                                      const struct weir_metric *metric)
{
    struct weir_bytes name = shape_text_head(metric->head, 1);
    struct weir_bytes prefix = WEIR_BYTES("amazonaws.com/");
    if (options->metrics_include == NULL) {
        return false;
    }
    name = weir_bytes_starts_with(name, prefix) ? weir_bytes_from(name, prefix.size) : name;
    return !weir_bytes_glob(weir_bytes_str(options->metrics_include[0]), name);
}

static inline uint32_t oracle_point_check(const struct weir_shape_options *options,
                                          const struct weir_point *in, const struct weir_point *out)
{
    static struct oracle_summary summary;
    bool mends = options->dimensions != WEIR_SHAPE_DIMENSIONS_KVLIST || options->promote != NULL ||
                 options->keys != WEIR_SHAPE_KEYS_KEEP || options->attributes_max > 0 ||
                 options->key_bytes_max > 0 || options->value_bytes_max > 0;
    uint32_t count = 1;
    uint32_t attributes = 0;
    if (in->metric->data == WEIR_METRIC_SUMMARY && options->summary != WEIR_SHAPE_SUMMARY_KEEP) {
        oracle_read(oracle_data(in), &summary);
        count = oracle_summary_check(options->summary, &summary, out);
    } else {
        oracle_kept_check(in, out);
    }
    bool was_valid = oracle_attributes(in, false, &attributes);
    for (uint32_t i = 0; i < count; i++) {
        bool is_valid = oracle_attributes(&out[i], mends, &attributes);
        WEIR_ASSERT(is_valid || !was_valid);
        WEIR_ASSERT(options->attributes_max == 0 || attributes <= options->attributes_max);
        WEIR_ASSERT(out[i].run == out->run);
    }
    return count;
}

/* A run that was shaped with these options. */
static inline void shape_oracle_check(const struct shape_fixture *fixture,
                                      const struct weir_shape_options *options)
{
    const struct weir_shaped *shaped = &fixture->shaped;
    uint32_t at = 0;
    uint32_t refused = 0;
    WEIR_ASSERT(shape_run_valid(&shaped->run));
    for (uint32_t i = 0; i < fixture->run.count; i++) {
        const struct weir_point *in = &fixture->run.points[i];
        bool is_out = at < shaped->run.count && shaped->run.points[at].run == i;
        bool is_refused = refused < shaped->refused_count && shaped->refused[refused].index == i;
        bool is_filtered = oracle_is_filtered(options, in->metric);
        WEIR_ASSERT(is_out + is_refused + is_filtered == 1);
        refused += is_refused;
        at += is_out ? oracle_point_check(options, in, &shaped->run.points[at]) : 0;
    }
    WEIR_ASSERT(at == shaped->run.count);
    WEIR_ASSERT(refused == shaped->refused_count);
}

#endif
