/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: what inflates, inflates the same into room of exactly its size and not into one byte
 * less; inflated without its checksum, that was right, and what does not inflate has at most a
 * wrong one; what is deflated, by ISA-L (level 1) or by libdeflate, fits the bound and inflates to
 * itself; deflated once more it is the same bytes, and two members inflate to both. Deflating costs
 * ten times what inflating does: an input's size says by whom it is deflated, and whether twice. */
#include "../../tests/support/guard.h"
#include "weir/crc32.h"
#include "weir/gzip.h"

enum { ROOM = 1 << 18 };

static uint8_t zeros[ROOM];
static uint8_t packed[2 * ROOM];

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

static void check_unsummed(struct weir_inflater *inflater, struct weir_bytes input,
                           enum weir_status expected)
{
    static uint8_t out[ROOM];
    struct guard copy = guard_copy(input);
    struct weir_gzip_unsummed got;
    enum weir_status status =
        weir_gzip_inflate_unsummed(inflater, guard_view(&copy), out, ROOM, &got);
    if (status == WEIR_OK && !got.is_summed &&
        weir_crc32(weir_bytes_of(out, got.size)) != got.crc) {
        status = WEIR_EMALFORMED;
    }
    WEIR_ASSERT(status == expected);
    guard_free(&copy);
}

static void check_again(struct weir_inflater *inflater, struct weir_deflater *deflater,
                        struct weir_bytes input, struct weir_bytes member)
{
    static uint8_t out[ROOM];
    size_t size;
    size_t twice;
    memcpy(packed, member.data, member.size);
    enum weir_status status = weir_gzip_deflate(deflater, input, packed + member.size,
                                                sizeof packed - member.size, &size);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(weir_bytes_eq(weir_bytes_of(packed + member.size, size), member));
    status = weir_gzip_inflate(inflater, weir_bytes_of(packed, 2 * size), out, ROOM, &twice);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(twice == 2 * input.size);
}

static void check_deflate(struct weir_inflater *inflater, struct weir_deflater *deflater,
                          struct weir_bytes input)
{
    struct guard copy = guard_copy(input);
    struct guard exact = guard_copy(weir_bytes_of(packed, weir_gzip_bound(deflater, input.size)));
    size_t size;
    enum weir_status status =
        weir_gzip_deflate(deflater, guard_view(&copy), exact.data, exact.size, &size);
    WEIR_ASSERT(status == WEIR_OK);
    struct weir_bytes member = weir_bytes_of(exact.data, size);
    check_inflate(inflater, member, input);
    if (input.size % 8 < 2) {
        check_again(inflater, deflater, input, member);
    }
    guard_free(&copy);
    guard_free(&exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weir_inflater *inflater; /* kept for the whole run, reachable at its end */
    static struct weir_deflater *deflaters[2];
    static uint8_t out[ROOM];
    struct weir_bytes input = weir_bytes_of(data, size);
    size_t got;
    if (inflater == NULL && (weir_inflater_new(&inflater) != WEIR_OK ||
                             weir_deflater_new(1, &deflaters[0]) != WEIR_OK ||
                             weir_deflater_new(6, &deflaters[1]) != WEIR_OK)) {
        return 0;
    }
    enum weir_status status = weir_gzip_inflate(inflater, input, out, ROOM, &got);
    if (status == WEIR_OK) {
        check_inflate(inflater, input, weir_bytes_of(out, got));
    }
    check_unsummed(inflater, input, status);
    if (size <= ROOM / 2) {
        check_deflate(inflater, deflaters[size % 2], input);
    }
    return 0;
}
