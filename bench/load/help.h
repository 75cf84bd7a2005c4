/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_HELP_H
#define WEIR_LOAD_HELP_H

/* What --help prints. */
extern const char weir_load_help[];

#endif
