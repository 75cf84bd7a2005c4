/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: libh2o's evloop (epoll), made to keep our time and to take other threads' work.
 *
 *   other threads                         the loop's thread
 *   weir_loop_post --CAS--> posted        epoll_wait
 *        |                  (a stack)       |- bell (eventfd): take the whole stack, reverse it,
 *        |                                  |  run each task; and so after each input, so that
 *        |                                  |  answers need not wait for what else has come in
 *        +-- if it was empty: write 1 --->  |- ticker (timerfd): expire lingering and
 *                                           |  handshakes, resume listeners, on_tick
 *   weir_loop_stop: write 2^32 --------->   |- sockets: conn.c, listener.c, handshake.c
 *
 * Invariants
 *   I1  A post that finds the stack empty rings, and the loop looks at the stack after it silenced
 *       the bell: so no task waits without a ring under way. Many posts between two looks are one
 *       ring.
 *   I2  A stop is a value in the bell, not a flag beside it: the write is the last thing that a
 *       stopping thread does with the loop, so the loop may be freed as soon as it has seen the
 *       stop.
 *   I3  Everything that makes a socket of libh2o pending happens inside h2o_evloop_run (`turning`).
 *       Outside, a close behind a write would free the socket while it is linked as pending (libh2o
 *       frees in its next wait).
 *   I4  No libh2o timeout is ever linked: they run on the wall clock.
 *
 * Traps of libh2o 2.2.5 that are handled here
 *   - h2o_evloop_run returns -1 when a signal interrupts epoll_wait: it is called again. Any other
 *     failure means that epoll_ctl failed half way through a list that cannot be repaired: the
 *     program ends, its supervisor starts it anew.
 *   - A buffer of 16 MiB moves to a temporary file with a synchronous fallocate: switched off for
 *     the process.
 *   - Each thread keeps up to 16 input buffers for reuse and never gives them back: weir_loop_free
 *     does. Up to 16 chunks of 4 KiB that TLS's output goes through cannot be reached: let be.
 *   - h2o_evloop_destroy leaves epoll's descriptor open. A process makes its loops once, so that is
 *     let be.
 *   - Its own cross-thread queue takes a lock for each message, and destroying it forgets its
 *     memory: not used.
 *
 * When it is full: a post cannot fail, since the task's memory is the poster's. When a callback is
 * slow, ticks come together as one. A stop waits for the answers that linger, at most
 * STOP_LINGER_MS.
 *
 * Threads: post and stop, any; everything else, the thread that made the loop (asserted).
 */
#include "net_internal.h"
#include "weir/mem.h"
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* No number of posts between two looks can reach this by ones. */
#define BELL_STOP (UINT64_C(1) << 32)

#define STOP_LINGER_MS 1000

/* What h2o_evloop_run may wait; the tick comes sooner. */
#define WAIT_MS_MAX 1000

/* Objects of closed connections that are kept for the next. */
#define CONNS_IDLE_MAX 1024

static void disable_file_buffers(void)
{
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;
}

/* A write to a peer that is gone must be an error, not the end of the program. */
static void block_sigpipe(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    WEIR_ASSERT(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
}

uint64_t weir_loop_take_count(h2o_socket_t *sock)
{
    uint64_t count = 0;
    ssize_t size = read(h2o_socket_get_fd(sock), &count, sizeof count);
    return size == (ssize_t)sizeof count ? count : 0;
}

static struct weir_loop_task *reverse(struct weir_loop_task *newest)
{
    struct weir_loop_task *oldest = NULL;
    while (newest != NULL) {
        struct weir_loop_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void weir_loop_run_posted(struct weir_loop *loop)
{
    WEIR_DCHECK(loop->turning); /* I3 */
    /* relaxed: spares an exchange; the bell rings for what is not seen here */
    if (atomic_load_explicit(&loop->posted, memory_order_relaxed) == NULL) {
        return;
    }
    /* Acquire: pairs with the release in weir_loop_post, so the tasks' contents are seen. */
    struct weir_loop_task *task =
        reverse(atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire));
    while (task != NULL) {
        struct weir_loop_task *next = task->next;
        task->run(task); /* the task's memory is its owner's again */
        task = next;
    }
}

static void on_bell(h2o_socket_t *sock, const char *err)
{
    struct weir_loop *loop = sock->data;
    WEIR_ASSERT(err == NULL);
    weir_loop_enter(loop);
    if (weir_loop_take_count(sock) >= BELL_STOP) {
        loop->stopping = true;
        loop->stop_by_ns = loop->now_ns + STOP_LINGER_MS * WEIR_NS_PER_MS;
    }
    weir_loop_run_posted(loop);
}

void weir_loop_tick(struct weir_loop *loop, int64_t now_ns)
{
    weir_loop_assert_mine(loop);
    WEIR_ASSERT(loop->turning); /* I3 */
    weir_conn_tell_ended(loop);
    weir_conn_expire(loop, now_ns);
    weir_preface_expire(loop, now_ns);
    weir_handshake_expire(loop, now_ns);
    weir_listener_resume(loop);
}

static void on_timer(h2o_socket_t *sock, const char *err)
{
    struct weir_loop *loop = sock->data;
    WEIR_ASSERT(err == NULL);
    weir_loop_enter(loop);
    if (weir_loop_take_count(sock) == 0) {
        return;
    }
    weir_loop_tick(loop, loop->now_ns);
    if (loop->on_tick != NULL) {
        loop->on_tick(loop->tick_argument, loop->now_ns);
    }
}

h2o_socket_t *weir_loop_watch(struct weir_loop *loop, int fd, h2o_socket_cb on_readable)
{
    h2o_socket_t *sock = h2o_evloop_socket_create(loop->evloop, fd, H2O_SOCKET_FLAG_DONT_READ);
    sock->data = loop;
    h2o_socket_read_start(sock, on_readable);
    return sock;
}

static enum weir_status open_timer(int *ret_fd)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd == -1) {
        return WEIR_EIO;
    }
    struct timespec tick = {0, WEIR_LOOP_TICK_MS * WEIR_NS_PER_MS};
    struct itimerspec every = {tick, tick};
    WEIR_ASSERT(timerfd_settime(fd, 0, &every, NULL) == 0);
    *ret_fd = fd;
    return WEIR_OK;
}

enum weir_status weir_loop_new(struct weir_loop **ret)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    WEIR_ASSERT(pthread_once(&once, disable_file_buffers) == 0);

    struct weir_loop *loop = weir_mem_zalloc(1, sizeof *loop);
    if (loop == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = weir_pool_new(weir_conn_size, CONNS_IDLE_MAX, NULL, &loop->conns);
    if (status != WEIR_OK) {
        goto free_loop;
    }
    status = WEIR_EIO;
    loop->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->bell_fd == -1) {
        goto free_conns;
    }
    int timer_fd = -1;
    status = open_timer(&timer_fd);
    if (status != WEIR_OK) {
        goto close_bell;
    }
    block_sigpipe();
    loop->thread = pthread_self();
    loop->now_ns = weir_clock_mono_ns();
    loop->evloop = h2o_evloop_create();
    loop->bell = weir_loop_watch(loop, loop->bell_fd, on_bell);
    loop->ticker = weir_loop_watch(loop, timer_fd, on_timer);
    *ret = loop;
    return WEIR_OK;

close_bell:
    close(loop->bell_fd);
free_conns:
    weir_pool_free(loop->conns);
free_loop:
    weir_mem_free(loop);
    return status;
}

static void turn(struct weir_loop *loop, int32_t wait_ms)
{
    loop->turning = true;
    int result = h2o_evloop_run(loop->evloop, wait_ms);
    int error = errno;
    loop->turning = false;
    if (result != 0 && error != EINTR) {
        weir_panic(__FILE__, __LINE__, "the event loop cannot go on: epoll failed");
    }
}

static bool must_go_on(const struct weir_loop *loop)
{
    if (!loop->stopping) {
        return true;
    }
    return loop->lingering != NULL && weir_clock_mono_ns() < loop->stop_by_ns;
}

void weir_loop_run(struct weir_loop *loop, void (*on_tick)(void *argument, int64_t now_ns),
                   void *argument)
{
    weir_loop_assert_mine(loop);
    WEIR_ASSERT(!loop->turning);
    loop->on_tick = on_tick;
    loop->tick_argument = argument;
    while (must_go_on(loop)) {
        turn(loop, WAIT_MS_MAX);
    }
    loop->on_tick = NULL;
    loop->stopping = false;
}

bool weir_loop_turn(struct weir_loop *loop)
{
    weir_loop_assert_mine(loop);
    WEIR_ASSERT(!loop->turning);
    uint64_t before = loop->callbacks;
    turn(loop, 0);
    return loop->callbacks != before;
}

static void ring(int fd, uint64_t count)
{
    /* Cannot fill up: that would take 2^32 stops between two looks of the loop. */
    ssize_t size;
    do {
        size = write(fd, &count, sizeof count);
    } while (size == -1 && errno == EINTR);
    WEIR_ASSERT(size == (ssize_t)sizeof count);
}

void weir_loop_stop(struct weir_loop *loop)
{
    ring(loop->bell_fd, BELL_STOP);
}

void weir_loop_post(struct weir_loop *loop, struct weir_loop_task *task)
{
    WEIR_DCHECK(task->run != NULL);
    int bell_fd = loop->bell_fd;
    /* Relaxed: only a first guess, which the exchange below checks. */
    struct weir_loop_task *newest = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do {
        task->next = newest;
        /* Release: pairs with the acquire in weir_loop_run_posted. The loop takes the whole stack
         * at once, never one of several, so a task that comes back at the same address does no harm
         * (no ABA). */
    } while (!atomic_compare_exchange_weak_explicit(&loop->posted, &newest, task,
                                                    memory_order_release, memory_order_relaxed));
    if (newest == NULL) {
        ring(bell_fd, 1);
    }
}

int64_t weir_loop_now_ns(const struct weir_loop *loop)
{
    weir_loop_assert_mine(loop);
    return loop->now_ns;
}

/* Gives back the input buffers that libh2o keeps for this thread: held all at once, then returned
 * to a pool that may keep none. */
static void drop_kept_buffers(void)
{
    h2o_mem_recycle_t *kept = &h2o_socket_buffer_prototype.allocator;
    void *held[16];
    size_t count = 0;
    while (kept->cnt > 0 && count < sizeof held / sizeof held[0]) {
        held[count++] = h2o_mem_alloc_recycle(kept, 1);
    }
    size_t max = kept->max;
    kept->max = 0;
    while (count > 0) {
        h2o_mem_free_recycle(kept, held[--count]);
    }
    kept->max = max;
}

void weir_loop_free(struct weir_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    weir_loop_assert_mine(loop);
    WEIR_ASSERT(!loop->turning);
    WEIR_ASSERT(loop->listeners == NULL);
    weir_preface_expire(loop, INT64_MAX);
    weir_handshake_expire(loop, INT64_MAX);
    weir_conn_expire(loop, INT64_MAX);
    WEIR_ASSERT(weir_loop_open(loop) == 0);
    WEIR_ASSERT(weir_spread_is_over(loop));
    h2o_socket_close(loop->ticker);
    h2o_socket_close(loop->bell);
    h2o_evloop_destroy(loop->evloop);
    drop_kept_buffers();
    weir_pool_free(loop->conns);
    weir_mem_free(loop);
}
