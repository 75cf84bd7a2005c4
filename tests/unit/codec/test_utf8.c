/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"
#include "support.h"
#include "weir/utf8.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The same answer wherever the bytes lie in a longer ASCII text, and never a byte read past the
 * end. */
static void expect(struct weir_bytes text, bool valid)
{
    for (size_t before = 0; before < 18; before++) {
        uint8_t padded[64];
        memset(padded, 'a', sizeof(padded));
        memcpy(padded + before, text.data, text.size);
        struct guard tail = guard_copy(weir_bytes_of(padded, before + text.size));
        struct guard inside = guard_copy(weir_bytes_of(padded, before + text.size + 9));
        assert_int_equal(weir_utf8_valid(guard_view(&tail)), valid);
        assert_int_equal(weir_utf8_valid(guard_view(&inside)), valid);
        guard_free(&tail);
        guard_free(&inside);
    }
}

static void test_well_formed(void **state)
{
    (void)state;
    assert_true(weir_utf8_valid((struct weir_bytes){NULL, 0}));
    expect(WEIR_BYTES("plain"), true);
    expect(WEIR_BYTES("\0\x7f"), true);
    expect(WEIR_BYTES("\xc2\x80\xdf\xbf"), true);
    expect(WEIR_BYTES("\xe0\xa0\x80\xef\xbf\xbf"), true);
    expect(WEIR_BYTES("\xed\x9f\xbf\xee\x80\x80"), true);
    expect(WEIR_BYTES("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), true);
}

static void test_lone_and_cut(void **state)
{
    (void)state;
    expect(WEIR_BYTES("\x80"), false);
    expect(WEIR_BYTES("\xbf"), false);
    expect(WEIR_BYTES("\xc3"), false);
    expect(WEIR_BYTES("\xe2\x82"), false);
    expect(WEIR_BYTES("\xf0\x9f\x98"), false);
    expect(WEIR_BYTES("\xc3\xc3\xa9"), false);
    expect(WEIR_BYTES("\xe2\x28\xa1"), false);
    expect(WEIR_BYTES("\xe2\x82\x28"), false);
    expect(WEIR_BYTES("\xf0\x9f\x98\x28"), false);
}

static void test_overlong(void **state)
{
    (void)state;
    expect(WEIR_BYTES("\xc0\x80"), false);
    expect(WEIR_BYTES("\xc1\xbf"), false);
    expect(WEIR_BYTES("\xe0\x9f\xbf"), false);
    expect(WEIR_BYTES("\xf0\x8f\xbf\xbf"), false);
}

static void test_outside_of_unicode(void **state)
{
    (void)state;
    expect(WEIR_BYTES("\xed\xa0\x80"), false);
    expect(WEIR_BYTES("\xed\xbf\xbf"), false);
    expect(WEIR_BYTES("\xf4\x90\x80\x80"), false);
    expect(WEIR_BYTES("\xf5\x80\x80\x80"), false);
    expect(WEIR_BYTES("\xff"), false);
}

/* Table 3-7 written a second time, the slow way: decode, then look at what came out. */
static bool valid_pair_or_more(const uint8_t *text, size_t size)
{
    uint32_t lead = text[0];
    size_t want = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (want == 0 || lead > 0xF7 || want != size) {
        return false;
    }
    uint32_t point = want == 1 ? lead : lead & (0x7FU >> want);
    for (size_t i = 1; i < want; i++) {
        if (text[i] >> 6 != 2) {
            return false;
        }
        point = point << 6 | (text[i] & 0x3FU);
    }
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    return point >= least[want] && point <= 0x10FFFF && !(point >= 0xD800 && point <= 0xDFFF);
}

static void test_all_leads_and_second_bytes(void **state)
{
    (void)state;
    for (unsigned lead = 0x80; lead < 256; lead++) {
        for (unsigned second = 0; second < 256; second++) {
            uint8_t text[4] = {(uint8_t)lead, (uint8_t)second, 0x80, 0xBF};
            size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
            assert_int_equal(weir_utf8_valid(weir_bytes_of(text, size)),
                             valid_pair_or_more(text, size));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_lone_and_cut),
        cmocka_unit_test(test_overlong),
        cmocka_unit_test(test_outside_of_unicode),
        cmocka_unit_test(test_all_leads_and_second_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
