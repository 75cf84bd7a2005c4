/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending parcels and acting on answers: what connects the destination's state machine with the
 * world.
 *
 *   machine ─next─► send ─┬─ HTTP: transport ──reply──┐
 *                         └─ file: written in steps ──┴─► answered
 *
 *   answered ─► WAITS    back in the machine; the settler is told how much of its window is used
 *               DONE     counted, settled
 *               SPLIT    two halves take its place, and share its manifest
 *               REFUSED  dead letter (loss.c)
 *               EXPIRED  dead letter (loss.c)
 *
 *   I1  a parcel that the machine has in flight is in `flying`, and the transport or the file
 *       knows its body
 *   I2  a parcel ends exactly once, in weir_parcel_end, and that settles its manifest
 *   I3  a 413 is split before the machine hears of it, so that it never waits for halves that do
 *       not come
 *   I4  what the settler knows of a parcel's window is never more than is used, but for the moment
 *       between a reset and the next turn
 *
 * A request that cannot even begin (no memory, an impossible URL) is answered here in the
 * backend's place; so it has its backoff like any other. A write error is retryable; a reader who
 * is gone blocks the destination, with everything held, because standard output does not come back
 * by itself but its data should not be dropped either.
 *
 * Threads: the owner of the destination only. Nothing here waits.
 */
#include "exporter_internal.h"
#include "weir/clock.h"
#include "weir/grpc_status.h"
#include "weir/panic.h"
#include <errno.h>

/* Where in `flying` a parcel is, or there is a place (NULL). */
static uint32_t slot_of(const struct weir_export_destination *destination,
                        const struct weir_export_parcel *parcel)
{
    for (uint32_t i = 0; i < WEIR_EXPORT_IN_FLIGHT_MAX; i++) {
        if (destination->flying[i] == parcel) {
            return i;
        }
    }
    WEIR_UNREACHABLE();
}

size_t weir_parcel_manifest_bytes(const struct weir_export_parcel *parcel)
{
    return parcel->manifest == NULL ? 0 : parcel->manifest->capacity * sizeof(struct weir_part);
}

void weir_parcel_recharge(struct weir_export_parcel *parcel)
{
    size_t charge = parcel->region.capacity + weir_parcel_manifest_bytes(parcel);
    if (charge > parcel->charge) {
        weir_credit_force(&parcel->to->credit, charge - parcel->charge);
    } else {
        weir_credit_give(&parcel->to->credit, parcel->charge - charge);
    }
    parcel->charge = charge;
}

void weir_parcel_end(struct weir_export_parcel *parcel, enum weir_settlement settlement)
{
    struct weir_exporter *exporter = parcel->to->exporter;
    weir_manifest_unref(parcel->manifest, &exporter->manifests, settlement);
    weir_batch_release(parcel->batch, exporter->batches);
    weir_region_give(exporter->options.regions, &parcel->region);
    weir_credit_give(&parcel->to->credit, parcel->charge);
    weir_pool_give(exporter->parcels, parcel);
}

/* -- the window, for a restart ------------------------------------------------------------- */

/* How much of its window a parcel has used. */
static int64_t used_ns(const struct weir_export_parcel *parcel, int64_t now_ns)
{
    const struct weir_retry *retry = &parcel->base.retry;
    return retry->attempts > 0 ? now_ns - retry->first_ns : retry->used_ns;
}

static void note_used(struct weir_export_parcel *parcel, int64_t now_ns)
{
    const struct weir_settler *settler = &parcel->to->exporter->options.settler;
    if (parcel->manifest == NULL || settler->attempted == NULL) {
        return;
    }
    parcel->noted_ns = now_ns;
    int64_t used = used_ns(parcel, now_ns);
    parcel->noted_used_ns = used > 0 || parcel->base.retry.attempts == 0 ? used : 1;
    settler->attempted(settler->self, parcel->manifest, parcel->noted_used_ns);
}

/* Before the first attempt: if the process ends before the answer is noted, the points may come
 * twice, and the next start says how many. */
static void note_begin(struct weir_export_parcel *parcel, int64_t now_ns)
{
    if (parcel->noted_ns == 0) {
        note_used(parcel, now_ns);
    }
}

/* After a failure: about once a second is often enough, but a window that was opened anew must not
 * seem used up after a restart. */
static void note_failure(struct weir_export_parcel *parcel, int64_t now_ns)
{
    bool is_first = parcel->noted_ns == 0;
    if (is_first || now_ns - parcel->noted_ns >= WEIR_NS_PER_S ||
        used_ns(parcel, now_ns) < parcel->noted_used_ns) {
        note_used(parcel, now_ns);
    }
}

/* Windows that were opened anew without an answer of their own: in an outage, or all of them when
 * the destination became blocked. */
static void note_resets(struct weir_export_destination *destination, int64_t now_ns)
{
    for (struct weir_parcel *waiting = destination->machine.waiting.first; waiting != NULL;
         waiting = waiting->next) {
        struct weir_export_parcel *parcel = (struct weir_export_parcel *)waiting;
        if (used_ns(parcel, now_ns) < parcel->noted_used_ns) {
            note_used(parcel, now_ns);
        }
    }
}

void weir_parcel_keep(struct weir_export_parcel *parcel)
{
    int64_t now_ns = weir_clock_mono_ns();
    if (parcel->attempts > 0 && used_ns(parcel, now_ns) != parcel->noted_used_ns) {
        note_used(parcel, now_ns);
    }
    weir_parcel_end(parcel, WEIR_KEPT);
}

/* -- answers ------------------------------------------------------------------------------- */

static enum weir_deadletter_reason refusal_reason(const struct weir_response *response)
{
    if (strcmp(response->reason, "413") == 0 || strcmp(response->reason, "message_size") == 0) {
        return WEIR_DEADLETTER_TOO_LARGE;
    }
    return strcmp(response->reason, "all_rejected") == 0 ? WEIR_DEADLETTER_REJECTED
                                                         : WEIR_DEADLETTER_REFUSED;
}

static enum weir_deadletter_reason expiry_reason(const struct weir_export_parcel *parcel)
{
    return parcel->base.passed_by > 0 ? WEIR_DEADLETTER_EXPIRED : WEIR_DEADLETTER_OUTAGE;
}

/* Cuts a parcel that is too large, or finds what its answer comes to when that cannot be done. */
static void try_split(struct weir_export_parcel *parcel, struct weir_response *response,
                      struct weir_export_parcel *ret_halves[2])
{
    enum weir_status status = parcel->info.points > 1
                                  ? weir_otlp_http_split(parcel->to->owner, parcel, ret_halves)
                                  : WEIR_EINVAL;
    if (status == WEIR_ENOMEM) {
        response->outcome = WEIR_OUTCOME_RETRYABLE;
        response->reason = "memory";
    } else if (status != WEIR_OK) {
        response->outcome = WEIR_OUTCOME_REFUSED;
    }
}

/* The halves take the whole's place. */
static void add_halves(struct weir_export_parcel *whole, struct weir_export_parcel *halves[2])
{
    struct weir_export_destination *destination = whole->to;
    for (int i = 0; i < 2; i++) {
        halves[i]->base = whole->base;
        if (halves[i]->manifest != NULL) {
            weir_manifest_ref(halves[i]->manifest);
        }
        weir_parcel_recharge(halves[i]);
        weir_destination_add(&destination->machine, &halves[i]->base);
    }
    weir_parcel_end(whole, WEIR_SETTLED); /* as far as it is concerned; the halves decide */
}

/* The one place where an attempt ends. */
static void answered(struct weir_export_parcel *parcel, struct weir_response *response,
                     int64_t retry_after_ns)
{
    struct weir_export_destination *destination = parcel->to;
    struct weir_export_parcel *halves[2] = {NULL, NULL};
    destination->flying[slot_of(destination, parcel)] = NULL;
    parcel->was_reauthorized = false;
    if (response->outcome == WEIR_OUTCOME_TOO_LARGE) {
        try_split(parcel, response, halves);
    }
    const struct weir_destination_answer answer = {
        response->outcome, weir_clock_mono_ns(), retry_after_ns,
        weir_rand_unit(&destination->owner->rand), false};
    enum weir_destination_state was = destination->machine.state;
    parcel->answer_lost |= response->answer_lost;
    parcel->last_wall_ns = weir_clock_wall_ns();
    parcel->last_reason = response->reason;
    enum weir_batch_fate fate =
        weir_destination_answer(&destination->machine, &parcel->base, &answer);
    weir_export_metrics_answer(destination, parcel, response, was);
    switch (fate) {
    case WEIR_FATE_WAITS: note_failure(parcel, answer.now_ns); return;
    case WEIR_FATE_DONE:
        weir_export_metrics_delivered(destination, parcel, response->rejected);
        weir_parcel_end(parcel, WEIR_SETTLED);
        return;
    case WEIR_FATE_SPLIT: add_halves(parcel, halves); return;
    case WEIR_FATE_REFUSED:
        weir_loss_begin(parcel, refusal_reason(response), response->message);
        return;
    case WEIR_FATE_EXPIRED:
        weir_loss_begin(parcel, expiry_reason(parcel), response->message);
        return;
    }
    WEIR_UNREACHABLE();
}

/* Back to where it was: it was not sent, or its token was refused and there is another. */
static void send_again(struct weir_export_parcel *parcel, int64_t now_ns)
{
    struct weir_export_destination *destination = parcel->to;
    const struct weir_destination_answer answer = {.now_ns = now_ns, .is_void = true};
    destination->flying[slot_of(destination, parcel)] = NULL;
    enum weir_batch_fate fate =
        weir_destination_answer(&destination->machine, &parcel->base, &answer);
    WEIR_ASSERT(fate == WEIR_FATE_WAITS);
}

void weir_parcel_reply(struct weir_exporter_thread *thread,
                       const struct weir_transport_reply *reply)
{
    struct weir_export_parcel *parcel = reply->user;
    struct weir_export_destination *destination = parcel->to;
    WEIR_ASSERT(destination->owner == thread);
    weir_metrics_observe(destination->series.duration,
                         (double)reply->duration_ns / (double)WEIR_NS_PER_S);
    if (reply->repeats > 0) {
        weir_metrics_add(destination->series.repeats, reply->repeats);
    }
    int64_t now_ns = weir_clock_mono_ns();
    if (weir_auth_answered(destination, slot_of(destination, parcel), reply, now_ns) &&
        !parcel->was_reauthorized) {
        parcel->was_reauthorized = true;
        weir_metrics_add(destination->series.requests[WEIR_OUTCOME_RETRYABLE], 1);
        send_again(parcel, now_ns);
        return;
    }
    const struct weir_destination_options *options = destination->options;
    bool is_grpc = options->protocol == WEIR_PROTOCOL_GRPC;
    struct weir_response response =
        is_grpc ? weir_grpc_status_read(reply, parcel->info.points, options->also_on)
                : weir_response_read(reply, parcel->info.points, options->also_on);
    bool by_header = reply->retry_after_ns > response.retry_after_ns;
    answered(parcel, &response, by_header ? reply->retry_after_ns : response.retry_after_ns);
}

/* An answer that did not come from the other side. */
static void answer_ourselves(struct weir_export_parcel *parcel, enum weir_outcome outcome,
                             const char *reason, const char *message)
{
    struct weir_response response = {.outcome = outcome, .reason = reason};
    struct weir_bytes text = weir_bytes_str(message);
    size_t size = text.size < WEIR_RESPONSE_MESSAGE_MAX ? text.size : WEIR_RESPONSE_MESSAGE_MAX - 1;
    if (size > 0) {
        memcpy(response.message, text.data, size);
    }
    answered(parcel, &response, -1);
}

static void send_http(struct weir_export_parcel *parcel)
{
    struct weir_export_destination *destination = parcel->to;
    const struct weir_transport *transport = &destination->owner->transport;
    struct weir_transport_request request = {.body = parcel->body, .user = parcel};
    int64_t now_ns = weir_clock_mono_ns();
    enum weir_status status =
        weir_auth_target(destination, slot_of(destination, parcel), now_ns, &request.target);
    if (status == WEIR_EAGAIN) {
        send_again(parcel, now_ns);
        return;
    }
    if (status == WEIR_OK) {
        status = transport->send(transport->self, &request);
    }
    if (status == WEIR_OK) {
        return;
    }
    bool is_ours = status != WEIR_EINVAL;
    answer_ourselves(parcel, is_ours ? WEIR_OUTCOME_RETRYABLE : WEIR_OUTCOME_BLOCKED,
                     is_ours ? "memory" : "url", weir_status_text(status));
}

/* Sends a parcel that the machine has just begun. */
static void send_parcel(struct weir_export_destination *destination,
                        struct weir_export_parcel *parcel)
{
    destination->flying[slot_of(destination, NULL)] = parcel;
    if (parcel->attempts++ == 0) {
        parcel->first_wall_ns = weir_clock_wall_ns();
        note_begin(parcel, weir_clock_mono_ns());
    }
    if (parcel->answer_lost) {
        parcel->answer_lost = false;
        weir_metrics_add(destination->series.repeats, 1);
    }
    weir_metrics_add(destination->series.bytes_sent, parcel->body.size);
    weir_metrics_add(destination->series.bytes_identity, parcel->identity_bytes);
    if (destination->options->type == WEIR_DESTINATION_OTLP_HTTP) {
        send_http(parcel);
    } else {
        weir_file_out_begin(&destination->out, parcel->body);
    }
}

/* Goes on with the batch that is being written, if there is one. False when the reader is slow. */
static bool write_on(struct weir_export_destination *destination)
{
    struct weir_export_parcel *parcel = destination->flying[0]; /* at most one is in flight */
    if (destination->options->type == WEIR_DESTINATION_OTLP_HTTP || parcel == NULL) {
        return true;
    }
    size_t before = destination->out.left.size;
    enum weir_status status = weir_file_out_step(&destination->out);
    destination->reader_is_slow = destination->out.left.size == before;
    if (status == WEIR_EAGAIN) {
        return false;
    }
    if (status == WEIR_OK) {
        answer_ourselves(parcel, WEIR_OUTCOME_DELIVERED, "", "");
        return true;
    }
    const char *why = strerrordesc_np(errno);
    answer_ourselves(parcel, status == WEIR_ECLOSED ? WEIR_OUTCOME_BLOCKED : WEIR_OUTCOME_RETRYABLE,
                     status == WEIR_ECLOSED ? "closed" : "io", why == NULL ? "write failed" : why);
    return true;
}

void weir_parcel_turn(struct weir_export_destination *destination, int64_t now_ns)
{
    struct weir_parcel *next;
    while ((next = weir_destination_expired(&destination->machine, now_ns)) != NULL) {
        struct weir_export_parcel *parcel = (struct weir_export_parcel *)next;
        weir_loss_begin(parcel, expiry_reason(parcel), "");
    }
    bool is_ready = weir_auth_turn(destination, now_ns);
    note_resets(destination, now_ns);
    if (!write_on(destination) || !is_ready) {
        return;
    }
    while (destination->auth.is_ready &&
           (next = weir_destination_next(&destination->machine, now_ns)) != NULL) {
        send_parcel(destination, (struct weir_export_parcel *)next);
        if (!write_on(destination)) {
            return;
        }
    }
}
