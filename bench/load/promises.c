/* SPDX-License-Identifier: Apache-2.0 */
#include "load/promises.h"
#include "weir/mem.h"
#include <inttypes.h>
#include <stdlib.h>

enum weir_status weir_load_promises_add(struct weir_load_promises *promises,
                                        struct weir_load_promise promise)
{
    if (promise.count == 0 || (promise.accepted == 0 && promise.unsure == 0)) {
        return WEIR_OK;
    }
    if (promises->count == promises->capacity) {
        size_t capacity = promises->capacity == 0 ? 256 : 2 * promises->capacity;
        struct weir_load_promise *all =
            weir_mem_resize(promises->all, capacity, sizeof *promises->all);
        if (all == NULL) {
            return WEIR_ENOMEM;
        }
        promises->all = all;
        promises->capacity = capacity;
    }
    promises->all[promises->count++] = promise;
    return WEIR_OK;
}

enum weir_status weir_load_promises_merge(struct weir_load_promises *promises,
                                          const struct weir_load_promises *other)
{
    for (size_t i = 0; i < other->count; i++) {
        WEIR_TRY(weir_load_promises_add(promises, other->all[i]));
    }
    return WEIR_OK;
}

uint64_t weir_load_promises_points(const struct weir_load_promises *promises)
{
    uint64_t points = 0;
    for (size_t i = 0; i < promises->count; i++) {
        points += promises->all[i].count * promises->all[i].accepted;
    }
    return points;
}

static int by_first(const void *a, const void *b)
{
    const struct weir_load_promise *left = a;
    const struct weir_load_promise *right = b;
    return left->first < right->first ? -1 : left->first > right->first;
}

static bool joins(const struct weir_load_promise *left, const struct weir_load_promise *right)
{
    return left->first + left->count == right->first && left->accepted == right->accepted &&
           left->unsure == right->unsure;
}

void weir_load_promises_print(struct weir_load_promises *promises, struct weir_buf *out)
{
    if (promises->count > 0) {
        qsort(promises->all, promises->count, sizeof *promises->all, by_first);
    }
    weir_buf_put(out, WEIR_BYTES("{\"ranges\":["));
    for (size_t i = 0; i < promises->count;) {
        struct weir_load_promise joined = promises->all[i];
        size_t next = i + 1;
        while (next < promises->count && joins(&joined, &promises->all[next])) {
            joined.count += promises->all[next++].count;
        }
        weir_buf_printf(out, "%s[%" PRIu64 ",%" PRIu64 ",%" PRIu32 ",%" PRIu32 "]",
                        i == 0 ? "" : ",", joined.first, joined.count, joined.accepted,
                        joined.unsure);
        i = next;
    }
    weir_buf_put(out, WEIR_BYTES("]}"));
}

void weir_load_promises_done(struct weir_load_promises *promises)
{
    weir_mem_free(promises->all);
    *promises = (struct weir_load_promises){0};
}
