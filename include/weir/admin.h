/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ADMIN_H
#define WEIR_ADMIN_H

#include "weir/buf.h"
#include "weir/status.h"

/*
 * The admin listener: libh2o's HTTP server on a thread of its own, HTTP/2 off, small limits,
 * read-only.
 *
 *   GET /metrics   the registry (Prometheus text, or OpenMetrics when asked for)
 *   GET /healthz   200 while the process runs
 *   GET /readyz    200 or 503 with the reason
 *   GET /status    JSON: what is going on, for people and scripts; no secrets
 *   GET /          a short index
 */
struct weir_admin_options {
    const char *const *addresses; /* NULL-terminated; none: no admin listener */
    bool (*ready)(void *argument, const char **ret_reason); /* any thread */
    void (*status)(void *argument, struct weir_buf *out);   /* writes the JSON; any thread */
    void *argument;
};

struct weir_admin;

/* Binds and starts. WEIR_EINVAL, WEIR_EEXIST, WEIR_EDENIED, WEIR_EIO, WEIR_ENOMEM, with
 * *ret_address the address at fault. */
WEIR_MUST_USE enum weir_status weir_admin_start(const struct weir_admin_options *options,
                                                struct weir_admin **ret, const char **ret_address);

/* The port of the `index`-th address. */
uint16_t weir_admin_port(const struct weir_admin *admin, uint32_t index);

/* Ends the thread and frees. NULL is nothing. */
void weir_admin_stop(struct weir_admin *admin);

#endif
