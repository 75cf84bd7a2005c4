/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiver on libh2o's HTTP server: each thread has a loop, a context, its listeners and a
 * worker of its own; they meet in the ledger only.
 *
 *   accept ─► on_request ─► control path: answered at once
 *                       └─► batch: worker ─► reply ─► at once            ─► send, or break
 *                                                 └─► late: `lates`, due ─► send, or break
 *
 *   I1  a request in `lates` is alive: libh2o does not read from a connection whose request waits,
 *       so it does not notice that the other side has gone either, and keeps the request until it
 *       is answered
 *   I2  a slot of `open` holds a socket exactly while its connection is open
 *   I3  everything of libh2o is made, used and disposed of on its thread
 *
 * Breaking a connection: its socket is disconnected (a reset) or shut down, and then the request is
 * answered into nothing, so that libh2o finds the error itself and frees what it holds. Whether
 * somebody still waits for an answer is looked at right before it is given: a sender that gave up
 * (its timeout, its death) has not had it, and may come again.
 *
 * libh2o's own limits: HTTP/2 is off; bodies up to ENTITY_MAX (its 413 is not ours to give); no
 * file-backed buffers; one timer for head, body and idling. Deliberately no TLS.
 */
#include "sink/server.h"
#include "sink/control.h"
#include "sink/listen.h"
#include "sink/worker.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/thread.h"
#include <errno.h>
#include <fcntl.h>
#include <h2o.h>
#include <h2o/http1.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024, /* a thread */
    REQUEST_TIMEOUT_MS = 600000,
    NEVER_MS = 86400000,
    IDLE_MS = 3600000,
    LOOK_MS = 20, /* at those whose answers are late */
    STOP_TURNS_MAX = 50,
    STOP_TURN_MS = 20
};
#define ENTITY_MAX ((size_t)512 << 20)

struct loop;

struct slot {
    struct loop *loop;
    h2o_socket_t *sock; /* NULL: free */
};

/* A request whose answer is not due yet. */
struct late {
    struct late *next;
    int64_t due_ns;
    h2o_req_t *request;
    struct weir_sink_taken *taken;
    struct weir_sink_reply reply;
};

struct loop {
    struct weir_sink_server *server;
    struct weir_thread *thread;
    struct weir_sink_worker *worker;
    int fds[WEIR_SINK_LISTEN_MAX]; /* libh2o's once the thread runs; so is heard_fd */
    int bell_fd;                   /* the stopper's; heard_fd is the same bell */
    int heard_fd;
    bool stopping;
    struct late *lates;
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_socket_t *bell;
    h2o_socket_t *listeners[WEIR_SINK_LISTEN_MAX];
    struct slot open[CONNECTIONS_MAX];
    uint32_t open_count;
};

struct weir_sink_server {
    struct weir_sink_server_options options;
    uint32_t loop_count;
    struct loop **loops;
};

struct handler {
    h2o_handler_t super; /* first: libh2o makes the struct and knows only this */
    struct loop *loop;
};

/* -- answers ----------------------------------------------------------------------------------- */

static h2o_socket_t *socket_of(h2o_req_t *request)
{
    return request->conn->callbacks->get_socket(request->conn);
}

/* Whether nobody waits for the answer any more: the other side has closed, or reset. */
static bool is_deserted(h2o_req_t *request)
{
    char byte;
    ssize_t got = recv(h2o_socket_get_fd(socket_of(request)), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

static void break_connection(h2o_req_t *request, bool with_reset)
{
    int fd = h2o_socket_get_fd(socket_of(request));
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (!with_reset || connect(fd, &nobody, sizeof nobody) != 0) {
        (void)shutdown(fd, SHUT_RDWR);
    }
    request->http1_is_persistent = 0;
    weir_sink_send(request, 503, "text/plain", weir_bytes_of(NULL, 0));
}

/* Carries a reply out; true when the answer got lost although it was to be given. */
static bool give_reply(h2o_req_t *request, const struct weir_sink_reply *reply)
{
    if (reply->act != WEIR_SINK_ANSWER) {
        break_connection(request, reply->act == WEIR_SINK_RESET);
        return false;
    }
    bool is_lost = is_deserted(request);
    if (reply->retry_after_s >= 0) {
        char *text = h2o_mem_alloc_pool(&request->pool, 16);
        int size = snprintf(text, 16, "%d", reply->retry_after_s);
        h2o_add_header_by_str(&request->pool, &request->res.headers, H2O_STRLIT("retry-after"), 0,
                              NULL, text, (size_t)size);
    }
    weir_sink_send(request, reply->code,
                   reply->is_json ? "application/json" : "application/x-protobuf",
                   weir_bytes_of(reply->body, reply->size));
    return is_lost;
}

/* -- batches ----------------------------------------------------------------------------------- */

static bool postpone(struct loop *loop, h2o_req_t *request, const struct weir_sink_reply *reply)
{
    struct late *late = weir_mem_alloc(sizeof *late);
    struct weir_sink_taken *taken = late == NULL ? NULL : weir_sink_worker_detach(loop->worker);
    if (taken == NULL) {
        weir_mem_free(late);
        return false;
    }
    int64_t delay_ms = reply->act == WEIR_SINK_NEVER ? NEVER_MS : (int64_t)reply->delay_ms;
    *late = (struct late){loop->lates, weir_clock_mono_ns() + delay_ms * WEIR_NS_PER_MS, request,
                          taken, *reply};
    loop->lates = late;
    return true;
}

/* Answers what is due, or waited for by nobody any more (all of it at the end), and gives the
 * milliseconds until it should be looked at again. A sender that has gone is noticed soon, so that
 * a verdict asked for meanwhile knows that what came again did so for a reason. */
static int32_t answer_lates(struct loop *loop)
{
    int64_t now_ns = weir_clock_mono_ns();
    int64_t next_ns = now_ns + (loop->lates == NULL ? IDLE_MS : LOOK_MS) * WEIR_NS_PER_MS;
    struct late **link = &loop->lates;
    while (*link != NULL) {
        struct late *late = *link;
        if (late->due_ns > now_ns && !loop->stopping && !is_deserted(late->request)) {
            next_ns = late->due_ns < next_ns ? late->due_ns : next_ns;
            link = &late->next;
            continue;
        }
        *link = late->next;
        bool is_lost = give_reply(late->request, &late->reply);
        weir_sink_taken_end(loop->server->options.ledger, late->taken, is_lost);
        weir_mem_free(late);
    }
    return (int32_t)((next_ns - now_ns) / WEIR_NS_PER_MS + 1);
}

static struct weir_bytes header_of(const h2o_req_t *request, const h2o_token_t *token)
{
    ssize_t at = h2o_find_header(&request->headers, token, -1);
    if (at < 0) {
        return weir_bytes_of(NULL, 0);
    }
    h2o_iovec_t value = request->headers.entries[at].value;
    return weir_bytes_of(value.base, value.len);
}

static void take_batch(struct loop *loop, h2o_req_t *request)
{
    struct weir_sink_reply reply;
    const struct weir_sink_headers headers = {header_of(request, H2O_TOKEN_CONTENT_TYPE),
                                              header_of(request, H2O_TOKEN_CONTENT_ENCODING)};
    weir_sink_worker_take(loop->worker, &headers,
                          weir_bytes_of(request->entity.base, request->entity.len), &reply);
    bool is_late = reply.delay_ms > 0 || reply.act == WEIR_SINK_NEVER;
    if (is_late && postpone(loop, request, &reply)) {
        return;
    }
    weir_sink_worker_end(loop->worker, give_reply(request, &reply));
}

/* -- requests --------------------------------------------------------------------------------- */

static int on_request(h2o_handler_t *self, h2o_req_t *request)
{
    struct loop *loop = ((struct handler *)self)->loop;
    if (h2o_memis(request->path.base, request->path.len, H2O_STRLIT("/v1/metrics")) &&
        h2o_memis(request->method.base, request->method.len, H2O_STRLIT("POST"))) {
        take_batch(loop, request);
    } else {
        weir_sink_control(request, loop->server->options.ledger, loop->server->options.seed);
    }
    return 0;
}

/* -- connections ------------------------------------------------------------------------------- */

static void on_closed(void *data)
{
    struct slot *slot = data;
    slot->sock = NULL;
    slot->loop->open_count--;
}

static void on_accept(h2o_socket_t *listener, const char *error)
{
    struct loop *loop = listener->data;
    h2o_socket_t *sock = error != NULL ? NULL : h2o_evloop_socket_accept(listener);
    if (sock == NULL) {
        return;
    }
    if (loop->open_count == CONNECTIONS_MAX) {
        h2o_socket_close(sock);
        return;
    }
    struct slot *slot = loop->open;
    while (slot->sock != NULL) {
        slot++;
    }
    *slot = (struct slot){loop, sock};
    loop->open_count++;
    sock->on_close.cb = on_closed;
    sock->on_close.data = slot;
    h2o_accept(&loop->accept, sock);
}

static void on_bell(h2o_socket_t *bell, const char *error)
{
    (void)error;
    struct loop *loop = bell->data;
    h2o_socket_read_stop(bell);
    loop->stopping = true;
}

#ifdef WEIR_ASAN
/* What libh2o keeps for a thread and never gives back: a list of pool chunks, and the lock of its
 * queue. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_options(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\n";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}
#endif

/* -- the thread -------------------------------------------------------------------------------- */

static h2o_socket_t *watch(struct loop *loop, int fd, h2o_socket_cb on_readable)
{
    h2o_socket_t *sock =
        h2o_evloop_socket_create(loop->context.loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    sock->data = loop;
    h2o_socket_read_start(sock, on_readable);
    return sock;
}

static void open_loop(struct loop *loop)
{
    h2o_config_init(&loop->config);
    loop->config.server_name = (h2o_iovec_t){NULL, 0};
    loop->config.max_request_entity_size = ENTITY_MAX;
    loop->config.http1.upgrade_to_http2 = 0;
    loop->config.http1.req_timeout = REQUEST_TIMEOUT_MS;
    h2o_hostconf_t *host =
        h2o_config_register_host(&loop->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *root = h2o_config_register_path(host, "/", 0);
    struct handler *handler = (struct handler *)h2o_create_handler(root, sizeof *handler);
    handler->super.on_req = on_request;
    handler->loop = loop;
    h2o_context_init(&loop->context, h2o_evloop_create(), &loop->config);
    loop->accept = (h2o_accept_ctx_t){.ctx = &loop->context, .hosts = loop->config.hosts};
    loop->bell = watch(loop, loop->heard_fd, on_bell);
    for (uint32_t i = 0; i < loop->server->options.listen_count; i++) {
        loop->listeners[i] = watch(loop, loop->fds[i], on_accept);
    }
}

/* As the admin listener does it: sockets that are shut are closed by libh2o itself. */
static void close_loop(struct loop *loop)
{
    for (uint32_t i = 0; i < loop->server->options.listen_count; i++) {
        h2o_socket_close(loop->listeners[i]);
    }
    h2o_socket_close(loop->bell);
    for (uint32_t turn = 0; turn < STOP_TURNS_MAX && loop->open_count > 0; turn++) {
        for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) {
            if (loop->open[i].sock != NULL) {
                (void)shutdown(h2o_socket_get_fd(loop->open[i].sock), SHUT_RDWR);
            }
        }
        (void)answer_lates(loop);
        (void)h2o_evloop_run(loop->context.loop, STOP_TURN_MS);
    }
    (void)h2o_evloop_run(loop->context.loop, 0);
    if (loop->open_count == 0) { /* else libh2o still points into it; the process ends anyway */
        h2o_loop_t *events = loop->context.loop;
        h2o_context_dispose(&loop->context);
        h2o_evloop_destroy(events);
        h2o_config_dispose(&loop->config);
    }
}

static void run(void *argument)
{
    struct loop *loop = argument;
    open_loop(loop);
    while (!loop->stopping) {
        (void)h2o_evloop_run(loop->context.loop, answer_lates(loop));
    }
    (void)answer_lates(loop);
    close_loop(loop);
}

/* -- start and stop ---------------------------------------------------------------------------- */

static void free_loop(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    if (loop->thread == NULL) { /* else libh2o has closed them */
        for (uint32_t i = 0; i < WEIR_SINK_LISTEN_MAX; i++) {
            (void)(loop->fds[i] < 0 ? 0 : close(loop->fds[i]));
        }
        (void)(loop->heard_fd < 0 ? 0 : close(loop->heard_fd));
    }
    (void)(loop->bell_fd < 0 ? 0 : close(loop->bell_fd));
    weir_sink_worker_free(loop->worker);
    weir_mem_free(loop);
}

static enum weir_status prepare_loop(struct weir_sink_server *server, struct loop *loop,
                                     const char **ret_address)
{
    const struct weir_sink_server_options *options = &server->options;
    loop->server = server;
    loop->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->heard_fd = loop->bell_fd < 0 ? -1 : fcntl(loop->bell_fd, F_DUPFD_CLOEXEC, 0);
    memset(loop->fds, 0xFF, sizeof loop->fds);
    if (loop->heard_fd < 0) {
        return WEIR_EIO;
    }
    for (uint32_t i = 0; i < options->listen_count; i++) {
        *ret_address = options->listen[i].address;
        WEIR_TRY(weir_sink_listen_open(options->listen[i].address, options->threads > 1,
                                       &options->listen[i].port, &loop->fds[i]));
    }
    return weir_sink_worker_new(options->ledger, options->keep, &loop->worker);
}

static enum weir_status start_loops(struct weir_sink_server *server, const char **ret_address)
{
    for (uint32_t i = 0; i < server->options.threads; i++) {
        struct loop *loop = weir_mem_zalloc(1, sizeof *loop);
        if (loop == NULL) {
            return WEIR_ENOMEM;
        }
        server->loops[server->loop_count++] = loop;
        WEIR_TRY(prepare_loop(server, loop, ret_address));
    }
    for (uint32_t i = 0; i < server->loop_count; i++) {
        struct loop *loop = server->loops[i];
        WEIR_TRY(weir_thread_start(WEIR_ROLE_LOOP, "weir-sink", run, loop, &loop->thread));
    }
    return WEIR_OK;
}

enum weir_status weir_sink_server_start(const struct weir_sink_server_options *options,
                                        struct weir_sink_server **ret, const char **ret_address)
{
    struct weir_sink_server *server = weir_mem_zalloc(1, sizeof *server);
    if (server == NULL) {
        return WEIR_ENOMEM;
    }
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;
    server->options = *options;
    server->loops = weir_mem_zalloc(options->threads, sizeof(struct loop *));
    *ret_address = NULL;
    enum weir_status status =
        server->loops == NULL ? WEIR_ENOMEM : start_loops(server, ret_address);
    if (status != WEIR_OK) {
        weir_sink_server_stop(server);
        return status;
    }
    *ret = server;
    return WEIR_OK;
}

void weir_sink_server_stop(struct weir_sink_server *server)
{
    if (server == NULL) {
        return;
    }
    for (uint32_t i = 0; i < server->loop_count; i++) {
        uint64_t one = 1;
        struct loop *loop = server->loops[i];
        if (loop->thread != NULL) {
            WEIR_ASSERT(write(loop->bell_fd, &one, sizeof one) == (ssize_t)sizeof one);
            weir_thread_join(loop->thread);
        }
        free_loop(loop);
    }
    weir_mem_free(server->loops);
    weir_mem_free(server);
}
