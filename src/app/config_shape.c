/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of how a destination's points are shaped; and what is derived: struct
 * weir_shape_options, NULL where nothing is asked for.
 *
 *   I1  what passes here weir_shape_new takes: what it refuses is looked for key by key, so that
 *       the message has a place; and at the end it is asked itself
 *   I2  the options live as long as the configuration
 *
 * An empty text takes back what a preset or the environment says: a resource attribute, the scope.
 *
 * Main thread.
 */
#include "config_internal.h"
#include "weir/utf8.h"
#include <inttypes.h>
#include <stdio.h>

enum { PATH_SIZE = 128, KEY_BYTES_LEAST = 16 };

struct check {
    struct weir_config *config;
    struct weir_config_report *report;
    struct weir_config_destination *destination;
    uint32_t index;
    bool failed;
};

/* An error of the destination's key `key`, at `inner` where that was written. */
static void fail(struct check *check, const char *key, struct weir_config_place inner,
                 const char *text)
{
    char path[PATH_SIZE];
    char top[40];
    const struct weir_config_mapping *at = &check->destination->at;
    (void)snprintf(path, sizeof path, "destinations[%" PRIu32 "].%s", check->index, key);
    (void)snprintf(top, sizeof top, "%.*s", (int)strcspn(key, "."), key);
    struct weir_config_place place =
        inner.line > 0 ? inner : weir_schema_place(at, weir_schema_destination, top);
    weir_config_error(check->report, place.line > 0 ? place : at->place, path, "%s", text);
    check->failed = true;
}

static void doubt(const struct check *check, const char *key, const char *text)
{
    char path[PATH_SIZE];
    const struct weir_config_mapping *at = &check->destination->at;
    struct weir_config_place place = weir_schema_place(at, weir_schema_destination, key);
    (void)snprintf(path, sizeof path, "destinations[%" PRIu32 "].%s", check->index, key);
    weir_config_warn(check->report, place.line > 0 ? place : at->place, path, "%s", text);
}

static const struct weir_config_place nowhere;

/* -- gauges ---------------------------------------------------------------------------------- */

enum { SUFFIXES = 5, PERCENTILE = 4 };

static void check_gauges(struct check *check)
{
    static const char *const keys[SUFFIXES] = {"min", "max", "sum", "count", "percentile"};
    const struct weir_config_gauges *gauges = &check->destination->gauges;
    const char *const suffixes[SUFFIXES] = {gauges->min, gauges->max, gauges->sum, gauges->count,
                                            gauges->percentile};
    for (size_t i = 0; i < SUFFIXES; i++) {
        char path[PATH_SIZE];
        char text[160];
        struct weir_config_place place =
            weir_schema_place(&gauges->at, weir_schema_gauges, keys[i]);
        (void)snprintf(path, sizeof path, "gauges.%s", keys[i]);
        if (strlen(suffixes[i]) > WEIR_SHAPE_SUFFIX_MAX) {
            fail(check, path, place, "is longer than 64 bytes");
        }
        if (!weir_utf8_valid(weir_bytes_str(suffixes[i]))) {
            fail(check, path, place, "is not UTF-8 (look at the environment variable in it)");
        }
        for (size_t k = 0; k < i && i != PERCENTILE; k++) {
            if (strcmp(suffixes[k], suffixes[i]) == 0) {
                (void)snprintf(text, sizeof text,
                               "is the same as of %s, and two gauges would have one name (write "
                               "another)",
                               keys[k]);
                fail(check, path, place, text);
            }
        }
    }
    if (gauges->at.keys != NULL && check->destination->summary == WEIR_SHAPE_SUMMARY_KEEP) {
        doubt(check, "gauges", "is of no use with summary: keep (write summary: gauges)");
    }
}

/* -- texts ----------------------------------------------------------------------------------- */

static void check_list(struct check *check, const char *key, struct weir_config_place place,
                       const char *const *list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        if (!weir_utf8_valid(weir_bytes_str(list[i]))) {
            fail(check, key, place, "is not UTF-8 (look at the environment variable in it)");
            return;
        }
    }
}

static void check_scope(struct check *check)
{
    const struct weir_config_scope *scope = &check->destination->scope;
    const char *const texts[] = {scope->name == NULL ? "" : scope->name,
                                 scope->version == NULL ? "" : scope->version, NULL};
    check_list(check, "scope", scope->at.place, texts);
    if (texts[0][0] == 0 && texts[1][0] != 0) {
        fail(check, "scope.version", weir_schema_place(&scope->at, weir_schema_scope, "version"),
             "is there without a name (write name: ...)");
    }
}

/* A pattern without a slash fits no metric, since a namespace and a slash come first. */
static void check_metrics(struct check *check)
{
    const struct weir_config_patterns *metrics = &check->destination->metrics;
    const char *const *const lists[] = {metrics->include, metrics->exclude};
    check_list(check, "metrics", metrics->at.place, metrics->include);
    check_list(check, "metrics", metrics->at.place, metrics->exclude);
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; lists[i] != NULL && lists[i][k] != NULL; k++) {
            if (strpbrk(lists[i][k], "*/") == NULL) {
                doubt(
                    check, "metrics",
                    "a pattern fits no metric without its namespace (write AWS/EC2/CPUUtilization "
                    "or */CPUUtilization)");
                return;
            }
        }
    }
    for (size_t k = 0; metrics->exclude != NULL && metrics->exclude[k] != NULL; k++) {
        if (strcmp(metrics->exclude[k], "*") == 0) {
            doubt(check, "metrics", "exclude has *: nothing goes to this destination");
        }
    }
}

/* What is really set: without those that are empty. */
static const struct weir_shape_attribute *resource_of(struct check *check)
{
    const struct weir_shape_attribute *all = check->destination->resource;
    size_t count = 0;
    while (all != NULL && all[count].key != NULL) {
        count++;
    }
    struct weir_shape_attribute *set = weir_config_alloc(check->config, (count + 1) * sizeof *set);
    size_t kept = 0;
    for (size_t i = 0; set != NULL && i < count; i++) {
        if (!weir_utf8_valid(weir_bytes_str(all[i].value))) {
            fail(check, "resource", nowhere,
                 "is not UTF-8 (look at the environment variable in it)");
        }
        if (all[i].value[0] != 0) {
            set[kept++] = all[i];
        }
    }
    if (kept > WEIR_SHAPE_LIST_MAX) {
        fail(check, "resource", nowhere,
             "has, with those of the environment, more than 256 attributes");
    }
    return set;
}

/* -- limits ---------------------------------------------------------------------------------- */

static void check_limits(struct check *check)
{
    const struct weir_config_destination *destination = check->destination;
    uint32_t key_max = destination->attribute_key_max;
    if (key_max > 0 && key_max < KEY_BYTES_LEAST) {
        fail(check, "attribute_key_max", nowhere,
             "is too short to tell keys apart (write 16 at least, or 0 for no bound)");
    }
    uint32_t least = 3; /* Namespace, MetricName, and Dimensions or one dimension */
    for (size_t i = 0; destination->promote != NULL && destination->promote[i] != NULL; i++) {
        least++;
    }
    if (destination->attributes_max > 0 && destination->attributes_max < least) {
        doubt(check, "attributes_max",
              "is less than Namespace, MetricName, Dimensions and what is promoted: nearly every "
              "point goes to the dead letter");
    }
}

static const char *text_or_null(const char *text)
{
    return text == NULL || text[0] == 0 ? NULL : text;
}

static void derive(struct check *check)
{
    struct weir_config_destination *destination = check->destination;
    const struct weir_config_gauges *gauges = &destination->gauges;
    struct weir_shape_options *options = weir_config_alloc(check->config, sizeof *options);
    const struct weir_shape_attribute *resource = resource_of(check);
    if (options == NULL || resource == NULL || check->failed) {
        return;
    }
    *options = (struct weir_shape_options){
        .summary = (enum weir_shape_summary)destination->summary,
        .dimensions = (enum weir_shape_dimensions)destination->dimensions,
        .names = (enum weir_shape_names)destination->names,
        .keys = (enum weir_shape_keys)destination->attribute_keys,
        .suffix_min = gauges->min,
        .suffix_max = gauges->max,
        .suffix_sum = gauges->sum,
        .suffix_count = gauges->count,
        .suffix_percentile = gauges->percentile,
        .promote = destination->promote,
        .resource = resource,
        .scope_name = text_or_null(destination->scope.name),
        .scope_version = text_or_null(destination->scope.version),
        .metrics_include = destination->metrics.include,
        .metrics_exclude = destination->metrics.exclude,
        .max_point_age_ns = destination->max_point_age_ns,
        .attributes_max = destination->attributes_max,
        .key_bytes_max = destination->attribute_key_max,
        .value_bytes_max = destination->attribute_value_max,
    };
    struct weir_shape *shape;
    enum weir_status status = weir_shape_new(options, &shape);
    if (status == WEIR_OK) {
        weir_shape_free(shape);
    } else {
        fail(check, "summary", nowhere,
             status == WEIR_ENOMEM ? "out of memory"
                                   : "the keys that shape points contradict "
                                     "each other");
    }
    destination->shape = weir_shape_is_needed(options) ? options : NULL;
}

void weir_config_check_shape(struct weir_config *config, struct weir_config_report *report,
                             uint32_t index)
{
    struct weir_config_destination *all = config->destinations.items;
    struct check check = {config, report, &all[index], index, false};
    check_gauges(&check);
    check_list(&check, "promote", nowhere, all[index].promote);
    check_scope(&check);
    check_metrics(&check);
    check_limits(&check);
    derive(&check);
}
