/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 by plain means: see plain_http.h.
 *
 *   requests   a head ends at the first empty line; of two fields the first counts; a number is
 *              what strtoull makes of it; bodies are as long as they say. What is no request any
 *              more ends the list.
 *   answers    three headers and no other, one of seven statuses, a body of exactly the known keys.
 *
 * One thread. Nothing is allocated.
 */
#include "plain_http.h"

#include "weir/json.h"
#include "weir/panic.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MAX = 20 };

static const struct weir_bytes line_end = WEIR_BYTES_INIT("\r\n");

/* Takes all before the first `mark` and the mark itself; false: there is none. */
static bool take_until(struct weir_bytes *rest, struct weir_bytes mark, struct weir_bytes *ret)
{
    const uint8_t *end =
        rest->size == 0 ? NULL : memmem(rest->data, rest->size, mark.data, mark.size);
    if (end == NULL) {
        return false;
    }
    *ret = weir_bytes_of(rest->data, (size_t)(end - rest->data));
    *rest = weir_bytes_from(*rest, ret->size + mark.size);
    return true;
}

static struct weir_bytes trimmed(struct weir_bytes text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = weir_bytes_from(text, 1);
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

/* The first field of this name, or empty. */
static struct weir_bytes field_of(struct weir_bytes head, struct weir_bytes name)
{
    struct weir_bytes line;
    while (take_until(&head, line_end, &line)) {
        struct weir_bytes start = weir_bytes_of(line.data, name.size);
        if (line.size > name.size && line.data[name.size] == ':' &&
            weir_bytes_eq_nocase(start, name)) {
            return trimmed(weir_bytes_from(line, name.size + 1));
        }
    }
    return (struct weir_bytes){NULL, 0};
}

/* A number at the front of a text; UINT64_MAX: none. */
static uint64_t number_of(struct weir_bytes text, int base)
{
    char digits[DIGITS_MAX + 1] = {0};
    size_t size = text.size < DIGITS_MAX ? text.size : DIGITS_MAX;
    if (size == 0 || !isxdigit(text.data[0])) {
        return UINT64_MAX;
    }
    memcpy(digits, text.data, size);
    return strtoull(digits, NULL, base);
}

static bool take_bytes(struct weir_bytes *rest, uint64_t size, struct weir_bytes *ret)
{
    if (size > rest->size) {
        return false;
    }
    *ret = weir_bytes_of(rest->data, (size_t)size);
    *rest = weir_bytes_from(*rest, (size_t)size);
    return true;
}

/* A chunked body to its end, put together at `place`. */
static bool take_chunks(struct weir_bytes *rest, uint8_t *place, struct weir_bytes *ret)
{
    struct weir_bytes line, data;
    size_t total = 0;
    for (;;) {
        if (!take_until(rest, line_end, &line)) {
            return false;
        }
        uint64_t size = number_of(line, 16);
        if (size == UINT64_MAX || !take_bytes(rest, size, &data)) {
            return false;
        }
        if (data.size > 0) {
            memcpy(place + total, data.data, data.size);
        }
        total += data.size;
        if (!take_until(rest, line_end, &line)) {
            return false;
        }
        if (size == 0) {
            *ret = weir_bytes_of(place, total);
            return true;
        }
    }
}

static bool take_request(struct weir_bytes *rest, uint8_t *chunks, struct plain_request *ret)
{
    struct weir_bytes head;
    if (!take_until(rest, WEIR_BYTES("\r\n\r\n"), &head)) {
        return false;
    }
    head.size += line_end.size; /* each line has its end */
    struct weir_bytes length = field_of(head, WEIR_BYTES("content-length"));
    struct weir_bytes coding = field_of(head, WEIR_BYTES("transfer-encoding"));
    *ret = (struct plain_request){
        .is_post = weir_bytes_starts_with(head, WEIR_BYTES("POST ")),
        .gzip = weir_bytes_eq_nocase(field_of(head, WEIR_BYTES("content-encoding")),
                                     WEIR_BYTES("gzip")),
        .id = field_of(head, WEIR_BYTES("x-amz-firehose-request-id")),
        .arn = field_of(head, WEIR_BYTES("x-amz-firehose-source-arn")),
        .body = {NULL, 0},
    };
    if (coding.size > 0) {
        return take_chunks(rest, chunks, &ret->body);
    }
    return length.size == 0 || take_bytes(rest, number_of(length, 10), &ret->body);
}

uint32_t plain_requests(struct weir_bytes stream, uint8_t *chunks, struct plain_request *ret)
{
    uint32_t count = 0;
    struct weir_bytes rest = stream;
    while (count < PLAIN_REQUESTS_MAX &&
           take_request(&rest, chunks + (stream.size - rest.size), &ret[count])) {
        count++;
    }
    return count;
}

static void check_health(struct weir_bytes body, int status)
{
    bool good = weir_bytes_eq(body, WEIR_BYTES("{\"status\":\"ok\"}"));
    bool bad = weir_bytes_eq(body, WEIR_BYTES("{\"status\":\"unavailable\"}"));
    WEIR_ASSERT(good ? status == 200 : bad && status == 503);
}

/* requestId, timestamp, and on a failure errorMessage; each once, nothing else. */
static void check_body(struct weir_bytes body, struct plain_answer *ret)
{
    uint32_t ids = 0, timestamps = 0, messages = 0;
    struct weir_json json;
    struct weir_bytes key;
    weir_json_init(&json, (uint8_t *)(uintptr_t)body.data, body.size, 1);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        if (weir_bytes_eq(key, WEIR_BYTES("requestId"))) {
            ids++;
            ret->id = weir_json_string(&json);
        } else if (weir_bytes_eq(key, WEIR_BYTES("timestamp"))) {
            timestamps++;
            WEIR_ASSERT(weir_json_double(&json) > 1e12);
        } else {
            WEIR_ASSERT(weir_bytes_eq(key, WEIR_BYTES("errorMessage")));
            messages++;
            WEIR_ASSERT(weir_json_string(&json).size > 0);
        }
    }
    enum weir_status status = weir_json_finish(&json);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(ids == 1 && timestamps == 1);
    WEIR_ASSERT(messages == (ret->status == 200 ? 0 : 1));
}

/* The headers; returns Content-Length. */
static uint64_t check_head(struct weir_bytes head, struct plain_answer *ret)
{
    static const struct weir_bytes length = WEIR_BYTES_INIT("Content-Length: ");
    struct weir_bytes line;
    uint64_t size = UINT64_MAX;
    uint32_t types = 0;
    while (take_until(&head, line_end, &line)) {
        if (weir_bytes_eq(line, WEIR_BYTES("Content-Type: application/json"))) {
            types++;
        } else if (weir_bytes_eq(line, WEIR_BYTES("Connection: close"))) {
            ret->closes = true;
        } else if (weir_bytes_starts_with(line, length)) {
            WEIR_ASSERT(size == UINT64_MAX);
            size = number_of(weir_bytes_from(line, length.size), 10);
        } else {
            WEIR_ASSERT(ret->status == 405);
            WEIR_ASSERT(weir_bytes_eq(line, WEIR_BYTES("Allow: POST")));
        }
    }
    WEIR_ASSERT(types == 1);
    return size;
}

bool plain_answer(struct weir_bytes *rest, struct plain_answer *ret)
{
    static const char *const first_lines[] = {"HTTP/1.1 200 OK",
                                              "HTTP/1.1 400 Bad Request",
                                              "HTTP/1.1 401 Unauthorized",
                                              "HTTP/1.1 404 Not Found",
                                              "HTTP/1.1 405 Method Not Allowed",
                                              "HTTP/1.1 408 Request Timeout",
                                              "HTTP/1.1 503 Service Unavailable"};
    static const struct weir_bytes more = WEIR_BYTES_INIT("HTTP/1.1 100 Continue\r\n\r\n");
    struct weir_bytes head, line, body;
    while (weir_bytes_starts_with(*rest, more)) {
        *rest = weir_bytes_from(*rest, more.size);
    }
    if (rest->size == 0) {
        return false;
    }
    WEIR_ASSERT(take_until(rest, WEIR_BYTES("\r\n\r\n"), &head));
    head.size += line_end.size;
    WEIR_ASSERT(take_until(&head, line_end, &line));
    *ret = (struct plain_answer){.status = 0};
    for (size_t i = 0; i < sizeof first_lines / sizeof *first_lines; i++) {
        if (weir_bytes_eq(line, weir_bytes_str(first_lines[i]))) {
            ret->status = (int)number_of(weir_bytes_from(line, 9), 10);
        }
    }
    WEIR_ASSERT(ret->status != 0);
    WEIR_ASSERT(take_bytes(rest, check_head(head, ret), &body));
    ret->is_health = weir_bytes_starts_with(body, WEIR_BYTES("{\"status\""));
    if (ret->is_health) {
        check_health(body, ret->status);
    } else {
        check_body(body, ret);
    }
    return true;
}
