/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: skipping the whole and reading the whole find the same error at the same place,
 * or none (but for numbers beyond the range); skipping rewrites nothing; a string that was
 * read is UTF-8. */
#include "../../tests/support/guard.h"
#include "weir/json.h"
#include "weir/utf8.h"

static void read_value(struct weir_json *json)
{
    switch (weir_json_peek(json)) {
    case WEIR_JSON_OBJECT: weir_json_object_begin(json); break;
    case WEIR_JSON_ARRAY: weir_json_array_begin(json); break;
    case WEIR_JSON_STRING: WEIR_ASSERT(weir_utf8_valid(weir_json_string(json))); break;
    case WEIR_JSON_NUMBER: (void)weir_json_double(json); break;
    case WEIR_JSON_TRUE:
    case WEIR_JSON_FALSE:
    case WEIR_JSON_NULL:
    case WEIR_JSON_END:
    default: weir_json_skip(json); break;
    }
}

/* Reads everything there is, value by value. */
static void read_all(struct weir_json *json)
{
    struct weir_bytes key;
    read_value(json);
    while (json->depth > 0 && json->error == NULL) {
        bool in_object = (json->object_bits >> (json->depth - 1) & 1) != 0;
        if (in_object ? weir_json_member(json, &key) : weir_json_element(json)) {
            read_value(json);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_bytes input = weir_bytes_of(data, size);
    struct guard skipped = guard_copy(input);
    struct guard copy = guard_copy(input);
    struct weir_json skip, read;
    weir_json_init(&skip, skipped.data, size, 32);
    weir_json_init(&read, copy.data, size, 32);
    weir_json_skip(&skip);
    read_all(&read);
    enum weir_status skip_status = weir_json_finish(&skip);
    enum weir_status status = weir_json_finish(&read);
    bool out_of_range = read.error != NULL && strstr(read.error, "range") != NULL;
    WEIR_ASSERT(out_of_range || skip_status == status);
    WEIR_ASSERT(out_of_range || skip.error_offset == read.error_offset);
    WEIR_ASSERT(weir_bytes_eq(guard_view(&skipped), input));
    guard_free(&skipped);
    guard_free(&copy);
    return 0;
}
