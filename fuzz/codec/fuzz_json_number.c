/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: strtod, also inside a text that goes on; the reader of integers where it is one. */
#include "weir/json.h"
#include "weir/panic.h"
#include <errno.h>
#include <stdlib.h>

static void check_integer(char *text, size_t size)
{
    char *end;
    errno = 0;
    long long expected = strtoll(text, &end, 10);
    bool fits = errno == 0 && end == text + size;
    struct weir_json json;
    weir_json_init(&json, (uint8_t *)text, size, 1);
    int64_t value = weir_json_int64(&json);
    WEIR_ASSERT((json.error == NULL) == fits);
    WEIR_ASSERT(!fits || value == expected);
}

/* As it stands in a line, where there are more bytes to read at once than the number has. */
static void check_in_text(const char *text, size_t size, double expected)
{
    static const char *const behind[] = {"", ",", "}\n{", ",\"min\":0.25000000000000000000000"};
    uint8_t whole[WEIR_JSON_NUMBER_MAX + 64] = {0};
    memcpy(whole, text, size);
    for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
        size_t more = strlen(behind[i]);
        double value = 42;
        memcpy(whole + size, behind[i], more);
        WEIR_ASSERT(weir_json_take_double(whole, whole + size + more, &value) == whole + size);
        WEIR_ASSERT(memcmp(&expected, &value, sizeof(value)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char copy[WEIR_JSON_NUMBER_MAX + 1] = {0};
    double value = 42;
    enum weir_status status = weir_json_parse_double(weir_bytes_of(data, size), &value);
    WEIR_ASSERT(status == WEIR_OK || value == 42);
    WEIR_ASSERT(status != WEIR_OK || size <= WEIR_JSON_NUMBER_MAX);
    if (status == WEIR_EMALFORMED || size > WEIR_JSON_NUMBER_MAX) {
        return 0;
    }
    memcpy(copy, data, size);
    char *end;
    double expected = strtod(copy, &end);
    WEIR_ASSERT(end == copy + size);
    if (status == WEIR_OK) {
        WEIR_ASSERT(memcmp(&expected, &value, sizeof(value)) == 0);
        check_in_text(copy, size, expected);
    } else {
        WEIR_ASSERT(expected - expected != 0); /* infinite */
    }
    check_integer(copy, size);
    return 0;
}
