/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir replay`: files through the same path as requests, into the configuration's destinations.
 *
 *   paths ─► weir_replay (pieces, bodies, ids, positions) ─► replay_feed.c ─► a service of its own:
 *            pipeline ─► spool in <spool.directory>/replay ─► exporter ─► destinations
 *
 * The service has no listeners and its own spool and dead letter, so that it works beside a running
 * `weir serve`. It ends when all is delivered, or when nothing has moved for longer than any retry
 * window: what is left is in the replay's spool then, and the same command goes on from there.
 *
 *   I1  --dry-run touches neither spool nor destinations
 *   I2  the exit code is 0 only when everything that was read is delivered
 *
 * Main thread.
 */
#include "commands_internal.h"
#include "replay_feed.h"
#include "weir/clock.h"
#include "weir/log.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char weir_cmd_replay_help[] =
    "weir replay [-c FILE] [--rate RATE] [--restart] [--dry-run] PATH...\n"
    "\n"
    "Feeds files back to the configured destinations: the dead letter's files (each line only to\n"
    "the destination it names), Firehose's S3 backup (http-endpoint-failed/, or AllData/ objects:\n"
    "CloudWatch JSON lines, delimited OTLP), folders with all below them. gzip is recognised by\n"
    "content. Works beside a running weir serve, with a spool of its own in\n"
    "<spool.directory>/replay.\n"
    "\n"
    "  -c, --config FILE   the configuration, as weir serve takes it\n"
    "      --rate RATE     at most so much a second: 500KiB, 4MiB, or 200records\n"
    "      --restart       forget how far files were taken; what was delivered within 30 days is\n"
    "                      still known by its id\n"
    "      --dry-run       only read and count\n"
    "\n"
    "Ends when everything is delivered. Interrupted, or when a destination takes nothing for\n"
    "longer than its retry.window, it ends with 1, and the same command goes on from there.\n"
    "Exit codes: 0 all delivered, 1 not all of it (told on standard error), 2 usage.\n";

struct run {
    struct weir_replay_options options;
    char *const *paths;
    int path_count;
    const struct weir_config *config;
    struct weir_replay_stat stat;
    bool shows; /* progress */
    int64_t shown_ns;
    uint64_t lettered;
};

static void end_progress(const struct run *run)
{
    if (run->shows) {
        (void)fputs("\r\033[K", stderr);
    }
}

static void on_tell(void *self, const char *path, size_t offset, const char *words)
{
    end_progress(self);
    (void)weir_commands_failed("replay", "%.300s: byte %zu: %s", path, offset, words);
}

static void on_progress(void *self, const struct weir_replay_stat *stat)
{
    struct run *run = self;
    int64_t now = weir_clock_mono_ns();
    if (!run->shows || now - run->shown_ns < 200 * WEIR_NS_PER_MS) {
        return;
    }
    run->shown_ns = now;
    double part = stat->size == 0 ? 100.0 : 100.0 * (double)stat->offset / (double)stat->size;
    (void)fprintf(stderr, "\r\033[K%" PRIu64 " files, %" PRIu64 " records, %.1f MB; %.60s: %.0f %%",
                  stat->files, stat->records, (double)stat->bytes / 1e6,
                  stat->path == NULL ? "" : stat->path, part);
}

static int64_t on_now(void *self)
{
    (void)self;
    return weir_clock_mono_ns();
}

static void on_sleep(void *self, int64_t ns)
{
    (void)self;
    (void)poll(NULL, 0, (int)(ns / WEIR_NS_PER_MS) + 1); /* a signal ends it early */
}

static bool on_stopped(void *self)
{
    return ((struct run *)self)->config != NULL && weir_service_interrupted();
}

static const struct weir_replay_ops ops = {
    .submit = weir_replay_feed_submit,
    .tell = on_tell,
    .progress = on_progress,
    .stopped = on_stopped,
    .now_ns = on_now,
    .sleep_ns = on_sleep,
};

/* "4MiB", "500KiB", "1000", "200records". */
static bool parse_rate(const char *text, struct weir_replay_options *ret)
{
    static const struct {
        const char *suffix;
        uint64_t factor;
    } units[] = {{"", 1},           {"B", 1},     {"KiB", 1U << 10}, {"MiB", 1U << 20},
                 {"GiB", 1U << 30}, {"kB", 1000}, {"MB", 1000000},   {"GB", 1000000000}};
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || value == 0) {
        return false;
    }
    if (strcmp(end, "records") == 0) {
        ret->rate_records = value;
        return true;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].suffix) == 0) {
            return !__builtin_mul_overflow(value, units[i].factor, &ret->rate_bytes);
        }
    }
    return false;
}

static enum weir_status take_paths(struct run *run)
{
    struct weir_replay *replay = NULL;
    enum weir_status status = weir_replay_new(&run->options, &replay);
    if (status != WEIR_OK) {
        (void)weir_commands_failed("replay", "replay-positions: %s (--restart begins anew)",
                                   weir_status_text(status));
        return status;
    }
    for (int i = 0; i < run->path_count && status == WEIR_OK; i++) {
        status = weir_replay_path(replay, run->paths[i]);
    }
    run->stat = weir_replay_look(replay);
    weir_replay_free(replay);
    end_progress(run);
    return status;
}

static enum weir_status wait_for_delivery(struct weir_service *service)
{
    uint64_t left = 0;
    enum weir_status status = weir_replay_feed_wait(service, &left);
    if (status != WEIR_OK) {
        (void)weir_commands_failed(
            "replay",
            "%s: %" PRIu64 " request%s not delivered yet, kept in %.200s/replay; the same command "
            "goes on from there",
            status == WEIR_ETIMEOUT ? "a destination has taken nothing for longer than its "
                                      "retry.window"
                                    : "stopped",
            left, left == 1 ? " is" : "s are",
            service->config->spool.directory == NULL ? "the spool"
                                                     : service->config->spool.directory);
    }
    return status;
}

static enum weir_status feed(struct weir_service *service, void *argument)
{
    struct run *run = argument;
    run->options.disk = service->spool_disk.ops == NULL ? NULL : &service->spool_disk;
    WEIR_TRY(weir_replay_feed_start(service));
    enum weir_status status = take_paths(run);
    weir_replay_feed_stop();
    if (status == WEIR_OK || status == WEIR_ECLOSED) {
        if (status == WEIR_ECLOSED) {
            (void)weir_commands_failed("replay", "interrupted: not all files were read; the same "
                                                 "command goes on from there");
        }
        enum weir_status waited = wait_for_delivery(service);
        status = status == WEIR_OK ? waited : status;
    } else {
        (void)weir_commands_failed("replay", "stopped: %s", weir_status_text(status));
    }
    if (service->letterbox != NULL) {
        run->lettered = weir_letterbox_look(service->letterbox).lines;
    }
    return status;
}

static int tell_result(const struct run *run, int code)
{
    const struct weir_replay_stat *stat = &run->stat;
    bool printed =
        printf("files %" PRIu64 ", of them done before %" PRIu64 "\n"
               "records %" PRIu64 ", bytes %" PRIu64 "\n"
               "requests %" PRIu64 ", known already %" PRIu64 ", refused %" PRIu64
               ", without their destination %" PRIu64 "\n"
               "damaged or unreadable %" PRIu64 "\n",
               stat->files, stat->files_done_before, stat->records, stat->bytes, stat->submissions,
               stat->repeated, stat->refused, stat->unknown_destination, stat->damaged) > 0;
    if (run->lettered > 0) {
        (void)weir_commands_failed("replay",
                                   "%" PRIu64 " lines went to the replay's dead letter, in "
                                   "%.200s/replay/dead-letter",
                                   run->lettered, run->config->spool.directory);
    }
    bool whole = stat->refused + stat->unknown_destination + stat->damaged + run->lettered == 0;
    return code == WEIR_EXIT_DONE && printed && whole ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED;
}

/* A replay's last batches need not wait for company that does not come. */
static void hurry(struct weir_config *config)
{
    struct weir_config_destination *all = config->destinations.items;
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        int64_t interval = all[i].buffer.interval_ns;
        all[i].buffer.interval_ns = interval > WEIR_NS_PER_S ? WEIR_NS_PER_S : interval;
    }
}

/* Whether there is one that is no template. */
static bool has_destination(const struct weir_config *config)
{
    const struct weir_config_destination *all = config->destinations.items;
    uint32_t i = 0;
    while (i < config->destinations.count && all[i].tenant != NULL) {
        i++;
    }
    return i < config->destinations.count;
}

static int run_with_config(struct run *run, const char *path)
{
    struct weir_config_report report;
    struct weir_config *config = NULL;
    if (weir_config_load(path, &report, &config) != WEIR_OK) {
        return weir_commands_tell_report("replay", &report);
    }
    if (!has_destination(config)) {
        weir_config_free(config);
        return weir_commands_failed("replay", "a replay goes to no tenant (write a configuration "
                                              "with the tenant's address as a destination)");
    }
    run->config = config;
    hurry(config);
    int code = tell_result(run, weir_service_replay(config, feed, run));
    weir_config_free(config);
    return code;
}

int weir_cmd_replay(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"rate", required_argument, NULL, 'r'},
        {"restart", no_argument, NULL, 's'},      {"dry-run", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},         {0}};
    struct run run = {.options = {.ops = &ops}, .shows = isatty(STDERR_FILENO) == 1};
    const char *path = NULL;
    int option;
    run.options.self = &run;
    while ((option = weir_commands_option(argc, argv, "c:h", options, weir_cmd_replay_help)) !=
           -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 's': run.options.restart = true; break;
        case 'd': run.options.dry_run = true; break;
        case 'r':
            if (!parse_rate(optarg, &run.options)) {
                return weir_commands_usage(
                    "replay", "--rate takes 500KiB, 4MiB or 200records, not %.60s", optarg);
            }
            break;
        default: return WEIR_EXIT_USAGE;
        }
    }
    if (optind == argc) {
        return weir_commands_usage("replay", "which file or folder?");
    }
    run.paths = argv + optind;
    run.path_count = argc - optind;
    if (run.options.dry_run) {
        int code = take_paths(&run) == WEIR_OK ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED;
        return tell_result(&run, code);
    }
    return run_with_config(&run, path);
}
