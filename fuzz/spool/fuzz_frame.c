/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle: a record's header that is read, is written as it stood. The first byte says how: bit 0
 * version 2, bit 1 version 3; its magic, length and checksum (salt 0) are made right before it is
 * read, unless bit 2 is set, so that what is behind them is reached. */
#include "../../tests/support/guard.h"
#include "weir/crc32c.h"
#include "weir/frame.h"

/* Small, since a payload's checksums are made for each input that is read. */
enum { SEGMENT_BYTES = 256 << 10 };

static void mend(struct guard *input, size_t size)
{
    const uint8_t salt[8] = {0};
    memcpy(input->data, "WREC\0\0\0", 8);
    memcpy(input->data + 8, &(uint32_t){(uint32_t)size}, 4);
    uint32_t crc = weir_crc32c(0, weir_bytes_of(salt, sizeof salt));
    crc = weir_crc32c(crc, weir_bytes_of(input->data, size));
    memcpy(input->data + 4, &crc, 4);
}

static void check(const struct weir_frame_segment *segment, const struct weir_frame_record *record,
                  struct weir_bytes input, size_t size)
{
    static uint8_t payload[SEGMENT_BYTES];
    static uint8_t again[WEIR_FRAME_HEADER_MAX];
    size_t end = WEIR_FRAME_HEADER_MIN + record->checksums.size;
    WEIR_ASSERT(record->payload_size <= sizeof payload);
    WEIR_ASSERT(weir_frame_record_header(segment, record) == size);
    weir_frame_record_write(segment, record, weir_bytes_of(payload, (size_t)record->payload_size),
                            again);
    WEIR_ASSERT(memcmp(again + 8, input.data + 8, WEIR_FRAME_HEADER_MIN - 8) == 0);
    WEIR_ASSERT(memcmp(again + end, input.data + end, size - end) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct weir_frame_segment segment = {.version = 1 + (data[0] & 1U), .size = SEGMENT_BYTES};
    struct weir_frame_record record;
    struct guard input = guard_copy(weir_bytes_of(data + 1, size - 1));
    segment.version = (data[0] & 2) != 0 ? 3 : segment.version;
    size_t header_size = input.size & ~(size_t)(segment.version < 3 ? 7 : 63);
    if ((data[0] & 4) == 0 && header_size >= WEIR_FRAME_HEADER_MIN) {
        mend(&input, header_size);
    }
    enum weir_status status =
        weir_frame_record_read(&segment, guard_view(&input), &record, &header_size);
    WEIR_ASSERT(status != WEIR_EAGAIN || header_size > input.size);
    if (status == WEIR_OK) {
        check(&segment, &record, guard_view(&input), header_size);
    }
    guard_free(&input);
    return 0;
}
