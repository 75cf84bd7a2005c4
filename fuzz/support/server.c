/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rig of fuzz_server: see server.h.
 *
 *   rig ─ credit, regions, loop, session context      once
 *       └ middle: namespaces, router, pipeline, worker  once for NAMESPACES_MAX names, since a
 *                                                     drainer looks at each ring there is
 *
 *   I1  after each play nothing is held: no session, no credit, no region
 *   I2  between two plays the loop is quiet
 *
 * Limits are small, so that inputs of some kilobytes reach them: a head of 8 KiB, a body of 1 MiB,
 * 768 KiB of intake. Log lines are off: they are limited to one a second for each event anyway.
 */
#include "server.h"

#include "../../tests/support/counting.h"
#include "weir/clock.h"
#include "weir/keyring.h"
#include "weir/listener.h"
#include "weir/log.h"
#include "weir/pool.h"
#include "weir/session.h"
#include "weir/thread.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    NAMESPACES_MAX = 64,
    TURNS_MAX = 100000,
    INTAKE_BYTES = 768 << 10,
    QUEUED_BYTES = 16 << 20,
    HOUR_S = 3600
};

struct rig {
    struct weir_credit intake, queued;
    struct weir_regions *regions;
    struct weir_namespaces *namespaces;
    struct weir_router *router;
    struct weir_pipeline *pipeline;
    struct weir_keyring *keyring;
    struct weir_inflater *inflater; /* of the second opinion */
    struct weir_session_context context;
    bool ready;
    int fd;
    bool ended; /* the server has closed */
    uint64_t points;
    size_t heard;
    uint8_t answers[SERVER_HEARD_MAX];
};

/* To be done inside a turn, where sessions may be touched. */
struct errand {
    struct weir_loop_task task;
    struct rig *rig;
};

static void must(enum weir_status status)
{
    WEIR_ASSERT(status == WEIR_OK);
}

static bool is_ready(void *argument)
{
    const struct rig *rig = argument;
    return rig->ready;
}

static void middle_start(struct rig *rig)
{
    static const struct weir_route_destination destination = {.name = "d", .share = QUEUED_BYTES};
    must(weir_namespaces_new(&rig->namespaces));
    const struct weir_router_options router = {.set = weir_route_set_of(&destination, 1),
                                               .ring_slots = 64,
                                               .queued = &rig->queued,
                                               .namespaces = rig->namespaces,
                                               .regions = rig->regions};
    must(weir_router_new(&router, &rig->router));
    const struct weir_pipeline_options pipeline = {
        .router = rig->router,
        .regions = rig->regions,
        .intake = &rig->intake,
        .namespaces = rig->namespaces,
        .body_limit = SERVER_BODY_MAX,
        .limits = {.records = 10000, .record_bytes = 1024000, .depth = 32},
        .durability = WEIR_DURABILITY_MEMORY};
    must(weir_pipeline_new(&pipeline, &rig->pipeline));
    must(weir_worker_new(rig->pipeline, weir_session_home(&rig->context), &rig->context.worker));
}

static void middle_stop(struct rig *rig)
{
    weir_worker_free(rig->context.worker);
    weir_pipeline_free(rig->pipeline);
    weir_router_free(rig->router);
    weir_namespaces_free(rig->namespaces);
}

static void rig_start(struct rig *rig)
{
    static const struct weir_key_spec key = {.name = "k", .key = WEIR_BYTES_INIT(SERVER_KEY)};
    struct weir_keys *keys = NULL;
    counting_start();
    weir_thread_play(WEIR_ROLE_LOOP);
    weir_log_configure(WEIR_LOG_ERROR, WEIR_LOG_JSON);
    weir_credit_init(&rig->intake, INTAKE_BYTES);
    weir_credit_init(&rig->queued, QUEUED_BYTES);
    must(weir_regions_new((size_t)8 << 20, &rig->regions));
    must(weir_keys_new(&key, 1, &keys));
    must(weir_keyring_new(keys, &rig->keyring));
    must(weir_inflater_new(&rig->inflater));
    rig->context = (struct weir_session_context){.path = "/",
                                                 .intake = &rig->intake,
                                                 .regions = rig->regions,
                                                 .limits = weir_session_limits_default(),
                                                 .ready = is_ready,
                                                 .argument = rig};
    rig->context.limits.head_bytes = (size_t)8 << 10;
    rig->context.limits.waiting_bytes = (size_t)16 << 10;
    rig->context.limits.body_bytes = SERVER_BODY_MAX;
    must(weir_pool_new(weir_session_size(), 4, weir_session_done, &rig->context.pool));
    must(weir_loop_new(&rig->context.loop));
    middle_start(rig);
}

static struct rig *the_rig(void)
{
    static struct rig rig; /* kept for the whole run */
    static bool started;
    if (!started) {
        rig_start(&rig);
        started = true;
    } else if (weir_namespaces_count(rig.namespaces) > NAMESPACES_MAX) {
        middle_stop(&rig);
        middle_start(&rig);
    }
    return &rig;
}

static void accepted(void *argument, struct weir_conn *conn)
{
    struct rig *rig = argument;
    weir_session_open(&rig->context, conn);
}

static void drain_rings(struct rig *rig)
{
    struct weir_run *run;
    while ((run = weir_router_take(rig->router, 0)) != NULL) {
        rig->points += run->count;
        weir_arena_unref(run->arena, run->bytes);
    }
}

/* True when something came. */
static bool hear(struct rig *rig)
{
    size_t before = rig->heard;
    ssize_t got = 1;
    while (got > 0 && rig->fd >= 0) {
        WEIR_ASSERT(rig->heard < sizeof rig->answers);
        got = recv(rig->fd, rig->answers + rig->heard, sizeof rig->answers - rig->heard,
                   MSG_DONTWAIT);
        rig->heard += got > 0 ? (size_t)got : 0;
        rig->ended = rig->ended || got == 0 || (got < 0 && errno == ECONNRESET);
    }
    return rig->heard > before;
}

/* Until neither side has anything left to do. */
static void turn(struct rig *rig)
{
    uint32_t turns = 0;
    do {
        while (weir_loop_turn(rig->context.loop)) {
            WEIR_ASSERT(turns++ < TURNS_MAX);
            drain_rings(rig);
        }
    } while (hear(rig));
}

static void run_drain(struct weir_loop_task *task)
{
    struct errand *errand = (struct errand *)(void *)task;
    weir_session_drain(&errand->rig->context);
}

static void run_late(struct weir_loop_task *task)
{
    struct errand *errand = (struct errand *)(void *)task;
    struct weir_loop *loop = errand->rig->context.loop;
    int64_t later_ns = weir_loop_now_ns(loop) + HOUR_S * WEIR_NS_PER_S;
    weir_loop_tick(loop, later_ns);
    weir_session_tick(&errand->rig->context, later_ns);
}

static void do_errand(struct rig *rig, void (*run)(struct weir_loop_task *task))
{
    struct errand errand = {{.run = run}, rig};
    weir_loop_post(rig->context.loop, &errand.task);
    turn(rig);
}

/* Sends the stream, with what happens half-way. Ends early where the server has closed. */
static void say(struct rig *rig, unsigned what, unsigned cut, struct weir_bytes stream)
{
    uint32_t random = cut;
    bool half_way = false;
    for (size_t at = 0; at < stream.size && !rig->ended;) {
        random = random * 1103515245U + 12345;
        size_t left = stream.size - at;
        size_t piece = cut == 0 ? left : 1 + (random >> 16) % (cut * 4);
        ssize_t sent = send(rig->fd, stream.data + at, piece < left ? piece : left,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        WEIR_ASSERT(sent > 0 || errno == EPIPE || errno == ECONNRESET); /* it always reads on */
        if (sent <= 0) {
            break;
        }
        at += (size_t)sent;
        turn(rig);
        if (!half_way && at >= stream.size / 2) {
            half_way = true;
            if ((what & SERVER_DRAINS) != 0) {
                do_errand(rig, run_drain);
            }
            if ((what & SERVER_LATE) != 0) {
                do_errand(rig, run_late);
            }
        }
    }
}

static void assert_nothing_is_held(const struct rig *rig)
{
    WEIR_ASSERT(rig->context.session_count == 0);
    WEIR_ASSERT(rig->context.waiting == 0);
    WEIR_ASSERT(weir_pool_taken(rig->context.pool) == 0);
    WEIR_ASSERT(weir_credit_used(&rig->intake) == 0);
    WEIR_ASSERT(weir_credit_used(&rig->queued) == 0);
    WEIR_ASSERT(weir_regions_taken(rig->regions) == 0);
}

struct server_heard server_play(unsigned what, unsigned cut, struct weir_bytes stream)
{
    struct rig *rig = the_rig();
    int ends[2];
    const struct weir_listener_options options = {
        .connections_max = 2, .accepted = accepted, .argument = rig};
    rig->context.keyring = (what & SERVER_NO_KEYS) != 0 ? NULL : rig->keyring;
    rig->context.draining = false;
    rig->ready = (what & SERVER_NOT_READY) == 0;
    rig->ended = false;
    rig->points = 0;
    rig->heard = 0;
    int made = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
    WEIR_ASSERT(made == 0);
    rig->fd = ends[0];
    must(weir_listener_take(rig->context.loop, ends[1], &options));
    say(rig, what, cut, stream);
    bool hangs_up = (what & SERVER_HANGS_UP) != 0;
    int done = hangs_up ? close(rig->fd) : shutdown(rig->fd, SHUT_WR);
    WEIR_ASSERT(done == 0 || errno == ENOTCONN);
    rig->fd = hangs_up ? -1 : rig->fd;
    turn(rig);
    do_errand(rig, run_late);
    WEIR_ASSERT(hangs_up || rig->ended);
    done = hangs_up ? 0 : close(rig->fd);
    WEIR_ASSERT(done == 0);
    assert_nothing_is_held(rig);
    return (struct server_heard){weir_bytes_of(rig->answers, rig->heard), rig->points};
}

uint64_t server_points(struct weir_bytes body, bool gzip, struct weir_bytes source_arn)
{
    struct rig *rig = the_rig();
    const struct weir_body_options options = {
        .gzip = gzip,
        .body_limit = SERVER_BODY_MAX,
        .limits = {.records = 10000, .record_bytes = 1024000, .depth = 32},
        .source_arn = source_arn};
    struct weir_arena *arena = NULL;
    struct weir_body_result result;
    must(weir_arena_new(rig->regions, weir_credit_budget(&rig->intake), 0, &arena));
    enum weir_status status = weir_body_decode(rig->inflater, arena, body, &options, &result);
    uint64_t points = status == WEIR_OK ? result.runs.points : 0;
    weir_arena_unref(arena, 0);
    return points;
}
