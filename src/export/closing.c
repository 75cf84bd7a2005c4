/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot's opening and closing as its owner thread sees it.
 *
 *   told ─► OPEN: the machine is this thread's, series are resolved
 *        ─► CLOSING:
 *             FLUSH   rings, batches, queue are sent ─┬─ nothing left ──────────────► FREE
 *                                                     └─ deadline: given up ─ back? ─► FREE
 *             SWAP    the rings stay; with a spool the rest is given up at once, else as above
 *
 *   given up     pending run, open batches, waiting parcels: kept, or lost without a spool
 *   at deadline  also the rings (FLUSH), and requests in flight, which are cancelled
 *   back?        what is out at encoders or at the letterbox comes back first, however late
 *
 *   I1  a machine is freed when no parcel, no run and no request of it is anywhere (is_drained);
 *       the slot is FREE after that, and `closed` is called last
 *   I2  what is given up is settled exactly once, as kept, and its window was noted before
 *   I3  while a slot is FREE its rings are nobody's: a drain gives up what they have
 *   I4  a drain makes a SWAP a FLUSH, since no machine will come after it
 *   I5  with a spool a drain gives up, without waiting for its deadline, what a destination has not
 *       taken that failed twice in a row: it is on disk
 *
 * A thread looks at `told` once a turn, and at nothing else where nothing changes. What closes
 * slowly holds up nobody: it has its turn like the others.
 */
#include "exporter_internal.h"
#include "weir/clock.h"
#include "weir/panic.h"

#define MEMORY_WAIT_NS (20 * WEIR_NS_PER_MS)
enum { LEFT_BEHIND_FAILURES = 2 };

static int64_t deadline_of(const struct weir_export_destination *destination)
{
    /* relaxed: a time that guards nothing */
    return atomic_load_explicit(&destination->close_deadline_ns, memory_order_relaxed);
}

static void learn(struct weir_exporter_thread *thread, struct weir_export_destination *destination)
{
    uint64_t bit = UINT64_C(1) << destination->index;
    /* acquire: pairs with the releases in slots.c, so the machine is here, and `how` */
    int is = atomic_load_explicit(&destination->slot, memory_order_acquire);
    if (is == WEIR_EXPORT_SLOT_FREE) {
        return; /* told to close sooner, when it had just ended */
    }
    if ((thread->running & bit) == 0) {
        thread->running |= bit;
        weir_export_metrics_init(destination);
    }
    destination->is_closing = is == WEIR_EXPORT_SLOT_CLOSING;
    /* relaxed: came with the state */
    destination->keeps_rings =
        destination->is_closing &&
        atomic_load_explicit(&destination->how, memory_order_relaxed) == WEIR_CLOSE_SWAP;
}

void weir_closing_news(struct weir_exporter_thread *thread)
{
    /* relaxed: nothing to see yet, or the bell rings again */
    if (atomic_load_explicit(&thread->told, memory_order_relaxed) == 0) {
        return;
    }
    /* acquire: pairs with the release in tell, slots.c */
    uint64_t told = atomic_exchange_explicit(&thread->told, 0, memory_order_acquire);
    for (; told != 0; told &= told - 1) {
        learn(thread, &thread->exporter->destinations[__builtin_ctzll(told)]);
    }
}

void weir_closing_flights(struct weir_export_destination *destination)
{
    const struct weir_transport *transport = &destination->owner->transport;
    for (int i = 0; i < WEIR_EXPORT_IN_FLIGHT_MAX; i++) {
        struct weir_export_parcel *parcel = destination->flying[i];
        if (parcel == NULL) {
            continue;
        }
        if (transport->cancel != NULL) {
            transport->cancel(transport->self, parcel);
        }
        destination->flying[i] = NULL;
        destination->machine.in_flight--;
        weir_loss_shutdown(parcel);
        weir_parcel_keep(parcel);
    }
}

/* Whether a drain need not wait for it: it takes nothing, and what it has not taken is on disk. One
 * failure is no outage; whoever has failed before the drain is not asked again. */
static bool is_left_behind(const struct weir_export_destination *destination)
{
    const struct weir_destination *machine = &destination->machine;
    return destination->exporter->options.keeps &&
           weir_exporter_is_draining(destination->exporter) &&
           machine->state != WEIR_DESTINATION_UP && machine->failures >= LEFT_BEHIND_FAILURES &&
           machine->in_flight == 0;
}

void weir_closing_turn(struct weir_export_destination *destination, int64_t now_ns)
{
    if (is_left_behind(destination)) {
        weir_gather_discard(destination);
        weir_loss_discard(destination);
    }
    if (!destination->is_closing) {
        return;
    }
    if (weir_exporter_is_draining(destination->exporter)) {
        destination->keeps_rings = false; /* I4 */
    }
    if (now_ns >= deadline_of(destination)) {
        weir_closing_flights(destination);
        weir_gather_discard(destination);
        weir_loss_discard(destination);
    } else if (destination->keeps_rings && destination->exporter->options.keeps) {
        weir_gather_discard(destination);
    }
}

bool weir_closing_is_empty(const struct weir_export_destination *destination)
{
    return destination->rings_empty && weir_gather_is_empty(destination) &&
           destination->encoding == 0 && destination->early == NULL &&
           destination->lettering == 0 && destination->doomed == NULL &&
           destination->machine.waiting.count == 0 && destination->machine.in_flight == 0;
}

/* The last one wakes the threads that linger. */
static void count_down(struct weir_exporter *exporter)
{
    /* acq_rel: whoever sees zero sees what every owner did before it closed */
    if (atomic_fetch_sub_explicit(&exporter->open_destinations, 1, memory_order_acq_rel) == 1) {
        for (uint32_t i = 0; i < exporter->options.threads; i++) {
            weir_wake_ring(&exporter->threads[i].bell);
        }
    }
}

void weir_closing_finish(struct weir_export_destination *destination)
{
    struct weir_exporter *exporter = destination->exporter;
    struct weir_exporter_thread *thread = destination->owner;
    if (!destination->is_closing || !weir_closing_is_empty(destination)) {
        return;
    }
    if (thread->transport.cancel != NULL) {
        thread->transport.cancel(thread->transport.self, &destination->auth);
    }
    weir_export_metrics_closed(destination);
    thread->running &= ~(UINT64_C(1) << destination->index);
    weir_slot_unmake(destination);
    /* release: pairs with the acquire in weir_exporter_state */
    atomic_store_explicit(&destination->slot, WEIR_EXPORT_SLOT_FREE, memory_order_release);
    if (exporter->options.closed != NULL) {
        exporter->options.closed(exporter->options.closed_argument, destination->index);
    }
    count_down(exporter);
}

void weir_closing_drained(struct weir_export_destination *destination)
{
    if (destination->is_closing) {
        weir_closing_finish(destination);
    } else if (!destination->is_closed && weir_closing_is_empty(destination)) {
        destination->is_closed = true;
        weir_export_metrics_publish(destination, weir_clock_mono_ns());
        count_down(destination->exporter);
    }
}

bool weir_closing_all(const struct weir_exporter *exporter)
{
    /* acquire: pairs with count_down */
    return atomic_load_explicit(&exporter->open_destinations, memory_order_acquire) == 0;
}

void weir_closing_leftovers(const struct weir_exporter_thread *thread)
{
    const struct weir_exporter *exporter = thread->exporter;
    for (uint32_t i = thread->index; i < WEIR_DESTINATIONS_MAX; i += exporter->options.threads) {
        struct weir_export_destination *destination = &exporter->destinations[i];
        bool was_open = destination->name != NULL; /* else the router may have no such row */
        if (was_open && (thread->running & UINT64_C(1) << i) == 0) {
            weir_gather_discard_unbatched(destination);
        }
    }
}

int64_t weir_closing_wakeup_ns(const struct weir_export_destination *destination, int64_t now_ns)
{
    if (!destination->is_closing) {
        return INT64_MAX;
    }
    int64_t deadline_ns = deadline_of(destination);
    return deadline_ns > now_ns ? deadline_ns : now_ns + MEMORY_WAIT_NS;
}
