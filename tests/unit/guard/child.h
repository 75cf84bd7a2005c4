/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_CHILD_H
#define WEIR_TEST_CHILD_H

/* A case in a child of its own, since nothing of the sandbox can be taken back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_OK = 0, CHILD_WRONG = 1, CHILD_SKIP = 77 };

/* What a child says, and how it ended. */
struct outcome {
    int status;
    char text[512];
};

static inline struct outcome in_child(int (*body)(void *argument), void *argument)
{
    struct outcome outcome = {0};
    int pipe_[2];
    assert_int_equal(pipe(pipe_), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(pipe_[1], STDERR_FILENO);
        (void)close(pipe_[0]);
        (void)close(pipe_[1]);
        _exit(body(argument));
    }
    (void)close(pipe_[1]);
    size_t size = 0;
    ssize_t got;
    while (size < sizeof outcome.text - 1 &&
           (got = read(pipe_[0], outcome.text + size, sizeof outcome.text - 1 - size)) > 0) {
        size += (size_t)got;
    }
    (void)close(pipe_[0]);
    assert_int_equal(waitpid(child, &outcome.status, 0), child);
    return outcome;
}

static inline void assert_child(int (*body)(void *argument), void *argument)
{
    struct outcome outcome = in_child(body, argument);
    if (WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == CHILD_SKIP) {
        print_message("skipped: this kernel or build cannot\n");
        skip();
    }
    if (!WIFEXITED(outcome.status) || WEXITSTATUS(outcome.status) != CHILD_OK) {
        fail_msg("status %#x: %s", (unsigned)outcome.status, outcome.text);
    }
}

#define MUST(what_)                                                                                \
    do {                                                                                           \
        if (!(what_)) {                                                                            \
            (void)fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #what_, errno);            \
            return CHILD_WRONG;                                                                    \
        }                                                                                          \
    } while (0)

#endif
