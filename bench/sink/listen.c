/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/listen.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static enum weir_status resolve(const char *address, struct addrinfo **ret)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - address);
    bool is_bracketed = size > 2 && address[0] == '[' && address[size - 1] == ']';
    size -= is_bracketed ? 2 : 0;
    if (size == 0 || size >= sizeof host) {
        return WEIR_EINVAL;
    }
    memcpy(host, address + (is_bracketed ? 1 : 0), size);
    host[size] = '\0';
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_family = is_bracketed ? AF_INET6 : AF_INET,
                             .ai_socktype = SOCK_STREAM};
    return getaddrinfo(host, colon + 1, &hints, ret) == 0 ? WEIR_OK : WEIR_EINVAL;
}

/* The port stands at the same place in both families' addresses. */
static void set_port(struct addrinfo *resolved, uint16_t port)
{
    struct sockaddr_in in;
    memcpy(&in, resolved->ai_addr, sizeof in);
    in.sin_port = htons(port);
    memcpy(resolved->ai_addr, &in, sizeof in);
}

static enum weir_status bind_one(const struct addrinfo *resolved, bool shared, uint16_t *port,
                                 int *ret_fd)
{
    int yes = 1;
    int share = shared ? 1 : 0;
    int fd = socket(resolved->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return WEIR_EIO;
    }
    struct sockaddr_in6 bound;
    socklen_t bound_size = sizeof bound;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &share, sizeof share) != 0 ||
        bind(fd, resolved->ai_addr, resolved->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)&bound, &bound_size) != 0) {
        enum weir_status status = errno == EADDRINUSE ? WEIR_EEXIST : WEIR_EIO;
        (void)close(fd);
        return status;
    }
    *port = ntohs(bound.sin6_port);
    *ret_fd = fd;
    return WEIR_OK;
}

enum weir_status weir_sink_listen_open(const char *address, bool shared, uint16_t *port,
                                       int *ret_fd)
{
    struct addrinfo *resolved;
    WEIR_TRY(resolve(address, &resolved));
    enum weir_status status = WEIR_OK;
    if (*port != 0) {
        set_port(resolved, *port);
    } else if (shared) { /* alone first: SO_REUSEPORT would join a stranger's listener */
        status = bind_one(resolved, false, port, ret_fd);
        if (status == WEIR_OK) {
            (void)close(*ret_fd);
            set_port(resolved, *port);
        }
    }
    if (status == WEIR_OK) {
        status = bind_one(resolved, shared, port, ret_fd);
    }
    freeaddrinfo(resolved);
    return status;
}
