/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bad end of a parcel: the dead letter, or the drain's deadline.
 *
 *   refused, rejected, too large, expired, outage, malformed
 *      │
 *      ├─ no letterbox ──────────────────────────────► counted and logged, settled
 *      └─ doomed ──the request itself, inflated──► letterbox's thread ──done──► letters ─► owner
 *           ▲  └─no memory─┐                                                      │ OK: counted,
 *           └──────────────┘ again next turn                                      │ settled
 *                                                                                 └ else: kept
 *   the drain's deadline ──► kept; without a spool it is lost, counted and logged
 *
 *   I1  a doomed parcel is in `doomed`, or counted in `lettering` and the letterbox's, or in its
 *       owner's `letters`
 *   I2  nothing is counted as in the dead letter before its lines are on disk
 *   I3  what the letter views is in the parcel's region, and the region is charged to the
 *       destination's export credit until the letter is done; so a slow disk slows the destination
 *       down and does not fill the memory
 *
 * The letterbox's thread only pushes the parcel on a list, behind a lock, and rings: everything
 * else is the owner's. A lock and not an atomic list, because the bell has to be rung after the
 * push, and by then the owner could have taken the parcel, ended, and closed the bell; it is rung
 * before the lock is given back, and whoever takes the list takes the lock.
 *
 * A letter that has no room, or that could not be written, leaves the points in the spool, from
 * where they come again; the letterbox's own state then answers 503 at the door. Without a spool
 * they are lost, and counted as lost but not as in the dead letter. What it deliberately does not
 * do: try a letter again itself.
 */
#include "exporter_internal.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/panic.h"

static void count_ended(const struct weir_export_parcel *parcel, enum weir_deadletter_reason reason)
{
    struct weir_export_destination *destination = parcel->to;
    bool refused = reason == WEIR_DEADLETTER_REFUSED || reason == WEIR_DEADLETTER_REJECTED ||
                   reason == WEIR_DEADLETTER_TOO_LARGE || reason == WEIR_DEADLETTER_MALFORMED ||
                   reason == WEIR_DEADLETTER_TOO_OLD || reason == WEIR_DEADLETTER_UNFIT;
    weir_metrics_add(refused ? destination->series.refused : destination->series.expired,
                     parcel->info.points);
    /* relaxed: a counter for readers after the threads' end, or who want an impression */
    atomic_fetch_add_explicit(&destination->published.lost, parcel->info.points,
                              memory_order_relaxed);
}

/* Counts and logs a parcel's end in the dead letter. */
static void count_lost(const struct weir_export_parcel *parcel, enum weir_deadletter_reason reason,
                       const char *message)
{
    const struct weir_deadletter letter = {
        .destination = parcel->to->name,
        .reason = reason,
        .message = message,
        .request_id = parcel->info.request_id,
        .stream = parcel->info.stream,
        .requests = parcel->info.requests,
        .points = parcel->info.points,
    };
    weir_deadletter_put(&letter);
    count_ended(parcel, reason);
}

void weir_loss_shutdown(const struct weir_export_parcel *parcel)
{
    struct weir_exporter *exporter = parcel->to->exporter;
    if (parcel->info.points == 0) {
        return;
    }
    if (weir_exporter_is_draining(exporter)) {
        /* relaxed: read after the threads' end */
        atomic_fetch_add_explicit(&exporter->points_left, parcel->info.points,
                                  memory_order_relaxed);
    }
    if (!exporter->options.keeps) {
        count_lost(parcel, WEIR_DEADLETTER_SHUTDOWN, "");
    }
}

/* The letter did not come to disk. */
static void refuse(struct weir_export_parcel *parcel, enum weir_status status)
{
    const struct weir_export_destination *destination = parcel->to;
    weir_metrics_add(destination->series.letters_refused, parcel->info.points);
    weir_log(WEIR_LOG_ERROR, "dead letter not written",
             WEIR_LOG_STR("destination", destination->options->name),
             WEIR_LOG_STR("reason", weir_deadletter_reason_text(parcel->loss)),
             WEIR_LOG_STR("status", weir_status_text(status)),
             WEIR_LOG_INT("points", parcel->info.points),
             WEIR_LOG_STR("request_id", parcel->info.request_id),
             WEIR_LOG_STR("stream", parcel->info.stream));
    if (!destination->exporter->options.keeps) {
        count_ended(parcel, parcel->loss);
    }
    weir_parcel_end(parcel, WEIR_KEPT);
}

/* The letterbox's thread. */
static void letter_done(struct weir_letter *letter, enum weir_status status)
{
    struct weir_export_parcel *parcel = letter->user;
    struct weir_exporter_thread *owner = parcel->to->owner;
    int locked = pthread_mutex_lock(&owner->letters_lock);
    WEIR_ASSERT(locked == 0);
    parcel->status = status;
    parcel->base.next = owner->letters;
    owner->letters = &parcel->base;
    weir_wake_ring(&owner->bell);
    int unlocked =
        pthread_mutex_unlock(&owner->letters_lock); /* the owner may be gone after this */
    WEIR_ASSERT(unlocked == 0);
}

static void copy_text(char *to, size_t size, const char *from)
{
    struct weir_bytes text = weir_bytes_str(from);
    size_t kept = text.size < size - 1 ? text.size : size - 1;
    memcpy(to, text.data, kept);
    to[kept] = '\0';
}

static void write_letter(struct weir_export_parcel *parcel, const char *message)
{
    int64_t now_ns = weir_clock_wall_ns();
    bool was_sent = parcel->attempts > 0;
    bool is_silent = message[0] == '\0' && parcel->last_reason != NULL;
    struct weir_letter *letter = &parcel->letter;
    *letter = (struct weir_letter){
        .kind = WEIR_LETTER_OTLP,
        .destination = parcel->to->options->name,
        .reason = weir_deadletter_reason_text(parcel->loss),
        .attempts = parcel->attempts,
        .points = parcel->info.points,
        .arrival_wall_ns = was_sent ? parcel->first_wall_ns : now_ns,
        .ending_wall_ns = was_sent ? parcel->last_wall_ns : now_ns,
        .done = letter_done,
        .user = parcel,
    };
    copy_text(letter->message, sizeof(letter->message), is_silent ? parcel->last_reason : message);
    copy_text(letter->request_id, sizeof(letter->request_id), parcel->info.request_id);
    copy_text(letter->stream, sizeof(letter->stream), parcel->info.stream);
}

/* Hands a letter to the letterbox. False when there is no memory for its content now. */
static bool hand_over(struct weir_export_parcel *parcel)
{
    struct weir_export_destination *destination = parcel->to;
    enum weir_status status =
        weir_otlp_http_identity(destination->owner, parcel, &parcel->letter.payload);
    if (status == WEIR_ENOMEM) {
        return false;
    }
    weir_parcel_recharge(parcel);
    if (status != WEIR_OK) {
        refuse(parcel, status);
        return true;
    }
    destination->lettering++;
    weir_letterbox_put(destination->exporter->options.letterbox, &parcel->letter);
    return true;
}

static void doom(struct weir_export_parcel *parcel)
{
    parcel->base.next = parcel->to->doomed;
    parcel->to->doomed = &parcel->base;
}

void weir_loss_begin(struct weir_export_parcel *parcel, enum weir_deadletter_reason reason,
                     const char *message)
{
    if (parcel->to->exporter->options.letterbox == NULL) {
        count_lost(parcel, reason, message);
        weir_parcel_end(parcel, WEIR_SETTLED);
        return;
    }
    parcel->loss = reason;
    write_letter(parcel, message);
    if (!hand_over(parcel)) {
        doom(parcel);
    }
}

void weir_loss_turn(struct weir_export_destination *destination)
{
    struct weir_parcel *parcels = destination->doomed;
    destination->doomed = NULL;
    while (parcels != NULL) {
        struct weir_export_parcel *parcel = (struct weir_export_parcel *)parcels;
        parcels = parcels->next;
        if (!hand_over(parcel)) {
            doom(parcel);
        }
    }
}

void weir_loss_discard(struct weir_export_destination *destination)
{
    weir_loss_turn(destination);
    while (destination->doomed != NULL) {
        struct weir_export_parcel *parcel = (struct weir_export_parcel *)destination->doomed;
        destination->doomed = parcel->base.next;
        weir_loss_shutdown(parcel);
        weir_parcel_keep(parcel);
    }
}

void weir_loss_letters(struct weir_exporter_thread *thread)
{
    int locked = pthread_mutex_lock(&thread->letters_lock);
    WEIR_ASSERT(locked == 0);
    struct weir_parcel *letters = thread->letters;
    thread->letters = NULL;
    int unlocked = pthread_mutex_unlock(&thread->letters_lock);
    WEIR_ASSERT(unlocked == 0);
    while (letters != NULL) {
        struct weir_export_parcel *parcel = (struct weir_export_parcel *)letters;
        letters = letters->next;
        WEIR_ASSERT(parcel->to->lettering > 0);
        parcel->to->lettering--;
        if (parcel->status != WEIR_OK) {
            refuse(parcel, parcel->status);
            continue;
        }
        count_lost(parcel, parcel->loss, parcel->letter.message);
        weir_parcel_end(parcel, WEIR_SETTLED);
    }
}
