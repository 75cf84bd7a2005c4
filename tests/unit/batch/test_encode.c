/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "batch_fixture.h"
#include "support.h"

static struct batch_fixture fixture;

static int set_up(void **state)
{
    (void)state;
    batch_open(&fixture, (struct weir_buffer_hints){1 << 20, 1000, 0});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    batch_close(&fixture);
    return 0;
}

static struct weir_batch *closed(void)
{
    struct weir_batch *batch = weir_batcher_close(fixture.batcher, WEIR_BUFFER_FLUSH);
    assert_non_null(batch);
    return batch;
}

/* Closes, encodes, compares with hexadecimal text, releases. */
static void expect_bytes(const char *hex)
{
    struct weir_batch *batch = closed();
    struct weir_buf out = batch_bytes(batch);
    struct support_blob expected = support_hex(hex);
    support_assert_bytes(weir_buf_view(&out), support_view(&expected));
    support_free(&expected);
    weir_buf_done(&out);
    weir_batch_release(batch, fixture.pool);
}

static void test_golden_single_point(void **state)
{
    (void)state;
    struct fixture_request request = fixture_request(&fixture.base, "id", 0);
    struct weir_run *run = fixture_run(&request, "A", "R");
    fixture_point(&request, run, fixture_metric(run, "", "m"), 0x0102, 0);
    batch_add(&fixture, request, 0);
    expect_bytes("0a 17"      /* resource_metrics */
                 "  0a 01 52" /* resource "R" */
                 "  12 12"    /* scope_metrics, without a scope */
                 "    12 10"  /* metric */
                 "      0a 01 6d"
                 "      5a 0b 0a 09 19 02 01 00 00 00 00 00 00");
}

static void test_golden_groups(void **state)
{
    (void)state;
    struct fixture_request request = fixture_request(&fixture.base, "id", 0);
    struct weir_run *run = fixture_run(&request, "A", "R");
    struct weir_metric *gauge = fixture_metric(run, "S", "g");
    gauge->data = WEIR_METRIC_SUM;
    gauge->data_head = weir_bytes_of("\x10\x01", 2);
    gauge->hash = weir_metric_hash(gauge);
    fixture_point(&request, run, gauge, 1, 0);
    fixture_point(&request, run, fixture_metric(run, "S", "m"), 2, 0);
    fixture_point(&request, run, gauge, 3, 0);
    batch_add(&fixture, request, 0);
    expect_bytes("0a 39 0a 01 52"
                 "  12 34 0a 01 53"
                 "    12 1d 0a 01 67"
                 "      3a 18 10 01 0a 09 19 01 00 00 00 00 00 00 00"
                 "                  0a 09 19 03 00 00 00 00 00 00 00"
                 "    12 10 0a 01 6d"
                 "      5a 0b       0a 09 19 02 00 00 00 00 00 00 00");
}

static void test_info(void **state)
{
    (void)state;
    struct fixture_request request = fixture_single(&fixture.base, "A", 1, 0);
    request.origin->received_ns = 70;
    batch_add(&fixture, request, 100);
    request = fixture_single(&fixture.base, "A", 2, 0);
    request.origin->received_ns = 50;
    batch_add(&fixture, request, 101);
    struct weir_batch *batch = closed();
    struct weir_batch_info info = weir_batch_info(batch);
    assert_int_equal(info.points, 2);
    assert_int_equal(info.requests, 2);
    assert_true(info.opened_ns == 100);
    assert_true(info.oldest_received_ns == 50);
    assert_int_equal(info.trigger, WEIR_BUFFER_FLUSH);
    assert_string_equal(info.request_id, "request-1");
    assert_string_equal(info.stream, "stream");
    weir_batch_release(batch, fixture.pool);
}

static void test_long_ids_are_cut(void **state)
{
    (void)state;
    struct fixture_request request = fixture_single(&fixture.base, "A", 1, 0);
    static const char text[] =
        "0123456789012345678901234567890123456789012345678901234567890123456789";
    request.origin->request_id = weir_bytes_str(text);
    batch_add(&fixture, request, 0);
    struct weir_batch *batch = closed();
    struct weir_batch_info info = weir_batch_info(batch);
    assert_int_equal(strlen(info.request_id), 63);
    assert_memory_equal(info.request_id, text, 63);
    weir_batch_release(batch, fixture.pool);
}

static void test_run_without_origin(void **state)
{
    (void)state;
    struct fixture_request request = fixture_single(&fixture.base, "A", 1, 0);
    request.runs.runs[0].origin = NULL;
    batch_add(&fixture, request, 0);
    struct weir_batch *batch = closed();
    assert_string_equal(weir_batch_info(batch).request_id, "");
    weir_batch_release(batch, fixture.pool);
}

static void encode_into_too_little(void *argument)
{
    uint8_t memory[8];
    struct weir_buf out = weir_buf_fixed(memory, sizeof(memory));
    weir_batch_encode(argument, &out);
}

static void test_no_room_is_our_bug(void **state)
{
    (void)state;
    batch_add(&fixture, fixture_single(&fixture.base, "A", 1, 0), 0);
    struct weir_batch *batch = closed();
    assert_true(support_aborts(encode_into_too_little, batch));
    weir_batch_release(batch, fixture.pool);
}

static void test_released_batches_are_used_again_without_allocation(void **state)
{
    (void)state;
    uint64_t calls = 0;
    for (int i = 0; i < 5; i++) {
        struct fixture_request request = fixture_single(&fixture.base, "A", 1, 100);
        batch_retain(&request);
        calls = weir_mem_calls();
        uint32_t offset = 0;
        assert_int_equal(weir_batcher_add(fixture.batcher, &request.runs.runs[0], &offset, 0),
                         WEIR_OK);
        struct weir_batch *batch = closed();
        calls = weir_mem_calls() - calls;
        assert_int_equal(weir_batch_info(batch).points, 1);
        weir_batch_release(batch, fixture.pool);
        assert_true(i == 0 || calls == 0);
    }
    weir_batch_release(NULL, fixture.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_golden_single_point, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_golden_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_info, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_ids_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_run_without_origin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room_is_our_bug, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_released_batches_are_used_again_without_allocation,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
