/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "support.h"
#include "weir/json.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static enum weir_status skip_all(const char *text, unsigned depth_max)
{
    struct weir_bytes view = weir_bytes_str(text);
    struct guard copy = guard_copy(view);
    struct weir_json json;
    weir_json_init(&json, copy.data, copy.size, depth_max);
    weir_json_skip(&json);
    enum weir_status status = weir_json_finish(&json);
    assert_memory_equal(copy.data, view.data, view.size); /* a skip rewrites nothing */
    guard_free(&copy);
    return status;
}

static void accept(const char *text)
{
    assert_int_equal(skip_all(text, 32), WEIR_OK);
}

static void refuse(const char *text)
{
    assert_int_equal(skip_all(text, 32), WEIR_EMALFORMED);
}

static void test_good_values(void **state)
{
    (void)state;
    accept("null");
    accept(" \t\r\n true \n");
    accept("false");
    accept("0");
    accept("-0.0e-0");
    accept("\"\"");
    accept("[]");
    accept("{}");
    accept("[1,[2,{\"a\":[]}],{}]");
    accept("{\"a\":1,\"a\":{\"b\":[null]}}");
    accept("[\"a\\u0041\",{\"\\n\":\"\\/\"}]");
    accept("[1e999]"); /* skipped: its size is nobody's business */
}

static void test_bad_structure(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        " ",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1]]",
        "{]",
        "[}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{1:1}",
        "{\"a\" 1}",
        "1 2",
        "nul",
        "nulll",
        "True",
        "NaN",
        "Infinity",
        "'a'",
        "[1]x",
        "/**/1",
        "\xef\xbb\xbf[]",
        "{\"a\":1 \"b\":2}",
        "[\"a\":1]",
        "{\"a\",1}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        refuse(bad[i]);
    }
}

static void test_bad_strings(void **state)
{
    (void)state;
    const char *const bad[] = {
        "\"",
        "\"abc",
        "\"abc\\\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800x\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\ud800\"",
        "\"\\ud800\\u\"",
        "\"a\nb\"",
        "\"a\x1f\"",
        "\"\x80\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "\"abcdefgh\xff\"",
        "{\"\\q\":1}",
        "[\"0123456789\t\"]",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        refuse(bad[i]);
        struct guard copy = guard_copy(weir_bytes_str(bad[i]));
        struct weir_json json;
        weir_json_init(&json, copy.data, copy.size, 8);
        if (weir_json_peek(&json) == WEIR_JSON_STRING) {
            struct weir_bytes text = weir_json_string(&json);
            assert_int_equal(text.size, 0);
            assert_non_null(json.error);
        }
        guard_free(&copy);
    }
}

static void test_bad_numbers(void **state)
{
    (void)state;
    const char *const bad[] = {"-",   "+1",  "01",  "-01",   "1.",  ".5",    "1.e1", "1e",
                               "1e+", "1e-", "0x1", "1_000", "--1", "1e1.5", "1..2", "1-2"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        double value = 42;
        refuse(bad[i]);
        assert_int_equal(weir_json_parse_double(weir_bytes_str(bad[i]), &value), WEIR_EMALFORMED);
        assert_true(value == 42);
    }
    double value = 42;
    assert_int_equal(weir_json_parse_double((struct weir_bytes){NULL, 0}, &value), WEIR_EMALFORMED);
    assert_int_equal(weir_json_parse_double(WEIR_BYTES(" 1"), &value), WEIR_EMALFORMED);
    assert_int_equal(weir_json_parse_double(WEIR_BYTES("1\0"), &value), WEIR_EMALFORMED);
}

static void test_depth(void **state)
{
    (void)state;
    assert_int_equal(skip_all("[[[]]]", 3), WEIR_OK);
    assert_int_equal(skip_all("[[[[]]]]", 3), WEIR_ELIMIT);
    assert_int_equal(skip_all("{\"a\":{\"b\":{\"c\":{}}}}", 3), WEIR_ELIMIT);
    char text[2 * 64 + 3];
    for (unsigned depth = 64; depth <= 65; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[(size_t)2 * depth] = '\0';
        assert_int_equal(skip_all(text, 64), depth == 64 ? WEIR_OK : WEIR_ELIMIT);
    }
}

static void reads_as(const char *text, struct weir_bytes expected)
{
    struct guard copy = guard_copy(weir_bytes_str(text));
    struct weir_json json;
    weir_json_init(&json, copy.data, copy.size, 1);
    struct weir_bytes got = weir_json_string(&json);
    assert_int_equal(weir_json_finish(&json), WEIR_OK);
    support_assert_bytes(got, expected);
    guard_free(&copy);
}

static void test_strings(void **state)
{
    (void)state;
    reads_as("\"plain\"", WEIR_BYTES("plain"));
    reads_as("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", WEIR_BYTES("\"\\/\b\f\n\r\t"));
    reads_as("\"a\\u0000b\"", WEIR_BYTES("a\0b"));
    reads_as("\"\\u00E9\\u00e9\\u20ac\"", WEIR_BYTES("\xc3\xa9\xc3\xa9\xe2\x82\xac"));
    reads_as("\"\\uD83D\\ude00 \\uffff\"", WEIR_BYTES("\xf0\x9f\x98\x80 \xef\xbf\xbf"));
    reads_as("\"long before \\u0041 and long behind it\"",
             WEIR_BYTES("long before A and long behind it"));
    reads_as("\"\xe2\x82\xac raw\"", WEIR_BYTES("\xe2\x82\xac raw"));
    reads_as("\"\x7f\"", WEIR_BYTES("\x7f"));
}

/* A quote, a backslash, a control or a bad byte at every distance from the start of
 * an 8-byte step. */
static void test_specials_at_every_distance(void **state)
{
    (void)state;
    for (size_t distance = 0; distance < 40; distance++) {
        uint8_t text[64];
        const uint8_t specials[] = {'\\', 0x1F, 0x00, 0xFF, 'a'};
        for (size_t i = 0; i < sizeof(specials); i++) {
            memset(text, 'x', sizeof(text));
            text[0] = '"';
            text[1 + distance] = specials[i];
            text[2 + distance] = '"';
            struct guard copy = guard_copy(weir_bytes_of(text, distance + 3));
            struct weir_json json;
            weir_json_init(&json, copy.data, copy.size, 1);
            weir_json_skip(&json);
            assert_int_equal(weir_json_finish(&json) == WEIR_OK, specials[i] == 'a');
            guard_free(&copy);
        }
    }
}

static void test_members_and_elements(void **state)
{
    (void)state;
    uint8_t text[] = "{ \"a\" : [ 1 , -2 ] , \"b\\u0021\" : { } , \"c\" : \"x\" }";
    struct weir_json json;
    struct weir_bytes key;
    weir_json_init(&json, text, sizeof(text) - 1, 4);
    assert_int_equal(weir_json_peek(&json), WEIR_JSON_OBJECT);
    weir_json_object_begin(&json);
    assert_true(weir_json_member(&json, &key));
    support_assert_bytes(key, WEIR_BYTES("a"));
    weir_json_array_begin(&json);
    assert_true(weir_json_element(&json));
    assert_int_equal(weir_json_int64(&json), 1);
    assert_true(weir_json_element(&json));
    assert_true(weir_json_double(&json) == -2.0);
    assert_false(weir_json_element(&json));
    assert_true(weir_json_member(&json, &key));
    support_assert_bytes(key, WEIR_BYTES("b!"));
    weir_json_skip(&json);
    assert_true(weir_json_member(&json, &key));
    support_assert_bytes(weir_json_string(&json), WEIR_BYTES("x"));
    assert_false(weir_json_member(&json, &key));
    assert_int_equal(weir_json_finish(&json), WEIR_OK);
}

static void test_wrong_types_stick(void **state)
{
    (void)state;
    uint8_t text[] = "  [\"a\",{}]";
    struct weir_json json;
    struct weir_bytes key;
    weir_json_init(&json, text, sizeof(text) - 1, 4);
    weir_json_object_begin(&json);
    assert_string_equal(json.error, "expected an object");
    assert_int_equal(json.error_offset, 2);
    assert_int_equal(weir_json_peek(&json), WEIR_JSON_END);
    assert_false(weir_json_member(&json, &key));
    assert_false(weir_json_element(&json));
    assert_int_equal(weir_json_string(&json).size, 0);
    assert_int_equal(weir_json_base64(&json).size, 0);
    assert_true(weir_json_double(&json) == 0.0);
    assert_int_equal(weir_json_int64(&json), 0);
    weir_json_array_begin(&json);
    weir_json_skip(&json);
    assert_int_equal(json.depth, 0);
    assert_string_equal(json.error, "expected an object");
    assert_int_equal(weir_json_finish(&json), WEIR_EMALFORMED);
}

static void test_unread_values_are_an_error(void **state)
{
    (void)state;
    uint8_t text[] = "[1]";
    struct weir_json json;
    weir_json_init(&json, text, sizeof(text) - 1, 4);
    assert_int_equal(weir_json_finish(&json), WEIR_EMALFORMED);
    weir_json_init(&json, text, sizeof(text) - 1, 4);
    weir_json_array_begin(&json);
    assert_int_equal(weir_json_finish(&json), WEIR_EMALFORMED);
    weir_json_init(&json, NULL, 0, 4);
    assert_int_equal(weir_json_finish(&json), WEIR_EMALFORMED);
}

static int64_t read_int64(const char *text, const char **ret_error)
{
    struct guard copy = guard_copy(weir_bytes_str(text));
    struct weir_json json;
    weir_json_init(&json, copy.data, copy.size, 1);
    int64_t value = weir_json_int64(&json);
    enum weir_status status = weir_json_finish(&json);
    *ret_error = json.error;
    assert_int_equal(status == WEIR_OK, json.error == NULL);
    guard_free(&copy);
    return value;
}

static void test_integers(void **state)
{
    (void)state;
    const char *error;
    assert_true(read_int64("0", &error) == 0 && error == NULL);
    assert_true(read_int64("1611929698000", &error) == 1611929698000 && error == NULL);
    assert_true(read_int64("9223372036854775807", &error) == INT64_MAX && error == NULL);
    assert_true(read_int64("-9223372036854775808", &error) == INT64_MIN && error == NULL);
    const char *const bad[] = {"9223372036854775808",
                               "-9223372036854775809",
                               "1.0",
                               "1e3",
                               "-",
                               "00",
                               "-01",
                               "99999999999999999999999",
                               "\"1\"",
                               "null",
                               ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(read_int64(bad[i], &error) == 0);
        assert_non_null(error);
    }
}

static void expect_double(const char *text)
{
    double value = 0;
    assert_int_equal(weir_json_parse_double(weir_bytes_str(text), &value), WEIR_OK);
    double expected = strtod(text, NULL);
    assert_memory_equal(&value, &expected, sizeof(value));
}

static void test_doubles(void **state)
{
    (void)state;
    const char *const good[] = {"0",
                                "-0",
                                "0e99999",
                                "1.1728384E7",
                                "9.765625E-4",
                                "634880.0",
                                "1e22",
                                "1e23",
                                "1e-22",
                                "1e-23",
                                "9007199254740992",
                                "9007199254740993",
                                "0.1",
                                "123456789012345678901234567890",
                                "1.7976931348623157e308",
                                "4.9e-324",
                                "1e-400",
                                "0.000000000000001e15",
                                "0.30000000000000000000000000000000000001",
                                "1000000000000000000000e-21"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        expect_double(good[i]);
    }
}

static void test_number_limits(void **state)
{
    (void)state;
    double value = 42;
    assert_int_equal(weir_json_parse_double(WEIR_BYTES("1e309"), &value), WEIR_ELIMIT);
    assert_int_equal(weir_json_parse_double(WEIR_BYTES("-1e999999999999"), &value), WEIR_ELIMIT);
    char digits[WEIR_JSON_NUMBER_MAX + 2];
    memset(digits, '0', sizeof(digits));
    digits[1] = '.';
    struct weir_bytes fits = weir_bytes_of(digits, WEIR_JSON_NUMBER_MAX);
    struct weir_bytes longer = weir_bytes_of(digits, WEIR_JSON_NUMBER_MAX + 1);
    assert_int_equal(weir_json_parse_double(longer, &value), WEIR_ELIMIT);
    assert_true(value == 42);
    assert_int_equal(weir_json_parse_double(fits, &value), WEIR_OK);
    assert_true(value == 0);
}

static void test_base64(void **state)
{
    (void)state;
    uint8_t text[] = "[\"Zm9v\",\"a\\/+\\/\",\"\", 1]";
    struct weir_json json;
    weir_json_init(&json, text, sizeof(text) - 1, 4);
    weir_json_array_begin(&json);
    assert_true(weir_json_element(&json));
    support_assert_bytes(weir_json_base64(&json), WEIR_BYTES("Zm9v"));
    assert_true(weir_json_element(&json));
    support_assert_bytes(weir_json_base64(&json), WEIR_BYTES("a/+/"));
    assert_true(weir_json_element(&json));
    assert_int_equal(weir_json_base64(&json).size, 0);
    assert_true(weir_json_element(&json));
    assert_int_equal(weir_json_base64(&json).size, 0);
    assert_string_equal(json.error, "expected a string");
    const char *const bad[] = {"\"", "\"abc", "\"ab\\", "\"ab\\\"", "\"ab\\x\"", "nope"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct guard copy = guard_copy(weir_bytes_str(bad[i]));
        weir_json_init(&json, copy.data, copy.size, 4);
        assert_int_equal(weir_json_base64(&json).size, 0);
        assert_int_equal(weir_json_finish(&json), WEIR_EMALFORMED);
        guard_free(&copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_values),
        cmocka_unit_test(test_bad_structure),
        cmocka_unit_test(test_bad_strings),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_specials_at_every_distance),
        cmocka_unit_test(test_members_and_elements),
        cmocka_unit_test(test_wrong_types_stick),
        cmocka_unit_test(test_unread_values_are_an_error),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_number_limits),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
