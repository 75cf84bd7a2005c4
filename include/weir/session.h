/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SESSION_H
#define WEIR_SESSION_H

#include "weir/conn.h"
#include "weir/keyring.h"
#include "weir/loop.h"
#include "weir/pipeline.h"

/*
 * One Firehose connection: reads a head, decides before the body whether it is wanted, reads the
 * body into its staging buffer, hands it to the pipeline, writes the answer, and goes on with the
 * next request. src/ingest/session.c draws the state machine.
 */
struct weir_session_limits {
    size_t head_bytes;       /* 128 KiB */
    size_t waiting_bytes;    /* input that waits in libh2o's buffers: see weir_session_context */
    size_t body_bytes;       /* as sent, before inflating; the same as the inflated limit */
    int64_t head_timeout_ns; /* from a request's first byte to the end of its head */
    int64_t idle_timeout_ns; /* between requests, and before the first */
    int64_t body_grace_ns;   /* before the minimum rate counts */
    size_t body_rate_min;    /* bytes a second, averaged since the body began */
    int64_t body_timeout_ns; /* hard cap; Firehose gives up at 180 s */
    int64_t write_timeout_ns;
};

/* What all sessions of one loop share; the loop's thread's. */
struct weir_session_context {
    const char *path;                   /* matched exactly, with its query if it has one */
    const struct weir_keyring *keyring; /* NULL, or of no keys: access_keys: none */
    struct weir_worker *worker;
    struct weir_credit *intake;
    struct weir_regions *regions;
    struct weir_pool *pool; /* of weir_session_size() bytes, done = weir_session_done */
    struct weir_session_limits limits;
    bool (*ready)(void *argument); /* for /healthz; any thread */
    /* Whether a body of `size` bytes may come (the first step of one that does not say); false with
     * the reason: "spool_full", "spool_failed", "dead_letter_full". Any thread. NULL: always. */
    bool (*admits)(void *argument, uint64_t size, const char **ret_reason);
    void *argument;
    struct weir_loop *loop;   /* for weir_session_home */
    struct weir_alarm *alarm; /* the same; runs weir_worker_turn. NULL: nobody waits */
    _Atomic uint32_t posting; /* threads that are bringing a submission home just now */
    bool draining;            /* new requests get 503, answers end their connections */
    size_t waiting; /* bytes of unfinished heads and of what was sent ahead, of all sessions */
    struct weir_session *sessions; /* all open ones */
    uint32_t session_count;
};

/* The default limits of design.md. */
struct weir_session_limits weir_session_limits_default(void);

/* Takes over a connection. If memory is out the connection is closed. */
void weir_session_open(struct weir_session_context *context, struct weir_conn *conn);

/* Applies all timeouts; called at each tick of the loop. */
void weir_session_tick(struct weir_session_context *context, int64_t now_ns);

/* Stops taking requests: idle connections are closed, busy ones after their answer. */
void weir_session_drain(struct weir_session_context *context);

/* Closes every connection at once, answered or not. A session whose request is with the pipeline
 * stays until that is over. Any number of times. */
void weir_session_abort(struct weir_session_context *context);

/* How the submissions of sessions come back to the loop's thread: weir_worker_new wants it. The
 * loop may be freed when no session is left and `posting` is 0. */
struct weir_home weir_session_home(struct weir_session_context *context);

/* Size and end of a session object, for weir_pool_new. */
size_t weir_session_size(void);

/* As above. */
void weir_session_done(void *session);

#endif
