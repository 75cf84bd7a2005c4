/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: what inflates, inflates the same into room of exactly its size and not into one byte
 * less; what is deflated, inflates to itself, also as two members. */
#include "../../tests/support/guard.h"
#include "weir/gzip.h"

enum { ROOM = 1 << 18 };

static uint8_t zeros[ROOM];
static uint8_t packed[ROOM];

static void check_inflate(struct weir_inflater *inflater, struct weir_bytes input,
                          struct weir_bytes expected)
{
    struct guard copy = guard_copy(input);
    struct guard exact = guard_copy(weir_bytes_of(zeros, expected.size));
    size_t size;
    enum weir_status status =
        weir_gzip_inflate(inflater, guard_view(&copy), exact.data, exact.size, &size);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(weir_bytes_eq(weir_bytes_of(exact.data, size), expected));
    if (size > 0) {
        status = weir_gzip_inflate(inflater, guard_view(&copy), exact.data, size - 1, &size);
        WEIR_ASSERT(status == WEIR_EFULL);
    }
    status = weir_gzip_size_hint(guard_view(&copy), ROOM, &size);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(size >= 1 && size <= ROOM);
    guard_free(&copy);
    guard_free(&exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weir_inflater *inflater; /* kept for the whole run, reachable at its end */
    static struct weir_deflater *deflater;
    static uint8_t out[ROOM];
    struct weir_bytes input = weir_bytes_of(data, size);
    size_t got;
    if (inflater == NULL && (weir_inflater_new(&inflater) != WEIR_OK ||
                             weir_deflater_new(1 + (int)(size % 12), &deflater) != WEIR_OK)) {
        return 0;
    }
    if (weir_gzip_inflate(inflater, input, out, ROOM, &got) == WEIR_OK) {
        check_inflate(inflater, input, weir_bytes_of(out, got));
    }
    if (size <= ROOM / 4 && weir_gzip_deflate(deflater, input, packed, ROOM / 2, &got) == WEIR_OK) {
        check_inflate(inflater, weir_bytes_of(packed, got), input);
        memcpy(packed + got, packed, got);
        size_t twice;
        enum weir_status status =
            weir_gzip_inflate(inflater, weir_bytes_of(packed, 2 * got), out, 2 * size, &twice);
        WEIR_ASSERT(status == WEIR_OK);
        WEIR_ASSERT(twice == 2 * size);
    }
    return 0;
}
