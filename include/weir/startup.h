/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_STARTUP_H
#define WEIR_STARTUP_H

/*
 * A start touches much that is not needed again: relocations' targets, initialisers and tables of
 * some forty shared libraries.
 */

/* Takes the pages of the program and its libraries that are only read (code, constants) out of this
 * process's memory; what is used again is mapped again from the page cache, 64 KiB at a time, at
 * the cost of a minor fault. Pages that were written to are left alone. A help, and no more: where
 * the system says no, nothing changes. Any thread. */
void weir_startup_forget(void);

#endif
