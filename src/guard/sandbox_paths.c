/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system that is left to the process, by Landlock.
 *
 *   read              /usr /lib /lib64 /etc        libraries (NSS modules too), resolver, CA
 *                     the resolver's files in /run     /etc/resolv.conf may point there, now or
 *                                                      later; and where it points now
 *                     /proc/self, /proc/stat, ...  our own numbers
 *                     cgroup and CPU lists         what the machine allows
 *                     for each file of the configuration its directory, that of what it points
 *                     to, and those of links on the way there: certificates and tokens are
 *                     replaced by a rename, or behind a link
 *   read and write    /dev/null; spool, dead letter, the directories of file destinations
 *
 * Everything else fails with EACCES, for root as well. Nothing is executable anywhere. Sockets that
 * have a path (nscd, systemd's notifications) are not Landlock's business.
 *
 *   I1  a right that the kernel does not know is not asked for: the lowest version taken is 2
 *       (5.19), since version 1 refuses every rename between directories, which the spool does
 *   I2  the paths of `reached` are those of the rules, without links
 *   I3  one thread at that moment: Landlock confines the thread that asks, and those it starts
 *       later
 *   I4  a rule never is "/": for a file there it is the file. For a link on the way (/var/run) it
 *       is no directory of the first level either, which holds what is not ours
 *
 * A directory that is moved away is still allowed where it went, and the new one at its place is
 * not: Landlock's rules are on directories, not on names. Hence rules on the directories *of*
 * files, which stay when files are replaced.
 *
 * Main thread.
 */
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/sandbox.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { VERSION_MIN = 2, VERSION_TRUNCATE = 3 };

/* The headers of Debian 12 end before version 3. */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)

#define READ_FILE  LANDLOCK_ACCESS_FS_READ_FILE
#define READ       (READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_FILE (READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
#define WRITE                                                                                      \
    (READ | WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |          \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER)

/* All rights up to and including LANDLOCK_ACCESS_FS_REFER, and what came after. */
#define ALL ((LANDLOCK_ACCESS_FS_REFER << 1) - 1)

/* What every process may read, so that names resolve and certificates are found. */
static const char *const always_read[] = {"/usr",
                                          "/lib",
                                          "/lib64",
                                          "/etc",
                                          "/run/systemd/resolve",
                                          "/run/resolvconf",
                                          "/run/NetworkManager",
                                          "/run/nscd",
                                          "/var/lib/ca-certificates",
                                          "/proc/self",
                                          "/proc/stat",
                                          "/proc/meminfo",
                                          "/proc/cpuinfo",
                                          "/proc/sys",
                                          "/sys/fs/cgroup",
                                          "/sys/devices/system/cpu",
                                          "/dev/urandom",
                                          "/dev/random",
                                          "/dev/zero"};

/* What may be a link to anywhere (/run/connman, /mnt/wsl): where it leads is read as well. */
static const char *const always_followed[] = {"/etc/resolv.conf", "/etc/hosts",
                                              "/etc/nsswitch.conf"};

/* A rule's path, without links; lives as long as the process. */
struct reached {
    struct reached *next;
    bool is_writable;
    char path[];
};

static struct reached *reached; /* the main thread's */
static bool confined;

struct ruleset {
    int fd;
    uint64_t handled;
    enum weir_status status; /* the first failure, which is the rules' */
};

static void remember(struct ruleset *rules, const char *path, bool is_writable)
{
    char real[PATH_MAX];
    if (realpath(path, real) == NULL) {
        return;
    }
    size_t size = strlen(real) + 1;
    struct reached *entry = weir_mem_zalloc(1, sizeof *entry + size);
    if (entry == NULL) {
        rules->status = WEIR_ENOMEM;
        return;
    }
    memcpy(entry->path, real, size);
    entry->is_writable = is_writable;
    entry->next = reached;
    reached = entry;
}

/* Allows `access` at `path` and below; what is not there is no rule. */
static void allow(struct ruleset *rules, const char *path, uint64_t access)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat stat_;
    if (fd < 0) {
        return;
    }
    bool is_directory = fstat(fd, &stat_) == 0 && S_ISDIR(stat_.st_mode);
    struct landlock_path_beneath_attr rule = {
        .allowed_access = access & rules->handled & (is_directory ? UINT64_MAX : WRITE_FILE),
        .parent_fd = fd,
    };
    long failed = syscall(SYS_landlock_add_rule, rules->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U);
    (void)close(fd);
    if (failed != 0) {
        rules->status = errno == ENOMEM ? WEIR_ENOMEM : WEIR_EIO;
        return;
    }
    remember(rules, path, (access & LANDLOCK_ACCESS_FS_MAKE_REG) != 0);
}

/* ... at the directory of the file `path`; at the file where that is the root. */
static void allow_beside(struct ruleset *rules, const char *path, uint64_t access)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);
    if (slash != NULL && size == 0) {
        allow(rules, path, access);
        return;
    }
    if (size >= sizeof directory) {
        return;
    }
    memcpy(directory, slash == NULL ? "." : path, slash == NULL ? 1 : size);
    directory[slash == NULL ? 1 : size] = 0;
    allow(rules, directory, access);
}

/* ... at the directory of each link on the way to the file `path`: what it points to is exchanged
 * there. I4. */
static void allow_links(struct ruleset *rules, const char *path, uint64_t access)
{
    char way[PATH_MAX];
    char real[PATH_MAX];
    char link[1];
    size_t size = strlen(path);
    if (size >= sizeof way) {
        return;
    }
    memcpy(way, path, size + 1);
    for (char *end = strrchr(way, '/'); end != NULL && end != way; end = strrchr(way, '/')) {
        *end = 0;
        if (readlink(way, link, sizeof link) < 0) {
            continue;
        }
        const char *name = strrchr(way, '/');
        size_t above = name == NULL ? 0 : (size_t)(name - way);
        char parent[PATH_MAX] = ".";
        memcpy(parent, way, above);
        parent[above == 0 ? 1 : above] = 0;
        if (name != way && realpath(parent, real) != NULL && strchr(real + 1, '/') != NULL) {
            allow(rules, real, access);
        }
    }
}

static void allow_path(struct ruleset *rules, const struct weir_sandbox_path *path)
{
    char real[PATH_MAX];
    if (path->access == WEIR_SANDBOX_WRITE_BELOW) {
        allow(rules, path->path, WRITE);
        return;
    }
    uint64_t access = path->access == WEIR_SANDBOX_READ_BESIDE ? READ : WRITE;
    allow_beside(rules, path->path, access);
    allow_links(rules, path->path, access);
    if (realpath(path->path, real) != NULL) {
        allow_beside(rules, real, access);
    }
}

/* Where `path` leads: the directory there, for it may be replaced; the file alone where that is one
 * of the first level. */
static void allow_target(struct ruleset *rules, const char *path)
{
    char real[PATH_MAX];
    if (realpath(path, real) == NULL) {
        return;
    }
    const char *end = strrchr(real, '/');
    if (end == real || memchr(real + 1, '/', (size_t)(end - real) - 1) == NULL) {
        allow(rules, real, READ);
    } else {
        allow_beside(rules, real, READ);
    }
}

static bool has_one_thread(void)
{
    DIR *folder = opendir("/proc/self/task");
    if (folder == NULL) {
        return true; /* no /proc: nobody can tell */
    }
    unsigned count = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(folder);
    return count <= 1;
}

static enum weir_status create(struct ruleset *rules, const char **ret_reason)
{
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < VERSION_MIN) {
        *ret_reason = version < 0 ? "the kernel has no Landlock, or it is switched off (lsm=)"
                                  : "the kernel's Landlock is too old (Linux 5.19 has the first "
                                    "that allows renames)";
        return WEIR_EUNSUPPORTED;
    }
    rules->handled = ALL | (version >= VERSION_TRUNCATE ? ACCESS_TRUNCATE : 0);
    struct landlock_ruleset_attr attributes = {.handled_access_fs = rules->handled};
    long fd = syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0U);
    if (fd < 0) {
        *ret_reason = "the kernel refuses a Landlock ruleset";
        return WEIR_EIO;
    }
    rules->fd = (int)fd;
    return WEIR_OK;
}

static void forget(void)
{
    while (reached != NULL) {
        struct reached *next = reached->next;
        weir_mem_free(reached);
        reached = next;
    }
}

enum weir_status weir_sandbox_paths(const struct weir_sandbox_path *paths, size_t count,
                                    const char **ret_reason)
{
    struct ruleset rules = {.fd = -1, .status = WEIR_OK};
    WEIR_ASSERT(!confined);
    if (!has_one_thread()) {
        *ret_reason = "threads run already";
        return WEIR_EINVAL;
    }
    WEIR_TRY(create(&rules, ret_reason));
    for (size_t i = 0; i < sizeof always_read / sizeof *always_read; i++) {
        allow(&rules, always_read[i], READ);
    }
    for (size_t i = 0; i < sizeof always_followed / sizeof *always_followed; i++) {
        allow_target(&rules, always_followed[i]);
    }
    allow(&rules, "/dev/null", WRITE_FILE);
    for (size_t i = 0; i < count; i++) {
        allow_path(&rules, &paths[i]);
    }
    if (rules.status == WEIR_OK && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                                    syscall(SYS_landlock_restrict_self, rules.fd, 0U) != 0)) {
        rules.status = WEIR_EIO;
    }
    (void)close(rules.fd);
    if (rules.status != WEIR_OK) {
        forget();
        *ret_reason = "the kernel refuses the Landlock rules";
        return rules.status;
    }
    confined = true;
    return WEIR_OK;
}

/* Whether the whole path without links is one of the rules', or below one. */
static bool is_reached(const char *real, bool writing)
{
    for (const struct reached *entry = reached; entry != NULL; entry = entry->next) {
        size_t size = strlen(entry->path);
        bool is_enough = entry->is_writable || !writing;
        if (is_enough && strncmp(real, entry->path, size) == 0 &&
            (real[size] == 0 || real[size] == '/')) {
            return true;
        }
    }
    return false;
}

bool weir_sandbox_reaches(const char *path, bool writing)
{
    char real[PATH_MAX];
    char directory[PATH_MAX];
    size_t size = strlen(path);
    if (!confined) {
        return true;
    }
    if (realpath(path, real) != NULL) {
        return is_reached(real, writing);
    }
    if (errno != ENOENT || size >= sizeof directory) {
        return false;
    }
    memcpy(directory, path, size + 1); /* a file that may come: its directory is what counts */
    char *slash = strrchr(directory, '/');
    if (slash == NULL || slash == directory) {
        memcpy(directory, slash == NULL ? "." : "/", 2);
    } else {
        *slash = 0;
    }
    return realpath(directory, real) != NULL && is_reached(real, writing);
}
