/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin listener, on libh2o's HTTP server.
 *
 *   weir_admin_start (main thread)        the admin thread
 *     bind, listen ──► sockets ──start──►   register, loop, context, accept ... answer ... accept
 *     weir_admin_stop ──► bell ─────────►   stop accepting, shut what is open, let it close,
 *                                           dispose
 *
 * Everything of libh2o is made, used and disposed of on the admin thread: its buffers recycle
 * through per-thread lists.
 *
 *   I1  a slot of `open` holds a socket exactly while its connection is open; there are at most
 *       CONNECTIONS_MAX
 *   I2  `heard_fd` and the listeners belong to libh2o's sockets once the thread runs, and are
 *       closed by them
 *   I3  nothing here changes anything: every path is GET and HEAD only
 *
 * Settings that matter (reasons: h2o 2.2.5's own faults): HTTP/2 off, also by upgrade; requests of
 * at most ENTITY_MAX bytes; no file-backed buffers; no Server header; TCP_USER_TIMEOUT against
 * readers that stop reading. Past CONNECTIONS_MAX a connection is closed at once. When the process
 * has no descriptor left, accept would fail and the listener stay readable for ever; so one
 * descriptor is kept in reserve, given up to accept and close one connection.
 *
 * An exposition is built whole in memory (EXPOSITION_MAX at most, else 500) and copied once more by
 * libh2o: the price of a second's work every fifteen seconds. Deliberately no TLS, no password, no
 * compression, and never a secret in a body: the listener is for loopback or a cluster's inner
 * network.
 */
#include "weir/admin.h"
#include "admin_buffers.h"
#include "admin_listen.h"
#include "weir/bytes.h"
#include "weir/expo.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include "weir/rcu.h"
#include "weir/thread.h"
#include <errno.h>
#include <fcntl.h>
#include <h2o.h>
#include <h2o/http1.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ADDRESSES_MAX = 16,
    CONNECTIONS_MAX = 64,
    ENTITY_MAX = 4096,
    REQUEST_TIMEOUT_MS = 10000, /* idle ones too: they must not keep the next scrape out for long */
    USER_TIMEOUT_MS = 30000,
    STOP_TURNS_MAX = 50, /* of at most STOP_TURN_MS each */
    STOP_TURN_MS = 20
};
#define EXPOSITION_MAX ((size_t)32 << 20)

struct slot {
    struct weir_admin *admin;
    h2o_socket_t *sock; /* NULL: free */
};

struct weir_admin {
    struct weir_admin_options options;
    struct weir_thread *thread;
    uint32_t count; /* of addresses */
    int fds[ADDRESSES_MAX];
    uint16_t ports[ADDRESSES_MAX];
    int bell_fd;  /* the stopper writes to it, and closes it when the thread is gone */
    int heard_fd; /* the same bell, for libh2o, which closes what it is given */
    sem_t opened; /* posted once, by the thread, when it has its loop */

    /* The admin thread's own. */
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_socket_t *listeners[ADDRESSES_MAX];
    h2o_socket_t *bell;
    struct slot open[CONNECTIONS_MAX];
    uint32_t open_count;
    int reserve_fd;
    bool stopping;
};

struct handler {
    h2o_handler_t super; /* first: libh2o makes the struct and knows only this */
    struct weir_admin *admin;
};

/* -- answers ----------------------------------------------------------------------------------- */

struct answer {
    int status;
    const char *reason;
    const char *type;
    struct weir_buf body;
};

static void send_answer(h2o_req_t *request, struct answer *answer)
{
    static h2o_generator_t no_generator = {NULL, NULL};
    bool head = h2o_memis(request->method.base, request->method.len, H2O_STRLIT("HEAD"));
    request->res.status = answer->status;
    request->res.reason = answer->reason;
    h2o_add_header(&request->pool, &request->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                   answer->type, strlen(answer->type));
    h2o_add_header(&request->pool, &request->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL,
                   H2O_STRLIT("no-store"));
    h2o_add_header_by_str(&request->pool, &request->res.headers,
                          H2O_STRLIT("x-content-type-options"), 0, NULL, H2O_STRLIT("nosniff"));
    request->res.content_length = answer->body.size;
    if (head) {
        h2o_start_response(request, &no_generator);
        h2o_send(request, NULL, 0, H2O_SEND_STATE_FINAL);
    } else {
        h2o_send_inline(request, (const char *)answer->body.data, answer->body.size);
    }
    weir_buf_done(&answer->body);
}

static struct answer answer_ok(const char *type)
{
    return (struct answer){200, "OK", type, weir_buf_grow_init(EXPOSITION_MAX)};
}

static struct weir_bytes accept_of(const h2o_req_t *request)
{
    ssize_t at = h2o_find_header(&request->headers, H2O_TOKEN_ACCEPT, -1);
    if (at < 0) {
        return weir_bytes_of(NULL, 0);
    }
    h2o_iovec_t value = request->headers.entries[at].value;
    return weir_bytes_of(value.base, value.len);
}

static struct answer answer_metrics(struct weir_admin *admin, const h2o_req_t *request)
{
    (void)admin;
    enum weir_expo_format format = weir_expo_negotiate(accept_of(request));
    struct answer answer = answer_ok(weir_expo_content_type(format));
    weir_expo_write(&answer.body, format);
    return answer;
}

static struct answer answer_healthz(struct weir_admin *admin, const h2o_req_t *request)
{
    (void)admin;
    (void)request;
    struct answer answer = answer_ok("text/plain; charset=utf-8");
    weir_buf_put(&answer.body, WEIR_BYTES("ok\n"));
    return answer;
}

static struct answer answer_readyz(struct weir_admin *admin, const h2o_req_t *request)
{
    (void)request;
    const char *reason = "";
    struct answer answer = answer_ok("text/plain; charset=utf-8");
    if (admin->options.ready(admin->options.argument, &reason)) {
        weir_buf_put(&answer.body, WEIR_BYTES("ready\n"));
    } else {
        answer.status = 503;
        answer.reason = "Service Unavailable";
        weir_buf_printf(&answer.body, "not ready: %s\n", reason);
    }
    return answer;
}

static struct answer answer_status(struct weir_admin *admin, const h2o_req_t *request)
{
    (void)request;
    struct answer answer = answer_ok("application/json");
    admin->options.status(admin->options.argument, &answer.body);
    return answer;
}

static struct answer answer_index(struct weir_admin *admin, const h2o_req_t *request)
{
    (void)admin;
    (void)request;
    struct answer answer = answer_ok("text/plain; charset=utf-8");
    weir_buf_put(&answer.body, WEIR_BYTES("Weir " WEIR_VERSION ", the admin listener\n\n"
                                          "  /metrics  Prometheus, or OpenMetrics when asked for\n"
                                          "  /healthz  200 while the process runs\n"
                                          "  /readyz   200, or 503 with the reason\n"
                                          "  /status   JSON: what is going on\n"));
    return answer;
}

static const struct {
    const char *path;
    struct answer (*answer)(struct weir_admin *admin, const h2o_req_t *request);
} paths[] = {
    {"/metrics", answer_metrics}, {"/healthz", answer_healthz}, {"/readyz", answer_readyz},
    {"/status", answer_status},   {"/", answer_index},
};

static struct answer answer_error(int status, const char *reason)
{
    struct answer answer = answer_ok("text/plain; charset=utf-8");
    answer.status = status;
    answer.reason = reason;
    weir_buf_printf(&answer.body, "%s\n", reason);
    return answer;
}

static int on_request(h2o_handler_t *self, h2o_req_t *request)
{
    struct handler *handler = (struct handler *)self;
    bool is_get = h2o_memis(request->method.base, request->method.len, H2O_STRLIT("GET")) ||
                  h2o_memis(request->method.base, request->method.len, H2O_STRLIT("HEAD"));
    size_t size = request->query_at == SIZE_MAX ? request->path.len : request->query_at;
    struct weir_bytes path = weir_bytes_of(request->path.base, size);
    struct answer answer = answer_error(404, "Not Found");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (!weir_bytes_eq(path, weir_bytes_str(paths[i].path))) {
            continue;
        }
        weir_buf_done(&answer.body);
        answer = is_get ? paths[i].answer(handler->admin, request)
                        : answer_error(405, "Method Not Allowed");
    }
    if (answer.status == 405) {
        h2o_add_header_by_str(&request->pool, &request->res.headers, H2O_STRLIT("allow"), 0, NULL,
                              H2O_STRLIT("GET, HEAD"));
    }
    if (answer.body.failed) { /* too large, or out of memory */
        weir_buf_done(&answer.body);
        answer = answer_error(500, "Internal Server Error");
    }
    send_answer(request, &answer);
    return 0;
}

/* -- connections ------------------------------------------------------------------------------- */

static void on_closed(void *data)
{
    struct slot *slot = data;
    WEIR_ASSERT(slot->sock != NULL);
    WEIR_ASSERT(slot->admin->open_count > 0);
    slot->sock = NULL;
    slot->admin->open_count--;
}

/* No descriptor is left: accepts one connection on the reserved one and closes it, or the listener
 * would stay readable for ever. */
static void refuse_one(struct weir_admin *admin, h2o_socket_t *listener)
{
    (void)close(admin->reserve_fd);
    int fd = accept4(h2o_socket_get_fd(listener), NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        (void)close(fd);
    }
    admin->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_accept(h2o_socket_t *listener, const char *error)
{
    struct weir_admin *admin = listener->data;
    if (error != NULL) {
        return;
    }
    h2o_socket_t *sock = h2o_evloop_socket_accept(listener);
    if (sock == NULL) {
        if ((errno == EMFILE || errno == ENFILE) && admin->reserve_fd >= 0) {
            refuse_one(admin, listener);
        }
        return;
    }
    if (admin->open_count == CONNECTIONS_MAX) {
        h2o_socket_close(sock);
        return;
    }
    struct slot *slot = admin->open;
    while (slot->sock != NULL) {
        slot++;
        WEIR_ASSERT(slot < admin->open + CONNECTIONS_MAX);
    }
    *slot = (struct slot){admin, sock};
    admin->open_count++;
    sock->on_close.cb = on_closed;
    sock->on_close.data = slot;
    int timeout_ms = USER_TIMEOUT_MS;
    (void)setsockopt(h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
                     sizeof timeout_ms);
    h2o_accept(&admin->accept, sock);
}

static void on_bell(h2o_socket_t *bell, const char *error)
{
    (void)error;
    struct weir_admin *admin = bell->data;
    h2o_socket_read_stop(bell);
    admin->stopping = true;
}

#ifdef WEIR_ASAN
/* What libh2o keeps for a thread and never gives back: a list of pool chunks, and the lock of its
 * queue. Once in a process. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_options(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\n";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0"; /* standard error is the log's */
}
#endif

/* -- the thread -------------------------------------------------------------------------------- */

static void open_loop(struct weir_admin *admin)
{
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;
    h2o_config_init(&admin->config);
    admin->config.server_name = (h2o_iovec_t){NULL, 0};
    admin->config.max_request_entity_size = ENTITY_MAX;
    admin->config.http1.upgrade_to_http2 = 0;
    admin->config.http1.req_timeout = REQUEST_TIMEOUT_MS;
    h2o_hostconf_t *host =
        h2o_config_register_host(&admin->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *root = h2o_config_register_path(host, "/", 0);
    struct handler *handler = (struct handler *)h2o_create_handler(root, sizeof *handler);
    handler->super.on_req = on_request;
    handler->admin = admin;
    h2o_context_init(&admin->context, h2o_evloop_create(), &admin->config);
    admin->accept = (h2o_accept_ctx_t){.ctx = &admin->context, .hosts = admin->config.hosts};
    admin->bell =
        h2o_evloop_socket_create(admin->context.loop, admin->heard_fd, H2O_SOCKET_FLAG_DONT_READ);
    admin->bell->data = admin;
    h2o_socket_read_start(admin->bell, on_bell);
    for (uint32_t i = 0; i < admin->count; i++) {
        admin->listeners[i] =
            h2o_evloop_socket_create(admin->context.loop, admin->fds[i], H2O_SOCKET_FLAG_DONT_READ);
        admin->listeners[i]->data = admin;
        h2o_socket_read_start(admin->listeners[i], on_accept);
    }
    admin->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Ends what is open: a connection whose socket is shut reads its end and is closed by libh2o
 * itself, which frees all it holds. Not h2o_context_request_shutdown: it arms a timer of HTTP/2
 * that h2o_context_dispose then finds and asserts on. */
static void close_loop(struct weir_admin *admin)
{
    for (uint32_t i = 0; i < admin->count; i++) {
        h2o_socket_close(admin->listeners[i]);
    }
    h2o_socket_close(admin->bell);
    for (uint32_t turn = 0; turn < STOP_TURNS_MAX && admin->open_count > 0; turn++) {
        for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) {
            if (admin->open[i].sock != NULL) {
                (void)shutdown(h2o_socket_get_fd(admin->open[i].sock), SHUT_RDWR);
            }
        }
        (void)h2o_evloop_run(admin->context.loop, STOP_TURN_MS);
    }
    (void)h2o_evloop_run(admin->context.loop, 0);
    if (admin->reserve_fd >= 0) {
        (void)close(admin->reserve_fd);
    }
    if (admin->open_count == 0) { /* else libh2o still points into it; the process ends anyway */
        h2o_loop_t *loop = admin->context.loop;
        h2o_context_dispose(&admin->context);
        h2o_evloop_destroy(loop);
        h2o_config_dispose(&admin->config);
    }
    weir_admin_drop_buffers();
}

static void run(void *argument)
{
    struct weir_admin *admin = argument;
    WEIR_ASSERT_ROLE(WEIR_ROLE_ADMIN);
    weir_rcu_thread_start();
    enum weir_status status = weir_metrics_thread_start();
    WEIR_ASSERT(status == WEIR_OK);
    open_loop(admin);
    int posted = sem_post(&admin->opened);
    WEIR_ASSERT(posted == 0);
    while (!admin->stopping) {
        /* -1 is a signal's interruption: the next turn goes on */
        (void)h2o_evloop_run(admin->context.loop, INT32_MAX);
    }
    close_loop(admin);
    weir_metrics_thread_stop();
    weir_rcu_thread_stop();
}

/* -- start and stop ---------------------------------------------------------------------------- */

static enum weir_status open_address(struct weir_admin *admin, const char *address)
{
    if (admin->count == ADDRESSES_MAX) {
        return WEIR_EINVAL;
    }
    WEIR_TRY(weir_admin_listen(address, &admin->fds[admin->count], &admin->ports[admin->count]));
    admin->count++;
    return WEIR_OK;
}

/* Closes what the thread has not taken over. */
static void abandon(struct weir_admin *admin)
{
    for (uint32_t i = 0; i < admin->count; i++) {
        (void)close(admin->fds[i]);
    }
    if (admin->bell_fd >= 0) {
        (void)close(admin->bell_fd);
    }
    if (admin->heard_fd >= 0) {
        (void)close(admin->heard_fd);
    }
    (void)sem_destroy(&admin->opened);
    weir_mem_free(admin);
}

static enum weir_status start_thread(struct weir_admin *admin)
{
    admin->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (admin->bell_fd < 0) {
        return WEIR_EIO;
    }
    admin->heard_fd = fcntl(admin->bell_fd, F_DUPFD_CLOEXEC, 0);
    if (admin->heard_fd < 0) {
        return WEIR_EIO;
    }
    WEIR_TRY(weir_thread_start(WEIR_ROLE_ADMIN, "weir-admin", run, admin, &admin->thread));
    while (sem_wait(&admin->opened) != 0) { /* libh2o aborts where it gets no descriptor later on */
        WEIR_ASSERT(errno == EINTR);
    }
    return WEIR_OK;
}

enum weir_status weir_admin_start(const struct weir_admin_options *options, struct weir_admin **ret,
                                  const char **ret_address)
{
    struct weir_admin *admin = weir_mem_zalloc(1, sizeof *admin);
    if (admin == NULL) {
        *ret_address = NULL;
        return WEIR_ENOMEM;
    }
    admin->options = *options;
    admin->bell_fd = -1;
    admin->heard_fd = -1;
    int made = sem_init(&admin->opened, 0, 0);
    WEIR_ASSERT(made == 0); /* with a value of 0 it cannot fail */
    enum weir_status status = WEIR_OK;
    const char *const *address = options->addresses;
    while (*address != NULL && status == WEIR_OK) {
        status = open_address(admin, *address);
        address += status == WEIR_OK ? 1 : 0;
    }
    *ret_address = *address;
    if (status == WEIR_OK && admin->count > 0) {
        status = start_thread(admin);
    }
    if (status != WEIR_OK) {
        abandon(admin);
        return status;
    }
    *ret = admin;
    return WEIR_OK;
}

uint16_t weir_admin_port(const struct weir_admin *admin, uint32_t index)
{
    WEIR_ASSERT(index < admin->count);
    return admin->ports[index];
}

void weir_admin_stop(struct weir_admin *admin)
{
    if (admin == NULL) {
        return;
    }
    if (admin->thread != NULL) {
        uint64_t one = 1;
        ssize_t wrote = write(admin->bell_fd, &one, sizeof one);
        WEIR_ASSERT(wrote == (ssize_t)sizeof one);
        weir_thread_join(admin->thread);
        (void)close(admin->bell_fd);
    }
    (void)sem_destroy(&admin->opened);
    weir_mem_free(admin);
}
