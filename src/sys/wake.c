/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/wake.h"
#include "weir/panic.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * quiet ── weir_wake_ring ──► ringing ── weir_wake_silence ──► quiet
 *
 * Silencing empties the descriptor first and then clears the flag. The other way round a producer
 * could ring in between, have its byte read away, and leave the flag set over an empty descriptor:
 * no later ring would write, and the consumer would sleep for ever. This way round the worst is one
 * wake-up for nothing.
 *
 * Nothing is lost: a producer pushes, then exchanges the flag. Either it finds it clear, and
 * writes; or it finds it set, and then the consumer's exchange in silence comes later and acquires
 * the push, which the consumer, looking at its queues after that, must see.
 */
enum weir_status weir_wake_open(struct weir_wake *wake)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return WEIR_EIO;
    }
    wake->fd = fd;
    atomic_init(&wake->ringing, false);
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

void weir_wake_ring(struct weir_wake *wake)
{
    /* acq_rel: the release pairs with the acquire in weir_wake_silence */
    if (atomic_exchange_explicit(&wake->ringing, true, memory_order_acq_rel)) {
        return;
    }
    int saved = errno;
    const uint64_t one = 1;
    ssize_t written = write(wake->fd, &one, sizeof one);
    while (written < 0 && errno == EINTR) {
        written = write(wake->fd, &one, sizeof one);
    }
    WEIR_ASSERT(written == (ssize_t)sizeof one); /* the count never comes near its limit */
    errno = saved;
}

void weir_wake_silence(struct weir_wake *wake)
{
    uint64_t rings;
    ssize_t got = read(wake->fd, &rings, sizeof rings);
    while (got < 0 && errno == EINTR) {
        got = read(wake->fd, &rings, sizeof rings);
    }
    /* acq_rel: the acquire pairs with the release in weir_wake_ring */
    (void)atomic_exchange_explicit(&wake->ringing, false, memory_order_acq_rel);
}
