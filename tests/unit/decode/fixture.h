/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_DECODE_FIXTURE_H
#define WEIR_TEST_DECODE_FIXTURE_H

/* One request's arena and collector for a test, on a budget that the test can shrink. */
#include "weir/body.h"
#include "weir/collect.h"
#include "weir/panic.h"

struct fixture {
    struct weir_regions *regions;
    struct weir_arena *arena;
    struct weir_collect *collect;
    size_t budget_left;
};

static inline bool fixture_take(void *self, size_t bytes)
{
    size_t *left = self;
    if (bytes > *left) {
        return false;
    }
    *left -= bytes;
    return true;
}

static inline void fixture_give(void *self, size_t bytes)
{
    *(size_t *)self += bytes;
}

/* The cache of a fixture's regions: its own, so that a leak shows; in a campaign (fuzz/run.sh
 * --fast) one for all, since making one costs more than decoding most inputs. */
static inline struct weir_regions *fixture_regions(void)
{
    static struct weir_regions *shared;
    struct weir_regions *regions = shared;
    if (regions == NULL) {
        enum weir_status status = weir_regions_new((size_t)64 << 20, &regions);
        WEIR_ASSERT(status == WEIR_OK);
    }
#ifdef WEIR_FUZZ_FAST
    shared = regions;
#endif
    return regions;
}

/* An arena without a collector, for whole bodies. */
static inline void fixture_open_bare(struct fixture *fixture, size_t budget)
{
    *fixture = (struct fixture){.budget_left = budget};
    struct weir_arena_budget gate = {fixture_take, fixture_give, &fixture->budget_left};
    fixture->regions = fixture_regions();
    enum weir_status status = weir_arena_new(fixture->regions, gate, 0, &fixture->arena);
    WEIR_ASSERT(status == WEIR_OK);
}

static inline void fixture_open(struct fixture *fixture)
{
    fixture_open_bare(fixture, (size_t)256 << 20);
    fixture->collect = weir_collect_new(fixture->arena);
    WEIR_ASSERT(fixture->collect != NULL);
}

static inline void fixture_close(struct fixture *fixture)
{
    weir_arena_unref(fixture->arena, 0);
#ifndef WEIR_FUZZ_FAST
    weir_regions_free(fixture->regions);
#endif
}

/* A mutable copy in the arena, where decoders want their input. */
static inline struct weir_bytes fixture_copy(struct fixture *fixture, struct weir_bytes bytes)
{
    uint8_t *copy = weir_arena_alloc(fixture->arena, bytes.size + 1, 1);
    WEIR_ASSERT(copy != NULL);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return weir_bytes_of(copy, bytes.size);
}

static inline struct weir_body_options fixture_body_options(void)
{
    return (struct weir_body_options){.body_limit = (size_t)96 << 20,
                                      .limits = {10000, 1024000, 32}};
}

#endif
