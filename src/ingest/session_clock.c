/* SPDX-License-Identifier: Apache-2.0 */
/* The timeouts of a session and its end at shutdown. The state machine is drawn in session.c. */
#include "session_internal.h"

#include "weir/clock.h"

/* Bytes of body that should be here by now; all that came in late is the peer's, what we wait for
 * is not. */
static bool body_is_slow(const struct weir_session *session, int64_t now_ns)
{
    const struct weir_session_limits *limits = &session->context->limits;
    int64_t elapsed_ns = now_ns - session->since_ns;
    if (elapsed_ns > limits->body_timeout_ns) {
        return true;
    }
    if (elapsed_ns <= limits->body_grace_ns) {
        return false;
    }
    double expected = (double)limits->body_rate_min * (double)elapsed_ns / (double)WEIR_NS_PER_S;
    return (double)session->submission.intake.size < expected;
}

static void tick_one(struct weir_session *session, int64_t now_ns)
{
    const struct weir_session_limits *limits = &session->context->limits;
    int64_t elapsed_ns = now_ns - session->since_ns;
    switch (session->state) {
    case SESSION_IDLE:
        if (elapsed_ns > limits->idle_timeout_ns) {
            weir_session_cut("idle");
            weir_session_end(session, 0);
        }
        break;
    case SESSION_HEAD:
        if (elapsed_ns > limits->head_timeout_ns) {
            weir_session_cut("slow_head");
            weir_session_refuse(session, 408, "slow_head", "the request head took too long");
        }
        break;
    case SESSION_BODY:
        if (body_is_slow(session, now_ns)) {
            weir_session_cut("slow_body");
            weir_session_refuse(session, 408, "slow_body", "the request body took too long");
        }
        break;
    case SESSION_REPLY:
        if (elapsed_ns > limits->write_timeout_ns) {
            weir_session_cut("slow_reader");
            weir_session_end(session, 0);
        }
        break;
    case SESSION_SUBMITTED: break; /* the pipeline's time, and it always answers */
    }
}

void weir_session_tick(struct weir_session_context *context, int64_t now_ns)
{
    struct weir_session *next;
    for (struct weir_session *session = context->sessions; session != NULL; session = next) {
        next = session->next;
        tick_one(session, now_ns);
    }
}

void weir_session_drain(struct weir_session_context *context)
{
    struct weir_session *next;
    context->draining = true;
    for (struct weir_session *session = context->sessions; session != NULL; session = next) {
        next = session->next;
        if (session->state == SESSION_IDLE) {
            weir_session_end(session, 1);
        }
    }
}

void weir_session_abort(struct weir_session_context *context)
{
    struct weir_session *next;
    for (struct weir_session *session = context->sessions; session != NULL; session = next) {
        next = session->next;
        if (session->state == SESSION_SUBMITTED) {
            if (session->conn != NULL) {
                weir_conn_close(session->conn, 0); /* the answer will find nobody */
                session->conn = NULL;
            }
        } else {
            weir_session_end(session, 0);
        }
    }
}
