/* SPDX-License-Identifier: Apache-2.0 */
#include "token_server.h"
#include "weir/mem.h"

/* What becomes of one answer; the header or the trouble is what `words` are looked for in. */
static void expect(int status, const char *body, bool is_token, const char *words)
{
    struct desk desk = desk_open(&desk_defaults);
    assert_true(desk_polls(&desk));
    enum weir_oauth_outcome outcome = desk_answers(&desk, status, body);
    const char *header = desk_header(&desk);
    const char *trouble = weir_oauth_trouble(desk.oauth);
    if (is_token) {
        assert_int_equal(outcome, WEIR_OAUTH_TOKEN);
        assert_non_null(header);
        assert_string_equal(header, words);
        assert_string_equal(trouble, "");
    } else {
        assert_int_equal(outcome, WEIR_OAUTH_REFUSED);
        assert_null(header);
        assert_non_null(strstr(trouble, words));
    }
    desk_close(&desk);
}

static void tokens_are_taken(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"access_token\":\"a.b-c_~+/=\"}",
        " {\"expires_in\":\"3600\",\"token_type\":\"bearer\",\"access_token\":\"a.b-c_~+/=\"} \n",
        "{\"access_token\":\"a.b-c_~+\\/=\",\"token_type\":\"BEARER\",\"scope\":{\"x\":[1]}}",
        "{\"access_token\":\"old\",\"access_token\":\"a.b-c_~+/=\",\"token_type\":\"\"}",
        "{\"access_token\":\"a.b-c_~+/=\",\"token_type\":null,\"error\":null,\"expires_in\":1.5}",
        "{\"access_token\":\"a.b-c_~+/=\",\"error\":\"\",\"expires_in\":\"1e3\"}",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        expect(200, bodies[i], true, "Authorization: Bearer a.b-c_~+/=");
    }
    expect(201, bodies[0], true, "Authorization: Bearer a.b-c_~+/=");
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        " ",
        "[]",
        "\"T\"",
        "access_token=T&expires_in=60",
        "<html>",
        "{",
        "{\"access_token\":",
        "{\"access_token\":\"T\"",
        "{\"access_token\":\"T\"} x",
        "{\"access_token\":5}",
        "{\"access_token\":\"T\",\"expires_in\":\"3\xDB\"}",
        "{\"access_token\":[\"T\"]}",
        "{\"access_token\":\"T\",\"token_type\":5}",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        expect(200, bodies[i], false, "not a JSON object");
    }
}

static void what_holds_no_usable_token_is_refused(void **state)
{
    (void)state;
    expect(200, "{}", false, "no access_token");
    expect(200, "{\"access_token\":\"\"}", false, "no access_token");
    expect(200, "{\"access_token\":null}", false, "no access_token");
    expect(200, "{\"ACCESS_TOKEN\":\"T\"}", false, "no access_token");
    expect(200, "{\"access_token\":\"a b\"}", false, "cannot stand in a header");
    expect(200, "{\"access_token\":\"a\\r\\nX: y\"}", false, "cannot stand in a header");
    expect(200, "{\"access_token\":\"a\\u0000\"}", false, "cannot stand in a header");
    expect(200, "{\"access_token\":\"\xC3\xA4\"}", false, "cannot stand in a header");
    expect(200, "{\"access_token\":\"T\",\"token_type\":\"mac\"}", false, "not Bearer");
}

static void a_life_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const lives[] = {"-1",      "\"-1\"", "\"\"", "\"soon\"", "\"60s\"",
                                        "\" 60\"", "true",   "{}",   "[60]",     "\"0x10\""};
    for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
        char body[128];
        (void)snprintf(body, sizeof(body), "{\"access_token\":\"T\",\"expires_in\":%s}", lives[i]);
        expect(200, body, false, "expires_in");
    }
}

static void an_error_is_one_with_status_200_too(void **state)
{
    (void)state;
    expect(200, "{\"error\":\"invalid_client\",\"access_token\":\"T\"}", false,
           "answered 200: invalid_client");
    expect(200, "{\"access_token\":\"T\",\"error\":{\"code\":7}}", false, "not known");
    expect(200, "{\"access_token\":\"T\",\"error\":true}", false, "not known");
    expect(400, "{\"error\":\"invalid_scope\"}", false, "answered 400: invalid_scope");
    expect(400, "{\"access_token\":\"T\"}", false, "answered 400");
    expect(302, "{\"access_token\":\"T\"}", false, "answered 302");
    expect(199, "{\"access_token\":\"T\"}", false, "answered 199");
    expect(500, "<html>", false, "answered 500");
}

/* A server that repeats what it was sent must not bring it into our log. */
static void words_of_the_server_are_not_repeated(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"error\":\"s3cret\",\"error_description\":\"s3cret\"}",
        "{\"error\":\"invalid_client\",\"error_description\":\"secret s3cret is wrong\"}",
        "s3cret",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct desk desk = desk_open(&desk_defaults);
        for (int status = 200; status < 600; status += 100) {
            assert_true(desk_polls(&desk));
            assert_int_equal(desk_answers(&desk, status, bodies[i]), WEIR_OAUTH_REFUSED);
            assert_null(strstr(weir_oauth_trouble(desk.oauth), "s3cret"));
            desk.now_ns += 100 * SECOND;
        }
        desk_close(&desk);
    }
}

static void sizes_have_their_limits(void **state)
{
    (void)state;
    enum { LONGEST = 32 << 10, ROOM = 66000 };
    char *body = weir_mem_alloc(ROOM);
    assert_non_null(body);
    for (size_t size = LONGEST; size <= LONGEST + 1; size++) {
        static const char lead[] = "{\"access_token\":\"";
        memcpy(body, lead, sizeof(lead) - 1);
        memset(body + sizeof(lead) - 1, 'T', size);
        memcpy(body + sizeof(lead) - 1 + size, "\"}", 3);
        struct desk desk = desk_open(&desk_defaults);
        assert_true(desk_polls(&desk));
        assert_int_equal(desk_answers(&desk, 200, body),
                         size == LONGEST ? WEIR_OAUTH_TOKEN : WEIR_OAUTH_REFUSED);
        desk_close(&desk);
    }
    memset(body, ' ', WEIR_TRANSPORT_BODY_MAX); /* cut by the transport, perhaps */
    memcpy(body, "{\"access_token\":\"T\"}", 20);
    body[WEIR_TRANSPORT_BODY_MAX] = '\0';
    expect(200, body, false, "too long");
    body[WEIR_TRANSPORT_BODY_MAX - 1] = '\0';
    expect(200, body, true, "Authorization: Bearer T");
    weir_mem_free(body);
}

/* Each allocation fails once: no token is lost by it, and the next try gets one. */
static void without_memory_it_waits(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 10; nth++) {
        struct desk desk = desk_open(&desk_defaults);
        enum weir_oauth_todo todo = WEIR_OAUTH_NOTHING;
        (void)weir_mem_fail_at(nth);
        enum weir_status status =
            weir_oauth_poll(desk.oauth, desk.now_ns, &todo, &desk.request, &desk.wake_ns);
        bool is_fine = status == WEIR_OK &&
                       desk_answers(&desk, 200, "{\"access_token\":\"T\"}") == WEIR_OAUTH_TOKEN;
        bool has_failed = weir_mem_fail_at(0);
        assert_true(is_fine != has_failed);
        assert_int_equal(desk_header(&desk) != NULL, is_fine);
        if (!is_fine) {
            assert_string_not_equal(weir_oauth_trouble(desk.oauth), "");
            desk.now_ns += 2 * SECOND;
            desk_fetches(&desk, "T");
        }
        desk_close(&desk);
        if (!has_failed) {
            return;
        }
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_taken),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(what_holds_no_usable_token_is_refused),
        cmocka_unit_test(a_life_that_is_none_is_refused),
        cmocka_unit_test(an_error_is_one_with_status_200_too),
        cmocka_unit_test(words_of_the_server_are_not_repeated),
        cmocka_unit_test(sizes_have_their_limits),
        cmocka_unit_test(without_memory_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
