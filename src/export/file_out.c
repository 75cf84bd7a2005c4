/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/file_out.h"
#include "weir/file.h"
#include "weir/panic.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe that poll calls writable takes this much without blocking (pipe(7)), so an exporter
 * thread that writes no more at once never waits for a stalled reader. */
enum { PIECE = PIPE_BUF, PIECES_PER_STEP = 256 };

enum weir_status weir_file_out_open(struct weir_file_out *out, const char *path)
{
    int fd = STDOUT_FILENO;
    if (path != NULL) {
        WEIR_TRY(weir_file_append_open(path, &fd));
    }
    struct stat about;
    bool is_regular = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
    *out = (struct weir_file_out){.fd = fd, .is_ours = path != NULL, .is_regular = is_regular};
    return WEIR_OK;
}

void weir_file_out_close(struct weir_file_out *out)
{
    if (out->is_ours) {
        weir_file_close(out->fd);
    }
    *out = (struct weir_file_out){.fd = -1};
}

void weir_file_out_begin(struct weir_file_out *out, struct weir_bytes text)
{
    WEIR_ASSERT(out->left.size == 0);
    WEIR_ASSERT(text.size > 0);
    out->left = text;
}

/* Whether a piece can be written without waiting; errors are left to the write to find. */
static bool is_writable(const struct weir_file_out *out)
{
    struct pollfd poll_fd = {.fd = out->fd, .events = POLLOUT};
    return out->is_regular || poll(&poll_fd, 1, 0) != 0;
}

/* The batch has ended badly. */
static enum weir_status tear(struct weir_file_out *out)
{
    out->left = (struct weir_bytes){NULL, 0};
    out->is_torn = true;
    return errno == EPIPE || errno == EBADF ? WEIR_ECLOSED : WEIR_EIO;
}

enum weir_status weir_file_out_step(struct weir_file_out *out)
{
    WEIR_ASSERT(out->left.size > 0);
    for (int i = 0; i < PIECES_PER_STEP || out->is_regular; i++) {
        if (!is_writable(out)) {
            return WEIR_EAGAIN;
        }
        if (out->is_torn) {
            if (weir_file_write(out->fd, WEIR_BYTES("\n")) != WEIR_OK) {
                return tear(out);
            }
            out->is_torn = false;
            continue;
        }
        size_t size =
            out->is_regular || out->left.size < (size_t)PIECE ? out->left.size : (size_t)PIECE;
        if (weir_file_write(out->fd, weir_bytes_of(out->left.data, size)) != WEIR_OK) {
            return tear(out);
        }
        out->left = weir_bytes_from(out->left, size);
        if (out->left.size == 0) {
            return WEIR_OK;
        }
    }
    return WEIR_EAGAIN;
}
