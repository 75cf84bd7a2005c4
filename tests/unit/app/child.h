/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_APP_CHILD_H
#define WEIR_TEST_APP_CHILD_H

/* Runs something in a child process whose standard output and error the test reads: for code
 * that ends the process, handles signals, or must be the only one of its kind. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_TEXT_MAX = 1 << 18, CHILD_WAIT_MS = 30000 };

struct child {
    pid_t pid;
    int fds[2]; /* to read: output, error; -1 at their ends */
    size_t sizes[2];
    char out[CHILD_TEXT_MAX];
    char err[CHILD_TEXT_MAX];
};

/* Starts `body(argument)`, whose result is the exit code; nothing is flushed or checked for
 * leaks at its end. */
static inline bool child_start(struct child *child, int (*body)(void *argument), void *argument)
{
    int out[2];
    int err[2];
    memset(child, 0, sizeof *child);
    if (pipe(out) != 0 || pipe(err) != 0) {
        return false;
    }
    child->pid = fork();
    if (child->pid == 0) {
        if (dup2(out[1], STDOUT_FILENO) < 0 || dup2(err[1], STDERR_FILENO) < 0) {
            _exit(99);
        }
        (void)close(out[0]);
        (void)close(err[0]);
        (void)close(out[1]);
        (void)close(err[1]);
        _exit(body(argument));
    }
    (void)close(out[1]);
    (void)close(err[1]);
    child->fds[0] = out[0];
    child->fds[1] = err[0];
    return child->pid > 0;
}

static inline void child_read(struct child *child, int which)
{
    char *text = which == 0 ? child->out : child->err;
    size_t room = CHILD_TEXT_MAX - 1 - child->sizes[which];
    ssize_t got = read(child->fds[which], text + child->sizes[which], room);
    if (got > 0) {
        child->sizes[which] += (size_t)got;
        text[child->sizes[which]] = 0;
    } else if (got == 0 || errno != EINTR) {
        (void)close(child->fds[which]);
        child->fds[which] = -1;
    }
}

/* Reads until `wanted` stands in `text`, one of the child's two; NULL: until both end. False when
 * it does not come. */
static inline bool child_await_in(struct child *child, const char *text, const char *wanted)
{
    while (wanted == NULL || strstr(text, wanted) == NULL) {
        struct pollfd polls[2] = {{child->fds[0], POLLIN, 0}, {child->fds[1], POLLIN, 0}};
        if (child->fds[0] < 0 && child->fds[1] < 0) {
            return wanted == NULL;
        }
        if (poll(polls, 2, CHILD_WAIT_MS) <= 0) {
            return false;
        }
        for (int i = 0; i < 2; i++) {
            if (polls[i].revents != 0) {
                child_read(child, i);
            }
        }
    }
    return true;
}

/* The same in standard error, and in standard output. */
static inline bool child_await(struct child *child, const char *wanted)
{
    return child_await_in(child, child->err, wanted);
}

static inline bool child_await_out(struct child *child, const char *wanted)
{
    return child_await_in(child, child->out, wanted);
}

/* Reads to the end and gives the exit code; 128 and the signal's number when one ended it, -1
 * when it had to be killed. */
static inline int child_end(struct child *child)
{
    bool ended = child_await(child, NULL);
    int status = 0;
    if (!ended) {
        (void)kill(child->pid, SIGKILL);
    }
    (void)waitpid(child->pid, &status, 0);
    if (!ended) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
