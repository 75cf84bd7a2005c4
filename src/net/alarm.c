/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/alarm.h"
#include "net_internal.h"
#include "weir/mem.h"
#include <sys/timerfd.h>

struct weir_alarm {
    struct weir_loop *loop;
    h2o_socket_t *sock;
    void (*run)(void *argument);
    void *argument;
};

static void on_alarm(h2o_socket_t *sock, const char *err)
{
    struct weir_alarm *alarm = sock->data;
    WEIR_ASSERT(err == NULL);
    weir_loop_enter(alarm->loop);
    if (weir_loop_take_count(sock) > 0) { /* else it has been set anew since it went off */
        alarm->run(alarm->argument);
    }
    weir_loop_run_posted(alarm->loop);
}

enum weir_status weir_alarm_new(struct weir_loop *loop, void (*run)(void *argument), void *argument,
                                struct weir_alarm **ret)
{
    weir_loop_assert_mine(loop);
    struct weir_alarm *alarm = weir_mem_alloc(sizeof(*alarm));
    if (alarm == NULL) {
        return WEIR_ENOMEM;
    }
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd == -1) {
        weir_mem_free(alarm);
        return WEIR_EIO;
    }
    *alarm = (struct weir_alarm){.loop = loop, .run = run, .argument = argument};
    alarm->sock = weir_loop_watch(loop, fd, on_alarm);
    alarm->sock->data = alarm;
    *ret = alarm;
    return WEIR_OK;
}

void weir_alarm_set(struct weir_alarm *alarm, int64_t delay_ns)
{
    weir_loop_assert_mine(alarm->loop);
    WEIR_ASSERT(delay_ns >= 0);
    int64_t nonzero_ns = delay_ns > 0 ? delay_ns : 1; /* zero would take the timer back */
    struct itimerspec once = {
        .it_value = {nonzero_ns / WEIR_NS_PER_S, (long)(nonzero_ns % WEIR_NS_PER_S)}};
    WEIR_ASSERT(timerfd_settime(h2o_socket_get_fd(alarm->sock), 0, &once, NULL) == 0);
}

void weir_alarm_free(struct weir_alarm *alarm)
{
    if (alarm == NULL) {
        return;
    }
    weir_loop_assert_mine(alarm->loop);
    WEIR_ASSERT(!alarm->loop->turning);
    h2o_socket_close(alarm->sock);
    weir_mem_free(alarm);
}
