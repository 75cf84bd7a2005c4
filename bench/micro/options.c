/* SPDX-License-Identifier: Apache-2.0 */
#include "micro/options.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SMOKE_POINTS = 300, SMOKE_PER_RECORD = 50, LEVEL_MAX = 12, LEVEL = 1 };

/* The arguments as they are read, one after another. */
struct reading {
    int argc;
    char *const *argv;
    int at;
    struct weir_options options;
};

/* `--name VALUE` and `--name=VALUE`; NULL when this is another argument. A missing value is "". */
static const char *value_of(struct reading *reading, const char *name)
{
    const char *argument = reading->argv[reading->at];
    size_t size = strlen(name);
    if (strncmp(argument, name, size) != 0) {
        return NULL;
    }
    if (argument[size] == '=') {
        return argument + size + 1;
    }
    if (argument[size] != '\0') {
        return NULL;
    }
    return reading->at + 1 < reading->argc ? reading->argv[++reading->at] : "";
}

static enum weir_status parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < least ||
        value > most) {
        return WEIR_EINVAL;
    }
    *ret = value;
    return WEIR_OK;
}

static enum weir_status parse_seconds(const char *text, double *ret)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0) || value > 3600) {
        return WEIR_EINVAL;
    }
    *ret = value;
    return WEIR_OK;
}

/* An option whose value is a number: where it goes, and its bounds. */
struct numeric {
    const char *name;
    uint64_t least, most;
    uint32_t *number;
    int *level;
    uint64_t *seed;
};

static enum weir_status read_numeric(const struct numeric *numeric, const char *text)
{
    uint64_t value = 0;
    WEIR_TRY(parse_number(text, numeric->least, numeric->most, &value));
    if (numeric->number != NULL) {
        *numeric->number = (uint32_t)value;
    } else if (numeric->level != NULL) {
        *numeric->level = (int)value;
    } else {
        *numeric->seed = value;
    }
    return WEIR_OK;
}

/* WEIR_ENOTFOUND: this argument is no option with a number. */
static enum weir_status read_number(struct reading *reading)
{
    struct weir_options *options = &reading->options;
    struct weir_input_options *input = &options->context.options;
    const struct numeric numerics[] = {
        {"--points", 1, 10000000, .number = &input->points},
        {"--per-record", 1, 1000000, .number = &input->per_record},
        {"--namespaces", 1, 1000, .number = &input->namespaces},
        {"--resources", 1, 100000, .number = &input->resources},
        {"--count", 1, 1000000, .number = &options->count},
        {"--once", 1, WEIR_HARNESS_ROUNDS_MAX, .number = &options->harness.iterations},
        {"--gzip", 0, LEVEL_MAX, .level = &input->gzip_level},
        {"--level", 1, LEVEL_MAX, .level = &options->level},
        {"--seed", 0, UINT64_MAX, .seed = &input->seed}};
    for (size_t i = 0; i < sizeof numerics / sizeof *numerics; i++) {
        const char *text = value_of(reading, numerics[i].name);
        if (text != NULL) {
            return read_numeric(&numerics[i], text);
        }
    }
    return WEIR_ENOTFOUND;
}

/* WEIR_ENOTFOUND: this argument is no option with a text. */
static enum weir_status read_text(struct reading *reading)
{
    struct weir_options *options = &reading->options;
    const char *text = value_of(reading, "--seconds");
    if (text != NULL) {
        return parse_seconds(text, &options->harness.seconds);
    }
    text = value_of(reading, "--format");
    if (text != NULL) {
        return weir_input_format(text, &options->context.options.format);
    }
    text = value_of(reading, "--directory");
    if (text != NULL) {
        options->context.directory = text;
        return text[0] != '\0' ? WEIR_OK : WEIR_EINVAL;
    }
    text = value_of(reading, "--out");
    if (text != NULL) {
        options->out = text;
        return text[0] != '\0' ? WEIR_OK : WEIR_EINVAL;
    }
    return WEIR_ENOTFOUND;
}

/* All arguments from `from` on to the next option. */
static struct weir_options_list list_from(struct reading *reading, int from)
{
    int to = from;
    while (to < reading->argc && strncmp(reading->argv[to], "--", 2) != 0) {
        to++;
    }
    reading->at = to - 1;
    return (struct weir_options_list){reading->argv + from, to - from};
}

static void make_small(struct weir_options *options)
{
    options->smoke = true;
    options->harness.iterations = 1;
    options->context.options.points = SMOKE_POINTS;
    options->context.options.per_record = SMOKE_PER_RECORD;
}

/* WEIR_ENOTFOUND: this argument is no option without a value. */
static enum weir_status read_flag(struct reading *reading)
{
    struct weir_options *options = &reading->options;
    const char *argument = reading->argv[reading->at];
    if (strcmp(argument, "--json") == 0) {
        options->json = true;
    } else if (strcmp(argument, "--list") == 0) {
        options->command = WEIR_OPTIONS_LIST;
    } else if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
        options->command = WEIR_OPTIONS_HELP;
    } else if (strcmp(argument, "--once") == 0) {
        options->harness.iterations = 1;
    } else if (strcmp(argument, "--smoke") == 0) {
        make_small(options);
    } else if (strcmp(argument, "--bodies") == 0) {
        options->bodies = list_from(reading, reading->at + 1);
    } else if (strcmp(argument, "--batches") == 0) {
        options->batches = list_from(reading, reading->at + 1);
    } else {
        return WEIR_ENOTFOUND;
    }
    return WEIR_OK;
}

/* Flags go first: `--once` alone is one of them, `--once=3` is a number. */
static enum weir_status read_argument(struct reading *reading)
{
    enum weir_status status = read_flag(reading);
    status = status == WEIR_ENOTFOUND ? read_number(reading) : status;
    status = status == WEIR_ENOTFOUND ? read_text(reading) : status;
    if (status == WEIR_ENOTFOUND && reading->argv[reading->at][0] != '-' &&
        reading->options.cases.count == 0 && reading->options.command == WEIR_OPTIONS_CASES) {
        reading->options.cases = list_from(reading, reading->at);
        status = WEIR_OK;
    }
    return status;
}

static struct weir_options defaults(void)
{
    return (struct weir_options){
        .command = WEIR_OPTIONS_CASES,
        .harness = {.seconds = 0.5},
        .context = {.options = weir_input_defaults(), .directory = "/var/tmp"},
        .level = LEVEL,
        .count = 1};
}

enum weir_status weir_options_parse(int argc, char *const *argv, struct weir_options *ret,
                                    const char **ret_mistake)
{
    struct reading reading = {.argc = argc, .argv = argv, .at = 1, .options = defaults()};
    if (argc > 1 && strcmp(argv[1], "limit") == 0) {
        reading.options.command = WEIR_OPTIONS_LIMIT;
        reading.at++;
    } else if (argc > 1 && strcmp(argv[1], "bodies") == 0) {
        reading.options.command = WEIR_OPTIONS_BODIES;
        reading.at++;
    }
    for (; reading.at < argc; reading.at++) {
        int at = reading.at;
        if (read_argument(&reading) != WEIR_OK) {
            *ret_mistake = argv[at];
            return WEIR_EINVAL;
        }
    }
    if (reading.options.command == WEIR_OPTIONS_BODIES && reading.options.out == NULL) {
        *ret_mistake = "--out";
        return WEIR_EINVAL;
    }
    if (reading.options.command == WEIR_OPTIONS_LIMIT &&
        reading.options.bodies.count + reading.options.batches.count == 0) {
        *ret_mistake = "--bodies";
        return WEIR_EINVAL;
    }
    *ret = reading.options;
    return WEIR_OK;
}
