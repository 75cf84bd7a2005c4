/* SPDX-License-Identifier: Apache-2.0 */
/* The token that `weir check --connect` sends: fetched or read once, as the exporter would. */
#include "cmd_check.h"
#include "weir/bearer.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include <stdio.h>

enum { FETCHES_MAX = 4 }; /* one a style; no more without a wait */

static char *copy_of(const char *header)
{
    return header == NULL ? NULL : weir_mem_text(header, strlen(header));
}

static char *by_file(const struct weir_config_destination *destination)
{
    struct weir_bearer *bearer;
    if (weir_bearer_new(destination->auth.bearer_file, &bearer) != WEIR_OK) {
        return NULL;
    }
    char *header = copy_of(weir_bearer_header(bearer, 0));
    if (header == NULL) {
        (void)fprintf(stderr, "%s: failed: no token: %s\n", destination->name,
                      weir_bearer_trouble(bearer));
    }
    weir_bearer_free(bearer);
    return header;
}

/* One request for a token, if one is due; false when there is nothing more to ask. */
static bool fetch(const struct weir_transport *transport, struct weir_oauth *oauth)
{
    enum weir_oauth_todo todo;
    struct weir_transport_request request;
    struct weir_transport_reply reply = {.failure = WEIR_TRANSPORT_UNREACHED, .message = "memory"};
    int64_t wake_ns;
    if (weir_oauth_poll(oauth, weir_clock_mono_ns(), &todo, &request, &wake_ns) != WEIR_OK ||
        todo != WEIR_OAUTH_FETCH) {
        return false;
    }
    struct weir_transport_reply got;
    if (weir_transport_exchange(transport, &request, &got) == WEIR_OK) {
        reply = got;
    }
    (void)weir_oauth_reply(oauth, &reply, weir_clock_mono_ns());
    return true;
}

static char *by_oauth(const struct weir_transport *transport,
                      const struct weir_config_destination *destination)
{
    struct weir_oauth *oauth;
    if (weir_oauth_new(destination->oauth, 0, &oauth) != WEIR_OK) {
        return NULL;
    }
    for (int i = 0; i < FETCHES_MAX && fetch(transport, oauth); i++) {
    }
    char *header = copy_of(weir_oauth_header(oauth, weir_clock_mono_ns()));
    if (header == NULL) {
        (void)fprintf(stderr, "%s: failed: no token: %s\n", destination->name,
                      weir_oauth_trouble(oauth));
    }
    weir_oauth_free(oauth);
    return header;
}

bool weir_check_token(const struct weir_transport *transport,
                      const struct weir_config_destination *destination, char **ret_header)
{
    bool has_auth = destination->oauth != NULL || destination->auth.bearer_file != NULL;
    *ret_header = destination->oauth != NULL ? by_oauth(transport, destination)
                  : has_auth                 ? by_file(destination)
                                             : NULL;
    return !has_auth || *ret_header != NULL;
}
