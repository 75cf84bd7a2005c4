/* SPDX-License-Identifier: Apache-2.0 */
#include "load/hint.h"
#include "load/results.h"
#include "weir/clock.h"
#include <stdio.h>

enum { SHOWN_MAX = 300 };

static const char *hint_of_code(int status)
{
    switch (status) {
    case 401:
    case 403: return "is it the right access key? (--key-file FILE, or WEIR_ACCESS_KEY)";
    case 404:
    case 405: return "is it the right URL, and a gateway that answers there?";
    case 413: return "a request is larger than what answers takes, and is dropped (--buffer-size)";
    case 408:
    case 429: return NULL;
    default: return status >= 400 && status < 500 ? "it will hardly change its mind" : NULL;
    }
}

const char *weir_load_hint(const struct weir_transport_reply *reply)
{
    switch (reply->failure) {
    case WEIR_TRANSPORT_ANSWERED: return hint_of_code(reply->status);
    case WEIR_TRANSPORT_UNTRUSTED: return "--ca-file FILE names authorities to trust";
    case WEIR_TRANSPORT_UNREACHED: return "does anything listen there?";
    case WEIR_TRANSPORT_LOST:
    case WEIR_TRANSPORT_TIMEOUT:
    case WEIR_TRANSPORT_REFUSED: break;
    }
    return NULL;
}

void weir_load_hint_once(struct weir_load_run *run, const struct weir_transport_reply *reply)
{
    const char *hint = weir_load_hint(reply);
    /* relaxed: partner is the same line in other threads; nothing else is told by it */
    if (hint == NULL || atomic_exchange_explicit(&run->hinted, true, memory_order_relaxed)) {
        return;
    }
    char what[SHOWN_MAX + 64];
    if (reply->failure == WEIR_TRANSPORT_ANSWERED) {
        int size = (int)(reply->body.size < SHOWN_MAX ? reply->body.size : SHOWN_MAX);
        (void)snprintf(what, sizeof what, "answered %d %.*s", reply->status, size,
                       size == 0 ? "" : (const char *)reply->body.data);
    } else {
        (void)snprintf(what, sizeof what, "%s: %.*s", weir_load_results_failure(reply->failure),
                       SHOWN_MAX, reply->message == NULL ? "" : reply->message);
    }
    for (char *at = what; *at != '\0'; at++) {
        *at = *at < ' ' ? ' ' : *at;
    }
    (void)fprintf(stderr, "weir-load: %s\nweir-load: %s\n", what, hint);
    if (reply->status != 413) {
        (void)fprintf(stderr,
                      "weir-load: each request is tried again for %.6g s, as Firehose does "
                      "(--retry-window); Ctrl-C twice ends it\n",
                      (double)run->options->retry_window_ns / (double)WEIR_NS_PER_S);
    }
}
