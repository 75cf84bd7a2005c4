/* SPDX-License-Identifier: Apache-2.0 */
#include "transport_headers.h"
#include <string.h>

static enum weir_status add(struct curl_slist **headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*headers, line);
    if (longer == NULL) {
        return WEIR_ENOMEM;
    }
    *headers = longer;
    return WEIR_OK;
}

static enum weir_status add_all(struct curl_slist **headers, const char *const *lines)
{
    for (size_t i = 0; lines != NULL && lines[i] != NULL; i++) {
        WEIR_TRY(add(headers, lines[i]));
    }
    WEIR_TRY(add(headers, "Accept-Encoding: identity"));
    return add(headers, "Expect:"); /* no 100-continue round trip before each batch */
}

enum weir_status weir_transport_headers_make(const char *const *lines, struct curl_slist **ret)
{
    struct curl_slist *headers = NULL;
    enum weir_status status = add_all(&headers, lines);
    if (status != WEIR_OK) {
        weir_transport_headers_free(headers);
        return status;
    }
    *ret = headers;
    return WEIR_OK;
}

/* One of the lines may be a token, and whoever gave it wipes their own copy only. */
void weir_transport_headers_free(struct curl_slist *headers)
{
    for (struct curl_slist *each = headers; each != NULL; each = each->next) {
        explicit_bzero(each->data, strlen(each->data));
    }
    curl_slist_free_all(headers);
}
