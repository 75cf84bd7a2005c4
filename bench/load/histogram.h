/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_HISTOGRAM_H
#define WEIR_LOAD_HISTOGRAM_H

#include "weir/status.h"
#include <stdint.h>

/*
 * A histogram of durations, log-linear: below 2048 each value has its slot, above that each octave
 * has 1024, so that a value is known to one part in a thousand, whatever its size.
 *
 *   slots  0 1 2 ... 2047 | 2048 2050 ... 4094 | 4096 4100 ... | ...      (their lowest values)
 *          step 1           step 2               step 4
 *
 *   I1  a slot's highest value is at most 1/1024 above its lowest
 *   I2  count is the sum of the slots; max is exact
 *
 * Values beyond WEIR_LOAD_HISTOGRAM_TOP are counted in the last slot. One thread a histogram;
 * those of several threads are merged.
 */
enum { WEIR_LOAD_HISTOGRAM_SUB = 1024, WEIR_LOAD_HISTOGRAM_SLOTS = 34 * 1024 };

/* In ns: 73 minutes. */
#define WEIR_LOAD_HISTOGRAM_TOP ((UINT64_C(1) << 43) - 1)

struct weir_load_histogram {
    uint64_t count;
    uint64_t max;
    uint64_t *slots;
};

/* An empty one. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_load_histogram_init(struct weir_load_histogram *histogram);
/* Gives the slots back. A zeroed struct is accepted. */
void weir_load_histogram_done(struct weir_load_histogram *histogram);

/* Counts a value; a negative one as 0. */
void weir_load_histogram_add(struct weir_load_histogram *histogram, int64_t value);

/* Adds all of `other`. */
void weir_load_histogram_merge(struct weir_load_histogram *histogram,
                               const struct weir_load_histogram *other);

/* The smallest value that at least `quantile` (0 .. 1) of all are not above, as the highest value
 * of its slot; 0 for an empty histogram. */
uint64_t weir_load_histogram_at(const struct weir_load_histogram *histogram, double quantile);

#endif
