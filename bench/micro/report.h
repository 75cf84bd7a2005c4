/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_REPORT_H
#define WEIR_BENCH_REPORT_H

#include "micro/cases.h"
#include <stdio.h>

/* How results are printed: lines of a table for a person, or one JSON document
 *
 *   {"cases":[{"name":..,"limit":..,"clock":"cpu"|"wall","points":..,"bytes":..,"output_bytes":..,
 *              "rounds":..,"ns_per_point":..,"limit_ns_per_point":null|..,"bytes_per_second":..,
 *              "ratio":null|..,"instructions_per_point":null|..,"allocations":..,"spread":..,
 *              "limit_spread":null|..},...]}
 *
 * whose members are only ever added to. */
struct weir_report {
    FILE *file;
    bool json;
    unsigned lines; /* so far */
};

/* What stands before the first result. */
void weir_report_begin(struct weir_report *report);

/* One case's result. */
void weir_report_case(struct weir_report *report, const struct weir_cases_case *of,
                      const struct weir_cases_job *job, const struct weir_harness_result *result);

/* What stands after the last. */
void weir_report_end(struct weir_report *report);

#endif
