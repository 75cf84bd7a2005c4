/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process gives up (weir/sandbox.h), from its configuration.
 *
 *   read    the configuration's directory, and those of each file that it names: by the tables, so
 *           that a key of tomorrow that takes a file is in it
 *   write   spool, dead letter, the directories of file destinations
 *
 * sandbox: auto takes what the system has and says loudly what it lacks; required does not start
 * without; off is off. A build for tests (sanitizers, coverage) cannot have it.
 *
 *   I1  files before any thread, calls when all run (weir/sandbox.h says why)
 *   I2  the allocator's thread is started after the files, in any case
 *
 * A configuration that is read anew may name files where we cannot reach:
 * weir_service_out_of_reach finds them, and whoever reloads refuses.
 *
 * Main thread.
 */
#include "config_internal.h"
#include "lifecycle_internal.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/sandbox.h"
#include <stdatomic.h>

enum { PATHS_MAX = 1024 };

struct paths {
    const struct weir_config *config;
    size_t count;
    struct weir_sandbox_path items[PATHS_MAX];
};

static void add(struct paths *paths, const char *path, enum weir_sandbox_access access)
{
    if (path != NULL && paths->count < PATHS_MAX) {
        paths->items[paths->count++] = (struct weir_sandbox_path){path, access};
    }
}

static void add_file(void *argument, const char *path)
{
    struct paths *paths = argument;
    const struct weir_config *config = paths->config;
    if (path != config->spool.directory && path != config->dead_letter.directory) {
        add(paths, path, WEIR_SANDBOX_READ_BESIDE);
    }
}

static void collect(struct paths *paths, const struct weir_config *config)
{
    const struct weir_config_destination *all = config->destinations.items;
    paths->config = config;
    if (config->spool.durability == WEIR_DURABILITY_DISK) {
        add(paths, config->spool.directory, WEIR_SANDBOX_WRITE_BELOW);
    }
    add(paths, config->dead_letter.directory, WEIR_SANDBOX_WRITE_BELOW);
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        add(paths, all[i].path, WEIR_SANDBOX_WRITE_BESIDE);
    }
    add(paths, config->source, WEIR_SANDBOX_READ_BESIDE);
    weir_config_files(config, add_file, paths);
}

/* Whether the sandbox is wanted, and can be had by this build; else *ret says why not. */
static bool is_wanted(const struct weir_service *service, const char **ret)
{
    if (service->replaying) {
        *ret = "off: a replay reads files anywhere";
        return false;
    }
    if (service->config->sandbox == WEIR_CONFIG_SANDBOX_OFF) {
        *ret = "off";
        return false;
    }
    *ret = weir_sandbox_unfit();
    return *ret == NULL;
}

static enum weir_status lacking(const struct weir_service *service, const char *what,
                                const char *reason)
{
    bool required = service->config->sandbox == WEIR_CONFIG_SANDBOX_REQUIRED;
    if (!required) {
        weir_log(weir_sandbox_unfit() != NULL ? WEIR_LOG_INFO : WEIR_LOG_WARN, "sandbox incomplete",
                 WEIR_LOG_STR("what", what), WEIR_LOG_STR("reason", reason));
        return WEIR_OK;
    }
    weir_log(WEIR_LOG_ERROR, "start failed", WEIR_LOG_STR("what", "sandbox"),
             WEIR_LOG_STR("lacks", what), WEIR_LOG_STR("reason", reason),
             WEIR_LOG_STR("key", "sandbox"),
             WEIR_LOG_STR("do", "run on a system that has it, or write sandbox: auto"));
    return WEIR_EUNSUPPORTED;
}

static enum weir_status confine_files(struct weir_service *service)
{
    const char *reason = NULL;
    service->sandbox_files = "on";
    if (!is_wanted(service, &reason)) {
        service->sandbox_files = reason;
        return weir_sandbox_unfit() == reason ? lacking(service, "files", reason) : WEIR_OK;
    }
    struct paths *paths = weir_mem_zalloc(1, sizeof *paths);
    if (paths == NULL) {
        return lacking(service, "files", "out of memory");
    }
    collect(paths, service->config);
    enum weir_status status = weir_sandbox_paths(paths->items, paths->count, &reason);
    weir_mem_free(paths);
    if (status != WEIR_OK) {
        service->sandbox_files = reason;
        return lacking(service, "files", reason);
    }
    return WEIR_OK;
}

static void tell_calls(struct weir_service *service, const char *words)
{
    /* relaxed: partner is weir_service_status; nothing else hangs on it */
    atomic_store_explicit(&service->sandbox_calls, words, memory_order_relaxed);
}

enum weir_status weir_service_confine_files(struct weir_service *service)
{
    tell_calls(service, "starting");
    enum weir_status status = confine_files(service);
    weir_mem_background();
    return status;
}

enum weir_status weir_service_confine_calls(struct weir_service *service)
{
    const char *reason = NULL;
    if (!is_wanted(service, &reason)) {
        tell_calls(service, reason); /* what is lacking was said for the files */
        return WEIR_OK;
    }
    bool on = weir_sandbox_calls(&reason) == WEIR_OK;
    tell_calls(service, on ? "on" : reason);
    return on ? WEIR_OK : lacking(service, "system calls", reason);
}

struct reach {
    const struct weir_config *config;
    const char *missed; /* the first, or NULL */
};

/* Whether a file is written: that of a destination. */
static bool is_written(const struct weir_config *config, const char *path)
{
    const struct weir_config_destination *all = config->destinations.items;
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        if (all[i].path == path) {
            return true;
        }
    }
    return false;
}

static void look_at_file(void *argument, const char *path)
{
    struct reach *reach = argument;
    bool is_kept = /* these two change with a restart only; without a disk one is not used */
        path == reach->config->spool.directory || path == reach->config->dead_letter.directory;
    if (reach->missed == NULL && !is_kept &&
        !weir_sandbox_reaches(path, is_written(reach->config, path))) {
        reach->missed = path;
    }
}

const char *weir_service_out_of_reach(const struct weir_config *config)
{
    struct reach reach = {config, NULL};
    weir_config_files(config, look_at_file, &reach);
    return reach.missed;
}
