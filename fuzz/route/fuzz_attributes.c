/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle: what was read, written again as JSON, reads to the same; every name is found by itself;
 * and no view leaves the text. */
#include "../../tests/support/guard.h"
#include "weir/attributes.h"
#include "weir/buf.h"
#include "weir/utf8.h"

static void write_again(const struct weir_attributes *attributes, struct weir_buf *out)
{
    weir_buf_put(out, WEIR_BYTES("{\"commonAttributes\":{"));
    for (uint32_t i = 0; i < attributes->count; i++) {
        weir_buf_put(out, i == 0 ? WEIR_BYTES("") : WEIR_BYTES(","));
        weir_buf_put_json_string(out, attributes->items[i].name, 0);
        weir_buf_put_byte(out, ':');
        weir_buf_put_json_string(out, attributes->items[i].value, 0);
    }
    weir_buf_put(out, WEIR_BYTES("}}"));
    WEIR_ASSERT(!out->failed);
}

static void check_view(const struct guard *text, struct weir_bytes view)
{
    WEIR_ASSERT(view.size == 0 ||
                (view.data >= text->data && view.data + view.size <= text->data + text->size));
    WEIR_ASSERT(weir_utf8_valid(view));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_attributes first, second;
    struct guard text = guard_copy(weir_bytes_of(data, size));
    if (weir_attributes_read(text.data, size, &first) == WEIR_OK) {
        struct weir_buf again = weir_buf_grow_init((size_t)1 << 20);
        write_again(&first, &again);
        WEIR_ASSERT(weir_attributes_read(again.data, again.size, &second) == WEIR_OK);
        WEIR_ASSERT(first.count == second.count);
        for (uint32_t i = 0; i < first.count; i++) {
            const struct weir_attribute *item = &first.items[i];
            check_view(&text, item->name);
            check_view(&text, item->value);
            WEIR_ASSERT(weir_bytes_eq(item->name, second.items[i].name));
            WEIR_ASSERT(weir_bytes_eq(item->value, second.items[i].value));
            WEIR_ASSERT(weir_attributes_find(&first, item->name) == &item->value);
        }
        weir_buf_done(&again);
    }
    guard_free(&text);
    return 0;
}
