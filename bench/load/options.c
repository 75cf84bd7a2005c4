/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: a table of options, each with the kind of its value, its bounds, and where it
 * goes.
 *
 *   argv ─► getopt_long ─► rows[] ─► set ─► struct weir_load_options ─► check
 *
 * A mistake is told in one line that names the option, its value and what would be right; the exit
 * code is then 2. Defaults stand in `defaults` and in --help.
 *
 * Main thread.
 */
#include "load/options.h"
#include "load/help.h"
#include "load/value.h"
#include "weir/clock.h"
#include "weir/file.h"
#include "weir/mem.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_MAX = 4096 };

enum kind { TEXT, COUNT, BIG_COUNT, NUMBER, SIZE, DURATION, FLAG, MODE, FORMAT, SINK, KEY_FILE };

struct row {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct weir_load_options */
    uint64_t min;
    uint64_t max;
};

#define AT(member) offsetof(struct weir_load_options, member)

static const struct row rows[] = {
    {"mode", MODE, AT(mode), 0, 0},
    {"rate", NUMBER, AT(rate), 0, 0},
    {"points-rate", NUMBER, AT(points_rate), 0, 0},
    {"time-scale", NUMBER, AT(time_scale), 0, 0},
    {"format", FORMAT, AT(shape.format), 0, 0},
    {"gzip", COUNT, AT(shape.gzip_level), 0, 12},
    {"points", COUNT, AT(points), 1, 1 << 24},
    {"points-per-record", COUNT, AT(shape.points_per_record), 1, 10000},
    {"buffer-size", SIZE, AT(buffer.size), 1, 64 << 20},
    {"buffer-interval", DURATION, AT(buffer.interval_ns), 0, 0},
    {"streams", COUNT, AT(world.streams), 1, 1 << 16},
    {"resources", COUNT, AT(world.resources), 1, 1 << 16},
    {"namespaces", COUNT, AT(world.namespaces), 1, 1000},
    {"series", COUNT, AT(world.per_stream), 1, 1 << 24},
    {"seed", BIG_COUNT, AT(world.seed), 0, INT64_MAX},
    {"hot-percent", COUNT, AT(world.hot_percent), 0, 100},
    {"no-percentiles", FLAG, AT(world.without_percentiles), 0, 0},
    {"connections", COUNT, AT(connections), 1, WEIR_LOAD_CONNECTIONS_MAX},
    {"threads", COUNT, AT(threads), 1, WEIR_LOAD_THREADS_MAX},
    {"duration", DURATION, AT(duration_ns), 0, 0},
    {"requests", BIG_COUNT, AT(requests), 1, INT64_MAX},
    {"bodies", COUNT, AT(bodies), 1, WEIR_LOAD_BODIES_MAX},
    {"warm-up", DURATION, AT(warm_up_ns), 0, 0},
    {"retry-window", DURATION, AT(retry_window_ns), 0, 0},
    {"timeout", DURATION, AT(timeout_ns), 1, 0},
    {"backup", TEXT, AT(backup), 0, 0},
    {"key-file", KEY_FILE, 0, 0, 0},
    {"key", TEXT, AT(key), 0, 0},
    {"ca-file", TEXT, AT(ca_file), 0, 0},
    {"sink", SINK, 0, 0, 0},
    {"settle", DURATION, AT(settle_ns), 0, 0},
    {"allow-refused", FLAG, AT(allow_refused), 0, 0},
    {"allow-repeated", BIG_COUNT, AT(allow_repeated), 0, INT64_MAX},
    {"json", FLAG, AT(json), 0, 0},
};

enum { ROWS = sizeof rows / sizeof *rows };

static bool usage(const char *name, const char *value, const char *wanted)
{
    (void)fprintf(stderr, "weir-load: --%s %.60s: %s\nweir-load --help says more\n", name, value,
                  wanted);
    return false;
}

static bool one_of(const char *text, const char *const *words, unsigned *ret)
{
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool set_count(const struct row *row, void *at)
{
    uint64_t value;
    char wanted[64];
    if (!weir_load_value_count(optarg, row->min, row->max, &value)) {
        (void)snprintf(wanted, sizeof wanted, "a number from %" PRIu64 " to %" PRIu64, row->min,
                       row->max);
        return usage(row->name, optarg, wanted);
    }
    if (row->kind == BIG_COUNT) {
        memcpy(at, &value, sizeof value);
    } else {
        uint32_t small = (uint32_t)value;
        memcpy(at, &small, sizeof small);
    }
    return true;
}

static bool set_size(const struct row *row, size_t *at)
{
    size_t value;
    if (!weir_load_value_size(optarg, &value) || value < row->min || value > row->max) {
        return usage(row->name, optarg, "a size up to 64MiB (write 3MiB)");
    }
    *at = value;
    return true;
}

static bool set_duration(const struct row *row, int64_t *at)
{
    int64_t value;
    if (!weir_load_value_duration(optarg, &value) || value < (int64_t)row->min) {
        return usage(row->name, optarg, "a duration (write 60s)");
    }
    *at = value;
    return true;
}

static bool set_choice(const struct row *row, void *at)
{
    static const char *const modes[] = {"fast", "rate", "life", NULL};
    static const char *const formats[] = {"json", "otlp07", "otlp10", "mixed", NULL};
    unsigned value;
    if (!one_of(optarg, row->kind == MODE ? modes : formats, &value)) {
        return usage(row->name, optarg,
                     row->kind == MODE ? "fast, rate or life" : "json, otlp07, otlp10 or mixed");
    }
    memcpy(at, &value, sizeof value);
    return true;
}

static bool set_key_file(struct weir_load_options *options)
{
    uint8_t *data;
    size_t size;
    if (weir_file_read(optarg, KEY_MAX + 2, &data, &size) != WEIR_OK) {
        return usage("key-file", optarg, "cannot be read");
    }
    while (size > 0 && (data[size - 1] == '\n' || data[size - 1] == '\r')) {
        data[--size] = 0;
    }
    weir_mem_free(options->key_memory);
    options->key_memory = (char *)data;
    options->key = options->key_memory;
    return true;
}

static bool set_sink(struct weir_load_options *options)
{
    if (options->sink_count == WEIR_LOAD_SINKS_MAX) {
        return usage("sink", optarg, "more than 8");
    }
    options->sinks[options->sink_count++] = optarg;
    return true;
}

static bool set(struct weir_load_options *options, const struct row *row)
{
    void *at = (uint8_t *)options + row->offset;
    switch (row->kind) {
    case TEXT: *(const char **)at = optarg; return true;
    case COUNT:
    case BIG_COUNT: return set_count(row, at);
    case NUMBER:
        return weir_load_value_number(optarg, at) || usage(row->name, optarg, "a number above 0");
    case SIZE: return set_size(row, at);
    case DURATION: return set_duration(row, at);
    case FLAG: *(bool *)at = true; return true;
    case MODE:
    case FORMAT: return set_choice(row, at);
    case SINK: return set_sink(options);
    case KEY_FILE: return set_key_file(options);
    }
    return false;
}

static struct weir_load_options defaults(void)
{
    return (struct weir_load_options){
        .mode = WEIR_LOAD_FAST,
        .time_scale = 1,
        .world = weir_traffic_defaults(),
        .shape = {.format = WEIR_BODY_OTLP10, .points_per_record = 250, .gzip_level = 6},
        .buffer = {.size = (size_t)3 << 20, .interval_ns = 60 * WEIR_NS_PER_S},
        .connections = 8,
        .threads = 1,
        .duration_ns = -1,
        .retry_window_ns = 900 * WEIR_NS_PER_S,
        .timeout_ns = 180 * WEIR_NS_PER_S,
        .settle_ns = 15 * WEIR_NS_PER_S,
        .key = getenv("WEIR_ACCESS_KEY"),
    };
}

static bool is_url(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

/* What no single option can know; fills in what depends on others. NULL, or what is wrong. */
static const char *check(struct weir_load_options *options, bool series_given)
{
    bool by_rate = options->rate > 0 || options->points_rate > 0;
    if (by_rate != (options->mode == WEIR_LOAD_RATE) && options->mode != WEIR_LOAD_RATE) {
        return "--rate and --points-rate are for --mode rate";
    }
    if (options->rate > 0 && options->points_rate > 0) {
        return "--rate or --points-rate, not both";
    }
    if (options->mode != WEIR_LOAD_LIFE && options->time_scale != 1) {
        return "--time-scale is for --mode life";
    }
    if (options->points > options->world.per_stream && series_given) {
        return "--points: more than --series, and a request is of one stream and minute";
    }
    if (options->key != NULL &&
        (strlen(options->key) > KEY_MAX || strpbrk(options->key, "\r\n") != NULL)) {
        return "a key is one line of at most 4096 bytes";
    }
    if (options->duration_ns == 0 && options->requests == 0) {
        return "--duration 0 never ends: give --requests";
    }
    if (options->points > options->world.per_stream) {
        options->world.per_stream = options->points;
    }
    if (options->duration_ns < 0) {
        options->duration_ns = (options->mode == WEIR_LOAD_LIFE ? 300 : 30) * WEIR_NS_PER_S;
    }
    if (options->mode == WEIR_LOAD_RATE && !by_rate) {
        options->rate = 10;
    }
    if (options->bodies == 0) {
        options->bodies = options->connections < 8 ? 16 : 2 * options->connections;
    }
    if (options->threads > options->connections) {
        options->threads = options->connections;
    }
    if (options->threads > options->bodies) {
        options->threads = options->bodies;
    }
    return NULL;
}

/* Where the traffic goes: the one argument. */
static bool take_url(int argc, char **argv, struct weir_load_options *options)
{
    if (argc - optind != 1 || !is_url(argv[optind])) {
        const char *odd = argc - optind > 1 ? argv[optind + 1] : argv[optind];
        (void)fprintf(stderr,
                      "weir-load: where to? (weir-load http://HOST:PORT/)%s%s\n"
                      "weir-load --help says more\n",
                      odd == NULL ? "" : "; not understood: ", odd == NULL ? "" : odd);
        return false;
    }
    options->url = argv[optind];
    for (uint32_t i = 0; i < options->sink_count; i++) {
        if (!is_url(options->sinks[i])) {
            return usage("sink", options->sinks[i], "a URL (write http://HOST:PORT)");
        }
    }
    return true;
}

/* All options. 0: go on; 'h': help was wanted; else a mistake, which was told. */
static int take_options(int argc, char **argv, struct weir_load_options *options,
                        bool *ret_series_given)
{
    struct option names[ROWS + 2] = {{"help", no_argument, NULL, 'h'}};
    for (size_t i = 0; i < ROWS; i++) {
        names[i + 1] =
            (struct option){rows[i].name, rows[i].kind == FLAG ? no_argument : required_argument,
                            NULL, 256 + (int)i};
    }
    optind = 1;
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, ":h", names, NULL)) != -1) {
        if (option == 'h') {
            return 'h';
        }
        if (option < 256) {
            (void)fprintf(stderr, "weir-load: %s: %.60s\nweir-load --help says more\n",
                          option == ':' ? "this option takes a value"
                                        : "unknown option, or one that takes no value",
                          argv[optind - 1]);
            return '?';
        }
        const struct row *row = &rows[option - 256];
        *ret_series_given = *ret_series_given || row->offset == AT(world.per_stream);
        if (!set(options, row)) {
            return '?';
        }
    }
    return 0;
}

bool weir_load_options_parse(int argc, char **argv, struct weir_load_options *ret, int *ret_code)
{
    struct weir_load_options options = defaults();
    bool series_given = false;
    int end = take_options(argc, argv, &options, &series_given);
    if (end == 'h') {
        bool printed = fputs(weir_load_help, stdout) >= 0 && fflush(stdout) == 0;
        *ret_code = printed ? WEIR_LOAD_DONE : WEIR_LOAD_FAILED;
    } else if (end == 0 && take_url(argc, argv, &options)) {
        const char *wrong = check(&options, series_given);
        if (wrong == NULL) {
            *ret = options;
            return true;
        }
        (void)fprintf(stderr, "weir-load: %s\nweir-load --help says more\n", wrong);
        *ret_code = WEIR_LOAD_USAGE;
    } else {
        *ret_code = WEIR_LOAD_USAGE;
    }
    weir_load_options_done(&options);
    return false;
}

void weir_load_options_done(struct weir_load_options *options)
{
    if (options->key_memory != NULL) {
        explicit_bzero(options->key_memory, strlen(options->key_memory));
    }
    weir_mem_free(options->key_memory);
    options->key_memory = NULL;
    options->key = NULL;
}
