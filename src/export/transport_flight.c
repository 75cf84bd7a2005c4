/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of the transport (transport.c): an easy handle, what it is set to, what comes back,
 * and what that is called.
 *
 *   idle ──make: request, headers, options──► flies ──callbacks: body, header lines, heads──► read
 *
 *   I1  everything that differs between targets is set for each request; what cannot be set back is
 *       reset (set_anew)
 *   I2  no socket is made for a link-local address, and no request sent on one, unless the target
 *       allows it; so neither a name that resolves to one, nor a proxy, nor a connection that was
 *       kept for another target leads there
 *
 * What was seen of a failed request decides what is said of it. A status, once received, is an
 * answer, whatever became of the body: a 200 whose body broke off is a delivery. Without a status:
 * if no byte of the request can have left (no connection, no name, no handshake, no tunnel through
 * the proxy) it is UNREACHED; in doubt it is LOST. A proxy's 407 is given on as an answer, since it
 * blocks like one; its other refusals say nothing of the batch.
 *
 * libcurl by itself sends a request again on a fresh connection when a kept one dies without a byte
 * of answer. The backend may have taken it, so this is a repeat; the debug callback counts request
 * heads to notice it. Kept connections are dropped after IDLE_MAX_S, before most backends drop
 * them, to make it rare.
 *
 * HTTP/1.1 on purpose: batches are few and large, and several on one HTTP/2 connection would share
 * its flow control. gRPC leaves no choice: its requests wait for a connection and share it
 * (PIPEWAIT), through a proxy by CONNECT only; but libcurl before 8.0 (curl's pull request 10643)
 * breaks a connection with prior knowledge at its second request, so without TLS each has its own.
 * Without trailers (trailers.h) a 200 is a lost answer, unless it ended as it should. A stream that
 * was refused unseen (REFUSED_STREAM, beyond a GOAWAY) is sent again by libcurl.
 *
 * Response bodies are never compressed, so the cap bounds memory: identity is
 * asked for, since without Accept-Encoding any coding is allowed, and a partial success in gzip
 * would go unseen.
 *
 * Memory: a response body grows to at most WEIR_TRANSPORT_BODY_MAX, the rest is read and dropped.
 * An answer without an end is cut off, with its connection, and its status counts. The thread of
 * its transport; nothing blocks.
 *
 * Not done: signing, tokens (the target's headers carry them), proxies' authentication.
 */
#include "transport_flight.h"
#include "transport_headers.h"
#include "transport_peer.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/panic.h"

enum {
    PROXY_AUTHENTICATION = 407,
    CONNECT_TIMEOUT_MS = 10000,
    IDLE_MAX_S = 50,
    REUSE_SINCE = 0x080000, /* of connections with prior knowledge */
    /* Of an answer, until it is cut off with its connection: libcurl keeps all lines in memory,
     * trailers without a bound, and a body without end takes a thread's time. */
    LINES_BYTES_MAX = 256 << 10,
    DROPPED_BYTES_MAX = 4 << 20
};

/* libcurl's write callback: keeps the beginning, swallows the rest within reason. */
static size_t take_body(char *data, size_t unit, size_t count, void *user)
{
    struct weir_transport_flight *flight = user;
    size_t offered = unit * count;
    size_t room = WEIR_TRANSPORT_BODY_MAX - flight->body_size;
    size_t kept = offered < room ? offered : room;
    if (flight->body_size + kept > flight->body_capacity) {
        size_t capacity = flight->body_capacity == 0 ? 1024 : flight->body_capacity;
        while (capacity < flight->body_size + kept) {
            capacity *= 2;
        }
        uint8_t *grown = weir_mem_resize(flight->body, capacity, 1);
        if (grown == NULL) {
            return offered; /* the status counts; words may be missing */
        }
        flight->body = grown;
        flight->body_capacity = capacity;
    }
    if (kept > 0) {
        memcpy(flight->body + flight->body_size, data, kept);
        flight->body_size += kept;
    }
    flight->dropped_bytes += offered - kept;
    return flight->dropped_bytes <= DROPPED_BYTES_MAX ? offered : 0;
}

/* libcurl's header callback, for trailers too. */
static size_t take_header(char *data, size_t unit, size_t count, void *user)
{
    struct weir_transport_flight *flight = user;
    if (flight->request.target->is_grpc) {
        weir_trailers_take(flight->trailers, weir_bytes_of(data, unit * count));
    }
    flight->lines_bytes += unit * count;
    return flight->lines_bytes <= LINES_BYTES_MAX ? unit * count : 0;
}

/* libcurl's debug callback: one HEADER_OUT a request head that is sent. */
static int count_heads(CURL *easy, curl_infotype type, char *data, size_t size, void *user)
{
    (void)easy;
    struct weir_transport_flight *flight = user;
    if (type == CURLINFO_HEADER_OUT) {
        bool is_tunnel = weir_bytes_starts_with(weir_bytes_of(data, size), WEIR_BYTES("CONNECT "));
        *(is_tunnel ? &flight->tunnels_sent : &flight->heads_sent) += 1;
    }
    return 0;
}

void weir_transport_flight_free(struct weir_transport_flight *flight)
{
    if (flight->easy != NULL) {
        curl_easy_cleanup(flight->easy);
    }
    weir_transport_headers_free(flight->headers);
    weir_mem_free(flight->trailers);
    weir_mem_free(flight->body);
    weir_mem_free(flight);
}

/* What is the same for every request. */
static CURLcode set_fixed(struct weir_transport_flight *flight)
{
    CURL *easy = flight->easy;
    CURLcode worst = CURLE_OK;
    worst |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    worst |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    worst |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    worst |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    worst |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "Weir/" WEIR_VERSION);
    worst |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_MAX_S);
    worst |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    worst |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, flight);
    worst |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    worst |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, flight);
    worst |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, flight->error);
    worst |= curl_easy_setopt(easy, CURLOPT_PRIVATE, flight);
    worst |= curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    worst |= curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, count_heads);
    worst |= curl_easy_setopt(easy, CURLOPT_DEBUGDATA, flight);
    worst |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, flight->upload_bytes);
    return worst;
}

/* A handle that has had a CA file of its own would go on with it; there is no way back to the
 * system's but a reset, after which everything has to be set again. */
static CURLcode set_anew(struct weir_transport_flight *flight)
{
    bool has_ca = flight->request.target->ca_file != NULL;
    bool is_clean = flight->is_set && (has_ca || !flight->has_ca);
    flight->has_ca = has_ca;
    if (is_clean) {
        return CURLE_OK;
    }
    curl_easy_reset(flight->easy);
    flight->is_set = set_fixed(flight) == CURLE_OK;
    return flight->is_set ? CURLE_OK : CURLE_FAILED_INIT;
}

static CURLcode set_version(CURL *easy, const struct weir_transport_target *target)
{
    bool is_tls = strncmp(target->url, "https:", 6) == 0;
    long version = !target->is_grpc ? CURL_HTTP_VERSION_1_1
                   : is_tls         ? CURL_HTTP_VERSION_2TLS
                                    : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    CURLcode worst = CURLE_OK;
    bool is_broken = version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE &&
                     curl_version_info(CURLVERSION_NOW)->version_num < REUSE_SINCE;
    worst |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version);
    worst |= curl_easy_setopt(easy, CURLOPT_PIPEWAIT, target->is_grpc && !is_broken ? 1L : 0L);
    worst |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, is_broken ? 1L : 0L);
    worst |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, is_broken ? 1L : 0L);
    worst |= curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, target->is_grpc ? 1L : 0L);
    return worst;
}

static CURLcode set_request(struct weir_transport_flight *flight)
{
    CURL *easy = flight->easy;
    const struct weir_transport_target *target = flight->request.target;
    long timeout_ms = (long)((target->timeout_ns + WEIR_NS_PER_MS - 1) / WEIR_NS_PER_MS);
    long connect_ms = timeout_ms < CONNECT_TIMEOUT_MS ? timeout_ms : CONNECT_TIMEOUT_MS;
    CURLcode worst = set_version(easy, target);
    worst |= curl_easy_setopt(easy, CURLOPT_URL, target->url);
    worst |= weir_transport_peer_set(easy, target);
    worst |= weir_transport_peer_guard(easy, target, &flight->met_link_local);
    worst |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    worst |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    worst |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, flight->headers);
    worst |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
    worst |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, target->method); /* NULL: as it is */
    /* Not NULL even when empty, or libcurl would read the body from standard input. */
    worst |= curl_easy_setopt(
        easy, CURLOPT_POSTFIELDS,
        flight->request.body.size == 0 ? "" : (const char *)flight->request.body.data);
    worst |=
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)flight->request.body.size);
    return worst;
}

static enum weir_status clear_trailers(struct weir_transport_flight *flight)
{
    if (flight->request.target->is_grpc && flight->trailers == NULL) {
        flight->trailers = weir_mem_alloc(sizeof(*flight->trailers));
    }
    if (flight->trailers != NULL) {
        weir_trailers_clear(flight->trailers);
    }
    return flight->trailers != NULL || !flight->request.target->is_grpc ? WEIR_OK : WEIR_ENOMEM;
}

enum weir_status weir_transport_flight_make(struct weir_transport_flight *flight,
                                            const struct weir_transport_request *request)
{
    flight->request = *request;
    flight->body_size = 0;
    flight->dropped_bytes = 0;
    flight->lines_bytes = 0;
    flight->heads_sent = 0;
    flight->tunnels_sent = 0;
    flight->met_link_local = false;
    flight->error[0] = '\0';
    flight->begun_ns = weir_clock_mono_ns();
    WEIR_TRY(clear_trailers(flight));
    WEIR_TRY(weir_transport_headers_make(request->target->headers, &flight->headers));
    return set_anew(flight) == CURLE_OK && set_request(flight) == CURLE_OK ? WEIR_OK : WEIR_EINVAL;
}

/* Whether no byte of the request can have left. */
static bool nothing_sent(CURL *easy)
{
    long head_size = 0;
    curl_off_t uploaded = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &head_size);
    (void)curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    return head_size == 0 && uploaded == 0;
}

static enum weir_transport_failure classify(const struct weir_transport_flight *flight,
                                            CURLcode code)
{
    /* A switch over CURLcode would have to name its hundred values. */
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
        code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_CERTPROBLEM) {
        return WEIR_TRANSPORT_UNTRUSTED;
    }
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
        return WEIR_TRANSPORT_REFUSED;
    }
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
        code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_SSL_CONNECT_ERROR ||
        (flight->heads_sent == 0 && (flight->tunnels_sent > 0 || nothing_sent(flight->easy)))) {
        return WEIR_TRANSPORT_UNREACHED;
    }
    return code == CURLE_OPERATION_TIMEDOUT ? WEIR_TRANSPORT_TIMEOUT : WEIR_TRANSPORT_LOST;
}

void weir_transport_flight_read(const struct weir_transport_flight *flight, CURLcode code,
                                struct weir_transport_reply *ret)
{
    long status = 0;
    long tunnel = 0;
    curl_off_t retry_after_s = 0;
    (void)curl_easy_getinfo(flight->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(flight->easy, CURLINFO_HTTP_CONNECTCODE, &tunnel);
    if (flight->heads_sent == 0) {
        status = tunnel == PROXY_AUTHENTICATION ? tunnel : 0; /* the proxy's, not the backend's */
    }
    (void)curl_easy_getinfo(flight->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    const struct weir_trailers *trailers =
        flight->request.target->is_grpc ? flight->trailers : NULL;
    bool is_cut = trailers != NULL && !trailers->has_status && code != CURLE_OK;
    bool answered = status >= 200 && !(is_cut && status == 200);
    bool asked = retry_after_s > 0 && retry_after_s <= INT64_MAX / WEIR_NS_PER_S;
    *ret = (struct weir_transport_reply){
        .user = flight->request.user,
        .failure = answered ? WEIR_TRANSPORT_ANSWERED : classify(flight, code),
        .status = answered ? (int)status : 0,
        .retry_after_ns = asked ? (int64_t)retry_after_s * WEIR_NS_PER_S : -1,
        .body = weir_bytes_of(flight->body, flight->body_size),
        .message = flight->error[0] != '\0' ? flight->error : curl_easy_strerror(code),
        .duration_ns = weir_clock_mono_ns() - flight->begun_ns,
        .repeats = flight->heads_sent > 1 ? flight->heads_sent - 1 : 0,
    };
    if (flight->met_link_local && ret->failure == WEIR_TRANSPORT_UNREACHED) {
        ret->is_private = flight->request.target->public_only;
        ret->is_link_local = !ret->is_private;
        ret->message = ret->is_private
                           ? "the address is not public, and tenants.hosts has its host by a star"
                           : "the address is link-local, and allow_link_local is not set";
    }
    if (trailers != NULL) {
        ret->has_grpc_status = trailers->has_status;
        ret->is_grpc = trailers->is_grpc;
        ret->grpc_status = trailers->status;
        ret->grpc_message = weir_bytes_of(trailers->message, trailers->message_size);
        ret->grpc_details = weir_bytes_of(trailers->details, trailers->details_size);
    }
}
