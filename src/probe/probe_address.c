/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name, its addresses, and the way to a socket.
 *
 *   host ─► getaddrinfo ─► each address: public? ─► the port ─► connect, the addresses in turn
 *
 * Firehose delivers from AWS's public network, so an address that only some network knows is no
 * use. With connect_to nothing is looked up but what it names: then the question is what stands
 * behind a balancer, not where the world finds it.
 *
 * I1  no address is tried for longer than WEIR_PROBE_CONNECT_MS; looking up is bounded by the
 *     system's own resolver
 * I2  a socket that is returned is connected and non-blocking
 *
 * One thread.
 */
#include "probe_internal.h"
#include "weir/clock.h"
#include "weir/file.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

enum { ADDRESSES_SHOWN = 4, ADDRESSES_MAX = 16 };

/* IPv4 networks that are nobody's on the internet (RFC 6890 and its registry). */
static const struct {
    uint32_t network;
    unsigned bits;
} closed_v4[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0a80000, 16}, {0xc6120000, 15},
    {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 3},
};

static bool is_public_v4(uint32_t address)
{
    for (size_t i = 0; i < sizeof closed_v4 / sizeof *closed_v4; i++) {
        uint32_t mask = ~(uint32_t)0 << (32 - closed_v4[i].bits);
        if ((address & mask) == closed_v4[i].network) {
            return false;
        }
    }
    return true;
}

/* Global unicast is 2000::/3; 2001:db8::/32 is for books. */
static bool is_public_v6(const uint8_t *a)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (memcmp(a, mapped, sizeof mapped) == 0) {
        return is_public_v4((uint32_t)a[12] << 24 | (uint32_t)a[13] << 16 | (uint32_t)a[14] << 8 |
                            a[15]);
    }
    bool is_book = a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8;
    return (a[0] & 0xe0) == 0x20 && !is_book;
}

bool weir_probe_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        return is_public_v4(ntohl(v4.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        return is_public_v6(v6.sin6_addr.s6_addr);
    }
    return false;
}

static int look_up(const char *host, const char *port, struct addrinfo **ret)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    return getaddrinfo(host, port, &hints, ret);
}

/* Appends the addresses; the first that is not public, or NULL. */
static const struct addrinfo *list_addresses(const struct addrinfo *found, struct weir_buf *out)
{
    const struct addrinfo *closed = NULL;
    unsigned count = 0;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next, count++) {
        char text[NI_MAXHOST] = "?";
        (void)getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
        if (count < ADDRESSES_SHOWN) {
            weir_buf_printf(out, "%s%s", count == 0 ? "" : ", ", text);
        }
        if (closed == NULL && !weir_probe_is_public(at->ai_addr)) {
            closed = at;
        }
    }
    if (count > ADDRESSES_SHOWN) {
        weir_buf_printf(out, " and %u more", count - ADDRESSES_SHOWN);
    }
    return closed;
}

static bool check_name(struct weir_probe *probe)
{
    const struct weir_probe_target *target = &probe->target;
    char words[512] = "";
    struct weir_buf list = weir_buf_fixed(words, sizeof words - 1);
    struct addrinfo *found = NULL;
    int code = look_up(target->host, target->port, &found);
    if (code != 0) {
        weir_probe_say(probe, WEIR_PROBE_FAIL, "name",
                       "%s is not found (%s): Firehose could not connect. Publish an A or AAAA "
                       "record for it",
                       target->host, gai_strerror(code));
        return false;
    }
    const struct addrinfo *closed = list_addresses(found, &list);
    if (closed == NULL || probe->options->is_private) {
        weir_probe_say(probe, WEIR_PROBE_OK, "name", "%s is %s%s", target->host, words,
                       closed == NULL ? "" : " (not public, as --private allows)");
    } else {
        weir_probe_say(probe, WEIR_PROBE_FAIL, "name",
                       "%s is %s, not a public address: Firehose can only reach public addresses, "
                       "never into a VPC. Give it a public one (to look all the same: --private)",
                       target->host, words);
    }
    freeaddrinfo(found);
    return true;
}

static void check_port(struct weir_probe *probe)
{
    const struct weir_probe_target *target = &probe->target;
    if (!target->is_tls) {
        weir_probe_say(probe, WEIR_PROBE_SKIP, "port", "%s, without TLS", target->port);
    } else if (strcmp(target->port, "443") == 0) {
        weir_probe_say(probe, WEIR_PROBE_OK, "port", "443");
    } else if (probe->options->is_private) {
        weir_probe_say(probe, WEIR_PROBE_WARN, "port",
                       "%s: Firehose delivers to 443 only; what stands in front must listen there",
                       target->port);
    } else {
        weir_probe_say(probe, WEIR_PROBE_FAIL, "port",
                       "%s: Firehose delivers to port 443 only, and would not take this URL. "
                       "Listen on 443, or forward it",
                       target->port);
    }
}

bool weir_probe_wait(int fd, short events, int64_t deadline_ns)
{
    for (;;) {
        int64_t left_ms = (deadline_ns - weir_clock_mono_ns()) / WEIR_NS_PER_MS;
        if (left_ms <= 0) {
            return false;
        }
        struct pollfd poller = {.fd = fd, .events = events};
        int ready = poll(&poller, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
        if (ready > 0) {
            return true;
        }
        if (ready < 0 && errno != EINTR) {
            return false;
        }
    }
}

/* 0, or the error's number. */
static int connect_one(const struct addrinfo *at, int timeout_ms, int *ret_fd)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
    if (fd < 0) {
        return errno;
    }
    int error = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        socklen_t size = sizeof error;
        int64_t deadline_ns = weir_clock_mono_ns() + timeout_ms * WEIR_NS_PER_MS;
        if (!weir_probe_wait(fd, POLLOUT, deadline_ns)) {
            error = ETIMEDOUT;
        } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
            error = errno;
        }
    }
    if (error != 0) {
        weir_file_close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int weir_probe_connect(const struct weir_probe_target *target, int timeout_ms, struct weir_buf *why)
{
    struct addrinfo *found = NULL;
    int code = look_up(target->connect_host, target->connect_port, &found);
    if (code != 0) {
        weir_buf_printf(why, "%s is not found (%s)", target->connect_host, gai_strerror(code));
        return -1;
    }
    int fd = -1;
    int error = EADDRNOTAVAIL;
    unsigned tried = 0;
    for (const struct addrinfo *at = found; fd < 0 && at != NULL && tried < ADDRESSES_MAX;
         at = at->ai_next, tried++) {
        error = connect_one(at, timeout_ms, &fd);
    }
    freeaddrinfo(found);
    if (fd < 0) {
        const char *words = strerrordesc_np(error);
        weir_buf_printf(why, "%s port %s: %s", target->connect_host, target->connect_port,
                        words == NULL ? "no connection" : words);
    }
    return fd;
}

bool weir_probe_address(struct weir_probe *probe)
{
    char words[512] = "";
    struct weir_buf why = weir_buf_fixed(words, sizeof words - 1);
    if (probe->options->connect_to != NULL) {
        weir_probe_say(probe, WEIR_PROBE_SKIP, "name", "not looked up: --connect-to %s",
                       probe->options->connect_to);
        weir_probe_say(probe, WEIR_PROBE_SKIP, "port", "as --connect-to says");
    } else {
        if (!check_name(probe)) {
            return false;
        }
        check_port(probe);
    }
    int64_t begun_ns = weir_clock_mono_ns();
    int fd = weir_probe_connect(&probe->target, WEIR_PROBE_CONNECT_MS, &why);
    int64_t ms = (weir_clock_mono_ns() - begun_ns) / WEIR_NS_PER_MS;
    if (fd < 0) {
        weir_probe_say(probe, WEIR_PROBE_FAIL, "connection",
                       "%s: Firehose could not deliver. Look whether it listens, and whether a "
                       "firewall lets the whole internet in (Firehose has no fixed addresses)",
                       words);
        return false;
    }
    weir_file_close(fd);
    weir_probe_say(probe, WEIR_PROBE_OK, "connection", "in %lld ms", (long long)ms);
    return true;
}
