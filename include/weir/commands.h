/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_COMMANDS_H
#define WEIR_COMMANDS_H

/*
 * The command line: weir serve | check | decode | send | probe | replay | spool | version | help.
 * `weir COMMAND --help` says what each takes. Results go to standard output, everything else to
 * standard error.
 */

/* Runs the command that `argv` names. Returns the exit code: 0 done, 1 failed, 2 usage. Once in
 * a process, on the main thread. */
int weir_commands_run(int argc, char **argv);

#endif
