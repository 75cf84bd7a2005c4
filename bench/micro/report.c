/* SPDX-License-Identifier: Apache-2.0 */
#include "micro/report.h"
#include <inttypes.h>

void weir_report_begin(struct weir_report *report)
{
    if (report->json) {
        (void)fputs("{\"cases\":[", report->file);
        return;
    }
    (void)fprintf(report->file, "%-14s %9s %9s %9s %7s %7s %7s  %s\n", "case", "MB/s", "ns/point",
                  "insn/pt", "allocs", "spread", "ratio", "limit");
}

static void put_number(FILE *file, const char *name, double value, bool is_known)
{
    if (is_known) {
        (void)fprintf(file, "\"%s\":%.4f,", name, value);
    } else {
        (void)fprintf(file, "\"%s\":null,", name);
    }
}

static double per_second(const struct weir_cases_job *job, const struct weir_harness_result *result)
{
    double ns = result->subject.median_ns;
    return ns > 0 ? (double)job->bytes * 1e9 / ns : 0;
}

static void put_json(struct weir_report *report, const struct weir_cases_case *of,
                     const struct weir_cases_job *job, const struct weir_harness_result *result)
{
    FILE *file = report->file;
    double points = (double)job->points;
    bool is_limited = result->limit.rounds > 0;
    (void)fprintf(file, "%s{\"name\":\"%s\",\"limit\":\"%s\",\"clock\":\"%s\",",
                  report->lines > 0 ? ",\n" : "\n", of->name, of->limit,
                  job->work.is_wall ? "wall" : "cpu");
    (void)fprintf(file,
                  "\"points\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"output_bytes\":%" PRIu64
                  ",\"rounds\":%" PRIu32 ",",
                  job->points, job->bytes, job->output_bytes, result->subject.rounds);
    put_number(file, "ns_per_point", result->subject.median_ns / points, true);
    put_number(file, "limit_ns_per_point", result->limit.median_ns / points, is_limited);
    put_number(file, "bytes_per_second", per_second(job, result), true);
    put_number(file, "ratio", result->ratio, is_limited);
    put_number(file, "instructions_per_point", result->instructions / points,
               result->instructions >= 0);
    put_number(file, "limit_spread", result->limit.spread, is_limited);
    (void)fprintf(file, "\"allocations\":%" PRIu64 ",\"spread\":%.4f}", result->allocations,
                  result->subject.spread);
}

static void put_line(struct weir_report *report, const struct weir_cases_case *of,
                     const struct weir_cases_job *job, const struct weir_harness_result *result)
{
    char instructions[32] = "-";
    char ratio[32] = "-";
    double points = (double)job->points;
    if (result->instructions >= 0) {
        (void)snprintf(instructions, sizeof instructions, "%.1f", result->instructions / points);
    }
    if (result->limit.rounds > 0) {
        (void)snprintf(ratio, sizeof ratio, "%.2f", result->ratio);
    }
    (void)fprintf(report->file, "%-14s %9.1f %9.2f %9s %7" PRIu64 " %6.0f%% %7s  %s (%.2f ns)%s\n",
                  of->name, per_second(job, result) / 1e6, result->subject.median_ns / points,
                  instructions, result->allocations, result->subject.spread * 100, ratio, of->limit,
                  result->limit.median_ns / points, job->work.is_wall ? ", wall clock" : "");
}

void weir_report_case(struct weir_report *report, const struct weir_cases_case *of,
                      const struct weir_cases_job *job, const struct weir_harness_result *result)
{
    if (report->json) {
        put_json(report, of, job, result);
    } else {
        put_line(report, of, job, result);
    }
    (void)fflush(report->file);
    report->lines++;
}

void weir_report_end(struct weir_report *report)
{
    if (report->json) {
        (void)fputs("\n]}\n", report->file);
    }
}
