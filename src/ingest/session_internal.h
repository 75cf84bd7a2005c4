/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_INGEST_SESSION_INTERNAL_H
#define WEIR_INGEST_SESSION_INTERNAL_H

#include "judge.h"
#include "weir/http_framing.h"
#include "weir/reply.h"

/*
 * What the three files of the session share: session.c takes a request in, session_answer.c answers
 * it and ends connections, session_clock.c applies the timeouts. The state machine is drawn in
 * session.c.
 */
#define WEIR_LINGER_MS     5000u
#define WEIR_WAITING_SMALL ((size_t)4 << 10) /* about what libh2o's smallest buffer costs anyway */

enum session_state { SESSION_IDLE, SESSION_HEAD, SESSION_BODY, SESSION_SUBMITTED, SESSION_REPLY };

struct weir_session {
    struct weir_session_context *context;
    struct weir_conn *conn; /* NULL once the peer is gone */
    struct weir_session *next;
    struct weir_session *previous;
    enum session_state state;
    int64_t since_ns;    /* when the state was entered */
    int64_t received_ns; /* when the request's first byte was seen */
    size_t scanned;      /* of the head */
    size_t waiting;      /* this session's part of context->waiting */
    struct weir_http_body body;
    struct weir_submission submission;
    struct weir_loop_task home_task; /* the submission's way back from other threads */
    struct weir_region attributes;   /* the common attributes' copy */
    const struct weir_keys *keys; /* held: this request was judged with them, key_name is theirs */
    const struct weir_judgement *judged; /* while a head is being refused: what it said */
    bool keep_alive;
    bool linger;       /* the body was not read to its end */
    bool writing;      /* a write is with the connection: 100 Continue or the answer */
    size_t reply_size; /* an answer that waits for the write before it, or 0 */
    bool counted;      /* /healthz is neither counted nor logged */
    char request_id[WEIR_REQUEST_ID_MAX];
    char source_arn[WEIR_SOURCE_ARN_MAX];
    size_t forwarded_size;
    char forwarded_for[WEIR_FORWARDED_FOR_MAX];
    uint8_t reply[WEIR_REPLY_SIZE_MAX];
};

/* Enters a state, now. */
void weir_session_enter(struct weir_session *session, enum session_state state);

/* Counts, logs and writes an answer; the session is in REPLY afterwards. */
void weir_session_answer(struct weir_session *session, int code, const char *reason,
                         const char *message);

/* The same for a request whose body has not been read to its end: the connection lingers, then
 * closes. */
void weir_session_refuse(struct weir_session *session, int code, const char *reason,
                         const char *message);

/* Answers GET /healthz; neither counted nor logged. */
void weir_session_answer_health(struct weir_session *session);

/* Writes the answer that waits, once the connection is free to write. */
void weir_session_write(struct weir_session *session);

/* Counts a request that got no answer because its peer is gone. */
void weir_session_count(const struct weir_session *session, int code, const char *reason);

/* Counts a connection that we end because of a limit on its peer's behaviour. */
void weir_session_cut(const char *reason);

/* Counts `size` bytes of this session's input as waiting, in place of what was; false when all
 * sessions together have more than they may, and this one is not small. */
bool weir_session_wait(struct weir_session *session, size_t size);

/* The request is over: gives back the copy of its common attributes with the credit, and the keys
 * that it was judged with. */
void weir_session_release(struct weir_session *session);

/* The peer is gone: ends the session, or leaves it to its answer when its request is with the
 * pipeline. */
void weir_session_closed(void *session);

/* Gives the session back; its connection, if still there, is closed, lingering so long. */
void weir_session_end(struct weir_session *session, uint32_t linger_ms);

#endif
