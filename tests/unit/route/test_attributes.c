/* SPDX-License-Identifier: Apache-2.0 */
/* Common attributes: what Firehose sends, what is none of it, and the bounds on both sides. */
#include "weir/attributes.h"
#include "weir/buf.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guard.h"

static struct weir_attributes attributes;

/* From memory that ends where the text does. */
static enum weir_status read_bytes(struct weir_bytes text, struct guard *ret_memory)
{
    *ret_memory = guard_copy(text);
    attributes = (struct weir_attributes){.count = 77};
    enum weir_status status = weir_attributes_read(ret_memory->data, text.size, &attributes);
    if (status != WEIR_OK) {
        assert_int_equal(attributes.count, 77); /* untouched */
    }
    return status;
}

static enum weir_status status_of(struct weir_bytes text)
{
    struct guard memory;
    enum weir_status status = read_bytes(text, &memory);
    guard_free(&memory);
    return status;
}

static void check(uint32_t index, const char *name, const char *value)
{
    assert_true(index < attributes.count);
    assert_true(weir_bytes_eq(attributes.items[index].name, weir_bytes_str(name)));
    assert_true(weir_bytes_eq(attributes.items[index].value, weir_bytes_str(value)));
}

static void what_firehose_sends(void **state)
{
    (void)state;
    struct guard memory;
    assert_int_equal(read_bytes(WEIR_BYTES("{\"commonAttributes\":{\"p8s_logzio_name\":\"x\","
                                           "\"otlp_format\":\"1.0\"}}"),
                                &memory),
                     WEIR_OK);
    assert_int_equal(attributes.count, 2);
    check(0, "p8s_logzio_name", "x");
    check(1, "otlp_format", "1.0");
    const struct weir_bytes *value = weir_attributes_find(&attributes, WEIR_BYTES("otlp_format"));
    assert_non_null(value);
    assert_true(weir_bytes_eq(*value, WEIR_BYTES("1.0")));
    assert_null(weir_attributes_find(&attributes, WEIR_BYTES("OTLP_format")));
    assert_null(weir_attributes_find(&attributes, WEIR_BYTES("")));
    guard_free(&memory);
}

static void escapes_are_undone(void **state)
{
    (void)state;
    struct guard memory;
    assert_int_equal(
        read_bytes(WEIR_BYTES(" {\"x\":[1,{}],\"common\\u0041ttributes\" : { \"a\\\"b\" : "
                              "\"\\u00e4\\n\", \"c\":\"\" } } "),
                   &memory),
        WEIR_OK);
    assert_int_equal(attributes.count, 2);
    check(0, "a\"b", "\xc3\xa4\n");
    check(1, "c", "");
    guard_free(&memory);
}

static void none_at_all(void **state)
{
    (void)state;
    struct guard memory;
    static const char *const texts[] = {"{}", "{\"commonAttributes\":{}}", "{\"other\":{\"a\":1}}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(read_bytes(weir_bytes_str(texts[i]), &memory), WEIR_OK);
        assert_int_equal(attributes.count, 0);
        assert_null(weir_attributes_find(&attributes, WEIR_BYTES("a")));
        guard_free(&memory);
    }
}

static void damaged(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "x",
        "[]",
        "\"a\"",
        "null",
        "{",
        "{}}",
        "{\"commonAttributes\":null}",
        "{\"commonAttributes\":[]}",
        "{\"commonAttributes\":\"a\"}",
        "{\"commonAttributes\":{\"a\":1}}",
        "{\"commonAttributes\":{\"a\":null}}",
        "{\"commonAttributes\":{\"a\":{\"b\":\"c\"}}}",
        "{\"commonAttributes\":{\"a\":\"b\"}",
        "{\"commonAttributes\":{\"a\":\"b\",}}",
        "{\"commonAttributes\":{\"a\":\"b\"} \"c\":1}",
        "{\"commonAttributes\":{\"a\":\"b\"}}x",
        "{\"commonAttributes\":{\"\":\"b\"}}",
        "{\"commonAttributes\":{\"a\":\"b\",\"a\":\"b\"}}",
        "{\"commonAttributes\":{\"a\":\"b\",\"\\u0061\":\"c\"}}",
        "{\"commonAttributes\":{},\"commonAttributes\":{}}",
        "{\"commonAttributes\":{\"a\":\"\xff\"}}",
        "{\"commonAttributes\":{\"a\":\"\\ud800\"}}",
        "{\"commonAttributes\":{\"a\":\"\n\"}}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (status_of(weir_bytes_str(texts[i])) != WEIR_EMALFORMED) {
            fail_msg("not refused: %s", texts[i]);
        }
    }
    assert_int_equal(status_of(WEIR_BYTES("{\"x\":[[[[[[[[[]]]]]]]]]}")), WEIR_ELIMIT);
}

/* `count` attributes; names and values of so many characters, each of two bytes. */
static enum weir_status status_of_many(uint32_t count, size_t name, size_t value)
{
    struct weir_buf text = weir_buf_grow_init(1 << 20);
    weir_buf_printf(&text, "{\"commonAttributes\":{");
    for (uint32_t i = 0; i < count; i++) {
        weir_buf_printf(&text, "%s\"%02u", i == 0 ? "" : ",", (unsigned)i);
        for (size_t j = 2; j < name; j++) {
            weir_buf_put(&text, WEIR_BYTES("\xc3\xa4"));
        }
        weir_buf_put(&text, WEIR_BYTES("\":\""));
        for (size_t j = 0; j < value; j++) {
            weir_buf_put(&text, WEIR_BYTES("\xc3\xa4"));
        }
        weir_buf_put_byte(&text, '"');
    }
    weir_buf_printf(&text, "}}");
    assert_false(text.failed);
    enum weir_status status = status_of(weir_buf_view(&text));
    weir_buf_done(&text);
    return status;
}

static void bounds(void **state)
{
    (void)state;
    assert_int_equal(status_of_many(50, 256, 1024), WEIR_OK);
    assert_int_equal(status_of_many(51, 2, 1), WEIR_ELIMIT);
    assert_int_equal(status_of_many(1, 257, 1), WEIR_ELIMIT);
    assert_int_equal(status_of_many(1, 2, 1025), WEIR_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_firehose_sends),
        cmocka_unit_test(escapes_are_undone),
        cmocka_unit_test(none_at_all),
        cmocka_unit_test(damaged),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
