/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers against strtod, and strings against the writer of weir/buf.h. */
#include "support.h"
#include "weir/buf.h"
#include "weir/json.h"
#include "weir/utf8.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NUMBERS 100000
#define STRINGS 20000

static void check_text(const char *text)
{
    double expected = strtod(text, NULL);
    double value = 42;
    enum weir_status status = weir_json_parse_double(weir_bytes_str(text), &value);
    if (strlen(text) > WEIR_JSON_NUMBER_MAX || isinf(expected)) {
        assert_int_equal(status, WEIR_ELIMIT);
        return;
    }
    assert_int_equal(status, WEIR_OK);
    assert_memory_equal(&value, &expected, sizeof(value));
}

static double random_double(struct weir_rand *rand)
{
    uint64_t bits;
    double value;
    do {
        bits = weir_rand_u64(rand);
        memcpy(&value, &bits, sizeof(value));
    } while (!isfinite(value));
    return value;
}

static void test_any_double_in_any_format(void **state)
{
    (void)state;
    static const char *const formats[] = {"%.17g", "%.1f", "%.15g", "%.6E", "%.3f", "%.40g"};
    struct weir_rand rand = support_rand(3);
    char text[400];
    for (unsigned i = 0; i < NUMBERS; i++) {
        double value = random_double(&rand);
        double measured =
            (double)weir_rand_below(&rand, 100000000) / 64.0; /* as CloudWatch's are */
        uint64_t format = weir_rand_below(&rand, sizeof(formats) / sizeof(formats[0]));
        /* the formats are the constants above */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(text, sizeof(text), formats[format], value);
        check_text(text);
        (void)snprintf(text, sizeof(text), formats[format], measured);
        check_text(text);
#pragma GCC diagnostic pop
    }
}

/* Digits, a point somewhere, an exponent: what no printf would write. */
static void test_any_grammar(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(4);
    for (unsigned i = 0; i < NUMBERS; i++) {
        char digits[48];
        size_t size = 1 + weir_rand_below(&rand, 40);
        for (size_t j = 0; j < size; j++) {
            digits[j] = (char)('0' + weir_rand_below(&rand, 10));
        }
        digits[size] = '\0';
        digits[0] = digits[0] == '0' ? '1' : digits[0];
        size_t point = weir_rand_below(&rand, size);
        char text[160];
        int written = point == 0 ? snprintf(text, sizeof(text), "0.%s", digits)
                                 : snprintf(text, sizeof(text), "-%.*s.%s", (int)point, digits,
                                            digits + point);
        assert_true(written > 0);
        (void)snprintf(text + written, sizeof(text) - (size_t)written, "e%d",
                       (int)weir_rand_below(&rand, 100) - 50);
        check_text(text);
    }
}

static void test_integers(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(5);
    for (unsigned i = 0; i < NUMBERS; i++) {
        int64_t value = (int64_t)(weir_rand_u64(&rand) >> weir_rand_below(&rand, 64));
        char text[32];
        int size = snprintf(text, sizeof(text), "%lld", (long long)value);
        struct weir_json json;
        weir_json_init(&json, (uint8_t *)text, (size_t)size, 1);
        assert_true(weir_json_int64(&json) == value);
        assert_int_equal(weir_json_finish(&json), WEIR_OK);
        check_text(text);
    }
}

/* Random text, mostly made of what is hard, written by one module and read by the other. */
static void test_strings(void **state)
{
    (void)state;
    static const char *const pieces[] = {"plain ",  "\"",       "\\",           "\n",
                                         "\x01",    "\xc3\xa9", "\xe2\x80\xa8", "\xf0\x9f\x98\x80",
                                         "\\u0041", "/"};
    struct weir_rand rand = support_rand(6);
    for (unsigned i = 0; i < STRINGS; i++) {
        uint8_t memory[256];
        struct weir_buf text = weir_buf_fixed(memory, sizeof(memory));
        for (uint64_t j = weir_rand_below(&rand, 16); j > 0; j--) {
            uint64_t piece = weir_rand_below(&rand, sizeof(pieces) / sizeof(pieces[0]));
            weir_buf_put(&text, weir_bytes_str(pieces[piece]));
        }
        struct weir_buf quoted = weir_buf_grow_init(4096);
        weir_buf_put_json_string(&quoted, weir_buf_view(&text), 0);
        struct weir_json json;
        weir_json_init(&json, quoted.data, quoted.size, 1);
        struct weir_bytes back = weir_json_string(&json);
        assert_int_equal(weir_json_finish(&json), WEIR_OK);
        support_assert_bytes(back, weir_buf_view(&text));
        weir_buf_done(&quoted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_double_in_any_format),
        cmocka_unit_test(test_any_grammar),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
