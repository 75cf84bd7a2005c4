/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * The process's own metrics: one closed list of families, counted per thread, summed when read.
 *
 *   thread 1 slab [ series 0 | series 1 | ... ]     a count is one relaxed store into the
 *   thread 2 slab [ series 0 | series 1 | ... ]     thread's own slab: no shared cache line
 *                      └──── sum ────► /metrics
 *
 * A series is a family with its label values; it is interned once (weir/table.h) and then known by
 * number. Each family has a cap, all together WEIR_METRICS_SERIES_MAX; past a cap the count goes to
 * the family's series whose label values are all "other", and weir_metrics_overflow_total{family}
 * says so. Histograms have fixed buckets.
 */
#define WEIR_METRICS_SERIES_MAX 10000
#define WEIR_METRICS_LABELS_MAX 3

/* Every family, in the order of the exposition. src/metrics/families.c holds name, type, labels,
 * buckets, cap and help of each. */
enum weir_family {
    WEIR_M_REQUESTS,            /* weir_requests_total{code,reason} */
    WEIR_M_REQUEST_BODY_BYTES,  /* weir_request_body_bytes_total */
    WEIR_M_REQUEST_DURATION,    /* weir_request_duration_seconds, histogram */
    WEIR_M_REQUESTS_WAITED,     /* weir_requests_waited_total */
    WEIR_M_KEY_REQUESTS,        /* weir_access_key_requests_total{key} */
    WEIR_M_KEY_LAST_USED,       /* weir_access_key_last_used_timestamp_seconds{key,stream}, gauge */
    WEIR_M_ID_MISMATCHES,       /* weir_request_id_mismatches_total */
    WEIR_M_RECORDS,             /* weir_records_total{format} */
    WEIR_M_QUARANTINED,         /* weir_records_quarantined_total{reason} */
    WEIR_M_CONNECTIONS,         /* weir_connections, gauge */
    WEIR_M_CONNECTIONS_REFUSED, /* weir_connections_refused_total{reason} */
    WEIR_M_CONNECTIONS_CUT,     /* weir_connections_cut_total{reason} */
    WEIR_M_ACCEPT_PAUSES,       /* weir_accept_pauses_total{reason} */
    WEIR_M_TLS_HANDSHAKES,      /* weir_tls_handshakes_total{outcome} */
    WEIR_M_TLS_DURATION,        /* weir_tls_handshake_duration_seconds, histogram */
    WEIR_M_TLS_EXPIRY,          /* weir_tls_certificate_expiry_timestamp_seconds{certificate},
                                   gauge */
    WEIR_M_POINTS_RECEIVED,     /* weir_points_received_total{namespace} */
    WEIR_M_ACCOUNT_POINTS,      /* weir_account_points_total{account,region} */
    WEIR_M_POINTS_UNROUTED,     /* weir_points_unrouted_total{reason} */
    WEIR_M_TENANT_DENIED,       /* weir_tenant_denied_requests_total{destination,reason} */
    WEIR_M_TENANTS,             /* weir_tenants{destination,state}, gauge */
    WEIR_M_TENANT_INFO,         /* weir_tenant_info{tenant,destination,host,key}, gauge 0 or 1 */
    WEIR_M_ATTRIBUTES_DAMAGED,  /* weir_common_attributes_damaged_total */
    WEIR_M_STREAM_LAST_REQUEST, /* weir_stream_last_request_timestamp_seconds{stream}, gauge */
    WEIR_M_NEWEST_POINT,        /* weir_newest_point_timestamp_seconds{namespace}, gauge */
    WEIR_M_NAMESPACE_OVERFLOW,  /* weir_namespace_overflow_points_total */
    WEIR_M_RING_POINTS,         /* weir_ring_points{namespace}, gauge */
    WEIR_M_MEMORY,              /* weir_memory_bytes{kind}, gauge */
    WEIR_M_MEMORY_LIMIT,        /* weir_memory_limit_bytes{kind}, gauge */
    WEIR_M_ALLOCATIONS,         /* weir_allocations_total */
    WEIR_M_ARENA_COPIES,        /* weir_arena_copied_bytes_total{destination} */
    WEIR_M_BATCH_BYTES,         /* weir_batch_bytes{destination}, histogram */
    WEIR_M_BATCH_TRIGGER,       /* weir_batch_trigger_total{destination,trigger} */
    WEIR_M_EXPORT_REQUESTS,     /* weir_export_requests_total{destination,outcome} */
    WEIR_M_EXPORT_POINTS,       /* weir_export_points_total{destination,outcome} */
    WEIR_M_EXPORT_DURATION,     /* weir_export_duration_seconds{destination}, histogram */
    WEIR_M_EXPORT_BYTES,        /* weir_export_bytes_total{destination,encoding} */
    WEIR_M_EXPORT_REPEATS,      /* weir_export_repeats_total{destination} */
    WEIR_M_DELIVERY_LAG,        /* weir_delivery_lag_seconds{destination}, histogram */
    WEIR_M_RETRY_BATCHES,       /* weir_export_retry_batches{destination}, gauge */
    WEIR_M_WINDOW_REMAINING,    /* weir_export_window_remaining_seconds{destination}, gauge */
    WEIR_M_BLOCKED,             /* weir_destination_blocked{destination,reason}, gauge 0 or 1 */
    WEIR_M_OAUTH_REQUESTS,      /* weir_oauth_requests_total{destination,outcome} */
    WEIR_M_DEAD_LETTER_POINTS,  /* weir_dead_letter_points_total{destination,reason} */
    WEIR_M_DEAD_LETTER_REFUSED, /* weir_dead_letter_refused_points_total{destination} */
    WEIR_M_SPOOL_BYTES,         /* weir_spool_bytes, gauge */
    WEIR_M_SPOOL_LIMIT,         /* weir_spool_limit_bytes, gauge */
    WEIR_M_SPOOL_UNRELEASED,    /* weir_spool_unreleased_records, gauge */
    WEIR_M_SPOOL_OWED_BYTES,    /* weir_spool_unreleased_bytes, gauge */
    WEIR_M_SPOOL_OLDEST,        /* weir_spool_oldest_unreleased_seconds, gauge */
    WEIR_M_SPOOL_BACKLOG,       /* weir_spool_backlog_records{destination}, gauge */
    WEIR_M_SPOOL_BACKLOG_BYTES, /* weir_spool_backlog_bytes{destination}, gauge */
    WEIR_M_SPOOL_COMMIT,        /* weir_spool_commit_duration_seconds, histogram */
    WEIR_M_SPOOL_BATCH,         /* weir_spool_batch_records, histogram */
    WEIR_M_SPOOL_RECORDS,       /* weir_spool_records_total{what} */
    WEIR_M_SPOOL_FAILURES,      /* weir_spool_failures_total{file} */
    WEIR_M_SPOOL_LOST,          /* weir_spool_lost_records_total */
    WEIR_M_SPOOL_TORN,          /* weir_spool_torn_records_total */
    WEIR_M_SPOOL_SET_ASIDE,     /* weir_spool_set_aside_segments, gauge */
    WEIR_M_DEDUPLICATED,        /* weir_requests_deduplicated_total */
    WEIR_M_IDS_REUSED,          /* weir_request_ids_reused_total */
    WEIR_M_DEDUPE_EVICTED,      /* weir_dedupe_evicted_total */
    WEIR_M_DEDUPE_ENTRIES,      /* weir_dedupe_entries, gauge */
    WEIR_M_DEAD_LETTER_BYTES,   /* weir_dead_letter_bytes, gauge */
    WEIR_M_DEAD_LETTER_LIMIT,   /* weir_dead_letter_limit_bytes, gauge */
    WEIR_M_DEAD_LETTER_LINES,   /* weir_dead_letter_lines_total{reason} */
    WEIR_M_DEAD_LETTER_EVICTED, /* weir_dead_letter_evicted_files_total */
    WEIR_M_LOG_SUPPRESSED,      /* weir_log_lines_suppressed_total */
    WEIR_M_OVERFLOW,            /* weir_metrics_overflow_total{family} */
    WEIR_M_BUILD_INFO,          /* weir_build_info{version} */
    WEIR_M_CONFIG_INFO,         /* weir_config_info{hash}, gauge */
    WEIR_M_CONFIG_RELOAD_GOOD,  /* weir_config_last_reload_successful, gauge 0 or 1 */
    WEIR_M_CONFIG_RELOADED,     /* weir_config_last_reload_timestamp_seconds, gauge */
    WEIR_M_CONFIG_RESTART_KEYS, /* weir_config_restart_needed_keys, gauge */
    WEIR_M_PROCESS_CPU,         /* process_cpu_seconds_total */
    WEIR_M_PROCESS_RESIDENT,    /* process_resident_memory_bytes */
    WEIR_M_PROCESS_VIRTUAL,     /* process_virtual_memory_bytes */
    WEIR_M_PROCESS_OPEN_FDS,    /* process_open_fds */
    WEIR_M_PROCESS_MAX_FDS,     /* process_max_fds */
    WEIR_M_PROCESS_START,       /* process_start_time_seconds */
    WEIR_M_FAMILIES
};

/* Makes and frees the process's registry; before the first and after the last thread that counts.
 * WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_metrics_start(void);
void weir_metrics_stop(void);

/* Gives the calling thread its slab, and takes it back (its counts stay). Counting without one is
 * our bug (asserted). A thread must be RCU-registered. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_metrics_thread_start(void);
void weir_metrics_thread_stop(void);

/* The number of the series with these label values (as many as the family has labels; NULL where it
 * has none). Never fails: past a cap it is the family's "other" series, and that is counted. Keep
 * the number where it is used often. Any thread with a slab. */
uint32_t weir_metrics_series(enum weir_family family, const struct weir_bytes *values);

/* Counts into a counter or raises a gauge; observes a value in a histogram; sets a gauge. Gauges,
 * and the totals that somebody else keeps (allocations, lost log lines, CPU seconds: set, not
 * counted), are process-wide; the rest is the calling thread's. A mistaken kind is asserted. */
void weir_metrics_add(uint32_t series, uint64_t count);
void weir_metrics_observe(uint32_t series, double value);
void weir_metrics_set(uint32_t series, double value);

#endif
