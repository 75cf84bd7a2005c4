/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/sys/machine_internal.h"
#include "support.h"
#include "weir/machine.h"
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static char root[64];

/* Begins a machine with no files at all. */
static void new_machine(void)
{
    (void)snprintf(root, sizeof root, "/tmp/weir-test-machine-XXXXXX");
    assert_non_null(mkdtemp(root));
}

/* Writes a file of the machine, with the folders it stands in. */
static void put(const char *path, const char *text)
{
    char whole[512];
    int length = snprintf(whole, sizeof whole, "%s/%s", root, path);
    assert_in_range(length, 1, sizeof whole - 1);
    for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(whole, 0700);
        *at = '/';
    }
    int fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void test_no_files_limit_nothing(void **state)
{
    (void)state;
    new_machine();
    assert_int_equal(weir_machine_quota_cores(root), 0);
    assert_true(weir_machine_quota_memory(root) == SIZE_MAX);
}

static void test_v2_reads_its_own_group(void **state)
{
    (void)state;
    new_machine();
    put("proc/self/cgroup", "0::/system.slice/weir.service\n");
    put("sys/fs/cgroup/system.slice/weir.service/cpu.max", "150000 100000\n");
    put("sys/fs/cgroup/system.slice/weir.service/memory.max", "536870912\n");
    assert_int_equal(weir_machine_quota_cores(root), 2);
    assert_int_equal(weir_machine_quota_memory(root), 536870912);
}

static void test_v2_groups_above_limit_too(void **state)
{
    (void)state;
    new_machine();
    put("proc/self/cgroup", "0::/a/b\n");
    put("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    put("sys/fs/cgroup/a/b/memory.max", "max\n");
    put("sys/fs/cgroup/a/memory.max", "2097152\n");
    put("sys/fs/cgroup/memory.max", "4194304\n");
    assert_int_equal(weir_machine_quota_cores(root), 3);
    assert_int_equal(weir_machine_quota_memory(root), 2097152);
}

static void test_v2_in_a_container_the_root_counts(void **state)
{
    (void)state;
    new_machine();
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "10000 100000\n");
    put("sys/fs/cgroup/memory.max", "1048576\n");
    assert_int_equal(weir_machine_quota_cores(root), 1);
    assert_int_equal(weir_machine_quota_memory(root), 1048576);
}

static void test_v1_reads_each_controllers_tree(void **state)
{
    (void)state;
    new_machine();
    put("proc/self/cgroup", "5:memory:/weir\n4:cpu,cpuacct:/weir\n1:name=systemd:/weir\n");
    put("sys/fs/cgroup/cpu/weir/cpu.cfs_quota_us", "250000\n");
    put("sys/fs/cgroup/cpu/weir/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/memory/weir/memory.limit_in_bytes", "1073741824\n");
    assert_int_equal(weir_machine_quota_cores(root), 3);
    assert_int_equal(weir_machine_quota_memory(root), 1073741824);
}

static void test_v1_without_limits(void **state)
{
    (void)state;
    new_machine();
    put("proc/self/cgroup", "5:memory:/weir\n4:cpu,cpuacct:/weir\n");
    put("sys/fs/cgroup/cpu/weir/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/weir/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/memory/weir/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(weir_machine_quota_cores(root), 0);
    assert_true(weir_machine_quota_memory(root) == SIZE_MAX);
}

static void test_nonsense_limits_nothing(void **state)
{
    (void)state;
    new_machine();
    put("proc/self/cgroup", "nonsense\n\n:\n0:\n0::/weir\n");
    put("sys/fs/cgroup/weir/cpu.max", "100000 0\n");
    put("sys/fs/cgroup/weir/memory.max", "lots\n");
    assert_int_equal(weir_machine_quota_cores(root), 0);
    assert_true(weir_machine_quota_memory(root) == SIZE_MAX);
    put("sys/fs/cgroup/weir/cpu.max", "");
    put("sys/fs/cgroup/weir/memory.max", "0\n");
    assert_int_equal(weir_machine_quota_cores(root), 0);
    assert_true(weir_machine_quota_memory(root) == SIZE_MAX);
}

static void test_a_huge_quota_stays_a_number(void **state)
{
    (void)state;
    new_machine();
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "18446744073709551615 1\n");
    assert_int_equal(weir_machine_quota_cores(root), UINT16_MAX);
}

static void test_a_path_that_is_too_long_limits_nothing(void **state)
{
    (void)state;
    char line[6000];
    memset(line, 'x', sizeof line - 1);
    memcpy(line, "0::/", 4);
    line[sizeof line - 1] = '\0';
    new_machine();
    put("proc/self/cgroup", line);
    assert_int_equal(weir_machine_quota_cores(root), 0);
}

static void test_this_machine_is_plausible(void **state)
{
    (void)state;
    cpu_set_t mask;
    assert_int_equal(sched_getaffinity(0, sizeof mask, &mask), 0);
    assert_in_range(weir_machine_cores(), 1, CPU_COUNT(&mask));
    assert_true(weir_machine_memory() >= (size_t)1 << 20);
    struct weir_machine_usage usage = weir_machine_usage();
    assert_true(usage.cpu_seconds >= 0);
    assert_true(usage.resident_bytes > 0);
    assert_true(usage.virtual_bytes >= usage.resident_bytes);
    assert_true(usage.open_fds >= 3);
    assert_true(usage.fds_max >= usage.open_fds);
    assert_true(usage.start_time_seconds > 1.5e9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_files_limit_nothing),
        cmocka_unit_test(test_v2_reads_its_own_group),
        cmocka_unit_test(test_v2_groups_above_limit_too),
        cmocka_unit_test(test_v2_in_a_container_the_root_counts),
        cmocka_unit_test(test_v1_reads_each_controllers_tree),
        cmocka_unit_test(test_v1_without_limits),
        cmocka_unit_test(test_nonsense_limits_nothing),
        cmocka_unit_test(test_a_huge_quota_stays_a_number),
        cmocka_unit_test(test_a_path_that_is_too_long_limits_nothing),
        cmocka_unit_test(test_this_machine_is_plausible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
