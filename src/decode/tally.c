/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/tally.h"
#include "weir/panic.h"

static const char *const reason_texts[WEIR_QUARANTINE_REASONS] = {
    [WEIR_QUARANTINE_NOT_A_METRIC] = "not_a_metric",
    [WEIR_QUARANTINE_GZIP] = "gzip",
    [WEIR_QUARANTINE_JSON_LINE] = "json_line",
    [WEIR_QUARANTINE_JSON_VALUE] = "json_value",
    [WEIR_QUARANTINE_OTLP_FRAME] = "otlp_frame",
    [WEIR_QUARANTINE_OTLP_MESSAGE] = "otlp_message",
    [WEIR_QUARANTINE_OTLP_TYPE] = "otlp_type",
    [WEIR_QUARANTINE_OTLP_NO_POINTS] = "otlp_no_points",
    [WEIR_QUARANTINE_UNKNOWN] = "unknown",
};

static const char *const format_texts[WEIR_RECORD_FORMATS] = {
    [WEIR_RECORD_EMPTY] = "empty",     [WEIR_RECORD_JSON] = "json",
    [WEIR_RECORD_OTLP_10] = "otlp_10", [WEIR_RECORD_OTLP_07] = "otlp_07",
    [WEIR_RECORD_UNKNOWN] = "unknown",
};

void weir_tally_quarantine(struct weir_tally *tally, enum weir_quarantine reason, uint32_t record,
                           struct weir_bytes whole)
{
    WEIR_ASSERT(reason < WEIR_QUARANTINE_REASONS);
    const struct weir_quarantined quarantined = {reason, record, whole};
    tally->quarantined[reason]++;
    if (tally->kept_count < WEIR_QUARANTINED_KEPT) {
        tally->kept[tally->kept_count++] = quarantined;
    }
    if (tally->visitor.visit != NULL) {
        tally->visitor.visit(tally->visitor.argument, &quarantined);
    }
}

const char *weir_quarantine_text(enum weir_quarantine reason)
{
    WEIR_ASSERT(reason < WEIR_QUARANTINE_REASONS);
    return reason_texts[reason];
}

const char *weir_record_format_text(enum weir_record_format format)
{
    WEIR_ASSERT(format < WEIR_RECORD_FORMATS);
    return format_texts[format];
}
