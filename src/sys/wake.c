/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/wake.h"
#include "weir/panic.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 *            ring, ring_soft: written
 *   QUIET ─────────────────────────────► RINGING      QUIET, MUFFLED: nobody has rung
 *     ▲                                    ▲          RINGING: somebody has; the descriptor is
 *     │ unmuffle                           │            readable, or about to be
 *     │                                    │ ring:    RECALLED: somebody has, softly; it is not
 *   MUFFLED ──ring_soft──► RECALLED        │ written
 *     └────────────────────────┴───────────┘
 *
 *   any ──silence──► QUIET        any ──muffle──► MUFFLED
 *
 * Silencing and muffling empty the descriptor first and then change the state. The other way round
 * a producer could ring in between, have its byte read away, and leave RINGING over an empty
 * descriptor: no later ring would write, and the consumer would sleep for ever. This way round the
 * worst is one wake-up for nothing. For the same reason the descriptor is read in each state: who
 * has found QUIET may write a moment later, when all is QUIET or MUFFLED again.
 *
 * Nothing is lost: a producer pushes, then exchanges the state. What it finds there decides:
 *
 *   QUIET     it writes, and the consumer wakes up
 *   RINGING   then the consumer's exchange in silence or muffle comes later and acquires the push,
 *             which the consumer, looking at its queues after that, must see. All are
 *             read-modify-writes, so what an earlier ring released is released still
 *   MUFFLED,  softly: likewise, and the consumer does come: it left the state so only for a sleep
 *   RECALLED  that has an end, and the way to another goes through unmuffle, which finds RECALLED
 *             and fails. A ring after an unmuffle that did not fail finds QUIET. There is no third
 *             case, since both change one atomic
 */
enum state {
    QUIET = 0,
    RUNG = 1, /* a bit */
    MUFFLED = 2,
    RINGING = RUNG,
    RECALLED = MUFFLED | RUNG
};

enum weir_status weir_wake_open(struct weir_wake *wake)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return WEIR_EIO;
    }
    wake->fd = fd;
    atomic_init(&wake->state, QUIET);
    return WEIR_OK;
}

void weir_wake_close(struct weir_wake *wake)
{
    if (wake == NULL || wake->fd < 0) {
        return;
    }
    (void)close(wake->fd);
    wake->fd = -1;
}

static void write_one(const struct weir_wake *wake)
{
    int saved = errno;
    const uint64_t one = 1;
    ssize_t written = write(wake->fd, &one, sizeof one);
    while (written < 0 && errno == EINTR) {
        written = write(wake->fd, &one, sizeof one);
    }
    WEIR_ASSERT(written == (ssize_t)sizeof one); /* the count never comes near its limit */
    errno = saved;
}

void weir_wake_ring(struct weir_wake *wake)
{
    /* acq_rel: the release pairs with the acquire in become */
    if (atomic_exchange_explicit(&wake->state, RINGING, memory_order_acq_rel) != RINGING) {
        write_one(wake);
    }
}

void weir_wake_ring_soft(struct weir_wake *wake)
{
    /* acq_rel: the release pairs with the acquire in become */
    if (atomic_fetch_or_explicit(&wake->state, RUNG, memory_order_acq_rel) == QUIET) {
        write_one(wake);
    }
}

/* The consumer's: empties the descriptor, then sets the state. Whether somebody had rung. */
static bool become(struct weir_wake *wake, enum state state)
{
    uint64_t rings;
    ssize_t got = read(wake->fd, &rings, sizeof rings);
    while (got < 0 && errno == EINTR) {
        got = read(wake->fd, &rings, sizeof rings);
    }
    /* acq_rel: the acquire pairs with the releases in weir_wake_ring and weir_wake_ring_soft */
    int was = atomic_exchange_explicit(&wake->state, (int)state, memory_order_acq_rel);
    return (was & RUNG) != 0;
}

void weir_wake_silence(struct weir_wake *wake)
{
    (void)become(wake, QUIET);
}

bool weir_wake_muffle(struct weir_wake *wake)
{
    return become(wake, MUFFLED);
}

bool weir_wake_unmuffle(struct weir_wake *wake)
{
    int expected = MUFFLED;
    /* relaxed: nothing was rung, so there is nothing to see; or it was, and then muffle acquires
     * it. What counts is the order of the changes of this one atomic */
    return atomic_compare_exchange_strong_explicit(&wake->state, &expected, QUIET,
                                                   memory_order_relaxed, memory_order_relaxed);
}
