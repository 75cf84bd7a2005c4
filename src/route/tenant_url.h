/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ROUTE_TENANT_URL_H
#define WEIR_ROUTE_TENANT_URL_H

#include "weir/tenant.h"

/* A URL that a tenant may have, taken apart. */
struct weir_tenant_url {
    bool is_plain; /* http */
    char host[WEIR_TENANT_HOST_SIZE];
    uint32_t port;
    struct weir_bytes path; /* of the text that was parsed; "" or "/..." */
};

/* Takes `text` apart; the host is put in lower case and loses a dot at its end. NULL, or what is
 * wrong with it; then ret->host may hold what was understood. */
const char *weir_tenant_url_parse(struct weir_bytes text, struct weir_tenant_url *ret);

enum weir_tenant_listed { WEIR_TENANT_UNLISTED, WEIR_TENANT_BY_STAR, WEIR_TENANT_WHOLE };

/* How the URL's host, port and scheme stand on a list. */
enum weir_tenant_listed weir_tenant_url_listed(const struct weir_tenant_url *url,
                                               const char *const *hosts);

/* Appends host, and port where it is not the scheme's. */
void weir_tenant_url_put_authority(const struct weir_tenant_url *url, struct weir_buf *out);

#endif
