/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the output's metrics are called.
 *
 *   amazonaws.com / AWS/EC2 / CPUUtilization .tm90          the input's name, by run and attribute
 *                                                  MetricName
 *   dynatrace     cloud.aws.ec2.CPUUtilization.By.InstanceId.tm90          + .min
 *   classic       cloud.aws.ec2.cpuUtilizationByAccountIdInstanceIdRegion.tm90   + .min
 *   prometheus    amazonaws_com_AWS_EC2_CPUUtilization_tm90                + _min
 *
 * Dynatrace's names depend on the point: on the attribute MetricName, and on the keys of its
 * dimensions. These are its signature; points with equal signatures share a variant, which has the
 * name without a suffix (the stem) and the metrics made of it.
 *
 *   I1  a name depends on the metric, the run's namespace and the signature alone: the same point
 *       always gets the same name, whatever it stands beside
 *   I2  the variant used last comes first; at most WEIR_SHAPE_VARIANTS_LOOKED_AT are looked at, and
 *       beyond that a variant may be made twice, with equal metrics, which the batcher knows to be
 *       the same
 *   I3  neither a suffix is cut nor a statistic that is part of the name: the minimum's name never
 *       equals the maximum's, nor .tm90's that of .tm99
 *
 * The rules of Dynatrace's names are read off its published keys; the page with the rule was not
 * found. Threads: the walk's. A full arena ends the walk.
 */
#include "shape_names.h"
#include "shape_heads.h"
#include "shape_text.h"
#include "shape_write.h"
#include "weir/panic.h"

enum { DYNATRACE_NAME_MAX = 255, STATISTIC_MAX = 64 /* that stays whole; CloudWatch's: 40 */ };

static const struct weir_bytes cloudwatch_prefix = WEIR_BYTES_INIT("amazonaws.com/");
static const struct weir_bytes aws_prefix = WEIR_BYTES_INIT("AWS/");

/* -- the group ----------------------------------------------------------------------------- */

static struct weir_bytes name_of(const struct weir_metric *metric)
{
    struct weir_cursor cursor = weir_cursor_of(metric->head);
    struct weir_pb_field field;
    struct weir_bytes name = {NULL, 0};
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == 1 && field.type == WEIR_PB_BYTES) {
            name = field.bytes;
        }
    }
    return name;
}

static bool list_has(const struct weir_shape_list *patterns, struct weir_bytes name)
{
    for (uint32_t i = 0; i < patterns->count; i++) {
        if (weir_bytes_glob(patterns->text[i], name)) {
            return true;
        }
    }
    return false;
}

static struct weir_bytes without(struct weir_bytes text, struct weir_bytes prefix)
{
    return weir_bytes_starts_with(text, prefix) ? weir_bytes_from(text, prefix.size) : text;
}

/* CPUUtilization of amazonaws.com/AWS/EC2/CPUUtilization; empty where it is another's name. */
static struct weir_bytes metric_name_of(struct weir_bytes name, struct weir_bytes namespace)
{
    struct weir_bytes rest = weir_bytes_from(name, cloudwatch_prefix.size);
    if (!weir_bytes_starts_with(name, cloudwatch_prefix) || namespace.size == 0 ||
        !weir_bytes_starts_with(rest, namespace) || rest.size <= namespace.size ||
        rest.data[namespace.size] != '/') {
        return (struct weir_bytes){NULL, 0};
    }
    return weir_bytes_from(rest, namespace.size + 1);
}

void weir_shape_names_open(struct weir_shape_walk *walk, const struct weir_metric *metric)
{
    const struct weir_shape *shape = walk->shape;
    struct weir_bytes name = name_of(metric);
    struct weir_bytes filtered = without(name, cloudwatch_prefix);
    walk->group = (struct weir_shape_group){.metric = metric, .name = name};
    walk->group.metric_name = metric_name_of(name, walk->in->name);
    walk->group.is_wanted = (shape->include.count == 0 || list_has(&shape->include, filtered)) &&
                            !list_has(&shape->exclude, filtered);
}

/* -- Dynatrace's stems --------------------------------------------------------------------- */

struct parts {
    struct weir_bytes service;
    struct weir_bytes metric;
    struct weir_bytes statistic; /* ".tm90", or empty */
    bool is_aws;
};

/* The attribute tells where the metric's name ends and a statistic begins. */
static struct parts parts_of(const struct weir_shape_walk *walk,
                             const struct weir_shape_point *point)
{
    struct parts parts = {.service = walk->in->name, .metric = walk->group.metric_name};
    struct weir_bytes told = point->metric_name;
    if (told.size > 0 && parts.metric.size > told.size &&
        weir_bytes_starts_with(parts.metric, told) && parts.metric.data[told.size] == '.') {
        parts.statistic = weir_bytes_from(parts.metric, told.size);
        parts.metric = told;
    }
    parts.is_aws = weir_bytes_starts_with(parts.service, aws_prefix);
    parts.service = without(parts.service, aws_prefix);
    return parts;
}

static int compare(struct weir_bytes a, struct weir_bytes b)
{
    size_t both = a.size < b.size ? a.size : b.size;
    int order = both == 0 ? 0 : memcmp(a.data, b.data, both);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* The dimensions' keys, sorted; for classic names with the two that AWS has for itself. */
struct keys {
    uint32_t count;
    struct weir_bytes key[WEIR_SHAPE_ATTRIBUTES_MAX + 2];
};

static void add_key(struct keys *keys, struct weir_bytes key)
{
    uint32_t at = keys->count;
    WEIR_ASSERT(at < WEIR_SHAPE_ATTRIBUTES_MAX + 2);
    while (at > 0 && compare(keys->key[at - 1], key) > 0) {
        keys->key[at] = keys->key[at - 1];
        at--;
    }
    keys->key[at] = key;
    keys->count++;
}

static size_t keys_of(const struct weir_shape_point *point, bool classic, struct keys *ret)
{
    size_t size = 0;
    ret->count = 0;
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        add_key(ret, point->dimensions[i].key);
    }
    if (classic) {
        add_key(ret, WEIR_BYTES("AccountId"));
        add_key(ret, WEIR_BYTES("Region"));
    }
    for (uint32_t i = 0; i < ret->count; i++) {
        size += ret->key[i].size + 1;
    }
    return size;
}

static uint8_t *put(uint8_t *at, const char *text)
{
    return weir_shape_write_raw(at, weir_bytes_str(text));
}

static bool is_upper(const uint8_t *at, const uint8_t *end)
{
    return at < end && *at >= 'A' && *at <= 'Z';
}

/* CPUUtilization to cpuUtilization, 4XXError to 4xxError, IOPS to iops: the capitals that a name
 * begins with are one word, the last of them the next word's if a small letter follows. */
static void lower_first_word(uint8_t *at, const uint8_t *end)
{
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    uint8_t *last = at;
    while (is_upper(last, end)) {
        last++;
    }
    bool is_shared = last - at > 1 && last < end && *last >= 'a' && *last <= 'z';
    weir_shape_text_lower(at, is_shared ? last - 1 : last);
}

static uint8_t *put_keys(uint8_t *at, const struct keys *keys, bool classic)
{
    if (keys->count == 0) {
        return at;
    }
    at = put(at, classic ? "By" : ".By");
    for (uint32_t i = 0; i < keys->count; i++) {
        at = put(at, classic ? "" : ".");
        uint8_t *begin = at;
        at = weir_shape_text_mend(at, keys->key[i], WEIR_SHAPE_TEXT_SECTION);
        if (classic && begin < at && *begin >= 'a' && *begin <= 'z') {
            *begin = (uint8_t)(*begin - 'a' + 'A');
        }
    }
    return at;
}

static bool dynatrace_stem(struct weir_shape_walk *walk, const struct weir_shape_point *point,
                           struct weir_shape_variant *ret)
{
    bool classic = walk->shape->names == WEIR_SHAPE_NAMES_DYNATRACE_CLASSIC;
    struct parts parts = parts_of(walk, point);
    struct keys keys;
    size_t room = sizeof("cloud.custom...By") + keys_of(point, classic, &keys) +
                  parts.service.size + parts.metric.size + parts.statistic.size;
    uint8_t *stem = weir_arena_alloc(walk->arena, room, 1);
    if (stem == NULL) {
        return false;
    }
    uint8_t *at = put(stem, parts.is_aws ? "cloud.aws." : "cloud.custom.");
    uint8_t *begin = at;
    at = weir_shape_text_mend(at, parts.service, WEIR_SHAPE_TEXT_SECTION);
    weir_shape_text_lower(begin, at);
    at = put(at, ".");
    begin = at;
    at = weir_shape_text_mend(at, parts.metric, WEIR_SHAPE_TEXT_DYNATRACE);
    if (classic) {
        lower_first_word(begin, at);
    }
    begin = put_keys(at, &keys, classic);
    at = weir_shape_text_mend(begin, parts.statistic, WEIR_SHAPE_TEXT_DYNATRACE);
    WEIR_ASSERT(at <= stem + room);
    weir_arena_trim(walk->arena, stem, room, (size_t)(at - stem));
    ret->stem = weir_bytes_of(stem, (size_t)(at - stem));
    ret->tail_size = at - begin <= STATISTIC_MAX ? (size_t)(at - begin) : 0;
    return true;
}

/* -- variants ------------------------------------------------------------------------------ */

static bool needs_signature(const struct weir_shape_walk *walk)
{
    return walk->shape->names_dimensions && walk->group.metric_name.size > 0;
}

static uint8_t *put_counted(uint8_t *at, struct weir_bytes text)
{
    return weir_shape_write_raw(weir_pbw_put_varint(at, text.size), text);
}

static bool signature_of(struct weir_shape_walk *walk, const struct weir_shape_point *point,
                         struct weir_bytes *ret)
{
    enum { COUNT_SIZE = 10 };
    *ret = (struct weir_bytes){NULL, 0};
    if (!needs_signature(walk)) {
        return true;
    }
    size_t room = COUNT_SIZE + point->metric_name.size;
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        room += COUNT_SIZE + point->dimensions[i].key.size;
    }
    uint8_t *signature = weir_shape_text_room(walk, room);
    if (signature == NULL) {
        return false;
    }
    uint8_t *at = put_counted(signature, point->metric_name);
    for (uint32_t i = 0; i < point->dimension_count; i++) {
        at = put_counted(at, point->dimensions[i].key);
    }
    *ret = weir_bytes_of(signature, (size_t)(at - signature));
    return true;
}

static struct weir_shape_variant *new_variant(struct weir_shape_walk *walk,
                                              const struct weir_shape_point *point,
                                              struct weir_bytes signature)
{
    struct weir_shape_variant *made =
        weir_arena_alloc(walk->arena, sizeof(*made), _Alignof(struct weir_shape_variant));
    if (made == NULL) {
        return NULL;
    }
    *made = (struct weir_shape_variant){.stem = walk->group.name};
    made->signature = weir_arena_keep(walk->arena, signature);
    if (made->signature.size != signature.size ||
        (needs_signature(walk) && !dynatrace_stem(walk, point, made))) {
        return NULL;
    }
    made->next = walk->group.variants;
    walk->group.variants = made;
    return made;
}

struct weir_shape_variant *weir_shape_names_variant(struct weir_shape_walk *walk,
                                                    const struct weir_shape_point *point)
{
    struct weir_bytes signature;
    if (!signature_of(walk, point, &signature)) {
        return NULL;
    }
    struct weir_shape_variant **link = &walk->group.variants;
    for (unsigned i = 0; *link != NULL && i < WEIR_SHAPE_VARIANTS_LOOKED_AT; i++) {
        struct weir_shape_variant *variant = *link;
        if (weir_bytes_eq(variant->signature, signature)) {
            *link = variant->next;
            variant->next = walk->group.variants;
            walk->group.variants = variant;
            return variant;
        }
        link = &variant->next;
    }
    return new_variant(walk, point, signature);
}

/* -- their metrics ------------------------------------------------------------------------- */

/* Stem and suffix as the backend has them. */
static bool full_name(struct weir_shape_walk *walk, const struct weir_shape_variant *variant,
                      struct weir_bytes suffix, struct weir_bytes *ret)
{
    size_t stem_size = variant->stem.size - variant->tail_size;
    struct weir_bytes stem = weir_bytes_of(variant->stem.data, stem_size);
    struct weir_bytes tail = weir_bytes_from(variant->stem, stem_size);
    if (walk->shape->names_dimensions) {
        stem = weir_shape_text_cut(stem, DYNATRACE_NAME_MAX - suffix.size - tail.size);
    }
    size_t size = stem.size + tail.size + suffix.size;
    uint8_t *name = weir_arena_alloc(walk->arena, size + 1, 1);
    if (name == NULL) {
        return false;
    }
    if (walk->shape->names != WEIR_SHAPE_NAMES_PROMETHEUS) {
        uint8_t *end = weir_shape_write_raw(weir_shape_write_raw(name, stem), tail);
        (void)weir_shape_write_raw(end, suffix);
        *ret = weir_bytes_of(name, size);
        return true;
    }
    uint8_t *at = name;
    if (stem.size > 0 && stem.data[0] >= '0' && stem.data[0] <= '9') {
        *at++ = '_';
    }
    at = weir_shape_text_mend(at, stem, WEIR_SHAPE_TEXT_PROMETHEUS);
    at = weir_shape_text_mend(at, suffix, WEIR_SHAPE_TEXT_PROMETHEUS);
    *ret = weir_bytes_of(name, (size_t)(at - name));
    return true;
}

static const struct weir_metric *make(struct weir_shape_walk *walk,
                                      const struct weir_shape_variant *variant,
                                      struct weir_bytes suffix,
                                      struct weir_shape_heads_metric *metric)
{
    bool keeps_name = suffix.size == 0 && walk->shape->names == WEIR_SHAPE_NAMES_CLOUDWATCH;
    metric->in = walk->group.metric;
    if (!keeps_name && !full_name(walk, variant, suffix, &metric->name)) {
        return NULL;
    }
    return weir_shape_heads_metric(walk, metric);
}

const struct weir_metric *weir_shape_names_whole(struct weir_shape_walk *walk,
                                                 struct weir_shape_variant *variant)
{
    static const struct weir_bytes delta = WEIR_BYTES_INIT("\x10\x01"); /* temporality */
    const struct weir_metric *in = walk->group.metric;
    if (variant->whole == NULL) {
        struct weir_shape_heads_metric metric = {.data = in->data, .data_head = in->data_head};
        if (in->data == WEIR_METRIC_SUMMARY &&
            walk->shape->summary == WEIR_SHAPE_SUMMARY_EXPONENTIAL) {
            metric.data = WEIR_METRIC_EXPONENTIAL_HISTOGRAM;
            metric.data_head = delta;
        }
        variant->whole = make(walk, variant, (struct weir_bytes){NULL, 0}, &metric);
    }
    return variant->whole;
}

const struct weir_metric *weir_shape_names_statistic(struct weir_shape_walk *walk,
                                                     struct weir_shape_variant *variant,
                                                     enum weir_shape_statistic statistic)
{
    static const struct weir_bytes count_unit = WEIR_BYTES_INIT("{Count}");
    WEIR_ASSERT(statistic < WEIR_SHAPE_PERCENTILE);
    if (variant->statistics[statistic] == NULL) {
        struct weir_shape_heads_metric metric = {.data = WEIR_METRIC_GAUGE};
        if (statistic == WEIR_SHAPE_COUNT) {
            metric.unit = count_unit;
        }
        variant->statistics[statistic] =
            make(walk, variant, walk->shape->suffix[statistic], &metric);
    }
    return variant->statistics[statistic];
}

static const struct weir_metric *make_percentile(struct weir_shape_walk *walk,
                                                 const struct weir_shape_variant *variant,
                                                 uint64_t quantile)
{
    struct weir_bytes prefix = walk->shape->suffix[WEIR_SHAPE_PERCENTILE];
    char suffix[WEIR_SHAPE_SUFFIX_MAX + WEIR_SHAPE_TEXT_PERCENT];
    WEIR_ASSERT(prefix.size <= WEIR_SHAPE_SUFFIX_MAX);
    memcpy(suffix, prefix.data, prefix.size);
    size_t size = prefix.size + weir_shape_text_percent(quantile, suffix + prefix.size);
    struct weir_shape_heads_metric metric = {.data = WEIR_METRIC_GAUGE};
    return make(walk, variant, weir_bytes_of(suffix, size), &metric);
}

/* Points of a metric have the same percentiles in the same order, so the one after the last found
 * is tried first. */
static struct weir_shape_percentile *find(struct weir_shape_variant *variant, uint64_t quantile)
{
    struct weir_shape_percentile *next = variant->hint == NULL ? NULL : variant->hint->next;
    if (next != NULL && next->quantile == quantile) {
        return next;
    }
    next = variant->percentiles;
    while (next != NULL && next->quantile != quantile) {
        next = next->next;
    }
    return next;
}

const struct weir_metric *weir_shape_names_percentile(struct weir_shape_walk *walk,
                                                      struct weir_shape_variant *variant,
                                                      uint64_t quantile)
{
    struct weir_shape_percentile *found = find(variant, quantile);
    if (found != NULL || variant->percentile_count == WEIR_SHAPE_QUANTILES_MAX) {
        variant->hint = found;
        return found != NULL ? found->metric : make_percentile(walk, variant, quantile);
    }
    struct weir_shape_percentile *made =
        weir_arena_alloc(walk->arena, sizeof(*made), _Alignof(struct weir_shape_percentile));
    if (made == NULL) {
        return NULL;
    }
    *made = (struct weir_shape_percentile){.quantile = quantile};
    made->metric = make_percentile(walk, variant, quantile);
    if (made->metric == NULL) {
        return NULL;
    }
    *(variant->last == NULL ? &variant->percentiles : &variant->last->next) = made;
    variant->last = made;
    variant->hint = made;
    variant->percentile_count++;
    return made->metric;
}
