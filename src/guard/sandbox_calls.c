/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that are left to the process, by seccomp.
 *
 *   a call ──► in `allowed`, or its arguments fit ──► done
 *          ──► in `attacks`, or a clone that is no thread ──► SIGSYS: a line, and the end
 *          ──► anything else ──► ENOSYS, and the kernel's audit has it
 *
 * An allow-list has gaps that no test finds: a C library of next year asks for a call that is new,
 * once a month, on a path that nobody walked. To end a receiver for that would cost more than it
 * protects, and every library has a way round ENOSYS, so what is merely unknown is refused. What
 * nobody but an attacker would ask for (another program, another process's memory, the kernel's own
 * machinery) is the end: the process is no longer ours. Neither is ever done.
 *
 * The end is SECCOMP_RET_TRAP with a handler of ours rather than SECCOMP_RET_KILL_PROCESS, which
 * says nothing to anybody but the audit. An attacker could take the handler away, and would have
 * gained nothing: the call is refused all the same.
 *
 *   I1  a thread is the only thing that clone may make; clone3 hides its flags behind a pointer, so
 *       it is ENOSYS, and the C library falls back to clone
 *   I2  no memory is writable and executable, and none becomes executable later; libraries (NSS
 *       modules) can still be loaded
 *   I3  signals only to this process
 *   I4  SIGSYS is never blocked (weir_thread_start), or the kernel would kill without a word
 *
 * Paths are Landlock's (sandbox_paths.c): a filter sees pointers, not names.
 *
 * The main thread, when all threads run: the filter goes to all of them (TSYNC).
 */
#include "weir/panic.h"
#include "weir/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* Names rather than numbers: one that an architecture lacks is skipped there. */
static const char *const allowed[] = {
    /* files; names are Landlock's */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2",
    "pwritev2", "open", "openat", "close", "lseek", "stat", "fstat", "lstat", "newfstatat", "statx",
    "statfs", "fstatfs", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents",
    "getdents64", "getcwd", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir",
    "mkdirat", "rmdir", "link", "linkat", "fsync", "fdatasync", "sync_file_range", "fallocate",
    "ftruncate", "fadvise64", "readahead", "copy_file_range", "sendfile", "flock", "fcntl", "dup",
    "dup2", "dup3", "pipe", "pipe2", "fchmod", "umask", "utimensat", "close_range",
    /* waiting */
    "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "timerfd_create",
    "timerfd_settime", "timerfd_gettime", "nanosleep", "clock_nanosleep", "futex", "futex_waitv",
    "restart_syscall", "inotify_init1", "inotify_add_watch", "inotify_rm_watch",
    /* network; no new listeners */
    "connect", "bind", "accept", "accept4", "getsockname", "getpeername", "sendto", "recvfrom",
    "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "shutdown", "setsockopt", "getsockopt",
    /* memory, but for what is executable */
    "brk", "munmap", "mremap", "madvise", "msync", "mincore", "mlock", "mlock2", "munlock",
    "membarrier",
    /* threads, signals to be taken, time */
    "set_robust_list", "get_robust_list", "rseq", "set_tid_address", "gettid", "getpid", "getppid",
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler",
    "getcpu", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigpending",
    "sigaltstack", "exit", "exit_group", "clock_gettime", "clock_getres", "gettimeofday", "time",
    "getrandom",
    /* what the machine is */
    "uname", "sysinfo", "getrusage", "getrlimit", "times", "getuid", "geteuid", "getgid", "getegid",
    "getgroups", "getresuid", "getresgid", "getpgrp", "getpgid", "getsid", "capget"};

/* Nobody who is still Weir asks for these. */
static const char *const attacks[] = {
    /* another program, or process */
    "execve", "execveat", "fork", "vfork", "setns", "unshare", "chroot", "pivot_root",
    "personality",
    /* other processes' insides */
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_open",
    "pidfd_getfd", "pidfd_send_signal", "kcmp",
    /* the kernel's machinery */
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "init_module", "finit_module", "delete_module", "kexec_load",
    "kexec_file_load", "reboot", "swapon", "swapoff", "iopl", "ioperm", "modify_ldt", "mount",
    "umount2", "move_mount", "fsopen", "fsmount", "open_tree", "open_by_handle_at", "quotactl",
    "acct", "syslog", "add_key", "request_key", "keyctl",
    /* other rights, other times */
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "capset",
    "chown", "fchown", "lchown", "fchownat", "mknod", "mknodat", "sethostname", "setdomainname",
    "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "listen"};

static void add(scmp_filter_ctx filter, uint32_t action, const char *name, int *status)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number != __NR_SCMP_ERROR && *status == 0) {
        *status = seccomp_rule_add_array(filter, action, number, 0, NULL);
    }
}

/* ... where one argument fits: `mask` and `value` of argument `index`. */
static void add_if(scmp_filter_ctx filter, uint32_t action, const char *name,
                   struct scmp_arg_cmp compare, int *status)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number != __NR_SCMP_ERROR && *status == 0) {
        *status = seccomp_rule_add_array(filter, action, number, 1, &compare);
    }
}

static struct scmp_arg_cmp equals(unsigned index, uint64_t value)
{
    return SCMP_CMP64(index, SCMP_CMP_EQ, value, 0);
}

static struct scmp_arg_cmp masked(unsigned index, uint64_t mask, uint64_t value)
{
    return SCMP_CMP64(index, SCMP_CMP_MASKED_EQ, mask, value);
}

/* I2: what a linker may ask for. */
static void add_memory(scmp_filter_ctx filter, int *status)
{
    static const int maps[] = {0, PROT_WRITE, PROT_EXEC};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        add_if(filter, SCMP_ACT_ALLOW, "mmap", masked(2, PROT_WRITE | PROT_EXEC, (uint64_t)maps[i]),
               status);
    }
    add_if(filter, SCMP_ACT_ALLOW, "mprotect", masked(2, PROT_EXEC, 0), status);
}

/* I1: `flags` stands first in all our architectures but one, which has no room here. */
static void add_threads(scmp_filter_ctx filter, int *status)
{
    add_if(filter, SCMP_ACT_ALLOW, "clone", masked(0, CLONE_THREAD, CLONE_THREAD), status);
    add_if(filter, SCMP_ACT_TRAP, "clone", masked(0, CLONE_THREAD, 0), status);
    add_if(filter, SCMP_ACT_ALLOW, "kill", equals(0, (uint64_t)getpid()), status);
    add_if(filter, SCMP_ACT_ALLOW, "tgkill", equals(0, (uint64_t)getpid()), status);
    add_if(filter, SCMP_ACT_ALLOW, "prlimit64", equals(2, 0), status); /* asking */
    add_if(filter, SCMP_ACT_ALLOW, "prctl", equals(0, PR_SET_NAME), status);
    add_if(filter, SCMP_ACT_ALLOW, "prctl", equals(0, PR_SET_VMA), status);
    add_if(filter, SCMP_ACT_ALLOW, "prctl", equals(0, PR_GET_NAME), status);
}

static void add_sockets(scmp_filter_ctx filter, int *status)
{
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK};
    static const unsigned long requests[] = {FIONREAD,   FIONBIO,      FIOCLEX,    TCGETS,
                                             TIOCGWINSZ, SIOCGIFINDEX, SIOCGIFNAME};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        add_if(filter, SCMP_ACT_ALLOW, "socket", equals(0, (uint64_t)families[i]), status);
    }
    add_if(filter, SCMP_ACT_ALLOW, "socketpair", equals(0, AF_UNIX), status);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        add_if(filter, SCMP_ACT_ALLOW, "ioctl", equals(1, requests[i]), status);
    }
}

static size_t put(char *line, size_t size, const char *text)
{
    size_t more = strlen(text);
    memcpy(line + size, text, more);
    return size + more;
}

/* A line, and the end by the same signal, so that a supervisor sees why. Calls only what a handler
 * may. */
static void on_call(int signal_, siginfo_t *info, void *context)
{
    char line[160];
    char digits[12];
    size_t at = sizeof digits;
    unsigned number = (unsigned)info->si_syscall;
    (void)context;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    size_t size = put(line, 0, "weir: the sandbox ends the process: system call ");
    memcpy(line + size, digits + at, sizeof digits - at);
    size = put(line, size + sizeof digits - at,
               " is forbidden (ausyscall names it); sandbox: off would allow it\n");
    ssize_t ignored = write(STDERR_FILENO, line, size);
    (void)ignored;
    (void)signal(signal_, SIG_DFL);
    (void)raise(signal_); /* waits until this handler returns, for it is blocked here */
}

static enum weir_status load(scmp_filter_ctx filter, const char **ret_reason)
{
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO};
    int status = 0;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        add(filter, SCMP_ACT_ALLOW, allowed[i], &status);
    }
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        add(filter, SCMP_ACT_TRAP, attacks[i], &status);
    }
    add_memory(filter, &status);
    add_threads(filter, &status);
    add_sockets(filter, &status);
    if (status == 0 && seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) != 0) {
        *ret_reason = "the kernel cannot give a filter to all threads";
        return WEIR_EUNSUPPORTED;
    }
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1); /* a help, where there is an audit */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    (void)sigaction(SIGSYS, &action, NULL);
    status = status == 0 ? seccomp_load(filter) : status;
    if (status != 0) {
        *ret_reason = "the kernel refuses the filter of system calls";
        return status == -ENOMEM ? WEIR_ENOMEM : status == -EINVAL ? WEIR_EUNSUPPORTED : WEIR_EIO;
    }
    return WEIR_OK;
}

enum weir_status weir_sandbox_calls(const char **ret_reason)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (filter == NULL) {
        *ret_reason = "out of memory";
        return WEIR_ENOMEM;
    }
    enum weir_status status = load(filter, ret_reason);
    seccomp_release(filter);
    return status;
}
