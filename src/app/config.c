/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's entry points, its memory and its report.
 *
 *   weir_config_load ─┬─► file ──► weir_config_parse ──► defaults ──► yaml ──► check ──┐
 *                     └─► no file ─────────────────────► defaults ───────────► check ──┤
 *                                                                                      ▼
 *                                                                                configuration
 *
 *   I1  every pointer of a configuration is into its own blocks, or constant
 *   I2  blocks are wiped before they are freed: they hold keys and tokens
 *   I3  a configuration is handed out only when the report has no error
 *   I4  memory_bytes <= MEMORY_MAX, whatever aliases multiply
 *
 *   memory ─► [next | size | bytes ...] ─► [next | size | bytes ...]     one block an allocation; a
 *                                                            configuration has some hundreds
 *
 * Messages are kept in the order they come while reading and sorted by place at the end. Past
 * WEIR_CONFIG_MESSAGES_MAX they are only counted.
 *
 * Main thread.
 */
#include "config_internal.h"
#include "weir/digest.h"
#include "weir/file.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMORY_MAX ((size_t)16 << 20)

struct weir_config_block {
    struct weir_config_block *next;
    size_t size;
    _Alignas(16) uint8_t bytes[];
};

void *weir_config_alloc(struct weir_config *config, size_t size)
{
    struct weir_config_block *block = NULL;
    if (size <= MEMORY_MAX - config->memory_bytes) {
        block = weir_mem_zalloc(1, sizeof *block + size);
    }
    if (block == NULL) {
        config->memory_out = true;
        return NULL;
    }
    block->next = config->memory;
    block->size = size;
    config->memory = block;
    config->memory_bytes += size;
    return block->bytes;
}

const char *weir_config_text(struct weir_config *config, struct weir_bytes text)
{
    char *copy = weir_config_alloc(config, text.size + 1);
    if (copy != NULL && text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    return copy;
}

static void message_put(struct weir_config_message *message, const char *file, const char *path,
                        const char *what)
{
    struct weir_buf text = weir_buf_fixed(message->text, sizeof message->text - 1);
    if (message->place.line > 0) {
        weir_buf_printf(&text, "%.200s:%" PRIu32 ":%" PRIu32 ": ", file, message->place.line,
                        message->place.column);
    } else if (file != NULL && path == NULL) {
        weir_buf_printf(&text, "%.200s: ", file);
    }
    if (path != NULL) {
        weir_buf_printf(&text, "%.200s: ", path);
    }
    size_t room = text.capacity - text.size;
    struct weir_bytes words = weir_bytes_str(what);
    words.size = words.size > room ? room : words.size;
    weir_buf_put(&text, words);
    message->text[text.size] = 0;
}

/* A message's slot, or NULL when there are too many. An error takes the place of
 * the last warning. */
static struct weir_config_message *message_new(struct weir_config_report *report, bool warning)
{
    if (report->count < WEIR_CONFIG_MESSAGES_MAX) {
        return &report->messages[report->count++];
    }
    report->dropped++;
    for (uint32_t i = report->count; !warning && i > 0; i--) {
        if (report->messages[i - 1].warning) {
            return &report->messages[i - 1];
        }
    }
    return NULL;
}

__attribute__((format(printf, 5, 0))) static void message_add(
    struct weir_config_report *report, bool warning, struct weir_config_place place,
    const char *path, const char *format,
    va_list arguments) /* tidy: allow parameters -- one more than five, but a va_list must be one */
{
    char what[sizeof report->messages[0].text];
    (void)vsnprintf(what, sizeof what, format, arguments);
    report->errors += warning ? 0 : 1;
    struct weir_config_message *message = message_new(report, warning);
    if (message != NULL) {
        message->place = place;
        message->warning = warning;
        message_put(message, report->file, path, what);
    }
}

void weir_config_error(struct weir_config_report *report, struct weir_config_place place,
                       const char *path, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    message_add(report, false, place, path, format, arguments);
    va_end(arguments);
}

void weir_config_warn(struct weir_config_report *report, struct weir_config_place place,
                      const char *path, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    message_add(report, true, place, path, format, arguments);
    va_end(arguments);
}

static int compare_messages(const void *left, const void *right)
{
    const struct weir_config_message *a = left;
    const struct weir_config_message *b = right;
    if (a->place.line != b->place.line) {
        return a->place.line < b->place.line ? -1 : 1;
    }
    return a->place.column < b->place.column ? -1 : a->place.column > b->place.column;
}

/* A configuration with nothing but defaults. */
static enum weir_status config_new(const char *source, struct weir_config_report *report,
                                   struct weir_config **ret)
{
    *report = (struct weir_config_report){.file = source};
    struct weir_config *config = weir_mem_zalloc(1, sizeof *config);
    if (config == NULL) {
        weir_config_error(report, (struct weir_config_place){0, 0}, NULL, "out of memory");
        return WEIR_ENOMEM;
    }
    if (source != NULL) {
        config->source = weir_config_text(config, weir_bytes_str(source));
    }
    weir_schema_defaults(config);
    weir_config_otel_resource(config, report);
    *ret = config;
    return WEIR_OK;
}

/* Hands the configuration out if nothing is wrong with it. */
static enum weir_status config_finish(struct weir_config *config, struct weir_config_report *report,
                                      struct weir_config **ret)
{
    enum weir_status status = WEIR_OK;
    if (config->memory_out) {
        weir_config_error(report, (struct weir_config_place){1, 1}, NULL,
                          "is too large (lists, texts and aliases together take over %zu MiB)",
                          MEMORY_MAX >> 20);
        status = WEIR_ENOMEM;
    } else if (report->errors > 0) {
        status = WEIR_EINVAL;
    }
    qsort(report->messages, report->count, sizeof *report->messages, compare_messages);
    if (status != WEIR_OK) {
        weir_config_free(config);
        return status;
    }
    *ret = config;
    return WEIR_OK;
}

/* What is read, by whom. */
struct source {
    const char *name;
    struct weir_bytes text;
    bool offline;
    const struct weir_config *running; /* whose values keys get that need a restart; or NULL */
};

static void ignore_kept(void *argument, const char *path)
{
    (void)argument;
    (void)path;
}

static enum weir_status parse(const struct source *source, struct weir_config_report *report,
                              struct weir_config **ret)
{
    struct weir_config *config;
    struct weir_digest digest;
    WEIR_TRY(config_new(source->name, report, &config));
    if (weir_digest_of(source->text, &digest) == WEIR_OK) {
        weir_digest_text(&digest, config->hash);
    }
    weir_config_yaml(config, report, source->text);
    if (!config->memory_out && config->at.keys != NULL) { /* else nothing could be read */
        if (source->running != NULL) {
            weir_config_keep(config, source->running, ignore_kept, NULL);
        }
        weir_config_check(config, report, source->offline);
    }
    return config_finish(config, report, ret);
}

enum weir_status weir_config_parse(const char *name, struct weir_bytes text, bool offline,
                                   struct weir_config_report *report, struct weir_config **ret)
{
    return parse(&(struct source){.name = name, .text = text, .offline = offline}, report, ret);
}

static const char *read_failure(enum weir_status status)
{
    switch ((int)status) {
    case WEIR_ENOTFOUND: return "there is no such file";
    case WEIR_EDENIED: return "may not be read by this user";
    case WEIR_ELIMIT: return "is larger than 1 MiB, which no configuration is";
    default: break;
    }
    const char *words = strerrordesc_np(errno);
    return words == NULL ? weir_status_text(status) : words;
}

static enum weir_status load_file(const char *path, const struct weir_config *running,
                                  struct weir_config_report *report, struct weir_config **ret)
{
    uint8_t *text;
    size_t size;
    enum weir_status status = weir_file_read(path, WEIR_CONFIG_FILE_MAX, &text, &size);
    if (status != WEIR_OK) {
        *report = (struct weir_config_report){.file = path};
        weir_config_error(report, (struct weir_config_place){0, 0}, NULL, "%s",
                          read_failure(status));
        return status;
    }
    const struct source source = {.name = strcmp(path, "-") == 0 ? "standard input" : path,
                                  .text = weir_bytes_of(text, size),
                                  .running = running};
    status = parse(&source, report, ret);
    explicit_bzero(text, size);
    weir_mem_free(text);
    return status;
}

enum weir_status weir_config_load(const char *path, struct weir_config_report *report,
                                  struct weir_config **ret)
{
    struct weir_config *config;
    if (path == NULL) {
        WEIR_TRY(config_new(NULL, report, &config));
        weir_config_check(config, report, false);
        return config_finish(config, report, ret);
    }
    return load_file(path, NULL, report, ret);
}

enum weir_status weir_config_load_over(const char *path, const struct weir_config *running,
                                       struct weir_config_report *report, struct weir_config **ret)
{
    return load_file(path, running, report, ret);
}

void weir_config_free(struct weir_config *config)
{
    if (config == NULL) {
        return;
    }
    struct weir_config_block *block = config->memory;
    while (block != NULL) {
        struct weir_config_block *next = block->next;
        explicit_bzero(block->bytes, block->size);
        weir_mem_free(block);
        block = next;
    }
    weir_mem_free(config);
}

struct weir_config_shares weir_config_shares(const struct weir_config *config)
{
    size_t program = WEIR_CONFIG_PROGRAM_BYTES + config->memory_limit / 32;
    size_t data = config->memory_limit - program;
    size_t queued = data / 10 * 3;
    return (struct weir_config_shares){
        .program = program,
        .intake = data / 2,
        .queued = queued,
        .export_bytes = data / 25 * 3,
        .backlog = data / 25,
        .books = data / 50,
        .idle = data / 50,
        .warm = data / 4,
        .destination = config->destinations.count <= 1 ? queued : queued / 4 * 3,
    };
}
