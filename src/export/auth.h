/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_EXPORT_AUTH_H
#define WEIR_EXPORT_AUTH_H

#include "weir/bearer.h"
#include "weir/exporter.h"
#include "weir/oauth.h"

/*
 * What a destination's requests are authorised with, where that changes: a token of OAuth2, or of a
 * file. Its owner thread's, all of it. A destination without either has headers and nothing of
 * this.
 */
struct weir_export_destination;
struct weir_exporter_thread;

/* What one request in flight was sent with; the memory is kept for the next. */
struct weir_export_auth_flight {
    struct weir_transport_target target;
    const char **headers; /* the destination's, and `authorization` last */
    char *authorization;
    size_t capacity;
};

struct weir_export_auth {
    struct weir_oauth *oauth;   /* or */
    struct weir_bearer *bearer; /* or neither */
    struct weir_export_auth_flight *flights;
    size_t header_count; /* of the destination's own */
    bool is_ready;       /* at the last turn: requests may be sent */
    bool is_blocking;    /* has blocked the destination */
    int64_t wake_ns;
    char told[128]; /* the beginning of the trouble that was logged last */
    uint32_t series[WEIR_OAUTH_OUTCOMES];
};

/* Makes it by the options, once the destination's target is made. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_auth_init(struct weir_export_destination *destination);
/* Wipes and frees. No request is in flight any more. */
void weir_auth_done(struct weir_export_destination *destination);
/* Resolves its series: the owner thread. */
void weir_auth_metrics(struct weir_export_destination *destination);

/* Fetches what is due. Whether requests may be sent now; where not, and not for the moment only,
 * the destination is blocked. */
bool weir_auth_turn(struct weir_export_destination *destination, int64_t now_ns);

/* The target for the request in flight at place `slot`. WEIR_ENOMEM; WEIR_EAGAIN: no token now. */
WEIR_MUST_USE enum weir_status weir_auth_target(struct weir_export_destination *destination,
                                                uint32_t slot, int64_t now_ns,
                                                const struct weir_transport_target **ret);

/* What came of that request; wipes what it was sent with. True: it was refused for its token, and
 * another one is, or will soon be, there. */
bool weir_auth_answered(struct weir_export_destination *destination, uint32_t slot,
                        const struct weir_transport_reply *reply, int64_t now_ns);

/* Takes a reply that is a token's; false: it is a parcel's. */
bool weir_auth_reply(struct weir_exporter_thread *thread, const struct weir_transport_reply *reply);

#endif
