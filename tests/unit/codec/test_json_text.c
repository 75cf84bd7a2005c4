/* SPDX-License-Identifier: Apache-2.0 */
/* The short ways through strings: base64 undone on the way, and where plain text ends. */
#include "guard.h"
#include "support.h"
#include "weir/base64.h"
#include "weir/json.h"
#include "weir/json_plain.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_the_end_of_the_plain_part(void **state)
{
    (void)state;
    uint8_t text[50];
    for (size_t place = 0; place <= sizeof(text); place++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memset(text, 'x', sizeof(text));
            if (place < sizeof(text)) {
                text[place] = (uint8_t)byte;
            }
            struct guard copy = guard_copy(weir_bytes_of(text, sizeof(text)));
            const uint8_t *end = copy.data + copy.size;
            bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            assert_ptr_equal(weir_json_plain_end(copy.data, end), plain ? end : copy.data + place);
            guard_free(&copy);
        }
    }
}

/* Two bytes that are not plain, of all kinds, before and behind each other. */
static void test_the_first_of_two_ends(void **state)
{
    (void)state;
    static const uint8_t others[] = {'"', '\\', '\n', 0x1f, 0x80, 0xff};
    enum { OTHERS = sizeof(others), SIZE = 34 };
    uint8_t text[SIZE];
    for (size_t i = 0; i < (size_t)SIZE * SIZE * OTHERS * OTHERS; i++) {
        size_t one = i % SIZE;
        size_t two = i / SIZE % SIZE;
        memset(text, 'x', sizeof(text));
        text[one] = others[i / SIZE / SIZE % OTHERS];
        text[two] = others[i / SIZE / SIZE / OTHERS];
        assert_ptr_equal(weir_json_plain_end(text, text + SIZE), text + (one < two ? one : two));
    }
}

/* Reads `inside` as a base64 string twice: plainly and then decoded, and undone on the way. */
static void check_begun(struct weir_bytes inside, bool good)
{
    struct guard copies[2];
    struct weir_bytes views[2];
    enum weir_status statuses[2];
    size_t sizes[2] = {0, 0};
    for (unsigned i = 0; i < 2; i++) {
        uint8_t text[512] = {'"'};
        size_t taken = 0;
        struct weir_json json;
        assert_true(inside.size <= sizeof(text) - 2);
        memcpy(text + 1, inside.data, inside.size);
        text[1 + inside.size] = '"';
        copies[i] = guard_copy(weir_bytes_of(text, inside.size + 2));
        weir_json_init(&json, copies[i].data, copies[i].size, 4);
        views[i] = i == 0 ? weir_json_base64(&json) : weir_json_base64_begun(&json, &taken);
        assert_int_equal(weir_json_finish(&json), WEIR_OK);
        statuses[i] = weir_base64_decode_rest(copies[i].data + 1, views[i].size, taken, &sizes[i]);
    }
    assert_int_equal(views[0].size, views[1].size);
    assert_int_equal(statuses[0], good ? WEIR_OK : WEIR_EMALFORMED);
    assert_int_equal(statuses[1], statuses[0]);
    support_assert_bytes(weir_bytes_of(views[0].data, sizes[0]),
                         weir_bytes_of(views[1].data, sizes[1]));
    guard_free(&copies[0]);
    guard_free(&copies[1]);
}

static void test_base64_undone_on_the_way(void **state)
{
    (void)state;
    char text[300];
    for (size_t size = 0; size <= 200; size++) {
        memset(text, 'Q', sizeof(text));
        check_begun(weir_bytes_of(text, size), size % 4 == 0);
        memcpy(text + size, "\\/", 2); /* an escaped character, four characters behind it */
        check_begun(weir_bytes_of(text, size + 2 + 4), size % 4 == 3);
        memcpy(text + size, "Qg==", 4);
        check_begun(weir_bytes_of(text, size + 4), size % 4 == 0);
        memcpy(text + size, "Q*QQ", 4);
        check_begun(weir_bytes_of(text, size + 100), false);
        memcpy(text + size, "\xc3\xa9QQ", 4);
        check_begun(weir_bytes_of(text, size + 4), false);
    }
}

static void test_base64_without_an_end(void **state)
{
    (void)state;
    const char *const bad[] = {"", "\\", "\\\"", "\\x\"", "\\/"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[128] = {'"'};
        struct weir_json json;
        size_t taken = 42;
        memset(text + 1, 'Q', 64);
        memcpy(text + 65, bad[i], strlen(bad[i]));
        struct guard copy = guard_copy(weir_bytes_str(text));
        weir_json_init(&json, copy.data, copy.size, 4);
        assert_int_equal(weir_json_base64_begun(&json, &taken).size, 0);
        assert_int_equal(taken, 0);
        assert_int_equal(weir_json_finish(&json), WEIR_EMALFORMED);
        assert_int_equal(json.error_offset, 0);
        guard_free(&copy);
    }
}

/* What the caller may write over is in the sum; and a vector decoder takes all but its tail, piece
 * by piece. */
static void test_base64_is_summed(void **state)
{
    (void)state;
    enum { CHARACTERS = 20000 };
    static uint8_t text[CHARACTERS + 2];
    for (unsigned is_begun = 0; is_begun < 2; is_begun++) {
        size_t taken = 0;
        struct weir_json json;
        memset(text, 'Q', sizeof(text));
        bool is_vector = weir_base64_decode_blocks(text + 1, 0, CHARACTERS) > 0;
        memset(text, 'Q', sizeof(text));
        text[0] = '"';
        text[CHARACTERS + 1] = '"';
        uint32_t crc = weir_crc32(weir_bytes_of(text, sizeof(text)));
        struct weir_crc32_sum sum = {text, 0};
        weir_json_init(&json, text, sizeof(text), 4);
        json.sum = &sum;
        struct weir_bytes view =
            is_begun == 1 ? weir_json_base64_begun(&json, &taken) : weir_json_base64(&json);
        assert_int_equal(view.size, CHARACTERS);
        assert_true(sum.at >= view.data + view.size);
        assert_true(is_begun == 0 || !is_vector || CHARACTERS - taken < WEIR_BASE64_BLOCK_MAX);
        weir_crc32_sum_to(&sum, text + sizeof(text));
        assert_int_equal(sum.crc, crc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_end_of_the_plain_part),
        cmocka_unit_test(test_the_first_of_two_ends),
        cmocka_unit_test(test_base64_undone_on_the_way),
        cmocka_unit_test(test_base64_without_an_end),
        cmocka_unit_test(test_base64_is_summed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
