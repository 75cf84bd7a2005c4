/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/record.h"
#include "weir/panic.h"
#include "weir/pb.h"

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool is_gzip(struct weir_bytes record)
{
    return record.size >= 2 && record.data[0] == 0x1F && record.data[1] == 0x8B;
}

/*
 * A record that begins with white space may be a message of 9, 10, 13 or 32 bytes. Then its second
 * byte is the tag 0a (also a line feed) and its third the length of a ResourceMetrics that must fit
 * into the message.
 */
static bool can_be_short_message(struct weir_bytes record)
{
    uint8_t size = record.data[0];
    return record.size > size && record.data[1] == 0x0A && record.data[2] <= size - 2;
}

enum weir_record_format weir_record_sniff(struct weir_bytes record)
{
    if (record.size == 0) {
        return WEIR_RECORD_EMPTY;
    }
    if (is_gzip(record)) {
        return WEIR_RECORD_UNKNOWN;
    }
    if (record.data[0] == '{') {
        bool is_message = record.size > 1 && record.data[1] == 0x0A;
        return is_message ? WEIR_RECORD_OTLP_10 : WEIR_RECORD_JSON;
    }
    if (!is_space(record.data[0]) || can_be_short_message(record)) {
        return WEIR_RECORD_OTLP_10;
    }
    size_t at = 0;
    while (at < record.size && is_space(record.data[at])) {
        at++;
    }
    return at == record.size || record.data[at] == '{' ? WEIR_RECORD_JSON : WEIR_RECORD_OTLP_10;
}

static uint64_t quarantined_so_far(const struct weir_tally *tally)
{
    uint64_t sum = 0;
    for (int reason = 0; reason < WEIR_QUARANTINE_REASONS; reason++) {
        sum += tally->quarantined[reason];
    }
    return sum;
}

/* Delimited messages; a record of nothing but empty ones holds no metric either, and says so. */
static enum weir_record_format decode_otlp(struct weir_collect *collect, struct weir_bytes record,
                                           uint32_t record_index)
{
    uint32_t points = collect->points;
    uint64_t quarantined = quarantined_so_far(collect->tally);
    enum weir_record_format format = weir_otlp_decode(collect, record, record_index);
    if (collect->points == points && !collect->full &&
        quarantined_so_far(collect->tally) == quarantined) {
        weir_tally_quarantine(collect->tally, WEIR_QUARANTINE_OTLP_NO_POINTS, record_index, record);
    }
    return format;
}

void weir_record_decode(struct weir_collect *collect, struct weir_cwjson_context context,
                        struct weir_bytes record, uint32_t record_index)
{
    enum weir_record_format format = weir_record_sniff(record);
    switch (format) {
    case WEIR_RECORD_EMPTY: break;
    case WEIR_RECORD_JSON: weir_cwjson_decode(collect, context, record, record_index); break;
    case WEIR_RECORD_OTLP_10:
    case WEIR_RECORD_OTLP_07: format = decode_otlp(collect, record, record_index); break;
    case WEIR_RECORD_UNKNOWN:
        weir_tally_quarantine(collect->tally, WEIR_QUARANTINE_GZIP, record_index, record);
        break;
    case WEIR_RECORD_FORMATS:
    default: WEIR_UNREACHABLE();
    }
    collect->tally->records[format]++;
}
