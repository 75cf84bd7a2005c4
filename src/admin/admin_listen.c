/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_listen.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128 };

static enum weir_status status_of_errno(int error)
{
    switch (error) {
    case EADDRINUSE: return WEIR_EEXIST;
    case EACCES:
    case EPERM: return WEIR_EDENIED;
    case EADDRNOTAVAIL: return WEIR_EINVAL;
    default: return WEIR_EIO;
    }
}

/* "127.0.0.1:9464", "[::1]:9464": numbers only, no resolver. */
static enum weir_status resolve(const char *address, struct addrinfo **ret)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - address);
    bool bracketed = size > 2 && address[0] == '[' && address[size - 1] == ']';
    size -= bracketed ? 2 : 0;
    if (size == 0 || size >= sizeof host) {
        return WEIR_EINVAL;
    }
    memcpy(host, address + (bracketed ? 1 : 0), size);
    host[size] = 0;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_family = bracketed ? AF_INET6 : AF_INET,
                             .ai_socktype = SOCK_STREAM};
    return getaddrinfo(host, colon + 1, &hints, ret) == 0 ? WEIR_OK : WEIR_EINVAL;
}

static enum weir_status listen_on(const struct addrinfo *address, int *ret_fd, uint16_t *ret_port)
{
    int yes = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return status_of_errno(errno);
    }
    struct sockaddr_in6 bound; /* the port stands at the same place in both families */
    socklen_t bound_size = sizeof bound;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)&bound, &bound_size) != 0) {
        enum weir_status status = status_of_errno(errno);
        (void)close(fd);
        return status;
    }
    *ret_fd = fd;
    *ret_port = ntohs(bound.sin6_port);
    return WEIR_OK;
}

enum weir_status weir_admin_listen(const char *address, int *ret_fd, uint16_t *ret_port)
{
    struct addrinfo *resolved;
    WEIR_TRY(resolve(address, &resolved));
    enum weir_status status = listen_on(resolved, ret_fd, ret_port);
    freeaddrinfo(resolved);
    return status;
}
