/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a transport's reply to an outcome, a reason and words for the log.
 *
 *   reply ─┬─ not answered ──► failure table ──────────────────┐
 *          └─ status ─┬─ 2xx ─► ExportMetricsServiceResponse ──┤
 *                     └─ else ─► also_on, the status table ────┴─► outcome, reason; message from
 *                                                                  the body
 *
 *   I1  a 2xx is DELIVERED or PARTIAL, whatever its body, unless the body says that all points were
 *       rejected. The transport cuts bodies: a long message must not hide the number before it
 *   I2  the message is terminated, well-formed UTF-8 without control characters, whatever the body
 *   I3  the reason is a static string of a closed list: it may become a metric's label
 *
 * A body that does not parse is not an error: backends behind proxies answer with HTML, Prometheus
 * with plain text. For a failure such text is the best message there is, so it is used when it is
 * text. Redirects and 407 block like 404 and 401 do: they too say that the URL, the proxy or a
 * credential is wrong, and would otherwise turn a whole stream into dead letter.
 *
 * Not done: google.rpc.Status details (RetryInfo belongs to gRPC, grpc_status.c; OTLP/HTTP has
 * Retry-After).
 */
#include "weir/response.h"
#include "otlp_response.pb.h"
#include "response_internal.h"
#include "weir/panic.h"
#include "weir/utf8.h"
#include <pb_decode.h>

struct meaning {
    int status;
    enum weir_outcome outcome;
    const char *reason;
};

static const struct meaning meanings[] = {
    {400, WEIR_OUTCOME_REFUSED, "400"},   {401, WEIR_OUTCOME_BLOCKED, "401"},
    {403, WEIR_OUTCOME_BLOCKED, "403"},   {404, WEIR_OUTCOME_BLOCKED, "404"},
    {405, WEIR_OUTCOME_BLOCKED, "405"},   {407, WEIR_OUTCOME_BLOCKED, "407"},
    {408, WEIR_OUTCOME_REFUSED, "408"},   {413, WEIR_OUTCOME_TOO_LARGE, "413"},
    {415, WEIR_OUTCOME_REFUSED, "415"},   {422, WEIR_OUTCOME_REFUSED, "422"},
    {429, WEIR_OUTCOME_RETRYABLE, "429"}, {500, WEIR_OUTCOME_REFUSED, "500"},
    {501, WEIR_OUTCOME_REFUSED, "501"},   {502, WEIR_OUTCOME_RETRYABLE, "502"},
    {503, WEIR_OUTCOME_RETRYABLE, "503"}, {504, WEIR_OUTCOME_RETRYABLE, "504"},
};

/* The beginning of a string field, copied by a callback. */
struct excerpt {
    uint8_t bytes[WEIR_RESPONSE_MESSAGE_MAX - 1];
    size_t size;
};

/* nanopb's callback for a string: keeps what fits, skips the rest. */
static bool keep_beginning(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    struct excerpt *excerpt = *arg;
    size_t left = stream->bytes_left;
    size_t kept = left < sizeof(excerpt->bytes) ? left : sizeof(excerpt->bytes);
    if (!pb_read(stream, excerpt->bytes, kept)) {
        return false;
    }
    excerpt->size = kept;
    return pb_read(stream, NULL, left - kept);
}

/* The length of the UTF-8 sequence that `bytes` begins with, by its first byte; 1 for what begins
 * none. */
static size_t sequence_size(uint8_t first)
{
    if (first >= 0xF0) {
        return 4;
    }
    return first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
}

void weir_response_set_message(char *message, struct weir_bytes text)
{
    size_t out = 0;
    size_t in = 0;
    while (in < text.size) {
        size_t size = sequence_size(text.data[in]);
        if (out + size >= WEIR_RESPONSE_MESSAGE_MAX) {
            break;
        }
        if (in + size > text.size || !weir_utf8_valid(weir_bytes_of(text.data + in, size))) {
            message[out++] = '?';
            in += 1;
            continue;
        }
        bool control = text.data[in] < 0x20 || text.data[in] == 0x7F ||
                       (text.data[in] == 0xC2 && text.data[in + 1] < 0xA0);
        if (control) {
            message[out++] = ' ';
        } else {
            memcpy(message + out, text.data + in, size);
            out += size;
        }
        in += size;
    }
    message[out] = '\0';
}

/* Whether a body's beginning reads as text: no bytes below space but white space. */
static bool is_text(struct weir_bytes body)
{
    size_t looked_at =
        body.size < WEIR_RESPONSE_MESSAGE_MAX ? body.size : WEIR_RESPONSE_MESSAGE_MAX;
    for (size_t i = 0; i < looked_at; i++) {
        uint8_t byte = body.data[i];
        if (byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t') {
            return false;
        }
    }
    return true;
}

/* nanopb's callback for a body that may have been cut: its end is found by reading, and not by the
 * lengths inside, so that what stands before the cut counts. */
static bool read_on(pb_istream_t *stream, pb_byte_t *to, size_t size)
{
    struct weir_bytes *left = stream->state;
    if (size > left->size) {
        stream->bytes_left = 0;
        return false;
    }
    memcpy(to, left->data, size);
    *left = weir_bytes_from(*left, size);
    return true;
}

/* What a success's body says of points that were not taken. False: nothing. */
static bool read_partial(struct weir_bytes body, bool was_cut, int64_t *ret_rejected, char *message)
{
    struct excerpt excerpt = {.size = 0};
    weir_answer_ExportResponse answer = weir_answer_ExportResponse_init_zero;
    answer.partial_success.error_message.funcs.decode = keep_beginning;
    answer.partial_success.error_message.arg = &excerpt;
    pb_istream_t stream = pb_istream_from_buffer(body.data, body.size);
    if (was_cut) {
        stream = (pb_istream_t){.callback = read_on, .state = &body, .bytes_left = SIZE_MAX};
    }
    bool is_whole = body.size > 0 && pb_decode(&stream, weir_answer_ExportResponse_fields, &answer);
    if (!answer.has_partial_success || !(is_whole || was_cut)) {
        return false;
    }
    weir_response_set_message(message, weir_bytes_of(excerpt.bytes, excerpt.size));
    *ret_rejected = answer.partial_success.rejected_data_points;
    return true;
}

void weir_response_read_success(struct weir_response *response, struct weir_bytes body,
                                uint32_t points, bool was_cut)
{
    int64_t rejected = 0;
    response->outcome = WEIR_OUTCOME_DELIVERED;
    response->reason = "";
    /* A protobuf answer of 123 bytes begins with a line feed and a brace, too. */
    bool is_partial = (weir_response_is_json(body) &&
                       weir_response_json_partial(body, &rejected, response->message)) ||
                      read_partial(body, was_cut, &rejected, response->message);
    if (!is_partial || rejected <= 0) {
        return;
    }
    if (points > 0 && rejected >= (int64_t)points) {
        response->outcome = WEIR_OUTCOME_REFUSED;
        response->reason = "all_rejected";
        return;
    }
    response->outcome = WEIR_OUTCOME_PARTIAL;
    response->reason = "partial";
    response->rejected = rejected > (int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)rejected;
}

/* Takes the words of a failure: google.rpc.Status's message, or the body itself
 * where it is text. */
static void read_failure_message(struct weir_response *response, struct weir_bytes body)
{
    if (weir_response_is_json(body) && weir_response_json_message(body, response->message)) {
        return;
    }
    struct excerpt excerpt = {.size = 0};
    weir_answer_Status status = weir_answer_Status_init_zero;
    status.message.funcs.decode = keep_beginning;
    status.message.arg = &excerpt;
    pb_istream_t stream = pb_istream_from_buffer(body.data, body.size);
    if (body.size > 0 && pb_decode(&stream, weir_answer_Status_fields, &status) &&
        excerpt.size > 0) {
        weir_response_set_message(response->message, weir_bytes_of(excerpt.bytes, excerpt.size));
    } else if (is_text(body)) {
        weir_response_set_message(response->message, body);
    }
}

/* Outcome and reason of a status that is no success. */
static struct meaning meaning_of(int status)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].status == status) {
            return meanings[i];
        }
    }
    if (status >= 300 && status < 400) {
        return (struct meaning){status, WEIR_OUTCOME_BLOCKED, "redirect"};
    }
    const char *reason = status >= 500 && status < 600   ? "5xx"
                         : status >= 400 && status < 500 ? "4xx"
                                                         : "status";
    return (struct meaning){status, WEIR_OUTCOME_REFUSED, reason};
}

bool weir_response_is_listed(const int *statuses, int status)
{
    for (size_t i = 0; statuses != NULL && statuses[i] != 0; i++) {
        if (statuses[i] == status) {
            return true;
        }
    }
    return false;
}

static void read_unanswered(struct weir_response *response,
                            const struct weir_transport_reply *reply)
{
    weir_response_set_message(response->message, weir_bytes_str(reply->message));
    response->outcome = WEIR_OUTCOME_RETRYABLE;
    switch (reply->failure) {
    case WEIR_TRANSPORT_UNREACHED:
        response->reason = reply->is_link_local ? "link_local"
                           : reply->is_private  ? "private_address"
                                                : "connect";
        return;
    case WEIR_TRANSPORT_LOST:
        response->reason = "lost";
        response->answer_lost = true;
        return;
    case WEIR_TRANSPORT_TIMEOUT:
        response->reason = "timeout";
        response->answer_lost = true;
        return;
    case WEIR_TRANSPORT_UNTRUSTED:
        response->outcome = WEIR_OUTCOME_BLOCKED;
        response->reason = "tls";
        return;
    case WEIR_TRANSPORT_REFUSED:
        response->outcome = WEIR_OUTCOME_BLOCKED;
        response->reason = "url";
        return;
    case WEIR_TRANSPORT_ANSWERED: break;
    }
    WEIR_UNREACHABLE();
}

struct weir_response weir_response_read(const struct weir_transport_reply *reply, uint32_t points,
                                        const int *also_on)
{
    struct weir_response response = {.reason = ""};
    if (reply->failure != WEIR_TRANSPORT_ANSWERED) {
        read_unanswered(&response, reply);
        return response;
    }
    if (reply->status >= 200 && reply->status < 300) {
        weir_response_read_success(&response, reply->body, points,
                                   reply->body.size >= WEIR_TRANSPORT_BODY_MAX);
        return response;
    }
    struct meaning meaning = meaning_of(reply->status);
    response.outcome =
        weir_response_is_listed(also_on, reply->status) ? WEIR_OUTCOME_RETRYABLE : meaning.outcome;
    response.reason = meaning.reason;
    read_failure_message(&response, reply->body);
    return response;
}

const char *weir_outcome_text(enum weir_outcome outcome)
{
    static const char *const texts[WEIR_OUTCOMES] = {
        [WEIR_OUTCOME_DELIVERED] = "delivered", [WEIR_OUTCOME_PARTIAL] = "partial",
        [WEIR_OUTCOME_RETRYABLE] = "retryable", [WEIR_OUTCOME_BLOCKED] = "blocked",
        [WEIR_OUTCOME_TOO_LARGE] = "too_large", [WEIR_OUTCOME_REFUSED] = "refused",
    };
    WEIR_ASSERT((unsigned)outcome < WEIR_OUTCOMES);
    return texts[outcome];
}
