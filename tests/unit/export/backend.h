/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKEND_H
#define BACKEND_H

/*
 * A backend played in memory, behind the transport's table, and an exporter with a real router
 * before it.
 *
 *   publish ─► router ─► exporter threads ─► played transports ─► backend: judge() says the status
 *
 * The backend reads every request (gzip or not) and counts each point's number where it said 2xx.
 * Include after cmocka.h and run_fixture.h.
 */
#include "weir/clock.h"
#include "weir/exporter.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include "weir/zstd.h"
#include <poll.h>
#include <pthread.h>

enum { NUMBERS_MAX = 4096, REPLIES_MAX = 64, DESTINATIONS_MAX = 4, BACKEND_PLAIN_MAX = 1 << 22 };

/* One request as the backend sees it. */
struct arrival {
    const char *url;
    uint64_t numbers[NUMBERS_MAX];
    uint32_t points;
    int64_t now_ns; /* since the scene was set */
};

struct backend {
    pthread_mutex_t lock;
    /* The status, or 0 for "nobody there"; one with a minus is answered when it `lets_go`. */
    int (*judge)(const struct arrival *arrival);
    bool lets_go;
    struct weir_bytes body; /* of every answer */
    int64_t begun_ns;
    uint32_t requests;
    uint32_t delivered[DESTINATIONS_MAX][NUMBERS_MAX]; /* by destination (the url's last digit) */
};

struct played { /* one thread's transport */
    struct backend *backend;
    struct weir_inflater *inflater;
    struct weir_zstd_inflater *unzstd;
    uint8_t *plain;
    struct weir_transport_reply replies[REPLIES_MAX];
    uint32_t count;
    struct weir_transport_reply held[REPLIES_MAX];
    uint32_t held_count;
};

/* Walks the nested length-delimited fields of `path`, and reads the points at its end. */
static inline void read_points(struct weir_bytes message, const uint32_t *path,
                               struct arrival *arrival)
{
    if (*path == 0) {
        assert_true(arrival->points < NUMBERS_MAX);
        arrival->numbers[arrival->points++] = fixture_number(message);
        return;
    }
    struct weir_cursor cursor = weir_cursor_of(message);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
        if (field.number == *path && field.type == WEIR_PB_BYTES) {
            read_points(field.bytes, path + 1, arrival);
        }
    }
    assert_false(cursor.failed);
}

static inline void read_request(struct played *played, const struct weir_transport_request *request,
                                struct arrival *arrival)
{
    /* resource_metrics, scope_metrics, metrics, summary, data_points */
    static const uint32_t path[] = {1, 2, 2, 11, 1, 0};
    struct weir_bytes body = request->body;
    bool has_type = false;
    for (size_t i = 0; request->target->headers[i] != NULL; i++) {
        const char *header = request->target->headers[i];
        has_type |= strcmp(header, "Content-Type: application/x-protobuf") == 0;
        if (strcmp(header, "Content-Encoding: zstd") == 0) {
            size_t size;
            assert_int_equal(
                weir_zstd_inflate(played->unzstd, body, played->plain, BACKEND_PLAIN_MAX, &size),
                WEIR_OK);
            body = weir_bytes_of(played->plain, size);
        }
        if (strcmp(header, "Content-Encoding: gzip") == 0) {
            size_t size;
            assert_int_equal(
                weir_gzip_inflate(played->inflater, body, played->plain, BACKEND_PLAIN_MAX, &size),
                WEIR_OK);
            body = weir_bytes_of(played->plain, size);
        }
    }
    assert_true(has_type);
    read_points(body, path, arrival);
}

static inline enum weir_status played_send(void *self, const struct weir_transport_request *request)
{
    struct played *played = self;
    struct backend *backend = played->backend;
    static _Thread_local struct arrival arrival;
    arrival.url = request->target->url;
    arrival.points = 0;
    read_request(played, request, &arrival);
    pthread_mutex_lock(&backend->lock);
    arrival.now_ns = weir_clock_mono_ns() - backend->begun_ns;
    backend->requests++;
    int said = backend->judge(&arrival);
    int status = said < 0 ? -said : said;
    size_t to = (size_t)(arrival.url[strlen(arrival.url) - 1] - '0');
    for (uint32_t i = 0; status / 100 == 2 && i < arrival.points; i++) {
        backend->delivered[to][arrival.numbers[i]]++;
    }
    pthread_mutex_unlock(&backend->lock);
    assert_true(played->count < REPLIES_MAX);
    assert_true(played->held_count < REPLIES_MAX);
    struct weir_transport_reply *reply =
        said < 0 ? &played->held[played->held_count++] : &played->replies[played->count++];
    *reply = (struct weir_transport_reply){
        .user = request->user,
        .failure = status == 0 ? WEIR_TRANSPORT_UNREACHED : WEIR_TRANSPORT_ANSWERED,
        .status = status,
        .retry_after_ns = -1,
        .body = status / 100 == 2 ? backend->body : (struct weir_bytes){NULL, 0},
        .message = "nobody there",
    };
    return WEIR_OK;
}

static inline enum weir_status played_wait(void *self, int wake_fd, int timeout_ms)
{
    struct played *played = self;
    struct pollfd bell = {.fd = wake_fd, .events = POLLIN};
    int at_most_ms = played->held_count > 0 && timeout_ms > 2 ? 2 : timeout_ms;
    (void)poll(&bell, 1, played->count > 0 ? 0 : at_most_ms);
    return WEIR_OK;
}

static inline void played_let_go(struct played *played)
{
    pthread_mutex_lock(&played->backend->lock);
    while (played->backend->lets_go && played->held_count > 0 && played->count < REPLIES_MAX) {
        played->replies[played->count++] = played->held[--played->held_count];
    }
    pthread_mutex_unlock(&played->backend->lock);
}

static inline enum weir_status played_reply(void *self, struct weir_transport_reply *ret)
{
    struct played *played = self;
    played_let_go(played);
    if (played->count == 0) {
        return WEIR_EEND;
    }
    *ret = played->replies[0];
    played->count--;
    memmove(&played->replies[0], &played->replies[1], played->count * sizeof(played->replies[0]));
    return WEIR_OK;
}

static inline void played_forget(struct weir_transport_reply *replies, uint32_t *count,
                                 const void *user)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (replies[i].user == user) {
            *count -= 1;
            memmove(&replies[i], &replies[i + 1], (*count - i) * sizeof(replies[0]));
            return;
        }
    }
}

static inline void played_cancel(void *self, const void *user)
{
    struct played *played = self;
    played_forget(played->replies, &played->count, user);
    played_forget(played->held, &played->held_count, user);
}

static inline void played_free(void *self)
{
    struct played *played = self;
    weir_inflater_free(played->inflater);
    weir_zstd_inflater_free(played->unzstd);
    weir_mem_free(played->plain);
    weir_mem_free(played);
}

static inline enum weir_status played_new(void *argument, struct weir_transport *ret)
{
    struct played *played = weir_mem_zalloc(1, sizeof(*played));
    assert_non_null(played);
    played->backend = argument;
    played->plain = weir_mem_alloc(BACKEND_PLAIN_MAX);
    assert_non_null(played->plain);
    assert_int_equal(weir_inflater_new(&played->inflater), WEIR_OK);
    assert_int_equal(weir_zstd_inflater_new(&played->unzstd), WEIR_OK);
    *ret = (struct weir_transport){played_send,   played_wait, played_reply,
                                   played_cancel, played_free, played};
    return WEIR_OK;
}

struct scene {
    struct fixture fixture;
    struct weir_namespaces *namespaces;
    struct weir_router *router;
    struct weir_exporter *exporter;
    struct backend backend;
    struct weir_destination_options destinations[DESTINATIONS_MAX];
    uint32_t destination_count;
    uint32_t threads;
    size_t export_bytes;
    size_t share;
};

/* A scene with one destination: batches of one point, gzip, a window of 400 ms. Change it, then
 * scene_start. */
static inline void scene_set(struct scene *scene, int (*judge)(const struct arrival *))
{
    static const char *const urls[] = {"http://b/0", "http://b/1", "http://b/2", "http://b/3"};
    static const char *const names[] = {"d0", "d1", "d2", "d3"};
    memset(scene, 0, sizeof(*scene));
    fixture_open(&scene->fixture, (size_t)64 << 20);
    assert_int_equal(weir_namespaces_new(&scene->namespaces), WEIR_OK);
    pthread_mutex_init(&scene->backend.lock, NULL);
    scene->backend.judge = judge;
    scene->destination_count = 1;
    scene->threads = 2;
    scene->export_bytes = (size_t)64 << 20;
    scene->share = (size_t)16 << 20;
    for (size_t i = 0; i < DESTINATIONS_MAX; i++) {
        scene->destinations[i] = (struct weir_destination_options){
            .name = names[i],
            .url = urls[i],
            .timeout_ns = WEIR_NS_PER_S,
            .buffer = {.size = 1 << 20, .interval_ns = WEIR_NS_PER_MS, .points_max = 1},
            .retry = {.window_ns = 400 * WEIR_NS_PER_MS,
                      .initial_ns = 5 * WEIR_NS_PER_MS,
                      .max_ns = 20 * WEIR_NS_PER_MS},
            .hold_on_outage = true,
        };
    }
}

static inline struct weir_exporter_options scene_options(struct scene *scene)
{
    return (struct weir_exporter_options){
        .destinations = scene->destinations,
        .destination_count = scene->destination_count,
        .threads = scene->threads,
        .export_bytes = scene->export_bytes,
        .queued = &scene->fixture.queued,
        .regions = scene->fixture.regions,
        .transport = played_new,
        .transport_argument = &scene->backend,
    };
}

/* Makes exporter and router, and starts nothing. */
static inline void scene_make(struct scene *scene, struct weir_exporter_options options)
{
    assert_int_equal(weir_exporter_new(&options, &scene->exporter), WEIR_OK);
    struct weir_route_destination routes[DESTINATIONS_MAX] = {0};
    for (uint32_t i = 0; i < scene->destination_count; i++) {
        routes[i] = (struct weir_route_destination){
            .name = scene->destinations[i].name,
            .share = scene->share,
            .wake = weir_exporter_wake(scene->exporter, i),
        };
    }
    const struct weir_router_options router = {
        .set = weir_route_set_of(routes, scene->destination_count),
        .ring_slots = 1024,
        .queued = &scene->fixture.queued,
        .namespaces = scene->namespaces,
        .regions = scene->fixture.regions,
    };
    assert_int_equal(weir_router_new(&router, &scene->router), WEIR_OK);
}

static inline void scene_start(struct scene *scene)
{
    scene_make(scene, scene_options(scene));
    scene->backend.begun_ns = weir_clock_mono_ns();
    assert_int_equal(weir_exporter_start(scene->exporter, scene->router), WEIR_OK);
}

/* Publishes one request with the points [from, to), at most 64. False when there is no room. */
static inline bool scene_publish(struct scene *scene, uint64_t from, uint64_t to, size_t padding)
{
    struct weir_reservation held;
    struct fixture_request request = fixture_request(&scene->fixture, "request-1", 0);
    struct weir_run *run = fixture_run(&request, "AWS/EC2", "");
    const struct weir_metric *metric = fixture_metric(run, "", "metric");
    for (uint64_t number = from; number < to; number++) {
        fixture_point(&request, run, metric, number, padding);
    }
    bool fits = fixture_reserve(scene->router, &request, &held) == WEIR_OK;
    if (fits) {
        weir_router_publish(scene->router, &request.runs, &held);
    }
    weir_arena_unref(request.arena, 0);
    return fits;
}

/* Drains within `seconds`, ends everything, checks that all memory is back. Returns the points
 * left. */
static inline uint64_t scene_end(struct scene *scene, double seconds)
{
    uint64_t left = UINT64_MAX;
    int64_t deadline = weir_clock_mono_ns() + (int64_t)(seconds * (double)WEIR_NS_PER_S);
    weir_exporter_drain(scene->exporter, deadline, &left);
    weir_router_free(scene->router);
    weir_exporter_free(scene->exporter);
    weir_namespaces_free(scene->namespaces);
    pthread_mutex_destroy(&scene->backend.lock);
    fixture_close(&scene->fixture);
    return left;
}

/* Whether the points [0, count) have arrived at a destination exactly once each. */
static inline void assert_once(const struct scene *scene, size_t to, uint64_t count)
{
    for (uint64_t number = 0; number < count; number++) {
        assert_int_equal(scene->backend.delivered[to][number], 1);
    }
}

/* Waits until `points` are delivered to a destination; false after `seconds`. */
static inline bool await(const struct scene *scene, uint32_t to, uint64_t points, double seconds)
{
    int64_t deadline = weir_clock_mono_ns() + (int64_t)(seconds * (double)WEIR_NS_PER_S);
    while (weir_exporter_status(scene->exporter, to).points_delivered < points) {
        if (weir_clock_mono_ns() > deadline) {
            return false;
        }
        (void)poll(NULL, 0, 1);
    }
    return true;
}

#endif
