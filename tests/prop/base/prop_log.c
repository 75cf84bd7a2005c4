/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of log lines, over random values made of what forges lines elsewhere: line ends of
 * every kind, quotes, escapes, control characters, what is no UTF-8, and pieces of our own lines.
 *   P1  one event is one line: its only line end is its last byte, in both formats
 *   P2  no byte of a line moves a terminal's cursor, ends a line elsewhere (U+0085, U+2028,
 *       U+2029), or is no UTF-8
 *   P3  the fields of a line are those that were given, in their order: no value makes another one
 */
#include "support.h"
#include "weir/buf.h"
#include "weir/json.h"
#include "weir/log.h"
#include "weir/utf8.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { EVENTS = 120, LINES = 10, FIELDS = 4, VALUE_MAX = 400, LINE_MAX_BYTES = 4096, MILD = 2 };

static const char *const names[FIELDS] = {"reason", "peer", "request_id", "message"};

/* A value in which anything may stand. */
static struct weir_bytes random_value(struct weir_rand *rand, uint8_t *memory)
{
    static const char *const pieces[] = {" ",
                                         "word",
                                         "\n",
                                         "\r",
                                         "\r\n",
                                         "\t",
                                         "\v",
                                         "\f",
                                         "\x1b[2J",
                                         "\x7f",
                                         "\"",
                                         "\\",
                                         "\\\"",
                                         "\xc2\x85",
                                         "\xc2\x9b",
                                         "\xe2\x80\xa8",
                                         "\xe2\x80\xa9",
                                         "\xe2\x80",
                                         "\xc0\x8a",
                                         "\xff",
                                         "\xed\xa0\x80",
                                         "\xf4\x90\x80\x80",
                                         "\xf0\x9f\x98\x80",
                                         "caf\xc3\xa9",
                                         "=",
                                         "\"}\n{\"event\":\"x\"",
                                         " level=error event=x",
                                         "\\u000a"};
    bool is_mild = weir_rand_below(rand, 4) == 0; /* words alone are written without quotes */
    size_t kinds = is_mild ? MILD : sizeof pieces / sizeof *pieces;
    size_t wanted = (size_t)weir_rand_below(rand, is_mild ? 64 : VALUE_MAX);
    size_t size = 0;
    while (size + 32 < wanted) {
        if (!is_mild && weir_rand_below(rand, 3) == 0) {
            memory[size++] = (uint8_t)weir_rand_below(rand, 256);
            continue;
        }
        const char *piece = pieces[weir_rand_below(rand, kinds)];
        memcpy(memory + size, piece, strlen(piece));
        size += strlen(piece);
    }
    return weir_bytes_of(memory, size);
}

/* Logs, and gives what was written to standard error. */
static size_t caught(const char *event, const struct weir_log_field *fields, uint8_t *line)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    weir_log_fields(WEIR_LOG_WARN, event, fields, FIELDS);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t size = read(ends[0], line, 2 * LINE_MAX_BYTES);
    close(ends[0]);
    assert_true(size > 0);
    return (size_t)size;
}

static void check_bytes(struct weir_bytes line)
{
    assert_true(line.size <= LINE_MAX_BYTES);
    assert_int_equal(line.data[line.size - 1], '\n');
    assert_true(weir_utf8_valid(line));
    for (size_t i = 0; i + 1 < line.size; i++) {
        const uint8_t *at = line.data + i;
        assert_true(at[0] >= 0x20 && at[0] != 0x7f);
        assert_false(at[0] == 0xc2 && at[1] < 0xa0);
        assert_false(at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9));
    }
}

static void check_json(struct weir_bytes line)
{
    static const char *const head[] = {"time", "level", "event"};
    static uint8_t copy[LINE_MAX_BYTES];
    memcpy(copy, line.data, line.size);
    struct weir_json json;
    weir_json_init(&json, copy, line.size, 2);
    weir_json_object_begin(&json);
    struct weir_bytes key;
    size_t members = 0;
    for (; weir_json_member(&json, &key); members++) {
        assert_true(members < 3 + FIELDS);
        support_assert_bytes(key, weir_bytes_str(members < 3 ? head[members] : names[members - 3]));
        (void)weir_json_string(&json);
    }
    assert_int_equal(weir_json_finish(&json), WEIR_OK);
    assert_int_equal(members, 3 + FIELDS);
}

/* Behind a word's or a quoted text's end. */
static const uint8_t *after_value(const uint8_t *at)
{
    if (*at != '"') {
        return at + strcspn((const char *)at, " \n");
    }
    for (at++; *at != '"'; at++) {
        at += *at == '\\';
    }
    return at + 1;
}

static void check_text(struct weir_bytes line)
{
    static uint8_t copy[LINE_MAX_BYTES + 1];
    memcpy(copy, line.data, line.size);
    copy[line.size] = '\0';
    const uint8_t *at = (const uint8_t *)strstr((const char *)copy, " reason=");
    for (size_t i = 0; i < FIELDS; i++) {
        assert_non_null(at);
        assert_int_equal(*at, ' ');
        assert_memory_equal(at + 1, names[i], strlen(names[i]));
        at += 1 + strlen(names[i]);
        assert_int_equal(*at, '=');
        at = after_value(at + 1);
    }
    assert_string_equal(at, "\n");
}

static void run(enum weir_log_format format, uint64_t seed)
{
    static uint8_t line[2 * LINE_MAX_BYTES];
    static uint8_t memory[FIELDS][VALUE_MAX];
    struct weir_rand rand = support_rand(seed);
    weir_log_configure(WEIR_LOG_INFO, format);
    for (unsigned i = 0; i < EVENTS * LINES; i++) {
        char event[32]; /* each name has an allowance of its own */
        (void)snprintf(event, sizeof event, "event %d %u", (int)format, i / LINES);
        struct weir_log_field fields[FIELDS];
        for (size_t k = 0; k < FIELDS; k++) {
            fields[k] = WEIR_LOG_TEXTF(names[k], random_value(&rand, memory[k]));
        }
        struct weir_bytes written = weir_bytes_of(line, caught(event, fields, line));
        check_bytes(written);
        if (format == WEIR_LOG_JSON) {
            check_json(written);
        } else {
            check_text(written);
        }
    }
    weir_log_configure(WEIR_LOG_INFO, WEIR_LOG_JSON);
}

static void test_one_event_is_one_line_of_json(void **state)
{
    (void)state;
    run(WEIR_LOG_JSON, 19);
}

static void test_one_event_is_one_line_of_text(void **state)
{
    (void)state;
    run(WEIR_LOG_TEXT, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_event_is_one_line_of_json),
        cmocka_unit_test(test_one_event_is_one_line_of_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
