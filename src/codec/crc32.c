/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/crc32.h"

#include <isa-l/crc.h>
#include <libdeflate.h>

uint32_t weir_crc32(struct weir_bytes bytes)
{
    return bytes.size == 0 ? 0 : libdeflate_crc32(0, bytes.data, bytes.size);
}

void weir_crc32_sum_to(struct weir_crc32_sum *sum, const uint8_t *end)
{
    if (end > sum->at) {
        sum->crc = crc32_gzip_refl(sum->crc, sum->at, (uint64_t)(end - sum->at));
        sum->at = end;
    }
}
