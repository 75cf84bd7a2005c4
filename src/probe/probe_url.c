/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_internal.h"
#include <curl/curl.h>

enum { URL_MAX = 1000 }; /* Firehose's own limit */

/* One part of a URL into `out`; false: absent, or too long. */
static bool take_part(CURLU *url, CURLUPart part, unsigned flags, char *out, size_t size)
{
    char *text = NULL;
    bool is_good = curl_url_get(url, part, &text, flags) == CURLUE_OK && strlen(text) < size;
    if (is_good) {
        memcpy(out, text, strlen(text) + 1);
    }
    curl_free(text);
    return is_good;
}

/* "[::1]" as "::1". */
static void strip_brackets(char *host)
{
    size_t size = strlen(host);
    if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        memmove(host, host + 1, size - 2);
        host[size - 2] = 0;
    }
}

static bool is_port(const char *text)
{
    unsigned value = 0;
    size_t size = strlen(text);
    for (size_t i = 0; i < size && i < 6; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    return size > 0 && size <= 5 && value > 0 && value <= 65535;
}

static bool is_address(const char *host)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    bool is_one = getaddrinfo(host, NULL, &hints, &found) == 0;
    if (is_one) {
        freeaddrinfo(found);
    }
    return is_one;
}

/* "host:port", "[::1]:port". */
static bool take_connect_to(const char *text, struct weir_probe_target *target)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || !is_port(colon + 1) ||
        (size_t)(colon - text) >= sizeof target->connect_host) {
        return false;
    }
    memcpy(target->connect_host, text, (size_t)(colon - text));
    target->connect_host[colon - text] = 0;
    strip_brackets(target->connect_host);
    memcpy(target->connect_port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static bool take_url(CURLU *handle, const char *text, struct weir_probe_target *target)
{
    char scheme[8] = "";
    char unwanted[256] = "";
    if (curl_url_set(handle, CURLUPART_URL, text, 0) != CURLUE_OK ||
        !take_part(handle, CURLUPART_SCHEME, 0, scheme, sizeof scheme) ||
        !take_part(handle, CURLUPART_HOST, 0, target->host, sizeof target->host) ||
        !take_part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT, target->port, sizeof target->port) ||
        take_part(handle, CURLUPART_USER, 0, unwanted, sizeof unwanted)) {
        return false;
    }
    strip_brackets(target->host);
    target->is_tls = strcmp(scheme, "https") == 0;
    target->is_address = is_address(target->host);
    return target->is_tls || strcmp(scheme, "http") == 0;
}

enum weir_status weir_probe_target_parse(const char *url, const char *connect_to,
                                         struct weir_probe_target *ret)
{
    struct weir_probe_target target = {0};
    size_t size = strlen(url);
    for (size_t i = 0; i < size; i++) {
        if (url[i] <= ' ' || url[i] == 0x7f || (unsigned char)url[i] >= 0x80) {
            return WEIR_EINVAL;
        }
    }
    CURLU *handle = size > URL_MAX ? NULL : curl_url();
    if (handle == NULL) {
        return size > URL_MAX ? WEIR_EINVAL : WEIR_ENOMEM;
    }
    bool is_good = take_url(handle, url, &target);
    curl_url_cleanup(handle);
    if (!is_good) {
        return WEIR_EINVAL;
    }
    memcpy(target.connect_host, target.host, sizeof target.connect_host);
    memcpy(target.connect_port, target.port, sizeof target.connect_port);
    if (connect_to != NULL && !take_connect_to(connect_to, &target)) {
        return WEIR_EINVAL;
    }
    *ret = target;
    return WEIR_OK;
}
