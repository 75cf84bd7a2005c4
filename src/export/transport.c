/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transport over libcurl's multi interface.
 *
 *   send ──► flight (easy handle, header list, body so far) ──► multi ──► done ──► reply ──► idle
 *               ▲                                                                              │
 *               └────────────────────────── reused, with its easy handle ──────────────────────┘
 *
 * Connections belong to the multi handle and outlive the flights, so keep-alive works across
 * requests.
 *
 *   I1  a flight is in `flying` (known to the multi handle), in `idle`, or it is `last`
 *   I2  what the last reply points to lives in `last`, which turns idle with the next call
 *   I3  a request that is cancelled is no longer known to libcurl, and what it points to is not
 *       looked at again; its connection is closed
 *
 * What a request says and what is made of its answer is in transport_flight.c.
 *
 * Memory: one flight a request in flight, kept. libcurl allocates for itself. One thread at a time;
 * nothing blocks: names are resolved by libcurl's own thread, which QUICK_EXIT leaves behind rather
 * than waits for.
 */
#include "weir/transport.h"
#include "transport_flight.h"
#include "transport_headers.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <curl/curl.h>

/* Kept; past that a connection is closed as soon as it is idle. */
enum { CONNECTIONS_MAX = 1024 };

/* libcurl sends one buffer a turn. With 512 KiB instead of its 64 a body of 3 MiB takes 10 calls of
 * the kernel to send and 16 to wait instead of 69 and 105, and 0.7 of the processor time. A buffer
 * is libcurl's as long as its request is in flight and on nobody's account, so only so many are
 * large. */
enum { UPLOAD_LARGE = 512 << 10, UPLOAD_USUAL = 64 << 10, UPLOADS_LARGE_MAX = 8 };

struct curl_transport {
    CURLM *multi;
    struct weir_transport_flight *flying;
    struct weir_transport_flight *idle;
    struct weir_transport_flight *last;
    int flying_count;
    int large_count; /* flights with a large buffer */
};

enum weir_status weir_transport_curl_global(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? WEIR_OK : WEIR_EIO;
}

/* An idle flight or a new one, or NULL. */
static struct weir_transport_flight *flight_take(struct curl_transport *transport)
{
    struct weir_transport_flight *flight = transport->idle;
    if (flight != NULL) {
        transport->idle = flight->next;
        flight->next = NULL;
        return flight;
    }
    flight = weir_mem_zalloc(1, sizeof(*flight));
    if (flight == NULL) {
        return NULL;
    }
    flight->easy = curl_easy_init();
    if (flight->easy == NULL) {
        weir_mem_free(flight);
        return NULL;
    }
    bool is_large = transport->large_count < UPLOADS_LARGE_MAX;
    transport->large_count += is_large ? 1 : 0;
    flight->upload_bytes = is_large ? UPLOAD_LARGE : UPLOAD_USUAL;
    return flight;
}

static void flight_give(struct curl_transport *transport, struct weir_transport_flight *flight)
{
    (void)curl_easy_setopt(flight->easy, CURLOPT_HTTPHEADER, NULL);
    weir_transport_headers_free(flight->headers);
    if (flight->body_size > 0) {
        explicit_bzero(flight->body, flight->body_size); /* it may be a token */
    }
    flight->headers = NULL;
    flight->next = transport->idle;
    transport->idle = flight;
}

static void release_last(struct curl_transport *transport)
{
    if (transport->last != NULL) {
        flight_give(transport, transport->last);
        transport->last = NULL;
    }
}

static enum weir_status transport_send(void *self, const struct weir_transport_request *request)
{
    struct curl_transport *transport = self;
    WEIR_ASSERT(request->target->timeout_ns > 0);
    release_last(transport);
    struct weir_transport_flight *flight = flight_take(transport);
    if (flight == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = weir_transport_flight_make(flight, request);
    if (status == WEIR_OK && curl_multi_add_handle(transport->multi, flight->easy) != CURLM_OK) {
        status = WEIR_ENOMEM;
    }
    if (status != WEIR_OK) {
        flight_give(transport, flight);
        return status;
    }
    flight->next = transport->flying;
    transport->flying = flight;
    transport->flying_count++;
    return WEIR_OK;
}

static enum weir_status transport_wait(void *self, int wake_fd, int timeout_ms)
{
    struct curl_transport *transport = self;
    release_last(transport);
    int running = 0;
    if (curl_multi_perform(transport->multi, &running) != CURLM_OK) {
        return WEIR_EIO;
    }
    if (running < transport->flying_count) {
        return WEIR_OK; /* something has finished: do not sleep over it */
    }
    struct curl_waitfd bell = {.fd = wake_fd, .events = CURL_WAIT_POLLIN, .revents = 0};
    if (curl_multi_poll(transport->multi, wake_fd < 0 ? NULL : &bell, wake_fd < 0 ? 0 : 1,
                        timeout_ms, NULL) != CURLM_OK) {
        return WEIR_EIO;
    }
    return curl_multi_perform(transport->multi, &running) == CURLM_OK ? WEIR_OK : WEIR_EIO;
}

static void unlink_flying(struct curl_transport *transport,
                          const struct weir_transport_flight *flight)
{
    struct weir_transport_flight **place = &transport->flying;
    while (*place != flight) {
        WEIR_ASSERT(*place != NULL);
        place = &(*place)->next;
    }
    *place = flight->next;
    transport->flying_count--;
}

static enum weir_status transport_reply(void *self, struct weir_transport_reply *ret)
{
    struct curl_transport *transport = self;
    release_last(transport);
    int left = 0;
    const CURLMsg *message = curl_multi_info_read(transport->multi, &left);
    while (message != NULL && message->msg != CURLMSG_DONE) {
        message = curl_multi_info_read(transport->multi, &left);
    }
    if (message == NULL) {
        return WEIR_EEND;
    }
    CURLcode code = message->data.result; /* the message is gone with the handle */
    CURL *easy = message->easy_handle;
    struct weir_transport_flight *flight = NULL;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&flight);
    WEIR_ASSERT(flight != NULL);
    (void)curl_multi_remove_handle(transport->multi, easy);
    unlink_flying(transport, flight);
    transport->last = flight;
    weir_transport_flight_read(flight, code, ret);
    return WEIR_OK;
}

static void transport_cancel(void *self, const void *user)
{
    struct curl_transport *transport = self;
    struct weir_transport_flight *flight = transport->flying;
    while (flight != NULL && flight->request.user != user) {
        flight = flight->next;
    }
    if (flight != NULL) {
        (void)curl_multi_remove_handle(transport->multi, flight->easy); /* its message as well */
        unlink_flying(transport, flight);
        flight_give(transport, flight);
    }
}

static void transport_free(void *self)
{
    struct curl_transport *transport = self;
    release_last(transport);
    while (transport->flying != NULL) {
        struct weir_transport_flight *flight = transport->flying;
        transport->flying = flight->next;
        (void)curl_multi_remove_handle(transport->multi, flight->easy);
        weir_transport_flight_free(flight);
    }
    while (transport->idle != NULL) {
        struct weir_transport_flight *flight = transport->idle;
        transport->idle = flight->next;
        weir_transport_flight_free(flight);
    }
    (void)curl_multi_cleanup(transport->multi);
    weir_mem_free(transport);
}

enum weir_status weir_transport_curl(struct weir_transport *ret)
{
    struct curl_transport *transport = weir_mem_zalloc(1, sizeof(*transport));
    if (transport == NULL) {
        return WEIR_ENOMEM;
    }
    transport->multi = curl_multi_init();
    if (transport->multi == NULL) {
        weir_mem_free(transport);
        return WEIR_ENOMEM;
    }
    (void)curl_multi_setopt(transport->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    (void)curl_multi_setopt(transport->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    *ret = (struct weir_transport){transport_send,   transport_wait, transport_reply,
                                   transport_cancel, transport_free, transport};
    return WEIR_OK;
}
