/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir-load: plays Firehose towards a gateway, and asks the sinks behind it what arrived.
 *
 *   options ─► sinks: the world ─► run ─► sinks: the verdict ─► report ─► exit code
 */
#include "load/report.h"
#include "weir/file.h"
#include "weir/transport.h"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { REPORT_MAX = 1 << 20 };

/* An interrupt asks for an orderly end; being told to terminate is both of two interrupts. */
static void on_signal(int number)
{
    weir_load_interrupt();
    if (number == SIGTERM) {
        weir_load_interrupt();
    }
}

static void listen_to_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Nothing that was begun is neither accepted nor in the backup. */
static bool nothing_lost(const struct weir_load_options *options,
                         const struct weir_load_results *results)
{
    bool kept = results->given_up == 0 || (options->backup != NULL && results->backup_failed == 0);
    return kept && results->dropped == 0 && results->cut_off == 0;
}

static bool print(const struct weir_load_options *options, const struct weir_load_outcome *outcome,
                  const struct weir_load_verdict *verdicts)
{
    struct weir_buf out = weir_buf_grow_init(REPORT_MAX);
    if (options->json) {
        weir_load_report_json(options, outcome, verdicts, &out);
    } else {
        weir_load_report_text(options, outcome, verdicts, &out);
    }
    bool printed = !out.failed && weir_file_write(STDOUT_FILENO, weir_buf_view(&out)) == WEIR_OK;
    weir_buf_done(&out);
    return printed;
}

static int run(const struct weir_load_options *options)
{
    struct weir_load_verdict verdicts[WEIR_LOAD_SINKS_MAX] = {{.told = false}};
    struct weir_load_outcome outcome;
    if (weir_transport_curl_global() != WEIR_OK || !weir_load_sinks_begin(options) ||
        !weir_load_run(options, &outcome)) {
        return WEIR_LOAD_FAILED;
    }
    bool good = weir_load_sinks_end(options, &outcome.promises, verdicts);
    good = print(options, &outcome, verdicts) && good;
    good = good && nothing_lost(options, &outcome.results);
    weir_load_results_done(&outcome.results);
    weir_load_promises_done(&outcome.promises);
    return good ? WEIR_LOAD_DONE : WEIR_LOAD_FAILED;
}

int main(int argc, char **argv)
{
    struct weir_load_options options;
    int code;
    if (!weir_load_options_parse(argc, argv, &options, &code)) {
        return code;
    }
    listen_to_signals();
    code = run(&options);
    weir_load_options_done(&options);
    return code;
}
