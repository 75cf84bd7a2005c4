/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle: pieces follow one another without overlap, and whoever begins behind the first one, as a
 * replay that was interrupted there does, gets the same pieces. */
#include "../../tests/support/guard.h"
#include "weir/source.h"

enum { PIECES = 64 };

struct pieces {
    size_t begins[PIECES], ends[PIECES], sizes[PIECES];
    uint32_t count;
};

static struct pieces collect(struct weir_bytes bytes, size_t offset)
{
    struct pieces pieces = {.count = 0};
    struct weir_source source;
    struct weir_source_item item;
    enum weir_status status = WEIR_OK;
    struct guard text = guard_copy(bytes);
    weir_source_init(&source, text.data, text.size, offset);
    for (size_t i = 0; status != WEIR_EEND; i++) {
        WEIR_ASSERT(i <= bytes.size + 2); /* it moves forward */
        status = weir_source_next(&source, &item);
        WEIR_ASSERT(status == WEIR_OK || source.error != NULL || status == WEIR_EEND);
        if (status == WEIR_OK && pieces.count < PIECES) {
            WEIR_ASSERT(item.offset <= item.end);
            WEIR_ASSERT(item.end <= bytes.size);
            pieces.begins[pieces.count] = item.offset;
            pieces.ends[pieces.count] = item.end;
            pieces.sizes[pieces.count++] = item.data.size;
        }
    }
    weir_source_done(&source);
    guard_free(&text);
    return pieces;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_bytes bytes = weir_bytes_of(data, size);
    struct pieces all = collect(bytes, 0);
    for (uint32_t i = 1; i < all.count; i++) {
        WEIR_ASSERT(all.begins[i] >= all.ends[i - 1]);
    }
    if (all.count > 1 && all.count < PIECES) {
        struct pieces rest = collect(bytes, all.ends[0]);
        WEIR_ASSERT(rest.count == all.count - 1);
        size_t bytes_compared = rest.count * sizeof *rest.begins;
        WEIR_ASSERT(memcmp(rest.begins, all.begins + 1, bytes_compared) == 0);
        WEIR_ASSERT(memcmp(rest.ends, all.ends + 1, bytes_compared) == 0);
        WEIR_ASSERT(memcmp(rest.sizes, all.sizes + 1, bytes_compared) == 0);
    }
    return 0;
}
