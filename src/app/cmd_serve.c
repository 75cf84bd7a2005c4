/* SPDX-License-Identifier: Apache-2.0 */
#include "commands_internal.h"
#include "weir/lifecycle.h"

const char weir_cmd_serve_help[] =
    "weir serve [-c FILE]: takes Firehose's requests and exports their data points\n"
    "\n"
    "  -c, --config FILE   the configuration (docs/configuration.md); without one: defaults on\n"
    "                      loopback, to standard output or where OTEL_EXPORTER_OTLP_* say\n"
    "\n"
    "What is accepted is kept in spool.directory (/var/lib/weir, or where $STATE_DIRECTORY says;\n"
    "without a file and without a way in there: ./weir-data) until it is delivered.\n"
    "SIGTERM: takes requests for drain.grace more (10s), so that balancers notice; then stops\n"
    "taking them, sends what is queued, ends. SIGINT, or a further signal: without that wait.\n"
    "A SIGINT while it sends what is queued ends it at once.\n"
    "Exit codes: 0 stopped, everything is delivered or on disk; 1 not started, the disk failed, "
    "or\n"
    "points were left that are not on disk; 2 usage.\n";

int weir_cmd_serve(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = NULL;
    int option;
    while ((option = weir_commands_option(argc, argv, "c:h", options, weir_cmd_serve_help)) != -1) {
        if (option != 'c') {
            return WEIR_EXIT_USAGE;
        }
        path = optarg;
    }
    if (optind < argc) {
        return weir_commands_usage("serve", "takes no arguments: %.60s", argv[optind]);
    }
    struct weir_config_report report;
    struct weir_config *config = NULL;
    if (weir_config_load(path, &report, &config) != WEIR_OK) {
        return weir_commands_tell_report("serve", &report);
    }
    weir_log_configure((enum weir_log_level)config->log.level,
                       (enum weir_log_format)config->log.format);
    for (uint32_t i = 0; i < report.count; i++) {
        weir_log(WEIR_LOG_WARN, "configuration", WEIR_LOG_STR("message", report.messages[i].text));
    }
    int code = weir_lifecycle_serve(config);
    weir_config_free(config);
    return code;
}
