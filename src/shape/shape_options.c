/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of a shape: whether they agree, and a copy of them that the shape can look into.
 *
 *   texts [ .min . .max . .sum . ... | promoted keys | resource | scope | patterns ]   one block
 *           ^ views in the shape
 *
 *   I1  every list is at most WEIR_SHAPE_LIST_MAX long, every text is UTF-8: what a backend would
 *       refuse a whole batch for is refused here, once
 *   I2  the block is measured by the same walk that fills it
 *
 * Threads: whoever makes the shape. When memory is out nothing is kept. Deliberately no defaults of
 * any backend: presets are configuration.
 */
#include "shape_options.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/utf8.h"

static const char *const default_suffixes[WEIR_SHAPE_STATISTICS] = {".min", ".max", ".sum",
                                                                    ".count", ".p"};

/* The place where texts go: measured first (at NULL), then filled. */
struct keeper {
    char *at;
    size_t size;
};

static struct weir_bytes keep(struct keeper *keeper, const char *text)
{
    if (text == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    size_t size = strlen(text);
    keeper->size += size + 1;
    if (keeper->at == NULL) {
        return (struct weir_bytes){NULL, 0};
    }
    struct weir_bytes kept = weir_bytes_of(keeper->at, size);
    memcpy(keeper->at, text, size + 1);
    keeper->at += size + 1;
    return kept;
}

static void keep_list(struct keeper *keeper, const char *const *list, struct weir_shape_list *ret)
{
    ret->count = 0;
    for (uint32_t i = 0; list != NULL && list[i] != NULL; i++) {
        ret->text[ret->count++] = keep(keeper, list[i]);
    }
}

static void suffixes_of(const struct weir_shape_options *options,
                        const char *ret[WEIR_SHAPE_STATISTICS])
{
    const char *const given[WEIR_SHAPE_STATISTICS] = {options->suffix_min, options->suffix_max,
                                                      options->suffix_sum, options->suffix_count,
                                                      options->suffix_percentile};
    for (unsigned i = 0; i < WEIR_SHAPE_STATISTICS; i++) {
        ret[i] = given[i] == NULL ? default_suffixes[i] : given[i];
    }
}

static void keep_texts(struct keeper *keeper, const struct weir_shape_options *options,
                       struct weir_shape *shape)
{
    const char *suffixes[WEIR_SHAPE_STATISTICS];
    suffixes_of(options, suffixes);
    for (unsigned i = 0; i < WEIR_SHAPE_STATISTICS; i++) {
        shape->suffix[i] = keep(keeper, suffixes[i]);
    }
    keep_list(keeper, options->promote, &shape->promote);
    keep_list(keeper, options->metrics_include, &shape->include);
    keep_list(keeper, options->metrics_exclude, &shape->exclude);
    const struct weir_shape_attribute *attribute = options->resource;
    shape->resource_count = 0;
    for (; attribute != NULL && attribute->key != NULL; attribute++) {
        struct weir_shape_pair *pair = &shape->resource[shape->resource_count++];
        pair->key = keep(keeper, attribute->key);
        pair->value = keep(keeper, attribute->value);
    }
    shape->scope_name = keep(keeper, options->scope_name);
    shape->scope_version = keep(keeper, options->scope_version);
}

enum weir_status weir_shape_options_keep(const struct weir_shape_options *options,
                                         struct weir_shape *shape)
{
    struct keeper keeper = {NULL, 0};
    keep_texts(&keeper, options, shape);
    size_t size = keeper.size;
    shape->texts = weir_mem_alloc(size);
    if (shape->texts == NULL) {
        return WEIR_ENOMEM;
    }
    keeper = (struct keeper){shape->texts, 0};
    keep_texts(&keeper, options, shape);
    WEIR_ASSERT(keeper.size == size);
    shape->summary = options->summary;
    shape->dimensions = options->dimensions;
    shape->names = options->names;
    shape->keys = options->keys;
    shape->max_point_age_ns = options->max_point_age_ns;
    shape->attributes_max =
        options->attributes_max == 0 ? WEIR_SHAPE_ATTRIBUTES_MAX : options->attributes_max;
    shape->key_bytes_max = options->key_bytes_max == 0 ? SIZE_MAX : options->key_bytes_max;
    shape->value_bytes_max = options->value_bytes_max == 0 ? SIZE_MAX : options->value_bytes_max;
    shape->mends_attributes = options->dimensions != WEIR_SHAPE_DIMENSIONS_KVLIST ||
                              options->keys != WEIR_SHAPE_KEYS_KEEP || shape->promote.count > 0 ||
                              options->attributes_max > 0 || options->key_bytes_max > 0 ||
                              options->value_bytes_max > 0;
    shape->names_dimensions = options->names == WEIR_SHAPE_NAMES_DYNATRACE ||
                              options->names == WEIR_SHAPE_NAMES_DYNATRACE_CLASSIC;
    return WEIR_OK;
}

/* -- validity ------------------------------------------------------------------------------ */

static bool text_valid(const char *text)
{
    return text == NULL || weir_utf8_valid(weir_bytes_str(text));
}

static bool list_valid(const char *const *list)
{
    for (uint32_t i = 0; list != NULL && list[i] != NULL; i++) {
        if (i == WEIR_SHAPE_LIST_MAX || list[i][0] == '\0' || !text_valid(list[i])) {
            return false;
        }
    }
    return true;
}

static bool resource_valid(const struct weir_shape_attribute *resource)
{
    for (uint32_t i = 0; resource != NULL && resource[i].key != NULL; i++) {
        const struct weir_shape_attribute *one = &resource[i];
        if (i == WEIR_SHAPE_LIST_MAX || one->key[0] == '\0' || one->value == NULL ||
            !text_valid(one->key) || !text_valid(one->value)) {
            return false;
        }
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(resource[k].key, one->key) == 0) {
                return false;
            }
        }
    }
    return true;
}

/* The percentile's is never alone, so an equal one is told apart by what follows it. */
static bool suffixes_valid(const struct weir_shape_options *options)
{
    const char *suffixes[WEIR_SHAPE_STATISTICS];
    suffixes_of(options, suffixes);
    for (unsigned i = 0; i < WEIR_SHAPE_STATISTICS; i++) {
        if (strlen(suffixes[i]) > WEIR_SHAPE_SUFFIX_MAX || !text_valid(suffixes[i])) {
            return false;
        }
        for (unsigned k = 0; k < i && i < WEIR_SHAPE_PERCENTILE; k++) {
            if (strcmp(suffixes[k], suffixes[i]) == 0) {
                return false;
            }
        }
    }
    return true;
}

bool weir_shape_options_valid(const struct weir_shape_options *options)
{
    enum { KEY_BYTES_LEAST = 16 };
    return (unsigned)options->summary <= WEIR_SHAPE_SUMMARY_EXPONENTIAL &&
           (unsigned)options->dimensions <= WEIR_SHAPE_DIMENSIONS_JSON &&
           (unsigned)options->names <= WEIR_SHAPE_NAMES_PROMETHEUS &&
           (unsigned)options->keys <= WEIR_SHAPE_KEYS_DYNATRACE && options->max_point_age_ns >= 0 &&
           (options->key_bytes_max == 0 || options->key_bytes_max >= KEY_BYTES_LEAST) &&
           (options->scope_name != NULL || options->scope_version == NULL) &&
           text_valid(options->scope_name) && text_valid(options->scope_version) &&
           list_valid(options->promote) && list_valid(options->metrics_include) &&
           list_valid(options->metrics_exclude) && resource_valid(options->resource) &&
           suffixes_valid(options);
}

static bool list_has_any(const char *const *list)
{
    return list != NULL && list[0] != NULL;
}

bool weir_shape_is_needed(const struct weir_shape_options *options)
{
    return options->summary != WEIR_SHAPE_SUMMARY_KEEP ||
           options->dimensions != WEIR_SHAPE_DIMENSIONS_KVLIST ||
           options->names != WEIR_SHAPE_NAMES_CLOUDWATCH || options->keys != WEIR_SHAPE_KEYS_KEEP ||
           list_has_any(options->promote) || list_has_any(options->metrics_include) ||
           list_has_any(options->metrics_exclude) || options->scope_name != NULL ||
           (options->resource != NULL && options->resource[0].key != NULL) ||
           options->max_point_age_ns != 0 || options->attributes_max != 0 ||
           options->key_bytes_max != 0 || options->value_bytes_max != 0;
}
