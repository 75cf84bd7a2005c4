/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir health`: asks the admin listener of an instance, for health checks of containers whose
 * image has neither a shell nor curl.
 *
 *   GET /healthz (alive) or, with --ready, /readyz (takes requests) ──► exit code
 *
 * Numbers only, no resolver; one connection, TIMEOUT_S for all of it. Main thread.
 */
#include "commands_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { TIMEOUT_S = 5, ANSWER_SIZE = 1024, HOST_SIZE = 64 };
static const char usual_address[] = "127.0.0.1:9464";

const char weir_cmd_health_help[] =
    "weir health [--ready] [ADDRESS]: asks a running weir's admin listener\n"
    "\n"
    "      --ready         whether it takes requests (/readyz), not only whether it lives "
    "(/healthz)\n"
    "\n"
    "ADDRESS is a number and a port, 127.0.0.1:9464 unless given ([::1]:9464).\n"
    "Exit codes: 0 yes, 1 no, or nobody answers within 5s; 2 usage.\n";

/* A connected socket, or -1. */
static int dial(const char *address)
{
    char host[HOST_SIZE];
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    const struct timeval patience = {.tv_sec = TIMEOUT_S};
    const char *colon = strrchr(address, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - address);
    bool bracketed = size > 2 && address[0] == '[' && address[size - 1] == ']';
    size -= bracketed ? 2 : 0;
    if (size == 0 || size >= sizeof host) {
        errno = EINVAL;
        return -1;
    }
    memcpy(host, address + (bracketed ? 1 : 0), size);
    host[size] = 0;
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 &&
                     setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
                     setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
                     connect(fd, found->ai_addr, found->ai_addrlen) == 0;
    int error = errno;
    freeaddrinfo(found);
    if (!connected && fd >= 0) {
        (void)close(fd);
    }
    errno = error;
    return connected ? fd : -1;
}

/* The answer's begin, terminated; false when none came. */
static bool ask(int fd, const char *path, char answer[ANSWER_SIZE])
{
    char request[128];
    size_t got = 0;
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n", path);
    if (send(fd, request, (size_t)size, MSG_NOSIGNAL) != size) {
        return false;
    }
    ssize_t more;
    while (got < ANSWER_SIZE - 1 && (more = recv(fd, answer + got, ANSWER_SIZE - 1 - got, 0)) > 0) {
        got += (size_t)more;
    }
    answer[got] = 0;
    return strncmp(answer, "HTTP/1.1 ", 9) == 0;
}

/* In words, with what to do. */
static const char *why_not(int error)
{
    switch (error) {
    case EINVAL: return "not a number and a port, as 127.0.0.1:9464 and [::1]:9464 are";
    case ECONNREFUSED:
        return "nobody listens there; is weir running, and is this one of its admin.listen? "
               "(another: "
               "weir health ADDRESS)";
    default: return strerrordesc_np(error);
    }
}

static int look(const char *address, const char *path)
{
    char answer[ANSWER_SIZE] = "";
    int fd = dial(address);
    if (fd < 0) {
        return weir_commands_failed("health", "%.80s: %s", address, why_not(errno));
    }
    bool answered = ask(fd, path, answer);
    (void)close(fd);
    if (!answered) {
        return weir_commands_failed("health",
                                    "%.80s: no answer in %ds, or none in plain HTTP; "
                                    "is it one of admin.listen?",
                                    address, TIMEOUT_S);
    }
    const char *body = strstr(answer, "\r\n\r\n");
    (void)printf("%s", body == NULL ? "" : body + 4);
    return strncmp(answer + 9, "200", 3) == 0 ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED;
}

int weir_cmd_health(int argc, char **argv)
{
    static const struct option options[] = {
        {"ready", no_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = "/healthz";
    int option;
    while ((option = weir_commands_option(argc, argv, "rh", options, weir_cmd_health_help)) != -1) {
        if (option != 'r') {
            return WEIR_EXIT_USAGE;
        }
        path = "/readyz";
    }
    if (optind + 1 < argc) {
        return weir_commands_usage("health", "takes one address");
    }
    return look(optind < argc ? argv[optind] : usual_address, path);
}
