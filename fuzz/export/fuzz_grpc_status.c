/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC answer. Input: 1 byte of code, 1 of the message's size, the message, the details' bytes.
 * Oracles: OK is a success and nothing else is; messages are clean UTF-8; RESOURCE_EXHAUSTED is not
 * retried where nothing is called a RetryInfo; with padding or without the details mean the same.
 */
/*
 * A gRPC answer. Input: 1 byte of code, 1 of the message's size, the message, the details' bytes.
 * Oracles: OK is a success and nothing else is; messages are clean UTF-8; RESOURCE_EXHAUSTED is


 * details mean the same.
 */
#include "weir/base64.h"
#include "weir/grpc_status.h"
#include "weir/panic.h"
#include "weir/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DETAILS_MAX = 6000 };
static struct weir_response read_checked(int code, struct weir_bytes message,
                                         struct weir_bytes text)
{
    struct weir_transport_reply reply = {
        .status = 200, .is_grpc = true, .has_grpc_status = true, .grpc_status = code};
    reply.grpc_message = message;
    reply.grpc_details = text;
    struct weir_response response = weir_grpc_status_read(&reply, 10, NULL);
    size_t size = strnlen(response.message, WEIR_RESPONSE_MESSAGE_MAX);
    WEIR_ASSERT(weir_utf8_valid(weir_bytes_of(response.message, size)));
    WEIR_ASSERT((response.outcome == WEIR_OUTCOME_DELIVERED) == (code == 0));
    WEIR_ASSERT(response.retry_after_ns == 0 || response.outcome == WEIR_OUTCOME_RETRYABLE);
    return response;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t text[DETAILS_MAX * 2];
    if (size < 2) {
        return 0;
    }
    struct weir_bytes rest = weir_bytes_of(data + 2, size - 2);
    struct weir_bytes message = weir_bytes_of(rest.data, data[1] < rest.size ? data[1] : rest.size);
    struct weir_bytes details = weir_bytes_from(rest, message.size);
    details.size = details.size < DETAILS_MAX ? details.size : DETAILS_MAX;
    weir_base64_encode(details, text);
    struct weir_bytes padded = weir_bytes_of(text, weir_base64_encoded_size(details.size));
    struct weir_response one = read_checked(data[0], message, padded);
    while (padded.size > 0 && text[padded.size - 1] == '=') {
        padded.size--;
    }
    struct weir_response two = read_checked(data[0], message, padded);
    WEIR_ASSERT(one.outcome == two.outcome);
    WEIR_ASSERT(one.retry_after_ns == two.retry_after_ns);
    bool named =
        details.size > 0 && memmem(details.data, details.size, "google.rpc.RetryInfo", 20) != NULL;
    WEIR_ASSERT(named || data[0] != 8 || one.outcome != WEIR_OUTCOME_RETRYABLE);
    return 0;
}
