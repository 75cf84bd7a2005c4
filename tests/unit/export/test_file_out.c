/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/file.h"
#include "weir/file_out.h"
#include "weir/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* A writer over one end of a pipe, as standard output would be. */
static struct weir_file_out over(int fd)
{
    return (struct weir_file_out){.fd = fd, .is_ours = true};
}

static void a_file_takes_batches_one_after_the_other(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-file-out-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct weir_file_out out;
    assert_int_equal(weir_file_out_open(&out, path), WEIR_OK);
    assert_true(out.is_regular);
    weir_file_out_begin(&out, WEIR_BYTES("one\n"));
    assert_int_equal(weir_file_out_step(&out), WEIR_OK);
    weir_file_out_close(&out);
    assert_int_equal(weir_file_out_open(&out, path), WEIR_OK); /* appends */
    weir_file_out_begin(&out, WEIR_BYTES("two\n"));
    assert_int_equal(weir_file_out_step(&out), WEIR_OK);
    weir_file_out_close(&out);
    uint8_t *data;
    size_t size;
    assert_int_equal(weir_file_read(path, 100, &data, &size), WEIR_OK);
    assert_true(weir_bytes_eq(weir_bytes_of(data, size), WEIR_BYTES("one\ntwo\n")));
    weir_mem_free(data);
    unlink(path);
}

static void what_cannot_be_opened(void **state)
{
    (void)state;
    struct weir_file_out out = {.fd = 77};
    assert_int_not_equal(weir_file_out_open(&out, "/nowhere/file"), WEIR_OK);
    assert_int_not_equal(weir_file_out_open(&out, "/tmp"), WEIR_OK);
    assert_int_equal(out.fd, 77);
}

static void a_slow_reader_is_not_waited_for(void **state)
{
    (void)state;
    static uint8_t text[1 << 20];
    static uint8_t got[1 << 20];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct weir_file_out out = over(ends[1]);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\n';
    weir_file_out_begin(&out, weir_bytes_of(text, sizeof(text)));
    assert_int_equal(weir_file_out_step(&out), WEIR_EAGAIN); /* the pipe is full; we are back */
    assert_int_equal(weir_file_out_step(&out), WEIR_EAGAIN);
    size_t size = 0;
    enum weir_status status = WEIR_EAGAIN;
    while (size < sizeof(got)) {
        ssize_t count = read(ends[0], got + size, sizeof(got) - size);
        assert_true(count > 0);
        size += (size_t)count;
        if (status == WEIR_EAGAIN) {
            status = weir_file_out_step(&out);
        }
    }
    assert_int_equal(status, WEIR_OK);
    assert_memory_equal(got, text, sizeof(text));
    close(ends[0]);
    weir_file_out_close(&out);
}

static void a_reader_that_is_gone_is_closed(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    struct weir_file_out out = over(ends[1]);
    for (int i = 0; i < 2; i++) { /* and again: it may be tried as often as wanted */
        weir_file_out_begin(&out, WEIR_BYTES("x\n"));
        assert_int_equal(weir_file_out_step(&out), WEIR_ECLOSED);
    }
    weir_file_out_close(&out);
}

static void after_an_error_a_batch_begins_on_a_new_line(void **state)
{
    (void)state;
    struct weir_file_out out = over(open("/dev/full", O_WRONLY | O_CLOEXEC));
    assert_true(out.fd >= 0);
    weir_file_out_begin(&out, WEIR_BYTES("half a li"));
    assert_int_equal(weir_file_out_step(&out), WEIR_EIO);
    assert_int_equal(errno, ENOSPC);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(out.fd);
    out.fd = ends[1]; /* the disk has room again */
    weir_file_out_begin(&out, WEIR_BYTES("whole\n"));
    assert_int_equal(weir_file_out_step(&out), WEIR_OK);
    char got[16];
    assert_int_equal(read(ends[0], got, sizeof(got)), 7);
    assert_memory_equal(got, "\nwhole\n", 7);
    close(ends[0]);
    weir_file_out_close(&out);
}

static void standard_output_is_not_ours_to_close(void **state)
{
    (void)state;
    struct weir_file_out out;
    assert_int_equal(weir_file_out_open(&out, NULL), WEIR_OK);
    assert_int_equal(out.fd, STDOUT_FILENO);
    weir_file_out_close(&out);
    assert_true(fcntl(STDOUT_FILENO, F_GETFD) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_takes_batches_one_after_the_other),
        cmocka_unit_test(what_cannot_be_opened),
        cmocka_unit_test(a_slow_reader_is_not_waited_for),
        cmocka_unit_test(a_reader_that_is_gone_is_closed),
        cmocka_unit_test(after_an_error_a_batch_begins_on_a_new_line),
        cmocka_unit_test(standard_output_is_not_ours_to_close),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
