/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle: a gzip body decoded with its checksum on the envelope's way, and inflated and checked
 * before. The first three bytes say whether the others are gzip, or a text to be packed, in one
 * member or two, of which a bit is flipped then; and the limit. */
#include "../../tests/unit/decode/gzip_twins.h"

enum { IS_PACKED = 1, TWO_MEMBERS = 2, FLIPPED = 4, LIMITED = 8, LAST_BYTES = 16 };

static uint8_t packed[1 << 18];

static size_t pack(struct weir_deflater *deflater, struct weir_bytes text, size_t at)
{
    size_t size = 0;
    enum weir_status status =
        weir_gzip_deflate(deflater, text, packed + at, sizeof(packed) - at, &size);
    WEIR_ASSERT(status == WEIR_OK);
    return at + size;
}

static struct weir_bytes make(struct weir_deflater *deflater, unsigned what, unsigned place,
                              struct weir_bytes rest)
{
    size_t cut = (what & TWO_MEMBERS) != 0 ? rest.size / 2 : 0;
    size_t size = 0;
    if ((what & IS_PACKED) != 0) {
        memcpy(packed, rest.data, rest.size);
        size = rest.size;
    } else {
        size = cut > 0 ? pack(deflater, weir_bytes_of(rest.data, cut), 0) : 0;
        size = pack(deflater, weir_bytes_from(rest, cut), size);
    }
    if ((what & FLIPPED) != 0 && size > 16) {
        size_t bit = (what & LAST_BYTES) != 0 ? 8 * (size - 16) + place % 128 : place % (8 * size);
        packed[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    return weir_bytes_of(packed, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weir_inflater *inflater; /* kept for the whole run, reachable at its end */
    static struct weir_deflater *deflater;
    if (inflater == NULL &&
        (weir_inflater_new(&inflater) != WEIR_OK || weir_deflater_new(6, &deflater) != WEIR_OK)) {
        return 0;
    }
    if (size <= 3 || size > sizeof(packed) / 2) {
        return 0;
    }
    unsigned place = (unsigned)data[1] | (unsigned)data[2] << 8;
    struct weir_bytes rest = weir_bytes_from(weir_bytes_of(data, size), 3);
    struct weir_body_options options = fixture_body_options();
    options.gzip = true;
    options.body_limit = (data[0] & LIMITED) != 0 ? 1 + place % 1024 : (size_t)1 << 17;
    (void)gzip_twins_check(inflater, make(deflater, data[0], place, rest), &options);
    return 0;
}
