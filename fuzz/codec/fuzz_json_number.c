/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle: strtod, on a terminated copy; and the reader of integers where the text is one. */
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
    } else {
        WEIR_ASSERT(expected - expected != 0); /* infinite */
    }
    check_integer(copy, size);
    return 0;
}
