/* SPDX-License-Identifier: Apache-2.0 */
#include "transport_peer.h"

static CURLcode set_proxy(CURL *easy, const struct weir_transport_target *target)
{
    CURLcode worst = CURLE_OK;
    worst |= curl_easy_setopt(easy, CURLOPT_PROXY, target->proxy == NULL ? "" : target->proxy);
    /* Not NULL, or NO_PROXY of the environment would go past the proxy. */
    worst |=
        curl_easy_setopt(easy, CURLOPT_NOPROXY, target->no_proxy == NULL ? "" : target->no_proxy);
    return worst;
}

CURLcode weir_transport_peer_set(CURL *easy, const struct weir_transport_target *target)
{
    CURLcode worst = set_proxy(easy, target);
    if (target->ca_file != NULL) {
        worst |= curl_easy_setopt(easy, CURLOPT_CAINFO, target->ca_file);
        worst |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* or the system's count as well */
    }
    worst |= curl_easy_setopt(easy, CURLOPT_SSLCERT, target->certificate);
    worst |= curl_easy_setopt(easy, CURLOPT_SSLKEY,
                              target->key == NULL ? target->certificate : target->key);
    worst |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, target->is_insecure ? 0L : 1L);
    worst |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, target->is_insecure ? 0L : 2L);
    return worst;
}
