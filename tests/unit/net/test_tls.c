/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates from files: what is taken, what is refused and in which words, and how a set is
 * replaced while it is in use. What crosses the wire is tested in tests/e2e/test_tls_ingest.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "weir/clock.h"
#include "weir/tls.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

/* Runs a line of the shell in the folder. */
static void shell(const char *line)
{
    char whole[2048];
    int size = snprintf(whole, sizeof whole, "cd '%s' && { %s; } >/dev/null 2>&1", folder, line);
    assert_in_range(size, 1, sizeof whole - 1);
    assert_int_equal(system(whole), 0); /* tidy: allow banned -- openssl makes the files */
}

/* NAME.crt and NAME.key, self-signed, for NAME.example.com. */
static void make(const char *name, const char *kind)
{
    char line[512];
    (void)snprintf(line, sizeof line,
                   "umask 077; openssl req -x509 -newkey %s -nodes -keyout %s.key -out %s.crt "
                   "-days 30 -subj /CN=%s.example.com -addext subjectAltName=DNS:%s.example.com",
                   kind, name, name, name, name);
    shell(line);
}

#define EC  "ec -pkeyopt ec_paramgen_curve:P-256"
#define RSA "rsa:2048"

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/weir-tls-XXXXXX");
    assert_non_null(mkdtemp(folder));
    make("a", EC);
    make("b", EC);
    make("r", RSA);
    shell("cat a.crt b.crt > unordered.crt; cat a.key a.crt > both.pem; chmod 600 both.pem; "
          "openssl pkey -in a.key -aes128 -passout pass:x -out sealed.key; : > empty; "
          "head -c 300 a.crt > cut.crt; cat a.crt cut.crt > cutchain.crt; "
          "head -c 2000000 /dev/zero > large; mkfifo pipe; cp a.key open.key; chmod 644 open.key; "
          "openssl req -x509 -newkey rsa:1024 -nodes -keyout weak.key -out weak.crt -subj /CN=w");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    shell("rm -rf \"$PWD\"");
    return 0;
}

struct files {
    char certificate[128];
    char key[128];
    struct weir_tls_pair pair;
    struct weir_tls_options options;
};

/* `key` NULL: in the certificate's file. */
static void name_files(struct files *files, const char *certificate, const char *key)
{
    (void)snprintf(files->certificate, sizeof files->certificate, "%s/%s", folder, certificate);
    (void)snprintf(files->key, sizeof files->key, "%s/%s", folder, key == NULL ? "" : key);
    files->pair = (struct weir_tls_pair){files->certificate, key == NULL ? NULL : files->key};
    files->options =
        (struct weir_tls_options){.pairs = &files->pair, .count = 1, .ticket_ns = 1000000000};
}

static char words[512];

static struct weir_buf fresh(void)
{
    memset(words, 0, sizeof words);
    return weir_buf_fixed(words, sizeof words - 1);
}

static struct weir_tls *load(struct files *files, const char *certificate, const char *key)
{
    struct weir_tls *tls = NULL;
    struct weir_buf why = fresh();
    name_files(files, certificate, key);
    assert_int_equal(weir_tls_new(&files->options, &why, &tls), WEIR_OK);
    assert_int_equal(why.size, 0);
    return tls;
}

static void what_is_no_good_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *certificate, *key, *words;
    } bad[] = {
        {"none", "a.key", "there is no such file"},
        {"a.crt", "none", "there is no such file"},
        {"empty", "a.key", "is empty"},
        {"large", "a.key", "is over 1 MiB"},
        {"pipe", "a.key", "is no plain file"},
        {".", "a.key", "is no plain file"},
        {"a.key", "a.key", "holds no certificate"},
        {"a.crt", "a.crt", "holds no private key"},
        {"a.crt", NULL, "holds no private key"},
        {"cut.crt", "a.key", "holds no certificate"},
        {"cutchain.crt", "a.key", "damaged"},
        {"a.crt", "b.key", "is not that of the certificate"},
        {"a.crt", "r.key", "is not that of the certificate"},
        {"a.crt", "sealed.key", "a passphrase protects"},
        {"unordered.crt", "a.key", "certificate 2 is not the issuer of the one before it"},
        {"weak.crt", "weak.key", "key too small"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct files files;
        struct weir_tls *tls = NULL;
        struct weir_buf why = fresh();
        name_files(&files, bad[i].certificate, bad[i].key);
        enum weir_status status = weir_tls_new(&files.options, &why, &tls);
        if (status != WEIR_EINVAL || strstr(words, bad[i].words) == NULL) {
            print_error("%s, %s: %s\n", bad[i].certificate, bad[i].key == NULL ? "" : bad[i].key,
                        words);
        }
        assert_int_equal(status, WEIR_EINVAL);
        assert_non_null(strstr(words, bad[i].words));
        assert_non_null(strstr(words, folder)); /* the file's name */
        assert_null(tls);
    }
}

static void what_is_good_is_told(void **state)
{
    (void)state;
    struct files files;
    struct weir_tls_look look;
    struct weir_tls *tls = load(&files, "a.crt", "a.key");
    int64_t now_ns = weir_clock_wall_ns();
    assert_true(weir_tls_look(tls, 0, &look));
    assert_false(weir_tls_look(tls, 1, &look));
    assert_string_equal(look.file, files.certificate);
    assert_string_equal(look.names, "a.example.com");
    assert_string_equal(look.kind, "EC");
    assert_true(look.begins_ns <= now_ns);
    assert_in_range(look.expires_ns - now_ns, INT64_C(29) * 86400 * WEIR_NS_PER_S,
                    INT64_C(30) * 86400 * WEIR_NS_PER_S);
    assert_false(look.key_exposed);
    weir_tls_free(tls);

    tls = load(&files, "a.crt", "open.key");
    assert_true(weir_tls_look(tls, 0, &look));
    assert_true(look.key_exposed);
    weir_tls_free(tls);
    weir_tls_free(load(&files, "both.pem", NULL));
    weir_tls_free(NULL);
}

static const char *name_of(struct weir_tls *tls)
{
    static struct weir_tls_look look;
    assert_true(weir_tls_look(tls, 0, &look));
    return look.names;
}

static void a_reload_is_whole_or_nothing(void **state)
{
    (void)state;
    struct files files;
    struct weir_tls *tls = load(&files, "a.crt", "a.key");
    struct weir_buf why = fresh();
    name_files(&files, "b.crt", "a.key");
    assert_int_equal(weir_tls_reload(tls, &files.options, &why), WEIR_EINVAL);
    assert_non_null(strstr(words, "b.crt"));
    assert_string_equal(name_of(tls), "a.example.com");
    name_files(&files, "b.crt", "b.key");
    why = fresh();
    assert_int_equal(weir_tls_reload(tls, &files.options, &why), WEIR_OK);
    assert_string_equal(name_of(tls), "b.example.com");
    weir_tls_free(tls);
}

/* Key and certificate come one after the other: nothing is said, and the whole pair is taken. */
static void a_renewal_is_seen(void **state)
{
    (void)state;
    struct files files;
    shell("cp -p a.crt live.crt; cp -p a.key live.key");
    struct weir_tls *tls = load(&files, "live.crt", "live.key");
    struct weir_buf why = fresh();
    int64_t now_ns = 1;
    assert_int_equal(weir_tls_watch(tls, now_ns, &why), WEIR_TLS_SAME);
    shell("cp b.crt new; mv new live.crt");
    assert_int_equal(weir_tls_watch(tls, now_ns + 1, &why), WEIR_TLS_SAME); /* too soon to look */
    now_ns += WEIR_TLS_WATCH_NS;
    assert_int_equal(weir_tls_watch(tls, now_ns, &why), WEIR_TLS_SAME); /* they do not fit */
    assert_string_equal(name_of(tls), "a.example.com");
    shell("cp b.key new; mv new live.key");
    now_ns += WEIR_TLS_WATCH_NS;
    assert_int_equal(weir_tls_watch(tls, now_ns, &why), WEIR_TLS_TAKEN);
    assert_string_equal(name_of(tls), "b.example.com");
    now_ns += WEIR_TLS_WATCH_NS;
    assert_int_equal(weir_tls_watch(tls, now_ns, &why), WEIR_TLS_SAME);
    assert_int_equal(why.size, 0);
    weir_tls_free(tls);
}

static void what_stays_bad_is_told_once(void **state)
{
    (void)state;
    struct files files;
    shell("cp -p a.crt live.crt; cp -p a.key live.key");
    struct weir_tls *tls = load(&files, "live.crt", "live.key");
    struct weir_buf why = fresh();
    unsigned int told = 0;
    int64_t now_ns = 1;
    shell("rm live.crt");
    for (; now_ns < 4 * WEIR_TLS_PATIENCE_NS; now_ns += WEIR_TLS_WATCH_NS) {
        enum weir_tls_watched watched = weir_tls_watch(tls, now_ns, &why);
        assert_int_not_equal(watched, WEIR_TLS_TAKEN);
        told += watched == WEIR_TLS_REFUSED ? 1 : 0;
        assert_true(told == 0 || now_ns >= WEIR_TLS_PATIENCE_NS);
    }
    assert_int_equal(told, 1);
    assert_non_null(strstr(words, "there is no such file"));
    assert_string_equal(name_of(tls), "a.example.com");
    shell("cp b.crt live.crt; cp b.key live.key");
    assert_int_equal(weir_tls_watch(tls, now_ns, &why), WEIR_TLS_TAKEN);
    assert_string_equal(name_of(tls), "b.example.com");
    weir_tls_free(tls);
}

static void a_symbolic_link_is_followed(void **state)
{
    (void)state;
    struct files files;
    shell("ln -sf a.crt link.crt; ln -sf a.key link.key");
    struct weir_tls *tls = load(&files, "link.crt", "link.key");
    struct weir_buf why = fresh();
    assert_int_equal(weir_tls_watch(tls, 1, &why), WEIR_TLS_SAME);
    shell("ln -sf b.crt link.crt; ln -sf b.key link.key");
    assert_int_equal(weir_tls_watch(tls, 1 + WEIR_TLS_WATCH_NS, &why), WEIR_TLS_TAKEN);
    assert_string_equal(name_of(tls), "b.example.com");
    weir_tls_free(tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_no_good_is_refused),
                                       cmocka_unit_test(what_is_good_is_told),
                                       cmocka_unit_test(a_reload_is_whole_or_nothing),
                                       cmocka_unit_test(a_renewal_is_seen),
                                       cmocka_unit_test(what_stays_bad_is_told_once),
                                       cmocka_unit_test(a_symbolic_link_is_followed)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
