/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir-sink: an OTLP/HTTP receiver that keeps accounts, and misbehaves on request.
 *
 *   options ─► ledger, keep ─► server (threads) ─► "ready" line on standard error
 *   main thread: a progress line a second on a terminal, until SIGTERM or SIGINT
 *                ─► server stopped ─► accounts as JSON on standard output
 *
 * Exit codes: 0, 1 when it could not start, 2 for options that make no sense.
 */
#include "sink/server.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "weir-sink: an OTLP/HTTP receiver that keeps accounts, and misbehaves on request\n"
    "\n"
    "  --listen ADDR:PORT    repeatable; default 127.0.0.1:4318; port 0: any\n"
    "  --threads N           event loops, default 1\n"
    "  --accounts HOW        full (every point, against the world of PUT /world; default),\n"
    "                        count (points), off (bytes)\n"
    "  --shape SPEC          points in a destination's shape, in the words of its keys:\n"
    "                        summary=gauges,dimensions=flat,names=dynatrace,\n"
    "                        attribute_keys=dynatrace,promote=cloud.region,...\n"
    "  --faults SPEC         5%:503,2%:429 retry-after=2,1%:reset,1%:lost,3%:partial=2,\n"
    "                        2%:delay=500ms,1%:stall,over=1MiB:413,first=3:503,after=9:400,\n"
    "                        every=10:503,every=50:swallow,every=50:double\n"
    "  --seed N              of the faults' dice, default 1\n"
    "  --keep DIR            writes inflated bodies as DIR/batch-000001.pb, ...\n"
    "  --keep-limit BYTES    in all, default 268435456\n"
    "\n"
    "  POST /v1/metrics, GET /healthz, GET /accounts, PUT /world, PUT /faults, POST /verdict\n";

struct settings {
    struct weir_sink_listen listen[WEIR_SINK_LISTEN_MAX];
    uint32_t listen_count;
    uint32_t threads;
    enum weir_sink_accounts accounts;
    const char *shape; /* NULL: none */
    const char *faults;
    uint64_t seed;
    const char *keep;
    uint64_t keep_limit;
};

static bool read_number(const char *text, uint64_t most, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number > most) {
        return false;
    }
    *ret = number;
    return true;
}

static bool read_accounts(const char *text, enum weir_sink_accounts *ret)
{
    static const char *const names[] = {"full", "count", "off"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum weir_sink_accounts)i;
            return true;
        }
    }
    return false;
}

static bool add_listen(struct settings *settings, const char *address)
{
    if (settings->listen_count == WEIR_SINK_LISTEN_MAX) {
        return false;
    }
    settings->listen[settings->listen_count++] = (struct weir_sink_listen){address, 0};
    return true;
}

static bool read_option(struct settings *settings, int option, const char *text)
{
    uint64_t number = 0;
    switch (option) {
    case 'l': return add_listen(settings, text);
    case 't':
        if (!read_number(text, WEIR_SINK_THREADS_MAX, &number) || number == 0) {
            return false;
        }
        settings->threads = (uint32_t)number;
        return true;
    case 'a': return read_accounts(text, &settings->accounts);
    case 'p': settings->shape = text; return true;
    case 'f': settings->faults = text; return true;
    case 's': return read_number(text, UINT64_MAX, &settings->seed);
    case 'k': settings->keep = text; return true;
    case 'm': return read_number(text, UINT64_MAX, &settings->keep_limit);
    default: return false;
    }
}

static bool read_options(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},   {"threads", required_argument, NULL, 't'},
        {"accounts", required_argument, NULL, 'a'}, {"shape", required_argument, NULL, 'p'},
        {"faults", required_argument, NULL, 'f'},   {"seed", required_argument, NULL, 's'},
        {"keep", required_argument, NULL, 'k'},     {"keep-limit", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    int option;
    int which = 0;
    while ((option = getopt_long(argc, argv, "h", options, &which)) != -1) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            exit(0);
        }
        if (option == '?') {
            (void)fputs("weir-sink: see --help\n", stderr);
            return false;
        }
        if (!read_option(settings, option, optarg)) {
            (void)fprintf(stderr, "weir-sink: --%s %s makes no sense; see --help\n",
                          options[which].name, optarg);
            return false;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "weir-sink: '%s' is no option; see --help\n", argv[optind]);
        return false;
    }
    return settings->listen_count > 0 || add_listen(settings, "127.0.0.1:4318");
}

static bool read_faults(const struct settings *settings, struct weir_faults *ret)
{
    struct weir_faults_error error;
    if (weir_faults_parse(settings->faults, settings->seed, ret, &error) == WEIR_OK) {
        return true;
    }
    (void)fprintf(stderr, "weir-sink: --faults, at character %zu: %s\n  %s\n  %*s^\n",
                  error.offset + 1, error.what, settings->faults, (int)error.offset, "");
    return false;
}

static bool read_shape(const struct settings *settings, struct weir_sink_shape *ret)
{
    const char *what;
    if (settings->shape == NULL || weir_sink_shape_parse(settings->shape, ret, &what) == WEIR_OK) {
        return true;
    }
    (void)fprintf(stderr, "weir-sink: --shape %s: %s\n", settings->shape, what);
    return false;
}

/* {"event":"ready","listen":"127.0.0.1:4318"}, with every address in one string, spaces between. */
static void tell_ready(const struct settings *settings)
{
    (void)fputs("{\"event\":\"ready\",\"listen\":\"", stderr);
    for (uint32_t i = 0; i < settings->listen_count; i++) {
        const char *address = settings->listen[i].address;
        const char *colon = strrchr(address, ':');
        (void)fprintf(stderr, "%s%.*s:%u", i == 0 ? "" : " ", (int)(colon - address), address,
                      settings->listen[i].port);
    }
    (void)fputs("\"}\n", stderr);
}

static void tell_progress(struct weir_sink_ledger *ledger, int64_t start_ns)
{
    static struct weir_sink_totals before;
    struct weir_sink_totals now = weir_sink_ledger_totals(ledger);
    uint64_t points = now.points < before.points ? now.points : now.points - before.points;
    uint64_t bytes = now.bytes < before.bytes ? now.bytes : now.bytes - before.bytes;
    (void)fprintf(stderr,
                  "\r\033[K%5" PRId64 " s  %" PRIu64 " requests  %" PRIu64 " batches  %" PRIu64
                  " points  %" PRIu64 "/s  %.1f MB/s",
                  (weir_clock_mono_ns() - start_ns) / WEIR_NS_PER_S, now.requests, now.batches,
                  now.points, points, (double)bytes / 1e6);
    before = now;
}

/* Until SIGTERM or SIGINT, which `signals` are and all threads block. */
static void wait_for_end(const sigset_t *signals, struct weir_sink_ledger *ledger)
{
    bool is_terminal = isatty(STDERR_FILENO) != 0;
    int64_t start_ns = weir_clock_mono_ns();
    struct timespec second = {1, 0};
    while (sigtimedwait(signals, NULL, &second) < 0) {
        if (is_terminal) {
            tell_progress(ledger, start_ns);
        }
    }
    if (is_terminal) {
        (void)fputc('\n', stderr);
    }
}

static void tell_accounts(struct weir_sink_ledger *ledger)
{
    struct weir_buf out = weir_buf_grow_init((size_t)1 << 20);
    weir_sink_ledger_print(ledger, &out);
    (void)fwrite(out.data, 1, out.size, stdout);
    (void)fflush(stdout);
    weir_buf_done(&out);
}

/* A status of listening in the words of somebody who typed an address. */
static const char *listen_problem(enum weir_status status)
{
    if (status == WEIR_EEXIST) {
        return "the address is in use";
    }
    return status == WEIR_EINVAL ? "expected ADDR:PORT" : weir_status_text(status);
}

static int serve(struct settings *settings, struct weir_sink_ledger *ledger,
                 struct weir_sink_keep *keep)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    struct weir_sink_server_options options = {
        ledger, keep, settings->listen, settings->listen_count, settings->threads, settings->seed};
    struct weir_sink_server *server;
    const char *address;
    enum weir_status status = weir_sink_server_start(&options, &server, &address);
    if (status != WEIR_OK) {
        (void)fprintf(stderr, "weir-sink: cannot listen on %s: %s\n",
                      address == NULL ? "anything" : address, listen_problem(status));
        return 1;
    }
    tell_ready(settings);
    wait_for_end(&signals, ledger);
    weir_sink_server_stop(server);
    tell_accounts(ledger);
    return 0;
}

int main(int argc, char **argv)
{
    struct settings settings = {
        .threads = 1, .faults = "", .seed = 1, .keep_limit = (uint64_t)256 << 20};
    struct weir_faults faults;
    struct weir_sink_shape shape;
    if (!read_options(argc, argv, &settings) || !read_faults(&settings, &faults) ||
        !read_shape(&settings, &shape)) {
        return 2;
    }
    struct weir_sink_keep *keep = NULL;
    if (settings.keep != NULL &&
        weir_sink_keep_open(settings.keep, settings.keep_limit, &keep) != WEIR_OK) {
        (void)fprintf(stderr, "weir-sink: cannot keep in %s: %s\n", settings.keep,
                      strerrordesc_np(errno));
        return 1;
    }
    struct weir_sink_ledger *ledger;
    if (weir_sink_ledger_new(settings.accounts, settings.shape == NULL ? NULL : &shape, &ledger) !=
        WEIR_OK) {
        (void)fputs("weir-sink: out of memory\n", stderr);
        weir_sink_keep_close(keep);
        return 1;
    }
    weir_sink_ledger_set_faults(ledger, &faults);
    int code = serve(&settings, ledger, keep);
    weir_sink_ledger_free(ledger);
    weir_sink_keep_close(keep);
    return code;
}
