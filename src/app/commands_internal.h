/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_COMMANDS_INTERNAL_H
#define WEIR_APP_COMMANDS_INTERNAL_H

#include "weir/buf.h"
#include "weir/config.h"
#include <getopt.h>

/* What the files cmd_*.c share: each holds one command, `argv[0]` being the command's name. */
enum { WEIR_EXIT_DONE = 0, WEIR_EXIT_FAILED = 1, WEIR_EXIT_USAGE = 2 };

#define WEIR_COMMAND_FILE_MAX ((size_t)512 << 20)

int weir_cmd_serve(int argc, char **argv);
int weir_cmd_check(int argc, char **argv);
int weir_cmd_decode(int argc, char **argv);
int weir_cmd_send(int argc, char **argv);
int weir_cmd_probe(int argc, char **argv);
int weir_cmd_replay(int argc, char **argv);
int weir_cmd_spool(int argc, char **argv);
int weir_cmd_health(int argc, char **argv);

/* Each command's help. */
extern const char weir_cmd_serve_help[];
extern const char weir_cmd_check_help[];
extern const char weir_cmd_decode_help[];
extern const char weir_cmd_send_help[];
extern const char weir_cmd_probe_help[];
extern const char weir_cmd_replay_help[];
extern const char weir_cmd_spool_help[];
extern const char weir_cmd_health_help[];

/* The next option, or -1 after the last: short name, or the long one's value. -h prints `help`
 * and exits the process; an option that is none tells so and gives '?'. `options` ends in a
 * zeroed row. */
int weir_commands_option(int argc, char **argv, const char *letters, const struct option *options,
                         const char *help);

/* "weir COMMAND: <words>" and where help is, on standard error; WEIR_EXIT_USAGE. */
int weir_commands_usage(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "weir COMMAND: <words>", on standard error; WEIR_EXIT_FAILED. */
int weir_commands_failed(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Tells a configuration's messages on standard error; WEIR_EXIT_FAILED when there are errors
 * among them. */
int weir_commands_tell_report(const char *command, const struct weir_config_report *report);

/* Writes a whole buffer to standard output; false when it could not. */
bool weir_commands_print(const struct weir_buf *buf);

/* Reads a file ("-": standard input) and takes gzip off; the caller frees *ret_data with
 * weir_mem_free. Tells what failed. */
bool weir_commands_read(const char *command, const char *path, uint8_t **ret_data,
                        size_t *ret_size);

#endif
