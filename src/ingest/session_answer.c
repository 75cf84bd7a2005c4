/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a session's request is answered, and how a session ends. The state machine is drawn in
 * session.c; this file takes the edges into REPLY and out of everything.
 *
 *   answer, refuse, answer_health ─► REPLY: counted, logged, written into `reply`
 *                                      │ the connection is still busy with 100 Continue
 *                                      ├──────────────► reply_size waits; on_written sends it
 *                                      └──────────────► weir_conn_write
 *   closed, end ─► gone: memory and credit given back, connection closed or left to linger
 *
 *   I1  every request that is answered is counted once, with code and reason; /healthz is not
 *   I2  a refusal is logged with request id, stream and peer, a wrong path with the path, a refused
 *       key with its name; never with a key, a query or a body
 *   I3  after weir_session_end the session belongs to its pool
 *
 * The loop's thread. A peer that does not read its answer is ended by session_clock.c.
 */
#include "session_internal.h"

#include "weir/clock.h"
#include "weir/log.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include "weir/pool.h"

void weir_session_enter(struct weir_session *session, enum session_state state)
{
    session->state = state;
    session->since_ns = weir_clock_mono_ns();
}

void weir_session_cut(const char *reason)
{
    const struct weir_bytes label = weir_bytes_str(reason);
    weir_metrics_add(weir_metrics_series(WEIR_M_CONNECTIONS_CUT, &label), 1);
}

void weir_session_count(const struct weir_session *session, int code, const char *reason)
{
    WEIR_ASSERT(code >= 100 && code <= 999);
    const char digits[] = {(char)('0' + code / 100), (char)('0' + code / 10 % 10),
                           (char)('0' + code % 10)};
    const struct weir_bytes labels[] = {weir_bytes_of(digits, sizeof(digits)),
                                        weir_bytes_str(reason)};
    weir_metrics_add(weir_metrics_series(WEIR_M_REQUESTS, labels), 1);
    double seconds = (double)(weir_clock_mono_ns() - session->received_ns) / (double)WEIR_NS_PER_S;
    weir_metrics_observe(weir_metrics_series(WEIR_M_REQUEST_DURATION, NULL), seconds);
}

static void log_refusal(const struct weir_session *session, int code, const char *reason,
                        const char *message)
{
    struct weir_log_field fields[9] = {
        WEIR_LOG_INT("code", code),
        WEIR_LOG_STR("reason", reason),
        WEIR_LOG_STR("message", message),
        WEIR_LOG_TEXTF("request_id", session->submission.request_id),
        WEIR_LOG_TEXTF("stream", session->submission.source_arn),
        WEIR_LOG_STR("peer", session->conn == NULL ? "gone" : weir_conn_peer(session->conn)),
    };
    size_t count = 6;
    const struct weir_judgement *judged = session->judged;
    if (session->forwarded_size > 0) {
        fields[count++] = WEIR_LOG_TEXTF(
            "forwarded_for", weir_bytes_of(session->forwarded_for, session->forwarded_size));
    }
    if (judged != NULL && (code == 404 || code == 405)) {
        fields[count++] = WEIR_LOG_TEXTF("path", judged->path);
    }
    if (judged != NULL && code == 401 && judged->key_name != NULL) {
        fields[count++] = WEIR_LOG_STR("key", judged->key_name);
    }
    weir_log_fields(WEIR_LOG_WARN, "request refused", fields, count);
}

void weir_session_write(struct weir_session *session)
{
    if (!session->writing) {
        session->writing = true;
        size_t size = session->reply_size;
        session->reply_size = 0;
        weir_conn_write(session->conn, weir_bytes_of(session->reply, size));
    }
}

/* Whether another request may follow. A connection ends at its next answer once the process is
 * stopping, so that balancers and senders have moved before the door shuts. */
static bool stays_open(const struct weir_session *session)
{
    const struct weir_session_context *context = session->context;
    return session->keep_alive && !session->linger && !context->draining &&
           context->ready(context->argument);
}

/* Counts, logs and writes an answer; the session is in REPLY afterwards. */
void weir_session_answer(struct weir_session *session, int code, const char *reason,
                         const char *message)
{
    weir_session_count(session, code, reason);
    if (code != 200) {
        log_refusal(session, code, reason, message);
    }
    session->keep_alive = stays_open(session);
    const struct weir_reply reply = {.code = code,
                                     .request_id = session->submission.request_id,
                                     .timestamp_ms = weir_clock_wall_ns() / WEIR_NS_PER_MS,
                                     .error_message = weir_bytes_str(message),
                                     .keep_alive = session->keep_alive};
    session->reply_size = weir_reply_write(&reply, session->reply);
    weir_session_enter(session, SESSION_REPLY);
    weir_conn_read_stop(session->conn);
    weir_session_write(session);
}

/* Refuses a request whose body has not been read to its end. */
void weir_session_refuse(struct weir_session *session, int code, const char *reason,
                         const char *message)
{
    session->linger = true;
    weir_intake_release(&session->submission.intake);
    weir_session_answer(session, code, reason, message);
}

void weir_session_answer_health(struct weir_session *session)
{
    bool ready = !session->context->draining && session->context->ready(session->context->argument);
    session->keep_alive = stays_open(session);
    session->reply_size = weir_reply_health(ready, session->keep_alive, session->reply);
    weir_session_enter(session, SESSION_REPLY);
    weir_conn_read_stop(session->conn);
    weir_session_write(session);
}

bool weir_session_wait(struct weir_session *session, size_t size)
{
    struct weir_session_context *context = session->context;
    context->waiting = context->waiting - session->waiting + size;
    session->waiting = size;
    return size <= WEIR_WAITING_SMALL || context->waiting <= context->limits.waiting_bytes;
}

void weir_session_release(struct weir_session *session)
{
    if (session->attributes.capacity > 0) {
        size_t capacity = session->attributes.capacity;
        weir_region_give(session->context->regions, &session->attributes);
        weir_credit_give(session->context->intake, capacity);
    }
    weir_keyring_release(session->keys);
    session->keys = NULL;
}

/* Gives the session back. Its connection is closed first if it is still there. */
void weir_session_end(struct weir_session *session, uint32_t linger_ms)
{
    struct weir_session_context *context = session->context;
    WEIR_ASSERT(session->state != SESSION_SUBMITTED);
    weir_intake_release(&session->submission.intake);
    weir_session_release(session);
    (void)weir_session_wait(session, 0);
    if (session->conn != NULL) {
        weir_conn_close(session->conn, linger_ms);
        session->conn = NULL;
    }
    if (session->next != NULL) {
        session->next->previous = session->previous;
    }
    if (session->previous != NULL) {
        session->previous->next = session->next;
    } else {
        context->sessions = session->next;
    }
    context->session_count--;
    weir_pool_give(context->pool, session);
}

void weir_session_closed(void *user)
{
    struct weir_session *session = user;
    if (session->state == SESSION_SUBMITTED) { /* it may only have shut its sending side */
        session->keep_alive = false;
        return;
    }
    if (session->state == SESSION_HEAD || session->state == SESSION_BODY) {
        weir_session_count(session, 499, "client_gone");
        log_refusal(session, 499, "client_gone", "the peer closed before its request was complete");
    }
    /* a peer that has shut its sending side still waits for the answer that is being written */
    weir_session_end(session, session->writing ? WEIR_LINGER_MS : 0);
}
