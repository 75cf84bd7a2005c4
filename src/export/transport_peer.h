/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_EXPORT_TRANSPORT_PEER_H
#define WEIR_EXPORT_TRANSPORT_PEER_H

#include "weir/transport.h"
#include <curl/curl.h>

/* Sets by which way a target is reached and how each side shows who it is: proxy, authorities,
 * client certificate. All of it for each request but the system's authorities, to which there is
 * no way back from others (see set_anew in transport.c). */
CURLcode weir_transport_peer_set(CURL *easy, const struct weir_transport_target *target);

#endif
