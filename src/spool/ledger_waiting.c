/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that wait for the delivery of their request (durability: delivered), at its ticket.
 *
 *   ticket.jobs ─► job ─► job      the first sender's, and repetitions of the same request
 *
 *   attach ──► waiting ──ticket ends──► OK, or ECLOSED where a destination was KEPT
 *                 ├─expire────────────► ETIMEOUT
 *                 └─dismiss───────────► ECLOSED
 *
 *   attach -> waiting        weir_ledger_attach
 *   waiting -> told          finish (ledger_ticket.c), weir_ledger_expire, weir_ledger_dismiss
 *
 *   I1  each attached job is told once, with the mutex free
 *   I2  no ticket means settled, but for the numbers in `failed` and those not above failed_floor:
 *       they may have been kept by nobody, and OK would be a lie
 *
 * Deliberately simple: a number is looked for among all tickets from the newest back, which for the
 * first sender is a step or two, and for a repetition as far as the request is old.
 */
#include "ledger_internal.h"

static void tell_list(struct weir_spool_job *list, enum weir_status status)
{
    while (list != NULL) {
        struct weir_spool_job *job = list;
        list = job->next_waiting; /* the job may be gone when it was told */
        job->next_waiting = NULL;
        job->delivered(job, status);
    }
}

void weir_ledger_tell(struct weir_ledger_told told)
{
    tell_list(told.ok, WEIR_OK);
    tell_list(told.closed, WEIR_ECLOSED);
    tell_list(told.late, WEIR_ETIMEOUT);
}

static bool may_have_failed(const struct weir_ledger *ledger, uint64_t lsn)
{
    for (uint32_t i = 0; i < WEIR_LEDGER_FAILED_MAX; i++) {
        if (ledger->failed[i] == lsn) {
            return true;
        }
    }
    return lsn <= ledger->failed_floor;
}

static void attach(struct weir_ledger *ledger, uint64_t lsn, struct weir_spool_job *job,
                   struct weir_ledger_told *told)
{
    struct weir_ticket *ticket = ledger->ticket_last;
    while (ticket != NULL && ticket->lsn > lsn) {
        ticket = ticket->previous;
    }
    job->next_waiting = NULL;
    if (ledger->dismissed) {
        told->closed = job;
    } else if (ticket != NULL && ticket->lsn == lsn) {
        job->next_waiting = ticket->jobs;
        ticket->jobs = job;
        ledger->waiting_jobs++;
    } else if (may_have_failed(ledger, lsn)) {
        told->closed = job;
    } else {
        told->ok = job;
    }
}

void weir_ledger_attach(struct weir_ledger *ledger, uint64_t lsn, struct weir_spool_job *job)
{
    WEIR_ASSERT(lsn != 0);
    struct weir_ledger_told told = {NULL, NULL, NULL};
    pthread_mutex_lock(&ledger->mutex);
    WEIR_ASSERT(!ledger->has_notes); /* tickets are in the order of numbers then */
    attach(ledger, lsn, job, &told);
    pthread_mutex_unlock(&ledger->mutex);
    weir_ledger_tell(told);
}

bool weir_ledger_nobody_has(struct weir_ledger *ledger, uint64_t lsn)
{
    pthread_mutex_lock(&ledger->mutex);
    const struct weir_ticket *ticket = ledger->ticket_last;
    while (ticket != NULL && ticket->lsn > lsn) {
        ticket = ticket->previous;
    }
    bool in_memory = ticket != NULL && ticket->lsn == lsn;
    bool nobody = !in_memory && may_have_failed(ledger, lsn);
    pthread_mutex_unlock(&ledger->mutex);
    return nobody;
}

/* Takes those of a ticket's jobs out that were received `before_ns` or earlier. Returns the
 * earliest of the others; INT64_MAX: none. */
static int64_t take_late(struct weir_ledger *ledger, struct weir_ticket *ticket, int64_t before_ns,
                         struct weir_spool_job **list)
{
    int64_t earliest_ns = INT64_MAX;
    struct weir_spool_job **at = &ticket->jobs;
    while (*at != NULL) {
        struct weir_spool_job *job = *at;
        if (job->received_ns > before_ns) {
            earliest_ns = job->received_ns < earliest_ns ? job->received_ns : earliest_ns;
            at = &job->next_waiting;
            continue;
        }
        *at = job->next_waiting;
        job->next_waiting = *list;
        *list = job;
        ledger->waiting_jobs--;
    }
    return earliest_ns;
}

int64_t weir_ledger_expire(struct weir_ledger *ledger, int64_t mono_ns)
{
    struct weir_ledger_told told = {NULL, NULL, NULL};
    int64_t earliest_ns = INT64_MAX;
    pthread_mutex_lock(&ledger->mutex);
    struct weir_ticket *ticket = ledger->waiting_jobs > 0 ? ledger->ticket_first : NULL;
    for (; ticket != NULL; ticket = ticket->next) {
        int64_t at_ns = take_late(ledger, ticket, mono_ns - ledger->delivered_ns, &told.late);
        earliest_ns = at_ns < earliest_ns ? at_ns : earliest_ns;
    }
    pthread_mutex_unlock(&ledger->mutex);
    weir_ledger_tell(told);
    return earliest_ns == INT64_MAX ? INT64_MAX : earliest_ns + ledger->delivered_ns;
}

void weir_ledger_dismiss(struct weir_ledger *ledger)
{
    struct weir_ledger_told told = {NULL, NULL, NULL};
    pthread_mutex_lock(&ledger->mutex);
    ledger->dismissed = true;
    for (struct weir_ticket *at = ledger->ticket_first; at != NULL; at = at->next) {
        (void)take_late(ledger, at, INT64_MAX, &told.closed);
    }
    pthread_mutex_unlock(&ledger->mutex);
    weir_ledger_tell(told);
}
