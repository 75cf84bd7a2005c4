/* SPDX-License-Identifier: Apache-2.0 */
#include "transport_peer.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

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
    long version = target->min_tls == WEIR_MIN_TLS_1_3 ? (long)CURL_SSLVERSION_TLSv1_3
                                                       : (long)CURL_SSLVERSION_TLSv1_2;
    worst |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, version);
    worst |= curl_easy_setopt(easy, CURLOPT_SSLCERT, target->certificate);
    worst |= curl_easy_setopt(easy, CURLOPT_SSLKEY,
                              target->key == NULL ? target->certificate : target->key);
    worst |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, target->is_insecure ? 0L : 1L);
    worst |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, target->is_insecure ? 0L : 2L);
    return worst;
}

static bool is_v4_link_local(const uint8_t *address)
{
    return address[0] == 169 && address[1] == 254;
}

static bool is_v6_link_local(const uint8_t address[16])
{
    static const uint8_t metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool is_v4 = memcmp(address, mapped, sizeof(mapped)) == 0;
    return (address[0] == 0xfe && (address[1] & 0xc0) == 0x80) ||
           memcmp(address, metadata, sizeof(metadata)) == 0 ||
           (is_v4 && is_v4_link_local(address + sizeof(mapped)));
}

bool weir_transport_peer_is_link_local(const struct sockaddr *address, size_t size)
{
    if (address->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        return is_v4_link_local((const uint8_t *)&v4.sin_addr);
    }
    if (address->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        return is_v6_link_local(v6.sin6_addr.s6_addr);
    }
    return false;
}

static curl_socket_t open_it(const struct curl_sockaddr *address)
{
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* libcurl's opensocket callback: before each connect. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    bool *met = user;
    bool is_refused = weir_transport_peer_is_link_local(&address->addr, address->addrlen);
    *met = *met || is_refused;
    return is_refused ? CURL_SOCKET_BAD : open_it(address);
}

/* The same for targets that may reach the internet only. */
static curl_socket_t open_public(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    bool *met = user;
    bool is_public = weir_transport_peer_is_public(&address->addr, address->addrlen);
    *met = *met || !is_public;
    return is_public ? open_it(address) : CURL_SOCKET_BAD;
}

/* The address in words that libcurl has for a connection; of no family where it is none. */
static size_t read_address(const char *text, struct sockaddr_storage *ret)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    *ret = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(ret, &v4, sizeof(v4));
        return sizeof(v4);
    }
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(ret, &v6, sizeof(v6));
        return sizeof(v6);
    }
    return sizeof(*ret);
}

/* libcurl's callback before a request goes out, on a new connection or on one that was kept,
 * perhaps for a target that is allowed more. */
static int before_request(void *user, char *address, char *own, int port, int own_port)
{
    (void)own;
    (void)port;
    (void)own_port;
    bool *met = user;
    struct sockaddr_storage peer;
    size_t size = read_address(address, &peer);
    bool is_refused = weir_transport_peer_is_link_local((const struct sockaddr *)&peer, size);
    *met = *met || is_refused;
    return is_refused ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static int before_public(void *user, char *address, char *own, int port, int own_port)
{
    (void)own;
    (void)port;
    (void)own_port;
    bool *met = user;
    struct sockaddr_storage peer;
    size_t size = read_address(address, &peer);
    bool is_public = weir_transport_peer_is_public((const struct sockaddr *)&peer, size);
    *met = *met || !is_public;
    return is_public ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

CURLcode weir_transport_peer_guard(CURL *easy, const struct weir_transport_target *target,
                                   bool *met)
{
    bool is_open = target->allow_link_local && !target->public_only;
    curl_opensocket_callback opens = target->public_only ? open_public : open_socket;
    curl_prereq_callback looks = target->public_only ? before_public : before_request;
    CURLcode worst = CURLE_OK;
    worst |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, is_open ? NULL : opens);
    worst |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, met);
    worst |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, is_open ? NULL : looks);
    worst |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, met);
    return worst;
}
