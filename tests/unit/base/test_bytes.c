/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/bytes.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static bool glob(const char *pattern, const char *text)
{
    return weir_bytes_glob(weir_bytes_str(pattern), weir_bytes_str(text));
}

/* The definition, by recursion: the second opinion on the loop. */
static bool glob_slow(const char *pattern, const char *text)
{
    if (*pattern == '\0') {
        return *text == '\0';
    }
    if (*pattern == '*') {
        return glob_slow(pattern + 1, text) || (*text != '\0' && glob_slow(pattern, text + 1));
    }
    return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
           glob_slow(pattern + 1, text + 1);
}

static void test_equal_needs_size_and_content(void **state)
{
    (void)state;
    assert_true(weir_bytes_eq(WEIR_BYTES("abc"), WEIR_BYTES("abc")));
    assert_true(weir_bytes_eq(weir_bytes_str(NULL), WEIR_BYTES("")));
    assert_false(weir_bytes_eq(WEIR_BYTES("abc"), WEIR_BYTES("abd")));
    assert_false(weir_bytes_eq(WEIR_BYTES("abc"), WEIR_BYTES("ab")));
    assert_false(weir_bytes_eq(WEIR_BYTES(""), WEIR_BYTES("a")));
}

/* Every size that the pieces can make, and each byte different by one bit. */
static void test_equal_short_agrees_with_equal(void **state)
{
    (void)state;
    uint8_t a[80];
    uint8_t b[80];
    for (size_t i = 0; i < sizeof a; i++) {
        a[i] = b[i] = (uint8_t)(i * 37);
    }
    assert_true(weir_bytes_eq_short(weir_bytes_str(NULL), WEIR_BYTES("")));
    for (size_t size = 1; size + 1 < sizeof a; size++) {
        struct weir_bytes x = weir_bytes_of(a, size);
        struct weir_bytes y = weir_bytes_of(b, size);
        assert_true(weir_bytes_eq_short(x, y));
        assert_false(weir_bytes_eq_short(x, weir_bytes_of(b, size - 1)));
        for (size_t i = 0; i < size; i++) {
            b[i] ^= (uint8_t)(1U << i % 8);
            assert_false(weir_bytes_eq_short(x, y));
            b[i] = a[i];
        }
        b[size] ^= 0xFF; /* behind the end: not looked at */
        assert_true(weir_bytes_eq_short(x, y));
        b[size] = a[size];
    }
}

static void test_case_is_ignored_for_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(weir_bytes_eq_nocase(WEIR_BYTES("Content-LENGTH"), WEIR_BYTES("content-length")));
    assert_true(weir_bytes_eq_nocase(WEIR_BYTES(""), WEIR_BYTES("")));
    assert_false(weir_bytes_eq_nocase(WEIR_BYTES("ab"), WEIR_BYTES("abc")));
    assert_false(weir_bytes_eq_nocase(WEIR_BYTES("@"), WEIR_BYTES("`")));
    assert_false(weir_bytes_eq_nocase(WEIR_BYTES("["), WEIR_BYTES("{")));
    assert_false(weir_bytes_eq_nocase(WEIR_BYTES("\xc3\x84"), WEIR_BYTES("\xc3\xa4")));
}

static void test_prefix(void **state)
{
    (void)state;
    assert_true(weir_bytes_starts_with(WEIR_BYTES("arn:aws"), WEIR_BYTES("arn:")));
    assert_true(weir_bytes_starts_with(WEIR_BYTES(""), WEIR_BYTES("")));
    assert_false(weir_bytes_starts_with(WEIR_BYTES("ar"), WEIR_BYTES("arn:")));
    assert_false(weir_bytes_starts_with(WEIR_BYTES("xrn:aws"), WEIR_BYTES("arn:")));
}

static void test_from_past_the_end_is_empty(void **state)
{
    (void)state;
    assert_true(weir_bytes_eq(weir_bytes_from(WEIR_BYTES("abc"), 1), WEIR_BYTES("bc")));
    assert_int_equal(weir_bytes_from(WEIR_BYTES("abc"), 3).size, 0);
    assert_int_equal(weir_bytes_from(WEIR_BYTES("abc"), SIZE_MAX).size, 0);
    assert_int_equal(weir_bytes_from(weir_bytes_str(NULL), 1).size, 0);
}

static void test_glob_matches(void **state)
{
    (void)state;
    assert_true(glob("*", ""));
    assert_true(glob("AWS/*", "AWS/EC2"));
    assert_true(glob("*/EC2", "AWS/EC2"));
    assert_true(glob("A?S/*2", "AWS/EC2"));
    assert_true(glob("*a*b*", "xxaxxbxx"));
    assert_true(glob("**", "x"));
    assert_true(glob("", ""));
}

static void test_glob_refuses(void **state)
{
    (void)state;
    assert_false(glob("", "a"));
    assert_false(glob("?", ""));
    assert_false(glob("AWS/*", "aws/EC2"));
    assert_false(glob("AWS/", "AWS/EC2"));
    assert_false(glob("AWS/EC2x", "AWS/EC2"));
    assert_false(glob("*a*b", "ba"));
    assert_false(glob("[A]", "A"));
}

static void test_glob_agrees_with_its_definition(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(11);
    for (int round = 0; round < 20000; round++) {
        char pattern[8] = "";
        char text[8] = "";
        size_t pattern_size = (size_t)weir_rand_below(&rand, 7);
        size_t text_size = (size_t)weir_rand_below(&rand, 7);
        for (size_t i = 0; i < pattern_size; i++) {
            pattern[i] = "ab*?"[weir_rand_below(&rand, 4)];
        }
        for (size_t i = 0; i < text_size; i++) {
            text[i] = "ab"[weir_rand_below(&rand, 2)];
        }
        assert_int_equal(glob(pattern, text), glob_slow(pattern, text));
    }
}

static void test_glob_does_not_explode(void **state)
{
    (void)state;
    char text[20001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(glob("*a*a*a*a*a*a*a*a*a*b", text));
}

static void test_utf8_length_of_good_characters(void **state)
{
    (void)state;
    assert_int_equal(weir_bytes_utf8_length(WEIR_BYTES("a\xff")), 1);
    assert_int_equal(weir_bytes_utf8_length(WEIR_BYTES("\xc3\xa4")), 2);
    assert_int_equal(weir_bytes_utf8_length(WEIR_BYTES("\xe2\x82\xac")), 3);
    assert_int_equal(weir_bytes_utf8_length(WEIR_BYTES("\xf0\x9f\x98\x80")), 4);
    assert_int_equal(weir_bytes_utf8_length(WEIR_BYTES("\xed\x9f\xbf")), 3);
    assert_int_equal(weir_bytes_utf8_length(WEIR_BYTES("\xf4\x8f\xbf\xbf")), 4);
}

static void test_utf8_length_of_bad_ones_is_zero(void **state)
{
    (void)state;
    const char *bad[] = {"\x80",
                         "\xc0\x80",
                         "\xc1\xbf",
                         "\xc3",
                         "\xe0\x9f\xbf",
                         "\xed\xa0\x80",
                         "\xe2\x82",
                         "\xe2\x28\xa1",
                         "\xf0\x8f\xbf\xbf",
                         "\xf4\x90\x80\x80",
                         "\xf5\x80\x80\x80",
                         "\xff",
                         "\xf0\x9f\x98"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(weir_bytes_utf8_length(weir_bytes_str(bad[i])), 0);
    }
    assert_int_equal(weir_bytes_utf8_length(weir_bytes_str(NULL)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_needs_size_and_content),
        cmocka_unit_test(test_equal_short_agrees_with_equal),
        cmocka_unit_test(test_case_is_ignored_for_ascii_letters_only),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_from_past_the_end_is_empty),
        cmocka_unit_test(test_glob_matches),
        cmocka_unit_test(test_glob_refuses),
        cmocka_unit_test(test_glob_agrees_with_its_definition),
        cmocka_unit_test(test_glob_does_not_explode),
        cmocka_unit_test(test_utf8_length_of_good_characters),
        cmocka_unit_test(test_utf8_length_of_bad_ones_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
