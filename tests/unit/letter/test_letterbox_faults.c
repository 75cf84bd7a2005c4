/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "letter_fixture.h"
#include <errno.h>

enum { MANY = 8 };

/* Every call fails once, and from then on; then the disk crashes: whatever was promised is there,
 * exactly once, where nothing but one call failed. */
static unsigned lose_all(void *argument, unsigned options)
{
    (void)argument;
    (void)options;
    return 0;
}

static bool run_with_fault(struct simdisk_fault fault, bool evict)
{
    struct sent sent[MANY];
    size_t promised = 0;
    simdisk_set_fault(sim, fault);
    struct weir_letterbox_options options = {
        .disk = disk, .limit = 1 << 20, .evict = evict, .file_bytes = 3000, .wall_ns = wall};
    if (weir_letterbox_open(&options, &box) != WEIR_OK) {
        weir_disk_close(&disk);
        return true;
    }
    for (int i = 0; i < MANY; i++) {
        put(&sent[i], WEIR_LETTER_RECORD, of_size(1000));
        if (i % 3 == 2) {
            weir_letterbox_step(box);
        }
    }
    weir_letterbox_step(box);
    weir_letterbox_close(box);
    bool hit = sim->faults > 0;
    simdisk_set_fault(sim, (struct simdisk_fault){.at = 0});
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(sent[i].calls, 1);
        promised += sent[i].status == WEIR_OK ? 1 : 0;
        assert_true(sent[i].status == WEIR_OK || sent[i].status == WEIR_EIO ||
                    sent[i].status == WEIR_EFULL);
    }
    assert_true(fault.on || fault.error == 0 || promised == MANY || !hit);
    simdisk_crash(sim, (struct simdisk_choice){lose_all, NULL});
    assert_true(lines_on_disk() >= promised);
    assert_null(sim->breach);
    return hit;
}

static void test_every_call_fails(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EINTR, 0};
    for (size_t e = 0; e < 4; e++) {
        for (int on = 0; on < 2; on++) {
            bool hit = true;
            for (uint64_t n = 1; hit; n++) {
                assert_true(n < 1000);
                assert_int_equal(tear_down(state), 0);
                assert_int_equal(set_up(state), 0);
                hit = run_with_fault((struct simdisk_fault){n, errors[e], on == 1}, false);
            }
        }
    }
}

static void test_a_failed_sync_goes_to_a_new_file(void **state)
{
    (void)state;
    struct contents all;
    open_box(1 << 20, false, 0);
    assert_int_equal(send_one(WEIR_LETTER_RECORD, WEIR_BYTES("one")), WEIR_OK);
    simdisk_set_fault(sim, (struct simdisk_fault){.at = 2, .error = EIO}); /* write, sync */
    assert_int_equal(send_one(WEIR_LETTER_RECORD, WEIR_BYTES("two")), WEIR_OK);
    simdisk_set_fault(sim, (struct simdisk_fault){.at = 0});
    assert_false(weir_letterbox_look(box).failed);
    look(&all);
    assert_int_equal(all.count, 2);
    assert_int_equal(all.lines, 2); /* cut off the first file */
    weir_mem_free(all.data);
    simdisk_set_fault(sim, (struct simdisk_fault){.at = 2, .error = EIO, .on = true});
    assert_int_equal(send_one(WEIR_LETTER_RECORD, WEIR_BYTES("three")), WEIR_EIO);
    assert_true(weir_letterbox_look(box).failed);
    simdisk_set_fault(sim, (struct simdisk_fault){.at = 0});
    assert_int_equal(send_one(WEIR_LETTER_RECORD, WEIR_BYTES("four")), WEIR_OK);
    assert_false(weir_letterbox_look(box).failed);
    weir_letterbox_close(box);
}

#define TEST(name_) cmocka_unit_test_setup_teardown((name_), set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_call_fails),
        TEST(test_a_failed_sync_goes_to_a_new_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
