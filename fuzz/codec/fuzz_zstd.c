/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: what inflates, inflates the same into room of exactly its size and not into one byte
 * less, and damaged by a byte at its end not at all; what is deflated, inflates to itself. */
#include "../../tests/support/guard.h"
#include "weir/zstd.h"

enum { ROOM = 1 << 18 };

static uint8_t zeros[ROOM];
static uint8_t packed[ROOM];

static void check_inflate(struct weir_zstd_inflater *inflater, struct weir_bytes input,
                          struct weir_bytes expected)
{
    struct guard copy = guard_copy(input);
    struct guard exact = guard_copy(weir_bytes_of(zeros, expected.size));
    size_t size;
    enum weir_status status =
        weir_zstd_inflate(inflater, guard_view(&copy), exact.data, exact.size, &size);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(weir_bytes_eq(weir_bytes_of(exact.data, size), expected));
    if (size > 0) {
        status = weir_zstd_inflate(inflater, guard_view(&copy), exact.data, size - 1, &size);
        WEIR_ASSERT(status != WEIR_OK);
    }
    guard_free(&copy);
    copy = guard_copy(weir_bytes_of(input.data, input.size - 1));
    status = weir_zstd_inflate(inflater, guard_view(&copy), exact.data, exact.size, &size);
    WEIR_ASSERT(status == WEIR_EMALFORMED);
    guard_free(&copy);
    guard_free(&exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weir_zstd_inflater *inflater; /* kept for the whole run */
    static struct weir_zstd_deflater *deflater;
    static uint8_t out[ROOM];
    struct weir_bytes input = weir_bytes_of(data, size);
    size_t got;
    if (inflater == NULL && (weir_zstd_inflater_new(&inflater) != WEIR_OK ||
                             weir_zstd_deflater_new(1 + (int)(size % 3), &deflater) != WEIR_OK)) {
        return 0;
    }
    if (weir_zstd_inflate(inflater, input, out, ROOM, &got) == WEIR_OK) {
        check_inflate(inflater, input, weir_bytes_of(out, got));
    }
    if (size <= ROOM / 4) {
        enum weir_status status =
            weir_zstd_deflate(deflater, input, packed, weir_zstd_bound(size), &got);
        WEIR_ASSERT(status == WEIR_OK);
        check_inflate(inflater, weir_bytes_of(packed, got), input);
    }
    return 0;
}
