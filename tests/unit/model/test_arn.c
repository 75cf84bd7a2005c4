/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/arn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_delivery_stream(void **state)
{
    (void)state;
    struct weir_arn arn;
    assert_int_equal(
        weir_arn_parse(WEIR_BYTES("arn:aws-cn:firehose:cn-north-1:123456789012:deliverystream/a:b"),
                       &arn),
        WEIR_OK);
    assert_true(weir_bytes_eq(arn.partition, WEIR_BYTES("aws-cn")));
    assert_true(weir_bytes_eq(arn.service, WEIR_BYTES("firehose")));
    assert_true(weir_bytes_eq(arn.region, WEIR_BYTES("cn-north-1")));
    assert_true(weir_bytes_eq(arn.account, WEIR_BYTES("123456789012")));
    assert_true(weir_bytes_eq(arn.resource, WEIR_BYTES("deliverystream/a:b")));
}

static void test_region_and_account_may_be_empty(void **state)
{
    (void)state;
    struct weir_arn arn;
    assert_int_equal(weir_arn_parse(WEIR_BYTES("arn:aws:s3:::bucket"), &arn), WEIR_OK);
    assert_int_equal(arn.account.size, 0);
    assert_int_equal(arn.region.size, 0);
}

static void test_what_is_no_arn(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "arn",
                                      "arn:aws:firehose:us-east-1:123456789012",
                                      "arn:aws:firehose:us-east-1:123456789012:",
                                      "arn::firehose:us-east-1:123456789012:x",
                                      "arn:aws::us-east-1:123456789012:x",
                                      "urn:aws:firehose:us-east-1:123456789012:x",
                                      "arn:aws:firehose:us-east-1:12345678901x:x",
                                      "arn:aws:firehose:us east-1:123456789012:x",
                                      "arn:aws:firehose:us-east-1:123456789012:x\n"};
    struct weir_arn arn = {.partition = WEIR_BYTES("untouched")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(weir_arn_parse(weir_bytes_str(bad[i]), &arn), WEIR_EMALFORMED);
        assert_true(weir_bytes_eq(arn.partition, WEIR_BYTES("untouched")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivery_stream),
        cmocka_unit_test(test_region_and_account_may_be_empty),
        cmocka_unit_test(test_what_is_no_arn),
    };
    return cmocka_run_group_tests_name("arn", tests, NULL, NULL);
}
