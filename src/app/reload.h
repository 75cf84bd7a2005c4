/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_RELOAD_H
#define WEIR_APP_RELOAD_H

#include "weir/config.h"
#include "weir/digest.h"
#include "weir/keys.h"
#include <pthread.h>
#include <stdatomic.h>

/*
 * The configuration that is live, and how the one before becomes the next: reload.c reads, compares
 * and publishes; reload_slots.c takes each destination from what it is to what it is to be;
 * reload_tell.c says so (log, /status, gauges).
 *
 * Main thread, but for what says otherwise.
 */
struct weir_service;

/* A configuration in use. What points into it holds it: being live, slots, sets of the router. */
struct weir_generation {
    struct weir_generation *next;
    struct weir_config *config; /* the first is the caller's of weir_lifecycle_serve */
    uint32_t holds;
    bool is_first;
    struct weir_digest files[WEIR_DESTINATIONS_MAX]; /* of what each destination's TLS files hold */
};

/* A set of destinations that the router has or had; gone when it is released. */
struct weir_route_record {
    struct weir_route_record *next;
    struct weir_generation *generation;
    uint64_t slots;
    _Atomic bool is_released; /* by any thread, once */
};

enum weir_slot_phase {
    WEIR_SLOT_FREE,
    WEIR_SLOT_ON,       /* requests go to it, its exporter is open */
    WEIR_SLOT_SWAPPING, /* requests go to it, its exporter closes, then opens otherwise */
    WEIR_SLOT_LEAVING,  /* new requests do not go to it; waits for those that may */
    WEIR_SLOT_FLUSHING, /* its exporter closes, for good */
    WEIR_SLOT_GONE      /* what it is still owed goes to the dead letter */
};

struct weir_slot {
    enum weir_slot_phase phase;
    struct weir_generation *generation; /* held: what its exporter's options point into */
    uint32_t index;                     /* of its destination there */
    bool is_wanted;                     /* the live configuration has it, as destination: */
    uint32_t wanted;
    char last_name[65]; /* whom the exporter's counts are of */
    int64_t retry_ns;   /* SWAPPING, FLUSHING: opening failed; when to try again */
};

#define WEIR_RESTART_KEYS_MAX 32
#define WEIR_RELOAD_WORDS_MAX 256

struct weir_reload {
    pthread_mutex_t
        look; /* what other threads look at below, and service->live, changes under it */
    struct weir_slot slots[WEIR_DESTINATIONS_MAX];
    int64_t live_wall_ns; /* when the live configuration was taken */
    int64_t tried_wall_ns;
    uint64_t taken; /* reloads that were, and those that were not */
    uint64_t refused;
    char reason[WEIR_RELOAD_WORDS_MAX]; /* why the last was refused; empty: it was not */
    uint32_t restart_count;             /* keys that need a restart */
    char restart[WEIR_RESTART_KEYS_MAX][64];
    uint64_t delivered_before; /* points of destinations whose slot is somebody else's now */
    char hash_told[16];        /* weir_config_info's last 1; whoever writes the exposition */
    /* The main thread's alone: */
    struct weir_generation *generations;
    struct weir_generation *live;
    struct weir_route_record *records;
};

/* Begins with the configuration of the start. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_reload_init(struct weir_service *service,
                                                const struct weir_config *config);

/* The slots of the start: destination i has slot i. Before exporter and router are made. */
void weir_reload_first_slots(struct weir_service *service);

/* The set of the router with every slot that is wanted, as `generation` (whose destination
 * `wanted[slot]` it is, or UINT32_MAX) has it; `rows` is where it points. WEIR_ENOMEM. What is made
 * belongs to the router once it has taken it (weir_reload_keep_set), else weir_reload_drop_set. */
WEIR_MUST_USE enum weir_status weir_reload_make_set(struct weir_service *service,
                                                    struct weir_generation *generation,
                                                    const uint32_t *wanted,
                                                    struct weir_route_destination *rows,
                                                    struct weir_route_set *ret);
void weir_reload_keep_set(struct weir_service *service, const struct weir_route_set *set);
void weir_reload_drop_set(const struct weir_route_set *set);

/* SIGHUP: reads the file again and takes it, or logs why not. What takes longer is left to
 * weir_reload_step. */
void weir_reload_now(struct weir_service *service);

/* What can be done now of what a reload has begun. When to come again: so many ns; -1: nothing is
 * left to do. */
int64_t weir_reload_step(struct weir_service *service);

/* Before a drain: destinations that are between two exporters get their next one, for at most so
 * long; what would wait in their rings were lost without a disk. */
void weir_reload_settle(struct weir_service *service, int64_t wait_ns);

/* The part of /status, and the gauges. Whoever holds reload.look. */
void weir_reload_put_status(const struct weir_service *service, struct weir_buf *out);
void weir_reload_gauges(struct weir_service *service);

/* A reload that came at the wrong time, or has nothing to read: logged and counted. */
void weir_reload_tell_refused(struct weir_service *service, const char *reason);

/* Frees what is left, when router and exporter are freed. */
void weir_reload_done(struct weir_service *service);

#endif
