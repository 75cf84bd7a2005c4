/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands, and what they share: options, messages, reading files.
 *
 *   weir COMMAND [options] [arguments]
 *     └─► commands[] ──► weir_cmd_<name>(argc, argv) ──► exit code
 *
 * Messages are "weir COMMAND: what is wrong" on standard error; a mistake in the usage also says
 * where help is. Results go to standard output, so that they can be piped. An output that cannot
 * be written (a closed pipe, a full disk) is a failure: exit code 1.
 *
 * Main thread.
 */
#include "weir/commands.h"
#include "commands_internal.h"
#include "weir/file.h"
#include "weir/source.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char help_text[] =
    "Weir " WEIR_VERSION ": a gateway from Amazon CloudWatch Metric Streams to OTLP\n"
    "\n"
    "  weir serve [-c FILE]             takes Firehose's requests and exports their data points\n"
    "  weir check [-c FILE] [--connect] checks a configuration, prints what it comes to\n"
    "  weir decode [--as FORM] FILE...  shows what a body, a record, a dead letter or a segment "
    "holds\n"
    "  weir send URL FILE...            delivers files as Firehose would\n"
    "  weir probe URL                   tells whether an endpoint is fit for Firehose\n"
    "  weir replay [-c FILE] PATH...    feeds dead letters and S3 backups to the destinations\n"
    "  weir spool ls|verify DIR         looks at a spool, and changes nothing\n"
    "  weir health [--ready] [ADDRESS]  asks a running weir whether it is well\n"
    "  weir version                     prints the version\n"
    "\n"
    "weir COMMAND --help says more. Without a file, serve listens on 127.0.0.1:8080 and prints "
    "what\n"
    "arrives, or sends it where OTEL_EXPORTER_OTLP_ENDPOINT says.\n"
    "Exit codes: 0 done, 1 failed, 2 usage.\n";

static const char version_help[] = "weir version: prints the version\n";

static int run_version(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    if (weir_commands_option(argc, argv, "h", options, version_help) != -1) {
        return WEIR_EXIT_USAGE;
    }
    if (optind < argc) {
        return weir_commands_usage("version", "takes no arguments");
    }
    return printf("weir " WEIR_VERSION "\n") < 0 ? WEIR_EXIT_FAILED : WEIR_EXIT_DONE;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", weir_cmd_serve, weir_cmd_serve_help},
    {"check", weir_cmd_check, weir_cmd_check_help},
    {"decode", weir_cmd_decode, weir_cmd_decode_help},
    {"send", weir_cmd_send, weir_cmd_send_help},
    {"probe", weir_cmd_probe, weir_cmd_probe_help},
    {"replay", weir_cmd_replay, weir_cmd_replay_help},
    {"spool", weir_cmd_spool, weir_cmd_spool_help},
    {"health", weir_cmd_health, weir_cmd_health_help},
    {"version", run_version, version_help},
};

static int unknown_command(const char *name)
{
    (void)fprintf(stderr, "weir: no such command: %.60s (weir --help lists them)\n", name);
    return WEIR_EXIT_USAGE;
}

static int run_help(int argc, char **argv)
{
    const char *text = argc > 1 ? NULL : help_text;
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
        text = strcmp(argv[1], commands[i].name) == 0 ? commands[i].help : text;
    }
    if (text == NULL) {
        return unknown_command(argv[1]);
    }
    return fputs(text, stdout) < 0 ? WEIR_EXIT_FAILED : WEIR_EXIT_DONE;
}

static int run_command(int argc, char **argv)
{
    const char *name = argv[0];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(argc, argv);
        }
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return run_help(argc, argv);
    }
    if (strcmp(name, "--version") == 0) {
        return printf("weir " WEIR_VERSION "\n") < 0 ? WEIR_EXIT_FAILED : WEIR_EXIT_DONE;
    }
    return unknown_command(name);
}

/* Whoever starts us may have closed one of the first three descriptors. The next file opened would
 * get its number, and a line of the log would go into the spool. What takes the number here fails
 * as a closed one does, to read and to write. */
static void fill_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            (void)open("/", O_PATH); /* the lowest that is free: this one */
        }
    }
}

int weir_commands_run(int argc, char **argv)
{
    fill_standard_files();
    if (argc < 2) {
        (void)fputs(help_text, stderr);
        return WEIR_EXIT_USAGE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    optind = 1;
    int code = run_command(argc - 1, argv + 1);
    if (fflush(stdout) != 0 && code == WEIR_EXIT_DONE) {
        code = WEIR_EXIT_FAILED;
    }
    return code;
}

int weir_commands_option(int argc, char **argv, const char *letters, const struct option *options,
                         const char *help)
{
    char silent[16]; /* a colon first: a value that is missing is told apart */
    (void)snprintf(silent, sizeof silent, ":%s", letters);
    opterr = 0;
    int option = getopt_long(argc, argv, silent, options, NULL);
    if (option == 'h') {
        (void)fputs(help, stdout);
        exit(fflush(stdout) == 0 ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED);
    }
    if (option == ':') {
        (void)weir_commands_usage(argv[0], "this option takes a value: %.60s", argv[optind - 1]);
        return '?';
    }
    if (option == '?') {
        (void)weir_commands_usage(argv[0], "unknown option, or one that takes no value: %.60s",
                                  argv[optind - 1]);
    }
    return option;
}

__attribute__((format(printf, 2, 0))) static void tell(const char *command, const char *format,
                                                       va_list arguments)
{
    char text[1024];
    (void)vsnprintf(text, sizeof text, format, arguments);
    (void)fprintf(stderr, "weir %s: %s\n", command, text);
}

int weir_commands_usage(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(command, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "weir %s --help says more\n", command);
    return WEIR_EXIT_USAGE;
}

int weir_commands_failed(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(command, format, arguments);
    va_end(arguments);
    return WEIR_EXIT_FAILED;
}

int weir_commands_tell_report(const char *command, const struct weir_config_report *report)
{
    for (uint32_t i = 0; i < report->count; i++) {
        const struct weir_config_message *message = &report->messages[i];
        (void)fprintf(stderr, "%s%s\n", message->warning ? "warning: " : "", message->text);
    }
    if (report->dropped > 0) {
        (void)fprintf(stderr, "... and %" PRIu32 " more\n", report->dropped);
    }
    if (report->errors == 0) {
        return WEIR_EXIT_DONE;
    }
    return weir_commands_failed(command, "%" PRIu32 " error%s in the configuration", report->errors,
                                report->errors == 1 ? "" : "s");
}

bool weir_commands_print(const struct weir_buf *buf)
{
    return !buf->failed && fflush(stdout) == 0 &&
           weir_file_write(STDOUT_FILENO, weir_buf_view(buf)) == WEIR_OK;
}

bool weir_commands_read(const char *command, const char *path, uint8_t **ret_data, size_t *ret_size)
{
    errno = 0;
    enum weir_status status = weir_source_read(path, WEIR_COMMAND_FILE_MAX, ret_data, ret_size);
    if (status == WEIR_OK) {
        return true;
    }
    const char *words = errno == 0 ? weir_status_text(status) : strerrordesc_np(errno);
    (void)weir_commands_failed(command, "%.200s: %s%s", path,
                               status == WEIR_EMALFORMED ? "not gzip, although it begins so: " : "",
                               words);
    return false;
}
