/* SPDX-License-Identifier: Apache-2.0 */
/* Loops pass connections on to one another while others end: none is lost, they are spread evenly,
 * and a loop that is over is passed nothing more. */
#include "weir/clock.h"
#include "weir/listener.h"
#include "weir/spread.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LOOPS = 3, CLIENTS = 2, EACH = 30, LATE = 60, FDS_MAX = 1024 };

/* libh2o keeps a few chunks of its memory pools for each thread and never gives them back (see
 * loop.c); these loops end. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\n";
}

struct server {
    struct weir_loop *loop;
    struct weir_listener *listener;
    struct weir_conn *conns[CLIENTS * EACH + LATE];
    _Atomic uint32_t count;
    struct weir_loop_task leave;
    bool left;
};

static struct server servers[LOOPS];
static struct weir_spread *spread;
static uint16_t port;
static pthread_barrier_t opened;

static void accepted(void *argument, struct weir_conn *conn)
{
    struct server *server = argument;
    /* relaxed: partner is total */
    uint32_t at = atomic_fetch_add_explicit(&server->count, 1, memory_order_relaxed);
    server->conns[at] = conn;
}

static uint32_t total(void)
{
    uint32_t sum = 0;
    for (int i = 0; i < LOOPS; i++) {
        /* relaxed: a count */
        sum += atomic_load_explicit(&servers[i].count, memory_order_relaxed);
    }
    return sum;
}

static void leave(struct weir_loop_task *task)
{
    struct server *server =
        (struct server *)(void *)((char *)task - offsetof(struct server, leave));
    weir_spread_leave(server->loop);
    weir_listener_close(server->listener);
    server->left = true;
}

static void on_tick(void *argument, int64_t now_ns)
{
    struct server *server = argument;
    (void)now_ns;
    if (server->left && weir_spread_is_over(server->loop)) {
        weir_loop_stop(server->loop);
    }
}

static void *serve(void *argument)
{
    struct server *server = argument;
    const struct weir_listener_options options = {
        .connections_max = 1000, .accepted = accepted, .argument = server};
    if (weir_loop_new(&server->loop) == WEIR_OK &&
        weir_listener_open(server->loop, "127.0.0.1:0", port, &options, &server->listener) ==
            WEIR_OK) {
        weir_spread_join(spread, (uint32_t)(server - servers), server->loop, &options);
    }
    (void)pthread_barrier_wait(&opened);
    weir_loop_run(server->loop, on_tick, server);
    uint32_t count = atomic_load_explicit(&server->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        weir_conn_close(server->conns[i], 0);
    }
    weir_loop_free(server->loop);
    return NULL;
}

static int connect_once(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)(void *)&address, sizeof address) == 0) {
        return fd;
    }
    (void)close(fd);
    return -1;
}

static void *play(void *argument)
{
    int *fds = argument;
    for (int i = 0; i < EACH; i++) {
        fds[i] = connect_once();
    }
    return NULL;
}

/* Connections made while the loops leave: refused, or taken in by whoever is still there. */
static uint32_t connect_late(int *fds)
{
    uint32_t made = 0;
    for (int i = 0; i < LATE; i++) {
        if (i % 10 == 5 && i / 10 < LOOPS) {
            struct server *server = &servers[i / 10];
            server->leave = (struct weir_loop_task){.run = leave};
            weir_loop_post(server->loop, &server->leave);
        }
        int fd = connect_once();
        if (fd != -1) {
            fds[made++] = fd;
        }
    }
    return made;
}

static int count_open(void)
{
    int count = 0;
    for (int fd = 0; fd < FDS_MAX; fd++) {
        count += fcntl(fd, F_GETFD) != -1 ? 1 : 0;
    }
    return count;
}

static void close_all(const int *fds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_not_equal(fds[i], -1);
        assert_int_equal(close(fds[i]), 0);
    }
}

static void connections_are_passed_on_until_the_last_loop_leaves(void **state)
{
    (void)state;
    pthread_t loops[LOOPS];
    pthread_t clients[CLIENTS];
    static int fds[CLIENTS][EACH];
    static int late[LATE];
    int open_before = count_open();
    assert_int_equal(weir_spread_new(LOOPS, &spread), WEIR_OK);
    assert_int_equal(weir_listener_probe("127.0.0.1:0", &port), WEIR_OK);
    assert_int_equal(pthread_barrier_init(&opened, NULL, LOOPS + 1), 0);
    for (int i = 0; i < LOOPS; i++) {
        assert_int_equal(pthread_create(&loops[i], NULL, serve, &servers[i]), 0);
    }
    (void)pthread_barrier_wait(&opened);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_create(&clients[i], NULL, play, fds[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(clients[i], NULL), 0);
    }
    while (total() < CLIENTS * EACH) {
        (void)usleep(1000);
    }
    for (int i = 0; i < LOOPS; i++) { /* each may have been chosen by two others at a moment */
        uint32_t count = atomic_load_explicit(&servers[i].count, memory_order_relaxed);
        assert_in_range(count, CLIENTS * EACH / LOOPS - 2 * LOOPS,
                        CLIENTS * EACH / LOOPS + 2 * LOOPS);
    }
    uint32_t made = connect_late(late);
    for (int i = 0; i < LOOPS; i++) {
        assert_int_equal(pthread_join(loops[i], NULL), 0);
    }
    /* What the kernel completes between a closing listener's last look into its queue and the close
     * is nobody's: of one connection after another that is one a listener, or two. */
    assert_in_range(total(), CLIENTS * EACH + made - 2 * LOOPS, CLIENTS * EACH + made);
    for (int i = 0; i < CLIENTS; i++) {
        close_all(fds[i], EACH);
    }
    close_all(late, made);
    assert_int_equal(count_open(), open_before + LOOPS); /* each one's epoll (see loop.c) */
    weir_spread_free(spread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_passed_on_until_the_last_loop_leaves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
