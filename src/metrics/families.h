/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_METRICS_FAMILIES_H
#define WEIR_METRICS_FAMILIES_H

#include "weir/metrics.h"

/* What a family is, beyond its name in enum weir_family. */
enum weir_family_kind {
    WEIR_FAMILY_COUNTER,  /* counted per thread, summed when read */
    WEIR_FAMILY_TOTAL,    /* a counter that somebody else keeps: set, process-wide */
    WEIR_FAMILY_GAUGE,    /* set or raised, process-wide */
    WEIR_FAMILY_HISTOGRAM /* buckets and a sum per thread */
};

enum { WEIR_FAMILY_BUCKETS_MAX = 17 };

struct weir_family_buckets {
    uint32_t count;
    double bounds[WEIR_FAMILY_BUCKETS_MAX]; /* rising; the last bucket, +Inf, is not listed */
};

struct weir_family_info {
    const char *name; /* as exposed, with _total */
    const char *help;
    const char *labels[WEIR_METRICS_LABELS_MAX];
    const struct weir_family_buckets *buckets; /* histograms only */
    enum weir_family_kind kind;
    uint32_t label_count;
    uint32_t cap; /* series that label values may make, beside "other" */
};

extern const struct weir_family_info weir_families[WEIR_M_FAMILIES];

#endif
