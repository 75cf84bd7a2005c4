/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_FAULTS_H
#define WEIR_BENCH_FAULTS_H

#include "weir/rand.h"
#include "weir/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the receiver does to a batch instead of taking it, as a list of rules:
 *
 *   rule    = when ":" what                           rules are separated by commas
 *   when    = N% | first=N | after=N | every=N | over=SIZE (bytes, KiB, MiB; of the inflated body)
 *   what    = CODE [retry-after=SECONDS]              400 .. 599: nothing is booked
 *           | reset     closes with a reset, books nothing
 *           | lost      books, then closes without an answer
 *           | partial[=K]   books all but the last K points (1), and says so
 *           | stall     never answers, books nothing
 *           | delay=TIME (ms, s)   answers late; goes together with what another rule says
 *           | swallow   answers 200 and books nothing      these two are lies, for those
 *           | double    answers 200 and books twice        who test the verdict
 *
 *   5%:503,2%:429 retry-after=2,1%:reset,1%:lost,first=3:503,over=1MiB:413,10%:delay=500ms
 *
 * Rules that count or measure come first, in their order; then one throw of the dice for the sum
 * of all percentages (at most 100), and one for the delays. A batch meets one rule, and one delay.
 */
enum weir_faults_kind {
    WEIR_FAULTS_NONE,
    WEIR_FAULTS_CODE,
    WEIR_FAULTS_RESET,
    WEIR_FAULTS_LOST,
    WEIR_FAULTS_PARTIAL,
    WEIR_FAULTS_STALL,
    WEIR_FAULTS_SWALLOW,
    WEIR_FAULTS_DOUBLE,
    WEIR_FAULTS_DELAY,
    WEIR_FAULTS_KINDS
};

struct weir_faults_what {
    enum weir_faults_kind kind;
    uint32_t code;
    int32_t retry_after_s; /* -1: none */
    uint32_t refused;      /* points, of a partial success */
    uint32_t delay_ms;
};

enum weir_faults_when {
    WEIR_FAULTS_PERCENT,
    WEIR_FAULTS_FIRST,
    WEIR_FAULTS_AFTER,
    WEIR_FAULTS_EVERY,
    WEIR_FAULTS_OVER
};

struct weir_faults_rule {
    enum weir_faults_when when;
    double percent;
    uint64_t number; /* batches or bytes */
    struct weir_faults_what what;
};

enum { WEIR_FAULTS_RULES_MAX = 32 };

struct weir_faults {
    uint32_t count;
    struct weir_faults_rule rule[WEIR_FAULTS_RULES_MAX];
    uint64_t batches; /* seen so far */
    bool measures;    /* a rule asks for the inflated size */
    struct weir_rand rand;
};

struct weir_faults_error {
    size_t offset; /* into the text */
    const char *what;
};

/* Reads `text` (empty: no faults) and seeds the dice. WEIR_EINVAL with *ret_error. */
WEIR_MUST_USE enum weir_status weir_faults_parse(const char *text, uint64_t seed,
                                                 struct weir_faults *ret,
                                                 struct weir_faults_error *ret_error);

/* What happens to the next batch, of `size` bytes. One thread at a time. */
struct weir_faults_what weir_faults_next(struct weir_faults *faults, uint64_t size);

/* "503", "reset", ... as the text has it. */
const char *weir_faults_name(enum weir_faults_kind kind);

#endif
