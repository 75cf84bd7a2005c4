/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/file.h"
#include "weir/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

/* A fresh folder for each test that wants one; what is in it is small and the system's to clean. */
static const char *path_of(const char *name)
{
    static char folder[64];
    static char path[512];
    if (folder[0] == '\0') {
        (void)snprintf(folder, sizeof folder, "/tmp/weir-test-file-XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
    assert_in_range(snprintf(path, sizeof path, "%s/%s", folder, name), 1, sizeof path - 1);
    return path;
}

static void write_file(const char *name, struct weir_bytes bytes)
{
    int fd = -1;
    unlink(path_of(name));
    assert_int_equal(weir_file_append_open(path_of(name), &fd), WEIR_OK);
    assert_int_equal(weir_file_write(fd, bytes), WEIR_OK);
    weir_file_close(fd);
}

static void check_read(const char *name, size_t size_max, struct weir_bytes expected)
{
    uint8_t *data = NULL;
    size_t size = 0;
    assert_int_equal(weir_file_read(path_of(name), size_max, &data, &size), WEIR_OK);
    support_assert_bytes(weir_bytes_of(data, size), expected);
    assert_int_equal(data[size], 0);
    weir_mem_free(data);
}

static void test_what_was_written_is_read(void **state)
{
    (void)state;
    write_file("some", WEIR_BYTES("abc\n"));
    check_read("some", 100, WEIR_BYTES("abc\n"));
    check_read("some", 4, WEIR_BYTES("abc\n"));
    write_file("none", WEIR_BYTES(""));
    check_read("none", 0, WEIR_BYTES(""));
    uint8_t *large = weir_mem_zalloc(100001, 1);
    write_file("large", weir_bytes_of(large, 100001));
    check_read("large", 100001, weir_bytes_of(large, 100001));
    weir_mem_free(large);
}

static void test_a_larger_file_is_refused(void **state)
{
    (void)state;
    uint8_t *data = NULL;
    size_t size = 77;
    write_file("five", WEIR_BYTES("12345"));
    assert_int_equal(weir_file_read(path_of("five"), 4, &data, &size), WEIR_ELIMIT);
    assert_int_equal(weir_file_read(path_of("five"), 0, &data, &size), WEIR_ELIMIT);
    assert_int_equal(weir_file_read("/dev/zero", 10000, &data, &size), WEIR_ELIMIT);
    assert_null(data);
    assert_int_equal(size, 77);
}

static void test_what_is_not_there_is_told(void **state)
{
    (void)state;
    uint8_t *data = NULL;
    size_t size = 0;
    assert_int_equal(weir_file_read(path_of("absent"), 10, &data, &size), WEIR_ENOTFOUND);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(weir_file_read("/", 10, &data, &size), WEIR_EIO);
    assert_int_equal(errno, EISDIR);
    write_file("plain", WEIR_BYTES("x"));
    assert_int_equal(weir_file_read(path_of("plain/x"), 10, &data, &size), WEIR_ENOTFOUND);
    assert_int_equal(weir_file_read(path_of("plain"), SIZE_MAX, &data, &size), WEIR_EINVAL);
    assert_null(data);
}

static void test_files_without_a_size_are_read_whole(void **state)
{
    (void)state;
    uint8_t *data = NULL;
    size_t size = 0;
    assert_int_equal(weir_file_read("/proc/self/maps", 1 << 20, &data, &size), WEIR_OK);
    assert_true(size > 100);
    assert_int_equal(data[size - 1], '\n');
    weir_mem_free(data);
}

static void test_a_dash_is_standard_input(void **state)
{
    (void)state;
    int saved = dup(STDIN_FILENO);
    write_file("input", WEIR_BYTES("from stdin"));
    int fd = open(path_of("input"), O_RDONLY);
    dup2(fd, STDIN_FILENO);
    close(fd);
    uint8_t *data = NULL;
    size_t size = 0;
    assert_int_equal(weir_file_read("-", 100, &data, &size), WEIR_OK);
    support_assert_bytes(weir_bytes_of(data, size), WEIR_BYTES("from stdin"));
    weir_mem_free(data);
    dup2(saved, STDIN_FILENO);
    close(saved);
}

static void test_appending_appends_and_is_private(void **state)
{
    (void)state;
    write_file("log", WEIR_BYTES("one "));
    int fd = -1;
    assert_int_equal(weir_file_append_open(path_of("log"), &fd), WEIR_OK);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(weir_file_write(fd, WEIR_BYTES("two")), WEIR_OK);
    weir_file_close(fd);
    check_read("log", 100, WEIR_BYTES("one two"));
    struct stat info;
    assert_int_equal(stat(path_of("log"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void test_a_symbolic_link_is_refused(void **state)
{
    (void)state;
    char target[512];
    (void)snprintf(target, sizeof target, "%s", path_of("target"));
    unlink(path_of("link"));
    assert_int_equal(symlink(target, path_of("link")), 0);
    int fd = -5;
    assert_int_equal(weir_file_append_open(path_of("link"), &fd), WEIR_EDENIED);
    assert_int_equal(fd, -5);
    assert_int_not_equal(access(target, F_OK), 0);
}

static void test_failing_writes_are_told(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(weir_file_write(fd, WEIR_BYTES("x")), WEIR_EIO);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(weir_file_write(fd, WEIR_BYTES("")), WEIR_OK);
    weir_file_close(fd);
    weir_file_close(-1);
    assert_int_equal(weir_file_append_open("/nowhere/at/all", &fd), WEIR_EIO);
}

/* Whoever opened it would not hear of a stop while it waits. */
static void test_a_pipe_without_a_reader_is_not_waited_for(void **state)
{
    (void)state;
    int fd = -5;
    unlink(path_of("pipe"));
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    assert_int_equal(weir_file_append_open(path_of("pipe"), &fd), WEIR_ECLOSED);
    assert_int_equal(fd, -5);
    int reader = open(path_of("pipe"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(weir_file_append_open(path_of("pipe"), &fd), WEIR_OK);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0); /* writing waits, as ever */
    weir_file_close(fd);
    weir_file_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_read),
        cmocka_unit_test(test_a_larger_file_is_refused),
        cmocka_unit_test(test_what_is_not_there_is_told),
        cmocka_unit_test(test_files_without_a_size_are_read_whole),
        cmocka_unit_test(test_a_dash_is_standard_input),
        cmocka_unit_test(test_appending_appends_and_is_private),
        cmocka_unit_test(test_a_symbolic_link_is_refused),
        cmocka_unit_test(test_a_pipe_without_a_reader_is_not_waited_for),
        cmocka_unit_test(test_failing_writes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
