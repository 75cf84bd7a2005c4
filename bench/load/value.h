/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_VALUE_H
#define WEIR_LOAD_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The values of options: digits and a unit, as in Weir's configuration. All give false, and leave
 * the result untouched, for anything but exactly such a text. Pure.
 */

/* Decimal digits, min .. max. */
bool weir_load_value_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* As above, and a fraction if wanted (0.5); above 0. */
bool weir_load_value_number(const char *text, double *ret);

/* 3MiB, 500KB, 4096. */
bool weir_load_value_size(const char *text, size_t *ret);

/* 250ms, 60s, 15m, 1h, 0. */
bool weir_load_value_duration(const char *text, int64_t *ret_ns);

#endif
