/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/keys.h"

#include <openssl/evp.h> /* tidy: allow third-party -- takes its MACs away */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ANY_ACCOUNT WEIR_BYTES("123456789012")

static const char *const two_accounts[] = {"111111111111", "222222222222", NULL};

static struct weir_keys *keys_of(const struct weir_key_spec *specs, size_t count)
{
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(specs, count, &keys), WEIR_OK);
    return keys;
}

static void test_no_keys_let_nobody_in(void **state)
{
    (void)state;
    struct weir_keys *keys = keys_of(NULL, 0);
    uint32_t index = 99;
    assert_int_equal(weir_keys_check(keys, WEIR_BYTES("x"), ANY_ACCOUNT, 1, &index),
                     WEIR_KEY_UNKNOWN);
    assert_int_equal(weir_keys_check(keys, WEIR_BYTES(""), ANY_ACCOUNT, 1, &index),
                     WEIR_KEY_ABSENT);
    assert_int_equal(index, 99);
    weir_keys_free(keys);
}

static void test_near_misses_are_unknown(void **state)
{
    (void)state;
    const struct weir_key_spec spec = {.name = "a", .key = WEIR_BYTES_INIT("secret-key")};
    struct weir_keys *keys = keys_of(&spec, 1);
    static const char *const wrong[] = {"secret-ke",  "secret-key ", "Secret-key",
                                        "secret-kez", "s",           "secret-key\n"};
    uint32_t index = 0;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(weir_keys_check(keys, weir_bytes_str(wrong[i]), ANY_ACCOUNT, 1, &index),
                         WEIR_KEY_UNKNOWN);
    }
    assert_int_equal(weir_keys_check(keys, WEIR_BYTES("secret-key"), ANY_ACCOUNT, 1, &index),
                     WEIR_KEY_OK);
    assert_string_equal(weir_keys_name(keys, index), "a");
    weir_keys_free(keys);
}

static void test_too_long_a_key_is_unknown(void **state)
{
    (void)state;
    static uint8_t longest[WEIR_KEY_SIZE_MAX + 1];
    memset(longest, 'k', sizeof(longest));
    const struct weir_key_spec spec = {.name = "a", .key = {longest, WEIR_KEY_SIZE_MAX}};
    struct weir_keys *keys = keys_of(&spec, 1);
    uint32_t index;
    assert_int_equal(
        weir_keys_check(keys, weir_bytes_of(longest, sizeof(longest)), ANY_ACCOUNT, 1, &index),
        WEIR_KEY_UNKNOWN);
    assert_int_equal(
        weir_keys_check(keys, weir_bytes_of(longest, WEIR_KEY_SIZE_MAX), ANY_ACCOUNT, 1, &index),
        WEIR_KEY_OK);
    weir_keys_free(keys);
}

static void test_times_are_exact_at_their_edges(void **state)
{
    (void)state;
    const struct weir_key_spec spec = {
        .name = "a", .key = WEIR_BYTES_INIT("k"), .not_before_ns = 100, .not_after_ns = 200};
    struct weir_keys *keys = keys_of(&spec, 1);
    uint32_t index;
    struct weir_bytes k = WEIR_BYTES("k");
    assert_int_equal(weir_keys_check(keys, k, ANY_ACCOUNT, 99, &index), WEIR_KEY_NOT_YET);
    assert_int_equal(weir_keys_check(keys, k, ANY_ACCOUNT, 100, &index), WEIR_KEY_OK);
    assert_int_equal(weir_keys_check(keys, k, ANY_ACCOUNT, 199, &index), WEIR_KEY_OK);
    assert_int_equal(weir_keys_check(keys, k, ANY_ACCOUNT, 200, &index), WEIR_KEY_EXPIRED);
    weir_keys_free(keys);
}

static void test_accounts_are_held_to(void **state)
{
    (void)state;
    const struct weir_key_spec spec = {
        .name = "a", .key = WEIR_BYTES_INIT("k"), .accounts = two_accounts};
    struct weir_keys *keys = keys_of(&spec, 1);
    uint32_t index;
    struct weir_bytes k = WEIR_BYTES("k");
    assert_int_equal(weir_keys_check(keys, k, WEIR_BYTES("222222222222"), 1, &index), WEIR_KEY_OK);
    assert_int_equal(weir_keys_check(keys, k, ANY_ACCOUNT, 1, &index), WEIR_KEY_ACCOUNT);
    assert_int_equal(weir_keys_check(keys, k, WEIR_BYTES(""), 1, &index), WEIR_KEY_ACCOUNT);
    assert_int_equal(weir_keys_check(keys, k, WEIR_BYTES("22222222222"), 1, &index),
                     WEIR_KEY_ACCOUNT);
    weir_keys_free(keys);
}

static void test_one_key_under_two_names_takes_the_valid_one(void **state)
{
    (void)state;
    const struct weir_key_spec specs[] = {
        {.name = "old", .key = WEIR_BYTES_INIT("k"), .not_after_ns = 50},
        {.name = "new", .key = WEIR_BYTES_INIT("k")}};
    struct weir_keys *keys = keys_of(specs, 2);
    uint32_t index = 9;
    assert_int_equal(weir_keys_check(keys, WEIR_BYTES("k"), ANY_ACCOUNT, 60, &index), WEIR_KEY_OK);
    assert_string_equal(weir_keys_name(keys, index), "new");
    weir_keys_free(keys);
}

static void test_bad_specs_are_refused(void **state)
{
    (void)state;
    struct weir_keys *keys = NULL;
    static uint8_t big[WEIR_KEY_SIZE_MAX + 1];
    const struct weir_key_spec empty = {.name = "a", .key = WEIR_BYTES_INIT("")};
    const struct weir_key_spec nameless = {.name = NULL, .key = WEIR_BYTES_INIT("k")};
    const struct weir_key_spec large = {.name = "a", .key = {big, sizeof(big)}};
    const struct weir_key_spec twice[] = {{.name = "a", .key = WEIR_BYTES_INIT("k")},
                                          {.name = "a", .key = WEIR_BYTES_INIT("l")}};
    assert_int_equal(weir_keys_new(&empty, 1, &keys), WEIR_EINVAL);
    assert_int_equal(weir_keys_new(&nameless, 1, &keys), WEIR_EINVAL);
    assert_int_equal(weir_keys_new(&large, 1, &keys), WEIR_EINVAL);
    assert_int_equal(weir_keys_new(twice, 2, &keys), WEIR_EINVAL);
    assert_int_equal(weir_keys_new(&empty, WEIR_KEYS_MAX + 1, &keys), WEIR_EINVAL);
    assert_null(keys);
}

/* As where memory is out, or the system's OpenSSL is made to allow something else. */
static void test_without_a_mac_there_are_no_keys(void **state)
{
    (void)state;
    const struct weir_key_spec spec = {.name = "a", .key = WEIR_BYTES_INIT("secret-key")};
    struct weir_keys *keys = NULL;
    assert_int_equal(EVP_set_default_properties(NULL, "provider=none"), 1);
    assert_int_equal(weir_keys_new(&spec, 1, &keys), WEIR_ENOMEM);
    assert_null(keys);
    assert_int_equal(EVP_set_default_properties(NULL, ""), 1);
    keys = keys_of(&spec, 1);
    weir_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_mac_there_are_no_keys),
        cmocka_unit_test(test_no_keys_let_nobody_in),
        cmocka_unit_test(test_near_misses_are_unknown),
        cmocka_unit_test(test_too_long_a_key_is_unknown),
        cmocka_unit_test(test_times_are_exact_at_their_edges),
        cmocka_unit_test(test_accounts_are_held_to),
        cmocka_unit_test(test_one_key_under_two_names_takes_the_valid_one),
        cmocka_unit_test(test_bad_specs_are_refused),
    };
    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
