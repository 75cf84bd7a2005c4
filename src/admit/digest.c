/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/digest.h"

#include <openssl/evp.h>

enum weir_status weir_digest_of(struct weir_bytes data, struct weir_digest *ret)
{
    struct weir_digest digest;
    size_t size = 0;
    if (EVP_Q_digest(NULL, "SHA256", NULL, data.data, data.size, digest.bytes, &size) != 1 ||
        size != WEIR_DIGEST_SIZE) {
        return WEIR_ENOMEM;
    }
    *ret = digest;
    return WEIR_OK;
}

void weir_digest_text(const struct weir_digest *digest, char ret[WEIR_DIGEST_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < WEIR_DIGEST_SIZE; i++) {
        ret[2 * i] = hex[digest->bytes[i] >> 4];
        ret[2 * i + 1] = hex[digest->bytes[i] & 15];
    }
    ret[2 * WEIR_DIGEST_SIZE] = 0;
}
