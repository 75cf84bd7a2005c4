/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/notify.h"
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 512, NS_PER_US = 1000 };

/* Written by weir_notify_open, before any thread; only read afterwards. */
static struct {
    int fd;
    struct sockaddr_un address;
    socklen_t size;
    int64_t watchdog_ns;
} notify = {.fd = -1};

static enum weir_status parse_address(const char *text)
{
    size_t size = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || size < 2 || size >= sizeof notify.address.sun_path) {
        return WEIR_EINVAL;
    }
    notify.address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(notify.address.sun_path, text, size);
    if (text[0] == '@') {
        notify.address.sun_path[0] = 0; /* the abstract namespace: no terminator either */
    }
    notify.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (text[0] == '/'));
    return WEIR_OK;
}

/* A supervisor that is behind has a full queue for a moment. Without its READY=1 it would end a
 * process that is well; without an end to the wait it could hold us up. */
static const struct timeval patience = {.tv_sec = 1};

/* A whole positive decimal number of the environment, or 0. */
static int64_t number(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return 0;
    }
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return errno != 0 || *end != 0 ? 0 : value;
}

static int64_t read_watchdog(void)
{
    int64_t us = number("WATCHDOG_USEC");
    int64_t pid = number("WATCHDOG_PID");
    bool is_ours = getenv("WATCHDOG_PID") == NULL || pid == getpid();
    return us > 0 && us < INT64_MAX / NS_PER_US && is_ours ? us * NS_PER_US : 0;
}

enum weir_status weir_notify_open(void)
{
    const char *text = getenv("NOTIFY_SOCKET");
    if (text == NULL || text[0] == 0) {
        return WEIR_OK;
    }
    WEIR_TRY(parse_address(text));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return WEIR_EIO;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    notify.fd = fd;
    notify.watchdog_ns = read_watchdog();
    return WEIR_OK;
}

void weir_notify_close(void)
{
    if (notify.fd >= 0) {
        (void)close(notify.fd);
    }
    notify.fd = -1;
    notify.watchdog_ns = 0;
}

int64_t weir_notify_watchdog_ns(void)
{
    return notify.watchdog_ns;
}

void weir_notify_send(const char *format, ...)
{
    char text[MESSAGE_SIZE];
    va_list arguments;
    if (notify.fd < 0) {
        return;
    }
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size <= 0) {
        return;
    }
    size = size < MESSAGE_SIZE ? size : MESSAGE_SIZE - 1;
    ssize_t sent;
    do {
        sent = sendto(notify.fd, text, (size_t)size, MSG_NOSIGNAL,
                      (const struct sockaddr *)(const void *)&notify.address, notify.size);
    } while (sent < 0 && errno == EINTR);
}

void weir_notify_ready(const char *status)
{
    weir_notify_send("READY=1\nSTATUS=%s", status);
}

void weir_notify_reloading(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    weir_notify_send("RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reading the configuration anew",
                     (long long)now.tv_sec * 1000000 + now.tv_nsec / NS_PER_US);
}

void weir_notify_stopping(int64_t allow_ns)
{
    weir_notify_send("STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld\nSTATUS=draining",
                     (long long)(allow_ns / NS_PER_US));
}
