/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an accepted request is counted as: see account.h.
 *
 *   runs ──► points by namespace, by account and region; each namespace's newest point
 *        ──► points that no destination wants, by reason
 *   tally ─► records by format, what was quarantined by reason
 *   heads ─► ids that differ, attributes that are damaged, the stream's last request
 *
 *   I1  a request is counted once, when it is committed and before it is published: a refusal that
 *       comes again and a repetition are not
 *   I2  a namespace's newest point only rises, whichever worker sees it first, and is never later
 *       than now
 *
 * Counters are the worker's own (weir/metrics.h); what workers share is newest_ns. Series of
 * namespaces are remembered for each worker, those of accounts for as long as one request is
 * counted, whose resources stay where they are: a request has few of them and may have thousands of
 * runs. Nothing here fails: a label too many is counted as "other".
 *
 * A worker's thread. It does not say where points go (route) or what became of them (export).
 */
#include "account.h"

#include "weir/clock.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include <stdatomic.h>

/* Shared by all workers: the newest point of each namespace, wall clock ns, only ever raised. */
struct weir_account {
    _Atomic int64_t newest_ns[WEIR_NAMESPACE_IDS];
};

enum weir_status weir_account_new(struct weir_account **ret)
{
    struct weir_account *account = weir_mem_zalloc(1, sizeof(*account));
    if (account == NULL) {
        return WEIR_ENOMEM;
    }
    *ret = account;
    return WEIR_OK;
}

void weir_account_free(struct weir_account *account)
{
    weir_mem_free(account);
}

void weir_account_cache_init(struct weir_account_cache *cache)
{
    *cache = (struct weir_account_cache){.points_series = {0}, .newest_series = {0}};
}

static struct weir_bytes namespace_label(const struct weir_run *run)
{
    if (run->namespace_id == WEIR_NAMESPACE_OVERFLOW) {
        return WEIR_BYTES("other");
    }
    return run->name.size == 0 ? WEIR_BYTES("none") : run->name;
}

/* Raises the namespace's newest point; true when this call did. A point from the future counts as
 * now. */
static bool raise_newest(_Atomic int64_t *place, int64_t newest_ns)
{
    /* Relaxed: one number, nothing is published with it. */
    int64_t seen = atomic_load_explicit(place, memory_order_relaxed);
    while (newest_ns > seen) {
        if (atomic_compare_exchange_weak_explicit(place, &seen, newest_ns, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* The series of `family` for a namespace, out of the worker's memory. */
static uint32_t series_of(uint32_t *remembered, enum weir_family family, const struct weir_run *run)
{
    if (*remembered == 0) {
        struct weir_bytes label = namespace_label(run);
        *remembered = weir_metrics_series(family, &label) + 1;
    }
    return *remembered - 1;
}

/* Series of the resources that one request has, where a place is not another resource's. */
enum { OWNERS = 64 };
struct owners {
    const struct weir_resource *resources[OWNERS];
    uint32_t series[OWNERS];
};

static uint32_t owner_series(struct owners *owners, const struct weir_resource *resource)
{
    size_t at = ((uintptr_t)resource / _Alignof(struct weir_resource)) * 0x9e3779b1u / 65536;
    at %= OWNERS;
    if (owners->resources[at] != resource) {
        const struct weir_bytes owner[] = {
            resource->account.size == 0 ? WEIR_BYTES("none") : resource->account,
            resource->region.size == 0 ? WEIR_BYTES("none") : resource->region};
        owners->series[at] = weir_metrics_series(WEIR_M_ACCOUNT_POINTS, owner);
        owners->resources[at] = resource;
    }
    return owners->series[at];
}

static void count_run(struct weir_account *account, struct weir_account_cache *cache,
                      const struct weir_run *run, int64_t now_wall_ns)
{
    uint32_t id = run->namespace_id;
    weir_metrics_add(series_of(&cache->points_series[id], WEIR_M_POINTS_RECEIVED, run), run->count);
    int64_t newest_ns = run->newest_ns < now_wall_ns ? run->newest_ns : now_wall_ns;
    if (raise_newest(&account->newest_ns[id], newest_ns)) {
        weir_metrics_set(series_of(&cache->newest_series[id], WEIR_M_NEWEST_POINT, run),
                         (double)newest_ns / (double)WEIR_NS_PER_S);
    }
}

static void count_runs(struct weir_account *account, struct weir_account_cache *cache,
                       const struct weir_runs *runs, int64_t now_wall_ns)
{
    struct owners owners = {.resources = {NULL}};
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct weir_run *run = &runs->runs[i];
        count_run(account, cache, run, now_wall_ns);
        weir_metrics_add(owner_series(&owners, run->resource), run->count);
    }
}

/* What goes nowhere. A request that no destination takes as a whole has its reason for all. */
static void count_unrouted(const struct weir_submission *submission)
{
    const struct weir_runs *runs = &submission->result.runs;
    uint64_t points[WEIR_UNROUTED_REASONS] = {0};
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct weir_run *run = &runs->runs[i];
        if (run->takers == 0) {
            points[submission->choice.targets == 0 ? submission->choice.unrouted : run->unrouted] +=
                run->count;
        }
    }
    for (int reason = WEIR_ROUTED + 1; reason < WEIR_UNROUTED_REASONS; reason++) {
        if (points[reason] > 0) {
            struct weir_bytes label =
                weir_bytes_str(weir_route_unrouted_text((enum weir_unrouted)reason));
            weir_metrics_add(weir_metrics_series(WEIR_M_POINTS_UNROUTED, &label), points[reason]);
        }
    }
    if (submission->choice.is_damaged) {
        weir_metrics_add(weir_metrics_series(WEIR_M_ATTRIBUTES_DAMAGED, NULL), 1);
        weir_log(WEIR_LOG_WARN, "common attributes damaged",
                 WEIR_LOG_TEXTF("request_id", submission->request_id),
                 WEIR_LOG_TEXTF("stream", submission->source_arn));
    }
}

static void count_tally(const struct weir_tally *tally, const struct weir_submission *submission)
{
    for (int format = 0; format < WEIR_RECORD_FORMATS; format++) {
        if (tally->records[format] > 0) {
            struct weir_bytes label =
                weir_bytes_str(weir_record_format_text((enum weir_record_format)format));
            weir_metrics_add(weir_metrics_series(WEIR_M_RECORDS, &label), tally->records[format]);
        }
    }
    for (int reason = 0; reason < WEIR_QUARANTINE_REASONS; reason++) {
        if (tally->quarantined[reason] > 0) {
            const char *text = weir_quarantine_text((enum weir_quarantine)reason);
            struct weir_bytes label = weir_bytes_str(text);
            weir_metrics_add(weir_metrics_series(WEIR_M_QUARANTINED, &label),
                             tally->quarantined[reason]);
            weir_log(WEIR_LOG_WARN, "quarantined", WEIR_LOG_STR("reason", text),
                     WEIR_LOG_INT("count", tally->quarantined[reason]),
                     WEIR_LOG_TEXTF("request_id", submission->request_id),
                     WEIR_LOG_TEXTF("stream", submission->source_arn));
        }
    }
}

static void count_mismatch(const struct weir_submission *submission)
{
    struct weir_bytes in_body = submission->result.request_id;
    if (in_body.size == 0 || weir_bytes_eq(in_body, submission->request_id)) {
        return;
    }
    weir_metrics_add(weir_metrics_series(WEIR_M_ID_MISMATCHES, NULL), 1);
    weir_log(WEIR_LOG_WARN, "request ids differ",
             WEIR_LOG_TEXTF("request_id", submission->request_id),
             WEIR_LOG_TEXTF("body_request_id", in_body),
             WEIR_LOG_TEXTF("stream", submission->source_arn));
}

void weir_account_request(struct weir_account *account, struct weir_account_cache *cache,
                          const struct weir_submission *submission, int64_t now_wall_ns)
{
    count_runs(account, cache, &submission->result.runs, now_wall_ns);
    count_unrouted(submission);
    count_tally(submission->result.tally, submission);
    count_mismatch(submission);
    struct weir_bytes stream =
        submission->source_arn.size == 0 ? WEIR_BYTES("none") : submission->source_arn;
    weir_metrics_set(weir_metrics_series(WEIR_M_STREAM_LAST_REQUEST, &stream),
                     (double)now_wall_ns / (double)WEIR_NS_PER_S);
}
