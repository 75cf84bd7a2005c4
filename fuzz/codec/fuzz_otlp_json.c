/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: what is printed is one JSON value on one line, by the room's own strict reader; printing
 * into a buffer of exactly that size works, and into one byte less does not. */
#include "../../tests/support/guard.h"
#include "weir/json.h"
#include "weir/mem.h"
#include "weir/otlp_json.h"

enum { SIZE_LIMIT = 16 << 20 };

static void check_room(struct weir_bytes request, struct weir_bytes expected)
{
    uint8_t *memory = weir_mem_alloc(expected.size);
    WEIR_ASSERT(memory != NULL);
    struct weir_buf exact = weir_buf_fixed(memory, expected.size);
    enum weir_status status = weir_otlp_json(request, &exact);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(weir_bytes_eq(weir_buf_view(&exact), expected));
    struct weir_buf shorter = weir_buf_fixed(memory, expected.size - 1);
    status = weir_otlp_json(request, &shorter);
    WEIR_ASSERT(status == WEIR_ENOMEM);
    WEIR_ASSERT(shorter.size == 0);
    weir_mem_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard copy = guard_copy(weir_bytes_of(data, size));
    struct weir_buf out = weir_buf_grow_init(SIZE_LIMIT);
    enum weir_status status = weir_otlp_json(guard_view(&copy), &out);
    WEIR_ASSERT(status == WEIR_OK || out.size == 0);
    if (status == WEIR_OK) {
        WEIR_ASSERT(memchr(out.data, '\n', out.size) == NULL);
        check_room(guard_view(&copy), weir_buf_view(&out));
        struct weir_json json;
        weir_json_init(&json, out.data, out.size, WEIR_JSON_DEPTH_LIMIT);
        weir_json_skip(&json);
        enum weir_status valid = weir_json_finish(&json);
        WEIR_ASSERT(valid == WEIR_OK || valid == WEIR_ELIMIT); /* a list is two levels of JSON */
    }
    weir_buf_done(&out);
    guard_free(&copy);
    return 0;
}
