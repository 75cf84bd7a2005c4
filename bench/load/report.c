/* SPDX-License-Identifier: Apache-2.0 */
#include "load/report.h"
#include "weir/clock.h"
#include <inttypes.h>

static const struct {
    const char *name;
    double quantile;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

enum { QUANTILES = sizeof quantiles / sizeof *quantiles };

static double seconds_of(int64_t ns)
{
    return (double)ns / (double)WEIR_NS_PER_S;
}

static double ms_of(uint64_t ns)
{
    return (double)ns / (double)WEIR_NS_PER_MS;
}

/* Of the measured part: something in it, a second. */
static double rate_of(const struct weir_load_outcome *outcome, uint64_t whole)
{
    return outcome->measured_ns == 0 ? 0 : (double)whole / seconds_of(outcome->measured_ns);
}

static void text_speed(const struct weir_load_outcome *outcome, struct weir_buf *out)
{
    const struct weir_load_volume *measured = &outcome->results.measured;
    if (measured->requests == 0) {
        weir_buf_put(out, WEIR_BYTES("measured    nothing: no request was accepted in time\n"));
        return;
    }
    weir_buf_printf(out,
                    "measured    %.2f s: %.1f requests/s, %.0f points/s, %.1f MB/s (%.1f MB/s)\n",
                    seconds_of(outcome->measured_ns), rate_of(outcome, measured->requests),
                    rate_of(outcome, measured->points), rate_of(outcome, measured->bytes) / 1e6,
                    rate_of(outcome, measured->json_bytes) / 1e6);
}

static void text_latency(const struct weir_load_histogram *latency, struct weir_buf *out)
{
    if (latency->count == 0) {
        return;
    }
    weir_buf_put(out, WEIR_BYTES("latency     "));
    for (size_t i = 0; i < QUANTILES; i++) {
        uint64_t ns = weir_load_histogram_at(latency, quantiles[i].quantile);
        weir_buf_printf(out, "%s %.2f ms  ", quantiles[i].name, ms_of(ns));
    }
    weir_buf_printf(out, "max %.2f ms\n", ms_of(latency->max));
}

static void text_counts(const struct weir_load_results *results, struct weir_buf *out)
{
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {
        {"tried again", results->retries},
        {"given up", results->given_up},
        {"dropped (413)", results->dropped},
        {"sent again by libcurl", results->repeats},
        {"never sent, the rate was too high", results->unsent},
        {"cut off", results->cut_off},
        {"backup objects not written", results->backup_failed},
    };
    weir_buf_put(out, WEIR_BYTES("answers     "));
    for (unsigned i = 0; i < WEIR_LOAD_CODES; i++) {
        if (results->codes[i] > 0) {
            weir_buf_printf(out, "%u: %" PRIu64 "  ", i, results->codes[i]);
        }
    }
    for (unsigned i = 0; i <= WEIR_TRANSPORT_REFUSED; i++) {
        if (results->failures[i] > 0) {
            weir_buf_printf(out, "%s: %" PRIu64 "  ",
                            weir_load_results_failure((enum weir_transport_failure)i),
                            results->failures[i]);
        }
    }
    weir_buf_put_byte(out, '\n');
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (counts[i].count > 0) {
            weir_buf_printf(out, "%-11s %" PRIu64 "\n", counts[i].name, counts[i].count);
        }
    }
}

static void text_verdict(const char *sink, const struct weir_load_verdict *verdict,
                         struct weir_buf *out)
{
    weir_buf_printf(out, "%s: ", sink);
    if (!verdict->told) {
        weir_buf_put(out, WEIR_BYTES("no verdict\n"));
        return;
    }
    const char *word = verdict->exactly_once ? "exactly once"
                       : verdict->good       ? "exactly once but for what was allowed"
                                             : "NOT exactly once";
    if (verdict->exactly_once && verdict->expected == 0) {
        word = "nothing to judge";
    }
    weir_buf_printf(out, "%s, %" PRId64 " points promised", word, verdict->expected);
    const struct {
        const char *name;
        int64_t count;
    } counts[] = {
        {"missing", verdict->missing}, {"duplicated", verdict->duplicated},
        {"wrong", verdict->wrong},     {"unpromised", verdict->unpromised},
        {"refused", verdict->refused}, {"repeated after a lost answer", verdict->repeated},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (counts[i].count != 0) {
            weir_buf_printf(out, ", %" PRId64 " %s", counts[i].count, counts[i].name);
        }
    }
    for (uint32_t i = 0; i < verdict->examples; i++) {
        weir_buf_printf(out, "%s%" PRId64, i == 0 ? "; numbers " : " ", verdict->example[i]);
    }
    weir_buf_put_byte(out, '\n');
    if (verdict->missing > 0) {
        weir_buf_put(out, WEIR_BYTES("            missing ones may still be on their way: "
                                     "--settle waits longer, and the next run's --seed should be "
                                     "another\n"));
    }
}

void weir_load_report_text(const struct weir_load_options *options,
                           const struct weir_load_outcome *outcome,
                           const struct weir_load_verdict *verdicts, struct weir_buf *out)
{
    const struct weir_load_results *results = &outcome->results;
    const struct weir_load_volume *accepted = &results->accepted;
    weir_buf_printf(out,
                    "accepted    %" PRIu64 " of %" PRIu64 " requests, %" PRIu64
                    " points, %.1f MB (%.1f MB before gzip)\n",
                    accepted->requests, results->requests, accepted->points,
                    (double)accepted->bytes / 1e6, (double)accepted->json_bytes / 1e6);
    text_speed(outcome, out);
    text_latency(&results->latency, out);
    text_counts(results, out);
    for (uint32_t i = 0; i < options->sink_count; i++) {
        text_verdict(options->sinks[i], &verdicts[i], out);
    }
}

static void json_answers(const struct weir_load_results *results, struct weir_buf *out)
{
    const char *comma = "";
    weir_buf_put(out, WEIR_BYTES(",\"answers\":{"));
    for (unsigned i = 0; i < WEIR_LOAD_CODES; i++) {
        if (results->codes[i] > 0) {
            weir_buf_printf(out, "%s\"%u\":%" PRIu64, comma, i, results->codes[i]);
            comma = ",";
        }
    }
    comma = "";
    weir_buf_put(out, WEIR_BYTES("},\"failures\":{"));
    for (unsigned i = 0; i <= WEIR_TRANSPORT_REFUSED; i++) {
        if (results->failures[i] > 0) {
            weir_buf_printf(out, "%s\"%s\":%" PRIu64, comma,
                            weir_load_results_failure((enum weir_transport_failure)i),
                            results->failures[i]);
            comma = ",";
        }
    }
    weir_buf_put_byte(out, '}');
}

static void json_latency(const struct weir_load_histogram *latency, struct weir_buf *out)
{
    weir_buf_printf(out, ",\"latency_ms\":{\"count\":%" PRIu64, latency->count);
    for (size_t i = 0; i < QUANTILES; i++) {
        weir_buf_printf(out, ",\"%s\":%.6f", quantiles[i].name,
                        ms_of(weir_load_histogram_at(latency, quantiles[i].quantile)));
    }
    weir_buf_printf(out, ",\"max\":%.6f}", ms_of(latency->max));
}

static void json_verdict(const char *sink, const struct weir_load_verdict *verdict,
                         struct weir_buf *out)
{
    weir_buf_put(out, WEIR_BYTES("{\"sink\":"));
    weir_buf_put_json_string(out, weir_bytes_str(sink), 0);
    weir_buf_printf(out, ",\"told\":%s,\"exactly_once\":%s,\"good\":%s,\"expected\":%" PRId64,
                    verdict->told ? "true" : "false", verdict->exactly_once ? "true" : "false",
                    verdict->good ? "true" : "false", verdict->expected);
    weir_buf_printf(out,
                    ",\"missing\":%" PRId64 ",\"refused\":%" PRId64 ",\"duplicated\":%" PRId64
                    ",\"repeated\":%" PRId64 ",\"wrong\":%" PRId64 ",\"unpromised\":%" PRId64
                    ",\"examples\":[",
                    verdict->missing, verdict->refused, verdict->duplicated, verdict->repeated,
                    verdict->wrong, verdict->unpromised);
    for (uint32_t i = 0; i < verdict->examples; i++) {
        weir_buf_printf(out, "%s%" PRId64, i == 0 ? "" : ",", verdict->example[i]);
    }
    weir_buf_put(out, WEIR_BYTES("]}"));
}

static void json_volume(const struct weir_load_volume *volume, struct weir_buf *out)
{
    weir_buf_printf(out,
                    "{\"requests\":%" PRIu64 ",\"points\":%" PRIu64 ",\"bytes\":%" PRIu64
                    ",\"json_bytes\":%" PRIu64 "}",
                    volume->requests, volume->points, volume->bytes, volume->json_bytes);
}

void weir_load_report_json(const struct weir_load_options *options,
                           const struct weir_load_outcome *outcome,
                           const struct weir_load_verdict *verdicts, struct weir_buf *out)
{
    const struct weir_load_results *results = &outcome->results;
    weir_buf_printf(out, "{\"requests\":%" PRIu64 ",\"accepted\":", results->requests);
    json_volume(&results->accepted, out);
    weir_buf_put(out, WEIR_BYTES(",\"measured\":"));
    json_volume(&results->measured, out);
    weir_buf_printf(out, ",\"seconds\":%.6f,\"requests_per_s\":%.3f,\"points_per_s\":%.1f",
                    seconds_of(outcome->measured_ns), rate_of(outcome, results->measured.requests),
                    rate_of(outcome, results->measured.points));
    weir_buf_printf(out,
                    ",\"mb_per_s\":%.4f,\"json_mb_per_s\":%.4f,\"points_per_request\":%" PRIu32,
                    rate_of(outcome, results->measured.bytes) / 1e6,
                    rate_of(outcome, results->measured.json_bytes) / 1e6, outcome->points);
    json_answers(results, out);
    json_latency(&results->latency, out);
    weir_buf_printf(out,
                    ",\"retries\":%" PRIu64 ",\"repeats\":%" PRIu64 ",\"given_up\":%" PRIu64
                    ",\"given_up_points\":%" PRIu64 ",\"dropped\":%" PRIu64
                    ",\"dropped_points\":%" PRIu64,
                    results->retries, results->repeats, results->given_up, results->given_up_points,
                    results->dropped, results->dropped_points);
    weir_buf_printf(out,
                    ",\"unsent\":%" PRIu64 ",\"cut_off\":%" PRIu64 ",\"backup_failed\":%" PRIu64
                    ",\"verdicts\":[",
                    results->unsent, results->cut_off, results->backup_failed);
    for (uint32_t i = 0; i < options->sink_count; i++) {
        weir_buf_put(out, weir_bytes_str(i == 0 ? "" : ","));
        json_verdict(options->sinks[i], &verdicts[i], out);
    }
    weir_buf_put(out, WEIR_BYTES("]}\n"));
}
