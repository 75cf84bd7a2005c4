/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a check of a key takes must not tell which key came near. A clock would be no test here,
 * so the comparison itself is counted: this program has a CRYPTO_memcmp of its own, which the room
 * is linked with instead of OpenSSL's.
 */
#include "weir/keys.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { KEYS = 5, DIGEST_SIZE = 32 };

static unsigned comparisons;
static unsigned equal_ones;
static size_t narrowest = SIZE_MAX;

/* as openssl/crypto.h has it */
int CRYPTO_memcmp(const void *a, const void *b, size_t size);

int CRYPTO_memcmp(const void *a, const void *b, size_t size)
{
    comparisons++;
    narrowest = size < narrowest ? size : narrowest;
    int differs = memcmp(a, b, size);
    equal_ones += differs == 0;
    return differs;
}

static const struct weir_key_spec specs[KEYS] = {
    {.name = "first", .key = WEIR_BYTES_INIT("key-0")},
    {.name = "second", .key = WEIR_BYTES_INIT("key-1")},
    {.name = "expired", .key = WEIR_BYTES_INIT("key-2"), .not_after_ns = 1},
    {.name = "again", .key = WEIR_BYTES_INIT("key-1")},
    {.name = "last", .key = WEIR_BYTES_INIT("a much longer key than all of the others")},
};

static enum weir_key_verdict check(const struct weir_keys *keys, const char *presented)
{
    uint32_t index = 0;
    comparisons = 0;
    equal_ones = 0;
    narrowest = SIZE_MAX;
    return weir_keys_check(keys, weir_bytes_str(presented), weir_bytes_of(NULL, 0), 100, &index);
}

static void test_every_key_is_compared_whatever_came(void **state)
{
    (void)state;
    static const struct {
        const char *presented;
        enum weir_key_verdict verdict;
        unsigned equal;
    } cases[] = {{"key-0", WEIR_KEY_OK, 1},
                 {"key-1", WEIR_KEY_OK, 2},
                 {"key-2", WEIR_KEY_EXPIRED, 1},
                 {"a much longer key than all of the others", WEIR_KEY_OK, 1},
                 {"key-3", WEIR_KEY_UNKNOWN, 0},
                 {"k", WEIR_KEY_UNKNOWN, 0},
                 {"key-00", WEIR_KEY_UNKNOWN, 0}};
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(specs, KEYS, &keys), WEIR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(check(keys, cases[i].presented), cases[i].verdict);
        assert_int_equal(comparisons, KEYS);
        assert_int_equal(equal_ones, cases[i].equal);
        assert_int_equal(narrowest, DIGEST_SIZE);
    }
    weir_keys_free(keys);
}

/* No key at all is no secret, and costs no digest. */
static void test_nothing_is_compared_with_nothing(void **state)
{
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(specs, KEYS, &keys), WEIR_OK);
    assert_int_equal(check(keys, ""), WEIR_KEY_ABSENT);
    assert_int_equal(comparisons, 0);
    weir_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_is_compared_whatever_came),
        cmocka_unit_test(test_nothing_is_compared_with_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
