/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_LIFECYCLE_INTERNAL_H
#define WEIR_APP_LIFECYCLE_INTERNAL_H

#include "reload.h"
#include "tenants.h"
#include "weir/admin.h"
#include "weir/config.h"
#include "weir/credit.h"
#include "weir/custody.h"
#include "weir/exporter.h"
#include "weir/ingest.h"
#include "weir/keyring.h"
#include "weir/letterbox.h"
#include "weir/namespace.h"
#include "weir/pipeline.h"
#include "weir/region.h"
#include "weir/route.h"
#include "weir/spool.h"
#include "weir/tls.h"

/* lifecycle.c starts and stops; watch.c watches; service_build.c makes the rooms' options;
 * service_disk.c those of spool and dead letter; service_guard.c gives up what is not needed;
 * service_drain.c takes the traffic out; service_gauges.c keeps gauges; service_status.c writes
 * /status; reload.c replaces the configuration while all of that runs. */
enum weir_phase { WEIR_PHASE_STARTING, WEIR_PHASE_READY, WEIR_PHASE_DRAINING };

/* Everything that runs. Half-built while it starts: what is NULL was not made. */
struct weir_service {
    struct weir_credit intake; /* aligned, so first */
    struct weir_credit queued;
    struct weir_credit backlog;
    const struct weir_config *config; /* the first: what needs a restart is read here, by anyone */
    const struct weir_config *live;   /* the newest: what a reload takes. The main thread; others
                                         under reload.look */
    struct weir_reload reload;
    struct weir_tenants tenants;
    bool replaying; /* set before weir_service_build: no keys, no listeners, a spool of its own */
    struct weir_config_shares shares;
    _Atomic int phase;         /* enum weir_phase; relaxed: a health check a moment late is one */
    _Atomic bool spool_failed; /* relaxed: who reads it late refuses late */
    _Atomic bool cut;          /* told to stop twice: nothing is waited for any more; relaxed */
    const char *sandbox_files; /* what came of it, in a word or more; written before any thread */
    _Atomic(const char *) sandbox_calls; /* ...; relaxed: literals */
    int64_t started_ns;
    struct weir_namespaces *namespaces;
    struct weir_regions *regions;
    struct weir_disk letter_disk, spool_disk;
    struct weir_letterbox *letterbox;
    struct weir_spool *spool;
    uint32_t segments_set_aside; /* found or made at the start; written before any thread */
    struct weir_custody *custody;
    struct weir_exporter *exporter;
    bool exporting; /* its threads run */
    struct weir_router *router;
    struct weir_pipeline *pipeline;
    struct weir_keyring *keyring;
    struct weir_tls *tls; /* NULL: plain HTTP */
    struct weir_ingest *ingest;
    struct weir_admin *admin;
    struct weir_watch *watch; /* NULL until all rooms run */
    struct weir_destination_options destinations[WEIR_DESTINATIONS_MAX]; /* by slot */
};

/* Makes and starts every room. On failure it is logged, and the service good for
 * weir_service_drain and weir_service_done only. */
WEIR_MUST_USE enum weir_status weir_service_build(struct weir_service *service);

/* What the process gives up (weir/sandbox.h), as the configuration's `sandbox` has it. Files: when
 * the directories are there, and before any thread. Calls: when everything runs. What cannot be had
 * is logged; with `required` it is WEIR_EUNSUPPORTED. Main thread. */
WEIR_MUST_USE enum weir_status weir_service_confine_files(struct weir_service *service);
WEIR_MUST_USE enum weir_status weir_service_confine_calls(struct weir_service *service);

/* The first file that a configuration names and that the sandbox does not let us reach: what is
 * read or written there fails until a restart. NULL: there is none. Main thread. */
const char *weir_service_out_of_reach(const struct weir_config *config);

/* Opens the directories of spool and dead letter, makes them where they are not; failures are
 * logged. Starts no thread. */
WEIR_MUST_USE enum weir_status weir_service_open_disk(struct weir_service *service);

/* Dead letter and spool, before anything that needs them (failures are logged); the spool's
 * threads; the backlog, when the exporters run. */
WEIR_MUST_USE enum weir_status weir_service_build_disk(struct weir_service *service);
WEIR_MUST_USE enum weir_status weir_service_build_custody(struct weir_service *service);
WEIR_MUST_USE enum weir_status weir_service_build_backlog(struct weir_service *service);

/* Dead letter, keeper, spool: closed, in this order. What was not made is skipped. */
void weir_service_close_disk(struct weir_service *service);

/* What the exporter and the router want of a destination; not its memory, share and bell. */
void weir_service_fill_destination(struct weir_destination_options *options,
                                   const struct weir_config_destination *destination);
void weir_service_fill_route(struct weir_route_destination *row,
                             const struct weir_config_destination *destination);

/* The access keys of a configuration; *ret is NULL for a door without a lock. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_service_keys(const struct weir_config *config,
                                                 struct weir_keys **ret);

/* The listener's certificates, where `tls` is configured. Failures are logged. */
WEIR_MUST_USE enum weir_status weir_service_build_tls(struct weir_service *service);

/* Takes the certificates of another configuration, and logs what came of it. WEIR_EINVAL: nothing
 * has changed, since a file is no good or since TLS was turned on or off, which needs a restart.
 * The main thread. */
WEIR_MUST_USE enum weir_status weir_service_reload_tls(struct weir_service *service,
                                                       const struct weir_config *config);

/* Looks whether certificates have changed on disk and takes them; logs what came of it. When to
 * come again: so many ns; -1: never. The main thread: it may wait for a file. */
int64_t weir_service_watch_tls(struct weir_service *service);

/* What a Firehose body may hold. */
struct weir_envelope_limits weir_service_limits(void);

/* Takes the traffic out, in the stop order of docs/design: ingest, lane, backlog, exporter. The
 * number of points that were not delivered; with a spool on disk they are still there. */
uint64_t weir_service_drain(struct weir_service *service);

/* Ends and frees everything that was made, in reverse; spool and dead letter are closed. The
 * service must be drained. */
void weir_service_done(struct weir_service *service);

/* A whole life without listeners, for `weir replay`: the process is made ready (signals blocked,
 * metrics, RCU), a service is built with `replaying` (spool in <spool.directory>/replay, ids of 30
 * days), `feed` gives it its requests on this thread (which is registered for everything that
 * weir_worker_new and weir_pipeline_submit want), and all is drained and taken down. The exit code:
 * 0, or 1 when it could not start (logged), when `feed` says no, or when points were left that are
 * not on disk. Main thread, once in a process. */
int weir_service_replay(const struct weir_config *config,
                        enum weir_status (*feed)(struct weir_service *service, void *argument),
                        void *argument);

/* Whether a SIGTERM or SIGINT has come, which `feed` asks between its files: it is told once
 * seen. Main thread. */
bool weir_service_interrupted(void);

/* What the listeners ask. Any thread. */
bool weir_service_ready(void *service);
bool weir_service_ready_reason(void *service, const char **ret_reason);

/* Whether a request of `size` bytes may come in: spool and dead letter have room and work; else
 * *ret_reason is the label of its 503. Any thread. */
bool weir_service_admits(void *service, uint64_t size, const char **ret_reason);

/* Sets the gauges that nobody keeps current: weir_expo_collector's function. */
void weir_service_gauges(void *service);

/* /status. */
void weir_service_status(void *service, struct weir_buf *out);

/* What a slot is called; NULL: it is nobody's. Whoever holds reload.look. */
const char *weir_service_slot_name(const struct weir_service *service, uint32_t slot);

/* The word of the configuration: disk, delivered, memory. */
const char *weir_service_durability(const struct weir_service *service);

/* Points delivered by all destinations so far, those that are gone among them. */
uint64_t weir_service_delivered(struct weir_service *service);

#endif
