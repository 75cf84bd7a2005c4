/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a gRPC backend's reply to an outcome.
 *
 *   reply ─┬─ not answered, or HTTP other than 200 ──► weir_response_read
 *          ├─ no grpc-status ──► lost, or nobody there who speaks gRPC
 *          ├─ OK ──► [ flag | length | ExportMetricsServiceResponse ] ──► partial success
 *          └─ code ──► also_on, the table ──► outcome, reason
 *                └─ grpc-status-details-bin ──base64──► google.rpc.Status ──► RetryInfo, message
 *
 *   I1  OK is DELIVERED or PARTIAL, whatever its message, unless that says that all points were
 *       rejected; no other code ever is
 *   I2  RESOURCE_EXHAUSTED is retried with a RetryInfo or where also_on has it, and never without
 *   I3  the reason is a static string of a closed list
 *
 * "Message too large" has no code of its own. Servers say RESOURCE_EXHAUSTED (gRPC's own cores,
 * Java, .NET) or OUT_OF_RANGE (Rust), without a RetryInfo, in words that differ; size_words holds
 * those of the servers in use. Splitting on every RESOURCE_EXHAUSTED would turn a server that is
 * out of quota into one that gets twice as many requests with each round; so without such words it
 * is a refusal, as OTLP asks.
 *
 * A code says something only with its trailers. A 200 without grpc-status from something that
 * answers in another content type is a proxy or a web server in the backend's place: it blocks, as
 * a 404 does.
 *
 * Not done: a compressed answer is a success with nothing to read, since none is asked for.
 */
#include "weir/grpc_status.h"
#include "grpc_status.pb.h"
#include "response_internal.h"
#include "trailers.h"
#include "weir/base64.h"
#include "weir/clock.h"
#include <pb_decode.h>

enum {
    CODE_OK = 0,
    CODE_CANCELLED = 1,
    CODE_DEADLINE_EXCEEDED = 4,
    CODE_RESOURCE_EXHAUSTED = 8,
    CODE_OUT_OF_RANGE = 11,
    PREFIX_SIZE = 5,
    TYPE_URL_MAX = 64,
    RETRY_INFO_MAX = 64,
    DELAY_S_MAX = 24 * 3600
};

struct meaning {
    enum weir_outcome outcome;
    const char *reason;
};

static const struct meaning meanings[] = {
    [0] = {WEIR_OUTCOME_DELIVERED, ""},
    [1] = {WEIR_OUTCOME_RETRYABLE, "cancelled"},
    [2] = {WEIR_OUTCOME_REFUSED, "unknown"},
    [3] = {WEIR_OUTCOME_REFUSED, "invalid_argument"},
    [4] = {WEIR_OUTCOME_RETRYABLE, "deadline_exceeded"},
    [5] = {WEIR_OUTCOME_BLOCKED, "not_found"},
    [6] = {WEIR_OUTCOME_REFUSED, "already_exists"},
    [7] = {WEIR_OUTCOME_BLOCKED, "permission_denied"},
    [8] = {WEIR_OUTCOME_REFUSED, "resource_exhausted"},
    [9] = {WEIR_OUTCOME_REFUSED, "failed_precondition"},
    [10] = {WEIR_OUTCOME_RETRYABLE, "aborted"},
    [11] = {WEIR_OUTCOME_RETRYABLE, "out_of_range"},
    [12] = {WEIR_OUTCOME_BLOCKED, "unimplemented"},
    [13] = {WEIR_OUTCOME_REFUSED, "internal"},
    [14] = {WEIR_OUTCOME_RETRYABLE, "unavailable"},
    [15] = {WEIR_OUTCOME_RETRYABLE, "data_loss"},
    [16] = {WEIR_OUTCOME_BLOCKED, "unauthenticated"},
};

/* In the words of: gRPC's cores and Go; Rust; Java; .NET. */
static const char *const size_words[] = {"larger than max", "length too large", "exceeds maximum",
                                         "exceeds the maximum"};

/* What the details say. */
struct details {
    struct weir_response *response;
    bool has_retry;
    int64_t retry_ns;
};

struct excerpt {
    size_t size;
    size_t max;
    uint8_t *bytes;
};

/* nanopb's callback for a string or bytes: keeps what fits, skips the rest. */
static bool keep_beginning(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    struct excerpt *excerpt = *arg;
    size_t left = stream->bytes_left;
    size_t kept = left < excerpt->max ? left : excerpt->max;
    if (!pb_read(stream, excerpt->bytes, kept)) {
        return false;
    }
    excerpt->size = kept;
    return pb_read(stream, NULL, left - kept);
}

static int64_t nanoseconds(const weir_rpc_Duration *duration)
{
    if (duration->seconds < 0 || duration->nanos < 0) {
        return 0;
    }
    if (duration->seconds > DELAY_S_MAX) {
        return DELAY_S_MAX * WEIR_NS_PER_S;
    }
    return duration->seconds * WEIR_NS_PER_S + duration->nanos;
}

/* nanopb's callback for one of the details. */
static bool look_at_detail(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    struct details *details = *arg;
    uint8_t type_bytes[TYPE_URL_MAX];
    uint8_t value_bytes[RETRY_INFO_MAX];
    struct excerpt type = {0, sizeof(type_bytes), type_bytes};
    struct excerpt value = {0, sizeof(value_bytes), value_bytes};
    weir_rpc_Any any = weir_rpc_Any_init_zero;
    any.type_url.funcs.decode = keep_beginning;
    any.type_url.arg = &type;
    any.value.funcs.decode = keep_beginning;
    any.value.arg = &value;
    if (!pb_decode(stream, weir_rpc_Any_fields, &any)) {
        return false;
    }
    if (!weir_bytes_eq(weir_bytes_of(type_bytes, type.size),
                       WEIR_BYTES("type.googleapis.com/google.rpc.RetryInfo"))) {
        return true;
    }
    weir_rpc_RetryInfo info = weir_rpc_RetryInfo_init_zero;
    pb_istream_t inside = pb_istream_from_buffer(value_bytes, value.size);
    if (pb_decode(&inside, weir_rpc_RetryInfo_fields, &info)) {
        details->has_retry = true;
        details->retry_ns = info.has_retry_delay ? nanoseconds(&info.retry_delay) : 0;
    }
    return true;
}

/* Undoes base64 as metadata has it: without padding mostly, and after a comma comes another value.
 * Empty when it is none. */
static struct weir_bytes decode_binary(struct weir_bytes text, uint8_t *memory)
{
    const uint8_t *comma = text.size == 0 ? NULL : memchr(text.data, ',', text.size);
    size_t size = comma == NULL ? text.size : (size_t)(comma - text.data);
    if (size == 0 || size > WEIR_TRAILERS_DETAILS_MAX) {
        return (struct weir_bytes){NULL, 0};
    }
    memcpy(memory, text.data, size);
    while (size % 4 != 0) {
        memory[size++] = '=';
    }
    size_t decoded = 0;
    if (weir_base64_decode_in_place(memory, size, &decoded) != WEIR_OK) {
        decoded = 0;
    }
    return weir_bytes_of(memory, decoded);
}

static void read_details(struct details *details, struct weir_bytes text)
{
    uint8_t memory[WEIR_TRAILERS_DETAILS_MAX + 4];
    uint8_t message_bytes[WEIR_RESPONSE_MESSAGE_MAX - 1];
    struct weir_bytes bytes = decode_binary(text, memory);
    struct excerpt message = {0, sizeof(message_bytes), message_bytes};
    struct details found = *details;
    weir_rpc_Status status = weir_rpc_Status_init_zero;
    status.message.funcs.decode = keep_beginning;
    status.message.arg = &message;
    status.details.funcs.decode = look_at_detail;
    status.details.arg = &found;
    pb_istream_t stream = pb_istream_from_buffer(bytes.data, bytes.size);
    if (bytes.size == 0 || !pb_decode(&stream, weir_rpc_Status_fields, &status)) {
        return;
    }
    *details = found;
    if (details->response->message[0] == '\0') {
        weir_response_set_message(details->response->message,
                                  weir_bytes_of(message_bytes, message.size));
    }
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Undoes percent encoding; what is no escape stays as it is. */
static void read_message(struct weir_response *response, struct weir_bytes text)
{
    uint8_t plain[WEIR_TRAILERS_MESSAGE_MAX];
    size_t size = 0;
    for (size_t i = 0; i < text.size && size < sizeof(plain); i++) {
        int high = text.data[i] == '%' && text.size - i > 2 ? hex_digit(text.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
        plain[size++] = low >= 0 ? (uint8_t)(high * 16 + low) : text.data[i];
        i += low >= 0 ? 2 : 0;
    }
    weir_response_set_message(response->message, weir_bytes_of(plain, size));
}

static bool is_about_size(const char *message)
{
    for (size_t i = 0; i < sizeof(size_words) / sizeof(size_words[0]); i++) {
        if (strcasestr(message, size_words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* The length-prefixed message of an answer, without its prefix. */
static void read_ok(struct weir_response *response, struct weir_bytes body, uint32_t points)
{
    bool was_cut = body.size >= WEIR_TRANSPORT_BODY_MAX;
    struct weir_bytes message = {NULL, 0};
    if (body.size >= PREFIX_SIZE && body.data[0] == 0) {
        size_t length = (size_t)body.data[1] << 24 | (size_t)body.data[2] << 16 |
                        (size_t)body.data[3] << 8 | (size_t)body.data[4];
        message = weir_bytes_from(body, PREFIX_SIZE);
        message.size = length < message.size ? length : message.size;
    }
    weir_response_read_success(response, message, points, was_cut);
}

static void read_code(struct weir_response *response, const struct weir_transport_reply *reply,
                      const int *also_on)
{
    static const struct meaning strange = {WEIR_OUTCOME_REFUSED, "grpc_status"};
    int code = reply->grpc_status;
    bool is_known = code > 0 && (size_t)code < sizeof(meanings) / sizeof(meanings[0]);
    struct meaning meaning = is_known ? meanings[code] : strange;
    struct details details = {.response = response};
    read_message(response, reply->grpc_message);
    read_details(&details, reply->grpc_details);
    bool may_be_size = code == CODE_RESOURCE_EXHAUSTED || code == CODE_OUT_OF_RANGE;
    if (may_be_size && !details.has_retry && is_about_size(response->message)) {
        meaning = (struct meaning){WEIR_OUTCOME_TOO_LARGE, "message_size"};
    } else if ((code == CODE_RESOURCE_EXHAUSTED && details.has_retry) ||
               weir_response_is_listed(also_on, code)) {
        meaning.outcome = WEIR_OUTCOME_RETRYABLE;
    }
    response->outcome = meaning.outcome;
    response->reason = meaning.reason;
    if (meaning.outcome == WEIR_OUTCOME_RETRYABLE) {
        response->retry_after_ns = details.retry_ns;
        /* broken off while somebody was at it */
        response->answer_lost = code == CODE_CANCELLED || code == CODE_DEADLINE_EXCEEDED;
    }
}

struct weir_response weir_grpc_status_read(const struct weir_transport_reply *reply,
                                           uint32_t points, const int *also_on)
{
    bool is_http = reply->failure != WEIR_TRANSPORT_ANSWERED ||
                   (reply->status != 200 && !reply->has_grpc_status);
    if (is_http) {
        struct weir_transport_reply other = *reply;
        /* Any other 2xx is no success where there is no grpc-status. */
        other.status = reply->status >= 200 && reply->status < 300 ? 0 : reply->status;
        return weir_response_read(&other, points, also_on);
    }
    struct weir_response response = {.reason = ""};
    if (!reply->has_grpc_status) {
        response.outcome = reply->is_grpc ? WEIR_OUTCOME_RETRYABLE : WEIR_OUTCOME_BLOCKED;
        response.reason = reply->is_grpc ? "lost" : "not_grpc";
        response.answer_lost = reply->is_grpc;
        weir_response_set_message(response.message, WEIR_BYTES("an answer without grpc-status"));
    } else if (reply->grpc_status == CODE_OK) {
        read_ok(&response, reply->body, points);
    } else {
        read_code(&response, reply, also_on);
    }
    return response;
}
