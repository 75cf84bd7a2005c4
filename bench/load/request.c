/* SPDX-License-Identifier: Apache-2.0 */
#include "load/request.h"
#include "load/backup.h"
#include "weir/clock.h"
#include "weir/panic.h"
#include <stdio.h>

static const char id_name[] = "X-Amz-Firehose-Request-Id: ";

enum { ID_AT = sizeof id_name - 1 };

void weir_load_request_address(struct weir_load_request *request,
                               const struct weir_load_worker *worker)
{
    const struct weir_load_options *options = worker->run->options;
    char arn[WEIR_TRAFFIC_ARN_SIZE];
    size_t count = 0;
    weir_traffic_arn(worker->run->traffic, request->parcel.stream, arn, sizeof arn);
    (void)snprintf(request->arn_header, sizeof request->arn_header, "X-Amz-Firehose-Source-Arn: %s",
                   arn);
    memcpy(request->id_header, id_name, sizeof id_name);
    request->headers[count++] = "Content-Type: application/json";
    request->headers[count++] = "User-Agent: Amazon Kinesis Data Firehose Agent/1.0";
    request->headers[count++] = "X-Amz-Firehose-Protocol-Version: 1.0";
    request->headers[count++] = request->id_header;
    request->headers[count++] = request->arn_header;
    if (options->key != NULL) {
        request->headers[count++] = worker->key_header;
    }
    if (options->shape.gzip_level > 0) {
        request->headers[count++] = "Content-Encoding: gzip";
    }
    WEIR_ASSERT(count < WEIR_LOAD_HEADERS);
    request->headers[count] = NULL;
    request->target = (struct weir_transport_target){
        .url = options->url,
        .ca_file = options->ca_file,
        .headers = request->headers,
        .timeout_ns = options->timeout_ns,
    };
}

/* A version 4 UUID. */
static void make_id(struct weir_rand *rand, char *ret)
{
    static const char hex[] = "0123456789abcdef";
    static const char shape[] = "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx";
    uint64_t bits = 0;
    for (unsigned i = 0, drawn = 0; i < WEIR_BODY_ID_SIZE; i++) {
        if (shape[i] != 'x' && shape[i] != 'v') {
            ret[i] = shape[i];
            continue;
        }
        bits = drawn++ % 16 == 0 ? weir_rand_u64(rand) : bits >> 4;
        ret[i] = hex[shape[i] == 'v' ? 8 + (bits & 3) : bits & 15];
    }
}

void weir_load_request_begin(struct weir_load_request *request, struct weir_rand *rand,
                             int64_t intended_ns)
{
    make_id(rand, request->id_header + ID_AT);
    request->id_header[ID_AT + WEIR_BODY_ID_SIZE] = '\0';
    weir_load_parcel_name(&request->parcel, request->id_header + ID_AT);
    weir_retry_init(&request->retry);
    request->intended_ns = intended_ns;
    request->arrival_ms = weir_clock_wall_ns() / WEIR_NS_PER_MS;
    request->unsure = false;
    request->error = NULL;
}

bool weir_load_request_accepted(const struct weir_load_request *request,
                                const struct weir_transport_reply *reply)
{
    return reply->failure == WEIR_TRANSPORT_ANSWERED && reply->status == 200 &&
           reply->body.size > 0 &&
           memmem(reply->body.data, reply->body.size, request->id_header + ID_AT,
                  WEIR_BODY_ID_SIZE) != NULL;
}

static const char *code_of(const struct weir_transport_reply *reply)
{
    switch (reply->failure) {
    case WEIR_TRANSPORT_ANSWERED:
        return reply->status == 200 ? "HttpEndpoint.InvalidResponseFromDestination"
                                    : "HttpEndpoint.DestinationException";
    case WEIR_TRANSPORT_TIMEOUT: return "HttpEndpoint.RequestTimeout";
    case WEIR_TRANSPORT_LOST: return "HttpEndpoint.ConnectionReset";
    case WEIR_TRANSPORT_UNTRUSTED: return "HttpEndpoint.SSLHandshakeFailure";
    case WEIR_TRANSPORT_UNREACHED:
    case WEIR_TRANSPORT_REFUSED: break;
    }
    return "HttpEndpoint.ConnectionFailed";
}

void weir_load_request_failed(struct weir_load_request *request,
                              const struct weir_transport_reply *reply)
{
    bool answered = reply->failure == WEIR_TRANSPORT_ANSWERED;
    bool gateway = answered && (reply->status == 502 || reply->status == 504);
    bool lost = reply->failure == WEIR_TRANSPORT_LOST || reply->failure == WEIR_TRANSPORT_TIMEOUT;
    /* a proxy's word on the way is not the backend's; nor is a 200 that is none */
    request->unsure = request->unsure || lost || gateway || (answered && reply->status == 200);
    request->error = code_of(reply);
    if (answered) {
        int size = (int)(reply->body.size < 400 ? reply->body.size : 400);
        (void)snprintf(request->message, sizeof request->message, "%d: %.*s", reply->status, size,
                       reply->body.size == 0 ? "" : (const char *)reply->body.data);
    } else {
        (void)snprintf(request->message, sizeof request->message, "%.400s",
                       reply->message == NULL ? "" : reply->message);
    }
}

enum weir_status weir_load_request_back_up(struct weir_load_request *request,
                                           struct weir_load_maker *maker, const char *directory)
{
    struct weir_load_parcel again = request->parcel; /* json moves its id; the body keeps its own */
    struct weir_bytes json;
    uint64_t number;
    const char *name = strrchr(request->arn_header, '/');
    WEIR_TRY(weir_load_parcel_json(maker, &again, &json));
    weir_rand_system(&number, sizeof number);
    const struct weir_load_failure failure = {
        .stream = name == NULL ? "stream" : name + 1,
        .code = request->error,
        .message = weir_bytes_str(request->message),
        .attempts = request->retry.attempts,
        .arrival_ms = request->arrival_ms,
        .ending_ms = weir_clock_wall_ns() / WEIR_NS_PER_MS,
        .number = number,
    };
    return weir_load_backup_write(directory, &failure, json);
}
