/* SPDX-License-Identifier: Apache-2.0 */
#include "lifecycle_internal.h"
#include "weir/clock.h"
#include "weir/metrics.h"
#include "weir/rcu.h"
#include "weir/thread.h"
#include "weir/wake.h"
#include <poll.h>
#include <stdatomic.h>

enum { LOOK_MS = 100 };

/* Who tells waiting requests that their time is over, while main waits for them. */
struct dismissal {
    const struct weir_service *service;
    int64_t at_ns;
    struct weir_wake over; /* rung when nobody waits any more */
    struct weir_thread *thread;
};

static bool is_cut(const struct weir_service *service)
{
    /* relaxed: partner is the watch; nothing else hangs on it */
    return atomic_load_explicit(&service->cut, memory_order_relaxed);
}

/* Sleeps until then, or until the stop is cut; whether the bell was silent all the time. */
static bool sleep_until(const struct dismissal *self)
{
    while (weir_clock_mono_ns() < self->at_ns && !is_cut(self->service)) {
        struct pollfd poll_ = {.fd = self->over.fd, .events = POLLIN};
        if (poll(&poll_, 1, LOOK_MS) > 0) {
            return false;
        }
    }
    return true;
}

static void dismiss(void *argument)
{
    struct dismissal *self = argument;
    weir_rcu_thread_start();
    if (weir_metrics_thread_start() == WEIR_OK) { /* whom it calls back may count */
        if (sleep_until(self)) {
            weir_spool_dismiss(self->service->spool);
        }
        weir_metrics_thread_stop();
    }
    weir_rcu_thread_stop();
}

static void drain_ingest(struct weir_service *service, int64_t now_ns, int64_t deadline_ns)
{
    int64_t margin_ns = deadline_ns / 8 < WEIR_NS_PER_S ? deadline_ns / 8 : WEIR_NS_PER_S;
    struct dismissal dismissal = {.service = service,
                                  .at_ns = now_ns + deadline_ns / 2 - margin_ns};
    bool wait = service->config->spool.durability == WEIR_DURABILITY_DELIVERED;
    if (!wait) {
        weir_ingest_drain(service->ingest, now_ns + deadline_ns / 2);
        return;
    }
    weir_exporter_hurry(service->exporter);
    bool bell = weir_wake_open(&dismissal.over) == WEIR_OK;
    if (!bell || weir_thread_start(WEIR_ROLE_KEEPER, "weir-dismiss", dismiss, &dismissal,
                                   &dismissal.thread) != WEIR_OK) {
        weir_spool_dismiss(service->spool); /* nobody to do it later: at once, then */
    }
    weir_ingest_drain(service->ingest, now_ns + deadline_ns / 2);
    if (bell) {
        weir_wake_ring(&dismissal.over);
        weir_thread_join(dismissal.thread);
        weir_wake_close(&dismissal.over);
    }
}

uint64_t weir_service_drain(struct weir_service *service)
{
    uint64_t left = 0;
    int64_t now_ns = weir_clock_mono_ns();
    int64_t deadline_ns = service->live->drain.deadline_ns;
    if (service->exporting && service->config->spool.durability != WEIR_DURABILITY_DISK) {
        weir_reload_settle(service, deadline_ns / 4);
    }
    if (service->ingest != NULL) {
        drain_ingest(service, now_ns, deadline_ns);
    }
    if (service->custody != NULL) {
        weir_custody_lane_stop(service->custody);
        weir_custody_backlog_stop(service->custody);
    }
    if (service->exporting) {
        weir_exporter_drain(service->exporter, now_ns + deadline_ns, &left);
        service->exporting = false;
    }
    return left;
}
