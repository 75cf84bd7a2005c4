/* SPDX-License-Identifier: Apache-2.0 */
/* One item through a ring: a credit, a push, a pop. Points are items. The limit is two atomic
 * additions that nobody contends for: what the credit and the claim are at least. */
#include "micro/cases.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/ring.h"
#include <stdatomic.h>

enum { SLOTS = 1024, LAPS = 64 };

struct turning {
    struct weir_ring *ring;
    _Atomic uint64_t credit, claim; /* the limit's; no partner: one thread */
};

static void push_and_pop(void *state)
{
    struct turning *turning = state;
    for (unsigned lap = 0; lap < LAPS; lap++) {
        for (unsigned i = 0; i < SLOTS; i++) {
            enum weir_status status = weir_ring_reserve(turning->ring, 1);
            WEIR_ASSERT(status == WEIR_OK);
            weir_ring_push(turning->ring, turning);
        }
        for (unsigned i = 0; i < SLOTS; i++) {
            void *item = weir_ring_pop(turning->ring);
            WEIR_ASSERT(item == turning);
        }
    }
}

static void limit(void *state)
{
    struct turning *turning = state;
    for (unsigned i = 0; i < SLOTS * LAPS; i++) {
        /* relaxed: only their cost is of interest */
        (void)atomic_fetch_add_explicit(&turning->credit, 1, memory_order_relaxed);
        (void)atomic_fetch_add_explicit(&turning->claim, 1, memory_order_relaxed);
    }
}

static void close_job(struct weir_cases_job *job)
{
    struct turning *turning = job->work.state;
    if (turning != NULL) {
        weir_ring_free(turning->ring);
        weir_mem_free(turning);
    }
}

static enum weir_status open_job(const struct weir_cases_context *context,
                                 struct weir_cases_job *ret)
{
    (void)context;
    struct turning *turning = weir_mem_zalloc(1, sizeof *turning);
    if (turning == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_cases_job job = {
        .work = {.state = turning, .subject = push_and_pop, .limit = limit},
        .points = (uint64_t)SLOTS * LAPS,
        .bytes = (uint64_t)SLOTS * LAPS * sizeof(void *)};
    enum weir_status status = weir_ring_new(SLOTS, &turning->ring);
    if (status != WEIR_OK) {
        close_job(&job);
        return status;
    }
    *ret = job;
    return WEIR_OK;
}

const struct weir_cases_case weir_cases_ring[] = {
    {"ring", "a credit, a push and a pop", "two atomic additions", open_job, close_job},
    {.name = NULL}};
