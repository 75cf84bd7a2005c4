/* SPDX-License-Identifier: Apache-2.0 */
/* What of a body goes to the dead letter: whole records, and what is no metric in them. */
#include "fixture.h"
#include "support.h"
#include "weir/base64.h"
#include "weir/body.h"
#include "weir/buf.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LINE                                                                                       \
    "{\"metric_stream_name\":\"s\",\"account_id\":\"1\",\"region\":\"r\",\"namespace\":\"N\","     \
    "\"metric_name\":\"m\",\"dimensions\":{},\"timestamp\":1700000000000,"                         \
    "\"value\":{\"count\":1,\"sum\":2,\"max\":2,\"min\":2},\"unit\":\"Count\"}"

struct seen {
    struct weir_buf text; /* "index:reason:bytes;" of each piece */
    uint32_t count;
};

static void on_piece(void *argument, const struct weir_body_piece *piece)
{
    struct seen *seen = argument;
    assert_true(piece->whole.data >= piece->record.data);
    assert_true(piece->whole.data + piece->whole.size <= piece->record.data + piece->record.size);
    weir_buf_printf(&seen->text, "%u:%s:", piece->index, weir_quarantine_text(piece->reason));
    weir_buf_put(&seen->text, piece->whole);
    weir_buf_printf(&seen->text, ";");
    seen->count++;
}

static struct weir_buf body_of(const struct weir_bytes *records, size_t count)
{
    struct weir_buf body = weir_buf_grow_init((size_t)1 << 24);
    weir_buf_printf(&body, "{\"requestId\":\"a\",\"timestamp\":1,\"records\":[");
    for (size_t i = 0; i < count; i++) {
        weir_buf_printf(&body, "%s{\"data\":\"", i > 0 ? "," : "");
        size_t size = weir_base64_encoded_size(records[i].size);
        weir_base64_encode(records[i], weir_buf_reserve(&body, size));
        body.size += size;
        weir_buf_printf(&body, "\"}");
    }
    weir_buf_printf(&body, "]}");
    return body;
}

typedef enum weir_status visit_fn(struct weir_inflater *, struct weir_arena *, struct weir_bytes,
                                  const struct weir_body_options *,
                                  const struct weir_body_visitor *);

/* gzip or not, as the body's first byte says. */
static enum weir_status visit(visit_fn *function, struct weir_bytes body, struct seen *ret)
{
    const struct weir_body_options options = {.gzip = body.size > 0 && body.data[0] == 0x1F,
                                              .body_limit = (size_t)1 << 24,
                                              .limits = {100, (size_t)1 << 20, 32}};
    struct weir_inflater *inflater = NULL;
    struct fixture fixture;
    *ret = (struct seen){.text = weir_buf_grow_init((size_t)1 << 24)};
    const struct weir_body_visitor visitor = {on_piece, ret};
    assert_int_equal(weir_inflater_new(&inflater), WEIR_OK);
    fixture_open_bare(&fixture, (size_t)1 << 26);
    enum weir_status status = function(inflater, fixture.arena, body, &options, &visitor);
    fixture_close(&fixture);
    weir_inflater_free(inflater);
    return status;
}

static void expect(visit_fn *function, const struct weir_bytes *records, size_t count,
                   const char *expected)
{
    struct weir_buf body = body_of(records, count);
    struct seen seen;
    assert_int_equal(visit(function, weir_buf_view(&body), &seen), WEIR_OK);
    struct weir_bytes text = weir_buf_view(&seen.text);
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
    weir_buf_done(&seen.text);
    weir_buf_done(&body);
}

static void test_records_are_as_they_were_sent(void **state)
{
    (void)state;
    const struct weir_bytes records[] = {WEIR_BYTES("{\"a\":\"\\u0041\"}"), WEIR_BYTES(""),
                                         WEIR_BYTES("xyz")};
    expect(weir_body_records, records, 3,
           "0:not_a_metric:{\"a\":\"\\u0041\"};1:not_a_metric:;2:not_a_metric:xyz;");
}

/* A line whose strings were unescaped where they lie before it turned out to be none. */
static void test_quarantined_lines_are_pristine(void **state)
{
    (void)state;
    const struct weir_bytes records[] = {
        WEIR_BYTES(LINE "\n{\"namespace\":\"\\u0041\\u0042\"}\n" LINE "\n{\"a\":\"\\n\"\n"),
        WEIR_BYTES(LINE), WEIR_BYTES("{\"x\":\"\\u0043\"}")};
    expect(weir_body_quarantined, records, 3,
           "0:json_value:{\"namespace\":\"\\u0041\\u0042\"};0:json_line:{\"a\":\"\\n\";"
           "2:not_a_metric:{\"x\":\"\\u0043\"};");
}

static void test_nothing_is_shown_where_all_is_a_metric(void **state)
{
    (void)state;
    const struct weir_bytes records[] = {WEIR_BYTES(LINE "\n" LINE)};
    expect(weir_body_quarantined, records, 1, "");
}

static void test_all_are_shown_past_the_cap_of_the_list(void **state)
{
    (void)state;
    struct weir_buf record = weir_buf_grow_init((size_t)1 << 20);
    weir_buf_printf(&record, "{}\n");
    for (int i = 0; i < 10 * WEIR_QUARANTINED_KEPT; i++) {
        weir_buf_printf(&record, "no %d\n", i);
    }
    const struct weir_bytes view = weir_buf_view(&record);
    struct weir_buf body = body_of(&view, 1);
    struct seen seen;
    assert_int_equal(visit(weir_body_quarantined, weir_buf_view(&body), &seen), WEIR_OK);
    assert_int_equal(seen.count, 10 * WEIR_QUARANTINED_KEPT + 1);
    weir_buf_done(&seen.text);
    weir_buf_done(&body);
    weir_buf_done(&record);
}

static void test_damage_shows_no_record(void **state)
{
    (void)state;
    static const char *const damaged[] = {"", "{", "[]",
                                          "{\"records\":[{\"data\":\"e30=\"},{\"data\":\"e3\"}]}",
                                          "{\"records\":[{\"data\":\"e30=\"}]} x"};
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        struct seen seen;
        assert_int_equal(visit(weir_body_records, weir_bytes_str(damaged[i]), &seen),
                         WEIR_EMALFORMED);
        assert_int_equal(seen.count, 0);
        weir_buf_done(&seen.text);
        assert_int_equal(visit(weir_body_quarantined, weir_bytes_str(damaged[i]), &seen),
                         WEIR_EMALFORMED);
        assert_int_equal(seen.count, 0);
        weir_buf_done(&seen.text);
    }
}

/* What is wrong is the checksum alone: the records would decode. */
static void test_a_wrong_checksum_shows_no_record(void **state)
{
    (void)state;
    visit_fn *const functions[] = {weir_body_records, weir_body_quarantined};
    const struct weir_bytes records[] = {WEIR_BYTES("no metric"), WEIR_BYTES("{}")};
    struct weir_buf body = body_of(records, 2);
    struct weir_deflater *deflater = NULL;
    uint8_t packed[1024];
    size_t size = 0;
    assert_int_equal(weir_deflater_new(6, &deflater), WEIR_OK);
    assert_int_equal(
        weir_gzip_deflate(deflater, weir_buf_view(&body), packed, sizeof(packed), &size), WEIR_OK);
    for (size_t i = 0; i < 2 * sizeof(functions) / sizeof(functions[0]); i++) {
        bool is_wrong = i % 2 == 1;
        struct seen seen;
        packed[size - 8] ^= is_wrong;
        assert_int_equal(visit(functions[i / 2], weir_bytes_of(packed, size), &seen),
                         is_wrong ? WEIR_EMALFORMED : WEIR_OK);
        assert_int_equal(seen.count, is_wrong ? 0 : 2);
        packed[size - 8] ^= is_wrong;
        weir_buf_done(&seen.text);
    }
    weir_deflater_free(deflater);
    weir_buf_done(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_are_as_they_were_sent),
        cmocka_unit_test(test_quarantined_lines_are_pristine),
        cmocka_unit_test(test_nothing_is_shown_where_all_is_a_metric),
        cmocka_unit_test(test_all_are_shown_past_the_cap_of_the_list),
        cmocka_unit_test(test_damage_shows_no_record),
        cmocka_unit_test(test_a_wrong_checksum_shows_no_record),
    };
    return cmocka_run_group_tests_name("pieces", tests, NULL, NULL);
}
