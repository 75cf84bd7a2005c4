/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/ranges.h"
#include "weir/json.h"
#include "weir/mem.h"

#define RANGES_MAX ((size_t)1 << 22)

static uint64_t read_count(struct weir_json *json, uint64_t most)
{
    if (!weir_json_element(json)) {
        json->error = json->error == NULL ? "a range has four numbers" : json->error;
        return 0;
    }
    int64_t number = weir_json_int64(json);
    if (json->error == NULL && (number < 0 || (uint64_t)number > most)) {
        json->error = "a number out of its bounds";
    }
    return json->error == NULL ? (uint64_t)number : 0;
}

static enum weir_status read_range(struct weir_json *json, struct weir_booked_range **ranges,
                                   size_t *count, size_t *capacity)
{
    if (*count == *capacity) {
        size_t larger = *capacity == 0 ? 64 : *capacity * 2;
        void *grown =
            larger > RANGES_MAX ? NULL : weir_mem_resize(*ranges, larger, sizeof **ranges);
        if (grown == NULL) {
            return WEIR_ENOMEM;
        }
        *ranges = grown;
        *capacity = larger;
    }
    struct weir_booked_range *range = &(*ranges)[(*count)++];
    weir_json_array_begin(json);
    range->first = read_count(json, INT64_MAX);
    range->count = read_count(json, INT64_MAX);
    range->accepted = (uint32_t)read_count(json, UINT32_MAX);
    range->unsure = (uint32_t)read_count(json, UINT32_MAX);
    if (weir_json_element(json)) {
        json->error = "a range has four numbers";
    }
    return WEIR_OK;
}

enum weir_status weir_sink_ranges_read(uint8_t *text, size_t size,
                                       struct weir_booked_range **ranges, size_t *count)
{
    struct weir_json json;
    struct weir_bytes key;
    size_t capacity = 0;
    weir_json_init(&json, text, size, 4);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        if (!weir_bytes_eq(key, WEIR_BYTES("ranges"))) {
            weir_json_skip(&json);
            continue;
        }
        weir_json_array_begin(&json);
        while (weir_json_element(&json)) {
            WEIR_TRY(read_range(&json, ranges, count, &capacity));
        }
    }
    return weir_json_finish(&json) == WEIR_OK ? WEIR_OK : WEIR_EMALFORMED;
}
