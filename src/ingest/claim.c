/* SPDX-License-Identifier: Apache-2.0 */
#include "claim.h"
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * Every loop listens with SO_REUSEPORT, which lets any process of the same user in. The probe
 * (weir/listener.h) refuses an address where somebody listens, but two that start in the same
 * moment both find it free. So each also binds a name in the abstract namespace of Unix sockets:
 * one system call that one of them wins, and that the kernel takes back whatever becomes of us.
 *
 * Rejected: a first listening socket without SO_REUSEPORT. Set later, that option leaves the socket
 * outside of the group that the kernel spreads connections over.
 */
enum weir_status weir_claim_take(const char *address, uint16_t port, int *ret_fd)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *colon = strrchr(address, ':');
    if (colon == NULL) {
        return WEIR_EINVAL;
    }
    bool is_local = strncmp(address, "localhost:", 10) == 0;
    int host_size = is_local ? 9 : (int)(colon - address);
    int size = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "weir/ingest/%.*s:%" PRIu16,
                        host_size, is_local ? "127.0.0.1" : address, port);
    if (size < 0 || (size_t)size >= sizeof name.sun_path - 1) {
        return WEIR_EINVAL;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return WEIR_EIO;
    }
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);
    if (bind(fd, (const struct sockaddr *)(const void *)&name, length) != 0) {
        enum weir_status status = errno == EADDRINUSE ? WEIR_EEXIST : WEIR_EIO;
        (void)close(fd);
        return status;
    }
    *ret_fd = fd;
    return WEIR_OK;
}
