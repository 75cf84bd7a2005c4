/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SPOOL_IDS_HASH_H
#define WEIR_SPOOL_IDS_HASH_H

#include "weir/bytes.h"

/* SipHash-2-4 with 128 bits of output (Aumasson and Bernstein 2012, and their reference code's test
 * values for the wide output). Pure; O(size). */
void weir_ids_hash(const uint64_t key[2], struct weir_bytes bytes, uint64_t ret[2]);

#endif
