/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of patterns: what they take, include against exclude, and against trying one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/route/match.h"
#include "weir/mem.h"
#include "weir/rand.h"

#define LIST(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
static const char *const EMPTY[] = {NULL};

static bool takes(const char *const *include, const char *const *exclude, const char *text)
{
    struct weir_match match;
    const struct weir_route_globs globs = {include, exclude};
    assert_int_equal(weir_match_init(&match, &globs), WEIR_OK);
    bool taken = weir_match_takes(&match, weir_bytes_str(text));
    weir_match_done(&match);
    return taken;
}

static void includes(void **state)
{
    (void)state;
    assert_true(takes(NULL, NULL, "a"));
    assert_true(takes(NULL, NULL, ""));
    assert_false(takes(EMPTY, NULL, "a"));
    assert_false(takes(EMPTY, NULL, ""));
    assert_true(takes(LIST("b", "a"), NULL, "a"));
    assert_false(takes(LIST("b", "a"), NULL, "A"));
    assert_false(takes(LIST("b", "a"), NULL, "ab"));
    assert_false(takes(LIST("b", "a"), NULL, ""));
    assert_true(takes(LIST(""), NULL, ""));
    assert_false(takes(LIST(""), NULL, "a"));
    assert_true(takes(LIST("x", "a*"), NULL, "abc"));
    assert_true(takes(LIST("x", "a*"), NULL, "x"));
    assert_false(takes(LIST("x", "a*"), NULL, "xa"));
    assert_true(takes(LIST("a?c"), NULL, "abc"));
    assert_false(takes(LIST("a?c"), NULL, "ac"));
    assert_true(takes(LIST("*"), NULL, ""));
}

static void exclude_wins(void **state)
{
    (void)state;
    assert_false(takes(NULL, LIST("a"), "a"));
    assert_true(takes(NULL, LIST("a"), "b"));
    assert_true(takes(NULL, EMPTY, "b"));
    assert_false(takes(LIST("a"), LIST("a"), "a"));
    assert_false(takes(LIST("a*"), LIST("ab*"), "abc"));
    assert_true(takes(LIST("a*"), LIST("ab*"), "acb"));
    assert_false(takes(NULL, LIST("*"), ""));
    assert_false(takes(LIST("*"), LIST("*"), "a"));
}

static void only_a_filter_filters(void **state)
{
    (void)state;
    const struct {
        struct weir_route_globs globs;
        bool filters;
    } cases[] = {
        {{NULL, NULL}, false},       {{NULL, EMPTY}, false},
        {{LIST("*"), EMPTY}, false}, {{LIST("a", "*"), NULL}, false},
        {{EMPTY, NULL}, true},       {{LIST("a"), NULL}, true},
        {{LIST("**"), NULL}, true},  {{LIST("*"), LIST("b")}, true},
        {{NULL, LIST("b*")}, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_match match;
        assert_int_equal(weir_match_init(&match, &cases[i].globs), WEIR_OK);
        assert_int_equal(weir_match_is_filter(&match), cases[i].filters);
        weir_match_done(&match);
        weir_match_done(&match); /* once more is nothing */
    }
}

static void names_are_no_patterns(void **state)
{
    (void)state;
    struct weir_match match;
    const struct weir_route_globs globs = {LIST("", "b", "*"), NULL};
    assert_int_equal(weir_match_init(&match, &globs), WEIR_OK);
    assert_true(weir_match_names(&match, WEIR_BYTES("")));
    assert_true(weir_match_names(&match, WEIR_BYTES("b")));
    assert_false(weir_match_names(&match, WEIR_BYTES("c")));
    assert_false(weir_match_names(&match, WEIR_BYTES("*")));
    weir_match_done(&match);
}

/* Bisection finds what is there and nothing else, whatever the order in the list. */
static void many_texts_are_like_one_by_one(void **state)
{
    (void)state;
    enum { TEXTS = 300, SIZE = 8 };
    static char texts[TEXTS][SIZE];
    static const char *list[TEXTS + 1];
    struct weir_rand rand;
    weir_rand_init(&rand, 7);
    for (int i = 0; i < TEXTS; i++) {
        uint64_t size = 1 + weir_rand_below(&rand, SIZE - 1);
        for (uint64_t j = 0; j < size; j++) {
            texts[i][j] = (char)('a' + weir_rand_below(&rand, 3));
        }
        list[i] = texts[i];
    }
    struct weir_match match;
    const struct weir_route_globs globs = {list, NULL};
    assert_int_equal(weir_match_init(&match, &globs), WEIR_OK);
    for (int i = 0; i < 3000; i++) {
        char text[SIZE] = {0};
        uint64_t size = weir_rand_below(&rand, SIZE);
        bool expected = false;
        for (uint64_t j = 0; j < size; j++) {
            text[j] = (char)('a' + weir_rand_below(&rand, 3));
        }
        for (int j = 0; j < TEXTS; j++) {
            expected = expected || strcmp(text, list[j]) == 0;
        }
        assert_int_equal(weir_match_takes(&match, weir_bytes_str(text)), expected);
    }
    weir_match_done(&match);
}

static void no_memory(void **state)
{
    (void)state;
    const struct weir_route_globs globs = {LIST("a"), LIST("b*")};
    for (uint64_t i = 1; i <= 2; i++) {
        struct weir_match match = {.includes_all = true};
        (void)weir_mem_fail_at(i);
        assert_int_equal(weir_match_init(&match, &globs), WEIR_ENOMEM);
        assert_true(weir_mem_fail_at(0));
        assert_true(match.includes_all);
        assert_null(match.include.texts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(includes),
        cmocka_unit_test(exclude_wins),
        cmocka_unit_test(only_a_filter_filters),
        cmocka_unit_test(names_are_no_patterns),
        cmocka_unit_test(many_texts_are_like_one_by_one),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
