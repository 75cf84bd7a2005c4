/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_OPTIONS_H
#define WEIR_BENCH_OPTIONS_H

#include "micro/cases.h"

/* What weir-bench was asked for on its command line. */
enum weir_options_command {
    WEIR_OPTIONS_CASES,
    WEIR_OPTIONS_LIST,
    WEIR_OPTIONS_HELP,
    WEIR_OPTIONS_LIMIT,
    WEIR_OPTIONS_BODIES
};

struct weir_options_list {
    char *const *names; /* views into the arguments */
    int count;
};

struct weir_options {
    enum weir_options_command command;
    bool json;
    bool smoke; /* each case once, and a warm one that allocates fails */
    struct weir_harness_options harness;
    struct weir_cases_context context;
    struct weir_options_list cases;           /* none: all */
    struct weir_options_list bodies, batches; /* LIMIT: files */
    int level;                                /* LIMIT: of compressing the batches */
    const char *out;                          /* BODIES: a folder that exists */
    uint32_t count;                           /* BODIES */
};

/* Reads the arguments, the program's name first, which live on as views. WEIR_EINVAL with
 * *ret_mistake, the argument that is wrong. */
WEIR_MUST_USE enum weir_status
weir_options_parse(int argc, char *const *argv, struct weir_options *ret, const char **ret_mistake);

#endif
