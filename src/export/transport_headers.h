/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_EXPORT_TRANSPORT_HEADERS_H
#define WEIR_EXPORT_TRANSPORT_HEADERS_H

#include "weir/status.h"
#include <curl/curl.h>

/* A request's header lines, as libcurl wants them. */

/* Copies of `lines` (NULL-terminated, or NULL), and what every request has. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_transport_headers_make(const char *const *lines,
                                                           struct curl_slist **ret);

/* Wipes and frees; NULL is nothing. */
void weir_transport_headers_free(struct curl_slist *headers);

#endif
