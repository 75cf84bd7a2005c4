/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_FILES_H
#define WEIR_BENCH_FILES_H

#include "micro/options.h"

/* Writes options->count bodies into options->out. 0, or 1 after a message. */
int weir_files_bodies(const struct weir_options *options);

/* Prints, as JSON, the CPU time that libdeflate alone needs for inflating options->bodies and for
 * compressing options->batches:
 *
 *   {"inflate":{"files":..,"in_bytes":..,"out_bytes":..,"rounds":..,"cpu_ns":..,"ns_per_byte":..,
 *               "spread":..},"deflate":{... the same ...,"level":..},"cpu_ns":..}
 *
 * cpu_ns: of all files once, the median of the rounds; ns_per_byte: of inflated bytes. 0, or 1
 * after a message. */
int weir_files_limit(const struct weir_options *options);

#endif
