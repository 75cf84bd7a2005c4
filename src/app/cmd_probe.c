/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir probe`: is this endpoint fit for Firehose?
 *
 *   options ─► weir_probe_run (weir/probe.h) ─► findings ─► a line each, at once
 *                                                      └──► --json: one object, at the end
 *
 *   ok    certificate chain       -- complete: 2 certificates sent, up to "..."
 *   fail  largest body            -- 413 after 80 ms for 64 MiB; passes: 1 MiB. ...
 *
 * The access key is never an argument, which every user of the machine can read: --key-file, or
 * WEIR_PROBE_KEY. The memory that holds it is wiped. The URL is shown without its query, where some
 * endpoints have a token.
 *
 * Exit codes: 0 fit, 1 not fit (anything failed), 2 usage. Main thread.
 */
#include "commands_internal.h"
#include "config_internal.h"
#include "weir/clock.h"
#include "weir/file.h"
#include "weir/mem.h"
#include "weir/probe.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const char weir_cmd_probe_help[] =
    "weir probe [options] URL: is this public endpoint fit for Amazon Data Firehose?\n"
    "\n"
    "      --key-file FILE    the access key; else the variable WEIR_PROBE_KEY\n"
    "      --send-metric FORM also delivers one metric, weir.probe in Weir/Probe: json or "
    "otlp-1.0;\n"
    "                         without it what is sent holds no data, and leaves nothing behind\n"
    "      --large            large bodies also uncompressed, and as base64 makes them: slower\n"
    "      --head SIZE        the largest head to try; default: the most that Firehose can send\n"
    "      --body SIZE        the largest body, before compression; default 64MiB, Firehose's "
    "most\n"
    "      --timeout DURATION for an answer; default 180s, as Firehose's\n"
    "      --connect-to HOST:PORT  connects there instead, with the URL's name all the same\n"
    "      --ca-file FILE     authorities to trust; default: the system's\n"
    "      --private          addresses and ports that Firehose cannot reach are no failure\n"
    "      --plain-http       http:// is no failure: for what stands behind a balancer\n"
    "      --json             one JSON object instead of lines\n"
    "\n"
    "Prints a line for each check: ok, warn (Firehose can live with it), fail (with what Firehose\n"
    "would do, and what to mend) or skip. docs/probe.md explains each.\n"
    "Exit codes: 0 fit, 1 not fit, 2 usage.\n";

enum { JSON_MAX = 1 << 20, SUMMARY_SIZE = 300, URL_SHOWN = 1000 };

struct probing {
    struct weir_probe_options options;
    char *key_memory; /* to be wiped */
    bool is_json;
    struct weir_buf json;
};

static void report(void *self, const struct weir_probe_finding *finding)
{
    struct probing *probing = self;
    const char *level = weir_probe_level_text(finding->level);
    if (!probing->is_json) {
        (void)printf("%-4s  %-20s  -- %s\n", level, finding->what, finding->found);
        (void)fflush(stdout); /* a large body takes its time */
        return;
    }
    weir_buf_printf(&probing->json,
                    "%s{\"level\":\"%s\",\"what\":", probing->json.size == 0 ? "" : ",", level);
    weir_buf_put_json_string(&probing->json, weir_bytes_str(finding->what), 0);
    weir_buf_printf(&probing->json, ",\"found\":");
    weir_buf_put_json_string(&probing->json, weir_bytes_str(finding->found), 0);
    weir_buf_put_byte(&probing->json, '}');
}

/* The URL as it may be shown. */
static struct weir_bytes shown_url(const char *url)
{
    return weir_bytes_of(url, strcspn(url, "?#"));
}

static int tell_json(struct probing *probing, const struct weir_probe_result *result)
{
    struct weir_buf out = weir_buf_grow_init(JSON_MAX);
    weir_buf_printf(&out, "{\"url\":");
    weir_buf_put_json_string(&out, shown_url(probing->options.url), URL_SHOWN);
    weir_buf_printf(&out, ",\"fit\":%s,\"checks\":[",
                    result->counts[WEIR_PROBE_FAIL] == 0 ? "true" : "false");
    weir_buf_put(&out, weir_buf_view(&probing->json));
    weir_buf_printf(&out,
                    "],\"sent\":{\"requests\":%" PRIu32 ",\"body_bytes\":%" PRIu64
                    ",\"metrics_left_behind\":%" PRIu32 "}}\n",
                    result->requests, result->bytes_sent, result->points);
    bool is_printed = !probing->json.failed && weir_commands_print(&out);
    weir_buf_done(&out);
    return is_printed ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED;
}

static int tell_lines(const struct weir_probe_result *result)
{
    uint32_t failed = result->counts[WEIR_PROBE_FAIL];
    char left[SUMMARY_SIZE] = "nothing: all of them held an empty list of records";
    if (result->points > 0) {
        (void)snprintf(left, sizeof left, "%" PRIu32 " point%s of weir.probe in Weir/Probe",
                       result->points, result->points == 1 ? "" : "s");
    }
    int written =
        printf("\nsent: %" PRIu32 " requests with %" PRIu64 " bytes; left behind: %s\n",
               result->requests, result->bytes_sent, result->requests == 0 ? "nothing" : left);
    written |= failed == 0 ? printf("fit for Firehose") : printf("NOT fit for Firehose");
    written |= printf(": %" PRIu32 " ok, %" PRIu32 " warn, %" PRIu32 " fail, %" PRIu32 " skip\n",
                      result->counts[WEIR_PROBE_OK], result->counts[WEIR_PROBE_WARN], failed,
                      result->counts[WEIR_PROBE_SKIP]);
    return written < 0 ? WEIR_EXIT_FAILED : WEIR_EXIT_DONE;
}

static int run(struct probing *probing)
{
    struct weir_probe_result result;
    probing->options.report = report;
    probing->options.self = probing;
    probing->json = weir_buf_grow_init(JSON_MAX);
    enum weir_status status = weir_probe_run(&probing->options, &result);
    int code = WEIR_EXIT_FAILED;
    if (status == WEIR_EINVAL) {
        code = weir_commands_usage("probe",
                                   "not a URL as https://host/path (of at most 1000 characters, no "
                                   "name or password in it), not HOST:PORT after --connect-to, or "
                                   "a key that is not one line of up to 4096 characters");
    } else if (status != WEIR_OK) {
        code = weir_commands_failed("probe", "%s", weir_status_text(status));
    } else {
        code = probing->is_json ? tell_json(probing, &result) : tell_lines(&result);
        code = result.counts[WEIR_PROBE_FAIL] == 0 ? code : WEIR_EXIT_FAILED;
    }
    weir_buf_done(&probing->json);
    return code;
}

static void wipe_key(struct probing *probing)
{
    if (probing->key_memory != NULL) {
        explicit_bzero(probing->key_memory, strlen(probing->key_memory));
    }
    weir_mem_free(probing->key_memory);
    probing->key_memory = NULL;
}

static int read_key(struct probing *probing, const char *path)
{
    uint8_t *data;
    size_t size;
    if (weir_file_read(path, WEIR_PROBE_KEY_MAX + 2, &data, &size) != WEIR_OK) {
        return weir_commands_failed("probe", "the key cannot be read: %.200s", path);
    }
    while (size > 0 && (data[size - 1] == '\n' || data[size - 1] == '\r')) {
        data[--size] = 0;
    }
    wipe_key(probing); /* of an option before */
    probing->key_memory = (char *)data;
    probing->options.key = probing->key_memory;
    return WEIR_EXIT_DONE;
}

static int set_size(const char *name, size_t least, size_t most, size_t *ret)
{
    size_t size = 0;
    const char *wrong = weir_config_parse_size(weir_bytes_str(optarg), &size);
    if (wrong == NULL && (size < least || size > most)) {
        return weir_commands_usage("probe", "--%s: between %zu and %zu bytes, not %.60s", name,
                                   least, most, optarg);
    }
    if (wrong != NULL) {
        return weir_commands_usage("probe", "--%s: %s: %.60s", name, wrong, optarg);
    }
    *ret = size;
    return WEIR_EXIT_DONE;
}

static int set_timeout(struct weir_probe_options *options)
{
    int64_t ns = 0;
    const char *wrong = weir_config_parse_duration(weir_bytes_str(optarg), &ns);
    if (wrong != NULL || ns < WEIR_NS_PER_MS || ns > 3600 * WEIR_NS_PER_S) {
        return weir_commands_usage("probe", "--timeout: from 1ms to 1h, as 180s, not %.60s",
                                   optarg);
    }
    options->timeout_ns = ns;
    return WEIR_EXIT_DONE;
}

static int set_metric(struct weir_probe_options *options)
{
    if (strcmp(optarg, "json") == 0) {
        options->metric = WEIR_PROBE_METRIC_JSON;
    } else if (strcmp(optarg, "otlp-1.0") == 0) {
        options->metric = WEIR_PROBE_METRIC_OTLP_10;
    } else {
        return weir_commands_usage("probe", "--send-metric: json or otlp-1.0, not %.60s", optarg);
    }
    return WEIR_EXIT_DONE;
}

/* Fills in one option; an exit code other than WEIR_EXIT_DONE ends the command. */
static int set_option(struct probing *probing, int option)
{
    struct weir_probe_options *options = &probing->options;
    switch (option) {
    case 'k': return read_key(probing, optarg);
    case 'K':
        return weir_commands_usage("probe", "a key on the command line can be read by every user "
                                            "of the machine: --key-file FILE, or WEIR_PROBE_KEY");
    case 'm': return set_metric(options);
    case 'l': options->is_large = true; return WEIR_EXIT_DONE;
    case 'e':
        return set_size("head", WEIR_PROBE_HEAD_MIN, WEIR_PROBE_HEAD_BYTES, &options->head_bytes);
    case 'b':
        return set_size("body", WEIR_PROBE_BODY_MIN, WEIR_PROBE_BODY_MAX, &options->body_bytes);
    case 't': return set_timeout(options);
    case 'c': options->connect_to = optarg; return WEIR_EXIT_DONE;
    case 'a': options->ca_file = optarg; return WEIR_EXIT_DONE;
    case 'p': options->is_private = true; return WEIR_EXIT_DONE;
    case 'n': options->is_plain_http = true; return WEIR_EXIT_DONE;
    case 'j': probing->is_json = true; return WEIR_EXIT_DONE;
    default: return WEIR_EXIT_USAGE;
    }
}

int weir_cmd_probe(int argc, char **argv)
{
    static const struct option options[] = {{"key-file", required_argument, NULL, 'k'},
                                            {"key", required_argument, NULL, 'K'},
                                            {"send-metric", required_argument, NULL, 'm'},
                                            {"large", no_argument, NULL, 'l'},
                                            {"head", required_argument, NULL, 'e'},
                                            {"body", required_argument, NULL, 'b'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"connect-to", required_argument, NULL, 'c'},
                                            {"ca-file", required_argument, NULL, 'a'},
                                            {"private", no_argument, NULL, 'p'},
                                            {"plain-http", no_argument, NULL, 'n'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct probing probing = {.options = {.key = getenv("WEIR_PROBE_KEY")}};
    int code = WEIR_EXIT_DONE;
    int option;
    while (code == WEIR_EXIT_DONE &&
           (option = weir_commands_option(argc, argv, "h", options, weir_cmd_probe_help)) != -1) {
        code = set_option(&probing, option);
    }
    if (code == WEIR_EXIT_DONE && argc - optind != 1) {
        code = weir_commands_usage("probe", "which endpoint? (weir probe https://host/path)");
    } else if (code == WEIR_EXIT_DONE) {
        probing.options.url = argv[optind];
        code = run(&probing);
    }
    wipe_key(&probing);
    return code;
}
