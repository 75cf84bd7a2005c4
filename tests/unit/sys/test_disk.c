/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/disk.h"
#include "weir/mem.h"
#include "weir/pulse.h"
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

/* A file in memory whose calls return what a script says before they do anything: an error, 0, or
 * at most so many bytes. After the script everything passes. */
struct fake {
    uint8_t bytes[64];
    size_t size;
    const int *script;
    size_t script_size;
    size_t next;
    bool forever; /* the script's last entry, again and again */
    int calls;
};

enum { ALL = 1000 };

static int next_of(struct fake *fake)
{
    fake->calls++;
    if (fake->next < fake->script_size) {
        return fake->script[fake->next++];
    }
    return fake->forever ? fake->script[fake->script_size - 1] : ALL;
}

static ssize_t fake_pread(void *self, int file, void *data, size_t size, uint64_t offset)
{
    struct fake *fake = self;
    assert_int_equal(file, 3);
    int most = next_of(fake);
    if (most < 0) {
        return most;
    }
    size_t there = offset < fake->size ? fake->size - offset : 0;
    size = size < there ? size : there;
    size = size < (size_t)most ? size : (size_t)most;
    memcpy(data, fake->bytes + offset, size);
    return (ssize_t)size;
}

static ssize_t fake_pwritev(void *self, int file, const struct iovec *parts, int count,
                            uint64_t offset)
{
    struct fake *fake = self;
    assert_int_equal(file, 3);
    int most = next_of(fake);
    ssize_t written = 0;
    for (int i = 0; i < count && most > written; i++) {
        size_t size = parts[i].iov_len;
        size = size < (size_t)(most - written) ? size : (size_t)(most - written);
        assert_true(offset + size <= sizeof fake->bytes);
        if (size > 0) {
            memcpy(fake->bytes + offset, parts[i].iov_base, size);
        }
        offset += size;
        written += (ssize_t)size;
    }
    fake->size = fake->size > offset ? fake->size : offset;
    return most < 0 ? most : written;
}

static int64_t fake_size(void *self, int file)
{
    assert_int_equal(file, 3);
    return (int64_t)((struct fake *)self)->size;
}

static const struct weir_disk_ops fake_ops = {
    .pread = fake_pread, .pwritev = fake_pwritev, .size = fake_size};

#define SCRIPT(fake, ...)                                                                          \
    static const int script_[] = {__VA_ARGS__};                                                    \
    (fake)->script = script_;                                                                      \
    (fake)->script_size = sizeof script_ / sizeof script_[0]

static void write_three(struct fake *fake, enum weir_status expected)
{
    char one[] = "one,";
    char two[] = "two,two,";
    char three[] = "three";
    struct iovec parts[] = {{NULL, 0}, {one, 4}, {two, 8}, {NULL, 0}, {three, 5}, {NULL, 0}};
    struct weir_disk disk = {&fake_ops, fake};
    assert_int_equal(weir_disk_write(&disk, 3, parts, 6, 10), expected);
}

static void test_a_write_goes_on_after_interruptions(void **state)
{
    (void)state;
    struct fake fake = {0};
    SCRIPT(&fake, -EINTR, 1, 3, -EINTR, -EINTR, 0, 5, 3, 1);
    write_three(&fake, WEIR_OK);
    support_assert_bytes(weir_bytes_of(fake.bytes + 10, fake.size - 10),
                         WEIR_BYTES("one,two,two,three"));
    assert_int_equal(fake.calls, 10);
}

static void test_a_write_that_cannot_go_on_ends(void **state)
{
    (void)state;
    static const struct {
        int error;
        enum weir_status status;
    } cases[] = {{-EIO, WEIR_EIO},   {-ENOSPC, WEIR_EFULL}, {-EDQUOT, WEIR_EFULL},
                 {-EINTR, WEIR_EIO}, {0, WEIR_EIO},         {-EAGAIN, WEIR_EIO},
                 {-EROFS, WEIR_EIO}, {-ENOMEM, WEIR_EIO},   {-EACCES, WEIR_EIO},
                 {-ENOENT, WEIR_EIO}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int script[] = {5, cases[i].error};
        struct fake fake = {.script = script, .script_size = 2, .forever = true};
        errno = 0;
        write_three(&fake, cases[i].status);
        assert_int_not_equal(errno, 0);
        assert_in_range(fake.calls, 2, 200);
    }
}

static void test_nothing_to_write_calls_nobody(void **state)
{
    (void)state;
    struct fake fake = {0};
    struct weir_disk disk = {&fake_ops, &fake};
    struct iovec empty[] = {{NULL, 0}, {NULL, 0}};
    assert_int_equal(weir_disk_write(&disk, 3, empty, 2, 0), WEIR_OK);
    assert_int_equal(weir_disk_write(&disk, 3, NULL, 0, 0), WEIR_OK);
    assert_int_equal(fake.calls, 0);
}

static void test_a_read_goes_on_after_interruptions(void **state)
{
    (void)state;
    struct fake fake = {.bytes = "0123456789", .size = 10};
    SCRIPT(&fake, -EINTR, 1, 2, -EINTR, 3);
    struct weir_disk disk = {&fake_ops, &fake};
    uint8_t got[32];
    size_t size = 0;
    assert_int_equal(weir_disk_read(&disk, 3, got, 8, 1, &size), WEIR_OK);
    support_assert_bytes(weir_bytes_of(got, size), WEIR_BYTES("12345678"));
    /* at the end: less, and no call at an offset that is no multiple of anything */
    fake.calls = 0;
    assert_int_equal(weir_disk_read(&disk, 3, got, sizeof got, 4, &size), WEIR_OK);
    support_assert_bytes(weir_bytes_of(got, size), WEIR_BYTES("456789"));
    assert_int_equal(fake.calls, 1);
    assert_int_equal(weir_disk_read(&disk, 3, got, sizeof got, 10, &size), WEIR_OK);
    assert_int_equal(size, 0);
}

static void test_a_read_that_cannot_go_on_ends(void **state)
{
    (void)state;
    static const int errors[] = {-EIO, -EINTR, -EINVAL, -EAGAIN};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        int script[] = {2, errors[i]};
        struct fake fake = {.size = 10, .script = script, .script_size = 2, .forever = true};
        struct weir_disk disk = {&fake_ops, &fake};
        uint8_t got[10];
        size_t size = 77;
        assert_int_equal(weir_disk_read(&disk, 3, got, 10, 0, &size), WEIR_EIO);
        assert_int_equal(errno, -errors[i]);
        assert_int_equal(size, 77);
        assert_in_range(fake.calls, 2, 200);
    }
}

static void test_errors_become_statuses(void **state)
{
    (void)state;
    assert_int_equal(weir_disk_status(0), WEIR_OK);
    assert_int_equal(weir_disk_status(INT64_C(1) << 40), WEIR_OK);
    assert_int_equal(weir_disk_status(-ENOENT), WEIR_ENOTFOUND);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(weir_disk_status(-EEXIST), WEIR_EEXIST);
    assert_int_equal(weir_disk_status(-EACCES), WEIR_EDENIED);
    assert_int_equal(weir_disk_status(-EPERM), WEIR_EDENIED);
    assert_int_equal(weir_disk_status(-EROFS), WEIR_EDENIED);
    assert_int_equal(weir_disk_status(-ENOSPC), WEIR_EFULL);
    assert_int_equal(weir_disk_status(-EDQUOT), WEIR_EFULL);
    assert_int_equal(weir_disk_status(-EWOULDBLOCK), WEIR_EAGAIN);
    assert_int_equal(weir_disk_status(-ELOOP), WEIR_EIO);
    assert_int_equal(errno, ELOOP);
}

/* The real directory. */
struct fixture {
    char path[64];
    struct weir_disk disk;
};

static struct fixture *folder_make(void)
{
    static struct fixture fixture;
    (void)snprintf(fixture.path, sizeof fixture.path, "/tmp/weir-test-disk-XXXXXX");
    assert_non_null(mkdtemp(fixture.path));
    assert_int_equal(weir_disk_open(fixture.path, false, &fixture.disk), WEIR_OK);
    return &fixture;
}

static void folder_free(struct fixture *fixture)
{
    weir_disk_close(&fixture->disk);
    assert_int_equal(support_remove_tree(fixture->path), 0);
}

static int open_file(struct fixture *fixture, const char *name, enum weir_disk_mode mode)
{
    return fixture->disk.ops->open(fixture->disk.self, name, mode);
}

static void put(struct fixture *fixture, int file, const char *text, uint64_t offset)
{
    char copy[32];
    struct iovec part = {copy, strlen(text)};
    memcpy(copy, text, part.iov_len);
    assert_int_equal(weir_disk_write(&fixture->disk, file, &part, 1, offset), WEIR_OK);
}

static void test_files_of_each_mode(void **state)
{
    (void)state;
    struct fixture *fixture = folder_make();
    const struct weir_disk_ops *ops = fixture->disk.ops;
    void *self = fixture->disk.self;
    assert_int_equal(open_file(fixture, "a", WEIR_DISK_WRITE), -ENOENT);
    assert_int_equal(open_file(fixture, "a", WEIR_DISK_READ), -ENOENT);
    int file = open_file(fixture, "a", WEIR_DISK_CREATE);
    assert_true(file >= 0);
    assert_int_equal(open_file(fixture, "a", WEIR_DISK_CREATE), -EEXIST);
    struct stat info;
    assert_int_equal(fstat(file, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_true((fcntl(file, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(ops->allocate(self, file, 8192), 0);
    assert_true(ops->size(self, file) == 8192);
    put(fixture, file, "hello", 4096);
    assert_int_equal(ops->sync(self, file), 0);
    assert_int_equal(ops->truncate(self, file, 5000), 0);
    assert_int_equal(ops->close(self, file), 0);
    uint8_t *block = weir_mem_aligned(4096, 8192);
    size_t size = 0;
    file = open_file(fixture, "a", WEIR_DISK_READ);
    assert_int_equal(weir_disk_read(&fixture->disk, file, block, 8192, 0, &size), WEIR_OK);
    assert_int_equal(size, 5000);
    support_assert_bytes(weir_bytes_of(block + 4096, 5), WEIR_BYTES("hello"));
    assert_int_equal(weir_disk_read(&fixture->disk, file, block, 4096, 8192, &size), WEIR_OK);
    assert_int_equal(size, 0);
    assert_int_equal(ops->close(self, file), 0);
    for (int i = 0; i < 2; i++) {
        file = open_file(fixture, "log", WEIR_DISK_APPEND);
        put(fixture, file, "xy", 777);
        assert_true(ops->size(self, file) == 2 + 2 * i);
        assert_int_equal(ops->close(self, file), 0);
    }
    weir_mem_free(block);
    folder_free(fixture);
}

static void count_name(void *argument, const char *name)
{
    int *counts = argument;
    counts[name[0] == 'a' ? 0 : 1]++;
}

static void test_names(void **state)
{
    (void)state;
    struct fixture *fixture = folder_make();
    const struct weir_disk_ops *ops = fixture->disk.ops;
    void *self = fixture->disk.self;
    assert_int_equal(ops->close(self, open_file(fixture, "a1", WEIR_DISK_CREATE)), 0);
    assert_int_equal(ops->make_directory(self, "below"), 0);
    assert_int_equal(ops->make_directory(self, "below"), -EEXIST);
    assert_int_equal(ops->rename(self, "a1", "below/a2"), 0);
    assert_int_equal(ops->rename(self, "a1", "below/a2"), -ENOENT);
    assert_int_equal(ops->sync_directory(self, ""), 0);
    assert_int_equal(ops->sync_directory(self, "below"), 0);
    assert_int_equal(ops->sync_directory(self, "nowhere"), -ENOENT);
    int counts[2] = {0};
    assert_int_equal(ops->list(self, "", count_name, counts), 0);
    assert_int_equal(counts[0], 0);
    assert_int_equal(counts[1], 1);
    assert_int_equal(ops->list(self, "below", count_name, counts), 0);
    assert_int_equal(counts[0], 1);
    assert_int_equal(ops->list(self, "nowhere", count_name, counts), -ENOENT);
    assert_int_equal(ops->remove(self, "below/a2"), 0);
    assert_int_equal(ops->remove(self, "below/a2"), -ENOENT);
    assert_true(ops->free_bytes(self) > 0);
    folder_free(fixture);
}

static void test_each_call_that_comes_back_is_a_sign_of_life(void **state)
{
    struct fixture *fixture = folder_make();
    const struct weir_disk_ops *ops = fixture->disk.ops;
    static struct weir_pulse_watch watch;
    char name[16];
    uint8_t byte = 1;
    struct iovec part = {&byte, 1};
    int file = open_file(fixture, "slow", WEIR_DISK_CREATE);
    (void)state;
    for (int i = 0; i < 5; i++) {
        weir_pulse_beat();
        (void)weir_pulse_look(&watch, 0, name);
        assert_int_equal(weir_pulse_look(&watch, 1000, name), 1000);
        switch (i) {
        case 0: assert_int_equal(ops->pwritev(fixture->disk.self, file, &part, 1, 0), 1); break;
        case 1: assert_int_equal(ops->sync(fixture->disk.self, file), 0); break;
        case 2: assert_int_equal(ops->allocate(fixture->disk.self, file, 4096), 0); break;
        case 3: assert_int_equal(ops->sync_directory(fixture->disk.self, ""), 0); break;
        default: assert_int_equal(ops->pread(fixture->disk.self, file, &byte, 1, 0), 1); break;
        }
        assert_int_equal(weir_pulse_look(&watch, 2000, name), 0);
    }
    weir_pulse_end();
    assert_int_equal(ops->close(fixture->disk.self, file), 0);
    folder_free(fixture);
}

static void test_names_that_leave_the_directory_are_refused(void **state)
{
    (void)state;
    struct fixture *fixture = folder_make();
    const struct weir_disk_ops *ops = fixture->disk.ops;
    void *self = fixture->disk.self;
    assert_int_equal(ops->make_directory(self, "b"), 0);
    char endless[300];
    memset(endless, 'n', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    const char *bad[] = {"",      ".",  "..", "../a", "/etc/passwd", "b/..",   "./a",  "b/.",
                         "b/c/d", "b/", "/",  "b//c", "/a",          "b/../a", endless};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(open_file(fixture, bad[i], WEIR_DISK_APPEND), -EINVAL);
        assert_int_equal(ops->remove(self, bad[i]), -EINVAL);
        assert_int_equal(ops->rename(self, bad[i], "a"), -EINVAL);
        assert_int_equal(ops->rename(self, "b", bad[i]), -EINVAL);
        assert_int_equal(ops->make_directory(self, bad[i]), -EINVAL);
    }
    assert_int_equal(ops->sync_directory(self, ".."), -EINVAL);
    assert_int_equal(ops->list(self, "b/c", count_name, NULL), -EINVAL);
    folder_free(fixture);
}

static void test_symbolic_links_are_not_followed(void **state)
{
    (void)state;
    struct fixture *fixture = folder_make();
    char path[128];
    (void)snprintf(path, sizeof path, "%s/file", fixture->path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    (void)snprintf(path, sizeof path, "%s/folder", fixture->path);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_int_equal(open_file(fixture, "file", WEIR_DISK_READ), -ELOOP);
    assert_int_equal(open_file(fixture, "file", WEIR_DISK_WRITE), -ELOOP);
    assert_int_equal(open_file(fixture, "file", WEIR_DISK_APPEND), -ELOOP);
    assert_int_equal(open_file(fixture, "file", WEIR_DISK_CREATE), -EEXIST);
    assert_int_equal(open_file(fixture, "folder/x", WEIR_DISK_APPEND), -ENOTDIR);
    assert_int_equal(fixture->disk.ops->sync_directory(fixture->disk.self, "folder"), -ENOTDIR);
    folder_free(fixture);
}

static void test_opening_the_directory(void **state)
{
    (void)state;
    struct fixture *fixture = folder_make();
    struct weir_disk disk = {NULL, NULL};
    char path[128];
    (void)snprintf(path, sizeof path, "%s/spool", fixture->path);
    assert_int_equal(weir_disk_open(path, false, &disk), WEIR_ENOTFOUND);
    assert_null(disk.ops);
    assert_int_equal(weir_disk_open(path, true, &disk), WEIR_OK);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    weir_disk_close(&disk);
    assert_null(disk.ops);
    weir_disk_close(&disk);
    assert_int_equal(weir_disk_open(path, true, &disk), WEIR_OK);
    weir_disk_close(&disk);
    (void)snprintf(path, sizeof path, "%s/not/there", fixture->path);
    assert_int_equal(weir_disk_open(path, true, &disk), WEIR_ENOTFOUND);
    assert_int_equal(weir_disk_open("/etc/passwd", false, &disk), WEIR_ENOTFOUND);
    assert_int_equal(errno, ENOTDIR);
    folder_free(fixture);
}

static void test_one_lock_a_directory(void **state)
{
    (void)state;
    struct fixture *fixture = folder_make();
    struct weir_disk second = {NULL, NULL};
    assert_int_equal(weir_disk_open(fixture->path, false, &second), WEIR_OK);
    assert_int_equal(fixture->disk.ops->lock(fixture->disk.self), 0);
    assert_int_equal(second.ops->lock(second.self), -EWOULDBLOCK);
    weir_disk_close(&fixture->disk);
    assert_int_equal(second.ops->lock(second.self), 0);
    weir_disk_close(&second);
    folder_free(fixture);
}

static void test_doubtful_file_systems_are_named(void **state)
{
    (void)state;
    struct weir_disk disk = {&fake_ops, NULL};
    assert_null(weir_disk_doubt(&disk));
    if (weir_disk_open("/dev/shm", false, &disk) == WEIR_OK) {
        assert_string_equal(weir_disk_doubt(&disk), "tmpfs");
        weir_disk_close(&disk);
    }
    assert_int_equal(weir_disk_open("/proc", false, &disk), WEIR_OK);
    assert_null(weir_disk_doubt(&disk));
    weir_disk_close(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_write_goes_on_after_interruptions),
        cmocka_unit_test(test_a_write_that_cannot_go_on_ends),
        cmocka_unit_test(test_nothing_to_write_calls_nobody),
        cmocka_unit_test(test_a_read_goes_on_after_interruptions),
        cmocka_unit_test(test_a_read_that_cannot_go_on_ends),
        cmocka_unit_test(test_errors_become_statuses),
        cmocka_unit_test(test_files_of_each_mode),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_each_call_that_comes_back_is_a_sign_of_life),
        cmocka_unit_test(test_names_that_leave_the_directory_are_refused),
        cmocka_unit_test(test_symbolic_links_are_not_followed),
        cmocka_unit_test(test_opening_the_directory),
        cmocka_unit_test(test_one_lock_a_directory),
        cmocka_unit_test(test_doubtful_file_systems_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
