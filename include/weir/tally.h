/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TALLY_H
#define WEIR_TALLY_H

#include "weir/bytes.h"

/*
 * What decoding one request counted: records by format, and what was intact but no metric, by
 * reason. The decode room neither counts metrics nor logs; the pipeline does both from this struct.
 */
enum weir_record_format {
    WEIR_RECORD_EMPTY,
    WEIR_RECORD_JSON,
    WEIR_RECORD_OTLP_10,
    WEIR_RECORD_OTLP_07,
    WEIR_RECORD_UNKNOWN,
    WEIR_RECORD_FORMATS
};

/* Why something intact is not a metric: the closed list behind
 * weir_records_quarantined_total{reason}. */
enum weir_quarantine {
    WEIR_QUARANTINE_NOT_A_METRIC,   /* JSON without a metric's keys: Firehose's demo data */
    WEIR_QUARANTINE_GZIP,           /* gzip inside a record: CloudWatch Logs; never inflated */
    WEIR_QUARANTINE_JSON_LINE,      /* a line that is not JSON */
    WEIR_QUARANTINE_JSON_VALUE,     /* a metric with a missing, mistyped or impossible value */
    WEIR_QUARANTINE_OTLP_FRAME,     /* a delimited message whose length does not fit */
    WEIR_QUARANTINE_OTLP_MESSAGE,   /* a message that is not well-formed OTLP metrics */
    WEIR_QUARANTINE_OTLP_TYPE,      /* a 0.7 data type that CloudWatch never sends */
    WEIR_QUARANTINE_OTLP_NO_POINTS, /* well-formed, but without a data point */
    WEIR_QUARANTINE_UNKNOWN,        /* none of the formats */
    WEIR_QUARANTINE_REASONS
};

/* What was quarantined, in the order it came; the list is capped at WEIR_QUARANTINED_KEPT, the
 * counts are not. A JSON line may show its strings unescaped: they were, in place, before the line
 * turned out to be none. */
#define WEIR_QUARANTINED_KEPT 64
struct weir_quarantined {
    enum weir_quarantine reason;
    uint32_t record;         /* index in the request */
    struct weir_bytes whole; /* the line, message or record, in the arena */
};

/* Who wants to see everything that is quarantined, past the list's cap too. */
struct weir_tally_visitor {
    void (*visit)(void *argument, const struct weir_quarantined *quarantined); /* or NULL */
    void *argument;
};

struct weir_tally {
    struct weir_tally_visitor visitor; /* zeroed: nobody */
    uint32_t records[WEIR_RECORD_FORMATS];
    uint32_t quarantined[WEIR_QUARANTINE_REASONS];
    struct weir_quarantined kept[WEIR_QUARANTINED_KEPT];
    uint32_t kept_count;
};

/* Counts one smallest whole that is no metric, and keeps a view of it while there is room in the
 * list. Tells the visitor. */
void weir_tally_quarantine(struct weir_tally *tally, enum weir_quarantine reason, uint32_t record,
                           struct weir_bytes whole);

/* The reason as a label value ("not_a_metric"). Static storage.
 * tidy: allow header-prefix -- named for its enum, as weir_status_text is */
const char *weir_quarantine_text(enum weir_quarantine reason);

/* The format as a label value ("otlp_10"). Static storage.
 * tidy: allow header-prefix -- named for its enum, as weir_status_text is */
const char *weir_record_format_text(enum weir_record_format format);

#endif
