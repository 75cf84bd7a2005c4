/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/otlp_check.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool valid(enum weir_otlp_shape shape, const char *hex)
{
    struct support_blob blob = support_hex(hex);
    bool is_valid = weir_otlp_check_message(shape, support_view(&blob));
    support_free(&blob);
    return is_valid;
}

static void test_empty_and_unknown_pass(void **state)
{
    (void)state;
    for (unsigned shape = 0; shape < WEIR_OTLP_SHAPES; shape++) {
        assert_true(valid((enum weir_otlp_shape)shape, ""));
        assert_true(valid((enum weir_otlp_shape)shape, "f8 07 01")); /* field 127 */
        assert_true(valid((enum weir_otlp_shape)shape, "fa ff ff ff 0f 00"));
    }
}

static void test_broken_wire_format(void **state)
{
    (void)state;
    for (unsigned shape = 0; shape < WEIR_OTLP_SHAPES; shape++) {
        assert_false(valid((enum weir_otlp_shape)shape, "80"));
        assert_false(valid((enum weir_otlp_shape)shape, "00 00"));
        assert_false(valid((enum weir_otlp_shape)shape, "fa 07 05 00"));
        assert_false(valid((enum weir_otlp_shape)shape, "fb 07 fc 07")); /* a group */
    }
}

struct sample {
    enum weir_otlp_shape shape;
    const char *good;
    const char *bad;
};

/* Each known field once with its type and once with another. */
static const struct sample samples[] = {
    {WEIR_OTLP_RESOURCE_METRICS, "0a 02 10 01", "0a 02 12 00"}, /* Resource within */
    {WEIR_OTLP_RESOURCE_METRICS, "12 00", "10 00"},
    {WEIR_OTLP_RESOURCE_METRICS, "1a 01 61", "1a 01 ff"}, /* schema_url */
    {WEIR_OTLP_RESOURCE, "0a 03 0a 01 6b", "0a 03 0a 01 ff"},
    {WEIR_OTLP_RESOURCE, "1a 00", "18 00"},
    {WEIR_OTLP_SCOPE_METRICS, "0a 02 0a 00", "0a 02 08 00"},
    {WEIR_OTLP_SCOPE, "12 01 31", "12 01 80"},
    {WEIR_OTLP_SCOPE, "20 01", "22 00"},
    {WEIR_OTLP_METRIC, "0a 01 6e", "0a 02 c0 80"}, /* overlong UTF-8 */
    {WEIR_OTLP_METRIC, "5a 00", "58 00"},
    {WEIR_OTLP_METRIC, "62 02 0a 00", "62 02 08 00"},
    {WEIR_OTLP_DATA_SUM, "10 01 18 01", "12 00"},
    {WEIR_OTLP_DATA_HISTOGRAM, "10 02", "11 0000000000000000"},
    {WEIR_OTLP_NUMBER_POINT, "21 0000000000000000", "20 00"},
    {WEIR_OTLP_NUMBER_POINT, "31 0000000000000000", "30 00"},
    {WEIR_OTLP_NUMBER_POINT, "2a 0b 3a 09 0a 01 6b 12 04 0a 02 61 62",
     "2a 0b 3a 09 0a 01 6b 12 04 0a 02 61 ff"}, /* an exemplar's attribute */
    {WEIR_OTLP_HISTOGRAM_POINT, "32 08 0000000000000000", "32 07 00000000000000"},
    {WEIR_OTLP_HISTOGRAM_POINT, "31 0000000000000000", "30 00"}, /* unpacked */
    {WEIR_OTLP_HISTOGRAM_POINT, "59 0000000000000000", "58 00"},
    {WEIR_OTLP_EXPONENTIAL_POINT, "0a 03 0a 01 6b", "0a 03 12 01 6b"},
    {WEIR_OTLP_EXPONENTIAL_POINT, "42 05 08 01 12 01 7f", "42 05 08 01 12 01 80"},
    {WEIR_OTLP_EXPONENTIAL_POINT, "42 04 10 01 10 01", "42 05 11 0000000000000000"},
    {WEIR_OTLP_EXPONENTIAL_POINT, "71 0000000000000000", "72 00"},
    {WEIR_OTLP_SUMMARY_POINT, "21 0000000000000000", "20 01"},
    {WEIR_OTLP_SUMMARY_POINT, "32 09 09 0000000000000000", "32 02 08 00"},
    {WEIR_OTLP_SUMMARY_POINT, "40 01", "42 00"},
    {WEIR_OTLP_LABEL, "0a 01 6b 12 01 76", "0a 01 6b 12 01 fe"},
};

static void test_known_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        print_message("sample %zu\n", i);
        assert_true(valid(samples[i].shape, samples[i].good));
        assert_false(valid(samples[i].shape, samples[i].bad));
    }
}

static void test_attributes_nest_only_so_deep(void **state)
{
    (void)state;
    uint8_t message[512];
    for (unsigned depth = 1; depth <= 40; depth++) {
        /* an array in an array ..., inside out: AnyValue { 5 ArrayValue { 1 AnyValue ... } } */
        size_t size = 0;
        for (unsigned i = 1; i < depth; i++) {
            memmove(message + 4, message, size);
            message[0] = 0x2A;
            message[1] = (uint8_t)(size + 2);
            message[2] = 0x0A;
            message[3] = (uint8_t)size;
            size += 4;
        }
        if (size > 120) {
            break;
        }
        memmove(message + 4, message, size);
        message[0] = 0x0A; /* Resource.attributes { 2 value } */
        message[1] = (uint8_t)(size + 2);
        message[2] = 0x12;
        message[3] = (uint8_t)size;
        assert_int_equal(
            weir_otlp_check_message(WEIR_OTLP_RESOURCE, weir_bytes_of(message, size + 4)),
            depth <= WEIR_OTLP_DEPTH_MAX);
    }
}

static void test_children(void **state)
{
    (void)state;
    assert_true(weir_otlp_check_is_child(WEIR_OTLP_RESOURCE_METRICS, 2));
    assert_true(weir_otlp_check_is_child(WEIR_OTLP_SCOPE_METRICS, 2));
    assert_true(weir_otlp_check_is_child(WEIR_OTLP_METRIC, 11));
    assert_true(weir_otlp_check_is_child(WEIR_OTLP_DATA_SUM, 1));
    assert_false(weir_otlp_check_is_child(WEIR_OTLP_METRIC, 4));
    assert_false(weir_otlp_check_is_child(WEIR_OTLP_METRIC, 12));
    assert_false(weir_otlp_check_is_child(WEIR_OTLP_METRIC, 1 << 28));
}

static void check_attribute(const char *hex, const char *expected)
{
    struct support_blob blob = support_hex(hex);
    struct weir_bytes value = WEIR_BYTES("untouched");
    bool found = weir_otlp_check_attribute(support_view(&blob), WEIR_BYTES("key"), &value);
    assert_int_equal(found, expected != NULL);
    support_assert_bytes(value, weir_bytes_str(expected == NULL ? "untouched" : expected));
    support_free(&blob);
}

static void test_attribute_values(void **state)
{
    (void)state;
    check_attribute("0a 03 6b6579 12 03 0a 01 76", "v");
    check_attribute("12 03 0a 01 76 0a 03 6b6579", "v"); /* the value first */
    check_attribute("0a 03 6b6579 12 02 0a 00", "");
    check_attribute("0a 03 6b6579 12 06 0a 01 75 0a 01 76", "v"); /* the last one counts */
    check_attribute("0a 03 6b657a 12 03 0a 01 76", NULL);
    check_attribute("0a 04 6b657979 12 03 0a 01 76", NULL);
    check_attribute("0a 03 6b6579 12 02 18 01", NULL); /* a number */
    check_attribute("0a 03 6b6579", NULL);
    check_attribute("", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_and_unknown_pass),
        cmocka_unit_test(test_broken_wire_format),
        cmocka_unit_test(test_known_fields),
        cmocka_unit_test(test_attributes_nest_only_so_deep),
        cmocka_unit_test(test_children),
        cmocka_unit_test(test_attribute_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
