/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SYS_MACHINE_INTERNAL_H
#define WEIR_SYS_MACHINE_INTERNAL_H

#include <stddef.h>

/* The cgroup's quota read from files under `root` ("" for the real ones, a folder that looks like /
 * in tests). Cores rounded up, or 0 where nothing limits them. */
unsigned weir_machine_quota_cores(const char *root);

/* Bytes, or SIZE_MAX where nothing limits them. */
size_t weir_machine_quota_memory(const char *root);

#endif
