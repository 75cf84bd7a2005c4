/* SPDX-License-Identifier: Apache-2.0 */
#include "load/crc_shift.h"

#define POLYNOMIAL UINT32_C(0xEDB88320) /* RFC 1952 section 8, lowest bit first */

enum { BITS = 32 };

static uint32_t apply(const struct weir_load_crc_shift *shift, uint32_t crc)
{
    uint32_t sum = 0;
    for (int i = 0; i < BITS; i++) {
        sum ^= (crc >> i & 1) != 0 ? shift->columns[i] : 0;
    }
    return sum;
}

/* First `second`, then `first`. */
static struct weir_load_crc_shift both(const struct weir_load_crc_shift *first,
                                       const struct weir_load_crc_shift *second)
{
    struct weir_load_crc_shift result;
    for (int i = 0; i < BITS; i++) {
        result.columns[i] = apply(first, second->columns[i]);
    }
    return result;
}

/* Over one bit: the lowest one falls out, and brings the polynomial in. */
static struct weir_load_crc_shift one_bit(void)
{
    struct weir_load_crc_shift result = {.columns = {POLYNOMIAL}};
    for (int i = 1; i < BITS; i++) {
        result.columns[i] = UINT32_C(1) << (i - 1);
    }
    return result;
}

struct weir_load_crc_shift weir_load_crc_shift(uint64_t size)
{
    struct weir_load_crc_shift result;
    struct weir_load_crc_shift power = one_bit();
    for (int i = 0; i < BITS; i++) {
        result.columns[i] = UINT32_C(1) << i;
    }
    for (int i = 0; i < 3; i++) {
        power = both(&power, &power); /* 2, 4, 8 bits */
    }
    for (; size > 0; size >>= 1) {
        if ((size & 1) != 0) {
            result = both(&power, &result);
        }
        power = both(&power, &power);
    }
    return result;
}

uint32_t weir_load_crc_join(const struct weir_load_crc_shift *shift, uint32_t a, uint32_t b)
{
    return apply(shift, a) ^ b;
}
