/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SANDBOX_H
#define WEIR_SANDBOX_H

#include "weir/status.h"
#include <stdbool.h>
#include <stddef.h>

/*
 * What the process gives up, so that whoever takes it over has little: privileges (no_new_privs),
 * core dumps, the file system outside of what the configuration names (Landlock), and the system
 * calls that it has no use for (seccomp, by libseccomp).
 *
 *   harden ──► paths ──► threads are started, sockets opened ──► calls ──► serving
 *
 * Nothing here can be taken back. Each step is for the whole process and its later threads.
 */
enum weir_sandbox_access {
    WEIR_SANDBOX_READ_BESIDE, /* a file that may be replaced: its directory, and the one of what it
                                 points to */
    WEIR_SANDBOX_WRITE_BELOW, /* a directory and all below it */
    WEIR_SANDBOX_WRITE_BESIDE /* a file that is written: its directory */
};

struct weir_sandbox_path {
    const char *path;
    enum weir_sandbox_access access;
};

/* Why this build cannot have the sandbox (a sanitizer or coverage wants more of the system), in
 * words, or NULL. Any thread. */
const char *weir_sandbox_unfit(void);

/* Sets no_new_privs, forbids core dumps and being looked into by processes of the same user, unless
 * `core_dumps`. What the system refuses is let be: it takes nothing away. The main thread, before
 * any other. */
void weir_sandbox_harden(bool core_dumps);

/* From here on only these paths can be reached, and what every process needs to read (libraries,
 * names, certificates, its own /proc). A path that is not there is no rule. WEIR_EUNSUPPORTED: the
 * kernel has no Landlock, or one from before 5.19; WEIR_EIO, WEIR_ENOMEM; *ret_reason says it in
 * words. Nothing is confined then. Must come before any thread is started (Landlock is a thread's,
 * and inherited): WEIR_EINVAL otherwise. The main thread, once. */
WEIR_MUST_USE enum weir_status weir_sandbox_paths(const struct weir_sandbox_path *paths,
                                                  size_t count, const char **ret_reason);

/* Whether `path` (a file that is there or may come) can be read, or also written; true where
 * weir_sandbox_paths was not applied. For whoever reads a new configuration: what is out of reach
 * needs a restart. The main thread. */
bool weir_sandbox_reaches(const char *path, bool writing);

/* From here on only the system calls of src/guard/sandbox_calls.c, on all threads that there are
 * and will be. What would be an attack ends the process with SIGSYS and a line on standard error,
 * anything else that is not listed fails with ENOSYS. WEIR_EUNSUPPORTED: the kernel has no seccomp
 * filters; WEIR_EIO, WEIR_ENOMEM; *ret_reason says it in words. The main thread, once. */
WEIR_MUST_USE enum weir_status weir_sandbox_calls(const char **ret_reason);

#endif
