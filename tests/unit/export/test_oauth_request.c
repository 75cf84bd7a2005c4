/* SPDX-License-Identifier: Apache-2.0 */
#include "token_server.h"
#include "weir/base64.h"
#include <stdlib.h>
#include <unistd.h>

/* What a request says: its body, and what is behind the Basic header ("" without one). */
struct said {
    char body[512];
    char basic[512];
};

static struct said read_request(const struct desk *desk)
{
    static const char lead[] = "Authorization: Basic ";
    struct said said = {.basic = ""};
    assert_true(desk->request.body.size < sizeof(said.body));
    memcpy(said.body, desk->request.body.data, desk->request.body.size);
    said.body[desk->request.body.size] = '\0';
    bool has_type = false;
    for (const char *const *at = desk->request.target->headers; *at != NULL; at++) {
        has_type |= strcmp(*at, "Content-Type: application/x-www-form-urlencoded") == 0;
        if (strncmp(*at, lead, sizeof(lead) - 1) == 0) {
            size_t size = strlen(*at) - (sizeof(lead) - 1);
            assert_true(size < sizeof(said.basic));
            memcpy(said.basic, *at + sizeof(lead) - 1, size);
            assert_int_equal(weir_base64_decode_in_place((uint8_t *)said.basic, size, &size),
                             WEIR_OK);
            said.basic[size] = '\0';
        }
    }
    assert_true(has_type);
    return said;
}

static struct said said_with(const struct weir_oauth_options *options)
{
    struct desk desk = desk_open(options);
    assert_true(desk_polls(&desk));
    assert_string_equal(desk.request.target->url, "https://id.example/token");
    assert_int_equal(desk.request.target->timeout_ns, 10 * SECOND);
    struct said said = read_request(&desk);
    desk_close(&desk);
    return said;
}

static void basic_has_the_secret_in_the_header_only(void **state)
{
    (void)state;
    struct said said = said_with(&desk_defaults);
    assert_string_equal(said.body, "grant_type=client_credentials");
    assert_string_equal(said.basic, "weir:s3cret");
}

static void body_has_it_in_the_body_only(void **state)
{
    (void)state;
    struct weir_oauth_options options = desk_defaults;
    options.style = WEIR_OAUTH_BODY;
    struct said said = said_with(&options);
    assert_string_equal(said.body, "grant_type=client_credentials&client_id=weir"
                                   "&client_secret=s3cret");
    assert_string_equal(said.basic, "");
}

static void scopes_and_parameters_follow(void **state)
{
    (void)state;
    static const char *const scopes[] = {"metrics:write", "b", NULL};
    static const struct weir_oauth_parameter parameters[] = {
        {"audience", "b14 collector"}, {"a&b=c", "\xC3\xA4\r\n+"}, {NULL, NULL}};
    struct weir_oauth_options options = desk_defaults;
    options.scopes = scopes;
    options.parameters = parameters;
    struct said said = said_with(&options);
    assert_string_equal(said.body, "grant_type=client_credentials&scope=metrics%3Awrite+b"
                                   "&audience=b14+collector&a%26b%3Dc=%C3%A4%0D%0A%2B");
}

/* RFC 6749, 2.3.1: each is escaped before they are joined. */
static void id_and_secret_are_escaped_in_both_styles(void **state)
{
    (void)state;
    struct weir_oauth_options options = desk_defaults;
    options.client_id = "a:b c";
    options.client_secret = "%&=+/?\xFF~";
    assert_string_equal(said_with(&options).basic, "a%3Ab+c:%25%26%3D%2B%2F%3F%FF~");
    options.style = WEIR_OAUTH_BODY;
    assert_string_equal(said_with(&options).body, "grant_type=client_credentials&client_id=a%3Ab+c"
                                                  "&client_secret=%25%26%3D%2B%2F%3F%FF~");
}

static void secrets_of_every_size_fit(void **state)
{
    (void)state;
    static char secret[101];
    struct weir_oauth_options options = desk_defaults;
    options.client_secret = secret;
    for (size_t size = 1; size < sizeof(secret); size++) {
        memset(secret, '/', size);
        struct said said = said_with(&options);
        assert_int_equal(strlen(said.basic), sizeof("weir:") - 1 + 3 * size);
    }
}

/* -- files --------------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void files_are_read_again_for_each_request(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-oauth-XXXXXX";
    close(mkstemp(path));
    struct weir_oauth_options options = desk_defaults;
    options.client_secret_file = path; /* goes before the other */
    write_file(path, "from file \r\n\n");
    struct desk desk = desk_open(&options);
    assert_true(desk_polls(&desk));
    assert_string_equal(read_request(&desk).basic, "weir:from+file");
    assert_int_equal(desk_answers(&desk, 401, ""), WEIR_OAUTH_REFUSED);
    write_file(path, "other");
    desk.now_ns += 100 * SECOND;
    assert_true(desk_polls(&desk));
    assert_string_equal(read_request(&desk).basic, "weir:other");
    desk_close(&desk);
    (void)unlink(path);
}

static void expect_unreadable(const char *path, const char *words)
{
    struct weir_oauth_options options = desk_defaults;
    options.client_id_file = path;
    struct desk desk = desk_open(&options);
    enum weir_oauth_todo todo = WEIR_OAUTH_NOTHING;
    assert_int_equal(weir_oauth_poll(desk.oauth, desk.now_ns, &todo, &desk.request, &desk.wake_ns),
                     WEIR_EIO);
    assert_int_equal(todo, WEIR_OAUTH_NOTHING);
    assert_non_null(strstr(weir_oauth_trouble(desk.oauth), "client_id"));
    assert_non_null(strstr(weir_oauth_trouble(desk.oauth), words));
    assert_false(desk_polls(&desk)); /* it waits */
    assert_in_range(desk.wake_ns - desk.now_ns, SECOND * 3 / 4, SECOND * 5 / 4);
    desk_close(&desk);
}

static void a_file_that_cannot_be_read_is_a_failure(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-oauth-XXXXXX";
    close(mkstemp(path));
    expect_unreadable("/nowhere/id", "/nowhere/id");
    expect_unreadable(path, "is empty");
    write_file(path, " \n\r\n");
    expect_unreadable(path, "is empty");
    (void)unlink(path);
    struct weir_oauth_options options = desk_defaults;
    options.client_secret = "";
    struct desk desk = desk_open(&options);
    enum weir_oauth_todo todo;
    assert_int_equal(weir_oauth_poll(desk.oauth, desk.now_ns, &todo, &desk.request, &desk.wake_ns),
                     WEIR_EIO);
    desk_close(&desk);
}

/* -- the style that is found out ----------------------------------------------------------- */

static void auto_falls_back_to_the_body_and_remembers(void **state)
{
    (void)state;
    struct weir_oauth_options options = desk_defaults;
    options.style = WEIR_OAUTH_AUTO;
    struct desk desk = desk_open(&options);
    assert_true(desk_polls(&desk));
    assert_string_not_equal(read_request(&desk).basic, "");
    assert_int_equal(desk_answers(&desk, 401, "{\"error\":\"invalid_client\"}"),
                     WEIR_OAUTH_REFUSED);
    assert_true(desk_polls(&desk)); /* at once */
    assert_string_equal(read_request(&desk).basic, "");
    assert_int_equal(desk_answers(&desk, 200, "{\"access_token\":\"T1\",\"expires_in\":3600}"),
                     WEIR_OAUTH_TOKEN);
    desk.now_ns += 3400 * SECOND;
    assert_true(desk_polls(&desk));
    assert_string_equal(read_request(&desk).basic, "");
    assert_int_equal(desk_answers(&desk, 401, ""), WEIR_OAUTH_REFUSED);
    assert_false(desk_polls(&desk));
    desk.now_ns = desk.wake_ns;
    assert_true(desk_polls(&desk)); /* still */
    assert_string_equal(read_request(&desk).basic, "");
    desk_close(&desk);
}

static void auto_keeps_basic_where_that_works(void **state)
{
    (void)state;
    struct weir_oauth_options options = desk_defaults;
    options.style = WEIR_OAUTH_AUTO;
    struct desk desk = desk_open(&options);
    desk_fetches(&desk, "T1");
    desk.now_ns += 3400 * SECOND;
    assert_true(desk_polls(&desk));
    assert_int_equal(desk_answers(&desk, 401, ""), WEIR_OAUTH_REFUSED);
    assert_false(desk_polls(&desk));
    desk_close(&desk);
}

static void auto_with_a_wrong_secret_waits_after_the_pair(void **state)
{
    (void)state;
    struct weir_oauth_options options = desk_defaults;
    options.style = WEIR_OAUTH_AUTO;
    struct desk desk = desk_open(&options);
    for (int i = 0; i < 4; i++) {
        assert_true(desk_polls(&desk));
        assert_string_not_equal(read_request(&desk).basic, "");
        assert_int_equal(desk_answers(&desk, 401, ""), WEIR_OAUTH_REFUSED);
        assert_true(desk_polls(&desk));
        assert_string_equal(read_request(&desk).basic, "");
        assert_int_equal(desk_answers(&desk, 401, "{\"error\":\"invalid_client\"}"),
                         WEIR_OAUTH_REFUSED);
        assert_string_equal(weir_oauth_trouble(desk.oauth),
                            "the token server answered 401: invalid_client");
        assert_false(desk_polls(&desk));
        desk.now_ns = desk.wake_ns;
    }
    desk_close(&desk);
}

/* With a secret that escaping changes there is a third way, for servers that do not undo it. */
static void auto_tries_basic_without_escaping_last(void **state)
{
    (void)state;
    struct weir_oauth_options options = desk_defaults;
    options.style = WEIR_OAUTH_AUTO;
    options.client_secret = "s %";
    static const char *const basics[] = {"weir:s+%25", "", "weir:s %"};
    struct desk desk = desk_open(&options);
    for (size_t i = 0; i < 6; i++) {
        assert_true(desk_polls(&desk));
        assert_string_equal(read_request(&desk).basic, basics[i % 3]);
        assert_int_equal(desk_answers(&desk, 403, ""), WEIR_OAUTH_REFUSED);
        if (i % 3 == 2) {
            assert_false(desk_polls(&desk));
            desk.now_ns = desk.wake_ns;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        assert_true(desk_polls(&desk));
        assert_int_equal(desk_answers(&desk, 403, ""), WEIR_OAUTH_REFUSED);
    }
    desk_fetches(&desk, "T1");
    desk.now_ns += 3400 * SECOND;
    assert_true(desk_polls(&desk));
    assert_string_equal(read_request(&desk).basic, basics[2]);
    desk_close(&desk);
}

static void auto_learns_nothing_from_a_busy_server(void **state)
{
    (void)state;
    static const int busy[] = {429, 502, 503, 504};
    struct weir_oauth_options options = desk_defaults;
    options.style = WEIR_OAUTH_AUTO;
    for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
        struct desk desk = desk_open(&options);
        assert_true(desk_polls(&desk));
        assert_int_equal(desk_answers(&desk, busy[i], ""), WEIR_OAUTH_REFUSED);
        assert_false(desk_polls(&desk));
        desk.now_ns = desk.wake_ns;
        assert_true(desk_polls(&desk));
        assert_string_not_equal(read_request(&desk).basic, "");
        desk_close(&desk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(basic_has_the_secret_in_the_header_only),
        cmocka_unit_test(body_has_it_in_the_body_only),
        cmocka_unit_test(scopes_and_parameters_follow),
        cmocka_unit_test(id_and_secret_are_escaped_in_both_styles),
        cmocka_unit_test(secrets_of_every_size_fit),
        cmocka_unit_test(files_are_read_again_for_each_request),
        cmocka_unit_test(a_file_that_cannot_be_read_is_a_failure),
        cmocka_unit_test(auto_falls_back_to_the_body_and_remembers),
        cmocka_unit_test(auto_keeps_basic_where_that_works),
        cmocka_unit_test(auto_with_a_wrong_secret_waits_after_the_pair),
        cmocka_unit_test(auto_tries_basic_without_escaping_last),
        cmocka_unit_test(auto_learns_nothing_from_a_busy_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
