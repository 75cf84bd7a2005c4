/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/mem.h"
#include <ctype.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    int letter = tolower((unsigned char)digit);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

struct support_blob support_hex(const char *text)
{
    struct support_blob blob = {weir_mem_zalloc(strlen(text) / 2 + 1, 1), 0};
    assert_non_null(blob.data);
    int high = -1;
    for (; *text != '\0'; text++) {
        if (isspace((unsigned char)*text)) {
            continue;
        }
        int digit = hex_digit(*text);
        assert_true(digit >= 0);
        if (high < 0) {
            high = digit;
        } else {
            blob.data[blob.size++] = (uint8_t)(high * 16 + digit);
            high = -1;
        }
    }
    assert_int_equal(high, -1); /* an even number of digits */
    return blob;
}

/* Plain calls rather than weir/file.h: the support library stands beside base, not above sys. */
static struct support_blob read_whole(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fail_msg("cannot open %s", path);
    }
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    size_t size = (size_t)info.st_size;
    struct support_blob blob = {weir_mem_zalloc(size + 1, 1), size};
    assert_non_null(blob.data);
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, blob.data + done, size - done);
        assert_true(got > 0);
        done += (size_t)got;
    }
    close(fd);
    return blob;
}

struct support_blob support_source(const char *path)
{
    char whole[4096];
    assert_in_range(snprintf(whole, sizeof whole, "%s/%s", WEIR_SOURCE_DIR, path), 1,
                    sizeof whole - 1);
    return read_whole(whole);
}

struct support_blob support_vector(const char *path)
{
    const char *root = getenv("WEIR_VECTORS");
    if (root == NULL) {
        root = WEIR_SOURCE_DIR "/../shared/vectors";
    }
    if (access(root, R_OK) != 0) {
        print_message("no vectors at %s\n", root);
        skip();
    }
    char whole[4096];
    assert_in_range(snprintf(whole, sizeof whole, "%s/%s", root, path), 1, sizeof whole - 1);
    return read_whole(whole);
}

void support_free(struct support_blob *blob)
{
    weir_mem_free(blob->data);
    *blob = (struct support_blob){NULL, 0};
}

static void print_around(const char *name, struct weir_bytes bytes, size_t at)
{
    size_t first = at < 16 ? 0 : at - 16;
    print_error("%s, %zu bytes, from %zu:", name, bytes.size, first);
    for (size_t i = first; i < bytes.size && i < first + 48; i++) {
        print_error(i == at ? " [%02x]" : " %02x", bytes.data[i]);
    }
    print_error("\n");
}

void support_assert_bytes(struct weir_bytes actual, struct weir_bytes expected)
{
    if (weir_bytes_eq(actual, expected)) {
        return;
    }
    size_t at = 0;
    while (at < actual.size && at < expected.size && actual.data[at] == expected.data[at]) {
        at++;
    }
    print_around("actual", actual, at);
    print_around("expected", expected, at);
    fail_msg("bytes differ at offset %zu", at);
}

struct weir_rand support_rand(uint64_t seed)
{
    const char *given = getenv("WEIR_SEED");
    if (given != NULL) {
        seed = strtoull(given, NULL, 0);
    }
    print_message("WEIR_SEED=%" PRIu64 "\n", seed);
    struct weir_rand rand;
    weir_rand_init(&rand, seed);
    return rand;
}

enum { ABORTED = 99 };

/* The child ends by itself rather than of the signal: an emulator would write a line of its own. */
static void on_abort(int number)
{
    (void)number;
    _exit(ABORTED);
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about;
    (void)kind;
    (void)walk;
    return remove(path);
}

int support_remove_tree(const char *path)
{
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool support_aborts(void (*body)(void *argument), void *argument)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (nowhere >= 0) {
            dup2(nowhere, STDERR_FILENO);
        }
        signal(SIGABRT, on_abort); /* cmocka's own handler would go on with the test */
        body(argument);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == ABORTED;
}
