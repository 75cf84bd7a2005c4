/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The closed list of Weir's own metrics, as data. What is not here cannot be counted.
 *
 * A new family takes a line in enum weir_family (its place in the exposition) and an entry here.
 * Caps are chosen by what the label can be: a reason comes from a list in our own code (tens), a
 * destination or a key from the configuration (64 at a time, and what reloads have taken out), a
 * namespace from outside (1,024 and the shared one), an account with its region from outside (512).
 *
 * Buckets: answers are watched against Firehose's 180 s and batches against their 60 s, so
 * durations go from 1 ms to 180 s in steps of about 2.5. The lag of a point is a matter of minutes
 * (CloudWatch itself takes two or three) and, after an outage, of hours. Sizes go in powers of four
 * around the default batch of 3 MiB.
 */
#include "families.h"

enum {
    CAP_CLOSED = 128,
    CAP_CONFIGURED = 256, /* what reloads have taken out stays */
    CAP_NAMESPACE = 1025,
    CAP_ACCOUNT = 512,
    CAP_STREAM = 256
};

static const struct weir_family_buckets durations = {
    17, {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 180}};

static const struct weir_family_buckets lags = {
    17, {1, 5, 10, 30, 60, 90, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400}};

static const struct weir_family_buckets sizes = {
    9, {1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}};

static const struct weir_family_buckets counts = {11,
                                                  {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}};

#define PLAIN(kind_, name_, help_)                                                                 \
    {                                                                                              \
        .name = (name_), .help = (help_), .kind = (kind_)                                          \
    }
#define ONE(kind_, name_, label_, cap_, help_)                                                     \
    {                                                                                              \
        .name = (name_), .help = (help_), .labels = {(label_)}, .kind = (kind_), .label_count = 1, \
        .cap = (cap_)                                                                              \
    }
#define TWO(kind_, name_, first_, second_, cap_, help_)                                            \
    {                                                                                              \
        .name = (name_), .help = (help_), .labels = {(first_), (second_)}, .kind = (kind_),        \
        .label_count = 2, .cap = (cap_)                                                            \
    }
#define THREE(kind_, name_, first_, second_, third_, cap_, help_)                                  \
    {                                                                                              \
        .name = (name_), .help = (help_), .labels = {(first_), (second_), (third_)},               \
        .kind = (kind_), .label_count = 3, .cap = (cap_)                                           \
    }
#define HISTOGRAM(name_, buckets_, help_)                                                          \
    {                                                                                              \
        .name = (name_), .help = (help_), .buckets = (buckets_), .kind = WEIR_FAMILY_HISTOGRAM     \
    }
#define HISTOGRAM_BY(name_, label_, cap_, buckets_, help_)                                         \
    {                                                                                              \
        .name = (name_), .help = (help_), .labels = {(label_)}, .buckets = (buckets_),             \
        .kind = WEIR_FAMILY_HISTOGRAM, .label_count = 1, .cap = (cap_)                             \
    }
#define COUNTER WEIR_FAMILY_COUNTER
#define TOTAL   WEIR_FAMILY_TOTAL
#define GAUGE   WEIR_FAMILY_GAUGE

const struct weir_family_info weir_families[WEIR_M_FAMILIES] = {
    [WEIR_M_REQUESTS] = TWO(COUNTER, "weir_requests_total", "code", "reason", CAP_CLOSED,
                            "Firehose requests answered, by HTTP status and reason."),
    [WEIR_M_REQUEST_BODY_BYTES] =
        PLAIN(COUNTER, "weir_request_body_bytes_total",
              "Bytes of request bodies received, as they came (before inflating)."),
    [WEIR_M_REQUEST_DURATION] =
        HISTOGRAM("weir_request_duration_seconds", &durations,
                  "Time from a request's first byte to its answer. Firehose gives up after 180 s."),
    [WEIR_M_REQUESTS_WAITED] =
        PLAIN(COUNTER, "weir_requests_waited_total",
              "Requests that were not begun at once, because destinations took less than came in. "
              "None is held longer than a second."),
    [WEIR_M_KEY_REQUESTS] = ONE(COUNTER, "weir_access_key_requests_total", "key", CAP_CONFIGURED,
                                "Requests let in, by the configured name of their access key. A "
                                "key whose count stands still "
                                "can be retired."),
    [WEIR_M_KEY_LAST_USED] =
        TWO(GAUGE, "weir_access_key_last_used_timestamp_seconds", "key", "stream",
            CAP_STREAM + CAP_CONFIGURED,
            "When a delivery stream was last let in with an access key, in Unix time: who still "
            "uses the old one."),
    [WEIR_M_ID_MISMATCHES] =
        PLAIN(COUNTER, "weir_request_id_mismatches_total",
              "Requests whose X-Amz-Firehose-Request-Id and body requestId differ."),
    [WEIR_M_RECORDS] = ONE(COUNTER, "weir_records_total", "format", CAP_CLOSED,
                           "Records in accepted requests, by format."),
    [WEIR_M_QUARANTINED] = ONE(
        COUNTER, "weir_records_quarantined_total", "reason", CAP_CLOSED,
        "Intact pieces of records that hold no metric we know, by reason. They are not exported."),
    [WEIR_M_CONNECTIONS] = PLAIN(GAUGE, "weir_connections", "Open ingest connections."),
    [WEIR_M_CONNECTIONS_REFUSED] =
        ONE(COUNTER, "weir_connections_refused_total", "reason", CAP_CLOSED,
            "Connections closed before their first request, by reason."),
    [WEIR_M_CONNECTIONS_CUT] =
        ONE(COUNTER, "weir_connections_cut_total", "reason", CAP_CLOSED,
            "Connections ended because their peers were slow or idle or sent too much ahead."),
    [WEIR_M_ACCEPT_PAUSES] =
        ONE(COUNTER, "weir_accept_pauses_total", "reason", CAP_CLOSED,
            "Times that a listener stopped accepting, by what there was no more of."),
    [WEIR_M_TLS_HANDSHAKES] = ONE(COUNTER, "weir_tls_handshakes_total", "outcome", CAP_CLOSED,
                                  "TLS handshakes of ingest connections, by outcome."),
    [WEIR_M_TLS_DURATION] =
        HISTOGRAM("weir_tls_handshake_duration_seconds", &durations,
                  "Time from an accepted connection to its handshake's end, where it succeeded."),
    [WEIR_M_TLS_EXPIRY] =
        ONE(GAUGE, "weir_tls_certificate_expiry_timestamp_seconds", "certificate", CAP_CONFIGURED,
            "When a certificate in use expires, in Unix time, by its file."),
    [WEIR_M_POINTS_RECEIVED] =
        ONE(COUNTER, "weir_points_received_total", "namespace", CAP_NAMESPACE,
            "Data points in accepted requests, by CloudWatch namespace."),
    [WEIR_M_ACCOUNT_POINTS] =
        TWO(COUNTER, "weir_account_points_total", "account", "region", CAP_ACCOUNT,
            "Data points in accepted requests, by AWS account and region."),
    [WEIR_M_POINTS_UNROUTED] =
        ONE(COUNTER, "weir_points_unrouted_total", "reason", CAP_CLOSED,
            "Data points in accepted requests that no destination wants, by the filter that the "
            "last one fell out at."),
    [WEIR_M_TENANT_DENIED] =
        TWO(COUNTER, "weir_tenant_denied_requests_total", "destination", "reason", CAP_CLOSED,
            "Accepted requests that name a tenant which is not allowed, or one too many, by "
            "template; they go to the dead letter."),
    [WEIR_M_TENANTS] = TWO(GAUGE, "weir_tenants", "destination", "state", CAP_CLOSED,
                           "Tenants of a template, by state."),
    [WEIR_M_TENANT_INFO] =
        THREE(GAUGE, "weir_tenant_info", "destination", "host", "key", CAP_CONFIGURED,
              "1 for each tenant that is there, 0 when it has gone: its host, and the name of its "
              "access key."),
    [WEIR_M_ATTRIBUTES_DAMAGED] =
        PLAIN(COUNTER, "weir_common_attributes_damaged_total",
              "Accepted requests whose common attributes could not be read and were taken for "
              "absent. Counted where a destination asks for one."),
    [WEIR_M_STREAM_LAST_REQUEST] =
        ONE(GAUGE, "weir_stream_last_request_timestamp_seconds", "stream", CAP_STREAM,
            "When the last request of a delivery stream was accepted, in Unix time."),
    [WEIR_M_NEWEST_POINT] =
        ONE(GAUGE, "weir_newest_point_timestamp_seconds", "namespace", CAP_NAMESPACE,
            "The newest data point's own time in a namespace, in Unix time, never later than now."),
    [WEIR_M_NAMESPACE_OVERFLOW] =
        PLAIN(COUNTER, "weir_namespace_overflow_points_total",
              "Data points that share one ring because there are more namespaces than rings."),
    [WEIR_M_RING_POINTS] = ONE(GAUGE, "weir_ring_points", "namespace", CAP_NAMESPACE,
                               "Data points waiting in rings, over all destinations."),
    [WEIR_M_MEMORY] =
        ONE(GAUGE, "weir_memory_bytes", "kind", CAP_CLOSED,
            "Memory in use: by budget (intake, queued, export) and as the allocator sees it."),
    [WEIR_M_MEMORY_LIMIT] = ONE(GAUGE, "weir_memory_limit_bytes", "kind", CAP_CLOSED,
                                "The limit of each memory budget."),
    [WEIR_M_ALLOCATIONS] =
        PLAIN(TOTAL, "weir_allocations_total",
              "Calls that asked the allocator for memory. Stands still on a warm data plane."),
    [WEIR_M_ARENA_COPIES] =
        ONE(COUNTER, "weir_arena_copied_bytes_total", "destination", CAP_CONFIGURED,
            "Bytes copied out of request memory that a few waiting points would have kept alive."),
    [WEIR_M_BATCH_BYTES] = HISTOGRAM_BY("weir_batch_bytes", "destination", CAP_CONFIGURED, &sizes,
                                        "Size of closed batches in uncompressed OTLP bytes."),
    [WEIR_M_BATCH_TRIGGER] =
        TWO(COUNTER, "weir_batch_trigger_total", "destination", "trigger", CAP_CLOSED * 2,
            "Batches closed, by what closed them (size, interval, points, flush)."),
    [WEIR_M_EXPORT_REQUESTS] = TWO(COUNTER, "weir_export_requests_total", "destination", "outcome",
                                   CAP_CLOSED * 4, "Export attempts, by outcome."),
    [WEIR_M_EXPORT_POINTS] = TWO(COUNTER, "weir_export_points_total", "destination", "outcome",
                                 CAP_CLOSED * 4, "Data points whose export has ended, by outcome."),
    [WEIR_M_EXPORT_DURATION] =
        HISTOGRAM_BY("weir_export_duration_seconds", "destination", CAP_CONFIGURED, &durations,
                     "Time from the start of an export attempt to its answer."),
    [WEIR_M_EXPORT_BYTES] =
        TWO(COUNTER, "weir_export_bytes_total", "destination", "encoding", CAP_CLOSED,
            "Bytes of export requests, as sent (compressed) and before (identity)."),
    [WEIR_M_EXPORT_REPEATS] =
        ONE(COUNTER, "weir_export_repeats_total", "destination", CAP_CONFIGURED,
            "Batches sent again after an attempt whose answer was lost: possible duplicates."),
    [WEIR_M_DELIVERY_LAG] = HISTOGRAM_BY(
        "weir_delivery_lag_seconds", "destination", CAP_CONFIGURED, &lags,
        "From a data point's own time to the backend's acceptance. The one to alert on."),
    [WEIR_M_RETRY_BATCHES] = ONE(GAUGE, "weir_export_retry_batches", "destination", CAP_CONFIGURED,
                                 "Batches that wait for another attempt."),
    [WEIR_M_WINDOW_REMAINING] =
        ONE(GAUGE, "weir_export_window_remaining_seconds", "destination", CAP_CONFIGURED,
            "Time left in the retry window of the batch that is nearest to its end."),
    [WEIR_M_BLOCKED] = TWO(
        GAUGE, "weir_destination_blocked", "destination", "reason", CAP_CLOSED * 2,
        "1 while a destination refuses everything (a wrong token or URL) and its data is held."),
    [WEIR_M_OAUTH_REQUESTS] =
        TWO(COUNTER, "weir_oauth_requests_total", "destination", "outcome", CAP_CLOSED * 2,
            "Requests for a token of OAuth2 that have ended, by outcome."),
    [WEIR_M_DEAD_LETTER_POINTS] =
        TWO(COUNTER, "weir_dead_letter_points_total", "destination", "reason", CAP_CLOSED * 4,
            "Data points given up for a destination, by reason."),
    [WEIR_M_DEAD_LETTER_REFUSED] =
        ONE(COUNTER, "weir_dead_letter_refused_points_total", "destination", CAP_CONFIGURED,
            "Data points given up that the dead letter had no room for or could not write; they "
            "stay in the spool, if there is one."),
    [WEIR_M_SPOOL_BYTES] =
        PLAIN(GAUGE, "weir_spool_bytes", "Bytes that the spool's segments take on disk."),
    [WEIR_M_SPOOL_LIMIT] = PLAIN(GAUGE, "weir_spool_limit_bytes", "The most they may take."),
    [WEIR_M_SPOOL_UNRELEASED] = PLAIN(GAUGE, "weir_spool_unreleased_records",
                                      "Accepted requests that some destination does not have yet."),
    [WEIR_M_SPOOL_OWED_BYTES] = PLAIN(GAUGE, "weir_spool_unreleased_bytes", "Their bytes on disk."),
    [WEIR_M_SPOOL_OLDEST] = PLAIN(GAUGE, "weir_spool_oldest_unreleased_seconds",
                                  "How long ago the oldest of them was received."),
    [WEIR_M_SPOOL_BACKLOG] = ONE(GAUGE, "weir_spool_backlog_records", "destination", CAP_CONFIGURED,
                                 "Requests on disk that a destination is owed and that are not in "
                                 "memory for it."),
    [WEIR_M_SPOOL_BACKLOG_BYTES] = ONE(GAUGE, "weir_spool_backlog_bytes", "destination",
                                       CAP_CONFIGURED, "Their bytes on disk."),
    [WEIR_M_SPOOL_COMMIT] = HISTOGRAM("weir_spool_commit_duration_seconds", &durations,
                                      "One write and one sync, for all requests that waited."),
    [WEIR_M_SPOOL_BATCH] = HISTOGRAM("weir_spool_batch_records", &counts,
                                     "Requests made durable by one write and one sync."),
    [WEIR_M_SPOOL_RECORDS] =
        ONE(COUNTER, "weir_spool_records_total", "what", CAP_CLOSED,
            "Requests brought to the spool: committed, refused for want of room (full), or refused "
            "because it has failed (failed)."),
    [WEIR_M_SPOOL_FAILURES] =
        ONE(COUNTER, "weir_spool_failures_total", "file", CAP_CLOSED,
            "Failed writes and syncs, by kind of file: segment, release_log. Each ends the use of "
            "that file."),
    [WEIR_M_SPOOL_LOST] = PLAIN(COUNTER, "weir_spool_lost_records_total",
                                "Acknowledged requests that were found damaged on disk."),
    [WEIR_M_SPOOL_TORN] = PLAIN(COUNTER, "weir_spool_torn_records_total",
                                "Requests cut off at a start: written, but never acknowledged."),
    [WEIR_M_SPOOL_SET_ASIDE] =
        PLAIN(GAUGE, "weir_spool_set_aside_segments",
              "Segments of a version that this release cannot read, kept in set-aside/."),
    [WEIR_M_DEDUPLICATED] = PLAIN(COUNTER, "weir_requests_deduplicated_total",
                                  "Requests answered 200 because they had been accepted before."),
    [WEIR_M_IDS_REUSED] = PLAIN(COUNTER, "weir_request_ids_reused_total",
                                "Requests accepted whose id was seen before with another body."),
    [WEIR_M_DEDUPE_EVICTED] =
        PLAIN(COUNTER, "weir_dedupe_evicted_total",
              "Request ids forgotten before their time, because there were too many."),
    [WEIR_M_DEDUPE_ENTRIES] = PLAIN(GAUGE, "weir_dedupe_entries", "Request ids remembered."),
    [WEIR_M_DEAD_LETTER_BYTES] =
        PLAIN(GAUGE, "weir_dead_letter_bytes", "Bytes of all dead-letter files."),
    [WEIR_M_DEAD_LETTER_LIMIT] =
        PLAIN(GAUGE, "weir_dead_letter_limit_bytes",
              "The limit of the dead-letter files: beyond it requests are refused, or files go."),
    [WEIR_M_DEAD_LETTER_LINES] = ONE(COUNTER, "weir_dead_letter_lines_total", "reason", CAP_CLOSED,
                                     "Lines written to the dead letter and synced, by reason."),
    [WEIR_M_DEAD_LETTER_EVICTED] =
        PLAIN(COUNTER, "weir_dead_letter_evicted_files_total",
              "Dead-letter files removed to make room for newer ones (evict)."),
    [WEIR_M_LOG_SUPPRESSED] = PLAIN(TOTAL, "weir_log_lines_suppressed_total",
                                    "Log lines left out by the rate limit of their event."),
    [WEIR_M_OVERFLOW] =
        ONE(COUNTER, "weir_metrics_overflow_total", "family", WEIR_M_FAMILIES,
            "Times that a new series of a family was counted as \"other\" because of a cap."),
    [WEIR_M_BUILD_INFO] = ONE(GAUGE, "weir_build_info", "version", 4,
                              "Always 1; the label says which version is running."),
    [WEIR_M_CONFIG_INFO] =
        ONE(GAUGE, "weir_config_info", "hash", CAP_CONFIGURED,
            "1 for the configuration that is live, by the first 12 hex digits of its file's "
            "SHA-256; 0 for those before it."),
    [WEIR_M_CONFIG_RELOAD_GOOD] =
        PLAIN(GAUGE, "weir_config_last_reload_successful",
              "1 when the last reload (or the start) took the configuration, 0 when it was bad "
              "and changed nothing."),
    [WEIR_M_CONFIG_RELOADED] = PLAIN(GAUGE, "weir_config_last_reload_timestamp_seconds",
                                     "When the live configuration was taken, in Unix time."),
    [WEIR_M_CONFIG_RESTART_KEYS] =
        PLAIN(GAUGE, "weir_config_restart_needed_keys",
              "Keys of the configuration that differ from what runs and need a restart."),
    [WEIR_M_PROCESS_CPU] = PLAIN(TOTAL, "process_cpu_seconds_total",
                                 "Total user and system CPU time spent in seconds."),
    [WEIR_M_PROCESS_RESIDENT] =
        PLAIN(GAUGE, "process_resident_memory_bytes", "Resident memory size in bytes."),
    [WEIR_M_PROCESS_VIRTUAL] =
        PLAIN(GAUGE, "process_virtual_memory_bytes", "Virtual memory size in bytes."),
    [WEIR_M_PROCESS_OPEN_FDS] =
        PLAIN(GAUGE, "process_open_fds", "Number of open file descriptors."),
    [WEIR_M_PROCESS_MAX_FDS] =
        PLAIN(GAUGE, "process_max_fds", "Maximum number of open file descriptors."),
    [WEIR_M_PROCESS_START] = PLAIN(GAUGE, "process_start_time_seconds",
                                   "Start time of the process since the Unix epoch in seconds."),
};
