/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/sandbox.h"

#include "child.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct folders {
    char base[64], spool[96], tokens[96], token[128], real[96], target[128], link[128], other[96];
    char secret[128];
};

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    static struct folders folders;
    (void)snprintf(folders.base, sizeof folders.base, "/tmp/weir-sandbox-XXXXXX");
    assert_non_null(mkdtemp(folders.base));
#define AT(member_, parent_, name_)                                                                \
    (void)snprintf(folders.member_, sizeof folders.member_, "%s/" name_, folders.parent_)
    AT(spool, base, "spool");
    AT(tokens, base, "tokens");
    AT(token, tokens, "token");
    AT(real, base, "real");
    AT(target, real, "key");
    AT(link, tokens, "link");
    AT(other, base, "other");
    AT(secret, other, "secret");
#undef AT
    assert_int_equal(mkdir(folders.spool, 0700), 0);
    assert_int_equal(mkdir(folders.tokens, 0700), 0);
    assert_int_equal(mkdir(folders.real, 0700), 0);
    assert_int_equal(mkdir(folders.other, 0700), 0);
    put(folders.token, "t");
    put(folders.target, "k");
    put(folders.secret, "s");
    assert_int_equal(symlink("../real/key", folders.link), 0);
    *state = &folders;
    return 0;
}

static int tear_down(void **state)
{
    const struct folders *folders = *state;
    const char *const files[] = {folders->link, folders->token, folders->target, folders->secret};
    const char *const directories[] = {folders->spool, folders->tokens, folders->real,
                                       folders->other, folders->base};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        (void)unlink(files[i]);
    }
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        (void)rmdir(directories[i]);
    }
    return 0;
}

static int confine_paths(const struct folders *folders)
{
    struct weir_sandbox_path paths[] = {{folders->spool, WEIR_SANDBOX_WRITE_BELOW},
                                        {folders->token, WEIR_SANDBOX_READ_BESIDE},
                                        {folders->link, WEIR_SANDBOX_READ_BESIDE},
                                        {"/nowhere/at/all", WEIR_SANDBOX_READ_BESIDE}};
    const char *reason = NULL;
    enum weir_status status = weir_sandbox_paths(paths, 4, &reason);
    if (status == WEIR_EUNSUPPORTED) {
        return reason == NULL ? CHILD_WRONG : CHILD_SKIP;
    }
    return status == WEIR_OK ? CHILD_OK : CHILD_WRONG;
}

static bool opens(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

static int look_around(void *argument)
{
    const struct folders *folders = argument;
    char path[256];
    char second[256];
    MUST(weir_sandbox_reaches(folders->secret, false)); /* nothing is confined yet */
    int confined = confine_paths(folders);
    if (confined != CHILD_OK) {
        return confined;
    }
    MUST(!opens(folders->secret, O_RDONLY) && errno == EACCES);
    MUST(!opens("/root/x", O_RDONLY));
    MUST(!opens("/", O_RDONLY | O_DIRECTORY));
    (void)snprintf(path, sizeof path, "%s/new", folders->tokens);
    MUST(!opens(path, O_WRONLY | O_CREAT));
    MUST(!opens(folders->token, O_WRONLY));
    MUST(!opens("/etc/weir-was-here", O_WRONLY | O_CREAT));
    MUST(opens(folders->token, O_RDONLY));
    MUST(opens(folders->link, O_RDONLY));
    MUST(opens("/dev/null", O_WRONLY));
    MUST(opens("/proc/self/stat", O_RDONLY));
    MUST(opens("/etc/hosts", O_RDONLY));
    (void)snprintf(path, sizeof path, "%s/a", folders->spool);
    MUST(opens(path, O_RDWR | O_CREAT));
    (void)snprintf(second, sizeof second, "%s/inner", folders->spool);
    MUST(mkdir(second, 0700) == 0);
    (void)snprintf(second, sizeof second, "%s/inner/a", folders->spool);
    MUST(rename(path, second) == 0); /* between directories */
    MUST(truncate(second, 10) == 0);
    MUST(unlink(second) == 0);
    (void)snprintf(second, sizeof second, "%s/inner", folders->spool);
    MUST(rmdir(second) == 0);
    return CHILD_OK;
}

static void test_only_what_is_named(void **state)
{
    assert_child(look_around, *state);
}

static int ask(void *argument)
{
    const struct folders *folders = argument;
    char path[256];
    int confined = confine_paths(folders);
    if (confined != CHILD_OK) {
        return confined;
    }
    MUST(weir_sandbox_reaches(folders->token, false));
    MUST(weir_sandbox_reaches(folders->link, false));
    MUST(weir_sandbox_reaches("/etc/hosts", false));
    MUST(!weir_sandbox_reaches("/etc/hosts", true));
    MUST(!weir_sandbox_reaches(folders->token, true));
    MUST(weir_sandbox_reaches(folders->spool, true));
    (void)snprintf(path, sizeof path, "%s/later", folders->spool);
    MUST(weir_sandbox_reaches(path, true));
    (void)snprintf(path, sizeof path, "%s/later", folders->tokens);
    MUST(weir_sandbox_reaches(path, false));
    MUST(!weir_sandbox_reaches(folders->secret, false));
    (void)snprintf(path, sizeof path, "%s/later", folders->other);
    MUST(!weir_sandbox_reaches(path, false));
    (void)snprintf(path, sizeof path, "%s-and-more/x", folders->tokens); /* a name's begin */
    MUST(!weir_sandbox_reaches(path, false));
    (void)snprintf(path, sizeof path, "%s/../other/secret", folders->tokens);
    MUST(!weir_sandbox_reaches(path, false));
    MUST(!weir_sandbox_reaches("/root", false));
    return CHILD_OK;
}

static void test_what_is_out_of_reach_is_known(void **state)
{
    assert_child(ask, *state);
}

static int replace(void *argument)
{
    const struct folders *folders = argument;
    int go[2];
    int gone[2];
    char byte = 0;
    MUST(pipe(go) == 0 && pipe(gone) == 0);
    pid_t helper = fork(); /* one who is not confined, as whoever rotates a certificate */
    MUST(helper >= 0);
    if (helper == 0) {
        char fresh[256];
        (void)!read(go[0], &byte, 1);
        (void)snprintf(fresh, sizeof fresh, "%s/fresh", folders->tokens);
        int fd = open(fresh, O_WRONLY | O_CREAT, 0600);
        (void)!write(fd, "new", 3);
        (void)close(fd);
        _exit(rename(fresh, folders->token) == 0 && write(gone[1], &byte, 1) == 1 ? 0 : 1);
    }
    int confined = confine_paths(folders);
    MUST(write(go[1], &byte, 1) == 1);
    MUST(read(gone[0], &byte, 1) == 1);
    if (confined != CHILD_OK) {
        return confined;
    }
    char text[8] = "";
    int fd = open(folders->token, O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0);
    MUST(read(fd, text, sizeof text) == 3);
    MUST(memcmp(text, "new", 3) == 0);
    return CHILD_OK;
}

static void test_a_replaced_file_is_read(void **state)
{
    assert_child(replace, *state);
}

/* base/v1, base/v2, base/now -> v1; the file is base/now/key. */
static int exchange(void *argument)
{
    const struct folders *folders = argument;
    char path[256];
    const char *reason = NULL;
    (void)snprintf(path, sizeof path, "%s/now/key", folders->base);
    struct weir_sandbox_path paths[] = {{path, WEIR_SANDBOX_READ_BESIDE},
                                        {"/var/run/weir-test", WEIR_SANDBOX_READ_BESIDE}};
    char second[256];
    (void)snprintf(second, sizeof second, "%s/v2/key", folders->base);
    enum weir_status status = weir_sandbox_paths(paths, 2, &reason);
    if (status == WEIR_EUNSUPPORTED) {
        return CHILD_SKIP;
    }
    MUST(status == WEIR_OK);
    MUST(opens(path, O_RDONLY));
    MUST(opens(second, O_RDONLY)); /* where the link may point next */
    MUST(weir_sandbox_reaches(second, false));
    MUST(!opens("/tmp", O_RDONLY | O_DIRECTORY));
    MUST(!opens("/var", O_RDONLY | O_DIRECTORY));
    (void)snprintf(path, sizeof path, "%s/v1/away", folders->base);
    MUST(!weir_sandbox_reaches(path, false)); /* a link out of what is reached */
    return CHILD_OK;
}

static void test_a_link_on_the_way_is_exchanged(void **state)
{
    static const char *const names[] = {"v1/away", "now", "v1/key", "v2/key", "v1", "v2"};
    const struct folders *folders = *state;
    char paths[6][128];
    for (size_t i = 0; i < 6; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "%s/%s", folders->base, names[i]);
    }
    assert_int_equal(mkdir(paths[4], 0700) | mkdir(paths[5], 0700), 0);
    put(paths[2], "1");
    put(paths[3], "2");
    assert_int_equal(symlink("v1", paths[1]) | symlink("/root", paths[0]), 0);
    assert_child(exchange, *state);
    for (size_t i = 0; i < 6; i++) {
        (void)(i < 4 ? unlink(paths[i]) : rmdir(paths[i]));
    }
}

static void *sit(void *argument)
{
    char byte;
    (void)!read(*(int *)argument, &byte, 1);
    return NULL;
}

static int confine_late(void *argument)
{
    pthread_t thread;
    const char *reason = NULL;
    int pipe_[2];
    (void)argument;
    MUST(pipe(pipe_) == 0);
    MUST(pthread_create(&thread, NULL, sit, &pipe_[0]) == 0);
    enum weir_status status = weir_sandbox_paths(NULL, 0, &reason);
    MUST(write(pipe_[1], "x", 1) == 1);
    MUST(pthread_join(thread, NULL) == 0);
    MUST(status == WEIR_EINVAL);
    MUST(reason != NULL);
    MUST(opens("/", O_RDONLY | O_DIRECTORY));
    return CHILD_OK;
}

static void test_too_late_beside_threads(void **state)
{
    (void)state;
    assert_child(confine_late, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_is_named),
        cmocka_unit_test(test_what_is_out_of_reach_is_known),
        cmocka_unit_test(test_a_replaced_file_is_read),
        cmocka_unit_test(test_a_link_on_the_way_is_exchanged),
        cmocka_unit_test(test_too_late_beside_threads),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
