/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel takes for one request over loopback, whoever serves it: the sleep until it comes,
 * its bytes, the answer.
 *
 *   peer (a thread)     wait for a turn ─► send head and body ─► read the answer
 *   subject             give the turn; epoll_wait, recv until all is there, send 200
 *
 *   I1  one request is under way at a time, and the subject sleeps until it comes, as a loop does
 *   I2  only the subject's thread counts; the peer's work is a generator's
 *
 * The CPU time of the subject's thread is the floor of what a request of this size costs in a
 * gateway: nothing is parsed, inflated, written to a disk or sent on.
 */
#include "micro/cases.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

enum { HEAD_BYTES = 700 }; /* about what Firehose's head takes */

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                             "Content-Length: 80\r\n\r\n";

struct exchanging {
    struct weir_input *input;
    pthread_t peer;
    bool has_peer;
    int turns[2];   /* a pipe: a byte is a turn */
    int sockets[2]; /* the gateway's end, the peer's */
    int epoll;
    size_t size; /* of a request */
    uint8_t *request;
    uint8_t *room;
};

static void send_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        WEIR_ASSERT(sent > 0);
        data += sent;
        size -= (size_t)sent;
    }
}

static void *play(void *argument)
{
    const struct exchanging *exchanging = argument;
    char turn;
    char told[sizeof answer];
    while (read(exchanging->turns[0], &turn, 1) == 1) {
        send_all(exchanging->sockets[1], exchanging->request, exchanging->size);
        ssize_t got = recv(exchanging->sockets[1], told, sizeof answer - 1, MSG_WAITALL);
        WEIR_ASSERT(got == (ssize_t)sizeof answer - 1);
    }
    return NULL;
}

static void exchange(void *state)
{
    const struct exchanging *exchanging = state;
    ssize_t told = write(exchanging->turns[1], "t", 1);
    WEIR_ASSERT(told == 1);
    for (size_t size = 0; size < exchanging->size;) {
        struct epoll_event event;
        int ready = epoll_wait(exchanging->epoll, &event, 1, -1);
        WEIR_ASSERT(ready == 1);
        ssize_t got =
            recv(exchanging->sockets[0], exchanging->room + size, exchanging->size - size, 0);
        WEIR_ASSERT(got > 0);
        size += (size_t)got;
    }
    send_all(exchanging->sockets[0], (const uint8_t *)answer, sizeof answer - 1);
}

/* A connected pair over loopback's TCP. */
static enum weir_status connect_pair(int *ret)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct sockaddr *at = (struct sockaddr *)(void *)&address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ret[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener >= 0 && bind(listener, at, size) == 0 && listen(listener, 1) == 0 &&
        getsockname(listener, at, &size) == 0 && connect(ret[1], at, size) == 0) {
        ret[0] = accept(listener, NULL, NULL);
    }
    if (listener >= 0) {
        (void)close(listener);
    }
    return ret[0] >= 0 ? WEIR_OK : WEIR_EIO;
}

static enum weir_status fill(const struct weir_cases_context *context,
                             struct exchanging *exchanging)
{
    struct epoll_event readable = {.events = EPOLLIN};
    WEIR_TRY(weir_cases_input(context, context->options.format, &exchanging->input));
    const struct weir_bytes body = exchanging->input->gzip;
    exchanging->size = HEAD_BYTES + body.size;
    exchanging->request = weir_mem_zalloc(1, exchanging->size);
    exchanging->room = weir_mem_zalloc(1, exchanging->size);
    if (exchanging->request == NULL || exchanging->room == NULL) {
        return WEIR_ENOMEM;
    }
    memcpy(exchanging->request + HEAD_BYTES, body.data, body.size);
    WEIR_TRY(connect_pair(exchanging->sockets));
    exchanging->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (exchanging->epoll < 0 || pipe(exchanging->turns) != 0 ||
        epoll_ctl(exchanging->epoll, EPOLL_CTL_ADD, exchanging->sockets[0], &readable) != 0 ||
        pthread_create(&exchanging->peer, NULL, play, exchanging) != 0) {
        return WEIR_EIO;
    }
    exchanging->has_peer = true;
    return WEIR_OK;
}

static void close_job(struct weir_cases_job *job)
{
    struct exchanging *exchanging = job->work.state;
    if (exchanging == NULL) {
        return;
    }
    const int fds[] = {exchanging->turns[1], exchanging->turns[0], exchanging->sockets[0],
                       exchanging->sockets[1], exchanging->epoll};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]); /* the first one ends the peer */
        }
        if (i == 0 && exchanging->has_peer) {
            (void)pthread_join(exchanging->peer, NULL);
        }
    }
    weir_mem_free(exchanging->request);
    weir_mem_free(exchanging->room);
    weir_input_free(exchanging->input);
    weir_mem_free(exchanging);
}

static enum weir_status open_job(const struct weir_cases_context *context,
                                 struct weir_cases_job *ret)
{
    struct exchanging *exchanging = weir_mem_zalloc(1, sizeof *exchanging);
    if (exchanging == NULL) {
        return WEIR_ENOMEM;
    }
    *exchanging = (struct exchanging){.turns = {-1, -1}, .sockets = {-1, -1}, .epoll = -1};
    struct weir_cases_job job = {.work = {.state = exchanging, .subject = exchange}};
    enum weir_status status = fill(context, exchanging);
    if (status != WEIR_OK) {
        close_job(&job);
        return status;
    }
    job.points = exchanging->input->points;
    job.bytes = exchanging->size;
    *ret = job;
    return WEIR_OK;
}

const struct weir_cases_case weir_cases_exchange[] = {
    {"exchange", "a request over loopback, read and answered, and no more", "none", open_job,
     close_job},
    {.name = NULL}};
