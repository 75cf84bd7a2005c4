/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_CASES_H
#define WEIR_BENCH_CASES_H

#include "micro/harness.h"
#include "micro/input.h"

/*
 * The cases: one or a few for each hot module, each in a file bench_<module>.c.
 *
 *   open ─► job: what to call, and how many points and bytes a call goes through
 *   close ◄─ job
 */
struct weir_cases_context {
    struct weir_input_options options; /* of the inputs; each case sets the format it wants */
    const char *directory;             /* for what is written to a disk */
};

struct weir_cases_job {
    struct weir_harness_work work;
    uint64_t points;       /* of one call; items where there are no points */
    uint64_t bytes;        /* that go in */
    uint64_t output_bytes; /* that come out of a compressor; else 0 */
};

struct weir_cases_case {
    const char *name;
    const char *about; /* what is measured */
    const char *limit; /* what it is measured against; "none" */
    /* WEIR_OK; WEIR_EUNSUPPORTED: not in this build; what weir_input_new says; WEIR_EIO. */
    enum weir_status (*open)(const struct weir_cases_context *context, struct weir_cases_job *ret);
    void (*close)(struct weir_cases_job *job);
};

extern const struct weir_cases_case weir_cases_gunzip[], weir_cases_base64[], weir_cases_envelope[],
    weir_cases_json[], weir_cases_decode[], weir_cases_ring[], weir_cases_batch[],
    weir_cases_compress[], weir_cases_crc32c[], weir_cases_commit[], weir_cases_exchange[],
    weir_cases_path[]; /* each ends with a case without a name */

/* The case number `index` of all, NULL past the last. */
const struct weir_cases_case *weir_cases_at(unsigned index);

/* The input of a case in its format, always compressed. As weir_input_new. */
WEIR_MUST_USE enum weir_status weir_cases_input(const struct weir_cases_context *context,
                                                enum weir_input_format format,
                                                struct weir_input **ret);

#endif
