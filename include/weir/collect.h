/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_COLLECT_H
#define WEIR_COLLECT_H

#include "weir/point.h"

/*
 * Collects what the record decoders find, and sorts it into runs at the end.
 *
 *   decoder ─► resource / scope / metric (interned: equal heads are one struct)
 *           ─► point, point, ...          a flat list in blocks, in the order they came
 *   mark ... rollback                     takes back a message that turned out to be damaged
 *   finish ─► runs                        one stable counting sort by (resource, namespace)
 *
 * All memory is the request's arena; running out (of budget or memory) is sticky: `full` is set and every later call is
 * harmless. Pure; the request's thread. Also keeps the tallies that the owner counts: records by format, quarantine.
 */
struct weir_collect;

enum weir_record_format {
    WEIR_RECORD_EMPTY,
    WEIR_RECORD_JSON,
    WEIR_RECORD_OTLP_10,
    WEIR_RECORD_OTLP_07,
    WEIR_RECORD_UNKNOWN,
    WEIR_RECORD_FORMATS
};

/* Why something intact is not a metric: the closed list behind weir_records_quarantined_total{reason}. */
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

/* The reason as a label value ("not_a_metric"). Static storage. */
const char *weir_quarantine_text(enum weir_quarantine reason);
const char *weir_record_format_text(enum weir_record_format format);

/* What was quarantined, smallest whole first come; the list is capped at WEIR_QUARANTINED_KEPT, the tallies are not. */
#define WEIR_QUARANTINED_KEPT 64
struct weir_quarantined {
    enum weir_quarantine reason;
    uint32_t record;         /* index in the request */
    struct weir_bytes whole; /* the line, message or record, in the arena */
};

struct weir_tally {
    uint32_t records[WEIR_RECORD_FORMATS];
    uint32_t quarantined[WEIR_QUARANTINE_REASONS];
    struct weir_quarantined kept[WEIR_QUARANTINED_KEPT];
    uint32_t kept_count;
};

struct weir_collect_mark {
    uint32_t points;
};

/* A collector whose every byte comes from `arena`. NULL when the arena is full. */
struct weir_collect *weir_collect_new(struct weir_arena *arena);

/* Interned heads. The bytes must be in the arena already. Never NULL: after `full` a static dummy. */
const struct weir_resource *weir_collect_resource(struct weir_collect *collect, struct weir_bytes head,
                                                  struct weir_bytes account, struct weir_bytes region);
const struct weir_scope *weir_collect_scope(struct weir_collect *collect,
                                            const struct weir_resource *resource,
                                            struct weir_bytes head);
const struct weir_metric *weir_collect_metric(struct weir_collect *collect, struct weir_metric key);

/* One data point of `metric` in the namespace `name`, its content at `data` in the arena; `time_ns` is its time. */
void weir_collect_point(struct weir_collect *collect, const struct weir_metric *metric,
                        struct weir_bytes name, struct weir_bytes data, int64_t time_ns);

/* The list's length now, and back to it. */
struct weir_collect_mark weir_collect_mark(const struct weir_collect *collect);
void weir_collect_rollback(struct weir_collect *collect, struct weir_collect_mark mark);

/* Sorts into runs. WEIR_EFULL when the arena was ever full; *ret is then untouched. */
WEIR_MUST_USE enum weir_status weir_collect_finish(struct weir_collect *collect, struct weir_runs *ret);

#endif
