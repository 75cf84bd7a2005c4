/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CRC32_H
#define WEIR_CRC32_H

#include "weir/bytes.h"

/* CRC-32 as gzip's trailer has it (RFC 1952 section 8; "123456789" gives 0xCBF43926), by
 * libdeflate. Any thread. */
uint32_t weir_crc32(struct weir_bytes bytes);

#endif
