/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_MACHINE_H
#define WEIR_MACHINE_H

#include <stddef.h>
#include <stdint.h>

/*
 * What this process may use: the cgroup's quota where there is one (v2: cpu.max, memory.max; v1:
 * cpu.cfs_quota_us, memory.limit_in_bytes), else the affinity mask and physical memory. And what it
 * has used.
 */

/* Cores, at least 1: the quota rounded up, never more than the affinity mask allows. */
unsigned weir_machine_cores(void);

/* Bytes of memory this process may use, at least 1 MiB. */
size_t weir_machine_memory(void);

struct weir_machine_usage {
    double cpu_seconds; /* user and system */
    size_t resident_bytes;
    size_t virtual_bytes;
    uint64_t open_fds;
    uint64_t fds_max;
    double start_time_seconds; /* since 1970 */
};

/* The kernel's account of this process (/proc/self): for the standard process_* metrics. What
 * cannot be read is 0. */
struct weir_machine_usage weir_machine_usage(void);

#endif
