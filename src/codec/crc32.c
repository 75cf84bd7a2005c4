/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/crc32.h"

#include <libdeflate.h>

uint32_t weir_crc32(struct weir_bytes bytes)
{
    return bytes.size == 0 ? 0 : libdeflate_crc32(0, bytes.data, bytes.size);
}
