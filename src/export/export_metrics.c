/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the outside sees of a destination: series, published state, and the log's account of it.
 *
 *   owner thread ──counts──► series (weir/metrics.h)          ──► /metrics
 *                └─stores──► published (relaxed atomics)      ──► status page,
 *                                                                 weir serve's last words
 *
 * Series ids are resolved once, by the thread that will count. Logged: every change of state,
 * every refusal and partial success, every batch given up (deadletter.c), each with the first
 * request's id and stream. A retryable answer is logged only when it takes the destination down:
 * during an outage there would be one every 30 s with nothing new in it.
 *
 * The delivery lag is measured from a point's own time: for a batch the oldest of its runs' newest
 * points, so a late straggler inside a run does not cry wolf; where times are unknown, from when
 * the request came.
 */
#include "exporter_internal.h"
#include "weir/clock.h"
#include "weir/log.h"

/* A series with labels destination and `second` (NULL: destination alone). */
static uint32_t series(const struct weir_export_destination *destination, enum weir_family family,
                       const char *second)
{
    const struct weir_bytes labels[] = {weir_bytes_str(destination->options->name),
                                        weir_bytes_str(second)};
    return weir_metrics_series(family, labels);
}

void weir_export_metrics_init(struct weir_export_destination *destination)
{
    struct weir_export_series *set = &destination->series;
    set->batch_bytes = series(destination, WEIR_M_BATCH_BYTES, NULL);
    for (int i = WEIR_BUFFER_SIZE; i <= WEIR_BUFFER_FLUSH; i++) {
        set->trigger[i] = series(destination, WEIR_M_BATCH_TRIGGER,
                                 weir_buffer_trigger_text((enum weir_buffer_trigger)i));
    }
    for (int i = 0; i < WEIR_OUTCOMES; i++) {
        set->requests[i] =
            series(destination, WEIR_M_EXPORT_REQUESTS, weir_outcome_text((enum weir_outcome)i));
    }
    set->delivered = series(destination, WEIR_M_EXPORT_POINTS, "delivered");
    set->rejected = series(destination, WEIR_M_EXPORT_POINTS, "rejected");
    set->refused = series(destination, WEIR_M_EXPORT_POINTS, "refused");
    set->expired = series(destination, WEIR_M_EXPORT_POINTS, "expired");
    set->filtered = series(destination, WEIR_M_EXPORT_POINTS, "filtered");
    set->duration = series(destination, WEIR_M_EXPORT_DURATION, NULL);
    set->bytes_sent = series(destination, WEIR_M_EXPORT_BYTES, "sent");
    set->bytes_identity = series(destination, WEIR_M_EXPORT_BYTES, "identity");
    set->repeats = series(destination, WEIR_M_EXPORT_REPEATS, NULL);
    set->lag = series(destination, WEIR_M_DELIVERY_LAG, NULL);
    set->retry_batches = series(destination, WEIR_M_RETRY_BATCHES, NULL);
    set->window_remaining = series(destination, WEIR_M_WINDOW_REMAINING, NULL);
    set->letters_refused = series(destination, WEIR_M_DEAD_LETTER_REFUSED, NULL);
    set->copies = series(destination, WEIR_M_ARENA_COPIES, NULL);
    weir_auth_metrics(destination);
}

/* Waiting parcels that were attempted, and the rest of the window nearest to its end (-1: none
 * runs). */
static uint32_t count_retries(const struct weir_destination *machine, int64_t now_ns,
                              int64_t *ret_remaining_ns)
{
    uint32_t retries = 0;
    int64_t remaining_ns = -1;
    for (const struct weir_parcel *parcel = machine->waiting.first; parcel != NULL;
         parcel = parcel->next) {
        if (parcel->failures > 0) {
            retries++;
        }
        if (parcel->retry.attempts > 0) {
            int64_t left = weir_retry_deadline_ns(&parcel->retry, &machine->retry) - now_ns;
            left = left > 0 ? left : 0;
            remaining_ns = remaining_ns < 0 || left < remaining_ns ? left : remaining_ns;
        }
    }
    *ret_remaining_ns = remaining_ns;
    return retries;
}

void weir_export_metrics_publish(struct weir_export_destination *destination, int64_t now_ns)
{
    const struct weir_destination *machine = &destination->machine;
    struct weir_export_published *published = &destination->published;
    uint32_t waiting = machine->waiting.count + destination->encoding;
    for (const struct weir_parcel *early = destination->early; early != NULL; early = early->next) {
        waiting++;
    }
    int64_t remaining_ns;
    uint32_t retries = count_retries(machine, now_ns, &remaining_ns);
    /* relaxed: each is a number of its own for a reader who wants an impression */
    atomic_store_explicit(&published->state, (int)machine->state, memory_order_relaxed);
    atomic_store_explicit(&published->reason, destination->reason, memory_order_relaxed);
    atomic_store_explicit(&published->waiting, waiting, memory_order_relaxed);
    atomic_store_explicit(&published->in_flight, machine->in_flight, memory_order_relaxed);
    atomic_store_explicit(&published->window_remaining_ns, remaining_ns, memory_order_relaxed);
    weir_metrics_set(destination->series.retry_batches, retries);
    int64_t shown_ns = remaining_ns < 0 ? machine->retry.window_ns : remaining_ns;
    weir_metrics_set(destination->series.window_remaining,
                     (double)shown_ns / (double)WEIR_NS_PER_S);
}

void weir_export_metrics_closed(struct weir_export_destination *destination)
{
    struct weir_export_published *published = &destination->published;
    /* relaxed, all of them: as in weir_export_metrics_publish */
    atomic_store_explicit(&published->state, WEIR_DESTINATION_UP, memory_order_relaxed);
    atomic_store_explicit(&published->reason, "", memory_order_relaxed);
    atomic_store_explicit(&published->waiting, 0, memory_order_relaxed);
    atomic_store_explicit(&published->in_flight, 0, memory_order_relaxed);
    atomic_store_explicit(&published->window_remaining_ns, -1, memory_order_relaxed);
    weir_metrics_set(destination->series.retry_batches, 0);
    weir_metrics_set(destination->series.window_remaining, 0);
    if (destination->machine.state == WEIR_DESTINATION_BLOCKED) {
        weir_metrics_set(destination->blocked_series, 0);
    }
}

static void log_answer(enum weir_log_level level, const char *event,
                       const struct weir_export_parcel *parcel,
                       const struct weir_response *response)
{
    weir_log_fields(
        level, event,
        (const struct weir_log_field[]){WEIR_LOG_STR("destination", parcel->to->options->name),
                                        WEIR_LOG_STR("reason", response->reason),
                                        WEIR_LOG_STR("message", response->message),
                                        WEIR_LOG_INT("points", parcel->info.points),
                                        WEIR_LOG_INT("rejected", response->rejected),
                                        WEIR_LOG_INT("runs", parcel->info.requests),
                                        WEIR_LOG_STR("request_id", parcel->info.request_id),
                                        WEIR_LOG_STR("stream", parcel->info.stream)},
        8);
}

/* Sets the gauge of the reason that blocks it, and clears it again. */
static void mark_blocked(struct weir_export_destination *destination,
                         enum weir_destination_state was, const char *reason)
{
    bool is_blocked = destination->machine.state == WEIR_DESTINATION_BLOCKED;
    if (was == WEIR_DESTINATION_BLOCKED) {
        weir_metrics_set(destination->blocked_series, 0);
    }
    if (is_blocked) {
        destination->blocked_series = series(destination, WEIR_M_BLOCKED, reason);
        weir_metrics_set(destination->blocked_series, 1);
    }
}

void weir_export_metrics_blocked(struct weir_export_destination *destination,
                                 enum weir_destination_state was, const char *reason,
                                 const char *message)
{
    destination->reason = reason;
    mark_blocked(destination, was, reason);
    weir_log(WEIR_LOG_ERROR, "destination blocked",
             WEIR_LOG_STR("destination", destination->options->name),
             WEIR_LOG_STR("reason", reason), WEIR_LOG_STR("message", message));
}

void weir_export_metrics_answer(struct weir_export_destination *destination,
                                const struct weir_export_parcel *parcel,
                                const struct weir_response *response,
                                enum weir_destination_state was)
{
    enum weir_destination_state is = destination->machine.state;
    weir_metrics_add(destination->series.requests[response->outcome], 1);
    destination->reason = is == WEIR_DESTINATION_UP ? "" : response->reason;
    if (was == WEIR_DESTINATION_BLOCKED || is == WEIR_DESTINATION_BLOCKED) {
        mark_blocked(destination, was, response->reason);
    }
    if (is != was) {
        if (is == WEIR_DESTINATION_UP) {
            log_answer(WEIR_LOG_INFO, "destination up", parcel, response);
        } else if (is == WEIR_DESTINATION_BLOCKED) {
            log_answer(WEIR_LOG_ERROR, "destination blocked", parcel, response);
        } else {
            log_answer(WEIR_LOG_WARN, "destination down", parcel, response);
        }
    }
    if (response->outcome == WEIR_OUTCOME_PARTIAL) {
        log_answer(WEIR_LOG_WARN, "points rejected", parcel, response);
    } else if (response->outcome == WEIR_OUTCOME_DELIVERED && response->message[0] != '\0') {
        log_answer(WEIR_LOG_WARN, "backend warns", parcel, response);
    }
}

void weir_export_metrics_delivered(struct weir_export_destination *destination,
                                   const struct weir_export_parcel *parcel, uint32_t rejected)
{
    uint32_t taken = parcel->info.points - rejected;
    int64_t wall_ns = weir_clock_wall_ns();
    int64_t lag_ns = parcel->point_ns > 0 ? wall_ns - parcel->point_ns
                                          : weir_clock_mono_ns() - parcel->info.oldest_received_ns;
    weir_metrics_observe(destination->series.lag,
                         lag_ns > 0 ? (double)lag_ns / (double)WEIR_NS_PER_S : 0);
    weir_metrics_add(destination->series.delivered, taken);
    weir_metrics_add(destination->series.rejected, rejected);
    struct weir_export_published *published = &destination->published;
    /* relaxed: counters for readers who want an impression; one writer */
    atomic_fetch_add_explicit(&published->delivered, taken, memory_order_relaxed);
    atomic_fetch_add_explicit(&published->lost, rejected, memory_order_relaxed);
    atomic_store_explicit(&published->last_success_wall_ns, wall_ns, memory_order_relaxed);
}
