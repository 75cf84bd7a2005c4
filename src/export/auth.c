/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens in the exporter: what connects weir/oauth.h and weir/bearer.h with a destination.
 *
 *   turn ──► oauth: poll ──FETCH──► the thread's transport ──reply──► oauth
 *        ──► a header good now? ──yes──► parcels go, each with a copy of it
 *                               └─no───► none is begun; with a trouble: the machine is blocked
 *
 *   parcel's answer ──401──► rejected: another token to be had? ──yes──► the parcel goes again, as
 *                                                               │        if it had not been sent
 *                                                               └─no───► BLOCKED, as without us
 *
 *   I1  a request in flight has a header list of its own, so that the token may change meanwhile;
 *       it is wiped when the answer is there
 *   I2  a parcel is sent again for its token once, then it takes its answer (parcel.c)
 *   I3  without a token no window begins, and none runs while that blocks the destination
 *   I4  one token request of a destination is out at a time; its user pointer is the destination's
 *       `auth`, which no parcel's can be
 *
 * A token that is only being fetched (at the start, after a revocation) blocks nothing: batches
 * wait for a round trip, and nobody needs to be told. A failed fetch does, with the reason "token".
 * Where an answer has blocked the destination before (401), that reason stays: it is the cause.
 *
 * A token's trouble is logged when it begins, changes and ends, not at each try. Each 401 is
 * logged, too: it costs a request.
 *
 * Tried and dropped: the token in the one target, replaced in place. The transport may
 * look at a request's headers until its answer is there, and which token a 401 speaks of would be
 * unknown.
 */
#include "auth.h"
#include "exporter_internal.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/panic.h"

enum { UNAUTHORIZED = 401, GRPC_UNAUTHENTICATED = 16 };

/* A file may come, and be looked at, once a second. */
#define BEARER_WAIT_NS WEIR_NS_PER_S

static bool has_auth(const struct weir_export_auth *auth)
{
    return auth->oauth != NULL || auth->bearer != NULL;
}

static enum weir_status flights_new(struct weir_export_destination *destination)
{
    struct weir_export_auth *auth = &destination->auth;
    while (destination->headers[auth->header_count] != NULL) {
        auth->header_count++;
    }
    auth->flights = weir_mem_zalloc(WEIR_EXPORT_IN_FLIGHT_MAX, sizeof(*auth->flights));
    if (auth->flights == NULL) {
        return WEIR_ENOMEM;
    }
    for (int i = 0; i < WEIR_EXPORT_IN_FLIGHT_MAX; i++) {
        const char **headers = weir_mem_zalloc(auth->header_count + 2, sizeof(*headers));
        if (headers == NULL) {
            return WEIR_ENOMEM;
        }
        memcpy(headers, destination->headers, auth->header_count * sizeof(*headers));
        auth->flights[i].headers = headers;
    }
    return WEIR_OK;
}

enum weir_status weir_auth_init(struct weir_export_destination *destination)
{
    const struct weir_destination_options *options = destination->options;
    struct weir_export_auth *auth = &destination->auth;
    if (options->oauth != NULL) {
        uint64_t seed;
        weir_rand_system(&seed, sizeof(seed));
        WEIR_TRY(weir_oauth_new(options->oauth, seed, &auth->oauth));
    } else if (options->bearer_file != NULL) {
        WEIR_TRY(weir_bearer_new(options->bearer_file, &auth->bearer));
    }
    return has_auth(auth) ? flights_new(destination) : WEIR_OK;
}

static void flight_wipe(struct weir_export_auth_flight *flight)
{
    if (flight->authorization != NULL) {
        explicit_bzero(flight->authorization, flight->capacity);
    }
}

void weir_auth_done(struct weir_export_destination *destination)
{
    struct weir_export_auth *auth = &destination->auth;
    for (int i = 0; auth->flights != NULL && i < WEIR_EXPORT_IN_FLIGHT_MAX; i++) {
        flight_wipe(&auth->flights[i]);
        weir_mem_free(auth->flights[i].authorization);
        weir_mem_free(auth->flights[i].headers);
    }
    weir_mem_free(auth->flights);
    weir_oauth_free(auth->oauth);
    weir_bearer_free(auth->bearer);
}

void weir_auth_metrics(struct weir_export_destination *destination)
{
    static const char *const outcomes[WEIR_OAUTH_OUTCOMES] = {
        [WEIR_OAUTH_TOKEN] = "token",
        [WEIR_OAUTH_REFUSED] = "refused",
        [WEIR_OAUTH_UNREACHED] = "unreached",
    };
    for (int i = 0; destination->auth.oauth != NULL && i < WEIR_OAUTH_OUTCOMES; i++) {
        const struct weir_bytes labels[] = {weir_bytes_str(destination->options->name),
                                            weir_bytes_str(outcomes[i])};
        destination->auth.series[i] = weir_metrics_series(WEIR_M_OAUTH_REQUESTS, labels);
    }
}

/* -- a turn -------------------------------------------------------------------------------- */

static const char *trouble_of(const struct weir_export_auth *auth)
{
    return auth->oauth != NULL ? weir_oauth_trouble(auth->oauth)
                               : weir_bearer_trouble(auth->bearer);
}

static const char *header_of(struct weir_export_auth *auth, int64_t now_ns)
{
    return auth->oauth != NULL ? weir_oauth_header(auth->oauth, now_ns)
                               : weir_bearer_header(auth->bearer, now_ns);
}

/* Logs a trouble that is not the one that was told last. */
static void tell(struct weir_export_destination *destination)
{
    struct weir_export_auth *auth = &destination->auth;
    const char *trouble = trouble_of(auth);
    size_t size = strnlen(trouble, sizeof(auth->told) - 1);
    if (strncmp(auth->told, trouble, sizeof(auth->told) - 1) == 0) {
        return;
    }
    weir_log(size > 0 ? WEIR_LOG_WARN : WEIR_LOG_INFO, size > 0 ? "token trouble" : "token again",
             WEIR_LOG_STR("destination", destination->options->name),
             WEIR_LOG_STR("message", trouble));
    memcpy(auth->told, trouble, size);
    auth->told[size] = '\0';
}

/* Sends the token request that is due, if one is. */
static void fetch(struct weir_export_destination *destination, int64_t now_ns)
{
    struct weir_export_auth *auth = &destination->auth;
    const struct weir_transport *transport = &destination->owner->transport;
    struct weir_transport_request request;
    enum weir_oauth_todo todo;
    if (weir_oauth_poll(auth->oauth, now_ns, &todo, &request, &auth->wake_ns) != WEIR_OK) {
        auth->wake_ns = now_ns; /* what it waits for now, the next turn asks */
        return;
    }
    if (todo != WEIR_OAUTH_FETCH) {
        return;
    }
    request.user = auth;
    enum weir_status status = transport->send(transport->self, &request);
    if (status != WEIR_OK) {
        const struct weir_transport_reply none = {.failure = WEIR_TRANSPORT_UNREACHED,
                                                  .retry_after_ns = -1,
                                                  .message = weir_status_text(status)};
        enum weir_oauth_outcome outcome = weir_oauth_reply(auth->oauth, &none, now_ns);
        weir_metrics_add(auth->series[outcome], 1);
        auth->wake_ns = now_ns;
    }
}

/* Makes known to the machine whether the lack of a token blocks it. */
static void block(struct weir_export_destination *destination, bool is_blocking, int64_t now_ns)
{
    struct weir_export_auth *auth = &destination->auth;
    enum weir_destination_state was = destination->machine.state;
    if (is_blocking && was != WEIR_DESTINATION_BLOCKED) {
        weir_destination_block(&destination->machine, true, now_ns);
        weir_export_metrics_blocked(destination, was, "token", trouble_of(auth));
    } else if (!is_blocking && auth->is_blocking) {
        weir_destination_block(&destination->machine, false, now_ns);
    }
    auth->is_blocking = is_blocking;
}

bool weir_auth_turn(struct weir_export_destination *destination, int64_t now_ns)
{
    struct weir_export_auth *auth = &destination->auth;
    if (!has_auth(auth)) {
        return true;
    }
    auth->wake_ns = now_ns + BEARER_WAIT_NS;
    if (auth->oauth != NULL) {
        fetch(destination, now_ns);
    }
    auth->is_ready = header_of(auth, now_ns) != NULL;
    tell(destination);
    block(destination, !auth->is_ready && trouble_of(auth)[0] != '\0', now_ns);
    return auth->is_ready;
}

bool weir_auth_reply(struct weir_exporter_thread *thread, const struct weir_transport_reply *reply)
{
    for (struct weir_export_destination *own = weir_slot_next(thread, NULL); own != NULL;
         own = weir_slot_next(thread, own)) {
        struct weir_export_auth *auth = &own->auth;
        if (reply->user == auth) {
            enum weir_oauth_outcome outcome =
                weir_oauth_reply(auth->oauth, reply, weir_clock_mono_ns());
            weir_metrics_add(auth->series[outcome], 1);
            return true;
        }
    }
    return false;
}

/* -- a request ----------------------------------------------------------------------------- */

/* Copies the header, into memory that is kept at the size of the longest. */
static enum weir_status keep_header(struct weir_export_auth_flight *flight, const char *header)
{
    size_t size = strlen(header) + 1;
    if (size > flight->capacity) {
        char *larger = weir_mem_alloc(size);
        if (larger == NULL) {
            return WEIR_ENOMEM;
        }
        weir_mem_free(flight->authorization); /* wiped when its answer came */
        flight->authorization = larger;
        flight->capacity = size;
    }
    memcpy(flight->authorization, header, size);
    return WEIR_OK;
}

enum weir_status weir_auth_target(struct weir_export_destination *destination, uint32_t slot,
                                  int64_t now_ns, const struct weir_transport_target **ret)
{
    struct weir_export_auth *auth = &destination->auth;
    if (!has_auth(auth)) {
        *ret = &destination->target;
        return WEIR_OK;
    }
    const char *header = header_of(auth, now_ns);
    if (header == NULL) {
        auth->is_ready = false; /* it has ended since the turn began, which the next one sees */
        auth->wake_ns = now_ns;
        return WEIR_EAGAIN;
    }
    struct weir_export_auth_flight *flight = &auth->flights[slot];
    WEIR_TRY(keep_header(flight, header));
    flight->headers[auth->header_count] = flight->authorization;
    flight->target = destination->target;
    flight->target.headers = flight->headers;
    *ret = &flight->target;
    return WEIR_OK;
}

static bool is_unauthorized(const struct weir_transport_reply *reply)
{
    bool is_grpc = reply->has_grpc_status && reply->grpc_status == GRPC_UNAUTHENTICATED;
    return reply->failure == WEIR_TRANSPORT_ANSWERED && (reply->status == UNAUTHORIZED || is_grpc);
}

bool weir_auth_answered(struct weir_export_destination *destination, uint32_t slot,
                        const struct weir_transport_reply *reply, int64_t now_ns)
{
    struct weir_export_auth *auth = &destination->auth;
    if (!has_auth(auth)) {
        return false;
    }
    struct weir_export_auth_flight *flight = &auth->flights[slot];
    bool is_worth_a_try = false;
    if (is_unauthorized(reply)) {
        weir_log(WEIR_LOG_WARN, "token rejected",
                 WEIR_LOG_STR("destination", destination->options->name));
        is_worth_a_try = auth->oauth != NULL
                             ? weir_oauth_rejected(auth->oauth, flight->authorization, now_ns)
                             : weir_bearer_rejected(auth->bearer, flight->authorization, now_ns);
    } else if (auth->oauth != NULL && reply->failure == WEIR_TRANSPORT_ANSWERED) {
        weir_oauth_accepted(auth->oauth, flight->authorization);
    }
    flight_wipe(flight);
    return is_worth_a_try;
}
