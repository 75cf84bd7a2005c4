/* SPDX-License-Identifier: Apache-2.0 */
/* weir-bench: the hot modules one by one, each beside the limit it is up against. */
#include "micro/files.h"
#include "micro/options.h"
#include "micro/report.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include "weir/rcu.h"
#include <string.h>

static const char help[] =
    "weir-bench [options] [CASE...]: measures hot modules beside their limits\n"
    "weir-bench bodies --out DIR [options]: writes Firehose bodies as files\n"
    "weir-bench limit --bodies FILE... --batches FILE... [--level L]: what libdeflate alone needs\n"
    "\n"
    "      --list           the cases, and what each measures\n"
    "      --json           one JSON document instead of a table\n"
    "      --seconds S      for each case (0.5)\n"
    "      --once[=N]       each case once (N times) after a warm-up: for callgrind\n"
    "      --smoke          each case once with a small body: does it all run, and does nothing\n"
    "                       allocate when it is warm?\n"
    "      --directory DIR  where the commit case writes (/var/tmp)\n"
    "\n"
    "What the bodies are like:\n"
    "      --points N       in a body (11600)        --per-record N   in a record (250)\n"
    "      --namespaces N   (40)                     --resources N    accounts and regions (4)\n"
    "      --gzip L         level, 0: none (6)       --seed S         (1)\n"
    "\n"
    "bodies: --count N (1), --format json|0.7|1.0. Files are body-NNNNNN.json.gz or .json; body N\n"
    "is minute N of the world, so no point is in two of them.\n"
    "limit: bodies that are not gzip cost nothing to inflate; a batch that is gzip is inflated\n"
    "first, which is not measured. Prints JSON.\n"
    "\n"
    "Instructions of one case, inputs and limits left out (few points: callgrind is slow):\n"
    "    valgrind --tool=callgrind --toggle-collect=weir_harness_subject \\\n"
    "        weir-bench --once --points 2000 otlp10\n"
    "Exit codes: 0 all measured, 1 a case failed, 2 usage.\n";

static bool is_wanted(const struct weir_options *options, const char *name)
{
    for (int i = 0; i < options->cases.count; i++) {
        if (strcmp(options->cases.names[i], name) == 0) {
            return true;
        }
    }
    return options->cases.count == 0;
}

static bool are_known(const struct weir_options *options)
{
    for (int i = 0; i < options->cases.count; i++) {
        const struct weir_cases_case *at;
        unsigned index = 0;
        while ((at = weir_cases_at(index)) != NULL &&
               strcmp(at->name, options->cases.names[i]) != 0) {
            index++;
        }
        if (at == NULL) {
            (void)fprintf(stderr, "weir-bench: no case \"%s\" (--list shows them)\n",
                          options->cases.names[i]);
            return false;
        }
    }
    return true;
}

static int list_cases(void)
{
    const struct weir_cases_case *at;
    for (unsigned i = 0; (at = weir_cases_at(i)) != NULL; i++) {
        (void)printf("%-14s %s; limit: %s\n", at->name, at->about, at->limit);
    }
    return 0;
}

static enum weir_status run_case(const struct weir_options *options,
                                 const struct weir_cases_case *of, struct weir_report *report)
{
    struct weir_cases_job job;
    struct weir_harness_result result;
    WEIR_TRY(of->open(&options->context, &job));
    enum weir_status status = weir_harness_run(&job.work, &options->harness, &result);
    if (status == WEIR_OK) {
        weir_report_case(report, of, &job, &result);
    }
    of->close(&job);
    if (status == WEIR_OK && options->smoke && result.allocations > 0) {
        (void)fprintf(stderr, "weir-bench: %s allocates although it is warm\n", of->name);
        return WEIR_ELIMIT;
    }
    return status;
}

/* The rooms count, so there must be something to count in. */
static void start_counting(void)
{
    weir_rcu_thread_start();
    enum weir_status status = weir_metrics_start();
    WEIR_ASSERT(status == WEIR_OK);
    status = weir_metrics_thread_start();
    WEIR_ASSERT(status == WEIR_OK);
}

static void stop_counting(void)
{
    weir_metrics_thread_stop();
    weir_metrics_stop();
    weir_rcu_thread_stop();
}

static int run_cases(const struct weir_options *options)
{
    struct weir_report report = {.file = stdout, .json = options->json};
    const struct weir_cases_case *at;
    int failed = 0;
    if (!are_known(options)) {
        return 2;
    }
    start_counting();
    weir_report_begin(&report);
    for (unsigned i = 0; (at = weir_cases_at(i)) != NULL; i++) {
        enum weir_status status =
            is_wanted(options, at->name) ? run_case(options, at, &report) : WEIR_OK;
        if (status != WEIR_OK) {
            (void)fprintf(stderr, "weir-bench: %s: %s\n", at->name, weir_status_text(status));
            failed = status == WEIR_EUNSUPPORTED ? failed : 1;
        }
    }
    weir_report_end(&report);
    stop_counting();
    return failed;
}

int main(int argc, char **argv)
{
    struct weir_options options;
    const char *mistake = NULL;
    if (weir_options_parse(argc, argv, &options, &mistake) != WEIR_OK) {
        (void)fprintf(stderr, "weir-bench: what to make of \"%s\"? (--help)\n", mistake);
        return 2;
    }
    switch (options.command) {
    case WEIR_OPTIONS_HELP: (void)fputs(help, stdout); return 0;
    case WEIR_OPTIONS_LIST: return list_cases();
    case WEIR_OPTIONS_LIMIT: return weir_files_limit(&options);
    case WEIR_OPTIONS_BODIES: return weir_files_bodies(&options);
    case WEIR_OPTIONS_CASES: break;
    }
    return run_cases(&options);
}
