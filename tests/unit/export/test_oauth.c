/* SPDX-License-Identifier: Apache-2.0 */
#include "token_server.h"

static void nothing_is_there_before_the_first_answer(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    assert_null(desk_header(&desk));
    assert_string_equal(weir_oauth_trouble(desk.oauth), "");
    assert_true(desk_polls(&desk));
    assert_null(desk_header(&desk));
    assert_int_equal(desk_answers(&desk, 200, "{\"access_token\":\"T1\",\"expires_in\":60}"),
                     WEIR_OAUTH_TOKEN);
    assert_string_equal(desk_header(&desk), "Authorization: Bearer T1");
    assert_string_equal(weir_oauth_trouble(desk.oauth), "");
    desk_close(&desk);
}

static void one_request_at_a_time(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    assert_true(desk_polls(&desk));
    for (int i = 0; i < 5; i++) {
        desk.now_ns += 3600 * SECOND;
        assert_false(desk_polls(&desk));
        assert_int_equal(desk.wake_ns, INT64_MAX);
    }
    assert_int_equal(desk.fetches, 1);
    desk_close(&desk); /* with the request out */
}

/* Refreshed before the buffer begins, at most a minute before, and not at the same time by all. */
static void it_is_refreshed_ahead_with_jitter(void **state)
{
    (void)state;
    int64_t first = 0;
    bool differ = false;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct desk desk = {.now_ns = 0};
        assert_int_equal(weir_oauth_new(&desk_defaults, seed, &desk.oauth), WEIR_OK);
        desk_fetches(&desk, "T1");
        assert_false(desk_polls(&desk));
        assert_in_range(desk.wake_ns, 3240 * SECOND, 3300 * SECOND);
        first = seed == 0 ? desk.wake_ns : first;
        differ |= desk.wake_ns != first;
        desk.now_ns = desk.wake_ns - 1;
        assert_false(desk_polls(&desk));
        desk.now_ns = desk.wake_ns;
        assert_true(desk_polls(&desk));
        desk_close(&desk);
    }
    assert_true(differ);
}

static void the_old_one_stays_good_while_the_next_is_fetched(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    desk_fetches(&desk, "T1");
    desk.now_ns += 3300 * SECOND;
    assert_true(desk_polls(&desk));
    assert_string_equal(desk_header(&desk), "Authorization: Bearer T1");
    desk.now_ns += 299 * SECOND;
    assert_string_equal(desk_header(&desk), "Authorization: Bearer T1");
    assert_int_equal(desk_answers(&desk, 200, "{\"access_token\":\"T2\"}"), WEIR_OAUTH_TOKEN);
    assert_string_equal(desk_header(&desk), "Authorization: Bearer T2");
    desk_close(&desk);
}

static void without_a_newer_one_it_is_good_until_its_end(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    desk_fetches(&desk, "T1");
    desk.now_ns += 3300 * SECOND;
    assert_true(desk_polls(&desk));
    assert_int_equal(desk_answers(&desk, 503, ""), WEIR_OAUTH_REFUSED);
    desk.now_ns += 299 * SECOND;
    assert_non_null(desk_header(&desk));
    desk.now_ns += 1 * SECOND;
    assert_null(desk_header(&desk));
    assert_true(desk_polls(&desk));
    desk_close(&desk);
}

/* Its time is over, and nobody has even asked: not handed out on the way. */
static void nor_is_it_good_in_the_buffer_when_nobody_asked_for_a_newer(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    desk_fetches(&desk, "T1");
    desk.now_ns += 3299 * SECOND;
    assert_non_null(desk_header(&desk));
    desk.now_ns += 1 * SECOND;
    assert_null(desk_header(&desk));
    assert_true(desk_polls(&desk));
    assert_non_null(desk_header(&desk));
    desk_close(&desk);
}

static void failures_wait_longer_each_time(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    int64_t base_ns = SECOND;
    for (int i = 0; i < 12; i++) {
        assert_true(desk_polls(&desk));
        assert_int_equal(desk_answers(&desk, 500, ""), WEIR_OAUTH_REFUSED);
        assert_false(desk_polls(&desk));
        int64_t wait_ns = desk.wake_ns - desk.now_ns;
        assert_in_range(wait_ns, base_ns * 3 / 4, base_ns * 5 / 4);
        desk.now_ns = desk.wake_ns;
        base_ns = base_ns * 2 > 60 * SECOND ? 60 * SECOND : base_ns * 2;
    }
    desk_fetches(&desk, "T1");
    desk.now_ns += 3400 * SECOND;
    assert_true(desk_polls(&desk));
    assert_int_equal(desk_answers(&desk, 500, ""), WEIR_OAUTH_REFUSED);
    assert_false(desk_polls(&desk));
    assert_in_range(desk.wake_ns - desk.now_ns, SECOND * 3 / 4, SECOND * 5 / 4);
    desk_close(&desk);
}

static void a_wish_for_patience_is_heeded_but_not_for_ever(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    struct weir_transport_reply reply = {.status = 429, .retry_after_ns = 120 * SECOND};
    assert_true(desk_polls(&desk));
    assert_int_equal(weir_oauth_reply(desk.oauth, &reply, desk.now_ns), WEIR_OAUTH_REFUSED);
    assert_false(desk_polls(&desk));
    assert_int_equal(desk.wake_ns - desk.now_ns, 120 * SECOND);
    desk.now_ns = desk.wake_ns;
    reply.retry_after_ns = 1000000 * SECOND;
    assert_true(desk_polls(&desk));
    assert_int_equal(weir_oauth_reply(desk.oauth, &reply, desk.now_ns), WEIR_OAUTH_REFUSED);
    assert_false(desk_polls(&desk));
    assert_int_equal(desk.wake_ns - desk.now_ns, 3600 * SECOND);
    desk_close(&desk);
}

static void no_answer_is_a_failure_with_the_transports_words(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    const struct weir_transport_reply reply = {.failure = WEIR_TRANSPORT_UNREACHED,
                                               .message = "Could not resolve host"};
    assert_true(desk_polls(&desk));
    assert_int_equal(weir_oauth_reply(desk.oauth, &reply, desk.now_ns), WEIR_OAUTH_UNREACHED);
    assert_non_null(strstr(weir_oauth_trouble(desk.oauth), "Could not resolve host"));
    assert_null(desk_header(&desk));
    assert_false(desk_polls(&desk));
    desk_close(&desk);
}

/* -- rejections ---------------------------------------------------------------------------- */

static void a_revoked_token_is_dropped_and_fetched_once_at_once(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    desk_fetches(&desk, "T1");
    weir_oauth_accepted(desk.oauth, "Authorization: Bearer T1");
    desk.now_ns += 100 * SECOND;
    assert_true(weir_oauth_rejected(desk.oauth, "Authorization: Bearer T1", desk.now_ns));
    assert_null(desk_header(&desk));
    assert_string_equal(weir_oauth_trouble(desk.oauth), ""); /* a moment is no trouble */
    assert_true(desk_polls(&desk));
    /* the other requests that were out with it */
    assert_true(weir_oauth_rejected(desk.oauth, "Authorization: Bearer T1", desk.now_ns));
    assert_false(desk_polls(&desk));
    assert_int_equal(desk_answers(&desk, 200, "{\"access_token\":\"T2\"}"), WEIR_OAUTH_TOKEN);
    assert_true(weir_oauth_rejected(desk.oauth, "Authorization: Bearer T1", desk.now_ns));
    assert_string_equal(desk_header(&desk), "Authorization: Bearer T2");
    assert_false(desk_polls(&desk));
    assert_int_equal(desk.fetches, 2);
    desk_close(&desk);
}

static void fetched_and_rejected_again_waits(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    desk_fetches(&desk, "T1");
    assert_true(weir_oauth_rejected(desk.oauth, "Authorization: Bearer T1", desk.now_ns));
    desk_fetches(&desk, "T2");
    assert_false(weir_oauth_rejected(desk.oauth, "Authorization: Bearer T2", desk.now_ns));
    assert_null(desk_header(&desk));
    assert_string_not_equal(weir_oauth_trouble(desk.oauth), "");
    assert_false(desk_polls(&desk));
    int64_t first_ns = desk.wake_ns - desk.now_ns;
    assert_in_range(first_ns, SECOND * 3 / 4, SECOND * 5 / 4);
    desk.now_ns = desk.wake_ns;
    desk_fetches(&desk, "T3");
    assert_false(weir_oauth_rejected(desk.oauth, "Authorization: Bearer T3", desk.now_ns));
    assert_false(desk_polls(&desk));
    assert_in_range(desk.wake_ns - desk.now_ns, SECOND * 3 / 2, SECOND * 5 / 2);
    desk_close(&desk);
}

static void an_accepted_token_ends_the_row_of_rejections(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    desk_fetches(&desk, "T1");
    assert_true(weir_oauth_rejected(desk.oauth, "Authorization: Bearer T1", desk.now_ns));
    desk_fetches(&desk, "T2");
    weir_oauth_accepted(desk.oauth, "Authorization: Bearer T1"); /* the old one: nothing */
    weir_oauth_accepted(desk.oauth, "Authorization: Bearer T2");
    desk.now_ns += 60 * SECOND;
    assert_true(weir_oauth_rejected(desk.oauth, "Authorization: Bearer T2", desk.now_ns));
    assert_true(desk_polls(&desk));
    desk_close(&desk);
}

/* Two backends behind one name, one of which does not know the key. */
static void a_backend_of_two_minds_causes_no_storm(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    for (int i = 0; i < 1000; i++) {
        desk.now_ns += SECOND / 10;
        if (desk_polls(&desk)) {
            assert_int_equal(desk_answers(&desk, 200, "{\"access_token\":\"T\"}"),
                             WEIR_OAUTH_TOKEN);
        }
        if (desk_header(&desk) != NULL) {
            weir_oauth_accepted(desk.oauth, "Authorization: Bearer T");
            (void)weir_oauth_rejected(desk.oauth, "Authorization: Bearer T", desk.now_ns);
        }
    }
    assert_in_range(desk.fetches, 2, 22); /* 100 s, one each 5 s */
    desk_close(&desk);
}

static void a_rejection_does_not_shorten_a_wait_that_runs(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    const struct weir_transport_reply reply = {.status = 429, .retry_after_ns = 60 * SECOND};
    desk_fetches(&desk, "T1");
    desk.now_ns += 3300 * SECOND;
    assert_true(desk_polls(&desk));
    assert_int_equal(weir_oauth_reply(desk.oauth, &reply, desk.now_ns), WEIR_OAUTH_REFUSED);
    assert_false(weir_oauth_rejected(desk.oauth, "Authorization: Bearer T1", desk.now_ns));
    assert_false(desk_polls(&desk));
    assert_int_equal(desk.wake_ns - desk.now_ns, 60 * SECOND);
    desk_close(&desk);
}

/* -- lives --------------------------------------------------------------------------------- */

static void one_that_does_not_end_is_never_refreshed(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"access_token\":\"T\"}",
        "{\"access_token\":\"T\",\"expires_in\":0}",
        "{\"access_token\":\"T\",\"expires_in\":\"0\"}",
        "{\"access_token\":\"T\",\"expires_in\":null}",
        "{\"access_token\":\"T\",\"expires_in\":1e300}",
        "{\"access_token\":\"T\",\"expires_in\":9223372036854775807}",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct desk desk = desk_open(&desk_defaults);
        assert_true(desk_polls(&desk));
        assert_int_equal(desk_answers(&desk, 200, bodies[i]), WEIR_OAUTH_TOKEN);
        desk.now_ns += INT64_C(100000000) * SECOND;
        assert_false(desk_polls(&desk));
        assert_int_equal(desk.wake_ns, INT64_MAX);
        assert_non_null(desk_header(&desk));
        desk_close(&desk);
    }
}

/* Half a life at least is used, and a server that gives moments is asked once a second. */
static void a_short_life_is_used_and_causes_no_storm(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    assert_true(desk_polls(&desk));
    assert_int_equal(desk_answers(&desk, 200, "{\"access_token\":\"T\",\"expires_in\":60}"),
                     WEIR_OAUTH_TOKEN);
    assert_false(desk_polls(&desk));
    assert_in_range(desk.wake_ns - desk.now_ns, 27 * SECOND, 30 * SECOND);
    desk.now_ns = desk.wake_ns;
    for (int i = 0; i < 1000; i++) {
        if (desk_polls(&desk)) {
            assert_int_equal(
                desk_answers(&desk, 200, "{\"access_token\":\"T\",\"expires_in\":0.05}"),
                WEIR_OAUTH_TOKEN);
            assert_non_null(desk_header(&desk));
        }
        desk.now_ns += SECOND / 100;
        (void)desk_header(&desk);
    }
    assert_in_range(desk.fetches, 10, 13);
    desk_close(&desk);
}

static void a_life_counts_from_the_request(void **state)
{
    (void)state;
    struct desk desk = desk_open(&desk_defaults);
    assert_true(desk_polls(&desk));
    desk.now_ns += 9 * SECOND;
    assert_int_equal(desk_answers(&desk, 200, "{\"access_token\":\"T\",\"expires_in\":9}"),
                     WEIR_OAUTH_REFUSED);
    assert_null(desk_header(&desk));
    assert_string_not_equal(weir_oauth_trouble(desk.oauth), "");
    desk_close(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_there_before_the_first_answer),
        cmocka_unit_test(one_request_at_a_time),
        cmocka_unit_test(it_is_refreshed_ahead_with_jitter),
        cmocka_unit_test(the_old_one_stays_good_while_the_next_is_fetched),
        cmocka_unit_test(without_a_newer_one_it_is_good_until_its_end),
        cmocka_unit_test(nor_is_it_good_in_the_buffer_when_nobody_asked_for_a_newer),
        cmocka_unit_test(failures_wait_longer_each_time),
        cmocka_unit_test(a_wish_for_patience_is_heeded_but_not_for_ever),
        cmocka_unit_test(no_answer_is_a_failure_with_the_transports_words),
        cmocka_unit_test(a_revoked_token_is_dropped_and_fetched_once_at_once),
        cmocka_unit_test(fetched_and_rejected_again_waits),
        cmocka_unit_test(an_accepted_token_ends_the_row_of_rejections),
        cmocka_unit_test(a_backend_of_two_minds_causes_no_storm),
        cmocka_unit_test(a_rejection_does_not_shorten_a_wait_that_runs),
        cmocka_unit_test(one_that_does_not_end_is_never_refreshed),
        cmocka_unit_test(a_short_life_is_used_and_causes_no_storm),
        cmocka_unit_test(a_life_counts_from_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
