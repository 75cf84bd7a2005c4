/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a request's body ends. A state machine that takes one byte of framing at a time and whole
 * runs of payload, and keeps everything it knows in the caller's small struct, so how the socket
 * cut the stream cannot matter.
 *
 *   5;name=value CRLF  hello CRLF  0 CRLF CRLF        (RFC 9112 section 7.1)
 *   ^SIZE ^EXTENSION   ^DATA  ^DATA_CR ^SIZE   ^END_CR
 *
 *                     +---------------------------------------------+
 *                     v                                             |
 *   -> SIZE -> EXTENSION -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF --+
 *        |                  ^   |
 *        +------------------+   +-> END_CR -> END_LF -> DONE          any -> FAILED
 *
 * Edges: DATA -> DATA_CR (and DATA -> DONE for a Content-Length) is taken by take_payload, all
 * others by step, which sends each chunk's first byte to step_size and the last of its size line to
 * begin_chunk.
 *
 * Invariants
 *   I1  payload_bytes + overhead_bytes is the number of bytes consumed since init.
 *   I2  In DATA `left` is not 0. In DONE and FAILED nothing more is consumed.
 *   I3  A refusal is decided by the bytes up to it, never by how they were cut: a payload run is
 *       returned before the framing behind it is looked at, and the share of the framing is judged
 *       where a chunk ends.
 *
 * Strict where readers are known to differ: the size has 1..16 hex digits, then at once CR or `;`.
 * No white space, no sign, no 0x, no lone LF, no trailer fields. Extensions mean nothing to us and
 * are bounded, since a peer can make them longer than the body. The bound on the share of framing
 * keeps a peer from making us step through five bytes for each one it pays for; honest senders
 * write chunks of kilobytes.
 *
 * The size of the body is not bounded here: the caller compares payload_bytes with its limit after
 * every run. Pure: no allocation, no clock, no log; any thread.
 */
#include "weir/http_framing.h"
#include "weir/panic.h"

#define SIZE_DIGITS_MAX     16
#define EXTENSION_BYTES_MAX 256

/* Any share of framing up to here; from here on at most four bytes for each one of payload. */
#define SHARE_EXEMPT_BYTES 4096
#define SHARE_FACTOR       4

enum state {
    STATE_SIZE,
    STATE_EXTENSION,
    STATE_SIZE_LF,
    STATE_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_END_CR,
    STATE_END_LF,
    STATE_DONE,
    STATE_FAILED
};

static void become(struct weir_http_body *body, enum state state)
{
    body->state = (uint8_t)state;
}

static const char *fail(struct weir_http_body *body, const char *reason)
{
    become(body, STATE_FAILED);
    return reason;
}

/* The value of a hex digit, or -1. */
static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static const char *step_size(struct weir_http_body *body, uint8_t byte)
{
    int value = hex_value(byte);
    if (value >= 0) {
        if (body->digits == SIZE_DIGITS_MAX) {
            return fail(body, "a chunk size has too many digits");
        }
        body->digits++;
        body->left = body->left << 4 | (uint64_t)value;
        return NULL;
    }
    if (body->digits == 0 || (byte != '\r' && byte != ';')) {
        return fail(body, "a chunk does not begin with its size");
    }
    body->extension_size = byte == ';' ? 1 : 0;
    become(body, byte == '\r' ? STATE_SIZE_LF : STATE_EXTENSION);
    return NULL;
}

static const char *step_extension(struct weir_http_body *body, uint8_t byte)
{
    if (byte == '\r') {
        become(body, STATE_SIZE_LF);
        return NULL;
    }
    if (byte < ' ' || byte > '~') {
        return fail(body, "a chunk extension has a control character");
    }
    if (++body->extension_size > EXTENSION_BYTES_MAX) {
        return fail(body, "a chunk extension is too long");
    }
    return NULL;
}

/* Behind the line of a chunk's size. */
static void begin_chunk(struct weir_http_body *body)
{
    become(body, body->left > 0 ? STATE_DATA : STATE_END_CR);
}

/* Behind the CRLF that follows a chunk's data. */
static const char *end_chunk(struct weir_http_body *body)
{
    uint64_t total = body->payload_bytes + body->overhead_bytes;
    if (total > SHARE_EXEMPT_BYTES && body->overhead_bytes > SHARE_FACTOR * body->payload_bytes) {
        return fail(body, "the chunks are too small");
    }
    body->left = 0;
    body->digits = 0;
    become(body, STATE_SIZE);
    return NULL;
}

/* Takes one byte of framing; the reason of a refusal, or NULL. */
static const char *step(struct weir_http_body *body, uint8_t byte)
{
    body->overhead_bytes++;
    switch ((enum state)body->state) {
    case STATE_SIZE: return step_size(body, byte);
    case STATE_EXTENSION: return step_extension(body, byte);
    case STATE_SIZE_LF:
        if (byte != '\n') {
            return fail(body, "a chunk size is not followed by CRLF");
        }
        begin_chunk(body);
        return NULL;
    case STATE_DATA_CR:
        if (byte != '\r') {
            return fail(body, "a chunk is longer than its size");
        }
        become(body, STATE_DATA_LF);
        return NULL;
    case STATE_DATA_LF:
        return byte == '\n' ? end_chunk(body) : fail(body, "a chunk is not followed by CRLF");
    case STATE_END_CR:
        if (byte != '\r') {
            return fail(body, "trailer fields are not served");
        }
        become(body, STATE_END_LF);
        return NULL;
    case STATE_END_LF:
        if (byte != '\n') {
            return fail(body, "the last chunk is not followed by CRLF");
        }
        become(body, STATE_DONE);
        return NULL;
    case STATE_DATA:
    case STATE_DONE:
    case STATE_FAILED: break;
    }
    WEIR_UNREACHABLE();
}

static struct weir_bytes take_payload(struct weir_http_body *body, struct weir_bytes input)
{
    WEIR_ASSERT(body->left > 0);
    size_t size = body->left < input.size ? (size_t)body->left : input.size;
    body->left -= size;
    body->payload_bytes += size;
    if (body->left == 0) {
        become(body, body->framing == WEIR_HTTP_CHUNKED ? STATE_DATA_CR : STATE_DONE);
    }
    return weir_bytes_of(input.data, size);
}

void weir_http_body_init(struct weir_http_body *body, const struct weir_http_head *head)
{
    *body = (struct weir_http_body){.framing = head->framing};
    switch (head->framing) {
    case WEIR_HTTP_NO_BODY: become(body, STATE_DONE); break;
    case WEIR_HTTP_LENGTH:
        body->left = head->content_length;
        become(body, body->left > 0 ? STATE_DATA : STATE_DONE);
        break;
    case WEIR_HTTP_CHUNKED: become(body, STATE_SIZE); break;
    }
}

enum weir_status weir_http_body_feed(struct weir_http_body *body, struct weir_bytes input,
                                     size_t *ret_consumed, struct weir_bytes *ret_payload,
                                     const char **ret_reason)
{
    struct weir_bytes payload = {NULL, 0};
    size_t consumed = 0;
    while (consumed < input.size && payload.size == 0 && body->state != STATE_DONE &&
           body->state != STATE_FAILED) {
        if (body->state == STATE_DATA) {
            payload = take_payload(body, weir_bytes_from(input, consumed));
            consumed += payload.size;
            continue;
        }
        const char *reason = step(body, input.data[consumed]);
        consumed++;
        if (reason != NULL) {
            *ret_reason = reason;
            return WEIR_EMALFORMED;
        }
    }
    if (body->state == STATE_FAILED) {
        *ret_reason = "the body was refused before";
        return WEIR_EMALFORMED;
    }
    *ret_consumed = consumed;
    *ret_payload = payload;
    return body->state == STATE_DONE ? WEIR_OK : WEIR_EAGAIN;
}
