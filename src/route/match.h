/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ROUTE_MATCH_H
#define WEIR_ROUTE_MATCH_H

#include "weir/bytes.h"
#include "weir/route.h"

/*
 * A pair of lists of patterns, made ready once, so that asking is cheap and takes no memory: texts
 * without a wildcard are found by bisection however many there are (a fleet's accounts), only real
 * patterns are tried one by one.
 */
struct weir_match_list {
    struct weir_bytes *texts; /* exact ones, sorted, then the globs: one piece of memory */
    struct weir_bytes *globs;
    uint32_t text_count;
    uint32_t glob_count;
};

struct weir_match {
    bool includes_all; /* there is no include list, or it has "*" */
    struct weir_match_list include;
    struct weir_match_list exclude;
};

/* Makes a list's two parts; a list that is NULL takes all (include) or nothing (exclude). The
 * strings stay the caller's and outlive it. WEIR_ENOMEM, *ret untouched. */
WEIR_MUST_USE enum weir_status weir_match_init(struct weir_match *ret,
                                               const struct weir_route_globs *globs);

/* Frees its memory; what is zeroed or done with already is nothing. */
void weir_match_done(struct weir_match *match);

/* Whether it could refuse anything. */
bool weir_match_is_filter(const struct weir_match *match);

/* Whether the text is included and not excluded. Pure. */
bool weir_match_takes(const struct weir_match *match, struct weir_bytes text);

/* Whether the include list has this very text, not a pattern that it fits. Pure. */
bool weir_match_names(const struct weir_match *match, struct weir_bytes text);

#endif
