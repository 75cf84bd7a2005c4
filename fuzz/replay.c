/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over the files and folders given, once each: what libFuzzer's -runs=0 does,
 * for builds without it. A folder that is absent or empty is said and no failure: a target may be
 * younger than its corpus. */
#include "weir/mem.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_SIZE_MAX = 64 << 20, PATH_SIZE = 4096 };

static bool read_all(int fd, uint8_t *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, data + done, size - done);
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

/* The input lies in memory of exactly its size, so that a sanitizer sees the first byte past it. */
static bool run_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || info.st_size > FILE_SIZE_MAX) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return false;
    }
    size_t size = (size_t)info.st_size;
    uint8_t *data = weir_mem_alloc(size);
    bool good = data != NULL && read_all(fd, data, size);
    close(fd);
    if (good) {
        (void)LLVMFuzzerTestOneInput(data, size);
    }
    weir_mem_free(data);
    return good;
}

/* Runs every plain file of a folder; the number of them, or -1 after a failure. */
static int run_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return 0;
    }
    int count = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char whole[PATH_SIZE];
        int length = snprintf(whole, sizeof whole, "%s/%s", path, entry->d_name);
        struct stat info;
        if (length < 0 || length >= PATH_SIZE || stat(whole, &info) != 0 ||
            !S_ISREG(info.st_mode)) {
            continue;
        }
        if (!run_file(whole)) {
            count = -1;
            break;
        }
        count++;
    }
    closedir(folder);
    return count;
}

int main(int argument_count, char **arguments)
{
    for (int i = 1; i < argument_count; i++) {
        struct stat info;
        int count = 0;
        if (stat(arguments[i], &info) == 0 && S_ISREG(info.st_mode)) {
            count = run_file(arguments[i]) ? 1 : -1;
        } else {
            count = run_folder(arguments[i]);
        }
        if (count < 0) {
            return 1;
        }
        printf("%s: %d input%s%s\n", arguments[i], count, count == 1 ? "" : "s",
               count == 0 ? " (no corpus)" : "");
    }
    return 0;
}
