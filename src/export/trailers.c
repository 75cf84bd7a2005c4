/* SPDX-License-Identifier: Apache-2.0 */
#include "trailers.h"
#include "weir/panic.h"

enum { UNKNOWN = 2, STATUS_DIGITS_MAX = 9 };

void weir_trailers_clear(struct weir_trailers *trailers)
{
    trailers->has_status = false;
    trailers->is_grpc = false;
    trailers->status = 0;
    trailers->message_size = 0;
    trailers->details_size = 0;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct weir_bytes trim(struct weir_bytes text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text = weir_bytes_from(text, 1);
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

static int parse_status(struct weir_bytes text)
{
    int status = 0;
    if (text.size == 0 || text.size > STATUS_DIGITS_MAX) {
        return UNKNOWN;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return UNKNOWN;
        }
        status = status * 10 + (text.data[i] - '0');
    }
    return status;
}

/* "application/grpc", "application/grpc+proto", "application/grpc; charset": but not grpc-web. */
static bool is_grpc_type(struct weir_bytes type)
{
    static const struct weir_bytes grpc = WEIR_BYTES_INIT("application/grpc");
    if (type.size < grpc.size || !weir_bytes_eq_nocase(weir_bytes_of(type.data, grpc.size), grpc)) {
        return false;
    }
    return type.size == grpc.size || type.data[grpc.size] == '+' || type.data[grpc.size] == ';' ||
           is_blank(type.data[grpc.size]);
}

/* A copy of at most `max` bytes. */
static uint32_t keep(uint8_t *to, size_t max, struct weir_bytes from)
{
    size_t size = from.size < max ? from.size : max;
    if (size > 0) {
        memcpy(to, from.data, size);
    }
    return (uint32_t)size;
}

void weir_trailers_take(struct weir_trailers *trailers, struct weir_bytes line)
{
    if (weir_bytes_starts_with(line, WEIR_BYTES("HTTP/"))) {
        weir_trailers_clear(trailers);
        return;
    }
    const uint8_t *colon = line.size == 0 ? NULL : memchr(line.data, ':', line.size);
    if (colon == NULL) {
        return;
    }
    size_t name_size = (size_t)(colon - line.data);
    struct weir_bytes name = weir_bytes_of(line.data, name_size);
    struct weir_bytes value = trim(weir_bytes_from(line, name_size + 1));
    if (weir_bytes_eq_nocase(name, WEIR_BYTES("grpc-status"))) {
        trailers->has_status = true;
        trailers->status = parse_status(value);
    } else if (weir_bytes_eq_nocase(name, WEIR_BYTES("grpc-message"))) {
        trailers->message_size = keep(trailers->message, WEIR_TRAILERS_MESSAGE_MAX, value);
    } else if (weir_bytes_eq_nocase(name, WEIR_BYTES("grpc-status-details-bin"))) {
        bool fits = value.size <= WEIR_TRAILERS_DETAILS_MAX;
        trailers->details_size =
            fits ? keep(trailers->details, WEIR_TRAILERS_DETAILS_MAX, value) : 0;
    } else if (weir_bytes_eq_nocase(name, WEIR_BYTES("content-type"))) {
        trailers->is_grpc = is_grpc_type(value);
    }
}
