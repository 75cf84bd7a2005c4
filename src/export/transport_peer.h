/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_EXPORT_TRANSPORT_PEER_H
#define WEIR_EXPORT_TRANSPORT_PEER_H

#include "weir/transport.h"
#include <curl/curl.h>
#include <sys/socket.h>

/* Sets by which way a target is reached and how each side shows who it is: proxy, authorities,
 * client certificate. All of it for each request but the system's authorities, to which there is
 * no way back from others (see set_anew in transport.c). */
CURLcode weir_transport_peer_set(CURL *easy, const struct weir_transport_target *target);

/* Has no connection made to a link-local address, and none used that is there already, unless the
 * target allows it; where it is `public_only`, to none that is not public. *met is set when one is
 * refused, and outlives the request. A name with another address besides gets that one. */
CURLcode weir_transport_peer_guard(CURL *easy, const struct weir_transport_target *target,
                                   bool *met);

/* Whether an address is link-local (169.254.0.0/16, fe80::/10), or where Amazon's metadata service
 * is in IPv6 (fd00:ec2::254), or one of these in IPv6's mapping of IPv4. Other families: no. */
bool weir_transport_peer_is_link_local(const struct sockaddr *address, size_t size);

/* Whether an address is one of the internet's: none of this machine, of a private network, shared,
 * link-local or multicast. Other families: no. */
bool weir_transport_peer_is_public(const struct sockaddr *address, size_t size);

#endif
