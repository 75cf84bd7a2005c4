/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "guard.h"
#include "support.h"
#include "weir/buf.h"
#include "weir/file.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include "weir/source.h"
#include <stdlib.h>
#include <unistd.h>

static struct guard memory;
static struct weir_source source;

static void open_bytes(struct weir_bytes bytes, size_t offset)
{
    memory = guard_copy(bytes);
    weir_source_init(&source, memory.data, memory.size, offset);
}

static void open_text(const char *text)
{
    open_bytes(weir_bytes_str(text), 0);
}

static void close_it(void)
{
    weir_source_done(&source);
    guard_free(&memory);
}

static struct weir_source_item next(void)
{
    struct weir_source_item item;
    enum weir_status status = weir_source_next(&source, &item);
    if (status != WEIR_OK) {
        fail_msg("%s at %zu", source.error, source.error_offset);
    }
    return item;
}

static void assert_status(enum weir_status expected)
{
    struct weir_source_item item = {.offset = 77};
    assert_int_equal(weir_source_next(&source, &item), expected);
    assert_int_equal(item.offset, 77);
}

static void test_kinds_are_told_by_content(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum weir_source_kind kind;
    } rows[] = {
        {"", WEIR_SOURCE_EMPTY},
        {"{\"rawData\":\"eA==\"}\n", WEIR_SOURCE_LETTERS},
        {"\n\n {\"attemptsMade\":1,\"rawData\":\"eA==\"}", WEIR_SOURCE_LETTERS},
        {"{\"errorMessage\":\"a \"b\"\",\"rawData\":\"eA==\"}", WEIR_SOURCE_LETTERS},
        {"{\"requestId\":\"x\",\"timestamp\":1,\"records\":[]}", WEIR_SOURCE_BODY},
        {"{\"requestId\":\"x\",\n \"records\":[]}", WEIR_SOURCE_BODY},
        {"{\"metric_name\":\"records\",\"value\":{\"records\":1}}\n", WEIR_SOURCE_LINES},
        {"{\"metric_name\":\"x\",\"dimensions\":{\"rawData\":\"1\",\"errorMessage\":\"\"}}\n",
         WEIR_SOURCE_LINES},
        {"{\n \"requestId\":\"x\",\n \"records\":[]}", WEIR_SOURCE_BODY},
        {"{\n \"errorMessage\":\"a \"b\"\", \n \"rawData\":\"eA==\"\n}\n", WEIR_SOURCE_LETTERS},
        {"{broken", WEIR_SOURCE_LINES},
        {"\x02\x0a", WEIR_SOURCE_OTLP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_text(rows[i].text);
        if (source.kind != rows[i].kind) {
            fail_msg("%s: %d", rows[i].text, (int)source.kind);
        }
        close_it();
    }
}

static void test_letters_one_by_one(void **state)
{
    (void)state;
    open_text("{\"rawData\":\"eA==\",\"weir\":{\"destination\":\"d\",\"stream\":\"s\"}}\n"
              "not a line\n"
              "\n"
              "{\"rawData\":\"eXk=\"}");
    struct weir_source_item item = next();
    support_assert_bytes(item.data, WEIR_BYTES("x"));
    support_assert_bytes(item.destination, WEIR_BYTES("d"));
    support_assert_bytes(item.stream, WEIR_BYTES("s"));
    assert_int_equal(item.offset, 0);
    assert_status(WEIR_EMALFORMED);
    assert_int_equal(source.error_offset, item.end);
    item = next();
    support_assert_bytes(item.data, WEIR_BYTES("yy"));
    assert_int_equal(item.destination.size, 0);
    assert_int_equal(item.end, memory.size);
    assert_status(WEIR_EEND);
    close_it();
}

static void test_a_letter_on_several_lines(void **state)
{
    (void)state;
    open_text("{\n\t\"errorMessage\":\"a \"b\"\", \n\t\"rawData\":\"eA==\"\n}\n"
              "{\n\"rawData\":\"eA==\"\n}\n{\"rawData\":\"eXk=\"}\n");
    struct weir_source_item item = next();
    support_assert_bytes(item.data, WEIR_BYTES("x"));
    support_assert_bytes(item.message, WEIR_BYTES("a 'b'"));
    support_assert_bytes(next().data, WEIR_BYTES("x"));
    support_assert_bytes(next().data, WEIR_BYTES("yy"));
    assert_status(WEIR_EEND);
    close_it();
}

#define PART(id_, part_, parts_, data_)                                                            \
    "{\"rawData\":\"" data_ "\",\"weir\":{\"requestId\":\"" id_ "\",\"part\":" #part_              \
    ",\"parts\":" #parts_ ",\"body\":true,\"gzip\":true}}\n"

static void test_parts_are_put_together(void **state)
{
    (void)state;
    open_text(PART("a", 0, 3, "eA==") PART("a", 1, 3, "eXk=") PART("a", 2, 3, "enp6")
                  PART("b", 0, 1, "YQ=="));
    struct weir_source_item item = next();
    support_assert_bytes(item.data, WEIR_BYTES("xyyzzz"));
    assert_true(item.whole_body);
    assert_true(item.gzip);
    assert_int_equal(item.offset, 0);
    item = next();
    support_assert_bytes(item.data, WEIR_BYTES("a"));
    assert_status(WEIR_EEND);
    close_it();
}

static void test_missing_parts_cost_only_themselves(void **state)
{
    (void)state;
    open_text(PART("a", 0, 2, "eA==") PART("b", 0, 1, "YQ==") PART("c", 1, 2, "YQ==")
                  PART("d", 0, 2, "eA==") PART("e", 1, 2, "eA==") PART("f", 0, 1, "Yg=="));
    assert_status(WEIR_EMALFORMED); /* a: the next is b */
    assert_int_equal(source.error_offset, 0);
    support_assert_bytes(next().data, WEIR_BYTES("a"));
    assert_status(WEIR_EMALFORMED); /* c: no beginning */
    assert_status(WEIR_EMALFORMED); /* d */
    assert_status(WEIR_EMALFORMED); /* e */
    support_assert_bytes(next().data, WEIR_BYTES("b"));
    assert_status(WEIR_EEND);
    close_it();
}

static void test_a_file_that_is_being_written(void **state)
{
    (void)state;
    open_text("{\"rawData\":\"eA==\"}\n{\"rawData\":\"eXk");
    support_assert_bytes(next().data, WEIR_BYTES("x"));
    assert_status(WEIR_EAGAIN);
    assert_status(WEIR_EEND);
    close_it();
    open_text("{\"rawData\":\"eA==\"}\n" PART("a", 0, 2, "eA==") "{\"rawData\":\"eX");
    struct weir_source_id id = weir_source_identify(&source);
    size_t end = next().end;
    assert_status(WEIR_EAGAIN);
    assert_int_equal(source.position, end); /* the parts come again */
    assert_status(WEIR_EEND);
    close_it();
    open_bytes(
        WEIR_BYTES("{\"rawData\":\"eA==\"}\n" PART("a", 0, 2, "eA==") PART("a", 1, 2, "eA==")),
        end);
    struct weir_source_id again = weir_source_identify(&source);
    assert_memory_equal(&id, &again, sizeof id);
    support_assert_bytes(next().data, WEIR_BYTES("xx"));
    close_it();
}

static void test_lines_come_in_pieces(void **state)
{
    (void)state;
    struct weir_buf text = weir_buf_grow_init((size_t)8 << 20);
    for (int i = 0; i < 20000; i++) {
        weir_buf_printf(&text, "{\"metric_name\":\"m%d\"}\n", i);
    }
    open_bytes(weir_buf_view(&text), 0);
    size_t at = 0;
    while (at < text.size) {
        struct weir_source_item item = next();
        assert_int_equal(item.offset, at);
        assert_true(item.data.size <= WEIR_SOURCE_PIECE);
        assert_int_equal(item.data.data[item.data.size - 1], '\n');
        assert_int_equal(item.data.data[0], '{');
        at = item.end;
    }
    assert_status(WEIR_EEND);
    close_it();
    weir_buf_done(&text);
}

static void test_a_line_too_long_is_left_out(void **state)
{
    (void)state;
    struct weir_buf text = weir_buf_grow_init((size_t)8 << 20);
    weir_buf_put(&text, WEIR_BYTES("{\"a\":1}\n{\"b\":\""));
    uint8_t *room = weir_buf_reserve(&text, 1100000);
    memset(room, 'x', 1100000);
    text.size += 1100000;
    weir_buf_put(&text, WEIR_BYTES("\"}\n{\"c\":1}"));
    open_bytes(weir_buf_view(&text), 0);
    support_assert_bytes(next().data, WEIR_BYTES("{\"a\":1}\n"));
    assert_status(WEIR_EMALFORMED);
    support_assert_bytes(next().data, WEIR_BYTES("{\"c\":1}"));
    assert_status(WEIR_EEND);
    close_it();
    weir_buf_done(&text);
}

static void test_messages_whole_or_not_at_all(void **state)
{
    (void)state;
    open_bytes(WEIR_BYTES("\x02\x0a\x00\x00\x02\x0a\x00"), 0);
    assert_int_equal(next().data.size, 7);
    assert_status(WEIR_EEND);
    close_it();
    open_bytes(WEIR_BYTES("\x02\x0a\x00\x7f\x0a"), 0);
    assert_int_equal(next().data.size, 3);
    assert_status(WEIR_EMALFORMED);
    assert_status(WEIR_EEND);
    close_it();
    open_bytes(WEIR_BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 0);
    assert_status(WEIR_EMALFORMED);
    assert_status(WEIR_EEND);
    close_it();
}

static void test_a_body_is_one_piece(void **state)
{
    (void)state;
    open_text("{\"records\":[]}");
    struct weir_source_item item = next();
    assert_true(item.whole_body);
    assert_false(item.gzip);
    assert_int_equal(item.end, memory.size);
    assert_status(WEIR_EEND);
    close_it();
}

static void test_identity_is_of_the_content(void **state)
{
    (void)state;
    struct weir_source_id ids[4];
    static const char *const texts[] = {"{\"rawData\":\"eA==\"}\n",
                                        "{\"rawData\":\"eA==\"}\n{\"rawData\":\"\"}\n",
                                        "{\"rawData\":\"eB==\"}\n", "{\"a\":1}\n"};
    for (int i = 0; i < 4; i++) {
        open_text(texts[i]);
        ids[i] = weir_source_identify(&source);
        close_it();
    }
    assert_memory_equal(&ids[0], &ids[1], sizeof *ids);
    assert_memory_not_equal(&ids[0], &ids[2], sizeof *ids);
    assert_memory_not_equal(&ids[0], &ids[3], sizeof *ids);
}

static void test_gzip_is_sniffed(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-test-source-XXXXXX";
    int fd = mkstemp(path);
    struct weir_deflater *deflater = NULL;
    uint8_t packed[200];
    size_t one = 0;
    size_t two = 0;
    assert_int_equal(weir_deflater_new(6, &deflater), WEIR_OK);
    assert_int_equal(weir_gzip_deflate(deflater, WEIR_BYTES("{\"a\""), packed, 100, &one), WEIR_OK);
    assert_int_equal(weir_gzip_deflate(deflater, WEIR_BYTES(":1}\n"), packed + one, 100, &two),
                     WEIR_OK);
    weir_deflater_free(deflater);
    assert_int_equal(weir_file_write(fd, weir_bytes_of(packed, one + two)), WEIR_OK);
    uint8_t *data = NULL;
    size_t size = 0;
    assert_int_equal(weir_source_read(path, 100, &data, &size), WEIR_OK); /* both members */
    support_assert_bytes(weir_bytes_of(data, size), WEIR_BYTES("{\"a\":1}\n"));
    weir_mem_free(data);
    assert_int_equal(weir_source_read(path, 5, &data, &size), WEIR_ELIMIT);
    assert_int_equal(ftruncate(fd, (off_t)(one + two - 1)), 0);
    assert_int_equal(weir_source_read(path, 100, &data, &size), WEIR_EMALFORMED);
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(weir_source_read(path, 100, &data, &size), WEIR_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_are_told_by_content),
        cmocka_unit_test(test_letters_one_by_one),
        cmocka_unit_test(test_a_letter_on_several_lines),
        cmocka_unit_test(test_parts_are_put_together),
        cmocka_unit_test(test_missing_parts_cost_only_themselves),
        cmocka_unit_test(test_a_file_that_is_being_written),
        cmocka_unit_test(test_lines_come_in_pieces),
        cmocka_unit_test(test_a_line_too_long_is_left_out),
        cmocka_unit_test(test_messages_whole_or_not_at_all),
        cmocka_unit_test(test_a_body_is_one_piece),
        cmocka_unit_test(test_identity_is_of_the_content),
        cmocka_unit_test(test_gzip_is_sniffed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
