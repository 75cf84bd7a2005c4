/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/deadletter.h"
#include "weir/log.h"
#include "weir/metrics.h"
#include "weir/panic.h"

const char *weir_deadletter_reason_text(enum weir_deadletter_reason reason)
{
    static const char *const texts[WEIR_DEADLETTER_REASONS] = {
        [WEIR_DEADLETTER_REFUSED] = "refused",     [WEIR_DEADLETTER_REJECTED] = "rejected",
        [WEIR_DEADLETTER_TOO_LARGE] = "too_large", [WEIR_DEADLETTER_EXPIRED] = "expired",
        [WEIR_DEADLETTER_OUTAGE] = "outage",       [WEIR_DEADLETTER_SHUTDOWN] = "shutdown",
        [WEIR_DEADLETTER_MALFORMED] = "malformed", [WEIR_DEADLETTER_TOO_OLD] = "too_old",
        [WEIR_DEADLETTER_UNFIT] = "unfit",
    };
    WEIR_ASSERT((unsigned)reason < WEIR_DEADLETTER_REASONS);
    return texts[reason];
}

void weir_deadletter_put(const struct weir_deadletter *letter)
{
    const char *reason = weir_deadletter_reason_text(letter->reason);
    const struct weir_bytes labels[] = {weir_bytes_str(letter->destination),
                                        weir_bytes_str(reason)};
    weir_metrics_add(weir_metrics_series(WEIR_M_DEAD_LETTER_POINTS, labels), letter->points);
    weir_log(WEIR_LOG_ERROR, "batch given up", WEIR_LOG_STR("destination", letter->destination),
             WEIR_LOG_STR("reason", reason), WEIR_LOG_STR("message", letter->message),
             WEIR_LOG_INT("points", letter->points), WEIR_LOG_INT("runs", letter->requests),
             WEIR_LOG_STR("request_id", letter->request_id),
             WEIR_LOG_STR("stream", letter->stream));
}
