/* SPDX-License-Identifier: Apache-2.0 */
#include "load/results.h"

enum weir_status weir_load_results_init(struct weir_load_results *results)
{
    struct weir_load_histogram latency;
    WEIR_TRY(weir_load_histogram_init(&latency));
    *results = (struct weir_load_results){.latency = latency};
    return WEIR_OK;
}

void weir_load_results_done(struct weir_load_results *results)
{
    weir_load_histogram_done(&results->latency);
}

static void add(struct weir_load_volume *volume, const struct weir_load_volume *other)
{
    volume->requests += other->requests;
    volume->points += other->points;
    volume->bytes += other->bytes;
    volume->json_bytes += other->json_bytes;
}

void weir_load_results_merge(struct weir_load_results *results,
                             const struct weir_load_results *other)
{
    results->requests += other->requests;
    add(&results->accepted, &other->accepted);
    add(&results->measured, &other->measured);
    results->last_ns = other->last_ns > results->last_ns ? other->last_ns : results->last_ns;
    results->retries += other->retries;
    results->repeats += other->repeats;
    results->given_up += other->given_up;
    results->given_up_points += other->given_up_points;
    results->dropped += other->dropped;
    results->dropped_points += other->dropped_points;
    results->cut_off += other->cut_off;
    results->unsent += other->unsent;
    results->backup_failed += other->backup_failed;
    for (size_t i = 0; i < WEIR_LOAD_CODES; i++) {
        results->codes[i] += other->codes[i];
    }
    for (size_t i = 0; i <= WEIR_TRANSPORT_REFUSED; i++) {
        results->failures[i] += other->failures[i];
    }
    weir_load_histogram_merge(&results->latency, &other->latency);
}

const char *weir_load_results_failure(enum weir_transport_failure failure)
{
    switch (failure) {
    case WEIR_TRANSPORT_ANSWERED: return "answered";
    case WEIR_TRANSPORT_UNREACHED: return "unreached";
    case WEIR_TRANSPORT_LOST: return "lost";
    case WEIR_TRANSPORT_TIMEOUT: return "timeout";
    case WEIR_TRANSPORT_UNTRUSTED: return "untrusted";
    case WEIR_TRANSPORT_REFUSED: return "refused";
    }
    return "unknown";
}
