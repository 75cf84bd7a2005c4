/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/reply.h"

#include "weir/buf.h"
#include "weir/panic.h"

#define BODY_SIZE_MAX     3072
#define REQUEST_ID_SHOWN  256
#define MESSAGE_SHOWN     1024
#define DIGITS_MAX        20 /* of 64 bits */
#define SERVER_ERROR_TEXT "Service Unavailable"

const char *weir_reply_phrase(int code)
{
    switch (code) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 503: return SERVER_ERROR_TEXT;
    default: return "Error";
    }
}

/* Each answer's numbers: a printf would take longer than all the rest of it. */
static void put_number(struct weir_buf *buf, uint64_t number)
{
    uint8_t digits[DIGITS_MAX];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    weir_buf_put(buf, weir_bytes_of(digits + at, sizeof(digits) - at));
}

static size_t write_answer(int code, bool keep_alive, struct weir_bytes body, uint8_t *out)
{
    struct weir_buf buf = weir_buf_fixed(out, WEIR_REPLY_SIZE_MAX);
    weir_buf_put(&buf, WEIR_BYTES("HTTP/1.1 "));
    put_number(&buf, (uint64_t)code);
    weir_buf_put_byte(&buf, ' ');
    weir_buf_put(&buf, weir_bytes_str(weir_reply_phrase(code)));
    weir_buf_put(&buf, WEIR_BYTES("\r\nContent-Type: application/json\r\nContent-Length: "));
    put_number(&buf, body.size);
    weir_buf_put(&buf, WEIR_BYTES("\r\n"));
    if (code == 405) {
        weir_buf_put(&buf, WEIR_BYTES("Allow: POST\r\n"));
    }
    if (!keep_alive) {
        weir_buf_put(&buf, WEIR_BYTES("Connection: close\r\n"));
    }
    weir_buf_put(&buf, WEIR_BYTES("\r\n"));
    weir_buf_put(&buf, body);
    WEIR_ASSERT(!buf.failed);
    return buf.size;
}

size_t weir_reply_write(const struct weir_reply *reply, uint8_t *out)
{
    uint8_t memory[BODY_SIZE_MAX];
    struct weir_buf body = weir_buf_fixed(memory, sizeof(memory));
    weir_buf_put(&body, WEIR_BYTES("{\"requestId\":"));
    weir_buf_put_json_string(&body, reply->request_id, REQUEST_ID_SHOWN);
    weir_buf_put(&body, WEIR_BYTES(",\"timestamp\":"));
    put_number(&body, reply->timestamp_ms < 0 ? 0 : (uint64_t)reply->timestamp_ms);
    if (reply->code != 200) {
        weir_buf_put(&body, WEIR_BYTES(",\"errorMessage\":"));
        weir_buf_put_json_string(&body, reply->error_message, MESSAGE_SHOWN);
    }
    weir_buf_put_byte(&body, '}');
    if (body.failed) { /* escapes can make a hostile id six times as long: then go without it */
        struct weir_reply plain = *reply;
        plain.request_id = (struct weir_bytes){NULL, 0};
        plain.error_message = WEIR_BYTES("the request id cannot be repeated");
        return weir_reply_write(&plain, out);
    }
    return write_answer(reply->code, reply->keep_alive, weir_buf_view(&body), out);
}

size_t weir_reply_health(bool ready, bool keep_alive, uint8_t *out)
{
    struct weir_bytes body =
        ready ? WEIR_BYTES("{\"status\":\"ok\"}") : WEIR_BYTES("{\"status\":\"unavailable\"}");
    return write_answer(ready ? 200 : 503, keep_alive, body, out);
}
