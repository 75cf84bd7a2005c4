/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_DIGEST_H
#define WEIR_DIGEST_H

#include "weir/bytes.h"
#include "weir/status.h"

/* SHA-256, for telling contents apart and naming them (configurations, certificates). */
#define WEIR_DIGEST_SIZE      32
#define WEIR_DIGEST_TEXT_SIZE 65 /* hex and a terminator */

struct weir_digest {
    uint8_t bytes[WEIR_DIGEST_SIZE];
};

/* The digest of `data`. WEIR_ENOMEM: OpenSSL has no memory, or no provider with SHA-256. Any
 * thread. */
WEIR_MUST_USE enum weir_status weir_digest_of(struct weir_bytes data, struct weir_digest *ret);

/* As 64 hex digits, lower case, ended by a NUL. */
void weir_digest_text(const struct weir_digest *digest, char ret[WEIR_DIGEST_TEXT_SIZE]);

#endif
