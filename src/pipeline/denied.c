/* SPDX-License-Identifier: Apache-2.0 */
#include "denied.h"

#include "quarantine.h"
#include "weir/log.h"
#include "weir/metrics.h"

void weir_denied_part(struct weir_submission *submission, bool keeps)
{
    struct weir_reservation *held = &submission->reservation;
    uint64_t templates = 0;
    for (const struct weir_route_denial *it = submission->choice.denials; it != NULL;
         it = it->next) {
        templates |= UINT64_C(1) << it->slot;
    }
    submission->denied = held->wanted & templates;
    held->wanted &= keeps ? UINT64_MAX : ~templates;
}

static void tell(const struct weir_submission *submission, const struct weir_route_denial *denial)
{
    const struct weir_bytes labels[] = {weir_bytes_str(denial->template_name),
                                        weir_bytes_str(denial->reason)};
    weir_metrics_add(weir_metrics_series(WEIR_M_TENANT_DENIED, labels), 1);
    weir_log(WEIR_LOG_WARN, "tenant denied", WEIR_LOG_STR("destination", denial->template_name),
             WEIR_LOG_STR("reason", denial->reason), WEIR_LOG_STR("why", denial->mistake.words),
             WEIR_LOG_STR("host", denial->mistake.host),
             WEIR_LOG_TEXTF("key", submission->key_name),
             WEIR_LOG_TEXTF("stream", submission->source_arn));
}

static void post(const struct weir_submission *submission, struct weir_inflater *inflater,
                 const struct weir_pipeline_options *options,
                 const struct weir_route_denial *denial)
{
    const struct weir_quarantine_source source = {
        .inflater = inflater,
        .regions = options->regions,
        .budget = weir_credit_budget(options->intake),
        .body = submission->job.body,
        .options = {.gzip = submission->gzip,
                    .body_limit = options->body_limit,
                    .limits = options->limits,
                    .source_arn = submission->source_arn},
        .request_id = submission->job.request_id,
        .arrival_wall_ns = submission->job.received_wall_ns,
    };
    const struct weir_quarantine_whole whole = {
        .destination = weir_bytes_str(denial->template_name),
        .reason = denial->reason,
        .message = denial->mistake.words,
        .points = submission->reservation.points[denial->slot],
    };
    weir_quarantine_post_whole(&source, &whole, options->letterbox);
}

void weir_denied_keep(const struct weir_submission *submission, struct weir_inflater *inflater,
                      const struct weir_pipeline_options *options)
{
    for (const struct weir_route_denial *it = submission->choice.denials; it != NULL;
         it = it->next) {
        if ((submission->denied >> it->slot & 1) == 0) {
            continue; /* its filters want nothing of it */
        }
        tell(submission, it);
        if (options->durability != WEIR_DURABILITY_DISK && options->letterbox != NULL) {
            post(submission, inflater, options, it);
        }
    }
}
