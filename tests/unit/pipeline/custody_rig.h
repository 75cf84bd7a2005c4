/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_CUSTODY_RIG_H
#define WEIR_TEST_CUSTODY_RIG_H

/*
 * Spool, dead letter, custody, pipeline and a router with up to two destinations on a real
 * directory, taken down and put up again as by a restart. The test's thread plays loop and
 * drainers: what it takes from the rings it settles, or keeps.
 */
#include "flow.h"
#include "support.h"
#include "weir/clock.h"
#include "weir/custody.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RIG_REQUESTS     64u
#define RIG_POINTS       8u /* of a request, at most */
#define RIG_DESTINATIONS 2u

struct rig_options {
    uint32_t destinations;           /* 0: 2 */
    uint32_t slots;                  /* 0: 64 */
    size_t body_limit;               /* 0: 8 MiB */
    enum weir_durability durability; /* 0: disk */
    uint64_t letter_limit;           /* 0: 16 MiB */
    uint64_t spool_share;            /* of each destination; 0: no bound */
    uint64_t backlog_rate;
    size_t backlog_credit; /* 0: 4 MiB */
    bool no_letterbox;
    const struct weir_disk_ops *ops; /* NULL: the real ones; `self` is rig.spool_disk.self then */
};

struct rig_request {
    struct weir_submission submission;
    struct weir_answer answer;
    struct weir_bytes body;
    char id[32];
};

static struct rig {
    char path[64], spool_path[96], letter_path[96];
    struct rig_options options;
    struct weir_disk spool_disk, letter_disk;
    struct weir_spool *spool;
    struct weir_letterbox *letterbox;
    struct weir_credit intake, queued, backlog;
    struct weir_regions *regions;
    struct weir_namespaces *namespaces;
    struct weir_router *router;
    struct weir_custody *custody;
    struct weir_pipeline *pipeline;
    struct weir_worker *worker;
    struct rig_request requests[RIG_REQUESTS];
    pthread_mutex_t mutex;
    struct weir_submission *posted[RIG_REQUESTS];
    uint32_t posted_count;
    _Atomic uint32_t failures; /* calls of options.failed */
    struct weir_spool_report report;
    uint8_t seen[RIG_DESTINATIONS][RIG_REQUESTS][RIG_POINTS]; /* points taken from the rings */
} rig;

static inline struct weir_now rig_now(void)
{
    return (struct weir_now){weir_clock_mono_ns(), weir_clock_wall_ns()};
}

static inline void rig_post(void *self, struct weir_submission *submission)
{
    (void)self;
    pthread_mutex_lock(&rig.mutex);
    rig.posted[rig.posted_count++] = submission;
    pthread_mutex_unlock(&rig.mutex);
}

static inline void rig_failed(void *argument)
{
    assert_ptr_equal(argument, &rig);
    atomic_fetch_add_explicit(&rig.failures, 1, memory_order_relaxed); /* read after a join */
}

static inline void rig_open_spool(const struct rig_options *options)
{
    static const char *const names[] = {"first", "second"};
    struct weir_spool_destination destinations[RIG_DESTINATIONS];
    for (uint32_t i = 0; i < RIG_DESTINATIONS; i++) {
        destinations[i] = (struct weir_spool_destination){names[i], options->spool_share};
    }
    assert_int_equal(weir_disk_open(rig.spool_path, true, &rig.spool_disk), WEIR_OK);
    if (options->ops != NULL) {
        rig.spool_disk.ops = options->ops;
    }
    const struct weir_spool_options spool = {.durability = options->durability,
                                             .disk = rig.spool_disk,
                                             .limit = (uint64_t)16 << 20,
                                             .segment_bytes = (uint64_t)1 << 20,
                                             .destinations = destinations,
                                             .destination_count = options->destinations,
                                             .dedupe_window_ns = 3600 * WEIR_NS_PER_S,
                                             .dedupe_entries = 1000,
                                             .delivered_timeout_ns = 150 * WEIR_NS_PER_S};
    assert_int_equal(weir_spool_open(&spool, rig_now(), &rig.report, &rig.spool), WEIR_OK);
    rig.letterbox = NULL;
    if (!options->no_letterbox) {
        assert_int_equal(weir_disk_open(rig.letter_path, true, &rig.letter_disk), WEIR_OK);
        const struct weir_letterbox_options letterbox = {
            .disk = rig.letter_disk,
            .limit = options->letter_limit != 0 ? options->letter_limit : (uint64_t)16 << 20};
        assert_int_equal(weir_letterbox_open(&letterbox, &rig.letterbox), WEIR_OK);
        assert_int_equal(weir_letterbox_start(rig.letterbox), WEIR_OK);
    }
}

static inline void rig_open_router(const struct rig_options *options)
{
    struct weir_route_destination destinations[RIG_DESTINATIONS] = {
        {.name = "first", .share = (size_t)8 << 20}, {.name = "second", .share = (size_t)8 << 20}};
    weir_credit_init(&rig.intake, (size_t)32 << 20);
    weir_credit_init(&rig.queued, (size_t)32 << 20);
    weir_credit_init(&rig.backlog,
                     options->backlog_credit != 0 ? options->backlog_credit : (size_t)4 << 20);
    assert_int_equal(weir_regions_new((size_t)8 << 20, &rig.regions), WEIR_OK);
    assert_int_equal(weir_namespaces_new(&rig.namespaces), WEIR_OK);
    const struct weir_router_options router = {
        .set = weir_route_set_of(destinations, options->destinations),
        .ring_slots = options->slots != 0 ? options->slots : 64,
        .queued = &rig.queued,
        .namespaces = rig.namespaces,
        .regions = rig.regions};
    assert_int_equal(weir_router_new(&router, &rig.router), WEIR_OK);
}

static inline void rig_open_custody(const struct rig_options *options)
{
    const struct weir_envelope_limits limits = {
        .records = 10000, .record_bytes = 1024000, .depth = 32};
    size_t body_limit = options->body_limit != 0 ? options->body_limit : (size_t)8 << 20;
    const struct weir_custody_options custody = {.spool = rig.spool,
                                                 .router = rig.router,
                                                 .regions = rig.regions,
                                                 .credit = &rig.backlog,
                                                 .intake = &rig.intake,
                                                 .letterbox = rig.letterbox,
                                                 .destination_count = options->destinations,
                                                 .destination_share = (size_t)8 << 20,
                                                 .backlog_rate = options->backlog_rate,
                                                 .body_limit = body_limit,
                                                 .limits = limits,
                                                 .failed = rig_failed,
                                                 .argument = &rig};
    assert_int_equal(weir_custody_start(&custody, &rig.custody), WEIR_OK);
    const struct weir_pipeline_options pipeline = {.router = rig.router,
                                                   .regions = rig.regions,
                                                   .intake = &rig.intake,
                                                   .namespaces = rig.namespaces,
                                                   .body_limit = (size_t)8 << 20,
                                                   .limits = limits,
                                                   .durability = options->durability,
                                                   .commit = weir_custody_commit(rig.custody),
                                                   .letterbox = rig.letterbox};
    assert_int_equal(weir_pipeline_new(&pipeline, &rig.pipeline), WEIR_OK);
    assert_int_equal(
        weir_worker_new(rig.pipeline, (struct weir_home){rig_post, NULL, NULL}, &rig.worker),
        WEIR_OK);
}

/* Puts everything up, on what is in the directories. */
static inline void rig_up(struct rig_options options)
{
    options.destinations = options.destinations != 0 ? options.destinations : RIG_DESTINATIONS;
    rig.options = options;
    rig_open_spool(&options);
    rig_open_router(&options);
    rig_open_custody(&options);
}

static inline int rig_set_up(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    counting_start();
    (void)pthread_mutex_init(&rig.mutex, NULL);
    (void)snprintf(rig.path, sizeof(rig.path), "/tmp/weir-custody-XXXXXX");
    if (mkdtemp(rig.path) == NULL) {
        return 1;
    }
    (void)snprintf(rig.spool_path, sizeof(rig.spool_path), "%s/spool", rig.path);
    (void)snprintf(rig.letter_path, sizeof(rig.letter_path), "%s/letters", rig.path);
    return 0;
}

/* -- a loop's part -------------------------------------------------------------------------- */

static inline void rig_answered(struct weir_submission *submission,
                                const struct weir_answer *answer)
{
    struct rig_request *request =
        (struct rig_request *)(void *)((char *)submission -
                                       offsetof(struct rig_request, submission));
    assert_int_equal(request->answer.code, 0);
    request->answer = *answer;
    weir_mem_free((void *)(uintptr_t)request->body.data);
}

/* Resumes what came home. */
static inline void rig_resume(void)
{
    struct weir_submission *posted[RIG_REQUESTS];
    pthread_mutex_lock(&rig.mutex);
    uint32_t count = rig.posted_count;
    memcpy(posted, rig.posted, sizeof(posted));
    rig.posted_count = 0;
    pthread_mutex_unlock(&rig.mutex);
    for (uint32_t i = 0; i < count; i++) {
        weir_pipeline_resume(posted[i]);
    }
}

/* Submits request number `index` (its id) with one record. */
static inline void rig_submit(uint32_t index, const char *record)
{
    struct rig_request *request = &rig.requests[index];
    (void)snprintf(request->id, sizeof(request->id), "%u", index);
    request->answer.code = 0;
    request->body = flow_body(request->id, record);
    request->submission = (struct weir_submission){.request_id = weir_bytes_str(request->id),
                                                   .source_arn = WEIR_BYTES("stream"),
                                                   .answered = rig_answered,
                                                   .received_ns = weir_clock_mono_ns(),
                                                   .targets = WEIR_TARGETS_ALL};
    weir_intake_init(&request->submission.intake, &rig.intake, rig.regions, (size_t)16 << 20);
    assert_int_equal(weir_intake_append(&request->submission.intake, request->body), WEIR_OK);
    weir_pipeline_submit(rig.worker, &request->submission);
}

static inline int rig_answer(uint32_t index)
{
    int64_t until_ns = weir_clock_mono_ns() + 20 * WEIR_NS_PER_S;
    while (rig.requests[index].answer.code == 0 && weir_clock_mono_ns() < until_ns) {
        rig_resume();
        (void)usleep(500);
    }
    return rig.requests[index].answer.code;
}

static inline void rig_expect(uint32_t index, int code, const char *reason)
{
    assert_int_equal(rig_answer(index), code);
    assert_string_equal(rig.requests[index].answer.reason, reason);
}

/* -- a drainer's part ----------------------------------------------------------------------- */

/* Notes a run's points, none of which may come twice to a destination. */
static inline void rig_note(uint32_t destination, const struct weir_run *run)
{
    char id[32];
    assert_true(run->origin->request_id.size < sizeof(id));
    memcpy(id, run->origin->request_id.data, run->origin->request_id.size);
    id[run->origin->request_id.size] = '\0';
    uint32_t request = (uint32_t)strtoul(id, NULL, 10);
    assert_true(request < RIG_REQUESTS);
    for (uint32_t i = run->first; i < run->first + run->count; i++) {
        assert_true(i < RIG_POINTS);
        assert_int_equal(rig.seen[destination][request][i]++, 0);
    }
}

/* Takes at most `most` runs of a destination, notes their points and books them as `settlement`.
 * Returns the points. */
static inline uint32_t rig_drain(uint32_t destination, enum weir_settlement settlement,
                                 uint32_t most)
{
    uint32_t points = 0;
    const struct weir_settler settler = weir_spool_settler(rig.spool);
    enum weir_thread_role role = weir_thread_role();
    weir_thread_play(WEIR_ROLE_EXPORTER);
    struct weir_run *run;
    while (most-- > 0 && (run = weir_router_take(rig.router, destination)) != NULL) {
        struct weir_part part = {run->origin->ticket, run->first, run->first + run->count};
        struct weir_manifest manifest = {
            .destination = destination, .count = 1, .capacity = 1, .parts = &part};
        if (settlement == WEIR_SETTLED) {
            rig_note(destination, run);
        }
        points += run->count;
        weir_arena_unref(run->arena, run->bytes);
        if (part.ticket != NULL) {
            settler.settle(settler.self, &manifest, settlement);
        }
    }
    weir_thread_play(role);
    return points;
}

/* Drains both destinations until `wanted` points came in all, or for a while; how many did. */
static inline uint32_t rig_drain_until(uint32_t wanted)
{
    uint32_t points = 0;
    int64_t until_ns = weir_clock_mono_ns() + 20 * WEIR_NS_PER_S;
    while (points < wanted && weir_clock_mono_ns() < until_ns) {
        for (uint32_t i = 0; i < rig.options.destinations; i++) {
            points += rig_drain(i, WEIR_SETTLED, UINT32_MAX);
        }
        rig_resume();
        (void)usleep(500);
    }
    return points;
}

/* Waits until so many records are unreleased; how many are. */
static inline uint64_t rig_records(uint64_t wanted)
{
    struct weir_spool_stat stat;
    int64_t until_ns = weir_clock_mono_ns() + 10 * WEIR_NS_PER_S;
    do {
        (void)usleep(1000);
        weir_spool_look(rig.spool, &stat);
    } while (stat.records != wanted && weir_clock_mono_ns() < until_ns);
    return stat.records;
}

/* -- taking down ---------------------------------------------------------------------------- */

/* Takes everything down; what is in the rings is kept on disk, as at a stop. */
static inline void rig_down(void)
{
    weir_custody_lane_stop(rig.custody);
    weir_custody_backlog_stop(rig.custody);
    rig_resume();
    for (uint32_t i = 0; i < rig.options.destinations; i++) {
        (void)rig_drain(i, WEIR_KEPT, UINT32_MAX);
    }
    weir_letterbox_close(rig.letterbox);
    weir_custody_stop(rig.custody);
    weir_worker_free(rig.worker);
    weir_pipeline_free(rig.pipeline);
    weir_router_free(rig.router);
    weir_spool_close(rig.spool, rig_now());
    weir_disk_close(&rig.spool_disk);
    weir_disk_close(&rig.letter_disk);
    rig.letter_disk = (struct weir_disk){NULL, NULL};
    assert_int_equal(weir_credit_used(&rig.intake), 0);
    assert_int_equal(weir_credit_used(&rig.queued), 0);
    assert_int_equal(weir_credit_used(&rig.backlog), 0);
    assert_int_equal(weir_regions_taken(rig.regions), 0);
    weir_namespaces_free(rig.namespaces);
    weir_regions_free(rig.regions);
}

static inline int rig_tear_down(void **state)
{
    (void)state;
    assert_int_equal(support_remove_tree(rig.path), 0);
    (void)pthread_mutex_destroy(&rig.mutex);
    counting_stop();
    return 0;
}

/* -- the dead letter ------------------------------------------------------------------------ */

/* Whether some line of the dead letter has `text` in it, as it stands there. */
static inline bool rig_letters_have(const char *text)
{
    bool found = false;
    DIR *directory = opendir(rig.letter_path);
    assert_non_null(directory);
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        static char bytes[1 << 20];
        char name[512];
        (void)snprintf(name, sizeof(name), "%s/%s", rig.letter_path, entry->d_name);
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        ssize_t size = fd < 0 ? 0 : read(fd, bytes, sizeof(bytes) - 1);
        if (size > 0) {
            bytes[size] = '\0';
            found = found || strstr(bytes, text) != NULL;
        }
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    (void)closedir(directory);
    return found;
}

/* The same for `data` in base64. */
static inline bool rig_letters_have_data(const char *data)
{
    char text[2048] = "\"rawData\":\"";
    size_t at = strlen(text);
    assert_true(weir_base64_encoded_size(strlen(data)) + at + 2 < sizeof(text));
    weir_base64_encode(weir_bytes_str(data), (uint8_t *)text + at);
    text[at + weir_base64_encoded_size(strlen(data))] = '"';
    return rig_letters_have(text);
}

#endif
