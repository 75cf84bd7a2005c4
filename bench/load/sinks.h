/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_SINKS_H
#define WEIR_LOAD_SINKS_H

#include "load/options.h"
#include "load/promises.h"

/*
 * Talking to the sinks: the world before, the verdict after.
 *
 *   PUT /world ─► run ─► GET /accounts until all is there, or nothing new comes ─► POST /verdict
 *
 * Main thread.
 */
enum { WEIR_LOAD_EXAMPLES_MAX = 20 };

struct weir_load_verdict {
    bool told;         /* the sink answered */
    bool exactly_once; /* as the sink says */
    bool good;         /* that, or what is not is allowed */
    int64_t expected;
    int64_t missing;
    int64_t refused;
    int64_t duplicated;
    int64_t repeated;
    int64_t wrong;
    int64_t unpromised;
    uint32_t examples;
    int64_t example[WEIR_LOAD_EXAMPLES_MAX];
};

/* Tells each sink the world, which empties its accounts. False, told on standard error: one did not
 * answer 200. */
bool weir_load_sinks_begin(const struct weir_load_options *options);

/* Whether the verdict is what the options allow. Pure. */
bool weir_load_sinks_judge(const struct weir_load_options *options,
                           const struct weir_load_verdict *verdict);

/* Waits until each sink has what was promised or has had nothing new for the settling time (or an
 * interrupt), and asks for the verdicts: verdicts[i] is that of options->sinks[i]. True: all are
 * good. */
bool weir_load_sinks_end(const struct weir_load_options *options,
                         struct weir_load_promises *promises, struct weir_load_verdict *verdicts);

#endif
