/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, durations and times: text to value and back. */
#include "../../../src/app/config_internal.h"
#include "support.h"
#include "weir/clock.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
    } good[] = {{"0", 0},         {"1", 1},          {"4096B", 4096},    {"64KiB", 65536},
                {"64kib", 65536}, {"3MiB", 3145728}, {"1GiB", 1u << 30}, {"3MB", 3000000},
                {"1KB", 1000},    {"007", 7}};
    static const char *const bad[] = {"",
                                      "MiB",
                                      "-1",
                                      "+1",
                                      "1.5MiB",
                                      "1 MiB",
                                      "1Mi",
                                      "1MiBx",
                                      "0x10",
                                      "1e3",
                                      "18446744073709551616",
                                      "16777216TiB"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        size_t size = 99;
        assert_null(weir_config_parse_size(weir_bytes_str(good[i].text), &size));
        assert_int_equal(size, good[i].size);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t size = 99;
        assert_non_null(weir_config_parse_size(weir_bytes_str(bad[i]), &size));
        assert_int_equal(size, 99);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"0", 0},
                {"0s", 0},
                {"100ms", 100 * WEIR_NS_PER_MS},
                {"60s", 60 * WEIR_NS_PER_S},
                {"5m", 300 * WEIR_NS_PER_S},
                {"3h", 10800 * WEIR_NS_PER_S},
                {"1d", 86400 * WEIR_NS_PER_S}};
    static const char *const bad[] = {"",      "s",   "60",  "-1s",     "1.5s",
                                      "1m30s", "1us", "1 s", "200000d", "99999999999999999999s"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ns = 99;
        assert_null(weir_config_parse_duration(weir_bytes_str(good[i].text), &ns));
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ns = 99;
        assert_non_null(weir_config_parse_duration(weir_bytes_str(bad[i]), &ns));
        assert_int_equal(ns, 99);
    }
}

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
        int64_t ns;
    } good[] = {{"1970-01-01T00:00:01Z", 1, 0},
                {"2024-02-29T12:00:00z", 1709208000, 0},
                {"2026-12-31 23:59:59.123456789Z", 1798761599, 123456789},
                {"2026-12-31T23:59:59.5+01:30", 1798756199, 500000000},
                {"2026-12-31T00:00:00-05:00", 1798693200, 0}};
    static const char *const bad[] = {
        "",
        "2026-12-31",
        "2026-12-31T00:00:00",
        "2026-12-31T00:00Z",
        "2026-12-31T24:00:00Z",
        "2026-12-31T00:00:60Z",
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00Z",
        "2262-01-01T00:00:00Z",
        "2026-12-31T00:00:00.Z",
        "2026-12-31T00:00:00.1234567890Z",
        "2026-12-31T00:00:00+0100",
        "2026-12-31T00:00:00Zx",
        "20261231T000000Z",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ns = 99;
        assert_null(weir_config_parse_time(weir_bytes_str(good[i].text), &ns));
        assert_int_equal(ns, good[i].seconds * WEIR_NS_PER_S + good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ns = 99;
        assert_non_null(weir_config_parse_time(weir_bytes_str(bad[i]), &ns));
        assert_int_equal(ns, 99);
    }
}

static void what_is_put_parses_back(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(7);
    for (int i = 0; i < 20000; i++) {
        char memory[64];
        struct weir_buf out = weir_buf_fixed(memory, sizeof memory);
        size_t size = (size_t)(weir_rand_u64(&rand) >> (weir_rand_below(&rand, 60) + 2));
        size_t size_back = 0;
        weir_config_put_size(&out, size);
        assert_null(weir_config_parse_size(weir_buf_view(&out), &size_back));
        assert_int_equal(size_back, size);
        int64_t ms = (int64_t)(weir_rand_u64(&rand) >> (weir_rand_below(&rand, 40) + 22));
        int64_t ns_back = 0;
        out.size = 0;
        weir_config_put_duration(&out, ms * WEIR_NS_PER_MS);
        assert_null(weir_config_parse_duration(weir_buf_view(&out), &ns_back));
        assert_int_equal(ns_back, ms * WEIR_NS_PER_MS);
        int64_t ns = (int64_t)weir_rand_below(&rand, UINT64_C(9000000000000000000)) + WEIR_NS_PER_S;
        out.size = 0;
        weir_config_put_time(&out, ns);
        assert_null(weir_config_parse_time(weir_buf_view(&out), &ns_back));
        assert_int_equal(ns_back, ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(times),
        cmocka_unit_test(what_is_put_parses_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
