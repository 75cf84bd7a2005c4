/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The destination's state machine: up, probing, blocked; and each batch's way through it.
 *
 *   number ─► add ─► waiting ──next──► in flight ──answer──► DONE | SPLIT | REFUSED | EXPIRED
 *                      ▲  └─expired─► EXPIRED        │
 *                      └───────── WAITS ─────────────┘
 *
 * Edges of the destination, and who takes them:
 *   UP       -> PROBING   fail_retryable       a retryable answer
 *   BLOCKED  -> PROBING   fail_retryable       the credential or URL was mended, the backend is
 *                                              still down
 *   UP, PROBING -> BLOCKED  fail_blocked       401 and its like, from a batch that is not itself
 *                                              to blame
 *   UP, PROBING -> BLOCKED  weir_destination_block   no token to send anything with
 *   PROBING, BLOCKED -> UP  reached            delivered, refused or too large: somebody is there
 *                                              and works
 *
 * Who probes (rank): an attempted parcel other than the one that failed last, so that no further
 * window begins to run; but each only PROBES_EACH times, then one that was never attempted takes
 * its place. Without that bound two poison batches would take turns for a whole window and hold up
 * everybody. After those, whoever failed least. The one that failed last only when it is alone.
 *
 * Outage or poison. A batch is to blame only with evidence: it failed, the destination then took
 * other batches, and it failed again (passed_by), EVIDENCE times in its window. "Others were taken
 * since its first attempt" is not enough: one that was in flight beside it may have been taken just
 * before the outage began, and a backend that flaps takes some between two outages. And nobody is
 * condemned while batches without evidence fail too (others_fail): then the destination is down. A
 * window that ends otherwise is opened anew (held), which loses nothing however long the outage.
 *
 * A poison batch must cost the others no waiting: when the failure of a batch that was passed by
 * takes the destination from UP to PROBING, the next probe goes at once. If that fails too, backoff
 * begins; so a real outage costs one more request.
 *
 * Probes back off by the destination's own count of failures. Batches that were in flight when the
 * outage began fail together; only the first of them counts, or four of them would look like four
 * probes.
 *
 * What it does not do: it knows no points (a 413 for a single point is made a refusal by the
 * exporter), no bytes, no clock, and it does not bound `waiting`: export credit does.
 */
#include "weir/destination.h"
#include "weir/panic.h"
#include <stddef.h>

enum { PROBES_EACH = 2, EVIDENCE = 2 };

/* A backend that asks for more is not believed: a mistyped date must not end delivery for good. */
#define RETRY_AFTER_MAX_NS (INT64_C(3600) * 1000 * 1000 * 1000)

void weir_destination_init(struct weir_destination *destination,
                           const struct weir_retry_options *retry, bool hold_on_outage,
                           uint32_t in_flight_max)
{
    WEIR_ASSERT(in_flight_max > 0);
    *destination = (struct weir_destination){
        .state = WEIR_DESTINATION_UP,
        .retry = *retry,
        .hold_on_outage = hold_on_outage,
        .in_flight_max = in_flight_max,
    };
}

void weir_destination_number(struct weir_destination *destination, struct weir_parcel *parcel)
{
    *parcel = (struct weir_parcel){.order = destination->next_order++};
    weir_retry_init(&parcel->retry);
}

void weir_destination_add(struct weir_destination *destination, struct weir_parcel *parcel)
{
    WEIR_ASSERT(!parcel->retry.in_flight);
    struct weir_parcel **place = &destination->waiting.first;
    while (*place != NULL && (*place)->order <= parcel->order) {
        place = &(*place)->next;
    }
    parcel->next = *place;
    *place = parcel;
    destination->waiting.count++;
}

/* Takes the parcel at `place` out of the queue. */
static struct weir_parcel *unlink_at(struct weir_destination *destination,
                                     struct weir_parcel **place)
{
    struct weir_parcel *parcel = *place;
    WEIR_ASSERT(destination->waiting.count > 0);
    *place = parcel->next;
    parcel->next = NULL;
    destination->waiting.count--;
    return parcel;
}

struct weir_parcel *weir_destination_remove(struct weir_destination *destination)
{
    return destination->waiting.first == NULL ? NULL
                                              : unlink_at(destination, &destination->waiting.first);
}

/* How good a probe a parcel is: lower is better. */
static uint64_t rank(const struct weir_destination *destination, const struct weir_parcel *parcel)
{
    enum { TRIED_BEFORE = 0, FRESH = 1, FAILED_OFTEN = 2 };
    const uint64_t last = UINT64_MAX;
    if (parcel == destination->last_failed) {
        return last;
    }
    if (parcel->failures == 0) {
        return FRESH;
    }
    if (parcel->failures < PROBES_EACH && parcel->passed_by == 0) {
        return TRIED_BEFORE;
    }
    return FAILED_OFTEN + (uint64_t)parcel->failures;
}

/* The place of the parcel to send now. While UP the oldest that may go, else the best probe among
 * them. */
static struct weir_parcel **choose(struct weir_destination *destination, int64_t now_ns)
{
    struct weir_parcel **best = NULL;
    for (struct weir_parcel **place = &destination->waiting.first; *place != NULL;
         place = &(*place)->next) {
        if (weir_retry_poll(&(*place)->retry, &destination->retry, now_ns) != WEIR_RETRY_GO) {
            continue;
        }
        if (destination->state == WEIR_DESTINATION_UP) {
            return place;
        }
        if (best == NULL || rank(destination, *place) < rank(destination, *best)) {
            best = place;
        }
    }
    return best;
}

struct weir_parcel *weir_destination_next(struct weir_destination *destination, int64_t now_ns)
{
    bool up = destination->state == WEIR_DESTINATION_UP;
    if (destination->in_flight >= (up ? destination->in_flight_max : 1)) {
        return NULL;
    }
    if (!up && now_ns < destination->probe_ns) {
        return NULL;
    }
    struct weir_parcel **place = choose(destination, now_ns);
    if (place == NULL) {
        return NULL;
    }
    struct weir_parcel *parcel = unlink_at(destination, place);
    weir_retry_begin(&parcel->retry, now_ns);
    parcel->probe = !up;
    destination->in_flight++;
    return parcel;
}

/* The destination answered with a verdict: it is there and works. */
static void reached(struct weir_destination *destination)
{
    destination->state = WEIR_DESTINATION_UP;
    destination->failures = 0;
    destination->last_failed = NULL;
}

/* Notes a failure of the destination and when the next probe may go. */
static void back_off(struct weir_destination *destination, const struct weir_parcel *parcel,
                     const struct weir_destination_answer *answer, int64_t retry_after_ns)
{
    bool was_up = destination->state == WEIR_DESTINATION_UP;
    int64_t wait_ns = retry_after_ns > 0 ? retry_after_ns : 0;
    if (was_up || parcel->probe) {
        destination->failures++;
        bool blameless = !(was_up && parcel->passed_by > 0);
        int64_t backoff_ns = blameless ? weir_retry_backoff_ns(&destination->retry,
                                                               destination->failures, answer->unit)
                                       : 0;
        wait_ns = backoff_ns > wait_ns ? backoff_ns : wait_ns;
        destination->probe_ns = answer->now_ns + wait_ns;
    } else if (answer->now_ns + wait_ns > destination->probe_ns) {
        destination->probe_ns = answer->now_ns + wait_ns;
    }
    destination->last_failed = parcel;
}

/* Whether the window's end is the batch's own fault, or nobody wants to wait for
 * the destination. */
static bool gives_up(const struct weir_destination *destination, const struct weir_parcel *parcel)
{
    bool is_poison = parcel->passed_by >= EVIDENCE && !destination->others_fail;
    return is_poison || !destination->hold_on_outage;
}

static void hold(struct weir_parcel *parcel)
{
    weir_retry_reset(&parcel->retry);
    parcel->held = true;
    parcel->passed_by = 0;
    parcel->singled_out = false;
}

static enum weir_batch_fate fail_retryable(struct weir_destination *destination,
                                           struct weir_parcel *parcel,
                                           const struct weir_destination_answer *answer,
                                           int64_t retry_after_ns)
{
    weir_retry_failed(&parcel->retry, &destination->retry, answer->now_ns, retry_after_ns,
                      answer->unit);
    back_off(destination, parcel, answer, retry_after_ns);
    destination->state = WEIR_DESTINATION_PROBING;
    if (weir_retry_poll(&parcel->retry, &destination->retry, answer->now_ns) ==
        WEIR_RETRY_EXPIRED) {
        if (gives_up(destination, parcel)) {
            return WEIR_FATE_EXPIRED;
        }
        hold(parcel);
    }
    weir_destination_add(destination, parcel);
    return WEIR_FATE_WAITS;
}

static void enter_blocked(struct weir_destination *destination)
{
    if (destination->state == WEIR_DESTINATION_BLOCKED) {
        return;
    }
    for (struct weir_parcel *other = destination->waiting.first; other != NULL;
         other = other->next) {
        weir_retry_reset(&other->retry);
    }
    destination->state = WEIR_DESTINATION_BLOCKED;
}

static enum weir_batch_fate fail_blocked(struct weir_destination *destination,
                                         struct weir_parcel *parcel,
                                         const struct weir_destination_answer *answer,
                                         int64_t retry_after_ns)
{
    weir_retry_reset(&parcel->retry);
    back_off(destination, parcel, answer, retry_after_ns);
    enter_blocked(destination);
    weir_destination_add(destination, parcel);
    return WEIR_FATE_WAITS;
}

void weir_destination_block(struct weir_destination *destination, bool is_blocked, int64_t now_ns)
{
    if (is_blocked) {
        enter_blocked(destination);
    } else if (destination->state == WEIR_DESTINATION_BLOCKED) {
        destination->probe_ns = now_ns;
    }
}

/* Books a failure on the parcel, and finds out whether it is to blame itself. */
static void note_failure(struct weir_destination *destination, struct weir_parcel *parcel,
                         bool blocked)
{
    if (parcel->failures > 0 && destination->taken > parcel->taken_then) {
        parcel->passed_by++;
        parcel->singled_out |= blocked && parcel->blocked && parcel->passed_by >= EVIDENCE;
    }
    destination->others_fail |= parcel->passed_by < EVIDENCE;
    parcel->blocked = blocked;
    parcel->failures++;
    parcel->taken_then = destination->taken;
}

enum weir_batch_fate weir_destination_answer(struct weir_destination *destination,
                                             struct weir_parcel *parcel,
                                             const struct weir_destination_answer *answer)
{
    WEIR_ASSERT(parcel->retry.in_flight);
    WEIR_ASSERT(destination->in_flight > 0);
    destination->in_flight--;
    if (answer->is_void) {
        parcel->retry.in_flight = false;
        parcel->retry.next_ns = answer->now_ns;
        weir_destination_add(destination, parcel);
        return WEIR_FATE_WAITS;
    }
    int64_t retry_after_ns =
        answer->retry_after_ns < RETRY_AFTER_MAX_NS ? answer->retry_after_ns : RETRY_AFTER_MAX_NS;
    switch (answer->outcome) {
    case WEIR_OUTCOME_DELIVERED:
    case WEIR_OUTCOME_PARTIAL:
        destination->taken++;
        destination->others_fail = false;
        reached(destination);
        return WEIR_FATE_DONE;
    case WEIR_OUTCOME_RETRYABLE:
        note_failure(destination, parcel, false);
        return fail_retryable(destination, parcel, answer, retry_after_ns);
    case WEIR_OUTCOME_BLOCKED:
        note_failure(destination, parcel, true);
        /* 403 for this batch and 200 for the others: a filter in front dislikes its content. */
        return parcel->singled_out ? fail_retryable(destination, parcel, answer, retry_after_ns)
                                   : fail_blocked(destination, parcel, answer, retry_after_ns);
    case WEIR_OUTCOME_TOO_LARGE:
        reached(destination);
        parcel->retry.in_flight = false;
        parcel->retry.next_ns = answer->now_ns;
        return WEIR_FATE_SPLIT;
    case WEIR_OUTCOME_REFUSED: reached(destination); return WEIR_FATE_REFUSED;
    case WEIR_OUTCOMES: break;
    }
    WEIR_UNREACHABLE();
}

struct weir_parcel *weir_destination_expired(struct weir_destination *destination, int64_t now_ns)
{
    for (struct weir_parcel **place = &destination->waiting.first; *place != NULL;
         place = &(*place)->next) {
        if (weir_retry_poll(&(*place)->retry, &destination->retry, now_ns) != WEIR_RETRY_EXPIRED) {
            continue;
        }
        if (gives_up(destination, *place)) {
            return unlink_at(destination, place);
        }
        hold(*place);
    }
    return NULL;
}

int64_t weir_destination_wakeup_ns(const struct weir_destination *destination)
{
    bool up = destination->state == WEIR_DESTINATION_UP;
    bool room = destination->in_flight < (up ? destination->in_flight_max : 1);
    int64_t earliest = INT64_MAX;
    for (const struct weir_parcel *parcel = destination->waiting.first; parcel != NULL;
         parcel = parcel->next) {
        int64_t deadline = weir_retry_deadline_ns(&parcel->retry, &destination->retry);
        int64_t ready = parcel->retry.next_ns; /* also after a reset, which keeps it */
        if (!up && ready < destination->probe_ns) {
            ready = destination->probe_ns;
        }
        int64_t wakeup = room && ready < deadline ? ready : deadline;
        earliest = wakeup < earliest ? wakeup : earliest;
    }
    return earliest;
}
