/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: the vector code against the scalar code, at every alignment; what decodes, encodes to
 * itself; what is encoded, decodes to itself. */
#include "../../tests/support/guard.h"
#include "weir/base64.h"

/* Decodes copies by both; true when it was base64, with the bytes in `ret` (the
 * caller frees it). */
static bool decode(struct weir_bytes text, struct guard *ret)
{
    struct guard scalar = guard_copy(text);
    struct guard vector = guard_copy(text);
    size_t scalar_size = 0;
    size_t vector_size = 0;
    enum weir_status one = weir_base64_decode_scalar(scalar.data, scalar.size, &scalar_size);
    enum weir_status two = weir_base64_decode_in_place(vector.data, vector.size, &vector_size);
    WEIR_ASSERT(one == two);
    WEIR_ASSERT(scalar_size == vector_size);
    WEIR_ASSERT(one != WEIR_OK || memcmp(scalar.data, vector.data, scalar_size) == 0);
    guard_free(&scalar);
    vector.size = vector_size; /* the mapping keeps its own size */
    *ret = vector;
    return two == WEIR_OK;
}

static struct weir_bytes encode(struct weir_bytes bytes)
{
    static uint8_t text[1 << 20];
    WEIR_ASSERT(weir_base64_encoded_size(bytes.size) <= sizeof(text));
    weir_base64_encode(bytes, text);
    return weir_bytes_of(text, weir_base64_encoded_size(bytes.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_bytes input = weir_bytes_of(data, size);
    struct guard decoded;
    if (decode(input, &decoded)) {
        WEIR_ASSERT(weir_bytes_eq(encode(guard_view(&decoded)), input));
    }
    guard_free(&decoded);
    bool good = decode(encode(input), &decoded);
    WEIR_ASSERT(good);
    WEIR_ASSERT(weir_bytes_eq(guard_view(&decoded), input));
    guard_free(&decoded);
    return 0;
}
