/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir check`: validates a configuration, prints what it comes to, and tries the destinations.
 *
 *   stdout   the effective configuration as YAML (secrets as ***), then how memory is shared and
 *            what the spool holds, as comments: so the output is itself a configuration
 *   stderr   errors and warnings; with --connect one line a destination
 *
 * --connect sends an ExportMetricsServiceRequest without metrics, which is zero bytes and which
 * every OTLP receiver takes, to each OTLP destination: it shows that name, TLS, path and token
 * are right without leaving a trace.
 *
 * Main thread.
 */
#include "cmd_check.h"
#include "commands_internal.h"
#include "weir/clock.h"
#include "weir/grpc_status.h"
#include "weir/mem.h"
#include "weir/response.h"
#include "weir/transport.h"
#include <inttypes.h>
#include <stdio.h>

const char weir_cmd_check_help[] =
    "weir check [-c FILE] [--connect] [--keys]: checks a configuration\n"
    "\n"
    "  -c, --config FILE   the configuration; without one: the defaults\n"
    "      --connect       sends an empty request to each OTLP destination and tells the answer\n"
    "      --keys          lists every key there is, with what it takes and means\n"
    "\n"
    "Prints the effective configuration, secrets as ***, how memory is shared, how long the spool\n"
    "lasts, and what is in its directory (nothing there is changed).\n"
    "Exit codes: 0 good, 1 not good or a destination refused, 2 usage.\n";

static void print_key(void *argument, const struct weir_config_key *key)
{
    (void)argument;
    (void)printf("%s\n    %s: %s%s\n", key->path, key->takes, key->help,
                 key->is_boundary ? " (a reload takes this, with all below it)" : "");
}

static void put_share(struct weir_buf *out, const char *name, size_t bytes, const char *meaning)
{
    weir_buf_printf(out, "#   %-8s %5.1f MiB  %s\n", name, (double)bytes / (1 << 20), meaning);
}

static int print_config(const struct weir_config *config)
{
    struct weir_config_shares shares = weir_config_shares(config);
    struct weir_buf out = weir_buf_grow_init((size_t)64 << 20);
    weir_config_print(config, &out);
    weir_buf_put(&out, WEIR_BYTES("\n# memory_limit is shared so:\n"));
    put_share(&out, "program", shares.program, "code, libraries, threads, the allocator's slack");
    put_share(&out, "intake", shares.intake, "request bodies while they are read and decoded");
    put_share(&out, "queued", shares.queued, "data points that wait");
    put_share(&out, "export", shares.export_bytes, "encoded batches");
    put_share(&out, "backlog", shares.backlog, "what is read back from the spool");
    put_share(&out, "books", shares.books, "request ids, and what the spool knows of its records");
    put_share(&out, "idle", shares.idle, "at most kept for the next request");
    weir_check_disk(config, &out);
    weir_check_tls(config, &out);
    bool printed = weir_commands_print(&out);
    weir_buf_done(&out);
    return printed ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED;
}

static bool tell_reply(const struct weir_config_destination *destination,
                       const struct weir_transport_reply *reply)
{
    const char *name = destination->name;
    struct weir_response response = destination->protocol == WEIR_PROTOCOL_GRPC
                                        ? weir_grpc_status_read(reply, 0, NULL)
                                        : weir_response_read(reply, 0, NULL);
    bool good = response.outcome == WEIR_OUTCOME_DELIVERED;
    int64_t ms = reply->duration_ns / WEIR_NS_PER_MS;
    if (reply->failure == WEIR_TRANSPORT_ANSWERED) {
        (void)fprintf(stderr, "%s: %s: %d%s%s in %" PRId64 " ms%s%s\n", name,
                      good ? "ok" : "failed", reply->status, reply->has_grpc_status ? " " : "",
                      reply->has_grpc_status ? response.reason : "", ms,
                      response.message[0] == 0 ? "" : ": ", response.message);
    } else {
        (void)fprintf(stderr, "%s: failed: %s\n", name,
                      response.message[0] == 0 ? response.reason : response.message);
    }
    return good;
}

static bool connect_one(const struct weir_transport *transport,
                        const struct weir_config_destination *destination)
{
    size_t count = 0;
    while (destination->headers[count] != NULL) {
        count++;
    }
    const char **headers = weir_mem_zalloc(count + 4, sizeof *headers);
    if (headers == NULL) {
        return false;
    }
    char *token;
    if (!weir_check_token(transport, destination, &token)) {
        weir_mem_free(headers);
        return false;
    }
    memcpy(headers, destination->headers, count * sizeof *headers);
    static const char *const types[] = {
        [WEIR_PROTOCOL_HTTP_PROTOBUF] = "Content-Type: application/x-protobuf",
        [WEIR_PROTOCOL_HTTP_JSON] = "Content-Type: application/json",
        [WEIR_PROTOCOL_GRPC] = "Content-Type: application/grpc"};
    static const struct weir_bytes bodies[] = {
        [WEIR_PROTOCOL_HTTP_PROTOBUF] = {NULL, 0},
        [WEIR_PROTOCOL_HTTP_JSON] = WEIR_BYTES_INIT("{}"),
        [WEIR_PROTOCOL_GRPC] = WEIR_BYTES_INIT("\0\0\0\0\0")}; /* a message of nothing */
    headers[count++] = types[destination->protocol];
    if (destination->protocol == WEIR_PROTOCOL_GRPC) {
        headers[count++] = "TE: trailers";
    }
    headers[count] = token;
    struct weir_transport_target target = {
        .url = destination->url,
        .ca_file = destination->tls.ca_file,
        .certificate = destination->tls.certificate,
        .key = destination->tls.key,
        .proxy = destination->proxy,
        .no_proxy = destination->no_proxy_text,
        .min_tls = (enum weir_min_tls)destination->tls.min_version,
        .is_insecure = destination->tls.insecure != 0,
        .allow_link_local = destination->allow_link_local != 0,
        .headers = headers,
        .timeout_ns = destination->timeout_ns,
        .is_grpc = destination->protocol == WEIR_PROTOCOL_GRPC,
    };
    struct weir_transport_reply reply;
    const struct weir_transport_request request = {.target = &target,
                                                   .body = bodies[destination->protocol]};
    enum weir_status status = weir_transport_exchange(transport, &request, &reply);
    bool good = status == WEIR_OK && tell_reply(destination, &reply);
    if (status != WEIR_OK) {
        (void)fprintf(stderr, "%s: failed: %s\n", destination->name, weir_status_text(status));
    }
    weir_mem_free(headers);
    if (token != NULL) {
        explicit_bzero(token, strlen(token));
        weir_mem_free(token);
    }
    return good;
}

static int connect_all(const struct weir_config *config)
{
    const struct weir_config_destination *destinations = config->destinations.items;
    struct weir_transport transport;
    bool good = true;
    if (weir_transport_curl_global() != WEIR_OK || weir_transport_curl(&transport) != WEIR_OK) {
        return weir_commands_failed("check", "out of memory");
    }
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        if (destinations[i].tenant != NULL) {
            (void)fprintf(stderr, "%s: a template: its tenants come with requests\n",
                          destinations[i].name);
        } else if (destinations[i].type == WEIR_DESTINATION_OTLP_HTTP) {
            good = connect_one(&transport, &destinations[i]) && good;
        }
    }
    transport.free(transport.self);
    return good ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED;
}

int weir_cmd_check(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"connect", no_argument, NULL, 'o'},
                                            {"keys", no_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *path = NULL;
    bool connects = false;
    int option;
    while ((option = weir_commands_option(argc, argv, "c:h", options, weir_cmd_check_help)) != -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 'o': connects = true; break;
        case 'k': weir_config_keys(print_key, NULL); return WEIR_EXIT_DONE;
        default: return WEIR_EXIT_USAGE;
        }
    }
    if (optind < argc) {
        return weir_commands_usage("check", "takes no arguments: %.60s (write -c %.60s)",
                                   argv[optind], argv[optind]);
    }
    struct weir_config_report report;
    struct weir_config *config = NULL;
    enum weir_status status = weir_config_load(path, &report, &config);
    int code = weir_commands_tell_report("check", &report);
    if (status == WEIR_OK) {
        code = print_config(config);
        code = connects && code == WEIR_EXIT_DONE ? connect_all(config) : code;
    }
    weir_config_free(config);
    return code;
}
