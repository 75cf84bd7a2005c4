/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/bearer.h"
#include "weir/bytes.h"
#include "weir/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND WEIR_NS_PER_S

static char path[] = "/tmp/weir-bearer-XXXXXX";

/* In place of the file that is there, at once. */
static void replace(const char *text, size_t size)
{
    char other[sizeof(path) + 4];
    (void)snprintf(other, sizeof(other), "%s.new", path);
    FILE *file = fopen(other, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(other, path), 0);
}

static struct weir_bearer *bearer_open(void)
{
    struct weir_bearer *bearer;
    assert_int_equal(weir_bearer_new(path, &bearer), WEIR_OK);
    return bearer;
}

static void expect(const char *text, const char *header, const char *trouble)
{
    replace(text, strlen(text));
    struct weir_bearer *bearer = bearer_open();
    const char *is = weir_bearer_header(bearer, 0);
    if (header == NULL) {
        assert_null(is);
        assert_non_null(strstr(weir_bearer_trouble(bearer), trouble));
        assert_non_null(strstr(weir_bearer_trouble(bearer), path));
    } else {
        assert_non_null(is);
        assert_string_equal(is, header);
        assert_string_equal(weir_bearer_trouble(bearer), "");
    }
    weir_bearer_free(bearer);
}

static void what_stands_around_a_token_is_cut_off(void **state)
{
    (void)state;
    expect("T", "Authorization: Bearer T", "");
    expect(" \r\n eyJ.a-b_c==\r\n\n", "Authorization: Bearer eyJ.a-b_c==", "");
}

static void what_is_no_token_is_not_sent(void **state)
{
    (void)state;
    expect("", NULL, "is empty");
    expect(" \n", NULL, "is empty");
    expect("two words", NULL, "one token");
    expect("two\nlines", NULL, "one token");
    expect("T\r\nX-Evil: 1", NULL, "one token");
    expect("\xC3\xA4", NULL, "one token");
    expect("T\x7F", NULL, "one token");
}

static void a_zero_byte_or_too_much_is_no_token(void **state)
{
    (void)state;
    static char text[(32 << 10) + 1];
    struct weir_bearer *bearer = bearer_open();
    replace("T\0U", 3);
    assert_null(weir_bearer_header(bearer, 0));
    memset(text, 'T', sizeof(text));
    replace(text, sizeof(text));
    assert_null(weir_bearer_header(bearer, SECOND));
    assert_non_null(strstr(weir_bearer_trouble(bearer), "too long"));
    assert_null(strstr(weir_bearer_trouble(bearer), "TT"));
    replace(text, sizeof(text) - 1);
    assert_non_null(weir_bearer_header(bearer, 2 * SECOND));
    weir_bearer_free(bearer);
}

static void a_change_is_seen_but_not_looked_for_all_the_time(void **state)
{
    (void)state;
    replace("T1", 2);
    struct weir_bearer *bearer = bearer_open();
    assert_string_equal(weir_bearer_header(bearer, 0), "Authorization: Bearer T1");
    replace("T2", 2);
    assert_string_equal(weir_bearer_header(bearer, SECOND - 1), "Authorization: Bearer T1");
    assert_string_equal(weir_bearer_header(bearer, SECOND), "Authorization: Bearer T2");
    weir_bearer_free(bearer);
}

static void a_file_that_goes_or_breaks_changes_nothing(void **state)
{
    (void)state;
    replace("T1", 2);
    struct weir_bearer *bearer = bearer_open();
    assert_non_null(weir_bearer_header(bearer, 0));
    assert_int_equal(unlink(path), 0);
    assert_string_equal(weir_bearer_header(bearer, SECOND), "Authorization: Bearer T1");
    assert_string_not_equal(weir_bearer_trouble(bearer), "");
    replace("", 0);
    assert_string_equal(weir_bearer_header(bearer, 2 * SECOND), "Authorization: Bearer T1");
    assert_non_null(strstr(weir_bearer_trouble(bearer), "empty"));
    replace("T2\n", 3);
    assert_string_equal(weir_bearer_header(bearer, 3 * SECOND), "Authorization: Bearer T2");
    assert_string_equal(weir_bearer_trouble(bearer), "");
    weir_bearer_free(bearer);
}

static void a_file_may_come_later(void **state)
{
    (void)state;
    (void)unlink(path);
    struct weir_bearer *bearer = bearer_open();
    assert_null(weir_bearer_header(bearer, 0));
    assert_string_not_equal(weir_bearer_trouble(bearer), "");
    assert_false(weir_bearer_rejected(bearer, "Authorization: Bearer T", SECOND / 2));
    replace("T1", 2);
    assert_null(weir_bearer_header(bearer, SECOND / 2));
    assert_non_null(weir_bearer_header(bearer, SECOND));
    weir_bearer_free(bearer);
}

static void a_rejection_is_worth_a_try_only_with_another_token(void **state)
{
    (void)state;
    replace("T1", 2);
    struct weir_bearer *bearer = bearer_open();
    assert_non_null(weir_bearer_header(bearer, 0));
    assert_false(weir_bearer_rejected(bearer, "Authorization: Bearer T1", SECOND));
    replace("T2", 2);
    assert_false(weir_bearer_rejected(bearer, "Authorization: Bearer T1", SECOND));
    assert_true(weir_bearer_rejected(bearer, "Authorization: Bearer T1", 2 * SECOND));
    assert_false(weir_bearer_rejected(bearer, "Authorization: Bearer T2", 3 * SECOND));
    weir_bearer_free(bearer);
}

int main(void)
{
    close(mkstemp(path));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_around_a_token_is_cut_off),
        cmocka_unit_test(what_is_no_token_is_not_sent),
        cmocka_unit_test(a_zero_byte_or_too_much_is_no_token),
        cmocka_unit_test(a_change_is_seen_but_not_looked_for_all_the_time),
        cmocka_unit_test(a_file_that_goes_or_breaks_changes_nothing),
        cmocka_unit_test(a_file_may_come_later),
        cmocka_unit_test(a_rejection_is_worth_a_try_only_with_another_token),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    return failed;
}
