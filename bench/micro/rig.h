/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_RIG_H
#define WEIR_BENCH_RIG_H

#include "micro/input.h"
#include "weir/batcher.h"
#include "weir/body.h"
#include "weir/encode.h"

/*
 * What stands around the hot modules in the gateway: regions, an inflater, a batcher with its pool.
 * Failures are asserted: an input that does not decode measures nothing.
 */
struct weir_rig {
    struct weir_regions *regions;
    struct weir_inflater *inflater;
    struct weir_pool *pool;
    struct weir_batcher *batcher;
};

/* A rig, without a limit on memory. */
void weir_rig_init(struct weir_rig *rig);
void weir_rig_done(struct weir_rig *rig);

/* A fresh arena, the caller's. */
struct weir_arena *weir_rig_arena(struct weir_rig *rig);

/* A mutable copy of `bytes` in the arena. */
uint8_t *weir_rig_copy(struct weir_arena *arena, struct weir_bytes bytes);

/* Decodes an input's gzip body. */
struct weir_runs weir_rig_decode(struct weir_rig *rig, struct weir_arena *arena,
                                 const struct weir_input *input);

/* Points to one batch, its bytes appended to `out`. The references of the runs, which the caller
 * has taken (weir_rig_retain), are given back. */
void weir_rig_batch(struct weir_rig *rig, const struct weir_runs *runs, struct weir_buf *out);

/* A reference to each run, as a ring would hold it. */
void weir_rig_retain(struct weir_arena *arena, const struct weir_runs *runs);

#endif
