/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle: a segment's header that is read, is written as it stood. The first byte's bit 2 clear:
 * its checksums (salt 0) are made right before it is read; bit 3: the second copy is a damaged one,
 * which changes nothing but that it is told. */
#include "../../tests/support/guard.h"
#include "weir/crc32c.h"
#include "weir/frame.h"

enum { PAGE = 4096 };

static void mend(uint8_t *page)
{
    memset(page + 24, 0, 8);
    memset(page + 52, 0, 4);
    uint32_t crc = weir_crc32c(0, weir_bytes_of(page, 12));
    memcpy(page + 12, &crc, 4);
    crc = weir_crc32c(weir_crc32c(0, weir_bytes_of(page + 24, 8)), weir_bytes_of(page, PAGE));
    memcpy(page + 52, &crc, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t twice[2 * PAGE] = {0};
    uint8_t again[2 * PAGE];
    uint8_t what = size > 0 ? data[0] : 0;
    if (size > 1) {
        memcpy(twice, data + 1, size - 1 < PAGE ? size - 1 : PAGE);
    }
    if ((what & 4) == 0) {
        mend(twice);
    }
    memcpy(twice + PAGE, twice, PAGE);
    struct guard input = guard_copy(weir_bytes_of(twice, sizeof twice));
    input.data[PAGE + size % PAGE] ^= (what & 8) != 0 ? 1 : 0;
    struct weir_frame_segment segment;
    if (weir_frame_segment_read(guard_view(&input), &segment) == WEIR_OK) {
        WEIR_ASSERT(segment.mended == ((what & 8) != 0));
        weir_frame_segment_write(&segment, again);
        WEIR_ASSERT(memcmp(twice, again, sizeof twice) == 0);
    }
    guard_free(&input);
    return 0;
}
