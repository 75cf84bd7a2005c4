/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* FIPS 180-2, appendix B.1, and the digest of nothing. */
static void test_known_digests(void **state)
{
    (void)state;
    static const char *const known[][2] = {
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct weir_digest digest;
        char text[WEIR_DIGEST_TEXT_SIZE];
        assert_int_equal(weir_digest_of(weir_bytes_str(known[i][0]), &digest), WEIR_OK);
        weir_digest_text(&digest, text);
        assert_string_equal(text, known[i][1]);
    }
}

static void test_one_bit_makes_another(void **state)
{
    (void)state;
    struct weir_digest one;
    struct weir_digest other;
    assert_int_equal(weir_digest_of(WEIR_BYTES("abc"), &one), WEIR_OK);
    assert_int_equal(weir_digest_of(WEIR_BYTES("abb"), &other), WEIR_OK);
    assert_memory_not_equal(one.bytes, other.bytes, WEIR_DIGEST_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_digests),
        cmocka_unit_test(test_one_bit_makes_another),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
