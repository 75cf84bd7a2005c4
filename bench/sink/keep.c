/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/keep.h"
#include "weir/file.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

struct weir_sink_keep {
    pthread_mutex_t lock;
    int folder_fd;
    uint64_t left;
    uint32_t count;
};

enum weir_status weir_sink_keep_open(const char *path, uint64_t limit, struct weir_sink_keep **ret)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        return WEIR_EIO;
    }
    struct weir_sink_keep *keep = weir_mem_zalloc(1, sizeof *keep);
    if (keep == NULL) {
        return WEIR_ENOMEM;
    }
    keep->folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (keep->folder_fd < 0) {
        weir_mem_free(keep);
        return WEIR_EIO;
    }
    keep->left = limit;
    WEIR_ASSERT(pthread_mutex_init(&keep->lock, NULL) == 0);
    *ret = keep;
    return WEIR_OK;
}

void weir_sink_keep_close(struct weir_sink_keep *keep)
{
    if (keep == NULL) {
        return;
    }
    weir_file_close(keep->folder_fd);
    WEIR_ASSERT(pthread_mutex_destroy(&keep->lock) == 0);
    weir_mem_free(keep);
}

/* The next file's number, with its bytes taken from what is left; 0: no room. */
static uint32_t take_number(struct weir_sink_keep *keep, uint64_t size)
{
    uint32_t number = 0;
    WEIR_ASSERT(pthread_mutex_lock(&keep->lock) == 0);
    if (size <= keep->left) {
        keep->left -= size;
        number = ++keep->count;
    } else {
        keep->left = 0;
    }
    WEIR_ASSERT(pthread_mutex_unlock(&keep->lock) == 0);
    return number;
}

enum weir_status weir_sink_keep_write(struct weir_sink_keep *keep, struct weir_bytes body)
{
    char name[32];
    uint32_t number = body.size == 0 ? 0 : take_number(keep, body.size);
    if (number == 0) {
        return WEIR_EFULL;
    }
    (void)snprintf(name, sizeof name, "batch-%06u.pb", number);
    int fd = openat(keep->folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return WEIR_EIO;
    }
    enum weir_status status = weir_file_write(fd, body);
    weir_file_close(fd);
    return status;
}
