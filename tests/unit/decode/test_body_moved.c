/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies whose records are moved, so that their text can go back. */
#include "body_twins.h"
#include "support.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BUDGET ((size_t)16 << 20)

/* Decodes under a limit of which the text is too large a part, and under `limit`: the same comes
 * out. How much less the second has charged after that; 0 after an error. */
static size_t check_twins(struct weir_bytes body, bool gzip, size_t size, size_t limit)
{
    struct weir_inflater *inflater = NULL;
    struct body_twin in_place = {.budget = BUDGET};
    struct body_twin other = {.budget = BUDGET};
    struct weir_body_options options = fixture_body_options();
    assert_int_equal(weir_inflater_new(&inflater), WEIR_OK);
    options.gzip = gzip;
    options.body_limit = size;
    body_twin_decode(&in_place, inflater, body, &options);
    options.body_limit = limit;
    body_twin_decode(&other, inflater, body, &options);
    assert_true(body_twins_same(&in_place, &other));
    size_t less = 0;
    if (in_place.status == WEIR_OK) {
        assert_true(other.fixture.budget_left >= in_place.fixture.budget_left);
        less = other.fixture.budget_left - in_place.fixture.budget_left;
    }
    assert_true(body_twin_close(&in_place));
    assert_true(body_twin_close(&other));
    weir_inflater_free(inflater);
    return less;
}

static void test_the_same_comes_out(void **state)
{
    (void)state;
    static const size_t sizes[] = {BODY_TWINS_MIN, BODY_TWINS_MIN + 1, 100000, 1000000};
    struct weir_rand rand = support_rand(11);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct weir_buf body = body_twins_build(&rand, (unsigned)(sizes[i] / 1500), sizes[i]);
        struct weir_buf packed = body_twins_gzip(weir_buf_view(&body));
        assert_int_equal(body.size, sizes[i]);
        assert_true(check_twins(weir_buf_view(&body), false, sizes[i], BODY_TWINS_WIDE) > 0);
        assert_true(check_twins(weir_buf_view(&packed), true, sizes[i], BODY_TWINS_WIDE) > 0);
        weir_buf_done(&packed);
        weir_buf_done(&body);
    }
}

/* Text of half a megabyte leaves what its records take, an eighth more at most for the region they
 * are in, and what is made of them. */
static void test_the_text_is_not_charged_any_longer(void **state)
{
    (void)state;
    enum { SIZE = 500000 };
    struct weir_rand rand = support_rand(12);
    struct weir_buf body = body_twins_build(&rand, 100, SIZE);
    struct body_twin twin = {.budget = BUDGET};
    struct weir_body_options options = fixture_body_options();
    body_twin_decode(&twin, NULL, weir_buf_view(&body), &options);
    assert_int_equal(twin.status, WEIR_OK);
    assert_int_equal(twin.result.runs.points, 100);
    size_t left = weir_arena_size(twin.fixture.arena);
    assert_in_range(left, SIZE / 4 * 3, weir_region_capacity(SIZE / 4 * 3 + 8) + SIZE / 2);
    support_assert_bytes(twin.result.request_id,
                         WEIR_BYTES("ed4acda5-034f-9f42-bba1-f29aea6d7d8f"));
    assert_true(body_twin_close(&twin));
    weir_buf_done(&body);
}

/* Small text stays, and so does what is more than a quarter of the limit. */
static void test_which_text_stays(void **state)
{
    (void)state;
    const size_t min = BODY_TWINS_MIN;
    struct weir_rand rand = support_rand(13);
    struct weir_buf body = body_twins_build(&rand, 20, min);
    struct weir_bytes all = weir_buf_view(&body);
    struct weir_bytes less = weir_bytes_of(all.data, min - 1);
    assert_true(check_twins(all, false, min, BODY_TWINS_WIDE) > 0);
    assert_int_equal(check_twins(less, false, min - 1, BODY_TWINS_WIDE), 0);
    assert_true(check_twins(all, false, min, 4 * min) > 0);
    assert_int_equal(check_twins(all, false, min, 4 * min - 1), 0);
    weir_buf_done(&body);
}

/* Of what is inflated, the room counts, which is a little more than the text. */
static void test_which_inflated_text_stays(void **state)
{
    (void)state;
    const size_t size = BODY_TWINS_MIN;
    struct weir_rand rand = support_rand(14);
    struct weir_buf body = body_twins_build(&rand, 20, size);
    struct weir_buf packed = body_twins_gzip(weir_buf_view(&body));
    struct weir_bytes sent = weir_buf_view(&packed);
    assert_true(check_twins(sent, true, size, 4 * (size + 8192)) > 0);
    assert_int_equal(check_twins(sent, true, size, 4 * size), 0);
    weir_buf_done(&packed);
    weir_buf_done(&body);
}

/* Nothing of the last byte is forgiven, and the request's id is known then. */
static void test_damage_in_the_last_byte(void **state)
{
    (void)state;
    const size_t size = 100000;
    struct weir_rand rand = support_rand(15);
    struct weir_buf body = body_twins_build(&rand, 50, size);
    struct body_twin twin = {.budget = BUDGET};
    struct weir_body_options options = fixture_body_options();
    body.data[size - 1] = '}';
    (void)check_twins(weir_buf_view(&body), false, size, BODY_TWINS_WIDE);
    body_twin_decode(&twin, NULL, weir_buf_view(&body), &options);
    assert_int_equal(twin.status, WEIR_EMALFORMED);
    assert_string_equal(twin.result.error, "expected nothing more");
    assert_int_equal(twin.result.error_offset, size - 1);
    assert_int_equal(twin.result.runs.count, 0);
    support_assert_bytes(twin.result.request_id,
                         WEIR_BYTES("ed4acda5-034f-9f42-bba1-f29aea6d7d8f"));
    assert_true(body_twin_close(&twin));
    weir_buf_done(&body);
}

static void test_damage_in_a_record(void **state)
{
    (void)state;
    const size_t size = 100000;
    struct weir_rand rand = support_rand(16);
    struct weir_buf body = body_twins_build(&rand, 50, size);
    for (size_t at = 0; at < size; at += 997) {
        uint8_t before = body.data[at];
        body.data[at] = '"';
        (void)check_twins(weir_buf_view(&body), false, size, BODY_TWINS_WIDE);
        (void)check_twins(weir_bytes_of(body.data, at), false, size, 4 * size);
        body.data[at] = before;
    }
    weir_buf_done(&body);
}

/* With the budget that is needed at most it is decoded, with any smaller one not, and everything
 * goes back: the text, the records' room, and what is made of them. */
static void test_every_budget(void **state)
{
    (void)state;
    const size_t size = 100000;
    struct weir_rand rand = support_rand(17);
    struct weir_buf body = body_twins_build(&rand, 150, size);
    const struct weir_body_options options = fixture_body_options();
    size_t regions =
        weir_region_capacity(body.size) + weir_region_capacity(weir_envelope_room(body.size));
    size_t enough = 0;
    assert_true(body.size >= size);
    for (size_t budget = 0; budget < 8 * size; budget += 2048) {
        struct body_twin twin = {.budget = budget};
        body_twin_decode(&twin, NULL, weir_buf_view(&body), &options);
        enough = enough == 0 && twin.status == WEIR_OK ? budget : enough;
        assert_int_equal(twin.status, enough == 0 ? WEIR_EFULL : WEIR_OK);
        assert_null(twin.result.error);
        assert_int_equal(twin.result.runs.count > 0, enough > 0);
        assert_true(body_twin_close(&twin));
    }
    assert_true(enough > regions);
    weir_buf_done(&body);
}

/* What visits the records undoes them in the text, which is there to the end. */
static void count_piece(void *argument, const struct weir_body_piece *piece)
{
    unsigned *count = argument;
    assert_true(piece->index > 0 || weir_bytes_eq(piece->whole, WEIR_BYTES("no metric")));
    (*count)++;
}

static void test_visits_of_large_text(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(18);
    struct weir_buf body = body_twins_build(&rand, 50, 100000);
    const struct weir_body_options options = fixture_body_options();
    for (unsigned quarantined = 0; quarantined < 2; quarantined++) {
        struct fixture fixture;
        unsigned count = 0;
        const struct weir_body_visitor visitor = {count_piece, &count};
        fixture_open_bare(&fixture, BUDGET);
        enum weir_status status =
            quarantined
                ? weir_body_quarantined(NULL, fixture.arena, weir_buf_view(&body), &options,
                                        &visitor)
                : weir_body_records(NULL, fixture.arena, weir_buf_view(&body), &options, &visitor);
        assert_int_equal(status, WEIR_OK);
        assert_true(quarantined ? count == 1 : count > 5);
        fixture_close(&fixture);
        assert_int_equal(fixture.budget_left, BUDGET);
    }
    weir_buf_done(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_comes_out),
        cmocka_unit_test(test_the_text_is_not_charged_any_longer),
        cmocka_unit_test(test_which_text_stays),
        cmocka_unit_test(test_which_inflated_text_stays),
        cmocka_unit_test(test_damage_in_the_last_byte),
        cmocka_unit_test(test_damage_in_a_record),
        cmocka_unit_test(test_every_budget),
        cmocka_unit_test(test_visits_of_large_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
