/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGHUP: the whole new configuration is built, validated and tried; then it is published, or
 * nothing has changed.
 *
 *   file ─► load ─► load over what needs a restart ─► keys ─► open added ─► router's set
 *             │       │                                 │         │             │
 *             └───────┴─────────────────────────────────┴─────────┴─────────────┴──► refused:
 *                                                     the log says why, what was opened closes
 *
 *   from here on nothing can fail:
 *   live ─► slots ─► keyring ─► log ─► shares ─► mask ─► "configuration reloaded"
 *   and weir_reload_step (reload_slots.c) does what takes longer
 *
 *   generations  [1]──►[2]──►[3]      each a loaded file
 *                 ▲     ▲     ▲
 *        keys that │    │     └ live, the router's set
 *    need a restart┘    └ slot 4's exporter, whose destination has not changed since
 *
 *   I1  service->config, the first, never changes: what needs a restart is read there, by any
 *       thread. service->live is the newest, with the first one's values for such keys
 *   I2  a generation is freed when nothing holds it: not live, no slot's, in no set of the router
 *   I3  a refused file leaves nothing behind but its line in the log, counters and /status
 *   I4  requests that have begun are judged, routed and answered by what they began with
 *
 * A second SIGHUP while steps are pending finds the slots as they are: the newest file says what is
 * wanted of each, and the steps go on from there. Two SIGHUPs that arrive while one is being read
 * are one more.
 *
 * Deliberately no watching of the file: who writes it says when it is whole.
 *
 * Main thread. A reload takes as long as reading the files does, and some milliseconds for readers
 * to leave.
 */
#include "reload_internal.h"
#include "weir/clock.h"
#include "weir/file.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdio.h>
#include <sys/stat.h>

/* A reload under way. */
struct attempt {
    struct weir_service *service;
    struct weir_generation *fresh;
    struct weir_keys *keys;
    uint32_t wanted[WEIR_DESTINATIONS_MAX]; /* by slot: destination of the fresh one */
    uint64_t opened;                        /* slots that were opened for this */
    uint32_t restart_count;
    char restart[WEIR_RESTART_KEYS_MAX][64];
    const char *reason; /* why not */
    char words[WEIR_RELOAD_WORDS_MAX];
};

static void note_restart(void *argument, const char *path)
{
    struct attempt *attempt = argument;
    if (attempt->restart_count < WEIR_RESTART_KEYS_MAX) {
        (void)snprintf(attempt->restart[attempt->restart_count++], sizeof attempt->restart[0], "%s",
                       path);
    }
}

/* The slot of a name, whatever becomes of it just now; WEIR_NOT_WANTED: it has none. */
static uint32_t slot_of(const struct weir_reload *reload, const char *name)
{
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        const struct weir_slot *slot = &reload->slots[i];
        if (slot->phase != WEIR_SLOT_FREE && strcmp(weir_slot_destination(slot)->name, name) == 0) {
            return i;
        }
    }
    return WEIR_NOT_WANTED;
}

/* A changed file destination is opened later; that it can be is seen now. */
static enum weir_status try_file(const struct weir_config_destination *destination)
{
    int fd = -1;
    if (destination->type == WEIR_DESTINATION_FILE) {
        WEIR_TRY(weir_file_append_open(destination->path, &fd));
        weir_file_close(fd);
    }
    return WEIR_OK;
}

/* Gives a destination that no slot is open for its slot. */
static enum weir_status open_added(struct attempt *attempt, uint32_t index)
{
    struct weir_service *service = attempt->service;
    const struct weir_config_destination *all = attempt->fresh->config->destinations.items;
    const struct weir_spool_destination named = {.name = all[index].name,
                                                 .share = all[index].spool_share};
    uint32_t number;
    WEIR_TRY(weir_spool_destination_open(service->spool, &named, &number));
    enum weir_slot_phase phase = service->reload.slots[number].phase;
    if (weir_tenants_has(service, number)) { /* of a template that has just been taken out */
        return WEIR_EEXIST;
    }
    WEIR_ASSERT(phase == WEIR_SLOT_FREE || phase == WEIR_SLOT_GONE);
    enum weir_status status = weir_slot_open(service, number, attempt->fresh, index);
    if (status != WEIR_OK) {
        weir_spool_destination_remove(service->spool, number);
        if (phase ==
            WEIR_SLOT_FREE) { /* just found, owed nothing; or a start's GONE one, as before */
            (void)!weir_spool_destination_free(service->spool, number);
        }
        return status;
    }
    attempt->wanted[number] = index;
    attempt->opened |= UINT64_C(1) << number;
    return WEIR_OK;
}

static const char *open_words(enum weir_status status)
{
    switch ((int)status) {
    case WEIR_EFULL:
        return "no slot is free: what one reload removes, and what was removed and has not ended "
               "yet, keeps its slot, so remove first, and add with a later reload";
    case WEIR_ECLOSED: return "its path is a pipe that nobody reads, or a socket";
    case WEIR_EDENIED:
        return "its file may not be opened (the sandbox lets a process write only beside the files "
               "of destinations that it was started with)";
    case WEIR_EUNSUPPORTED:
        return "a destination does not become a template of tenants, nor a template a destination "
               "(give it another name)";
    case WEIR_EEXIST: return "its name is still a tenant's (wait until that has gone)";
    default: return weir_status_text(status);
    }
}

/* Finds every destination of the fresh one its slot, and opens what is new. */
static bool place_all(struct attempt *attempt)
{
    const struct weir_reload *reload = &attempt->service->reload;
    const struct weir_config_destination *all = attempt->fresh->config->destinations.items;
    enum weir_status status = WEIR_OK;
    uint32_t i = 0;
    for (; status == WEIR_OK && i < attempt->fresh->config->destinations.count; i++) {
        uint32_t number = slot_of(reload, all[i].name);
        if (number != WEIR_NOT_WANTED && reload->slots[number].phase != WEIR_SLOT_GONE) {
            const struct weir_config_destination *before =
                weir_slot_destination(&reload->slots[number]);
            bool same = (before->tenant == NULL) == (all[i].tenant == NULL);
            attempt->wanted[number] = i;
            status = same ? try_file(&all[i]) : WEIR_EUNSUPPORTED;
        } else {
            status = open_added(attempt, i);
        }
    }
    if (status != WEIR_OK) {
        (void)snprintf(attempt->words, sizeof attempt->words, "destination %s: %s", all[i - 1].name,
                       open_words(status));
        attempt->reason = attempt->words;
    }
    return status == WEIR_OK;
}

/* What was opened for nothing ends as if it had been removed. */
static void undo(struct attempt *attempt)
{
    struct weir_service *service = attempt->service;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        const struct weir_slot *slot = &service->reload.slots[i];
        if ((attempt->opened >> i & 1) != 0) {
            weir_slot_put(service, i, WEIR_SLOT_FLUSHING, slot->generation, slot->index);
            weir_exporter_close(service->exporter, i, WEIR_CLOSE_FLUSH, weir_clock_mono_ns());
        }
    }
}

/* The slots that were in the set and are not in the next are not brought anything from disk any
 * more, before they are out of it. */
static bool route(struct attempt *attempt)
{
    struct weir_service *service = attempt->service;
    struct weir_route_destination rows[WEIR_DESTINATIONS_MAX];
    struct weir_route_set set;
    attempt->reason = weir_status_text(WEIR_ENOMEM);
    if (weir_reload_make_set(service, attempt->fresh, attempt->wanted, rows, &set) != WEIR_OK) {
        return false;
    }
    weir_slots_deliver(service, set.slots & ~attempt->opened);
    if (weir_router_configure(service->router, &set) != WEIR_OK) {
        weir_reload_drop_set(&set);
        return false;
    }
    weir_reload_keep_set(service, &set);
    return true;
}

/* The slots, as the new configuration wants them. */
static void publish_slots(struct attempt *attempt)
{
    struct weir_service *service = attempt->service;
    const struct weir_config_destination *all = attempt->fresh->config->destinations.items;
    size_t part = service->shares.export_bytes / attempt->fresh->config->destinations.count;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        struct weir_slot *slot = &service->reload.slots[i];
        slot->is_wanted = attempt->wanted[i] != WEIR_NOT_WANTED;
        slot->wanted = slot->is_wanted ? attempt->wanted[i] : 0;
        slot->retry_ns = 0;
        if (slot->is_wanted && slot->phase == WEIR_SLOT_LEAVING) {
            weir_slot_put(service, i, WEIR_SLOT_ON, slot->generation, slot->index);
        } else if (!slot->is_wanted && slot->phase == WEIR_SLOT_ON) {
            weir_slot_put(service, i, WEIR_SLOT_LEAVING, slot->generation, slot->index);
        }
        if (slot->is_wanted) { /* its name has its slot, so only the share can change */
            const struct weir_spool_destination named = {.name = all[slot->wanted].name,
                                                         .share = all[slot->wanted].spool_share};
            uint32_t number = i;
            (void)!weir_spool_destination_open(service->spool, &named, &number);
            WEIR_ASSERT(number == i);
        }
        if (slot->phase == WEIR_SLOT_ON && weir_slot_destination(slot)->tenant == NULL) {
            weir_exporter_resize(service->exporter, i, part);
        }
    }
}

static void publish(struct attempt *attempt)
{
    struct weir_service *service = attempt->service;
    struct weir_reload *reload = &service->reload;
    struct weir_generation *before = reload->live;
    const struct weir_config *config = attempt->fresh->config;
    (void)pthread_mutex_lock(&reload->look);
    service->live = config;
    reload->live = attempt->fresh;
    reload->live_wall_ns = weir_clock_wall_ns();
    reload->tried_wall_ns = reload->live_wall_ns;
    reload->taken++;
    reload->reason[0] = 0;
    reload->restart_count = attempt->restart_count;
    memcpy(reload->restart, attempt->restart, sizeof reload->restart);
    (void)pthread_mutex_unlock(&reload->look);
    reload->live->holds++;
    before->holds--;
    publish_slots(attempt);
    weir_tenants_reloaded(attempt->service);
    weir_keyring_publish(service->keyring, attempt->keys);
    attempt->keys = NULL;
    weir_log_configure((enum weir_log_level)config->log.level,
                       (enum weir_log_format)config->log.format);
    weir_slots_deliver(service, UINT64_MAX);
}

/* The listener's certificates. Taken at once; after it only a lack of memory can refuse. */
static bool certify(struct attempt *attempt)
{
    attempt->reason = "the listener's certificates cannot be used: the log's line before says why";
    return weir_service_reload_tls(attempt->service, attempt->fresh->config) == WEIR_OK;
}

/* Everything that can fail. */
static bool prepare(struct attempt *attempt)
{
    struct weir_service *service = attempt->service;
    if (weir_service_keys(attempt->fresh->config, &attempt->keys) != WEIR_OK) {
        attempt->reason = weir_status_text(WEIR_ENOMEM);
        return false;
    }
    if (place_all(attempt) && certify(attempt) && route(attempt)) {
        return true;
    }
    undo(attempt);
    weir_keys_free(attempt->keys);
    weir_slots_deliver(service, UINT64_MAX);
    return false;
}

/* Names that a start found in the spool, and that nobody has: their slots are given back when they
 * are owed nothing. */
static void free_strangers(struct weir_service *service)
{
    struct weir_spool_stat stat = {0};
    weir_spool_look(service->spool, &stat);
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        if ((stat.gone >> i & 1) != 0 && service->reload.slots[i].phase == WEIR_SLOT_FREE &&
            !weir_tenants_has(service, i)) {
            (void)!weir_spool_destination_free(service->spool, i);
        }
    }
}

static void take(struct attempt *attempt, struct weir_config *config)
{
    struct weir_service *service = attempt->service;
    struct weir_reload_changes changes;
    memset(attempt->wanted, 0xff, sizeof attempt->wanted);
    attempt->fresh = weir_generation_new(&service->reload, config, false);
    if (attempt->fresh == NULL) {
        weir_config_free(config);
        weir_reload_tell_refused(service, weir_status_text(WEIR_ENOMEM));
        return;
    }
    free_strangers(service);
    attempt->fresh->holds++; /* ours, until it is known whose it is */
    if (!prepare(attempt)) {
        weir_reload_tell_refused(service, attempt->reason);
    } else {
        weir_reload_changes_of(service, attempt->fresh, &changes);
        publish(attempt);
        weir_reload_tell_taken(service, &changes);
    }
    attempt->fresh->holds--;
    weir_reload_collect(service);
}

static const char *first_error(const struct weir_config_report *report)
{
    for (uint32_t i = 0; i < report->count; i++) {
        if (!report->messages[i].warning) {
            return report->messages[i].text;
        }
    }
    return "it cannot be read";
}

/* Other certificates are taken; HTTPS where there was HTTP, and the other way round, is another
 * listener. */
static void keep_plainness(struct attempt *attempt, struct weir_config *config)
{
    const struct weir_config *running = attempt->service->config;
    bool was = running->ingest.tls.certificates.count > 0;
    if (was != (config->ingest.tls.certificates.count > 0)) {
        note_restart(attempt, "ingest.tls");
        config->ingest.tls = running->ingest.tls;
    }
}

/* Reads the file twice where it says something else of keys that need a restart: as it is, which
 * must be good for the restart, and as this process can take it. */
static bool load(struct attempt *attempt, const char *path, struct weir_config_report *report,
                 struct weir_config **ret)
{
    const struct weir_config *running = attempt->service->config;
    struct weir_config *config;
    if (weir_config_load(path, report, &config) != WEIR_OK) {
        return false;
    }
    weir_config_keep(config, running, note_restart, attempt);
    if (attempt->restart_count > 0) {
        weir_config_free(config);
        if (weir_config_load_over(path, running, report, &config) != WEIR_OK) {
            return false;
        }
    }
    keep_plainness(attempt, config);
    *ret = config;
    return true;
}

/* Why the configuration cannot be read again; NULL: it can be tried. A pipe, as a shell's <(...),
 * would be waited for until somebody writes, and nobody will. */
static const char *source_obstacle(const char *source)
{
    struct stat about;
    if (source == NULL) {
        return "there is no file to read again: it was started without one";
    }
    if (strcmp(source, "standard input") == 0) {
        return "standard input cannot be read again: start with a file";
    }
    return stat(source, &about) == 0 && S_ISFIFO(about.st_mode)
               ? "a pipe cannot be read again: start with a file"
               : NULL;
}

void weir_reload_now(struct weir_service *service)
{
    const char *source = service->config->source;
    struct weir_config_report report;
    struct weir_config *config = NULL;
    struct attempt attempt = {.service = service};
    const char *obstacle = source_obstacle(source);
    if (obstacle != NULL) {
        weir_reload_tell_refused(service, obstacle);
        return;
    }
    bool is_good = load(&attempt, source, &report, &config);
    weir_reload_tell_report(&report);
    if (!is_good) {
        weir_reload_tell_refused(service, first_error(&report));
        return;
    }
    const char *far = weir_service_out_of_reach(config);
    if (far != NULL) {
        (void)snprintf(attempt.words, sizeof attempt.words,
                       "the sandbox does not reach %s: a restart can take it, or put it beside "
                       "files that were there at the start",
                       far);
        weir_reload_tell_refused(service, attempt.words);
        weir_config_free(config);
        return;
    }
    take(&attempt, config);
}
