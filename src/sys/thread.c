/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/thread.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/pulse.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

enum { NAME_SIZE = 16 }; /* the kernel's, terminator included */

struct weir_thread {
    pthread_t handle;
    enum weir_thread_role role;
    void (*body)(void *argument);
    void *argument;
    char name[NAME_SIZE];
};

static _Thread_local enum weir_thread_role current_role = WEIR_ROLE_MAIN;

static void *run(void *self)
{
    struct weir_thread *thread = self;
    current_role = thread->role;
    (void)pthread_setname_np(pthread_self(), thread->name); /* a help for people, no more */
    thread->body(thread->argument);
    weir_pulse_end();
    return NULL;
}

/* Signals are blocked around pthread_create, since a thread inherits the mask: blocking them inside
 * it would leave a moment in which it could get one. */
enum weir_status weir_thread_start(enum weir_thread_role role, const char *name,
                                   void (*body)(void *argument), void *argument,
                                   struct weir_thread **ret)
{
    struct weir_thread *thread = weir_mem_zalloc(1, sizeof *thread);
    if (thread == NULL) {
        return WEIR_ENOMEM;
    }
    thread->role = role;
    thread->body = body;
    thread->argument = argument;
    memcpy(thread->name, name, strnlen(name, NAME_SIZE - 1));
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigdelset(&all,
              SIGSYS); /* the sandbox's last word: blocked, the kernel would kill in silence */
    int masked = pthread_sigmask(SIG_SETMASK, &all, &before);
    WEIR_ASSERT(masked == 0);
    int failure = pthread_create(&thread->handle, NULL, run, thread);
    masked = pthread_sigmask(SIG_SETMASK, &before, NULL);
    WEIR_ASSERT(masked == 0);
    if (failure != 0) {
        weir_mem_free(thread);
        errno = failure;
        return failure == ENOMEM ? WEIR_ENOMEM : WEIR_EIO;
    }
    *ret = thread;
    return WEIR_OK;
}

void weir_thread_join(struct weir_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    int joined = pthread_join(thread->handle, NULL);
    WEIR_ASSERT(joined == 0);
    weir_mem_free(thread);
}

enum weir_thread_role weir_thread_role(void)
{
    return current_role;
}

void weir_thread_play(enum weir_thread_role role)
{
    current_role = role;
}
