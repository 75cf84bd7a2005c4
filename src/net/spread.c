/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passing connections on to the loop that has the fewest.
 *
 *   loop 0 accepts fd ─► fewest: loop 2 ─► post ─► loop 2: weir_listener_take
 *   loop 2 accepts fd ─► fewest: itself ─► adopted, as without a spread
 *
 * Connections stay for hours, so another thread's wake-up when one is made is nothing; and none is
 * moved later: whose connections end first gets the next ones.
 *
 * Invariants
 *   I1  A place is filled once (`loop` is set last) and stays until the spread is freed. So whoever
 *       sees a loop in it may post to it until he himself has left.
 *   I2  A loop that has joined is not freed before weir_spread_is_over: everybody has left, and
 *       what they had posted before (which `arriving` counts) has arrived.
 *   I3  What counts for the choice is open + arriving. Two that choose at one moment may choose the
 *       same loop: so a loop may come to hold one more than connections_max for each other one.
 *   I4  A loop that has left is not chosen: it ends what it is given now. Only what was chosen for
 *       it in that moment still comes.
 *
 * When it is full: with all loops at connections_max none is better than the own one, which pauses.
 * Without memory for the message a connection stays where it was accepted.
 *
 * Threads: each loop its own place; the counters are read by all.
 */
#include "weir/spread.h"
#include "net_internal.h"
#include "weir/mem.h"

struct weir_spread_place {
    _Atomic(struct weir_loop *) loop; /* NULL: not joined yet */
    _Atomic uint32_t arriving;        /* posted to it and not taken in */
    _Atomic bool left;
    struct weir_listener_options options;
};

struct weir_spread {
    _Atomic uint32_t passing; /* loops that have joined and not left */
    uint32_t count;
    struct weir_pool *messages;
    struct weir_spread_place places[];
};

struct passed {
    struct weir_loop_task task;
    struct weir_spread_place *to;
    int fd;
};

enum { MESSAGES_IDLE_MAX = 64 };

enum weir_status weir_spread_new(uint32_t loops, struct weir_spread **ret)
{
    struct weir_spread *spread =
        weir_mem_zalloc(1, sizeof *spread + loops * sizeof spread->places[0]);
    if (spread == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status =
        weir_pool_new(sizeof(struct passed), MESSAGES_IDLE_MAX, NULL, &spread->messages);
    if (status != WEIR_OK) {
        weir_mem_free(spread);
        return status;
    }
    spread->count = loops;
    *ret = spread;
    return WEIR_OK;
}

void weir_spread_join(struct weir_spread *spread, uint32_t index, struct weir_loop *loop,
                      const struct weir_listener_options *options)
{
    weir_loop_assert_mine(loop);
    WEIR_ASSERT(index < spread->count && loop->spread == NULL);
    struct weir_spread_place *place = &spread->places[index];
    place->options = *options;
    place->options.connections_max = UINT32_MAX; /* I3: looked at before it is passed on */
    loop->spread = spread;
    loop->spread_index = index;
    loop->passes_on = true;
    /* relaxed: partner is weir_spread_is_over; this loop has not left, so none is over yet */
    atomic_fetch_add_explicit(&spread->passing, 1, memory_order_relaxed);
    /* release: partner is the acquire in loop_at */
    atomic_store_explicit(&place->loop, loop, memory_order_release);
}

static struct weir_loop *loop_at(struct weir_spread_place *place)
{
    /* acquire: partner is weir_spread_join's release; the options are seen with it */
    return atomic_load_explicit(&place->loop, memory_order_acquire);
}

static uint32_t load_of(struct weir_spread_place *place, const struct weir_loop *loop)
{
    /* relaxed: a count that is a moment old does for a choice; partners are pass and arrive */
    return weir_loop_open(loop) + atomic_load_explicit(&place->arriving, memory_order_relaxed);
}

struct weir_spread_place *weir_spread_better(const struct weir_loop *loop)
{
    struct weir_spread_place *best = NULL;
    if (!loop->passes_on) {
        return NULL;
    }
    struct weir_spread *spread = loop->spread;
    uint32_t least = load_of(&spread->places[loop->spread_index], loop);
    for (uint32_t i = 0; i < spread->count; i++) {
        struct weir_spread_place *place = &spread->places[i];
        const struct weir_loop *other = loop_at(place);
        /* relaxed: partner is weir_spread_leave; a moment late does no harm (I4) */
        bool left = atomic_load_explicit(&place->left, memory_order_relaxed);
        uint32_t load = other == NULL || left ? UINT32_MAX : load_of(place, other);
        if (load < least) {
            least = load;
            best = place;
        }
    }
    return best;
}

/* On the loop that has it from now on. */
static void arrive(struct weir_loop_task *task)
{
    struct passed *passed = (struct passed *)task; /* its first member */
    struct weir_spread_place *place = passed->to;
    /* relaxed: written by its own loop */
    struct weir_loop *loop = atomic_load_explicit(&place->loop, memory_order_relaxed);
    int fd = passed->fd;
    weir_pool_give(loop->spread->messages, passed);
    enum weir_status status = weir_listener_take(loop, fd, &place->options);
    WEIR_ASSERT(status != WEIR_EFULL); /* without memory it is closed, as where it was accepted */
    /* relaxed: partners are load_of, and weir_spread_is_over on this thread */
    atomic_fetch_sub_explicit(&place->arriving, 1, memory_order_relaxed);
}

bool weir_spread_pass(struct weir_spread_place *place, int fd)
{
    struct weir_loop *loop = loop_at(place);
    struct passed *passed = weir_pool_take(loop->spread->messages);
    if (passed == NULL) {
        return false;
    }
    *passed = (struct passed){.task = {.run = arrive}, .to = place, .fd = fd};
    /* relaxed: partner is weir_spread_is_over; the release of weir_spread_leave comes after it */
    atomic_fetch_add_explicit(&place->arriving, 1, memory_order_relaxed);
    weir_loop_post(loop, &passed->task);
    return true;
}

void weir_spread_leave(struct weir_loop *loop)
{
    weir_loop_assert_mine(loop);
    if (loop->passes_on) {
        loop->passes_on = false;
        /* relaxed: partner is weir_spread_better, for which it is a hint */
        atomic_store_explicit(&loop->spread->places[loop->spread_index].left, true,
                              memory_order_relaxed);
        /* release: partner is weir_spread_is_over's acquire; what was passed on came before it */
        atomic_fetch_sub_explicit(&loop->spread->passing, 1, memory_order_release);
    }
}

bool weir_spread_is_over(const struct weir_loop *loop)
{
    struct weir_spread *spread = loop->spread;
    weir_loop_assert_mine(loop);
    /* acquire: partner is weir_spread_leave's release; relaxed: ordered by that */
    return spread == NULL || (atomic_load_explicit(&spread->passing, memory_order_acquire) == 0 &&
                              atomic_load_explicit(&spread->places[loop->spread_index].arriving,
                                                   memory_order_relaxed) == 0);
}

void weir_spread_free(struct weir_spread *spread)
{
    if (spread == NULL) {
        return;
    }
    weir_pool_free(spread->messages);
    weir_mem_free(spread);
}
