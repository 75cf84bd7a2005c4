/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/arn.h"

/* Cuts the text before the next colon off the front of *rest; false when there is no colon. */
static bool cut(struct weir_bytes *rest, struct weir_bytes *ret_part)
{
    const uint8_t *colon = rest->size == 0 ? NULL : memchr(rest->data, ':', rest->size);
    if (colon == NULL) {
        return false;
    }
    size_t size = (size_t)(colon - rest->data);
    *ret_part = weir_bytes_of(rest->data, size);
    *rest = weir_bytes_of(colon + 1, rest->size - size - 1);
    return true;
}

static bool all_in_range(struct weir_bytes text, uint8_t low, uint8_t high)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < low || text.data[i] > high) {
            return false;
        }
    }
    return true;
}

enum weir_status weir_arn_parse(struct weir_bytes text, struct weir_arn *ret)
{
    struct weir_arn arn;
    struct weir_bytes prefix;
    struct weir_bytes rest = text;
    bool whole = cut(&rest, &prefix) && cut(&rest, &arn.partition) && cut(&rest, &arn.service) &&
                 cut(&rest, &arn.region) && cut(&rest, &arn.account);
    if (!whole || !weir_bytes_eq(prefix, WEIR_BYTES("arn")) || arn.partition.size == 0 ||
        arn.service.size == 0 || rest.size == 0) {
        return WEIR_EMALFORMED;
    }
    if (!all_in_range(text, 0x21, 0x7e) || !all_in_range(arn.account, '0', '9')) {
        return WEIR_EMALFORMED;
    }
    arn.resource = rest;
    *ret = arn;
    return WEIR_OK;
}
