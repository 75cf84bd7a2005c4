/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants: what a request may name, and every spelling of what it may not. */
#include "weir/tenant.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const hosts[] = {"*.live.example.com",
                                    "gate.example.com:9999",
                                    "http://plain.example.com:4318",
                                    "127.0.0.1:8443",
                                    "[::1]",
                                    NULL};
static const char *const unverified[] = {"gate.example.com:9999", NULL};
static struct weir_tenant tenant;
static struct weir_tenant_mistake mistake;

static struct weir_tenant_options template_of(const char *endpoint)
{
    return (struct weir_tenant_options){.name = "dynatrace",
                                        .endpoint = endpoint,
                                        .verify = "${attribute:verify}",
                                        .hosts = hosts,
                                        .unverified = unverified};
}

static enum weir_status make(const char *endpoint, const char *url, const char *verify)
{
    struct weir_attributes attributes = {.count = 1};
    struct weir_tenant_options options = template_of(endpoint);
    attributes.items[0] = (struct weir_attribute){WEIR_BYTES("url"), weir_bytes_str(url)};
    if (verify != NULL) {
        attributes.items[attributes.count++] =
            (struct weir_attribute){WEIR_BYTES("verify"), weir_bytes_str(verify)};
    }
    tenant = (struct weir_tenant){.url = "untouched"};
    enum weir_status status =
        weir_tenant_make(&options, &attributes, WEIR_BYTES("team-a"), &tenant, &mistake);
    if (status != WEIR_OK) {
        assert_int_equal(status, WEIR_EDENIED);
        assert_string_equal(tenant.url, "untouched");
        assert_true(mistake.words[0] != 0);
    }
    return status;
}

static void good(const char *value, const char *url)
{
    assert_int_equal(make("${attribute:url}/api", value, NULL), WEIR_OK);
    assert_string_equal(tenant.url, url);
}

static void bad(const char *value)
{
    if (make("${attribute:url}/api", value, NULL) == WEIR_OK) {
        fail_msg("%s came through as %s", value, tenant.url);
    }
}

static void allowed_hosts(void **state)
{
    (void)state;
    good("https://abc.live.example.com", "https://abc.live.example.com/api");
    good("HTTPS://ABC.live.EXAMPLE.com./", "https://abc.live.example.com/api");
    good("https://abc.live.example.com:443", "https://abc.live.example.com/api");
    good("https://abc.live.example.com/e/1-2_x~", "https://abc.live.example.com/e/1-2_x~/api");
    good("https://xn--bcher-kva.live.example.com", "https://xn--bcher-kva.live.example.com/api");
    assert_false(tenant.is_listed_whole);
    good("https://gate.example.com:09999", "https://gate.example.com:9999/api");
    assert_true(tenant.is_listed_whole);
    good("http://plain.example.com:4318//", "http://plain.example.com:4318/api");
    good("https://127.0.0.1:8443", "https://127.0.0.1:8443/api");
    good("https://[::1]", "https://[::1]/api");
    assert_string_equal(tenant.host, "[::1]");
    assert_string_equal(tenant.key_name, "team-a");
}

static void other_hosts(void **state)
{
    static const char *const values[] = {"https://live.example.com",
                                         "https://a.b.live.example.com",
                                         "https://.live.example.com",
                                         "https://evil.com",
                                         "https://abc.live.example.com.evil.com",
                                         "https://abclive.example.com",
                                         "https://abc.live.example.com:8443",
                                         "https://abc.live.example.com..",
                                         "https://abc.live.example.com:0",
                                         "https://abc.live.example.com:65536",
                                         "https://abc.live.example.com:443443",
                                         "https://abc.live.example.com:",
                                         "https://abc.live.example.com:44x",
                                         "https://gate.example.com",
                                         "https://gate.example.com:99999",
                                         "http://abc.live.example.com",
                                         "http://gate.example.com:9999",
                                         "https://plain.example.com:4318",
                                         "http://plain.example.com",
                                         "ftp://abc.live.example.com",
                                         "https:abc.live.example.com",
                                         "https:/abc.live.example.com",
                                         "//abc.live.example.com",
                                         "abc.live.example.com",
                                         "",
                                         "/",
                                         "https://",
                                         "https:///",
                                         "file:///etc/passwd",
                                         " https://abc.live.example.com",
                                         "https://-a.live.example.com",
                                         "https://a-.live.example.com",
                                         "https://xn--live-example-com",
                                         "https://evil.xn--com"};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        bad(values[i]);
    }
}

/* What parsers disagree about. */
static void tricks(void **state)
{
    static const char *const values[] = {"https://abc.live.example.com@evil.com",
                                         "https://evil.com@abc.live.example.com",
                                         "https://user:pass@abc.live.example.com",
                                         "https://evil.com#.live.example.com",
                                         "https://evil.com?.live.example.com",
                                         "https://evil.com\\.live.example.com",
                                         "https://evil.com\\@abc.live.example.com",
                                         "https://evil.com/.live.example.com",
                                         "https://evil.com%2f.live.example.com",
                                         "https://%61bc.live.example.com",
                                         "https://abc.live.example.com/%2e%2e",
                                         "https://abc.live.example.com/..",
                                         "https://abc.live.example.com/a/../b",
                                         "https://abc.live.example.com/./b",
                                         "https://abc.live.example.com//b",
                                         "https://abc.live.example.com/a?b",
                                         "https://abc.live.example.com/a#b",
                                         "https://abc.live.example.com/a\\b",
                                         "https://abc.live.example.com\r\nHost: evil.com",
                                         "https://abc.live.example.com/\r\nX: y",
                                         "https://abc.live.example.com\t",
                                         "https://evil.com\x01.live.example.com",
                                         "https://a bc.live.example.com",
                                         "https://b\xc3\xbc.live.example.com",
                                         "https://\xef\xbd\x81.live.example.com",
                                         "https://abc\xe3\x80\x82live.example.com",
                                         "https://*.live.example.com",
                                         "https://[abc.live.example.com]",
                                         "https://[::1",
                                         "https://[::1].live.example.com",
                                         "https://[::1%25eth0]",
                                         "https://[fe80::1%eth0]",
                                         "https://${attribute:x}.live.example.com"};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        bad(values[i]);
    }
}

static void addresses(void **state)
{
    static const char *const values[] = {"https://127.0.0.1",
                                         "https://127.1:8443",
                                         "https://2130706433:8443",
                                         "https://0x7f000001:8443",
                                         "https://0X7F.0.0.1:8443",
                                         "https://0177.0.0.1:8443",
                                         "https://017700000001:8443",
                                         "https://127.0.0.1.:9",
                                         "https://169.254.169.254",
                                         "https://[::ffff:127.0.0.1]:8443",
                                         "https://[0:0:0:0:0:0:0:1]",
                                         "https://[fd00:ec2::254]",
                                         "https://[::1]:8443",
                                         "https://localhost",
                                         "https://0",
                                         "https://0.0.0.0:8443"};
    static const char *const stars[] = {"*.0.0.1", "*.live.example.com", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        bad(values[i]);
    }
    struct weir_tenant_options options = template_of("https://${attribute:url}.live.example.com");
    struct weir_attributes attributes = {.count = 1};
    attributes.items[0] = (struct weir_attribute){WEIR_BYTES("url"), WEIR_BYTES("127")};
    options.endpoint = "https://${attribute:url}.0.0.1/x";
    options.hosts = stars;
    assert_int_equal(weir_tenant_make(&options, &attributes, WEIR_BYTES(""), &tenant, &mistake),
                     WEIR_EDENIED); /* a star is no number */
}

static void places(void **state)
{
    (void)state;
    static const char host[] = "https://${attribute:url}.live.example.com/api";
    static const char path[] = "https://gate.example.com:9999/e/${attribute:url}/api";
    static const char *const labels[] = {"evil.com/", "a.b", "a/", "a:1", "a@", "", "a#", "a%2e"};
    static const char *const segments[] = {"..", ".",  "a/b",  "",        "%2e",
                                           "a?", "a#", "a\\b", "\xc3\xa9"};
    assert_int_equal(make(host, "ABC", NULL), WEIR_OK);
    assert_string_equal(tenant.url, "https://abc.live.example.com/api");
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        assert_int_equal(make(host, labels[i], NULL), WEIR_EDENIED);
    }
    assert_int_equal(make(path, "12-ab", NULL), WEIR_OK);
    assert_string_equal(tenant.url, "https://gate.example.com:9999/e/12-ab/api");
    for (size_t i = 0; i < sizeof segments / sizeof *segments; i++) {
        assert_int_equal(make(path, segments[i], NULL), WEIR_EDENIED);
    }
    struct weir_tenant_options options = template_of(path);
    struct weir_attributes none = {.count = 0};
    assert_int_equal(weir_tenant_make(&options, &none, WEIR_BYTES(""), &tenant, &mistake),
                     WEIR_EDENIED);
    assert_string_equal(mistake.words, "the attribute url is missing");
}

static void verifying(void **state)
{
    (void)state;
    static const char endpoint[] = "${attribute:url}/api";
    static const char gate[] = "https://gate.example.com:9999";
    assert_int_equal(make(endpoint, gate, "false"), WEIR_OK);
    assert_true(tenant.is_insecure);
    struct weir_tenant insecure = tenant;
    assert_int_equal(make(endpoint, gate, "TRUE"), WEIR_OK);
    assert_false(tenant.is_insecure);
    assert_false(weir_tenant_same(&insecure, &tenant));
    assert_string_not_equal(insecure.name, tenant.name);
    assert_int_equal(make(endpoint, gate, "no"), WEIR_EDENIED);
    assert_int_equal(make(endpoint, gate, ""), WEIR_EDENIED);
    assert_int_equal(make(endpoint, "https://abc.live.example.com", "false"), WEIR_EDENIED);
}

static void names(void **state)
{
    (void)state;
    good("https://abc.live.example.com", "https://abc.live.example.com/api");
    assert_string_equal(tenant.name, "dynatrace-2w34fl5rf5qec");
    assert_true(weir_tenant_is_name("dynatrace", tenant.name));
    assert_false(weir_tenant_is_name("dyna", tenant.name));
    assert_false(weir_tenant_is_name("dynatrace", "dynatrace"));
    assert_false(weir_tenant_is_name("dynatrace", "dynatrace-abcdefghijklm1"));
    assert_false(weir_tenant_is_name("dynatrace", "dynatrace-abcdefghijkl1"));
    assert_false(weir_tenant_is_name("dynatrace", "dynatrace-abcdefghijkl"));
}

static enum weir_status check(const char *endpoint, const char *verify, const char *name)
{
    char memory[400];
    struct weir_buf why = weir_buf_fixed(memory, sizeof memory);
    struct weir_tenant_options options = template_of(endpoint);
    options.verify = verify;
    options.name = name;
    enum weir_status status = weir_tenant_check(&options, &why);
    assert_int_equal(why.size == 0, status == WEIR_OK);
    return status;
}

static void templates(void **state)
{
    (void)state;
    assert_int_equal(check("${attribute:a}", NULL, "d"), WEIR_OK);
    assert_int_equal(check("${attribute:a}/x/${attribute:b}", "${attribute:c}", "d"), WEIR_OK);
    assert_int_equal(check("https://h.example/x", NULL, "d"), WEIR_EINVAL);
    assert_int_equal(check("${attribute:a}.example.com/x", NULL, "d"), WEIR_EINVAL);
    assert_int_equal(check("${attribute:a}${attribute:b}", NULL, "d"), WEIR_EINVAL);
    assert_int_equal(check("${attribute:}/x", NULL, "d"), WEIR_EINVAL);
    assert_int_equal(check("${attribute:a/x", NULL, "d"), WEIR_EINVAL);
    assert_int_equal(check("${attribute:a}/${key:name}", NULL, "d"), WEIR_EINVAL);
    assert_int_equal(check("ftp://${attribute:a}/x", NULL, "d"), WEIR_EINVAL);
    assert_int_equal(check("${attribute:a}/../x", NULL, "d"), WEIR_EINVAL);
    assert_int_equal(check("${attribute:a}/x", "false", "d"), WEIR_EINVAL);
    assert_int_equal(check("${attribute:a}/x", "${attribute:a}x", "d"), WEIR_EINVAL);
    assert_int_equal(
        check("${attribute:a}/x", NULL, "a-name-of-51-bytes-which-is-one-byte-more-than-fits"),
        WEIR_EINVAL);
}

static void entries(void **state)
{
    static const char *const right[] = {"a",          "a.b:1",   "*.b.c",    "*.b.c:65535",
                                        "http://a.b", "[::1]:1", "10.0.0.1", "HTTPS://a.b"};
    static const char *const wrong[] = {"",        "*",       "*.com",     "*.*.b.c", "a.*.c",
                                        "a/b",     "a:0",     "a:65536",   "u@a.b",   "a b",
                                        "*.0.0.1", "*.[::1]", "ftp://a.b", "*a.b.c"};
    char memory[400];
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        struct weir_buf why = weir_buf_fixed(memory, sizeof memory);
        assert_true(weir_tenant_valid_host(right[i], &why));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct weir_buf why = weir_buf_fixed(memory, sizeof memory);
        assert_false(weir_tenant_valid_host(wrong[i], &why));
        assert_true(why.size > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allowed_hosts), cmocka_unit_test(other_hosts), cmocka_unit_test(tricks),
        cmocka_unit_test(addresses),     cmocka_unit_test(places),      cmocka_unit_test(verifying),
        cmocka_unit_test(names),         cmocka_unit_test(templates),   cmocka_unit_test(entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
