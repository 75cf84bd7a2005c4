/* SPDX-License-Identifier: Apache-2.0 */
/* Letters that a body's quarantined pieces become. */
#include "../../../src/pipeline/quarantine.h"

#include "flow.h"

/* Delimited: an empty message, one that is not well-formed, twice, and a length that does not
 * fit. */
#define BAD_MESSAGE "\x03\x0a\x05\x01"
#define BAD_FRAME   "\x7f\x0a\x01"

struct seen {
    struct weir_buf text; /* "reason:bytes;" of each letter */
    uint32_t count;
};

static void on_letter(void *self, const struct weir_letter *letter)
{
    struct seen *seen = self;
    assert_int_equal(letter->kind, WEIR_LETTER_RECORD);
    assert_string_equal(letter->destination, "");
    assert_true(letter->message[0] != '\0');
    assert_true(strlen(letter->request_id) < sizeof(letter->request_id));
    weir_buf_printf(&seen->text, "%s:", letter->reason);
    weir_buf_put(&seen->text, letter->payload);
    weir_buf_printf(&seen->text, ";");
    seen->count++;
}

static struct weir_bytes body_of(struct weir_bytes record)
{
    struct weir_buf buf = weir_buf_grow_init((size_t)1 << 24);
    weir_buf_printf(&buf, "{\"requestId\":\"a\",\"timestamp\":1,\"records\":[{\"data\":\"");
    size_t size = weir_base64_encoded_size(record.size);
    weir_base64_encode(record, weir_buf_reserve(&buf, size));
    buf.size += size;
    weir_buf_printf(&buf, "\"}]}");
    assert_false(buf.failed);
    return weir_buf_view(&buf);
}

static enum weir_status pieces(struct weir_bytes body, size_t budget, struct weir_bytes id,
                               struct seen *ret)
{
    struct weir_credit credit;
    struct weir_regions *regions = NULL;
    struct weir_arena *arena = NULL;
    struct weir_inflater *inflater = NULL;
    *ret = (struct seen){.text = weir_buf_grow_init((size_t)1 << 24)};
    weir_credit_init(&credit, budget);
    assert_int_equal(weir_regions_new((size_t)1 << 20, &regions), WEIR_OK);
    assert_int_equal(weir_inflater_new(&inflater), WEIR_OK);
    assert_int_equal(weir_arena_new(regions, weir_credit_budget(&credit), 0, &arena), WEIR_OK);
    const struct weir_quarantine_source source = {
        .inflater = inflater,
        .regions = regions,
        .budget = weir_credit_budget(&credit),
        .body = body,
        .options = {.body_limit = (size_t)8 << 20, .limits = {100, (size_t)8 << 20, 32}},
        .request_id = id};
    enum weir_status status =
        weir_quarantine_pieces(&source, arena, (struct weir_quarantine_sink){on_letter, ret});
    weir_arena_unref(arena, 0);
    assert_int_equal(weir_credit_used(&credit), 0);
    weir_inflater_free(inflater);
    weir_regions_free(regions);
    return status;
}

static void expect(struct weir_bytes record, struct weir_bytes expected)
{
    struct weir_bytes body = body_of(record);
    struct seen seen;
    assert_int_equal(pieces(body, (size_t)32 << 20, WEIR_BYTES("id"), &seen), WEIR_OK);
    support_assert_bytes(weir_buf_view(&seen.text), expected);
    weir_buf_done(&seen.text);
    weir_mem_free((void *)(uintptr_t)body.data);
}

static void test_neighbours_of_one_reason_are_one_letter(void **state)
{
    (void)state;
    expect(
        WEIR_BYTES("{\"a\":1}\n{\"b\":\"\\u0041\"}\n" FLOW_LINE("N", "M") "\n{\"c\":3}\n{bad\n{\n"
                                                                          "{\"d\":4}"),
        WEIR_BYTES("not_a_metric:{\"a\":1}\n{\"b\":\"\\u0041\"};not_a_metric:{\"c\":3};"
                   "json_line:{bad\n{;not_a_metric:{\"d\":4};"));
    expect(WEIR_BYTES(FLOW_LINE("N", "M")), WEIR_BYTES(""));
}

static void test_messages_keep_their_lengths(void **state)
{
    (void)state;
    expect(WEIR_BYTES(BAD_MESSAGE BAD_MESSAGE BAD_FRAME),
           WEIR_BYTES("otlp_message:" BAD_MESSAGE BAD_MESSAGE ";otlp_frame:" BAD_FRAME ";"));
}

static void test_what_is_joined_is_bounded(void **state)
{
    (void)state;
    struct weir_buf record = weir_buf_grow_init((size_t)4 << 20);
    while (record.size < 2 * WEIR_LETTER_DATA_MAX) {
        weir_buf_printf(&record, "{bad %0100d\n", 7);
    }
    struct weir_bytes body = body_of(weir_buf_view(&record));
    struct seen seen;
    assert_int_equal(pieces(body, (size_t)64 << 20, WEIR_BYTES("id"), &seen), WEIR_OK);
    assert_int_equal(seen.count, 3);
    weir_buf_done(&seen.text);
    weir_buf_done(&record);
    weir_mem_free((void *)(uintptr_t)body.data);
}

static void test_long_ids_are_cut(void **state)
{
    (void)state;
    struct weir_bytes body = body_of(WEIR_BYTES("{\"a\":1}"));
    static const char id[1000] = "x";
    struct seen seen;
    assert_int_equal(
        pieces(body, (size_t)32 << 20, weir_bytes_of((const uint8_t *)id, 1000), &seen), WEIR_OK);
    assert_int_equal(seen.count, 1);
    weir_buf_done(&seen.text);
    weir_mem_free((void *)(uintptr_t)body.data);
}

static void test_no_memory_and_damage_are_said(void **state)
{
    (void)state;
    struct weir_bytes body = body_of(WEIR_BYTES("{\"a\":1}"));
    struct seen seen;
    for (size_t budget = 0; budget < 64; budget += 4) {
        assert_int_equal(pieces(body, budget, WEIR_BYTES("id"), &seen), WEIR_EFULL);
        assert_int_equal(seen.count, 0);
        weir_buf_done(&seen.text);
    }
    assert_int_equal(
        pieces(weir_bytes_of(body.data, body.size - 1), (size_t)32 << 20, WEIR_BYTES("id"), &seen),
        WEIR_EMALFORMED);
    assert_int_equal(seen.count, 0);
    weir_buf_done(&seen.text);
    weir_mem_free((void *)(uintptr_t)body.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours_of_one_reason_are_one_letter),
        cmocka_unit_test(test_messages_keep_their_lengths),
        cmocka_unit_test(test_what_is_joined_is_bounded),
        cmocka_unit_test(test_long_ids_are_cut),
        cmocka_unit_test(test_no_memory_and_damage_are_said),
    };
    return cmocka_run_group_tests_name("quarantine", tests, NULL, NULL);
}
