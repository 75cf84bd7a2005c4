/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what the kernel grants this process and what it has used.
 *
 *   /proc/self/cgroup   0::/system.slice/weir.service   v2: one line, one tree under /sys/fs/cgroup
 *                       5:cpu,cpuacct:/weir             v1: a line and a tree for each set of
 *                                                       controllers
 *
 *   v2  <tree>/<path>/cpu.max       "50000 100000" or "max 100000"   every folder up to the root
 *       <tree>/<path>/memory.max    "536870912" or "max"             limits too, so the smallest of
 *                                                                    them counts
 *   v1  <tree>/cpu/<path>/cpu.cfs_quota_us (-1: none), cpu.cfs_period_us
 *       <tree>/memory/<path>/memory.limit_in_bytes
 *
 * In a container with its own cgroup namespace the path is "/" and the tree's root is the
 * container's; without one the path names a folder that is not mounted inside, and looking upwards
 * still ends at the container's root.
 *
 *   I1  a file that is absent, unreadable or makes no sense limits nothing
 *   I2  cores >= 1, memory >= 1 MiB, whatever the files say
 *
 * Read at the start and at each scrape; any thread; keeps no state. Deliberately no cgroup of other
 * controllers, no cpuset file (the affinity mask has it already) and no memory.high (it slows down,
 * it does not end).
 */
#include "weir/machine.h"
#include "machine_internal.h"
#include "weir/clock.h"
#include "weir/file.h"
#include "weir/mem.h"
#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, FILE_MAX = 64 << 10 };
#define MEMORY_MIN ((size_t)1 << 20)

/* The whole of a small file as text, or NULL; weir_mem_free. */
static char *read_text(const char *path)
{
    uint8_t *data;
    size_t size;
    return weir_file_read(path, FILE_MAX, &data, &size) == WEIR_OK ? (char *)data : NULL;
}

/* The first number in the file <root><tree><path>/<name>; false when there is none ("max", -1,
 * absent). The second one, if any, goes to `*ret_second`. */
static bool read_limit(const char *folder, const char *name, uint64_t *ret, uint64_t *ret_second)
{
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || length >= PATH_SIZE) {
        return false;
    }
    char *text = read_text(path);
    if (text == NULL) {
        return false;
    }
    uint64_t first = 0;
    uint64_t second = 0;
    int found = text[0] < '0' || text[0] > '9'
                    ? 0
                    : sscanf(text, "%20" SCNu64 " %20" SCNu64, &first, &second);
    weir_mem_free(text);
    if (found < 1) {
        return false;
    }
    *ret = first;
    if (ret_second != NULL) {
        *ret_second = second;
    }
    return true;
}

/* Whether a line's list of controllers ("cpu,cpuacct") has this one. The list of v2 is empty. */
static bool has_controller(const char *list, const char *list_end, const char *controller)
{
    size_t size = strlen(controller);
    while (list < list_end) {
        const char *comma = memchr(list, ',', (size_t)(list_end - list));
        const char *end = comma == NULL ? list_end : comma;
        if ((size_t)(end - list) == size && memcmp(list, controller, size) == 0) {
            return true;
        }
        list = end + 1;
    }
    return false;
}

/* This process's path in the tree of `controller` ("" is v2's only tree), into `path`; false when
 * it is in none. */
static bool cgroup_path(const char *root, const char *controller, char path[PATH_SIZE])
{
    char file[PATH_SIZE];
    int length = snprintf(file, sizeof file, "%s/proc/self/cgroup", root);
    char *text = length < 0 || length >= PATH_SIZE ? NULL : read_text(file);
    if (text == NULL) {
        return false;
    }
    bool found = false;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL && !found; line = strsep(&rest, "\n")) {
        const char *list = strchr(line, ':');
        const char *list_end = list == NULL ? NULL : strchr(list + 1, ':');
        if (list_end == NULL) {
            continue;
        }
        bool is_v2 = list_end == list + 1;
        if (controller[0] == '\0' ? is_v2 : has_controller(list + 1, list_end, controller)) {
            int copied = snprintf(path, PATH_SIZE, "%s", list_end + 1);
            found = copied >= 0 && copied < PATH_SIZE;
        }
    }
    weir_mem_free(text);
    return found;
}

/* Cuts the last part off `folder`, but nothing of its first `keep` bytes; false when there is
 * nothing to cut. */
static bool go_up(char *folder, size_t keep)
{
    char *slash = strrchr(folder, '/');
    if (slash == NULL || (size_t)(slash - folder) < keep) {
        return false;
    }
    *slash = '\0';
    return true;
}

static double cpu_limit(const char *folder, bool is_v2)
{
    uint64_t quota = 0;
    uint64_t period = 0;
    if (is_v2) {
        if (!read_limit(folder, "cpu.max", &quota, &period)) {
            return 0;
        }
    } else if (!read_limit(folder, "cpu.cfs_quota_us", &quota, NULL) ||
               !read_limit(folder, "cpu.cfs_period_us", &period, NULL)) {
        return 0;
    }
    return period == 0 ? 0 : (double)quota / (double)period;
}

static double memory_limit(const char *folder, bool is_v2)
{
    uint64_t bytes = 0;
    bool found = read_limit(folder, is_v2 ? "memory.max" : "memory.limit_in_bytes", &bytes, NULL);
    return found ? (double)bytes : 0;
}

/* The smallest positive limit from this process's folder up to the tree's root, or 0 for none. */
static double smallest_limit(const char *root, const char *controller,
                             double (*limit_of)(const char *folder, bool is_v2))
{
    char path[PATH_SIZE];
    char folder[PATH_SIZE];
    bool is_v2 = controller[0] == '\0';
    if (!cgroup_path(root, controller, path)) {
        return 0;
    }
    int keep =
        snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s%s", root, is_v2 ? "" : "/", controller);
    if (keep < 0 || (size_t)keep + strlen(path) >= sizeof folder) {
        return 0;
    }
    memcpy(folder + keep, path, strlen(path) + 1);
    double smallest = 0;
    do {
        double limit = limit_of(folder, is_v2);
        if (limit > 0 && (smallest <= 0 || limit < smallest)) {
            smallest = limit;
        }
    } while (go_up(folder, (size_t)keep));
    return smallest;
}

unsigned weir_machine_quota_cores(const char *root)
{
    double limit = smallest_limit(root, "", cpu_limit);
    if (limit <= 0) {
        limit = smallest_limit(root, "cpu", cpu_limit);
    }
    if (limit <= 0) {
        return 0;
    }
    if (limit >= (double)UINT16_MAX) {
        return UINT16_MAX;
    }
    unsigned whole = (unsigned)limit;
    return (double)whole < limit ? whole + 1 : whole;
}

size_t weir_machine_quota_memory(const char *root)
{
    double limit = smallest_limit(root, "", memory_limit);
    if (limit <= 0) {
        limit = smallest_limit(root, "memory", memory_limit);
    }
    /* v1 says "no limit" as a number near 2^63 */
    return limit <= 0 || limit >= 0x1p62 ? SIZE_MAX : (size_t)limit;
}

unsigned weir_machine_cores(void)
{
    cpu_set_t mask;
    unsigned cores = 1;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0 && CPU_COUNT(&mask) > 0) {
        cores = (unsigned)CPU_COUNT(&mask);
    }
    unsigned quota = weir_machine_quota_cores("");
    return quota > 0 && quota < cores ? quota : cores;
}

size_t weir_machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    size_t physical = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : MEMORY_MIN;
    size_t quota = weir_machine_quota_memory("");
    size_t memory = quota < physical ? quota : physical;
    return memory < MEMORY_MIN ? MEMORY_MIN : memory;
}

static int64_t boot_clock_ns(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * WEIR_NS_PER_S + now.tv_nsec;
}

/* Seconds since 1970 at which the machine was booted: the line "btime N" of /proc/stat, which is
 * read by hand because that file grows with the number of cores and interrupts; where it is hidden
 * (systemd's ProcSubset=pid), what the clocks say. */
static double boot_time(void)
{
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL) {
        return (double)(weir_clock_wall_ns() - boot_clock_ns()) / 1e9;
    }
    uint64_t seconds = 0;
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "btime %20" SCNu64, &seconds) == 1) {
            break;
        }
    }
    (void)fclose(file);
    return (double)seconds;
}

/* Field 22 of /proc/self/stat is the start in clock ticks since boot. The fields are counted from
 * the last ')', since the second one is the program's name and may hold anything. */
static double start_time(void)
{
    char *text = read_text("/proc/self/stat");
    if (text == NULL) {
        return 0;
    }
    double ticks = 0;
    char *rest = strrchr(text, ')');
    for (int field = 3; rest != NULL && field <= 22; field++) {
        rest = strchr(rest + 1, ' ');
    }
    if (rest != NULL) {
        ticks = strtod(rest, NULL);
    }
    weir_mem_free(text);
    long per_second = sysconf(_SC_CLK_TCK);
    return per_second <= 0 ? 0 : boot_time() + ticks / (double)per_second;
}

static uint64_t count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return 0;
    }
    uint64_t count = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(folder);
    return count > 0 ? count - 1 : 0; /* not the one that is reading */
}

struct weir_machine_usage weir_machine_usage(void)
{
    struct weir_machine_usage usage = {0};
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        usage.cpu_seconds = (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
                            (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    }
    char *text = read_text("/proc/self/statm");
    uint64_t total = 0;
    uint64_t resident = 0;
    if (text != NULL && sscanf(text, "%20" SCNu64 " %20" SCNu64, &total, &resident) == 2) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        usage.virtual_bytes = (size_t)total * page;
        usage.resident_bytes = (size_t)resident * page;
    }
    weir_mem_free(text);
    usage.open_fds = count_fds();
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        usage.fds_max = (uint64_t)limit.rlim_cur;
    }
    usage.start_time_seconds = start_time();
    return usage;
}
