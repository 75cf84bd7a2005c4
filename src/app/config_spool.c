/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of what is on disk: where it is, and whether it fits.
 *
 *   spool.directory   written ─┬─► as written
 *                     not      ├─► $STATE_DIRECTORY, the first of its entries
 *                              ├─► ./weir-data, without a file and without a way into /var/lib/weir
 *                              └─► /var/lib/weir
 *
 *   spool.limit  >=  headroom    2 x intake: all that may have been let in when the disk fills up
 *                  + 4 segments  the one being written, the next, and room to recycle
 *                  + one body    which is a segment of its own when it is larger than one
 *
 *   dead_letter.limit  >=  one body in base64, else a warning: such a letter would wait for ever,
 *                          but bodies that must go there whole are rare
 *
 * All of it counts only with durability disk: keys that are written and do nothing are warned of.
 * Whether the directory can be used is not looked at here: whoever checks a configuration is often
 * not who runs it, nor on that machine. The start says it, and `weir check` tells what it sees.
 *
 *   I1  after the checks of a good configuration: with durability disk there is a directory and a
 *       dead letter; dedupe.entries is set
 *
 * Main thread.
 */
#include "config_internal.h"
#include "weir/frame.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 128, SIZE_TEXT = 32, ID_BYTES = 48, ENTRIES_MIN = 4096 };
#define KIB         ((size_t)1 << 10)
#define MIB         ((size_t)1 << 20)
#define SEGMENT_MAX (256 * MIB)
#define SEGMENT_MIN (64 * KIB)
static const char usual_directory[] = "/var/lib/weir";

struct check {
    struct weir_config *config;
    struct weir_config_report *report;
};

static const char *size_text(size_t size, char *memory)
{
    struct weir_buf out = weir_buf_fixed(memory, SIZE_TEXT - 1);
    weir_config_put_size(&out, size);
    memory[out.size] = 0;
    return memory;
}

static struct weir_config_place spool_place(const struct check *check, const char *key)
{
    return weir_schema_place(&check->config->spool.at, weir_schema_spool, key);
}

/* Whether this user could make or write the usual directory. */
static bool may_use_usual(void)
{
    struct stat stat_;
    return access(stat(usual_directory, &stat_) == 0 ? usual_directory : "/var/lib", W_OK | X_OK) ==
           0;
}

static const char *default_directory(struct weir_config *config, bool offline)
{
    const char *state = offline ? NULL : getenv("STATE_DIRECTORY");
    if (state != NULL && state[0] != 0 && state[0] != ':') {
        return weir_config_text(config, weir_bytes_of(state, strcspn(state, ":")));
    }
    if (config->source == NULL && !offline && !may_use_usual()) {
        return "./weir-data";
    }
    return usual_directory;
}

/* <spool.directory>/dead-letter */
static const char *default_letters(struct weir_config *config)
{
    static const char suffix[] = "/dead-letter";
    const char *base = config->spool.directory;
    if (base == NULL) {
        return NULL;
    }
    size_t size = strlen(base);
    while (size > 1 && base[size - 1] == '/') {
        size--;
    }
    char *path = weir_config_alloc(config, size + sizeof suffix);
    if (path != NULL) {
        memcpy(path, base, size);
        memcpy(path + size, suffix, sizeof suffix);
    }
    return path;
}

static void derive(struct check *check, bool offline)
{
    struct weir_config *config = check->config;
    if (config->spool.directory == NULL) {
        config->spool.directory = default_directory(config, offline);
    }
    if (config->dead_letter.directory == NULL && config->spool.durability == WEIR_DURABILITY_DISK) {
        config->dead_letter.directory = default_letters(config);
    }
    if (config->dedupe.entries == 0) {
        size_t entries = config->memory_limit / 64 / ID_BYTES;
        entries = entries < ENTRIES_MIN ? ENTRIES_MIN : entries;
        config->dedupe.entries = entries > 100000000 ? 100000000 : (uint32_t)entries;
    }
}

/* What is written and does nothing, since nothing is on disk. */
static void check_idle_keys(struct check *check)
{
    static const char *const keys[] = {"directory", "limit", "segment_size", "format",
                                       "backlog_rate"};
    const struct weir_config *config = check->config;
    const struct weir_config_destination *all = config->destinations.items;
    const char *durability =
        config->spool.durability == WEIR_DURABILITY_MEMORY ? "memory" : "delivered";
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct weir_config_place place = spool_place(check, keys[i]);
        if (place.line > 0) {
            (void)snprintf(path, sizeof path, "spool.%s", keys[i]);
            weir_config_warn(check->report, place, path,
                             "does nothing with durability: %s, which keeps nothing on disk",
                             durability);
        }
    }
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        struct weir_config_place place =
            weir_schema_place(&all[i].at, weir_schema_destination, "spool_share");
        if (place.line > 0 && all[i].spool_share > 0) {
            (void)snprintf(path, sizeof path, "destinations[%" PRIu32 "].spool_share", i);
            weir_config_warn(check->report, place, path,
                             "does nothing with durability: %s, which keeps nothing on disk",
                             durability);
        }
    }
}

static void check_delivered(struct check *check)
{
    struct weir_config_place place = spool_place(check, "delivered_timeout");
    if (place.line > 0 && check->config->spool.durability != WEIR_DURABILITY_DELIVERED) {
        weir_config_warn(check->report, place, "spool.delivered_timeout",
                         "does nothing without durability: delivered");
    }
}

static size_t segment_size(const struct weir_config *config)
{
    size_t size = config->spool.segment_size;
    if (size == 0) {
        size = config->spool.limit / 32 / 4096 * 4096;
        size = size > SEGMENT_MAX ? SEGMENT_MAX : size;
    }
    return size < SEGMENT_MIN ? SEGMENT_MIN : size;
}

/* A written segment_size that makes no sense; false then. */
static bool check_segment(struct check *check)
{
    const struct weir_config_spool *spool = &check->config->spool;
    struct weir_config_place place = spool_place(check, "segment_size");
    size_t most = spool->limit / 4 / 4096 * 4096;
    char text[SIZE_TEXT];
    if (spool->segment_size == 0) {
        return true;
    }
    if (spool->segment_size < SEGMENT_MIN || spool->segment_size % 4096 != 0) {
        weir_config_error(check->report, place, "spool.segment_size",
                          "%s is no multiple of 4KiB from 64KiB on",
                          size_text(spool->segment_size, text));
        return false;
    }
    if (spool->segment_size > most) {
        weir_config_error(check->report, place, "spool.segment_size",
                          "is more than a quarter of spool.limit (write at most %s)",
                          size_text(most, text));
        return false;
    }
    return true;
}

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

size_t weir_config_headroom(const struct weir_config *config)
{
    return round_up(2 * weir_config_shares(config).intake, MIB);
}

static void check_limit(struct check *check)
{
    const struct weir_config *config = check->config;
    size_t body = round_up(
        config->ingest.body_limit + WEIR_FRAME_HEADER_MAX + WEIR_FRAME_SEGMENT_HEADER, 4096);
    size_t fixed = weir_config_headroom(config) + body;
    size_t least = fixed + 4 * segment_size(config);
    if (config->spool.limit >= least) {
        return;
    }
    /* a derived segment grows with the limit: 1/8 of it are four segments */
    if (config->spool.segment_size == 0) {
        least = fixed / 7 * 8 + 4 * SEGMENT_MIN;
        least = least > fixed + 4 * SEGMENT_MAX ? fixed + 4 * SEGMENT_MAX : least;
    }
    char is[SIZE_TEXT];
    char needed[SIZE_TEXT];
    char headroom[SIZE_TEXT];
    struct weir_config_place place = spool_place(check, "limit");
    if (place.line == 0) {
        place = weir_schema_place(&config->at, weir_schema_root, "memory_limit");
    }
    weir_config_error(check->report, place, "spool.limit",
                      "%s holds too little: %s must stay free for the requests that memory_limit "
                      "lets in at a time, beside one body and four segments (write at least %s, or "
                      "lower memory_limit)",
                      size_text(config->spool.limit, is),
                      size_text(weir_config_headroom(config), headroom),
                      size_text(round_up(least, MIB), needed));
}

static void check_letters(struct check *check)
{
    struct weir_config *config = check->config;
    const struct weir_config_dead_letter *letters = &config->dead_letter;
    struct weir_config_place limit_at =
        weir_schema_place(&letters->at, weir_schema_dead_letter, "limit");
    struct weir_config_place full_at =
        weir_schema_place(&letters->at, weir_schema_dead_letter, "when_full");
    if (letters->directory == NULL) {
        struct weir_config_place place = limit_at.line > 0 ? limit_at : full_at;
        if (place.line > 0) {
            weir_config_warn(check->report, place, "dead_letter",
                             "there is none: without durability: disk it is kept only where "
                             "dead_letter.directory says");
        }
        return;
    }
    if (config->spool.durability == WEIR_DURABILITY_DISK &&
        strcmp(letters->directory, config->spool.directory) == 0) {
        weir_config_error(
            check->report, weir_schema_place(&letters->at, weir_schema_dead_letter, "directory"),
            "dead_letter.directory",
            "is spool.directory itself (write a directory of its own, which may be in it)");
    }
    size_t body = config->ingest.body_limit;
    size_t least = round_up(body / 3 * 4 + body / 128, MIB);
    if (letters->limit < least) {
        char is[SIZE_TEXT];
        char most[SIZE_TEXT];
        char needed[SIZE_TEXT];
        weir_config_warn(check->report, limit_at, "dead_letter.limit",
                         "%s does not hold one body of %s in base64: one that had to go there "
                         "whole would find no room (write at least %s, or lower "
                         "ingest.body_limit)",
                         size_text(letters->limit, is), size_text(body, most),
                         size_text(least, needed));
    }
}

/* After a start all that a destination lacks waits on disk, also what was in memory before. */
static void check_shares(struct check *check)
{
    const struct weir_config *config = check->config;
    const struct weir_config_destination *all = config->destinations.items;
    size_t least = round_up(weir_config_shares(config).queued, MIB);
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        if (all[i].spool_share == 0 || all[i].spool_share >= least) {
            continue;
        }
        char path[PATH_SIZE];
        char is[SIZE_TEXT];
        char needed[SIZE_TEXT];
        (void)snprintf(path, sizeof path, "destinations[%" PRIu32 "].spool_share", i);
        weir_config_warn(check->report,
                         weir_schema_place(&all[i].at, weir_schema_destination, "spool_share"),
                         path,
                         "%s is less than what waits in memory: a restart in an outage would send "
                         "the rest to the dead letter (write at least %s)",
                         size_text(all[i].spool_share, is), size_text(least, needed));
    }
}

static void check_dedupe(struct check *check)
{
    const struct weir_config *config = check->config;
    struct weir_config_place place =
        weir_schema_place(&config->dedupe.at, weir_schema_dedupe, "entries");
    size_t bytes = (size_t)config->dedupe.entries * ID_BYTES;
    if (place.line > 0 && bytes > config->memory_limit / 16) {
        char takes[SIZE_TEXT];
        char limit[SIZE_TEXT];
        weir_config_error(check->report, place, "dedupe.entries",
                          "take %s, which is more than a sixteenth of memory_limit %s (write at "
                          "most %zu)",
                          size_text(bytes, takes), size_text(config->memory_limit, limit),
                          config->memory_limit / 16 / ID_BYTES);
    }
}

void weir_config_check_spool(struct weir_config *config, struct weir_config_report *report,
                             bool offline)
{
    struct check check = {config, report};
    derive(&check, offline);
    check_dedupe(&check);
    check_letters(&check);
    check_delivered(&check);
    if (config->spool.durability != WEIR_DURABILITY_DISK) {
        check_idle_keys(&check);
    } else {
        check_shares(&check);
        if (check_segment(&check)) {
            check_limit(&check);
        }
    }
}
