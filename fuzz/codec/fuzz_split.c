/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: the counts of the halves add up; a half of one point cannot be split; splitting the
 * first half at b is the first part of splitting the whole at b. */
#include "../../tests/support/guard.h"
#include "weir/split.h"

static size_t count_of(struct weir_bytes request)
{
    size_t count = 0;
    enum weir_status status = weir_split_count(request, &count);
    WEIR_ASSERT(status == WEIR_OK);
    return count;
}

/* The first `at` points of a request that has more. */
static struct weir_buf head_of(struct weir_bytes request, size_t count, size_t at)
{
    /* a half repeats what is no point, and lengths may be written shorter, never longer */
    struct weir_buf first = weir_buf_grow_init(request.size);
    struct weir_buf second = weir_buf_grow_init(request.size);
    enum weir_status status = weir_split_at(request, at, &first, &second);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(count_of(weir_buf_view(&first)) == at);
    WEIR_ASSERT(count_of(weir_buf_view(&second)) == count - at);
    weir_buf_done(&second);
    return first;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard copy = guard_copy(weir_bytes_of(data, size));
    struct weir_bytes whole = guard_view(&copy);
    size_t count = 0;
    struct weir_buf none = weir_buf_grow_init(1);
    if (weir_split_count(whole, &count) == WEIR_OK && count >= 3) {
        size_t cut = 2 + size % (count - 2);
        size_t smaller = 1 + size % (cut - 1);
        struct weir_buf head = head_of(whole, count, cut);
        struct weir_buf direct = head_of(whole, count, smaller);
        struct weir_buf twice = head_of(weir_buf_view(&head), cut, smaller);
        WEIR_ASSERT(weir_bytes_eq(weir_buf_view(&direct), weir_buf_view(&twice)));
        weir_buf_done(&head);
        weir_buf_done(&direct);
        weir_buf_done(&twice);
    }
    enum weir_status status = weir_split_at(whole, count, &none, &none);
    WEIR_ASSERT(status == WEIR_EINVAL || status == WEIR_EMALFORMED);
    guard_free(&copy);
    return 0;
}
