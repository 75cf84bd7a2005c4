/* SPDX-License-Identifier: Apache-2.0 */
#include "fingerprint.h"
#include "traffic.h"
#include "weir/json.h"
#include "weir/mem.h"
#include "weir/panic.h"

#include <inttypes.h>
#include <stdio.h>

#define TEXT_MAX 4096 /* far more than is ever printed */

/* The members, in the order in which they are printed; all must be there to be read. */
enum member {
    SEED,
    START,
    STREAMS,
    RESOURCES,
    NAMESPACES,
    PER_STREAM,
    HOT,
    WITHOUT,
    FINGERPRINT,
    MEMBERS
};

static const struct weir_bytes names[MEMBERS] = {[SEED] = WEIR_BYTES_INIT("seed"),
                                                 [START] = WEIR_BYTES_INIT("start_ms"),
                                                 [STREAMS] = WEIR_BYTES_INIT("streams"),
                                                 [RESOURCES] = WEIR_BYTES_INIT("resources"),
                                                 [NAMESPACES] = WEIR_BYTES_INIT("namespaces"),
                                                 [PER_STREAM] = WEIR_BYTES_INIT("per_stream"),
                                                 [HOT] = WEIR_BYTES_INIT("hot_percent"),
                                                 [WITHOUT] = WEIR_BYTES_INIT("without_percentiles"),
                                                 [FINGERPRINT] = WEIR_BYTES_INIT("fingerprint")};

struct reading {
    struct weir_traffic_options options;
    uint64_t fingerprint;
};

/* Seed and fingerprint are strings of decimal digits: a JSON number need not hold 64 bits. */
void weir_traffic_print(const struct weir_traffic_options *options, char *ret, size_t size)
{
    int length = snprintf(
        ret, size,
        "{\"seed\":\"%" PRIu64 "\",\"start_ms\":%" PRId64 ",\"streams\":%" PRIu32
        ",\"resources\":%" PRIu32 ",\"namespaces\":%" PRIu32 ",\"per_stream\":%" PRIu32
        ",\"hot_percent\":%" PRIu32 ",\"without_percentiles\":%s,\"fingerprint\":\"%" PRIu64 "\"}",
        options->seed, options->start_ms, options->streams, options->resources, options->namespaces,
        options->per_stream, options->hot_percent, options->without_percentiles ? "true" : "false",
        weir_traffic_fingerprint());
    WEIR_ASSERT(length > 0 && (size_t)length < size);
}

static bool read_wide(struct weir_bytes text, uint64_t *ret)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(c - '0'), &number)) {
            return false;
        }
    }
    *ret = number;
    return text.size > 0;
}

static bool read_number(struct weir_json *json, uint32_t *ret)
{
    int64_t value = weir_json_int64(json);
    *ret = (uint32_t)value;
    return value >= 0 && value <= UINT32_MAX;
}

static bool read_flag(struct weir_json *json, bool *ret)
{
    enum weir_json_type type = weir_json_peek(json);
    *ret = type == WEIR_JSON_TRUE;
    weir_json_skip(json);
    return type == WEIR_JSON_TRUE || type == WEIR_JSON_FALSE;
}

static bool read_member(struct weir_json *json, enum member member, struct reading *reading)
{
    struct weir_traffic_options *options = &reading->options;
    switch (member) {
    case SEED: return read_wide(weir_json_string(json), &options->seed);
    case START: options->start_ms = weir_json_int64(json); return true;
    case STREAMS: return read_number(json, &options->streams);
    case RESOURCES: return read_number(json, &options->resources);
    case NAMESPACES: return read_number(json, &options->namespaces);
    case PER_STREAM: return read_number(json, &options->per_stream);
    case HOT: return read_number(json, &options->hot_percent);
    case WITHOUT: return read_flag(json, &options->without_percentiles);
    case FINGERPRINT: return read_wide(weir_json_string(json), &reading->fingerprint);
    case MEMBERS: break;
    }
    return false;
}

static enum member member_of(struct weir_bytes key)
{
    unsigned member = 0;
    while (member < MEMBERS && !weir_bytes_eq(names[member], key)) {
        member++;
    }
    return (enum member)member;
}

static enum weir_status parse(uint8_t *text, size_t size, struct weir_traffic_options *ret)
{
    struct reading reading = {.fingerprint = 0};
    struct weir_json json;
    struct weir_bytes key;
    unsigned seen = 0;
    weir_json_init(&json, text, size, 2);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        enum member member = member_of(key);
        unsigned bit = 1U << member;
        if (!read_member(&json, member, &reading) || (seen & bit) != 0) {
            return WEIR_EMALFORMED;
        }
        seen |= bit;
    }
    if (weir_json_finish(&json) != WEIR_OK || seen != (1U << MEMBERS) - 1) {
        return WEIR_EMALFORMED;
    }
    if (reading.fingerprint != weir_traffic_fingerprint()) {
        return WEIR_EUNSUPPORTED;
    }
    *ret = reading.options;
    return WEIR_OK;
}

enum weir_status weir_traffic_parse(struct weir_bytes text, struct weir_traffic_options *ret)
{
    char *copy = text.size > TEXT_MAX ? NULL : weir_mem_text(text.data, text.size);
    if (copy == NULL) {
        return text.size > TEXT_MAX ? WEIR_EMALFORMED : WEIR_ENOMEM;
    }
    enum weir_status status = parse((uint8_t *)copy, text.size, ret);
    weir_mem_free(copy);
    return status;
}
