/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/intake.h"

#include "weir/panic.h"

void weir_intake_init(struct weir_intake *intake, struct weir_credit *credit,
                      struct weir_regions *regions, size_t size_max)
{
    WEIR_ASSERT(size_max <= WEIR_REGION_SIZE_MAX);
    *intake = (struct weir_intake){.credit = credit, .regions = regions, .size_max = size_max};
}

enum weir_status weir_intake_reserve(struct weir_intake *intake, size_t size)
{
    if (size > intake->size_max) {
        return WEIR_ELIMIT;
    }
    if (size <= intake->region.capacity - intake->lead) {
        return WEIR_OK;
    }
    bool is_large = size >= WEIR_INTAKE_LARGE && size <= WEIR_REGION_SIZE_MAX - WEIR_INTAKE_LEAD;
    size_t lead = is_large ? WEIR_INTAKE_LEAD : 0;
    size_t capacity = weir_region_capacity(lead + size);
    if (!weir_credit_take(intake->credit, capacity)) {
        return WEIR_EFULL;
    }
    struct weir_region larger;
    if (weir_region_take(intake->regions, lead + size, &larger) != WEIR_OK) {
        weir_credit_give(intake->credit, capacity);
        return WEIR_EFULL;
    }
    WEIR_ASSERT(larger.capacity == capacity);
    if (intake->size > 0) {
        memcpy(larger.data + lead, intake->region.data + intake->lead, intake->size);
    }
    size_t smaller = intake->region.capacity;
    weir_region_give(intake->regions, &intake->region);
    weir_credit_give(intake->credit, smaller);
    intake->region = larger;
    intake->lead = lead;
    return WEIR_OK;
}

/* The capacity to ask for when `needed` bytes do not fit: doubling, so that a long body is moved
 * O(log) times. */
static size_t step_for(const struct weir_intake *intake, size_t needed)
{
    size_t doubled = intake->region.capacity * 2;
    size_t step = (doubled > WEIR_INTAKE_STEP ? doubled : WEIR_INTAKE_STEP) - WEIR_INTAKE_LEAD;
    step = step > needed ? step : needed;
    return step < intake->size_max ? step : intake->size_max;
}

enum weir_status weir_intake_append(struct weir_intake *intake, struct weir_bytes bytes)
{
    size_t needed;
    if (__builtin_add_overflow(intake->size, bytes.size, &needed) || needed > intake->size_max) {
        return WEIR_ELIMIT;
    }
    if (needed > intake->region.capacity - intake->lead) {
        WEIR_TRY(weir_intake_reserve(intake, step_for(intake, needed)));
    }
    if (bytes.size > 0) {
        uint8_t *end = intake->region.data + intake->lead + intake->size;
        if (bytes.data != end) {
            memcpy(end, bytes.data, bytes.size);
        }
        intake->size = needed;
    }
    return WEIR_OK;
}

void weir_intake_release(struct weir_intake *intake)
{
    size_t capacity = intake->region.capacity;
    weir_region_give(intake->regions, &intake->region);
    if (capacity > 0) {
        weir_credit_give(intake->credit, capacity);
    }
    intake->lead = 0;
    intake->size = 0;
}
