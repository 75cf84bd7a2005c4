/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: the fields of a message, one after the other, are the message; each field written again
 * is a field that reads the same; a value that is valid at some depth is valid at every greater
 * one. */
#include "../../tests/support/guard.h"
#include "weir/pbw.h"

static void write_again(struct weir_buf *out, const struct weir_pb_field *field)
{
    switch (field->type) {
    case WEIR_PB_VARINT: weir_pbw_uint(out, field->number, field->value); break;
    case WEIR_PB_FIXED64: weir_pbw_fixed64(out, field->number, field->value); break;
    case WEIR_PB_BYTES: weir_pbw_bytes(out, field->number, field->bytes); break;
    case WEIR_PB_FIXED32: weir_buf_put(out, field->whole); break;
    default: WEIR_UNREACHABLE();
    }
}

static void check_field(const struct weir_pb_field *field)
{
    struct weir_buf out = weir_buf_grow_init(field->whole.size);
    write_again(&out, field);
    WEIR_ASSERT(!out.failed); /* never longer than what was read */
    struct weir_cursor cursor = weir_cursor_of(weir_buf_view(&out));
    struct weir_pb_field again;
    bool read = weir_pb_next(&cursor, &again);
    WEIR_ASSERT(read);
    WEIR_ASSERT(again.number == field->number);
    WEIR_ASSERT(again.type == field->type);
    WEIR_ASSERT(again.value == field->value);
    WEIR_ASSERT(weir_bytes_eq(again.bytes, field->bytes));
    WEIR_ASSERT(weir_cursor_left(&cursor) == 0);
    weir_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard copy = guard_copy(weir_bytes_of(data, size));
    struct weir_cursor cursor = weir_cursor_of(guard_view(&copy));
    struct weir_pb_field field;
    const uint8_t *expected = copy.data;
    while (weir_pb_next(&cursor, &field)) {
        WEIR_ASSERT(field.whole.data == expected);
        expected += field.whole.size;
        check_field(&field);
    }
    WEIR_ASSERT(cursor.failed || expected == copy.data + size);
    bool before = false;
    for (unsigned depth = 0; depth <= 20; depth++) {
        bool valid = weir_pb_any_value_valid(guard_view(&copy), depth);
        WEIR_ASSERT(valid || !before);
        WEIR_ASSERT(!valid || !cursor.failed);
        before = valid;
    }
    WEIR_ASSERT(!cursor.failed || !weir_pb_key_value_valid(guard_view(&copy), 20));
    guard_free(&copy);
    return 0;
}
