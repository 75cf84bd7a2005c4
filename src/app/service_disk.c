/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the service that keeps: the dead letter, the spool and the threads that step it; and
 * whether there is room for one request more.
 *
 *   spool.directory ──► disk ──► spool     (locked by weir_spool_open)
 *   dead_letter.directory ──► disk ──► letterbox (locked by weir_letterbox_open)
 *
 *                       serve                                 replay
 *   spool               <spool.directory>                     <spool.directory>/replay
 *   dead letter         dead_letter.directory                 <spool.directory>/replay/dead-letter
 *   ids                 dedupe.window                         30 days: a replay repeated is none
 *   limit               spool.limit                           at most 1 GiB, or twice the headroom
 *
 * A replay has directories of its own, so it can run beside the service whose dead letter it reads,
 * and what it took and could not deliver is still there at its next run.
 *
 * What fails here fails for reasons that a person must mend: each is logged with the directory, the
 * system's own words, and what to do.
 *
 *   I1  without durability disk there is no spool directory, and a dead letter only where one is
 *       configured
 *   I2  admits says no when any room is missing; it never waits and takes no lock
 *
 * When the spool fails at run time: every job is refused from then on (503), admits says no, and
 * on_spool_failed sends the process a SIGTERM: the main thread stops it in order, without the
 * grace, and exits with 1.
 *
 * Main thread; admits and on_spool_failed: any.
 */
#include "config_internal.h"
#include "lifecycle_internal.h"
#include "weir/clock.h"
#include "weir/log.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define GIB ((uint64_t)1 << 30)
enum { REPLAY_DAYS = 30 };

static const struct weir_envelope_limits envelope_limits = {
    .records = 10000, .record_bytes = 1024000, .depth = 32};

struct weir_envelope_limits weir_service_limits(void)
{
    return envelope_limits;
}

const char *weir_service_durability(const struct weir_service *service)
{
    static const char *const words[] = {"disk", "delivered", "memory"};
    return words[service->config->spool.durability];
}

static struct weir_now now(void)
{
    return (struct weir_now){weir_clock_mono_ns(), weir_clock_wall_ns()};
}

/* What to do about a directory. `key` is the configuration's name for it. */
static const char *advice(enum weir_status status)
{
    switch ((int)status) {
    case WEIR_ENOTFOUND: return "make the directory that it is to be in";
    case WEIR_EDENIED: return "give it to this user, or write another";
    case WEIR_EEXIST: return "another weir has it: one directory a process";
    case WEIR_EFULL: return "its file system has no room: make some, or lower the limit";
    default: return "see what is wrong with the disk";
    }
}

static const char *status_words(enum weir_status status)
{
    return status == WEIR_EEXIST ? "it is locked" : weir_status_text(status);
}

static enum weir_status failed_directory(const char *what, const char *key, const char *directory,
                                         enum weir_status status, int error)
{
    const char *words = error == 0 ? NULL : strerrordesc_np(error);
    weir_log(WEIR_LOG_ERROR, "start failed", WEIR_LOG_STR("what", what),
             WEIR_LOG_STR("directory", directory), WEIR_LOG_STR("key", key),
             WEIR_LOG_STR("reason",
                          status == WEIR_EEXIST || words == NULL ? status_words(status) : words),
             WEIR_LOG_STR("do", advice(status)));
    return status;
}

/* `base`[/`tail`] into `path`; WEIR_EINVAL where it is too long. */
static enum weir_status join(char path[PATH_MAX], const char *base, const char *tail)
{
    int size = snprintf(path, PATH_MAX, "%s%s%s", base, tail[0] == 0 ? "" : "/", tail);
    return size < 0 || size >= PATH_MAX ? WEIR_EINVAL : WEIR_OK;
}

static void tell_doubt(const struct weir_disk *disk, const char *what, const char *directory)
{
    const char *doubt = weir_disk_doubt(disk);
    if (doubt != NULL) {
        weir_log(WEIR_LOG_WARN, "doubtful file system", WEIR_LOG_STR("what", what),
                 WEIR_LOG_STR("directory", directory), WEIR_LOG_STR("kind", doubt),
                 WEIR_LOG_STR("reason", "what is on it may not outlast a power loss"));
    }
}

static enum weir_status open_directory(const char *what, const char *key, const char *path,
                                       struct weir_disk *ret)
{
    errno = 0;
    enum weir_status status = weir_disk_open(path, true, ret);
    if (status != WEIR_OK) {
        return failed_directory(what, key, path, status, errno);
    }
    tell_doubt(ret, what, path);
    return WEIR_OK;
}

/* Where the dead letter is; "" where there is none. */
static enum weir_status letter_path(const struct weir_service *service, char path[PATH_MAX])
{
    const struct weir_config *config = service->config;
    bool disk = config->spool.durability == WEIR_DURABILITY_DISK;
    if (config->dead_letter.directory == NULL) {
        path[0] = 0;
        return WEIR_OK;
    }
    return service->replaying && disk ? join(path, config->spool.directory, "replay/dead-letter")
                                      : join(path, config->dead_letter.directory, "");
}

/* Where the spool is; "" without durability disk. */
static enum weir_status spool_path(const struct weir_service *service, char path[PATH_MAX])
{
    const struct weir_config_spool *spool = &service->config->spool;
    if (spool->durability != WEIR_DURABILITY_DISK) {
        path[0] = 0;
        return WEIR_OK;
    }
    return join(path, spool->directory, service->replaying ? "replay" : "");
}

enum weir_status weir_service_open_disk(struct weir_service *service)
{
    const struct weir_config *config = service->config;
    char path[PATH_MAX] = "";
    WEIR_TRY(spool_path(service, path));
    if (path[0] != 0 && service->replaying) { /* only the last part of a path is made */
        struct weir_disk parent;
        WEIR_TRY(open_directory("spool", "spool.directory", config->spool.directory, &parent));
        weir_disk_close(&parent);
    }
    if (path[0] != 0) {
        WEIR_TRY(open_directory("spool", "spool.directory", path, &service->spool_disk));
    }
    WEIR_TRY(letter_path(service, path));
    return path[0] == 0 ? WEIR_OK
                        : open_directory("dead letter", "dead_letter.directory", path,
                                         &service->letter_disk);
}

static enum weir_status build_letterbox(struct weir_service *service)
{
    const struct weir_config_dead_letter *letters = &service->config->dead_letter;
    char path[PATH_MAX] = "";
    WEIR_TRY(letter_path(service, path));
    if (path[0] == 0) {
        return WEIR_OK;
    }
    struct weir_letterbox_options options = {
        .disk = service->letter_disk,
        .limit = letters->limit,
        .evict = letters->when_full == 1,
    };
    errno = 0;
    enum weir_status status = weir_letterbox_open(&options, &service->letterbox);
    if (status == WEIR_OK) {
        status = weir_letterbox_start(service->letterbox);
    }
    return status == WEIR_OK
               ? WEIR_OK
               : failed_directory("dead letter", "dead_letter.directory", path, status, errno);
}

static void log_report(const struct weir_spool_report *report, const char *directory)
{
    bool bad = report->lost_records > 0 || report->segments_set_aside > 0;
    weir_log(bad ? WEIR_LOG_WARN : WEIR_LOG_INFO, "spool opened",
             WEIR_LOG_STR("directory", directory), WEIR_LOG_INT("segments", report->segments),
             WEIR_LOG_INT("unreleased", report->records),
             WEIR_LOG_INT("torn_records", report->torn_records),
             WEIR_LOG_INT("torn_bytes", report->torn_bytes),
             WEIR_LOG_INT("lost_records", report->lost_records),
             WEIR_LOG_INT("lost_bytes", report->lost_bytes),
             WEIR_LOG_INT("segments_set_aside", report->segments_set_aside),
             WEIR_LOG_INT("repeats_possible", report->repeats_possible));
}

/* A replay needs less, but not less than what it may have let in. */
static uint64_t spool_limit(const struct weir_service *service, uint64_t headroom)
{
    uint64_t limit = service->config->spool.limit;
    uint64_t most = 2 * headroom > GIB ? 2 * headroom : GIB;
    return service->replaying && limit > most ? most : limit;
}

static enum weir_status build_spool(struct weir_service *service, const char *path)
{
    const struct weir_config *config = service->config;
    const struct weir_config_destination *all = config->destinations.items;
    struct weir_spool_destination destinations[WEIR_DESTINATIONS_MAX];
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        destinations[i] =
            (struct weir_spool_destination){.name = all[i].name, .share = all[i].spool_share};
    }
    uint64_t headroom = weir_config_headroom(config);
    struct weir_spool_options options = {
        .durability = (enum weir_durability)config->spool.durability,
        .disk = service->spool_disk,
        .limit = spool_limit(service, headroom),
        .segment_bytes = service->replaying ? 0 : config->spool.segment_size,
        .headroom = headroom,
        .version = config->spool.format,
        .destinations = destinations,
        .destination_count = config->destinations.count,
        .dedupe_window_ns =
            service->replaying ? REPLAY_DAYS * 86400 * WEIR_NS_PER_S : config->dedupe.window_ns,
        .dedupe_entries = config->dedupe.entries,
        .delivered_timeout_ns = config->spool.delivered_timeout_ns,
    };
    struct weir_spool_report report = {0};
    errno = 0;
    enum weir_status status = weir_spool_open(&options, now(), &report, &service->spool);
    int error = errno;
    if (options.durability == WEIR_DURABILITY_DISK) {
        log_report(&report, path);
        service->segments_set_aside = report.segments_set_aside;
    }
    if (status == WEIR_OK && !weir_spool_admits(service->spool, 0)) {
        weir_log(WEIR_LOG_WARN, "spool full at the start", WEIR_LOG_STR("directory", path),
                 WEIR_LOG_INT("must_stay_free", headroom),
                 WEIR_LOG_STR("do", "make room on its file system, or raise spool.limit; weir "
                                    "spool ls tells what is owed"));
    }
    return status == WEIR_OK ? WEIR_OK
                             : failed_directory("spool", "spool.directory", path, status, error);
}

enum weir_status weir_service_build_disk(struct weir_service *service)
{
    char path[PATH_MAX] = "";
    WEIR_TRY(build_letterbox(service));
    WEIR_TRY(spool_path(service, path));
    return build_spool(service, path);
}

/* The process stops by itself: what it has accepted is on disk, and nothing more can be. */
static void on_spool_failed(void *argument)
{
    struct weir_service *service = argument;
    weir_log(WEIR_LOG_ERROR, "spool failed",
             WEIR_LOG_STR("directory", service->config->spool.directory),
             WEIR_LOG_STR("reason", "nothing more is accepted; what was is kept"),
             WEIR_LOG_STR("do", "see what is wrong with the disk, then start again"));
    /* relaxed: partners are weir_service_admits, _ready, and the main thread, which the signal
     * wakes */
    atomic_store_explicit(&service->spool_failed, true, memory_order_relaxed);
    (void)kill(getpid(), SIGTERM);
}

enum weir_status weir_service_build_custody(struct weir_service *service)
{
    struct weir_custody_options options = {
        .spool = service->spool,
        .router = service->router,
        .regions = service->regions,
        .credit = &service->backlog,
        .intake = &service->intake,
        .letterbox = service->letterbox,
        .destination_count = service->config->destinations.count,
        .destination_share = service->shares.destination,
        .backlog_rate = service->config->spool.backlog_rate,
        .body_limit = service->config->ingest.body_limit,
        .limits = envelope_limits,
        .failed = on_spool_failed,
        .argument = service,
    };
    return weir_custody_start(&options, &service->custody);
}

enum weir_status weir_service_build_backlog(struct weir_service *service)
{
    return service->config->spool.durability == WEIR_DURABILITY_DISK
               ? weir_custody_backlog_start(service->custody)
               : WEIR_OK;
}

bool weir_service_admits(void *service, uint64_t size, const char **ret_reason)
{
    const struct weir_service *self = service;
    if (atomic_load_explicit(&self->spool_failed, memory_order_relaxed)) {
        *ret_reason = "spool_failed";
        return false;
    }
    if (!weir_spool_admits(self->spool, size)) {
        *ret_reason = "spool_full";
        return false;
    }
    if (self->letterbox != NULL && self->config->dead_letter.when_full == 0 &&
        weir_letterbox_look(self->letterbox).full) {
        *ret_reason = "dead_letter_full";
        return false;
    }
    return true;
}

void weir_service_close_disk(struct weir_service *service)
{
    weir_letterbox_close(service->letterbox);
    service->letterbox = NULL;
    if (service->custody != NULL) {
        weir_custody_stop(service->custody);
        service->custody = NULL;
    }
    weir_spool_close(service->spool, now());
    service->spool = NULL;
    weir_disk_close(&service->letter_disk);
    weir_disk_close(&service->spool_disk);
}
