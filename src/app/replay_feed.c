/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replay's requests into the pipeline, one after the other.
 *
 *   submit ─► room in the spool? ─► intake ─► weir_pipeline_submit ─► wait ─► resume ─► answer
 *               no: 100 ms later      no: 100 ms later                 ▲ post: the lane's thread
 *
 *   200 ok        WEIR_OK: on disk          400, 413   WEIR_EMALFORMED: refused for good
 *   200 repeated  WEIR_EEXIST               503        once more, 100 ms later
 *
 * Only one request is under way, so what came home is always that one. A commit takes about a
 * millisecond for about a MiB: one at a time is fast enough, and order is kept.
 *
 * The semaphore is never destroyed: the lane's thread may still be inside sem_post when this one
 * has gone on.
 *
 * Main thread, but for post.
 */
#include "replay_feed.h"
#include "weir/clock.h"
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

enum { PAUSE_MS = 100, STILL_MARGIN_S = 60, DESTINATION_MAX = 64 };

static sem_t home_bell;

struct feed {
    struct weir_service *service;
    struct weir_worker *worker;
    char words[320]; /* of the last refusal */
};

static struct feed feed;

struct flight {
    struct weir_submission submission;
    struct weir_answer answer;
    bool answered;
};

static void post_home(void *self, struct weir_submission *submission)
{
    (void)self;
    (void)submission;
    (void)sem_post(&home_bell);
}

static void on_answer(struct weir_submission *submission, const struct weir_answer *answer)
{
    struct flight *flight = (struct flight *)submission; /* its first member */
    flight->answer = *answer;
    flight->answered = true;
}

enum weir_status weir_replay_feed_start(struct weir_service *service)
{
    feed = (struct feed){.service = service};
    (void)sem_init(&home_bell, 0, 0);
    return weir_worker_new(service->pipeline, (struct weir_home){.post = post_home}, &feed.worker);
}

void weir_replay_feed_stop(void)
{
    weir_worker_free(feed.worker);
    feed.worker = NULL;
}

static void pause_a_moment(void)
{
    (void)poll(NULL, 0, PAUSE_MS); /* a signal ends it early: so much the better */
}

/* relaxed: partner is whoever found the failure; a moment late is a moment late */
static bool is_over(struct weir_service *service)
{
    return weir_service_interrupted() ||
           atomic_load_explicit(&service->spool_failed, memory_order_relaxed);
}

/* The bits of where it may go; 0: no such destination. */
static uint64_t targets_of(const struct weir_config *config, struct weir_bytes name)
{
    const struct weir_config_destination *all = config->destinations.items;
    if (name.size == 0) {
        return WEIR_TARGETS_ALL;
    }
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        if (all[i].tenant == NULL && weir_bytes_eq(name, weir_bytes_str(all[i].name))) {
            return UINT64_C(1) << i;
        }
    }
    return 0;
}

/* Once through the pipeline; the answer is in flight->answer. WEIR_EFULL: no memory for it now. */
static enum weir_status fly(struct flight *flight, const struct weir_replay_item *item,
                            uint64_t targets)
{
    struct weir_service *service = feed.service;
    *flight = (struct flight){.submission = {
                                  .gzip = item->gzip,
                                  .request_id = weir_bytes_str(item->request_id),
                                  .source_arn = item->stream,
                                  .received_ns = weir_clock_mono_ns(),
                                  .answered = on_answer,
                                  .targets = targets,
                              }};
    weir_intake_init(&flight->submission.intake, &service->intake, service->regions,
                     service->config->ingest.body_limit);
    enum weir_status status = weir_intake_reserve(&flight->submission.intake, item->body.size);
    if (status == WEIR_OK) {
        status = weir_intake_append(&flight->submission.intake, item->body);
    }
    if (status != WEIR_OK) {
        weir_intake_release(&flight->submission.intake);
        return status;
    }
    weir_pipeline_submit(feed.worker, &flight->submission);
    while (!flight->answered) {
        while (sem_wait(&home_bell) != 0 && errno == EINTR) {
        }
        weir_pipeline_resume(&flight->submission);
    }
    return WEIR_OK;
}

static enum weir_status refused(const char *words, const char **ret_words)
{
    (void)snprintf(feed.words, sizeof feed.words, "%s", words);
    *ret_words = feed.words;
    return WEIR_EMALFORMED;
}

/* What an answer means; WEIR_EAGAIN: once more, later. */
static enum weir_status judge(const struct weir_answer *answer, const char **ret_words)
{
    if (answer->code == 200) {
        return strcmp(answer->reason, "repeated") == 0 ? WEIR_EEXIST : WEIR_OK;
    }
    if (answer->code >= 500) {
        return WEIR_EAGAIN;
    }
    return refused(answer->message[0] == 0 ? answer->reason : answer->message, ret_words);
}

enum weir_status weir_replay_feed_submit(void *self, const struct weir_replay_item *item,
                                         const char **ret_words)
{
    (void)self;
    struct flight flight;
    uint64_t targets = targets_of(feed.service->config, item->destination);
    if (targets == 0) {
        (void)snprintf(feed.words, sizeof feed.words,
                       "for the destination %.*s, which the configuration does not have",
                       (int)(item->destination.size > DESTINATION_MAX ? DESTINATION_MAX
                                                                      : item->destination.size),
                       (const char *)item->destination.data);
        *ret_words = feed.words;
        return WEIR_ENOTFOUND;
    }
    for (;;) {
        const char *reason = NULL;
        enum weir_status status = WEIR_EAGAIN;
        if (is_over(feed.service)) {
            return WEIR_ECLOSED;
        }
        if (weir_service_admits(feed.service, item->body.size, &reason)) {
            status = fly(&flight, item, targets);
            status = status == WEIR_OK ? judge(&flight.answer, ret_words) : status;
        }
        if (status == WEIR_ELIMIT) {
            return refused("larger than ingest.body_limit", ret_words);
        }
        if (status != WEIR_EAGAIN && status != WEIR_EFULL) {
            return status;
        }
        pause_a_moment();
    }
}

/* Points that have come to their end, whichever: as long as it grows, something moves. */
static uint64_t moved(const struct weir_service *service)
{
    uint64_t points = 0;
    for (uint32_t i = 0; i < service->config->destinations.count; i++) {
        struct weir_destination_status status = weir_exporter_status(service->exporter, i);
        points += status.points_delivered + status.points_lost;
    }
    return points;
}

static int64_t longest_window_ns(const struct weir_config *config)
{
    const struct weir_config_destination *all = config->destinations.items;
    int64_t longest = 0;
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        int64_t window = all[i].retry.window_ns;
        longest = window > longest ? window : longest;
    }
    return longest;
}

enum weir_status weir_replay_feed_wait(struct weir_service *service, uint64_t *ret_records)
{
    int64_t patience = longest_window_ns(service->config) + STILL_MARGIN_S * WEIR_NS_PER_S;
    int64_t since = weir_clock_mono_ns();
    uint64_t before = 0;
    uint64_t records_before = UINT64_MAX;
    for (;;) {
        struct weir_spool_stat stat = {0};
        weir_spool_look(service->spool, &stat);
        uint64_t now = moved(service);
        *ret_records = stat.records;
        if (stat.records == 0) {
            return WEIR_OK;
        }
        if (is_over(service)) {
            return WEIR_ECLOSED;
        }
        if (now != before || stat.records != records_before) {
            before = now;
            records_before = stat.records;
            since = weir_clock_mono_ns();
        }
        if (weir_clock_mono_ns() - since > patience) {
            return WEIR_ETIMEOUT;
        }
        pause_a_moment();
    }
}
