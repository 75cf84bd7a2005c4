/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of mappings inside a destination that say how its points are shaped; those of the
 * destination itself stand in config_schema.c. */
#include "config_internal.h"
#include "config_schema_words.h"

/* Of a scope. */
static bool has_name(const void *mapping)
{
    const struct weir_config_scope *scope = mapping;
    return scope->name != NULL && scope->name[0] != 0;
}

const struct weir_schema weir_schema_gauges[] = {
    {"min", WEIR_SCHEMA_TEXT, WEIR_SCHEMA_BLANK, AT(gauges, min), .help = "of the minimum"},
    {"max", WEIR_SCHEMA_TEXT, WEIR_SCHEMA_BLANK, AT(gauges, max), .help = "of the maximum"},
    {"sum", WEIR_SCHEMA_TEXT, WEIR_SCHEMA_BLANK, AT(gauges, sum), .help = "of the sum"},
    {"count", WEIR_SCHEMA_TEXT, WEIR_SCHEMA_BLANK, AT(gauges, count),
     .help = "of the number of samples"},
    {"percentile", WEIR_SCHEMA_TEXT, WEIR_SCHEMA_BLANK, AT(gauges, percentile),
     .help = "of a percentile, whose number follows: .p makes .p99.9"},
    END};

const struct weir_schema weir_schema_scope[] = {
    {"name", WEIR_SCHEMA_TEXT, WEIR_SCHEMA_BLANK, AT(scope, name),
     .help = "default, and \"\": the scope as it came, CloudWatch sends none"},
    {"version", WEIR_SCHEMA_TEXT, WEIR_SCHEMA_BLANK | WEIR_SCHEMA_IDLE, AT(scope, version),
     .applies = has_name, .help = "of the scope; only with a name"},
    END};

const struct weir_schema weir_schema_metrics[] = {
    {"include", WEIR_SCHEMA_TEXTS, AT(patterns, include), .min = 1, .max = WEIR_SHAPE_LIST_MAX,
     .help = "patterns with * of metrics such as AWS/EC2/CPU*; default: all"},
    {"exclude", WEIR_SCHEMA_TEXTS, AT(patterns, exclude), .max = WEIR_SHAPE_LIST_MAX,
     .help = "... and of those that do not; wins over include"},
    END};
