/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/attributes.h"

#include "weir/json.h"

enum { DEPTH_MAX = 8 };

/* UTF-8 was checked: a character is a byte that continues none. */
static size_t characters(struct weir_bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += (text.data[i] & 0xc0) != 0x80 ? 1 : 0;
    }
    return count;
}

const struct weir_bytes *weir_attributes_find(const struct weir_attributes *attributes,
                                              struct weir_bytes name)
{
    for (uint32_t i = 0; i < attributes->count; i++) {
        if (weir_bytes_eq(attributes->items[i].name, name)) {
            return &attributes->items[i].value;
        }
    }
    return NULL;
}

static enum weir_status add(struct weir_attributes *to, struct weir_bytes name,
                            struct weir_bytes value)
{
    if (name.size == 0 || weir_attributes_find(to, name) != NULL) {
        return WEIR_EMALFORMED;
    }
    if (to->count == WEIR_ATTRIBUTES_MAX || characters(name) > WEIR_ATTRIBUTE_NAME_MAX ||
        characters(value) > WEIR_ATTRIBUTE_VALUE_MAX) {
        return WEIR_ELIMIT;
    }
    to->items[to->count++] = (struct weir_attribute){name, value};
    return WEIR_OK;
}

static enum weir_status read_members(struct weir_json *json, struct weir_attributes *to)
{
    struct weir_bytes name;
    weir_json_object_begin(json);
    while (weir_json_member(json, &name)) {
        struct weir_bytes value = weir_json_string(json);
        if (json->error != NULL) {
            return WEIR_OK; /* weir_json_finish says which */
        }
        WEIR_TRY(add(to, name, value));
    }
    return WEIR_OK;
}

enum weir_status weir_attributes_read(uint8_t *text, size_t size, struct weir_attributes *ret)
{
    struct weir_json json;
    struct weir_attributes read = {.count = 0};
    struct weir_bytes key;
    bool is_seen = false;
    weir_json_init(&json, text, size, DEPTH_MAX);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        if (!weir_bytes_eq(key, WEIR_BYTES("commonAttributes"))) {
            weir_json_skip(&json);
        } else if (is_seen) {
            return WEIR_EMALFORMED;
        } else {
            is_seen = true;
            WEIR_TRY(read_members(&json, &read));
        }
    }
    WEIR_TRY(weir_json_finish(&json));
    *ret = read;
    return WEIR_OK;
}
