/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/file.h"
#include "weir/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_READ = 4096 };

static enum weir_status status_of_errno(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR: return WEIR_ENOTFOUND;
    case EACCES:
    case EPERM: return WEIR_EDENIED;
    case ENOMEM: return WEIR_ENOMEM;
    default: return WEIR_EIO;
    }
}

static ssize_t read_some(int fd, uint8_t *data, size_t size)
{
    ssize_t got;
    do {
        got = read(fd, data, size);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* A first guess at how much memory to take. Files of /proc and pipes say 0, so the size is never
 * trusted. */
static size_t first_capacity(int fd, size_t size_max)
{
    struct stat info;
    size_t guess = FIRST_READ;
    if (fstat(fd, &info) == 0 && info.st_size > 0) {
        guess = (size_t)info.st_size;
    }
    return guess < size_max ? guess : size_max;
}

/* Reads to the end. `*data` holds `capacity` + 2 bytes: one more than allowed, so that a file that
 * is too large is seen, and the terminator. It is the caller's to free also after a failure. */
static enum weir_status read_to_end(int fd, size_t size_max, uint8_t **data, size_t *ret_size)
{
    size_t capacity = first_capacity(fd, size_max);
    size_t size = 0;
    for (;;) {
        uint8_t *larger = weir_mem_resize(*data, capacity + 2, 1);
        if (larger == NULL) {
            return WEIR_ENOMEM;
        }
        *data = larger;
        while (size <= capacity) {
            ssize_t got = read_some(fd, *data + size, capacity + 1 - size);
            if (got < 0) {
                return status_of_errno();
            }
            if (got == 0) {
                (*data)[size] = '\0';
                *ret_size = size;
                return WEIR_OK;
            }
            size += (size_t)got;
        }
        if (capacity >= size_max) {
            return WEIR_ELIMIT;
        }
        capacity = capacity > size_max / 2 ? size_max : capacity * 2;
    }
}

enum weir_status weir_file_read(const char *path, size_t size_max, uint8_t **ret_data,
                                size_t *ret_size)
{
    if (size_max > SIZE_MAX - 2) {
        return WEIR_EINVAL;
    }
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return status_of_errno();
    }
    uint8_t *data = NULL;
    size_t size = 0;
    enum weir_status status = read_to_end(fd, size_max, &data, &size);
    int saved = errno;
    if (!is_stdin) {
        weir_file_close(fd);
    }
    if (status != WEIR_OK) {
        weir_mem_free(data);
        errno = saved;
        return status;
    }
    *ret_data = data;
    *ret_size = size;
    return WEIR_OK;
}

enum weir_status weir_file_append_open(const char *path, int *ret_fd)
{
    /* O_NONBLOCK for the opening alone: a pipe without a reader would keep us here for ever */
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    int fd = open(path, flags | O_NONBLOCK, 0600);
    if (fd < 0) {
        return errno == EACCES || errno == EPERM || errno == ELOOP ? WEIR_EDENIED
               : errno == ENXIO                                    ? WEIR_ECLOSED
                                                                   : WEIR_EIO;
    }
    if (fcntl(fd, F_SETFL, O_APPEND) != 0) {
        weir_file_close(fd);
        return WEIR_EIO;
    }
    *ret_fd = fd;
    return WEIR_OK;
}

enum weir_status weir_file_write(int fd, struct weir_bytes bytes)
{
    while (bytes.size > 0) {
        ssize_t written = write(fd, bytes.data, bytes.size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return WEIR_EIO;
        }
        bytes = weir_bytes_from(bytes, (size_t)written);
    }
    return WEIR_OK;
}

void weir_file_close(int fd)
{
    if (fd >= 0) {
        (void)close(fd); /* on Linux the descriptor is gone also after EINTR: never twice */
    }
}
