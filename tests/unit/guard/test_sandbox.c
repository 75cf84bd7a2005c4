/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/sandbox.h"

#include "child.h"

#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static int confine_calls(void)
{
    const char *reason = NULL;
    if (weir_sandbox_unfit() != NULL) {
        return CHILD_SKIP;
    }
    weir_sandbox_harden(false);
    enum weir_status status = weir_sandbox_calls(&reason);
    return status == WEIR_OK ? CHILD_OK : status == WEIR_EUNSUPPORTED ? CHILD_SKIP : CHILD_WRONG;
}

static int attack(void *argument)
{
    long number = *(long *)argument;
    int confined = confine_calls();
    if (confined == CHILD_OK) {
        (void)syscall(number, 0L, 0L, 0L, 0L, 0L, 0L);
        return CHILD_WRONG; /* lived on */
    }
    return confined;
}

static void test_attacks_die(void **state)
{
    static long calls[] = {
        SYS_execve,      SYS_execveat, SYS_fork,       SYS_vfork,          SYS_ptrace,
        SYS_bpf,         SYS_mount,    SYS_kexec_load, SYS_init_module,    SYS_process_vm_readv,
        SYS_unshare,     SYS_setns,    SYS_setuid,     SYS_io_uring_setup, SYS_listen,
        SYS_personality, SYS_reboot,   SYS_keyctl,     SYS_userfaultfd};
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct outcome outcome = in_child(attack, &calls[i]);
        if (WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == CHILD_SKIP) {
            skip();
        }
        char wanted[64];
        (void)snprintf(wanted, sizeof wanted, "system call %ld is forbidden", calls[i]);
        if (!WIFSIGNALED(outcome.status) || WTERMSIG(outcome.status) != SIGSYS ||
            strstr(outcome.text, wanted) == NULL) {
            fail_msg("call %ld: status %#x, said: %s", calls[i], (unsigned)outcome.status,
                     outcome.text);
        }
    }
}

static int clone_process(void *argument)
{
    (void)argument;
    int confined = confine_calls();
    if (confined == CHILD_OK) {
        (void)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
        return CHILD_WRONG;
    }
    return confined;
}

static void test_a_process_is_no_thread(void **state)
{
    (void)state;
    struct outcome outcome = in_child(clone_process, NULL);
    if (WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == CHILD_SKIP) {
        skip();
    }
    assert_true(WIFSIGNALED(outcome.status));
    assert_int_equal(WTERMSIG(outcome.status), SIGSYS);
}

static _Atomic int stage;

/* A thread that was there before. */
static void *attack_from_thread(void *argument)
{
    /* acquire: pairs with attack_beside */
    while (atomic_load_explicit(&stage, memory_order_acquire) == 0) {
        (void)sched_yield();
    }
    (void)syscall(SYS_ptrace, (long)PTRACE_TRACEME, 0L, 0L, 0L);
    return argument;
}

static int attack_beside(void *argument)
{
    pthread_t thread;
    (void)argument;
    MUST(pthread_create(&thread, NULL, attack_from_thread, NULL) == 0);
    int confined = confine_calls();
    if (confined == CHILD_OK) {
        /* release: pairs with attack_from_thread */
        atomic_store_explicit(&stage, 1, memory_order_release);
        (void)pthread_join(thread, NULL);
        return CHILD_WRONG;
    }
    return confined;
}

static void test_threads_that_were_there_are_in_it(void **state)
{
    (void)state;
    struct outcome outcome = in_child(attack_beside, NULL);
    if (WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == CHILD_SKIP) {
        skip();
    }
    assert_true(WIFSIGNALED(outcome.status));
    assert_int_equal(WTERMSIG(outcome.status), SIGSYS);
    assert_non_null(strstr(outcome.text, "is forbidden"));
}

static int refuse_quietly(void *argument)
{
    (void)argument;
    int confined = confine_calls();
    if (confined != CHILD_OK) {
        return confined;
    }
    MUST(syscall(SYS_memfd_create, "x", 0L) == -1 && errno == ENOSYS);
    MUST(socket(AF_PACKET, SOCK_RAW, 0) == -1 && errno == ENOSYS);
    MUST(kill(getppid(), 0) == -1 && errno == ENOSYS);
    MUST(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == -1 && errno == ENOSYS);
    MUST(setrlimit(RLIMIT_CORE, &(struct rlimit){1, 1}) == -1 && errno == ENOSYS);
    MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
         MAP_FAILED);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED);
    MUST(mprotect(page, 4096, PROT_READ | PROT_EXEC) == -1);
    return CHILD_OK;
}

static void test_the_unknown_fails(void **state)
{
    (void)state;
    assert_child(refuse_quietly, NULL);
}

static void *return_argument(void *argument)
{
    return argument;
}

static int live_on(void *argument)
{
    (void)argument;
    int confined = confine_calls();
    if (confined != CHILD_OK) {
        return confined;
    }
    struct addrinfo hints = {.ai_flags = AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    MUST(getaddrinfo("localhost", "80", &hints, &found) == 0);
    freeaddrinfo(found);
    (void)getaddrinfo("weir.invalid", "80", &hints, &found); /* every module, to its end */
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, return_argument, NULL) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    MUST(kill(getpid(), 0) == 0);
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    MUST(fputs("still here\n", stdout) >= 0);
    return CHILD_OK;
}

static void test_names_resolve_and_threads_start(void **state)
{
    (void)state;
    assert_child(live_on, NULL);
}

static int abort_inside(void *argument)
{
    (void)argument;
    int confined = confine_calls();
    if (confined == CHILD_OK) {
        abort();
    }
    return confined;
}

static void test_a_panic_is_still_an_abort(void **state)
{
    (void)state;
    struct outcome outcome = in_child(abort_inside, NULL);
    if (WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == CHILD_SKIP) {
        skip();
    }
    assert_true(WIFSIGNALED(outcome.status));
    assert_int_equal(WTERMSIG(outcome.status), SIGABRT);
}

/* -- harden ---------------------------------------------------------------------------------- */

static int harden(void *argument)
{
    bool dumps = *(bool *)argument;
    struct rlimit limit = {1, 1};
    if (weir_sandbox_unfit() != NULL) {
        return CHILD_SKIP;
    }
    weir_sandbox_harden(dumps);
    MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    MUST(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == (dumps ? 1 : 0));
    MUST(getrlimit(RLIMIT_CORE, &limit) == 0);
    MUST(dumps || limit.rlim_max == 0);
    return CHILD_OK;
}

static void test_no_new_rights_and_no_core(void **state)
{
    bool dumps = false;
    (void)state;
    assert_child(harden, &dumps);
    dumps = true;
    assert_child(harden, &dumps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attacks_die),
        cmocka_unit_test(test_a_process_is_no_thread),
        cmocka_unit_test(test_threads_that_were_there_are_in_it),
        cmocka_unit_test(test_the_unknown_fails),
        cmocka_unit_test(test_names_resolve_and_threads_start),
        cmocka_unit_test(test_a_panic_is_still_an_abort),
        cmocka_unit_test(test_no_new_rights_and_no_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
