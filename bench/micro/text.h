/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_TEXT_H
#define WEIR_BENCH_TEXT_H

#include "micro/cases.h"

/*
 * What the cases share that work on one text: a pristine copy, one that the subject may write over
 * (made new before each call), and copying as the limit.
 */
struct weir_text {
    struct weir_input *input;
    struct weir_bytes text; /* pristine: the input's, or in `own` */
    uint8_t *own;
    uint8_t *mutable_text;
    uint8_t *copy; /* the limit's */
};

/* Opens a case over `text_of(input)`: a view of the input, or memory that becomes text->own. The
 * job's points are the input's. As weir_cases_case.open. */
WEIR_MUST_USE enum weir_status weir_text_open(const struct weir_cases_context *context,
                                              enum weir_input_format format,
                                              enum weir_status (*text_of)(struct weir_text *text),
                                              void (*subject)(void *state),
                                              struct weir_cases_job *ret);

/* As weir_cases_case.close. */
void weir_text_close(struct weir_cases_job *job);

#endif
