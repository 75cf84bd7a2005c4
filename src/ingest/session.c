/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One Firehose connection, request after request.
 *
 *            first byte          whole head, wanted         last body byte
 *   IDLE ───────────────► HEAD ─────────────────────► BODY ───────────────► SUBMITTED
 *    ▲                     │ not wanted, or /healthz    │ too slow, no room     │ answered
 *    │                     ▼                            ▼                      │
 *    └───────────────── REPLY ◄────────────────────────────────────────────────┘
 *      written, keep-alive  │ written, close (lingering where the body was not read)
 *                           ▼
 *                          gone
 *
 * Edges and who takes them:
 *   IDLE ─► HEAD            session_advance
 *   HEAD ─► BODY            begin_body          key, limits and intake credit are settled here
 *   HEAD ─► REPLY           read_head, begin_reply
 *   BODY ─► SUBMITTED       read_body
 *   BODY ─► REPLY           refuse_body
 *   SUBMITTED ─► REPLY      on_answered         after weir_session_abort: straight to gone; called
 *                                               from read_body, or later by way of come_home
 *   REPLY ─► IDLE | gone    on_written
 *   any ─► gone             weir_session_closed, weir_session_tick
 *
 * Invariants
 *   I1  no byte of a body is read before its key was good and, where its length is declared, its
 *       whole credit was taken
 *   I2  memory held for a connection: its session, the kernel's and libh2o's buffer, and what
 *       intake credit pays for; libh2o's buffers hold at most waiting_bytes for all sessions of the
 *       loop together, beside WEIR_WAITING_SMALL for each: anybody can fill them without a key
 *   I3  while SUBMITTED or REPLY nothing is read: a peer that pipelines waits in its own buffers
 *   I4  a session that is SUBMITTED outlives its connection: the request owns the buffers, not the
 *       socket
 *   I5  every answer but one to a whole body closes the connection, lingering, so that a reset
 *       cannot overtake it
 *   I6  a request holds the keys it was judged with until it is over (weir_session_release), so a
 *       reload neither refuses it nor takes its key's name away
 *
 * All of it runs on the loop's thread; other threads only post home_task. A session may be
 * SUBMITTED for as long as a delivery takes (150 s), without a timeout of its own: the pipeline
 * always answers. Slow peers end in weir_session_tick, full ones in a 503
 * before their body. It does not know gzip, JSON or OTLP (decode), or what makes a request safe
 * (pipeline).
 */
#include "weir/session.h"

#include "session_internal.h"
#include "weir/alarm.h"
#include "weir/clock.h"
#include "weir/http_framing.h"
#include "weir/log.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include "weir/pool.h"
#include "weir/reply.h"
#include <stdatomic.h>

#define CONTINUE_LINE "HTTP/1.1 100 Continue\r\n\r\n"

struct weir_session_limits weir_session_limits_default(void)
{
    return (struct weir_session_limits){
        .head_bytes = (size_t)128 << 10,
        .waiting_bytes = (size_t)16 << 20,
        .body_bytes = (size_t)96 << 20,
        .head_timeout_ns = 10 * WEIR_NS_PER_S,
        .idle_timeout_ns = 75 * WEIR_NS_PER_S, /* above the 60 s of AWS's load balancers */
        .body_grace_ns = 15 * WEIR_NS_PER_S,
        .body_rate_min = (size_t)32 << 10,
        .body_timeout_ns = 170 * WEIR_NS_PER_S, /* Firehose gives up at 180 s */
        .write_timeout_ns = 30 * WEIR_NS_PER_S, /* as TCP_USER_TIMEOUT in conn.c */
    };
}

size_t weir_session_size(void)
{
    return sizeof(struct weir_session);
}

void weir_session_done(void *session)
{
    (void)session; /* owns nothing while it is idle in its pool */
}

/* Forgets the last request. */
static void request_reset(struct weir_session *session)
{
    session->scanned = 0;
    session->submission = (struct weir_submission){.gzip = false};
    weir_intake_init(&session->submission.intake, session->context->intake,
                     session->context->regions, session->context->limits.body_bytes);
    session->keep_alive = true;
    session->linger = false;
    session->judged = NULL;
    session->forwarded_size = 0;
}

static struct weir_bytes copy_into(char *memory, size_t capacity, struct weir_bytes text)
{
    WEIR_ASSERT(text.size <= capacity);
    if (text.size > 0) {
        memcpy(memory, text.data, text.size);
    }
    return weir_bytes_of(memory, text.size);
}

static void on_answered(struct weir_submission *submission, const struct weir_answer *answer)
{
    struct weir_session *session =
        (struct weir_session *)(void *)((char *)submission -
                                        offsetof(struct weir_session, submission));
    WEIR_ASSERT(session->state == SESSION_SUBMITTED);
    if (submission->request_id.size == 0) { /* the result's view ends with this call */
        submission->request_id = copy_into(session->request_id, sizeof(session->request_id),
                                           submission->result.request_id);
    }
    if (session->conn == NULL) { /* the peer did not wait: the request counts all the same */
        weir_session_count(session, answer->code, answer->reason);
        weir_session_enter(session, SESSION_REPLY);
        weir_session_end(session, 0);
        return;
    }
    weir_session_answer(session, answer->code, answer->reason, answer->message);
}

static void come_home(struct weir_loop_task *task)
{
    struct weir_session *session =
        (struct weir_session *)(void *)((char *)task - offsetof(struct weir_session, home_task));
    weir_pipeline_resume(&session->submission);
}

/* Any thread. */
static void post_home(void *self, struct weir_submission *submission)
{
    struct weir_session_context *context = self;
    struct weir_session *session =
        (struct weir_session *)(void *)((char *)submission -
                                        offsetof(struct weir_session, submission));
    session->home_task = (struct weir_loop_task){.run = come_home};
    /* relaxed: the post itself orders it before the session's end */
    atomic_fetch_add_explicit(&context->posting, 1, memory_order_relaxed);
    weir_loop_post(context->loop, &session->home_task);
    /* release: pairs with the acquire of who frees the loop (ingest.c), so that this is over
     * then */
    atomic_fetch_sub_explicit(&context->posting, 1, memory_order_release);
}

static void set_alarm(void *self, int64_t delay_ns)
{
    struct weir_session_context *context = self;
    weir_alarm_set(context->alarm, delay_ns);
}

struct weir_home weir_session_home(struct weir_session_context *context)
{
    return (struct weir_home){post_home, context, context->alarm == NULL ? NULL : set_alarm};
}

/* The common attributes can be 66 KiB, so they live in memory that intake credit pays for. */
static enum weir_status keep_attributes(struct weir_session *session, struct weir_bytes attributes)
{
    if (attributes.size == 0) {
        return WEIR_OK;
    }
    size_t capacity = weir_region_capacity(attributes.size);
    if (!weir_credit_take(session->context->intake, capacity)) {
        return WEIR_EFULL;
    }
    if (weir_region_take(session->context->regions, attributes.size, &session->attributes) !=
        WEIR_OK) {
        weir_credit_give(session->context->intake, capacity);
        return WEIR_EFULL;
    }
    memcpy(session->attributes.data, attributes.data, attributes.size);
    session->submission.common_attributes =
        weir_bytes_of(session->attributes.data, attributes.size);
    return WEIR_OK;
}

/* Who uses which key, and until when: what a rotation waits for. */
static void count_key(const struct weir_submission *submission)
{
    struct weir_bytes user[] = {submission->key_name, submission->source_arn.size == 0
                                                          ? WEIR_BYTES("none")
                                                          : submission->source_arn};
    weir_metrics_add(weir_metrics_series(WEIR_M_KEY_REQUESTS, &submission->key_name), 1);
    weir_metrics_set(weir_metrics_series(WEIR_M_KEY_LAST_USED, user),
                     (double)weir_clock_wall_ns() / (double)WEIR_NS_PER_S);
}

/* The head is judged and wanted: takes credit, keeps what outlives the head, lets the body come. */
static void begin_body(struct weir_session *session, const struct weir_http_head *head,
                       const struct weir_judgement *judgement)
{
    struct weir_submission *submission = &session->submission;
    submission->gzip = judgement->gzip;
    submission->received_ns = session->received_ns;
    submission->answered = on_answered;
    submission->targets = WEIR_TARGETS_ALL;
    submission->key_name = weir_bytes_str(judgement->key_name);
    if (judgement->key_name != NULL) {
        count_key(submission);
    }
    enum weir_status status = keep_attributes(session, judgement->common_attributes);
    if (status == WEIR_OK && head->framing == WEIR_HTTP_LENGTH) {
        status = weir_intake_reserve(&submission->intake, (size_t)head->content_length);
    }
    if (status != WEIR_OK) {
        weir_session_refuse(session, 503, "memory_intake",
                            "no memory for this request now, try again");
        return;
    }
    weir_http_body_init(&session->body, head);
    weir_session_enter(session, SESSION_BODY);
    if (head->expect_continue) {
        session->writing = true;
        weir_conn_write(session->conn, WEIR_BYTES(CONTINUE_LINE));
    }
}

static void judge(struct weir_session *session, const struct weir_http_head *head)
{
    struct weir_judgement judgement;
    session->keys = weir_keyring_hold(session->context->keyring);
    weir_judge_head(session->context, session->keys, head, weir_clock_wall_ns(), &judgement);
    session->keep_alive = head->keep_alive;
    session->submission.request_id =
        copy_into(session->request_id, sizeof(session->request_id), judgement.request_id);
    if (judgement.source_arn.size <= sizeof(session->source_arn)) {
        session->submission.source_arn =
            copy_into(session->source_arn, sizeof(session->source_arn), judgement.source_arn);
    }
    session->forwarded_size =
        copy_into(session->forwarded_for, sizeof(session->forwarded_for), judgement.forwarded_for)
            .size;
    if (judgement.health || judgement.code != 0) {
        session->linger = head->framing != WEIR_HTTP_NO_BODY; /* it will not be read */
    }
    if (judgement.health) {
        weir_session_answer_health(session);
    } else if (judgement.code != 0) {
        session->judged = &judgement;
        weir_session_answer(session, judgement.code, judgement.reason, judgement.message);
        session->judged = NULL;
    } else {
        begin_body(session, head, &judgement);
    }
}

/* What a peer sent behind its request stays in its buffer until that is answered; where there is
 * too much of it, it is forgotten, and the connection ends with the answer. */
static void keep_what_is_ahead(struct weir_session *session)
{
    size_t size = weir_conn_input(session->conn).size;
    if (!weir_session_wait(session, size)) {
        session->keep_alive = false;
        session->linger = true;
        weir_session_cut("sent_ahead");
        weir_conn_consume(session->conn, size);
        (void)weir_session_wait(session, 0);
    }
}

/* The head goes on: true where that was refused. */
static bool wait_for_more(struct weir_session *session, size_t size)
{
    if (weir_session_wait(session, size)) {
        return false;
    }
    weir_session_refuse(session, 503, "memory_intake", "no memory for this request now, try again");
    return true;
}

/* One step in HEAD: true when the state changed. */
static bool read_head(struct weir_session *session)
{
    struct weir_bytes input = weir_conn_input(session->conn);
    size_t size = 0;
    enum weir_status status = weir_http_head_scan(input, &session->scanned, &size);
    size_t seen = status == WEIR_OK ? size : input.size;
    if (seen > session->context->limits.head_bytes) {
        weir_session_refuse(session, 400, "bad_head", "the request head is over 128 KiB");
        return true;
    }
    if (status == WEIR_EAGAIN) {
        return wait_for_more(session, input.size);
    }
    struct weir_http_head head;
    const char *why = "this is not an HTTP/1.1 request";
    if (status == WEIR_OK) {
        status = weir_http_head_parse(weir_bytes_of(input.data, size), &head, &why);
    }
    if (status != WEIR_OK) {
        weir_session_refuse(session, 400, "bad_head", why);
        return true;
    }
    judge(session, &head);
    weir_conn_consume(session->conn, size);
    (void)weir_session_wait(session, 0);
    return true;
}

/* The next bytes of the body. Of a declared one they are read to where they will stay, once what
 * came with the head is used up: *ret_straight, and nothing to consume. */
static struct weir_bytes body_input(struct weir_session *session, bool *ret_straight)
{
    struct weir_bytes input = weir_conn_input(session->conn);
    *ret_straight = input.size == 0 && session->body.framing == WEIR_HTTP_LENGTH;
    if (!*ret_straight) {
        return input;
    }
    size_t size;
    uint8_t *at = weir_intake_room(&session->submission.intake, &size);
    size = size < session->body.left ? size : (size_t)session->body.left;
    return weir_bytes_of(at, weir_conn_read(session->conn, at, size));
}

/* One step in BODY: true when the state changed or there may be more to do at once. */
static bool read_body(struct weir_session *session)
{
    bool straight;
    struct weir_bytes input = body_input(session, &straight);
    size_t consumed = 0;
    struct weir_bytes payload = {NULL, 0};
    const char *why = NULL;
    enum weir_status framing =
        weir_http_body_feed(&session->body, input, &consumed, &payload, &why);
    if (framing == WEIR_EMALFORMED) {
        weir_session_refuse(session, 400, "bad_framing", why);
        return true;
    }
    enum weir_status status = weir_intake_append(&session->submission.intake, payload);
    weir_conn_consume(session->conn, straight ? 0 : consumed);
    if (status == WEIR_ELIMIT) {
        weir_session_refuse(session, 400, "over_limit",
                            "the body is larger than ingest.body_limit");
        return true;
    }
    if (status != WEIR_OK) {
        weir_session_refuse(session, 503, "memory_intake",
                            "no memory for this request now, try again");
        return true;
    }
    if (framing == WEIR_EAGAIN) {
        return consumed > 0 && !straight;
    }
    weir_metrics_add(weir_metrics_series(WEIR_M_REQUEST_BODY_BYTES, NULL),
                     session->submission.intake.size);
    weir_session_enter(session, SESSION_SUBMITTED);
    weir_conn_read_stop(session->conn);
    keep_what_is_ahead(session);
    weir_pipeline_submit(session->context->worker, &session->submission);
    return false; /* the session may be gone, or wait for its answer */
}

/* Does what the input allows. The session may be gone when this returns. */
static void session_advance(struct weir_session *session)
{
    bool again = true;
    while (again) {
        switch (session->state) {
        case SESSION_IDLE:
            again = weir_conn_input(session->conn).size > 0;
            if (again) {
                session->received_ns = weir_clock_mono_ns();
                weir_session_enter(session, SESSION_HEAD);
            }
            break;
        case SESSION_HEAD: again = read_head(session); break;
        case SESSION_BODY: again = read_body(session); break;
        case SESSION_REPLY:
            keep_what_is_ahead(session);
            again = false;
            break;
        case SESSION_SUBMITTED: again = false; break;
        }
    }
}

static void on_input(void *user)
{
    session_advance(user);
}

static void on_written(void *user)
{
    struct weir_session *session = user;
    session->writing = false;
    if (session->reply_size > 0) { /* that was 100 Continue */
        weir_session_write(session);
        return;
    }
    if (session->state != SESSION_REPLY) {
        return;
    }
    if (!session->keep_alive || session->context->draining) { /* the drain saw it busy */
        weir_session_end(session, session->linger ? WEIR_LINGER_MS : 1);
        return;
    }
    weir_session_release(session);
    (void)weir_session_wait(session, 0);
    request_reset(session);
    weir_session_enter(session, SESSION_IDLE);
    weir_conn_read_start(session->conn);
    session_advance(session);
}

void weir_session_open(struct weir_session_context *context, struct weir_conn *conn)
{
    static const struct weir_conn_events events = {on_input, on_written, weir_session_closed};
    struct weir_session *session = weir_pool_take(context->pool);
    if (session == NULL) {
        weir_conn_close(conn, 0);
        return;
    }
    session->context = context;
    session->conn = conn;
    session->previous = NULL;
    session->next = context->sessions;
    if (context->sessions != NULL) {
        context->sessions->previous = session;
    }
    context->sessions = session;
    context->session_count++;
    session->attributes = (struct weir_region){NULL, 0};
    session->keys = NULL;
    session->writing = false;
    session->reply_size = 0;
    session->waiting = 0;
    request_reset(session);
    weir_session_enter(session, SESSION_IDLE);
    weir_conn_attach(conn, &events, session);
    weir_conn_read_start(conn);
}
